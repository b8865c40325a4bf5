package dialer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestTunnels has every kind of proxy with credentials and without, for names and
// literals: what the proxy is asked for, and that the target sees nothing of it.
func TestTunnels(t *testing.T) {
	wantNothingLeft(t)
	ca := newAuthority(t)
	s := listen(t, "127.0.0.1:0", nil)
	plain, secure, socks := newHTTPProxy(t, nil), newHTTPProxy(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, ca.named("127.0.0.1"))}}), newSOCKSProxy(t)
	asked := func(target, credentials string) string {
		return "CONNECT " + target + " HTTP/1.1/Host: " + target + "/" + credentials + "/"
	}
	const basic = "Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=/" // printf user:secret | base64
	for _, x := range []struct {
		proxy *url.URL
		host  string
		want  string // the request, PORT in it
	}{
		{plain.url(""), "service.test", asked("service.test:PORT", "")},
		{plain.url(""), "service.test.", asked("service.test:PORT", "")},
		{plain.url("user:secret@"), "service.test", asked("service.test:PORT", basic)},
		{plain.url("user@"), "127.0.0.1", asked("127.0.0.1:PORT", "Proxy-Authorization: Basic dXNlcjo=/")},
		{plain.url(""), "[::ffff:127.0.0.1]", asked("127.0.0.1:PORT", "")},
		{secure.url("user:secret@"), "service.test", asked("service.test:PORT", basic)},
		{socks.url("socks5", ""), "service.test", "127.0.0.1:PORT"},
		{socks.url("socks5", ""), "127.0.0.1", "127.0.0.1:PORT"},
		{socks.url("socks5h", ""), "service.test.", "service.test:PORT"},
		{socks.url("socks5h", ""), "::ffff:127.0.0.1", "127.0.0.1:PORT"},
		{socks.url("socks5h", "user:secret@"), "service.test", "service.test:PORT"},
	} {
		d := &Dialer{
			Permissions: grants(t, "service.test loopback", ""), Proxy: ProxyURL(x.proxy), ProxyTLS: &tls.Config{RootCAs: ca.pool()},
			Resolver: &names{answers: map[string]string{"service.test": "127.0.0.1", "service.test.": "127.0.0.1"}},
		}
		conn, err := d.Dial(t.Context(), Target{Host: x.host, Port: s.addr.Port()})
		sentence := x.host + " through " + x.proxy.Redacted()
		_, isTCP := conn.(*net.TCPConn)
		_, isTLS := conn.(*tls.Conn)
		if isTCP != (x.proxy.Scheme != "https") || isTLS {
			t.Errorf("%s: a tunnel is the socket itself, and TLS to a proxy does not show\n got %T", sentence, conn)
		}
		if half, ok := conn.(interface{ CloseWrite() error }); !ok {
			t.Errorf("%s: a tunnel can be closed by halves\n got %T", sentence, conn)
		} else if x.proxy == nil {
			_ = half.CloseWrite()
		}
		wantPeer(t, sentence, conn, err, s.addr.String())
		want := strings.ReplaceAll(x.want, "PORT", s.port())
		switch x.proxy.Scheme {
		case "http":
			plain.wantRequests(t, sentence, want)
		case "https":
			secure.wantRequests(t, sentence, want)
		default:
			socks.wantRequests(t, sentence, want)
		}
	}
	for _, p := range []*tap{&plain.seen, &secure.seen, &socks.seen} {
		if got := p.String(); strings.Contains(got, "Authorization") || strings.Contains(got, "secret") || !strings.Contains(got, "echo") {
			t.Errorf("the target sees no credentials\n got %q", got)
		}
	}
}

