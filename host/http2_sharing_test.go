package host_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/host/permission"
)

// A countedServer is net/http's, with TLS and HTTP/2, that counts its TCP
// connections.
type countedServer struct {
	*httptest.Server
	trust       *tls.Config
	made, alive atomic.Int64
}

// newCountedServer serves h, each connection for so many streams at a time.
func newCountedServer(t *testing.T, h http.Handler, streams int) *countedServer {
	t.Helper()
	s := &countedServer{Server: httptest.NewUnstartedServer(h)}
	s.EnableHTTP2 = true
	s.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: streams}
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			s.made.Add(1)
			s.alive.Add(1)
		case http.StateClosed, http.StateHijacked: // HTTP/1.1's are taken over
			s.alive.Add(-1)
		}
	}
	s.StartTLS()
	t.Cleanup(func() { closeServer(s.Server) })
	s.trust = trusting(s.Server)
	return s
}

// wantMade checks how many connections were made.
func (s *countedServer) wantMade(t *testing.T, sentence string, want int64) {
	t.Helper()
	if got := s.made.Load(); got != want {
		t.Fatalf("%s: %d connections were made, want %d", sentence, got, want)
	}
}

// wantAlive waits until so many connections are left.
func (s *countedServer) wantAlive(t *testing.T, sentence string, want int64) {
	t.Helper()
	eventually(t, sentence, func() (bool, string) {
		got := s.alive.Load()
		return got == want, fmt.Sprintf("%d connections are left, want %d", got, want)
	})
}

