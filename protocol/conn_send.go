package protocol

import (
	"encoding/binary"
	"slices"
	"unicode/utf8"
)

// keptOutput is the most capacity of the output buffer that a Conn keeps while
// it has nothing to write.
const keptOutput = 512

// outbound is the state of the frames and the message that are being sent.
type outbound struct {
	b     []byte // wire bytes that have not been taken
	taken bool   // b was handed out, and is reused by the next append

	blocked bool   // the transport does not take more for now
	pong    []byte // the payload of the Pong that waits for that to end
	pongDue bool

	inMessage bool // a message's first fragment was sent, its last was not
	encoded   bool // it goes through the extension
	isText    bool
	text      utf8Checker
	rest      uint64 // payload bytes of the frame that was begun by BeginFrame
	key       uint32
	drawn     [4]byte // where Random draws a key, since a local would be allocated for it
}

// TakeOutput returns the bytes to write to the transport and forgets them. They
// are valid until the next input, command or call of NextEvent.
func (c *Conn) TakeOutput() []byte {
	c.sendDue()
	if c.out.taken {
		return nil
	}
	c.out.taken = true
	return c.out.b
}

// OutputLen returns how many bytes TakeOutput would return, without a Ping or
// Pong that waited until now.
func (c *Conn) OutputLen() int {
	if c.out.taken {
		return 0
	}
	return len(c.out.b)
}

// SetOutputBlocked tells c whether the transport is behind with what it was
// given. While it is, at most one Pong waits, the answer to the latest Ping.
// RFC 6455 §5.5.3.
func (c *Conn) SetOutputBlocked(blocked bool) {
	c.out.blocked = blocked
	c.sendDue()
}

// SendText sends p as a text message of one frame. The error may be
// ErrInvalidUTF8, and those of SendBinary.
func (c *Conn) SendText(p []byte) error { return c.SendMessage(OpText, p, true) }

// SendBinary sends p as a binary message of one frame. The error is ErrNotOpen,
// ErrMessageOrder or ErrSendQueueFull; with one, nothing was sent.
func (c *Conn) SendBinary(p []byte) error { return c.SendMessage(OpBinary, p, true) }

// SendMessage sends p as the next fragment of a message: with op OpText or
// OpBinary it begins one, with OpContinuation it goes on with it, and with fin
// it ends it. Errors are those of SendText.
func (c *Conn) SendMessage(op Opcode, p []byte, fin bool) error {
	if err := c.checkSend(op); err != nil {
		return err
	}
	if c.OutputLen() >= c.cfg.SendLimit {
		return ErrSendQueueFull
	}
	var text utf8Checker
	if op == OpContinuation {
		text = c.out.text
	}
	if op == OpText || op == OpContinuation && c.out.isText {
		if !text.write(p) || fin && !text.complete() {
			return ErrInvalidUTF8
		}
	}
	if op != OpContinuation {
		c.out.isText = op == OpText
		c.beginMessage(op, fin, len(p))
	}
	c.out.text = text
	c.out.inMessage = !fin
	if c.out.encoded {
		c.out.b = c.appendEncodedFrame(c.output(), op, fin, p)
	} else {
		c.out.b = c.appendFrame(c.output(), op, fin, 0, p)
	}
	return nil
}

// beginMessage decides whether a message that begins with a frame of size bytes is
// encoded.
func (c *Conn) beginMessage(op Opcode, fin bool, size int) {
	if !fin {
		size = -1
	}
	c.out.encoded = c.ext != nil && c.ext.Compresses(op, size)
}

// appendEncodedFrame appends a frame of p, encoded, to b. The length of the header is
// known when the payload is there, which is then moved to it.
func (c *Conn) appendEncodedFrame(b []byte, op Opcode, fin bool, p []byte) []byte {
	start := len(b)
	b = append(b, make([]byte, MaxHeaderLen)...)
	b = c.ext.Encode(b, p, fin)
	payload := b[start+MaxHeaderLen:]
	var rsv byte
	if op != OpContinuation {
		rsv = bitRSV1 // RFC 7692 §6: of the first frame only
	}
	h := c.header(op, fin, rsv, uint64(len(payload)))
	if h.Masked {
		maskBytes(h.Key, payload)
	}
	b = AppendHeader(b[:start], h)
	return append(b, payload...)
}

