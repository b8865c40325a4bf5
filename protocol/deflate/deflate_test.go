package deflate

import (
	"bytes"
	"compress/flate"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

var levels = []Level{Default, Fastest, Best}

// tail is what a message is without on the wire. RFC 7692 §7.2.1.
var tail = []byte{0x00, 0x00, 0xff, 0xff}

// octets decodes grouped hex.
func octets(s string) []byte {
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "|", "").Replace(s))
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return b
}

// jsonText returns n bytes of records, the same for the same seed.
func jsonText(n int, seed int64) []byte {
	r := rand.New(rand.NewSource(seed))
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, `{"id":%d,"user":"user%d","event":%q,"price":%.2f,"ok":%t,"tags":["a%d","b%d"],"ts":%d},`,
			r.Intn(1e6), r.Intn(500), []string{"trade", "quote", "heartbeat", "login"}[r.Intn(4)],
			r.Float64()*1000, r.Intn(2) == 0, r.Intn(10), r.Intn(100), 1700000000000+r.Int63n(1e9))
	}
	return b.Bytes()[:n]
}

// A sample is a text of some kind.
type sample struct {
	name string
	text []byte
}

// samples returns texts of n bytes.
func samples(n int) []sample {
	r := rand.New(rand.NewSource(int64(n)))
	noise, few, runs := make([]byte, n), make([]byte, n), make([]byte, n)
	r.Read(noise)
	for i := range few {
		few[i] = "ab\xff"[r.Intn(3)]
	}
	for i, c := 0, byte(0); i < n; c = byte(r.Intn(256)) {
		for k := r.Intn(600); k >= 0 && i < n; k-- {
			runs[i] = c
			i++
		}
	}
	mixed := slices.Concat(noise[:n/3], jsonText(n/3, 1), noise[:n-n/3*2])
	return []sample{
		{"JSON", jsonText(n, 1)}, {"zeros", make([]byte, n)}, {"noise", noise},
		{"three letters", few}, {"runs", runs}, {"noise around JSON, again", mixed},
	}
}

// inflater returns one with a Shared of its own.
func inflater(windowBits int) *Inflater {
	z := new(Inflater)
	z.Init(new(Shared), windowBits)
	return z
}

func deflater(level Level, windowBits int) *Deflater {
	d := new(Deflater)
	d.Init(new(Shared), level, windowBits)
	return d
}

// inflate feeds b in parts of cut bytes with room bytes of room, and returns what
// came out. The room is overwritten after every call.
func inflate(t testing.TB, z *Inflater, b []byte, cut, room int) ([]byte, error) {
	t.Helper()
	var all []byte
	buf := make([]byte, room+8)
	for len(b) > 0 {
		part := slices.Clone(b[:min(cut, len(b))])
		b = b[len(part):]
		for more := true; more; {
			for i := range buf {
				buf[i] = 0xa5
			}
			z.Resume()
			out, n, again, err := z.Inflate(buf[:0:room], part)
			if !bytes.Equal(buf[room:], bytes.Repeat([]byte{0xa5}, 8)) {
				t.Fatal("it wrote beyond its room")
			}
			all = append(all, out...)
			if err != nil {
				return all, err
			}
			if again && len(out) != room && z.work > 0 {
				t.Fatalf("it asks for more room with %d of %d bytes used", len(out), room)
			}
			if !again && n != len(part) {
				t.Fatalf("it used %d of %d bytes, and asks for no room", n, len(part))
			}
			for i := range part[:n] {
				part[i] = 0x5a
			}
			part, more = part[n:], again
		}
	}
	return all, nil
}

// wantText: the blocks b hold text for z, and for compress/flate if it sees them
// from the beginning of a stream.
func wantText(t *testing.T, sentence string, z *Inflater, b, text []byte) {
	t.Helper()
	got, err := inflate(t, z, b, len(b), len(text)+1)
	if err != nil || !bytes.Equal(got, text) {
		t.Fatalf("%s: got %d bytes and error %v, want %d bytes\nwire %x", sentence, len(got), err, len(text), clip(b))
	}
	if !z.AtBoundary() {
		t.Fatalf("%s: it does not end at a boundary\nwire %x", sentence, clip(b))
	}
}

func clip(b []byte) []byte { return b[:min(len(b), 200)] }

// stdInflate is what compress/flate makes of blocks that are followed by no last
// one.
func stdInflate(b []byte) ([]byte, error) {
	out, err := io.ReadAll(flate.NewReader(bytes.NewReader(b)))
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return out, err
}

