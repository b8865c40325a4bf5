package host_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/wasock/wasock/host"
)

// TestFrameErrors has a peer break a rule of the framing. The wire shows a Close
// frame with the code that the rule has, and the end of the stream; the
// application is told the rule, and then once that the connection ended with
// 1006. RFC 6455 §7.1.7, deno.md §6.2.
func TestFrameErrors(t *testing.T) {
	h := newHost(t, host.Config{})
	for _, x := range frameErrors() {
		t.Run(x.name, func(t *testing.T) {
			forEachEnd(t, func(t *testing.T, r role, s style) {
				e, p := r.connect(t, h, s, x.limits)
				p.send(x.frames...)
				wantFailure(t, e, p, x.code, x.rule)
			})
		})
	}
}

// wantFailure is what follows what the peer did wrong.
func wantFailure(t *testing.T, e *end, p *rawPeer, code host.CloseCode, rule string) {
	t.Helper()
	if e.events != nil {
		ev, err := e.events.next(e.ctx)
		for ; err == nil && (ev.kind == "message" || ev.kind == "pong"); ev, err = e.events.next(e.ctx) {
		}
		if err != nil || ev.kind != "error" || !isFailure(ev.err, code, rule) {
			e.fail("the error says which rule was broken", "got %s %v, %v, want %d and %q", ev.kind, ev.err, err, code, rule)
		}
		if ev := e.wantEvent("the end comes after the error", "close"); ev.code != host.CodeAbnormal || ev.clean {
			e.fail("the end is 1006", "%+v", ev)
		}
	} else {
		ce := e.wantClosed("Read tells of the end", host.CodeAbnormal, "", false)
		if !isFailure(ce.Err, code, rule) {
			e.fail("the error says which rule was broken", "got %v, want %d and %q", ce.Err, code, rule)
		}
	}
	p.skipPongs()
	p.wantClose("the peer is told the close code", code, "")
	p.wantEOF("nothing follows the Close frame")
	_ = p.Close()
	if e.events != nil {
		eventually(t, "the handle is free", func() (bool, string) { return e.conn.RemoteAddr() == nil, "still connected" })
		select {
		case ev := <-e.events.events:
			e.fail("the end is told once", "then %+v", ev)
		default:
		}
	}
}

func isFailure(err error, code host.CloseCode, rule string) bool {
	var pe *host.ProtocolError
	var le *host.LimitError
	switch {
	case errors.As(err, &pe):
		return pe.Code == code && strings.Contains(pe.Rule, rule)
	case errors.As(err, &le):
		return le.Code == code && le.Limit == rule
	}
	return false
}

type frameError struct {
	name   string
	frames []string // as rawPeer.send has them
	limits host.Limits
	code   host.CloseCode
	rule   string // a part of what the error says
}

