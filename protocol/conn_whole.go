package protocol

import "encoding/binary"

// NextMessage is NextEvent for what is most of the work of most connections: a
// message of one frame that lies whole in the input. It returns its kind and
// payload, a view as in Event. It reports false whenever anything else is next,
// and has changed nothing then: NextEvent goes on from there.
//
// It is one function without calls on the way of a short message, because calls
// are what costs in the sandbox: BenchmarkEngineReceive in package host pays for
// it. TestNextMessageIsNextEvent holds the two together.
func (c *Conn) NextMessage() (kind Kind, payload []byte, ok bool) {
	in := &c.in
	b := in.b
	if len(b) < 2 || in.inMessage || in.inFrame || in.headLen != 0 || c.state != StateOpen {
		return 0, nil, false
	}
	// FIN, no reserved bit, opcode text or binary: everything else is not here.
	b0 := b[0]
	if b0 != bitFIN|byte(OpBinary) && b0 != bitFIN|byte(OpText) {
		return 0, nil, false
	}
	masked := b[1]&bitMasked != 0
	if masked != (c.role == Server) {
		return 0, nil, false
	}
	length, n := int(b[1]&^bitMasked), 2
	switch length {
	case 126:
		if len(b) < 4 {
			return 0, nil, false
		}
		length, n = int(b[2])<<8|int(b[3]), 4
		if length < 126 {
			return 0, nil, false
		}
	case 127:
		if len(b) < 10 {
			return 0, nil, false
		}
		long := binary.BigEndian.Uint64(b[2:])
		if long < 1<<16 || long >= 1<<31 { // an int may have 32 bits
			return 0, nil, false
		}
		length, n = int(long), 10
	}
	var key uint32
	if masked {
		if len(b) < n+4 {
			return 0, nil, false
		}
		key = binary.LittleEndian.Uint32(b[n:])
		n += 4
	}
	if len(b)-n < length || int64(length) > c.cfg.MessageLimit || int64(length) > in.credit {
		return 0, nil, false
	}
	payload = b[n : n+length : n+length]
	if masked {
		if length >= 64 {
			maskBytes(key, payload)
		} else {
			k := uint64(key) | uint64(key)<<32
			p := payload
			for len(p) >= 8 {
				binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^k)
				p = p[8:]
			}
			for i := range p {
				p[i] ^= byte(k)
				k >>= 8
			}
		}
	}
	kind = KindBinary
	if b0 == bitFIN|byte(OpText) {
		kind = KindText
		if !validUTF8(payload) {
			if masked {
				maskBytes(key, payload) // as it came, for NextEvent to fail at the right byte
			}
			return 0, nil, false
		}
	}
	in.b = b[n+length:]
	in.credit -= int64(length)
	c.alive.heard(c.now)
	return kind, payload, true
}

// AppendMessage appends a frame with payload p to b: BeginFrame and AppendPart in
// one, for the frame that is whole. p may lie in b's spare capacity, at least
// MaxHeaderLen bytes after the end of b.
func (c *Conn) AppendMessage(b []byte, op Opcode, fin bool, p []byte) ([]byte, error) {
	if c.state != StateOpen || op > OpBinary || (op == OpContinuation) != c.out.inMessage || c.out.rest > 0 {
		return b, c.checkSend(op)
	}
	if op != OpContinuation {
		c.out.isText = false // not for SendMessage to check
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
	return len(c.in.b) == 0 && (c.out.taken || len(c.out.b) == 0) && c.state == StateOpen && !c.out.pongDue && !c.alive.pingDue
}
