package protocol

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestReceiveRFCExamples(t *testing.T) {
	c := newTestConn(t, Client)
	c.receive("81 05 | 48 65 6c 6c 6f")
	c.wantEvent("a text message of one frame", textEvent("Hello"))
	c.receive("01 03 | 48 65 6c  80 02 | 6c 6f")
	c.wantEvent("the first fragment is a part of its own", partEvent(KindText, "Hel", "first", 0))
	c.wantEvent("the last fragment ends the message", partEvent(KindText, "lo", "last", 0))
	c.receive("89 05 | 48 65 6c 6c 6f")
	c.wantOutput("a Ping is answered with its payload, masked", "8a 85 | 37 fa 21 3d | 7f 9f 4d 51 58")
	c.receive("82 7e | 0100 |" + strings.Repeat("00", 256))
	c.wantEvent("256 bytes of binary data", binaryEvent(strings.Repeat("\x00", 256)))
	c.receive("82 7f | 0000000000010000 |" + strings.Repeat("ff", 65536))
	c.wantEvent("64 KiB of binary data", binaryEvent(strings.Repeat("\xff", 65536)))
	c.wantIdle("data asks for no answer")

	s := newTestConn(t, Server)
	s.receive("81 85 | 37 fa 21 3d | 7f 9f 4d 51 58")
	s.wantEvent("a masked text message", textEvent("Hello"))
	s.receive("8a 85 | 37 fa 21 3d | 7f 9f 4d 51 58")
	s.wantEvent("a Pong that answers nothing", pongEvent("Hello"))
	s.wantIdle("neither asks for an answer")
}

func TestReceiveMessages(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		c := newTestConn(t, role)
		c.receiveFrame(0x81, "")
		c.wantEvent("an empty text message is a message", textEvent(""))
		c.receiveFrame(0x82, "")
		c.wantEvent("an empty binary message is one, too", binaryEvent(""))
		c.receiveFrame(0x01, "")
		c.receiveFrame(0x00, "")
		c.wantIdle("empty fragments are nothing to tell")
		c.receiveFrame(0x80, "")
		c.wantEvent("a message of empty fragments is empty", textEvent(""))
		c.receiveFrame(0x02, "a")
		c.receiveFrame(0x89, "ping")
		c.receiveFrame(0x8a, "pong")
		c.receiveFrame(0x00, "")
		c.receiveFrame(0x80, "")
		c.wantEvent("the first part", partEvent(KindBinary, "a", "first", 0))
		c.wantEvent("a Pong between fragments does not end the message", pongEvent("pong"))
		c.wantEvent("an empty last fragment ends it", partEvent(KindBinary, "", "last", 0))
		c.wantFrame("a Ping between fragments is answered", 0x8a, "ping")
		for _, n := range []int{1, 125, 126, 65535, 65536, 1 << 20} {
			payload := string(counting(n))
			c.receiveFrame(0x82, payload)
			c.wantEvent(fmt.Sprintf("a message of %d bytes", n), binaryEvent(payload))
		}
		c.wantIdle("that is all")
	})
}

func TestReceiveParts(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		c := newTestConn(t, role)
		frame := naiveFrame(c.peer(), 0x81, "Hello")
		c.receiveBytes(frame[:len(frame)-4])
		c.wantEvent("payload is delivered as it arrives", partEvent(KindText, "H", "first", 4))
		c.receiveBytes(nil)
		c.wantIdle("no bytes are no part")
		c.receiveBytes(frame[len(frame)-4 : len(frame)-1])
		c.wantEvent("what the frame still announces goes with it", partEvent(KindText, "ell", "", 1))
		c.receiveBytes(frame[len(frame)-1:])
		c.wantEvent("the last byte ends the message", partEvent(KindText, "o", "last", 0))
	})
}

