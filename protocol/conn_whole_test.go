package protocol

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestNextMessagesIsNextEvent feeds everything that there is to both: NextMessages,
// with NextEvent for what it leaves, tells what NextEvent does alone.
func TestNextMessagesIsNextEvent(t *testing.T) {
	wires := map[string][]frame{}
	for _, conversation := range conversations {
		wires[conversation.name] = conversation.frames
	}
	for _, n := range []int{0, 1, 7, 8, 9, 63, 64, 65, 125, 126, 127, 1000, 65535, 65536, 65537} {
		wires[fmt.Sprintf("%d bytes", n)] = []frame{{0x82, string(counting(n))}, {0x81, strings.Repeat("a", n)}}
	}
	for _, n := range []int{99999, 100000, 100001} {
		wires[fmt.Sprintf("%d bytes, the limit", n)] = []frame{{0x82, strings.Repeat("a", n)}}
	}
	for _, test := range utf8Vectors {
		wires["text: "+test.name] = []frame{{0x81, test.text}, {0x82, test.text}}
	}
	wires["encoded"] = []frame{{0xc1, "\x03a"}, {0x81, "b"}}
	for _, role := range []Role{Client, Server} {
		for name, frames := range wires {
			var wire []byte
			for _, f := range frames {
				wire = append(wire, naiveFrame(Server-role, f.b0, f.payload)...)
			}
			run := func(wire []byte, fast bool) (string, []byte, Time) {
				c := newExtendedConn(t, role, &fakeExtension{}, scratch(64), func(cfg *Config) { cfg.MessageLimit = 100000 })
				c.clock = 5
				for _, b := range [][]byte{wire[:len(wire)/2], wire[len(wire)/2:], wire} {
					c.input = bytes.Clone(b)
					c.Receive(c.clock, c.input)
					for fast {
						kind, payload, ok := nextMessage(c)
						if ok {
							c.keep(messageEvent(kind, string(payload)))
							poison(payload)
							continue
						}
						var ev Event
						if !c.NextEvent(&ev) {
							break
						}
						c.keep(ev)
					}
					c.drain()
				}
				return joined(c.events), c.sent, c.NextTimeout()
			}
			for _, cut := range []int{0, 1, len(wire)} {
				cut = min(cut, len(wire))
				input := append(bytes.Clone(wire[cut:]), wire[:cut]...)
				events, output, timeout := run(input, false)
				e, o, d := run(input, true)
				if e != events || !bytes.Equal(o, output) || d != timeout {
					t.Fatalf("%v: %s\n got %.300s\nwant %.300s\nsent\n%swant\n%stimer at %v, want %v", role, name, e, events, grouped(o), grouped(output), d, timeout)
				}
			}
		}
	}
}

func TestNextMessagesLeaves(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		message := naiveFrame(Server-role, 0x82, "abcd")
		for _, test := range []struct {
			name string
			wire []byte
			prep func(c *testConn)
		}{
			{"no input", nil, nil},
			{"a message that is not whole", message[:len(message)-1], nil},
			{"a header that is not whole", message[:1], nil},
			{"a length that is not in its shortest form", octets("82 7e 0004"), nil},
			{"a length of 16 bits that is cut", octets("82 7e 00"), nil},
			{"a length of 64 bits that is cut", octets("82 7f 0000"), nil},
			{"a short length in 64 bits", octets("82 7f 0000000000000004"), nil},
			{"a length of 1<<31", octets("82 7f 0000000080000000"), nil},
			{"a length of 1<<63", octets("82 7f 8000000000000000"), nil},
			{"a length of 1<<64 - 1", octets("82 ff ffffffffffffffff"), nil},
			{"a fragment", naiveFrame(Server-role, 0x02, "abcd"), nil},
			{"a Ping", naiveFrame(Server-role, 0x89, "abcd"), nil},
			{"a frame of the wrong role", naiveFrame(role, 0x82, "abcd"), nil},
			{"a message over the credit", message, func(c *testConn) { c.LimitCredit(0, 3) }},
			{"a message over the limit", naiveFrame(Server-role, 0x82, "abcde"), nil},
			{"text that is not UTF-8", naiveFrame(Server-role, 0x81, "ab\xff"), nil},
			{"a message inside another", message, func(c *testConn) { c.receiveFrame(0x01, "") }},
			{"what comes while closing", message, func(c *testConn) { c.Close(0, CodeNormal, "") }},
		} {
			c := newTestConn(t, role, func(cfg *Config) { cfg.MessageLimit = 4 })
			if test.prep != nil {
				test.prep(c)
			}
			input := bytes.Clone(test.wire)
			c.Receive(0, input)
			if kind, payload, ok := nextMessage(c); ok {
				t.Errorf("%s is left to NextEvent: got %d %q", test.name, kind, payload)
			}
			if !bytes.Equal(input, test.wire) || c.Buffered() != len(input) {
				t.Errorf("%s is left as it came", test.name)
			}
		}
	})
}

func TestNextMessagesCredit(t *testing.T) {
	c := newTestConn(t, Server)
	c.LimitCredit(0, 4)
	c.Receive(0, naiveFrame(Client, 0x82, "abcd"))
	if _, payload, ok := nextMessage(c); !ok || string(payload) != "abcd" || c.Credit() != 0 {
		t.Errorf("got %q, %t with credit %d left, want the message and 0", payload, ok, c.Credit())
	}
	c.wantNoTimeout("without credit the silence is ours")
}

