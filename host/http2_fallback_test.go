package host_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/wasock/wasock/host"
)

const both, onlyHTTP1 = "h2 http/1.1", "http/1.1"

// TestHTTP2WithoutExtendedConnect has a server whose HTTP/2 takes no WebSockets: it
// is reached over HTTP/1.1, and the next time at once. RFC 8441 §3.
func TestHTTP2WithoutExtendedConnect(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	s := newHTTP2RawServer(t, "h2", "http/1.1")
	d := startDial(t, newContext(t), h, s.url, s.options())
	p := newHTTP2Peer(t, s.connection("the client offers both"), false)
	p.settings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 100})
	p.wait("the client leaves HTTP/2 in order", func() bool { return p.goAway != nil && p.goAway.ErrCode == http2.ErrCodeNo })
	p.wantNoRequest("no stream was opened")
	up := s.acceptUpgrade("the client comes over HTTP/1.1")
	wantEcho(t, "the socket is open", d.wantOpen("the fallback is HTTP/1.1", host.HTTP1), up)
	s.wantOffers("HTTP/2 was asked for once", both, onlyHTTP1)

	d = startDial(t, newContext(t), h, s.url, s.options())
	up = s.acceptUpgrade("the next is one connection")
	wantEcho(t, "the socket is open", d.wantOpen("it is remembered", host.HTTP1), up)
	s.wantOffers("it is remembered", both, onlyHTTP1, onlyHTTP1)
	s.wantNoMore("two sockets made three connections")
	_ = h.Close()
	wantNothingOpen(t, h)
}

// TestHTTP1Only has a server that knows HTTP/1.1 only: what was connected is used.
func TestHTTP1Only(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	s := newHTTP2RawServer(t, "http/1.1")
	for _, offers := range [][]string{{both}, {both, onlyHTTP1}} {
		d := startDial(t, newContext(t), h, s.url, s.options())
		up := s.acceptUpgrade("one connection is enough")
		wantEcho(t, "the socket is open", d.wantOpen("HTTP/1.1 was chosen", host.HTTP1), up)
		s.wantOffers("the choice is remembered", offers...)
	}
	s.wantNoMore("two sockets made two connections")
	_ = h.Close()
}

// TestHTTP1Refused has a server with neither: the error says what was tried.
func TestHTTP1Refused(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	s := newHTTP2RawServer(t, "h2")
	d := startDial(t, newContext(t), h, s.url, s.options())
	p := newHTTP2Peer(t, s.connection("the client comes over HTTP/2"), false)
	s.secure = s.secure.Clone()
	s.secure.NextProtos = []string{"h3"} // crypto/tls takes http/1.1 for h2
	p.settings()
	_ = s.connection("the client tries HTTP/1.1").Close()
	err := d.wantError("both failures are told", "TLS handshake", "SETTINGS_ENABLE_CONNECT_PROTOCOL")
	var de *host.DialError
	if !errors.As(err, &de) {
		t.Errorf("got %T, want a *DialError", err)
	}
	s.wantOffers("HTTP/1.1 was tried once", both, onlyHTTP1)
	wantNothingOpen(t, h)
	_ = h.Close()
}

// TestHTTP11Required has a server that resets the stream because it wants another
// version of HTTP. RFC 9113 §7.
func TestHTTP11Required(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	s := newHTTP2RawServer(t, "h2", "http/1.1")
	d := startDial(t, newContext(t), h, s.url, s.options())
	s.accept("the client comes").wantRequest("it asks").rst(http2.ErrCodeHTTP11Required)
	up := s.acceptUpgrade("the client comes over HTTP/1.1")
	wantEcho(t, "the socket is open", d.wantOpen("the fallback is HTTP/1.1", host.HTTP1), up)
	s.wantOffers("HTTP/2 was asked for once", both, onlyHTTP1)
	_ = h.Close()

	forced := newHost(t, host.Config{Instances: 1})
	o := s.options()
	o.HTTPVersion = host.HTTP2
	d = startDial(t, newContext(t), forced, s.url, o)
	s.accept("the client comes").wantRequest("it asks").rst(http2.ErrCodeHTTP11Required)
	d.wantError("HTTP2 does not fall back", "HTTP_1_1_REQUIRED")
	s.wantNoMore("HTTP2 does not fall back")
	_ = forced.Close()
}

