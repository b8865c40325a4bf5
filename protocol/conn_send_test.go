package protocol

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

func TestSendRFCExamples(t *testing.T) {
	s := newTestConn(t, Server)
	s.wantErr("text is sent", s.SendText([]byte("Hello")), nil)
	s.wantOutput("a server does not mask", "81 05 | 48 65 6c 6c 6f")
	s.wantErr("the first fragment", s.SendMessage(OpText, []byte("Hel"), false), nil)
	s.wantErr("the last fragment", s.SendMessage(OpContinuation, []byte("lo"), true), nil)
	s.wantOutput("a fragmented message", "01 03 | 48 65 6c  80 02 | 6c 6f")
	s.wantErr("a Ping", s.SendPing([]byte("Hello")), nil)
	s.wantOutput("a Ping", "89 05 | 48 65 6c 6c 6f")
	s.wantErr("256 bytes", s.SendBinary(make([]byte, 256)), nil)
	s.wantOutput("256 bytes", "82 7e | 0100 | "+strings.Repeat("00", 256))
	s.wantErr("64 KiB", s.SendBinary(make([]byte, 65536)), nil)
	s.wantOutput("64 KiB", "82 7f | 0000000000010000 | "+strings.Repeat("00", 65536))

	c := newTestConn(t, Client)
	c.wantErr("text is sent", c.SendText([]byte("Hello")), nil)
	c.wantOutput("a client masks", "81 85 | 37 fa 21 3d | 7f 9f 4d 51 58")
	c.wantErr("a Pong that answers nothing", c.SendPong([]byte("Hello")), nil)
	c.wantOutput("a Pong", "8a 85 | 37 fa 21 3d | 7f 9f 4d 51 58")
}

func TestSendLengths(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		c := newTestConn(t, role)
		for _, n := range []int{0, 1, 124, 125, 126, 127, 65534, 65535, 65536, 65537} {
			payload := counting(n)
			kept := bytes.Clone(payload)
			c.wantErr("a message is sent", c.SendBinary(payload), nil)
			c.wantFrame(fmt.Sprintf("a message of %d bytes", n), 0x82, string(kept))
			if !bytes.Equal(payload, kept) {
				t.Fatal("the caller's memory is not masked")
			}
		}
	})
}

// TestMaskingKeys: CVE class "predictable masking keys".
func TestMaskingKeys(t *testing.T) {
	var drawn uint32
	c := newTestConn(t, Client, func(cfg *Config) {
		cfg.Random = func(b []byte) {
			if len(b) != 4 {
				t.Errorf("%d bytes are drawn, want a key", len(b))
			}
			drawn++
			binary.BigEndian.PutUint32(b, drawn)
		}
	})
	c.SendBinary([]byte{0, 0, 0, 0, 0})
	c.SendMessage(OpBinary, nil, false)
	c.SendMessage(OpContinuation, []byte{0}, true)
	c.SendPing(nil)
	c.receive("89 01 00")
	c.Close(0, CodeNormal, "")
	c.wantOutput("every frame has a key of its own",
		"82 85 | 00000001 | 0000000100   02 80 | 00000002 |   80 81 | 00000003 | 00"+
			"89 80 | 00000004 |   8a 81 | 00000005 | 00   88 82 | 00000006 | 03e8")
	s := newTestConn(t, Server, func(cfg *Config) { cfg.Random = func([]byte) { t.Error("a server draws no keys") } })
	s.SendText([]byte("a"))
	s.wantFrame("nor masks", 0x81, "a")
}

