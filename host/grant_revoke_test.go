package host_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/host/permission"
)

const revokedReason = "permission revoked"

// wantRevoked checks how a connection ended whose permission was taken back.
func wantRevoked(t *testing.T, sentence string, ce *host.CloseError) {
	t.Helper()
	var re *host.RevokedError
	if ce == nil || ce.Code != host.CodePolicyViolation || ce.Reason != revokedReason || !errors.As(ce, &re) {
		t.Errorf("%s: got %+v, want 1008 %q because of a *RevokedError", sentence, ce, revokedReason)
	}
}

// TestRevocationWhileOpen has a list changed, and a grant revoked, while connections
// are open in both styles over every carrier: those that are not allowed any more end
// with 1008 at both ends, and the others go on.
func TestRevocationWhileOpen(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1})
	for _, c := range carriers {
		for _, s := range allStyles {
			for _, how := range []string{"SetList", "Revoke"} {
				t.Run(fmt.Sprint(c.name, "/", s.client, "/", s.server, "/", how), func(t *testing.T) {
					g := newGrant(t, "127.0.0.1", nil)
					client, server := connect(t, h, c, s, &host.DialOptions{Grant: g}, &host.AcceptOptions{})
					url, o := c.serve(t, obeying(h))
					o.Grant = g
					stays := dialAll(t, h, url, o, 2)
					if how == "Revoke" {
						o := *o
						o.Grant = newGrant(t, "127.0.0.1", nil)
						stays = dialAll(t, h, url, &o, 2) // of another grant, on the same connection
					}
					ended, peer := client.startEnd(), server.startEnd()
					if how == "Revoke" {
						g.Revoke()
					} else {
						g.SetList(newList(t, hostPort(t, url), ""))
					}
					server.checkClosed("the peer is told", <-peer, host.CodePolicyViolation, revokedReason, true)
					ce := <-ended
					client.checkClosed("the application is told", ce, host.CodePolicyViolation, revokedReason, true)
					if s.client == streamStyle {
						wantRevoked(t, "the cause is told", ce)
					}
					wantEchoes(t, "what is allowed goes on", stays...)
					for _, c := range stays {
						_ = c.CloseNow()
					}
					wantUnused(t, g, "nothing is left")
				})
			}
		}
	}
	wantNothingOpen(t, h)
}

// TestRevocationUnheeded has connections that nobody attends to when they are revoked:
// a stream that is not read, one whose messages are not read, a handler that blocks, and
// a peer that does not answer. Each is told to its peer at once and ends in time.
func TestRevocationUnheeded(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1})
	for _, x := range []struct {
		name    string
		answers bool
		dial    func(t *testing.T, o host.DialOptions) (*end, *rawPeer)
	}{
		{"a stream that is not read", true, func(t *testing.T, o host.DialOptions) (*end, *rawPeer) { return dialRaw(t, h, streamStyle, o) }},
		{"messages that are not read", true, func(t *testing.T, o host.DialOptions) (*end, *rawPeer) {
			return dialRaw(t, h, streamStyle, o, "81 02 6869", "82 00")
		}},
		{"a stream whose peer is silent", false, func(t *testing.T, o host.DialOptions) (*end, *rawPeer) { return dialRaw(t, h, streamStyle, o) }},
		{"events whose peer is silent", false, func(t *testing.T, o host.DialOptions) (*end, *rawPeer) { return dialRaw(t, h, eventStyle, o) }},
		{"a handler that blocks", false, func(t *testing.T, o host.DialOptions) (*end, *rawPeer) {
			held := make(chan struct{})
			t.Cleanup(func() { close(held) })
			entered := make(chan struct{}, 1)
			o.Events = blocksOnMessage{held: held, entered: entered}
			e, p := dialRaw(t, h, streamStyle, o)
			p.send("81 02 6869")
			<-entered
			return e, p
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			g := newGrant(t, "127.0.0.1", nil)
			limits := host.Limits{CloseTimeout: 50 * time.Millisecond}
			if x.answers {
				limits.CloseTimeout = 2 * patience // it is not what ends it
			}
			_, p := x.dial(t, host.DialOptions{Grant: g, Limits: limits})
			g.SetList(nil)
			p.wantClose("the peer is told", host.CodePolicyViolation, revokedReason)
			if x.answers {
				p.send(closeFrame(host.CodePolicyViolation, revokedReason))
				_ = p.Conn.(*net.TCPConn).CloseWrite()
			}
			p.wantEnd("the connection ends")
			wantUnused(t, g, "it does not count any more")
		})
	}
	wantNothingOpen(t, h)
}

// blocksOnMessage is an EventHandler that blocks until it is let go.
type blocksOnMessage struct {
	host.NoEvents
	held, entered chan struct{}
}

func (b blocksOnMessage) OnMessage(*host.Conn, host.MessageType, []byte) {
	b.entered <- struct{}{}
	<-b.held
}