// TestUnprocessed has a server that says it has not acted on the request: it is
// asked again, and not for ever. RFC 9113 §8.7.
func TestUnprocessed(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	for _, x := range []struct {
		name   string
		refuse func(p *http2Peer, s *http2PeerStream)
		anew   bool // on another connection
	}{
		{"RST_STREAM REFUSED_STREAM", func(_ *http2Peer, s *http2PeerStream) { s.rst(http2.ErrCodeRefusedStream) }, false},
		{"GOAWAY 0 NO_ERROR", func(p *http2Peer, _ *http2PeerStream) { p.sendGoAway(0, http2.ErrCodeNo) }, true},
		{"GOAWAY 0 ENHANCE_YOUR_CALM", func(p *http2Peer, _ *http2PeerStream) { p.sendGoAway(0, http2.ErrCodeEnhanceYourCalm) }, true},
	} {
		// begin has the server refuse the first requests, and returns the connection
		// that the next would come on.
		begin := func(t *testing.T, refusals int) (*http2RawServer, *dialing, *http2Peer) {
			s := newHTTP2RawServer(t, "h2", "http/1.1")
			d := startDial(t, newContext(t), h, s.url, s.options())
			p := s.accept("the client comes")
			for n := range refusals {
				if n > 0 && x.anew {
					p = s.accept("it comes again")
				}
				x.refuse(p, p.wantRequest("it asks"))
			}
			return s, d, p
		}
		t.Run(x.name+"/once", func(t *testing.T) {
			s, d, p := begin(t, 1)
			if x.anew {
				p = s.accept("it comes again")
			}
			st := p.wantRequest("it asks again")
			st.head(false, ":status", "200")
			c := d.wantOpen("the second time it opens", host.HTTP2)
			wantEcho(t, "the socket is open", c, st.rawPeer)
			_ = c.CloseNow()
		})
		t.Run(x.name+"/always", func(t *testing.T) {
			s, d, p := begin(t, 3)
			err := d.wantError("it gives up", "HTTP/2 stream")
			var he *host.HandshakeError
			if !errors.As(err, &he) || he.Status != 0 {
				t.Errorf("got %#v, want a *HandshakeError without a status", err)
			}
			p.wantNoRequest("it gives up")
			s.wantNoMore("it gives up")
			wantNothingOpen(t, h)
		})
	}
}

// TestReusedConnectionLost has a server that closes a connection as it is used again:
// the next is asked on another. On a connection that was made for it, a request that
// is lost is an error, since the server may refuse it so.
func TestReusedConnectionLost(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	s := newHTTP2RawServer(t, "h2")
	d := startDial(t, newContext(t), h, s.url, s.options())
	p := s.accept("the client comes")
	p.wantRequest("it asks").head(false, ":status", "200")
	first := d.wantOpen("it is open", host.HTTP2)
	d = startDial(t, newContext(t), h, s.url, s.options())
	p.wantRequest("the next asks on the same connection")
	_ = p.nc.Close()
	st := s.accept("it comes again").wantRequest("it asks again")
	st.head(false, ":status", "200")
	c := d.wantOpen("it opens", host.HTTP2)
	wantEcho(t, "the socket is open", c, st.rawPeer)
	_, _ = first.CloseNow(), c.CloseNow()

	s = newHTTP2RawServer(t, "h2")
	d = startDial(t, newContext(t), h, s.url, s.options())
	p = s.accept("the client comes")
	p.wantRequest("it asks")
	_ = p.nc.Close()
	d.wantError("it is told", "connection lost")
	s.wantNoMore("and that is all")
}

