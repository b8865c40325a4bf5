package protocol

import (
	"encoding/binary"
	"strconv"
)

// An Opcode says what a frame's payload is. RFC 6455 §5.2.
type Opcode uint8

const (
	OpContinuation Opcode = 0x0
	OpText         Opcode = 0x1
	OpBinary       Opcode = 0x2
	OpClose        Opcode = 0x8
	OpPing         Opcode = 0x9
	OpPong         Opcode = 0xA
)

// Control reports whether o is the opcode of a control frame. RFC 6455 §5.5.
func (o Opcode) Control() bool { return o >= OpClose }

func (o Opcode) String() string {
	switch o {
	case OpContinuation:
		return "continuation"
	case OpText:
		return "text"
	case OpBinary:
		return "binary"
	case OpClose:
		return "close"
	case OpPing:
		return "ping"
	case OpPong:
		return "pong"
	}
	return "reserved " + strconv.Itoa(int(o))
}

// MaxHeaderLen is the longest frame header in bytes: two, eight of length, four
// of masking key.
const MaxHeaderLen = 14

// The bits of a frame's first two bytes. RFC 6455 §5.2.
const (
	bitFIN    = 0x80
	bitRSV1   = 0x40
	bitRSV    = 0x70
	bitMasked = 0x80
)

// A Header is a frame header. RFC 6455 §5.2.
type Header struct {
	FIN    bool
	RSV    byte // RSV1 to RSV3 in place: 0x40, 0x20, 0x10
	Opcode Opcode
	Masked bool
	Length uint64 // of the payload, in bytes
	Key    uint32 // masking key, its first byte lowest; 0 unless Masked
}

// ConsumeHeader decodes the header at the start of b and returns its length in
// bytes, or 0 if b holds less than the whole header.
//
// The error is a *ProtocolError for what is wrong in any frame, whatever the
// connection: a reserved opcode, a control frame that is fragmented or too
// long, a length with its top bit set or not in its shortest form. It is
// returned as soon as the bytes at fault are there.
func ConsumeHeader(b []byte) (h Header, n int, err error) {
	if len(b) == 0 {
		return h, 0, nil
	}
	h = Header{FIN: b[0]&bitFIN != 0, RSV: b[0] & bitRSV, Opcode: Opcode(b[0] & 0x0f)}
	switch {
	case h.Opcode > OpBinary && h.Opcode < OpClose || h.Opcode > OpPong:
		return h, 0, errReservedOpcode
	case h.Opcode.Control() && !h.FIN:
		return h, 0, errFragmentedControl
	case len(b) == 1:
		return h, 0, nil
	}
	h.Masked = b[1]&bitMasked != 0
	length := uint64(b[1] &^ bitMasked)
	if h.Opcode.Control() && length > maxControlPayload {
		return h, 0, errLongControl
	}
	n = 2
	switch length {
	case 126:
		if len(b) < 4 {
			return h, 0, nil
		}
		if length = uint64(binary.BigEndian.Uint16(b[2:])); length < 126 {
			return h, 0, errLengthForm
		}
		n = 4
	case 127:
		// The top bit is known before the other seven bytes are.
		if len(b) > 2 && b[2]&0x80 != 0 {
			return h, 0, errLengthSign
		}
		if len(b) < 10 {
			return h, 0, nil
		}
		if length = binary.BigEndian.Uint64(b[2:]); length < 1<<16 {
			return h, 0, errLengthForm
		}
		n = 10
	}
	h.Length = length
	if h.Masked {
		if len(b) < n+4 {
			return h, 0, nil
		}
		h.Key = binary.LittleEndian.Uint32(b[n:])
		n += 4
	}
	return h, n, nil
}

// AppendHeader appends the header h, its length in the shortest form. h.Length is
// below 1<<63.
func AppendHeader(b []byte, h Header) []byte {
	b0 := byte(h.Opcode) | h.RSV
	if h.FIN {
		b0 |= bitFIN
	}
	var b1 byte
	if h.Masked {
		b1 = bitMasked
	}
	switch {
	case h.Length < 126:
		b = append(b, b0, b1|byte(h.Length))
	case h.Length < 1<<16:
		b = append(b, b0, b1|126, byte(h.Length>>8), byte(h.Length))
	default:
		b = append(b, b0, b1|127)
		b = binary.BigEndian.AppendUint64(b, h.Length)
	}
	if h.Masked {
		b = binary.LittleEndian.AppendUint32(b, h.Key)
	}
	return b
}

// HeaderLen is the length in bytes of the header of a frame whose payload has
// length bytes.
func HeaderLen(length uint64, masked bool) int {
	n := 2
	switch {
	case length >= 1<<16:
		n = 10
	case length >= 126:
		n = 4
	}
	if masked {
		n += 4
	}
	return n
}

// What can be wrong in any frame.
var (
	errReservedOpcode    = &ProtocolError{CodeProtocolError, "the opcode is reserved"}
	errFragmentedControl = &ProtocolError{CodeProtocolError, "a control frame is not fragmented"}
	errLongControl       = &ProtocolError{CodeProtocolError, "a control frame carries at most 125 bytes"}
	errLengthForm        = &ProtocolError{CodeProtocolError, "a payload length is in its shortest form"}
	errLengthSign        = &ProtocolError{CodeProtocolError, "a payload length has its top bit clear"}
)