// TestCloseWrite has half of a tunnel closed within TLS to the proxy.
func TestCloseWrite(t *testing.T) {
	wantNothingLeft(t)
	ca := newAuthority(t)
	s := listen(t, "127.0.0.1:0", nil)
	p := newHTTPProxy(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, ca.named("127.0.0.1"))}})
	d := &Dialer{Permissions: grants(t, "127.0.0.1", ""), Proxy: ProxyURL(p.url("")), ProxyTLS: &tls.Config{RootCAs: ca.pool()}}
	conn, err := d.Dial(t.Context(), Target{Host: "127.0.0.1", Port: s.addr.Port()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Error(err)
	}
	if got, err := io.ReadAll(conn); err != nil || string(got) != s.addr.String()+"\n" {
		t.Errorf("the target ends when we do\n got %q, %v", got, err)
	}
}

// TestProxyTLS has https proxies that are not who they should be.
func TestProxyTLS(t *testing.T) {
	wantNothingLeft(t)
	ca := newAuthority(t)
	s := listen(t, "127.0.0.1:0", nil)
	p := newHTTPProxy(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, ca.named("proxy.test"))}})
	named := newHTTPProxy(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, ca.named("127.0.0.1"))}})
	trust := &tls.Config{RootCAs: ca.pool()}
	for _, x := range []struct {
		name  string
		proxy *url.URL
		cfg   *tls.Config
		want  string
	}{
		{"another name", p.url("user:secret@"), trust, "its certificate is for proxy.test, not for 127.0.0.1"},
		{"the name is given", p.url("user:secret@"), &tls.Config{RootCAs: ca.pool(), ServerName: "proxy.test"}, ""},
		{"the system's roots by default, and not the target's", named.url("user:secret@"), nil, "unknown authority"},
		{"InsecureSkipVerify", p.url("user:secret@"), &tls.Config{InsecureSkipVerify: true}, "switched off only by name"},
		{"no TLS", mustParse("https://user:secret@" + s.addr.String()), trust, "the peer does not speak TLS"},
	} {
		d := &Dialer{
			Permissions: grants(t, everything, ""), Proxy: ProxyURL(x.proxy), ProxyTLS: x.cfg,
			TLS: trust, InsecureHosts: []string{"127.0.0.1"}, // of targets
		}
		conn, err := d.Dial(t.Context(), Target{Host: "127.0.0.1", Port: s.addr.Port()})
		if x.want == "" {
			wantPeer(t, x.name, conn, err, s.addr.String())
			continue
		}
		wantError(t, x.name, conn, err, x.want, "websocket: proxy https://"+x.proxy.Host+" for "+s.addr.String()+": ")
		wantStep(t, x.name, err, "proxy", "https://"+x.proxy.Host)
	}
	named.wantRequests(t, "credentials go to proxies that are verified only")
}

