package host_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/wasock/wasock/host"
)

const switching = "HTTP/1.1 101 Switching Protocols\r\n"

// TestOpeningAsClient has a server answer what does not open a WebSocket. Dial
// returns a *HandshakeError with the status and the field at fault, and closes
// the transport. RFC 6455 §4.1, deno.md §3.3.
func TestOpeningAsClient(t *testing.T) {
	const upgrade, connection, accept = "Upgrade: websocket\r\n", "Connection: Upgrade\r\n", "Sec-WebSocket-Accept: {accept}\r\n"
	h := newHost(t, host.Config{})
	for _, x := range []struct {
		name, head string
		status     int
		field      string
	}{
		{"200", "HTTP/1.1 200 OK\r\n" + upgrade + connection + accept, 200, ""},
		{"401", "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n", 401, ""},
		{"302 is not followed", "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n", 302, ""},
		{"HTTP/1.0", "HTTP/1.0 101 Switching Protocols\r\n" + upgrade + connection + accept, 101, ""},
		{"HTTP/2.0", "HTTP/2.0 101 Switching Protocols\r\n" + upgrade + connection + accept, 0, ""},
		{"no HTTP", "220 mail.example.com ESMTP\r\n", 0, ""},
		{"status of two digits", "HTTP/1.1 10 Switching\r\n", 0, ""},
		{"accept of another key", switching + upgrade + connection + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", 101, "Sec-WebSocket-Accept"},
		{"accept in another case", switching + upgrade + connection + "Sec-WebSocket-Accept: {ACCEPT}\r\n", 101, "Sec-WebSocket-Accept"},
		{"no accept", switching + upgrade + connection, 101, "Sec-WebSocket-Accept"},
		{"two accepts", switching + upgrade + connection + accept + accept, 101, "Sec-WebSocket-Accept"},
		{"Connection without Upgrade", switching + upgrade + "Connection: close\r\n" + accept, 101, "Connection"},
		{"no Connection", switching + upgrade + accept, 101, "Connection"},
		{"no Upgrade", switching + connection + accept, 101, "Upgrade"},
		{"Upgrade to another protocol", switching + "Upgrade: h2c\r\n" + connection + accept, 101, "Upgrade"},
		{"Upgrade to two protocols", switching + "Upgrade: websocket, foo\r\n" + connection + accept, 101, "Upgrade"},
		{"subprotocol that was not offered", switching + upgrade + connection + accept + "Sec-WebSocket-Protocol: mqtt\r\n", 101, "Sec-WebSocket-Protocol"},
		{"subprotocol in another case", switching + upgrade + connection + accept + "Sec-WebSocket-Protocol: Chat\r\n", 101, "Sec-WebSocket-Protocol"},
		{"two subprotocols", switching + upgrade + connection + accept + "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat\r\n", 101, "Sec-WebSocket-Protocol"},
		{"extension that was not offered", switching + upgrade + connection + accept + "Sec-WebSocket-Extensions: permessage-deflate\r\n", 101, "Sec-WebSocket-Extensions"},
		{"lone LF", "HTTP/1.1 101 Switching Protocols\n" + upgrade + connection + accept, 0, ""},
		{"lone CR", switching + "X: a\rb\r\n" + upgrade + connection + accept, 0, ""},
		{"NUL", switching + "X: \x00\r\n" + upgrade + connection + accept, 0, ""},
		{"space before the colon", switching + "Upgrade : websocket\r\n" + connection + accept, 0, ""},
		{"folded line", switching + "X: a\r\n b\r\n" + upgrade + connection + accept, 0, ""},
		{"head too long", switching + "X: " + strings.Repeat("x", 8192) + "\r\n" + upgrade + connection + accept, 0, ""},
		{"too many fields", switching + upgrade + connection + accept + strings.Repeat("X: y\r\n", 98), 0, ""},
		{"too many interim responses", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 9) + switching + upgrade + connection + accept, 0, ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := newRawServer(t)
			go func() {
				p, key := s.accept()
				if p == nil {
					return
				}
				accept := acceptKey(key)
				head := strings.NewReplacer("{accept}", accept, "{ACCEPT}", strings.ToUpper(accept)).Replace(x.head)
				_, _ = io.WriteString(p, head+"\r\n")
				if _, err := io.Copy(io.Discard, p.r); isTimeout(err) {
					t.Errorf("the client closes the transport: %v", err)
				}
				_ = p.Close()
			}()
			c, resp, err := h.Dial(newContext(t), s.url, &host.DialOptions{Subprotocols: []string{"chat"}})
			var he *host.HandshakeError
			if c != nil || !errors.As(err, &he) || he.Status != x.status || he.Field != x.field {
				t.Fatalf("got %v, %v (%#v), want status %d and field %q", c, err, he, x.status, x.field)
			}
			if (resp != nil) != (x.status != 0) || resp != nil && resp.StatusCode != x.status {
				t.Errorf("the response comes with the error: got %v", resp)
			}
		})
	}
	wantNothingOpen(t, h)
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

