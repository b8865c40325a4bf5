package relay

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net/textproto"
	"sync"
)

// A Wire is what passed in one direction of a connection: the head of the opening
// handshake, and then frames. RFC 6455 §5.2. The zero value has seen nothing.
type Wire struct {
	mu     sync.Mutex
	bytes  int64
	err    error  // what is no frame, or not one that may be here
	rest   []byte // not yet read, less than what comes next
	opened bool   // the head has passed
	head   []byte

	header header // of the frame that passes
	left   uint64 // of its payload
	inside bool   // a frame passes

	message  *Message // that passes
	messages []Message
	close    chan struct{} // closed when a Close frame has passed, with code
	code     int
}

// A Message is how a message passed.
type Message struct {
	Text       bool
	Compressed bool // RSV1 was set. RFC 7692 §6
	Frames     int
	Size       int // of the payloads of its frames
	Controls   int // frames between its own
}

// header is a frame's.
type header struct {
	fin, rsv1, masked bool
	opcode            byte
	length            uint64
	key               [4]byte
}

const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
)

// headLimit is far above what the head of an opening handshake is: what has none of
// this length is TLS, or HTTP/2.
const headLimit = 64 << 10

var (
	errNoHead       = errors.New("relay: no head of an opening handshake passed")
	errRSV          = errors.New("relay: RSV2 or RSV3 is set")
	errControl      = errors.New("relay: a control frame that has RSV1, is a fragment or is too long")
	errContinuation = errors.New("relay: a continuation frame that continues nothing, or has RSV1")
	errInterrupted  = errors.New("relay: a message begins inside another")
	errOpcode       = errors.New("relay: a frame has an opcode that there is not")
)

// Write sees what passes. It never fails: what is wrong is Messages' to say.
func (w *Wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bytes += int64(len(p))
	if w.err != nil {
		return len(p), nil
	}
	w.rest = append(w.rest, p...)
	for w.err == nil && w.next() {
	}
	w.rest = bytes.Clone(w.rest)
	return len(p), nil
}

// next reads what comes next of rest. It reports false if that is not there yet.
func (w *Wire) next() bool {
	switch {
	case !w.opened:
		i := bytes.Index(w.rest, []byte("\r\n\r\n"))
		if i < 0 {
			if len(w.rest) > headLimit {
				w.err, w.rest = errNoHead, nil
			}
			return false
		}
		w.head, w.rest, w.opened = bytes.Clone(w.rest[:i+4]), w.rest[i+4:], true
	case !w.inside:
		h, n := parse(w.rest)
		if n == 0 {
			return false
		}
		w.rest, w.header, w.left, w.inside = w.rest[n:], h, h.length, true
		w.err = w.begin()
	case w.header.opcode == opClose:
		if uint64(len(w.rest)) < w.left {
			return false
		}
		w.closed(w.rest[:w.left])
		w.rest, w.inside = w.rest[w.left:], false
	default:
		n := min(w.left, uint64(len(w.rest)))
		w.rest, w.left = w.rest[n:], w.left-n
		if w.left > 0 {
			return false
		}
		w.inside = false
		if w.header.fin && w.header.opcode < opClose {
			w.messages = append(w.messages, *w.message)
			w.message = nil
		}
	}
	return true
}

// parse returns the header that b begins with and its length, 0 if it is not whole.
func parse(b []byte) (h header, n int) {
	if len(b) < 2 {
		return h, 0
	}
	h = header{fin: b[0]&0x80 != 0, rsv1: b[0]&0x40 != 0, masked: b[1]&0x80 != 0, opcode: b[0] & 0x3f, length: uint64(b[1] & 0x7f)}
	n = 2
	switch h.length {
	case 126:
		n = 4
	case 127:
		n = 10
	}
	key := n
	if h.masked {
		n += 4
	}
	if len(b) < n {
		return h, 0
	}
	switch h.length {
	case 126:
		h.length = uint64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		h.length = binary.BigEndian.Uint64(b[2:])
	}
	copy(h.key[:], b[key:n])
	return h, n
}

// begin counts the frame whose header came. It returns what is wrong with it.
func (w *Wire) begin() error {
	h := &w.header
	switch {
	case h.opcode > 0x0f: // RSV2 and RSV3 are above it
		return errRSV
	case h.opcode >= opClose:
		// https://www.rfc-editor.org/rfc/rfc7692.html#section-6
		if h.rsv1 || !h.fin || h.length > 125 {
			return errControl
		}
		if w.message != nil {
			w.message.Controls++
		}
		return nil
	case h.opcode > opBinary:
		return errOpcode
	case h.opcode == opContinuation && (w.message == nil || h.rsv1):
		return errContinuation
	case h.opcode != opContinuation && w.message != nil:
		return errInterrupted
	case h.opcode != opContinuation:
		w.message = &Message{Text: h.opcode == opText, Compressed: h.rsv1}
	}
	w.message.Frames++
	w.message.Size += int(h.length)
	return nil
}

// closed takes the payload of a Close frame.
func (w *Wire) closed(payload []byte) {
	const noCode = 1005
	code := noCode
	if len(payload) >= 2 {
		key := w.header.key // zero without a mask
		code = int(payload[0]^key[0])<<8 | int(payload[1]^key[1])
	}
	select {
	case <-w.closing():
	default:
		w.code = code
		close(w.closing())
	}
}

// closing returns w.close. The caller holds mu.
func (w *Wire) closing() chan struct{} {
	if w.close == nil {
		w.close = make(chan struct{})
	}
	return w.close
}

// Bytes returns how many bytes passed.
func (w *Wire) Bytes() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bytes
}

// Header returns the fields of the head, or nil if none has passed.
func (w *Wire) Header() textproto.MIMEHeader {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, fields, _ := bytes.Cut(w.head, []byte("\r\n"))
	h, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(fields))).ReadMIMEHeader()
	if err != nil {
		return nil
	}
	return h
}

// Messages returns the messages that passed whole since it was called last. The error
// is what passed that is no frame, or none that may be there; it stays.
func (w *Wire) Messages() ([]Message, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.messages
	w.messages = nil
	return m, w.err
}

// CloseCode waits for a Close frame and returns its code, 1005 if it has none.
func (w *Wire) CloseCode(ctx context.Context) (int, error) {
	w.mu.Lock()
	closing := w.closing()
	w.mu.Unlock()
	select {
	case <-closing:
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.code, nil
	case <-ctx.Done():
		return 0, errors.New("relay: no Close frame passed")
	}
}
