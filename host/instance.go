package host

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/wasock/wasock/hostcalls"
)

// An instance is one instance of the engine and the connections it carries. It
// is the context of the calls into it, by which hostcalls find it.
//
// Locks are taken in this order: Conn.deliver, a lane, Conn.mu, instance.mu.
type instance struct {
	context.Context

	host    *Host
	mod     api.Module
	memory  api.Memory
	fixed   *fixedMemory // what memory is a part of
	fn      exports
	lanes   lanePool
	poller  *poller // nil where the system has none
	counter counter
	closing sync.Once

	mu      sync.Mutex // guards what follows, and every call
	conns   map[uint32]*Conn
	stack   [8]uint64
	current *Conn // the connection that the call in progress is for
	lane    *lane // the lane that it uses
	dead    bool  // it trapped
}

// A lane is a set of buffers in the guest's memory, as views that stay valid.
// Whoever holds it may use them without the instance's lock.
type lane struct {
	index                  uint32
	rx, tx, events, result []byte

	out [][]byte // what the call wrote, views of the guest's memory

	staged int // bytes of tx taken by send records; under the connection's mu

	stale      *time.Timer // sends what is staged if a handler takes long
	staleArmed atomic.Bool
	corkedBy   atomic.Pointer[Conn]
}

// uncorkDelay is how long a message may wait for a handler to return.
const uncorkDelay = time.Millisecond

// uncorkSoon sees to it that what c stages in l is sent within uncorkDelay, even
// if the handler that runs does not return. The timer is left to fire, so that a
// busy lane pays for it once a millisecond rather than once a batch.
func (l *lane) uncorkSoon(c *Conn) {
	l.corkedBy.Store(c)
	if l.staleArmed.Swap(true) {
		return
	}
	if l.stale == nil {
		l.stale = time.AfterFunc(uncorkDelay, l.uncorkStale)
	} else {
		l.stale.Reset(uncorkDelay)
	}
}

func (l *lane) uncorkStale() {
	l.staleArmed.Store(false)
	c := l.corkedBy.Swap(nil)
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cork == l {
		_ = c.uncork(l) // an error means that the connection ended, which OnClose tells
	}
}

// lanePool hands out lanes, the one used last first: its memory is warm.
type lanePool struct {
	mu    sync.Mutex
	avail sync.Cond
	free  []*lane
	left  atomic.Int32 // len(free), for scarce
	total int
	shut  bool // the guest's memory is gone, or about to be
}

func (p *lanePool) init(n int) {
	p.avail.L = &p.mu
	p.total = n
	p.free = make([]*lane, 0, n)
}

// get waits for a lane. A lane is never held while waiting for the network or,
// the last one, while a handler runs.
func (p *lanePool) get() *lane {
	p.mu.Lock()
	for len(p.free) == 0 && !p.shut {
		p.avail.Wait()
	}
	if p.shut {
		p.mu.Unlock()
		return newSpareLane()
	}
	n := len(p.free) - 1
	l := p.free[n]
	p.free = p.free[:n]
	p.left.Store(int32(n))
	p.mu.Unlock()
	return l
}

func (p *lanePool) put(l *lane) {
	clear(l.out)
	l.out = l.out[:0]
	l.staged = 0
	p.mu.Lock()
	if p.shut {
		p.mu.Unlock()
		return
	}
	p.free = append(p.free, l)
	p.left.Store(int32(len(p.free)))
	p.mu.Unlock()
	p.avail.Signal()
}

// scarce reports whether no lane is left for others.
func (p *lanePool) scarce() bool { return p.left.Load() == 0 }

// takeAll waits until every lane is back, and keeps them. From then on get returns
// spare ones.
func (p *lanePool) takeAll() {
	for range p.total {
		p.get()
	}
	p.mu.Lock()
	p.shut = true
	p.mu.Unlock()
	p.avail.Broadcast()
}

// newSpareLane returns a lane that is in no guest's memory, for those who come
// after the instance has ended: their calls fail.
func newSpareLane() *lane {
	b := make([]byte, 16<<10)
	return &lane{rx: b, tx: b}
}

// call calls f for c with lane l. It returns what the export returned, or EIO
// if the instance is dead. The caller holds c.mu.
//
// The arguments are passed through the instance's stack, so that a call
// allocates nothing.
func (inst *instance) call(c *Conn, l *lane, f api.Function, args ...uint64) int32 {
	inst.mu.Lock()
	defer inst.mu.Unlock()
	if inst.dead {
		return hostcalls.EIO.Ret()
	}
	inst.current, inst.lane = c, l
	copy(inst.stack[:], args)
	err := f.CallWithStack(inst, inst.stack[:])
	inst.current, inst.lane = nil, nil
	if err != nil {
		inst.trapped(err)
		return hostcalls.EIO.Ret()
	}
	return int32(uint32(inst.stack[0]))
}

// trapped takes the instance out of service: after a trap a Go guest cannot be
// trusted to work, though it could still be called.
func (inst *instance) trapped(err error) {
	inst.dead = true
	inst.host.logger.Error("websocket engine instance failed, its connections end", "connections", len(inst.conns), "error", err)
	conns := make([]*Conn, 0, len(inst.conns))
	for _, c := range inst.conns {
		conns = append(conns, c)
	}
	inst.host.replacing.Add(1)
	go inst.host.replace(inst, conns)
}

// view returns n bytes at ptr in the guest's memory, of which it may have claimed
// less so far. Unlike memory.Read it may be used while a call runs.
func (inst *instance) view(ptr, n uint32) ([]byte, bool) {
	end := uint64(ptr) + uint64(n)
	if end > uint64(len(inst.fixed.b)) {
		return nil, false
	}
	return inst.fixed.b[ptr:end:end], true
}

// distrust takes the instance out of service because of what it said.
func (inst *instance) distrust(why string) {
	inst.mu.Lock()
	defer inst.mu.Unlock()
	if !inst.dead {
		inst.trapped(errors.New(why))
	}
}

// add makes h name c. It reports false if the instance has failed meanwhile, or
// gave h to another connection before.
func (inst *instance) add(h uint32, c *Conn) bool {
	inst.mu.Lock()
	defer inst.mu.Unlock()
	switch {
	case inst.dead:
		return false
	case inst.conns[h] != nil:
		inst.trapped(errors.New("a handle names two connections"))
		return false
	}
	inst.conns[h] = c
	return true
}

// free forgets the connection h.
func (inst *instance) free(h uint32) {
	inst.mu.Lock()
	defer inst.mu.Unlock()
	delete(inst.conns, h)
	if inst.dead {
		return
	}
	inst.stack[0] = uint64(h)
	if err := inst.fn.connFree.CallWithStack(inst, inst.stack[:]); err != nil {
		inst.trapped(err)
	}
}

// close ends the instance once nobody uses its memory. It may be called twice.
func (inst *instance) close() {
	inst.closing.Do(func() {
		inst.lanes.takeAll()
		if inst.poller != nil {
			inst.poller.close()
		}
		_ = inst.mod.Close(context.Background())
	})
}
