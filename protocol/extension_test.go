package protocol

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// A fakeExtension encodes payload as pairs of a count, which is not 0, and the
// byte to repeat.
type fakeExtension struct {
	count   byte // of a pair that was cut, or 0
	repeat  byte
	pending int // how many of repeat are to come

	given, got int   // bytes that Decode was given and made
	sizes      []int // what Compresses was asked for
	declines   bool
}

var errZeroCount = &ProtocolError{CodeInvalidPayload, "a count is not 0"}
var errHalfPair = errors.New("a message ends between count and byte")

func (x *fakeExtension) Decode(dst, src []byte, last bool) (out []byte, n int, done bool, err error) {
	x.given += len(src)
	defer func() { x.got += len(out) }()
	for {
		for ; x.pending > 0 && len(dst) < cap(dst); x.pending-- {
			dst = append(dst, x.repeat)
		}
		switch {
		case x.pending > 0:
			return dst, n, false, nil
		case n == len(src) && last && x.count != 0:
			return dst, n, false, errHalfPair
		case n == len(src):
			return dst, n, true, nil
		case x.count == 0:
			if x.count = src[n]; x.count == 0 {
				return dst, n, false, errZeroCount
			}
		default:
			x.pending, x.repeat, x.count = int(x.count), src[n], 0
		}
		n++
	}
}

func (x *fakeExtension) Encode(dst, src []byte, last bool) []byte {
	for len(src) > 0 {
		n := 1
		for n < min(len(src), 255) && src[n] == src[0] {
			n++
		}
		dst = append(dst, byte(n), src[0])
		src = src[n:]
	}
	return dst
}

func (*fakeExtension) Resume() {}

func (x *fakeExtension) Compresses(op Opcode, size int) bool {
	x.sizes = append(x.sizes, size)
	return !x.declines
}

func scratch(n int) func(*Config) {
	return func(cfg *Config) { cfg.Scratch = make([]byte, n) }
}

func TestExtensionReceives(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		c := newExtendedConn(t, role, &fakeExtension{}, scratch(64))
		c.receiveFrame(0xc1, "\x01H\x02l\x01o")
		c.wantEvent("a message with RSV1 is decoded", textEvent("Hllo"))
		c.receiveFrame(0x82, "\x01H")
		c.wantEvent("one without is not", binaryEvent("\x01H"))
		c.receiveFrame(0x42, "\x03a\x01")
		c.wantEvent("the first fragment", partEvent(KindBinary, "aaa", "first", 0))
		c.receiveFrame(0x89, "p")
		c.wantFrame("control frames between are not encoded", 0x8a, "p")
		c.receiveFrame(0x00, "")
		c.receiveFrame(0x00, "b")
		c.wantEvent("a fragment goes on where the one before ended", partEvent(KindBinary, "b", "", 0))
		c.receiveFrame(0x80, "\x02c")
		c.wantEvent("the last fragment", partEvent(KindBinary, "cc", "last", 0))
		c.receiveFrame(0xc2, "")
		c.wantEvent("an empty message", binaryEvent(""))
		c.receiveFrame(0x41, "\x01a")
		c.receiveFrame(0x80, "")
		c.wantEvent("a message with an empty last fragment", partEvent(KindText, "a", "first", 0))
		c.wantEvent("has an end", partEvent(KindText, "", "last", 0))
		c.wantIdle("that is all")
	})
}

func TestExtensionDecodesInPieces(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		c := newExtendedConn(t, role, &fakeExtension{}, scratch(4))
		c.receiveFrame(0xc2, "\x05a\x06b\x01c")
		c.wantEvent("output is cut to Scratch", partEvent(KindBinary, "aaaa", "first", 4))
		c.wantEvent("then goes on", partEvent(KindBinary, "abbb", "", 2))
		c.wantEvent("with what the frame still announces", partEvent(KindBinary, "bbbc", "last", 0))
		c.wantIdle("that is all")
		c.receiveFrame(0xc2, "\x08a")
		c.wantEvent("output that fills Scratch", partEvent(KindBinary, "aaaa", "first", 0))
		c.wantEvent("and once more, to the end", partEvent(KindBinary, "aaaa", "last", 0))
		c.wantIdle("is all there is")
		cut := naiveFrame(c.peer(), 0xc2, "\x06a\x01b")
		c.receiveBytes(cut[:len(cut)-2])
		c.wantEvent("what decoding made of a part of a frame", partEvent(KindBinary, "aaaa", "first", 2))
		c.wantEvent("does not wait for the rest", partEvent(KindBinary, "aa", "", 2))
		c.receiveBytes(cut[len(cut)-2:])
		c.wantEvent("which comes", partEvent(KindBinary, "b", "last", 0))
	})
}

