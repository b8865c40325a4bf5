//go:build wasip1

// Command guestbench is a reactor that encodes and decodes messages inside the
// sandbox, for BenchmarkGuest. codec.go says with what.
package main

import "unsafe"

const inputSize = 1 << 20

var (
	input   [inputSize]byte
	encoded [2 * inputSize]byte
	scratch [64 << 10]byte
	ends    []int // of the messages in encoded
)

func main() {}

//go:wasmexport input_address
func inputAddress() uint32 { return uint32(uintptr(unsafe.Pointer(&input))) }

// encode encodes length bytes of the input as messages of size bytes, and returns
// how many bytes that makes.
//
//go:wasmexport encode
func encode(length, size, level, takeover uint32) uint32 {
	ends = ends[:0]
	out := encoded[:0]
	beginEncoding(int(level))
	for b := input[:length]; len(b) > 0; b = b[min(len(b), int(size)):] {
		out = encodeMessage(out, b[:min(len(b), int(size))], takeover != 0)
		ends = append(ends, len(out))
	}
	return uint32(len(out))
}

// decode decodes what encode made, and returns how many bytes that is.
//
//go:wasmexport decode
func decode(takeover uint32) uint32 {
	total, begin := 0, 0
	beginDecoding()
	for _, end := range ends {
		total += decodeMessage(encoded[begin:end], takeover != 0)
		begin = end
	}
	return uint32(total)
}
