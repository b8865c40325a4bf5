package deflate

import "encoding/binary"

// A bitWriter appends bits to b, the first to the lowest bit of a byte. RFC 1951
// §3.1.1.
type bitWriter struct {
	b    []byte
	hold uint64
	n    uint // bits in hold that are not in b: at most 7 between calls
}

func put64(b []byte, v uint64) { binary.LittleEndian.PutUint64(b, v) }

// room makes room for n bytes besides what is written 8 at a time.
func (w *bitWriter) room(n int) {
	if n += len(w.b) + 8; n > cap(w.b) {
		b := make([]byte, len(w.b), n+n/4)
		copy(b, w.b)
		w.b = b
	}
}

// bits appends the low n bits of v, at most 56, which are all that is set in it.
// There is room.
func (w *bitWriter) bits(v uint64, n uint) {
	w.hold |= v << (w.n & 63)
	w.n += n
	p := len(w.b)
	put64(w.b[p:p+8], w.hold)
	w.b = w.b[:p+int(w.n>>3)]
	w.hold >>= w.n & 56
	w.n &= 7
}

// align fills the last byte with zeros.
func (w *bitWriter) align() { w.bits(0, -w.n&7) }

// stored appends raw, at most 65535 bytes, as a stored block. RFC 1951 §3.2.4.
func (w *bitWriter) stored(raw []byte) {
	w.room(len(raw) + 5)
	w.bits(blockStored<<1, 3)
	w.align()
	w.bits(uint64(len(raw))|uint64(^uint16(len(raw)))<<16, 32)
	w.b = append(w.b, raw...)
}
