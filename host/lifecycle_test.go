package host_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/wasock/wasock/host"
)

// A footprint is what the process holds that a Host might leave behind.
type footprint struct{ goroutines, descriptors int }

func measure() (f footprint) {
	startNetpoll()
	f.goroutines = runtime.NumGoroutine()
	if dir, err := os.ReadDir("/proc/self/fd"); err == nil {
		f.descriptors = len(dir)
	}
	return f
}

// startNetpoll has the runtime open the descriptors of its own poller, which it
// keeps.
var startNetpoll = sync.OnceFunc(func() {
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		_ = l.Close()
	}
})

// wantFootprint waits until the process holds no more than it did.
func wantFootprint(t *testing.T, before footprint) {
	t.Helper()
	eventually(t, "nothing is left behind", func() (bool, string) {
		now := measure()
		if now.goroutines <= before.goroutines && now.descriptors <= before.descriptors {
			return true, ""
		}
		var stacks bytes.Buffer
		buf := make([]byte, 1<<20)
		stacks.Write(buf[:runtime.Stack(buf, true)])
		return false, fmt.Sprintf("%+v, before %+v\n%s", now, before, stacks.String())
	})
}

// TestHammer has many connections opened, used and ended in every way at once,
// and the server shut down among it. Nothing is left behind.
func TestHammer(t *testing.T) {
	before := measure()
	ctx := newContext(t)
	server, client := newHost(t, host.Config{Instances: 2}), newHost(t, host.Config{Instances: 2})
	streams := server.Handler(func(ctx context.Context, c *host.Conn) {
		for {
			typ, p, err := c.Read(ctx)
			if err != nil || string(p) == "return" {
				return
			}
			if err := c.Write(ctx, typ, p); err != nil {
				return
			}
		}
	}, nil)
	mux := http.NewServeMux()
	mux.Handle("/stream", streams)
	mux.Handle("/events", server.Handler(nil, &host.AcceptOptions{Events: echo{}}))
	plain, secure := httptest.NewServer(mux), httptest.NewTLSServer(mux)
	trust := trusting(secure)

	const workers, each = 8, 25
	var wg sync.WaitGroup
	var done sync.WaitGroup
	done.Add(workers * each * 3 / 4)
	var once [workers * each]sync.Once
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				if n := w*each + i; n < workers*each*3/4 {
					once[n].Do(done.Done)
				}
				url := []string{plain.URL, secure.URL}[rand.IntN(2)] + []string{"/stream", "/events"}[rand.IntN(2)]
				o := &host.DialOptions{TLS: trust}
				var r *recorder
				if rand.IntN(2) == 0 {
					r = &recorder{events: make(chan event, 100), over: ctx.Done()}
					o.Events = r
				}
				c, _, err := client.Dial(ctx, url, o)
				if err != nil {
					continue // the server is shut down
				}
				hammer(ctx, c, r)
			}
		})
	}
	done.Wait()
	if err := server.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	wg.Wait()
	if n := server.Stats().Open; n != 0 {
		t.Errorf("after Shutdown %d connections are open", n)
	}
	if _, _, err := server.Dial(ctx, plain.URL, nil); !errors.Is(err, host.ErrClosed) {
		t.Errorf("a Host that is shut down dials: %v", err)
	}
	wantNothingOpen(t, client)
	s := client.Stats()
	if s.Dialed == 0 || s.MessagesReceived == 0 || len(s.CloseCodes) < 2 {
		t.Errorf("the counts: %+v", s)
	}
	plain.Close()
	secure.Close()
	_ = client.Close()
	wantFootprint(t, before)
}

// hammer uses a connection and ends it in one of all ways.
func hammer(ctx context.Context, c *host.Conn, r *recorder) {
	for range rand.IntN(5) {
		p := bytes.Repeat([]byte("m"), rand.IntN(40_000))
		if c.Write(ctx, host.MessageBinary, p) != nil {
			break
		}
		if r == nil {
			_, _, _ = c.Read(ctx)
		}
	}
	var wg sync.WaitGroup
	switch rand.IntN(6) {
	case 0:
		_ = c.Close(normal, "")
	case 1:
		_ = c.CloseNow()
	case 2:
		_ = c.Write(ctx, host.MessageText, []byte("return")) // an echo sends it back
		_ = c.Close(3000, "x")
	case 3: // from several goroutines, with a Read
		for range 3 {
			wg.Go(func() { _ = c.Close(normal, "") })
		}
		if r == nil {
			wg.Go(func() { _, _, _ = c.Read(ctx) })
		}
	case 4:
		wg.Go(func() { _ = c.CloseNow() })
		wg.Go(func() { _ = c.Close(normal, "") })
		wg.Go(func() { _ = c.Send(host.MessageText, []byte("late")) })
	case 5:
		if r == nil {
			_, _ = c.Ping(ctx)
		}
		_ = c.Close(host.CodeNoStatus, "")
	}
	wg.Wait()
	_ = c.CloseNow()
	for r != nil {
		if ev, err := r.next(ctx); err != nil || ev.kind == "close" {
			return
		}
	}
}

