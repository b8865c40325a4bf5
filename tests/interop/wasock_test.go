package interop

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/host/permission"
	"github.com/wasock/wasock/tests/peers/deflated"
)

// ourHost carries our end of every conversation, as one program would.
var ourHost *host.Host

func startHost(t *testing.T) {
	t.Helper()
	loopback, err := permission.Parse([]string{"loopback"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if ourHost, err = host.New(t.Context(), host.Config{Grant: permission.NewGrant(loopback, nil)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := ourHost.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v, with %d connections left", err, ourHost.Stats().Open)
		}
	})
}

// wasockPeer is ours. Its connections are read by Read or, with events, told to
// an EventHandler.
type wasockPeer struct{ events bool }

func (p wasockPeer) dial(ctx context.Context, url string, roots *x509.CertPool, o options) (conn, *http.Response, error) {
	c := p.newConn()
	d := &host.DialOptions{
		Header: o.header, Subprotocols: o.subprotocols, TLS: &tls.Config{RootCAs: roots},
		Events: p.handler(c), Limits: wasockLimits(o), Compression: wasockCompression(o.deflate),
	}
	hc, response, err := ourHost.Dial(ctx, url, d)
	if err != nil {
		return nil, response, err
	}
	return p.start(ctx, c, hc), response, nil
}

func (p wasockPeer) accept(ctx context.Context, w http.ResponseWriter, r *http.Request, o options) (conn, error) {
	c := p.newConn()
	hc, err := ourHost.Accept(w, r, &host.AcceptOptions{
		Header: o.header, Subprotocols: o.subprotocols, Events: p.handler(c), Limits: wasockLimits(o),
		Compression: wasockCompression(o.deflate),
	})
	if err != nil {
		return nil, err
	}
	return p.start(ctx, c, hc), nil
}

func wasockLimits(o options) host.Limits {
	return host.Limits{MessageLimit: int64(o.readLimit), PartLimit: o.partLimit}
}

// wasockCompression is for a most that is the same in both directions.
func wasockCompression(most *deflated.Agreement) host.Compression {
	if most == nil {
		return host.Compression{}
	}
	mode := host.CompressionNoContextTakeover
	if most.Client.Takeover {
		mode = host.CompressionContextTakeover
	}
	return host.Compression{Mode: mode, WindowBits: most.Client.Bits, Threshold: 1}
}

func (p wasockPeer) newConn() *wasockConn { return &wasockConn{inbox: newInbox()} }

func (p wasockPeer) handler(c *wasockConn) host.EventHandler {
	if !p.events {
		return nil
	}
	return wasockEvents{inbox: c.inbox}
}

func (p wasockPeer) start(ctx context.Context, c *wasockConn, hc *host.Conn) conn {
	c.c, c.events = hc, p.events
	if !p.events {
		go c.read(ctx)
	}
	return c
}

type wasockConn struct {
	*inbox
	c      *host.Conn
	events bool
}

// read puts what Read returns into the inbox until the connection ends.
func (c *wasockConn) read(ctx context.Context) {
	for {
		t, p, err := c.c.Read(ctx)
		var ce *host.CloseError
		switch {
		case errors.As(err, &ce):
			c.put(event{kind: closed, code: int(ce.Code), reason: ce.Reason, clean: ce.WasClean})
			return
		case err != nil:
			return // the conversation is over
		}
		c.put(event{kind: wasockKind(t), payload: p})
	}
}

func wasockKind(t host.MessageType) kind {
	if t == host.MessageText {
		return text
	}
	return binary
}

func wasockType(k kind) host.MessageType {
	if k == text {
		return host.MessageText
	}
	return host.MessageBinary
}

// wasockEvents is the EventHandler that fills an inbox.
type wasockEvents struct {
	host.NoEvents
	inbox *inbox
}

func (e wasockEvents) OnMessage(_ *host.Conn, t host.MessageType, p []byte) {
	e.inbox.put(event{kind: wasockKind(t), payload: append([]byte(nil), p...)})
}

func (e wasockEvents) OnPong(_ *host.Conn, p []byte) {
	e.inbox.pongs <- append([]byte(nil), p...)
}

func (e wasockEvents) OnClose(_ *host.Conn, code host.CloseCode, reason string, wasClean bool) {
	e.inbox.put(event{kind: closed, code: int(code), reason: reason, clean: wasClean})
}

func (c *wasockConn) subprotocol() string { return c.c.Subprotocol() }

func (c *wasockConn) send(ctx context.Context, k kind, p []byte) error {
	return c.c.Write(ctx, wasockType(k), p)
}

func (c *wasockConn) sendPlain(ctx context.Context, k kind, p []byte) error {
	c.c.SetWriteCompression(false)
	defer c.c.SetWriteCompression(true)
	return c.send(ctx, k, p)
}

func (c *wasockConn) sendFragments(ctx context.Context, k kind, p []byte, size int, between func() error) error {
	w, err := c.c.Writer(ctx, wasockType(k))
	if errors.Is(err, host.ErrEventStyle) {
		return errCannot
	}
	if err != nil {
		return err
	}
	err = cut(p, size, between, func(piece []byte) error { _, err := w.Write(piece); return err })
	return errors.Join(err, w.Close())
}

// ping of a connection without an EventHandler is Ping, which chooses the
// application data itself.
func (c *wasockConn) ping(ctx context.Context, p []byte) error {
	if !c.events {
		_, err := c.c.Ping(ctx)
		return err
	}
	if err := c.c.SendPing(p); err != nil {
		return err
	}
	return c.waitPong(ctx, p)
}

func (c *wasockConn) close(code int, reason string) error {
	return c.c.Close(host.CloseCode(code), reason)
}

func (c *wasockConn) drop() { _ = c.c.CloseNow() }
