package peers

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/tests/peers/relay"
)

// A conversation is what our client and a server say to each other. Scripts hold
// those of the same names with our server.
type conversation struct {
	name string
	hold func(c *call) // nil for what only scripts do
}

var conversations = []conversation{
	{"text", func(c *call) { c.echoes(host.MessageText, []byte("z\u00df\u6c34\U0001f34c")) }},
	{"binary", func(c *call) { c.echoes(host.MessageBinary, []byte{0, 1, 0xfe, 0xff}) }},
	{"empty messages", func(c *call) {
		conn := c.open("/echo")
		for _, t := range []host.MessageType{host.MessageText, host.MessageBinary} {
			c.must("send", conn.Write(c.ctx, t, nil))
			c.wantMessage("an empty message comes back empty", conn, t, nil)
		}
		c.close(conn)
	}},
	{"64 KiB", func(c *call) { c.echoes(host.MessageBinary, binaryOf(64<<10)) }},
	{"1 MiB", func(c *call) { c.echoes(host.MessageBinary, binaryOf(1<<20)) }},
	{"1 MiB of text", func(c *call) {
		c.echoes(host.MessageText, bytes.Repeat([]byte("z\u00df\u6c34\U0001f34c!\n"), 1<<20/12))
	}},
	{tenAtOnce, func(c *call) {
		// Over HTTP/2 they are streams of one connection.
		conns := make([]*host.Conn, connectionsOf(tenAtOnce))
		for i := range conns {
			conns[i] = c.open("/echo")
		}
		payload := binaryOf(64 << 10)
		for i, conn := range conns {
			payload[0] = byte(i)
			c.must("send", conn.Write(c.ctx, host.MessageBinary, payload))
		}
		for i, conn := range conns {
			payload[0] = byte(i)
			c.wantMessage("each gets its own back", conn, host.MessageBinary, payload)
			c.close(conn)
		}
	}},
	{"fragments from the client", func(c *call) {
		conn := c.open("/echo")
		w, err := conn.Writer(c.ctx, host.MessageText)
		c.must("begin a message", err)
		for _, part := range []string{"one ", "", "two ", "three"} {
			_, err := w.Write([]byte(part))
			c.must("send a fragment", err)
		}
		c.must("end the message", w.Close())
		c.wantMessage("the fragments are one message", conn, host.MessageText, []byte("one two three"))
		c.close(conn)
	}},
	{"fragments from the server", func(c *call) {
		conn := c.open("/fragments")
		c.wantMessage("the fragments are one message", conn, host.MessageText, []byte("one two three"))
		c.close(conn)
	}},
	{"ping from the client", func(c *call) {
		conn := c.open("/echo")
		_, err := conn.Ping(c.ctx)
		c.must("a Ping is answered", err)
		c.must("send", conn.Write(c.ctx, host.MessageText, []byte("after")))
		c.wantMessage("the conversation goes on after it", conn, host.MessageText, []byte("after"))
		c.close(conn)
	}},
	{"ping from the server", func(c *call) {
		conn := c.open("/ping")
		c.wantMessage("the server's Ping is answered", conn, host.MessageText, []byte("pong"))
		c.close(conn)
	}},
	{"subprotocol", func(c *call) {
		conn := c.open("/echo", "stranger", "chat")
		if got := conn.Subprotocol(); got != "chat" {
			c.fail("the one that both know is chosen: got %q, want %q", got, "chat")
		}
		c.close(conn)
	}},
	{"the client closes with 1000", func(c *call) { c.closes("the client closes with 1000") }},
	{"the client closes with 4000", func(c *call) { c.closes("the client closes with 4000") }},
	{"the server closes with 1000", func(c *call) { c.closed(1000, "done") }},
	{"the server closes with 4000", func(c *call) { c.closed(4000, "ende \u00df\u6c34") }},
	{"the client ends abruptly", func(c *call) {
		conn := c.open("/echo")
		c.must("send", conn.Write(c.ctx, host.MessageText, []byte("here")))
		c.wantMessage("the connection works", conn, host.MessageText, []byte("here"))
		c.must("CloseNow", conn.CloseNow())
	}},
	{"the Close frame ends the stream", nil}, // ours ends it later
	{"the server ends abruptly", func(c *call) {
		conn := c.open("/drop")
		c.must("send", conn.Write(c.ctx, host.MessageText, []byte("end it")))
		ce := c.wantClosed(conn)
		if ce.Code != host.CodeAbnormal || ce.WasClean {
			c.fail("a transport that ends without a Close frame: got %d %q, clean %t, want 1006", ce.Code, ce.Reason, ce.WasClean)
		}
	}},
	// The last: hypercorn 0.18 drops an HTTP/2 connection, most times, where the
	// client ends a stream that it has refused (KeyError in its h2.py).
	{refused, func(c *call) {
		_, err := c.dial("/missing")
		var he *host.HandshakeError
		if !errors.As(err, &he) || he.Status != 404 {
			c.fail("a refusal is a HandshakeError with its status: got %v", err)
		}
	}},
}

// A call is one conversation of our client.
type call struct {
	*session
	ctx          context.Context
	conversation string
}