// TestRevocationWhileDialling has a grant revoked at each step of a dial: Dial returns
// a *RevokedError at once and the transport ends.
func TestRevocationWhileDialling(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1})
	for _, x := range []struct {
		name    string
		options func(s *http2RawServer) *host.DialOptions
		stop    func(s *http2RawServer) func() // goes so far, and returns what waits for the end
	}{
		{"the TCP connection is accepted by nobody", (*http2RawServer).options, func(s *http2RawServer) func() { return func() {} }},
		{"the ClientHello is not answered", (*http2RawServer).options, func(s *http2RawServer) func() {
			nc, err := s.l.Accept()
			if err != nil {
				s.t.Fatal(err)
			}
			p := newRawPeer(s.t, nc, false)
			if _, err := p.r.Peek(1); err != nil {
				s.t.Fatal(err)
			}
			return func() { p.wantEnd("the transport ends") }
		}},
		{"SETTINGS do not come", (*http2RawServer).options, func(s *http2RawServer) func() {
			p := newRawPeer(s.t, s.connection("the client comes"), false)
			if _, err := p.r.Peek(1); err != nil {
				s.t.Fatal(err)
			}
			return func() { p.wantEnd("the transport ends") }
		}},
		{"the Extended CONNECT is not answered", (*http2RawServer).options, func(s *http2RawServer) func() {
			st := s.accept("the client comes").wantRequest("it asks")
			return func() { st.wantOver("the stream ends") }
		}},
		{"the Upgrade is not answered", func(s *http2RawServer) *host.DialOptions {
			return &host.DialOptions{TLS: s.trust, HTTPVersion: host.HTTP1}
		}, func(s *http2RawServer) func() {
			p := newRawPeer(s.t, s.connection("the client comes"), false)
			if _, err := p.r.Peek(1); err != nil {
				s.t.Fatal(err)
			}
			return func() { p.wantEnd("the transport ends") }
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			protocols := []string{"h2", "http/1.1"}
			if strings.Contains(x.name, "Upgrade") {
				protocols = protocols[1:]
			}
			s := newHTTP2RawServer(t, protocols...)
			o := x.options(s)
			o.Grant = newGrant(t, "127.0.0.1", nil)
			d := startDial(t, newContext(t), h, s.url, o)
			wantOver := x.stop(s)
			eventually(t, "the dial counts", func() (bool, string) { return o.Grant.Usage().Connections == 1, "it does not" })
			o.Grant.Revoke()
			var re *host.RevokedError
			if err := d.wantError("Dial ends"); !errors.As(err, &re) {
				t.Errorf("got %T %v, want a *RevokedError", err, err)
			}
			wantOver()
			wantUnused(t, o.Grant, "it does not count any more")
		})
	}
	wantNothingOpen(t, h)
}

// TestRevocationOfSharedConnection has sockets of several grants on one HTTP/2
// connection: those of a grant that is revoked end, the connection stays for the
// others, and is not used again by who may not.
func TestRevocationOfSharedConnection(t *testing.T) {
	h := newHost(t, host.Config{Instances: 2})
	s := newCountedServer(t, obeying(h), 250)
	known := names{"example.com": {"127.0.0.1"}}
	url := strings.Replace(s.URL, "127.0.0.1", "example.com", 1)
	options := func(g *permission.Grant) *host.DialOptions {
		return &host.DialOptions{TLS: s.trust, Grant: g, Resolver: known}
	}
	address := hostPort(t, s.URL)
	first, second := newGrant(t, "example.com,127.0.0.1", nil), newGrant(t, "example.com,"+address, nil)
	a, b := dialAll(t, h, url, options(first), 5), dialAll(t, h, url, options(second), 5)
	s.wantMade(t, "ten sockets of two grants share a connection", 1)
	first.SetList(newList(t, "example.com", "127.0.0.1")) // the name is allowed still
	for _, c := range a {
		_, _, err := c.Read(newContext(t))
		var ce *host.CloseError
		_ = errors.As(err, &ce)
		wantRevoked(t, "a socket of the grant that changed", ce)
	}
	wantEchoes(t, "those of the other go on", b...)
	var pe *host.PermissionError
	if _, _, err := h.Dial(newContext(t), url, options(first)); !errors.As(err, &pe) {
		t.Errorf("the connection is there, but not for the grant that changed: got %T %v", err, err)
	}
	wantUnused(t, first, "nothing of it is left")
	wantEchoes(t, "the other uses it again", dialAll(t, h, url, options(second), 1)...)
	first.SetList(newList(t, "example.com,127.0.0.1", ""))
	wantEchoes(t, "and so does the first when it may", dialAll(t, h, url, options(first), 1)...)
	s.wantMade(t, "it is one connection all the time", 1)
	if got := second.Usage().Connections; got != 6 {
		t.Errorf("the other has six sockets: got %d", got)
	}
}

// TestQuotaOnDecisionRevokes has an operator's hook revoke a grant that ran out of
// bytes, from within the decision.
func TestQuotaOnDecisionRevokes(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1})
	for _, s := range []style{streamStyle, eventStyle} {
		t.Run(string(s), func(t *testing.T) {
			var g *permission.Grant
			g = newGrant(t, "127.0.0.1", &permission.GrantOptions{
				Quota: permission.Quota{BytesOut: 1000},
				OnDecision: func(d permission.Decision) {
					var qe *host.QuotaError
					if errors.As(d.Err, &qe) {
						g.Revoke()
					}
				},
			})
			e, p := dialRaw(t, h, s, host.DialOptions{Grant: g})
			ended := e.startEnd()
			sent := make(chan error, 1)
			go func() { sent <- e.conn.Send(host.MessageBinary, make([]byte, 1000)) }()
			select {
			case <-sent:
			case <-time.After(5 * time.Second):
				t.Fatal("Send does not return: the hook waits for what it holds")
			}
			p.wantFrame("the write that went over it", 0x82, string(make([]byte, 1000)))
			// Both reasons hold, and either may be first.
			if first, got, err := p.receive(); err != nil || first != 0x88 || !strings.HasPrefix(string(got), "\x03\xf0") {
				p.fail("the peer is told", "got %02x %q, %v, want a Close frame with 1008", first, got, err)
			}
			p.send(closeFrame(1008, ""))
			_ = p.Conn.(*net.TCPConn).CloseWrite()
			if ce := <-ended; ce == nil || ce.Code != host.CodePolicyViolation {
				t.Errorf("the application is told: got %+v", ce)
			}
			wantUnused(t, g, "it is over")
		})
	}
}