func frameErrors() []frameError {
	const protocol, invalid, tooBig = host.CodeProtocolError, host.CodeInvalidPayload, host.CodeMessageTooBig
	small := host.Limits{MessageLimit: 1000}
	xs := []frameError{
		{name: "RSV1", frames: []string{"c1 00"}, code: protocol, rule: "reserved bit"},
		{name: "RSV2", frames: []string{"a1 00"}, code: protocol, rule: "reserved bit"},
		{name: "RSV3", frames: []string{"91 00"}, code: protocol, rule: "reserved bit"},
		{name: "RSV1 on a Ping", frames: []string{"c9 00"}, code: protocol, rule: "reserved bit"},
		{name: "Ping in fragments", frames: []string{"09 00"}, code: protocol, rule: "control frame"},
		{name: "Close in fragments", frames: []string{"08 02 03e8"}, code: protocol, rule: "control frame"},
		{name: "Ping of 126 bytes", frames: []string{frame(0x89, make([]byte, 126))}, code: protocol, rule: "125"},
		{name: "Pong of 126 bytes", frames: []string{frame(0x8a, make([]byte, 126))}, code: protocol, rule: "125"},
		{name: "Close of 126 bytes", frames: []string{frame(0x88, append([]byte{3, 0xe8}, make([]byte, 124)...))}, code: protocol, rule: "125"},
		{name: "Close of 1 byte", frames: []string{"88 01 03"}, code: protocol, rule: "close"},
		{name: "reason not UTF-8", frames: []string{"88 03 03e8ff"}, code: invalid, rule: "UTF-8"},
		{name: "length 5 in 16 bits", frames: []string{"82 7e0005 0000000000"}, code: protocol, rule: "length"},
		{name: "length 65535 in 64 bits", frames: []string{"82 7f000000000000ffff"}, code: protocol, rule: "length"},
		{name: "top bit of the length", frames: []string{"82 7f8000000000000000"}, code: protocol, rule: "length"},
		{name: "all bits of the length", frames: []string{"82 7fffffffffffffffff"}, code: protocol, rule: "length"},
		{name: "2^63-1 bytes", frames: []string{"82 7f7fffffffffffffff"}, code: tooBig, rule: "MessageLimit"},
		{name: "2^53 bytes", frames: []string{"82 7f0020000000000000"}, code: tooBig, rule: "MessageLimit"},
		{name: "2^32 bytes", frames: []string{"82 7f0000000100000000"}, code: tooBig, rule: "MessageLimit"},
		{name: "2^31 bytes", frames: []string{"82 7f0000000080000000"}, code: tooBig, rule: "MessageLimit"},
		{name: "limit+1", frames: []string{frame(0x82, make([]byte, 1001))}, limits: small, code: tooBig, rule: "MessageLimit"},
		{name: "limit+1 in fragments", limits: small, code: tooBig, rule: "MessageLimit", frames: []string{
			frame(0x02, make([]byte, 600)), frame(0x00, make([]byte, 400)), frame(0x80, make([]byte, 1))}},
		{name: "2^63-1 bytes after 999", limits: small, code: tooBig, rule: "MessageLimit", frames: []string{
			frame(0x02, make([]byte, 999)), "80 7f7fffffffffffffff"}},
		{name: "1025 fragments", frames: repeat(1024, "01 00", "00 00"), code: host.CodePolicyViolation, rule: "PartLimit"},
		{name: "101 Pings", frames: repeat(100, "89 00", "89 00"), code: host.CodePolicyViolation, rule: "ControlLimit"},
		{name: "101 Pongs", frames: repeat(100, "8a 00", "8a 00"), code: host.CodePolicyViolation, rule: "ControlLimit"},
		{name: "text not UTF-8", frames: []string{"81 01 ff"}, code: invalid, rule: "UTF-8"},
		{name: "text with a surrogate", frames: []string{"81 03 eda080"}, code: invalid, rule: "UTF-8"},
		{name: "text over U+10FFFF", frames: []string{"81 04 f4908080"}, code: invalid, rule: "UTF-8"},
		{name: "text that ends inside a character", frames: []string{"81 02 61ce"}, code: invalid, rule: "UTF-8"},
		{name: "fragments that end inside a character", frames: []string{"01 01 61", "80 01 ce"}, code: invalid, rule: "UTF-8"},
		{name: "empty last fragment inside a character", frames: []string{"01 02 61ce", "80 00"}, code: invalid, rule: "UTF-8"},
		{name: "fragment not UTF-8 before its message is whole", frames: []string{"01 02 c0af"}, code: invalid, rule: "UTF-8"},
		{name: "continuation of nothing", frames: []string{"80 00"}, code: protocol, rule: "continuation"},
		{name: "continuation after a message", frames: []string{"81 00", "00 00"}, code: protocol, rule: "continuation"},
		{name: "message inside a message", frames: []string{"01 01 61", "81 01 62"}, code: protocol, rule: "message begins"},
		{name: "fragment inside a message", frames: []string{"01 01 61", "01 01 62"}, code: protocol, rule: "message begins"},
		{name: "binary inside text", frames: []string{"01 01 61", "82 01 62"}, code: protocol, rule: "message begins"},
	}
	for _, op := range []byte{3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf} {
		xs = append(xs, frameError{name: fmt.Sprintf("opcode %#x", op), frames: []string{frame(0x80|op, nil)}, code: protocol, rule: "opcode"})
	}
	for _, code := range []host.CloseCode{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535} {
		xs = append(xs, frameError{name: fmt.Sprintf("Close with %d", code), frames: []string{closeFrame(code, "x")}, code: protocol, rule: "code that must not be sent"})
	}
	return xs
}

func repeat(n int, first, rest string) []string {
	frames := []string{first}
	for range n {
		frames = append(frames, rest)
	}
	return frames
}