func TestMessagesComeBack(t *testing.T) {
	for _, level := range levels {
		for _, n := range []int{0, 1, 2, 3, 4, 5, 63, 64, 511, 513, 1000, 32768, 65535, 65536, 65537, 200_000} {
			for _, s := range samples(n) {
				d := deflater(level, 15)
				b := append(d.AppendLast(nil, s.text), tail...)
				wantText(t, fmt.Sprintf("level %d, %d bytes of %s", level, n, s.name), inflater(15), b, s.text)
				if got, err := stdInflate(b); err != nil || !bytes.Equal(got, s.text) {
					t.Fatalf("compress/flate, level %d, %d bytes of %s: %d bytes, error %v", level, n, s.name, len(got), err)
				}
				if len(b)-len(tail) > n+5*(n/minBlock+1)+1 || len(b)+8 > Bound(n)+len(tail) {
					t.Fatalf("level %d: %d bytes of %s take %d, over the bound of %d", level, n, s.name, len(b)-4, Bound(n))
				}
				if s.name == "noise" && len(b)-len(tail) > n+5*(n>>16+2)+1 {
					t.Fatalf("level %d: %d bytes of noise take %d", level, n, len(b)-4)
				}
			}
		}
	}
}

// The window is obeyed by both ends, for every size of it: the decoder refuses a
// distance that is longer.
func TestContextTakeover(t *testing.T) {
	for _, level := range levels {
		for bits := minWindowBits; bits <= maxWindowBits; bits++ {
			r := rand.New(rand.NewSource(int64(bits)))
			d, z := deflater(level, bits), inflater(bits)
			std := flate.NewReader(nil)
			var stream []byte
			for k := range 60 {
				n := r.Intn(3000)
				if k%10 == 5 {
					n = r.Intn(150_000)
				}
				text := samples(n)[k%6].text
				b := append(d.AppendLast(nil, text), tail...)
				wantText(t, fmt.Sprintf("level %d, %d bits, message %d", level, bits, k), z, b, text)
				if err := std.(flate.Resetter).Reset(bytes.NewReader(b), stream); err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(std); err != io.ErrUnexpectedEOF || !bytes.Equal(got, text) {
					t.Fatalf("compress/flate, level %d, %d bits, message %d: error %v", level, bits, k, err)
				}
				stream = append(stream, text...)
				stream = stream[max(0, len(stream)-1<<bits):]
			}
		}
	}
}

func TestTakeoverPays(t *testing.T) {
	for _, level := range levels {
		d := deflater(level, 15)
		first := len(d.AppendLast(nil, jsonText(1000, 1)))
		if again := len(d.AppendLast(nil, jsonText(1000, 1))); again > 28 {
			t.Errorf("level %d: the same message again takes %d bytes, %d the first time", level, again, first)
		}
		d.Reset()
		if reset := len(d.AppendLast(nil, jsonText(1000, 1))); reset != first {
			t.Errorf("level %d: after Reset it takes %d bytes, %d the first time", level, reset, first)
		}
	}
}

// A Deflater's output depends on its own stream alone: not on what it did before
// Reset, nor on others that lend it their memory.
func TestOutputDependsOnTheStreamAlone(t *testing.T) {
	for _, level := range levels {
		for _, bits := range []int{8, 11, 15} {
			alone, among, other, before := deflater(level, bits), new(Deflater), new(Deflater), rand.New(rand.NewSource(2))
			var s Shared
			among.Init(&s, level, bits)
			other.Init(&s, level, 15)
			for k := range 40 {
				if k%8 == 7 {
					alone = deflater(level, bits)
					among.Reset()
				}
				if k%3 == 1 {
					other.AppendLast(nil, jsonText(before.Intn(70_000), int64(k)))
				}
				text := jsonText(before.Intn(9000), int64(k))
				if want, got := alone.AppendPart(nil, text), among.AppendPart(nil, text); !bytes.Equal(want, got) {
					t.Fatalf("level %d, %d bits, message %d: %d bytes alone, %d among others", level, bits, k, len(want), len(got))
				}
			}
		}
	}
}

