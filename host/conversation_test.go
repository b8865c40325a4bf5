package host_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/wasock/wasock/host"
)

const (
	text   = host.MessageText
	normal = host.CodeNormal
)

// A conversation is what two ends say to each other, whatever carries it.
type conversation struct {
	name   string
	styles styles // those it is about; "" is either
	dial   host.DialOptions
	accept host.AcceptOptions
	hold   func(t *testing.T, client, server *end)
}

// TestConversations holds every conversation over every carrier in every style.
func TestConversations(t *testing.T) {
	h := newHost(t, host.Config{Instances: 2})
	for _, c := range carriers {
		for _, s := range allStyles {
			for _, talk := range conversations() {
				if talk.styles.client != "" && talk.styles.client != s.client || talk.styles.server != "" && talk.styles.server != s.server {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s-%s/%s", c.name, s.client, s.server, talk.name), func(t *testing.T) {
					client, server := connect(t, h, c, s, &talk.dial, &talk.accept)
					talk.hold(t, client, server)
				})
			}
		}
	}
	eventually(t, "no connection is left", func() (bool, string) {
		open, handles := h.Stats().Open, h.Handles()
		return open == 0 && handles == 0, fmt.Sprint(open, " open, ", handles, " handles")
	})
}

func conversations() []conversation {
	talks := []conversation{
		{name: "messages", hold: holdMessages},
		{name: "sizes", hold: holdSizes},
		{name: "order", hold: holdOrder},
		{name: "concurrent writers", hold: holdConcurrentWriters},
		{name: "subprotocol", hold: holdSubprotocol,
			dial:   host.DialOptions{Subprotocols: []string{"chat.v1", "chat.v2"}},
			accept: host.AcceptOptions{Subprotocols: []string{"chat.v2", "chat.v1"}}},
		{name: "wrong arguments", hold: holdWrongArguments},
		{name: "peer vanishes", hold: holdVanishing},
		{name: "both close", hold: holdBothClose},
		{name: "fragments", styles: styles{client: streamStyle}, hold: holdFragments},
		{name: "fragments are read as they come", styles: styles{client: streamStyle, server: streamStyle}, hold: holdReader},
		{name: "ping", styles: styles{client: streamStyle}, hold: holdPing},
		{name: "ping event", styles: styles{client: eventStyle}, hold: holdPingEvent},
		{name: "cancelled read", styles: styles{client: streamStyle}, hold: holdCancelledRead},
		{name: "cancelled write", hold: holdCancelledWrite},
		{name: "read limit", styles: styles{client: streamStyle}, hold: holdReadLimit},
		{name: "message limit", hold: holdMessageLimit,
			accept: host.AcceptOptions{Limits: host.Limits{MessageLimit: 1000}}},
	}
	for _, c := range []struct {
		code   host.CloseCode
		reason string
	}{
		{host.CodeNormal, "bye"}, {host.CodeGoingAway, ""}, {host.CodePolicyViolation, strings.Repeat("é", 61) + "!"},
		{3000, "three thousand"}, {4999, "x"}, {host.CodeNoStatus, ""},
	} {
		talks = append(talks,
			conversation{name: fmt.Sprintf("client closes %d", c.code), hold: func(t *testing.T, client, server *end) {
				holdClose(client, server, c.code, c.reason)
			}},
			conversation{name: fmt.Sprintf("server closes %d", c.code), hold: func(t *testing.T, client, server *end) {
				holdClose(server, client, c.code, c.reason)
			}})
	}
	return talks
}

// holdClose is the closing handshake: the peer learns code and reason, and both
// that it was clean. RFC 6455 §7.1.5.
func holdClose(from, to *end, code host.CloseCode, reason string) {
	from.t.Helper()
	to.send("what was sent before is not lost", text, []byte("before"))
	closed := make(chan error, 1)
	go func() {
		if from.events == nil {
			_, _, _ = from.conn.Read(from.ctx)
		}
		closed <- from.conn.Close(code, reason)
	}()
	ce := to.wantClosed("the peer learns code and reason", code, reason, true)
	if to.events == nil && !ce.ByPeer {
		to.fail("the peer knows that it did not begin", "%+v", ce)
	}
	if err := <-closed; err != nil {
		from.fail("Close succeeds", "%v", err)
	}
	ce = from.wantClosed("the answer has the same code", code, reason, true)
	if from.events == nil && ce.ByPeer {
		from.fail("the closer knows that it began", "%+v", ce)
	}
	for _, e := range []*end{from, to} {
		if err := e.conn.Send(text, nil); !errors.Is(err, host.ErrClosed) || host.CloseStatus(err) != int(code) {
			e.fail("what is sent after the end is refused with how it ended", "%v", err)
		}
		if err := e.conn.Close(normal, ""); e.events != nil && err != nil {
			e.fail("closing once more does nothing", "%v", err)
		}
	}
}

