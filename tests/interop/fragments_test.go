package interop

// fragments are messages in more than one frame.
// https://www.rfc-editor.org/rfc/rfc6455.html#section-5.4
var fragments = []conversation{
	{"fragments from us", func(c *call) {
		c.fragmented(fromUs, text, []byte("a message in fragments of seven bytes"), 7)
	}},
	{"fragments from them", func(c *call) {
		c.fragmented(fromThem, text, []byte("a message in fragments of seven bytes"), 7)
	}},
	{"fragments inside characters from us", func(c *call) { c.fragmented(fromUs, text, textOf(100), 1) }},
	{"fragments inside characters from them", func(c *call) { c.fragmented(fromThem, text, textOf(100), 1) }},
	{"large fragments from us", func(c *call) { c.fragmented(fromUs, binary, binaryOf(1<<20+1), 1<<16) }},
	{"large fragments from them", func(c *call) { c.fragmented(fromThem, binary, binaryOf(1<<20+1), 1<<16) }},
	{"a ping of ours between our fragments", func(c *call) { c.pingBetween(fromUs, fromUs) }},
	{"a ping of theirs between our fragments", func(c *call) { c.pingBetween(fromUs, fromThem) }},
	{"a ping of ours between their fragments", func(c *call) { c.pingBetween(fromThem, fromUs) }},
	{"a ping of theirs between their fragments", func(c *call) { c.pingBetween(fromThem, fromThem) }},

	// That the frames are counted shows, too, that the library sends fragments.
	{"as many fragments as we allow", func(c *call) {
		p := c.open(options{partLimit: 4}, options{frameSize: 2})
		c.must("send", p.theirs.sendFragments(c.ctx, text, []byte("abcdef"), 2, nil))
		c.wantMessage("three fragments, and an empty one at most, are allowed", p.ours, text, []byte("abcdef"))
	}},
	{"more fragments than we allow", func(c *call) {
		p := c.open(options{partLimit: 4}, options{frameSize: 2})
		c.must("send", p.theirs.sendFragments(c.ctx, text, []byte("abcdefghij"), 2, nil))
		c.wantEvent("the fifth fragment fails the connection", p.ours, closedWithout)
		c.wantCode("and they are told so", p.theirs, 1008)
	}},
}

// An end is ours or theirs.
type end bool

const (
	fromUs   end = false
	fromThem end = true
)

// of returns the conn of this end and that of the other.
func (e end) of(p *pair) (this, other conn) {
	if e == fromThem {
		return p.theirs, p.ours
	}
	return p.ours, p.theirs
}

// fragmented sends a message in frames of size bytes, and one in one frame after
// it.
func (c *call) fragmented(e end, k kind, payload []byte, size int) {
	c.Helper()
	p := c.open(options{frameSize: size}, options{frameSize: size})
	from, to := e.of(p)
	c.must("send fragments", from.sendFragments(c.ctx, k, payload, size, nil))
	c.wantMessage("the fragments are one message", to, k, payload)
	c.must("send", from.send(c.ctx, text, []byte("after it")))
	c.wantMessage("a message follows it", to, text, []byte("after it"))
}

// pingBetween sends fragments, and has an end ping between them.
func (c *call) pingBetween(sender, pinger end) {
	c.Helper()
	p := c.open(options{frameSize: 4}, options{frameSize: 4})
	from, to := sender.of(p)
	this, _ := pinger.of(p)
	payload := []byte("each four bytes!")
	c.must("send fragments", from.sendFragments(c.ctx, binary, payload, 4, func() error {
		return this.ping(c.ctx, []byte("between"))
	}))
	c.wantMessage("the message is whole", to, binary, payload)
}
