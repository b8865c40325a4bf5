package dialer

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/net/proxy"
)

const (
	// headLimit and fieldLimit are those of an opening handshake's head.
	headLimit  = 8 << 10
	fieldLimit = 100

	// vetTimeout is how long a name may take to resolve that the proxy will resolve
	// anyway.
	vetTimeout = 2 * time.Second

	// proxyAttemptDelay is AttemptDelay between addresses that a proxy connects to: the
	// longest that RFC 8305 §8 has, because each attempt is one more connection to the
	// proxy.
	proxyAttemptDelay = 2 * time.Second
)

// tunnel opens a connection to the target through the proxy. A socks5 proxy is sent
// addresses of family f.
func (g *dialing) tunnel(ctx context.Context, f family) (net.Conn, error) {
	p := g.proxy
	if err := g.permissions().CheckTarget(ctx, p.host, p.port).Err(); err != nil {
		return nil, err
	}
	var addrs []netip.AddrPort
	var err error
	if p.scheme == "socks5" {
		addrs, err = g.addresses(ctx, &g.target, f)
	} else {
		err = g.vet(ctx)
	}
	if err != nil {
		return nil, err
	}
	conn, err := g.connectTo(ctx, &p.endpoint, g.localFamily())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(g.ProxyTimeout, 30*time.Second))
	defer cancel()
	switch p.scheme {
	case "socks5":
		conn, err = g.socksRace(ctx, conn, addrs)
	case "socks5h":
		err = g.socks(ctx, conn, g.target.String())
	case "https":
		conn, err = g.secureProxy(ctx, conn)
		if err == nil {
			err = g.connectMethod(ctx, conn)
		}
	case "http":
		err = g.connectMethod(ctx, conn)
	default:
		panic("BUG: proxy of unknown scheme " + p.scheme)
	}
	if err == nil {
		return conn, nil
	}
	if conn != nil {
		_ = conn.Close()
	}
	failed := g.fail(stepProxy, &p.endpoint, err)
	var refused *statusError
	if e, ok := failed.(*Error); ok && errors.As(err, &refused) {
		e.Status = refused.status
	}
	return nil, failed
}

// vet refuses a target whose name, resolved here, has an address that is not allowed:
// the proxy may connect to that one. A name that cannot be resolved passes.
func (g *dialing) vet(ctx context.Context) error {
	looking, stop := g.budget(ctx)
	looking, cancel := context.WithTimeout(looking, vetTimeout)
	addrs, err := g.lookup(looking, &g.target, ip4|ip6)
	cancel()
	stop()
	if ctx.Err() != nil {
		return g.fail(stepResolve, &g.target, ctx.Err())
	}
	if err != nil {
		g.logger().Debug("websocket: the proxy alone resolves the target", "target", g.target.String(), "proxy", g.proxy.String(), "error", describe(err))
	}
	for _, a := range addrs {
		if err := g.permissions().CheckAddr(ctx, g.target.host, netip.AddrPortFrom(a, g.target.port)).Err(); err != nil {
			return err
		}
	}
	return nil
}

// secureProxy does the TLS handshake with the proxy. The result hides that it is a
// *tls.Conn: this TLS ends at the proxy, and callers would take it for the target's.
func (g *dialing) secureProxy(ctx context.Context, conn net.Conn) (net.Conn, error) {
	cfg := &tls.Config{}
	if g.ProxyTLS != nil {
		cfg = g.ProxyTLS.Clone()
	}
	if cfg.InsecureSkipVerify {
		return conn, errSkipVerify
	}
	cfg.ServerName = cmp.Or(cfg.ServerName, g.proxy.name)
	cfg.NextProtos = []string{"http/1.1"}
	tc := tls.Client(conn, cfg)
	if err := tc.HandshakeContext(ctx); err != nil {
		return conn, err
	}
	return proxyConn{tc, tc}, nil
}

// A proxyConn is a tunnel within TLS to a proxy.
type proxyConn struct {
	net.Conn
	tls interface{ CloseWrite() error }
}

// CloseWrite ends what is sent, and leaves what is received open.
func (c proxyConn) CloseWrite() error { return c.tls.CloseWrite() }

// connectMethod asks an HTTP proxy for the tunnel.
// https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6
func (g *dialing) connectMethod(ctx context.Context, conn net.Conn) error {
	request := fmt.Appendf(nil, "CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\n", g.target.String())
	if u := g.proxy.user; u != nil {
		password, _ := u.Password()
		credentials := base64.StdEncoding.EncodeToString([]byte(u.Username() + ":" + password))
		request = fmt.Appendf(request, "Proxy-Authorization: Basic %s\r\n", credentials)
	}
	request = append(request, "\r\n"...)
	var head []byte
	err := interruptible(ctx, conn, func() (err error) {
		if _, err = conn.Write(request); err == nil {
			head, err = readHead(conn)
		}
		return err
	})
	if err != nil {
		return err
	}
	response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), &http.Request{Method: http.MethodConnect})
	if err != nil || response.ProtoMajor != 1 {
		return errNotHTTP
	}
	_ = response.Body.Close() // a success has none, and of a refusal it is of no use
	if response.StatusCode != http.StatusOK {
		return &statusError{response.StatusCode, g.proxy.user != nil}
	}
	return nil
}

