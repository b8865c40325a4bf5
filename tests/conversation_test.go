package tests

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"

	"github.com/wasock/wasock/hostcalls"
	"github.com/wasock/wasock/protocol"
)

// A conversation is what a peer sends after the opening handshake. Each is held
// with both roles, native and in the sandbox, and cut in every way.
type conversation struct {
	name string
	wire func(p peer) []byte
	eof  bool // the transport ends after it
}

// A peer encodes frames as the other end of a Conn does.
type peer struct{ role protocol.Role }

// frame encodes a frame whose first byte is b0, its length in the shortest form.
func (p peer) frame(b0 byte, payload string) []byte {
	n := len(payload)
	switch {
	case n < 126:
		return p.frameOf(b0, []byte{byte(n)}, payload)
	case n < 1<<16:
		return p.frameOf(b0, binary.BigEndian.AppendUint16([]byte{126}, uint16(n)), payload)
	}
	return p.frameOf(b0, binary.BigEndian.AppendUint64([]byte{127}, uint64(n)), payload)
}

// frameOf encodes a frame with its length as given.
func (p peer) frameOf(b0 byte, length []byte, payload string) []byte {
	b := append([]byte{b0}, length...)
	if p.role == protocol.Server {
		return append(b, payload...)
	}
	b[1] |= 0x80
	key := []byte{0x5a, 0x01, 0xff, 0x80}
	b = append(b, key...)
	for i := range len(payload) {
		b = append(b, payload[i]^key[i%4])
	}
	return b
}

// frames joins whole frames, each written as the hex of its first byte, a space
// and its payload.
func frames(list ...string) func(p peer) []byte {
	return func(p peer) (wire []byte) {
		for _, s := range list {
			b0, payload, _ := strings.Cut(s, " ")
			first, err := hex.DecodeString(b0)
			if err != nil {
				panic(err)
			}
			wire = append(wire, p.frame(first[0], payload)...)
		}
		return wire
	}
}

// header is a frame's header with a length that is not in its shortest form, or
// that promises more than comes.
func header(b0 byte, length ...byte) func(p peer) []byte {
	return func(p peer) []byte { return p.frameOf(b0, length, "") }
}

const bye = "88 \x03\xe8bye"

// conversationLimits are low, so that they are reached.
var conversationLimits = hostcalls.Limits{
	MessageLimit: 1 << 17, PartLimit: 4, ControlLimit: 6,
	IdleTimeout: 30e9, HandshakeTimeout: 10e9, CloseTimeout: 5e9, ControlWindow: 10e9,
}

