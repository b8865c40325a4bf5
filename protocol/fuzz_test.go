package protocol

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzReceive: any bytes, in any cut, give the same joined events and the same
// output as when they come whole; a Conn never panics, always consumes its input,
// and never holds more than a few frames of output.
func FuzzReceive(f *testing.F) {
	for _, conversation := range conversations {
		for _, role := range []Role{Client, Server} {
			var wire []byte
			for _, frame := range conversation.frames {
				wire = append(wire, naiveFrame(Server-role, frame.b0, frame.payload)...)
			}
			f.Add(uint8(role), wire, []byte{3, 1, 4, 1, 5})
		}
	}
	f.Add(uint8(2), naiveFrame(Server, 0xc2, "\xffa\x03b"), []byte{1})
	f.Add(uint8(3), naiveFrame(Client, 0xc1, "\xffa\x01\xff"), []byte{2})
	f.Add(uint8(0), octets("82 7f | 7fffffffffffffff"), []byte{9})
	f.Add(uint8(1), octets("82 ff | 7fffffffffffffff | 37fa213d | 00"), []byte{9})
	f.Fuzz(func(t *testing.T, how uint8, wire, cuts []byte) {
		run := func(cuts []byte) (string, []byte) {
			role := Role(how & 1)
			var ext Extension
			if how&2 != 0 {
				ext = &fakeExtension{}
			}
			c := newExtendedConn(t, role, ext, scratch(16), func(cfg *Config) { cfg.MessageLimit = 1 << 10 })
			for b := wire; len(b) > 0; {
				n := len(b)
				if len(cuts) > 0 {
					n, cuts = min(n, int(cuts[0])), cuts[1:]
				}
				c.receiveBytes(b[:n])
				b = b[n:]
				if c.Buffered() > 0 {
					t.Fatalf("%d bytes of input are left though there is credit", c.Buffered())
				}
				if held := cap(c.out.b) + cap(c.out.pong) + cap(c.in.control); held > 32<<10 {
					t.Fatalf("%d bytes are held", held)
				}
			}
			c.receiveEOF()
			c.wantTransport("after the end the transport is closed", TransportClose)
			c.wantNoTimeout("and nothing due")
			if last := c.events[len(c.events)-1]; last.Close == nil || c.State() != StateClosed {
				t.Fatalf("the last event is %s in state %v, want the end", eventString(last), c.State())
			}
			return joined(c.events), c.sent
		}
		events, output := run(nil)
		e, o := run(cuts)
		if e != events || !bytes.Equal(o, output) {
			t.Fatalf("cut at %d\n got %s\nwant %s\nsent\n%swant\n%s", cuts, e, events, grouped(o), grouped(output))
		}
	})
}

// FuzzOpening: any head, in any cut, leads to the same end and the same output as
// when it comes whole, and never to a panic.
func FuzzOpening(f *testing.F) {
	f.Add(true, []byte(rfcRequest+"\x81\x80abcd"), []byte{1, 100})
	f.Add(false, []byte(rfcResponse+"\x81\x01a"), []byte{1, 100})
	f.Add(true, []byte("GET / HTTP/1.1\r\n\r\n"), []byte{17})
	f.Add(false, []byte("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"), []byte{})
	f.Fuzz(func(t *testing.T, server bool, wire, cuts []byte) {
		run := func(cuts []byte) (string, []byte) {
			role := Client
			if server {
				role = Server
			}
			c := newOpeningConn(t, role)
			c.SendRequest(0)
			for b := wire; len(b) > 0; {
				n := len(b)
				if len(cuts) > 0 {
					n, cuts = min(n, int(cuts[0])), cuts[1:]
				}
				c.receiveBytes(b[:n])
				b = b[n:]
				if c.State() == StateConnecting && c.Request() != nil {
					c.Accept(0, acceptChat)
					c.drain()
				}
			}
			c.receiveEOF()
			s := ""
			for _, ev := range c.events {
				if ev.Kind == KindOpen || ev.Kind == KindRequest {
					s += fmt.Sprintf("kind %d, ", ev.Kind)
				}
			}
			return s + joined(c.events), c.sent
		}
		events, output := run(nil)
		e, o := run(cuts)
		if e != events || !bytes.Equal(o, output) {
			t.Fatalf("cut at %d\n got %s, sent %q\nwant %s, sent %q", cuts, e, o, events, output)
		}
	})
}

