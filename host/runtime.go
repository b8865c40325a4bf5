package host

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/wasock/wasock/hostcalls"
	"github.com/wasock/wasock/wasm"
)

const wasmPage = 64 << 10

// compiled holds what compiling the engine costs, for all Hosts of the process.
var compiled = sync.OnceValue(wazero.NewCompilationCache)

// engineRuntime is a wazero runtime with the engine compiled in it, from which
// instances are made.
type engineRuntime struct {
	wazero.Runtime
	module wazero.CompiledModule
	logger *slog.Logger
}

// newEngineRuntime compiles the engine. It does not use WithCloseOnContextDone:
// that makes loops five to ten times slower, and the engine's calls are bounded
// by their input.
func newEngineRuntime(ctx context.Context, cfg *Config) (_ *engineRuntime, err error) {
	cache := compiled()
	if cfg.CacheDir != "" {
		if cache, err = wazero.NewCompilationCacheWithDir(cfg.CacheDir); err != nil {
			return nil, fmt.Errorf("websocket: compilation cache in %s: %w", cfg.CacheDir, err)
		}
	}
	rc := wazero.NewRuntimeConfig()
	if cfg.Interpreter {
		rc = wazero.NewRuntimeConfigInterpreter()
	}
	r := &engineRuntime{
		Runtime: wazero.NewRuntimeWithConfig(ctx, rc.WithCompilationCache(cache).
			WithMemoryLimitPages(uint32(cfg.InstanceMemory/wasmPage))),
		logger: cfg.Logger,
	}
	defer func() {
		if err != nil {
			_ = r.Close(ctx)
		}
	}()
	if _, err = wasi_snapshot_preview1.Instantiate(ctx, r); err != nil {
		return nil, fmt.Errorf("websocket: WASI: %w", err)
	}
	if err = instantiateHostcalls(ctx, r); err != nil {
		return nil, fmt.Errorf("websocket: hostcalls: %w", err)
	}
	engine := cfg.Engine
	if engine == nil {
		engine = wasm.Engine
	}
	if r.module, err = r.CompileModule(ctx, engine); err != nil {
		return nil, fmt.Errorf("websocket: compile the engine: %w", err)
	}
	return r, nil
}

// exports are the engine's functions, each cached: one instance is called by one
// goroutine at a time.
type exports struct {
	connOpen, connAccept, connContinue, connCredit, connSend, connClose, connTimeout, connFree api.Function
	streamConnected, streamReceived, streamEnded, streamBlocked                                api.Function
	connectRequest, connectResponse                                                            api.Function
}

// newInstance makes an instance of the engine and learns where its lanes are.
func (r *engineRuntime) newInstance(ctx context.Context, h *Host) (*instance, error) {
	inst := &instance{Context: context.Background(), host: h, conns: make(map[uint32]*Conn)}
	ctx = experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(
		func(_, max uint64) experimental.LinearMemory {
			inst.fixed = reserveFixed(max)
			return inst.fixed
		}))
	mod, err := r.InstantiateModule(ctx, r.module, wazero.NewModuleConfig().
		WithName(""). // instances are many, so they have no name
		WithStartFunctions("_initialize").
		WithRandSource(rand.Reader). // the seed of the guest's hash tables
		WithSysNanotime().
		WithStderr(&stderrLog{logger: r.logger}))
	if err != nil {
		return nil, fmt.Errorf("websocket: instantiate the engine: %w", err)
	}
	inst.mod, inst.memory = mod, mod.Memory()
	if err := inst.bind(); err != nil {
		_ = mod.Close(ctx)
		return nil, fmt.Errorf("websocket: engine module: %w", err)
	}
	if inst.poller, err = newPoller(inst); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		_ = mod.Close(ctx)
		return nil, fmt.Errorf("websocket: poller: %w", err)
	}
	return inst, nil
}