// conversations are what a peer sends, a frame to an element, with what becomes
// of it. TestCuts feeds them in every cut.
var conversations = []struct {
	name   string
	frames []frame
	want   string // joined events
}{
	{"nothing", nil, ""},
	{"text", []frame{{0x81, "Hello"}}, `text "Hello"`},
	{"empty", []frame{{0x81, ""}, {0x82, ""}}, `text "", binary ""`},
	{"fragments", []frame{{0x01, "Hel"}, {0x00, ""}, {0x80, "lo"}, {0x82, "x"}}, `text "Hello", binary "x"`},
	{"UTF-8 over fragments", []frame{{0x01, "\xf0"}, {0x00, "\x9f\x98"}, {0x80, "\x80é€"}}, `text "😀é€"`},
	{"Ping and Pong between", []frame{{0x02, "a"}, {0x89, "p"}, {0x00, "b"}, {0x8a, "q"}, {0x80, "c"}}, `pong "q", binary "abc"`},
	{"Pings", []frame{{0x89, ""}, {0x89, strings.Repeat("p", 125)}, {0x89, "z"}}, ``},
	{"16-bit length", []frame{{0x82, strings.Repeat("b", 126)}, {0x81, "t"}}, fmt.Sprintf(`binary %q, text "t"`, strings.Repeat("b", 126))},
	{"Close", []frame{{0x81, "a"}, {0x88, "\x03\xe8bye"}, {0x81, "late"}}, `text "a", closed 1000 "bye" clean by peer`},
	{"empty Close", []frame{{0x88, ""}}, `closed 1005 "" clean by peer`},
	{"Close inside a message", []frame{{0x01, "a"}, {0x88, "\x03\xe9"}}, `closed 1001 "" clean by peer`},
	{"bad UTF-8", []frame{{0x81, "a"}, {0x81, "b\xffc"}}, `text "a", error 1007, closed 1006 ""`},
	{"bad UTF-8 after a fragment", []frame{{0x01, "a\xe2"}, {0x80, "\x28"}}, `error 1007, closed 1006 ""`},
	{"text that ends inside a character", []frame{{0x81, "\xe2\x82"}}, `error 1007, closed 1006 ""`},
	{"reserved opcode", []frame{{0x89, "p"}, {0x83, ""}, {0x81, "late"}}, `error 1002, closed 1006 ""`},
	{"reserved bit", []frame{{0xa1, "x"}}, `error 1002, closed 1006 ""`},
	{"bad close code", []frame{{0x88, "\x03\xed"}}, `error 1002, closed 1006 ""`},
	{"bad close reason", []frame{{0x88, "\x03\xe8\xff"}}, `error 1007, closed 1006 ""`},
	{"nothing to continue", []frame{{0x80, "x"}}, `error 1002, closed 1006 ""`},
	{"interleaved", []frame{{0x01, "x"}, {0x81, "y"}}, `error 1002, closed 1006 ""`},
}

type frame struct {
	b0      byte
	payload string
}

// joined writes events with the parts of each message joined, since how many
// there are depends on the cut. A message that is not whole is left out.
func joined(events []Event) string {
	var all []string
	var message []byte
	for _, ev := range events {
		switch {
		case ev.Close != nil:
			s := fmt.Sprintf("closed %d %q", ev.Kind, ev.Close.Reason)
			if ev.Close.Clean {
				s += " clean"
			}
			if ev.Close.ByPeer {
				s += " by peer"
			}
			all = append(all, s)
		case ev.Err != nil:
			s := "error " + ev.Err.Error()
			switch e := ev.Err.(type) {
			case *ProtocolError:
				s = fmt.Sprintf("error %d", e.Code)
			case *LimitError:
				s = fmt.Sprintf("error %d", e.Code)
			}
			all = append(all, s)
		case ev.Kind == KindPong:
			all = append(all, fmt.Sprintf("pong %q", ev.Payload))
		default:
			if ev.First {
				message = nil
			}
			message = append(message, ev.Payload...)
			if ev.Last {
				all = append(all, fmt.Sprintf("%s %q", map[Kind]string{KindText: "text", KindBinary: "binary"}[ev.Kind], message))
			}
		}
	}
	return strings.Join(all, ", ")
}

// inPieces feeds wire to a new Conn, in pieces that end where the cuts are.
func inPieces(t testing.TB, role Role, wire []byte, cuts []int, options ...func(*Config)) (events string, output []byte) {
	c := newTestConn(t, role, options...)
	from := 0
	for _, cut := range append(cuts, len(wire)) {
		c.receiveBytes(wire[from:cut])
		from = cut
	}
	return joined(c.events), c.sent
}

