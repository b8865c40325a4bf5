package tests

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/wasock/wasock/hostcalls"
)

// wantTimer fails the test unless the last timer_set since the test asked last
// was for an instant after the embedding's start.
func (e *embedding) wantTimer(what string, want time.Duration) {
	e.Helper()
	if len(e.timers) == 0 {
		e.Errorf("%s: no timer was set, want %v", what, want)
	} else if got := time.Duration(e.timers[len(e.timers)-1]); got != want {
		e.Errorf("%s: the timer is set for %v, want %v", what, got, want)
	}
	e.timers = nil
}

// ABI.md §6: a timer that fires early is harmless, and one that fired is gone. So
// the engine sets it again while it needs one.
func TestTimerIsSetAgainAfterItFired(t *testing.T) {
	e := newEmbedding(t, compiledEngine)
	h := e.accept(serverAccept())
	e.wantTimer("opened at 1 s, a Ping falls due half of 30 s later", 16*time.Second)
	e.pass(10 * time.Second)
	e.receive(h, 0, client.frame(0x81, "Hello"))
	e.pass(5 * time.Second)
	e.events(h, 0, e.export("conn_timeout", h, 0, 0, e.now))
	e.wantTimer("data came at 11 s, so the timer of 16 s was early", 26*time.Second)
	e.pass(10 * time.Second)
	e.events(h, 0, e.export("conn_timeout", h, 0, 1, e.now))
	e.wantTimer("the receiver had paused until 26 s", 41*time.Second)
}

// While there is no credit there is no idle timeout; with the credit it begins
// anew.
func TestTimerIsSetWhenCreditReturns(t *testing.T) {
	e := newEmbedding(t, compiledEngine)
	h := e.accept(serverAccept())
	e.events(h, 0, e.export("conn_credit", h, 0, 0, e.now))
	e.pass(15 * time.Second)
	e.timers = nil
	e.events(h, 0, e.export("conn_timeout", h, 0, 0, e.now))
	if len(e.timers) > 0 {
		t.Errorf("without credit timers are set for %v", e.timers)
	}
	e.events(h, 0, e.export("conn_credit", h, 0, 1, e.now))
	e.wantTimer("credit came at 16 s", 31*time.Second)
}

// Without answer to the Ping the connection ends, and each step sets the timer.
func TestIdleTimeoutStepByStep(t *testing.T) {
	e := newEmbedding(t, compiledEngine)
	h := e.accept(serverAccept())
	e.wantTimer("opened at 1 s", 16*time.Second)
	e.pass(15 * time.Second)
	e.events(h, 0, e.export("conn_timeout", h, 0, 0, e.now))
	e.wantTimer("a Ping was sent at 16 s", 31*time.Second)
	if got := e.takeOut(); !bytes.Equal(got, server.frame(0x89, "")) {
		t.Errorf("the Ping is % x", got)
	}
	e.pass(15 * time.Second)
	got := e.events(h, 0, e.export("conn_timeout", h, 0, 0, e.now))
	e.wantTimer("the end, and 5 s for the peer to close", 36*time.Second)
	if len(got) != 2 || !slices.Equal(e.closes, []uint32{hostcalls.CloseWrite}) {
		t.Errorf("the events are %q, stream_close was called with %d", got, e.closes)
	}
}

// In the middle of a frame nothing can be sent: the timer is not set for the past
// over and over, and what is due follows the frame.
func TestPingAndPongWaitForTheFrameInProgress(t *testing.T) {
	e := newEmbedding(t, compiledEngine)
	h := e.accept(serverAccept())
	e.send(h, sendRecord(hostcalls.OpBinary, hostcalls.SendFIN, "a", 2))
	e.takeOut()
	e.pass(15 * time.Second)
	e.timers = nil
	e.events(h, 0, e.export("conn_timeout", h, 0, 0, e.now))
	for _, deadline := range e.timers {
		if deadline <= e.now {
			t.Errorf("at %v the timer is set for %v", time.Duration(e.now), time.Duration(deadline))
		}
	}
	e.receive(h, 0, client.frame(0x89, "ping"))
	if got := e.takeOut(); len(got) > 0 {
		t.Errorf("% x was sent in the middle of a frame", got)
	}
	e.send(h, sendRecord(hostcalls.OpBinary, hostcalls.SendFIN|hostcalls.SendPart, "b", 2))
	e.send(h, sendRecord(hostcalls.OpBinary, hostcalls.SendFIN, "c"))
	if got, want := e.takeOut(), server.frame(0x8a, "ping"); !bytes.Contains(got, want) {
		t.Errorf("after the frame % x was sent, want the Pong % x in it", got, want)
	}
}

// Less than 0 is no limit, which is the state at first.
func TestCreditWithoutLimit(t *testing.T) {
	e := newEmbedding(t, compiledEngine)
	h := e.accept(serverAccept())
	e.events(h, 0, e.export("conn_credit", h, 0, 0, e.now))
	in := client.frame(0x82, "Hello")
	if got := e.receive(h, 0, in); len(got) != 0 || e.unread(0) != 5 {
		t.Errorf("without credit the events are %q, unread %d", got, e.unread(0))
	}
	e.events(h, 0, e.export("conn_credit", h, 0, -1, e.now))
	if got := e.receive(h, 0, in[len(in)-5:]); !slices.Equal(got, []string{`binary first last rest 0, "Hello"`}) || e.unread(0) != 0 {
		t.Errorf("with credit -1 the events are %q, unread %d", got, e.unread(0))
	}
}

// The payload of an event is valid until the next call, not until the next event.
func TestControlFramesThatAreCutKeepTheirPayloads(t *testing.T) {
	e := newEmbedding(t, compiledEngine)
	h := e.accept(serverAccept())
	in := join(client.frame(0x8a, "AAAAAAAA"), client.frame(0x8a, "BBBBBBBB"))
	e.receive(h, 0, in[:10])
	got := e.receive(h, 0, in[10:24])
	if want := []string{`pong first last rest 0, "AAAAAAAA"`}; !slices.Equal(got, want) {
		t.Errorf("the events are %q, want %q", got, want)
	}
}

// Connection has no place in an answer over HTTP/2. RFC 9113 §8.2.2.
func TestRefusalOverHTTP2(t *testing.T) {
	e := newEmbedding(t, compiledEngine)
	a := serverAccept()
	a.Method, a.Major, a.Minor = []byte("CONNECT"), 2, 0
	a.Fields = hostcalls.AppendField(nil, ":protocol", "websocket")
	if h := e.accept(a); h != int64(hostcalls.EPROTO.Ret()) {
		t.Fatalf("conn_accept returns %d, want EPROTO", h)
	}
	r, _, err := hostcalls.ConsumeResponse(e.read(e.tx(0), 4096))
	if err != nil {
		t.Fatal(err)
	}
	for b := r.Fields; len(b) > 0; {
		name, value, rest, err := hostcalls.ConsumeField(b)
		if err != nil {
			t.Fatal(err)
		}
		if string(name) == "Connection" || string(name) == "Upgrade" || !bytes.Equal(name, bytes.ToLower(name)) {
			t.Errorf("over HTTP/2 the response has the field %s: %s", name, value)
		}
		b = rest
	}
}
