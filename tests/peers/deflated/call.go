// Package deflated holds conversations over permessage-deflate between an end of ours
// and one that sends each message back. A relay in between shows what passed, so that
// a conversation fails where messages arrive but were not compressed, or were not as
// it was agreed. RFC 7692.
package deflated

import (
	"bytes"
	"context"
	"fmt"
	"runtime"

	"github.com/wasock/wasock/tests/peers/relay"
)

// An End is one end of a connection, ours. Of the two goroutines that use it one
// sends, the other calls Next.
type End interface {
	// Extensions returns what it says was agreed to.
	Extensions() string

	// Send sends a message in one frame. It is compressed unless it is empty.
	Send(ctx context.Context, text bool, p []byte) error

	// SendPlain is Send without compression.
	SendPlain(ctx context.Context, text bool, p []byte) error

	// SendFragments sends a message in frames of size bytes before compression, and
	// calls between, if it is not nil, between them. It reports false if the end has
	// no way to do that, and has then sent nothing.
	SendFragments(ctx context.Context, text bool, p []byte, size int, between func() error) (bool, error)

	// Ping sends a Ping and waits for its Pong.
	Ping(ctx context.Context) error

	// Next waits for a message.
	Next(ctx context.Context) (text bool, p []byte, err error)
}

// A Manner is how the other end sends messages back.
type Manner string

const (
	Whole     Manner = "whole"     // in one frame
	Fragments Manner = "fragments" // in fragments
	Pings     Manner = "pings"     // whole, each after a Ping
	Between   Manner = "between"   // in larger fragments with Pings between them
	InTurn    Manner = "in-turn"   // whole; the first, the third and so on without compression
	AsText    Manner = "as-text"   // whole, as text whatever it is
)

// FragmentSize returns of how many bytes a fragment is before compression, or about
// that; 0 for messages that are whole.
func (m Manner) FragmentSize() int {
	switch m {
	case Fragments:
		return 1000
	case Between:
		return 5000
	}
	return 0
}

// A Conversation is what the ends say to each other.
type Conversation struct {
	Name   string
	Manner Manner
	hold   func(c *Call)
}

// A Call is what a conversation is held with. Our end has a compressor for Out, the
// other for In.
type Call struct {
	Out, In Compressor

	ours           End
	sent, received *relay.Wire // by us
	agreed         *Agreement
	response       *relay.Wire // has the server's
	ctx            context.Context
	err            error
}

// OfClient returns a Call where our end is a client's. agreed is nil where nothing is.
func OfClient(ours End, agreed *Agreement, l *relay.Link) *Call {
	c := &Call{ours: ours, sent: &l.ToServer, received: &l.ToClient, agreed: agreed, response: &l.ToClient}
	if agreed != nil {
		c.Out, c.In = agreed.Client, agreed.Server
	}
	return c
}

// OfServer is OfClient where our end is a server's.
func OfServer(ours End, agreed *Agreement, l *relay.Link) *Call {
	c := &Call{ours: ours, sent: &l.ToClient, received: &l.ToServer, agreed: agreed, response: &l.ToClient}
	if agreed != nil {
		c.Out, c.In = agreed.Server, agreed.Client
	}
	return c
}

// Hold holds a conversation, and returns what is wrong with it or with what the
// response said was agreed to.
func (c *Call) Hold(ctx context.Context, conv Conversation) error {
	if err := c.agreed.saidBy("our end", c.ours.Extensions()); err != nil {
		return err
	}
	c.ctx = ctx
	held := make(chan struct{})
	go func() { // which fail ends
		defer close(held)
		conv.hold(c)
	}()
	<-held
	if c.err != nil {
		return c.err
	}
	return c.agreed.saidBy("the response", c.response.Header().Get("Sec-WebSocket-Extensions"))
}

// fail ends the conversation.
func (c *Call) fail(format string, args ...any) {
	c.err = fmt.Errorf(format, args...)
	runtime.Goexit()
}

func (c *Call) must(sentence string, err error) {
	if err != nil {
		c.fail("%s: %w", sentence, err)
	}
}

// echoed sends a message and wants it back.
func (c *Call) echoed(text bool, p []byte) {
	c.must("send", c.ours.Send(c.ctx, text, p))
	c.wantMessage(text, p)
}

func (c *Call) wantMessage(text bool, want []byte) {
	gotText, got, err := c.ours.Next(c.ctx)
	c.must("what was sent comes back", err)
	if gotText == text && bytes.Equal(got, want) {
		return
	}
	i := 0
	for i < min(len(got), len(want)) && got[i] == want[i] {
		i++
	}
	c.fail("what was sent comes back: got %d bytes, text %t, want %d, text %t; at byte %d got % .16x, want % .16x",
		len(got), gotText, len(want), text, i, got[i:], want[i:])
}

// passed returns how the messages passed in each direction since it was asked last,
// and wants as many in each.
func (c *Call) passed(count int) (sent, received []relay.Message) {
	sent, err := c.sent.Messages()
	c.must("what we send", err)
	received, err = c.received.Messages()
	c.must("what they send", err)
	if len(sent) != count || len(received) != count {
		c.fail("each message passes once each way: got %d and %d, want %d", len(sent), len(received), count)
	}
	return sent, received
}

// wantCompressed wants that many messages to have passed each way, and every one of
// them compressed. It returns their bytes on the wire.
func (c *Call) wantCompressed(count int) (sent, received int) {
	out, in := c.passed(count)
	return c.sizeOf("we send", out), c.sizeOf("they send", in)
}

func (c *Call) sizeOf(who string, messages []relay.Message) (size int) {
	for i, m := range messages {
		if !m.Compressed {
			c.fail("what %s is compressed: message %d of %d is not: %+v", who, i+1, len(messages), m)
		}
		size += m.Size
	}
	return size
}

// wantAtMost wants a size on the wire that is at most a share, in percent, of what the
// messages are.
func (c *Call) wantAtMost(sentence string, got, percent, of int) {
	if got*100 > of*percent {
		c.fail("%s: got %d bytes of %d, want at most %d %%", sentence, got, of, percent)
	}
}

func (c *Call) wantAtLeast(sentence string, got, percent, of int) {
	if got*100 < of*percent {
		c.fail("%s: got %d bytes of %d, want at least %d %%", sentence, got, of, percent)
	}
}
