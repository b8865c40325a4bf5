package protocol

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// newDeflateConn returns an open end that agreed to p.
func newDeflateConn(t testing.TB, role Role, p deflateParams, o Compression, options ...func(*Config)) *testConn {
	t.Helper()
	coders := new(Coders)
	options = append([]func(*Config){scratch(1000), func(cfg *Config) { cfg.Coders = coders }}, options...)
	return newExtendedConn(t, role, newDeflate(role, p, o, coders), options...)
}

// The examples of RFC 7692 §7.2.3, as a peer may send them.
func TestDeflateReceives(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		for _, test := range []struct{ name, payload string }{
			{"§7.2.3.1, a compressed message", "\xf2\x48\xcd\xc9\xc9\x07\x00"},
			{"§7.2.3.3, a block without compression", "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"},
			{"§7.2.3.4, a block with BFINAL", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"},
			{"§7.2.3.5, two blocks", "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"},
		} {
			c := newDeflateConn(t, role, deflateParams{}, Compression{})
			c.receiveFrame(0xc1, test.payload)
			c.wantEvent(test.name, textEvent("Hello"))
			c.receiveFrame(0x81, "plain")
			c.wantEvent("a message may come as it is", textEvent("plain"))
			c.receiveFrame(0xc1, "\x00")
			c.wantEvent("an empty one is a byte", textEvent(""))
		}
		c := newDeflateConn(t, role, deflateParams{}, Compression{})
		c.receiveFrame(0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00")
		c.wantEvent("§7.2.3.2: with context takeover", textEvent("Hello"))
		c.receiveFrame(0xc1, "\xf2\x00\x11\x00\x00")
		c.wantEvent("§7.2.3.2: it refers to the message before", textEvent("Hello"))
		c = newDeflateConn(t, role, deflateParams{clientNoContextTakeover: true, serverNoContextTakeover: true}, Compression{})
		c.receiveFrame(0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00")
		c.wantEvent("without it", textEvent("Hello"))
		c.receiveFrame(0xc1, "\xf2\x00\x11\x00\x00")
		c.wantInflateError("there is nothing to refer to")
	})
}

// wantInflateError wants the connection to have failed with 1007.
func (c *testConn) wantInflateError(sentence string) {
	c.t.Helper()
	c.drain()
	var pe *ProtocolError
	for _, ev := range c.events {
		errors.As(ev.Err, &pe)
	}
	if pe == nil || pe.Code != CodeInvalidPayload {
		c.failf(sentence, "got %v, want a *ProtocolError with 1007", pe)
	}
	c.wantState(sentence, StateClosed)
}

// Payloads that are no DEFLATE, or end inside of it, fail with 1007.
func TestDeflateErrors(t *testing.T) {
	for name, payload := range map[string]string{
		"the reserved block type":         "\x06",
		"stored, LEN and NLEN disagree":   "\x00\x05\x00\xfa\xfeHello",
		"a distance before the beginning": "\x02\x00\x11\x00\x00",
		"it ends inside a block":          "\xf2\x48",
		"it ends inside a stored block":   "\x00\x05\x00\xfa\xffHel",
		"random":                          "\xff\xfe\xfd\xfc\xfb\xfa\xf9",
	} {
		c := newDeflateConn(t, Server, deflateParams{}, Compression{})
		c.receiveFrame(0xc2, payload)
		c.wantInflateError(name)
	}
}

// What one end sends the other receives, for every agreement, level and size, in
// frames and whole.
func TestDeflateBothEnds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 40000)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	messages := []string{"", "a", "hello hello hello hello hello hello hello hello hello hello hello hello hello", strings.Repeat(`{"id":1,"name":"x"},`, 2000), string(noise)}
	for bits := minWindowBits; bits <= maxWindowBits; bits++ {
		for _, takeover := range []bool{true, false} {
			for level := CompressionDefault; level <= CompressionBest; level++ {
				p := deflateParams{!takeover, !takeover, bits, bits}
				o := Compression{Level: level, Threshold: 1}
				client, server := newDeflateConn(t, Client, p, o), newDeflateConn(t, Server, p, o)
				name := fmt.Sprintf("%v, level %d", p, level)
				for round, m := range append(messages, messages...) {
					from, to := client, server
					if round%2 == 1 {
						from, to = server, client
					}
					if round < len(messages) {
						from.wantErr(name, from.SendBinary([]byte(m)), nil)
					} else { // in three fragments
						cut := len(m) / 3
						from.wantErr(name, from.SendMessage(OpBinary, []byte(m[:cut]), false), nil)
						from.wantErr(name, from.SendMessage(OpContinuation, []byte(m[cut:2*cut]), false), nil)
						from.wantErr(name, from.SendMessage(OpContinuation, []byte(m[2*cut:]), true), nil)
					}
					from.drain()
					wire := bytes.Clone(from.sent)
					from.sent = nil
					if len(m) > 10000 && m[0] == '{' && len(wire) > len(m)/8 {
						t.Errorf("%s: %d bytes take %d on the wire", name, len(m), len(wire))
					}
					to.receiveBytes(wire)
					var got []byte
					for _, ev := range to.events {
						if ev.Err != nil {
							t.Fatalf("%s: %v", name, ev.Err)
						}
						got = append(got, ev.Payload...)
					}
					to.events = nil
					if string(got) != m {
						t.Fatalf("%s: %d bytes arrive as %d", name, len(m), len(got))
					}
				}
			}
		}
	}
}

