package protocol

import (
	"bytes"
	"reflect"
	"testing"
)

// rfcRequest is the client's side of the example in RFC 6455 §1.3.
const rfcRequest = "GET /chat HTTP/1.1\r\n" +
	"Host: server.example.com\r\n" +
	"Upgrade: websocket\r\n" +
	"Connection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
	"Origin: http://example.com\r\n" +
	"Sec-WebSocket-Protocol: chat, superchat\r\n" +
	"Sec-WebSocket-Version: 13\r\n" +
	"\r\n"

var rfcRequestParsed = Request{
	Method: "GET", Target: "/chat", Major: 1, Minor: 1,
	Fields: []Field{
		{"Host", "server.example.com"},
		{"Upgrade", "websocket"},
		{"Connection", "Upgrade"},
		{"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
		{"Origin", "http://example.com"},
		{"Sec-WebSocket-Protocol", "chat, superchat"},
		{"Sec-WebSocket-Version", "13"},
	},
}

func TestRequestVectors(t *testing.T) {
	for _, test := range []struct {
		name, wire string
		request    Request
	}{
		{"RFC 6455 §1.3", rfcRequest, rfcRequestParsed},
		{"without fields", "GET / HTTP/1.1\r\n\r\n", Request{"GET", "/", 1, 1, nil}},
		{"HTTP/1.0", "HEAD /?a HTTP/1.0\r\n\r\n", Request{"HEAD", "/?a", 1, 0, nil}},
		{"absolute form", "GET http://h/ HTTP/1.1\r\n\r\n", Request{"GET", "http://h/", 1, 1, nil}},
		{"authority form", "CONNECT h:443 HTTP/1.1\r\n\r\n", Request{"CONNECT", "h:443", 1, 1, nil}},
		{"repeated field", "GET / HTTP/1.1\r\nA: 1\r\nA: 2\r\n\r\n", Request{"GET", "/", 1, 1, []Field{{"A", "1"}, {"A", "2"}}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := string(test.request.Append(nil)); got != test.wire {
				t.Errorf("encodes to %q, want %q", got, test.wire)
			}
			r, n, err := ConsumeRequest([]byte(test.wire+"rest"), HeadLimits{})
			if err != nil || n != len(test.wire) || !reflect.DeepEqual(*r, test.request) {
				t.Errorf("decodes to %+v, %d, %v, want %+v, %d", r, n, err, test.request, len(test.wire))
			}
			for i := range len(test.wire) {
				if r, n, err := ConsumeRequest([]byte(test.wire[:i]), HeadLimits{}); r != nil || n != 0 || err != nil {
					t.Fatalf("a prefix of %d bytes needs more: got %+v, %d, %v", i, r, n, err)
				}
			}
		})
	}
}

func TestRequestLineErrors(t *testing.T) {
	for _, test := range []struct {
		line   string
		status int
	}{
		{"", 400},
		{"GET", 400},
		{"GET /", 400},
		{"GET HTTP/1.1", 400},
		{"GET  / HTTP/1.1", 400},
		{"GET /  HTTP/1.1", 400},
		{"GET / HTTP/1.1 ", 400},
		{"GET\t/\tHTTP/1.1", 400},
		{"GET /a b HTTP/1.1", 400},
		{"GET /\xc3\xa9 HTTP/1.1", 400},
		{"GET /\x7f HTTP/1.1", 400},
		{"GET /\x01 HTTP/1.1", 400},
		{"G(T / HTTP/1.1", 400},
		{"G\xc3\x89T / HTTP/1.1", 400},
		{"GET / http/1.1", 400},
		{"GET / HTTP/1", 400},
		{"GET / HTTP/11", 400},
		{"GET / HTTP/1.10", 400},
		{"GET / HTTP/1,1", 400},
		{"GET / HTTP/x.1", 400},
		{"GET / HTTP/1.x", 400},
		{"GET / XTTP/1.1", 400},
		{"GET / HTTP/0.9", 505},
		{"GET / HTTP/2.0", 505},
		{"PRI * HTTP/2.0", 505},
	} {
		_, n, err := ConsumeRequest([]byte(test.line+"\r\nHost: h\r\n\r\n"), HeadLimits{})
		wantStatus(t, test.line, err, test.status)
		if n != 0 {
			t.Errorf("%q: consumed %d bytes", test.line, n)
		}
	}
}

func FuzzConsumeRequest(f *testing.F) {
	// A head that is accepted encodes and decodes to itself, its length does not
	// depend on what follows, and a ServerHandshake agrees byte by byte.
	f.Add([]byte(rfcRequest))
	f.Add([]byte("GET / HTTP/1.1\r\nA:\tb \r\n\r\nrest"))
	f.Add([]byte("GET / HTTP/2.0\r\n\r\n"))
	for _, head := range malformedHeads {
		f.Add([]byte("GET / HTTP/1.1\r\n" + head.fields))
	}
	lim := HeadLimits{MaxBytes: 512, MaxFields: 8}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, n, err := ConsumeRequest(b, lim)

		h := NewServerHandshake(lim)
		taken, done := 0, false
		var streamErr error
		for taken < len(b) && !done && streamErr == nil {
			var k int
			k, done, streamErr = h.Receive(b[taken : taken+1])
			taken += k
		}
		if (err == nil) != (streamErr == nil) || done != (n > 0) || !reflect.DeepEqual(h.Request(), r) {
			t.Fatalf("whole gives %+v, %v; byte by byte %+v, %v", r, err, h.Request(), streamErr)
		}

		if n == 0 {
			return
		}
		if taken != n || n > lim.MaxBytes || len(r.Fields) > lim.MaxFields {
			t.Fatalf("took %d and %d bytes, %d fields", n, taken, len(r.Fields))
		}
		wire := r.Append(nil)
		if bytes.Count(wire, []byte("\r\n")) != len(r.Fields)+2 {
			t.Fatalf("%+v encodes to %q", r, wire)
		}
		again, _, err := ConsumeRequest(wire, HeadLimits{MaxBytes: 2 * lim.MaxBytes})
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Fatalf("%+v encodes to %q, which decodes to %+v, %v", r, wire, again, err)
		}
	})
}
