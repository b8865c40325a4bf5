package protocol

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// utf8Vectors are texts with the offset of the first byte that no valid text
// could have there, or -1. A text may be valid so far and yet not end there.
var utf8Vectors = []struct {
	name     string
	text     string
	bad      int
	complete bool
}{
	{"empty", "", -1, true},
	{"ASCII", "Hello", -1, true},
	{"NUL", "\x00", -1, true},
	{"the last of one byte", "\x7f", -1, true},
	{"the first of two bytes", "\u0080", -1, true},
	{"the last of two bytes", "\u07ff", -1, true},
	{"the first of three bytes", "\u0800", -1, true},
	{"the last before surrogates", "\ud7ff", -1, true},
	{"the first after surrogates", "\ue000", -1, true},
	{"the replacement character", "a\ufffdb", -1, true},
	{"the last of three bytes", "\uffff", -1, true},
	{"the first of four bytes", "\U00010000", -1, true},
	{"the last of four bytes", "\U0010ffff", -1, true},
	{"all lengths in turn", "aé€\U0001f600aé€\U0001f600", -1, true},
	{"truncated after 1 of 2", "a\xc3", -1, false},
	{"truncated after 1 of 3", "a\xe2", -1, false},
	{"truncated after 2 of 3", "a\xe2\x82", -1, false},
	{"truncated after 1 of 4", "a\xf0", -1, false},
	{"truncated after 3 of 4", "a\xf0\x9f\x98", -1, false},
	{"a lone continuation byte", "a\x80", 1, false},
	{"continuation bytes only", "\x80\x80\x80\x80", 0, false},
	{"one continuation byte too many", "é\x80", 2, false},
	{"overlong NUL", "\xc0\x80", 0, false},
	{"overlong DEL", "\xc1\xbf", 0, false},
	{"overlong of three bytes", "\xe0\x9f\xbf", 1, false},
	{"overlong of four bytes", "\xf0\x8f\xbf\xbf", 1, false},
	{"the first surrogate", "\xed\xa0\x80", 1, false},
	{"the last surrogate", "\xed\xbf\xbf", 1, false},
	{"a pair of surrogates", "\xed\xa0\xbd\xed\xb8\x80", 1, false},
	{"above the last character", "\xf4\x90\x80\x80", 1, false},
	{"a lead byte of five", "\xf8\x88\x80\x80\x80", 0, false},
	{"a lead byte above F4", "\xf5\x80\x80\x80", 0, false},
	{"FE", "a\xfe", 1, false},
	{"FF", "a\xff", 1, false},
	{"a character cut short by ASCII", "\xe2\x82a", 2, false},
	{"a character cut short by another", "\xe2\x82é", 2, false},
	{"Autobahn 6.4", "\u03ba\u1f79\u03c3\u03bc\u03b5\xf4\x90\x80\x80edited", 12, false},
	{"bad after 40 bytes of ASCII", strings.Repeat("a", 40) + "\xff", 40, false},
}

func TestUTF8CheckerVectors(t *testing.T) {
	for _, test := range utf8Vectors {
		t.Run(test.name, func(t *testing.T) {
			for i := range len(test.text) + 1 {
				for j := i; j <= len(test.text); j++ {
					var u utf8Checker
					ok := u.write([]byte(test.text[:i])) && u.write([]byte(test.text[i:j]))
					if want := test.bad < 0 || j <= test.bad; ok != want {
						t.Fatalf("cut at %d, the first %d bytes: %t, want %t", i, j, ok, want)
					}
					if j == len(test.text) && ok && u.complete() != test.complete {
						t.Fatalf("cut at %d: whole is %t, want %t", i, !test.complete, test.complete)
					}
				}
			}
		})
	}
}

func TestUTF8CheckerFailsAtTheExactByte(t *testing.T) {
	for _, test := range utf8Vectors {
		var u utf8Checker
		bad := -1
		for i := range len(test.text) {
			if !u.write([]byte{test.text[i]}) {
				bad = i
				break
			}
		}
		if bad != test.bad {
			t.Errorf("%s: byte by byte it fails at %d, want %d", test.name, bad, test.bad)
		}
	}
}