// FuzzUTF8: a text is valid in any cut if and only if utf8.Valid says so of the
// whole, and a prefix fails if and only if nothing makes it valid.
func FuzzUTF8(f *testing.F) {
	for _, test := range utf8Vectors {
		f.Add([]byte(test.text), []byte{1, 2, 1})
	}
	f.Fuzz(func(t *testing.T, text, cuts []byte) {
		var u utf8Checker
		ok := true
		for b := text; len(b) > 0 && ok; {
			n := len(b)
			if len(cuts) > 0 {
				n, cuts = min(n, int(cuts[0])), cuts[1:]
			}
			ok = u.write(b[:n])
			b = b[n:]
			if prefix := text[:len(text)-len(b)]; ok != mayBecomeValid(prefix) {
				t.Fatalf("the prefix % x is accepted: %t", prefix, ok)
			}
		}
		if got, want := ok && u.complete(), utf8.Valid(text); got != want {
			t.Fatalf("% x: %t, want %t", text, got, want)
		}
	})
}

// mayBecomeValid reports, the long way round, whether b is the beginning of some
// valid text: all but up to three bytes are valid, and those begin a character.
func mayBecomeValid(b []byte) bool {
	for n := range min(len(b)+1, utf8.UTFMax) {
		whole, tail := b[:len(b)-n], b[len(b)-n:]
		if !utf8.Valid(whole) {
			continue
		}
		if n == 0 {
			return true
		}
		for _, first := range []byte{0x80, 0x90, 0xa0} { // a second byte that fits, if there is none
			char := append(slices.Clone(tail), first, 0x80, 0x80)
			for size := n + 1; size <= utf8.UTFMax; size++ {
				if utf8.Valid(char[:size]) {
					return true
				}
			}
		}
	}
	return false
}

// FuzzPair: whatever two ends do, over a transport that cuts and delays, each
// gets the other's messages intact and in order: all of them, if nobody closed.
func FuzzPair(f *testing.F) {
	f.Add([]byte{0, 5, 1, 9, 2, 200, 8, 3, 9, 1, 3, 0, 4, 7, 8, 255, 9, 255})
	f.Add([]byte{5, 40, 8, 2, 5, 41, 6, 3, 16, 4, 24, 4, 8, 1})
	f.Add([]byte{10, 0, 11, 9, 12, 8, 8, 255, 13, 3, 9, 255, 14, 60, 7, 0, 15, 0})
	f.Add([]byte{16, 90, 17, 3, 18, 200, 26, 1, 27, 1, 14, 20, 30, 20, 24, 200, 8, 200, 9, 9})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 1000 {
			return
		}
		p := newFuzzedPair(t)
		for len(script) >= 2 {
			p.do(script[0], script[1])
			script = script[2:]
		}
		p.finish()
	})
}

// A fuzzedPair is a pair with a model of what its ends should be told.
type fuzzedPair struct {
	t    *testing.T
	pair pair
	ends [2]fuzzedEnd // client, server
}

// A fuzzedEnd is an end with what it sent.
type fuzzedEnd struct {
	*testConn
	flying   []byte   // sent, and not received by the other end
	messages []string // sent whole
	partial  []byte   // of the message in progress
	op       Opcode   // of it, or 0
	blocked  bool
	left     int // bytes of the frame in progress that are not appended
	fin      bool
	closed   bool // somebody closed on purpose
}

func newFuzzedPair(t *testing.T) *fuzzedPair {
	limits := func(cfg *Config) { cfg.PartLimit, cfg.ControlLimit = 1<<20, 1<<20 }
	p := &fuzzedPair{t: t, pair: *newPair(t, limits)}
	p.ends[0].testConn, p.ends[1].testConn = p.pair.client, p.pair.server
	return p
}

// do is one step: which end and what it does, and how much.
func (p *fuzzedPair) do(what, amount byte) {
	end, other := &p.ends[what&1], &p.ends[1-what&1]
	payload := bytes.Repeat([]byte{'a' + amount%26}, int(amount)*int(amount)/16)
	switch what / 2 % 10 {
	case 0:
		end.message(OpText, payload, true)
	case 1:
		end.message(OpBinary, payload, true)
	case 2:
		end.message(OpText, payload, false)
	case 3:
		end.message(OpContinuation, payload, amount%2 == 0)
	case 4:
		p.deliver(end, other, int(amount)*8)
	case 5:
		if end.SendPing(payload[:min(len(payload), 125)]) == nil && end.left > 0 {
			p.t.Fatal("a Ping was sent inside a frame")
		}
	case 6:
		end.blocked = !end.blocked
		end.SetOutputBlocked(end.blocked)
	case 7:
		p.advance(time.Duration(amount) * 100 * time.Millisecond)
	case 8:
		end.part(amount)
	case 9:
		switch {
		case amount < 4:
			if end.Close(end.clock, CodeNormal, "") == nil {
				end.closed = true
			}
		case amount < 128:
			end.LimitCredit(end.clock, int64(amount-4))
		default:
			end.LimitCredit(end.clock, -1)
		}
	}
	p.collect()
}