func TestParts(t *testing.T) {
	text := jsonText(5000, 1)
	for _, level := range levels {
		for _, cut := range []int{1, 2, 3, 4, 5, 100, 4999, 5000} {
			d := deflater(level, 15)
			var b []byte
			for rest := text; ; rest = rest[cut:] {
				if len(rest) <= cut {
					b = d.AppendLast(b, rest)
					break
				}
				b = d.AppendPart(b, rest[:cut])
				if !bytes.HasSuffix(b, tail) {
					t.Fatalf("a part ends with %x, want %x", b[len(b)-4:], tail)
				}
			}
			wantText(t, fmt.Sprintf("level %d in parts of %d", level, cut), inflater(15), append(b, tail...), text)
		}
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	d := deflater(Default, 15)
	b := d.AppendLast([]byte("prefix"), []byte("Hello"))
	if want := append([]byte("prefix"), octets("f2 48 cd c9 c9 07 00")...); !bytes.Equal(b, want) {
		t.Errorf("got % x, want % x", b, want)
	}
	room := make([]byte, 3, 64)
	if b = d.AppendPart(room, nil); !bytes.Equal(b[3:], octets("00 | 00 00 ff ff")) || &b[0] != &room[0] {
		t.Errorf("an empty part is % x, want an empty block in place", b[3:])
	}
}

// RFC 7692 §7.2.3.6: what ends with the empty block of the sync flush is without
// its last four bytes, and an empty message is what is left of it.
func TestEncoderVectors(t *testing.T) {
	for _, test := range []struct{ name, text, wire string }{
		{"RFC 7692 §7.2.3.1", "Hello", "f248cdc9c90700"},
		{"RFC 7692 §7.2.3.6", "", "00"},
		{"one byte", "a", "4a0400"},
		{"a run", strings.Repeat("a", 100), "4aa4030000"},
	} {
		for _, level := range levels {
			if got := deflater(level, 15).AppendLast(nil, []byte(test.text)); hex.EncodeToString(got) != test.wire {
				t.Errorf("%s, level %d: got %x, want %s", test.name, level, got, test.wire)
			}
		}
	}
}

// A block of each kind is chosen where it is the smallest.
func TestBlockKinds(t *testing.T) {
	noise := samples(1000)[2].text
	for _, test := range []struct {
		name string
		text []byte
		kind byte
	}{
		{"noise is stored", noise, blockStored},
		{"little text has fixed codes", []byte("little text"), blockFixed},
		{"much text has codes of its own", jsonText(2000, 1), blockDynamic},
		{"one letter has fixed codes", bytes.Repeat([]byte("x"), 2000), blockFixed},
	} {
		if got := deflater(Default, 15).AppendLast(nil, test.text)[0] >> 1 & 3; got != test.kind {
			t.Errorf("%s: got kind %d, want %d", test.name, got, test.kind)
		}
	}
}

// Steady traffic allocates nothing, with and without takeover.
func TestDeflaterAllocatesNothing(t *testing.T) {
	for _, level := range levels {
		for _, takeover := range []bool{true, false} {
			d := deflater(level, 15)
			text := jsonText(100_000, 1)
			dst := make([]byte, 0, Bound(len(text)))
			d.AppendLast(dst, text)
			at := 0
			if n := testing.AllocsPerRun(200, func() {
				if !takeover {
					d.Reset()
				}
				d.AppendLast(dst, text[at:at+1000])
				at = (at + 1000) % 90_000
			}); n != 0 {
				t.Errorf("level %d, takeover %t: %v allocations a message", level, takeover, n)
			}
		}
	}
	d := deflater(Default, 15)
	noise := samples(40_000)[2].text
	d.AppendLast(nil, noise)
	dst := make([]byte, 0, Bound(len(noise)))
	if n := testing.AllocsPerRun(5, func() { d.AppendLast(dst, noise) }); n != 0 {
		t.Errorf("with the room of Bound: %v allocations", n)
	}
}

// What a Deflater takes is what doc.go says, and grows with what it encoded.
func TestDeflaterSize(t *testing.T) {
	if got := unsafe.Sizeof(Deflater{}); got != DeflaterSize {
		t.Errorf("a Deflater takes %d bytes, want %d", got, DeflaterSize)
	}
	for _, test := range []struct {
		level Level
		bits  int
		n     int
		size  int
	}{
		{Default, 15, 0, 0},
		{Default, 15, 200, 256 + 1<<10},
		{Default, 15, 1 << 10, 1<<10 + 2<<10},
		{Default, 15, 1 << 20, 32<<10 + 64<<10},
		{Default, 12, 1 << 20, 4<<10 + 8<<10},
		{Default, 9, 1 << 20, 512 + 1<<10},
		{Default, 8, 1 << 20, 256 + 1<<10},
		{Fastest, 15, 1 << 20, 32<<10 + 16<<10},
		{Best, 15, 1 << 20, 32<<10 + 32<<10 + 64<<10},
	} {
		d := deflater(test.level, test.bits)
		d.AppendLast(nil, jsonText(test.n, 1))
		if got := d.Size() - DeflaterSize; got != test.size {
			t.Errorf("level %d, %d bits, after %d bytes: %d bytes, want %d", test.level, test.bits, test.n, got, test.size)
		}
	}
}

func TestBugs(t *testing.T) {
	for name, f := range map[string]func(){
		"window bits of an Inflater": func() { inflater(7) },
		"window bits of a Deflater":  func() { deflater(Default, 16) },
		"level":                      func() { deflater(Best+1, 15) },
	} {
		func() {
			defer func() {
				if s, ok := recover().(string); !ok || !strings.HasPrefix(s, "BUG: deflate: ") {
					t.Errorf("%s: it does not panic", name)
				}
			}()
			f()
		}()
	}
}
