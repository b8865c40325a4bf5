package deflate

import "math/bits"

// A Level is what a Deflater spends on finding matches.
type Level uint8

const (
	Default Level = iota // the last four places of a hash, and whether the next byte has a longer match
	Fastest              // the last place of a hash
	Best                 // the last 128 places of a hash, and whether the next byte has a longer match
)

// DeflaterSize is how many bytes a Deflater takes besides its window and tables, on
// the wasm target.
const DeflaterSize = 136

const (
	// minSpanBits is for how many bytes, as a power of two, the smallest tables are.
	minSpanBits = 9

	// firstPosition is not 0, which in a table is no position.
	firstPosition = 1

	// shortest is the shortest match that is used. zlib uses 3, which is seldom less
	// than the literals.
	shortest = 4

	// hashed is how many bytes at a place have to be there for it to be hashed:
	// Default looks at all of them, which finds fewer and longer matches than 4 do,
	// the others at 4.
	hashed = 5

	// lookahead is how much is needed after a position, or the input's end, so that
	// its match is as long as it can be.
	lookahead = maxMatch + hashed
)

// spanPerHash is how many bytes of the window there are to a hash, as a power of
// two, by level.
var spanPerHash = [...]uint8{Default: 2, Fastest: 2, Best: 1}

// A Deflater encodes messages for permessage-deflate. RFC 7692 §7.2.1. Init makes
// it ready; it is not copied after that.
//
// With context takeover it lives as long as its connection; without, Reset comes
// before each message, and one serves any number of connections.
//
// It never uses more than the last 1<<windowBits bytes, 256 for 8. What it puts
// out depends on the stream of parts since Init or Reset, and on nothing else.
type Deflater struct {
	shared     *Shared
	level      Level
	windowBits uint8
	hashBits   uint8  // 0 while there is no table
	unhashed   uint8  // bytes at the end of the window that are not in the table
	position   uint16 // of the next byte, in its low 16 bits, which is what tables hold
	lease      uint64 // of the encoder's buffer, if that is still the encoder's

	window  window
	buckets []uint64 // Default: four positions for each hash, the last in the low bits
	heads   []uint16 // Fastest, Best: the last position for each hash
	chain   []uint16 // Best: the position before, by position
}

// Init makes d ready for a stream whose distances are at most 1<<windowBits, 8 to
// 15.
func (d *Deflater) Init(s *Shared, level Level, windowBits int) {
	if windowBits < minWindowBits || windowBits > maxWindowBits {
		panic("BUG: deflate: window bits are 8 to 15")
	}
	if level > Best {
		panic("BUG: deflate: no such level")
	}
	*d = Deflater{shared: s, level: level, windowBits: uint8(windowBits), position: firstPosition}
}

// Reset forgets what was encoded, and keeps the memory.
func (d *Deflater) Reset() {
	d.window.at, d.window.have = 0, 0
	d.hashBits, d.unhashed, d.position, d.lease = 0, 0, firstPosition, 0
}

// Size returns how many bytes d takes.
func (d *Deflater) Size() int {
	return DeflaterSize + cap(d.window.b) + 8*cap(d.buckets) + 2*cap(d.heads) + 2*cap(d.chain)
}

// Bound returns how much room AppendPart and AppendLast need for n bytes so that
// they do not allocate: 10 more than they append at most. What cannot be compressed
// grows by 5 bytes for every 64 KiB that are begun, and 1 or 5 at the end.
func Bound(n int) int { return n + 5*(n/minBlock+1) + 16 }

// AppendPart appends src, a part of a message that is not its last, to dst. The
// result ends with an empty stored block, so that the other end can decode all of
// it at once.
func (d *Deflater) AppendPart(dst, src []byte) []byte {
	w := bitWriter{b: dst}
	d.encode(&w, src)
	w.stored(nil)
	return w.b
}

