package host_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/wasock/wasock/host"
)

// TestClientThatDoesNotRead has a server that sends as much as it may to a client
// that does not read: 64 KiB, which is what is held. Its neighbour on the connection
// is not held up, and reading makes room. RFC 9113 §5.2.
func TestClientThatDoesNotRead(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	s := newHTTP2RawServer(t, "h2")
	d := startDial(t, newContext(t), h, s.url, s.options())
	p := s.accept("the client comes")
	lazy := p.wantRequest("it asks")
	lazy.head(false, ":status", "200")
	c := d.wantOpen("the socket that does not read", host.HTTP2)
	d = startDial(t, newContext(t), h, s.url, s.options())
	busy := p.wantRequest("it asks for a second")
	busy.head(false, ":status", "200")
	neighbour := d.wantOpen("the socket beside it", host.HTTP2)

	const window = 64 << 10
	if got := lazy.window(); got != window {
		t.Fatalf("a stream has a window of %d, want %d", got, window)
	}
	message := bytes.Repeat([]byte("m"), 4<<10-4) // a frame of 4 KiB
	f := string(wire(t, false, frame(0x82, message)))
	const inWindow = window / (4 << 10)
	for range inWindow {
		lazy.say(f)
	}
	for range 20 {
		wantEcho(t, "its neighbour is not held up", neighbour, busy.rawPeer)
	}
	if got := lazy.window(); got != 0 {
		t.Fatalf("the window is %d though nothing was read: more than %d bytes would be held", got, window)
	}
	ctx := newContext(t)
	sent := inWindow
	for range 4 {
		for ; sent > 0; sent-- {
			if _, m, err := c.Read(ctx); err != nil || !bytes.Equal(m, message) {
				t.Fatalf("a message: %d bytes, %v", len(m), err)
			}
		}
		// It is told when it is half of the window.
		p.wait("what was read makes room", func() bool { return p.initial+p.windows[lazy.id]-p.sent[lazy.id] > window/2 })
		if got := lazy.window(); got > window {
			t.Fatalf("the window is %d, want no more than %d", got, window)
		}
		for ; lazy.window() >= int64(len(f)); sent++ {
			lazy.say(f)
		}
	}
	wantEcho(t, "its neighbour is open", neighbour, busy.rawPeer)
}

// A stuckHandler is an EventHandler that blocks in its first message.
type stuckHandler struct {
	host.NoEvents
	release chan struct{}
	got     chan int
}

func (s *stuckHandler) OnMessage(_ *host.Conn, _ host.MessageType, p []byte) {
	<-s.release
	s.got <- len(p)
}

// TestServerThatDoesNotRead has a client that sends as much as it may to a handler
// that does not read. What is held is net/http's window, and a lane's worth of ours.
func TestServerThatDoesNotRead(t *testing.T) {
	for _, style := range []style{streamStyle, eventStyle} {
		t.Run(string(style), func(t *testing.T) {
			leavesNothing(t)
			h := newHost(t, host.Config{Instances: 1})
			const window = 64 << 10
			stuck := &stuckHandler{release: make(chan struct{}), got: make(chan int, 1000)}
			conns := make(chan *host.Conn, 1)
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				o := &host.AcceptOptions{}
				switch {
				case r.URL.Path == "/echo":
					o.Events = echo{}
				case style == eventStyle:
					o.Events = stuck
				}
				c, err := h.Accept(w, r, o)
				if err != nil {
					t.Error(err)
					return
				}
				if r.URL.Path != "/echo" {
					conns <- c
				}
				<-c.Done()
			}))
			s.Config.Protocols = new(http.Protocols)
			s.Config.Protocols.SetUnencryptedHTTP2(true)
			s.Config.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: window, MaxReceiveBufferPerConnection: 1 << 20}
			s.Start()
			t.Cleanup(func() { closeServer(s) })

			p := dialHTTP2Peer(t, s)
			lazy, busy := p.request(), p.request(":path", "/echo")
			lazy.wantStatus("accepted", "200")
			busy.wantStatus("accepted", "200")
			c := <-conns
			message := make([]byte, 1000)
			f := string(wire(t, true, frame(0x82, message)))
			sent := 0
			eventually(t, "the client may send no more", func() (bool, string) {
				for lazy.window() >= int64(len(f)) {
					lazy.say(f)
					sent++
				}
				return sent >= (window-8<<10)/len(f), fmt.Sprint(sent, " messages")
			})
			for range 20 {
				busy.send("81 02 6869")
				busy.wantFrame("its neighbour is not held up", 0x81, "hi")
				for lazy.window() >= int64(len(f)) {
					lazy.say(f)
					sent++
				}
			}
			const held = window + 16<<10 + 8<<10 // net/http's window, our buffer, its coalescing of WINDOW_UPDATE
			if got := sent * len(f); got > held {
				t.Fatalf("the client could send %d bytes that nobody reads, want no more than %d", got, held)
			}
			ctx := newContext(t)
			close(stuck.release)
			for range sent {
				var n int
				var err error
				if style == eventStyle {
					n = <-stuck.got
				} else {
					var m []byte
					_, m, err = c.Read(ctx)
					n = len(m)
				}
				if err != nil || n != len(message) {
					t.Fatalf("what was sent arrives: %d bytes, %v", n, err)
				}
			}
			p.wait("what is read makes room", func() bool { return p.initial+p.windows[lazy.id]-p.sent[lazy.id] >= window/2 })
		})
	}
}

