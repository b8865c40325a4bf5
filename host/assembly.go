package host

import "sync"

// messages are buffers for joining the parts of long messages. A connection has
// one only while such a message arrives.
var messages sync.Pool

// assembly joins the parts of a message.
type assembly struct{ b []byte }

// add adds a part and returns the message once it is whole, valid until release.
func (a *assembly) add(p part, rest uint64) ([]byte, bool) {
	if p.first && p.last {
		return p.payload, true
	}
	if need := len(a.b) + len(p.payload); need > cap(a.b) {
		a.grow(need, rest)
	}
	a.b = append(a.b, p.payload...)
	return a.b, p.last
}

// grow makes room for need bytes and some of the rest that the frame announces:
// what is reserved is never more than four times what the peer has sent.
func (a *assembly) grow(need int, rest uint64) {
	size := 2 * need
	if rest > 0 {
		size = int(min(uint64(4*need), uint64(need)+rest))
	}
	var b []byte
	if pooled, ok := messages.Get().(*[]byte); ok && cap(*pooled) >= need {
		b = (*pooled)[:0]
	} else {
		b = make([]byte, 0, size)
	}
	b = append(b, a.b...)
	a.release()
	a.b = b
}

// release forgets the message that add returned.
func (a *assembly) release() {
	if a.b != nil {
		b := a.b[:0]
		messages.Put(&b)
		a.b = nil
	}
}
