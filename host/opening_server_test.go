package host_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wasock/wasock/host"
)

// TestOpeningAsServer has requests that do not open a WebSocket, and the answers
// to them. RFC 6455 §4.2, deno.md §4.2, threats.md "upgrade smuggling" and
// "cross-site WebSocket hijacking".
func TestOpeningAsServer(t *testing.T) {
	h := newHost(t, host.Config{})
	refusals := make(chan error, 100)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := h.Accept(w, r, &host.AcceptOptions{Origins: []string{"https://friend.example", "https://*.family.example"}})
		if err == nil {
			_ = c.CloseNow()
		}
		refusals <- err
	})
	servers := map[bool]*httptest.Server{false: httptest.NewServer(handler), true: httptest.NewTLSServer(handler)}
	for _, s := range servers {
		defer s.Close()
	}
	without := func(line string) string { return strings.Replace(upgradeRequest, line, "", 1) }
	instead := func(old, by string) string { return strings.Replace(upgradeRequest, old, by, 1) }
	const key = "Sec-WebSocket-Key: " + sampleKey + "\r\n"
	for _, x := range []struct {
		name, head string
		status     int
		field      string // of the error
		header     string // of the response
	}{
		{"none at all", "GET / HTTP/1.1\r\nHost: a\r\n", 426, "Upgrade", "Upgrade: websocket"},
		{"POST", instead("GET", "POST"), 405, "", "Allow: GET"},
		{"HTTP/1.0", instead("HTTP/1.1", "HTTP/1.0"), 400, "", ""},
		{"Content-Length", upgradeRequest + "Content-Length: 5\r\n", 400, "Content-Length", ""},
		{"Content-Length 0", upgradeRequest + "Content-Length: 0\r\n", 400, "Content-Length", ""},
		{"Transfer-Encoding", upgradeRequest + "Transfer-Encoding: chunked\r\n", 400, "Transfer-Encoding", ""},
		{"no Upgrade", without("Upgrade: websocket\r\n"), 426, "Upgrade", "Upgrade: websocket"},
		{"Upgrade to h2c", instead("Upgrade: websocket", "Upgrade: h2c"), 426, "Upgrade", "Upgrade: websocket"},
		{"no Connection", without("Connection: Upgrade\r\n"), 400, "Connection", ""},
		{"Connection without Upgrade", instead("Connection: Upgrade", "Connection: keep-alive"), 400, "Connection", ""},
		{"no version", without("Sec-WebSocket-Version: 13\r\n"), 426, "Sec-WebSocket-Version", "Sec-WebSocket-Version: 13"},
		{"version 8", instead("Version: 13", "Version: 8"), 426, "Sec-WebSocket-Version", "Sec-WebSocket-Version: 13"},
		{"version 013", instead("Version: 13", "Version: 013"), 426, "Sec-WebSocket-Version", "Sec-WebSocket-Version: 13"},
		{"two versions", upgradeRequest + "Sec-WebSocket-Version: 13\r\n", 400, "Sec-WebSocket-Version", ""},
		{"no key", without(key), 400, "Sec-WebSocket-Key", ""},
		{"empty key", instead(sampleKey, ""), 400, "Sec-WebSocket-Key", ""},
		{"key of 15 bytes", instead(sampleKey, "dGhlIHNhbXBsZSBub25j"), 400, "Sec-WebSocket-Key", ""},
		{"key not base64", instead(sampleKey, "dGhlIHNhbXBsZSBub25jZ!=="), 400, "Sec-WebSocket-Key", ""},
		{"two keys", upgradeRequest + key, 400, "Sec-WebSocket-Key", ""},
		{"two Hosts", upgradeRequest + "Host: b\r\n", 400, "", ""},
		{"no Host", without("Host: 127.0.0.1\r\n"), 400, "", ""},
		{"subprotocol that is no token", upgradeRequest + "Sec-WebSocket-Protocol: a b\r\n", 400, "Sec-WebSocket-Protocol", ""},
		{"subprotocol twice", upgradeRequest + "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: a\r\n", 400, "Sec-WebSocket-Protocol", ""},
		{"foreign Origin", upgradeRequest + "Origin: http://evil.example\r\n", 403, "Origin", ""},
		{"Origin null", upgradeRequest + "Origin: null\r\n", 403, "Origin", ""},
		{"empty Origin", upgradeRequest + "Origin: \r\n", 403, "Origin", ""},
		{"Origin of another port", upgradeRequest + "Origin: http://127.0.0.1:8080\r\n", 403, "Origin", ""},
		{"Origin that ends like ours", upgradeRequest + "Origin: http://evil127.0.0.1\r\n", 403, "Origin", ""},
		{"Origin of a file", upgradeRequest + "Origin: file://127.0.0.1\r\n", 403, "Origin", ""},
		{"two Origins", upgradeRequest + "Origin: http://127.0.0.1\r\nOrigin: http://127.0.0.1\r\n", 403, "Origin", ""},
		{"Origin of a friend's scheme", upgradeRequest + "Origin: http://friend.example\r\n", 403, "Origin", ""},
		{"Origin of a friend's child", upgradeRequest + "Origin: https://a.friend.example\r\n", 403, "Origin", ""},
		{"Origin of the family itself", upgradeRequest + "Origin: https://family.example\r\n", 403, "Origin", ""},
		{"Origin that ends like the family", upgradeRequest + "Origin: https://evilfamily.example\r\n", 403, "Origin", ""},
		{"Origin with the family as its user", upgradeRequest + "Origin: https://x.family.example@evil.example\r\n", 403, "Origin", ""},
		{"too many bytes", upgradeRequest + "X: " + strings.Repeat("x", 400<<10) + "\r\n", 431, "", ""},

		{"no Origin", upgradeRequest, 101, "", ""},
		{"same Origin", upgradeRequest + "Origin: http://127.0.0.1\r\n", 101, "", ""},
		{"same Origin behind a proxy", upgradeRequest + "Origin: https://127.0.0.1\r\n", 101, "", ""},
		{"Origin of a friend", upgradeRequest + "Origin: https://friend.example\r\n", 101, "", ""},
		{"Origin of the family", upgradeRequest + "Origin: https://a.b.FAMILY.example\r\n", 101, "", ""},
		{"list in Connection", instead("Connection: Upgrade", "Connection: keep-alive, uPGRADE"), 101, "", "Connection: Upgrade"},
		{"list in Upgrade", instead("Upgrade: websocket", "Upgrade: h2c, WebSocket"), 101, "", "Upgrade: websocket"},
		{"extension is declined", upgradeRequest + "Sec-WebSocket-Extensions: permessage-deflate\r\n", 101, "", "Sec-WebSocket-Extensions: "},
		{"subprotocol is not ours", upgradeRequest + "Sec-WebSocket-Protocol: a, b\r\n", 101, "", "Sec-WebSocket-Protocol: "},
	} {
		t.Run(x.name, func(t *testing.T) {
			p := dialTCP(t, servers[false].Listener.Addr().String())
			p.say(x.head + "\r\n")
			resp, err := http.ReadResponse(p.r, nil)
			if err != nil || resp.StatusCode != x.status {
				t.Fatalf("got %v, %v, want %d", resp, err, x.status)
			}
			if name, value, ok := strings.Cut(x.header, ": "); ok && !strings.Contains(resp.Header.Get(name), value) {
				t.Errorf("%s is %q, want %q", name, resp.Header.Get(name), value)
			}
			if x.name == "two Hosts" || x.name == "no Host" {
				return // net/http refuses these itself
			}
			select {
			case err = <-refusals:
			case <-newContext(t).Done():
				t.Fatal("Accept returns")
			}
			var he *host.HandshakeError
			switch {
			case x.status == 101 && err != nil:
				t.Errorf("Accept succeeds: %v", err)
			case x.status != 101 && (!errors.As(err, &he) || he.Status != x.status || he.Field != x.field):
				t.Errorf("got %v, want status %d and field %q", err, x.status, x.field)
			}
		})
	}
	wantNothingOpen(t, h)
	t.Run("http page, https server", func(t *testing.T) {
		req, _ := http.NewRequest("GET", servers[true].URL, nil)
		req.Header = http.Header{"Origin": {"http://" + req.URL.Host}, "Upgrade": {"websocket"}, "Connection": {"Upgrade"},
			"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {sampleKey}}
		resp, err := servers[true].Client().Do(req)
		if err != nil || resp.StatusCode != 403 {
			t.Fatalf("a page without TLS is foreign to a server with it: %v, %v", resp, err)
		}
		_ = resp.Body.Close()
	})
}

