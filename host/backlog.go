package host

import (
	"encoding/binary"
	"math"

	"github.com/wasock/wasock/hostcalls"
)

// A backlog is input that the engine is to have before what the transport delivers
// next: what the HTTP server had read of it already, and what the engine gave back.
type backlog struct {
	b  []byte
	at int // what of b was taken
}

// backlogPart is how much is taken at once: most of it would be given back again, if it
// inflates to more than is wanted.
const backlogPart = 32 << 10

func (q *backlog) empty() bool { return q.at == len(q.b) }

// take copies the next bytes to dst and returns how many.
func (q *backlog) take(dst []byte) int {
	n := copy(dst[:min(len(dst), backlogPart)], q.b[q.at:])
	q.at += n
	return n
}

// putBack makes rest the next bytes again: the last of what was taken, or of what came
// from elsewhere while q was empty and forgotten.
func (q *backlog) putBack(rest []byte) {
	if q.b != nil {
		q.at -= len(rest)
		return
	}
	q.b = append([]byte(nil), rest...)
}

// forget lets go of an empty backlog's memory.
func (q *backlog) forget() { *q = backlog{} }

// creditWindow is how many bytes of what inflates are copied at once. A message in
// progress, and one window, is what a connection holds of compressed messages.
const creditWindow = 64 << 10

// maxWindows is how many windows one read of the transport may fill: DEFLATE makes at
// most 1,032 bytes of one, and a read brings 320 KiB.
const maxWindows = 8 << 10

// limitCredit gives the engine a window of credit for the next input, or credit without
// end where that was limited before. It returns what conn_credit does: there may be
// events of input of before. The caller holds deliver and mu.
func (c *Conn) limitCredit(l *lane, limited bool) int32 {
	switch {
	case limited:
		if c.windows++; c.windows > maxWindows {
			c.inst.distrust("it makes more of its input than there can be in it")
			return hostcalls.EIO.Ret()
		}
		c.credit = creditWindow
		c.credited = true
		return c.call(l, c.inst.fn.connCredit, creditWindow, uint64(now()))
	case c.credited:
		c.credited = false
		return c.call(l, c.inst.fn.connCredit, math.MaxUint64, uint64(now())) // -1
	}
	return 0
}

// heldBack reports whether there is more to deliver before the transport is read: a
// backlog, or what the engine holds for want of credit.
func (c *Conn) heldBack() bool {
	return !c.backlog.empty() || c.credited && c.credit <= 0 && c.end.Load() == nil
}

// consumed counts the n bytes in l, and puts to the backlog what the engine left of
// them.
func (c *Conn) consumed(l *lane, n int) {
	if c.credited {
		rest := binary.LittleEndian.Uint32(l.result)
		if uint64(rest) > uint64(n) {
			c.inst.distrust("it gives back more than it was given")
			return
		}
		if rest > 0 {
			n -= int(rest)
			c.backlog.putBack(l.rx[n : n+int(rest)])
		}
	}
	c.inst.counter.bytesReceived.Add(uint64(n))
	c.count(n, 0)
}
