package protocol

import (
	"bytes"
	"reflect"
	"testing"
)

// rfcResponse is the server's side of the example in RFC 6455 §1.3.
const rfcResponse = "HTTP/1.1 101 Switching Protocols\r\n" +
	"Upgrade: websocket\r\n" +
	"Connection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" +
	"Sec-WebSocket-Protocol: chat\r\n" +
	"\r\n"

var rfcResponseParsed = Response{
	Status: 101, Reason: "Switching Protocols", Major: 1, Minor: 1,
	Fields: []Field{
		{"Upgrade", "websocket"},
		{"Connection", "Upgrade"},
		{"Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
		{"Sec-WebSocket-Protocol", "chat"},
	},
}

func TestResponseVectors(t *testing.T) {
	for _, test := range []struct {
		name, wire string
		response   Response
	}{
		{"RFC 6455 §1.3", rfcResponse, rfcResponseParsed},
		{"without a reason", "HTTP/1.1 200 \r\n\r\n", Response{200, "", 1, 1, nil}},
		{"HTTP/1.0", "HTTP/1.0 404 Not Found\r\n\r\n", Response{404, "Not Found", 1, 0, nil}},
		{"reason outside ASCII", "HTTP/1.1 999 \xe9\t a\r\nA: b\r\n\r\n", Response{999, "\xe9\t a", 1, 1, []Field{{"A", "b"}}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := string(test.response.Append(nil)); got != test.wire {
				t.Errorf("encodes to %q, want %q", got, test.wire)
			}
			r, n, err := ConsumeResponse([]byte(test.wire+"rest"), HeadLimits{})
			if err != nil || n != len(test.wire) || !reflect.DeepEqual(*r, test.response) {
				t.Errorf("decodes to %+v, %d, %v, want %+v, %d", r, n, err, test.response, len(test.wire))
			}
			for i := range len(test.wire) {
				if r, n, err := ConsumeResponse([]byte(test.wire[:i]), HeadLimits{}); r != nil || n != 0 || err != nil {
					t.Fatalf("a prefix of %d bytes needs more: got %+v, %d, %v", i, r, n, err)
				}
			}
		})
	}
}

func TestResponseMayLeaveOutTheSpaceBeforeNoReason(t *testing.T) {
	r, _, err := ConsumeResponse([]byte("HTTP/1.1 101\r\n\r\n"), HeadLimits{})
	if err != nil || r.Status != 101 || r.Reason != "" {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestStatusLineErrors(t *testing.T) {
	for _, line := range []string{
		"", "HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 10", "HTTP/1.1 1010", "HTTP/1.1 099", "HTTP/1.1 1x1", "HTTP/1.1 x01", "HTTP/1.1 10x",
		"HTTP/1.1  101 OK", "HTTP/1.1\t101 OK", "HTTP/2.0 101 OK", "HTTP/0.9 101 OK", "http/1.1 101 OK", "HTTP/1 101 OK",
		"ICY 101 OK", "HTTP/1.1 101 a\x01b", "HTTP/1.1 +10 OK", "HTTP/1.1 101 \x7f",
	} {
		_, n, err := ConsumeResponse([]byte(line+"\r\nA: b\r\n\r\n"), HeadLimits{})
		wantStatus(t, line, err, 0)
		if n != 0 {
			t.Errorf("%q: consumed %d bytes", line, n)
		}
	}
}

func FuzzConsumeResponse(f *testing.F) {
	// A head that is accepted encodes and decodes to itself, and a client
	// handshake that is fed it byte by byte comes to the same response or error.
	f.Add([]byte(rfcResponse))
	f.Add([]byte("HTTP/1.1 100 Continue\r\n\r\n" + rfcResponse + "\x81\x00"))
	f.Add([]byte("HTTP/1.1 403\r\nA:\tb \r\n\r\nrest"))
	for _, head := range malformedHeads {
		f.Add([]byte("HTTP/1.1 101 OK\r\n" + head.fields))
	}
	lim := HeadLimits{MaxBytes: 512, MaxFields: 8}
	u := &URL{Scheme: "ws", Host: "h", Port: 80, Target: "/"}
	f.Fuzz(func(t *testing.T, b []byte) {
		whole, err := NewClientHandshake(u, rfcKey, ClientOptions{Subprotocols: []string{"chat"}, HeadLimits: lim})
		if err != nil {
			t.Fatal(err)
		}
		cut, _ := NewClientHandshake(u, rfcKey, ClientOptions{Subprotocols: []string{"chat"}, HeadLimits: lim})
		n, done, err := whole.Receive(b)
		taken := 0
		for taken < len(b) {
			k, done, err := cut.Receive(b[taken : taken+1])
			if taken += k; done || err != nil {
				break
			}
		}
		if taken != n || !reflect.DeepEqual(cut.err, whole.err) || !reflect.DeepEqual(cut.response, whole.response) || cut.done != done {
			t.Fatalf("whole gives %d, %v, %+v; byte by byte %d, %v, %+v", n, err, whole.response, taken, cut.err, cut.response)
		}
		if done && err != nil {
			t.Fatalf("done with an error: %v", err)
		}

		r, n, err := ConsumeResponse(b, lim)
		if err != nil || n == 0 {
			return
		}
		wire := r.Append(nil)
		if bytes.Count(wire, []byte("\r\n")) != len(r.Fields)+2 {
			t.Fatalf("%+v encodes to %q", r, wire)
		}
		again, _, err := ConsumeResponse(wire, HeadLimits{MaxBytes: 2 * lim.MaxBytes})
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Fatalf("%+v encodes to %q, which decodes to %+v, %v", r, wire, again, err)
		}
	})
}
