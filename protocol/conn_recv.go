package protocol

import (
	"errors"
	"math/bits"
)

// freePart is the length from which on a fragment does not count against PartLimit:
// libraries that write through a buffer of 4 KiB make such fragments of any message,
// and what is limited is the work that is out of proportion to the payload.
const (
	freePart        = 4 << 10
	freeEncodedPart = 128 // compress/flate, and so coder/websocket, flushes every 240 bytes
)

// unlimitedCredit is the credit of a Conn whose consumer has not limited it.
const unlimitedCredit = 1 << 62

// inbound is the state of the frames and the message that are arriving.
type inbound struct {
	b      []byte // input that is not consumed, a view of the caller's memory
	credit int64  // payload bytes that the consumer will still take

	// The header of the next frame, if the input ended inside it.
	head    [MaxHeaderLen]byte
	headLen uint8

	// The frame whose payload is arriving.
	inFrame bool
	frame   Header
	rest    uint64 // bytes of its payload to come
	key     uint32 // masking key, turned to the next byte

	// The message whose fragments are arriving.
	inMessage bool
	delivered bool // a part of it was delivered
	encoded   bool // it has RSV1
	draining  bool // the extension holds output of input that was given to it
	paused    bool // the extension has worked enough until Continue
	kind      Kind
	parts     int
	wire      int64 // bytes of the message in progress that headers announced
	size      int64 // bytes that it was decoded to, if it is encoded
	text      utf8Checker

	control []byte // the payload so far of a control frame that the input cut
}

// GrantCredit lets c deliver n more bytes of payload; n is not negative. A Conn
// begins with credit without end; LimitCredit takes that away.
func (c *Conn) GrantCredit(now Time, n int64) {
	if n < 0 {
		panic("BUG: protocol: GrantCredit of less than nothing")
	}
	c.LimitCredit(now, c.in.credit+min(n, unlimitedCredit-c.in.credit))
}

// LimitCredit sets the credit to n bytes; if n is negative, to no end. While it is
// 0 no payload is delivered, the input stays in Buffered, and the idle timeout is
// suspended.
func (c *Conn) LimitCredit(now Time, n int64) {
	c.now = now
	if n < 0 {
		n = unlimitedCredit
	}
	c.alive.resume(now, c.in.credit == 0 && n > 0)
	c.in.credit = n
}

// Unread takes back the input that is not consumed, for a driver that needs its
// memory for something else. It is to be given again, before what follows it.
func (c *Conn) Unread() []byte {
	b := c.in.b
	c.in.b = nil
	return b
}

// Credit returns how many bytes of payload c may still deliver.
func (c *Conn) Credit() int64 { return c.in.credit }

// Pending reports whether NextEvent stopped because the work for what it was given is
// out of proportion, and Continue goes on. Whoever serves several Conns serves the
// others first.
func (c *Conn) Pending() bool { return c.in.paused && c.state != StateClosed }

// Continue has NextEvent go on where Pending stopped it.
func (c *Conn) Continue(now Time) {
	c.now = now
	c.in.paused = false
	c.resume()
}

// resume begins another turn of what the extension may work.
func (c *Conn) resume() {
	if c.ext != nil {
		c.ext.Resume()
	}
}

// nextFrameEvent consumes frames until one has an event for the application.
func (c *Conn) nextFrameEvent(ev *Event) bool {
	for !c.in.paused {
		if !c.in.inFrame {
			if !c.beginFrame() {
				return false
			}
		}
		var found bool
		if c.in.frame.Opcode.Control() {
			found = c.receiveControl(ev)
		} else {
			found = c.receiveData(ev)
		}
		if found {
			return true
		}
		if c.in.inFrame || c.state == StateClosed {
			return false // more input, or credit, is needed
		}
	}
	return false
}

// beginFrame consumes the header of the next frame. It reports false if the
// input ended before the header did, or if the header failed the connection.
func (c *Conn) beginFrame() bool {
	in := &c.in
	if len(in.b) == 0 {
		return false
	}
	var (
		h   Header
		n   int
		err error
	)
	if in.headLen == 0 {
		h, n, err = ConsumeHeader(in.b)
		if n == 0 && err == nil {
			in.headLen = uint8(copy(in.head[:], in.b))
			in.b = nil
			return false
		}
	} else {
		taken := copy(in.head[in.headLen:], in.b)
		h, n, err = ConsumeHeader(in.head[:int(in.headLen)+taken])
		if n == 0 && err == nil {
			in.headLen += uint8(taken)
			in.b = in.b[taken:]
			return false
		}
		n -= int(in.headLen)
		in.headLen = 0
	}
	if err == nil {
		err = c.checkHeader(&h)
	}
	if err != nil {
		c.Fail(c.now, err)
		return false
	}
	in.b = in.b[n:]
	in.inFrame, in.frame, in.rest, in.key = true, h, h.Length, h.Key
	return true
}

