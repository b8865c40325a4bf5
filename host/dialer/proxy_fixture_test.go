package dialer

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// A tap keeps what a proxy passed on, in both directions.
type tap struct {
	mu    sync.Mutex
	bytes bytes.Buffer
}

func (p *tap) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes.Write(b)
}

func (p *tap) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes.String()
}

// splice passes on what c and the target at addr send, until both have ended.
func (p *tap) splice(c net.Conn, r io.Reader, target net.Conn) {
	var both sync.WaitGroup
	pass := func(to net.Conn, from io.Reader) {
		_, _ = io.Copy(io.MultiWriter(to, p), from)
		if half, ok := to.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	}
	both.Go(func() { pass(target, r) })
	both.Go(func() { pass(c, target) })
	both.Wait()
	_ = target.Close()
}

// proxyNames is how the proxies of tests resolve names.
var proxyNames = strings.NewReplacer("service.test", "127.0.0.1", "a.test", "127.0.0.2").Replace

// An httpProxy is a proxy that does as it is asked, and keeps the requests.
type httpProxy struct {
	*server
	scheme   string
	seen     tap
	mu       sync.Mutex
	requests []string
}

func newHTTPProxy(t testing.TB, cfg *tls.Config) *httpProxy {
	p := &httpProxy{scheme: "http"}
	if cfg == nil {
		p.server = listen(t, "127.0.0.1:0", p.serve)
	} else {
		p.scheme = "https"
		p.server = listenTLS(t, "127.0.0.1:0", cfg, p.serve)
	}
	return p
}

func (p *httpProxy) serve(c net.Conn) {
	var raw bytes.Buffer
	r := bufio.NewReader(c)
	request, err := http.ReadRequest(bufio.NewReaderSize(io.TeeReader(oneByte{r}, &raw), 16))
	if err != nil {
		return
	}
	p.mu.Lock()
	p.requests = append(p.requests, raw.String())
	p.mu.Unlock()
	target, err := net.Dial("tcp", proxyNames(request.RequestURI))
	if err != nil {
		fmt.Fprint(c, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5\r\n\r\noops\n")
		return
	}
	if _, err := io.WriteString(c, "HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n"); err == nil {
		p.seen.splice(c, r, target)
	}
}

// oneByte reads no further than its reader needs.
type oneByte struct{ io.Reader }

func (r oneByte) Read(b []byte) (int, error) { return r.Reader.Read(b[:min(len(b), 1)]) }

// url is the proxy's; user is empty or ends in @.
func (p *httpProxy) url(user string) *url.URL {
	return mustParse(p.scheme + "://" + user + p.addr.String())
}

// wantRequests checks the requests, in which \r\n is written as /.
func (p *httpProxy) wantRequests(t *testing.T, sentence string, want ...string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	got := strings.ReplaceAll(strings.Join(p.requests, " | "), "\r\n", "/")
	if got != strings.Join(want, " | ") {
		t.Errorf("%s\n got %s\nwant %s", sentence, got, strings.Join(want, " | "))
	}
	p.requests = nil
}

func mustParse(text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil {
		panic(err)
	}
	return u
}

// A socksProxy is a SOCKS5 proxy that does as it is asked, and keeps the addresses that
// it is asked for. With user it wants that user name and password.
type socksProxy struct {
	*server
	user, password string
	bound          []byte // what it says that it is bound to; default 0.0.0.0:0
	seen           tap
	mu             sync.Mutex
	requests       []string
}

func newSOCKSProxy(t testing.TB) *socksProxy {
	p := &socksProxy{bound: []byte{1, 0, 0, 0, 0, 0, 0}}
	p.server = listen(t, "127.0.0.1:0", p.serve)
	return p
}

func (p *socksProxy) url(scheme, user string) *url.URL {
	return mustParse(scheme + "://" + user + p.addr.String())
}

func (p *socksProxy) serve(c net.Conn) {
	read := func(n int) []byte {
		b := make([]byte, n)
		if _, err := io.ReadFull(c, b); err != nil {
			return make([]byte, n) // a version or a type that there is not
		}
		return b
	}
	methods := read(int(read(2)[1]))
	method := byte(0)
	if p.user != "" {
		method = 2
	}
	if !bytes.Contains(methods, []byte{method}) {
		_, _ = c.Write([]byte{5, 0xff})
		return
	}
	_, _ = c.Write([]byte{5, method})
	if method == 2 {
		user := string(read(int(read(2)[1])))
		password := string(read(int(read(1)[0])))
		if user != p.user || password != p.password {
			_, _ = c.Write([]byte{1, 1})
			return
		}
		_, _ = c.Write([]byte{1, 0})
	}
	var host string
	switch read(4)[3] {
	case 1:
		host = netip.AddrFrom4([4]byte(read(4))).String()
	case 3:
		host = string(read(int(read(1)[0])))
	case 4:
		host = netip.AddrFrom16([16]byte(read(16))).String()
	default:
		return
	}
	address := net.JoinHostPort(host, fmt.Sprint(binary.BigEndian.Uint16(read(2))))
	p.mu.Lock()
	p.requests = append(p.requests, address)
	p.mu.Unlock()
	target, err := net.Dial("tcp", proxyNames(address))
	if err != nil {
		_, _ = c.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0})
		return
	}
	if _, err := c.Write(append([]byte{5, 0, 0}, p.bound...)); err == nil {
		p.seen.splice(c, c, target)
	}
}

func (p *socksProxy) wantRequests(t *testing.T, sentence string, want ...string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if got := strings.Join(p.requests, " "); got != strings.Join(want, " ") {
		t.Errorf("%s\n got %s\nwant %s", sentence, got, strings.Join(want, " "))
	}
	p.requests = nil
}
