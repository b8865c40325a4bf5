package deflate

import "encoding/binary"

// Of how much input and room decodeFast makes sure at once: two refills of 8
// bytes; three literals and a match, which may be copied 32 bytes too far.
const (
	fastInput = 16
	fastRoom  = 3 + maxMatch + 32
)

// symbols decodes literals and matches until the block ends. A match is decoded
// whole or not at all: its 48 bits fit in hold.
func (z *Inflater) symbols() bool {
	for {
		if len(z.in)-z.p >= fastInput && len(z.out)-z.o >= fastRoom {
			z.decodeFast()
			if z.err != nil {
				return false
			}
			if z.phase != phaseSymbols {
				return true
			}
		}
		z.refill()
		hold, bits := z.hold, z.bits
		e := z.lit[hold&litMask]
		if e&entryLink == entryLink {
			if bits < litRoot {
				return false
			}
			e = z.lit[further(e, hold>>litRoot)]
		}
		n := uint(e & 31)
		if n > bits {
			return false
		}
		if e&entryLiteral != 0 {
			if z.o == len(z.out) {
				z.more = true
				return false
			}
			z.out[z.o] = byte(e >> 16)
			z.o++
			z.hold, z.bits = hold>>n, bits-n
			continue
		}
		if e&entrySpecial != 0 {
			if e&entryEnd != entryEnd {
				return z.fail(errLiteralSymbol)
			}
			z.hold, z.bits = hold>>n, bits-n
			z.endBlock()
			return true
		}
		length := value(e, hold)
		hold, bits = hold>>n, bits-n
		e = z.dist[hold&distMask]
		if e&entryLink == entryLink {
			if bits < distRoot {
				return false
			}
			e = z.dist[further(e, hold>>distRoot)]
		}
		if n = uint(e & 31); n > bits {
			return false
		}
		if e&entrySpecial != 0 {
			return z.fail(distanceError(e))
		}
		distance := value(e, hold)
		if distance > z.window.have+z.o-z.start {
			return z.fail(errDistanceStart)
		}
		z.hold, z.bits = hold>>n, bits-n
		z.rest, z.distance = length, distance
		z.phase = phaseMatch
		if !z.match() {
			return false
		}
	}
}

// further returns where in its table a code goes on that is longer than the root.
func further(link uint32, hold uint64) uint32 {
	return link>>16&0x7fff + uint32(hold)&(1<<(link>>8&15)-1)
}

// value returns the base of a length or distance with its extra bits added.
func value(e uint32, hold uint64) int {
	return int(e>>16) + int(hold&(1<<(e&31)-1)>>(e>>8&15))
}

func distanceError(e uint32) error {
	if e>>16 == badWindow>>16 {
		return errDistanceWindow
	}
	return errDistanceSymbol
}

// match copies as much of a match as there is room for.
func (z *Inflater) match() bool {
	n := min(z.rest, len(z.out)-z.o)
	z.rest -= n
	z.copyMatch(n)
	if z.rest > 0 {
		z.more = true
		return false
	}
	z.phase = phaseSymbols
	return true
}

// copyMatch copies n bytes from z.distance back, for which there is room. What lies
// before this call's output is in the window.
func (z *Inflater) copyMatch(n int) {
	end := z.o + n
	for back := z.distance - (z.o - z.start); back > 0 && z.o < end; back = z.distance - (z.o - z.start) {
		from := (z.window.at - back) & (len(z.window.b) - 1)
		z.o += copy(z.out[z.o:end], z.window.b[from:min(len(z.window.b), from+back)])
	}
	// A match may overlap itself: each turn copies what is there by then.
	for from := z.o - z.distance; z.o < end; {
		z.o += copy(z.out[z.o:end], z.out[from:z.o])
	}
}

