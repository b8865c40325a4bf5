package host_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/host/permission"
)

// A redirector answers requests: at /to/… with a redirect to what a test says, and
// elsewhere with a WebSocket. It keeps the requests.
type redirector struct {
	mu       sync.Mutex
	status   int
	location []string
	times    int // so many redirects, then sockets
	requests []*http.Request
	sockets  http.Handler
}

func newRedirector(h *host.Host, times int, location ...string) *redirector {
	return &redirector{status: http.StatusFound, times: times, location: location,
		sockets: h.Handler(nil, &host.AcceptOptions{Events: echo{}})}
}

func (r *redirector) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	r.requests = append(r.requests, q)
	redirects := len(r.requests) <= r.times
	r.mu.Unlock()
	if !redirects {
		r.sockets.ServeHTTP(w, q)
		return
	}
	w.Header()["Location"] = r.location
	w.WriteHeader(r.status)
}

// wantRequests checks how many requests came, and returns the last.
func (r *redirector) wantRequests(t *testing.T, sentence string, want int) *http.Request {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.requests) != want {
		t.Errorf("%s: %d requests came, want %d", sentence, len(r.requests), want)
	}
	if len(r.requests) == 0 {
		return nil
	}
	return r.requests[len(r.requests)-1]
}

// TestRedirectsAreNotFollowed has a redirect that nobody asked to follow: the error has
// the status, the response has the Location.
func TestRedirectsAreNotFollowed(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1})
	for _, c := range carriers {
		t.Run(c.name, func(t *testing.T) {
			r := newRedirector(h, 9, "/elsewhere")
			url, o := c.serve(t, r)
			conn, resp, err := h.Dial(newContext(t), url, o)
			var he *host.HandshakeError
			if conn != nil || !errors.As(err, &he) || he.Status != 302 || !strings.Contains(err.Error(), "302") {
				t.Errorf("got %v, %v, want a *HandshakeError with the status", conn, err)
			}
			if resp == nil || resp.StatusCode != 302 || resp.Header.Get("Location") != "/elsewhere" {
				t.Errorf("the response has the Location: got %+v", resp)
			}
			r.wantRequests(t, "it is not followed", 1)
			if _, _, err := h.Dial(newContext(t), url, &host.DialOptions{Redirects: -1}); !errors.As(err, new(*host.ArgumentError)) {
				t.Errorf("a negative number means nothing: got %T %v", err, err)
			}
		})
	}
	wantNothingOpen(t, h)
}

// TestRedirectLimit has as many redirects as are followed, and one more, with each
// status.
func TestRedirectLimit(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1})
	for _, c := range carriers {
		for _, status := range []int{301, 302, 303, 307, 308, 300, 304, 305, 399} {
			t.Run(fmt.Sprint(c.name, "/", status), func(t *testing.T) {
				for _, times := range []int{1, 2, 3} {
					r := newRedirector(h, times, "/next?q=1#fragment")
					r.status = status
					url, o := c.serve(t, r)
					o.Redirects = 2
					o.Grant = newGrant(t, "127.0.0.1", nil)
					conn, resp, err := h.Dial(newContext(t), url+"/first", o)
					if status == 300 || status == 304 || status == 305 || status == 399 {
						var he *host.HandshakeError
						if !errors.As(err, &he) || he.Status != status {
							t.Errorf("%d is not to be followed: got %v", status, err)
						}
						r.wantRequests(t, "it is not followed", 1)
						continue
					}
					if times > 2 {
						var he *host.HandshakeError
						if !errors.As(err, &he) || he.Status != status || resp == nil || resp.StatusCode != status {
							t.Errorf("the third is not followed: got %v, %v", resp, err)
						}
						r.wantRequests(t, "two were", 3)
					} else if err != nil {
						t.Errorf("%d are followed: %v", times, err)
					} else {
						if q := r.wantRequests(t, "each is followed", times+1); q.RequestURI != "/next?q=1" {
							t.Errorf("the request is for %q", q.RequestURI)
						}
						wantEchoes(t, "the socket works", conn)
						_ = conn.CloseNow()
					}
					wantUnused(t, o.Grant, "nothing counts")
				}
			})
		}
	}
	wantNothingOpen(t, h)
}

