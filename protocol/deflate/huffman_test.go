package deflate

import (
	"math/bits"
	"math/rand"
	"slices"
	"testing"
)

func TestLengthSymbols(t *testing.T) {
	for length := minMatch; length <= maxMatch; length++ {
		symbol := 0
		for i, c := range lengthCodes {
			if int(c.base) <= length {
				symbol = i
			}
		}
		c := lengthCodes[symbol]
		want := uint16(symbol) | uint16(c.extra)<<5 | (uint16(length)-c.base)<<8
		if got := lengthSymbols[length-minMatch]; got != want {
			t.Errorf("length %d: got %#x, want %#x", length, got, want)
		}
	}
}

// RFC 1951 §3.2.5: the ranges of distances, from one to the next.
func TestDistanceSymbols(t *testing.T) {
	base := 1
	for symbol := range uint32(distSymbols) {
		extra := max(0, int(symbol)/2-1)
		for _, distance := range []int{base, base + 1<<extra - 1} {
			if s, e := distanceSymbol(uint32(distance)); s != symbol || int(e) != extra {
				t.Errorf("distance %d: got symbol %d with %d bits, want %d with %d", distance, s, e, symbol, extra)
			}
		}
		base += 1 << extra
	}
	if base != 1<<maxWindowBits+1 {
		t.Errorf("the distances end at %d", base-1)
	}
}

// naiveCost is how many bits a Huffman code takes without a limit: the sum of the
// inner nodes of its tree.
func naiveCost(freq []uint32) (cost int) {
	var w []int
	for _, f := range freq {
		if f > 0 {
			w = append(w, int(f))
		}
	}
	if len(w) == 1 {
		return w[0]
	}
	for len(w) > 1 {
		slices.Sort(w)
		w[1] += w[0]
		w = w[1:]
		cost += w[0]
	}
	return cost
}

// Codes are complete, within their limit, and as short as any unless the limit is
// what lengthens them.
func TestMakeLens(t *testing.T) {
	e := new(encoder)
	r := rand.New(rand.NewSource(1))
	for turn := range 4000 {
		n := []int{litSymbols, distSymbols, lenSymbols, 3}[turn%4]
		limit := []int{maxCodeLen, maxCodeLen, maxLenCodeLen, maxCodeLen}[turn%4]
		var a alphabet
		for i, fib := 0, uint32(1); i < n; i++ {
			switch turn / 4 % 4 {
			case 0:
				a.freq[i] = uint32(r.Intn(4))
			case 1:
				a.freq[i] = uint32(r.ExpFloat64() * 100)
			case 2: // the deepest tree there is
				a.freq[i] = fib
				fib += fib/2 + 1
				fib = min(fib, 60_000)
			default:
				a.freq[i] = uint32(max(0, r.Intn(60)-57) * r.Intn(9000))
			}
		}
		symbols, cost := e.makeLens(&a, n, limit)
		kraft, bitsUsed, deepest, last := 0, 0, 0, 0
		for i, l := range a.lens[:n] {
			if l > 0 {
				kraft += 1 << (maxCodeLen - l)
				last = i + 1
			}
			if a.freq[i] > 0 && l == 0 {
				t.Fatalf("turn %d: symbol %d has no code", turn, i)
			}
			bitsUsed += int(a.freq[i]) * int(l)
			deepest = max(deepest, int(l))
		}
		if kraft != 1<<maxCodeLen || deepest > limit || symbols != last || cost != bitsUsed {
			t.Fatalf("turn %d: Kraft sum %#x, longest %d of %d, %d symbols of %d, cost %d of %d",
				turn, kraft, deepest, limit, symbols, last, cost, bitsUsed)
		}
		want := naiveCost(a.freq[:n])
		if deepest < limit && cost != want || cost > want+want/4 {
			t.Fatalf("turn %d: %d bits, a Huffman code has %d; longest %d", turn, cost, want, deepest)
		}
	}
}

// randomLens returns the lengths of a complete code of up to n symbols.
func randomLens(r *rand.Rand, n int) []uint8 {
	depths := []uint8{0}
	for len(depths) < 2+r.Intn(n-1) {
		i := r.Intn(len(depths))
		if r.Intn(3) > 0 {
			i = len(depths) - 1 // go deep
		}
		if depths[i] < maxCodeLen {
			depths[i]++
			depths = append(depths, depths[i])
		}
	}
	lens := make([]uint8, n)
	for i, p := range r.Perm(n)[:len(depths)] {
		lens[p] = depths[i]
	}
	return lens
}

// A table decodes what a search through the codes does, and has room for every
// code. The naive twin is alphabet.assign.
func TestTablesAreLargeEnough(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	var sorted [maxLitSymbols]uint16
	for turn := range 600 {
		var a alphabet
		var lit litTable
		var dist distTable
		n := maxLitSymbols
		if turn%2 == 1 {
			n = fixedDistSymbols
		}
		copy(a.lens[:], randomLens(r, n))
		a.assign(n)
		if n == maxLitSymbols && !buildLit(&lit, a.lens[:n], &sorted) ||
			n == fixedDistSymbols && !buildDist(&dist, a.lens[:n], 15, &sorted) {
			t.Fatal("a complete code is refused")
		}
		for symbol, c := range a.codes[:n] {
			l := c >> 16
			if l == 0 {
				continue
			}
			for range 8 {
				hold := uint64(c&0xffff) | uint64(r.Uint32())<<l
				e, value, bits := lit[hold&litMask], symbol, l
				root := uint(litRoot)
				if n == fixedDistSymbols {
					e, root = dist[hold&distMask], distRoot
				}
				if e&entryLink == entryLink {
					if n == maxLitSymbols {
						e = lit[further(e, hold>>root)]
					} else {
						e = dist[further(e, hold>>root)]
					}
				}
				switch {
				case n == fixedDistSymbols && symbol < distSymbols:
					extra := max(0, symbol/2-1)
					value = []int{1, 2}[symbol&1]
					if symbol > 1 {
						value = (2+symbol&1)<<extra + 1
					}
					bits += uint32(extra)
				case symbol >= firstLength && symbol <= lastLength:
					value = int(lengthCodes[symbol-firstLength].base)
					bits += uint32(lengthCodes[symbol-firstLength].extra)
				case symbol >= endOfBlock:
					value = -1
				}
				if e&entrySpecial == 0 && int(e>>16&0x7fff) != value || e&entrySpecial != 0 && value >= 0 && symbol < distSymbols || e&31 != bits {
					t.Fatalf("turn %d: symbol %d of %d bits: got entry %#x, want value %d of %d bits", turn, symbol, l, e, value, bits)
				}
			}
		}
	}
}

func TestReversedCodes(t *testing.T) {
	for n := uint(1); n <= maxCodeLen; n++ {
		code := uint32(0)
		for i := uint32(0); i < 1<<n-1; i++ {
			if code != bits.Reverse32(i)>>(32-n) {
				t.Fatalf("code %d of %d bits is %b", i, n, code)
			}
			code = nextCode(code, n)
		}
	}
}
