package host

import (
	"sync/atomic"
	"time"

	"github.com/wasock/wasock/hostcalls"
)

// blockedAt is how many bytes wait before the engine is told that the transport
// is behind: less is not worth a call.
const blockedAt = 64 << 10

// outQueue is the output that the transport has not taken. The connection's mu
// guards it.
type outQueue struct {
	pending  []byte // waits for the flusher
	inFlight int    // bytes that the flusher is writing
	flushing bool   // there is a flusher
	blocked  bool   // the engine was told
	err      error  // the transport failed: output is dropped
	drained  chan struct{}

	written atomic.Uint64 // bytes that the transport took of what was queued
	watched uint64        // what written was when stall began to wait
	stall   *time.Timer   // runs while there is a flusher, and up to StallTimeout longer
	armed   bool
}

// total is the bytes in bufs.
func total(bufs [][]byte) (n int) {
	for _, b := range bufs {
		n += len(b)
	}
	return n
}

func (o *outQueue) buffered() int { return len(o.pending) + o.inFlight }

// fail drops the output, what waits and what is to come.
func (o *outQueue) fail(err error) {
	if o.err == nil {
		o.err = err
	}
	o.pending = nil
	o.wake()
}

// wake wakes those who wait for the queue to shrink.
func (o *outQueue) wake() {
	if o.drained != nil {
		close(o.drained)
		o.drained = nil
	}
}

// wait returns a channel that is closed when the queue has shrunk.
func (o *outQueue) wait() <-chan struct{} {
	if o.drained == nil {
		o.drained = make(chan struct{})
	}
	return o.drained
}

// write writes bufs, or what the transport takes of them at once, and queues the
// rest. The caller holds mu.
func (c *Conn) write(bufs [][]byte) {
	o := &c.out
	if o.err != nil {
		return
	}
	if c.lease != nil {
		n := 0
		for _, b := range bufs {
			n += len(b)
		}
		c.count(0, n)
	}
	if !o.flushing {
		var err error
		if bufs, err = c.tr.tryWrite(bufs); err != nil {
			c.outputFailed(err)
			return
		}
	}
	for _, b := range bufs {
		o.pending = append(o.pending, b...)
	}
	if len(o.pending) > 0 && !o.flushing {
		o.flushing = true
		c.watchStall()
		if t, ok := c.tr.(selfFlusher); ok {
			t.flushWhenReady(true)
		} else if c.flushes != nil {
			c.flushes <- struct{}{} // there is room: one flush is asked for at a time
		} else {
			go c.flush()
		}
	}
}

// flushReady writes what is queued as far as the transport takes it: for a
// selfFlusher.
func (c *Conn) flushReady() {
	c.mu.Lock()
	o := &c.out
	if c.finished || o.err != nil || !o.flushing {
		c.mu.Unlock()
		return
	}
	rest, err := c.tr.tryWrite([][]byte{o.pending})
	o.written.Add(uint64(len(o.pending) - total(rest)))
	switch {
	case err != nil:
		c.outputFailed(err)
	case len(rest) > 0:
		o.pending = rest[0]
	default:
		o.pending = nil
	}
	if o.buffered() <= c.limits.sendLimit() {
		o.wake()
	}
	done := len(o.pending) == 0
	if done {
		o.flushing = false
		c.tr.(selfFlusher).flushWhenReady(false)
		c.afterFlush()
	}
	blocked := o.blocked
	c.mu.Unlock()
	if done && blocked {
		c.tellUnblocked()
	}
}

