package interop

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/tests/peers/deflated"
	"github.com/wasock/wasock/tests/peers/relay"
)

// compression is what a library does of permessage-deflate. RFC 7692.
type compression struct {
	settings []setting
	lacks    []string // what it has no setting for, with the reason

	// fails says why a conversation of package deflated fails because of the library,
	// whose compressor may do that, or "". One that passes all the same is a failure.
	fails func(conversation string, theirs deflated.Compressor) string
}

// A setting is the most that each end is willing to do, and what they agree to, as
// the response says it: where we dial, and where we accept. notObeyed is for a server
// of theirs that accepts an offer and does not say that it does what it asks for.
type setting struct {
	name              string
	ours, theirs      *deflated.Agreement
	dialled, accepted string
	held              []deflated.Conversation // where something is agreed to
}

var (
	every   = deflated.Conversations
	telling = deflated.Telling
)

const (
	notObeyed  = "not obeyed"
	noTakeover = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
)

// upTo is the same in both directions.
func upTo(takeover bool, bits int) *deflated.Agreement {
	c := deflated.Compressor{Takeover: takeover, Bits: bits}
	return &deflated.Agreement{Client: c, Server: c}
}

// agreed is what is agreed to in a role of ours.
func (s setting) agreed(r role) string {
	if r.server {
		return s.accepted
	}
	return s.dialled
}

const refusedAnswer = "an answer that does not obey is refused"

// TestCompression holds the conversations of package deflated with every setting. They
// go without TLS, so that the relay sees frames.
func TestCompression(t *testing.T) {
	startHost(t)
	m := matrix{number: "settings that passed", conversations: []string{refusedAnswer, deflated.Declined.Name}}
	for _, conv := range deflated.Conversations {
		m.conversations = append(m.conversations, conv.Name)
	}
	for _, lib := range libraries {
		for _, what := range lib.lacks {
			m.note(lib.name + ": has no " + what)
		}
		t.Run(lib.name, func(t *testing.T) {
			for _, r := range roles {
				t.Run(r.name, func(t *testing.T) {
					for _, s := range lib.settings {
						t.Run(strings.ReplaceAll(s.name, " ", "_"), func(t *testing.T) { holdDeflated(t, &m, lib, r, s) })
					}
				})
			}
		})
	}
	if testing.Verbose() {
		t.Log("\n" + m.String())
	}
}

// holdDeflated holds what a setting leads to.
func holdDeflated(t *testing.T, m *matrix, lib library, r role, s setting) {
	hold := func(name string, f func(c *call)) {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			t.Cleanup(func() { m.record(name, lib.name, r.name, t) })
			f(newCall(t, lib, r, "ws"))
		})
	}
	switch s.agreed(r) {
	case notObeyed:
		hold(refusedAnswer, func(c *call) { c.refusesAnswer(s) })
	case "":
		hold(deflated.Declined.Name, func(c *call) { c.deflated(m, s, deflated.Declined) })
	default:
		for _, conv := range s.held {
			hold(conv.Name, func(c *call) { c.deflated(m, s, conv) })
		}
	}
}

// deflatedParts is more than the fragments that a library makes of one of ours: coder
// one of each 240 bytes that compress/flate writes.
const deflatedParts = 4000

// openDeflated opens a connection through a relay.
func (c *call) openDeflated(s setting, manner deflated.Manner) (*pair, *relay.Link) {
	c.Helper()
	ours, theirs := options{deflate: s.ours}, options{deflate: s.theirs}
	if size := manner.FragmentSize(); size > 0 {
		ours.frameSize, theirs.frameSize = size, size
		ours.partLimit = deflatedParts
	}
	client, server := c.byRole(ours, theirs)
	srv := c.serve(server, nil)
	r, url := c.relay(srv)
	p := c.join(srv, url, client)
	link := r.OfServer(p.request.RemoteAddr)
	if link == nil {
		c.Fatalf("the relay has no connection from %s", p.request.RemoteAddr)
	}
	return p, link
}

