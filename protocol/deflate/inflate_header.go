package deflate

// counts reads how many lengths a dynamic block begins with. RFC 1951 §3.2.7.
func (z *Inflater) counts() bool {
	if !z.want(14) {
		return false
	}
	z.hlit, z.hdist, z.hclen = z.take(5)+firstLength, z.take(5)+1, z.take(4)+4
	// https://github.com/madler/zlib/blob/v1.3.1/inflate.c#L906
	if z.hlit > litSymbols || z.hdist > distSymbols {
		return z.fail(errSymbolCount)
	}
	z.dynamic = z.shared.takeDynamic()
	clear(z.dynamic.lens[:lenSymbols])
	z.index = 0
	z.phase = phaseLenLens
	return true
}

// lenLens reads the code length code.
func (z *Inflater) lenLens() bool {
	for z.index < z.hclen {
		if !z.want(3) {
			return false
		}
		z.dynamic.lens[lenOrder[z.index]] = uint8(z.take(3))
		z.index++
	}
	if !buildLens(&z.dynamic.dist, z.dynamic.lens[:lenSymbols], &z.shared.sorted) {
		return z.fail(errLengthCodes)
	}
	z.index = 0
	z.phase = phaseLens
	return true
}

// lens reads the lengths of the literal/length and of the distance code, and makes
// their tables.
func (z *Inflater) lens() bool {
	d := z.dynamic
	total := z.hlit + z.hdist
	for z.index < total {
		// A symbol has 7 bits at most, and 7 more.
		if z.bits < 14 {
			z.refill()
		}
		e := d.dist[z.hold&lenMask]
		n, symbol := uint(e&31), e>>16
		if symbol < repeatPrevious {
			if z.bits < n {
				return false
			}
			z.take(n)
			d.lens[z.index] = uint8(symbol)
			z.index++
			continue
		}
		value, times, extra := uint8(0), 3, uint(3)
		switch symbol {
		case repeatPrevious:
			extra = 2
		case repeatZeroLong:
			times, extra = 11, 7
		}
		if z.bits < n+extra {
			return false
		}
		z.take(n)
		times += z.take(extra)
		if symbol == repeatPrevious {
			if z.index == 0 {
				return z.fail(errRepeatFirst)
			}
			value = d.lens[z.index-1]
		}
		if z.index+times > total {
			return z.fail(errRepeatBeyond)
		}
		repeat := d.lens[z.index : z.index+times]
		z.index += times
		if value == 0 {
			clear(repeat)
			continue
		}
		for i := range repeat {
			repeat[i] = value
		}
	}
	// https://github.com/madler/zlib/blob/v1.3.1/inflate.c#L998
	if d.lens[endOfBlock] == 0 {
		return z.fail(errNoEndOfBlock)
	}
	if !buildLit(&d.lit, d.lens[:z.hlit], &z.shared.sorted) {
		return z.fail(errLiteralCodes)
	}
	if !buildDist(&d.dist, d.lens[z.hlit:total], z.windowBits, &z.shared.sorted) {
		return z.fail(errDistanceCodes)
	}
	z.lit, z.dist = &d.lit, &d.dist
	z.phase = phaseSymbols
	return true
}