// TestHostileHTTPProxy has answers to CONNECT.
func TestHostileHTTPProxy(t *testing.T) {
	fields := func(n int) string { return strings.Repeat("A: b\r\n", n) }
	long := func(n int) string { // a response of n bytes
		const begin, end = "HTTP/1.1 200 OK\r\nA: ", "\r\n\r\n"
		return begin + strings.Repeat("a", n-len(begin)-len(end)) + end
	}
	for _, x := range []struct {
		name, user, answer string
		status             int
		want               string // "": a tunnel
	}{
		{"a good one", "", "HTTP/1.1 200 Connection established\r\n\r\n", 0, ""},
		{"HTTP/1.0", "", "HTTP/1.0 200 OK\r\n\r\n", 0, ""},
		{"bare line feeds", "", "HTTP/1.1 200 OK\nA: b\n\n", 0, ""},
		{"a length that means nothing", "", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 0, ""},
		{"chunks that mean nothing", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0, ""},
		{"the longest head", "", long(8192), 0, ""},
		{"one byte more", "", long(8193), 0, "over 8192 bytes or 100 fields"},
		{"the most fields", "", "HTTP/1.1 200 OK\r\n" + fields(100) + "\r\n", 0, ""},
		{"one field more", "", "HTTP/1.1 200 OK\r\n" + fields(101) + "\r\n", 0, "over 8192 bytes or 100 fields"},
		{"a head without end", "", "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", 100_000), 0, "over 8192 bytes or 100 fields"},
		{"a first line without end", "", strings.Repeat("\r", 100_000), 0, "over 8192 bytes or 100 fields"},
		{"not found", "", "HTTP/1.1 404 secret\r\n\r\n", 404, "CONNECT was answered with status 404 Not Found"},
		{"no content", "", "HTTP/1.1 204 OK\r\n\r\n", 204, "status 204 No Content"},
		{"to be continued", "", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", 100, "status 100 Continue"},
		{"early hints", "", "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", 103, "status 103 Early Hints"},
		{"switching protocols", "", "HTTP/1.1 101 Switching Protocols\r\n\r\n", 101, "status 101"},
		{"a redirect", "", "HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\n\r\n", 302, "status 302"},
		{"a status of its own", "", "HTTP/1.1 799 secret\r\n\r\n", 799, "status 799"},
		{"credentials are missing", "", "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=secret\r\n\r\n", 407, "407 Proxy Authentication Required: put user:password@ into the proxy's URL"},
		{"credentials are wrong", "user:secret@", "HTTP/1.1 407 secret\r\n\r\n", 407, "407 Proxy Authentication Required: the user name and password in the proxy's URL were not accepted"},
		{"not HTTP", "user:secret@", "SSH-2.0-OpenSSH secret\r\n\r\n", 0, "not a response of HTTP/1"},
		{"an echo", "user:secret@", "CONNECT 192.0.2.1:80 HTTP/1.1\r\nProxy-Authorization: secret\r\n\r\n", 0, "not a response of HTTP/1"},
		{"HTTP/2", "", "HTTP/2.0 200 OK\r\n\r\n", 0, "not a response of HTTP/1"},
		{"nothing but an empty line", "", "\r\n", 0, "not a response of HTTP/1"},
		{"a field without a colon", "", "HTTP/1.1 200 OK\r\nsecret\r\n\r\n", 0, "not a response of HTTP/1"},
		{"a negative status", "", "HTTP/1.1 -20 OK\r\n\r\n", 0, "not a response of HTTP/1"},
		{"half a head", "", "HTTP/1.1 200 OK\r\nA: b\r\n", 0, "the peer closed the connection"},
		{"nothing", "", "", 0, "the peer closed the connection"},
	} {
		synctest.Test(t, func(t *testing.T) {
			hostile := func(c net.Conn) {
				if _, err := readHead(c); err != nil {
					return
				}
				if _, err := io.WriteString(c, x.answer); err == nil && x.want == "" {
					greet(c, netip.MustParseAddrPort("192.0.2.1:80"))
				}
			}
			f := &fabric{peers: map[string]peer{"192.0.2.9": answers(0, hostile)}}
			d := &Dialer{Permissions: grants(t, everything, ""), Proxy: ProxyURL(mustParse("http://" + x.user + "192.0.2.9:3128")), connect: f.connect}
			conn, err := d.Dial(t.Context(), Target{Host: "192.0.2.1", Port: 80})
			if x.want == "" {
				wantPeer(t, x.name, conn, err, "192.0.2.1:80")
				f.wantClosed(t)
				return
			}
			wantError(t, x.name, conn, err, x.want, "websocket: proxy http://192.0.2.9:3128 for 192.0.2.1:80: ")
			wantStep(t, x.name, err, "proxy", "http://192.0.2.9:3128")
			var e *Error
			if errors.As(err, &e) && e.Status != x.status {
				t.Errorf("%s\n got status %d\nwant %d", x.name, e.Status, x.status)
			}
			f.wantDialed(t, "nothing else was dialled", "192.0.2.9:3128")
			f.wantClosed(t)
		})
	}
}

