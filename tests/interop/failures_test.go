package interop

// failures are connections that one end fails.
// https://www.rfc-editor.org/rfc/rfc6455.html#section-7.1.7
var failures = []conversation{
	{"message as long as our limit", func(c *call) {
		p := c.open(options{readLimit: 1000}, options{})
		c.must("send", p.theirs.send(c.ctx, text, textOf(1000)))
		c.wantMessage("a message of the limit is taken", p.ours, text, textOf(1000))
	}},
	{"message as long as their limit", func(c *call) {
		p := c.open(options{}, options{readLimit: 1000})
		c.must("send", p.ours.send(c.ctx, text, textOf(1000)))
		c.wantMessage("a message of the limit is taken", p.theirs, text, textOf(1000))
	}},
	{"message over our limit", func(c *call) { c.overOurLimit(1001) }},
	{"message far over our limit", func(c *call) { c.overOurLimit(8 << 20) }},
	{"message over our limit in fragments", func(c *call) {
		p := c.open(options{readLimit: 1000}, options{frameSize: 300})
		c.must("send", p.theirs.sendFragments(c.ctx, text, textOf(1001), 300, nil))
		c.wantEvent("we fail the connection", p.ours, closedWithout)
		c.wantCode("they are told that it was too big", p.theirs, 1009)
	}},
	{"message over their limit", func(c *call) {
		p := c.open(options{}, options{readLimit: 1000})
		c.must("send", p.ours.send(c.ctx, text, textOf(1001)))
		c.wantCode("we are told that it was too big", p.ours, 1009)
	}},
	{"text that is not UTF-8", func(c *call) { c.notUTF8("\xff") }},
	{"text with a surrogate", func(c *call) { c.notUTF8("a\xed\xa0\x80") }},
	{"text with an overlong form", func(c *call) { c.notUTF8("a\xc0\xaf") }},
	{"text that ends inside a character", func(c *call) { c.notUTF8("a\xf0\x9f\x8d") }},
	{"text that is not UTF-8 in fragments", func(c *call) {
		p := c.open(options{}, options{frameSize: 2})
		// The library may find the connection failed before it has sent it all.
		_ = p.theirs.sendFragments(c.ctx, text, []byte("ab\xf0\x9f\x41\x8d"), 2, nil)
		c.wantEvent("we fail the connection", p.ours, closedWithout)
		c.wantCode("they are told that it was not UTF-8", p.theirs, 1007)
	}},
	{"close reason that is not UTF-8", func(c *call) {
		p := c.open(options{}, options{})
		c.must("close", p.theirs.close(1000, "a\xff"))
		c.wantEvent("we fail the connection", p.ours, closedWithout)
		if c.library.closesAtOnce {
			return
		}
		c.wantCode("they are told that it was not UTF-8", p.theirs, 1007)
	}},
	{"messages to an end that failed", func(c *call) {
		p := c.open(options{}, options{})
		c.must("send", p.theirs.send(c.ctx, text, []byte("\xff")))
		c.wantEvent("we fail the connection", p.ours, closedWithout)
		if err := p.ours.send(c.ctx, text, []byte("more")); err == nil {
			c.Error("a failed connection takes another message")
		}
	}},
}

// overOurLimit has them send a message that is too long for us. They may find the
// connection failed before they have sent it all, and must be told why even so.
func (c *call) overOurLimit(size int) {
	c.Helper()
	p := c.open(options{readLimit: 1000}, options{})
	_ = p.theirs.send(c.ctx, binary, binaryOf(size))
	c.wantEvent("we fail the connection", p.ours, closedWithout)
	c.wantCode("they are told that it was too big", p.theirs, 1009)
}

// notUTF8 has them send text that is not.
// https://www.rfc-editor.org/rfc/rfc6455.html#section-8.1
func (c *call) notUTF8(payload string) {
	c.Helper()
	p := c.open(options{}, options{})
	c.must("send", p.theirs.send(c.ctx, text, []byte(payload)))
	c.wantEvent("we fail the connection", p.ours, closedWithout)
	c.wantCode("they are told that it was not UTF-8", p.theirs, 1007)
}