func wantNothingOpen(t *testing.T, h *host.Host) {
	t.Helper()
	eventually(t, "no connection is left", func() (bool, string) {
		open, handles := h.Stats().Open, h.Handles()
		return open == 0 && handles == 0, fmt.Sprint(open, " open, ", handles, " handles")
	})
}

// TestOpeningAsClientIsLenient has what deno.md §3.3 takes and RFC 9110 allows,
// and what the reference wrongly refuses.
func TestOpeningAsClientIsLenient(t *testing.T) {
	h := newHost(t, host.Config{})
	for _, x := range []struct{ name, head, subprotocol string }{
		{"cases", "HTTP/1.1 101 x\r\nUPGRADE: WebSocket\r\nconnection: uPGRADE\r\nsec-websocket-ACCEPT:{accept}\r\n", ""},
		{"list in Connection", switching + "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n", ""},
		{"two Connection fields", switching + "Upgrade: websocket\r\nConnection: keep-alive\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n", ""},
		{"subprotocol", switching + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: chat\r\n", "chat"},
		{"interim responses", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" +
			switching + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n", ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := newRawServer(t)
			go func() {
				if p, key := s.accept(); p != nil {
					head := strings.ReplaceAll(x.head, "{accept}", acceptKey(key)) + "X-Byte: \xff\r\n\r\n"
					for i := range len(head) { // a head may come byte by byte
						_, _ = io.WriteString(p, head[i:i+1])
					}
					_, _ = p.Write(wire(t, false, "81 02 6869"))
				}
			}()
			ctx := newContext(t)
			c, resp, err := h.Dial(ctx, s.url, &host.DialOptions{Subprotocols: []string{"chat"}})
			if err != nil {
				t.Fatal(err)
			}
			if c.Subprotocol() != x.subprotocol || resp.StatusCode != 101 || resp.Header.Get("X-Byte") != "\xff" {
				t.Errorf("got %q, %v", c.Subprotocol(), resp)
			}
			if _, p, err := c.Read(ctx); err != nil || string(p) != "hi" {
				t.Errorf("the connection is open: %q, %v", p, err)
			}
			_ = c.CloseNow()
		})
	}
}

