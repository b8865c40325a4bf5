package protocol

import (
	"encoding/binary"
	"math/bits"
)

// maskBytes applies the masking key to b in place and returns the key turned so
// that it goes on where b ended: masking is resumable at any offset. The key's
// first byte is its lowest. RFC 6455 §5.3.
//
// Eight words an iteration is what the sandbox's compiler makes the most of, but
// for its vectors, which have their cost at the start: BenchmarkMask, and
// RATIONALE.md for the figures.
func maskBytes(key uint32, b []byte) uint32 {
	if len(b) >= vectorMin {
		b = b[maskVectors(key, b):]
	}
	k := uint64(key) | uint64(key)<<32
	for len(b) >= 64 {
		w := b[:64:64]
		binary.LittleEndian.PutUint64(w[0:], binary.LittleEndian.Uint64(w[0:])^k)
		binary.LittleEndian.PutUint64(w[8:], binary.LittleEndian.Uint64(w[8:])^k)
		binary.LittleEndian.PutUint64(w[16:], binary.LittleEndian.Uint64(w[16:])^k)
		binary.LittleEndian.PutUint64(w[24:], binary.LittleEndian.Uint64(w[24:])^k)
		binary.LittleEndian.PutUint64(w[32:], binary.LittleEndian.Uint64(w[32:])^k)
		binary.LittleEndian.PutUint64(w[40:], binary.LittleEndian.Uint64(w[40:])^k)
		binary.LittleEndian.PutUint64(w[48:], binary.LittleEndian.Uint64(w[48:])^k)
		binary.LittleEndian.PutUint64(w[56:], binary.LittleEndian.Uint64(w[56:])^k)
		b = b[64:]
	}
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^k)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(key)
		key = bits.RotateLeft32(key, -8)
	}
	return key
}