// deflated holds a conversation.
func (c *call) deflated(m *matrix, s setting, conv deflated.Conversation) {
	c.Helper()
	p, link := c.openDeflated(s, conv.Manner)
	agreed, err := deflated.Agreed(s.agreed(c.role))
	if err != nil {
		c.Fatal(err)
	}
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	echo := make(chan error, 1)
	go func() {
		err := echoDeflated(ctx, p.theirs, conv.Manner)
		if err != nil {
			cancel() // nothing more comes back
		}
		echo <- err
	}()
	of := deflated.OfClient
	if c.role.server {
		of = deflated.OfServer
	}
	dc := of(deflatedEnd{p.ours}, agreed, link)
	held := dc.Hold(ctx, conv)
	cancel()
	p.theirs.drop()
	echoed := <-echo
	known := ""
	if c.library.fails != nil {
		known = c.library.fails(conv.Name, dc.In)
	}
	switch {
	case errors.Is(echoed, errCannot):
		c.Skipf("%s: %v", conv.Name, echoed)
	case known != "" && held == nil:
		c.Errorf("it is known to fail (%s), and passes", known)
	case known != "":
		m.note(c.library.name + ": fails: " + conv.Name + ": " + known)
		c.Skipf("known: %s: %v", known, held)
	case held != nil:
		c.Fatalf("%v (their end: %v)", held, echoed)
	}
}

// echoDeflated sends messages back until the connection or ctx ends.
func echoDeflated(ctx context.Context, at conn, manner deflated.Manner) error {
	for i := 0; ; i++ {
		ev, err := at.received().next(ctx)
		if err != nil || ev.kind == closed {
			return nil
		}
		ping := func() error { return at.ping(ctx, []byte("between")) }
		switch manner {
		case deflated.Fragments:
			err = at.sendFragments(ctx, ev.kind, ev.payload, manner.FragmentSize(), nil)
		case deflated.Between:
			err = at.sendFragments(ctx, ev.kind, ev.payload, manner.FragmentSize(), ping)
		case deflated.Pings:
			if err = ping(); err == nil {
				err = at.send(ctx, ev.kind, ev.payload)
			}
		case deflated.AsText:
			err = at.send(ctx, text, ev.payload)
		case deflated.InTurn:
			send := at.sendPlain
			if i%2 != 0 {
				send = at.send
			}
			err = send(ctx, ev.kind, ev.payload)
		default:
			err = at.send(ctx, ev.kind, ev.payload)
		}
		if err != nil {
			return fmt.Errorf("send back: %w", err)
		}
	}
}

// refusesAnswer has them accept an offer in a way that it does not allow.
func (c *call) refusesAnswer(s setting) {
	c.Helper()
	srv := c.serve(options{deflate: s.theirs}, nil)
	conn, _, err := c.dialling().dial(c.ctx, srv.url, srv.roots, options{deflate: s.ours})
	var he *host.HandshakeError
	if !errors.As(err, &he) || he.Field != "Sec-WebSocket-Extensions" {
		c.Errorf("got connection %v and error %v, want a HandshakeError that names the field", conn, err)
	}
}

// deflatedEnd is our end for package deflated.
type deflatedEnd struct{ conn }

func (e deflatedEnd) Extensions() string { return e.conn.(*wasockConn).c.Extensions() }

func (e deflatedEnd) Send(ctx context.Context, isText bool, p []byte) error {
	return e.send(ctx, kindOf(isText), p)
}

func (e deflatedEnd) SendPlain(ctx context.Context, isText bool, p []byte) error {
	return e.sendPlain(ctx, kindOf(isText), p)
}

func (e deflatedEnd) SendFragments(ctx context.Context, isText bool, p []byte, size int, between func() error) (bool, error) {
	err := e.sendFragments(ctx, kindOf(isText), p, size, between)
	if errors.Is(err, errCannot) {
		return false, nil
	}
	return true, err
}

func (e deflatedEnd) Ping(ctx context.Context) error { return e.ping(ctx, []byte("our ping")) }

func (e deflatedEnd) Next(ctx context.Context) (isText bool, p []byte, err error) {
	ev, err := e.received().next(ctx)
	if err == nil && ev.kind == closed {
		err = fmt.Errorf("the connection ended: %v", ev)
	}
	return ev.kind == text, ev.payload, err
}

func kindOf(isText bool) kind {
	if isText {
		return text
	}
	return binary
}
