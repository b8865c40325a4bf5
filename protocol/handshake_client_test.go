package protocol

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func newClientHandshake(t *testing.T, rawURL string, o ClientOptions) *ClientHandshake {
	t.Helper()
	u, err := ParseURL(rawURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	h, err := NewClientHandshake(u, rfcKey, o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestClientRequest(t *testing.T) {
	for _, test := range []struct {
		name, url string
		options   ClientOptions
		want      string
	}{
		{
			"the least", "ws://example.com", ClientOptions{},
			"GET / HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
				"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
		},
		{
			"everything", "wss://user:pass@[::1]:8443/a?b",
			ClientOptions{
				Subprotocols: []string{"chat", "superchat"},
				Fields:       []Field{{"Origin", "https://example.com"}, {"Host", "evil"}, {"cookie", "a=b"}, {"Cookie", "c=d"}},
				Compression:  Compression{Mode: CompressionNoContextTakeover, WindowBits: 10},
			},
			"GET /a?b HTTP/1.1\r\nHost: [::1]:8443\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
				"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
				"Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; client_max_window_bits=10\r\n" +
				"Authorization: Basic dXNlcjpwYXNz\r\n" +
				"Origin: https://example.com\r\ncookie: a=b\r\nCookie: c=d\r\n\r\n",
		},
		{
			"the caller's Authorization before the URL's", "ws://user:pass@h/",
			ClientOptions{Fields: []Field{{"authorization", "Bearer x"}}},
			"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
				"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nauthorization: Bearer x\r\n\r\n",
		},
	} {
		h := newClientHandshake(t, test.url, test.options)
		if got := string(h.AppendRequest([]byte("before"))); got != "before"+test.want {
			t.Errorf("%s:\n got %q\nwant %q", test.name, got, "before"+test.want)
		}
	}
}

func TestClientRequestFields(t *testing.T) {
	h := newClientHandshake(t, "wss://user:pass@example.com:8443/a?b", ClientOptions{
		Subprotocols: []string{"chat"}, Fields: []Field{{"Origin", "O"}, {"TE", "trailers"}}, Compression: Compression{Mode: CompressionContextTakeover},
	})
	want := []Field{
		{":method", "CONNECT"}, {":protocol", "websocket"}, {":scheme", "https"}, {":authority", "example.com:8443"}, {":path", "/a?b"},
		{"sec-websocket-version", "13"}, {"sec-websocket-protocol", "chat"}, {"sec-websocket-extensions", "permessage-deflate; client_max_window_bits"},
		{"authorization", "Basic dXNlcjpwYXNz"}, {"origin", "O"},
	}
	if got := h.RequestFields(); !reflect.DeepEqual(got, want) {
		t.Errorf("the fields are\n%q, want\n%q", got, want)
	}
	h.RequestFields()
	if got := string(h.AppendRequest(nil)); !strings.Contains(got, "\r\nOrigin: O\r\n") {
		t.Errorf("HTTP/1.1 keeps the case of names that HTTP/2 lost: %q", got)
	}
	h = newClientHandshake(t, "ws://h", ClientOptions{})
	if got := h.RequestFields()[2]; got != (Field{":scheme", "http"}) {
		t.Errorf("ws is %q", got)
	}
}

func TestClientOptionErrors(t *testing.T) {
	good := URL{Scheme: "ws", Host: "h", Port: 80, Target: "/"}
	for _, f := range injections {
		if _, err := NewClientHandshake(&good, rfcKey, ClientOptions{Fields: []Field{f}}); !errors.Is(err, ErrField) {
			t.Errorf("the field %q gives %v", f, err)
		}
	}
	for _, o := range []Compression{{Mode: 3}, {Level: 3}, {WindowBits: 7}, {WindowBits: 16}, {WindowBits: -1}, {Threshold: -1}} {
		if _, err := NewClientHandshake(&good, rfcKey, ClientOptions{Compression: o}); err != ErrCompression {
			t.Errorf("%+v gives %v", o, err)
		}
		if _, err := Accept(&rfcRequestParsed, ServerOptions{Compression: o}); err != ErrCompression {
			t.Errorf("%+v gives the server %v", o, err)
		}
	}
	if _, err := NewClientHandshake(&good, rfcKey, ClientOptions{Subprotocols: []string{"a\r\nB: c"}}); !errors.Is(err, ErrSubprotocol) {
		t.Errorf("a subprotocol on two lines gives %v", err)
	}
	for _, test := range []struct {
		part string
		url  URL
	}{
		{"scheme", URL{Scheme: "ftp", Host: "h", Target: "/"}},
		{"host", URL{Scheme: "ws", Host: "", Target: "/"}},
		{"host", URL{Scheme: "ws", Host: "h\r\nA: b", Target: "/"}},
		{"path", URL{Scheme: "ws", Host: "h", Target: ""}},
		{"path", URL{Scheme: "ws", Host: "h", Target: "a"}},
		{"path", URL{Scheme: "ws", Host: "h", Target: "/ HTTP/1.1\r\nA: b"}},
		{"path", URL{Scheme: "ws", Host: "h", Target: "/é"}},
		{"credentials", URL{Scheme: "ws", Host: "h", Target: "/", Authorization: "a\r\nB: c"}},
	} {
		_, err := NewClientHandshake(&test.url, rfcKey, ClientOptions{})
		var e *URLError
		if !errors.As(err, &e) || e.Part != test.part {
			t.Errorf("%+v gives %v, want an error that blames the %s", test.url, err, test.part)
		}
	}
}

func TestClientReceiveEveryCut(t *testing.T) {
	for _, interim := range []string{"", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100\r\n\r\n"} {
		head := interim + rfcResponse
		everyCut([]byte(head+"\x81\x02hi"), func(name string, pieces [][]byte) {
			h := newClientHandshake(t, "ws://server.example.com/chat", ClientOptions{Subprotocols: []string{"chat", "superchat"}})
			var taken int
			var done bool
			for _, piece := range pieces {
				n, d, err := h.Receive(piece)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				taken, done = taken+n, d
				if !done && h.Response() != nil {
					t.Fatalf("%s: there is a response before it is complete", name)
				}
			}
			if !done || taken != len(head) {
				t.Errorf("%s: took %d of %d bytes, done %v", name, taken, len(head), done)
			}
			if h.Subprotocol() != "chat" || h.Extensions() != "" || !reflect.DeepEqual(*h.Response(), rfcResponseParsed) {
				t.Errorf("%s: subprotocol %q, extensions %q, response %+v", name, h.Subprotocol(), h.Extensions(), h.Response())
			}
		})
	}
}

func TestClientAcceptsResponses(t *testing.T) {
	const accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
	const upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	for _, test := range []struct{ name, head, subprotocol, extensions string }{
		{"names and tokens without case", "HTTP/1.1 101 OK\r\nUPGRADE: WebSocket\r\nconnection: upgrade\r\n" + strings.ToLower(accept[:21]) + accept[21:], "", ""},
		{"Connection is a list", "HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" + accept, "", ""},
		{"Connection is two fields", "HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: keep-alive\r\nConnection: Upgrade\r\n" + accept, "", ""},
		{"a later minor version", "HTTP/1.2 101 OK\r\n" + upgrade + accept, "", ""},
		{"the second subprotocol offered", "HTTP/1.1 101 OK\r\n" + upgrade + accept + "Sec-WebSocket-Protocol: Other\r\n", "Other", ""},
		{"no subprotocol answered", "HTTP/1.1 101 OK\r\n" + upgrade + accept, "", ""},
		{"an extension", "HTTP/1.1 101 OK\r\n" + upgrade + accept + "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n", "", "permessage-deflate; client_no_context_takeover"},
		{"fields outside ASCII", "HTTP/1.1 101 OK\r\n" + upgrade + accept + "X: \xff\xfe\r\n", "", ""},
	} {
		h := newClientHandshake(t, "ws://h", ClientOptions{Subprotocols: []string{"chat", "Other"}, Compression: Compression{Mode: CompressionContextTakeover}})
		n, done, err := h.Receive([]byte(test.head + "\r\n"))
		if err != nil || !done || n != len(test.head)+2 {
			t.Errorf("%s: took %d, done %v, %v", test.name, n, done, err)
		}
		if h.Subprotocol() != test.subprotocol || h.Extensions() != test.extensions {
			t.Errorf("%s: subprotocol %q, extensions %q", test.name, h.Subprotocol(), h.Extensions())
		}
	}
}

func TestClientRefusesResponses(t *testing.T) {
	const ok = "HTTP/1.1 101 Switching Protocols\r\n"
	const accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
	const upgrade = "Upgrade: websocket\r\n"
	const connection = "Connection: Upgrade\r\n"
	for _, test := range []struct {
		name, head string
		status     int
		field      string
	}{
		{"200", "HTTP/1.1 200 OK\r\n" + upgrade + connection + accept, 200, ""},
		{"301", "HTTP/1.1 301 Moved\r\nLocation: ws://h/\r\n", 301, ""},
		{"401", "HTTP/1.1 401 No\r\n", 401, ""},
		{"426", "HTTP/1.1 426 Upgrade Required\r\n", 426, ""},
		{"HTTP/1.0", "HTTP/1.0 101 OK\r\n" + upgrade + connection + accept, 101, ""},
		{"no Upgrade", ok + connection + accept, 101, "Upgrade"},
		{"another Upgrade", ok + "Upgrade: h2c\r\n" + connection + accept, 101, "Upgrade"},
		{"Upgrade to two protocols", ok + "Upgrade: websocket, foo\r\n" + connection + accept, 101, "Upgrade"},
		{"Upgrade twice", ok + upgrade + upgrade + connection + accept, 101, "Upgrade"},
		{"no Connection", ok + upgrade + accept, 101, "Connection"},
		{"Connection without Upgrade", ok + upgrade + "Connection: close\r\n" + accept, 101, "Connection"},
		{"no Accept", ok + upgrade + connection, 101, "Sec-WebSocket-Accept"},
		{"Accept empty", ok + upgrade + connection + "Sec-WebSocket-Accept:\r\n", 101, "Sec-WebSocket-Accept"},
		{"Accept of another key", ok + upgrade + connection + "Sec-WebSocket-Accept: Kfh9QIsMVZcl6xEPYxPHzW8SZ8w=\r\n", 101, "Sec-WebSocket-Accept"},
		{"Accept in another case", ok + upgrade + connection + strings.ToLower(accept), 101, "Sec-WebSocket-Accept"},
		{"Accept twice", ok + upgrade + connection + accept + accept, 101, "Sec-WebSocket-Accept"},
		{"the key itself", ok + upgrade + connection + "Sec-WebSocket-Accept: dGhlIHNhbXBsZSBub25jZQ==\r\n", 101, "Sec-WebSocket-Accept"},
		{"a subprotocol not offered", ok + upgrade + connection + accept + "Sec-WebSocket-Protocol: other\r\n", 101, "Sec-WebSocket-Protocol"},
		{"a subprotocol in another case", ok + upgrade + connection + accept + "Sec-WebSocket-Protocol: CHAT\r\n", 101, "Sec-WebSocket-Protocol"},
		{"two subprotocols", ok + upgrade + connection + accept + "Sec-WebSocket-Protocol: chat, chat2\r\n", 101, "Sec-WebSocket-Protocol"},
		{"the subprotocol twice", ok + upgrade + connection + accept + strings.Repeat("Sec-WebSocket-Protocol: chat\r\n", 2), 101, "Sec-WebSocket-Protocol"},
		{"an empty subprotocol", ok + upgrade + connection + accept + "Sec-WebSocket-Protocol:\r\n", 101, "Sec-WebSocket-Protocol"},
		{"extensions not offered", ok + upgrade + connection + accept + "Sec-WebSocket-Extensions: a\r\n", 101, "Sec-WebSocket-Extensions"},
	} {
		h := newClientHandshake(t, "ws://h", ClientOptions{Subprotocols: []string{"chat", "chat2"}})
		n, done, err := h.Receive([]byte(test.head + "\r\nrest"))
		var e *HandshakeError
		if !errors.As(err, &e) || e.Status != test.status || e.Field != test.field || done {
			t.Errorf("%s: done %v, %v, want status %d and field %q", test.name, done, err, test.status, test.field)
			continue
		}
		if n != len(test.head)+2 || h.Response() == nil || h.Response().Status != test.status {
			t.Errorf("%s: took %d of %d bytes, the response is %+v", test.name, n, len(test.head)+2, h.Response())
		}
		if h.Subprotocol() != "" || h.Extensions() != "" {
			t.Errorf("%s: subprotocol %q, extensions %q", test.name, h.Subprotocol(), h.Extensions())
		}
		if n, _, again := h.Receive([]byte(rfcResponse)); n != 0 || again != err {
			t.Errorf("%s: after the error, Receive took %d and returned %v", test.name, n, again)
		}
	}
}

func TestClientRefusesUnsolicitedSubprotocol(t *testing.T) {
	h := newClientHandshake(t, "ws://h", ClientOptions{})
	if _, _, err := h.Receive([]byte(rfcResponse)); err == nil || err.(*HandshakeError).Field != "Sec-WebSocket-Protocol" {
		t.Errorf("a subprotocol without an offer gives %v", err)
	}
}

func TestClientRefusesMalformedResponses(t *testing.T) {
	for _, test := range []struct{ name, in string }{
		{"garbage", "SSH-2.0-OpenSSH\r\n\r\n"},
		{"TLS alert", "\x15\x03\x01\x00\x02\x02\x00\r\n"},
		{"LF line ends", strings.ReplaceAll(rfcResponse, "\r\n", "\n")},
		{"malformed field", "HTTP/1.1 101 OK\r\nA\r\n\r\n"},
		{"101 fields", "HTTP/1.1 101 OK\r\n" + strings.Repeat("A: b\r\n", 101) + "\r\n"},
		{"8 KiB", "HTTP/1.1 101 OK\r\nA: " + strings.Repeat("b", 8192)},
	} {
		h := newClientHandshake(t, "ws://h", ClientOptions{})
		n, done, err := h.Receive([]byte(test.in))
		wantStatus(t, test.name, err, 0)
		if done || h.Response() != nil || n > len(test.in) {
			t.Errorf("%s: took %d, done %v, response %+v", test.name, n, done, h.Response())
		}
	}
}

func TestClientBoundsInterimResponses(t *testing.T) {
	for count := 7; count <= 9; count++ {
		h := newClientHandshake(t, "ws://h", ClientOptions{Subprotocols: []string{"chat"}})
		_, done, err := h.Receive([]byte(strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", count) + rfcResponse))
		if fits := count <= maxInterim; done != fits || (err == nil) != fits {
			t.Errorf("%d interim responses: done %v, %v", count, done, err)
		}
	}
}

func TestClientTakesNothingAfterDone(t *testing.T) {
	h := newClientHandshake(t, "ws://h", ClientOptions{Subprotocols: []string{"chat"}})
	if _, done, err := h.Receive([]byte(rfcResponse)); !done || err != nil {
		t.Fatal(done, err)
	}
	if n, done, err := h.Receive([]byte(rfcResponse)); n != 0 || !done || err != nil {
		t.Errorf("took %d, done %v, %v", n, done, err)
	}
}

func TestClientReceiveResponseHTTP2(t *testing.T) {
	chat := Field{"sec-websocket-protocol", "chat"}
	for _, test := range []struct {
		name   string
		status int
		fields []Field
		ok     bool
		field  string // at fault
	}{
		{"200", 200, nil, true, ""},
		{"200 with a subprotocol", 200, []Field{chat}, true, ""},
		{"Accept means nothing", 200, []Field{{"sec-websocket-accept", "x"}}, true, ""},
		{"101", 101, nil, false, ""},
		{"201", 201, nil, false, ""},
		{"404", 404, []Field{{"content-type", "text/html"}}, false, ""},
		{"a subprotocol not offered", 200, []Field{{"sec-websocket-protocol", "other"}}, false, "Sec-WebSocket-Protocol"},
		{"the subprotocol twice", 200, []Field{chat, chat}, false, "Sec-WebSocket-Protocol"},
		{"extensions not offered", 200, []Field{{"sec-websocket-extensions", "a"}}, false, "Sec-WebSocket-Extensions"},
	} {
		h := newClientHandshake(t, "wss://h", ClientOptions{Subprotocols: []string{"chat"}})
		err := h.ReceiveResponse(test.status, test.fields)
		if again := h.ReceiveResponse(200, nil); again != err {
			t.Errorf("%s: a second response changes %v to %v", test.name, err, again)
		}
		if h.Response().Status != test.status || h.Response().Major != 2 {
			t.Errorf("%s: the response is %+v", test.name, h.Response())
		}
		if test.ok {
			if want, _ := fieldValue(test.fields, "sec-websocket-protocol"); err != nil || h.Subprotocol() != want {
				t.Errorf("%s: subprotocol %q, %v", test.name, h.Subprotocol(), err)
			}
			continue
		}
		wantStatus(t, test.name, err, test.status)
		if e, ok := err.(*HandshakeError); ok && e.Field != test.field {
			t.Errorf("%s: the field at fault is %q", test.name, e.Field)
		}
	}
}
