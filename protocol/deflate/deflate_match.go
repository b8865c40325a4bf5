package deflate

import (
	"encoding/binary"
	"math/bits"
)

const (
	// goodMatch is from which length on no better one is looked for.
	goodMatch = 64

	// maxChain is how many places Best looks at, and a quarter of it when the byte
	// before has a match already.
	maxChain = 128
)

// bufferSize is what 16 bits can address, so that a place in the buffer needs no
// check: a load from a slice costs three times as much in the sandbox.
const bufferSize = 1 << 16

// A buffer is the window, and what is being encoded after it. 8 bytes can be loaded
// from anywhere in it.
type buffer [bufferSize + 8]byte

func (b *buffer) load32(i int) uint32 {
	j := uint(uint16(i))
	return uint32(b[j]) | uint32(b[j+1])<<8 | uint32(b[j+2])<<16 | uint32(b[j+3])<<24
}

// load64 is short enough to be inlined, as its sum of eight bytes is not: a call is a
// quarter of the time of Default.
func (b *buffer) load64(i int) uint64 {
	p := (*[8]byte)(b[uint16(i) : uint(uint16(i))+8])
	return binary.LittleEndian.Uint64(p[:])
}

// matchLen returns how many bytes at i and at c are the same, at most n.
func (b *buffer) matchLen(c, i, n int) int {
	for l := 0; l < n; l += 8 {
		if x := b.load64(c+l) ^ b.load64(i+l); x != 0 {
			return min(n, l+bits.TrailingZeros64(x)>>3)
		}
	}
	return n
}

// hash5 returns a hash of the low 5 bytes of v, of 32-shift bits.
func hash5(v uint64, shift uint8) uint64 {
	return v << 24 * 0x9e3779b185ebca87 >> ((shift + 32) & 63)
}

// hash4 returns a hash of 32-shift bits.
func hash4(v uint32, shift uint8) uint32 { return v * 0x9e3779b1 >> (shift & 31) }

// origin returns the position of the first byte of the buffer.
func (d *Deflater) origin(e *encoder) uint16 { return d.position - uint16(e.filled) }

// insert enters the places from from to before to into the tables, as far as
// there are bytes to hash.
func (d *Deflater) insert(e *encoder, from, to int) {
	buf, origin, shift := &e.buf, d.origin(e), 32-d.hashBits
	to = min(to, e.filled-(hashed-1))
	switch d.level {
	case Default:
		insertBuckets(d.buckets, buf, origin, shift, from, to)
	case Fastest:
		for i := from; i < to; i++ {
			d.heads[hash4(buf.load32(i), shift)] = origin + uint16(i)
		}
	case Best:
		mask := len(d.chain) - 1
		for i := from; i < to; i++ {
			h := hash4(buf.load32(i), shift)
			at := origin + uint16(i)
			d.chain[int(at)&mask] = d.heads[h]
			d.heads[h] = at
		}
	}
}

// insertBuckets is insert for Default. Four at a time, of one load, cost half as
// much.
func insertBuckets(buckets []uint64, buf *buffer, origin uint16, shift uint8, i, to int) {
	for ; i < to-3; i += 4 {
		v, at := buf.load64(i), origin+uint16(i)
		h := hash5(v, shift)
		buckets[h] = buckets[h]<<16 | uint64(at)
		h = hash5(v>>8, shift)
		buckets[h] = buckets[h]<<16 | uint64(at+1)
		h = hash5(v>>16, shift)
		buckets[h] = buckets[h]<<16 | uint64(at+2)
		h = hash5(v>>24, shift)
		buckets[h] = buckets[h]<<16 | uint64(at+3)
	}
	for ; i < to; i++ {
		h := hash5(buf.load64(i), shift)
		buckets[h] = buckets[h]<<16 | uint64(origin+uint16(i))
	}
}

// parseFastest takes the first match that it finds.
func (d *Deflater) parseFastest(e *encoder, i, stop, delta int) int {
	buf, origin, shift, n := &e.buf, d.origin(e), 32-d.hashBits, e.filled
	heads, window := d.heads, 1<<d.windowBits
	lit := e.lit - delta
	for i < stop {
		v := buf.load32(i)
		h := hash4(v, shift)
		at := origin + uint16(i)
		distance := int(at - heads[h])
		heads[h] = at
		if uint(distance-1) >= uint(min(window, i)) || buf.load32(i-distance) != v {
			// The longer nothing was found, the less is looked for.
			i += 1 + (i-lit)>>5
			continue
		}
		l := buf.matchLen(i-distance, i, min(maxMatch, n-i))
		e.add(i-lit, l, distance)
		end := i + l
		if end < stop {
			j := end - 2
			heads[hash4(buf.load32(j), shift)] = origin + uint16(j)
		}
		i, lit = end, end
		if e.full() {
			break
		}
	}
	i = min(i, max(stop, lit))
	e.lit = lit + delta
	return i
}