// message sends the next part of a message and notes it.
func (e *fuzzedEnd) message(op Opcode, payload []byte, fin bool) {
	if e.SendMessage(op, payload, fin) == nil {
		e.sentPart(op, payload, fin)
	}
}

func (e *fuzzedEnd) sentPart(op Opcode, payload []byte, fin bool) {
	if op != OpContinuation {
		e.op, e.partial = op, nil
	}
	e.partial = append(e.partial, payload...)
	if fin {
		e.messages = append(e.messages, fmt.Sprintf("%v %q", e.op, e.partial))
	}
}

// part begins a frame by BeginFrame, or goes on with it.
func (e *fuzzedEnd) part(amount byte) {
	e.drain() // what is queued goes before the frame
	e.flying, e.sent = append(e.flying, e.sent...), nil
	if e.left == 0 {
		op := OpBinary
		if e.out.inMessage {
			op = OpContinuation
		}
		fin := amount%3 != 0
		b, err := e.BeginFrame(nil, op, fin, uint64(amount))
		if err != nil {
			return
		}
		e.flying = append(e.flying, b...)
		e.left, e.fin = int(amount), fin
		e.sentPart(op, nil, fin && amount == 0)
		return
	}
	payload := bytes.Repeat([]byte{'a' + amount%26}, min(e.left, int(amount)))
	b, err := e.AppendPart(nil, payload)
	if err != nil {
		return
	}
	e.flying = append(e.flying, b...)
	e.left -= len(payload)
	e.sentPart(OpContinuation, payload, e.fin && e.left == 0)
}

// collect takes what both ends have to send.
func (p *fuzzedPair) collect() {
	for i := range p.ends {
		e := &p.ends[i]
		e.drain()
		if len(e.sent) > 0 && e.left > 0 && e.State() == StateOpen {
			p.t.Fatalf("%v queued inside a frame:\n%s", e.Role(), grouped(e.sent))
		}
		e.flying, e.sent = append(e.flying, e.sent...), nil
	}
}

// deliver carries n bytes from from to to, if to takes any.
func (p *fuzzedPair) deliver(from, to *fuzzedEnd, n int) {
	if to.Buffered() > 0 {
		return
	}
	n = min(n, len(from.flying))
	to.receiveBytes(from.flying[:n])
	from.flying = from.flying[n:]
	if len(from.flying) == 0 && from.Transport() != TransportKeep {
		to.receiveEOF()
	}
}

func (p *fuzzedPair) advance(d time.Duration) {
	for i := range p.ends {
		p.ends[i].advance(d)
	}
	p.collect()
}

// finish lets everything arrive, and holds it to the model.
func (p *fuzzedPair) finish() {
	for i := range p.ends {
		e := &p.ends[i]
		e.SetOutputBlocked(false)
		e.LimitCredit(e.clock, -1)
		for e.left > 0 && e.State() == StateOpen {
			e.part(255)
		}
		if e.out.inMessage {
			e.message(OpContinuation, nil, true)
		}
	}
	p.collect()
	for range 10 {
		p.deliver(&p.ends[0], &p.ends[1], 1<<30)
		p.deliver(&p.ends[1], &p.ends[0], 1<<30)
		p.collect()
	}
	for i := range p.ends {
		from, to := &p.ends[i], &p.ends[1-i]
		var got []string
		var message []byte
		ended, idle := false, false
		for _, ev := range to.events {
			switch {
			case ended:
				p.t.Fatalf("%v is told %s after the end", to.Role(), eventString(ev))
			case ev.Close != nil:
				ended = true
			case ev.Err != nil:
				idle = true
				if ev.Err != errIdle && ev.Err != ErrUnexpectedEOF {
					p.t.Fatalf("%v failed: %v", to.Role(), ev.Err)
				}
			case ev.Kind == KindPong:
			default:
				if ev.First {
					message = nil
				}
				if message = append(message, ev.Payload...); ev.Last {
					got = append(got, fmt.Sprintf("%v %q", OpText+Opcode(ev.Kind), message))
				}
			}
		}
		if len(got) > len(from.messages) || !slices.Equal(got, from.messages[:len(got)]) {
			p.t.Fatalf("%v was told\n%.300v\nwant a beginning of\n%.300v", to.Role(), got, from.messages)
		}
		if !ended && !idle && len(got) < len(from.messages) {
			p.t.Fatalf("%v was told %d messages of %d though nobody closed", to.Role(), len(got), len(from.messages))
		}
		if ended != (to.State() == StateClosed) {
			p.t.Fatalf("%v was told of its end: %t, in state %v", to.Role(), ended, to.State())
		}
	}
}
