package host_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/host/permission"
)

// TestListen has addresses that a grant allows to listen on, and ones that it does not
// or that are malformed: then nothing listens and nothing counts.
func TestListen(t *testing.T) {
	for _, x := range []struct {
		allow, deny, address string
		bound                string // the address that is listened on
		want                 string // or what the error says
		malformed            bool
	}{
		{"127.0.0.1", "", "127.0.0.1:0", "127.0.0.1", "", false},
		{"127.0.0.1:0", "", "127.0.0.1:0", "127.0.0.1", "", false},
		{"localhost", "", "localhost:0", "127.0.0.1", "", false},
		{"localhost", "", "LocalHost.:0", "127.0.0.1", "", false},
		{"127.0.0.0/8", "", "127.0.0.7:0", "127.0.0.7", "", false},
		{"[::1]", "", "[::1]:0", "::1", "", false},
		{"0.0.0.0", "", "0.0.0.0:0", "0.0.0.0", "", false},
		{"[::]", "", "[::]:0", "::", "", false},
		{"127.0.0.1", "", "[::ffff:127.0.0.1]:0", "127.0.0.1", "", false},

		{"", "", "127.0.0.1:0", "", "listen 127.0.0.1:0 is not permitted: needs --allow-net=127.0.0.1", false},
		{"127.0.0.1:80", "", "127.0.0.1:0", "", "needs --allow-net", false},
		{"127.0.0.1", "127.0.0.1:8080", "127.0.0.1:0", "", "denied by --deny-net=127.0.0.1:8080", false},
		{"127.0.0.1", "", "0.0.0.0:0", "", "needs --allow-net", false},
		{"127.0.0.1", "", "[::]:0", "", "needs --allow-net", false},
		{"127.0.0.1", "", ":0", "", "not permitted", false},
		{"127.0.0.1", "", "localhost:0", "", "needs --allow-net=localhost", false},
		{"example.com", "", "example.com:0", "", "bound to an address or to localhost", false},
		{"127.0.0.1", "", "127.1:0", "", "not permitted", false},
		{"127.0.0.1", "", "2130706433:0", "", "not permitted", false},
		{"[::1]", "", "[::1%lo]:0", "", "not permitted", false},

		{"127.0.0.1", "", "127.0.0.1", "", "a host and a port", true},
		{"127.0.0.1", "", "", "", "a host and a port", true},
		{"[::1]", "", "::1:0", "", "a host and a port", true},
		{"127.0.0.1", "", "127.0.0.1:http", "", "a number up to 65535", true},
		{"127.0.0.1", "", "127.0.0.1:65536", "", "a number up to 65535", true},
		{"127.0.0.1", "", "127.0.0.1:-1", "", "a number up to 65535", true},
		{"127.0.0.1", "", "127.0.0.1:", "", "a number up to 65535", true},
	} {
		g := permission.NewGrant(newList(t, x.allow, x.deny), nil)
		l, err := host.Listen(newContext(t), x.address, g)
		if x.want != "" {
			var pe *host.PermissionError
			var ae *host.ArgumentError
			if l != nil || err == nil || !strings.Contains(err.Error(), x.want) || errors.As(err, &ae) != x.malformed || errors.As(err, &pe) == x.malformed {
				t.Errorf("%s where %q is allowed: got %T %v, want %q", x.address, x.allow, err, err, x.want)
			}
			wantUnused(t, g, "what does not listen does not count")
			continue
		}
		if err != nil {
			t.Errorf("%s where %q is allowed: %v", x.address, x.allow, err)
			continue
		}
		if got := l.Addr().(*net.TCPAddr); got.IP.String() != x.bound || got.Port == 0 {
			t.Errorf("%s listens on %v, want %s", x.address, got, x.bound)
		}
		if g.Usage().Connections != 1 {
			t.Errorf("%s: a listener counts", x.address)
		}
		for range 2 {
			_ = l.Close()
		}
		wantUnused(t, g, "a listener that is closed does not count")
	}
	if l, err := host.Listen(newContext(t), "127.0.0.1:0", nil); l != nil || !errors.As(err, new(*host.PermissionError)) {
		t.Errorf("nothing is allowed without a grant: got %v, %v", l, err)
	}
}

// TestListenFamily has the unspecified address of one family: the other one's was not
// granted, and is not listened on.
func TestListenFamily(t *testing.T) {
	for own, other := range map[string]string{"0.0.0.0": "::1", "[::]": "127.0.0.1"} {
		l, err := host.Listen(newContext(t), own+":0", newGrant(t, own, nil))
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(l.Addr().String())
		nc, err := net.DialTimeout("tcp", net.JoinHostPort(other, port), time.Second)
		if err == nil {
			_ = nc.Close()
			t.Errorf("who may listen on %s listens on %s", own, other)
		}
		_ = l.Close()
	}
}

