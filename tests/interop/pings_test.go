package interop

import "strings"

// pings are Pings of either end.
// https://www.rfc-editor.org/rfc/rfc6455.html#section-5.5.2
var pings = []conversation{
	{"a ping from us", func(c *call) { c.pinged(fromUs, "ping") }},
	{"a ping from them", func(c *call) { c.pinged(fromThem, "ping") }},
	{"an empty ping from us", func(c *call) { c.pinged(fromUs, "") }},
	{"an empty ping from them", func(c *call) { c.pinged(fromThem, "") }},
	{"the longest ping from us", func(c *call) { c.pinged(fromUs, strings.Repeat("p", 125)) }},
	{"the longest ping from them", func(c *call) { c.pinged(fromThem, strings.Repeat("p", 125)) }},
	{"pings between messages", func(c *call) {
		p := c.open(options{}, options{})
		for _, way := range p.ways() {
			for range 10 {
				c.must("send", way.from.send(c.ctx, text, []byte("message")))
				c.must("ping", way.from.ping(c.ctx, []byte("ping")))
				c.must("ping", way.to.ping(c.ctx, []byte("ping back")))
				c.wantMessage(way.name, way.to, text, []byte("message"))
			}
		}
	}},
}

// pinged has one end ping the other, twice.
func (c *call) pinged(e end, payload string) {
	c.Helper()
	p := c.open(options{}, options{})
	from, to := e.of(p)
	for range 2 {
		c.must("the Pong echoes the Ping's application data", from.ping(c.ctx, []byte(payload)))
	}
	if e == fromThem {
		return // we do not show Pings to the application
	}
	got := string(<-to.received().pings)
	if w, ok := from.(*wasockConn); ok && !w.events {
		want(c, "a Ping of ours carries its number", len(got), 8)
		return
	}
	want(c, "the Ping carries what we gave", got, payload)
}
