package deflate

import (
	"fmt"
	"testing"
)

// A load is what is measured: messages of one kind, of which there are as many as
// make data.
type load struct {
	name     string
	data     []byte
	size     int
	takeover bool
}

// loads are those of the guest, too: BenchmarkGuest.
func loads() []load {
	records, text := jsonText(256<<10, 1), prose(1<<20)
	return []load{
		{"200B", records[:64<<10], 200, true},
		{"1KiB", records, 1 << 10, false}, {"1KiB-takeover", records, 1 << 10, true},
		{"16KiB", records, 16 << 10, false}, {"16KiB-takeover", records, 16 << 10, true},
		{"text", text, 1 << 20, false},
	}
}

func (l load) messages() (messages [][]byte) {
	for b := l.data; len(b) > 0; b = b[len(messages[len(messages)-1]):] {
		messages = append(messages, b[:min(len(b), l.size)])
	}
	return messages
}

func BenchmarkDeflate(b *testing.B) {
	for _, level := range levels {
		for _, l := range loads() {
			b.Run(fmt.Sprintf("level%d/%s", level, l.name), func(b *testing.B) {
				d := deflater(level, 15)
				messages, dst := l.messages(), make([]byte, 0, Bound(l.size))
				in, out := 0, 0
				b.SetBytes(int64(len(l.data) / len(messages)))
				b.ReportAllocs()
				for i := 0; i < b.N; i++ {
					if !l.takeover {
						d.Reset()
					}
					m := messages[i%len(messages)]
					in += len(m)
					out += len(d.AppendLast(dst, m))
				}
				b.ReportMetric(float64(in)/float64(out), "ratio")
			})
		}
	}
}

func BenchmarkInflate(b *testing.B) {
	for _, l := range loads() {
		b.Run(l.name, func(b *testing.B) {
			d, z := deflater(Default, 15), inflater(15)
			var wires [][]byte
			for _, m := range l.messages() {
				if !l.takeover {
					d.Reset()
				}
				wires = append(wires, append(d.AppendLast(nil, m), tail...))
			}
			scratch := make([]byte, 0, 64<<10)
			b.SetBytes(int64(len(l.data) / len(wires)))
			b.ReportAllocs()
			for i := 0; i < b.N; i++ {
				if i%len(wires) == 0 || !l.takeover {
					z.Reset()
				}
				for wire, more := wires[i%len(wires)], true; more; {
					z.Resume()
					_, n, again, err := z.Inflate(scratch, wire)
					if err != nil {
						b.Fatal(err)
					}
					wire, more = wire[n:], again
				}
			}
		})
	}
}

// BenchmarkHeaders is what blocks cost that are nothing but codes: the most that a
// peer can ask for with a byte.
func BenchmarkHeaders(b *testing.B) {
	var codes blocks
	for range 1000 {
		codes.dynamic(257, 1, 1, 18|127<<5, 18|106<<5, 1, 1).put(1, 1)
	}
	wire, z := codes.bytes(), inflater(15)
	b.SetBytes(int64(len(wire)))
	for b.Loop() {
		z.Reset()
		for rest, more := wire, true; more; {
			z.Resume()
			_, n, again, err := z.Inflate(nil, rest)
			if err != nil {
				b.Fatal(err)
			}
			rest, more = rest[n:], again
		}
	}
}
