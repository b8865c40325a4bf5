package deflate

import "math/bits"

const (
	// maxSequences and maxBlock are where a block ends. A match is at least 4
	// bytes, so that a block that is full has at least minBlock.
	maxSequences = 8 << 10
	minBlock     = shortest * (maxSequences - 1)
	maxBlock     = maxStoredLength - maxMatch - 8

	// minDynamic is from how many bits on, with fixed codes, other codes are tried:
	// fewer do not pay for sending them.
	minDynamic = 64 * 8
)

// A sequence is a run of literals and the match after it: how many literals in the
// low 16 bits, the match's length less 3 in the next 8, its distance above.
type sequence uint64

// An encoder is what a Deflater needs for one block.
type encoder struct {
	buf    buffer
	filled int    // how much of buf is in use
	lease  uint64 // of the Deflater whose window is in buf

	sequences [maxSequences]sequence
	n         int // sequences in the block
	lit       int // where in src the literals begin that are in none

	literals  alphabet
	distances alphabet
	lengths   alphabet // of the code length code
	extra     int      // extra bits in the block
	fixed     alphabet // RFC 1951 §3.2.6
	fixedDist alphabet

	hlit, hdist, hclen int
	runs               [litSymbols + distSymbols]uint16 // symbols of the code lengths in the low 5 bits, their extra bits above
	runCount           int

	keys [maxLitSymbols]uint32
	swap [maxLitSymbols]uint32
}

// encoder returns the encoder.
func (s *Shared) encoder() *encoder {
	if s.enc == nil {
		e := new(encoder)
		fixedLengths(&e.fixed.lens)
		e.fixed.assign(maxLitSymbols)
		for i := range e.fixedDist.lens[:fixedDistSymbols] {
			e.fixedDist.lens[i] = 5
		}
		e.fixedDist.assign(fixedDistSymbols)
		s.enc = e
	}
	return s.enc
}

// begin begins a block at a place in src.
func (e *encoder) begin(at int) { e.n, e.lit = 0, at }

// full reports whether there is no room for a sequence besides a last one.
func (e *encoder) full() bool { return e.n >= maxSequences-1 }

// add adds a sequence.
func (e *encoder) add(literals, length, distance int) {
	e.sequences[e.n] = sequence(literals) | sequence(length-minMatch)<<16 | sequence(distance)<<24
	e.n++
}

// distanceSymbol returns the symbol of a distance, and how many extra bits it has.
// RFC 1951 §3.2.5.
func distanceSymbol(distance uint32) (symbol, extra uint32) {
	x := distance - 1
	if x < 2 {
		return x, 0
	}
	extra = uint32(bits.Len32(x)) - 2
	return 2*extra + x>>extra, extra
}

// writeBlock writes raw, whose matches are in e, as the smallest of the three kinds
// of block.
func (e *encoder) writeBlock(w *bitWriter, raw []byte) {
	e.count(raw)
	fixed := 3 + e.extra + e.fixed.cost(&e.literals.freq, litSymbols) + e.fixedDist.cost(&e.distances.freq, distSymbols)
	stored := 3 + 7 + 32 + 8*len(raw)
	size, kind := fixed, blockFixed
	if fixed >= minDynamic {
		if n := e.makeDynamic(); n < size {
			size, kind = n, blockDynamic
		}
	}
	if stored <= size {
		w.stored(raw)
		return
	}
	w.room(size>>3 + 1)
	w.bits(uint64(kind)<<1, 3)
	if kind == blockFixed {
		e.writeSymbols(w, raw, &e.fixed.codes, &e.fixedDist.codes)
		return
	}
	e.writeCodes(w)
	e.writeSymbols(w, raw, &e.literals.codes, &e.distances.codes)
}

// count counts the symbols of the block.
func (e *encoder) count(raw []byte) {
	freq, dist := &e.literals.freq, &e.distances.freq
	clear(freq[:])
	clear(dist[:fixedDistSymbols])
	extra := uint32(0)
	for _, s := range e.sequences[:e.n] {
		run := uint(s & 0xffff)
		for _, c := range raw[:run] {
			freq[c]++
		}
		length := lengthSymbols[uint8(s>>16)]
		freq[firstLength+int(length&31)]++
		symbol, n := distanceSymbol(uint32(s >> 24))
		dist[symbol&31]++
		extra += n + uint32(length>>5&7)
		raw = raw[run+uint(uint8(s>>16))+minMatch:]
	}
	for _, c := range raw {
		freq[c]++
	}
	freq[endOfBlock]++
	e.extra = int(extra)
}

// writeSymbols writes the block with codes.
func (e *encoder) writeSymbols(w *bitWriter, raw []byte, lit, dist *[maxLitSymbols]uint32) {
	out, p, hold, n := w.b[:cap(w.b)], len(w.b), w.hold, w.n
	for _, s := range e.sequences[:e.n] {
		run := int(s & 0xffff)
		literals := raw[:run]
		for len(literals) >= 3 {
			c0, c1, c2 := lit[literals[0]], lit[literals[1]], lit[literals[2]]
			hold |= uint64(c0&0xffff) << (n & 63)
			n += uint(c0 >> 16)
			hold |= uint64(c1&0xffff) << (n & 63)
			n += uint(c1 >> 16)
			hold |= uint64(c2&0xffff) << (n & 63)
			n += uint(c2 >> 16)
			put64(out[p:p+8], hold)
			p += int(n >> 3)
			hold >>= n & 56
			n &= 7
			literals = literals[3:]
		}
		if len(literals) > 0 {
			for _, c := range literals {
				c := lit[c]
				hold |= uint64(c&0xffff) << (n & 63)
				n += uint(c >> 16)
			}
			put64(out[p:p+8], hold)
			p += int(n >> 3)
			hold >>= n & 56
			n &= 7
		}
		length := uint32(lengthSymbols[uint8(s>>16)])
		c := lit[firstLength+int(length&31)]
		hold |= uint64(c&0xffff) << (n & 63)
		n += uint(c >> 16)
		hold |= uint64(length>>8) << (n & 63)
		n += uint(length >> 5 & 7)
		distance := uint32(s >> 24)
		symbol, extra := distanceSymbol(distance)
		c = dist[symbol&31]
		hold |= uint64(c&0xffff) << (n & 63)
		n += uint(c >> 16)
		hold |= uint64((distance-1)&(1<<(extra&15)-1)) << (n & 63)
		n += uint(extra)
		put64(out[p:p+8], hold)
		p += int(n >> 3)
		hold >>= n & 56
		n &= 7
		raw = raw[run+int(uint8(s>>16))+minMatch:]
	}
	for _, c := range raw {
		c := lit[c]
		hold |= uint64(c&0xffff) << (n & 63)
		n += uint(c >> 16)
		put64(out[p:p+8], hold)
		p += int(n >> 3)
		hold >>= n & 56
		n &= 7
	}
	w.b, w.hold, w.n = out[:p], hold, n
	c := lit[endOfBlock]
	w.bits(uint64(c&0xffff), uint(c>>16))
}
