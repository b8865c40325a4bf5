package protocol

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"testing"
)

// FIPS 180-4, examples of SHA-1.
func TestSHA1Vectors(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
		{"abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
		{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
	} {
		sum := sha1Sum([]byte(test.in))
		if got := hex.EncodeToString(sum[:]); got != test.want {
			t.Errorf("sha1Sum(%q) = %s, want %s", test.in, got, test.want)
		}
	}
}

// crypto/sha1 is the oracle for every length around the padding's boundaries.
func TestSHA1AgreesWithCrypto(t *testing.T) {
	for n := range 300 {
		b := bytes.Repeat([]byte{byte(n), 0xa5, byte(n >> 3)}, n)[:n]
		if got, want := sha1Sum(b), sha1.Sum(b); got != want {
			t.Fatalf("sha1Sum of %d bytes = %x, want %x", n, got, want)
		}
	}
}
