package host_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
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
		fill(t, e.conn, message)
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
		p.say(string(header) + "\x00\x00\x00\x00x")
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