func TestSendMessageOrder(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		c := newTestConn(t, role)
		for _, op := range []Opcode{OpContinuation, 3, 7, OpClose, OpPing, OpPong, 11, 15, 16, 255} {
			c.wantErr(fmt.Sprintf("opcode %d begins no message", op), c.SendMessage(op, nil, true), ErrMessageOrder)
			_, err := c.BeginFrame(nil, op, true, 0)
			c.wantErr(fmt.Sprintf("opcode %d begins no message", op), err, ErrMessageOrder)
		}
		c.wantErr("a message begins", c.SendMessage(OpText, []byte("a"), false), nil)
		for _, op := range []Opcode{OpText, OpBinary, OpPing} {
			c.wantErr("another does not, inside it", c.SendMessage(op, []byte("b"), true), ErrMessageOrder)
		}
		c.wantErr("nor by its shorter name", c.SendBinary([]byte("b")), ErrMessageOrder)
		c.wantErr("a Ping does", c.SendPing([]byte("p")), nil)
		c.wantErr("it goes on", c.SendMessage(OpContinuation, nil, false), nil)
		c.wantErr("and ends", c.SendMessage(OpContinuation, []byte("c"), true), nil)
		c.wantErr("once", c.SendMessage(OpContinuation, []byte("d"), true), ErrMessageOrder)
		c.wantOutputBytes("what was in order was sent", bytes.Join([][]byte{
			naiveFrame(role, 0x01, "a"), naiveFrame(role, 0x89, "p"), naiveFrame(role, 0x00, ""), naiveFrame(role, 0x80, "c"),
		}, nil))
	})
}

func TestSendControl(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		c := newTestConn(t, role)
		long := strings.Repeat("p", 125)
		c.wantErr("125 bytes fit", c.SendPing([]byte(long)), nil)
		c.wantFrame("a long Ping", 0x89, long)
		c.wantErr("125 bytes fit", c.SendPong([]byte(long)), nil)
		c.wantFrame("a long Pong", 0x8a, long)
		c.wantErr("126 do not", c.SendPing([]byte(long+"p")), ErrControlTooLong)
		c.wantErr("nor in a Pong", c.SendPong([]byte(long+"p")), ErrControlTooLong)
		for _, op := range []Opcode{OpText, OpClose, OpContinuation, 11} {
			_, err := c.AppendControl(nil, op, nil)
			c.wantErr("only Ping and Pong are appended", err, ErrMessageOrder)
		}
		c.wantIdle("nothing was sent of what was refused")
	})
}

func TestSendNeedsOpen(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		for _, state := range []State{StateConnecting, StateClosing, StateClosed} {
			c := newConnIn(t, role, state)
			for i, err := range []error{
				c.SendText(nil), c.SendBinary(nil), c.SendMessage(OpContinuation, nil, true), c.SendPing(nil), c.SendPong(nil),
			} {
				c.wantErr(fmt.Sprintf("command %d needs an open connection, this is %v", i, state), err, ErrNotOpen)
			}
			b, err := c.BeginFrame([]byte("b"), OpText, true, 1)
			c.wantErr("a frame needs one", err, ErrNotOpen)
			b, err = c.AppendControl(b, OpPing, nil)
			c.wantErr("a Ping needs one", err, ErrNotOpen)
			b, err = c.AppendPart(b, nil)
			c.wantErr("a part needs one", err, ErrNotOpen)
			if string(b) != "b" {
				t.Errorf("what was refused appended %q", b[1:])
			}
			c.wantIdle("nothing was sent")
		}
	})
}

// newConnIn returns a Conn that came to state, drained and checked.
func newConnIn(t testing.TB, role Role, state State) *testConn {
	t.Helper()
	c := newTestConn(t, role)
	switch state {
	case StateConnecting:
		c = newOpeningConn(t, role)
	case StateOpen:
	case StateClosing:
		c.Close(0, CodeNormal, "")
	case StateClosed:
		c.Close(0, CodeNormal, "")
		c.receiveFrame(0x88, "\x03\xe8")
	}
	c.drain()
	c.forget()
	c.wantState("as asked for", state)
	return c
}

func TestSendUTF8(t *testing.T) {
	for _, test := range utf8Vectors {
		valid := test.bad < 0 && test.complete
		for i := range len(test.text) + 1 {
			c := newTestConn(t, Server)
			first := c.SendMessage(OpText, []byte(test.text[:i]), false)
			if first != nil {
				if first != ErrInvalidUTF8 || valid {
					t.Fatalf("%s: the first %d bytes: %v", test.name, i, first)
				}
				c.wantIdle("a fragment that is not UTF-8 is not sent")
				c.wantErr("nor does it begin a message", c.SendMessage(OpContinuation, nil, true), ErrMessageOrder)
				continue
			}
			err := c.SendMessage(OpContinuation, []byte(test.text[i:]), true)
			if (err == nil) != valid || err != nil && err != ErrInvalidUTF8 {
				t.Fatalf("%s cut at %d: %v, valid is %t", test.name, i, err, valid)
			}
		}
		c := newTestConn(t, Server)
		if err := c.SendText([]byte(test.text)); (err == nil) != valid || err != nil && err != ErrInvalidUTF8 {
			t.Fatalf("%s: %v, valid is %t", test.name, err, valid)
		}
	}
}