// TestEarlyBytes has a target that speaks first, in the packet that opens the tunnel:
// nothing of it is lost. Where TLS is to follow it is no part of TLS.
func TestEarlyBytes(t *testing.T) {
	wantNothingLeft(t)
	p := listen(t, "127.0.0.1:0", func(c net.Conn) {
		if _, err := readHead(c); err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nearly bytes")
		}
	})
	d := &Dialer{Permissions: grants(t, everything, ""), Proxy: ProxyURL(mustParse("http://" + p.addr.String()))}
	conn, err := d.Dial(t.Context(), Target{Host: "192.0.2.1", Port: 80})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); string(got) != "early bytes" {
		t.Errorf("got %q, %v", got, err)
	}
	_ = conn.Close()
	conn, err = d.Dial(t.Context(), Target{Host: "192.0.2.1", Port: 443, TLS: true})
	wantError(t, "TLS", conn, err, "TLS handshake with 192.0.2.1:443 through http://"+p.addr.String(), "does not speak TLS")
}

// TestHostileSOCKSProxy has answers of a SOCKS5 proxy, each part of them after the
// message that it answers.
func TestHostileSOCKSProxy(t *testing.T) {
	const opened = "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
	for _, x := range []struct {
		name, user string
		answers    []string
		want       string // "": a tunnel
	}{
		{"a good one", "", []string{"\x05\x00", opened}, ""},
		{"a bound address of IPv6", "", []string{"\x05\x00", "\x05\x00\x00\x04" + strings.Repeat("\x00", 18)}, ""},
		{"a bound name", "", []string{"\x05\x00", "\x05\x00\x00\x03\xff" + strings.Repeat("a", 257)}, ""},
		{"a bound name of no length", "", []string{"\x05\x00", "\x05\x00\x00\x03\x00\x00\x00"}, ""},
		{"credentials are not asked for", "user:secret@", []string{"\x05\x00", opened}, ""},
		{"credentials", "user:secret@", []string{"\x05\x02", "\x01\x00", opened}, ""},
		{"credentials are wrong", "user:secret@", []string{"\x05\x02", "\x01\x01"}, "authentication failed"},
		{"another version of them", "user:secret@", []string{"\x05\x02", "\x05\x00"}, "version"},
		{"half an answer to them", "user:secret@", []string{"\x05\x02", "\x01"}, "the peer closed the connection"},
		{"GSSAPI", "user:secret@", []string{"\x05\x01"}, "authentication method"},
		{"no method", "", []string{"\x05\xff"}, "no acceptable authentication methods"},
		{"SOCKS4", "", []string{"\x04\x5a"}, "unexpected protocol version 4"},
		{"HTTP", "", []string{"HTTP/1.1 400 Bad Request\r\n\r\n"}, "unexpected protocol version 72"},
		{"TLS", "", []string{"\x15\x03"}, "unexpected protocol version 21"},
		{"half a method", "", []string{"\x05"}, "the peer closed the connection"},
		{"nothing", "", []string{""}, "the peer closed the connection"},
		{"another version later", "", []string{"\x05\x00", "\x04\x00\x00\x01\x00\x00\x00\x00\x00\x00"}, "unexpected protocol version 4"},
		{"general failure", "", []string{"\x05\x00", "\x05\x01\x00\x01\x00\x00\x00\x00\x00\x00"}, ": general SOCKS server failure"},
		{"not allowed", "", []string{"\x05\x00", "\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00"}, ": connection not allowed by ruleset"},
		{"refused", "", []string{"\x05\x00", "\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00"}, ": connection refused"},
		{"a code that there is not", "", []string{"\x05\x00", "\x05\xee\x00\x01\x00\x00\x00\x00\x00\x00"}, ": unknown code: 238"},
		{"a reserved byte", "", []string{"\x05\x00", "\x05\x00\x01\x01\x00\x00\x00\x00\x00\x00"}, "non-zero reserved field"},
		{"a kind of address that there is not", "", []string{"\x05\x00", "\x05\x00\x00\x02\x00\x00\x00\x00\x00\x00"}, "unknown address type 2"},
		{"half an address", "", []string{"\x05\x00", "\x05\x00\x00\x01\x00"}, "the peer closed the connection"},
		{"half a name", "", []string{"\x05\x00", "\x05\x00\x00\x03\xffabc"}, "the peer closed the connection"},
		{"no length of a name", "", []string{"\x05\x00", "\x05\x00\x00\x03"}, "the peer closed the connection"},
	} {
		for _, scheme := range []string{"socks5", "socks5h"} {
			synctest.Test(t, func(t *testing.T) {
				hostile := func(c net.Conn) {
					buffer := make([]byte, 4096)
					for _, a := range x.answers {
						if _, err := c.Read(buffer); err != nil {
							return
						}
						if _, err := io.WriteString(c, a); err != nil {
							return
						}
					}
					if x.want == "" {
						greet(c, netip.MustParseAddrPort("192.0.2.1:80"))
					}
				}
				f := &fabric{peers: map[string]peer{"192.0.2.9": answers(0, hostile)}}
				d := &Dialer{Permissions: grants(t, everything, ""), Proxy: ProxyURL(mustParse(scheme + "://" + x.user + "192.0.2.9")), connect: f.connect}
				conn, err := d.Dial(t.Context(), Target{Host: "192.0.2.1", Port: 80})
				if x.want == "" {
					wantPeer(t, x.name, conn, err, "192.0.2.1:80")
					f.wantClosed(t)
					return
				}
				wantError(t, x.name, conn, err, x.want, "websocket: proxy "+scheme+"://192.0.2.9:1080 for 192.0.2.1:80: ")
				wantStep(t, x.name, err, "proxy", scheme+"://192.0.2.9:1080")
				f.wantDialed(t, "nothing else was dialled", "192.0.2.9:1080")
				f.wantClosed(t)
			})
		}
	}
}

