package interop

import (
	"fmt"
	"strings"
)

// sizes are at the boundaries of the length's three forms, and beyond what fits
// into any buffer. https://www.rfc-editor.org/rfc/rfc6455.html#section-5.2
var sizes = []int{0, 1, 125, 126, 65535, 65536, 1<<20 + 1, 8 << 20}

var messages = append(sized(), []conversation{
	{"characters of every length", func(c *call) {
		c.echoed(text, []byte("z\u00df\u6c34\U0001f34c\x00\u07ff\u0800\ufffd\uffff\U00010000\U0010ffff"))
	}},
	{"8 MiB with our default limits", func(c *call) {
		p := c.open(options{}, options{})
		c.must("send", p.theirs.send(c.ctx, binary, binaryOf(8<<20)))
		c.wantMessage("MessageLimit has room for it", p.ours, binary, binaryOf(8<<20))
	}},
	{"8 MiB from us at once", func(c *call) {
		p := c.open(options{}, options{})
		c.must("send", p.ours.send(c.ctx, binary, binaryOf(8<<20)))
		c.wantMessage("what is sent as soon as the connection is open arrives", p.theirs, binary, binaryOf(8<<20))
	}},
	{"several messages in order", func(c *call) {
		p := c.open(options{}, options{})
		for _, way := range p.ways() {
			for i := range 100 {
				c.must("send", way.from.send(c.ctx, kind(i%2), fmt.Appendf(nil, "message %d", i)))
			}
			for i := range 100 {
				c.wantMessage(way.name+", in order", way.to, kind(i%2), fmt.Appendf(nil, "message %d", i))
			}
		}
	}},
}...)

func sized() (list []conversation) {
	for _, size := range sizes {
		list = append(list,
			conversation{fmt.Sprintf("text of %d bytes", size), func(c *call) { c.echoed(text, textOf(size)) }},
			conversation{fmt.Sprintf("binary of %d bytes", size), func(c *call) { c.echoed(binary, binaryOf(size)) }})
	}
	return list
}

// gorillaFrame is the most that gorilla's client puts into a frame by default: the
// size of its write buffer.
const gorillaFrame = 4096

// A way is a direction between the ends of a pair.
type way struct {
	name     string
	from, to conn
}

func (p *pair) ways() []way {
	return []way{{"we receive what they send", p.theirs, p.ours}, {"they receive what we send", p.ours, p.theirs}}
}

// echoed sends a message each way.
func (c *call) echoed(k kind, payload []byte) {
	c.Helper()
	p := c.open(options{partLimit: len(payload)/gorillaFrame + 1}, options{})
	for _, way := range p.ways() {
		c.must("send", way.from.send(c.ctx, k, payload))
		c.wantMessage(way.name, way.to, k, payload)
	}
}

// textOf returns n bytes of UTF-8 with characters of every length.
func textOf(n int) []byte {
	const sample = "z\u00df\u6c34\U0001f34c"
	s := strings.Repeat(sample, n/len(sample))
	return []byte(s + strings.Repeat("a", n-len(s)))
}

// binaryOf returns n bytes of which no two stretches of 64 KiB are the same.
func binaryOf(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i) ^ byte(i>>8) ^ byte(i>>16)*7
	}
	return b
}
