package deflated

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"unicode/utf8"
)

// random returns a source that is the same for the same seed.
func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7692)) }

// noise returns n bytes that nothing compresses.
func noise(n int) []byte {
	b, r := make([]byte, n), random(uint64(n))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// digits returns n hexadecimal digits in no order. Half of a byte is all that can be
// saved of each, and matches are too short to be worth much.
func digits(seed uint64, n int) []byte {
	b, r := make([]byte, n), random(seed)
	for i := range b {
		b[i] = "0123456789abcdef"[r.IntN(16)]
	}
	return b
}

// trade returns a message of a feed: about 140 bytes, of which few are new.
func trade(i int) []byte {
	r := random(uint64(i))
	return fmt.Appendf(nil, `{"type":"trade","id":%d,"symbol":"W%02dSM","price":%d.%02d,"size":%d,"side":"%s","venue":"LOOPBACK","flags":["regular","lit"]}`,
		1_000_000+i, r.IntN(100), 100+r.IntN(20), r.IntN(100), 100*(1+r.IntN(9)), [...]string{"buy", "sell"}[r.IntN(2)])
}

// trades returns at least n bytes of them, a line each.
func trades(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		b.Write(trade(i))
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// prose returns at least n bytes of text with characters of every length, in no order.
func prose(n int) []byte {
	from := [...]rune{' ', 0xa0, 0x4e00, 0x10000}
	count := [...]int32{0x5f, 0x700, 0x5000, 0x100000}
	b, r := make([]byte, 0, n+utf8.UTFMax), random(uint64(n))
	for len(b) < n {
		i := r.IntN(len(from))
		b = utf8.AppendRune(b, from[i]+r.Int32N(count[i]))
	}
	return b
}

// words returns at least n bytes of text made of sixteen words with characters of every
// length.
func words(n int) []byte {
	vocabulary := []rune(string(prose(600)))
	const length = 8
	b, r := make([]byte, 0, n+length*utf8.UTFMax), random(uint64(n))
	for len(b) < n {
		i := length * r.IntN(16)
		b = append(b, string(vocabulary[i:i+length])...)
	}
	return b
}