// A message of a thousand times its size stops at the ratio, one of many blocks that
// say nothing at its end, and neither takes memory.
func TestDeflateBomb(t *testing.T) {
	zeros := newDeflateConn(t, Client, deflateParams{}, Compression{})
	zeros.wantErr("", zeros.SendBinary(make([]byte, 10<<20)), nil)
	zeros.drain()
	c := newDeflateConn(t, Server, deflateParams{}, Compression{}, scratch(32<<10))
	c.receiveBytes(zeros.sent)
	size := 0
	for _, ev := range c.events {
		if ev.Kind == KindBinary {
			size += len(ev.Payload)
		}
	}
	var le *LimitError
	for _, ev := range c.events {
		errors.As(ev.Err, &le)
	}
	if le == nil || le.Limit != "RatioLimit" || le.Code != CodeMessageTooBig || size > freeRatio+32<<10 {
		t.Errorf("10 MiB of zeros in %d bytes: %d bytes were told, then %v", len(zeros.sent), size, le)
	}
	for limit := int64(999); limit <= 1001; limit++ {
		zeros := newDeflateConn(t, Client, deflateParams{}, Compression{})
		zeros.wantErr("", zeros.SendBinary(make([]byte, 1000)), nil)
		zeros.drain()
		c := newDeflateConn(t, Server, deflateParams{}, Compression{}, func(cfg *Config) { cfg.MessageLimit = limit })
		c.receiveBytes(zeros.sent)
		c.drain()
		failed := c.State() != StateOpen
		if failed != (limit < 1000) {
			t.Errorf("1,000 bytes with a limit of %d: %v", limit, c.events)
		}
	}
	empty := newDeflateConn(t, Server, deflateParams{}, Compression{})
	empty.receiveFrame(0xc2, strings.Repeat("\x00\x00\x00\xff\xff", 1<<18)+"\x00")
	empty.wantEvent("blocks that say nothing are an empty message", binaryEvent(""))
}

// A driver is not done while the inflater holds output of input that it used.
func TestDeflateSettled(t *testing.T) {
	big := newDeflateConn(t, Client, deflateParams{}, Compression{})
	big.wantErr("", big.SendBinary(make([]byte, 5000)), nil)
	big.drain()
	c := newDeflateConn(t, Server, deflateParams{}, Compression{})
	c.Receive(0, big.sent)
	for size := 0; size < 5000; {
		var ev Event
		if c.Settled() || !c.NextEvent(&ev) {
			t.Fatalf("after %d of 5,000 bytes it is settled: %v", size, c.Settled())
		}
		size += len(ev.Payload)
	}
	if c.drain(); !c.Settled() {
		t.Error("at the end it is")
	}
}

// Cut anywhere, the same input gives the same messages.
func TestDeflateCuts(t *testing.T) {
	wire := append(naiveFrame(Client, 0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00"), naiveFrame(Client, 0x41, "\xf2\x48")...)
	wire = append(wire, naiveFrame(Client, 0x00, "\x05\x00\x00\x00\xff\xff\xca")...)
	wire = append(wire, naiveFrame(Client, 0x80, "\xc9\xc9\x07\x00")...)
	everyCut(wire, func(name string, pieces [][]byte) {
		c := newDeflateConn(t, Server, deflateParams{}, Compression{})
		var got []byte
		for _, p := range pieces {
			c.receiveBytes(bytes.Clone(p))
			for _, ev := range c.events {
				if ev.Err != nil {
					t.Fatalf("%s: %v", name, ev.Err)
				}
				got = append(got, ev.Payload...)
				if ev.Last {
					got = append(got, '.')
				}
			}
			c.events = nil
		}
		if string(got) != "Hello.Hello." {
			t.Fatalf("%s: %q", name, got)
		}
	})
}

// Blocks that say nothing cost more than their bytes do: the driver is given its turn
// back between them, and whatever it does then, the rest is still to come.
func TestDeflateWorkIsCut(t *testing.T) {
	c := newDeflateConn(t, Server, deflateParams{}, Compression{})
	wire := naiveFrame(Client, 0xc2, strings.Repeat("\x00\x00\x00\xff\xff", 1<<16)+"\x00")
	c.Receive(0, slices.Concat(wire, naiveFrame(Client, 0x89, "ping"), naiveFrame(Client, 0x82, "plain")))
	rounds := 0
	var ev Event
	for before := c.Buffered(); !c.NextEvent(&ev); rounds++ {
		if !c.Pending() || c.Settled() {
			t.Fatalf("with %d bytes left nothing is pending", c.Buffered())
		}
		if used := before - c.Buffered(); used < 1<<10 || used > 32<<10 {
			t.Fatalf("a turn used %d bytes, want some but not more than 32 KiB", used)
		}
		before = c.Buffered()
		c.HandleTimeout(0)
		if c.NextEvent(&ev) || c.Buffered() != before {
			t.Fatal("nothing goes on before Continue")
		}
		c.Continue(0)
	}
	c.keep(ev)
	if rounds < 10 {
		t.Errorf("%d turns for %d bytes", rounds, len(wire))
	}
	c.drain()
	c.wantEvent("it is an empty message", binaryEvent(""))
	c.wantEvent("and what follows it comes in its turn", binaryEvent("plain"))
	c.wantFrame("the ping as well", 0x8a, "ping")
	c.wantIdle("that is all")
}