// TestRequest has what a client sends. RFC 6455 §4.1.
func TestRequest(t *testing.T) {
	h := newHost(t, host.Config{})
	s := newRawServer(t)
	requests := make(chan *http.Request, 2)
	go func() {
		for range 2 {
			nc, err := s.l.Accept()
			if err != nil {
				return
			}
			p := newRawPeer(t, nc, false)
			r, err := http.ReadRequest(p.r)
			if err != nil {
				t.Error(err)
				return
			}
			requests <- r
			p.open(r.Header.Get("Sec-WebSocket-Key"))
		}
	}()
	ctx := newContext(t)
	keys := make(map[string]bool)
	for range 2 {
		u := strings.Replace(s.url, "ws://", "ws://user:p%40ss@", 1) + "a%20b?c=d"
		c, _, err := h.Dial(ctx, u, &host.DialOptions{
			Subprotocols: []string{"one", "two"},
			Header: http.Header{"Origin": {"https://example.com"}, "Cookie": {"a=b", "c=d"}, "Host": {"evil"}, "Upgrade": {"h2c"},
				"Sec-Websocket-Key": {"mine"}, "Content-Length": {"3"}, "Transfer-Encoding": {"chunked"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		_ = c.CloseNow()
		r := <-requests
		keys[r.Header.Get("Sec-WebSocket-Key")] = true
		if r.Method != "GET" || r.RequestURI != "/a%20b?c=d" || "ws://"+r.Host+"/" != s.url || r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
			t.Errorf("got %s %s of %s with a body of %d", r.Method, r.RequestURI, r.Host, r.ContentLength)
		}
		for name, want := range map[string][]string{
			"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Protocol": {"one, two"},
			"Origin": {"https://example.com"}, "Cookie": {"a=b", "c=d"}, "Sec-Websocket-Extensions": nil,
			"Authorization": {"Basic dXNlcjpwQHNz"},
		} {
			if got := r.Header.Values(name); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
	}
	if len(keys) != 2 {
		t.Errorf("every request has a key of its own: %v", keys)
	}
}

// TestArguments has what Dial refuses before it dials. threats.md: CR, LF, NUL in
// what we serialise.
func TestArguments(t *testing.T) {
	h := newHost(t, host.Config{})
	ctx := newContext(t)
	for _, x := range []struct {
		name, url string
		o         host.DialOptions
	}{
		{"scheme", "ftp://127.0.0.1/", host.DialOptions{}},
		{"relative", "/path", host.DialOptions{}},
		{"no host", "ws:///", host.DialOptions{}},
		{"fragment", "ws://127.0.0.1/#x", host.DialOptions{}},
		{"empty fragment", "ws://127.0.0.1/#", host.DialOptions{}},
		{"port", "ws://127.0.0.1:65536/", host.DialOptions{}},
		{"zone", "ws://[fe80::1%25eth0]/", host.DialOptions{}},
		{"subprotocol twice", "ws://127.0.0.1:1/", host.DialOptions{Subprotocols: []string{"a", "a"}}},
		{"subprotocol with a line end", "ws://127.0.0.1:1/", host.DialOptions{Subprotocols: []string{"a\r\nX: y"}}},
		{"subprotocol with a space", "ws://127.0.0.1:1/", host.DialOptions{Subprotocols: []string{"a b"}}},
		{"subprotocol with a comma", "ws://127.0.0.1:1/", host.DialOptions{Subprotocols: []string{"a,b", "a"}}},
		{"field value with LF", "ws://127.0.0.1:1/", host.DialOptions{Header: http.Header{"X": {"a\nY: b"}}}},
		{"field value with CR", "ws://127.0.0.1:1/", host.DialOptions{Header: http.Header{"X": {"a\rb"}}}},
		{"field value with NUL", "ws://127.0.0.1:1/", host.DialOptions{Header: http.Header{"X": {"a\x00b"}}}},
		{"field name with LF", "ws://127.0.0.1:1/", host.DialOptions{Header: http.Header{"X\nY": {"a"}}}},
		{"field name with a colon", "ws://127.0.0.1:1/", host.DialOptions{Header: http.Header{"X:": {"a"}}}},
		{"too long", "ws://127.0.0.1:1/" + strings.Repeat("x", 400<<10), host.DialOptions{}},
		{"field too long", "ws://127.0.0.1:1/", host.DialOptions{Header: http.Header{"X": {strings.Repeat("x", 400<<10)}}}},
	} {
		var ae *host.ArgumentError
		if c, resp, err := h.Dial(ctx, x.url, &x.o); c != nil || resp != nil || !errors.As(err, &ae) {
			t.Errorf("%s: got %T %v, want an *ArgumentError", x.name, err, err)
		}
	}
	for _, l := range []host.Limits{{MessageLimit: -1}, {PartLimit: -1}, {SendLimit: -1}, {CloseTimeout: -1}, {HeadLimit: -1}, {PartLimit: 1 << 31}} {
		if _, _, err := h.Dial(ctx, "ws://127.0.0.1:1/", &host.DialOptions{Limits: l}); err == nil || !strings.Contains(err.Error(), "limit is negative") {
			t.Errorf("limits %+v: %v", l, err)
		}
	}
	if n := h.Handles(); n != 0 {
		t.Errorf("%d handles are left", n)
	}
}

// TestOpeningTimesOut has a server that answers too slowly, or not at all.
func TestOpeningTimesOut(t *testing.T) {
	h := newHost(t, host.Config{})
	for _, x := range []struct {
		name string
		say  string
		o    host.DialOptions
		wait time.Duration
		want func(error) bool
	}{
		{"HandshakeTimeout, silent", "", host.DialOptions{Limits: host.Limits{HandshakeTimeout: 20 * time.Millisecond}}, patience, isHandshakeTimeout},
		{"HandshakeTimeout, slow", switching + "Upgrade: webs", host.DialOptions{Limits: host.Limits{HandshakeTimeout: 20 * time.Millisecond}}, patience, isHandshakeTimeout},
		{"context", "HTTP/1.1 ", host.DialOptions{}, 20 * time.Millisecond, func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }},
		{"server closes", "HTTP/1.1 101", host.DialOptions{}, patience, func(err error) bool {
			var he *host.HandshakeError
			return errors.As(err, &he)
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := newRawServer(t)
			ended := make(chan error, 1)
			go func() {
				p, _ := s.accept()
				_, _ = io.WriteString(p, x.say)
				if x.name == "server closes" {
					_ = p.Close()
				}
				_, err := io.Copy(io.Discard, p.r)
				ended <- err
			}()
			ctx, cancel := context.WithTimeout(context.Background(), x.wait)
			defer cancel()
			c, _, err := h.Dial(ctx, s.url, &x.o)
			if c != nil || !x.want(err) {
				t.Errorf("got %v, %T %v", c, err, err)
			}
			if err := <-ended; isTimeout(err) {
				t.Errorf("the client closes the transport: %v", err)
			}
		})
	}
	wantNothingOpen(t, h)

	s := newRawServer(t)
	address := s.l.Addr().String()
	_ = s.l.Close()
	var de *host.DialError
	if _, _, err := h.Dial(newContext(t), s.url, nil); !errors.As(err, &de) || de.Step != "connect" || de.Target != address {
		t.Errorf("nobody listens: got %v", err)
	}
}

func isHandshakeTimeout(err error) bool {
	var he *host.HandshakeError
	return errors.As(err, &he) && strings.Contains(he.Rule, "HandshakeTimeout")
}