// TestShutdown has the peers told, and their answers waited for.
func TestShutdown(t *testing.T) {
	for _, s := range []style{streamStyle, eventStyle} {
		t.Run(string(s), func(t *testing.T) {
			h := newHost(t, host.Config{})
			e, p := acceptRaw(t, h, s, host.AcceptOptions{})
			down := make(chan error, 1)
			go func() { down <- h.Shutdown(newContext(t)) }()
			p.wantClose("the peer is told", host.CodeGoingAway, "Server shutting down")
			if len(down) > 0 {
				t.Error("Shutdown did not wait for the answer")
			}
			p.send(closeFrame(host.CodeGoingAway, "Server shutting down"))
			_ = p.Close()
			if err := <-down; err != nil {
				t.Errorf("Shutdown: %v", err)
			}
			e.wantClosed("the application is told", host.CodeGoingAway, "Server shutting down", true)
			if err := h.Shutdown(newContext(t)); err != nil {
				t.Errorf("once more: %v", err)
			}
			w := httptest.NewRecorder()
			h.Handler(nil, nil).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			if w.Code != 503 {
				t.Errorf("a request after Shutdown gets %d, want 503", w.Code)
			}
		})
	}
	t.Run("peer does not answer", func(t *testing.T) {
		h := newHost(t, host.Config{})
		_, p := acceptRaw(t, h, eventStyle, host.AcceptOptions{})
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		if err := h.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		p.wantClose("the peer is told", host.CodeGoingAway, "Server shutting down")
		p.wantEnd("the transport is closed all the same")
	})
}

// TestHandlerReturns has the function of a Handler return, and panic.
func TestHandlerReturns(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1})
	for _, x := range []struct {
		name string
		f    func(context.Context, *host.Conn)
		code host.CloseCode
	}{
		{"returns", func(context.Context, *host.Conn) {}, normal},
		{"panics", func(context.Context, *host.Conn) { panic(http.ErrAbortHandler) }, host.CodeInternalError},
		{"has closed", func(_ context.Context, c *host.Conn) { _ = c.Close(3000, "") }, 3000},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := httptest.NewServer(h.Handler(x.f, nil))
			defer s.Close()
			ctx := newContext(t)
			c, _, err := h.Dial(ctx, s.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := c.Read(ctx); host.CloseStatus(err) != int(x.code) {
				t.Errorf("got %v, want %d", err, x.code)
			}
		})
	}
	wantNothingOpen(t, h)
}

// TestCallsAfterClose has calls on what is closed: they return.
func TestCallsAfterClose(t *testing.T) {
	for _, s := range []style{streamStyle, eventStyle} {
		t.Run(string(s), func(t *testing.T) {
			before := measure()
			h := newHost(t, host.Config{})
			client, server := connect(t, h, carriers[0], styles{s, s}, &host.DialOptions{}, &host.AcceptOptions{})
			if err := h.Close(); err != nil {
				t.Fatal(err)
			}
			for _, e := range []*end{client, server} {
				e.wantClosed("the end is told", host.CodeAbnormal, "", false)
				c := e.conn
				for name, err := range map[string]error{
					"Send": c.Send(host.MessageText, nil), "Write": c.Write(e.ctx, host.MessageText, nil), "SendPing": c.SendPing(nil),
				} {
					if !errors.Is(err, host.ErrClosed) {
						e.fail(name+" says that it is closed", "%v", err)
					}
				}
				_ = c.Close(normal, "")
				_ = c.CloseNow()
				if c.LocalAddr() != nil && c.RemoteAddr() == nil || c.BufferedAmount() != 0 || c.ReadyState() != host.StateClosed {
					e.fail("what is closed is empty", "%v, %d, %v", c.LocalAddr(), c.BufferedAmount(), c.ReadyState())
				}
			}
			if _, _, err := h.Dial(client.ctx, "ws://127.0.0.1:1/", nil); !errors.Is(err, host.ErrClosed) {
				t.Errorf("a Host that is closed dials: %v", err)
			}
			if err := h.Close(); err != nil {
				t.Errorf("closing once more: %v", err)
			}
			before.goroutines += 3 // the HTTP server's, which is closed later
			before.descriptors += 3
			wantFootprint(t, before)
		})
	}
}

// TestCloseFromHandler has a handler close its own Host.
func TestCloseFromHandler(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1})
	closed := make(chan error, 1)
	p := serveRaw(t, h, host.AcceptOptions{Events: &messageHandler{func(*host.Conn, host.MessageType, []byte) { closed <- h.Close() }}})
	p.send("81 02 6869")
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("Close waits for the handler that called it")
	}
	p.wantEnd("the connection ends")
}
