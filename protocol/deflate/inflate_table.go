package deflate

import (
	"encoding/binary"
	"math/bits"
)

// A table is looked up with the next bits of the input. An entry says how many of
// them are the symbol's, extra bits included, and what the symbol is:
//
//	bits 0–4    length of the code and of the extra bits
//	bits 8–11   length of the code alone; of a link: the bits that its table is indexed by
//	bit 13      end of block
//	bit 14      a link to a further table, for codes longer than the root
//	bit 15      not a length or distance: bit 13 or 14, or an error
//	bits 16–30  the literal, the base of the length or distance, the start of the further table, which error
//	bit 31      a literal
const (
	entryEnd     = 1<<15 | 1<<13
	entryLink    = 1<<15 | 1<<14
	entrySpecial = 1 << 15
	entryLiteral = 1 << 31
)

// Which error a special entry stands for.
const (
	badSymbol = entrySpecial | iota<<16
	badWindow
)

// The roots are the codes that one look-up decodes. The sizes are the largest
// that a complete code of 15 bits can need with them: zlib's examples/enough.c,
// and TestTablesAreLargeEnough.
const (
	litRoot      = 10
	litTableSize = 1334 // enough 288 10 15
	litMask      = 1<<litRoot - 1

	distRoot      = 8
	distTableSize = 402 // enough 32 8 15
	distMask      = 1<<distRoot - 1

	lenRoot = 7 // of the code length code: none is longer
	lenMask = 1<<lenRoot - 1

	maxCodeLen       = 15
	maxLitSymbols    = 288
	fixedDistSymbols = 32
)

type (
	litTable  [litTableSize]uint32
	distTable [distTableSize]uint32
)

// A dynamic is what a dynamic block needs besides the Inflater.
type dynamic struct {
	lit  litTable
	dist distTable  // and, before it, the table of the code length code
	lens [320]uint8 // code lengths: at most 286 + 30, and 19 before them
}

// buildLit makes the table of a literal/length code. It reports false if the code
// is none.
func buildLit(table *litTable, lens []uint8, sorted *[maxLitSymbols]uint16) bool {
	var count [maxCodeLen + 1]uint16
	n, ok := sortSymbols(lens, &count, sorted)
	if !ok {
		return false
	}
	var entries [maxLitSymbols]uint32
	for i, symbol := range sorted[:n] {
		switch l := uint32(lens[symbol]); {
		case symbol < endOfBlock:
			entries[i] = entryLiteral | uint32(symbol)<<16 | l<<8 | l
		case symbol == endOfBlock:
			entries[i] = entryEnd | l
		case symbol > lastLength:
			entries[i] = badSymbol | l
		default:
			c := lengthCodes[symbol-firstLength]
			entries[i] = uint32(c.base)<<16 | l<<8 | (l + uint32(c.extra))
		}
	}
	fill(table[:], litRoot, entries[:n], &count)
	return true
}

// buildDist makes the table of a distance code for a window. Distances beyond the
// window have symbols of their own, because its size is a power of two: symbol
// 2×bits is the first of them.
func buildDist(table *distTable, lens []uint8, windowBits uint8, sorted *[maxLitSymbols]uint16) bool {
	var count [maxCodeLen + 1]uint16
	n, ok := sortSymbols(lens, &count, sorted)
	if !ok {
		return false
	}
	var entries [fixedDistSymbols]uint32
	for i, symbol := range sorted[:n] {
		switch l := uint32(lens[symbol]); {
		case symbol > lastDistance:
			entries[i] = badSymbol | l
		case symbol >= 2*uint16(windowBits):
			entries[i] = badWindow | l
		case symbol < 2:
			entries[i] = uint32(symbol+1)<<16 | l<<8 | l
		default:
			extra := uint32(symbol>>1 - 1)
			entries[i] = ((2+uint32(symbol)&1)<<extra+1)<<16 | l<<8 | (l + extra)
		}
	}
	fill(table[:], distRoot, entries[:n], &count)
	return true
}

// buildLens makes the table of a code length code, in the place of the distance
// table.
func buildLens(table *distTable, lens []uint8, sorted *[maxLitSymbols]uint16) bool {
	var count [maxCodeLen + 1]uint16
	n, ok := sortSymbols(lens, &count, sorted)
	// https://github.com/madler/zlib/blob/v1.3.1/inftrees.c#L133: this code has to
	// be complete. If it is empty, so are the others, and there is no end of block.
	if !ok || n < 2 {
		return false
	}
	var entries [19]uint32
	for i, symbol := range sorted[:n] {
		entries[i] = uint32(symbol)<<16 | uint32(lens[symbol])
	}
	fill(table[:], lenRoot, entries[:n], &count)
	return true
}

