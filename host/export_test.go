package host

import (
	"context"
	"sync/atomic"

	"github.com/tetratelabs/wazero/api"
)

// Handles returns how many connections the engine's instances hold.
func (h *Host) Handles() (n int) {
	for _, inst := range h.live() {
		inst.mu.Lock()
		n += len(inst.conns)
		inst.mu.Unlock()
	}
	return n
}

// CountReceives counts, from now on, the calls that give received bytes to the
// guest.
func (h *Host) CountReceives() *atomic.Int64 {
	n := new(atomic.Int64)
	for _, inst := range h.live() {
		inst.mu.Lock()
		inst.fn.streamReceived = &countedFunction{inst.fn.streamReceived, n}
		inst.mu.Unlock()
	}
	return n
}

// Trap takes the instance of c out of service, as a trap does.
func (c *Conn) Trap() { c.inst.distrust("the test said so") }

// Lanes returns how many lanes an instance has.
func (h *Host) Lanes() int { return h.live()[0].lanes.total }

func (h *Host) live() []*instance {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]*instance(nil), h.instances...)
}

// countedFunction counts the calls of a function.
type countedFunction struct {
	api.Function
	n *atomic.Int64
}

func (f *countedFunction) CallWithStack(ctx context.Context, stack []uint64) error {
	f.n.Add(1)
	return f.Function.CallWithStack(ctx, stack)
}

// SameInstance reports whether an instance carries both.
func (c *Conn) SameInstance(d *Conn) bool { return c.inst == d.inst }
