package deflate

// A phase is what an Inflater expects next.
type phase uint8

const (
	phaseHeader  phase = iota // of a block
	phaseStored               // LEN and NLEN
	phaseBytes                // of a stored block
	phaseCounts               // HLIT, HDIST and HCLEN
	phaseLenLens              // the lengths of the code length code
	phaseLens                 // the code lengths
	phaseSymbols              // of a block with codes
	phaseMatch                // the rest of a match that had no room
)

// InflaterSize is how many bytes an Inflater takes besides its window, on the
// wasm target. Inside a dynamic block it takes DynamicSize more.
const (
	InflaterSize = 240
	DynamicSize  = 4*(litTableSize+distTableSize) + 320
)

// An Inflater decodes a stream of DEFLATE blocks that arrives in any cut, into
// room that comes in any cut. Init makes it ready.
//
// A stream has no end: after a block with BFINAL set the rest of its last byte is
// skipped, and what follows is another block, which refers to the same window.
// RFC 7692 §7.2.3.4 lets a message have such blocks.
type Inflater struct {
	shared     *Shared
	windowBits uint8
	phase      phase
	final      bool // the block has BFINAL
	err        error

	hold uint64 // input that is not decoded, first bit lowest, zero above
	bits uint   // how much of it there is: at most 63

	// The call in progress.
	in    []byte
	p     int // what of it is in hold, or decoded
	out   []byte
	start int // where in out the output of this call begins
	o     int // and ends
	more  bool

	work int32 // what is left of workLimit

	hlit, hdist, hclen int // of a dynamic block
	index              int // which code length is next
	rest               int // bytes to come of a stored block or a match
	distance           int // of that match

	lit     *litTable
	dist    *distTable
	dynamic *dynamic // nil outside of a dynamic block

	window window
}

// Init makes z ready for a stream whose distances are at most 1<<windowBits, 8 to
// 15. RFC 7692 §7.1.2.
func (z *Inflater) Init(s *Shared, windowBits int) {
	if windowBits < minWindowBits || windowBits > maxWindowBits {
		panic("BUG: deflate: window bits are 8 to 15")
	}
	*z = Inflater{shared: s, windowBits: uint8(windowBits), work: workLimit}
}

// Resume lets z work as much again as it may between two calls of Resume.
func (z *Inflater) Resume() { z.work = workLimit }

// Reset makes z ready for another stream: after a message that was sent without
// context takeover, and when the connection ends. The memory goes back to Shared.
func (z *Inflater) Reset() {
	z.shared.giveDynamic(z.dynamic)
	z.shared.giveWindow(z.window.b)
	*z = Inflater{shared: z.shared, windowBits: z.windowBits, work: z.work}
}

// workLimit is the most blocks between two calls of Resume; a dynamic one counts for
// dynamicWork. Its tables take 7 µs in the guest, and 14 bytes of input can ask for
// them: without a limit 320 KiB would take 150 ms of a call of the engine's, with it
// 0.5 ms. BenchmarkHeaders.
const (
	workLimit   = 4096
	dynamicWork = 64
)

// Inflate decodes src into dst[len(dst):cap(dst)]. It returns dst with what it
// appended and how many bytes of src it used. more says that there was no room for
// output that it could make of what it was given, or, if there is room, that it has
// worked enough until Resume: call it again, with what it did not use, and room.
// Without more it used all of src.
//
// The room beyond what is returned may be overwritten. dst and src are not kept,
// and may not overlap. An error is a *FormatError; it is returned again until
// Reset, and out is what came before it.
//
// The work is in proportion to len(src) and the output.
func (z *Inflater) Inflate(dst, src []byte) (out []byte, n int, more bool, err error) {
	if z.err != nil {
		return dst, 0, false, z.err
	}
	z.in, z.p = src, 0
	z.out, z.start, z.o = dst[:cap(dst)], len(dst), len(dst)
	z.more = false
	for z.step() {
	}
	out, n, more, err = dst[:z.o], z.p, z.more, z.err
	z.in, z.out = nil, nil
	if err == nil {
		z.window.remember(out[z.start:], 1<<z.windowBits, z.shared)
	}
	return out, n, more, err
}

