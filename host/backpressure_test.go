package host_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/wasock/wasock/host"
)

// fill sends until the queue is full, and returns how many messages were taken.
func fill(t *testing.T, c *host.Conn, p []byte) (n int) {
	t.Helper()
	for ; n < 1<<14; n++ {
		if err := c.Send(host.MessageBinary, p); errors.Is(err, host.ErrSendQueueFull) {
			return n
		} else if err != nil {
			t.Fatalf("message %d: %v", n, err)
		}
	}
	t.Fatal("the queue is never full")
	return n
}

// TestSendQueue has a peer that does not read: Send says that the queue is full,
// Write waits for as long as it may, and nothing that was taken is lost. The
// reference queued 200 MiB (deno.md §6.1).
func TestSendQueue(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1})
	forEachEnd(t, func(t *testing.T, r role, s style) {
		const limit = 100_000
		e, p := r.connect(t, h, s, host.Limits{SendLimit: limit})
		message := bytes.Repeat([]byte("x"), 10_000)
		n := fill(t, e.conn, message)
		if got := e.conn.BufferedAmount(); got <= limit || got > limit+len(message)+14 {
			t.Errorf("BufferedAmount is %d, the limit %d", got, limit)
		}
		ctx, cancel := context.WithTimeout(e.ctx, 20*time.Millisecond)
		defer cancel()
		if err := e.conn.Write(ctx, host.MessageBinary, message); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a Write waits until its context ends: %v", err)
		}
		written := make(chan error, 1)
		go func() { written <- e.conn.Write(e.ctx, host.MessageBinary, message) }()
		for range n + 1 {
			p.wantFrame("what was taken arrives", 0x82, string(message))
		}
		if err := <-written; err != nil {
			t.Errorf("a Write goes on once the peer reads: %v", err)
		}
		eventually(t, "the queue is empty", func() (bool, string) {
			n := e.conn.BufferedAmount()
			return n == 0, fmt.Sprint(n, " bytes")
		})
		n = fill(t, e.conn, message)
		go func() { written <- e.conn.Write(e.ctx, host.MessageBinary, message) }()
		_ = e.conn.CloseNow()
		if err := <-written; err == nil {
			t.Error("a Write that waits ends with the connection")
		}
	})
	wantNothingOpen(t, h)
}

// TestEchoToPeerThatDoesNotRead has an echo server flooded by a peer that never
// reads: what is held for it stays within SendLimit.
func TestEchoToPeerThatDoesNotRead(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1})
	const limit = 1 << 20
	dropped := make(chan struct{}, 1)
	handler := &messageHandler{func(c *host.Conn, typ host.MessageType, m []byte) {
		if n := c.BufferedAmount(); n > limit+1<<20 {
			t.Errorf("BufferedAmount is %d, the limit %d", n, limit)
		}
		if err := c.Send(typ, m); errors.Is(err, host.ErrSendQueueFull) {
			select {
			case dropped <- struct{}{}:
			default:
			}
		}
	}}
	p := serveRaw(t, h, host.AcceptOptions{Events: handler})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b := wire(t, true, frame(0x82, make([]byte, 60_000)))
	for range 1000 { // 60 MB
		if _, err := p.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	<-dropped
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
}

// A messageHandler is an EventHandler of one function.
type messageHandler struct {
	onMessage func(*host.Conn, host.MessageType, []byte)
}

func (h *messageHandler) OnOpen(*host.Conn) {}
func (h *messageHandler) OnMessage(c *host.Conn, t host.MessageType, p []byte) {
	h.onMessage(c, t, p)
}
func (h *messageHandler) OnPong(*host.Conn, []byte)                        {}
func (h *messageHandler) OnError(*host.Conn, error)                        {}
func (h *messageHandler) OnClose(*host.Conn, host.CloseCode, string, bool) {}

// TestOnePongWaits has a peer that sends Pings and does not read: of the Pongs
// for them the latest is kept. RFC 6455 §5.5.3.
func TestOnePongWaits(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1})
	for _, r := range roles {
		t.Run(r.name, func(t *testing.T) {
			e, p := r.connect(t, h, eventStyle, host.Limits{})
			n := fill(t, e.conn, make([]byte, 50_000))
			for i := range 90 {
				p.send(frame(0x89, []byte{byte(i)}))
			}
			p.send("81 04 646f6e65")
			e.wantMessage("the Pings were received", host.MessageText, []byte("done"))
			if err := e.conn.Close(normal, ""); err != nil {
				t.Fatal(err)
			}
			var pongs []byte
			for messages := 0; ; {
				first, payload, err := p.receive()
				if err != nil {
					t.Fatal(err)
				}
				if first == 0x88 {
					if messages != n {
						t.Errorf("%d of %d messages arrived", messages, n)
					}
					break
				}
				if first == 0x82 {
					messages++
				} else {
					pongs = append(pongs, payload...)
				}
			}
			if !bytes.Equal(pongs, []byte{89}) {
				t.Errorf("got Pongs for %v, want the latest", pongs)
			}
		})
	}
}

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

// serveRaw returns a raw client of a server with o.
func serveRaw(t *testing.T, h *host.Host, o host.AcceptOptions) *rawPeer {
	t.Helper()
	url, _ := carriers[0].serve(t, h.Handler(nil, &o))
	p := dialTCP(t, url[len("http://"):])
	p.say(upgradeRequest + "\r\n")
	var head [4096]byte
	n := 0
	for !bytes.HasSuffix(head[:n], []byte("\r\n\r\n")) {
		b, err := p.r.ReadByte()
		if err != nil {
			t.Fatal(err)
		}
		head[n] = b
		n++
	}
	if !bytes.HasPrefix(head[:n], []byte("HTTP/1.1 101 ")) {
		t.Fatalf("the request is refused: %s", head[:n])
	}
	return p
}

// TestMemoryPromisedByHeader has many peers announce a long message each, and
// send none of it.
func TestMemoryPromisedByHeader(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	header := binary.BigEndian.AppendUint64([]byte{0x82, 0xff}, 16<<20)
	const peers = 50
	for range peers {
		p := serveRaw(t, h, host.AcceptOptions{Events: echo{}})
		_, _ = io.WriteString(p, string(append(header, 0, 0, 0, 0, 'x')))
	}
	eventually(t, "all were received", func() (bool, string) {
		n := h.Stats().BytesReceived
		return n >= peers*uint64(len(header)+5), fmt.Sprint(n, " bytes")
	})
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > peers*512<<10 {
		t.Errorf("the heap grew by %d bytes for %d headers", grown, peers)
	}
}
