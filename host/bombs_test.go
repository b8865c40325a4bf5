package host_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/wasock/wasock/host"
)

// compressed returns a message as permessage-deflate sends it. RFC 7692 §7.2.1.
func compressed(t testing.TB, p []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err == nil {
		_, err = w.Write(p)
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff})
}

// flood has a raw client send wire count times, as fast as the server takes it, while
// the server begins to read when much of it has arrived.
func flood(p *rawPeer, frames []byte, count int) (written <-chan error) {
	done := make(chan error, 1)
	go func() {
		batch := bytes.Repeat(frames, min(count, 1<<20/len(frames)+1))
		for left := count * len(frames); left > 0; {
			n := min(left, len(batch))
			if _, err := p.Conn.Write(batch[:n]); err != nil {
				done <- err
				return
			}
			left -= n
		}
		done <- nil
	}()
	return done
}

// TestFloods has a peer whose frames are as small, or inflate to as much, as the
// limits allow, many in one read: each message arrives, other connections of the
// instance do not notice, and what the host holds is bounded. Frames: CVE-2026-48779;
// a bomb in each message: CVE-2026-1526.
func TestFloods(t *testing.T) {
	for _, flooded := range []struct {
		name   string
		frames []byte
		size   int // of a message
		count  int
	}{
		{"empty fragments", wire(t, true, "02 00", "80 00"), 0, 100_000},
		{"empty messages, compressed", wire(t, true, frame(0xc2, []byte{0})), 0, 100_000},
		{"a bomb in each message", wire(t, true, frame(0xc2, compressed(t, make([]byte, 64<<10)))), 64 << 10, 10_000},
	} {
		for _, s := range []style{streamStyle, eventStyle, scarceStyle} {
			t.Run(strings.ReplaceAll(flooded.name, " ", "_")+"/"+string(s), func(t *testing.T) {
				h := newHost(t, host.Config{Instances: 1})
				if s == scarceStyle {
					holdLanes(t, h)
				}
				other, otherPeer := acceptRaw(t, h, streamStyle, host.AcceptOptions{})
				counting := &counting{size: flooded.size, all: make(chan struct{}), want: flooded.count}
				o := host.AcceptOptions{Compression: host.Compression{Mode: host.CompressionContextTakeover}}
				if s != streamStyle {
					o.Events = counting
				}
				e, p := acceptRaw(t, h, streamStyle, o)
				before := heapInUse()
				written := flood(p, flooded.frames, flooded.count)
				if s == streamStyle {
					for range flooded.count {
						_, m, err := e.conn.Read(e.ctx)
						if err != nil {
							t.Fatalf("after %d messages: %v", counting.got, err)
						}
						counting.OnMessage(e.conn, host.MessageBinary, m)
					}
				}
				select {
				case <-counting.all:
				case <-e.ctx.Done():
					t.Fatalf("%d of %d messages came", counting.got, flooded.count)
				}
				if err := <-written; err != nil {
					t.Fatal(err)
				}
				if held := counting.most - before; held > 4<<20 {
					t.Errorf("the host holds %d KiB meanwhile", held>>10)
				}
				otherPeer.send("82 01 61")
				other.wantMessage("another connection goes on", host.MessageBinary, []byte("a"))
			})
		}
	}
}

// scarceStyle is eventStyle while other handlers hold all lanes but the last.
const scarceStyle style = "scarce"

// holdLanes blocks a handler for each lane but one, until the test ends.
func holdLanes(t *testing.T, h *host.Host) {
	b := &blocking{held: make(chan struct{}), end: make(chan struct{})}
	t.Cleanup(func() { close(b.end) })
	for range h.Lanes() - 1 {
		acceptRaw(t, h, streamStyle, host.AcceptOptions{Events: b}, "82 01 61")
		<-b.held
	}
}

type blocking struct {
	host.NoEvents
	held, end chan struct{}
}

func (b *blocking) OnMessage(*host.Conn, host.MessageType, []byte) {
	b.held <- struct{}{}
	<-b.end
}

// counting counts messages of size bytes, and looks at the memory now and then.
type counting struct {
	host.NoEvents
	size, want, got int
	most            int64
	wrong           error
	all             chan struct{}
}

func (c *counting) OnMessage(_ *host.Conn, _ host.MessageType, p []byte) {
	if len(p) != c.size {
		c.wrong = fmt.Errorf("a message has %d bytes, want %d", len(p), c.size)
	}
	if c.got++; c.got%(c.want/10) == 0 {
		c.most = max(c.most, heapInUse())
	}
	if c.got == c.want {
		close(c.all)
	}
}

// heapInUse returns the bytes of the heap that are reachable.
func heapInUse() int64 {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