// TestRedirectLocations has what a server may write into Location.
func TestRedirectLocations(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1})
	refused := newRawServer(t)
	for _, c := range carriers {
		secure := strings.HasPrefix(c.name, "wss")
		for _, x := range []struct {
			name     string
			location []string
			want     string // the path that is requested in the end, or what the error says
		}{
			{"absolute path", []string{"/a/b"}, "/a/b"},
			{"relative path", []string{"b"}, "/dir/b"},
			{"parent", []string{"../b"}, "/b"},
			{"query only", []string{"?x"}, "/dir/first?x"},
			{"fragment only", []string{"#x"}, "/dir/first"},
			{"empty", []string{""}, "/dir/first"},
			{"http scheme", []string{"HTTP"}, "/h"},
			{"ws scheme", []string{"WS"}, "/w"},
			{"authority only", []string{"//AUTHORITY/n"}, "/n"},
			{"back slashes are no authority", []string{`/\evil.example/n`}, "/%5Cevil.example/n"},
			{"none", nil, "one Location"},
			{"twice", []string{"/a", "/a"}, "one Location"},
			{"javascript", []string{"javascript:alert(1)"}, "is a URL"},
			{"data", []string{"data:,x"}, "is a URL"},
			{"file", []string{"file:///etc/passwd"}, "is a URL"},
			{"ftp", []string{"ftp://127.0.0.1/"}, "ws, wss, http or https"},
			{"garbage", []string{"http://[::1"}, "is a URL"},
			{"no host", []string{"http:///x"}, "is a URL"},
			{"space in the host", []string{"http://a b/"}, "is a URL"},
		} {
			t.Run(c.name+"/"+x.name, func(t *testing.T) {
				r := newRedirector(h, 1)
				url, o := c.serve(t, r)
				o.Redirects = 3
				var location []string
				for _, l := range x.location {
					switch l {
					case "HTTP":
						l = "http" + map[bool]string{true: "s"}[secure] + "://" + hostPort(t, url) + "/h"
					case "WS":
						l = "ws" + map[bool]string{true: "s"}[secure] + "://" + hostPort(t, url) + "/w"
					}
					location = append(location, strings.Replace(l, "AUTHORITY", hostPort(t, url), 1))
				}
				r.location = location
				conn, resp, err := h.Dial(newContext(t), url+"/dir/first", o)
				if strings.HasPrefix(x.want, "/") {
					if err != nil {
						t.Fatal(err)
					}
					if q := r.wantRequests(t, "it is followed", 2); q.RequestURI != x.want {
						t.Errorf("got %q, want %q", q.RequestURI, x.want)
					}
					wantEchoes(t, "the socket works", conn)
					_ = conn.CloseNow()
					return
				}
				var he *host.HandshakeError
				if !errors.As(err, &he) || he.Field != "Location" || he.Status != 302 || !strings.Contains(err.Error(), x.want) || resp == nil {
					t.Errorf("got %T %v, want %q", err, err, x.want)
				}
				r.wantRequests(t, "it is not followed", 1)
			})
		}
		t.Run(c.name+"/a target that is not allowed", func(t *testing.T) {
			for _, scheme := range []string{"http", "https"} {
				r := newRedirector(h, 1, scheme+"://"+refused.l.Addr().String()+"/")
				url, o := c.serve(t, r)
				o.Redirects, o.Grant = 1, newGrant(t, hostPort(t, url), nil)
				_, _, err := h.Dial(newContext(t), url, o)
				var pe *host.PermissionError
				switch {
				case secure && scheme == "http":
					if !strings.Contains(fmt.Sprint(err), "from wss to ws") {
						t.Errorf("wss never falls to ws: got %v", err)
					}
				case !errors.As(err, &pe):
					t.Errorf("got %T %v, want a *PermissionError", err, err)
				}
				wantUnused(t, o.Grant, "nothing counts")
			}
		})
		t.Run(c.name+"/downgrade to itself", func(t *testing.T) {
			r := newRedirector(h, 1)
			url, o := c.serve(t, r)
			r.location = []string{"ws://" + hostPort(t, url) + "/"}
			o.Redirects = 1
			if _, _, err := h.Dial(newContext(t), url, o); secure != strings.Contains(fmt.Sprint(err), "from wss to ws") {
				t.Errorf("got %v", err)
			}
		})
	}
	_ = refused.l.(*net.TCPListener).SetDeadline(soon())
	if nc, err := refused.l.Accept(); err == nil {
		t.Errorf("somebody connected: %v", nc.RemoteAddr())
	}
}

// TestRedirectWithNewLines has a Location that would end its field: over HTTP/1.1 it
// does, over HTTP/2 the response is malformed. Nothing of it is followed.
func TestRedirectWithNewLines(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1})
	s := newRawServer(t)
	d := startDial(t, newContext(t), h, s.url, &host.DialOptions{Redirects: 1})
	p, _ := s.accept()
	p.say("HTTP/1.1 302 Found\r\nLocation: /a\r\nX: b\r\nLocation: /b\r\n\r\n")
	d.wantError("two lines are two fields", "one Location")
	_ = p.Close()
	s2 := newHTTP2RawServer(t, "h2")
	o := s2.options()
	o.Redirects = 1
	d = startDial(t, newContext(t), h, s2.url, o)
	st := s2.accept("the client comes").wantRequest("it asks")
	st.head(true, ":status", "302", "location", "/a\r\nx: y")
	d.wantError("a field with a new line is malformed")
	s2.wantNoMore("it is not followed")
}

// A credential is what a request showed of the client.
type credential struct{ authorization, cookie, other, certificate string }

