package host_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/host/dialer"
)

// proxySchemes are the kinds of proxy.
var proxySchemes = []string{"http", "https", "socks5", "socks5h"}

// proxies returns a proxy of each kind, and the TLS of those who use the https one.
func proxies(t *testing.T) (map[string]*testProxy, *tls.Config) {
	ca := newAuthority(t)
	cert := ca.issue(t, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	all := map[string]*testProxy{}
	for _, scheme := range proxySchemes {
		var cfg *tls.Config
		if scheme == "https" {
			cfg = &tls.Config{Certificates: []tls.Certificate{cert}}
		}
		all[scheme] = newProxy(t, scheme, cfg)
	}
	return all, &tls.Config{RootCAs: ca.pool()}
}

// through sets the proxy of o.
func through(o *host.DialOptions, p *testProxy, trust *tls.Config) {
	o.Proxy, o.ProxyTLS = dialer.ProxyURL(p.via()), trust
}

// TestProxied has every carrier through every kind of proxy. The proxy is asked for the
// target, with credentials that the target does not see, and of wss it sees no plain text.
func TestProxied(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1})
	all, trust := proxies(t)
	for _, c := range carriers {
		for _, scheme := range proxySchemes {
			t.Run(c.name+"/"+scheme, func(t *testing.T) {
				r := newRedirector(h, 0)
				target, o := c.serve(t, r)
				p := all[scheme]
				through(o, p, trust)
				_, port, _ := net.SplitHostPort(hostPort(t, target))
				target = "ws" + map[bool]string{true: "s"}[o.TLS != nil] + "://example.com:" + port + "/"
				o.Resolver = names{"example.com": {"127.0.0.1"}}
				o.Grant = newGrant(t, "example.com,127.0.0.1", nil)
				conns := dialAll(t, h, target, o, 3)
				wantEchoes(t, "they work", conns...)
				for _, conn := range conns {
					if conn.HTTPVersion() != c.version {
						t.Errorf("it is over %v, want %v", conn.HTTPVersion(), c.version)
					}
				}
				if n := o.Grant.Usage().Connections; n != 3 {
					t.Errorf("%d count, want 3", n)
				}
				for _, conn := range conns {
					if err := conn.Close(normal, ""); err != nil {
						t.Error(err)
					}
				}
				wantUnused(t, o.Grant, "nothing counts")

				request := "CONNECT example.com:" + port + " Basic dXNlcjpwcm94eS1zZWNyZXQ="
				switch scheme {
				case "socks5":
					request = "SOCKS 127.0.0.1:" + port + " user:proxy-secret"
				case "socks5h":
					request = "SOCKS example.com:" + port + " user:proxy-secret"
				}
				want := strings.Repeat(" | "+request, 3)[3:]
				if c.version == host.HTTP2 {
					want = request
				}
				asked, passed := p.take()
				if asked != want {
					t.Errorf("the proxy is asked for the target\n got %s\nwant %s", asked, want)
				}
				plain := strings.Contains(passed, "GET /") || strings.Contains(passed, "PRI * HTTP/2.0") || strings.Contains(passed, "message of")
				if plain != (o.TLS == nil) {
					t.Errorf("what the proxy can read of %s: %v", c.name, plain)
				}
				for _, q := range r.requests {
					for name, values := range q.Header {
						if strings.HasPrefix(name, "Proxy") || strings.Contains(fmt.Sprint(values), "dXNlcjpwcm94eS1zZWNyZXQ=") {
							t.Errorf("the target sees %s: %v", name, values)
						}
					}
				}
				if strings.Contains(passed, "Proxy-") || strings.Contains(passed, "dXNlcjpw") || strings.Contains(passed, "proxy-secret") {
					t.Errorf("the credentials go to the target: %.300q", passed)
				}
			})
		}
	}
}

