package interop

import (
	"errors"
	"fmt"
	"strings"
	"sync"
)

// closings are closing handshakes.
// https://www.rfc-editor.org/rfc/rfc6455.html#section-7
var closings = append(closingsWith(
	closedBy(1000, ""),
	closedBy(1000, "bye"),
	closedBy(1001, "going away"),
	closedBy(1011, "internal error"),
	closedBy(3000, "library"),
	closedBy(4999, "z\u00df\u6c34\U0001f34c"),
	closedBy(noCode, ""),
	closedBy(4000, strings.Repeat("r", 120)+"\u6c34"), // 123 bytes, the most
), []conversation{
	{"close after messages by us", func(c *call) { c.closedAfter(fromUs) }},
	{"close after messages by them", func(c *call) { c.closedAfter(fromThem) }},
	{"close by both ends", func(c *call) {
		p := c.open(options{}, options{})
		var both sync.WaitGroup
		both.Go(func() { _ = p.ours.close(4001, "ours") })
		both.Go(func() { _ = p.theirs.close(4002, "theirs") })
		both.Wait()
		c.wantOneOf("we hear from them, or their answer", p.ours,
			closedBy(4002, "theirs"), closedBy(4001, ""), closedBy(4001, "ours"))
		if !c.library.closesAtOnce {
			c.wantOneOf("they hear from us, or our answer", p.theirs,
				closedBy(4001, "ours"), closedBy(4002, "theirs"), closedBy(4002, ""))
		}
	}},
	{"drop by us after their close", func(c *call) {
		p := c.open(options{}, options{})
		c.must("close", p.theirs.close(4000, ""))
		c.wantEvent("we hear their code", p.ours, closedBy(4000, ""))
		p.ours.drop()
		if !c.library.closesAtOnce {
			c.wantCode("they hear our answer all the same", p.theirs, 4000)
		}
	}},
	{"drop by us", func(c *call) {
		p := c.open(options{}, options{})
		p.ours.drop()
		c.wantEvent("they hear no Close frame", p.theirs, closedWithout)
		c.wantEvent("nor do we", p.ours, closedWithout)
	}},
	{"drop by them", func(c *call) {
		p := c.open(options{}, options{})
		p.theirs.drop()
		c.wantEvent("we hear no Close frame", p.ours, closedWithout)
	}},
	{"drop by them inside a message", func(c *call) {
		p := c.open(options{frameSize: 4}, options{frameSize: 4})
		err := p.theirs.sendFragments(c.ctx, text, []byte("each four bytes!"), 4, func() error {
			p.theirs.drop()
			return nil
		})
		if errors.Is(err, errCannot) {
			c.must("drop between fragments", err)
		}
		c.wantEvent("half a message is none", p.ours, closedWithout)
	}},
	{"reset of the transport", func(c *call) {
		s := c.serve(options{}, nil)
		r, url := c.relay(s)
		p := c.join(s, url, options{})
		for _, way := range p.ways() {
			c.must("send", way.from.send(c.ctx, text, []byte("open")))
			c.wantMessage(way.name, way.to, text, []byte("open"))
		}
		r.Reset()
		c.wantEvent("we hear no Close frame", p.ours, closedWithout)
		c.wantEvent("nor do they", p.theirs, closedWithout)
	}},
}...)

// closingsWith are conversations in which either end closes.
func closingsWith(closes ...event) (list []conversation) {
	for _, ev := range closes {
		name := fmt.Sprint(ev.code)
		switch {
		case ev.code == noCode:
			name = "no code"
		case len(ev.reason) == 123:
			name += " and the longest reason"
		case ev.reason != "":
			name += " and a reason"
		}
		list = append(list,
			conversation{"close with " + name + " by us", func(c *call) { c.closedByUs(ev) }},
			conversation{"close with " + name + " by them", func(c *call) { c.closedByThem(ev) }})
	}
	return list
}

func (c *call) closedByUs(ev event) {
	c.Helper()
	p := c.open(options{}, options{})
	c.must("close", p.ours.close(ev.code, ev.reason))
	c.wantEvent("they hear our code and reason", p.theirs, closedBy(c.library.reports(ev.code), ev.reason))
	c.wantEvent("we hear their answer", p.ours, closedBy(c.library.answer(ev.code, ev.reason)))
}

func (c *call) closedByThem(ev event) {
	c.Helper()
	p := c.open(options{}, options{})
	c.must("close", p.theirs.close(ev.code, ev.reason))
	c.wantEvent("we hear their code and reason", p.ours, ev)
	switch {
	case c.library.closesAtOnce && ev.code != noCode:
	case c.library.hidesReason:
		c.wantCode("they hear our answer, which has the same code", p.theirs, ev.code)
	default:
		ev.code = c.library.reports(ev.code)
		c.wantEvent("they hear our answer, which is the same", p.theirs, ev)
	}
}

// closedAfter closes right after messages, which must not be lost.
func (c *call) closedAfter(e end) {
	c.Helper()
	p := c.open(options{}, options{})
	from, to := e.of(p)
	payload := binaryOf(10_000)
	for range 50 {
		c.must("send", from.send(c.ctx, binary, payload))
	}
	c.must("close", from.close(4000, "done"))
	for range 50 {
		c.wantMessage("what was sent before the Close frame arrives", to, binary, payload)
	}
	c.wantEvent("and then the Close frame", to, closedBy(4000, "done"))
}

// reports is what the library says of a Close frame's code.
func (w *ways) reports(code int) int {
	if code == noCode && w.noCodeIsZero {
		return 0
	}
	return code
}

// answer is the code and the reason of its answer to a Close frame.
func (w *ways) answer(code int, reason string) (int, string) {
	if w.answers != nil {
		return w.answers(code, reason)
	}
	return code, ""
}

func (c *call) wantOneOf(sentence string, at conn, want ...event) {
	c.Helper()
	got, err := at.received().next(c.ctx)
	if err != nil {
		c.Fatalf("%s: got nothing, want one of %v: %v", sentence, want, err)
	}
	for _, ev := range want {
		if got.equal(ev) {
			return
		}
	}
	c.Fatalf("%s:\n got %v\nwant one of %v", sentence, got, want)
}
