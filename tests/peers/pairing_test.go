package peers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wasock/wasock/host"
)

// patience is how long one conversation may take, and how long an end may take to
// say how its connection ended. It is far above what any does.
const patience = 30 * time.Second

// A pairing is a peer, what we are to it, and what carries the connections.
type pairing struct {
	row string
	column
}

// known are the conversations that fail, with the reason. The key is the pairing's
// row and the conversation, in all columns, and where it deflates too. One that passes
// all the same is a failure.
var known = map[string]string{
	"hypercorn: client: the client closes with 1000": hypercornCode,
	"hypercorn: client: the client closes with 4000": hypercornCode,

	"ws, deflate settings: client: 9 bits for us, 12 for them: messages where nothing was agreed to": "ws 8.23 answers an offer that it declines with 400 (websocket-server.js)",

	"deno: server: the server ends abruptly": "Deno 2.9 has 0 for the close event's code, not 1006",
}

const hypercornCode = "hypercorn 0.18 tells its application 1006 whatever the Close frame holds (ws_stream.py)"

// errCannot is the error of what a peer has no way to do. The reason is in front.
var errCannot = errors.New("the peer has no way to do this")

func cannot(reason string) error { return fmt.Errorf("%s: %w", reason, errCannot) }

// settle makes a test of what became of a conversation.
func (p pairing) settle(t *testing.T, conversation string, err error) {
	t.Helper()
	t.Run(strings.ReplaceAll(conversation, " ", "_"), func(t *testing.T) {
		t.Helper()
		reason, isKnown := known[p.row+": "+conversation]
		if !isKnown {
			reason, isKnown = known[strings.Replace(p.row, ", deflate:", ":", 1)+": "+conversation]
		}
		switch {
		case errors.Is(err, errCannot):
			results.record(p.row, p.column, func(n *tally) { n.cannot++ })
			results.cannot(p.row, conversation, strings.TrimSuffix(err.Error(), ": "+errCannot.Error()))
			t.Skip(err)
		case isKnown && err == nil:
			results.record(p.row, p.column, func(n *tally) { n.failed++ })
			t.Errorf("it is in the list of what fails (%s), and passes: take it off", reason)
		case isKnown:
			results.record(p.row, p.column, func(n *tally) { n.known++ })
			t.Skipf("known: %s: %v", reason, err)
		case err != nil:
			results.record(p.row, p.column, func(n *tally) { n.failed++ })
			t.Error(err)
		default:
			results.record(p.row, p.column, func(n *tally) { n.ok++ })
		}
	})
}

// An ending is how a server's connection ended, as the server says it.
type ending struct {
	Conversation string
	HTTPVersion  string // "1.1" or "2"
	Code         int    // of the client's Close frame; 1005 if it had none, 1006 without one
	Reason       string
	Problem      string // what the server misses, or ""
}

// endings are those that a server has told, by conversation.
type endings struct {
	mu sync.Mutex
	of map[string]chan ending
}

func (e *endings) at(conversation string) chan ending {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.of == nil {
		e.of = make(map[string]chan ending)
	}
	const most = 16 // connections of a conversation
	if e.of[conversation] == nil {
		e.of[conversation] = make(chan ending, most)
	}
	return e.of[conversation]
}

func (e *endings) tell(end ending) {
	select {
	case e.at(end.Conversation) <- end:
	default: // nobody asks for so many
	}
}

// wait waits for the ending of a conversation's connection.
func (e *endings) wait(ctx context.Context, conversation string) (ending, error) {
	select {
	case end := <-e.at(conversation):
		return end, nil
	case <-ctx.Done():
		return ending{}, fmt.Errorf("the server does not say how the connection ended: %w", ctx.Err())
	}
}

// follow tells the endings that a process prints as lines of JSON.
func (e *endings) follow(p *process) {
	for line := range p.lines {
		var end ending
		if json.Unmarshal([]byte(line), &end) == nil && end.Conversation != "" {
			e.tell(end)
		}
	}
}

// check checks an ending against what a conversation's client did.
func (end ending) check(conversation string, v host.HTTPVersion) error {
	if want := map[host.HTTPVersion]string{host.HTTP1: "1.1", host.HTTP2: "2"}[v]; end.HTTPVersion != want {
		return fmt.Errorf("the server says that it was HTTP/%s, want HTTP/%s", end.HTTPVersion, want)
	}
	if end.Problem != "" {
		return fmt.Errorf("the server: %s", end.Problem)
	}
	want, ok := clientsEnd[conversation]
	if ok && (end.Code != want.Code || end.Reason != want.Reason) {
		return fmt.Errorf("the server learns how the client ends:\n got %d %q\nwant %d %q", end.Code, end.Reason, want.Code, want.Reason)
	}
	return nil
}

// Conversations that are not of one connection.
const (
	tenAtOnce = "ten at once"
	refused   = "refused with 404"
)

// connectionsOf returns how many connections a conversation has.
func connectionsOf(conversation string) int {
	switch conversation {
	case tenAtOnce:
		return 10
	case refused:
		return 0
	}
	return 1
}

// check waits for the endings of a conversation's connections, and checks them.
func (e *endings) check(ctx context.Context, conversation string, v host.HTTPVersion) error {
	for range connectionsOf(conversation) {
		end, err := e.wait(ctx, conversation)
		if err == nil {
			err = end.check(conversation, v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// clientsEnd is how the client ends a conversation, where that is its point.
var clientsEnd = map[string]ending{
	"the client closes with 1000":     {Code: 1000, Reason: "done"},
	"the Close frame ends the stream": {Code: 1000},
	"the client closes with 4000":     {Code: 4000, Reason: "ende \u00df\u6c34"},
	"the client ends abruptly":        {Code: 1006},
}