// TestProxyTimeout has proxies that drip, or say nothing, and a caller who gives up.
func TestProxyTimeout(t *testing.T) {
	drip := func(what string) func(net.Conn) {
		return func(c net.Conn) {
			go func() { _, _ = io.Copy(io.Discard, c) }()
			for i := 0; ; i++ {
				time.Sleep(900 * time.Millisecond)
				if _, err := io.WriteString(c, what[min(i, len(what)-1):][:1]); err != nil {
					return
				}
			}
		}
	}
	mute := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
	deaf := func(c net.Conn) { time.Sleep(time.Hour) }
	for _, x := range []struct {
		scheme string
		peer   func(net.Conn)
	}{
		{"http", drip("HTTP/1.1 200 A")}, {"http", mute}, {"http", deaf},
		{"https", drip("\x16\x03\x03\x3f\xff\x02")}, {"https", mute}, {"https", deaf},
		{"socks5", drip("\x05\x00\x05\x00\x00\x03\xffa")}, {"socks5", mute}, {"socks5", deaf},
		{"socks5h", mute},
	} {
		for _, cancel := range []time.Duration{0, 7 * time.Second} {
			synctest.Test(t, func(t *testing.T) {
				f := &fabric{peers: map[string]peer{"192.0.2.9": answers(0, x.peer)}}
				d := &Dialer{
					Permissions: grants(t, everything, ""), Proxy: ProxyURL(mustParse(x.scheme + "://192.0.2.9:3128")),
					ProxyTimeout: 20 * time.Second, connect: f.connect,
				}
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				want, after := context.DeadlineExceeded, 20*time.Second
				if cancel > 0 {
					time.AfterFunc(cancel, stop)
					want, after = context.Canceled, cancel
				}
				begun := time.Now()
				conn, err := d.Dial(ctx, Target{Host: "192.0.2.1", Port: 80})
				wantError(t, x.scheme, conn, err, "websocket: proxy "+x.scheme+"://192.0.2.9:3128 for 192.0.2.1:80: ")
				wantStep(t, x.scheme, err, "proxy", x.scheme+"://192.0.2.9:3128")
				if took := time.Since(begun); took != after || !errors.Is(err, want) {
					t.Errorf("%s: a proxy that does not answer\n got %v after %v\nwant %v after %v", x.scheme, err, took, want, after)
				}
				f.wantClosed(t)
			})
		}
	}
}