func TestCuts(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		for _, test := range conversations {
			t.Run(test.name, func(t *testing.T) {
				var wire []byte
				for _, f := range test.frames {
					wire = append(wire, naiveFrame(Server-role, f.b0, f.payload)...)
				}
				events, output := inPieces(t, role, wire, nil)
				if events != test.want {
					t.Fatalf("whole\n got %s\nwant %s", events, test.want)
				}
				check := func(name string, cuts []int) {
					e, o := inPieces(t, role, wire, cuts)
					if e != events || !bytes.Equal(o, output) {
						t.Fatalf("%s\n got %s\nwant %s\nsent\n%swant\n%s", name, e, events, grouped(o), grouped(output))
					}
				}
				var every []int
				for i := range len(wire) {
					every = append(every, i)
					check(fmt.Sprintf("cut at %d", i), []int{i})
				}
				check("byte by byte", every)
				if len(wire) < 40 {
					for i := range every {
						for j := i; j < len(wire); j++ {
							check(fmt.Sprintf("cut at %d and %d", i, j), []int{i, j})
						}
					}
				}
			})
		}
	})
}

func TestReceiveProtocolErrors(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		mask := "80" // the mask bit and length 0 of our peer's frames
		if role == Client {
			mask = "00"
		}
		for _, test := range []struct {
			name string
			wire string
			err  *ProtocolError
		}{
			{"RSV1 without an extension", "c1 " + mask, errReservedBits},
			{"RSV2", "a1 " + mask, errReservedBits},
			{"RSV3", "91 " + mask, errReservedBits},
			{"RSV1 in a Ping", "c9 " + mask, errReservedBits},
			{"RSV2 in a Close", "a8 " + mask, errReservedBits},
			{"opcode 3", "83", errReservedOpcode},
			{"opcode 11", "8b", errReservedOpcode},
			{"a fragmented Ping", "09", errFragmentedControl},
			{"a continuation of nothing", "80 " + mask, errNothingToContinue},
			{"a length of 1<<63", "82 7f 80", errLengthSign},
			{"a length not in its shortest form", "82 7e 0001", errLengthForm},
		} {
			t.Run(test.name, func(t *testing.T) {
				c := newTestConn(t, role)
				wire := octets(test.wire)
				if role == Server && len(wire) == 2 {
					wire = append(wire, testKey[:]...)
				}
				c.receiveBytes(wire)
				c.wantFailed("the connection is failed", test.err.Code, test.err)
				c.receiveFrame(0x81, "late")
				c.receiveFrame(0x89, "late")
				c.wantIdle("what comes after that is discarded")
			})
		}
	})
	c := newTestConn(t, Server)
	c.receive("81 05 | 48 65 6c 6c 6f")
	c.wantFailed("a client masks its frames", CodeProtocolError, errUnmasked)
	c = newTestConn(t, Client)
	c.receive("81 85 | 37 fa 21 3d | 7f 9f 4d 51 58")
	c.wantFailed("a server does not", CodeProtocolError, errMasked)
	c = newTestConn(t, Client)
	c.receive("01 01 | 61  01 01 | 62")
	c.wantEvent("the first fragment was in order", partEvent(KindText, "a", "first", 0))
	c.wantFailed("messages do not interleave", CodeProtocolError, errInterleaved)
}

// TestReceiveUTF8FailsFast feeds each bad text byte by byte: the connection fails
// with the first byte that no valid text could have there.
func TestReceiveUTF8FailsFast(t *testing.T) {
	for _, fragmented := range []bool{false, true} {
		for _, test := range utf8Vectors {
			t.Run(fmt.Sprintf("%s, fragmented %t", test.name, fragmented), func(t *testing.T) {
				c := newTestConn(t, Client)
				if !fragmented {
					c.receiveBytes([]byte{0x81, byte(len(test.text))})
				}
				for i := range len(test.text) {
					if fragmented {
						b0 := byte(0x00)
						if i == 0 {
							b0 = 0x01
						}
						c.receiveBytes([]byte{b0, 1})
					}
					if c.State() != StateOpen {
						t.Fatalf("failed before byte %d", i)
					}
					c.receiveBytes([]byte{test.text[i]})
					if bad := i == test.bad; bad || i == len(test.text)-1 && !fragmented && !test.complete {
						c.events = c.events[len(c.events)-2:] // without the parts before
						c.wantFailed(fmt.Sprintf("byte %d is at fault", i), CodeInvalidPayload, errInvalidText)
						return
					}
				}
				if fragmented {
					c.receive("80 00")
					if len(test.text) == 0 {
						c.wantFailed("there was no first fragment", CodeProtocolError, errNothingToContinue)
						return
					}
					if !test.complete {
						c.events = c.events[len(c.events)-2:]
						c.wantFailed("the text ends inside a character", CodeInvalidPayload, errInvalidText)
						return
					}
				}
				if got, want := joined(c.events), fmt.Sprintf("text %q", test.text); got != want {
					t.Errorf("got %s\nwant %s", got, want)
				}
				c.wantState("the text is valid", StateOpen)
			})
		}
	}
}