// TestProxiedPermissions has a grant of the target and not of its proxy, and the other
// way round: nobody is asked. A revocation of either closes what is open.
func TestProxiedPermissions(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1})
	all, trust := proxies(t)
	for _, c := range carriers {
		target, base := c.serve(t, h.Handler(nil, &host.AcceptOptions{Events: echo{}}))
		for _, scheme := range proxySchemes {
			t.Run(c.name+"/"+scheme, func(t *testing.T) {
				p := all[scheme]
				o := *base
				through(&o, p, trust)
				proxy, to := p.l.Addr().String(), hostPort(t, target)
				for _, allow := range []string{proxy, to, ""} {
					missing := map[string]string{proxy: to, to: proxy, "": to}[allow]
					o.Grant = newGrant(t, allow, nil)
					var pe *host.PermissionError
					if _, _, err := h.Dial(newContext(t), target, &o); !errors.As(err, &pe) || !strings.Contains(err.Error(), "needs --allow-net="+missing) {
						t.Errorf("only %q is allowed: got %T %v, want what needs %s", allow, err, err, missing)
					}
					wantUnused(t, o.Grant, "it does not count")
				}
				if asked, _ := p.take(); asked != "" {
					t.Errorf("the proxy was asked: %s", asked)
				}
				for _, left := range []string{proxy, to} {
					o.Grant = newGrant(t, proxy+","+to, nil)
					conn := dialAll(t, h, target, &o, 1)[0]
					o.Grant.SetList(newList(t, left, ""))
					_, _, err := conn.Read(newContext(t))
					var ce *host.CloseError
					_ = errors.As(err, &ce)
					wantRevoked(t, "only "+left+" is left", ce)
					var pe *host.PermissionError
					if _, _, err := h.Dial(newContext(t), target, &o); !errors.As(err, &pe) {
						t.Errorf("what is pooled is not used again: got %T %v", err, err)
					}
					wantUnused(t, o.Grant, "it is over")
				}
				_, _ = p.take()
			})
		}
	}
	wantNothingOpen(t, h)
}

// TestProxiedSharing has sockets of one origin through different proxies, through one
// as different users, and through none: each way has its own HTTP/2 connection.
func TestProxiedSharing(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1})
	all, trust := proxies(t)
	s := newCountedServer(t, h.Handler(nil, &host.AcceptOptions{Events: echo{}}), 250)
	made := int64(0)
	ways := []*url.URL{nil}
	for _, scheme := range proxySchemes {
		ways = append(ways, all[scheme].via())
	}
	other := *all["http"].via()
	other.User = url.UserPassword("other", "secret")
	for _, u := range append(ways, &other) {
		o := &host.DialOptions{TLS: s.trust, Proxy: dialer.ProxyURL(u), ProxyTLS: trust}
		wantEchoes(t, "three sockets", dialAll(t, h, s.URL, o, 3)...)
		made++
		s.wantMade(t, "each way has a connection, which those that go it share", made)
	}
}

// TestProxiedErrors has proxies that refuse, are not there, or are not to be had.
func TestProxiedErrors(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1})
	all, _ := proxies(t)
	refusal := errors.New("no proxy today")
	for _, k := range dialKinds {
		for _, x := range []struct {
			name  string
			proxy host.ProxyFunc
			step  string
			want  string
		}{
			{"no function", func(dialer.Target) (*url.URL, error) { return nil, refusal }, "proxy", "no proxy today"},
			{"another scheme", dialer.ProxyURL(&url.URL{Scheme: "ftp", Host: "127.0.0.1"}), "proxy", "not the URL of a proxy"},
			{"not there", dialer.ProxyURL(&url.URL{Scheme: "http", Host: "127.0.0.1:1"}), "connect", "refused"},
			{"refuses", dialer.ProxyURL(all["http"].via()), "proxy", "502"},
			{"does not trust", dialer.ProxyURL(all["https"].via()), "proxy", "unknown authority"},
		} {
			o := &host.DialOptions{Proxy: x.proxy, HTTPVersion: k.version, Grant: newGrant(t, "127.0.0.1", nil)}
			_, _, err := h.Dial(newContext(t), fmt.Sprintf(k.url, "127.0.0.1:1"), o)
			var de *host.DialError
			if !errors.As(err, &de) || de.Step != x.step || de.Target != "127.0.0.1:1" || !strings.Contains(err.Error(), x.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s/%s: got %T %v, want %q with %q", k.name, x.name, err, err, x.step, x.want)
			}
			wantUnused(t, o.Grant, x.name)
		}
	}
	wantNothingOpen(t, h)
}