// BeginFrame begins a frame whose payload of length bytes follows by AppendPart,
// and appends its header to b. It is for drivers that have the payload in memory
// that they write from: nothing is queued in c, and TakeOutput must have been
// taken before. op and fin are as for SendMessage. The caller vouches that text
// is UTF-8. The error is ErrNotOpen, ErrMessageOrder or ErrFrameTooLong.
//
// A Conn with an Extension is not driven like this.
func (c *Conn) BeginFrame(b []byte, op Opcode, fin bool, length uint64) ([]byte, error) {
	if err := c.checkSend(op); err != nil {
		return b, err
	}
	if length > 1<<63-1 {
		return b, ErrFrameTooLong
	}
	if c.OutputLen() > 0 {
		panic("BUG: protocol: BeginFrame before the output was taken")
	}
	if op != OpContinuation {
		c.out.isText = false // not for SendMessage to check
	}
	c.out.inMessage = !fin
	h := c.header(op, fin, 0, length)
	c.out.rest, c.out.key = length, h.Key
	return AppendHeader(b, h), nil
}

// AppendPart appends p, the next bytes of the payload of the frame in progress,
// to b as they go over the wire. p may lie in b's spare capacity, at or after
// the end of b: then it is moved, or stays where it is if it is there already.
// The error is ErrNotOpen, or ErrMessageOrder for more than the frame's length.
func (c *Conn) AppendPart(b, p []byte) ([]byte, error) {
	switch {
	case c.state != StateOpen:
		return b, ErrNotOpen
	case uint64(len(p)) > c.out.rest:
		return b, ErrMessageOrder
	}
	c.out.rest -= uint64(len(p))
	n := len(b)
	b = append(b, p...)
	if c.role == Client {
		c.out.key = maskBytes(c.out.key, b[n:])
	}
	return b, nil
}

// SendPing sends a Ping frame with p, at most 125 bytes. RFC 6455 §5.5.2.
func (c *Conn) SendPing(p []byte) error { return c.sendControl(OpPing, p) }

// SendPong sends a Pong frame that answers no Ping. RFC 6455 §5.5.3.
func (c *Conn) SendPong(p []byte) error { return c.sendControl(OpPong, p) }

func (c *Conn) sendControl(op Opcode, p []byte) error {
	if c.state == StateOpen && c.OutputLen() >= c.cfg.SendLimit {
		return ErrSendQueueFull
	}
	b, err := c.AppendControl(c.output(), op, p)
	c.out.b = b
	return err
}

// AppendControl appends a Ping or Pong frame to b, for drivers that use
// BeginFrame. p may lie in b's spare capacity as for AppendPart. The error is
// ErrNotOpen, ErrControlTooLong, or ErrMessageOrder inside a frame.
func (c *Conn) AppendControl(b []byte, op Opcode, p []byte) ([]byte, error) {
	switch {
	case c.state != StateOpen:
		return b, ErrNotOpen
	case len(p) > maxControlPayload:
		return b, ErrControlTooLong
	case c.out.rest > 0 || op != OpPing && op != OpPong:
		return b, ErrMessageOrder
	}
	return c.appendFrame(b, op, true, 0, p), nil
}

// checkSend checks that a frame with op may be sent now. RFC 6455 §5.4, §5.5.1.
func (c *Conn) checkSend(op Opcode) error {
	switch {
	case c.state != StateOpen:
		return ErrNotOpen
	case op.Control() || op > OpBinary || (op == OpContinuation) != c.out.inMessage || c.out.rest > 0:
		return ErrMessageOrder
	}
	return nil
}

// output returns the output buffer to append to.
func (c *Conn) output() []byte {
	if c.out.taken {
		c.out.taken = false
		if cap(c.out.b) > keptOutput {
			c.out.b = nil
		}
		c.out.b = c.out.b[:0]
	}
	return c.out.b
}

// appendFrame appends a whole frame to b.
func (c *Conn) appendFrame(b []byte, op Opcode, fin bool, rsv byte, p []byte) []byte {
	h := c.header(op, fin, rsv, uint64(len(p)))
	b = slices.Grow(b, HeaderLen(h.Length, h.Masked)+len(p))
	b = AppendHeader(b, h)
	n := len(b)
	b = append(b, p...)
	if c.role == Client {
		maskBytes(h.Key, b[n:])
	}
	return b
}

// header returns the header of a frame of c's.
func (c *Conn) header(op Opcode, fin bool, rsv byte, length uint64) Header {
	h := Header{FIN: fin, RSV: rsv, Opcode: op, Length: length}
	if op == OpPing {
		c.alive.awaited++
	}
	if c.role == Client {
		h.Masked = true
		h.Key = c.maskingKey()
	}
	return h
}

// maskingKey draws a fresh key. RFC 6455 §5.3, §10.3.
func (c *Conn) maskingKey() uint32 {
	c.cfg.Random(c.out.drawn[:])
	return binary.LittleEndian.Uint32(c.out.drawn[:])
}

// validReason reports whether s may be a close reason.
func validReason(s string) error {
	switch {
	case len(s) > MaxReason:
		return ErrControlTooLong
	case !utf8.ValidString(s):
		return ErrInvalidUTF8
	}
	return nil
}