// TestListenFails has a port that is taken: nothing counts.
func TestListenFails(t *testing.T) {
	g := newGrant(t, "127.0.0.1", &permission.GrantOptions{Quota: permission.Quota{Connections: 1}})
	l, err := host.Listen(newContext(t), "127.0.0.1:0", g)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = host.Listen(newContext(t), "127.0.0.1:0", g)
	wantQuota(t, "a second listener is one too many", err, "Connections")
	other := newGrant(t, "127.0.0.1", nil)
	var oe *net.OpError
	if _, err := host.Listen(newContext(t), l.Addr().String(), other); !errors.As(err, &oe) {
		t.Errorf("a port that is taken is package net's error: got %T %v", err, err)
	}
	wantUnused(t, other, "what does not listen does not count")
}

// serveGranted serves h on a listener of g, as carrier's server does.
func serveGranted(t *testing.T, g *permission.Grant, accept func(l *host.Listener) http.Handler) (*host.Listener, string) {
	t.Helper()
	l, err := host.Listen(newContext(t), "127.0.0.1:0", g)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: accept(l), Protocols: new(http.Protocols)}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return l, "ws://" + l.Addr().String() + "/"
}

// TestListenerRevoked has a listener whose grant is revoked: it accepts no more, and
// what it accepted is closed with 1008, in both styles and versions of HTTP. So is what
// a quota does not allow.
func TestListenerRevoked(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1})
	for _, version := range []host.HTTPVersion{host.HTTP1, host.HTTP2} {
		for _, s := range []style{streamStyle, eventStyle} {
			t.Run(fmt.Sprint(version, "/", s), func(t *testing.T) {
				g := newGrant(t, "127.0.0.1", &permission.GrantOptions{Quota: permission.Quota{Connections: 3}})
				l, url := serveGranted(t, g, func(l *host.Listener) http.Handler {
					if s == eventStyle {
						return h.Handler(nil, &host.AcceptOptions{Listener: l, Events: echo{}})
					}
					return h.Handler(func(ctx context.Context, c *host.Conn) {
						for {
							typ, p, err := c.Read(ctx)
							if err != nil {
								var re *host.RevokedError
								if host.CloseStatus(err) != 1008 || !errors.As(err, &re) {
									t.Errorf("the handler is told: got %v", err)
								}
								return
							}
							_ = c.Write(ctx, typ, p)
						}
					}, &host.AcceptOptions{Listener: l})
				})
				o := &host.DialOptions{HTTPVersion: version}
				conns := dialAll(t, h, url, o, 2)
				wantEchoes(t, "two fit beside the listener", conns...)
				_, resp, err := h.Dial(newContext(t), url, o)
				if err == nil || resp == nil || resp.StatusCode != http.StatusServiceUnavailable {
					t.Errorf("a third is refused: got %v, %v, want 503", resp, err)
				}
				if n := g.Usage(); n.Connections != 3 || n.BytesIn == 0 || n.BytesOut == 0 {
					t.Errorf("what is open counts: got %+v", n)
				}
				g.Revoke()
				for _, c := range conns {
					_, _, err := c.Read(newContext(t))
					var ce *host.CloseError
					if !errors.As(err, &ce) || ce.Code != host.CodePolicyViolation || ce.Reason != revokedReason {
						t.Errorf("what was accepted is closed: got %v", err)
					}
				}
				wantUnused(t, g, "nothing is left")
				if nc, err := net.DialTimeout("tcp", l.Addr().String(), time.Second); err == nil {
					_ = nc.Close()
					t.Error("it listens still")
				}
				if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
					t.Errorf("Accept: got %v", err)
				}
				wantNothingOpen(t, h)
			})
		}
	}
}

// TestListenerCloses has a listener closed: what it accepted stays, until a new list
// does not allow it.
func TestListenerCloses(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1})
	g := newGrant(t, "127.0.0.1", nil)
	l, url := serveGranted(t, g, func(l *host.Listener) http.Handler {
		return h.Handler(nil, &host.AcceptOptions{Listener: l, Events: echo{}})
	})
	conns := dialAll(t, h, url, nil, 2)
	_ = l.Close()
	if n := g.Usage().Connections; n != 2 {
		t.Errorf("%d count, want 2", n)
	}
	wantEchoes(t, "what was accepted stays", conns...)
	_ = conns[0].CloseNow()
	eventually(t, "what ended does not count", func() (bool, string) { n := g.Usage().Connections; return n == 1, fmt.Sprint(n) })
	g.SetList(newList(t, "127.0.0.2", ""))
	if _, _, err := conns[1].Read(newContext(t)); host.CloseStatus(err) != 1008 {
		t.Errorf("a new list closes it: got %v", err)
	}
	wantUnused(t, g, "nothing is left")
}