// A session is a server, and how our client reaches it.
type session struct {
	pairing
	authority string // host and port
	url       string // by which it is dialled, without a path
	config    *tls.Config

	// endings are the server's, or nil if it does not say how connections end.
	// backend is the version of HTTP there, where that is not the client's.
	endings *endings
	backend host.HTTPVersion

	// relay is in front of a server with which our client is to compress. received are
	// the bytes of the messages that come back.
	relay    *relay.Relay
	received atomic.Int64

	// cannot holds, by name, the conversations that the peer has no way to hold.
	cannot map[string]string
}

// hold holds all conversations.
func (s *session) hold(t *testing.T) {
	t.Helper()
	t.Run(s.column.String(), func(t *testing.T) {
		for _, conv := range conversations {
			if conv.hold == nil {
				continue
			}
			if reason, ok := s.cannot[conv.name]; ok {
				s.settle(t, conv.name, cannot(reason))
				continue
			}
			s.settle(t, conv.name, s.one(t.Context(), conv))
		}
	})
}

// one holds a conversation, and returns what is wrong.
func (s *session) one(ctx context.Context, conv conversation) (err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c := &call{session: s, ctx: ctx, conversation: conv.name}
	defer func() {
		switch p := recover().(type) {
		case nil:
		case failure:
			err = p
		default:
			panic(p)
		}
	}()
	conv.hold(c)
	if s.endings == nil {
		return nil
	}
	version := s.version
	if s.backend != 0 {
		version = s.backend
	}
	return s.endings.check(ctx, conv.name, version)
}

// A failure ends a conversation.
type failure string

func (f failure) Error() string { return string(f) }

func (c *call) fail(format string, args ...any) { panic(failure(fmt.Sprintf(format, args...))) }

func (c *call) must(sentence string, err error) {
	if err != nil {
		c.fail("%s: %v", sentence, err)
	}
}

// dial opens a connection for this conversation. HTTP/2 with TLS is what HTTPAuto
// gets where the server has it.
func (c *call) dial(path string, subprotocols ...string) (*host.Conn, error) {
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	target := c.url + path + separator + "conversation=" + url.QueryEscape(c.conversation)
	asked := c.version
	if c.secure && asked == host.HTTP2 {
		asked = host.HTTPAuto
	}
	o := &host.DialOptions{TLS: c.config, HTTPVersion: asked, Subprotocols: subprotocols}
	if c.relay != nil {
		o.Compression, o.Limits = host.Compression{Mode: host.CompressionContextTakeover}, deflatingLimits
	}
	conn, response, err := ourHost.Dial(c.ctx, target, o)
	if err == nil && response.ProtoMajor != int(c.version) {
		_ = conn.CloseNow()
		return nil, fmt.Errorf("the response is of %s, want %v", response.Proto, c.version)
	}
	return conn, err
}

// open is dial where the server accepts.
func (c *call) open(path string, subprotocols ...string) *host.Conn {
	conn, err := c.dial(path, subprotocols...)
	c.must("opening handshake", err)
	context.AfterFunc(c.ctx, func() { _ = conn.CloseNow() })
	if got := conn.HTTPVersion(); got != c.version {
		c.fail("the connection is over the version that the server has: got %v, want %v", got, c.version)
	}
	if c.relay != nil && conn.Extensions() == "" {
		c.fail("permessage-deflate was not agreed to")
	}
	return conn
}

func (c *call) close(conn *host.Conn) { c.must("closing handshake", conn.Close(host.CodeNormal, "")) }

// echoes sends a message and wants it back.
func (c *call) echoes(t host.MessageType, payload []byte) {
	conn := c.open("/echo")
	c.must("send", conn.Write(c.ctx, t, payload))
	c.wantMessage("what was sent comes back", conn, t, payload)
	c.close(conn)
}

// closes closes as clientsEnd says for the conversation.
func (c *call) closes(name string) {
	conn := c.open("/echo")
	end := clientsEnd[name]
	c.must("the server answers the Close frame", conn.Close(host.CloseCode(end.Code), end.Reason))
}

// closed has the server close, and wants to learn how it did.
func (c *call) closed(code int, reason string) {
	conn := c.open(fmt.Sprintf("/close?code=%d&reason=%s", code, url.QueryEscape(reason)))
	ce := c.wantClosed(conn)
	if int(ce.Code) != code || ce.Reason != reason || !ce.WasClean {
		c.fail("the client learns how the server closes:\n got %d %q, clean %t\nwant %d %q", ce.Code, ce.Reason, ce.WasClean, code, reason)
	}
}

func (c *call) wantClosed(conn *host.Conn) *host.CloseError {
	t, p, err := conn.Read(c.ctx)
	var ce *host.CloseError
	if !errors.As(err, &ce) {
		c.fail("the connection ends: got %v of %d bytes, error %v", t, len(p), err)
	}
	return ce
}

func (c *call) wantMessage(sentence string, conn *host.Conn, t host.MessageType, payload []byte) {
	gotType, got, err := conn.Read(c.ctx)
	c.must(sentence, err)
	c.received.Add(int64(len(got)))
	if gotType != t || !bytes.Equal(got, payload) {
		c.fail("%s:\n got %v of %d bytes: % .32x\nwant %v of %d bytes: % .32x", sentence, gotType, len(got), got, t, len(payload), payload)
	}
}

// binaryOf returns n bytes of which no two stretches of 64 KiB are the same.
func binaryOf(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i) ^ byte(i>>8) ^ byte(i>>16)*7
	}
	return b
}
