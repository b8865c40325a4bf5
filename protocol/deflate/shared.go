package deflate

// spareLimit is how many buffers of a kind a Shared keeps for the next that needs
// one: as many connections as are likely to be inside a message at once.
const spareLimit = 8

// Shared is what Inflaters and Deflaters need only while they are called, or only
// inside a block, and so lend each other. The zero value is ready. All that share
// one are called by one goroutine at a time.
//
// It grows to 144 KiB when there is a Deflater, by 18 KiB of tables at most, and by
// what up to 8 Inflaters gave back.
type Shared struct {
	fixedLit  *litTable
	fixedDist [maxWindowBits + 1]*distTable // by window bits
	dynamic   []*dynamic
	windows   [][]byte
	sorted    [maxLitSymbols]uint16 // symbols in the order of their codes

	enc *encoder
}

// takeDynamic returns the tables of a dynamic block, as somebody left them.
func (s *Shared) takeDynamic() *dynamic {
	if n := len(s.dynamic); n > 0 {
		d := s.dynamic[n-1]
		s.dynamic = s.dynamic[:n-1]
		return d
	}
	return new(dynamic)
}

func (s *Shared) giveDynamic(d *dynamic) {
	if d != nil && len(s.dynamic) < spareLimit {
		s.dynamic = append(s.dynamic, d)
	}
}

// takeWindow returns a buffer of size bytes, with anything in it.
func (s *Shared) takeWindow(size int) []byte {
	for i, w := range s.windows {
		if cap(w) >= size {
			last := len(s.windows) - 1
			s.windows[i] = s.windows[last]
			s.windows[last] = nil
			s.windows = s.windows[:last]
			return w[:size]
		}
	}
	return make([]byte, size)
}

func (s *Shared) giveWindow(w []byte) {
	if cap(w) >= minWindow && len(s.windows) < spareLimit {
		s.windows = append(s.windows, w)
	}
}

// fixed returns the tables of blocks with fixed codes. RFC 1951 §3.2.6.
func (s *Shared) fixed(windowBits uint8) (*litTable, *distTable) {
	var lens [maxLitSymbols]uint8
	if s.fixedLit == nil {
		fixedLengths(&lens)
		s.fixedLit = new(litTable)
		buildLit(s.fixedLit, lens[:], &s.sorted)
	}
	dist := s.fixedDist[windowBits]
	if dist == nil {
		for i := range lens[:fixedDistSymbols] {
			lens[i] = 5
		}
		dist = new(distTable)
		buildDist(dist, lens[:fixedDistSymbols], windowBits, &s.sorted)
		s.fixedDist[windowBits] = dist
	}
	return s.fixedLit, dist
}

// fixedLengths sets the lengths of the fixed literal/length code.
func fixedLengths(lens *[maxLitSymbols]uint8) {
	for i := range lens {
		switch {
		case i < 144:
			lens[i] = 8
		case i < 256:
			lens[i] = 9
		case i < 280:
			lens[i] = 7
		default:
			lens[i] = 8
		}
	}
}
