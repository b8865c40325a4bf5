package protocol

import (
	"encoding/binary"
	"unicode/utf8"
)

// A utf8Checker checks a stream of UTF-8 that arrives in any cut, in time linear
// in its length, and fails at the first byte that no valid text could have
// there. RFC 6455 §8.1. The zero value is ready.
type utf8Checker struct {
	tail [utf8.UTFMax]byte // the beginning of a character that was cut
	n    uint8             // how many bytes of it there are
}

// write checks the next bytes of the text.
func (u *utf8Checker) write(b []byte) bool {
	for u.n > 0 {
		if len(b) == 0 {
			return true
		}
		u.tail[u.n] = b[0]
		u.n++
		b = b[1:]
		t := u.tail[:u.n]
		if !utf8.FullRune(t) {
			continue
		}
		if r, size := utf8.DecodeRune(t); r == utf8.RuneError && size == 1 {
			return false
		}
		u.n = 0
	}
	// Only the last three bytes can begin a character that is not whole.
	whole := len(b)
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		c := b[len(b)-i]
		if utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRune(b[len(b)-i:]) {
				whole -= i
			}
			break
		}
	}
	u.n = uint8(copy(u.tail[:], b[whole:]))
	return validUTF8(b[:whole])
}

// complete reports whether the text may end here, and makes u ready for another.
func (u *utf8Checker) complete() bool {
	whole := u.n == 0
	u.n = 0
	return whole
}

// validUTF8 is utf8.Valid, with a longer stride over ASCII, which is most text:
// BenchmarkUTF8.
func validUTF8(b []byte) bool {
	if len(b) >= vectorMin {
		b = b[asciiVectors(b):]
	}
	const high = 0x8080808080808080
	for len(b) >= 32 {
		w := b[:32:32]
		if (binary.LittleEndian.Uint64(w[0:])|binary.LittleEndian.Uint64(w[8:])|
			binary.LittleEndian.Uint64(w[16:])|binary.LittleEndian.Uint64(w[24:]))&high != 0 {
			break
		}
		b = b[32:]
	}
	return utf8.Valid(b)
}
