package host

import (
	"unicode/utf8"

	"github.com/wasock/wasock/hostcalls"
)

// Send sends a message without waiting. p is copied. Messages sent while an
// EventHandler's method runs for the same connection leave together, once it
// has returned or about a millisecond later.
//
// The error is ErrSendQueueFull if BufferedAmount is above SendLimit: the caller
// chooses whether to wait, to drop the message or to close. ErrClosed is
// returned unless the connection is open, ErrInvalidUTF8 for text that is not
// UTF-8, ErrMessageInProgress while a Writer is open.
func (c *Conn) Send(t MessageType, p []byte) error {
	if err := checkMessage(t, p); err != nil {
		return err
	}
	return c.send(uint8(t), hostcalls.SendFIN, p)
}

// checkMessage checks what a caller wants to send.
func checkMessage(t MessageType, p []byte) error {
	switch {
	case t == MessageText && !utf8.Valid(p):
		return ErrInvalidUTF8
	case t != MessageText && t != MessageBinary:
		return ErrInvalidArgument
	}
	return nil
}

// send sends one frame, through the cork if there is one.
func (c *Conn) send(op, flags uint8, p []byte) error {
	c.mu.Lock()
	if c.cork != nil {
		defer c.mu.Unlock()
		return c.stage(c.cork, op, flags, p)
	}
	c.mu.Unlock()

	l := c.inst.lanes.get()
	defer c.inst.lanes.put(l)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cork != nil {
		return c.stage(c.cork, op, flags, p)
	}
	if err := c.stage(l, op, flags, p); err != nil {
		return err
	}
	return c.uncork(l)
}

// stage puts a send record into l, and what does not fit through the engine.
func (c *Conn) stage(l *lane, op, flags uint8, p []byte) error {
	switch {
	case c.ReadyState() != StateOpen:
		return c.closedError()
	case c.out.buffered() > c.limits.sendLimit():
		return ErrSendQueueFull
	}
	if l.staged == 0 && l == c.cork {
		l.uncorkSoon(c)
	}
	c.inst.counter.sent(op, len(p))
	h := hostcalls.SendHeader{Opcode: op, Flags: flags, FrameLen: uint64(len(p))}
	switch {
	case c.extensions != "":
		if c.plain.Load() {
			h.Flags |= hostcalls.SendPlain
		}
	case c.server && len(p) >= apartMin:
		return c.stageApart(l, h, p)
	}
	for {
		if l.staged+hostcalls.SendHeaderSize+min(len(p), len(l.tx)/2) > len(l.tx) {
			if err := c.uncork(l); err != nil {
				return err
			}
		}
		room := l.tx[l.staged:]
		n := copy(room[hostcalls.SendHeaderSize:], p)
		h.Len = uint32(n)
		hostcalls.PutSendHeader(room, h)
		l.staged += hostcalls.SendHeaderSize + n
		if p = p[n:]; len(p) == 0 {
			return nil
		}
		h.Flags |= hostcalls.SendPart
	}
}

// apartMin is from how many bytes on a server's payload is not copied into the
// guest, which has nothing to do to it: it is written from where it is, behind
// the header that the engine makes.
const apartMin = 16 << 10

// stageApart sends what is staged in l and then a message whose payload is p.
func (c *Conn) stageApart(l *lane, h hostcalls.SendHeader, p []byte) error {
	if l.staged+hostcalls.SendHeaderSize > len(l.tx) {
		if err := c.uncork(l); err != nil {
			return err
		}
	}
	h.Flags |= hostcalls.SendApart
	hostcalls.PutSendHeader(l.tx[l.staged:], h)
	l.staged += hostcalls.SendHeaderSize
	c.apart = p
	err := c.uncork(l)
	c.apart = nil
	return err
}

// uncork sends what is staged in l.
func (c *Conn) uncork(l *lane) error {
	n := l.staged
	if n == 0 {
		return nil
	}
	l.staged = 0
	return c.sendResult(c.call(l, c.inst.fn.connSend, uint64(n), uint64(now())))
}

// sendResult is the error of a conn_send that returned r.
func (c *Conn) sendResult(r int32) error {
	switch {
	case r >= 0:
		return nil
	case hostcalls.Errno(-r) == hostcalls.EINVAL:
		return ErrMessageInProgress
	case hostcalls.Errno(-r) == hostcalls.ESTATE, hostcalls.Errno(-r) == hostcalls.EBADF:
		return c.closedError()
	}
	return callError(hostcalls.Errno(-r))
}
