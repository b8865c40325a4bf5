package host_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/wasock/wasock/host"
)

// An http2RawServer is a listener whose connections are http2Peers.
type http2RawServer struct {
	t       *testing.T
	l       *net.TCPListener
	url     string
	address string
	secure  *tls.Config // nil: plain TCP
	trust   *tls.Config // a client's

	welcomes bool // every request is answered with 200

	mu      sync.Mutex
	offered []string // the ALPN protocols of each client, joined
}

// newHTTP2RawServer listens: with TLS and a choice among protocols, or without if
// there are none.
func newHTTP2RawServer(t *testing.T, protocols ...string) *http2RawServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	s := &http2RawServer{t: t, l: l.(*net.TCPListener), address: l.Addr().String(), url: "ws://" + l.Addr().String() + "/"}
	if len(protocols) == 0 {
		return s
	}
	ca := newAuthority(t)
	s.url = "wss://" + s.address + "/"
	s.trust = &tls.Config{RootCAs: ca.pool()}
	s.secure = &tls.Config{
		Certificates: []tls.Certificate{ca.issue(t, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"}})},
		NextProtos:   protocols,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.offered = append(s.offered, strings.Join(hello.SupportedProtos, " "))
			return nil, nil
		},
	}
	return s
}

// options are what a client dials s with.
func (s *http2RawServer) options() *host.DialOptions {
	if s.secure == nil {
		return &host.DialOptions{HTTPVersion: host.HTTP2}
	}
	return &host.DialOptions{TLS: s.trust}
}

// connection waits for a client, and for the TLS handshake where there is one.
func (s *http2RawServer) connection(sentence string) net.Conn {
	s.t.Helper()
	_ = s.l.SetDeadline(time.Now().Add(patience))
	nc, err := s.l.Accept()
	if err != nil {
		s.t.Fatalf("%s: %v", sentence, err)
	}
	if s.secure == nil {
		return nc
	}
	tc := tls.Server(nc, s.secure)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := tc.HandshakeContext(ctx); err != nil {
		_ = nc.Close()
		s.t.Logf("%s: %v", sentence, err) // the client's end is the story's
	}
	return tc
}

// accept waits for a client over HTTP/2, and says SETTINGS that allow Extended
// CONNECT.
func (s *http2RawServer) accept(sentence string, settings ...http2.Setting) *http2Peer {
	s.t.Helper()
	p := newHTTP2Peer(s.t, s.connection(sentence), false)
	p.mu.Lock()
	p.welcomes = s.welcomes
	p.mu.Unlock()
	p.settings(append([]http2.Setting{extendedConnect}, settings...)...)
	return p
}

// acceptUpgrade waits for a client over HTTP/1.1, and opens its WebSocket.
func (s *http2RawServer) acceptUpgrade(sentence string) *rawPeer {
	s.t.Helper()
	p := newRawPeer(s.t, s.connection(sentence), false)
	r, err := http.ReadRequest(p.r)
	if err != nil {
		s.t.Fatalf("%s: %v", sentence, err)
	}
	p.open(r.Header.Get("Sec-WebSocket-Key"))
	return p
}

// wantOffers checks what the clients so far offered by ALPN.
func (s *http2RawServer) wantOffers(sentence string, offers ...string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if got, want := strings.Join(s.offered, ", "), strings.Join(offers, ", "); got != want {
		s.t.Fatalf("%s: clients offered %q, want %q", sentence, got, want)
	}
}

// wantNoMore checks that nobody connects any more.
func (s *http2RawServer) wantNoMore(sentence string) {
	s.t.Helper()
	_ = s.l.SetDeadline(soon())
	if nc, err := s.l.Accept(); err == nil {
		_ = nc.Close()
		s.t.Fatalf("%s: %v connected", sentence, nc.RemoteAddr())
	}
}

// wantRequest waits for the next stream that the host opens.
func (p *http2Peer) wantRequest(sentence string) (s *http2PeerStream) {
	p.t.Helper()
	p.wait(sentence, func() bool { return len(p.requests) > 0 && len(p.requests[0].fields) > 0 })
	p.mu.Lock()
	defer p.mu.Unlock()
	s, p.requests = p.requests[0], p.requests[1:]
	if s.fields[":method"] != "CONNECT" || s.fields[":protocol"] != "websocket" {
		p.t.Fatalf("%s: got %v", sentence, s.fields)
	}
	return s
}

// wantNoRequest checks that the host has opened no other stream.
func (p *http2Peer) wantNoRequest(sentence string) {
	p.t.Helper()
	p.mu.Lock()
	n := len(p.requests)
	p.mu.Unlock()
	if n > 0 {
		p.fail(sentence, "got %d", n)
	}
}

// request says an Extended CONNECT, with fields beside and instead of the usual.
// One whose value is "-" is left out.
func (p *http2Peer) request(fields ...string) *http2PeerStream {
	p.t.Helper()
	usual := []string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":path", "/", ":authority", "127.0.0.1",
		"sec-websocket-version", "13"}
	said := map[string]bool{}
	for i := 0; i < len(fields); i += 2 {
		said[fields[i]] = true
	}
	var all, rest []string
	for i := 0; i < len(usual); i += 2 {
		if name := usual[i]; !said[name] {
			all = append(all, name, usual[i+1])
		}
	}
	for i := 0; i < len(fields); i += 2 {
		switch name, value := fields[i], fields[i+1]; {
		case value == "-":
		case name[0] == ':':
			all = append([]string{name, value}, all...)
		default:
			rest = append(rest, name, value)
		}
	}
	p.mu.Lock()
	s := p.stream(p.next)
	p.next += 2
	p.mu.Unlock()
	s.head(false, append(all, rest...)...)
	return s
}