// dialAll dials n sockets at a time.
func dialAll(t *testing.T, h *host.Host, url string, o *host.DialOptions, n int) []*host.Conn {
	t.Helper()
	ctx := newContext(t)
	conns := make([]*host.Conn, n)
	var wg sync.WaitGroup
	for i := range conns {
		wg.Go(func() {
			var err error
			if conns[i], _, err = h.Dial(ctx, url, o); err != nil {
				t.Errorf("socket %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return conns
}

// wantEchoes has every socket send and receive a message of its own.
func wantEchoes(t *testing.T, sentence string, conns ...*host.Conn) {
	t.Helper()
	ctx := newContext(t)
	for i, c := range conns {
		m := fmt.Sprint("message of ", i)
		if err := c.Write(ctx, text, []byte(m)); err != nil {
			t.Fatalf("%s: socket %d: %v", sentence, i, err)
		}
	}
	for i, c := range conns {
		if _, m, err := c.Read(ctx); err != nil || string(m) != fmt.Sprint("message of ", i) {
			t.Fatalf("%s: socket %d: %q, %v", sentence, i, m, err)
		}
	}
}

// TestSharedConnection has many sockets of one origin at once, which are streams of
// one TCP connection; and what has the same address but is another origin.
func TestSharedConnection(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 2})
	echoes := h.Handler(nil, &host.AcceptOptions{Events: echo{}})
	s := newCountedServer(t, echoes, 250)
	o := &host.DialOptions{TLS: s.trust}
	conns := dialAll(t, h, s.URL, o, 50)
	wantEchoes(t, "each stream has its own messages", conns...)
	s.wantMade(t, "50 sockets share a connection", 1)
	for _, c := range conns[1:] {
		if c.LocalAddr().String() != conns[0].LocalAddr().String() {
			t.Fatalf("two sockets of a connection are at %v and %v", c.LocalAddr(), conns[0].LocalAddr())
		}
	}
	wantEchoes(t, "another path is the same origin", dialAll(t, h, s.URL+"/path?query", o, 1)...)
	wantEchoes(t, "other limits and fields are too", dialAll(t, h, s.URL, &host.DialOptions{
		TLS: s.trust, HTTPVersion: host.HTTP2, Limits: host.Limits{MessageLimit: 100}, Header: http.Header{"X": {"y"}}}, 1)...)
	s.wantMade(t, "they share it", 1)

	wantEchoes(t, "the same TLS by another pointer works", dialAll(t, h, s.URL, &host.DialOptions{TLS: s.trust.Clone()}, 1)...)
	s.wantMade(t, "it does not share: who knows what is in it", 2)
	insecure := &host.DialOptions{TLS: s.trust, InsecureHosts: []string{"127.0.0.1"}}
	wantEchoes(t, "a server that is not verified works", dialAll(t, h, s.URL, insecure, 1)...)
	s.wantMade(t, "it does not share with those that verify", 3)
	wantEchoes(t, "HTTP1 works", dialAll(t, h, s.URL, &host.DialOptions{TLS: s.trust, HTTPVersion: host.HTTP1}, 2)...)
	s.wantMade(t, "HTTP/1.1 shares nothing", 5)

	other := newCountedServer(t, echoes, 250)
	wantEchoes(t, "another port works", dialAll(t, h, other.URL, &host.DialOptions{TLS: s.trust}, 1)...)
	other.wantMade(t, "another port is another origin", 1)
	stranger := newHost(t, host.Config{Instances: 1})
	wantEchoes(t, "another Host works", dialAll(t, stranger, s.URL, o, 1)...)
	s.wantMade(t, "Hosts share nothing", 6)
	s.wantAlive(t, "nothing was closed", 4)

	_ = stranger.Close()
	s.wantAlive(t, "Close ends a Host's connections", 3)
	if err := h.Shutdown(newContext(t)); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	s.wantAlive(t, "Shutdown ends a Host's connections", 0)
	other.wantAlive(t, "Shutdown ends a Host's connections", 0)
	wantNothingOpen(t, h)
}

// TestConcurrentStreams has a server that takes two streams per connection.
func TestConcurrentStreams(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	s := newCountedServer(t, h.Handler(nil, &host.AcceptOptions{Events: echo{}}), 2)
	conns := dialAll(t, h, s.URL, &host.DialOptions{TLS: s.trust}, 5)
	wantEchoes(t, "all five work", conns...)
	s.wantMade(t, "five sockets are on three connections", 3)
	for _, c := range conns {
		if err := c.Close(normal, ""); err != nil {
			t.Error(err)
		}
	}
	wantNothingOpen(t, h)
	wantEchoes(t, "what was closed makes room", dialAll(t, h, s.URL, &host.DialOptions{TLS: s.trust}, 5)...)
	s.wantMade(t, "the room is used", 3)
}

// TestSharedDialFails has many sockets wait for one connection, which fails: all are
// told, and nobody tries again.
func TestSharedDialFails(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	s := newHTTP2RawServer(t, "h2")
	impatient, cancel := context.WithCancel(newContext(t))
	first := startDial(t, impatient, h, s.url, s.options())
	nc := s.connection("the first connects")
	var others []*dialing
	for range 10 {
		others = append(others, startDial(t, newContext(t), h, s.url, s.options()))
	}
	s.wantNoMore("the others wait for it")
	cancel()
	if err := first.wantError("the first gives up"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want its context's error", err)
	}
	_ = nc.Close()
	_ = s.connection("another connects instead").Close()
	for _, d := range others {
		var de *host.DialError
		if err := d.wantError("those who waited share its failure", "connection"); !errors.As(err, &de) {
			t.Errorf("got %v, want a *DialError", err)
		}
	}
	s.wantNoMore("one failure is enough")

	others = nil
	o := s.options()
	o.Limits.TLSTimeout = 100 * time.Millisecond
	for range 10 {
		others = append(others, startDial(t, newContext(t), h, s.url, o))
	}
	for _, d := range others {
		var de *host.DialError
		if err := d.wantError("nobody answers the ClientHello"); !errors.As(err, &de) || de.Step != "TLS handshake" {
			t.Errorf("got %v, want a *DialError of the TLS handshake", err)
		}
	}
	_ = s.l.SetDeadline(soon())
	for n := 0; ; n++ {
		nc, err := s.l.Accept()
		if err != nil {
			if n > 2 { // one, and one for those who came after it
				t.Errorf("%d waited for a timeout, one after the other", n)
			}
			break
		}
		_ = nc.Close()
	}
	wantNothingOpen(t, h)
}

// TestForcedIsNotShared has one socket insist on HTTP/2, which the server has not,
// and another wait for it that does not insist: it has HTTP/1.1.
func TestForcedIsNotShared(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	s := newHTTP2RawServer(t, "h2", "http/1.1")
	o := s.options()
	o.HTTPVersion = host.HTTP2
	forced := startDial(t, newContext(t), h, s.url, o)
	nc := s.connection("the one that insists comes")
	d := startDial(t, newContext(t), h, s.url, s.options())
	s.wantNoMore("the other waits")
	newHTTP2Peer(t, nc, false).settings()
	forced.wantError("it is told", "SETTINGS_ENABLE_CONNECT_PROTOCOL")
	newHTTP2Peer(t, s.connection("the other tries as well"), false).settings()
	up := s.acceptUpgrade("and comes over HTTP/1.1")
	wantEcho(t, "the socket is open", d.wantOpen("it does not insist", host.HTTP1), up)
}

// TestIdleConnection has a connection without a socket, which is closed after
// HTTP2IdleTimeout, and one with, which is not.
func TestIdleConnection(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1, HTTP2IdleTimeout: 30 * time.Millisecond})
	echoes := h.Handler(nil, &host.AcceptOptions{Events: echo{}})
	used, idle := newCountedServer(t, echoes, 250), newCountedServer(t, echoes, 250)
	conns := dialAll(t, h, used.URL, &host.DialOptions{TLS: used.trust}, 3)
	for _, c := range conns[1:] {
		_ = c.Close(normal, "")
	}
	start := time.Now()
	_ = dialAll(t, h, idle.URL, &host.DialOptions{TLS: idle.trust}, 1)[0].Close(normal, "")
	idle.wantAlive(t, "a connection without a socket is closed", 0)
	if d := time.Since(start); d < 30*time.Millisecond {
		t.Errorf("it was closed after %v, before HTTP2IdleTimeout", d)
	}
	wantEchoes(t, "one with a socket is not", conns[0])
	used.wantMade(t, "one with a socket is not", 1)
	used.wantAlive(t, "one with a socket is not", 1)
	wantEchoes(t, "the next socket has a new connection", dialAll(t, h, idle.URL, &host.DialOptions{TLS: idle.trust}, 1)...)
	idle.wantMade(t, "the next socket has a new connection", 2)
	_ = conns[0].Close(normal, "")
	used.wantAlive(t, "it goes with its last socket", 0)
}

// TestDeadPooledConnection has a server close a connection, and one that says
// GOAWAY: the next socket has a new one.
func TestDeadPooledConnection(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	s := newHTTP2RawServer(t, "h2")
	open := func(p *http2Peer, d *dialing) (*host.Conn, *http2PeerStream) {
		st := p.wantRequest("the client asks")
		st.head(false, ":status", "200")
		c := d.wantOpen("the socket opens", host.HTTP2)
		wantEcho(t, "the socket is open", c, st.rawPeer)
		return c, st
	}
	ctx := newContext(t)
	for _, end := range []func(*http2Peer){
		func(p *http2Peer) { _ = p.nc.Close() },
		func(p *http2Peer) { _ = p.nc.(*tls.Conn).NetConn().Close() },
		func(p *http2Peer) { p.settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 31}) }, // FLOW_CONTROL_ERROR
	} {
		d := startDial(t, ctx, h, s.url, s.options())
		p := s.accept("a new connection")
		c, _ := open(p, d)
		end(p)
		if _, _, err := c.Read(ctx); host.CloseStatus(err) != 1006 {
			t.Fatalf("the socket ends with its connection: %v", err)
		}
	}
	d := startDial(t, ctx, h, s.url, s.options())
	p := s.accept("a new connection")
	c, st := open(p, d)
	p.sendGoAway(st.id, http2.ErrCodeNo)
	wantEcho(t, "the socket goes on after GOAWAY", c, st.rawPeer)
	d = startDial(t, ctx, h, s.url, s.options())
	next := s.accept("a new connection for the next socket")
	open(next, d)
	wantEcho(t, "both are open", c, st.rawPeer)
	p.wantNoRequest("GOAWAY is obeyed")
	s.wantNoMore("five connections for five sockets")
}