// sortSymbols sorts the symbols that have a code by its length and then by their
// number, which is the order of the codes: RFC 1951 §3.2.2. It reports false if
// the lengths are over-subscribed, or incomplete other than by one code of 1 bit
// or none at all, which is what zlib takes.
func sortSymbols(lens []uint8, count *[maxCodeLen + 1]uint16, sorted *[maxLitSymbols]uint16) (n int, ok bool) {
	for i := 0; i < len(lens); i++ {
		if unused8(lens, i) {
			i += 7
			continue
		}
		count[lens[i]&15]++
	}
	count[0] = 0
	var offset [maxCodeLen + 1]uint16
	left, total := 1, uint16(0)
	for l := 1; l <= maxCodeLen; l++ {
		offset[l] = total
		total += count[l]
		left = left<<1 - int(count[l])
		if left < 0 {
			return 0, false
		}
	}
	if left > 0 && total != 0 && (total != 1 || count[1] != 1) {
		return 0, false
	}
	for symbol := 0; symbol < len(lens); symbol++ {
		if unused8(lens, symbol) {
			symbol += 7
			continue
		}
		if l := lens[symbol]; l != 0 {
			if at := int(offset[l&15]); at < len(sorted) {
				sorted[at] = uint16(symbol)
			}
			offset[l&15]++
		}
	}
	return int(total), true
}

// unused8 reports whether i is a multiple of 8 and the symbols from there on, 8 of
// them, have no code. Most have none. Blocks that are all header, which cost the most
// for their size, take a fifth longer without this: BenchmarkHeaders.
func unused8(lens []uint8, i int) bool {
	return i&7 == 0 && len(lens)-i >= 8 && binary.LittleEndian.Uint64(lens[i:i+8]) == 0
}

// fill makes a table of the entries of a code in the order of its symbols.
// The codes of one length are written once and doubled for the next, as
// libdeflate does, so that the work is in the symbols and not in the table.
func fill(table []uint32, root uint, entries []uint32, count *[maxCodeLen + 1]uint16) {
	if len(entries) < 2 {
		// What is not in use is as long as the shortest code, so that it is found.
		table[0], table[1] = badSymbol|1, badSymbol|1
		if len(entries) == 1 {
			table[0] = entries[0]
		}
		double(table, 2, 1<<root)
		return
	}
	l := uint(1)
	for count[l&15] == 0 {
		l++
	}
	// code is the next code with its bits reversed: they arrive first bit first.
	code, size, i := uint32(0), 1<<l, 0
	for l <= root {
		for range count[l&15] {
			table[code] = entries[i]
			if i++; i == len(entries) {
				double(table, size, 1<<root)
				return
			}
			code = nextCode(code, l)
		}
		for l++; ; l++ {
			if l <= root {
				double(table, size, size*2)
				size *= 2
			}
			if count[l&15] != 0 {
				break
			}
		}
	}
	end := 1 << root
	start, prefix := 0, ^uint32(0)
	for {
		if low := code & (1<<root - 1); low != prefix {
			prefix, start = low, end
			width := l - root
			for used := int(count[l&15]); used < 1<<width; {
				width++
				used = used<<1 + int(count[(root+width)&15])
			}
			end = start + 1<<width
			table[prefix] = entryLink | uint32(start)<<16 | uint32(width)<<8 | uint32(root)
		}
		e := entries[i]
		for at := start + int(code>>root); at < end; at += 1 << (l - root) {
			table[at] = e
		}
		if i++; i == len(entries) {
			return
		}
		code = nextCode(code, l)
		count[l&15]--
		for count[l&15] == 0 {
			l++
		}
	}
}

// double repeats the first size entries of a table up to end.
func double(table []uint32, size, end int) {
	for ; size < end; size *= 2 {
		copy(table[size:2*size], table[:size])
	}
}

// nextCode returns the code of n bits after a reversed code that is not the last.
func nextCode(code uint32, n uint) uint32 {
	top := uint32(1) << (bits.Len32(code^(1<<n-1)) - 1)
	return code&(top-1) | top
}
