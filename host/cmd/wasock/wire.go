package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A unit is a frame, or the head of a request or a response, for display only:
// nothing is checked. The engine does that, in its sandbox.
type unit struct {
	from    direction
	at      time.Duration
	layer   string // "HTTP" or "HTTP/2" for what is no WebSocket frame
	head    string // then its first line
	fin     bool
	rsv1    bool
	opcode  byte
	masked  bool
	payload []byte // unmasked
}

// consumeHead returns the HTTP head that b begins with, and its length: 0 if it
// is not whole.
func consumeHead(b []byte) (unit, int) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return unit{}, 0
	}
	first, _, _ := bytes.Cut(b[:end], []byte("\r\n"))
	return unit{layer: "HTTP", head: string(first)}, end + 4
}

// consumeFrame returns the frame that b begins with, and its length: 0 if it is
// not whole. https://www.rfc-editor.org/rfc/rfc6455#section-5.2
func consumeFrame(b []byte) (unit, int) {
	if len(b) < 2 {
		return unit{}, 0
	}
	u := unit{fin: b[0]&0x80 != 0, rsv1: b[0]&0x40 != 0, opcode: b[0] & 0x0f, masked: b[1]&0x80 != 0}
	header, length := 2, uint64(b[1]&0x7f)
	switch {
	case length == 126 && len(b) >= 4:
		header, length = 4, uint64(binary.BigEndian.Uint16(b[2:]))
	case length == 127 && len(b) >= 10:
		header, length = 10, binary.BigEndian.Uint64(b[2:])
	case length >= 126:
		return unit{}, 0
	}
	var key [4]byte
	if u.masked {
		if len(b) < header+4 {
			return unit{}, 0
		}
		copy(key[:], b[header:])
		header += 4
	}
	if uint64(len(b)-header) < length {
		return unit{}, 0
	}
	u.payload = append([]byte(nil), b[header:header+int(length)]...)
	for i := range u.payload {
		u.payload[i] ^= key[i%4]
	}
	return u, header + int(length)
}

// https://www.rfc-editor.org/rfc/rfc6455#section-11.8
var opcodeNames = map[byte]string{0: "cont.", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong"}

// previewWidth is what 80 columns leave for the payload.
const previewWidth = 32

const (
	tableHead = "      ms  direction  opcode  FIN  mask  length  payload\n"
	tableRow  = "%s  %-9s  %-6s  %-3s  %-4s  %6s  %s\n"
)

// printTable prints units, one a row.
func printTable(w io.Writer, units []unit, p palette) {
	fmt.Fprint(w, p.dim(tableHead))
	for _, u := range units {
		ms := p.dim(fmt.Sprintf("%8.2f", float64(u.at)/float64(time.Millisecond)))
		way, colour := "client →", p.cyan
		if u.from == fromServer {
			way, colour = "← server", p.green
		}
		way = fmt.Sprintf("%-9s", way)
		if u.layer != "" {
			fmt.Fprintf(w, tableRow, ms, colour(way), u.layer, "", "", "", clip(printable(u.head)))
			continue
		}
		name := opcodeNames[u.opcode]
		if name == "" {
			name = strconv.Itoa(int(u.opcode))
		}
		fmt.Fprintf(w, tableRow, ms, colour(way), name, digit(u.fin), yes(u.masked), strconv.Itoa(len(u.payload)), u.preview())
	}
}

// preview is the beginning of the payload.
func (u *unit) preview() string {
	switch {
	case u.rsv1:
		return clip("compressed " + spacedHex(u.payload))
	case u.opcode == 8 && len(u.payload) >= 2:
		text := strconv.Itoa(int(binary.BigEndian.Uint16(u.payload)))
		if reason := u.payload[2:]; len(reason) > 0 {
			text += " " + strconv.Quote(string(reason))
		}
		return clip(text)
	case u.opcode <= 1 && utf8.Valid(u.payload):
		return clip(strconv.Quote(string(u.payload)))
	}
	return clip(spacedHex(u.payload))
}

func spacedHex(b []byte) string {
	return fmt.Sprintf("% x", b[:min(len(b), previewWidth)])
}

// clip shortens s to what fits the column.
func clip(s string) string {
	if utf8.RuneCountInString(s) <= previewWidth {
		return strings.TrimRight(s, " ")
	}
	return string([]rune(s)[:previewWidth-1]) + "…"
}

func digit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
