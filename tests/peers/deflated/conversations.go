package deflated

import (
	"bytes"
	"fmt"
)

// Telling are those conversations that differ by what was agreed to.
var Telling = []Conversation{
	{"small messages that are alike", Whole, smallMessages},
	{"the window is used, and no more", Whole, window},
	{"the context is taken over, or not", Whole, takeover},
}

// Conversations are all that is said where compression was agreed to. Each has a
// connection of its own.
var Conversations = append(Telling, []Conversation{
	{"as many at once", Whole, manyAtOnce},
	{"long and compressible", Whole, func(c *Call) {
		p := trades(200_000)
		c.echoed(true, p)
		sent, received := c.wantCompressed(1)
		c.wantAtMost("what we send becomes shorter", sent, 40, len(p))
		c.wantAtMost("what they send becomes shorter", received, 40, len(p))
	}},
	{"not compressible", Whole, func(c *Call) {
		p := noise(100_000)
		c.echoed(false, p)
		sent, received := c.wantCompressed(1)
		c.wantAtMost("what we send becomes hardly longer", sent, 101, len(p))
		c.wantAtMost("what they send becomes hardly longer", received, 101, len(p))
	}},
	{"empty messages", Whole, emptyMessages},
	{"characters of every length", Whole, func(c *Call) {
		p := words(50_000)
		c.echoed(true, p)
		sent, received := c.wantCompressed(1)
		c.wantAtMost("what we send becomes shorter", sent, 50, len(p))
		c.wantAtMost("what they send becomes shorter", received, 50, len(p))
	}},
	{"compressed fragments", Fragments, func(c *Call) { c.fragments(Fragments, true, prose(200_000), nil) }},
	{"pings between compressed fragments", Between, func(c *Call) {
		// Fewer than ControlLimit has room for, with the Pongs.
		const pings = 40
		c.fragments(Between, false, digits(2, pings*Between.FragmentSize()), func() error { return c.ours.Ping(c.ctx) })
	}},
	{"pings between messages", Pings, func(c *Call) {
		for i := range 10 {
			c.must("ping", c.ours.Ping(c.ctx))
			c.echoed(true, trade(i))
		}
		c.wantCompressed(10)
	}},
	{"compressed and plain in turn", InTurn, inTurn},
	{"a message that is much longer inflated", Whole, func(c *Call) {
		// Zeros become a thousandth, and RatioLimit is 100.
		c.must("send", c.ours.Send(c.ctx, false, make([]byte, 200_000)))
		c.wantFailed(1009)
	}},
	{"compressed text that is not UTF-8", AsText, func(c *Call) {
		c.must("send", c.ours.Send(c.ctx, false, append(trades(2000), 0xff)))
		c.wantFailed(1007)
	}},
}...)

// Declined is the conversation where nothing was agreed to.
var Declined = Conversation{"messages where nothing was agreed to", Whole, func(c *Call) {
	p := trades(10_000)
	c.echoed(true, p)
	sent, received := c.passed(1)
	if sent[0].Compressed || received[0].Compressed || sent[0].Size != len(p) || received[0].Size != len(p) {
		c.fail("messages pass as they are: got %+v and %+v, want %d bytes", sent[0], received[0], len(p))
	}
}}

// smallMessages is what compression is for: a message of a feed becomes shorter if the
// ones before may be referred to, and hardly if not.
func smallMessages(c *Call) {
	const count = 200
	size := 0
	for i := range count {
		c.echoed(true, trade(i))
		size += len(trade(i))
	}
	sent, received := c.wantCompressed(count)
	c.wantFeed("what we send", c.Out, sent, size)
	c.wantFeed("what they send", c.In, received, size)
}

func (c *Call) wantFeed(who string, by Compressor, got, size int) {
	switch {
	case !by.Takeover:
		c.wantAtLeast(who+" knows nothing of the messages before", got, 70, size)
	case by.Bits < 10: // a window is less than four messages
		c.wantAtMost(who+" refers to the messages before", got, 60, size)
	default:
		c.wantAtMost(who+" refers to the messages before", got, 50, size)
	}
}

// emptyMessages are sent as they are, and come back so or as a block of nothing.
func emptyMessages(c *Call) {
	for _, text := range []bool{true, false} {
		c.echoed(text, nil)
		if sent, _ := c.passed(1); sent[0].Compressed || sent[0].Size != 0 {
			c.fail("an empty message of ours is empty on the wire: got %+v", sent[0])
		}
		c.echoed(text, trade(0))
		c.wantCompressed(1)
	}
}

