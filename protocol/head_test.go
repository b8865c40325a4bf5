package protocol

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// everyCut calls f with b whole, cut byte by byte, and cut in two at every place.
func everyCut(b []byte, f func(name string, pieces [][]byte)) {
	f("whole", [][]byte{b})
	var single [][]byte
	for i := range b {
		single = append(single, b[i:i+1])
	}
	f("byte by byte", single)
	for i := range len(b) + 1 {
		f(fmt.Sprintf("cut at %d", i), [][]byte{b[:i], b[i:]})
	}
}

// wantStatus fails the test unless err is a *HandshakeError with status.
func wantStatus(t *testing.T, sentence string, err error, status int) {
	t.Helper()
	var e *HandshakeError
	if !errors.As(err, &e) || e.Status != status {
		t.Errorf("%s: the error is %v, want a *HandshakeError with status %d", sentence, err, status)
	}
}

func TestHeadBufferEveryCut(t *testing.T) {
	head := "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	everyCut([]byte(head+"\x81\x00after"), func(name string, pieces [][]byte) {
		var h headBuffer
		taken, done := 0, false
		for _, piece := range pieces {
			if done {
				break
			}
			n, d, err := h.receive(piece, 100)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if taken, done = taken+n, d; !done && n != len(piece) {
				t.Fatalf("%s: a head that goes on took %d of %d bytes", name, n, len(piece))
			}
		}
		if !done || taken != len(head) || string(h.b) != head {
			t.Errorf("%s: took %d bytes, done %v, holds %q", name, taken, done, h.b)
		}
	})
}

func TestHeadBufferLimit(t *testing.T) {
	head := "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	for _, test := range []struct {
		maxBytes int
		fits     bool
	}{{len(head) - 1, false}, {len(head), true}, {len(head) + 1, true}} {
		everyCut([]byte(head), func(name string, pieces [][]byte) {
			var h headBuffer
			var done bool
			var err error
			for _, piece := range pieces {
				if _, done, err = h.receive(piece, test.maxBytes); err != nil || done {
					break
				}
			}
			if cap(h.b) > test.maxBytes {
				t.Errorf("limit %d, %s: the buffer grew to %d", test.maxBytes, name, cap(h.b))
			}
			if done != test.fits {
				t.Errorf("limit %d, %s: done is %v", test.maxBytes, name, done)
			}
			if !test.fits {
				wantStatus(t, "a head over its limit", err, 431)
			}
		})
	}
}

func TestHeadBufferDoesNotGrowAhead(t *testing.T) {
	var h headBuffer
	if _, _, err := h.receive([]byte("GET /"), defaultHeadBytes); err != nil || cap(h.b) > 5 {
		t.Errorf("five bytes take %d, %v", cap(h.b), err)
	}
}

// malformedHeads are what no head may look like behind its first line, and where
// the scanner or the parser stops.
var malformedHeads = []struct{ name, fields string }{
	{"LF alone ends a line", "Host: h\n\r\n"},
	{"LF alone ends the head", "Host: h\r\n\n"},
	{"LF alone throughout", "Host: h\n\n"},
	{"CR alone", "Host: h\rX: y\r\n\r\n"},
	{"CR twice", "Host: h\r\r\n\r\n"},
	{"CR after the blank line's CR", "Host: h\r\n\r\r\n"},
	{"obs-fold with a space", "Host: h\r\n x\r\n\r\n"},
	{"obs-fold with a tab", "Host: h\r\n\tx\r\n\r\n"},
	{"obs-fold behind the first line", " Host: h\r\n\r\n"},
	{"NUL in a value", "Host: h\x00\r\n\r\n"},
	{"NUL in a name", "Ho\x00st: h\r\n\r\n"},
	{"control character in a value", "Host: h\x01i\r\n\r\n"},
	{"DEL in a value", "Host: h\x7f\r\n\r\n"},
	{"no colon", "Host\r\n\r\n"},
	{"no name", ": h\r\n\r\n"},
	{"space before the colon", "Host : h\r\n\r\n"},
	{"tab before the colon", "Host\t: h\r\n\r\n"},
	{"non-ASCII name", "H\xc3\xb6st: h\r\n\r\n"},
	{"name with a bracket", "Ho(st: h\r\n\r\n"},
	{"pseudo-header field", ":protocol: websocket\r\n\r\n"},
}