// TestSOCKSAttempts has a proxy that reaches one address of several: the others are
// asked for before, over a connection each, and those are closed.
func TestSOCKSAttempts(t *testing.T) {
	wantNothingLeft(t)
	p := newSOCKSProxy(t)
	s := listen(t, "127.0.0.3:0", nil)
	d := &Dialer{Permissions: grants(t, everything, ""), Proxy: ProxyURL(p.url("socks5", "")), Resolver: &names{answers: map[string]string{
		"a.test": "127.0.0.1 127.0.0.2 127.0.0.3 127.0.0.4", "none.test": "127.0.0.1 127.0.0.2",
	}}}
	conn, err := d.Dial(t.Context(), Target{Host: "a.test", Port: s.addr.Port()})
	wantPeer(t, "the third address", conn, err, s.addr.String())
	p.wantRequests(t, "addresses in turn", "127.0.0.1:"+s.port(), "127.0.0.2:"+s.port(), "127.0.0.3:"+s.port())

	conn, err = d.Dial(t.Context(), Target{Host: "none.test", Port: s.addr.Port()})
	wantError(t, "no address", conn, err, "127.0.0.1: connection refused; 127.0.0.2: connection refused")
}

// TestSOCKSAttemptsAtAClock has a proxy that takes long, loses its second connection,
// and is asked for the third address at last.
func TestSOCKSAttemptsAtAClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		f := &fabric{peers: map[string]peer{"192.0.2.9": func(ctx context.Context) (func(net.Conn), error) {
			switch n++; n {
			case 1: // silent
				return func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, nil
			case 2:
				return refuses(ctx)
			}
			return func(c net.Conn) {
				buffer := make([]byte, 64)
				_, _ = c.Read(buffer)
				_, _ = io.WriteString(c, "\x05\x00")
				k, _ := c.Read(buffer)
				_, _ = io.WriteString(c, "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
				greet(c, netip.AddrPortFrom(netip.AddrFrom4([4]byte(buffer[4:k])), 80))
			}, nil
		}}}
		d := &Dialer{
			Permissions: grants(t, everything, ""), Proxy: ProxyURL(mustParse("socks5://192.0.2.9")), connect: f.connect,
			Resolver: &names{answers: map[string]string{"a.test": "192.0.2.1 192.0.2.2 192.0.2.3"}},
		}
		begun := time.Now()
		conn, err := d.Dial(t.Context(), Target{Host: "a.test", Port: 80})
		wantPeer(t, "the third address", conn, err, "192.0.2.3:80")
		if took := time.Since(begun); took != 2*time.Second {
			t.Errorf("one address took long\n got %v", took)
		}
		f.wantDialed(t, "the proxy's address stays", "192.0.2.9:1080 192.0.2.9:1080 192.0.2.9:1080")
		f.wantClosed(t)
	})
}

// TestProxyIsUnreachable has proxies that cannot be resolved or connected.
func TestProxyIsUnreachable(t *testing.T) {
	for _, x := range []struct {
		proxy, step, named, want string
		after                    time.Duration
	}{
		{"http://user:secret@none.test", "resolve", "http://none.test:80", "websocket: resolve proxy http://none.test:80 for a.test:80: no such host", 0},
		{"http://user:secret@192.0.2.9", "connect", "http://192.0.2.9:80", "websocket: connect with proxy http://192.0.2.9:80 for a.test:80: connect: connection refused", 0},
		{"socks5://user:secret@192.0.2.8", "connect", "socks5://192.0.2.8:1080", "websocket: connect with proxy socks5://192.0.2.8:1080 for a.test:80: context deadline exceeded (the time for it ran out)", 30 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &fabric{peers: map[string]peer{"192.0.2.8": isSilent}}
			d := &Dialer{
				Permissions: grants(t, everything, ""), Proxy: ProxyURL(mustParse(x.proxy)), connect: f.connect,
				Resolver: &names{answers: map[string]string{"a.test": "192.0.2.1"}},
			}
			begun := time.Now()
			conn, err := d.Dial(t.Context(), Target{Host: "a.test", Port: 80})
			if conn != nil || err == nil || err.Error() != x.want {
				t.Errorf("%s\n got %v\nwant %s", x.proxy, err, x.want)
			}
			if took := time.Since(begun); took != x.after {
				t.Errorf("%s\n got an error after %v", x.proxy, took)
			}
			wantStep(t, x.proxy, err, x.step, x.named)
			f.wantClosed(t)
		})
	}
}