// AtBoundary reports whether the input so far ends with a block, on a byte
// boundary, and all of it was put out. A message with its 00 00 ff ff does:
// RFC 7692 §7.2.2.
func (z *Inflater) AtBoundary() bool {
	return z.phase == phaseHeader && z.bits == 0 && z.err == nil
}

// Size returns how many bytes z takes.
func (z *Inflater) Size() int {
	n := InflaterSize + cap(z.window.b)
	if z.dynamic != nil {
		n += DynamicSize
	}
	return n
}

// step does what the phase asks for. It reports false when input or room ran out
// before that was complete, or it failed.
func (z *Inflater) step() bool {
	switch z.phase {
	case phaseHeader:
		return z.header()
	case phaseStored:
		return z.storedHeader()
	case phaseBytes:
		return z.stored()
	case phaseCounts:
		return z.counts()
	case phaseLenLens:
		return z.lenLens()
	case phaseLens:
		return z.lens()
	case phaseSymbols:
		return z.symbols()
	case phaseMatch:
		return z.match()
	}
	panic("BUG: deflate: no such phase")
}

func (z *Inflater) fail(err error) bool {
	z.err = err
	return false
}

// refill moves input to hold, as much as fits in whole bytes.
//
//go:noinline
func (z *Inflater) refill() {
	for z.bits <= 55 && z.p < len(z.in) {
		z.hold |= uint64(z.in[z.p]) << z.bits
		z.p++
		z.bits += 8
	}
}

// want reports whether there are n bits in hold, after a refill.
//
//go:noinline
func (z *Inflater) want(n uint) bool {
	if z.bits < n {
		z.refill()
	}
	return z.bits >= n
}

// take removes n bits from hold, which are there, and returns them.
func (z *Inflater) take(n uint) int {
	v := z.hold & (1<<n - 1)
	z.hold >>= n
	z.bits -= n
	return int(v)
}

// header reads BFINAL and BTYPE. RFC 1951 §3.2.3.
func (z *Inflater) header() bool {
	if !z.want(3) {
		return false
	}
	if z.work <= 0 {
		z.more = true
		return false
	}
	z.work--
	z.final = z.take(1) != 0
	switch z.take(2) {
	case blockStored:
		z.take(z.bits & 7)
		z.phase = phaseStored
	case blockFixed:
		z.lit, z.dist = z.shared.fixed(z.windowBits)
		z.phase = phaseSymbols
	case blockDynamic:
		z.work -= dynamicWork
		z.phase = phaseCounts
	default:
		return z.fail(errBlockType)
	}
	return true
}

// endBlock goes on to the next block.
//
// In line everywhere it would be 1 KB of the module.
//
//go:noinline
func (z *Inflater) endBlock() {
	z.phase = phaseHeader
	if z.dynamic != nil {
		z.shared.giveDynamic(z.dynamic)
		z.dynamic = nil
	}
	z.lit, z.dist = nil, nil
	if z.final {
		z.take(z.bits & 7)
	}
}

// storedHeader reads LEN and NLEN. RFC 1951 §3.2.4.
func (z *Inflater) storedHeader() bool {
	if !z.want(32) {
		return false
	}
	n := z.take(16)
	if z.take(16) != n^0xffff {
		return z.fail(errStoredLength)
	}
	z.rest = n
	z.phase = phaseBytes
	return true
}

// stored copies the bytes of a stored block.
func (z *Inflater) stored() bool {
	for z.rest > 0 && z.bits > 0 {
		if z.o == len(z.out) {
			z.more = true
			return false
		}
		z.out[z.o] = byte(z.take(8))
		z.o++
		z.rest--
	}
	n := copy(z.out[z.o:], z.in[z.p:min(len(z.in), z.p+z.rest)])
	z.o += n
	z.p += n
	z.rest -= n
	if z.rest > 0 {
		z.more = z.p < len(z.in)
		return false
	}
	z.endBlock()
	return true
}