func TestMalformedHeads(t *testing.T) {
	for _, test := range malformedHeads {
		_, n, err := ConsumeRequest([]byte("GET / HTTP/1.1\r\n"+test.fields), HeadLimits{})
		wantStatus(t, "request with "+test.name, err, 400)
		_, m, err := ConsumeResponse([]byte("HTTP/1.1 101 OK\r\n"+test.fields), HeadLimits{})
		wantStatus(t, "response with "+test.name, err, 0)
		if n != 0 || m != 0 {
			t.Errorf("%s: consumed %d and %d bytes", test.name, n, m)
		}
	}
}

func TestFieldCountLimit(t *testing.T) {
	for _, test := range []struct {
		lim    HeadLimits
		fields int
		status int // 0 if they fit
	}{
		{HeadLimits{}, 99, 0},
		{HeadLimits{}, 100, 0},
		{HeadLimits{}, 101, 431},
		{HeadLimits{MaxFields: -1}, 101, 431},
		{HeadLimits{MaxFields: 1}, 0, 0},
		{HeadLimits{MaxFields: 1}, 1, 0},
		{HeadLimits{MaxFields: 1}, 2, 431},
	} {
		head := "GET / HTTP/1.1\r\n" + strings.Repeat("A: b\r\n", test.fields) + "\r\n"
		r, _, err := ConsumeRequest([]byte(head), test.lim)
		if test.status != 0 {
			wantStatus(t, fmt.Sprintf("%d fields under %+v", test.fields, test.lim), err, test.status)
		} else if err != nil || len(r.Fields) != test.fields {
			t.Errorf("%d fields under %+v: %+v, %v", test.fields, test.lim, r, err)
		}
	}
}

func TestHeadSizeLimit(t *testing.T) {
	const around = len("GET / HTTP/1.1\r\nA: \r\n\r\n")
	for _, test := range []struct {
		lim    HeadLimits
		size   int
		status int
	}{
		{HeadLimits{}, 8191, 0},
		{HeadLimits{}, 8192, 0},
		{HeadLimits{}, 8193, 431},
		{HeadLimits{MaxBytes: -1}, 8193, 431},
		{HeadLimits{MaxBytes: 64}, 63, 0},
		{HeadLimits{MaxBytes: 64}, 64, 0},
		{HeadLimits{MaxBytes: 64}, 65, 431},
	} {
		head := "GET / HTTP/1.1\r\nA: " + strings.Repeat("b", test.size-around) + "\r\n\r\n"
		_, n, err := ConsumeRequest([]byte(head), test.lim)
		if test.status != 0 {
			wantStatus(t, fmt.Sprintf("%d bytes under %+v", test.size, test.lim), err, test.status)
		} else if err != nil || n != test.size {
			t.Errorf("%d bytes under %+v: consumed %d, %v", test.size, test.lim, n, err)
		}
	}
}

func TestHeadWithoutEndFailsAtItsLimit(t *testing.T) {
	_, _, err := ConsumeRequest([]byte(strings.Repeat("a", 8192)), HeadLimits{})
	wantStatus(t, "8 KiB without a line end", err, 431)
	_, _, err = ConsumeResponse([]byte(strings.Repeat("a", 8192)), HeadLimits{})
	wantStatus(t, "8 KiB without a line end, to a client", err, 0)
}

func TestFieldValuesAreTrimmedBytes(t *testing.T) {
	r, _, err := ConsumeRequest([]byte("GET / HTTP/1.1\r\nA:\t b\xff\xe9 c \t\r\nB:\r\nC: :\r\n\r\n"), HeadLimits{})
	if err != nil {
		t.Fatal(err)
	}
	want := []Field{{"A", "b\xff\xe9 c"}, {"B", ""}, {"C", ":"}}
	if fmt.Sprint(r.Fields) != fmt.Sprint(want) {
		t.Errorf("the fields are %q, want %q", r.Fields, want)
	}
}

func TestAppendKeepsOneLinePerField(t *testing.T) {
	r := Request{Method: "GET", Target: "/\r\nA: b", Fields: []Field{{"X\r\n", "y\r\n\r\nz\x00"}}}
	if got, want := string(r.Append(nil)), "GET /  A: b HTTP/1.1\r\nX  : y    z \r\n\r\n"; got != want {
		t.Errorf("line ends in a request become spaces: got %q, want %q", got, want)
	}
	resp := Response{Status: 403, Reason: "no\nX: y", Fields: []Field{{"Location", "/\r\nSet-Cookie: a"}}}
	if got, want := string(resp.Append(nil)), "HTTP/1.1 403 no X: y\r\nLocation: /  Set-Cookie: a\r\n\r\n"; got != want {
		t.Errorf("line ends in a response become spaces: got %q, want %q", got, want)
	}
}