// TestResponse has the response to a request that opens a WebSocket.
func TestResponse(t *testing.T) {
	h := newHost(t, host.Config{})
	s := httptest.NewServer(h.Handler(func(context.Context, *host.Conn) {}, &host.AcceptOptions{
		Subprotocols: []string{"two", "one"},
		Header:       http.Header{"Set-Cookie": {"a=b", "c=d"}, "Upgrade": {"h2c"}, "Sec-Websocket-Accept": {"mine"}},
	}))
	defer s.Close()
	p := dialTCP(t, s.Listener.Addr().String())
	p.say(upgradeRequest + "Sec-WebSocket-Protocol: one\r\nSec-WebSocket-Protocol: two, three\r\n\r\n")
	head := new(bytes.Buffer)
	for !strings.HasSuffix(head.String(), "\r\n\r\n") {
		b, err := p.r.ReadByte()
		if err != nil {
			t.Fatal(err)
		}
		head.WriteByte(b)
	}
	want := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + acceptKey(sampleKey) + "\r\nSec-WebSocket-Protocol: two\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\n"
	if head.String() != want {
		t.Errorf("got\n%s\nwant\n%s", head, want)
	}
	p.wantClose("the handler returned", normal, "")
	p.send(closeFrame(normal, ""))
	_ = p.Close()

	for _, header := range []http.Header{{"X": {"a\r\nY: b"}}, {"X": {"a\x00"}}, {"X\n": {"a"}}} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/", nil)
		r.Header = http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {sampleKey}}
		var ae *host.ArgumentError
		if _, err := h.Accept(w, r, &host.AcceptOptions{Header: header}); !errors.As(err, &ae) || w.Code != 500 {
			t.Errorf("%q: got %T %v and status %d, want an *ArgumentError and 500", header, err, err, w.Code)
		}
		var he *host.HandshakeError
		if _, err := h.Accept(w, r, nil); !errors.As(err, &he) || he.Status != 500 {
			t.Errorf("a server that cannot hand its connection over: %v", err)
		}
	}
	wantNothingOpen(t, h)
}

// TestSlowHead has a server with net/http's own time for a head, and a client
// that is slower.
func TestSlowHead(t *testing.T) {
	h := newHost(t, host.Config{})
	s := httptest.NewUnstartedServer(h.Handler(nil, &host.AcceptOptions{Events: echo{}}))
	s.Config.ReadHeaderTimeout = 30 * time.Millisecond
	s.Start()
	defer s.Close()
	p := dialTCP(t, s.Listener.Addr().String())
	p.say("GET / HTTP/1.1\r\nHost: ")
	_, err := io.Copy(io.Discard, p.r)
	if isTimeout(err) {
		t.Errorf("a server does not wait for ever: %v", err)
	}

	// The time for the head is not for what follows it.
	p = dialTCP(t, s.Listener.Addr().String())
	p.say(upgradeRequest + "\r\n")
	if resp, err := http.ReadResponse(p.r, nil); err != nil || resp.StatusCode != 101 {
		t.Fatalf("%v, %v", resp, err)
	}
	<-time.After(60 * time.Millisecond) // the time that is measured
	p.send("81 02 6869")
	p.wantFrame("the connection outlives the time for its head", 0x81, "hi")
}
