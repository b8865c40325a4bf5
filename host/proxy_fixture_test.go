package host_test

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

// A testProxy is a proxy that does as it is asked, and keeps what it was asked for and
// what it passed on. It resolves every name to this machine.
type testProxy struct {
	l      net.Listener
	scheme string

	mu     sync.Mutex
	asked  []string
	passed bytes.Buffer // in both directions
}

// newProxy returns a proxy for clients that use scheme; cfg is an https proxy's.
func newProxy(t *testing.T, scheme string, cfg *tls.Config) *testProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if cfg != nil {
		l = tls.NewListener(l, cfg)
	}
	p := &testProxy{l: l, scheme: scheme}
	var all sync.WaitGroup
	var conns sync.Map
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Store(c, nil)
			all.Go(func() {
				defer c.Close()
				if strings.HasPrefix(scheme, "socks") {
					p.socks(c)
				} else {
					p.http(c)
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		conns.Range(func(c, _ any) bool { _ = c.(net.Conn).Close(); return true })
		all.Wait()
	})
	return p
}

// via returns a DialOptions.Proxy that is p, as user:password.
func (p *testProxy) via() *url.URL {
	return &url.URL{Scheme: p.scheme, User: url.UserPassword("user", "proxy-secret"), Host: p.l.Addr().String()}
}

func (p *testProxy) ask(request string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, request)
}

// take returns what p was asked for and what it passed on since the last time.
func (p *testProxy) take() (asked, passed string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	asked, passed = strings.Join(p.asked, " | "), p.passed.String()
	p.asked = nil
	p.passed.Reset()
	return asked, passed
}

func (p *testProxy) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.passed.Write(b)
}

func (p *testProxy) http(c net.Conn) {
	r := bufio.NewReader(c)
	request, err := http.ReadRequest(r)
	if err != nil {
		return
	}
	p.ask(fmt.Sprintf("%s %s %s", request.Method, request.RequestURI, request.Header.Get("Proxy-Authorization")))
	p.pass(c, r, request.RequestURI, "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 502 Bad Gateway\r\n\r\n")
}

func (p *testProxy) socks(c net.Conn) {
	read := func(n int) []byte {
		b := make([]byte, n)
		if _, err := io.ReadFull(c, b); err != nil {
			return make([]byte, n) // of a type that there is not
		}
		return b
	}
	read(int(read(2)[1]))
	_, _ = c.Write([]byte{5, 2}) // a user name and a password, please
	user := read(int(read(2)[1]))
	password := read(int(read(1)[0]))
	_, _ = c.Write([]byte{1, 0})
	var name string
	switch read(4)[3] {
	case 1:
		name = netip.AddrFrom4([4]byte(read(4))).String()
	case 3:
		name = string(read(int(read(1)[0])))
	default:
		return
	}
	address := net.JoinHostPort(name, fmt.Sprint(binary.BigEndian.Uint16(read(2))))
	p.ask(fmt.Sprintf("SOCKS %s %s:%s", address, user, password))
	p.pass(c, c, address, "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00", "\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00")
}

// pass connects c, and r before it, with address.
func (p *testProxy) pass(c net.Conn, r io.Reader, address, yes, no string) {
	_, port, _ := net.SplitHostPort(address)
	target, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		_, _ = io.WriteString(c, no)
		return
	}
	defer target.Close()
	if _, err := io.WriteString(c, yes); err != nil {
		return
	}
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
}
