package host_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wasock/wasock/host"
)

// echoBack sends every message back.
type echoBack struct{ host.NoEvents }

func (echoBack) OnMessage(c *host.Conn, t host.MessageType, p []byte) {
	_ = c.Write(context.Background(), t, p)
}

// roundTrips sends every echo again, until enough have come.
type roundTrips struct {
	host.NoEvents
	left *atomic.Int64
	done func()
}

func (r *roundTrips) OnMessage(c *host.Conn, t host.MessageType, p []byte) {
	if left := r.left.Add(-1); left > 0 {
		_ = c.Write(context.Background(), t, p)
	} else if left == 0 {
		r.done()
	}
}

// BenchmarkCarriers is a message there and back, both ends ours and in this
// process, over TLS with HTTP/1.1 and with HTTP/2, where all connections share
// one.
func BenchmarkCarriers(b *testing.B) {
	for _, row := range []struct{ conns, size, inFlight int }{{1, 64, 1}, {50, 64, 1}, {8, 64 << 10, 4}} {
		for _, version := range []host.HTTPVersion{host.HTTP1, host.HTTP2} {
			b.Run(fmt.Sprintf("conns=%d/size=%d/inflight=%d/http=%d", row.conns, row.size, row.inFlight, version), func(b *testing.B) {
				h := newHost(b, host.Config{})
				s := newBenchServer(b, h)
				var left atomic.Int64
				done := make(chan struct{})
				handler := &roundTrips{left: &left, done: sync.OnceFunc(func() { close(done) })}
				var conns []*host.Conn
				tls := trusting(s)
				for range row.conns {
					c, _, err := h.Dial(context.Background(), s.URL, &host.DialOptions{Events: handler, HTTPVersion: version, TLS: tls})
					if err != nil {
						b.Fatal(err)
					}
					conns = append(conns, c)
				}
				p := make([]byte, row.size)
				b.SetBytes(int64(row.size))
				b.ReportAllocs()
				b.ResetTimer()
				left.Store(int64(b.N))
				for _, c := range conns {
					for range row.inFlight {
						if err := c.Write(context.Background(), host.MessageBinary, p); err != nil {
							b.Fatal(err)
						}
					}
				}
				<-done
				b.StopTimer()
				for _, c := range conns {
					_ = c.CloseNow()
				}
			})
		}
	}
}

func newBenchServer(b *testing.B, h *host.Host) *httptest.Server {
	s := httptest.NewUnstartedServer(h.Handler(nil, &host.AcceptOptions{Events: echoBack{}}))
	s.EnableHTTP2 = true
	s.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 1000}
	s.StartTLS()
	b.Cleanup(func() { closeServer(s) })
	return s
}