// dialHTTP2Peer connects a raw client with a server.
func dialHTTP2Peer(t *testing.T, s *httptest.Server) *http2Peer {
	t.Helper()
	ctx, address := newContext(t), s.Listener.Addr().String()
	var nc net.Conn
	var err error
	if s.TLS != nil {
		config := trusting(s)
		config.NextProtos = []string{"h2"}
		nc, err = (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
	} else {
		nc, err = (&net.Dialer{}).DialContext(ctx, "tcp", address)
	}
	if err != nil {
		t.Fatal(err)
	}
	p := newHTTP2Peer(t, nc, true)
	p.settings()
	p.wait("the server says SETTINGS", func() bool { return p.settled })
	return p
}

// A dialing is a Dial that is under way.
type dialing struct {
	t    *testing.T
	done chan struct{}
	conn *host.Conn
	resp *http.Response
	err  error
}

// startDial dials meanwhile.
func startDial(t *testing.T, ctx context.Context, h *host.Host, url string, o *host.DialOptions) *dialing {
	d := &dialing{t: t, done: make(chan struct{})}
	go func() {
		defer close(d.done)
		d.conn, d.resp, d.err = h.Dial(ctx, url, o)
	}()
	return d
}

// wantOpen waits for the connection.
func (d *dialing) wantOpen(sentence string, version host.HTTPVersion) *host.Conn {
	d.t.Helper()
	d.wait(sentence)
	if d.err != nil || d.conn.HTTPVersion() != version {
		d.t.Fatalf("%s: got %v, %v, want %v", sentence, d.conn, d.err, version)
	}
	return d.conn
}

// wantError waits for an error that says words.
func (d *dialing) wantError(sentence string, words ...string) error {
	d.t.Helper()
	d.wait(sentence)
	if d.err == nil || d.conn != nil {
		d.t.Fatalf("%s: got %v, %v, want an error", sentence, d.conn, d.err)
	}
	for _, w := range words {
		if !strings.Contains(d.err.Error(), w) {
			d.t.Fatalf("%s: got %q, want %q in it", sentence, d.err, w)
		}
	}
	return d.err
}

func (d *dialing) wait(sentence string) {
	d.t.Helper()
	select {
	case <-d.done:
	case <-time.After(patience):
		d.t.Fatalf("%s: Dial does not return", sentence)
	}
}

// leavesNothing checks after a test, and all that it cleans up, that no goroutine
// and no descriptor is left.
func leavesNothing(t *testing.T) {
	before := measure()
	t.Cleanup(func() { wantFootprint(t, before) })
}

// wantEcho sends a message to a peer that sends it back.
func wantEcho(t *testing.T, sentence string, c *host.Conn, p *rawPeer) {
	t.Helper()
	ctx := newContext(t)
	if err := c.Write(ctx, text, []byte("hi")); err != nil {
		t.Fatalf("%s: %v", sentence, err)
	}
	p.wantFrame(sentence, 0x81, "hi")
	p.send("81 02 6869")
	if _, m, err := c.Read(ctx); err != nil || string(m) != "hi" {
		t.Fatalf("%s: %q, %v", sentence, m, err)
	}
}

// dialHTTP2 connects a client of h with a raw server, over TLS.
func dialHTTP2(t *testing.T, h *host.Host, s style, o host.DialOptions) (*end, *http2PeerStream) {
	t.Helper()
	server := newHTTP2RawServer(t, "h2")
	e := newEnd(t, newContext(t), "client", s)
	if e.events != nil {
		o.Events = e.events
	}
	o.TLS = server.trust
	d := startDial(t, e.ctx, h, server.url, &o)
	st := server.accept("the client comes").wantRequest("it asks")
	st.head(false, ":status", "200")
	e.conn = d.wantOpen("the server accepts", host.HTTP2)
	if e.events != nil {
		e.wantEvent("the client is told that it is open", "open")
	}
	return e, st
}

// acceptHTTP2 connects a raw client with a server of h, which is net/http's over TCP.
func acceptHTTP2(t *testing.T, h *host.Host, s style, o host.AcceptOptions) (*end, *http2PeerStream) {
	t.Helper()
	e := newEnd(t, newContext(t), "server", s)
	if e.events != nil {
		o.Events = e.events
	}
	accepted := make(chan error, 1)
	server := newPlainHTTP2Server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var err error
		e.conn, err = h.Accept(w, r, &o)
		accepted <- err
		if err == nil {
			<-e.conn.Done()
		}
	}))
	st := dialHTTP2Peer(t, server).request()
	if err := <-accepted; err != nil {
		t.Fatalf("accept a raw client: %v", err)
	}
	st.wantStatus("the request is accepted", "200")
	if e.events != nil {
		e.wantEvent("the server is told that it is open", "open")
	}
	return e, st
}

// newPlainHTTP2Server serves h over HTTP/2 without TLS.
func newPlainHTTP2Server(t *testing.T, h http.Handler) *httptest.Server {
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(func() { closeServer(s) })
	return s
}

// http2Roles are roles over HTTP/2.
var http2Roles = []struct {
	name    string
	connect func(t *testing.T, h *host.Host, s style, l host.Limits) (*end, *http2PeerStream)
}{
	{"client", func(t *testing.T, h *host.Host, s style, l host.Limits) (*end, *http2PeerStream) {
		return dialHTTP2(t, h, s, host.DialOptions{Limits: l})
	}},
	{"server", func(t *testing.T, h *host.Host, s style, l host.Limits) (*end, *http2PeerStream) {
		return acceptHTTP2(t, h, s, host.AcceptOptions{Limits: l})
	}},
}