// flush writes what is queued, waiting for the transport, until nothing is.
func (c *Conn) flush() {
	var spare []byte
	for {
		c.mu.Lock()
		o := &c.out
		if len(o.pending) == 0 {
			o.flushing = false
			blocked := o.blocked
			if !blocked {
				c.afterFlush()
			}
			c.mu.Unlock()
			if blocked {
				c.tellUnblocked()
			}
			return
		}
		b := o.pending
		o.pending = spare[:0]
		o.inFlight = len(b)
		c.mu.Unlock()

		err := c.flushAll(b)

		c.mu.Lock()
		o.inFlight = 0
		if err != nil {
			c.outputFailed(err)
		}
		if c.finished {
			c.tellDone()
		}
		if o.buffered() <= c.limits.sendLimit() {
			o.wake()
		}
		c.mu.Unlock()
		if spare = b; cap(spare) > blockedAt {
			spare = nil
		}
	}
}

// flushUntilDone waits for the end of the connection, and flushes when it is asked
// to: a goroutine for each would cost more than what it writes.
func (c *Conn) flushUntilDone() {
	flushes := make(chan struct{}, 1)
	c.mu.Lock()
	c.flushes = flushes
	c.mu.Unlock()
	for done := c.Done(); ; {
		select {
		case <-flushes:
			c.flush()
		case <-done:
			return
		}
	}
}

// drain waits until what was sent has left, for no longer than CloseTimeout.
func (c *Conn) drain() {
	timeout := time.NewTimer(c.limits.closeTimeout())
	defer timeout.Stop()
	for {
		c.mu.Lock()
		if c.finished || c.out.err != nil || c.out.buffered() == 0 {
			c.mu.Unlock()
			return
		}
		wait := c.out.wait()
		c.mu.Unlock()
		select {
		case <-wait:
		case <-timeout.C:
			return
		}
	}
}

// flushAll writes b in steps, so that a transport that is slow is told from one
// that takes nothing.
func (c *Conn) flushAll(b []byte) error {
	for len(b) > 0 {
		n := min(len(b), flushStep)
		if err := c.tr.(waiter).write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
		c.out.written.Add(uint64(n))
	}
	return nil
}

// flushStep is the most bytes of one write. A peer that takes less than this in
// StallTimeout, 2 KiB a second by default, counts as stalled.
const flushStep = 64 << 10

// watchStall has stalled called after StallTimeout. The caller holds mu.
func (c *Conn) watchStall() {
	o := &c.out
	if o.armed {
		return // it is not worth a Reset for each message
	}
	o.armed, o.watched = true, o.written.Load()
	if o.stall == nil {
		o.stall = time.AfterFunc(c.limits.stallTimeout(), c.stalled)
	} else {
		o.stall.Reset(c.limits.stallTimeout())
	}
}

// stalled ends the connection if the transport took nothing since the timer was
// set, and had something to take all the time.
func (c *Conn) stalled() {
	c.mu.Lock()
	o := &c.out
	o.armed = false
	stuck := o.flushing && o.written.Load() == o.watched && o.err == nil && !c.finished
	if o.flushing && !stuck {
		c.watchStall()
	}
	c.mu.Unlock()
	if stuck {
		c.kill(ErrStalled)
	}
}

// outputFailed drops the output. What the peer sent before may still be read, its
// Close among it; after CloseTimeout the connection ends in any case. The caller
// holds mu.
func (c *Conn) outputFailed(err error) {
	first := c.out.err == nil
	c.out.fail(err)
	if first && !c.finished {
		time.AfterFunc(c.limits.closeTimeout(), func() { c.abort(err) })
	}
}

// afterFlush closes the write side if that waited for the output. The caller
// holds mu.
func (c *Conn) afterFlush() {
	if c.closeHow == hostcalls.CloseWrite && !c.wroteFIN && !c.finished {
		c.wroteFIN = true
		_ = c.tr.closeWrite()
	}
}

// tellUnblocked tells the engine that the transport has caught up.
func (c *Conn) tellUnblocked() {
	l := c.inst.lanes.get()
	defer c.inst.lanes.put(l)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.blocked = false
	c.call(l, c.inst.fn.streamBlocked, 0, uint64(now()))
	if !c.out.flushing {
		c.afterFlush()
	}
}