func TestSendUTF8AfterARefusal(t *testing.T) {
	c := newTestConn(t, Server)
	c.wantErr("a character may be cut", c.SendMessage(OpText, []byte("\xe2"), false), nil)
	c.wantErr("but not spoiled", c.SendMessage(OpContinuation, []byte("\xff"), true), ErrInvalidUTF8)
	c.wantErr("nor ended", c.SendMessage(OpContinuation, []byte("\x82"), true), ErrInvalidUTF8)
	c.wantErr("what was refused changed nothing", c.SendMessage(OpContinuation, []byte("\x82\xac"), true), nil)
	c.wantOutput("so the character is whole", "01 01 | e2  80 02 | 82ac")
	c.wantErr("binary data is not text", c.SendMessage(OpBinary, []byte("\xe2"), false), nil)
	c.wantErr("in no fragment", c.SendMessage(OpContinuation, []byte("\xff"), true), nil)
	c.wantErr("and text after it is checked", c.SendText([]byte("\xff")), ErrInvalidUTF8)
}

func TestSendMixed(t *testing.T) {
	c := newTestConn(t, Server)
	c.wantErr("text by SendMessage", c.SendMessage(OpText, []byte("\xe2"), false), nil)
	c.wantOutput("is queued", "01 01 | e2")
	b, err := c.BeginFrame(nil, OpContinuation, true, 2)
	c.wantErr("may go on by BeginFrame", err, nil)
	_, err = c.AppendPart(b, []byte("\x82\xac"))
	c.wantErr("which checks nothing", err, nil)
	c.wantErr("the next text is checked from its beginning", c.SendText([]byte("a")), nil)
	c.wantFrame("and sent", 0x81, "a")

	b, err = c.BeginFrame(nil, OpBinary, false, 0)
	c.wantErr("binary by BeginFrame", err, nil)
	if want := "\x02\x00"; string(b) != want {
		t.Errorf("the header is % x, want % x", b, want)
	}
	c.wantErr("may go on by SendMessage, and is no text", c.SendMessage(OpContinuation, []byte("\xff"), true), nil)
	c.wantFrame("and is sent", 0x80, "\xff")
}

func TestSendLimit(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		header := len(naiveFrame(role, 0x82, ""))
		c := newTestConn(t, role, func(cfg *Config) { cfg.SendLimit = 100 })
		c.wantErr("99 bytes wait", c.SendBinary(make([]byte, 99-header)), nil)
		if c.OutputLen() != 99 {
			t.Fatalf("%d bytes wait, want 99", c.OutputLen())
		}
		c.wantErr("below the limit a frame is accepted whole", c.SendBinary(make([]byte, 1000)), nil)
		c.wantErr("above it none is", c.SendBinary(nil), ErrSendQueueFull)
		c.wantErr("no fragment", c.SendMessage(OpText, nil, false), ErrSendQueueFull)
		c.wantErr("no Ping", c.SendPing(nil), ErrSendQueueFull)
		c.wantErr("and no Pong", c.SendPong(nil), ErrSendQueueFull)
		c.drain()
		if c.OutputLen() != 0 {
			t.Errorf("%d bytes wait after all were taken", c.OutputLen())
		}
		c.sent = nil
		c.wantErr("output that was taken makes room", c.SendBinary(make([]byte, 100-header)), nil)
		c.wantErr("the limit itself is full", c.SendBinary(nil), ErrSendQueueFull)
		c.wantErr("closing is always possible", c.Close(0, CodeNormal, ""), nil)
		c.wantOutputBytes("after what waits", append(naiveFrame(role, 0x82, string(make([]byte, 100-header))), naiveFrame(role, 0x88, "\x03\xe8")...))
	})
}