var conversations = []conversation{
	{name: "text", wire: frames("81 Hello", bye)},
	{name: "empty messages", wire: frames("81", "82", bye)},
	{name: "every length of a header", wire: frames("82 "+strings.Repeat("a", 125), "82 "+strings.Repeat("b", 126), "82 "+strings.Repeat("c", 127), bye)},
	{name: "the last of the second form", wire: frames("82 " + strings.Repeat("d", 65535))},
	{name: "the first of the third form", wire: frames("82 " + strings.Repeat("e", 65536))},
	{name: "as long as the limit", wire: frames("82 " + strings.Repeat("f", 1<<17))},
	{name: "fragments", wire: frames("01 Hel", "00 lo", "80 !", bye)},
	{name: "empty fragments", wire: frames("02", "00", "00", "80", bye)},
	{name: "an empty last fragment", wire: frames("01 Hello", "80", bye)},
	{name: "a ping between fragments", wire: frames("01 Hel", "89 ping", "80 lo", bye)},
	{name: "pings and pongs", wire: frames("89", "89 a", "8a b", "8a", bye)},
	{name: "the longest ping", wire: frames("89 " + strings.Repeat("p", 125))},
	{name: "characters of every length", wire: frames("81 z\u00df\u6c34\U0001f34c", bye)},
	{name: "a character cut by fragments", wire: frames("01 \xf0", "00 \x9f", "00 \x8d", "80 \x8c", bye)},
	{name: "the last character", wire: frames("81 \xf4\x8f\xbf\xbf", bye)},
	{name: "a close without a code", wire: frames("88")},
	{name: "a close with a code", wire: frames("88 \x0f\xa0")},
	{name: "a close with a reason", wire: frames("88 \x13\x87\u00fc")},
	{name: "frames after a close", wire: frames(bye, "81 more", "89 ping")},
	{name: "the end in a header", wire: func(p peer) []byte { return p.frame(0x81, "Hello")[:1] }, eof: true},
	{name: "the end in a payload", wire: func(p peer) []byte { b := p.frame(0x81, "Hello"); return b[:len(b)-1] }, eof: true},
	{name: "the end between frames", wire: frames("81 Hello"), eof: true},
	{name: "the end after a close", wire: frames(bye), eof: true},

	{name: "RSV1", wire: frames("81 a", "c1 Hello")},
	{name: "RSV2", wire: frames("a1 Hello")},
	{name: "RSV3", wire: frames("91 Hello")},
	{name: "RSV1 on a ping", wire: frames("c9")},
	{name: "opcode 3", wire: frames("83 Hello")},
	{name: "opcode 7", wire: frames("87")},
	{name: "opcode 11", wire: frames("8b")},
	{name: "opcode 15", wire: frames("8f")},
	{name: "a ping in fragments", wire: frames("09 a")},
	{name: "a ping of 126 bytes", wire: frames("89 " + strings.Repeat("p", 126))},
	{name: "a close of 126 bytes", wire: frames("88 \x03\xe8" + strings.Repeat("p", 124))},
	{name: "125 in the second form", wire: header(0x82, 126, 0, 125)},
	{name: "65535 in the third form", wire: header(0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff)},
	{name: "the top bit of a length", wire: header(0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0)},
	{name: "the longest length", wire: header(0x82, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)},
	{name: "one over the message limit", wire: header(0x82, 127, 0, 0, 0, 0, 0, 2, 0, 1)},
	{name: "one over the message limit in fragments", wire: func(p peer) []byte {
		return append(p.frame(0x02, "a"), header(0x80, 127, 0, 0, 0, 0, 0, 2, 0, 0)(p)...)
	}},
	{name: "one over the part limit", wire: frames("02 a", "00 b", "00 c", "00 d", "00 e")},
	{name: "one over the control limit", wire: frames("89", "8a", "89", "8a", "89", "8a", "89")},
	{name: "masked by the wrong end", wire: func(p peer) []byte { return peer{1 - p.role}.frame(0x81, "Hello") }},
	{name: "a continuation of nothing", wire: frames("80 a")},
	{name: "a continuation after a message", wire: frames("81 a", "00 b")},
	{name: "interleaved messages", wire: frames("01 a", "81 b")},
	{name: "text that is not UTF-8", wire: frames("81 abc\xff")},
	{name: "text with a surrogate", wire: frames("81 \xed\xa0\x80")},
	{name: "text in a longer form", wire: frames("81 \xc0\xaf")},
	{name: "text beyond the last character", wire: frames("81 \xf4\x90\x80\x80")},
	{name: "text that ends in a character", wire: frames("81 \xe2\x82")},
	{name: "fragments that end in a character", wire: frames("01 \xe2\x82", "80")},
	{name: "a close of one byte", wire: frames("88 \x03")},
	{name: "a close with 999", wire: frames("88 \x03\xe7")},
	{name: "a close with 1005", wire: frames("88 \x03\xed")},
	{name: "a close with 1006", wire: frames("88 \x03\xee")},
	{name: "a close with 5000", wire: frames("88 \x13\x88")},
	{name: "a reason that is not UTF-8", wire: frames("88 \x03\xe8\xff")},
}

// cuts returns the ways to cut b: whole, byte by byte and at every split. Of what
// is long, the splits are those near its ends.
func cuts(b []byte) (ways [][][]byte) {
	const long, near = 1 << 10, 16
	ways = [][][]byte{{b}}
	if len(b) <= long {
		var bytewise [][]byte
		for i := range b {
			bytewise = append(bytewise, b[i:i+1])
		}
		ways = append(ways, bytewise)
	}
	for i := 1; i < len(b); i++ {
		if len(b) <= long || i < near || i >= len(b)-2 {
			ways = append(ways, [][]byte{b[:i], b[i:]})
		}
	}
	return ways
}

// clientURL is what the clients of the conversations open.
const clientURL = "ws://server.example.com/chat"

func clientOpen() hostcalls.Open {
	return hostcalls.Open{Limits: conversationLimits, URL: []byte(clientURL), Subprotocols: []byte("chat,superchat")}
}

// answerRequest returns the response to a request, as a server sends it.
func answerRequest(request []byte, more string) []byte {
	_, rest, _ := bytes.Cut(request, []byte("Sec-WebSocket-Key: "))
	key, _, _ := bytes.Cut(rest, []byte("\r\n"))
	return []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + acceptKey(string(key)) + "\r\n" + more + "\r\n")
}

// serverAccept is the request of RFC 6455 §1.3.
func serverAccept() hostcalls.Accept {
	var fields []byte
	for _, f := range [][2]string{
		{"Host", "server.example.com"}, {"Upgrade", "websocket"}, {"Connection", "Upgrade"},
		{"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}, {"Sec-WebSocket-Version", "13"},
		{"Sec-WebSocket-Protocol", "chat, superchat"},
	} {
		fields = hostcalls.AppendField(fields, f[0], f[1])
	}
	return hostcalls.Accept{Limits: conversationLimits, Method: []byte("GET"), Target: []byte("/chat"), Fields: fields,
		Subprotocols: []byte("superchat"), Major: 1, Minor: 1}
}