// TestExtensionCuts: TestCuts for messages that are encoded, with every Scratch.
func TestExtensionCuts(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		var wire []byte
		for _, f := range []frame{{0xc1, "\x01H\x09l\x01o"}, {0x42, "\x03"}, {0x89, "p"}, {0x00, "a"}, {0x80, "\x01b"}, {0xc2, ""}, {0x81, "é"}, {0xc1, "\x01\xff"}} {
			wire = append(wire, naiveFrame(Server-role, f.b0, f.payload)...)
		}
		const want = `text "Hlllllllllo", binary "aaab", binary "", text "é", error 1007, closed 1006 ""`
		output := append(naiveFrame(role, 0x8a, "p"), naiveFrame(role, 0x88, "\x03\xef")...)
		for _, room := range []int{1, 2, 3, 7, 64} {
			for step := 1; step <= len(wire); step++ {
				c := newExtendedConn(t, role, &fakeExtension{}, scratch(room))
				for b := wire; len(b) > 0; b = b[min(step, len(b)):] {
					c.receiveBytes(b[:min(step, len(b))])
				}
				if got := joined(c.events); got != want || !bytes.Equal(c.sent, output) {
					t.Fatalf("Scratch of %d, pieces of %d\n got %s\nwant %s\nsent\n%s", room, step, got, want, grouped(c.sent))
				}
			}
		}
	})
}

func TestExtensionReservedBits(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		for _, test := range []struct {
			name   string
			frames []frame
		}{
			{"RSV2", []frame{{0xa1, ""}}},
			{"RSV3", []frame{{0x91, ""}}},
			{"RSV1 and RSV2", []frame{{0xe1, ""}}},
			{"RSV1 in a continuation", []frame{{0x41, ""}, {0xc0, ""}}},
			{"RSV1 in a continuation of what is not encoded", []frame{{0x01, ""}, {0xc0, ""}}},
			{"RSV1 in a Ping", []frame{{0xc9, ""}}},
			{"RSV1 in a Pong", []frame{{0xca, ""}}},
			{"RSV1 in a Close", []frame{{0xc8, ""}}},
		} {
			c := newExtendedConn(t, role, &fakeExtension{}, scratch(64))
			for _, f := range test.frames {
				c.receiveFrame(f.b0, f.payload)
			}
			c.wantFailed(test.name, CodeProtocolError, errReservedBits)
		}
	})
}

// TestExtensionLimit: CVE class "inflate bomb".
func TestExtensionLimit(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		const limit = 1000
		bomb := strings.Repeat("\xffa", 100)
		for _, test := range []struct {
			name string
			size int // that decoding makes
			f    []frame
		}{
			{"limit-1", limit - 1, []frame{{0xc2, "\xf0a\xf0a\xf0a\xf0a\x27a"}}},
			{"limit", limit, []frame{{0xc2, "\xf0a\xf0a\xf0a\xf0a\x28a"}}},
			{"limit+1", limit + 1, []frame{{0xc2, "\xf0a\xf0a\xf0a\xf0a\x29a"}}},
			{"limit over fragments", limit, []frame{{0x42, "\xf0a\xf0a"}, {0x00, "\xf0a\xf0a"}, {0x80, "\x28a"}}},
			{"limit+1 over fragments", limit + 1, []frame{{0x42, "\xf0a\xf0a"}, {0x00, "\xf0a\xf0a"}, {0x80, "\x29a"}}},
			{"a bomb", limit + 1, []frame{{0xc2, bomb}}},
		} {
			for _, room := range []int{7, 64 << 10} {
				x := &fakeExtension{}
				c := newExtendedConn(t, role, x, scratch(room), func(cfg *Config) { cfg.MessageLimit = limit })
				for _, f := range test.f {
					c.receiveFrame(f.b0, f.payload)
				}
				if x.got != test.size {
					t.Errorf("%s: %d bytes were decoded, want %d", test.name, x.got, test.size)
				}
				if test.size <= limit {
					c.wantState(test.name, StateOpen)
					continue
				}
				c.events = c.events[len(c.events)-2:]
				c.wantFailed(test.name, CodeMessageTooBig, &LimitError{CodeMessageTooBig, "MessageLimit", limit, limit + 1})
			}
		}
		c := newExtendedConn(t, role, &fakeExtension{}, scratch(64), func(cfg *Config) { cfg.MessageLimit = limit })
		c.receiveFrame(0xc2, strings.Repeat("\x01", limit+1))
		c.wantFailed("the limit is on wire bytes, too", CodeMessageTooBig, &LimitError{CodeMessageTooBig, "MessageLimit", limit, limit + 1})
	})
}

