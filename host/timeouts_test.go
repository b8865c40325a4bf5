package host_test

import (
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/wasock/wasock/host"
)

// TestIdleTimeout has a peer that goes silent: at half of the time it sees a
// Ping, at the whole a Close frame, and the end is told once. deno.md §4.4, and
// §1.3 for the second end that the reference tells.
func TestIdleTimeout(t *testing.T) {
	h := newHost(t, host.Config{})
	forEachEnd(t, func(t *testing.T, r role, s style) {
		e, p := r.connect(t, h, s, host.Limits{IdleTimeout: 60 * time.Millisecond, CloseTimeout: 40 * time.Millisecond})
		const reason = "No response from ping frame."
		read := make(chan error, 1)
		if e.events == nil { // silence is held against the peer while somebody reads
			go func() {
				_, _, err := e.conn.Read(e.ctx)
				read <- err
			}()
		}
		start := time.Now()
		p.wantFrame("at half of the time the peer is asked", 0x89, "")
		p.send("8a 00")
		p.wantFrame("a Pong begins the time anew", 0x89, "")
		p.wantClose("at the whole it is given up", host.CodeGoingAway, reason)
		switch d := time.Since(start); {
		case d < 85*time.Millisecond:
			t.Errorf("the Pong bought no time: %v", d)
		case d > 5*time.Second:
			t.Errorf("a timer of the opening handshake's held the others up: %v", d)
		}
		p.wantEOF("nothing follows the Close frame")
		if e.events == nil {
			var ce *host.CloseError
			if err := <-read; !errors.As(err, &ce) || ce.Code != host.CodeGoingAway || ce.Reason != reason || ce.WasClean || ce.Err == nil {
				e.fail("Read tells of it", "%v", err)
			}
			return
		}
		e.wantEvent("the Pong is told", "pong")
		if ev := e.wantEvent("the cause is told first", "error"); ev.err == nil || !strings.Contains(ev.err.Error(), reason) {
			e.fail("the cause is told", "%v", ev.err)
		}
		if ev := e.wantEvent("the end is told", "close"); ev.code != host.CodeGoingAway || ev.reason != reason || ev.clean {
			e.fail("the end is told", "%+v", ev)
		}
		eventually(t, "the transport is closed though the peer does not close it", func() (bool, string) {
			return e.conn.RemoteAddr() == nil, "it is open"
		})
		if len(e.events.events) > 0 {
			e.fail("the end is told once", "then %+v", <-e.events.events)
		}
	})
	wantNothingOpen(t, h)
}

// TestCloseTimeout has a peer that never answers a Close frame, in silence or
// talking all the time. The reference waits for ever (deno.md §1.2).
func TestCloseTimeout(t *testing.T) {
	h := newHost(t, host.Config{})
	for _, flood := range []bool{false, true} {
		name := "silent"
		if flood {
			name = "talking"
		}
		t.Run(name, func(t *testing.T) {
			forEachEnd(t, func(t *testing.T, r role, s style) {
				e, p := r.connect(t, h, s, host.Limits{CloseTimeout: 60 * time.Millisecond})
				done := make(chan struct{})
				go func() {
					defer close(done)
					b := wire(t, p.client, frame(0x82, make([]byte, 1000)), "81 02 6869")
					for e.conn.ReadyState() == host.StateOpen {
						runtime.Gosched() // messages from here on are discarded, and hold up no handler
					}
					for flood {
						if _, err := p.Write(b); err != nil {
							return
						}
					}
				}()
				closed := make(chan error, 1)
				go func() { closed <- e.conn.Close(normal, "bye") }()
				if !flood {
					p.wantClose("the peer is told", normal, "bye")
				}
				p.wantEnd("the transport is closed")
				<-done
				if err := <-closed; e.events == nil && (err == nil || host.CloseStatus(err) != 1006) {
					e.fail("Close says that the peer did not answer", "%v", err)
				}
				e.wantClosed("a closing handshake that is not completed is 1006", host.CodeAbnormal, "", false)
			})
		})
	}
	wantNothingOpen(t, h)
}