// TestSharedConnectionIsAuthorized has sockets whose own permissions forbid the
// connection that there is: by name, by port, or by its address. threats.md, "again
// for every reuse of an HTTP/2 connection".
func TestSharedConnectionIsAuthorized(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	s := newHTTP2RawServer(t, "h2")
	url := strings.Replace(s.url, "127.0.0.1", "localhost", 1)
	_, port, _ := net.SplitHostPort(s.address)
	d := startDial(t, newContext(t), h, url, s.options())
	p := s.accept("the first is allowed")
	st := p.wantRequest("it asks")
	st.head(false, ":status", "200")
	c := d.wantOpen("the first is allowed", host.HTTP2)
	wantEcho(t, "the first is open", c, st.rawPeer)
	for _, x := range []struct {
		name        string
		allow, deny []string
		word        string
	}{
		{"another name", []string{"example.com"}, nil, "needs --allow-net=localhost:" + port},
		{"the address, not the name", []string{"127.0.0.1"}, nil, "needs --allow-net=localhost:" + port},
		{"another port", []string{"localhost:1"}, nil, "needs --allow-net=localhost:" + port},
		{"the name is denied", []string{"localhost"}, []string{"localhost"}, "denied by --deny-net=localhost"},
		{"the name, not the address", []string{"localhost"}, []string{"127.0.0.0/8", "[::1]"}, "denied by --deny-net="},
	} {
		permissions, err := permission.Parse(x.allow, x.deny)
		if err != nil {
			t.Fatal(err)
		}
		o := s.options()
		o.Grant = permission.NewGrant(permissions, nil)
		err = startDial(t, newContext(t), h, url, o).wantError(x.name, x.word)
		var pe *host.PermissionError
		if !errors.As(err, &pe) {
			t.Errorf("%s: got %T %v, want a *PermissionError", x.name, err, err)
		}
	}
	wantEcho(t, "the first is still open", c, st.rawPeer)
	p.wantNoRequest("the server saw no other request")
	s.wantNoMore("and no other connection")

	permissions, err := permission.Parse([]string{"localhost:" + port, "127.0.0.0/8"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	o := s.options()
	o.Grant = permission.NewGrant(permissions, nil)
	d = startDial(t, newContext(t), h, url, o)
	st = p.wantRequest("who is allowed both shares it")
	st.head(false, ":status", "200")
	wantEcho(t, "who is allowed both shares it", d.wantOpen("who is allowed both shares it", host.HTTP2), st.rawPeer)
}

// A counter is an EventHandler that counts messages up to a number.
type counter struct {
	host.NoEvents
	left *sync.WaitGroup
}

func (c counter) OnMessage(_ *host.Conn, _ host.MessageType, p []byte) {
	if len(p) == 32 {
		c.left.Done()
	}
}

// TestThousandSockets has 1,000 sockets on one TCP connection, all echoing at once,
// with event handlers on both ends.
func TestThousandSockets(t *testing.T) {
	leavesNothing(t)
	const sockets, messages = 1000, 5
	h := newHost(t, host.Config{Instances: 2})
	s := newCountedServer(t, h.Handler(nil, &host.AcceptOptions{Events: echo{}}), 2*sockets)
	var left sync.WaitGroup
	left.Add(sockets * messages)
	conns := dialAll(t, h, s.URL, &host.DialOptions{TLS: s.trust, Events: counter{left: &left}}, sockets)
	for range messages {
		for _, c := range conns {
			if err := c.Send(host.MessageBinary, make([]byte, 32)); err != nil {
				t.Fatal(err)
			}
		}
	}
	done := make(chan struct{})
	go func() {
		left.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-newContext(t).Done():
		t.Fatal("every message comes back")
	}
	s.wantMade(t, "1,000 sockets share a connection", 1)
	if n := h.Stats().Open; n != 2*sockets {
		t.Errorf("%d ends are open, want %d", n, 2*sockets)
	}
	for i, c := range conns {
		if i%2 == 0 {
			_ = c.CloseNow()
		} else if err := c.Close(normal, ""); err != nil {
			t.Fatal(err)
		}
	}
	wantNothingOpen(t, h)
	s.wantAlive(t, "the connection outlives its sockets", 1)
}
