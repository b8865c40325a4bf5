package protocol

import "encoding/binary"

// A Message is a whole message: a KindText or KindBinary event with First and Last.
type Message struct {
	Kind    Kind
	Payload []byte // a view, as in Event
}

// NextMessages is NextEvent for what is most of the work of most connections:
// messages of one frame that lie whole in the input. It stores as many as come
// next, up to len(dst), and returns how many. Before anything else, NextEvent goes
// on.
//
// It loops, and makes no call for a short message, because calls are what costs in
// the sandbox: BenchmarkEngineReceive in package host pays for it.
// TestNextMessagesIsNextEvent holds the two together.
func (c *Conn) NextMessages(dst []Message) int {
	in := &c.in
	if in.inMessage || in.inFrame || in.headLen != 0 || c.state != StateOpen {
		return 0
	}
	var (
		b      = in.b
		room   = min(in.credit, c.cfg.MessageLimit)
		server = c.role == Server
		count  int
	)
	for count < len(dst) && len(b) >= 2 {
		// FIN, no reserved bit, opcode text or binary: everything else is not here.
		b0, b1 := b[0], b[1]
		if b0 != bitFIN|byte(OpBinary) && b0 != bitFIN|byte(OpText) || b1&bitMasked != 0 != server {
			break
		}
		length, n := int(b1&^bitMasked), 2
		if length >= 126 {
			if length, n = longLength(b, length); n == 0 {
				break
			}
		}
		var key uint32
		if server {
			if len(b) < n+4 {
				break
			}
			key = binary.LittleEndian.Uint32(b[n:])
			n += 4
		}
		if len(b)-n < length || int64(length) > room || int64(length) > in.credit {
			break
		}
		p := b[n : n+length : n+length]
		if server {
			maskWhole(key, p)
		}
		kind := KindBinary
		if b0 == bitFIN|byte(OpText) {
			kind = KindText
			if !validUTF8(p) {
				if server {
					maskWhole(key, p) // as it came, for NextEvent to fail at the right byte
				}
				break
			}
		}
		in.credit -= int64(length)
		b = b[n+length:]
		dst[count].Kind, dst[count].Payload = kind, p
		count++
	}
	if count > 0 {
		in.b = b
		c.alive.heard(c.now)
	}
	return count
}

// longLength decodes a length that follows the first two bytes of a header: form is
// what those say. It returns the header's length without the key, or 0 if the header
// is not whole, or not one for NextMessages.
func longLength(b []byte, form int) (length, n int) {
	if form == 126 {
		if len(b) >= 4 {
			if length = int(b[2])<<8 | int(b[3]); length >= 126 {
				return length, 4
			}
		}
		return 0, 0
	}
	if len(b) >= 10 {
		if long := binary.BigEndian.Uint64(b[2:]); long >= 1<<16 && long < 1<<31 { // an int may have 32 bits
			return int(long), 10
		}
	}
	return 0, 0
}

// maskWhole is maskBytes for a whole payload. It makes no call where that is short.
func maskWhole(key uint32, p []byte) {
	if len(p) > 64 {
		maskBytes(key, p)
		return
	}
	k := uint64(key) | uint64(key)<<32
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^k)
		p = p[8:]
	}
	for i := range p {
		p[i] ^= byte(k)
		k >>= 8
	}
}

// AppendMessage appends a frame with payload p to b: BeginFrame and AppendPart in
// one, for the frame that is whole. p may lie in b's spare capacity, at least
// MaxHeaderLen bytes after the end of b.
func (c *Conn) AppendMessage(b []byte, op Opcode, fin bool, p []byte) ([]byte, error) {
	if c.state != StateOpen || op > OpBinary || (op == OpContinuation) != c.out.inMessage || c.out.rest > 0 {
		return b, c.checkSend(op)
	}
	if op != OpContinuation {
		c.out.isText, c.out.encoded = false, false // not for SendMessage to check
	}
	c.out.inMessage = !fin
	if c.role == Client || len(p) >= 1<<16 {
		return c.appendFrame(b, op, fin, 0, p), nil
	}
	b0 := byte(op)
	if fin {
		b0 |= bitFIN
	}
	if len(p) < 126 {
		b = append(b, b0, byte(len(p)))
	} else {
		b = append(b, b0, 126, byte(len(p)>>8), byte(len(p)))
	}
	return append(b, p...), nil
}

// AppendEncoded appends the next frame of a message to b as SendMessage sends it,
// through the extension, where there is one and it compresses the message. Whether
// it does is decided by the message's first frame; one that AppendMessage began goes
// on as it is. p does not lie in b. The caller vouches that text is UTF-8.
func (c *Conn) AppendEncoded(b []byte, op Opcode, fin bool, p []byte) ([]byte, error) {
	if err := c.checkSend(op); err != nil {
		return b, err
	}
	if op != OpContinuation {
		c.out.isText = false // not for SendMessage to check
		c.beginMessage(op, fin, len(p))
	}
	c.out.inMessage = !fin
	if c.out.encoded {
		return c.appendEncodedFrame(b, op, fin, p), nil
	}
	return c.appendFrame(b, op, fin, 0, p), nil
}

// AppendBareHeader appends the header of a frame whose payload of length bytes the
// driver sends by itself, right behind it. Only a server without an Extension can
// do that: elsewhere payloads change on their way, and the error is ErrNotBare.
func (c *Conn) AppendBareHeader(b []byte, op Opcode, fin bool, length uint64) ([]byte, error) {
	if c.role == Client || c.ext != nil {
		return b, ErrNotBare
	}
	b, err := c.BeginFrame(b, op, fin, length)
	if err == nil {
		c.out.rest = 0
	}
	return b, err
}

// Settled reports whether an open connection has nothing to drain: no input, no
// output, no event. Its timer is no earlier than it was. Drivers use it to skip
// the rest of the drain.
func (c *Conn) Settled() bool {
	return len(c.in.b) == 0 && !c.in.draining && (c.out.taken || len(c.out.b) == 0) && c.state == StateOpen && !c.out.pongDue && !c.alive.pingDue
}