// TestGoAwayOfProcessed has a GOAWAY that covers the stream whose response is on its
// way: the stream goes on.
func TestGoAwayOfProcessed(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	s := newHTTP2RawServer(t, "h2")
	d := startDial(t, newContext(t), h, s.url, s.options())
	p := s.accept("the client comes")
	st := p.wantRequest("it asks")
	p.sendGoAway(st.id, http2.ErrCodeNo)
	st.head(false, ":status", "200")
	c := d.wantOpen("the server has acted on it", host.HTTP2)
	wantEcho(t, "the socket is open", c, st.rawPeer)
	d = startDial(t, newContext(t), h, s.url, s.options())
	s.accept("the next comes on another connection").wantRequest("it asks").head(true, ":status", "404")
	d.wantError("the server refuses", "404")
	p.wantNoRequest("nothing is asked after GOAWAY")
}

// TestRefusedOverHTTP2 has a server that answers, and does not open a WebSocket. The
// response comes with the error, and nobody is asked again: not over HTTP/1.1.
func TestRefusedOverHTTP2(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	s := newHTTP2RawServer(t, "h2", "http/1.1")
	o := s.options()
	o.Subprotocols = []string{"chat"}
	var p *http2Peer
	for _, x := range []struct {
		name     string
		fields   []string
		status   int
		field    string
		rejected bool // as no response: there is none
	}{
		{"401", []string{":status", "401", "www-authenticate", "Basic"}, 401, "", false},
		{"403", []string{":status", "403", "x-why", "no"}, 403, "", false},
		{"404", []string{":status", "404"}, 404, "", false},
		{"500", []string{":status", "500"}, 500, "", false},
		{"302 is not followed", []string{":status", "302", "location", "/elsewhere"}, 302, "", false},
		{"201", []string{":status", "201"}, 201, "", false},
		{"204", []string{":status", "204"}, 204, "", false},
		{"101", []string{":status", "101"}, 0, "", true},
		{"no status", []string{"x", "y"}, 0, "", true},
		{"a field of HTTP/1.1", []string{":status", "200", "upgrade", "websocket"}, 0, "", true},
		{"subprotocol that was not offered", []string{":status", "200", "sec-websocket-protocol", "mqtt"}, 200, "Sec-WebSocket-Protocol", false},
		{"subprotocol twice", []string{":status", "200", "sec-websocket-protocol", "chat", "sec-websocket-protocol", "chat"}, 200, "Sec-WebSocket-Protocol", false},
		{"extension that was not offered", []string{":status", "200", "sec-websocket-extensions", "permessage-deflate"}, 200, "Sec-WebSocket-Extensions", false},
	} {
		for _, ends := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/END_STREAM %v", x.name, ends), func(t *testing.T) {
				d := startDial(t, newContext(t), h, s.url, o)
				if p == nil {
					p = s.accept("the client comes")
				}
				st := p.wantRequest("it asks on the same connection")
				st.head(ends, x.fields...)
				err := d.wantError("it is refused")
				var he *host.HandshakeError
				if !errors.As(err, &he) || he.Status != x.status || he.Field != x.field {
					t.Errorf("got %v (%#v), want status %d, field %q", err, he, x.status, x.field)
				}
				if (d.resp == nil) != x.rejected {
					t.Fatalf("the response comes with the error: got %v", d.resp)
				}
				if x.rejected {
					st.wantReset("what is no response is reset", http2.ErrCodeProtocol)
					return
				}
				r := d.resp
				if r.StatusCode != x.status || r.Proto != "HTTP/2.0" || r.ProtoMajor != 2 || r.ProtoMinor != 0 || r.Body == nil {
					t.Errorf("got %+v, want HTTP/2.0 with %d", r, x.status)
				}
				for i := 2; i < len(x.fields); i += 2 {
					if got := r.Header.Get(x.fields[i]); got != x.fields[i+1] {
						t.Errorf("%s is %q, want %q", x.fields[i], got, x.fields[i+1])
					}
				}
				st.wantOver("the stream is over on our side")
			})
		}
	}
	s.wantNoMore("a refusal is final")
	s.wantOffers("a refusal is final", both)
	wantNothingOpen(t, h)
}