// parseDefault takes a match unless the next byte has a longer one.
func (d *Deflater) parseDefault(e *encoder, i, stop, delta int) int {
	buf, origin, shift, n := &e.buf, d.origin(e), 32-d.hashBits, e.filled
	buckets, window := d.buckets, 1<<d.windowBits
	lit := e.lit - delta
	length, distance := 0, 0 // of the match at i-1
	for i < stop {
		h := hash5(buf.load64(i), shift)
		at := origin + uint16(i)
		bucket := buckets[h]
		buckets[h] = bucket<<16 | uint64(at)
		best, from := length, 0
		// What is no longer than best differs from it at its end.
		end := max(0, best-3)
		if tail := buf.load32(i + end); length < goodMatch &&
			(buf.load32(int(uint16(bucket)-origin)+end) == tail || buf.load32(int(uint16(bucket>>16)-origin)+end) == tail ||
				buf.load32(int(uint16(bucket>>32)-origin)+end) == tail || buf.load32(int(uint16(bucket>>48)-origin)+end) == tail) {
			reach, most := uint(min(window, i)), min(maxMatch, n-i)
			for ; bucket != 0; bucket >>= 16 {
				back := int(at - uint16(bucket))
				if uint(back-1) >= reach || buf.load32(i-back+end) != tail {
					continue
				}
				if l := buf.matchLen(i-back, i, most); l >= shortest && l > best {
					best, from = l, back
					end = best - 3
					tail = buf.load32(i + end)
				}
			}
		}
		switch {
		case from != 0:
			length, distance = best, from
			i++
			continue
		case length == 0:
			i += 1 + (i-lit)>>8
			continue
		}
		e.add(i-1-lit, length, distance)
		end = i - 1 + length
		insertBuckets(buckets, buf, origin, shift, i+1, min(end, n-(hashed-1)))
		i, lit, length = end, end, 0
		if e.full() {
			break
		}
	}
	return d.endParse(e, i, stop, lit, delta, length, distance)
}

// parseBest is parseDefault with more places to look at.
func (d *Deflater) parseBest(e *encoder, i, stop, delta int) int {
	buf, origin, shift, n := &e.buf, d.origin(e), 32-d.hashBits, e.filled
	heads, chain, window := d.heads, d.chain, 1<<d.windowBits
	mask := len(chain) - 1
	lit := e.lit - delta
	length, distance := 0, 0 // of the match at i-1
	for i < stop {
		v := buf.load32(i)
		h := hash4(v, shift)
		at := origin + uint16(i)
		next := heads[h]
		chain[int(at)&mask] = next
		heads[h] = at
		best, from := length, 0
		if length < maxMatch {
			reach, most := min(window, i), min(maxMatch, n-i)
			turns := maxChain
			if length >= goodMatch/2 {
				turns /= 4
			}
			for last := 0; turns > 0; turns-- {
				back := int(at - next)
				if back <= last || back > reach {
					break
				}
				last = back
				c := i - back
				if buf.load32(c) == v && (best < shortest || buf[uint16(c+best)] == buf[uint16(i+best)]) {
					if l := buf.matchLen(c, i, most); l > best {
						best, from = l, back
						if l == most {
							break
						}
					}
				}
				next = chain[int(next)&mask]
			}
		}
		switch {
		case from != 0:
			length, distance = best, from
			i++
			continue
		case length == 0:
			i++
			continue
		}
		e.add(i-1-lit, length, distance)
		end := i - 1 + length
		d.insert(e, i+1, end)
		i, lit, length = end, end, 0
		if e.full() {
			break
		}
	}
	return d.endParse(e, i, stop, lit, delta, length, distance)
}

// endParse takes the match at i-1 that nothing longer followed, if length is not 0, and
// returns where the parse ended.
func (d *Deflater) endParse(e *encoder, i, stop, lit, delta, length, distance int) int {
	if length > 0 {
		e.add(i-1-lit, length, distance)
		end := i - 1 + length
		d.insert(e, i, end)
		i, lit = end, end
	}
	e.lit = lit + delta
	return min(i, max(stop, lit))
}