func TestExtensionErrors(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		c := newExtendedConn(t, role, &fakeExtension{}, scratch(64))
		c.receiveFrame(0xc2, "\x00a")
		c.wantFailed("a *ProtocolError has its code", CodeInvalidPayload, errZeroCount)
		c = newExtendedConn(t, role, &fakeExtension{}, scratch(64))
		c.receiveFrame(0xc2, "\x01a\x01")
		c.wantFailed("any other is ours", CodeInternalError, errHalfPair)
		c = newExtendedConn(t, role, &fakeExtension{}, scratch(64))
		c.receiveFrame(0xc1, "\x01\xe2")
		c.wantFailed("text is checked decoded", CodeInvalidPayload, errInvalidText)
		c = newExtendedConn(t, role, stuckExtension{}, scratch(64))
		c.receiveFrame(0xc1, "abc")
		c.wantFailed("an extension that makes no progress is not asked for ever", CodeInternalError, errExtensionStuck)
	})
}

type stuckExtension struct{}

func (stuckExtension) Decode(dst, src []byte, last bool) (out []byte, n int, done bool, err error) {
	return dst, 0, false, nil
}

func (stuckExtension) Encode(dst, src []byte, last bool) []byte { return append(dst, src...) }
func (stuckExtension) Resume()                                  {}
func (stuckExtension) Compresses(Opcode, int) bool              { return true }

func TestExtensionCredit(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		c := newExtendedConn(t, role, &fakeExtension{}, scratch(64))
		c.LimitCredit(0, 0)
		wire := naiveFrame(c.peer(), 0xc2, "\x05a\x05b\x01c")
		c.receiveBytes(wire)
		c.wantIdle("without credit nothing is decoded")
		c.GrantCredit(0, 2)
		c.wantEvent("credit is for what is decoded", partEvent(KindBinary, "aa", "first", 4))
		if !bytes.Equal(c.Unread(), wire[len(wire)-4:]) {
			t.Error("input that is not used is left as it came")
		}
		c.receiveBytes(wire[len(wire)-4:])
		c.GrantCredit(0, 3)
		c.wantEvent("so it can be given again", partEvent(KindBinary, "aaa", "", 2))
		c.GrantCredit(0, 5)
		c.wantEvent("and decoded", partEvent(KindBinary, "bbbbb", "", 0))
		c.GrantCredit(0, 1)
		c.wantEvent("to the end", partEvent(KindBinary, "c", "last", 0))
		c.wantIdle("that is all")
	})
}

func TestExtensionLeavesInputAsItCame(t *testing.T) {
	c := newExtendedConn(t, Server, &fakeExtension{}, scratch(16))
	wire := naiveFrame(Client, 0xc2, strings.Repeat("\xc8a", 100))
	input := bytes.Clone(wire)
	c.Receive(0, input)
	var ev Event
	total := 0
	for c.NextEvent(&ev) {
		total += len(ev.Payload)
		if left := c.in.b; !bytes.Equal(left, wire[len(wire)-len(left):]) {
			t.Fatalf("after %d bytes of output the input is\n% x\nwant\n% x", total, left, wire[len(wire)-len(left):])
		}
	}
	if total != 200*100 {
		t.Errorf("%d bytes came, want %d", total, 200*100)
	}
}

