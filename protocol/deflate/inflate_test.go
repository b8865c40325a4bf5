package deflate

import (
	"bytes"
	"compress/flate"
	"errors"
	"math/bits"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// A blocks writes DEFLATE by hand, bit by bit.
type blocks struct{ w bitWriter }

// put appends the low n bits of each of the values, which come as pairs of value
// and n.
func (b *blocks) put(pairs ...int) *blocks {
	for i := 0; i < len(pairs); i += 2 {
		b.w.room(8)
		b.w.bits(uint64(pairs[i]), uint(pairs[i+1]))
	}
	return b
}

// fixed appends symbols of the fixed literal/length code.
func (b *blocks) fixed(symbols ...int) *blocks {
	var a alphabet
	fixedLengths(&a.lens)
	a.assign(maxLitSymbols)
	for _, s := range symbols {
		b.put(int(a.codes[s]&0xffff), int(a.codes[s]>>16))
	}
	return b
}

// fixedDistance appends a distance of a fixed block.
func (b *blocks) fixedDistance(distance int) *blocks {
	symbol, extra := distanceSymbol(uint32(distance))
	return b.put(int(bits.Reverse8(uint8(symbol))>>3), 5, (distance-1)&(1<<extra-1), int(extra))
}

// dynamic appends the header of a dynamic block, with a code length code of 4 bits
// for 0 to 12 and 16 to 18. lens are symbols of it; a number above 18 is a symbol in
// its low 5 bits and extra bits above.
func (b *blocks) dynamic(hlit, hdist int, lens ...int) *blocks {
	b.put(0, 1, blockDynamic, 2, hlit-firstLength, 5, hdist-1, 5, 15, 4)
	var a alphabet
	for _, s := range lenOrder {
		if s <= 12 || s >= 16 {
			a.lens[s] = 4
		}
		b.put(int(a.lens[s]), 3)
	}
	a.assign(lenSymbols)
	for _, l := range lens {
		s := l & 31
		b.put(int(a.codes[s]&0xffff), 4, l>>5, int(runExtra[s]))
	}
	return b
}

func (b *blocks) bytes() []byte {
	b.w.room(8)
	b.w.align()
	return b.w.b
}

// lensOf returns n code lengths.
func lensOf(set map[int]int, n int) (lens []int) {
	for i := range n {
		lens = append(lens, set[i])
	}
	return lens
}

var inflateVectors = []struct{ name, wire, text string }{
	{"RFC 7692 §7.2.3.1, one block", "f2 48 cd c9 c9 07 00 | 00 00 ff ff", "Hello"},
	{"RFC 7692 §7.2.3.2, the window is shared", "f2 48 cd c9 c9 07 00 | 00 00 ff ff | f2 00 11 00 00 | 00 00 ff ff", "HelloHello"},
	{"RFC 7692 §7.2.3.3, a block without compression", "00 05 00 fa ff 48 65 6c 6c 6f 00 | 00 00 ff ff", "Hello"},
	{"RFC 7692 §7.2.3.4, a block with BFINAL", "f3 48 cd c9 c9 07 00 00 | 00 00 ff ff", "Hello"},
	{"RFC 7692 §7.2.3.4, and the next message", "f3 48 cd c9 c9 07 00 00 | 00 00 ff ff | f2 00 11 00 00 | 00 00 ff ff", "HelloHello"},
	{"RFC 7692 §7.2.3.5, two blocks", "f2 48 05 00 | 00 00 ff ff | ca c9 c9 07 00 | 00 00 ff ff", "Hello"},
	{"RFC 7692 §7.2.3.6, an empty message", "00 | 00 00 ff ff", ""},
	{"a stored block with BFINAL", "01 05 00 fa ff | 48 65 6c 6c 6f | 00 00 00 ff ff", "Hello"},
	{"empty blocks of all kinds", "02 00 00 00 ff ff | 03 00 | 01 00 00 ff ff | 00 00 00 ff ff", ""},
	{"a match that overlaps itself", "4a a4 03 00 00 | 00 00 ff ff", strings.Repeat("a", 100)},
}

func TestInflateVectors(t *testing.T) {
	for _, test := range inflateVectors {
		wantText(t, test.name, inflater(15), octets(test.wire), []byte(test.text))
	}
}

// Every prefix is the beginning of something: it asks for more input and for no
// room, and says that no message ends there unless one does.
func TestEveryPrefixIsIncomplete(t *testing.T) {
	for _, test := range inflateVectors {
		wire := octets(test.wire)
		for i := range wire {
			z := inflater(15)
			z.Resume()
			out, n, more, err := z.Inflate(make([]byte, 0, 200), wire[:i])
			if err != nil || more || n != i || !strings.HasPrefix(test.text, string(out)) {
				t.Fatalf("%s, %d bytes: used %d, more %t, error %v", test.name, i, n, more, err)
			}
		}
	}
}

// Any cut of the input and of the room gives the same bytes.
func TestCuts(t *testing.T) {
	var wires [][]byte
	for _, test := range inflateVectors {
		wires = append(wires, octets(test.wire))
	}
	for _, s := range samples(700) {
		var b bytes.Buffer
		for _, level := range []int{flate.HuffmanOnly, flate.NoCompression, 1, 9} {
			w, _ := flate.NewWriter(&b, level)
			_, _ = w.Write(s.text)
			_ = w.Flush()
		}
		wires = append(wires, b.Bytes())
	}
	for _, wire := range wires {
		want, err := inflate(t, inflater(15), wire, len(wire), 1<<16)
		if err != nil {
			t.Fatal(err)
		}
		for cut := 1; cut <= len(wire); cut++ {
			for _, room := range []int{1, 2, 3, 7, 293, 300, 1 << 16} {
				if cut > 40 && room < 290 && cut%61 != 0 {
					continue
				}
				z := inflater(15)
				got, err := inflate(t, z, wire, cut, room)
				if err != nil || !bytes.Equal(got, want) || !z.AtBoundary() {
					t.Fatalf("in parts of %d with room for %d: %d bytes, error %v; want %d\nwire %x", cut, room, len(got), err, len(want), clip(wire))
				}
			}
		}
		for i := range wire {
			z := inflater(15)
			a, err := inflate(t, z, wire[:i], len(wire), 400)
			b, err2 := inflate(t, z, wire[i:], len(wire), 400)
			if err != nil || err2 != nil || !bytes.Equal(append(a, b...), want) {
				t.Fatalf("cut at %d: errors %v, %v\nwire %x", i, err, err2, clip(wire))
			}
		}
	}
}

// Without room it goes as far as it can: the end of a message needs none.
func TestTheEndNeedsNoRoom(t *testing.T) {
	z := inflater(15)
	wire := octets("f2 48 cd c9 c9 07 00 | 00 00 ff ff")
	out, n, more, err := z.Inflate(make([]byte, 0, 5), wire)
	if string(out) != "Hello" || n != len(wire) || more || err != nil || !z.AtBoundary() {
		t.Fatalf("with room for all: %q, used %d, more %t, error %v", out, n, more, err)
	}
	z.Reset()
	if out, _, more, err = z.Inflate(nil, wire); len(out) != 0 || !more || err != nil {
		t.Fatalf("without room: %q, more %t, error %v", out, more, err)
	}
	if out, _, more, err = z.Inflate(make([]byte, 2, 7), nil); string(out[2:]) != "Hello" || more || err != nil {
		t.Fatalf("and then with room: %q, more %t, error %v", out, more, err)
	}
}

// zlib's rules, in the order in which a block is read.
func TestInflateErrors(t *testing.T) {
	ab := map[int]int{'a': 2, 'b': 2, endOfBlock: 2, firstLength: 2} // complete
	for _, test := range []struct {
		name string
		wire []byte
		err  error
	}{
		{"the reserved block type", octets("06"), errBlockType},
		{"LEN and NLEN of a stored block differ", octets("00 05 00 fb ff"), errStoredLength},
		{"HLIT 287", new(blocks).put(0, 1, 2, 2, 30, 5, 0, 5, 0, 4).bytes(), errSymbolCount},
		{"HDIST 31", new(blocks).put(0, 1, 2, 2, 0, 5, 30, 5, 0, 4).bytes(), errSymbolCount},
		{"an empty code length code", new(blocks).put(0, 1, 2, 2, 0, 5, 0, 5, 0, 4, 0, 12).bytes(), errLengthCodes},
		{"a code length code of one symbol", new(blocks).put(0, 1, 2, 2, 0, 5, 0, 5, 0, 4, 1, 3, 0, 9).bytes(), errLengthCodes},
		{"an incomplete code length code", new(blocks).put(0, 1, 2, 2, 0, 5, 0, 5, 0, 4, 2, 3, 2, 3, 2, 3, 0, 3).bytes(), errLengthCodes},
		{"an over-subscribed code length code", new(blocks).put(0, 1, 2, 2, 0, 5, 0, 5, 0, 4, 1, 3, 1, 3, 1, 3, 0, 3).bytes(), errLengthCodes},
		{"a repeat with nothing before it", new(blocks).dynamic(257, 1, 16).bytes(), errRepeatFirst},
		{"a repeat beyond the lengths", new(blocks).dynamic(257, 1, 18|127<<5, 18|110<<5).bytes(), errRepeatBeyond},
		{"no end of block", new(blocks).dynamic(257, 1, append(lensOf(map[int]int{'a': 1, 'b': 1}, 257), 1)...).bytes(), errNoEndOfBlock},
		{"an over-subscribed literal code", new(blocks).dynamic(257, 1, append(lensOf(map[int]int{'a': 1, 'b': 1, 256: 1}, 257), 1)...).bytes(), errLiteralCodes},
		{"an incomplete literal code", new(blocks).dynamic(257, 1, append(lensOf(map[int]int{'a': 2, 256: 1}, 257), 1)...).bytes(), errLiteralCodes},
		{"a literal code of one symbol of 2 bits", new(blocks).dynamic(257, 1, append(lensOf(map[int]int{256: 2}, 257), 1)...).bytes(), errLiteralCodes},
		{"an over-subscribed distance code", new(blocks).dynamic(258, 3, append(lensOf(ab, 258), 1, 1, 1)...).bytes(), errDistanceCodes},
		{"an incomplete distance code", new(blocks).dynamic(258, 2, append(lensOf(ab, 258), 2, 1)...).bytes(), errDistanceCodes},
		{"the literal code that is not in use", new(blocks).dynamic(257, 1, append(lensOf(map[int]int{256: 1}, 257), 0)...).put(1, 1).bytes(), errLiteralSymbol},
		{"the distance code that is not in use", new(blocks).dynamic(258, 1, append(lensOf(ab, 258), 1)...).put(0, 2, 3, 2, 1, 1).bytes(), errDistanceSymbol},
		{"a distance where there are no distance codes", new(blocks).dynamic(258, 1, append(lensOf(ab, 258), 0)...).put(0, 2, 3, 2, 0, 1).bytes(), errDistanceSymbol},
		{"length symbol 286", new(blocks).put(0, 1, 1, 2).fixed('a', 286).bytes(), errLiteralSymbol},
		{"length symbol 287", new(blocks).put(0, 1, 1, 2).fixed('a', 287).bytes(), errLiteralSymbol},
		{"distance symbol 30", new(blocks).put(0, 1, 1, 2).fixed('a', 257).put(0x0f, 5).bytes(), errDistanceSymbol},
		{"distance symbol 31", new(blocks).put(0, 1, 1, 2).fixed('a', 257).put(0x1f, 5).bytes(), errDistanceSymbol},
		{"a distance before the first byte", new(blocks).put(0, 1, 1, 2).fixed('a', 257).fixedDistance(2).bytes(), errDistanceStart},
	} {
		for _, padding := range []int{0, 40} { // the second is decoded by decodeFast
			for _, cut := range []int{1, 2, 1000} {
				z := inflater(15)
				wire := append(bytes.Clone(test.wire), make([]byte, padding)...)
				out, err := inflate(t, z, wire, cut, 1000)
				if err != test.err {
					t.Errorf("%s, %d bytes after it, in parts of %d: got error %v, want %v\nwire %x", test.name, padding, cut, err, test.err, test.wire)
					continue
				}
				if _, err := stdInflate(wire); err == nil && test.err != errNoEndOfBlock {
					t.Errorf("%s: compress/flate takes it", test.name)
				}
				if !bytes.HasPrefix([]byte("a"), out) {
					t.Errorf("%s: %q came before the error", test.name, out)
				}
				z.Resume()
				if again, n, more, err := z.Inflate(nil, wire); len(again) != 0 || n != 0 || more || err != test.err || z.AtBoundary() {
					t.Errorf("%s: after the error it goes on", test.name)
				}
				var format *FormatError
				if !errors.As(err, &format) || !strings.HasSuffix(err.Error(), format.Rule) {
					t.Errorf("%s: error %v is no FormatError", test.name, err)
				}
				z.Reset()
				wantText(t, "after Reset all is well again", z, octets(inflateVectors[0].wire), []byte("Hello"))
			}
		}
	}
}

// What zlib takes though it is incomplete: one code of 1 bit, or none.
func TestIncompleteCodesThatAreTaken(t *testing.T) {
	for _, test := range []struct {
		name, text string
		wire       []byte
	}{
		{"the end of block alone", "", new(blocks).dynamic(257, 1, append(lensOf(map[int]int{256: 1}, 257), 0)...).put(0, 1, 0, 3).bytes()},
		{"one distance", "aaaa", new(blocks).dynamic(258, 1, append(lensOf(map[int]int{'a': 2, 'b': 2, 256: 2, 257: 2}, 258), 1)...).
			put(0, 2, 3, 2, 0, 1, 1, 2, 0, 3).bytes()},
		{"no distance", "ab", new(blocks).dynamic(257, 1, append(lensOf(map[int]int{'a': 2, 'b': 2, 256: 1}, 257), 0)...).
			put(1, 2, 3, 2, 0, 1, 0, 3).bytes()},
	} {
		wire := append(test.wire, tail...)
		wantText(t, test.name, inflater(15), wire, []byte(test.text))
		if got, err := stdInflate(wire); err != nil || string(got) != test.text {
			t.Errorf("%s: compress/flate gives %q, error %v", test.name, got, err)
		}
	}
}

// A distance is at most the window, whatever the call, and at most what was put
// out.
func TestWindowEdges(t *testing.T) {
	for windowBits := minWindowBits; windowBits <= maxWindowBits; windowBits++ {
		size := 1 << windowBits
		text := samples(size + 300)[2].text
		stored := func(b []byte) []byte {
			w := bitWriter{}
			for len(b) > 0 {
				n := min(len(b), maxStoredLength)
				w.stored(b[:n])
				b = b[n:]
			}
			return w.b
		}
		match := func(distance int) []byte {
			return append(new(blocks).put(0, 1, 1, 2).fixed(285).fixedDistance(distance).fixed(256).put(0, 3).bytes(), tail...)
		}
		for _, have := range []int{size - 1, size, size + 1, size + 300} {
			for _, distance := range []int{1, 7, 258, size - 1, size, size + 1} {
				if distance > 1<<maxWindowBits || windowBits == 8 && distance == 258 {
					continue
				}
				for _, together := range []bool{true, false} {
					z := inflater(windowBits)
					wire := append(stored(text[:have]), match(distance)...)
					room := 300 // the match refers to the window
					if together {
						room = 1 << 17 // and to what the same call has put out
					}
					got, err := inflate(t, z, wire, len(wire), room)
					var want error
					switch {
					case distance > size:
						want = errDistanceWindow
					case distance > have:
						want = errDistanceStart
					}
					if err != want {
						t.Fatalf("%d bits, distance %d after %d bytes: got error %v, want %v", windowBits, distance, have, err, want)
					}
					if want != nil {
						continue
					}
					text := append([]byte(nil), text[:have]...)
					for range maxMatch {
						text = append(text, text[len(text)-distance])
					}
					if !bytes.Equal(got, text) {
						t.Fatalf("%d bits, distance %d after %d bytes: the match is wrong", windowBits, distance, have)
					}
				}
			}
		}
	}
}

// A message that is not whole does not end where the next could begin.
func TestAtBoundary(t *testing.T) {
	for _, test := range []struct {
		name, wire string
		want       bool
	}{
		{"nothing", "", true},
		{"an empty message", "00 | 00 00 ff ff", true},
		{"a message without any byte", "00 00 ff ff", false},
		{"a message that ends inside a stored block", "00 06 00 f9 ff 48 | 00 00 ff ff", false},
		{"and one that ends with it", "00 05 00 fa ff 48 | 00 00 ff ff", true},
		{"a message that ends inside a fixed block", "f2 48 cd | 00 00 ff ff", false},
		{"a block with BFINAL, without the empty block", "f3 48 cd c9 c9 07 00", true},
		{"its tail makes the beginning of another", "f3 48 cd c9 c9 07 00 | 00 00 ff ff", false},
	} {
		z := inflater(15)
		if _, err := inflate(t, z, octets(test.wire), 100, 100); err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if got := z.AtBoundary(); got != test.want {
			t.Errorf("%s: at a boundary is %t, want %t", test.name, got, test.want)
		}
	}
}

// Memory follows what was received.
func TestInflaterSize(t *testing.T) {
	if got := unsafe.Sizeof(Inflater{}); got != InflaterSize {
		t.Errorf("an Inflater takes %d bytes, want %d", got, InflaterSize)
	}
	if got := unsafe.Sizeof(dynamic{}); got != DynamicSize {
		t.Errorf("the tables take %d bytes, want %d", got, DynamicSize)
	}
	for _, test := range []struct{ bits, n, size int }{
		{15, 0, 0}, {15, 1, 256}, {15, 256, 256}, {15, 257, 512}, {15, 5000, 8192},
		{15, 1 << 20, 32 << 10}, {10, 1 << 20, 1 << 10}, {8, 1 << 20, 256},
	} {
		z := inflater(test.bits)
		b := deflater(Default, test.bits).AppendPart(nil, jsonText(test.n, 1))
		if _, err := inflate(t, z, b, len(b), 100); err != nil {
			t.Fatal(err)
		}
		if got := z.Size() - InflaterSize; got != test.size {
			t.Errorf("%d bits after %d bytes: %d bytes, want %d", test.bits, test.n, got, test.size)
		}
		if z.Reset(); z.Size() != InflaterSize {
			t.Errorf("%d bits: after Reset %d bytes, want %d", test.bits, z.Size(), InflaterSize)
		}
	}
	z := inflater(15)
	b := deflater(Default, 15).AppendLast(nil, jsonText(2000, 1))
	if _, err := inflate(t, z, b[:len(b)/2], len(b), 2048); err != nil || z.Size() != InflaterSize+DynamicSize+1024 {
		t.Errorf("inside a dynamic block: %d bytes, error %v", z.Size(), err)
	}
}

// Memory that one gave back is lent to the next, which cannot read what was in it.
func TestSharedWindowsAreNotRead(t *testing.T) {
	var s Shared
	var a, b Inflater
	a.Init(&s, 15)
	b.Init(&s, 15)
	secret := deflater(Default, 15).AppendPart(nil, jsonText(40_000, 1))
	if _, err := inflate(t, &a, secret, len(secret), 1<<16); err != nil {
		t.Fatal(err)
	}
	a.Reset()
	if len(s.windows) == 0 {
		t.Fatal("Reset gave no window back")
	}
	wire := new(blocks).put(0, 1, 1, 2).fixed('a', 285).fixedDistance(2).bytes()
	if out, err := inflate(t, &b, octets("00 01 00 fe ff 61"), 9, 9); err != nil || string(out) != "a" || cap(b.window.b) < minWindow {
		t.Fatal(out, err)
	}
	if out, err := inflate(t, &b, wire, len(wire), 300); err != nil || !bytes.Equal(out[:3], []byte("aaa")) {
		t.Fatalf("a distance to the first byte: error %v", err)
	}
	b.Reset()
	if _, err := inflate(t, &b, wire, len(wire), 300); err != errDistanceStart {
		t.Fatalf("after Reset the window is empty: error %v", err)
	}
	for range 2 * spareLimit {
		var z Inflater
		z.Init(&s, 15)
		z.window.grow(minWindow, &Shared{})
		z.dynamic = new(dynamic)
		z.Reset()
	}
	if len(s.windows) > spareLimit || len(s.dynamic) > spareLimit {
		t.Errorf("%d windows and %d tables are kept, want %d at most", len(s.windows), len(s.dynamic), spareLimit)
	}
}

// A bomb takes time in proportion to what goes in and comes out, a call takes little of
// what is out of proportion, and none takes memory.
func TestBombs(t *testing.T) {
	zeros := deflater(Best, 15).AppendPart(nil, make([]byte, 16<<20))
	empty := bytes.Repeat(octets("00 00 00 ff ff"), 400_000)
	fixed := bytes.Repeat(new(blocks).put(0, 1, 1, 2, 0, 7, 0, 1, 1, 2, 0, 7, 0, 1, 1, 2, 0, 7, 0, 1, 1, 2, 0, 7).bytes(), 400_000)
	var codes blocks
	for range 20_000 {
		codes.dynamic(257, 1, 1, 18|127<<5, 18|106<<5, 1, 1).put(1, 1)
	}
	for _, test := range []struct {
		name string
		wire []byte
		room int
		out  int
		cost int // nanoseconds a byte, a multiple of what it is
		call int // bytes that a call uses, at most
	}{
		{"zeros", zeros, 16 << 10, 16 << 20, 50, 20 << 10},
		{"zeros, with little room", zeros, 1 << 10, 16 << 20, 50, 20 << 10},
		{"empty stored blocks", empty, 1 << 10, 0, 200, 5*workLimit + 8},
		{"empty fixed blocks", fixed, 1 << 10, 0, 400, 5*workLimit/4 + 8},
		{"empty dynamic blocks", codes.bytes(), 1 << 10, 0, 3000, 14*(workLimit/dynamicWork+1) + 8},
	} {
		z := inflater(15)
		buf := make([]byte, 0, test.room)
		total, begin := 0, time.Now()
		for b, more := test.wire, true; more; {
			z.Resume()
			out, n, again, err := z.Inflate(buf, b)
			if err != nil {
				t.Fatalf("%s: %v", test.name, err)
			}
			total += len(out)
			used := b[:n]
			b, more = b[n:], again
			if len(out) < test.room && len(used) > test.call {
				t.Fatalf("%s: a call used %d bytes, want %d at most", test.name, len(used), test.call)
			}
		}
		took := time.Since(begin)
		if total != test.out {
			t.Errorf("%s: %d bytes, want %d", test.name, total, test.out)
		}
		if limit := time.Duration(test.cost * (len(test.wire) + total)); took > limit {
			t.Errorf("%s: %d bytes took %v, want %v at most", test.name, len(test.wire)+total, took, limit)
		}
		if z.Size() > InflaterSize+DynamicSize+32<<10 {
			t.Errorf("%s: it takes %d bytes", test.name, z.Size())
		}
	}
}

func TestInflaterAllocatesNothing(t *testing.T) {
	for _, takeover := range []bool{true, false} {
		d, z := deflater(Default, 15), inflater(15)
		text := jsonText(100_000, 1)
		wire, buf := make([]byte, 0, Bound(len(text))), make([]byte, 0, 2*len(text))
		at := 0
		send := func(n int) {
			b := append(d.AppendLast(wire, text[at:at+n]), 0x00, 0x00, 0xff, 0xff)
			z.Resume()
			if out, _, _, err := z.Inflate(buf, b); err != nil || !bytes.Equal(out, text[at:at+n]) {
				t.Fatal(len(out), err)
			}
			at = (at + n) % 90_000
			if !takeover {
				d.Reset()
				z.Reset()
			}
		}
		send(90_000)
		if n := testing.AllocsPerRun(200, func() { send(1000) }); n != 0 {
			t.Errorf("takeover %t: %v allocations a message", takeover, n)
		}
	}
}