// TestPeerThatGivesNoWindow has a peer that takes nothing on one stream: StallTimeout
// ends it, and its neighbour goes on. CVE-2026-49975.
func TestPeerThatGivesNoWindow(t *testing.T) {
	limits := host.Limits{StallTimeout: 100 * time.Millisecond, SendLimit: 1 << 10, IdleTimeout: -1}
	wantStall := func(e *end) {
		t := e.t
		t.Helper()
		start := time.Now()
		var err error
		for n := 0; err == nil && n < 1000; n++ {
			err = e.conn.Write(e.ctx, host.MessageBinary, make([]byte, 10<<10))
		}
		if err == nil || e.ctx.Err() != nil || time.Since(start) < limits.StallTimeout {
			e.fail("Write ends when the peer has taken nothing for StallTimeout", "%v after %v", err, time.Since(start))
		}
		ce := e.wantClosed("it is 1006", host.CodeAbnormal, "", false)
		if !errors.Is(ce, host.ErrStalled) {
			e.fail("the cause is told", "%v", ce.Err)
		}
		eventually(t, "the transport is closed", func() (bool, string) { return e.conn.RemoteAddr() == nil, "it is open" })
	}
	for _, style := range []style{streamStyle, eventStyle} {
		t.Run("client/"+string(style), func(t *testing.T) {
			leavesNothing(t)
			h := newHost(t, host.Config{Instances: 1})
			s := newHTTP2RawServer(t, "h2")
			e := newEnd(t, newContext(t), "client", style)
			o := s.options()
			o.Limits = limits
			if e.events != nil {
				o.Events = e.events
			}
			d := startDial(t, e.ctx, h, s.url, o)
			p := s.accept("the client comes", http2.Setting{ID: http2.SettingInitialWindowSize, Val: 100})
			p.keepWindows()
			lazy := p.wantRequest("it asks")
			lazy.head(false, ":status", "200")
			e.conn = d.wantOpen("the stalled socket", host.HTTP2)
			if e.events != nil {
				e.wantEvent("it is open", "open")
			}
			d = startDial(t, newContext(t), h, s.url, s.options())
			busy := p.wantRequest("it asks for a second")
			busy.head(false, ":status", "200")
			neighbour := d.wantOpen("the socket beside it", host.HTTP2)
			wantEcho(t, "the neighbour is open", neighbour, busy.rawPeer)
			wantStall(e)
			lazy.wantReset("the stream is reset", http2.ErrCodeCancel)
			wantEcho(t, "the neighbour goes on", neighbour, busy.rawPeer)
			s.wantNoMore("on the same connection")
			eventually(t, "the stalled one is forgotten", func() (bool, string) { return h.Handles() == 1, fmt.Sprint(h.Handles()) })
		})
		t.Run("server/"+string(style), func(t *testing.T) {
			leavesNothing(t)
			h := newHost(t, host.Config{Instances: 1})
			e := newEnd(t, newContext(t), "server", style)
			accepted := make(chan error, 1)
			returned := make(chan struct{})
			s := newPlainHTTP2Server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				o := &host.AcceptOptions{Limits: limits}
				if r.URL.Path == "/echo" {
					o.Events = echo{}
				} else if e.events != nil {
					o.Events = e.events
				}
				c, err := h.Accept(w, r, o)
				if r.URL.Path == "/echo" {
					<-c.Done()
					return
				}
				e.conn = c
				accepted <- err
				<-c.Done()
				close(returned)
			}))
			p := dialHTTP2Peer(t, s)
			p.keepWindows()
			lazy, busy := p.request(), p.request(":path", "/echo")
			busy.wantStatus("accepted", "200")
			if err := <-accepted; err != nil {
				t.Fatal(err)
			}
			if e.events != nil {
				e.wantEvent("it is open", "open")
			}
			// The connection's window is not the stream's: the neighbour has the rest.
			p.say("WINDOW_UPDATE 0", func() error { return p.framer.WriteWindowUpdate(0, 1<<20) })
			wantStall(e)
			lazy.wantReset("the stream is reset", http2.ErrCodeInternal)
			<-returned
			busy.send("81 02 6869")
			busy.wantFrame("the neighbour goes on", 0x81, "hi")
			eventually(t, "the stalled one is forgotten", func() (bool, string) { return h.Handles() == 1, fmt.Sprint(h.Handles()) })
		})
	}
}

// TestWriteWaitsForWindow has a peer that opens its window late: what was written
// arrives then, and a Write whose context ends meanwhile leaves the socket usable.
func TestWriteWaitsForWindow(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	for _, r := range http2Roles {
		t.Run(r.name, func(t *testing.T) {
			e, st := r.connect(t, h, streamStyle, host.Limits{SendLimit: 1 << 10})
			p := st.peer
			p.keepWindows()
			message := strings.Repeat("m", 100<<10) // more than RFC 9113's initial window
			e.send("it is taken whole", text, []byte(message))
			p.wait("the window is used up", func() bool { return st.total == 65535 })
			ctx, cancel := context.WithTimeout(e.ctx, 20*time.Millisecond)
			defer cancel()
			if err := e.conn.Write(ctx, text, []byte("late")); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Write waits no longer than its context: %v", err)
			}
			if n := e.conn.BufferedAmount(); n < len(message)-65535 || n > len(message)+14 {
				t.Errorf("BufferedAmount is %d", n)
			}
			for _, id := range []uint32{0, st.id} {
				p.say("WINDOW_UPDATE", func() error { return p.framer.WriteWindowUpdate(id, 1<<20) })
			}
			st.wantFrame("the message arrives", 0x81, message)
			e.send("the socket is usable", text, []byte("next"))
			st.wantFrame("the socket is usable", 0x81, "next")
			_ = e.conn.CloseNow()
		})
	}
	wantNothingOpen(t, h)
}
