package main

import (
	"encoding/binary"
	"math/rand/v2"
)

// Frames are written here and not by package protocol, so that the client
// shares no mistake with the engine that it checks.
const (
	finBinary = 0x82 // FIN and opcode binary, https://www.rfc-editor.org/rfc/rfc6455#section-5.2
	maskBit   = 0x80
)

// A batch is what a connection writes in one go, and the bytes that it must
// read back before it writes the next.
type batch struct {
	request  []byte // count masked frames
	reply    []byte // their echo
	messages int
}

// newBatch returns a batch of count messages with size bytes of payload each.
// Payloads are arbitrary but the same for the same seed, and differ within a
// batch, so that an echo out of order is seen.
func newBatch(seed uint64, count, size int) *batch {
	b := &batch{messages: count}
	random := newRandom(seed)
	payload := make([]byte, size)
	var key [4]byte
	for range count {
		random.Read(payload)
		random.Read(key[:])
		b.request = appendMaskedFrame(b.request, payload, key)
		b.reply = appendFrame(b.reply, payload)
	}
	return b
}

// raw returns b for a server that echoes the bytes that it reads, mask and all.
func (b *batch) raw() *batch {
	return &batch{request: b.request, reply: b.request, messages: b.messages}
}

// appendFrame appends an unfragmented, unmasked binary frame.
func appendFrame(b, payload []byte) []byte {
	return append(appendHeader(b, 0, len(payload)), payload...)
}

// appendMaskedFrame appends an unfragmented binary frame masked with key.
// https://www.rfc-editor.org/rfc/rfc6455#section-5.3
func appendMaskedFrame(b, payload []byte, key [4]byte) []byte {
	b = append(appendHeader(b, maskBit, len(payload)), key[:]...)
	for i, c := range payload {
		b = append(b, c^key[i%4])
	}
	return b
}

// appendHeader appends a frame header as far as the payload length n, in the
// shortest form. https://www.rfc-editor.org/rfc/rfc6455#section-5.2
func appendHeader(b []byte, mask byte, n int) []byte {
	switch {
	case n < 126:
		return append(b, finBinary, mask|byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, finBinary, mask|126), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(b, finBinary, mask|127), uint64(n))
	}
}

func newRandom(seed uint64) *rand.ChaCha8 {
	var s [32]byte
	binary.LittleEndian.PutUint64(s[:], seed)
	return rand.NewChaCha8(s)
}
