package host

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// NetConn returns c as a byte stream, for protocols that want a net.Conn: each
// Write is a message of type t, and Read returns their application data one after
// the other. ctx ends all of it. c is not to be read otherwise meanwhile.
//
// Read returns io.EOF when the peer closed with 1000 or 1001. A message of the
// other type fails the connection with 1003. Deadlines work as net.Conn has them,
// and leave the connection usable. Close starts the closing handshake with 1000
// and waits for the answer.
func (c *Conn) NetConn(ctx context.Context, t MessageType) net.Conn {
	n := &netConn{c: c, t: t, parent: ctx}
	n.read.init(ctx)
	n.write.init(ctx)
	return n
}

type netConn struct {
	c           *Conn
	t           MessageType
	parent      context.Context
	read, write deadline

	mu     sync.Mutex // serialises readers
	reader *messageReader
}

func (n *netConn) Read(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		ctx := n.read.context()
		if err := ctx.Err(); err != nil {
			return 0, n.translate(err)
		}
		if n.reader == nil {
			t, r, err := n.c.Reader(ctx)
			if err != nil {
				return 0, n.translate(err)
			}
			if t != n.t {
				err := &ProtocolError{CodeUnsupportedData, "a message is " + t.String() + " where a stream of " + n.t.String() + " messages is expected"}
				_ = n.c.closeFrame(err.Code, "")
				n.c.linger()
				return 0, err
			}
			n.reader, _ = r.(*messageReader)
		}
		n.reader.ctx = ctx
		k, err := n.reader.Read(p)
		if errors.Is(err, io.EOF) {
			n.reader = nil
			if k == 0 && len(p) > 0 {
				continue
			}
			err = nil
		}
		return k, n.translate(err)
	}
}

func (n *netConn) Write(p []byte) (int, error) {
	if err := n.c.Write(n.write.context(), n.t, p); err != nil {
		return 0, n.translate(err)
	}
	return len(p), nil
}

// translate returns err as users of a net.Conn expect it.
func (n *netConn) translate(err error) error {
	switch {
	case err == nil:
		return nil
	case n.parent.Err() == nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)):
		return os.ErrDeadlineExceeded
	}
	switch code := CloseStatus(err); {
	case CloseCode(code) == CodeNormal || CloseCode(code) == CodeGoingAway:
		return io.EOF
	case code < 0 && errors.Is(err, ErrClosed):
		return net.ErrClosed
	}
	return err
}

func (n *netConn) Close() error         { return n.c.Close(CodeNormal, "") }
func (n *netConn) LocalAddr() net.Addr  { return n.c.LocalAddr() }
func (n *netConn) RemoteAddr() net.Addr { return n.c.RemoteAddr() }

func (n *netConn) SetDeadline(t time.Time) error {
	n.read.set(t)
	n.write.set(t)
	return nil
}

func (n *netConn) SetReadDeadline(t time.Time) error {
	n.read.set(t)
	return nil
}

func (n *netConn) SetWriteDeadline(t time.Time) error {
	n.write.set(t)
	return nil
}

// deadline is a deadline that can be moved, as a context.
type deadline struct {
	parent context.Context

	mu     sync.Mutex
	ctx    context.Context
	cancel context.CancelFunc
	timer  *time.Timer
}

func (d *deadline) init(parent context.Context) {
	d.parent = parent
	d.ctx, d.cancel = context.WithCancel(parent)
}

func (d *deadline) context() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ctx
}

// set moves the deadline to t; the zero time is none.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if d.ctx.Err() != nil {
		d.ctx, d.cancel = context.WithCancel(d.parent)
	}
	if t.IsZero() {
		return
	}
	if wait := time.Until(t); wait > 0 {
		d.timer = time.AfterFunc(wait, d.cancel)
	} else {
		d.cancel()
	}
}
