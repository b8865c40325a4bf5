package host

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wasock/wasock/host/permission"
)

// A Config is what a Host is made with. The zero value works: a client of it may
// reach nothing until Grant allows it.
type Config struct {
	// Grant says what Dial may reach. Nil allows nothing; a server needs none.
	// DialOptions.Grant takes its place for one connection.
	Grant *permission.Grant

	// Instances is how many instances of the engine share the connections.
	// Default runtime.GOMAXPROCS(0).
	Instances int

	// InstanceMemory is the most memory, in bytes, that an instance may use; it
	// is reserved, not used. When it is used up the instance's connections end.
	// Default 256 MiB.
	InstanceMemory int64

	// HTTP2IdleTimeout is how long an HTTP/2 connection of Dial's stays open without
	// a WebSocket, for the next one. Default 30 s.
	HTTP2IdleTimeout time.Duration

	// CacheDir is a directory for compiled code, so that only the first start
	// compiles. Default: compiled code is kept in memory, for all Hosts.
	CacheDir string

	// Interpreter runs the engine without compiling it, many times slower.
	Interpreter bool

	// Engine is the module to run instead of the embedded one.
	Engine []byte

	// Logger receives what an operator should know. Default: nothing is logged.
	Logger *slog.Logger
}

const (
	defaultInstanceMemory = 256 << 20
	minInstanceMemory     = 16 << 20
	maxInstanceMemory     = 4 << 30
	maxInstances          = 1024
)

var (
	errInstanceMemory   = errors.New("websocket: config: InstanceMemory is between 16 MiB and 4 GiB")
	errHTTP2IdleTimeout = errors.New("websocket: config: HTTP2IdleTimeout is not negative")
	errInstances        = errors.New("websocket: config: Instances is between 1 and 1024")
)

// A Host runs instances of the engine and the connections they carry. Its
// methods may be called from any goroutine.
type Host struct {
	cfg     Config
	logger  *slog.Logger
	runtime *engineRuntime
	next    atomic.Uint32
	http2   *http2Pool

	ending context.Context // ends with the Host, and with it the dials under way
	cancel context.CancelFunc

	mu        sync.Mutex
	instances []*instance
	replacing sync.WaitGroup // of instances that failed
	retired   counters       // of instances that were replaced
	conns     map[*Conn]struct{}
	closed    bool
	idle      chan struct{} // closed when the last connection ends after closed is set

	accepted, dialed atomic.Uint64
	closeCodes       closeCodes
}

// New compiles the engine, makes its instances and returns a Host. Close it, or
// Shutdown, when it is not needed any more.
func New(ctx context.Context, cfg Config) (*Host, error) {
	if cfg.Instances == 0 {
		cfg.Instances = runtime.GOMAXPROCS(0)
	}
	if cfg.InstanceMemory == 0 {
		cfg.InstanceMemory = defaultInstanceMemory
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case cfg.Instances < 0 || cfg.Instances > maxInstances:
		return nil, errInstances
	case cfg.HTTP2IdleTimeout < 0:
		return nil, errHTTP2IdleTimeout
	case cfg.InstanceMemory < minInstanceMemory || cfg.InstanceMemory > maxInstanceMemory:
		return nil, errInstanceMemory
	}
	h := &Host{cfg: cfg, logger: cfg.Logger, conns: make(map[*Conn]struct{}), http2: newHTTP2Pool(cfg.HTTP2IdleTimeout)}
	h.ending, h.cancel = context.WithCancel(context.Background())
	var err error
	if h.runtime, err = newEngineRuntime(ctx, &cfg); err != nil {
		return nil, err
	}
	for range cfg.Instances {
		inst, err := h.runtime.newInstance(ctx, h)
		if err != nil {
			_ = h.runtime.Close(ctx)
			return nil, err
		}
		h.instances = append(h.instances, inst)
	}
	return h, nil
}

// pick returns the instance for the next connection.
func (h *Host) pick() (*instance, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrClosed
	}
	return h.instances[int(h.next.Add(1)%uint32(len(h.instances)))], nil
}

// add makes c one of the host's connections.
func (h *Host) add(c *Conn) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return ErrClosed
	}
	h.conns[c] = struct{}{}
	return nil
}

func (h *Host) remove(c *Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.conns, c)
	if h.closed && len(h.conns) == 0 && h.idle != nil {
		close(h.idle)
		h.idle = nil
	}
}

// replace puts a fresh instance in the place of a dead one, ends the connections
// that it carried, and frees it.
func (h *Host) replace(dead *instance, conns []*Conn) {
	defer h.replacing.Done()
	for _, c := range conns {
		c.abort(ErrEngineTrapped)
		if c.stream != nil {
			c.deliver.Lock()
			c.lost(-1)
			c.deliver.Unlock()
		}
	}
	fresh, err := h.runtime.newInstance(context.Background(), h)
	if unused := h.swap(dead, fresh, err); unused != nil {
		unused.close()
	}
	dead.close()
}

// swap puts fresh, if err is nil, in the place of dead. It returns what is not used
// because the host ended meanwhile, or nil.
func (h *Host) swap(dead, fresh *instance, err error) (unused *instance) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, inst := range h.instances {
		if inst != dead {
			continue
		}
		h.retired.add(dead.counter.load())
		switch {
		case err == nil && !h.closed:
			h.instances[i], fresh = fresh, nil
		case err != nil:
			h.logger.Error("websocket engine instance cannot be replaced", "error", err)
		}
	}
	return fresh
}

// Shutdown closes every connection with 1001 "Server shutting down", waits until
// the peers have answered or ctx ends, and closes the Host. New connections are
// refused from the start. The error is ctx's if it ended first.
//
// Call it before, or beside, http.Server.Shutdown, which waits for WebSockets over
// HTTP/2 as for any request.
func (h *Host) Shutdown(ctx context.Context) error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.closed = true
	conns := make([]*Conn, 0, len(h.conns))
	for c := range h.conns {
		conns = append(conns, c)
	}
	idle := make(chan struct{})
	if len(conns) == 0 {
		close(idle)
	} else {
		h.idle = idle
	}
	h.mu.Unlock()

	for _, c := range conns {
		_ = c.closeFrame(CodeGoingAway, "Server shutting down") // one that is closing already is waited for as well
		if c.stream != nil {
			c.linger()
		}
	}
	var err error
	select {
	case <-idle:
	case <-ctx.Done():
		err = ctx.Err()
	}
	h.end()
	return err
}

// Close ends every connection without a closing handshake. The engine is freed
// once the EventHandlers have returned; Close does not wait for that, and may be
// called by one.
func (h *Host) Close() error {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.end()
	return nil
}

// end ends what is left and frees the engine, once.
func (h *Host) end() {
	h.cancel()
	h.mu.Lock()
	conns := make([]*Conn, 0, len(h.conns))
	for c := range h.conns {
		conns = append(conns, c)
	}
	instances := h.instances
	h.instances = nil
	for _, inst := range instances {
		h.retired.add(inst.counter.load())
	}
	h.mu.Unlock()
	for _, c := range conns {
		c.kill(ErrClosed)
	}
	for _, inst := range instances {
		inst.mu.Lock()
		inst.dead = true
		inst.mu.Unlock()
	}
	h.http2.close()
	if len(instances) == 0 {
		return
	}
	go func() {
		for _, inst := range instances {
			inst.close()
		}
		h.replacing.Wait() // the runtime would free the memory of those under way
		_ = h.runtime.Close(context.Background())
	}()
}