// TestVet has names that the proxy resolves: they are resolved here too, as far as that
// is possible, and one address that is not allowed refuses the target.
func TestVet(t *testing.T) {
	for _, x := range []struct {
		name, answer, want string
		after              time.Duration
	}{
		{"a public address", "93.184.1.1", "", 0},
		{"a private one among public ones", "93.184.1.1 10.0.0.1", "resolves to 10.0.0.1, a private address", 0},
		{"a denied one", "93.184.1.1 93.184.9.9", "denied by --deny-net=93.184.9.9", 0},
		{"the 101st is private", strings.Repeat("93.184.1.1 ", 1) + many(100) + "10.0.0.1", "resolves to 10.0.0.1, a private address", 0},
		{"no address here", "", "", 0},
		{"no answer here", "never", "", 2 * time.Second},
	} {
		for _, scheme := range []string{"http", "socks5h"} {
			synctest.Test(t, func(t *testing.T) {
				var log logBuffer
				f := &fabric{peers: map[string]peer{"93.184.5.5": answers(0, agreeable)}}
				d := &Dialer{
					Permissions: grants(t, "a.test 93.184.5.5", "93.184.9.9"), Proxy: ProxyURL(mustParse(scheme + "://93.184.5.5:3128")), connect: f.connect,
					Resolver: &names{answers: map[string]string{"a.test": x.answer}}, Logger: log.logger(),
				}
				begun := time.Now()
				conn, err := d.Dial(t.Context(), Target{Host: "a.test", Port: 80})
				if took := time.Since(begun); took != x.after {
					t.Errorf("%s\n got a result after %v\nwant one after %v", x.name, took, x.after)
				}
				if x.want == "" {
					wantPeer(t, x.name, conn, err, "93.184.5.5:3128")
					f.wantClosed(t)
					if logged := strings.Contains(log.String(), "the proxy alone resolves"); logged != strings.HasPrefix(x.name, "no ") {
						t.Errorf("%s: what is not checked is logged\n got %s", x.name, log.String())
					}
					return
				}
				wantDenied(t, x.name, conn, err, x.want)
				f.wantDialed(t, "the proxy was not asked", "")
				f.wantClosed(t)
			})
		}
	}
}

// TestVetIsCanceled has a caller who gives up while a name is resolved for a proxy.
func TestVetIsCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fabric{}
		d := &Dialer{
			Permissions: grants(t, everything, ""), Proxy: ProxyURL(mustParse("http://192.0.2.9:3128")), connect: f.connect,
			Resolver: &names{answers: map[string]string{"a.test": "never"}},
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		conn, err := d.Dial(ctx, Target{Host: "a.test", Port: 80})
		wantError(t, "the caller gives up", conn, err, "websocket: resolve a.test:80: ")
		f.wantDialed(t, "the proxy was not asked", "")
	})
}

// agreeable opens a tunnel whatever it is asked, by HTTP or SOCKS5, and greets.
func agreeable(c net.Conn) {
	b := make([]byte, 1)
	if _, err := c.Read(b); err != nil {
		return
	}
	if b[0] == 5 {
		rest := make([]byte, 512)
		_, _ = c.Read(rest)
		_, _ = io.WriteString(c, "\x05\x00")
		_, _ = c.Read(rest)
		_, _ = io.WriteString(c, "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
	} else {
		if _, err := readHead(c); err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 "+fmt.Sprint(http.StatusOK)+" OK\r\n\r\n")
	}
	greet(c, netip.MustParseAddrPort("93.184.5.5:3128"))
}

// many returns n public addresses.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "93.184.2.%d ", i)
	}
	return b.String()
}
