//go:build !race

package host_test

import (
	"bytes"
	"io"
	"runtime"
	"testing"

	"github.com/wasock/wasock/host"
)

// TestEchoAllocatesNothing has a steady echo in the event style: no allocation in
// the host for a message, and one call into the guest for a read from the socket,
// however many messages are in it.
func TestEchoAllocatesNothing(t *testing.T) {
	for _, batch := range []int{1, 8} {
		h := newHost(t, host.Config{Instances: 1})
		p := serveRaw(t, h, host.AcceptOptions{Events: echo{}})
		var frames []string
		for range batch {
			frames = append(frames, frame(0x82, make([]byte, 64)))
		}
		in := wire(t, true, frames...)
		want := wire(t, false, frames...)
		got := make([]byte, len(want))
		round := func() {
			if _, err := p.Conn.Write(in); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(p.Conn, got); err != nil {
				t.Fatal(err)
			}
		}
		for range 1000 {
			round()
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("got %x, want %x", got, want)
		}
		const messages = 10_000
		var before, after runtime.MemStats
		calls := h.CountReceives()
		runtime.ReadMemStats(&before)
		for range messages / batch {
			round()
		}
		runtime.ReadMemStats(&after)
		// The runtime's own housekeeping allocates now and then.
		if n := after.Mallocs - before.Mallocs; n > messages/100 {
			t.Errorf("batches of %d: %d allocations for %d messages", batch, n, messages)
		}
		if n := calls.Load(); n != messages/int64(batch) {
			t.Errorf("batches of %d: %d calls into the guest for %d reads", batch, n, messages/batch)
		}
	}
}