func TestAppendMessage(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		c := newTestConn(t, role)
		for _, n := range []int{0, 1, 125, 126, 65535, 65536} {
			payload := string(counting(n))
			memory := append(make([]byte, MaxHeaderLen), payload...)
			got, err := c.AppendMessage(memory[:0], OpBinary, true, memory[MaxHeaderLen:])
			c.wantErr("a message", err, nil)
			if want := naiveFrame(role, 0x82, payload); !bytes.Equal(got, want) {
				t.Errorf("%d bytes in place:\n%swant\n%s", n, grouped(got), grouped(want))
			}
		}
		got, err := c.AppendMessage([]byte("b"), OpText, false, []byte("a"))
		c.wantErr("a fragment", err, nil)
		_, err = c.AppendMessage(nil, OpText, true, nil)
		c.wantErr("messages do not interleave", err, ErrMessageOrder)
		got, err = c.AppendMessage(got, OpContinuation, true, []byte("c"))
		c.wantErr("another", err, nil)
		if want := append(append([]byte("b"), naiveFrame(role, 0x01, "a")...), naiveFrame(role, 0x80, "c")...); !bytes.Equal(got, want) {
			t.Errorf("fragments: % x, want % x", got, want)
		}
		for _, op := range []Opcode{OpContinuation, 3, OpClose, OpPing, 255} {
			_, err = c.AppendMessage(nil, op, true, nil)
			c.wantErr(fmt.Sprintf("opcode %d begins no message", op), err, ErrMessageOrder)
		}
		c.BeginFrame(nil, OpBinary, true, 1)
		_, err = c.AppendMessage(nil, OpBinary, true, nil)
		c.wantErr("nor does any inside a frame", err, ErrMessageOrder)
		_, err = newConnIn(t, role, StateClosing).AppendMessage(nil, OpBinary, true, nil)
		c.wantErr("or while closing", err, ErrNotOpen)

		c = newTestConn(t, role)
		c.SendText([]byte("a"))
		c.drain()
		c.AppendMessage(nil, OpBinary, false, nil)
		c.wantErr("a binary message goes on with any bytes", c.SendMessage(OpContinuation, []byte("\xff"), true), nil)
	})
}

func TestAppendBareHeader(t *testing.T) {
	c := newTestConn(t, Server)
	b, err := c.AppendBareHeader([]byte("b"), OpText, false, 200)
	c.wantErr("a server sends payload as it is", err, nil)
	b, err = c.AppendBareHeader(b, OpContinuation, true, 1)
	c.wantErr("and goes on at once", err, nil)
	if want := octets("'b'  01 7e | 00c8  80 01"); !bytes.Equal(b, want) {
		t.Errorf("the headers are % x, want % x", b, want)
	}
	_, err = c.AppendBareHeader(nil, OpContinuation, true, 1)
	c.wantErr("in the order of messages", err, ErrMessageOrder)
	_, err = newTestConn(t, Client).AppendBareHeader(nil, OpText, true, 1)
	c.wantErr("a client masks", err, ErrNotBare)
	_, err = newExtendedConn(t, Server, &fakeExtension{}, scratch(1)).AppendBareHeader(nil, OpText, true, 1)
	c.wantErr("an extension encodes", err, ErrNotBare)
}

func TestSettled(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		c := newTestConn(t, role)
		want := func(sentence string, want bool) {
			t.Helper()
			if got := c.Settled(); got != want {
				c.failf(sentence, "settled is %t, want %t", got, want)
			}
		}
		want("a new connection has nothing to drain", true)
		c.SendText([]byte("a"))
		want("output is to be taken", false)
		c.drain()
		want("once", true)
		c.LimitCredit(0, 0)
		c.receiveFrame(0x82, "a")
		want("input waits for credit", false)
		c.LimitCredit(0, -1)
		c.drain()
		want("and is drained", true)
		b, _ := c.BeginFrame(nil, OpBinary, true, 1)
		c.receiveFrame(0x89, "p")
		c.AppendPart(b, []byte("a"))
		want("a Pong waited for the end of the frame", false)
		c.drain()
		want("and went", true)
		b, _ = c.BeginFrame(nil, OpBinary, true, 1)
		c.advance(20 * time.Second)
		c.AppendPart(b, []byte("a"))
		want("so did a Ping", false)
		c.drain()
		want("which went", true)
		c.Close(c.clock, CodeNormal, "")
		c.drain()
		want("what is not open is drained the long way", false)
	})
}

// nextMessage is NextMessages for one.
func nextMessage(c interface{ NextMessages([]Message) int }) (Kind, []byte, bool) {
	var m [1]Message
	if c.NextMessages(m[:]) == 0 {
		return 0, nil, false
	}
	return m[0].Kind, m[0].Payload, true
}

func TestNextMessagesInARow(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		c := newTestConn(t, role)
		var wire []byte
		for i := range 10 {
			wire = append(wire, naiveFrame(c.peer(), 0x82, string(make([]byte, i*30)))...)
		}
		c.Conn.Receive(0, append(wire, naiveFrame(c.peer(), 0x89, "")...))
		var dst [4]Message
		var sizes []int
		for {
			n := c.NextMessages(dst[:])
			for _, m := range dst[:n] {
				sizes = append(sizes, len(m.Payload))
			}
			if n == 0 {
				break
			}
		}
		for i, size := range sizes {
			if size != i*30 {
				t.Errorf("message %d has %d bytes, want %d", i, size, i*30)
			}
		}
		if len(sizes) != 10 || c.Buffered() == 0 {
			t.Errorf("%d messages came before the Ping, want 10, and %d bytes are left", len(sizes), c.Buffered())
		}
	})
}
