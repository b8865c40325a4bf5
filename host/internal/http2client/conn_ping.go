package http2client

import (
	"context"
	"encoding/binary"

	"golang.org/x/net/http2"
)

// A ping is a PING of ours that was not answered.
type ping struct {
	payload  [8]byte
	answered chan struct{} // closed by the answer
}

// Ping returns when the server has answered a PING: nil, ctx's error, or the
// connection's. It asks whether the connection is alive, which a pool does not
// know of one on which nothing arrives, and TCP does not for many minutes. One
// that does not answer in time is best closed. Calls at the same time share a
// PING.
func (c *Conn) Ping(ctx context.Context) error {
	c.mu.Lock()
	p := c.ping
	switch {
	case c.err != nil:
		c.unlock()
		return c.Err()
	case p == nil:
		p = &ping{answered: make(chan struct{})}
		c.pingCount++
		binary.BigEndian.PutUint64(p.payload[:], c.pingCount)
		c.ping = p
		_ = c.overtaking().WritePing(false, p.payload)
		c.work.Signal()
	}
	c.unlock()
	select {
	case <-p.answered:
		return nil
	case <-c.failed:
		return c.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// readPING answers a PING, or takes the answer to ours.
// https://www.rfc-editor.org/rfc/rfc9113.html#section-6.7
func (c *Conn) readPING(h http2.FrameHeader) error {
	f, err := c.framer.ReadFrameForHeader(h)
	if err != nil {
		return c.frameError(err)
	}
	frame := f.(*http2.PingFrame)
	c.mu.Lock()
	defer c.unlock()
	switch {
	case !frame.IsAck():
		if !c.pings.take() {
			return calm("PINGs")
		}
		_ = c.overtaking().WritePing(true, frame.Data)
		c.work.Signal()
		return c.countAnswer()
	case c.ping != nil && c.ping.payload == frame.Data:
		close(c.ping.answered)
		c.ping = nil
	case !c.useless.take():
		return calm("frames without use")
	}
	return nil
}

// countAnswer counts an answer that waits to be written. The caller holds mu.
func (c *Conn) countAnswer() error {
	if c.answers++; c.answers > answerLimit {
		return calm("PINGs and SETTINGS whose answers are not read")
	}
	return nil
}
