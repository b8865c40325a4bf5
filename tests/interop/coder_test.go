package interop

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/coder/websocket"

	"github.com/wasock/wasock/tests/peers/deflated"
)

var coderLibrary = library{name: "coder", peer: coderPeer{}, ways: ways{
	answers:     func(code int, reason string) (int, string) { return code, reason },
	hidesReason: true, // of the answer that Close reads
}, compression: coderCompression}

var coderCompression = compression{
	settings: []setting{
		{"takeover", upTo(true, 15), upTo(true, 15), "permessage-deflate", "permessage-deflate", every},
		{"no takeover", upTo(false, 15), upTo(false, 15), noTakeover, noTakeover, every},
		{"no takeover for us", upTo(false, 15), upTo(true, 15), noTakeover, noTakeover, every},
		{"no takeover for them", upTo(true, 15), upTo(false, 15), noTakeover, noTakeover, every},
		{"9 bits for us", upTo(true, 9), upTo(true, 15), "", "", every},
	},
	lacks: []string{
		"takeover in one direction: CompressionMode is for both (compress.go)",
		"window bits: it has 15, and declines and does not offer less (accept.go, dial.go)",
	},
}

type coderPeer struct{}

func (coderPeer) dial(ctx context.Context, url string, roots *x509.CertPool, o options) (conn, *http.Response, error) {
	c := &coderConn{inbox: newInbox()}
	cc, response, err := websocket.Dial(ctx, url, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}},
		HTTPHeader: o.header, Subprotocols: o.subprotocols, OnPingReceived: c.onPing,
		CompressionMode: coderMode(o.deflate), CompressionThreshold: coderThreshold,
	})
	if err != nil {
		return nil, response, err
	}
	return c.start(ctx, cc, o), response, nil
}

func (coderPeer) accept(ctx context.Context, w http.ResponseWriter, r *http.Request, o options) (conn, error) {
	c := &coderConn{inbox: newInbox()}
	for name, values := range o.header {
		w.Header()[name] = values
	}
	cc, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: o.subprotocols, OnPingReceived: c.onPing,
		CompressionMode: coderMode(o.deflate), CompressionThreshold: coderThreshold,
	})
	if err != nil {
		return nil, err
	}
	return c.start(ctx, cc, o), nil
}

func coderMode(most *deflated.Agreement) websocket.CompressionMode {
	switch {
	case most == nil:
		return websocket.CompressionDisabled
	case most.Client.Takeover:
		return websocket.CompressionContextTakeover
	}
	return websocket.CompressionNoContextTakeover
}

// coderThreshold is more than what sendPlain begins with.
const coderThreshold = 2

type coderConn struct {
	*inbox
	c *websocket.Conn

	closing atomic.Bool // close has been called, and tells how it ended unless read does
	told    sync.Once
}

func (c *coderConn) start(ctx context.Context, cc *websocket.Conn, o options) conn {
	c.c = cc
	cc.SetReadLimit(-1)
	if o.readLimit > 0 {
		cc.SetReadLimit(int64(o.readLimit))
	}
	go c.read(ctx)
	return c
}

func (c *coderConn) onPing(_ context.Context, p []byte) bool {
	c.pings <- append([]byte(nil), p...)
	return true // and the library answers it
}

// read puts what Read returns into the inbox until the connection ends.
func (c *coderConn) read(ctx context.Context) {
	defer func() { _ = c.c.CloseNow() }()
	for {
		t, p, err := c.c.Read(ctx)
		var ce websocket.CloseError
		switch {
		case errors.As(err, &ce):
			c.tell(closedBy(int(ce.Code), ce.Reason))
			return
		case err != nil && c.closing.Load():
			return
		case err != nil:
			c.tell(closedWithout)
			return
		}
		c.put(event{kind: coderKind(t), payload: p})
	}
}

func coderKind(t websocket.MessageType) kind {
	if t == websocket.MessageText {
		return text
	}
	return binary
}

func coderType(k kind) websocket.MessageType {
	if k == text {
		return websocket.MessageText
	}
	return websocket.MessageBinary
}

func (c *coderConn) subprotocol() string { return c.c.Subprotocol() }

func (c *coderConn) send(ctx context.Context, k kind, p []byte) error {
	return c.c.Write(ctx, coderType(k), p)
}

// sendPlain relies on what is first written to a Writer: a message that begins with
// less than the threshold is not compressed.
func (c *coderConn) sendPlain(ctx context.Context, k kind, p []byte) error {
	return c.sendFragments(ctx, k, p, coderThreshold-1, nil)
}

func (c *coderConn) sendFragments(ctx context.Context, k kind, p []byte, size int, between func() error) error {
	w, err := c.c.Writer(ctx, coderType(k))
	if err != nil {
		return err
	}
	err = cut(p, size, between, func(piece []byte) error { _, err := w.Write(piece); return err })
	return errors.Join(err, w.Close())
}

// ping chooses the application data itself: a count.
func (c *coderConn) ping(ctx context.Context, _ []byte) error { return c.c.Ping(ctx) }

// close reads the answer itself if read does not come first. All that it tells of
// an answer with the same code is that there was one.
func (c *coderConn) close(code int, reason string) error {
	c.closing.Store(true)
	err := c.c.Close(websocket.StatusCode(code), reason)
	var ce websocket.CloseError
	switch {
	case err == nil:
		c.tell(closedBy(code, ""))
	case errors.As(err, &ce):
		c.tell(closedBy(int(ce.Code), ce.Reason))
		err = nil
	default:
		c.tell(closedWithout)
	}
	return err
}

// tell tells how the connection ended.
func (c *coderConn) tell(ev event) { c.told.Do(func() { c.put(ev) }) }

func (c *coderConn) drop() { _ = c.c.CloseNow() }
