//go:build wasip1

package main

import "github.com/wasock/wasock/protocol/deflate"

var (
	shared   deflate.Shared
	deflater deflate.Deflater
	inflater deflate.Inflater
	level    = -1
)

// The end that every message is without on the wire.
var tail = []byte{0, 0, 0xff, 0xff}

func beginEncoding(l int) {
	if l != level {
		deflater.Init(&shared, deflate.Level(l), 15)
		level = l
	}
	deflater.Reset()
}

func encodeMessage(dst, message []byte, takeover bool) []byte {
	if !takeover {
		deflater.Reset()
	}
	return deflater.AppendLast(dst, message)
}

func beginDecoding() { inflater.Init(&shared, 15) }

func decodeMessage(message []byte, takeover bool) int {
	total := decodePart(message) + decodePart(tail)
	if !takeover {
		inflater.Reset()
	}
	return total
}

func decodePart(part []byte) (total int) {
	for more := true; more; {
		inflater.Resume()
		out, n, again, err := inflater.Inflate(scratch[:0], part)
		if err != nil {
			panic("BUG: " + err.Error())
		}
		total += len(out)
		part, more = part[n:], again
	}
	return total
}