func holdMessages(t *testing.T, client, server *end) {
	for _, m := range []struct {
		typ host.MessageType
		p   []byte
	}{{text, []byte("héllo wörld ✓ 𝄞")}, {text, nil}, {host.MessageBinary, []byte{0, 0xff, 0xfe}}, {host.MessageBinary, nil}, {text, []byte("\x00")}} {
		client.send("the client sends", m.typ, m.p)
		server.wantMessage("the server receives it as it was sent", m.typ, m.p)
		server.send("the server sends", m.typ, m.p)
		client.wantMessage("the client receives it as it was sent", m.typ, m.p)
	}
	holdClose(client, server, normal, "")
}

// holdSizes crosses the lengths of the frame header's three forms, of a TLS
// record, and of an engine's lane.
func holdSizes(t *testing.T, client, server *end) {
	for _, size := range []int{1, 125, 126, 16<<10 - 1, 16 << 10, 65535, 65536, 320<<10 - 20, 320 << 10, 1 << 20, 3<<20 + 1} {
		p := bytes.Repeat([]byte("0123456789abcde"), size/15+1)[:size]
		done := make(chan error, 1)
		go func() { done <- client.conn.Write(client.ctx, host.MessageBinary, p) }()
		server.wantMessage("a message of any size arrives whole", host.MessageBinary, p)
		if err := <-done; err != nil {
			client.fail("a message of any size is sent", "%v", err)
		}
		go func() { done <- server.conn.Write(server.ctx, text, p) }()
		client.wantMessage("a message of any size comes back whole", text, p)
		if err := <-done; err != nil {
			server.fail("a message of any size is sent", "%v", err)
		}
	}
	holdClose(server, client, normal, "")
}

func holdOrder(t *testing.T, client, server *end) {
	const n = 500
	go func() {
		for i := range n {
			if err := client.conn.Write(client.ctx, text, fmt.Append(nil, i)); err != nil {
				t.Errorf("message %d: %v", i, err)
			}
		}
	}()
	for i := range n {
		server.wantMessage("messages arrive in order", text, fmt.Append(nil, i))
	}
	holdClose(client, server, normal, "")
}

// holdConcurrentWriters has messages of all sizes sent by several goroutines:
// each arrives whole, and in the order of its writer.
func holdConcurrentWriters(t *testing.T, client, server *end) {
	const writers, each = 6, 40
	sizes := []int{8, 100, 125, 126, 5000, 70_000, 400_000}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				size := sizes[(i*7+w)%len(sizes)]
				if size > 5000 && i%8 != w {
					size = 200
				}
				p := bytes.Repeat([]byte{byte(w)}, size)
				binary.BigEndian.PutUint32(p, uint32(w))
				binary.BigEndian.PutUint32(p[4:], uint32(i))
				if err := client.conn.Write(client.ctx, host.MessageBinary, p); err != nil {
					t.Errorf("writer %d: message %d: %v", w, i, err)
					return
				}
			}
		})
	}
	var next [writers]uint32
	for range writers * each {
		_, p, err := server.receive()
		if err != nil {
			server.fail("every message arrives", "%v", err)
		}
		w, i := binary.BigEndian.Uint32(p), binary.BigEndian.Uint32(p[4:])
		if w >= writers || i != next[w] {
			server.fail("a writer's messages keep their order", "writer %d: got %d, want %d", w, i, next[w])
		}
		next[w]++
		if n := bytes.Count(p[8:], []byte{byte(w)}); n != len(p)-8 {
			server.fail("no message has bytes of another", "writer %d: %d of %d", w, n, len(p)-8)
		}
	}
	wg.Wait()
	holdClose(client, server, normal, "")
}

func holdSubprotocol(t *testing.T, client, server *end) {
	for _, e := range []*end{client, server} {
		if got := e.conn.Subprotocol(); got != "chat.v2" {
			e.fail("the server's preference decides", "got %q", got)
		}
	}
	holdClose(client, server, normal, "")
}

