package host_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/wasock/wasock/host"
)

// TestHTTP2DialIsCancelled has callers that give up: Dial returns their context's
// error, and the server hears of it.
func TestHTTP2DialIsCancelled(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	for _, x := range []struct {
		name string
		give func(context.Context) (context.Context, context.CancelFunc)
		want error
	}{
		{"cancelled", context.WithCancel, context.Canceled},
		{"deadline", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 30*time.Millisecond)
		}, context.DeadlineExceeded},
	} {
		t.Run(x.name+"/before SETTINGS", func(t *testing.T) {
			s := newHTTP2RawServer(t, "h2")
			ctx, cancel := x.give(newContext(t))
			defer cancel()
			d := startDial(t, ctx, h, s.url, s.options())
			p := newHTTP2Peer(t, s.connection("the client comes"), false)
			if x.want == context.Canceled {
				cancel()
			}
			if err := d.wantError("it gives up"); !errors.Is(err, x.want) {
				t.Errorf("got %v, want %v", err, x.want)
			}
			eventually(t, "the connection is closed", func() (bool, string) {
				p.mu.Lock()
				defer p.mu.Unlock()
				return p.over != nil, "it is open"
			})
		})
		t.Run(x.name+"/before the response", func(t *testing.T) {
			s := newHTTP2RawServer(t, "h2")
			d := startDial(t, newContext(t), h, s.url, s.options())
			p := s.accept("the client comes")
			st := p.wantRequest("the neighbour asks")
			st.head(false, ":status", "200")
			neighbour := d.wantOpen("the neighbour", host.HTTP2)

			ctx, cancel := x.give(newContext(t))
			defer cancel()
			d = startDial(t, ctx, h, s.url, s.options())
			given := p.wantRequest("it asks")
			if x.want == context.Canceled {
				cancel()
			}
			if err := d.wantError("it gives up"); !errors.Is(err, x.want) {
				t.Errorf("got %v, want %v", err, x.want)
			}
			given.wantReset("the server is told", http2.ErrCodeCancel)
			given.head(false, ":status", "200") // it was on its way
			given.send("81 02 6869")
			wantEcho(t, "the neighbour goes on", neighbour, st.rawPeer)
			_ = neighbour.CloseNow()
		})
	}
	t.Run("before it began", func(t *testing.T) {
		s := newHTTP2RawServer(t, "h2")
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := startDial(t, ctx, h, s.url, s.options()).wantError("it is too late"); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want its context's error", err)
		}
		s.wantNoMore("nobody connects")
	})
	wantNothingOpen(t, h)
}

// TestHTTP2HandshakeTimeout has servers that say nothing: HandshakeTimeout bounds
// that, whatever the caller's context allows.
func TestHTTP2HandshakeTimeout(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	s := newHTTP2RawServer(t, "h2")
	o := s.options()
	o.Limits.HandshakeTimeout = 30 * time.Millisecond
	d := startDial(t, context.Background(), h, s.url, o)
	p := newHTTP2Peer(t, s.connection("the client comes"), false)
	if err := d.wantError("no SETTINGS come"); !isHandshakeTimeout(err) {
		t.Errorf("got %v, want HandshakeTimeout", err)
	}
	eventually(t, "the connection is closed", func() (bool, string) {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.over != nil, "it is open"
	})

	d = startDial(t, context.Background(), h, s.url, o)
	p = s.accept("the next comes")
	st := p.wantRequest("it asks")
	if err := d.wantError("no response comes"); !isHandshakeTimeout(err) {
		t.Errorf("got %v, want HandshakeTimeout", err)
	}
	st.wantReset("the server is told", http2.ErrCodeCancel)
	d = startDial(t, newContext(t), h, s.url, s.options())
	st = p.wantRequest("a server that answers PING is asked again")
	st.head(false, ":status", "200")
	wantEcho(t, "the socket opens", d.wantOpen("the socket opens", host.HTTP2), st.rawPeer)
}

// TestHTTP2ReadIsCancelled has a Read whose context ends: the next has the message.
func TestHTTP2ReadIsCancelled(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	for _, r := range http2Roles {
		t.Run(r.name, func(t *testing.T) {
			e, st := r.connect(t, h, streamStyle, host.Limits{})
			for range 3 {
				ctx, cancel := context.WithTimeout(e.ctx, 5*time.Millisecond)
				if _, _, err := e.conn.Read(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v, want its context's error", err)
				}
				cancel()
				st.send("01 02 6869") // half of a message
				if _, _, err := e.conn.Read(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v, want its context's error", err)
				}
				st.send("80 02 6869")
				e.wantMessage("the next Read has it whole", text, []byte("hihi"))
				wantEcho(t, "the socket is usable", e.conn, st.rawPeer)
			}
			_ = e.conn.CloseNow()
		})
	}
	wantNothingOpen(t, h)
}

// TestHTTPServerTimeouts has a server whose requests may take a moment: a WebSocket
// takes longer.
func TestHTTPServerTimeouts(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	const timeout = 40 * time.Millisecond
	s := httptest.NewUnstartedServer(h.Handler(nil, &host.AcceptOptions{Events: echo{}}))
	s.EnableHTTP2 = true
	s.Config.ReadTimeout, s.Config.WriteTimeout, s.Config.IdleTimeout = timeout, timeout, timeout
	s.StartTLS()
	t.Cleanup(func() { closeServer(s) })
	conns := dialAll(t, h, s.URL, &host.DialOptions{TLS: trusting(s)}, 3)
	for start := time.Now(); time.Since(start) < 4*timeout; {
		wantEchoes(t, "the timeouts are for requests that end", conns...)
	}
	for _, c := range conns {
		if c.HTTPVersion() != host.HTTP2 {
			t.Errorf("the socket is over %v", c.HTTPVersion())
		}
		if err := c.Close(normal, ""); err != nil {
			t.Error(err)
		}
	}
	wantNothingOpen(t, h)
}