// checkHeader checks h against the state of the connection, and begins or goes
// on with the message it belongs to.
func (c *Conn) checkHeader(h *Header) error {
	in := &c.in
	// RFC 6455 §5.1: a client masks every frame, a server none.
	if h.Masked != (c.role == Server) {
		if h.Masked {
			return errMasked
		}
		return errUnmasked
	}
	// RFC 6455 §5.2: a reserved bit has a meaning that was negotiated, or is 0.
	// RFC 7692 §6: RSV1 marks the first frame of a message only.
	if h.RSV != 0 && (h.RSV != bitRSV1 || c.ext == nil || h.Opcode == OpContinuation || h.Opcode.Control()) {
		return errReservedBits
	}
	switch {
	case h.Opcode == OpClose:
		return nil // there is only one
	case h.Opcode.Control():
		return c.alive.countControl(c.now, h.Opcode, c.cfg)
	}
	// RFC 6455 §5.4: the fragments of two messages do not interleave.
	if (h.Opcode == OpContinuation) != in.inMessage {
		if in.inMessage {
			return errInterleaved
		}
		return errNothingToContinue
	}
	if !in.inMessage {
		in.inMessage, in.delivered, in.draining, in.parts, in.size, in.wire = true, false, false, 0, 0, 0
		in.encoded = h.RSV != 0
		in.kind = KindBinary
		if h.Opcode == OpText {
			in.kind = KindText
		}
	}
	free := uint64(freePart)
	if in.encoded {
		free = freeEncodedPart
	}
	if h.Length < free {
		if in.parts++; in.parts > c.cfg.PartLimit {
			return &LimitError{CodePolicyViolation, "PartLimit", uint64(c.cfg.PartLimit), uint64(in.parts)}
		}
	}
	// What goes over the wire is held to the limit, and what it decodes to as well, by
	// receiveEncoded. Length is below 1<<63, and wire at most the limit: the sum does
	// not wrap.
	total := h.Length + uint64(in.wire)
	if total > uint64(c.cfg.MessageLimit) {
		return &LimitError{CodeMessageTooBig, "MessageLimit", uint64(c.cfg.MessageLimit), total}
	}
	in.wire = int64(total)
	return nil
}

// receiveData consumes payload of the data frame in progress. It reports whether
// it stored an event; if not, the frame ended without one, or input or credit
// ran out, or the connection failed.
func (c *Conn) receiveData(ev *Event) bool {
	in := &c.in
	if in.encoded {
		return c.receiveEncoded(ev)
	}
	n := min(uint64(len(in.b)), in.rest, uint64(c.room()))
	if n == 0 && in.rest > 0 {
		return false
	}
	part := in.b[:n:n]
	in.b = in.b[n:]
	in.rest -= n
	c.spend(int(n))
	if in.frame.Masked {
		in.key = maskBytes(in.key, part)
	}
	return c.deliver(ev, part, in.rest == 0)
}

// room returns how many bytes of payload may be decoded now: the credit, or
// without end while closing, when they are discarded.
func (c *Conn) room() int64 {
	if c.state != StateOpen {
		return unlimitedCredit
	}
	return c.in.credit
}

// spend takes n bytes of payload from the credit.
func (c *Conn) spend(n int) {
	if c.state == StateOpen {
		c.in.credit -= int64(n)
	}
}

// deliver checks a part of the message in progress and stores its event.
// endOfFrame says that the frame has no payload after it.
func (c *Conn) deliver(ev *Event, part []byte, endOfFrame bool) bool {
	in := &c.in
	last := endOfFrame && in.frame.FIN
	if in.kind == KindText && !in.text.write(part) || last && !in.text.complete() {
		c.Fail(c.now, errInvalidText)
		return false
	}
	c.alive.heard(c.now)
	in.inFrame = !endOfFrame
	in.inMessage = !last
	if len(part) == 0 && !last {
		return false // an empty fragment tells the application nothing
	}
	if c.state == StateClosing {
		return false // https://websockets.spec.whatwg.org/#feedback-from-the-protocol: only while open
	}
	*ev = Event{Kind: in.kind, First: !in.delivered, Last: last, Payload: part, FrameRest: in.rest}
	in.delivered = true
	return true
}