// holdWrongArguments has calls that are refused; the connection is as it was.
func holdWrongArguments(t *testing.T, client, server *end) {
	c := client.conn
	for _, x := range []struct {
		sentence string
		got      error
		want     error
	}{
		{"text is UTF-8", c.Send(text, []byte("\xff")), host.ErrInvalidUTF8},
		{"text ends with a whole character", c.Write(client.ctx, text, []byte("\xe2\x82")), host.ErrInvalidUTF8},
		{"a surrogate is not UTF-8", c.Send(text, []byte("\xed\xa0\x80")), host.ErrInvalidUTF8},
		{"a Ping has at most 125 bytes", c.SendPing(make([]byte, 126)), host.ErrInvalidArgument},
		{"1005 goes without a reason", c.Close(host.CodeNoStatus, "x"), host.ErrInvalidArgument},
		{"1006 is not sent", c.Close(host.CodeAbnormal, ""), host.ErrInvalidArgument},
		{"1015 is not sent", c.Close(1015, ""), host.ErrInvalidArgument},
		{"999 is no close code", c.Close(999, ""), host.ErrInvalidArgument},
		{"5000 is no close code", c.Close(5000, ""), host.ErrInvalidArgument},
		{"0 is no close code", c.Close(0, ""), host.ErrInvalidArgument},
		{"a reason has at most 123 bytes", c.Close(normal, strings.Repeat("x", 124)), host.ErrInvalidArgument},
		{"a reason is UTF-8", c.Close(normal, "\xff"), host.ErrInvalidUTF8},
	} {
		if !errors.Is(x.got, x.want) {
			client.fail(x.sentence, "got %v, want %v", x.got, x.want)
		}
	}
	client.send("the connection is as it was", text, []byte("still here"))
	server.wantMessage("the connection is as it was", text, []byte("still here"))
	if client.events != nil {
		if _, _, err := c.Read(client.ctx); !errors.Is(err, host.ErrEventStyle) {
			client.fail("messages that go to a handler are not read", "%v", err)
		}
	}
	holdClose(client, server, normal, "")
}

// holdVanishing has the server's transport end without a Close frame.
func holdVanishing(t *testing.T, client, server *end) {
	client.send("the connection works", text, []byte("hi"))
	server.wantMessage("the connection works", text, []byte("hi"))
	if err := server.conn.CloseNow(); err != nil {
		server.fail("CloseNow succeeds", "%v", err)
	}
	ce := client.wantClosed("a peer that vanishes is 1006", host.CodeAbnormal, "", false)
	if ce.Err == nil {
		client.fail("1006 has a cause", "%+v", ce)
	}
	server.wantClosed("who ends it without a handshake has 1006 too", host.CodeAbnormal, "", false)
}

// holdBothClose has both ends begin the closing handshake at once.
func holdBothClose(t *testing.T, client, server *end) {
	var wg sync.WaitGroup
	for i, e := range []*end{client, server} {
		wg.Go(func() {
			if err := e.conn.Close(host.CloseCode(3000+i), "me first"); err != nil {
				t.Errorf("%s: close: %v", e.name, err)
			}
		})
	}
	wg.Wait()
	for i, e := range []*end{client, server} {
		_, _, err := e.receive()
		var ce *host.CloseError
		if !errors.As(err, &ce) || !ce.WasClean || ce.Code != 3000 && ce.Code != 3001 {
			e.fail("who closes at the same time as the peer is closed cleanly", "end %d: %v", i, err)
		}
	}
}

func holdCancelledRead(t *testing.T, client, server *end) {
	ctx, cancel := context.WithCancel(client.ctx)
	read := make(chan error)
	for range 3 {
		go func() {
			_, _, err := client.conn.Read(ctx)
			read <- err
		}()
		cancel()
		if err := <-read; !errors.Is(err, context.Canceled) {
			client.fail("a Read that is cancelled says so", "%v", err)
		}
		server.send("the connection is as it was", text, []byte("after"))
		client.wantMessage("the next Read gets what arrives", text, []byte("after"))
		ctx, cancel = context.WithCancel(client.ctx)
	}
	cancel()
	holdClose(client, server, normal, "")
}

func holdCancelledWrite(t *testing.T, client, server *end) {
	ctx, cancel := context.WithCancel(client.ctx)
	cancel()
	// Whether it was sent is for Write to say.
	want := [][]byte{}
	if err := client.conn.Write(ctx, text, []byte("perhaps")); err == nil {
		want = append(want, []byte("perhaps"))
	} else if !errors.Is(err, context.Canceled) {
		client.fail("a Write that is cancelled says so", "%v", err)
	}
	client.send("the connection is as it was", text, []byte("certainly"))
	for _, p := range append(want, []byte("certainly")) {
		server.wantMessage("what was sent arrives, and nothing else", text, p)
	}
	holdClose(client, server, normal, "")
}

func holdMessageLimit(t *testing.T, client, server *end) {
	for _, size := range []int{999, 1000} {
		client.send("up to the limit a message is delivered", host.MessageBinary, make([]byte, size))
		server.wantMessage("up to the limit a message is delivered", host.MessageBinary, make([]byte, size))
	}
	client.send("a message over the limit is sent", host.MessageBinary, make([]byte, 1001))
	ce := server.wantClosed("a message over the limit fails the connection", host.CodeAbnormal, "", false)
	var le *host.LimitError
	if !errors.As(ce.Err, &le) || le.Limit != "MessageLimit" || le.Max != 1000 || le.Size != 1001 || le.Code != host.CodeMessageTooBig {
		server.fail("the error says which limit", "%v", ce.Err)
	}
	client.wantClosed("the sender learns it by 1009", host.CodeMessageTooBig, "", true)
}