// TestMasking has frames whose mask is the other role's. RFC 6455 §5.1; the
// reference takes both (deno.md §6.2).
func TestMasking(t *testing.T) {
	h := newHost(t, host.Config{})
	forEachEnd(t, func(t *testing.T, r role, s style) {
		e, p := r.connect(t, h, s, host.Limits{})
		p.say(string(wire(t, !p.client, "81 05 68656c6c6f")))
		wantFailure(t, e, p, host.CodeProtocolError, "mask")
	})
}

// TestMaskingKeys has each frame of a client masked with a key of its own.
func TestMaskingKeys(t *testing.T) {
	h := newHost(t, host.Config{})
	e, p := dialRaw(t, h, streamStyle, host.DialOptions{})
	keys := make(map[string]bool)
	for range 100 {
		e.send("a message is sent", host.MessageText, []byte("abc"))
		var b [9]byte
		if _, err := p.r.Read(b[:2]); err != nil || b[1] != 0x83 {
			p.fail("a client masks", "%x, %v", b, err)
		}
		if _, err := readFull(p, b[2:]); err != nil {
			p.fail("a frame is whole", "%v", err)
		}
		keys[string(b[2:6])] = true
	}
	if len(keys) != 100 {
		t.Errorf("100 frames have %d keys", len(keys))
	}
}

func readFull(p *rawPeer, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var k int
		k, err = p.r.Read(b[n:])
		n += k
	}
	return n, err
}

// TestFrames has what a peer may do, up to the limits.
func TestFrames(t *testing.T) {
	h := newHost(t, host.Config{})
	limits := host.Limits{MessageLimit: 1000}
	forEachEnd(t, func(t *testing.T, r role, s style) {
		e, p := r.connect(t, h, s, limits)
		for _, size := range []int{999, 1000} {
			p.send(frame(0x82, make([]byte, size)))
			e.wantMessage("up to the limit a message is delivered", host.MessageBinary, make([]byte, size))
		}
		p.send(frame(0x02, make([]byte, 600)), frame(0x00, nil), frame(0x80, make([]byte, 400)))
		e.wantMessage("the limit is for all fragments together", host.MessageBinary, make([]byte, 1000))

		p.send(repeat(1022, "01 01 61", "00 00")...)
		p.send("80 01 62")
		e.wantMessage("1024 fragments are a message", host.MessageText, []byte("ab"))

		p.send("01 01 ce", "80 01 b1")
		e.wantMessage("fragments may cut a character", host.MessageText, []byte("α"))

		p.send("01 01 61", "89 02 6869", "80 01 62")
		e.wantMessage("a Ping between fragments changes nothing", host.MessageText, []byte("ab"))
		p.wantFrame("a Ping between fragments is answered", 0x8a, "hi")

		for i, b := range wire(t, p.client, "81 7e007e "+strings.Repeat("61", 126)) {
			if i == 5 {
				p.say("") // a write of nothing
			}
			p.say(string([]byte{b}))
		}
		e.wantMessage("a frame may come byte by byte", host.MessageText, bytes.Repeat([]byte("a"), 126))

		p.send("8a 03 616263", closeFrame(3123, "why"))
		if e.events != nil {
			e.wantEvent("a Pong that nobody asked for is told", "pong")
		}
		e.wantClosed("the peer's code and reason are told", 3123, "why", true)
		p.wantClose("the answer has the peer's code", 3123, "why")
		if !p.client { // RFC 6455 §7.1.1: the server closes the transport first
			_ = p.Close()
		} else {
			p.wantEOF("a server closes the transport")
		}
	})
}

// TestFramesWithTheHandshake has frames in the packet of the head before them.
func TestFramesWithTheHandshake(t *testing.T) {
	h := newHost(t, host.Config{})
	forEachEnd(t, func(t *testing.T, r role, s style) {
		long := bytes.Repeat([]byte("x"), 100_000)
		e, p := r.connect(t, h, s, host.Limits{}, "81 02 6869", "89 01 70", frame(0x82, long), closeFrame(1000, ""))
		e.wantMessage("the first frame is delivered", host.MessageText, []byte("hi"))
		e.wantMessage("the others are as well", host.MessageBinary, long)
		e.wantClosed("a Close frame is as well", normal, "", true)
		p.wantFrame("the Ping is answered", 0x8a, "p")
		p.wantClose("the Close frame is answered", normal, "")
	})
}