// AppendLast appends src, a message or its last part, to dst, without the 00 00 ff
// ff at its end. RFC 7692 §7.2.1.
func (d *Deflater) AppendLast(dst, src []byte) []byte {
	w := bitWriter{b: dst}
	d.encode(&w, src)
	w.room(1)
	w.bits(blockStored<<1, 3)
	w.align()
	return w.b
}

// encode writes src as blocks.
func (d *Deflater) encode(w *bitWriter, src []byte) {
	if len(src) == 0 {
		return
	}
	e := d.shared.encoder()
	d.load(e)
	e.begin(0)
	block := 0    // where it begins in src
	i := e.filled // where to look for the next match in e.buf
	for fed := 0; fed < len(src); {
		first := fed == 0
		i, fed = d.feed(e, i, src, fed)
		if first {
			// What the end of the part before did not let be hashed.
			d.insert(e, i-int(d.unhashed), i)
		}
		delta := fed - e.filled // from a place in e.buf to that in src
		limit := e.filled - lookahead
		if fed == len(src) {
			limit = e.filled - (hashed - 1)
		}
		for i < limit {
			end := block + maxBlock
			i = d.parse(e, i, min(limit, end-delta), delta)
			if i+delta >= end || e.full() {
				e.writeBlock(w, src[block:i+delta])
				block = i + delta
				e.begin(block)
			}
		}
	}
	if block < len(src) {
		e.writeBlock(w, src[block:])
	}
	d.unhashed = uint8(min(e.filled, hashed-1))
	d.window.remember(src, 1<<d.windowBits, nil)
}

// parse looks for matches from i on, and returns where it ended: at stop, or up to
// a match later, or where the block is full.
func (d *Deflater) parse(e *encoder, i, stop, delta int) int {
	switch d.level {
	case Fastest:
		return d.parseFastest(e, i, stop, delta)
	case Best:
		return d.parseBest(e, i, stop, delta)
	case Default:
		return d.parseDefault(e, i, stop, delta)
	}
	panic("BUG: deflate: no such level")
}

// load brings the window to the encoder's buffer, unless it is there still.
func (d *Deflater) load(e *encoder) {
	if d.lease == e.lease && d.lease != 0 {
		return
	}
	e.filled = d.window.copyTo(e.buf[:])
	e.lease++
	d.lease = e.lease
}

// feed moves src from fed on into the buffer, as much as there is room for. i is
// the place from which on the buffer is not encoded; it is returned as it is then.
func (d *Deflater) feed(e *encoder, i int, src []byte, fed int) (int, int) {
	size := 1 << d.windowBits
	if drop := i - size; drop > 0 && e.filled+len(src)-fed > bufferSize {
		copy(e.buf[:], e.buf[drop:e.filled])
		e.filled -= drop
		i -= drop
	}
	n := copy(e.buf[e.filled:bufferSize], src[fed:])
	e.filled += n
	d.position += uint16(n)
	d.growTables(e, min(size, e.filled), i-int(d.unhashed))
	return i, fed + n
}

// growTables makes the tables large enough for span bytes, with those before i in
// them.
func (d *Deflater) growTables(e *encoder, span, i int) {
	hashBits := max(minSpanBits, uint8(bits.Len(uint(span-1)))) - spanPerHash[d.level]
	if hashBits <= d.hashBits {
		return
	}
	d.hashBits = hashBits
	switch d.level {
	case Default:
		d.buckets = zeroed(d.buckets, 1<<hashBits)
	case Best:
		d.chain = zeroed(d.chain, 1<<(hashBits+spanPerHash[Best]))
		fallthrough
	case Fastest:
		d.heads = zeroed(d.heads, 1<<hashBits)
	}
	d.insert(e, 0, i)
}

// zeroed returns n zeros, in the place of t if it is large enough.
func zeroed[T uint16 | uint64](t []T, n int) []T {
	if cap(t) < n {
		return make([]T, n)
	}
	t = t[:n]
	clear(t)
	return t
}
