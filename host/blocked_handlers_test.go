package host_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/wasock/wasock/host"
)

// TestBlockedHandlers has many handlers that block, more than an instance has
// lanes, in every method. Their own peers are held back; others are not.
func TestBlockedHandlers(t *testing.T) {
	for _, c := range carriers {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t, host.Config{Instances: 1})
			release := make(chan struct{})
			entered := make(chan string, 100)
			block := &blockingHandler{entered: entered, release: release}
			url, o := c.serve(t, h.Handler(nil, &host.AcceptOptions{Events: block}))
			echoURL, _ := c.serve(t, h.Handler(nil, &host.AcceptOptions{Events: echo{}})) // of the same certificate
			ctx := newContext(t)
			client := newHost(t, host.Config{Instances: 1}) // the peers are not held up by what is tested
			var blocked []*host.Conn
			for i := range 3 * h.Lanes() {
				conn, _, err := client.Dial(ctx, url, o)
				if err != nil {
					t.Fatal(err)
				}
				kind := []string{"message", "pong", "close"}[i%3]
				switch kind {
				case "message":
					err = conn.Write(ctx, host.MessageText, []byte("block"))
				case "pong":
					err = conn.Write(ctx, host.MessageText, []byte("ping me"))
					go func() { _, _, _ = conn.Read(ctx) }() // answers the Ping
				case "close":
					go func() { _ = conn.Close(normal, "") }()
				}
				if err != nil {
					t.Fatal(err)
				}
				if got := <-entered; got != kind {
					t.Fatalf("got %s, want %s", got, kind)
				}
				blocked = append(blocked, conn)
			}
			for range 3 { // others go on, new ones as well
				conn, _, err := client.Dial(ctx, echoURL, o)
				if err != nil {
					t.Fatal(err)
				}
				for i := range 50 {
					m := fmt.Append(nil, "hello ", i)
					if err := conn.Write(ctx, host.MessageText, m); err != nil {
						t.Fatal(err)
					}
					if _, got, err := conn.Read(ctx); err != nil || !bytes.Equal(got, m) {
						t.Fatalf("others are not held up: %q, %v", got, err)
					}
				}
				if err := conn.Close(normal, ""); err != nil {
					t.Error(err)
				}
			}
			if len(entered) > 0 {
				t.Errorf("a handler was called while it ran: %s", <-entered)
			}
			close(release)
			for i, conn := range blocked {
				if i%3 != 0 {
					continue
				}
				if err := conn.Write(ctx, host.MessageText, []byte("echo")); err != nil {
					t.Fatal(err)
				}
				if _, m, err := conn.Read(ctx); err != nil || string(m) != "echo" {
					t.Errorf("a connection whose handler has returned goes on: %q, %v", m, err)
				}
			}
		})
	}
}

// blockingHandler blocks where it is told to until release is closed.
type blockingHandler struct {
	host.NoEvents
	entered chan string
	release chan struct{}
}

func (b *blockingHandler) block(what string) {
	b.entered <- what
	<-b.release
}

func (b *blockingHandler) OnMessage(c *host.Conn, t host.MessageType, p []byte) {
	switch string(p) {
	case "block":
		b.block("message")
	case "ping me":
		_ = c.SendPing(nil)
	default:
		_ = c.Send(t, p)
	}
}

func (b *blockingHandler) OnPong(*host.Conn, []byte) { b.block("pong") }

func (b *blockingHandler) OnClose(_ *host.Conn, code host.CloseCode, _ string, _ bool) {
	if code == normal {
		b.block("close")
	}
}

// TestBlockedHandlerHoldsItsPeerBack has a handler that blocks while its peer
// sends: the peer's writes stall.
func TestBlockedHandlerHoldsItsPeerBack(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1})
	release, entered := make(chan struct{}), make(chan string, 10)
	p := serveRaw(t, h, host.AcceptOptions{Events: &blockingHandler{entered: entered, release: release}})
	p.send(frame(0x81, []byte("block")))
	<-entered
	b := wire(t, true, frame(0x82, make([]byte, 60_000)))
	stalled := false
	for range 2000 { // 120 MB
		_ = p.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		if _, err := p.Write(b); err != nil {
			var ne net.Error
			stalled = errors.As(err, &ne) && ne.Timeout()
			break
		}
	}
	if !stalled {
		t.Error("the peer's writes go on while its handler blocks")
	}
	close(release)
}

// TestTimedOutHandlersHoldNoLanes has handlers that block in what a timer told
// them, while their peers send.
func TestTimedOutHandlersHoldNoLanes(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1})
	release, entered := make(chan struct{}), make(chan struct{}, 100)
	defer close(release)
	block := &errorHandler{func() { entered <- struct{}{}; <-release }}
	for range 2 * h.Lanes() {
		p := serveRaw(t, h, host.AcceptOptions{Events: block, Limits: host.Limits{IdleTimeout: 20 * time.Millisecond}})
		<-entered
		p.send("81 02 6869")
	}
	p := serveRaw(t, h, host.AcceptOptions{Events: echo{}})
	for range 100 {
		p.send("81 02 6869")
		p.wantFrame("others are not held up", 0x81, "hi")
	}
}

type errorHandler struct{ onError func() }

func (errorHandler) OnOpen(*host.Conn)                                {}
func (errorHandler) OnMessage(*host.Conn, host.MessageType, []byte)   {}
func (errorHandler) OnPong(*host.Conn, []byte)                        {}
func (h *errorHandler) OnError(*host.Conn, error)                     { h.onError() }
func (errorHandler) OnClose(*host.Conn, host.CloseCode, string, bool) {}

// TestUncork has a handler that sends and then blocks: what it sent leaves all
// the same.
func TestUncork(t *testing.T) {
	for _, c := range carriers {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t, host.Config{Instances: 1})
			release := make(chan struct{})
			handler := &messageHandler{func(c *host.Conn, _ host.MessageType, p []byte) {
				_ = c.Send(host.MessageText, p)
				_ = c.Send(host.MessageText, []byte("second"))
				<-release
			}}
			url, o := c.serve(t, h.Handler(nil, &host.AcceptOptions{Events: handler}))
			ctx := newContext(t)
			conn, _, err := h.Dial(ctx, url, o)
			if err != nil {
				t.Fatal(err)
			}
			if err := conn.Write(ctx, host.MessageText, []byte("first")); err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"first", "second"} {
				if _, p, err := conn.Read(ctx); err != nil || string(p) != want {
					t.Errorf("got %q, %v, want %q", p, err, want)
				}
			}
			close(release)
		})
	}
}