func TestTakeOutput(t *testing.T) {
	c := newTestConn(t, Server)
	if b := c.Conn.TakeOutput(); b != nil {
		t.Errorf("a new connection has output % x", b)
	}
	c.SendText([]byte("a"))
	first := string(c.Conn.TakeOutput())
	if again := c.Conn.TakeOutput(); first != "\x81\x01a" || again != nil {
		t.Errorf("taken % x, then % x", first, again)
	}
	if c.wantErr("a Ping that is refused", c.SendPing(make([]byte, 126)), ErrControlTooLong); c.OutputLen() != 0 {
		t.Error("brings back what was taken")
	}
}

// TestBeginFrame sends records as wasm/engine does: frames are made in the memory
// that the payloads lie in, each behind a record header of 16 bytes that the
// frame's header is written over.
func TestBeginFrame(t *testing.T) {
	type record struct {
		op      Opcode
		fin     bool
		part    bool
		payload string
		length  int
	}
	const recordHeader = 16
	bothRoles(t, func(t *testing.T, role Role) {
		long, longer := strings.Repeat("x", 126), strings.Repeat("y", 66000)
		for _, test := range []struct {
			name    string
			records []record
			want    []byte
		}{
			{"one frame", []record{{OpText, true, false, "Hello", 5}}, naiveFrame(role, 0x81, "Hello")},
			{"an empty one", []record{{OpBinary, true, false, "", 0}}, naiveFrame(role, 0x82, "")},
			{
				"frames that move together",
				[]record{{OpText, true, false, "Hello", 5}, {OpBinary, true, false, long, 126}, {OpText, true, false, "", 0}, {OpText, true, false, longer, 66000}},
				bytes.Join([][]byte{naiveFrame(role, 0x81, "Hello"), naiveFrame(role, 0x82, long), naiveFrame(role, 0x81, ""), naiveFrame(role, 0x81, longer)}, nil),
			},
			{
				"parts of one frame",
				[]record{{OpBinary, true, false, "abc", 8}, {OpBinary, true, true, "", 8}, {OpBinary, true, true, "d", 8}, {OpBinary, true, true, "efgh", 8}},
				naiveFrame(role, 0x82, "abcdefgh"),
			},
			{
				"fragments, and control frames between",
				[]record{{OpText, false, false, "ab", 2}, {OpPing, true, false, "p", 1}, {OpContinuation, false, false, "", 0}, {OpPong, true, false, "q", 1}, {OpContinuation, true, false, "c", 1}},
				bytes.Join([][]byte{naiveFrame(role, 0x01, "ab"), naiveFrame(role, 0x89, "p"), naiveFrame(role, 0x00, ""), naiveFrame(role, 0x8a, "q"), naiveFrame(role, 0x80, "c")}, nil),
			},
		} {
			for segments := range 2 { // one segment for all, or one for each record
				c := newTestConn(t, role)
				var memory []byte
				for _, r := range test.records {
					memory = append(memory, strings.Repeat("\xee", recordHeader)+r.payload...)
				}
				memory = append(memory, "sentinel"...)
				var got, out []byte
				at := 0
				for i, r := range test.records {
					payload := memory[at+recordHeader : at+recordHeader+len(r.payload)]
					if i == 0 || segments == 1 {
						got = append(got, out...)
						start := at + recordHeader
						if !r.part {
							start -= HeaderLen(uint64(r.length), role == Client)
						}
						out = memory[start:start]
					}
					var err error
					switch {
					case r.op.Control():
						out, err = c.AppendControl(out, r.op, payload)
					case r.part:
						out, err = c.AppendPart(out, payload)
					default:
						if out, err = c.BeginFrame(out, r.op, r.fin, uint64(r.length)); err == nil {
							out, err = c.AppendPart(out, payload)
						}
					}
					c.wantErr(test.name, err, nil)
					at += recordHeader + len(r.payload)
				}
				got = append(got, out...)
				if !bytes.Equal(got, test.want) {
					t.Errorf("%s, segments %d: sent\n%swant\n%s", test.name, segments, grouped(got), grouped(test.want))
				}
				if !bytes.HasSuffix(memory, []byte("sentinel")) {
					t.Errorf("%s: written beyond the last record", test.name)
				}
				c.wantIdle("nothing is queued")
			}
		}
	})
}

