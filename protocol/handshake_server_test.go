package protocol

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// changedRequest returns the request of RFC 6455 §1.3 with new in place of old on
// the wire.
func changedRequest(t *testing.T, old, new string) *Request {
	t.Helper()
	if !strings.Contains(rfcRequest, old) {
		t.Fatalf("the request holds no %q", old)
	}
	r, n, err := ConsumeRequest([]byte(strings.Replace(rfcRequest, old, new, 1)), HeadLimits{})
	if err != nil || n == 0 {
		t.Fatalf("with %q for %q: %d, %v", new, old, n, err)
	}
	return r
}

func TestAcceptRFCExample(t *testing.T) {
	a, err := Accept(&rfcRequestParsed, ServerOptions{Subprotocols: []string{"chat"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(a.Response.Append(nil)); got != rfcResponse {
		t.Errorf("the response is %q, want %q", got, rfcResponse)
	}
	if a.Subprotocol != "chat" || a.Extensions != "" {
		t.Errorf("subprotocol %q, extensions %q", a.Subprotocol, a.Extensions)
	}
}

func TestAcceptTakes(t *testing.T) {
	for _, test := range []struct{ name, old, new string }{
		{"another case", "Upgrade: websocket", "UPGRADE: WebSocket"},
		{"Upgrade is a list", "Upgrade: websocket", "Upgrade: h2c, websocket"},
		{"Upgrade is two fields", "Upgrade: websocket", "Upgrade: h2c\r\nUpgrade: websocket"},
		{"Connection is a list", "Connection: Upgrade", "Connection: keep-alive,\tupgrade"},
		{"Connection is two fields", "Connection: Upgrade", "Connection: keep-alive\r\nConnection: Upgrade"},
		{"a later minor version", "HTTP/1.1", "HTTP/1.2"},
		{"no Origin", "Origin: http://example.com\r\n", ""},
		{"no subprotocol", "Sec-WebSocket-Protocol: chat, superchat\r\n", ""},
		{"a key whose padding holds bits", "ZQ==", "ZR=="},
		{"absolute form", "GET /chat", "GET http://server.example.com/chat"},
		{"fields outside ASCII", "Origin: http://example.com", "X-Name: \xff\xe9"},
	} {
		if _, err := Accept(changedRequest(t, test.old, test.new), ServerOptions{}); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestAcceptRefuses(t *testing.T) {
	const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
	const version = "Sec-WebSocket-Version: 13"
	const subprotocols = "Sec-WebSocket-Protocol: chat, superchat"
	for _, test := range []struct {
		name, old, new string
		status         int
		field          string
	}{
		{"POST", "GET", "POST", 405, ""},
		{"get", "GET", "get", 405, ""},
		{"CONNECT", "GET", "CONNECT", 405, ""},
		{"HTTP/1.0", "HTTP/1.1", "HTTP/1.0", 400, ""},
		{"no Host", "Host: server.example.com\r\n", "", 400, "Host"},
		{"empty Host", "Host: server.example.com", "Host:", 400, "Host"},
		{"Host twice", "Host: server.example.com", "Host: a\r\nhost: a", 400, "Host"},
		{"Content-Length", "Upgrade: websocket", "Upgrade: websocket\r\nContent-Length: 5", 400, "Content-Length"},
		{"Content-Length 0", "Upgrade: websocket", "Upgrade: websocket\r\ncontent-length: 0", 400, "Content-Length"},
		{"Transfer-Encoding", "Upgrade: websocket", "Upgrade: websocket\r\nTransfer-Encoding: chunked", 400, "Transfer-Encoding"},
		{"Transfer-Encoding identity", "Upgrade: websocket", "Upgrade: websocket\r\nTransfer-Encoding: identity", 400, "Transfer-Encoding"},
		{"no Upgrade", "Upgrade: websocket\r\n", "", 426, "Upgrade"},
		{"Upgrade to h2c", "Upgrade: websocket", "Upgrade: h2c", 426, "Upgrade"},
		{"Upgrade with the Kelvin sign", "Upgrade: websocket", "Upgrade: webso\xe2\x84\xaaet", 426, "Upgrade"},
		{"no Connection", "Connection: Upgrade\r\n", "", 400, "Connection"},
		{"Connection without Upgrade", "Connection: Upgrade", "Connection: keep-alive", 400, "Connection"},
		{"no version", version + "\r\n", "", 426, "Sec-WebSocket-Version"},
		{"version 8", version, "Sec-WebSocket-Version: 8", 426, "Sec-WebSocket-Version"},
		{"version 013", version, "Sec-WebSocket-Version: 013", 426, "Sec-WebSocket-Version"},
		{"version list", version, "Sec-WebSocket-Version: 13, 8", 426, "Sec-WebSocket-Version"},
		{"version twice", version, version + "\r\n" + version, 400, "Sec-WebSocket-Version"},
		{"no key", key + "\r\n", "", 400, "Sec-WebSocket-Key"},
		{"empty key", key, "Sec-WebSocket-Key:", 400, "Sec-WebSocket-Key"},
		{"key twice", key, key + "\r\n" + key, 400, "Sec-WebSocket-Key"},
		{"key of 15 bytes", key, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j", 400, "Sec-WebSocket-Key"},
		{"key of 17 bytes", key, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWU=", 400, "Sec-WebSocket-Key"},
		{"key without padding", key, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ", 400, "Sec-WebSocket-Key"},
		{"key in base64url", key, "Sec-WebSocket-Key: -GhlIHNhbXBsZSBub25jZQ==", 400, "Sec-WebSocket-Key"},
		{"key list", key, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==", 400, "Sec-WebSocket-Key"},
		{"key outside ASCII", key, "Sec-WebSocket-Key: \xffGhlIHNhbXBsZSBub25jZQ==", 400, "Sec-WebSocket-Key"},
		{"subprotocol with a space", subprotocols, "Sec-WebSocket-Protocol: a b", 400, "Sec-WebSocket-Protocol"},
		{"subprotocol outside ASCII", subprotocols, "Sec-WebSocket-Protocol: chat, \xff", 400, "Sec-WebSocket-Protocol"},
		{"empty subprotocol", subprotocols, "Sec-WebSocket-Protocol:", 400, "Sec-WebSocket-Protocol"},
		{"only commas", subprotocols, subprotocols + "\r\nSec-WebSocket-Protocol: , ,", 400, "Sec-WebSocket-Protocol"},
		{"subprotocol twice", subprotocols, "Sec-WebSocket-Protocol: a, b, a", 400, "Sec-WebSocket-Protocol"},
		{"subprotocol twice in two fields", subprotocols, "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: a", 400, "Sec-WebSocket-Protocol"},
	} {
		a, err := Accept(changedRequest(t, test.old, test.new), ServerOptions{Subprotocols: []string{"chat"}})
		wantStatus(t, test.name, err, test.status)
		var e *HandshakeError
		if errors.As(err, &e) && e.Field != test.field || a != nil {
			t.Errorf("%s: %+v, the field at fault is %q, want %q", test.name, a, e.Field, test.field)
		}
	}
}

func TestAcceptChoosesSubprotocol(t *testing.T) {
	for _, test := range []struct {
		offer     string
		supported []string
		want      string
	}{
		{"a, b", []string{"b", "a"}, "b"},
		{"a, b", []string{"c", "a"}, "a"},
		{"a,b", []string{"b"}, "b"},
		{"a ,\tb", []string{"b"}, "b"},
		{",a,,b,", []string{"b"}, "b"},
		{"a\r\nSec-WebSocket-Protocol: b", []string{"b"}, "b"},
		{"a, b", []string{"A", "c"}, ""},
		{"a, A", []string{"A"}, "A"},
		{"a, b", nil, ""},
	} {
		r := changedRequest(t, "chat, superchat", test.offer)
		a, err := Accept(r, ServerOptions{Subprotocols: test.supported})
		if err != nil || a.Subprotocol != test.want {
			t.Errorf("of %q, supporting %q, it chose %+v, %v, want %q", test.offer, test.supported, a, err, test.want)
			continue
		}
		if _, n := fieldValue(a.Response.Fields, "Sec-WebSocket-Protocol"); n == 1 != (test.want != "") {
			t.Errorf("of %q, supporting %q, it answered %d fields", test.offer, test.supported, n)
		}
	}
}

func TestAcceptAnswersExtensions(t *testing.T) {
	r := changedRequest(t, "Origin: http://example.com", "Sec-WebSocket-Extensions: a; b=1\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
	const answer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	a, err := Accept(r, ServerOptions{Compression: Compression{Mode: CompressionNoContextTakeover}})
	if err != nil || a.Extensions != answer {
		t.Errorf("the answer is %+v, %v", a, err)
	} else if v, _ := fieldValue(a.Response.Fields, "Sec-WebSocket-Extensions"); v != answer {
		t.Errorf("the response answers %q", v)
	}
	if a, err := Accept(r, ServerOptions{}); err != nil || a.Extensions != "" || len(a.Response.Fields) != 3 || a.Extension(&Config{}) != nil {
		t.Errorf("compression is disabled: %+v, %v", a, err)
	}
	r = changedRequest(t, "Origin: http://example.com", "Sec-WebSocket-Extensions: a b")
	_, err = Accept(r, ServerOptions{})
	wantStatus(t, "a malformed offer", err, 400)
}

func TestAcceptAddsFields(t *testing.T) {
	a, err := Accept(&rfcRequestParsed, ServerOptions{Fields: []Field{{"Set-Cookie", "a=b"}, {"Upgrade", "h2c"}, {"Set-Cookie", "c=d"}}})
	if err != nil {
		t.Fatal(err)
	}
	want := []Field{{"Set-Cookie", "a=b"}, {"Set-Cookie", "c=d"}}
	if got := a.Response.Fields[3:]; !reflect.DeepEqual(got, want) {
		t.Errorf("it added %q, want %q", got, want)
	}
	for _, f := range injections {
		if _, err := Accept(&rfcRequestParsed, ServerOptions{Fields: []Field{f}}); !errors.Is(err, ErrField) {
			t.Errorf("the field %q gives %v", f, err)
		}
	}
}

func TestAcceptExtendedConnect(t *testing.T) {
	protocol := Field{":protocol", "websocket"}
	version := Field{"sec-websocket-version", "13"}
	for _, test := range []struct {
		name   string
		method string
		fields []Field
		status int
	}{
		{"RFC 8441 §5.1", "CONNECT", []Field{protocol, version}, 200},
		{"protocol in another case", "CONNECT", []Field{{":protocol", "WebSocket"}, version}, 200},
		{"Host repeats :authority", "CONNECT", []Field{protocol, version, {"host", "h"}}, 200},
		{"GET", "GET", []Field{version}, 400},
		{"GET with a protocol", "GET", []Field{protocol, version}, 400},
		{"plain CONNECT", "CONNECT", []Field{version}, 400},
		{"two protocols", "CONNECT", []Field{protocol, protocol, version}, 400},
		{"another protocol", "CONNECT", []Field{{":protocol", "connect-udp"}, version}, 501},
		{"two hosts", "CONNECT", []Field{protocol, version, {"host", "a"}, {"host", "b"}}, 400},
		{"no version", "CONNECT", []Field{protocol}, 400},
		{"another version", "CONNECT", []Field{protocol, {"sec-websocket-version", "8"}}, 400},
		{"two versions", "CONNECT", []Field{protocol, version, version}, 400},
		{"Content-Length", "CONNECT", []Field{protocol, version, {"content-length", "0"}}, 400},
		{"malformed subprotocol", "CONNECT", []Field{protocol, version, {"sec-websocket-protocol", "a b"}}, 400},
	} {
		r := &Request{Method: test.method, Target: "/chat", Major: 2, Fields: test.fields}
		a, err := Accept(r, ServerOptions{})
		if test.status != 200 {
			wantStatus(t, test.name, err, test.status)
		} else if err != nil || a.Response.Status != 200 || a.Response.Major != 2 || len(a.Response.Fields) != 0 {
			t.Errorf("%s: %+v, %v", test.name, a, err)
		}
	}

	r := &Request{Method: "CONNECT", Target: "/", Major: 3, Fields: []Field{protocol, version, {"sec-websocket-protocol", "a,b"}}}
	a, err := Accept(r, ServerOptions{Subprotocols: []string{"b"}, Fields: []Field{{"Server", "x"}}})
	want := &Acceptance{Response: Response{Status: 200, Major: 3, Fields: []Field{{"sec-websocket-protocol", "b"}, {"server", "x"}}}, Subprotocol: "b"}
	if err != nil || !reflect.DeepEqual(a, want) {
		t.Errorf("names are in lower case: %+v, %v, want %+v", a, err, want)
	}
}

func TestClientAndServerAgree(t *testing.T) {
	o := ClientOptions{Subprotocols: []string{"a", "b"}, Compression: Compression{Mode: CompressionContextTakeover}, Fields: []Field{{"Origin", "http://h"}}}
	so := ServerOptions{Subprotocols: []string{"b"}, Compression: Compression{Mode: CompressionContextTakeover}}

	client := newClientHandshake(t, "ws://user:pass@example.com/chat?a", o)
	server := NewServerHandshake(HeadLimits{})
	if _, done, err := server.Receive(client.AppendRequest(nil)); !done || err != nil {
		t.Fatal(done, err)
	}
	a, err := Accept(server.Request(), so)
	if err != nil {
		t.Fatal(err)
	}
	if _, done, err := client.Receive(a.Response.Append(nil)); !done || err != nil {
		t.Fatal(done, err)
	}
	if client.Subprotocol() != "b" || client.Extensions() != "permessage-deflate" {
		t.Errorf("over HTTP/1.1 the client has %q, %q", client.Subprotocol(), client.Extensions())
	}

	client = newClientHandshake(t, "wss://example.com/chat", o)
	if a, err = Accept(&Request{Method: "CONNECT", Target: "/chat", Major: 2, Fields: client.RequestFields()}, so); err != nil {
		t.Fatal(err)
	}
	if err := client.ReceiveResponse(a.Response.Status, a.Response.Fields); err != nil {
		t.Fatal(err)
	}
	if client.Subprotocol() != "b" || client.Extensions() != "permessage-deflate" {
		t.Errorf("over HTTP/2 the client has %q, %q", client.Subprotocol(), client.Extensions())
	}
}

func TestServerHandshakeEveryCut(t *testing.T) {
	everyCut([]byte(rfcRequest+"\x81\x80"), func(name string, pieces [][]byte) {
		h := NewServerHandshake(HeadLimits{})
		var taken int
		var done bool
		for _, piece := range pieces {
			n, d, err := h.Receive(piece)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if taken, done = taken+n, d; done != (h.Request() != nil) {
				t.Fatalf("%s: done %v, request %+v", name, done, h.Request())
			}
		}
		if !done || taken != len(rfcRequest) || !reflect.DeepEqual(*h.Request(), rfcRequestParsed) {
			t.Errorf("%s: took %d, done %v, request %+v", name, taken, done, h.Request())
		}
	})
}

func TestServerHandshakeErrorsStay(t *testing.T) {
	for _, test := range []struct {
		name, in string
		lim      HeadLimits
		status   int
	}{
		{"too long", rfcRequest, HeadLimits{MaxBytes: len(rfcRequest) - 1}, 431},
		{"too many fields", rfcRequest, HeadLimits{MaxFields: 6}, 431},
		{"malformed", "GET /\r\n\r\n", HeadLimits{}, 400},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HeadLimits{}, 505},
		{"TLS", "\x16\x03\x01\x00\xa5\x01\x00", HeadLimits{}, 400},
	} {
		h := NewServerHandshake(test.lim)
		_, done, err := h.Receive([]byte(test.in))
		wantStatus(t, test.name, err, test.status)
		if n, again, err2 := h.Receive([]byte(rfcRequest)); done || again || n != 0 || err2 != err || h.Request() != nil {
			t.Errorf("%s: then it took %d, done %v, %v", test.name, n, again, err2)
		}
	}
}