// TestRedirectCredentials has a redirect within an origin, which keeps the fields,
// URL credentials and client certificate, and ones that leave it, which lose them.
func TestRedirectCredentials(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1})
	ca := newAuthority(t)
	server := ca.issue(t, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"victim.test"}})
	client := ca.issue(t, &x509.Certificate{Subject: certName("me"), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	key := [32]byte{1} // the servers share sessions
	serve := func(t *testing.T, r *redirector, http2 bool) string {
		s := httptest.NewUnstartedServer(r)
		s.EnableHTTP2 = http2
		s.TLS = &tls.Config{Certificates: []tls.Certificate{server}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: ca.pool()}
		s.TLS.SetSessionTicketKeys([][32]byte{key})
		s.StartTLS()
		t.Cleanup(func() { closeServer(s) })
		return s.Listener.Addr().String()
	}
	shown := func(q *http.Request) (c credential) {
		c = credential{q.Header.Get("Authorization"), q.Header.Get("Cookie"), q.Header.Get("X-Token"), ""}
		if q.TLS != nil && len(q.TLS.PeerCertificates) > 0 {
			c.certificate = q.TLS.PeerCertificates[0].Subject.CommonName
		}
		return c
	}
	full := credential{"Basic secret", "secret", "secret", "me"}
	for _, http2 := range []bool{false, true} {
		for _, cached := range []bool{false, true} {
			for _, across := range []bool{false, true} {
				t.Run(fmt.Sprintf("http2=%v/sessions=%v/across=%v", http2, cached, across), func(t *testing.T) {
					first, second := newRedirector(h, 1), newRedirector(h, 0)
					from, to := serve(t, first, http2), serve(t, second, http2)
					last := second
					first.location = []string{"https://user:pass@" + to + "/"}
					want := credential{}
					if !across {
						first.location, want, last = []string{"https://user:pass@" + from + "/next"}, full, first
					}
					o := &host.DialOptions{Redirects: 1, TLS: &tls.Config{RootCAs: ca.pool(), Certificates: []tls.Certificate{client}},
						Header: http.Header{"Authorization": {"Basic secret"}, "Cookie": {"secret"}, "X-Token": {"secret"}},
						Grant:  newGrant(t, "127.0.0.1", &permission.GrantOptions{})}
					if cached {
						o.TLS.ClientSessionCache = tls.NewLRUClientSessionCache(8)
					}
					conn, _, err := h.Dial(newContext(t), "wss://"+from+"/", o)
					if err != nil {
						t.Fatal(err)
					}
					_ = conn.CloseNow()
					if got := shown(first.requests[0]); got != full {
						t.Errorf("the first origin is shown all of them: got %+v", got)
					}
					if got := shown(last.requests[len(last.requests)-1]); got != want {
						t.Errorf("the next one is shown what belongs to it\n got %+v\nwant %+v", got, want)
					}
				})
			}
		}
	}
	wantNothingOpen(t, h)
}

// TestRedirectOrigins has hosts that look like the first one and are others.
func TestRedirectOrigins(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1})
	r := newRedirector(h, 1)
	s := httptest.NewServer(r)
	defer s.Close()
	_, port, _ := net.SplitHostPort(hostPort(t, s.URL))
	for _, x := range []struct {
		location string
		keeps    bool
	}{
		{"ws://victim.test:PORT/", true},
		{"http://VICTIM.test:PORT/", true},
		{"http://user:other@victim.test:PORT/", true},
		{"http://victim.test.:PORT/", false},
		{"http://vict%C4%B0m.test:PORT/", false}, // İ, whose lower case in Unicode begins with i: its A-label is another
		{"http://evil.test:PORT/", false},
		{"http://victim.test@evil.test:PORT/", false},
		{"//evil.test:PORT/", false},
	} {
		r.mu.Lock()
		r.requests, r.location = nil, []string{strings.ReplaceAll(x.location, "PORT", port)}
		r.mu.Unlock()
		o := &host.DialOptions{Redirects: 1, Header: http.Header{"Cookie": {"secret"}}, Resolver: everywhere{}}
		conn, _, err := h.Dial(newContext(t), "ws://me:mine@victim.test:"+port+"/", o)
		if err != nil {
			t.Errorf("%s: %v", x.location, err)
			continue
		}
		_ = conn.CloseNow()
		q := r.wantRequests(t, x.location, 2)
		want := [2]string{}
		if x.keeps {
			want = [2]string{"Basic bWU6bWluZQ==", "secret"}
		}
		if got := [2]string{q.Header.Get("Authorization"), q.Header.Get("Cookie")}; got != want {
			t.Errorf("%s, which is requested of %s, is shown %q, want %q", x.location, q.Host, got, want)
		}
	}
}

// everywhere is a Resolver for which every name is this machine.
type everywhere struct{}

func (everywhere) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}, ctx.Err()
}

func certName(name string) pkix.Name { return pkix.Name{CommonName: name} }
