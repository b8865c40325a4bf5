package host

import (
	"context"
	"errors"
	"math"
	"unicode/utf8"

	"github.com/wasock/wasock/hostcalls"
)

// linger reads on after the end of the connection, so that the peer sees our last
// frames and the transport ends in order. It returns at once.
func (c *Conn) linger() {
	if !c.mayLinger() {
		return
	}
	go func() {
		c.stream.token <- struct{}{} // who reads finds out that the connection ended
		c.serve()
		<-c.stream.token
	}()
}

// mayLinger reports whether c's transport is open still, and nobody lingers yet.
func (c *Conn) mayLinger() bool {
	return !c.over() && !c.stream.lingers.Swap(true)
}

// over reports whether c is finished.
func (c *Conn) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.finished
}

// leave lingers before the caller learns that the connection ended. Where the
// transport is a request it returns only when that is over: the handler that
// learns of the end would return, and take our last frames with it. The timers of
// the closing handshake bound it.
func (c *Conn) leave() {
	if c.request == nil {
		c.linger()
		return
	}
	c.stream.token <- struct{}{}
	c.leaveReading()
	<-c.stream.token
}

// leaveReading is leave for who holds the token.
func (c *Conn) leaveReading() {
	if c.request == nil {
		c.linger()
	} else if c.mayLinger() {
		c.serve()
	}
}

// closeFrame sends a Close frame.
func (c *Conn) closeFrame(code CloseCode, reason string) error {
	if len(reason) > 123 {
		return ErrInvalidArgument
	}
	l := c.inst.lanes.get()
	defer c.inst.lanes.put(l)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cork != nil {
		if err := c.uncork(c.cork); err != nil && !errors.Is(err, ErrClosed) {
			return err
		}
	}
	n := copy(l.tx, reason)
	r := c.call(l, c.inst.fn.connClose, uint64(code), uint64(n), uint64(now()))
	switch e := hostcalls.Errno(-r); {
	case r >= 0 || e == hostcalls.EBADF:
		c.state.CompareAndSwap(int32(StateOpen), int32(StateClosing))
		return nil
	default:
		return callError(e)
	}
}

// Close starts the closing handshake with code and reason; CodeNoStatus sends no
// code. With an EventHandler it returns at once, and OnClose follows. Otherwise
// it waits for the peer's answer, at most Limits.CloseTimeout, and discards the
// messages that arrive meanwhile; the error is nil if the handshake completed.
//
// ErrInvalidArgument is returned for a code that must not be sent, or a reason
// of more than 123 bytes.
func (c *Conn) Close(code CloseCode, reason string) error {
	if !utf8.ValidString(reason) {
		return ErrInvalidUTF8
	}
	if err := c.closeFrame(code, reason); err != nil {
		return err
	}
	if c.stream == nil {
		return nil
	}
	// The engine's own timer ends the handshake after CloseTimeout. Twice that is
	// for an engine that does not.
	ctx, cancel := context.WithTimeout(context.Background(), 2*c.limits.closeTimeout())
	defer cancel()
	select {
	case <-c.stream.closed:
	case <-ctx.Done():
	case c.stream.token <- struct{}{}:
		_ = c.fillUntil(ctx, c.stream.closed, math.MaxInt) // that ctx ended is seen below
		<-c.stream.token
	}
	select {
	case <-c.stream.closed:
		c.leave()
	case <-ctx.Done():
		c.kill(ErrClosed)
	}
	if e := c.end.Load(); !e.WasClean {
		return e
	}
	return nil
}

// CloseNow ends the connection without a closing handshake: the peer sees the
// transport end. RFC 6455 §7.1.7.
func (c *Conn) CloseNow() error {
	if c.end.Load() != nil {
		// It ended already. Our answer to the peer's Close may still be on its way,
		// and the transport closes by itself.
		if c.stream != nil {
			c.leave()
		}
		return nil
	}
	c.kill(ErrClosed)
	return nil
}

// kill ends the connection here and now.
func (c *Conn) kill(err error) {
	c.abort(err)
	if c.stream == nil {
		return // whoever serves it finds out, and OnClose follows
	}
	c.deliver.Lock()
	defer c.deliver.Unlock()
	c.lost(hostcalls.EBADF.Ret())
}