// bind looks up the exports and the lanes, and checks them.
func (inst *instance) bind() error {
	if inst.memory == nil || inst.fixed == nil {
		return errors.New("it has no memory of its own")
	}
	f := &inst.fn
	for name, to := range map[string]*api.Function{
		"conn_open": &f.connOpen, "conn_accept": &f.connAccept, "conn_continue": &f.connContinue, "conn_credit": &f.connCredit,
		"conn_send": &f.connSend, "conn_close": &f.connClose, "conn_timeout": &f.connTimeout, "conn_free": &f.connFree,
		"stream_connected": &f.streamConnected, "stream_received": &f.streamReceived,
		"stream_ended": &f.streamEnded, "stream_blocked": &f.streamBlocked,
		"connect_request": &f.connectRequest, "connect_response": &f.connectResponse,
	} {
		if *to = inst.mod.ExportedFunction(name); *to == nil {
			return fmt.Errorf("it does not export %s", name)
		}
	}
	version, err := inst.number("wasock_abi_version")
	if err != nil {
		return err
	}
	if version != hostcalls.Version {
		return fmt.Errorf("its ABI version is %d, this host's %d", version, hostcalls.Version)
	}
	at, err := inst.number("engine_layout")
	if err != nil {
		return err
	}
	record, ok := inst.memory.Read(at, hostcalls.LayoutSize)
	if !ok {
		return errors.New("its layout record is outside its memory")
	}
	l, err := hostcalls.ConsumeLayout(record)
	if err != nil {
		return err
	}
	return inst.bindLanes(l)
}

// bindLanes makes the views of the lanes, each checked against the memory.
func (inst *instance) bindLanes(l hostcalls.Layout) error {
	const maxLanes, minBuffer = 64, 16 << 10
	if l.Magic != hostcalls.Magic || l.EventBytes != hostcalls.EventSize || l.SendHeaderLen != hostcalls.SendHeaderSize ||
		l.LanesCount < 2 || l.LanesCount > maxLanes || l.RxLen < minBuffer || l.TxLen < minBuffer || l.EventsCap < 16 {
		return errors.New("its layout record is not one of this ABI")
	}
	inst.lanes.init(int(l.LanesCount))
	for i := range l.LanesCount {
		base := uint64(l.LanesPtr) + uint64(i)*uint64(l.LaneStride)
		ln := &lane{index: i}
		for _, part := range []struct {
			to          *[]byte
			offset, len uint64
		}{
			{&ln.rx, uint64(l.RxOffset), uint64(l.RxLen)},
			{&ln.tx, uint64(l.TxOffset), uint64(l.TxLen)},
			{&ln.events, uint64(l.EventsOffset), uint64(l.EventsCap) * hostcalls.EventSize},
			{&ln.result, uint64(l.ResultOffset), 4},
		} {
			at := base + part.offset
			if at+part.len > uint64(inst.memory.Size()) {
				return errors.New("a lane is outside its memory")
			}
			*part.to, _ = inst.memory.Read(uint32(at), uint32(part.len))
		}
		inst.lanes.put(ln)
	}
	return nil
}

// number calls an export that takes nothing and returns a number.
func (inst *instance) number(name string) (uint32, error) {
	f := inst.mod.ExportedFunction(name)
	if f == nil {
		return 0, fmt.Errorf("it does not export %s", name)
	}
	res, err := f.Call(inst)
	if err != nil {
		return 0, err
	}
	if len(res) != 1 {
		return 0, fmt.Errorf("its export %s has another signature", name)
	}
	return uint32(res[0]), nil
}

// stderrLog logs what the guest's Go runtime has to say before it dies.
type stderrLog struct{ logger *slog.Logger }

func (l *stderrLog) Write(p []byte) (int, error) {
	l.logger.Error("websocket engine", "stderr", string(p))
	return len(p), nil
}

// epoch is the origin of the clock that the engine is given.
var epoch = time.Now()

// now is the time that the engine is given, in nanoseconds.
func now() int64 { return int64(time.Since(epoch)) }
