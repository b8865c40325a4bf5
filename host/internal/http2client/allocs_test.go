//go:build !race

package http2client

import (
	"io"
	"runtime"
	"testing"
)

// A message there and back allocates nothing: the race detector allocates, and
// empties pools.
func TestEchoAllocatesNothing(t *testing.T) {
	c := benchConn(t)
	for _, size := range []int{64, 40_000} {
		s := openEcho(t, c)
		buf := make([]byte, size)
		echo := func(n int) {
			for range n {
				if _, err := s.Write(buf); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(s, buf); err != nil {
					t.Fatal(err)
				}
			}
		}
		echo(100)
		const n = 2000
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		echo(n)
		runtime.ReadMemStats(&after)
		// A garbage collection empties the pools, and allocates itself.
		if allocs := after.Mallocs - before.Mallocs; allocs > n/20 {
			t.Errorf("%d messages of %d bytes allocate %d times", n, size, allocs)
		}
	}
}
