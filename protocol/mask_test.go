package protocol

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
)

// naiveMask is RFC 6455 §5.3 word by word: octet i of what follows after offset
// octets is XORed with octet (offset + i) mod 4 of the key.
func naiveMask(key [4]byte, offset int, b []byte) []byte {
	out := make([]byte, len(b))
	for i := range b {
		out[i] = b[i] ^ key[(offset+i)%4]
	}
	return out
}

// counting returns n bytes that differ from their neighbours.
func counting(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

// lengths are all up to 200 bytes, and some about the strides of longer ones.
func lengths() []int {
	all := []int{255, 256, 257, 319, 320, 321, 511, 512, 513, 1023, 1024, 1025, 1500, 4100}
	for n := range 201 {
		all = append(all, n)
	}
	return all
}

func TestMaskBytesIsTheNaiveTwin(t *testing.T) {
	key := binary.LittleEndian.Uint32(testKey[:])
	for offset := range 16 { // in memory
		for _, n := range lengths() {
			memory := counting(offset + n + 8)
			want := bytes.Clone(memory)
			copy(want[offset:], naiveMask(testKey, 0, want[offset:offset+n]))
			next := maskBytes(key, memory[offset:offset+n])
			if !bytes.Equal(memory, want) {
				t.Fatalf("%d bytes at offset %d\n got % x\nwant % x", n, offset, memory, want)
			}
			var turned [4]byte
			binary.LittleEndian.PutUint32(turned[:], next)
			for i := range turned {
				if turned[i] != testKey[(n+i)%4] {
					t.Fatalf("after %d bytes the key is % x", n, turned)
				}
			}
		}
	}
}

func TestMaskBytesResumes(t *testing.T) {
	const n = 330
	want := naiveMask(testKey, 0, counting(n))
	for first := range n + 1 {
		for _, second := range []int{0, 1, 3, 4, 7, 64, 300, n} {
			b := counting(n)
			middle := min(first+second, n)
			key := binary.LittleEndian.Uint32(testKey[:])
			for _, part := range [][]byte{b[:first], b[first:middle], b[middle:]} {
				key = maskBytes(key, part)
			}
			if !bytes.Equal(b, want) {
				t.Fatalf("cut at %d and %d\n got % x\nwant % x", first, middle, b, want)
			}
		}
	}
}

func BenchmarkMask(b *testing.B) {
	for _, n := range []int{16, 128, 1 << 10, 64 << 10} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			payload := counting(n)
			b.SetBytes(int64(n))
			for b.Loop() {
				maskBytes(0x3d21fa37, payload)
			}
		})
	}
}