// TestUTF8CheckerAgainstOracle holds every sequence of up to three bytes of those
// at the limits of the ranges, and each of them cut in two, to utf8.Valid.
func TestUTF8CheckerAgainstOracle(t *testing.T) {
	edges := []byte{0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef,
		0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff}
	var b [4]byte
	for _, b[0] = range edges {
		for _, b[1] = range edges {
			for _, b[2] = range edges {
				for _, b[3] = range edges {
					for cut := range 4 {
						var u utf8Checker
						if got, want := u.write(b[:cut]) && u.write(b[cut:]) && u.complete(), utf8.Valid(b[:]); got != want {
							t.Fatalf("% x cut at %d: %t, want %t", b, cut, got, want)
						}
					}
				}
			}
		}
	}
}

func TestUTF8CheckerIsReadyForTheNextText(t *testing.T) {
	var u utf8Checker
	if !u.write([]byte("\xe2\x82")) || u.complete() {
		t.Fatal("a text ends between characters")
	}
	if !u.write([]byte("\xac")) {
		return
	}
	t.Error("the next text does not go on with the character of the one before")
}

// TestUTF8LinearTime: CVE class "quadratic UTF-8 check over fragments".
func TestUTF8LinearTime(t *testing.T) {
	text := []byte(strings.Repeat("aé€\U0001f600", 4<<20/10))
	check := func(n int) time.Duration {
		best := time.Hour
		for range 5 {
			var u utf8Checker
			start := time.Now()
			for b := text[:n]; len(b) > 0; b = b[min(64, len(b)):] {
				if !u.write(b[:min(64, len(b))]) {
					t.Fatal("the text is valid")
				}
			}
			best = min(best, time.Since(start))
		}
		return best
	}
	// A busy machine makes one comparison meaningless, but not ten in a row.
	for attempt := 1; ; attempt++ {
		whole, half := check(len(text)), check(len(text)/2)
		start := time.Now()
		utf8.Valid(text)
		// On a machine, or with a race detector, that is slow: a few times the oracle.
		most := max(50*time.Millisecond, 8*time.Since(start))
		if whole <= most && whole <= 4*half {
			return
		}
		if attempt == 10 {
			t.Fatalf("2 MiB in fragments of 64 bytes take %v and 4 MiB %v: not linear, or more than %v", half, whole, most)
		}
	}
}

// TestUTF8CheckerHoldsThreeBytes: no more than that is looked at twice, however
// small the fragments.
func TestUTF8CheckerHoldsThreeBytes(t *testing.T) {
	var u utf8Checker
	for range 1000 {
		for _, part := range []string{"\xf0", "\x9f", "\x98", "\x80", "a"} {
			if !u.write([]byte(part)) {
				t.Fatal("the text is valid")
			}
			if int(u.n) >= utf8.UTFMax {
				t.Fatalf("%d bytes of a character wait, want at most 3", u.n)
			}
		}
	}
}

func TestValidUTF8Strides(t *testing.T) {
	for _, n := range lengths() {
		for bad := max(0, n-70); bad < n; bad++ {
			b := bytes.Repeat([]byte{'a'}, n)
			b[bad] = 0x80
			if validUTF8(b) {
				t.Fatalf("a bad byte at %d of %d was missed", bad, n)
			}
		}
		if !validUTF8(bytes.Repeat([]byte{0x7f}, n)) {
			t.Fatalf("%d bytes of ASCII are valid", n)
		}
	}
}

func BenchmarkUTF8(b *testing.B) {
	for _, test := range []struct{ name, text string }{
		{"ASCII64", strings.Repeat("a", 64)},
		{"ASCII64K", strings.Repeat("a", 64<<10)},
		{"mixed64K", strings.Repeat("aé€\U0001f600", 64<<10/10)},
	} {
		b.Run(test.name, func(b *testing.B) {
			text := []byte(test.text)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				var u utf8Checker
				u.write(text)
			}
		})
	}
}