func TestBeginFrameOrder(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		c := newTestConn(t, role)
		_, err := c.AppendPart(nil, []byte("a"))
		c.wantErr("a part needs a frame", err, ErrMessageOrder)
		b, err := c.BeginFrame(nil, OpText, true, 3)
		c.wantErr("a frame begins", err, nil)
		for _, op := range []Opcode{OpText, OpBinary, OpContinuation} {
			_, err = c.BeginFrame(nil, op, true, 0)
			c.wantErr("none begins inside it", err, ErrMessageOrder)
		}
		c.wantErr("no message", c.SendText(nil), ErrMessageOrder)
		c.wantErr("no Ping", c.SendPing(nil), ErrMessageOrder)
		_, err = c.AppendControl(nil, OpPong, nil)
		c.wantErr("no Pong", err, ErrMessageOrder)
		c.wantErr("no Close", c.Close(0, CodeNormal, ""), ErrMessageOrder)
		c.wantState("which was refused, not begun", StateOpen)
		b, err = c.AppendPart(b, []byte("ab"))
		c.wantErr("its parts follow", err, nil)
		n := len(b)
		b, err = c.AppendPart(b, []byte("cd"))
		c.wantErr("no longer than it announced", err, ErrMessageOrder)
		if len(b) != n {
			t.Errorf("what was refused appended % x", b[n:])
		}
		b, err = c.AppendPart(b, []byte("c"))
		c.wantErr("to its end", err, nil)
		if want := naiveFrame(role, 0x81, "abc"); !bytes.Equal(b, want) {
			t.Errorf("sent\n%swant\n%s", grouped(b), grouped(want))
		}
		c.wantErr("then a message is in order again", c.SendText(nil), nil)
		c.wantFrame("and sent", 0x81, "")
	})
}

func TestBeginFrameLengths(t *testing.T) {
	c := newTestConn(t, Server)
	_, err := c.BeginFrame(nil, OpBinary, true, 1<<63)
	c.wantErr("the top bit of a length is clear", err, ErrFrameTooLong)
	b, err := c.BeginFrame(nil, OpBinary, true, 1<<63-1)
	c.wantErr("the longest frame begins", err, nil)
	if want := octets("82 7f | 7fffffffffffffff"); !bytes.Equal(b, want) {
		t.Errorf("its header is % x, want % x", b, want)
	}
	c = newTestConn(t, Server)
	c.SendPing(nil)
	wantPanic(t, "what is queued would be sent inside the frame", func() { c.BeginFrame(nil, OpText, true, 1) })
}

func BenchmarkSend(b *testing.B) {
	for _, role := range []Role{Client, Server} {
		for _, n := range []int{64, 4 << 10} {
			b.Run(fmt.Sprintf("%v/%d", role, n), func(b *testing.B) {
				c, err := NewConn(0, role, "", nil, &Config{Random: testRandom})
				if err != nil {
					b.Fatal(err)
				}
				payload := []byte(strings.Repeat("a", n))
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for b.Loop() {
					if c.SendText(payload) != nil || len(c.TakeOutput()) < n {
						b.Fatal("not sent")
					}
				}
			})
		}
	}
}

func BenchmarkBeginFrame(b *testing.B) {
	for _, role := range []Role{Client, Server} {
		b.Run(role.String(), func(b *testing.B) {
			c, err := NewConn(0, role, "", nil, &Config{Random: testRandom})
			if err != nil {
				b.Fatal(err)
			}
			memory := make([]byte, 16+64)
			b.SetBytes(64)
			b.ReportAllocs()
			for b.Loop() {
				start := 16 - HeaderLen(64, role == Client)
				out, err := c.BeginFrame(memory[start:start], OpBinary, true, 64)
				if err == nil {
					out, err = c.AppendPart(out, memory[16:])
				}
				if err != nil || len(out) < 64 {
					b.Fatal(err)
				}
			}
		})
	}
}