// TestReceiveUTF8Cuts cuts characters of 2, 3 and 4 bytes everywhere, by fragments
// and by input.
func TestReceiveUTF8Cuts(t *testing.T) {
	const text = "aé€\U0001f600z"
	bothRoles(t, func(t *testing.T, role Role) {
		for i := range len(text) + 1 {
			for j := i; j <= len(text); j++ {
				c := newTestConn(t, role)
				c.receiveFrame(0x01, text[:i])
				c.receiveFrame(0x00, text[i:j])
				c.receiveFrame(0x80, text[j:])
				if got, want := joined(c.events), fmt.Sprintf("text %q", text); got != want {
					t.Fatalf("fragments at %d and %d: %s, want %s", i, j, got, want)
				}
			}
		}
	})
}

func TestReceiveBinaryIsNotText(t *testing.T) {
	c := newTestConn(t, Server)
	c.receiveFrame(0x02, "\xff")
	c.receiveFrame(0x80, "\xe2")
	if got, want := joined(c.events), `binary "\xff\xe2"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	c.events = nil
	c.receiveFrame(0x81, "a")
	c.wantEvent("a text after it begins anew", textEvent("a"))
}

func TestCredit(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		c := newTestConn(t, role)
		c.LimitCredit(c.clock, 3)
		var wire []byte
		for _, f := range []frame{{0x82, "abcdefg"}, {0x89, "p"}, {0x81, ""}, {0x82, "xy"}} {
			wire = append(wire, naiveFrame(c.peer(), f.b0, f.payload)...)
		}
		c.receiveBytes(wire)
		c.wantEvent("payload is cut to the credit", partEvent(KindBinary, "abc", "first", 4))
		c.wantIdle("and what is behind it waits")
		consumed := len(naiveFrame(c.peer(), 0x82, "abcdefg")) - 4
		if got, want := c.Buffered(), len(wire)-consumed; got != want || c.Credit() != 0 {
			t.Fatalf("%d bytes are buffered with credit %d, want %d with 0", got, c.Credit(), want)
		}

		c.GrantCredit(c.clock, 1)
		c.wantEvent("a byte of credit is a byte of payload", partEvent(KindBinary, "d", "", 3))
		c.GrantCredit(c.clock, 0)
		c.wantIdle("no credit is no payload")

		unread := bytes.Clone(c.Unread())
		if c.Buffered() != 0 || len(unread) != len(wire)-consumed-1 {
			t.Fatalf("Unread takes back %d bytes and leaves %d, want all", len(unread), c.Buffered())
		}
		poison(c.input)
		c.wantIdle("without input there are no events")
		c.receiveBytes(unread)
		c.wantIdle("the same without credit")
		c.GrantCredit(c.clock, 3)
		c.wantEvent("input that was taken back goes on where it was", partEvent(KindBinary, "efg", "last", 0))
		c.wantEvent("an empty message needs no credit", textEvent(""))
		c.wantFrame("the Ping behind the data is answered when it is reached", 0x8a, "p")
		c.LimitCredit(c.clock, -1)
		c.wantEvent("less than no credit is credit without end", binaryEvent("xy"))
		if c.Buffered() != 0 || c.Credit() < 1<<61 {
			t.Errorf("%d bytes are buffered with credit %d", c.Buffered(), c.Credit())
		}
		for range 3 {
			c.GrantCredit(c.clock, 1<<63-1)
		}
		if c.Credit() != unlimitedCredit {
			t.Errorf("granted beyond the end, the credit is %d", c.Credit())
		}
	})
}

func TestCreditWhileClosing(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		c := newTestConn(t, role)
		c.LimitCredit(c.clock, 0)
		c.receiveBytes(append(naiveFrame(c.peer(), 0x82, "abc"), naiveFrame(c.peer(), 0x88, "\x03\xe8")...))
		c.wantIdle("without credit the message waits, and the Close frame behind it")
		c.Close(c.clock, CodeGoingAway, "")
		c.wantFrame("closing does not wait", 0x88, "\x03\xe9")
		c.wantEvent("the message is discarded, and the peer's Close frame found", closedEvent(CloseError{Code: CodeNormal, Clean: true}))
		c.wantIdle("that is all")
		if c.Credit() != 0 {
			t.Errorf("what is discarded takes no credit: %d left", c.Credit())
		}
	})
}

// TestReceiveReservesNothing: CVE class "memory promised by one header".
func TestReceiveReservesNothing(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		c := newTestConn(t, role, func(cfg *Config) { cfg.MessageLimit = 1<<63 - 1 })
		header := octets("82 7f | 7fffffffffffffff")
		if role == Server {
			header = octets("82 ff | 7fffffffffffffff | 37fa213d")
		}
		var ev Event
		input := bytes.Clone(header)
		c.Receive(0, input)
		if n := testing.AllocsPerRun(1, func() { c.NextEvent(&ev) }); n != 0 {
			t.Errorf("a header that announces 1<<63 - 1 bytes allocates %v times", n)
		}
		c.receiveBytes([]byte{'x' ^ testKey[0]*byte(role)})
		c.wantEvent("the byte that came is delivered, with the rest as announced", partEvent(KindBinary, "x", "first", 1<<63-2))
	})
}

func TestReceiveDoesNotAllocate(t *testing.T) {
	c, err := NewConn(0, Server, "", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var wire []byte
	for range 64 {
		wire = append(wire, naiveFrame(Client, 0x81, strings.Repeat("a", 64))...)
	}
	input := make([]byte, len(wire))
	if n := testing.AllocsPerRun(100, func() { receiveAll(c, input, wire) }); n != 0 {
		t.Errorf("64 messages allocate %v times", n)
	}
}

// receiveAll gives c a copy of wire in input, and returns how many events came.
func receiveAll(c *Conn, input, wire []byte) (n int) {
	copy(input, wire)
	c.Receive(0, input)
	var ev Event
	for c.NextEvent(&ev) {
		n++
	}
	return n
}

func TestTakenOutputIsLetGo(t *testing.T) {
	c := newTestConn(t, Server)
	c.SendBinary(make([]byte, 64<<10))
	c.drain()
	c.receiveFrame(0x82, "a")
	if n := cap(c.out.b); n > keptOutput {
		t.Errorf("with nothing to write %d bytes of output are kept, want at most %d", n, keptOutput)
	}
}

func TestLateCreditIsNotSilence(t *testing.T) {
	c := newTestConn(t, Server)
	c.LimitCredit(c.clock, 0)
	c.receiveFrame(0x82, "abc")
	c.clock = Time(time.Minute)
	c.GrantCredit(c.clock, 4)
	c.wantEvent("the message is delivered a minute late", binaryEvent("abc"))
	c.HandleTimeout(c.clock)
	c.wantIdle("the minute is not held against the peer")
	c.wantTimeout("its time begins now", 15*time.Second)
}

func BenchmarkReceive(b *testing.B) {
	for _, role := range []Role{Client, Server} {
		b.Run(role.String(), func(b *testing.B) {
			c, err := NewConn(0, role, "", nil, &Config{Random: testRandom})
			if err != nil {
				b.Fatal(err)
			}
			var wire []byte
			for range 64 {
				wire = append(wire, naiveFrame(Server-role, 0x82, strings.Repeat("a", 64))...)
			}
			input := make([]byte, len(wire))
			b.SetBytes(int64(len(wire)))
			b.ReportAllocs()
			for b.Loop() {
				if receiveAll(c, input, wire) != 64 {
					b.Fatal("want 64 messages")
				}
			}
		})
	}
}
