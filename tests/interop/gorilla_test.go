package interop

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

var gorillaLibrary = library{name: "gorilla", peer: gorillaPeer{}, compression: gorillaCompression}

var gorillaCompression = compression{
	settings: []setting{
		{"no takeover", upTo(false, 15), upTo(false, 15), noTakeover, noTakeover, every},
		{"takeover for us", upTo(true, 15), upTo(true, 15), noTakeover, noTakeover, every},

		// https://www.rfc-editor.org/rfc/rfc7692.html#section-7.1.2.1 has a server
		// that accepts a limit of its window answer it; Upgrade of
		// https://github.com/gorilla/websocket/blob/v1.5.3/server.go answers the same
		// to every offer. Its client does not offer to be limited.
		{"9 bits for us", upTo(false, 9), upTo(false, 15), notObeyed, "", every},
	},
	lacks: []string{
		"takeover: its compressor keeps nothing (compression.go)",
		"window bits: it has 15 and knows no parameter for them (compression.go, server.go)",
	},
}

type gorillaPeer struct{}

func (gorillaPeer) dial(ctx context.Context, url string, roots *x509.CertPool, o options) (conn, *http.Response, error) {
	d := websocket.Dialer{
		TLSClientConfig: &tls.Config{RootCAs: roots}, Subprotocols: o.subprotocols, WriteBufferSize: o.frameSize,
		EnableCompression: o.deflate != nil,
	}
	gc, response, err := d.DialContext(ctx, url, o.header)
	if err != nil {
		return nil, response, err
	}
	return newGorillaConn(gc, o), response, nil
}

func (gorillaPeer) accept(_ context.Context, w http.ResponseWriter, r *http.Request, o options) (conn, error) {
	u := websocket.Upgrader{Subprotocols: o.subprotocols, WriteBufferSize: o.frameSize, EnableCompression: o.deflate != nil}
	gc, err := u.Upgrade(w, r, o.header)
	if err != nil {
		return nil, err
	}
	return newGorillaConn(gc, o), nil
}

type gorillaConn struct {
	*inbox
	c *websocket.Conn
}

func newGorillaConn(gc *websocket.Conn, o options) *gorillaConn {
	c := &gorillaConn{newInbox(), gc}
	gc.SetReadLimit(int64(o.readLimit))
	pong := gc.PingHandler()
	gc.SetPingHandler(func(p string) error {
		c.pings <- []byte(p)
		return pong(p)
	})
	gc.SetPongHandler(func(p string) error {
		c.pongs <- []byte(p)
		return nil
	})
	go c.read()
	return c
}

// read puts what ReadMessage returns into the inbox until the connection ends.
func (c *gorillaConn) read() {
	defer c.c.Close()
	for {
		t, p, err := c.c.ReadMessage()
		var ce *websocket.CloseError
		switch {
		case errors.As(err, &ce) && ce.Code != abnormal:
			c.put(closedBy(ce.Code, ce.Text))
			return
		case err != nil:
			c.put(closedWithout)
			return
		}
		c.put(event{kind: gorillaKind(t), payload: p})
	}
}

func gorillaKind(t int) kind {
	if t == websocket.TextMessage {
		return text
	}
	return binary
}

func gorillaType(k kind) int {
	if k == text {
		return websocket.TextMessage
	}
	return websocket.BinaryMessage
}

func (c *gorillaConn) subprotocol() string { return c.c.Subprotocol() }

func (c *gorillaConn) send(_ context.Context, k kind, p []byte) error {
	return c.c.WriteMessage(gorillaType(k), p)
}

func (c *gorillaConn) sendPlain(ctx context.Context, k kind, p []byte) error {
	c.c.EnableWriteCompression(false)
	defer c.c.EnableWriteCompression(true)
	return c.send(ctx, k, p)
}

// sendFragments relies on a write buffer of size bytes: a frame is written each
// time that it is full.
func (c *gorillaConn) sendFragments(_ context.Context, k kind, p []byte, size int, between func() error) error {
	w, err := c.c.NextWriter(gorillaType(k))
	if err != nil {
		return err
	}
	err = cut(p, size, between, func(piece []byte) error { _, err := w.Write(piece); return err })
	return errors.Join(err, w.Close())
}

func (c *gorillaConn) ping(ctx context.Context, p []byte) error {
	if err := c.c.WriteControl(websocket.PingMessage, p, time.Now().Add(patience)); err != nil {
		return err
	}
	return c.waitPong(ctx, p)
}

func (c *gorillaConn) close(code int, reason string) error {
	return c.c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), time.Now().Add(patience))
}

func (c *gorillaConn) drop() { _ = c.c.Close() }
