package deflate

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"testing"
)

// FuzzInflate: any bytes, in any cut and any room, give what compress/flate gives,
// error or not, within the room and the memory of an Inflater.
func FuzzInflate(f *testing.F) {
	for _, test := range inflateVectors {
		f.Add(octets(test.wire), []byte{3, 1, 4}, uint8(15))
	}
	for _, s := range samples(400) {
		f.Add(deflater(Default, 15).AppendPart(nil, s.text), []byte{50, 200, 1}, uint8(15))
		f.Add(deflater(Best, 9).AppendPart(nil, s.text), []byte{255}, uint8(9))
	}
	f.Fuzz(func(t *testing.T, wire, cuts []byte, windowBits uint8) {
		windowBits = minWindowBits + windowBits%8
		whole, err := inflate(t, inflater(int(windowBits)), wire, len(wire)+1, 1<<16)
		z := inflater(int(windowBits))
		var got []byte
		err2 := error(nil)
		for b, i := wire, 0; len(b) > 0 && err2 == nil && len(got) < 1<<22; i++ {
			cut, room := len(b), 700
			if len(cuts) > 0 {
				cut, room = 1+int(cuts[i%len(cuts)])%len(b), 1+int(cuts[(i+1)%len(cuts)])*3
			}
			var out []byte
			out, err2 = inflate(t, z, b[:cut], cut, room)
			got = append(got, out...)
			b = b[cut:]
		}
		if len(got) < 1<<22 && (err != err2 || !bytes.Equal(got, whole)) {
			t.Fatalf("whole: %d bytes, error %v; cut: %d bytes, error %v", len(whole), err, len(got), err2)
		}
		if z.Size() > InflaterSize+DynamicSize+1<<windowBits {
			t.Fatalf("it takes %d bytes", z.Size())
		}
		// compress/flate ends at a block with BFINAL, has a window of 32 KiB, and finds
		// out that a block has no end when the input has one.
		std, stdErr := io.ReadAll(flate.NewReader(bytes.NewReader(wire)))
		if !bytes.HasPrefix(std, whole) && !bytes.HasPrefix(whole, std) {
			t.Fatalf("compress/flate gives other bytes: %d and %d", len(std), len(whole))
		}
		var corrupt flate.CorruptInputError
		switch {
		case stdErr == nil: // a last block: what we make of the rest is ours
			if len(whole) < len(std) && err != errDistanceWindow {
				t.Fatalf("compress/flate takes it, we have %d of %d bytes, error %v", len(whole), len(std), err)
			}
		case errors.As(stdErr, &corrupt):
			if err == nil {
				t.Fatalf("compress/flate refuses it: %v", stdErr)
			}
		case err == nil:
			if len(std) > len(whole) {
				t.Fatalf("compress/flate has %d bytes, we have %d", len(std), len(whole))
			}
		case err != errNoEndOfBlock && err != errDistanceWindow:
			// It waits for more than it needs in order to say what is wrong.
			padded := append(bytes.Clone(wire), make([]byte, 64)...)
			if _, stdErr = io.ReadAll(flate.NewReader(bytes.NewReader(padded))); !errors.As(stdErr, &corrupt) {
				t.Fatalf("we refuse it: %v; compress/flate: %v", err, stdErr)
			}
		}
	})
}

// FuzzDeflate: any bytes, in any parts and messages, at any level and window, come
// back from Inflate and from compress/flate, and take no more than Bound.
func FuzzDeflate(f *testing.F) {
	for i, s := range samples(600) {
		f.Add(s.text, []byte{100, 7, 255}, uint8(i), uint8(i))
	}
	f.Fuzz(func(t *testing.T, text, cuts []byte, level, windowBits uint8) {
		windowBits = minWindowBits + windowBits%8
		d, z := deflater(levels[level%3], int(windowBits)), inflater(int(windowBits))
		var stream []byte
		repeat := 1 + int(level/3)%40
		text = bytes.Repeat(text, repeat)
		for b, i := text, 0; ; i++ {
			cut := len(b)
			if len(cuts) > 0 && i < 200 {
				cut = min(cut, int(cuts[i%len(cuts)])*repeat)
			}
			var wire []byte
			if i%2 == 0 {
				wire = append(d.AppendLast(nil, b[:cut]), tail...)
			} else {
				wire = d.AppendPart(nil, b[:cut])
			}
			if len(wire) > Bound(cut) {
				t.Fatalf("%d bytes take %d, over %d", cut, len(wire), Bound(cut))
			}
			wantText(t, "it comes back", z, wire, b[:cut])
			stream = append(stream, wire...)
			if b = b[cut:]; len(b) == 0 {
				break
			}
		}
		if got, err := stdInflate(stream); err != nil || !bytes.Equal(got, text) {
			t.Fatalf("compress/flate: %d bytes of %d, error %v", len(got), len(text), err)
		}
	})
}