// decodeFast is symbols for as long as there is plenty of input and room, without
// a check of either inside a symbol. BenchmarkInflate pays for it.
func (z *Inflater) decodeFast() {
	in, out, p, o := z.in, z.out, z.p, z.o
	hold, bits := z.hold, z.bits
	lit, dist := z.lit, z.dist
	for len(in)-p >= fastInput && len(out)-o >= fastRoom {
		// Bits above what is counted are what the next refill puts there again.
		hold |= binary.LittleEndian.Uint64(in[p:p+8]) << (bits & 63)
		p += int(63-bits) >> 3
		bits |= 56
		e := lit[hold&litMask]
		if e&entryLiteral != 0 {
			hold >>= e & 63
			bits -= uint(e & 31)
			out[o] = byte(e >> 16)
			o++
			if e = lit[hold&litMask]; e&entryLiteral != 0 {
				hold >>= e & 31
				bits -= uint(e & 31)
				out[o] = byte(e >> 16)
				o++
				if e = lit[hold&litMask]; e&entryLiteral != 0 {
					hold >>= e & 31
					bits -= uint(e & 31)
					out[o] = byte(e >> 16)
					o++
					continue
				}
			}
		}
		// At least 36 bits are left.
		if e&entrySpecial != 0 {
			if e&entryLink == entryLink {
				e = lit[further(e, hold>>litRoot)]
			}
			if e&entryLiteral != 0 {
				hold >>= e & 31
				bits -= uint(e & 31)
				out[o] = byte(e >> 16)
				o++
				continue
			}
			if e&entrySpecial != 0 {
				if e&entryEnd != entryEnd {
					z.err = errLiteralSymbol
					break
				}
				z.hold, z.bits, z.p, z.o = hold>>(e&31), bits-uint(e&31), p, o
				z.hold &= 1<<z.bits - 1
				z.endBlock()
				return
			}
		}
		length := value(e, hold)
		hold >>= e & 31
		bits -= uint(e & 31)
		if bits < 28 {
			hold |= binary.LittleEndian.Uint64(in[p:p+8]) << (bits & 63)
			p += int(63-bits) >> 3
			bits |= 56
		}
		e = dist[hold&distMask]
		if e&entrySpecial != 0 {
			if e&entryLink == entryLink {
				e = dist[further(e, hold>>distRoot)]
			}
			if e&entrySpecial != 0 {
				z.err = distanceError(e)
				break
			}
		}
		distance := value(e, hold)
		hold >>= e & 31
		bits -= uint(e & 31)
		from := o - distance
		if from < z.start {
			if distance > z.window.have+o-z.start {
				z.err = errDistanceStart
				break
			}
			back := z.start - from
			at := (z.window.at - back) & (len(z.window.b) - 1)
			if length > back || length > 32 || at+32 > len(z.window.b) {
				z.o, z.distance = o, distance
				z.copyMatch(length)
				o += length
				continue
			}
			copy32(out[o:], z.window.b[at:], length)
			o += length
			continue
		}
		switch {
		case distance >= 8 && length <= 32:
			copy32(out[o:], out[from:], length)
		case distance >= length:
			copy(out[o:o+length], out[from:])
		default:
			for at, end := o, o+length; at < end; {
				at += copy(out[at:end], out[from:at])
			}
		}
		o += length
	}
	z.hold, z.bits, z.p, z.o = hold&(1<<(bits&63)-1), bits, p, o
}

// copy32 copies n bytes, at most 32, 8 at a time, which may lie 8 or more apart.
// There are 32 in both.
func copy32(dst, src []byte, n int) {
	dst, src = dst[:32], src[:32]
	binary.LittleEndian.PutUint64(dst[0:], binary.LittleEndian.Uint64(src[0:]))
	if n <= 8 {
		return
	}
	binary.LittleEndian.PutUint64(dst[8:], binary.LittleEndian.Uint64(src[8:]))
	if n <= 16 {
		return
	}
	binary.LittleEndian.PutUint64(dst[16:], binary.LittleEndian.Uint64(src[16:]))
	binary.LittleEndian.PutUint64(dst[24:], binary.LittleEndian.Uint64(src[24:]))
}