// TestReset has the peer's transport fail in each state: 1006 in all but one, no
// panic, nothing left. The reference crashed (threats.md "stream reset").
func TestReset(t *testing.T) {
	h := newHost(t, host.Config{})
	for _, x := range []struct {
		name  string
		do    func(e *end, p *rawPeer)
		code  host.CloseCode
		clean bool
	}{
		{"open", func(e *end, p *rawPeer) {}, host.CodeAbnormal, false},
		{"inside a header", func(e *end, p *rawPeer) { p.say("\x82") }, host.CodeAbnormal, false},
		{"inside a payload", func(e *end, p *rawPeer) { p.say(string(wire(e.t, p.client, "82 05 61"))) }, host.CodeAbnormal, false},
		{"inside a message", func(e *end, p *rawPeer) { p.send("01 01 61") }, host.CodeAbnormal, false},
		{"with output on its way", func(e *end, p *rawPeer) {
			for range 3 {
				_ = e.conn.Send(host.MessageBinary, make([]byte, 1<<20))
			}
		}, host.CodeAbnormal, false},
		{"closing", func(e *end, p *rawPeer) {
			go func() { _ = e.conn.Close(normal, "") }()
			p.wantClose("we close", normal, "")
		}, host.CodeAbnormal, false},
		{"closed", func(e *end, p *rawPeer) {
			p.send(closeFrame(1000, ""))
			e.wantClosed("the peer closes", normal, "", true)
		}, normal, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			forEachEnd(t, func(t *testing.T, r role, s style) {
				e, p := r.connect(t, h, s, host.Limits{})
				x.do(e, p)
				p.reset()
				if x.clean {
					return
				}
				for {
					_, _, err := e.receive()
					var ce *host.CloseError
					if err == nil {
						continue
					}
					if !errors.As(err, &ce) || ce.Code != x.code || ce.WasClean {
						e.fail("a reset is 1006", "%v", err)
					}
					break
				}
			})
		})
	}
	wantNothingOpen(t, h)
}

// TestHalfClose has a peer that ends its side without a Close frame.
func TestHalfClose(t *testing.T) {
	h := newHost(t, host.Config{})
	forEachEnd(t, func(t *testing.T, r role, s style) {
		e, p := r.connect(t, h, s, host.Limits{})
		p.send("81 02 6869")
		_ = p.Conn.(*net.TCPConn).CloseWrite()
		e.wantMessage("what came before the end is delivered", host.MessageText, []byte("hi"))
		ce := e.wantClosed("the end without a Close frame is 1006", host.CodeAbnormal, "", false)
		if ce.Err == nil || !strings.Contains(ce.Err.Error(), "without a Close frame") {
			e.fail("the cause is told", "%v", ce.Err)
		}
		if _, err := io.Copy(io.Discard, p.r); isTimeout(err) {
			t.Errorf("the transport is closed: %v", err)
		}
	})
	wantNothingOpen(t, h)
}

// heldHandler blocks in OnMessage until it is released.
type heldHandler struct {
	host.NoEvents
	entered, release chan struct{}
	closed           chan host.CloseCode
}

func (b *heldHandler) OnMessage(*host.Conn, host.MessageType, []byte) {
	b.entered <- struct{}{}
	<-b.release
}

func (b *heldHandler) OnClose(_ *host.Conn, code host.CloseCode, _ string, _ bool) {
	b.closed <- code
}

// TestCloseTimeoutDuringHandler has a handler that does not return while the peer
// leaves a Close frame unanswered: the transport ends, and the handler is told
// when it has returned.
func TestCloseTimeoutDuringHandler(t *testing.T) {
	h := newHost(t, host.Config{})
	b := &heldHandler{entered: make(chan struct{}), release: make(chan struct{}), closed: make(chan host.CloseCode, 1)}
	e, p := acceptRaw(t, h, streamStyle, host.AcceptOptions{Events: b, Limits: host.Limits{CloseTimeout: 30 * time.Millisecond}})
	p.send("81 01 61")
	<-b.entered
	if err := e.conn.Close(normal, "bye"); err != nil {
		t.Fatal(err)
	}
	p.wantClose("the peer is told", normal, "bye")
	p.wantEnd("the transport ends though the handler blocks")
	select {
	case code := <-b.closed:
		t.Fatalf("OnClose(%d) came while OnMessage ran", code)
	default:
	}
	close(b.release)
	if code := <-b.closed; code != host.CodeAbnormal {
		t.Errorf("OnClose says %d, want 1006", code)
	}
	wantNothingOpen(t, h)
}

// TestStallTimeout has a peer that does not read: the output that waits for it is
// given up, and a Write that waits returns.
func TestStallTimeout(t *testing.T) {
	h := newHost(t, host.Config{})
	forEachEnd(t, func(t *testing.T, r role, s style) {
		e, p := r.connect(t, h, s, host.Limits{StallTimeout: 100 * time.Millisecond, SendLimit: 1 << 10, IdleTimeout: -1})
		_ = p.Conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		start := time.Now()
		var err error
		for err == nil { // until the sockets' buffers are full, and the queue is
			err = e.conn.Write(e.ctx, host.MessageBinary, make([]byte, 1<<20))
		}
		if e.ctx.Err() != nil || time.Since(start) < 100*time.Millisecond {
			e.fail("Write ends when the peer has taken nothing for StallTimeout", "%v after %v", err, time.Since(start))
		}
		eventually(t, "the transport is closed", func() (bool, string) { return e.conn.RemoteAddr() == nil, "it is open" })
		if e.events != nil {
			if ev := e.wantEvent("the cause is told", "error"); !errors.Is(ev.err, host.ErrStalled) {
				e.fail("the cause is told", "%v", ev.err)
			}
			e.wantEvent("the end is told", "close")
			return
		}
		if _, _, err := e.conn.Read(e.ctx); !errors.Is(err, host.ErrStalled) || host.CloseStatus(err) != 1006 {
			e.fail("Read says why", "%v", err)
		}
	})
	wantNothingOpen(t, h)
}