// TestAcceptedOverHTTP2 has responses that open a WebSocket. RFC 8441 §5: there is no
// Sec-WebSocket-Accept, and none is looked at.
func TestAcceptedOverHTTP2(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	s := newHTTP2RawServer(t, "h2")
	o := s.options()
	o.Subprotocols = []string{"chat"}
	o.Header = http.Header{"Cookie": {"a=b"}, "Host": {"evil.example"}, "Connection": {"close"}, "Sec-Websocket-Key": {"mine"}}
	var p *http2Peer
	for _, x := range []struct {
		name        string
		fields      []string
		subprotocol string
	}{
		{"200", []string{":status", "200"}, ""},
		{"Sec-WebSocket-Accept of nothing", []string{":status", "200", "sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}, ""},
		{"subprotocol", []string{":status", "200", "sec-websocket-protocol", "chat"}, "chat"},
	} {
		d := startDial(t, newContext(t), h, s.url+"a%20b?c=d", o)
		if p == nil {
			p = s.accept("the client comes")
		}
		st := p.wantRequest("it asks")
		for name, want := range map[string]string{
			":method": "CONNECT", ":protocol": "websocket", ":scheme": "https", ":authority": s.address, ":path": "/a%20b?c=d",
			"sec-websocket-version": "13", "sec-websocket-protocol": "chat", "cookie": "a=b",
			"sec-websocket-key": "", "connection": "", "upgrade": "", "host": "", // RFC 8441 §5, RFC 9113 §8.2.2
		} {
			if got := st.fields[name]; got != want {
				t.Errorf("%s: %s is %q, want %q", x.name, name, got, want)
			}
		}
		st.head(false, ":status", "103", "link", "x") // interim responses are passed over
		st.head(false, x.fields...)
		c := d.wantOpen(x.name, host.HTTP2)
		if c.Subprotocol() != x.subprotocol || d.resp.StatusCode != 200 || d.resp.Proto != "HTTP/2.0" {
			t.Errorf("%s: got %q, %v", x.name, c.Subprotocol(), d.resp)
		}
		wantEcho(t, x.name, c, st.rawPeer)
	}
}

// TestHTTP2Forced has servers without what HTTP2 asks for: an error, and nothing
// else is tried.
func TestHTTP2Forced(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	settings := func(p *http2Peer) { p.settings() }
	for _, x := range []struct {
		name      string
		protocols []string
		serve     func(t *testing.T, s *http2RawServer)
		words     []string
	}{
		{"wss, no h2", []string{"http/1.1"}, func(_ *testing.T, s *http2RawServer) {
			_ = s.connection("the client comes").Close()
		}, []string{"TLS handshake", "no application protocol"}},
		{"wss, no ALPN", []string{}, func(t *testing.T, s *http2RawServer) {
			_ = s.connection("the client comes").Close()
		}, []string{"HTTP/2", "did not choose HTTP/2"}},
		{"wss, no Extended CONNECT", []string{"h2", "http/1.1"}, func(t *testing.T, s *http2RawServer) {
			settings(newHTTP2Peer(t, s.connection("the client comes"), false))
		}, []string{"HTTP/2", "SETTINGS_ENABLE_CONNECT_PROTOCOL"}},
		{"ws, HTTP/1.1", nil, func(_ *testing.T, s *http2RawServer) {
			nc := s.connection("the client comes")
			_, _ = nc.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			_ = nc.Close()
		}, []string{"HTTP/2", "speaks HTTP/1"}},
		{"ws, no Extended CONNECT", nil, func(t *testing.T, s *http2RawServer) {
			settings(newHTTP2Peer(t, s.connection("the client comes"), false))
		}, []string{"HTTP/2", "SETTINGS_ENABLE_CONNECT_PROTOCOL"}},
		{"ws, closes", nil, func(_ *testing.T, s *http2RawServer) {
			_ = s.connection("the client comes").Close()
		}, []string{"HTTP/2", "connection lost"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := newHTTP2RawServer(t, x.protocols...)
			if x.name == "wss, no ALPN" {
				s = newHTTP2RawServer(t, "h2")
				s.secure.NextProtos = nil
			}
			o := s.options()
			o.HTTPVersion = host.HTTP2
			d := startDial(t, newContext(t), h, s.url, o)
			x.serve(t, s)
			err := d.wantError("HTTP2 is what was asked for", x.words...)
			var de *host.DialError
			if !errors.As(err, &de) || de.Target != s.address {
				t.Errorf("got %#v, want a *DialError for %s", err, s.address)
			}
			s.wantNoMore("nothing else is tried")
			if s.secure != nil {
				s.wantOffers("HTTP/2 alone is offered", "h2")
			}
			wantNothingOpen(t, h)
		})
	}
}

// TestHTTP2Opens has both URLs that HTTP2 is for.
func TestHTTP2Opens(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	for _, protocols := range [][]string{nil, {"h2"}} {
		s := newHTTP2RawServer(t, protocols...)
		o := s.options()
		o.HTTPVersion = host.HTTP2
		d := startDial(t, newContext(t), h, s.url, o)
		st := s.accept("the client comes").wantRequest("it asks")
		if want := map[bool]string{true: "https", false: "http"}[s.secure != nil]; st.fields[":scheme"] != want {
			t.Errorf("the scheme is %q, want %q", st.fields[":scheme"], want)
		}
		st.head(false, ":status", "200")
		wantEcho(t, s.url, d.wantOpen("HTTP2 is what was asked for", host.HTTP2), st.rawPeer)
		if s.secure != nil {
			s.wantOffers("HTTP/2 alone is offered", "h2")
		}
	}
}

// TestHTTP1Forced has a server that would have HTTP/2: it is not offered. Nor is it
// for ws, whatever the server has.
func TestHTTP1Forced(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	for _, protocols := range [][]string{{"h2", "http/1.1"}, nil} {
		s := newHTTP2RawServer(t, protocols...)
		d := startDial(t, newContext(t), h, s.url, &host.DialOptions{TLS: s.trust, HTTPVersion: host.HTTPVersion(len(protocols) / 2)})
		up := s.acceptUpgrade("the client comes over HTTP/1.1")
		wantEcho(t, "the socket is open", d.wantOpen("HTTP1 is what was asked for", host.HTTP1), up)
		if s.secure != nil {
			s.wantOffers("HTTP/1.1 alone is offered", onlyHTTP1)
		}
	}
	var ae *host.ArgumentError
	if _, _, err := h.Dial(newContext(t), "wss://127.0.0.1:1/", &host.DialOptions{HTTPVersion: 3}); !errors.As(err, &ae) {
		t.Errorf("there is no HTTP/3: got %v", err)
	}
}

// TestNoConnectionToAsk has failures below HTTP: they are told as they are, and are
// no reason for another attempt.
func TestNoConnectionToAsk(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	step := func(sentence string, err error, step string) {
		t.Helper()
		var de *host.DialError
		if !errors.As(err, &de) || de.Step != step {
			t.Errorf("%s: got %v, want a *DialError of step %q", sentence, err, step)
		}
	}
	s := newHTTP2RawServer(t, "h2", "http/1.1")

	d := startDial(t, newContext(t), h, s.url, nil)
	_ = s.connection("the client comes").Close()
	step("a certificate of an unknown authority", d.wantError("the certificate is not trusted", "unknown authority"), "TLS handshake")
	s.wantNoMore("it is not tried over HTTP/1.1")

	o := s.options()
	o.Limits.TLSTimeout = 20 * time.Millisecond
	d = startDial(t, newContext(t), h, s.url, o)
	err := d.wantError("nobody answers the ClientHello", "the time for it ran out")
	step("nobody answers the ClientHello", err, "TLS handshake")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a deadline's error", err)
	}
	_ = s.l.SetDeadline(soon())
	if nc, err := s.l.Accept(); err == nil {
		_ = nc.Close()
	}
	s.wantNoMore("it is not tried over HTTP/1.1")

	o = s.options()
	o.TLS = &tls.Config{InsecureSkipVerify: true}
	d = startDial(t, newContext(t), h, s.url, o)
	step("verification is not switched off in general", d.wantError("verification", "InsecureHosts"), "TLS handshake")
	s.wantNoMore("nobody is connected for it")

	_ = s.l.Close()
	step("nobody listens", startDial(t, newContext(t), h, s.url, s.options()).wantError("nobody listens", "refused"), "connect")
	wantNothingOpen(t, h)
}