// TestExtensionWorkIsLinear: what is not used of the input is not unmasked and
// masked again with every piece of output.
func TestExtensionWorkIsLinear(t *testing.T) {
	x := &fakeExtension{}
	c := newExtendedConn(t, Server, x, scratch(16))
	const pairs = 5000
	c.receiveFrame(0xc2, strings.Repeat("\xc8a", pairs))
	if want := 200 * pairs; x.got != want {
		t.Fatalf("%d bytes were decoded, want %d", x.got, want)
	}
	if most := 2*pairs + 2*x.got; x.given > most {
		t.Errorf("Decode was given %d bytes for %d of input and %d of output, want at most %d", x.given, 2*pairs, x.got, most)
	}
}

func TestExtensionWhileClosing(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		c := newExtendedConn(t, role, &fakeExtension{}, scratch(4))
		c.LimitCredit(0, 1)
		c.receiveBytes(append(naiveFrame(c.peer(), 0xc1, "\x09a\x09b"), naiveFrame(c.peer(), 0x88, "")...))
		c.wantEvent("credit holds the message back", partEvent(KindText, "a", "first", 2))
		c.Close(0, CodeNormal, "")
		c.wantFrame("we close", 0x88, "\x03\xe8")
		c.wantEvent("then it does not hold the Close frame back", closedEvent(CloseError{Code: CodeNoStatus, Clean: true}))
		c.wantIdle("and the message is discarded")
	})
}

func TestExtensionSends(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		x := &fakeExtension{}
		c := newExtendedConn(t, role, x, scratch(64))
		c.wantErr("text", c.SendText([]byte("aaab")), nil)
		c.wantFrame("is encoded, with RSV1", 0xc1, "\x03a\x01b")
		c.wantErr("a fragment", c.SendMessage(OpBinary, []byte("aa"), false), nil)
		c.wantFrame("is, too", 0x42, "\x02a")
		c.wantErr("another", c.SendMessage(OpContinuation, []byte("b"), false), nil)
		c.wantFrame("without RSV1", 0x00, "\x01b")
		c.wantErr("a Ping between", c.SendPing([]byte("p")), nil)
		c.wantFrame("is not encoded", 0x89, "p")
		c.wantErr("the last", c.SendMessage(OpContinuation, nil, true), nil)
		c.wantFrame("ends the message", 0x80, "")
		c.wantErr("bad text", c.SendText([]byte("\xff")), ErrInvalidUTF8)
		x.declines = true
		c.wantErr("what the extension declines", c.SendBinary([]byte("aa")), nil)
		c.wantFrame("goes as it is", 0x82, "aa")
		if got, want := fmt.Sprint(x.sizes), "[4 -1 2]"; got != want {
			t.Errorf("the sizes that Compresses was told are %s, want %s", got, want)
		}
	})
}

func TestExtensionPair(t *testing.T) {
	var client, server fakeExtension
	p := &pair{newExtendedConn(t, Client, &client, scratch(5)), newExtendedConn(t, Server, &server, scratch(64))}
	text := strings.Repeat("é", 300) + strings.Repeat("a", 1000)
	for i := range 20 {
		client.declines = i%3 == 0
		p.client.wantErr("sent", p.client.SendText([]byte(text[:len(text)-i])), nil)
		p.server.wantErr("sent", p.server.SendBinary([]byte(text[i:])), nil)
		p.flow()
		if got, want := joined(p.server.events), fmt.Sprintf("text %q", text[:len(text)-i]); got != want {
			t.Fatalf("message %d arrives as %s\nwant %s", i, got, want)
		}
		if got, want := joined(p.client.events), fmt.Sprintf("binary %q", text[i:]); got != want {
			t.Fatalf("message %d arrives as %s\nwant %s", i, got, want)
		}
		p.client.forget()
		p.server.forget()
	}
	p.advance(time.Minute)
	p.client.wantState("an encoded conversation lives", StateOpen)
}
