package protocol

import (
	"encoding/binary"
	"math/bits"
)

// sha1Size is the length of a SHA-1 digest in bytes.
const sha1Size = 20

// sha1Sum returns the SHA-1 digest of b. FIPS 180-4 §6.1.
//
// The opening handshake asks for SHA-1 and needs no secrecy from it. This one is
// here because crypto/sha1 adds 0.58 MB to the module.
func sha1Sum(b []byte) (sum [sha1Size]byte) {
	h := [5]uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}
	length := uint64(len(b)) * 8
	for ; len(b) >= 64; b = b[64:] {
		sha1Block(&h, b[:64])
	}

	// What remains is padded with a one bit, zeros, and the length in bits, to one
	// block or two. FIPS 180-4 §5.1.1.
	var tail [128]byte
	n := copy(tail[:], b)
	tail[n] = 0x80
	end := 64
	if n >= 56 {
		end = 128
	}
	binary.BigEndian.PutUint64(tail[end-8:], length)
	for i := 0; i < end; i += 64 {
		sha1Block(&h, tail[i:i+64])
	}

	for i, v := range h {
		binary.BigEndian.PutUint32(sum[4*i:], v)
	}
	return sum
}

// sha1Block mixes one block of 64 bytes into h. FIPS 180-4 §6.1.2.
func sha1Block(h *[5]uint32, block []byte) {
	var w [80]uint32
	for i := range 16 {
		w[i] = binary.BigEndian.Uint32(block[4*i:])
	}
	for i := 16; i < 80; i++ {
		w[i] = bits.RotateLeft32(w[i-3]^w[i-8]^w[i-14]^w[i-16], 1)
	}
	a, b, c, d, e := h[0], h[1], h[2], h[3], h[4]
	for _, x := range w[:20] {
		a, b, c, d, e = bits.RotateLeft32(a, 5)+(b&c|^b&d)+e+0x5a827999+x, a, bits.RotateLeft32(b, 30), c, d
	}
	for _, x := range w[20:40] {
		a, b, c, d, e = bits.RotateLeft32(a, 5)+(b^c^d)+e+0x6ed9eba1+x, a, bits.RotateLeft32(b, 30), c, d
	}
	for _, x := range w[40:60] {
		a, b, c, d, e = bits.RotateLeft32(a, 5)+(b&c|b&d|c&d)+e+0x8f1bbcdc+x, a, bits.RotateLeft32(b, 30), c, d
	}
	for _, x := range w[60:] {
		a, b, c, d, e = bits.RotateLeft32(a, 5)+(b^c^d)+e+0xca62c1d6+x, a, bits.RotateLeft32(b, 30), c, d
	}
	h[0] += a
	h[1] += b
	h[2] += c
	h[3] += d
	h[4] += e
}
