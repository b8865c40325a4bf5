package deflate

import "math/bits"

// An alphabet is a code, and how often each of its symbols is used.
type alphabet struct {
	freq  [maxLitSymbols]uint32
	lens  [maxLitSymbols]uint8
	codes [maxLitSymbols]uint32 // reversed, with the length in the upper 16 bits
}

// cost returns how many bits the first n symbols take that freq counts.
func (a *alphabet) cost(freq *[maxLitSymbols]uint32, n int) int {
	sum := uint32(0)
	for i, f := range freq[:n] {
		sum += f * uint32(a.lens[i])
	}
	return int(sum)
}

// assign makes the codes of the lengths of the first n symbols. RFC 1951 §3.2.2.
func (a *alphabet) assign(n int) {
	var count, next [maxCodeLen + 1]uint16
	for _, l := range a.lens[:n] {
		count[l&15]++
	}
	count[0] = 0
	for l := 1; l < maxCodeLen; l++ {
		next[l+1] = (next[l] + count[l]) << 1
	}
	for i, l := range a.lens[:n] {
		if l != 0 {
			code := next[l&15]
			next[l&15]++
			a.codes[i] = uint32(bits.Reverse16(code)>>(16-l)) | uint32(l)<<16
		}
	}
}

// makeLens makes the lengths, at most limit, of the code in which the first n
// symbols take the fewest bits. It returns how many symbols there are up to the
// last that has a code, and how many bits those that freq counts take. At least two
// have a code, since not everybody takes codes that are incomplete.
func (e *encoder) makeLens(a *alphabet, n, limit int) (symbols, cost int) {
	keys := &e.keys
	used, last := 0, 0
	clear(a.lens[:n])
	for symbol := 0; symbol < n; symbol += 4 {
		f := a.freq[symbol : symbol+4 : symbol+4]
		if f[0]|f[1]|f[2]|f[3] == 0 {
			continue
		}
		for i, f := range f {
			if f != 0 {
				keys[used] = f<<9 | uint32(symbol+i)
				used++
				last = symbol + i
			}
		}
	}
	for symbol := 0; used < 2; symbol++ {
		if a.freq[symbol] == 0 {
			keys[used] = uint32(symbol)
			used++
			last = max(last, symbol)
		}
	}
	e.sortKeys(used)
	depths := e.swap[:used]
	for i, key := range keys[:used] {
		depths[i] = key >> 9
	}
	var count [maxCodeLen + 1]int
	countDepths(depths, &count, limit)
	limitDepths(&count, limit)
	// The rarest symbols come first, and have the longest codes.
	i := 0
	for l := limit; l > 0; l-- {
		for range count[l] {
			key := keys[i]
			a.lens[key&511] = uint8(l)
			cost += int(key>>9) * l
			i++
		}
	}
	return last + 1, cost
}

// sortKeys sorts the first n keys, which are a count above a symbol's 9 bits, and
// in the order of the symbols.
func (e *encoder) sortKeys(n int) {
	from, to := e.keys[:n], e.swap[:n]
	if n <= 32 {
		for i, key := range from {
			for ; i > 0 && from[i-1] > key; i-- {
				from[i] = from[i-1]
			}
			from[i] = key
		}
		return
	}
	all := uint32(0)
	for _, key := range from {
		all |= key
	}
	for shift := uint(9); all>>shift != 0; shift += 8 {
		var at [256]uint16
		for _, key := range from {
			at[uint8(key>>(shift&31))]++
		}
		sum := uint16(0)
		for i, n := range at {
			at[i] = sum
			sum += n
		}
		for _, key := range from {
			digit := uint8(key >> (shift & 31))
			to[at[digit]] = key
			at[digit]++
		}
		from, to = to, from
	}
	copy(e.keys[:n], from)
}