// manyAtOnce sends while what was sent before comes back.
func manyAtOnce(c *Call) {
	const count = 200
	feed := trades(count * 10)
	message := func(i int) []byte { return feed[:i*10] }
	failed := make(chan error, 1)
	go func() {
		for i := 1; i <= count; i++ {
			if err := c.ours.Send(c.ctx, true, message(i)); err != nil {
				failed <- err
				return
			}
		}
		failed <- nil
	}()
	for i := 1; i <= count; i++ {
		c.wantMessage(true, message(i))
	}
	c.must("send", <-failed)
	c.wantCompressed(count)
}

// fragments sends a message in fragments, if our end can, and has it back in some.
func (c *Call) fragments(manner Manner, text bool, p []byte, between func() error) {
	ok, err := c.ours.SendFragments(c.ctx, text, p, manner.FragmentSize(), between)
	c.must("send fragments", err)
	if !ok {
		c.must("send", c.ours.Send(c.ctx, text, p))
	}
	c.wantMessage(text, p)
	c.echoed(true, trade(1))
	sent, received := c.passed(2)
	c.sizeOf("we send", sent)
	c.sizeOf("they send", received)
	if ok && sent[0].Frames < 2 {
		c.fail("we send fragments: got %+v", sent[0])
	}
	if received[0].Frames < 2 {
		c.fail("they send fragments: got %+v", received[0])
	}
	if between == nil {
		return
	}
	if ok && sent[0].Controls == 0 {
		c.fail("our Pings are between our fragments: got %+v", sent[0])
	}
	if received[0].Controls == 0 {
		c.fail("their Pings are between their fragments: got %+v", received[0])
	}
}

// inTurn has every other message go without compression. It does not become a part of
// the window: RFC 7692 §7.2.3.2.
func inTurn(c *Call) {
	const count = 20
	for i := range count {
		send := c.ours.Send
		if i%2 == 0 {
			send = c.ours.SendPlain
		}
		c.must("send", send(c.ctx, true, trade(i)))
		c.wantMessage(true, trade(i))
	}
	sent, received := c.passed(count)
	for i := range count {
		if want := i%2 != 0; sent[i].Compressed != want || received[i].Compressed != want {
			c.fail("message %d is compressed or not, %t, in both directions: got %+v and %+v", i, want, sent[i], received[i])
		}
	}
}

// window sends what repeats inside the window, which must become short, and what
// repeats one byte beyond it, which must not: a decoder that holds no more than was
// agreed could not know it.
func window(c *Call) {
	const times = 8
	near := func(by Compressor) []byte {
		// zlib does not look back to the last 262 bytes of a window.
		return bytes.Repeat(digits(3, 1<<(by.Bits-1)-16), times)
	}
	far := func(by Compressor) []byte { return bytes.Repeat(digits(4, 1<<by.Bits+1), times) }

	p := near(c.Out)
	c.echoed(true, p)
	sent, _ := c.wantCompressed(1)
	c.wantAtMost("we refer to what is inside our window", sent, 30, len(p))
	p = far(c.Out)
	c.echoed(true, p)
	sent, _ = c.wantCompressed(1)
	c.wantAtLeast(fmt.Sprintf("we do not refer beyond %d bits", c.Out.Bits), sent, 40, len(p))

	p = near(c.In)
	c.echoed(true, p)
	_, received := c.wantCompressed(1)
	c.wantAtMost("they refer to what is inside their window", received, 30, len(p))
	p = far(c.In)
	c.echoed(true, p)
	_, received = c.wantCompressed(1)
	c.wantAtLeast(fmt.Sprintf("they do not refer beyond %d bits", c.In.Bits), received, 40, len(p))
}

// takeover sends a message twice.
func takeover(c *Call) {
	for i, by := range []Compressor{c.Out, c.In} {
		p := digits(uint64(5+i), 1<<(by.Bits-1)-16)
		c.echoed(true, p)
		c.wantCompressed(1)
		c.echoed(true, p)
		sent, received := c.wantCompressed(1)
		who, got := "ours", sent
		if i == 1 {
			who, got = "theirs", received
		}
		if by.Takeover {
			c.wantAtMost(who+" refers to the message before", got, 20, len(p))
		} else {
			c.wantAtLeast(who+" does not refer to the message before", got, 40, len(p))
		}
	}
}

// wantFailed wants our end to fail the connection with code for what comes back.
func (c *Call) wantFailed(code int) {
	if text, p, err := c.ours.Next(c.ctx); err == nil {
		c.fail("the connection fails: got a message of %d bytes, text %t", len(p), text)
	}
	got, err := c.sent.CloseCode(c.ctx)
	c.must("they are told why", err)
	if got != code {
		c.fail("they are told why: got %d, want %d", got, code)
	}
}