var (
	errNotHTTP   = errors.New("the answer to CONNECT is not a response of HTTP/1")
	errHeadLimit = fmt.Errorf("the head of the response is over %d bytes or %d fields", headLimit, fieldLimit)
)

// A statusError is a response of a proxy that opens no tunnel.
type statusError struct {
	status int
	sent   bool // credentials were
}

func (e *statusError) Error() string {
	s := fmt.Sprintf("CONNECT was answered with status %d", e.status)
	if text := http.StatusText(e.status); text != "" {
		s += " " + text
	}
	switch {
	case e.status != http.StatusProxyAuthRequired:
	case e.sent:
		s += ": the user name and password in the proxy's URL were not accepted"
	default:
		s += ": put user:password@ into the proxy's URL"
	}
	return s
}

// readHead reads the head of a response and nothing after it: what follows belongs to
// the target, whose connection is then conn itself and needs no buffer before it. That
// is a read for each byte, once per tunnel. The proxy can forge no part of TLS by
// sending something early, because TLS takes it for records.
func readHead(conn net.Conn) ([]byte, error) {
	head := make([]byte, 0, 256)
	for fields, line := -1, 0; ; { // the status line is no field
		if len(head) == headLimit || fields > fieldLimit {
			return nil, errHeadLimit
		}
		head = append(head, 0)
		n, err := conn.Read(head[len(head)-1:])
		if n == 0 {
			head = head[:len(head)-1]
			if err != nil {
				return nil, err
			}
			continue
		}
		if head[len(head)-1] != '\n' {
			continue
		}
		if len(bytes.TrimSuffix(head[line:], []byte("\r\n"))) == 0 || len(head)-line == 1 {
			return head, nil
		}
		line = len(head)
		fields++
	}
}

// socksRace has the proxy connect to addrs, and returns the first tunnel. conn is
// connected to the proxy, and later attempts connect to the same address. conn is
// closed unless it is returned.
func (g *dialing) socksRace(ctx context.Context, conn net.Conn, addrs []netip.AddrPort) (net.Conn, error) {
	server := conn.RemoteAddr().(*net.TCPAddr).AddrPort() // connectAddr returns no others
	tunnels := make([]net.Conn, len(addrs))
	tunnel, errs := race(ctx, len(addrs), proxyAttemptDelay, func(ctx context.Context, i int) (net.Conn, error) {
		conn := conn
		if i > 0 {
			var err error
			if conn, err = g.connectAddr(ctx, &g.proxy.endpoint, server); err != nil {
				return nil, err
			}
		}
		if err := g.socks(ctx, conn, addrs[i].String()); err != nil {
			_ = conn.Close()
			return nil, err
		}
		tunnels[i] = conn
		return conn, nil
	})
	if tunnel == nil {
		return nil, attemptsError(&g.target, addrs, errs)
	}
	g.route.Target = addrs[slices.Index(tunnels, tunnel)].Addr()
	return tunnel, nil
}

// socks asks a SOCKS5 proxy to connect to address. RFC 1928.
func (g *dialing) socks(ctx context.Context, conn net.Conn, address string) error {
	var auth *proxy.Auth
	if u := g.proxy.user; u != nil {
		password, _ := u.Password()
		auth = &proxy.Auth{User: u.Username(), Password: password}
	}
	d, err := proxy.SOCKS5("tcp", g.proxy.endpoint.String(), auth, connected{conn})
	if err != nil {
		return err
	}
	// What it returns is conn with a method for the address that the proxy says it is
	// bound to. Callers want conn itself, and nobody trusts that address.
	_, err = d.(proxy.ContextDialer).DialContext(ctx, "tcp", address)
	switch {
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded): // ctx's, which package proxy sets on conn
		return context.DeadlineExceeded
	}
	return err
}

// connected is a proxy.ContextDialer that has dialled.
type connected struct{ net.Conn }

func (c connected) Dial(string, string) (net.Conn, error) { return c.Conn, nil }

func (c connected) DialContext(context.Context, string, string) (net.Conn, error) {
	return c.Conn, nil
}

// interruptible calls f, whose reads and writes of conn fail once ctx is done; conn
// is of no use then.
func interruptible(ctx context.Context, conn net.Conn, f func() error) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err := f()
	if !stop() {
		return ctx.Err()
	}
	return err
}