// countDepths counts the leaves of the Huffman tree of weights by their depth,
// those deeper than limit as at limit. The weights, two or more and ascending, are
// used up.
//
// A. Moffat, J. Katajainen, "In-Place Calculation of Minimum-Redundancy Codes",
// 1995.
func countDepths(w []uint32, count *[maxCodeLen + 1]int, limit int) {
	n := len(w)
	w[0] += w[1]
	root, leaf := 0, 2
	for next := 1; next < n-1; next++ {
		if leaf >= n || w[root] < w[leaf] {
			w[next] = w[root]
			w[root] = uint32(next)
			root++
		} else {
			w[next] = w[leaf]
			leaf++
		}
		if leaf >= n || root < next && w[root] < w[leaf] {
			w[next] += w[root]
			w[root] = uint32(next)
			root++
		} else {
			w[next] += w[leaf]
			leaf++
		}
	}
	w[n-2] = 0
	for next := n - 3; next >= 0; next-- {
		w[next] = w[w[next]] + 1
	}
	root = n - 2
	for open, depth := 1, uint32(0); open > 0; depth++ {
		inner := 0
		for root >= 0 && w[root] == depth {
			inner++
			root--
		}
		count[min(int(depth), limit)] += open - inner
		open = 2 * inner
	}
}

// limitDepths lengthens short codes until those at limit, which were to be longer,
// have their place.
func limitDepths(count *[maxCodeLen + 1]int, limit int) {
	total := 0
	for l := 1; l <= limit; l++ {
		total += count[l] << (limit - l)
	}
	for ; total > 1<<limit; total-- {
		l := limit - 1
		for count[l] == 0 {
			l--
		}
		count[l]--
		count[l+1] += 2
		count[limit]--
	}
}

// makeDynamic makes the code lengths of a dynamic block, and returns its size in
// bits.
func (e *encoder) makeDynamic() int {
	size := 3 + 5 + 5 + 4 + e.extra
	var cost int
	e.hlit, cost = e.makeLens(&e.literals, litSymbols, maxCodeLen)
	size += cost
	e.hdist, cost = e.makeLens(&e.distances, distSymbols, maxCodeLen)
	size += cost
	e.makeRuns()
	_, cost = e.makeLens(&e.lengths, lenSymbols, maxLenCodeLen)
	size += cost
	for i, extra := range runExtra {
		size += int(e.lengths.freq[i]) * int(extra)
	}
	e.hclen = lenSymbols
	for e.hclen > 4 && e.lengths.lens[lenOrder[e.hclen-1]] == 0 {
		e.hclen--
	}
	return size + 3*e.hclen
}

// runExtra is how many extra bits the symbols of the code length alphabet have.
var runExtra = [lenSymbols]uint8{repeatPrevious: 2, repeatZero: 3, repeatZeroLong: 7}

// makeRuns makes the symbols of the code lengths. RFC 1951 §3.2.7.
func (e *encoder) makeRuns() {
	var lens [litSymbols + distSymbols]uint8
	copy(lens[:], e.literals.lens[:e.hlit])
	copy(lens[e.hlit:], e.distances.lens[:e.hdist])
	all := lens[:e.hlit+e.hdist]
	clear(e.lengths.freq[:lenSymbols])
	e.runCount = 0
	for i := 0; i < len(all); {
		l := all[i]
		end := i + 1
		for end < len(all) && all[end] == l {
			end++
		}
		if l != 0 {
			e.addRun(uint16(l), 0)
			i++
		}
		for end-i >= 3 {
			n := end - i
			switch {
			case l != 0:
				n = min(n, 6)
				e.addRun(repeatPrevious, n-3)
			case n <= 10:
				e.addRun(repeatZero, n-3)
			default:
				n = min(n, 138)
				e.addRun(repeatZeroLong, n-11)
			}
			i += n
		}
		for ; i < end; i++ {
			e.addRun(uint16(l), 0)
		}
	}
}

func (e *encoder) addRun(symbol uint16, extra int) {
	e.lengths.freq[symbol]++
	e.runs[e.runCount] = symbol | uint16(extra)<<5
	e.runCount++
}

// writeCodes writes the codes of a dynamic block. RFC 1951 §3.2.7.
func (e *encoder) writeCodes(w *bitWriter) {
	e.literals.assign(e.hlit)
	e.distances.assign(e.hdist)
	e.lengths.assign(lenSymbols)
	w.bits(uint64(e.hlit-firstLength)|uint64(e.hdist-1)<<5|uint64(e.hclen-4)<<10, 14)
	for _, symbol := range lenOrder[:e.hclen] {
		w.bits(uint64(e.lengths.lens[symbol]), 3)
	}
	for _, run := range e.runs[:e.runCount] {
		symbol := run & 31
		c := e.lengths.codes[symbol]
		l := uint(c >> 16)
		w.bits(uint64(c&0xffff)|uint64(run>>5)<<l, l+uint(runExtra[symbol]))
	}
}