// receiveEncoded is receiveData for a message that the extension encodes.
func (c *Conn) receiveEncoded(ev *Event) bool {
	in := &c.in
	for {
		scratch := c.scratch
		if scratch == nil {
			scratch = c.cfg.Scratch
		}
		room := min(int64(cap(scratch)), c.room(), c.cfg.MessageLimit-in.size+1)
		// No more input than there is room for output, or what is not used of it
		// would be unmasked and masked again for every little room.
		n := int(min(uint64(len(in.b)), in.rest, uint64(room)))
		if room == 0 || n == 0 && in.rest > 0 && !in.draining {
			return false
		}
		src := in.b[:n:n]
		if in.frame.Masked {
			maskBytes(in.key, src)
		}
		out, used, done, err := c.ext.Decode(scratch[:0:room], src, in.frame.FIN && uint64(n) == in.rest)
		if err != nil {
			c.Fail(c.now, err)
			return false
		}
		if in.frame.Masked {
			in.key = bits.RotateLeft32(in.key, -8*used)
			maskBytes(in.key, src[used:]) // what was not used is input still, as it came
		}
		in.b = in.b[used:]
		in.rest -= uint64(used)
		in.size += int64(len(out))
		c.spend(len(out))
		if used == 0 && len(out) == 0 && !done {
			c.Fail(c.now, errExtensionStuck)
			return false
		}
		in.draining, in.paused = !done, !done && int64(len(out)) < room
		if err := c.checkDecoded(); err != nil {
			c.Fail(c.now, err)
			return false
		}
		end := done && in.rest == 0
		if c.deliver(ev, out, end) {
			return true
		}
		if end || in.paused || c.state == StateClosed {
			return false
		}
	}
}

// freeRatio is how long a message may be before its ratio counts: repetition that is
// meant, such as a page of spaces, stays below it.
const freeRatio = 64 << 10

// checkDecoded checks how much the message in progress has become: a few bytes can
// decode to a thousand times as many. CVE-2026-1526 and others.
func (c *Conn) checkDecoded() error {
	in := &c.in
	if in.size > c.cfg.MessageLimit {
		return &LimitError{CodeMessageTooBig, "MessageLimit", uint64(c.cfg.MessageLimit), uint64(in.size)}
	}
	// in.rest of the frame in progress has not been decoded yet.
	if wire := in.wire - int64(in.rest); in.size > freeRatio && in.size/int64(c.cfg.RatioLimit) > wire {
		return &LimitError{CodeMessageTooBig, "RatioLimit", uint64(c.cfg.RatioLimit), uint64(in.size / max(wire, 1))}
	}
	return nil
}

// receiveControl consumes payload of the control frame in progress and, once it
// is whole, does what the frame asks for.
func (c *Conn) receiveControl(ev *Event) bool {
	in := &c.in
	n := min(uint64(len(in.b)), in.rest)
	payload := in.b[:n:n]
	in.b = in.b[n:]
	in.rest -= n
	if in.frame.Masked {
		in.key = maskBytes(in.key, payload)
	}
	if in.rest > 0 || len(in.control) > 0 {
		in.control = append(in.control, payload...)
		if in.rest > 0 {
			return false
		}
		payload = in.control
		in.control = in.control[:0]
	}
	in.inFrame = false
	switch in.frame.Opcode {
	case OpPing:
		c.receivePing(payload)
		return false
	case OpPong:
		c.alive.heard(c.now)
		if c.state == StateClosing {
			return false
		}
		*ev = Event{Kind: KindPong, First: true, Last: true, Payload: payload}
		return true
	case OpClose:
		c.receiveClose(payload)
		return false
	case OpContinuation, OpText, OpBinary:
	}
	panic("BUG: a data frame was taken for a control frame")
}

// errExtensionStuck is the error of an Extension that neither used its input, nor
// put out anything, nor was done.
var errExtensionStuck = errors.New("websocket: the extension makes no progress")

// What can be wrong in a frame that would be right on another connection.
var (
	errMasked            = &ProtocolError{CodeProtocolError, "a server does not mask its frames"}
	errUnmasked          = &ProtocolError{CodeProtocolError, "a client masks its frames"}
	errReservedBits      = &ProtocolError{CodeProtocolError, "a reserved bit is 0 unless an extension defines it"}
	errInterleaved       = &ProtocolError{CodeProtocolError, "a message begins after the one before it is complete"}
	errNothingToContinue = &ProtocolError{CodeProtocolError, "a continuation frame follows the first frame of its message"}
	errInvalidText       = &ProtocolError{CodeInvalidPayload, "the payload of a text message is UTF-8"}
)
