package tests

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/wasock/wasock/hostcalls"
	"github.com/wasock/wasock/wasm"
)

// An embedding drives one instance of the engine as hostcalls/ABI.md has it, and
// logs what passes between the two. Its clock and its entropy are the test's.
type embedding struct {
	testing.TB
	mod    api.Module
	layout hostcalls.Layout
	now    int64

	entropy       func(b []byte)
	connectErrno  hostcalls.Errno // what stream_connect answers
	log           strings.Builder
	out           []byte   // what stream_write was given since the test took it
	closes        []uint32 // how stream_close was called since
	timers        []int64  // deadlines of timer_set since
	inCall        bool
	hostcallCount int
}

// An engineRuntime is a wazero runtime with the engine compiled in it.
type engineRuntime struct {
	wazero.Runtime
	module wazero.CompiledModule
}

var (
	compiledEngine    = sync.OnceValues(func() (*engineRuntime, error) { return newEngineRuntime(wazero.NewRuntimeConfigCompiler()) })
	interpretedEngine = sync.OnceValues(func() (*engineRuntime, error) { return newEngineRuntime(wazero.NewRuntimeConfigInterpreter()) })
)

// engineModes are the ways to run the engine.
var engineModes = []struct {
	name    string
	runtime func() (*engineRuntime, error)
}{
	{"compiler", compiledEngine},
	{"interpreter", interpretedEngine},
}

type embeddingKey struct{}

func newEngineRuntime(cfg wazero.RuntimeConfig) (*engineRuntime, error) {
	ctx := context.Background()
	r := &engineRuntime{Runtime: wazero.NewRuntimeWithConfig(ctx, cfg)}
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, r); err != nil {
		return nil, err
	}
	b := r.NewHostModuleBuilder(hostcalls.Module)
	for _, f := range hostcalls.ABI().Hostcalls {
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, _ api.Module, stack []uint64) {
			e := ctx.Value(embeddingKey{}).(*embedding)
			args := make([]uint64, len(f.Params))
			for i, p := range f.Params {
				args[i] = stack[i]
				if p.Type == "i32" { // the upper half of the slot is undefined
					args[i] = uint64(uint32(stack[i]))
				}
			}
			stack[0] = uint64(uint32(e.hostcall(f.Name, args)))
		}), valueTypes(f.Params), []api.ValueType{api.ValueTypeI32}).Export(f.Name)
	}
	if _, err := b.Instantiate(ctx); err != nil {
		return nil, err
	}
	var err error
	r.module, err = r.CompileModule(ctx, wasm.Engine)
	return r, err
}

func valueTypes(params []hostcalls.Param) (types []api.ValueType) {
	for _, p := range params {
		if p.Type == "i64" {
			types = append(types, api.ValueTypeI64)
		} else {
			types = append(types, api.ValueTypeI32)
		}
	}
	return types
}

// newEmbedding returns an embedding with an instance of its own. Its entropy is
// the masking key of RFC 6455 §5.7, over and over.
func newEmbedding(t testing.TB, runtime func() (*engineRuntime, error)) *embedding {
	t.Helper()
	r, err := runtime()
	if err != nil {
		t.Fatal(err)
	}
	e := &embedding{TB: t, entropy: rfcEntropy, now: int64(time.Second)}
	ctx := context.WithValue(context.Background(), embeddingKey{}, e)
	e.mod, err = r.InstantiateModule(ctx, r.module, wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.mod.Close(ctx) })
	if v := e.export("wasock_abi_version"); v != hostcalls.Version {
		t.Fatalf("the engine's ABI version is %d", v)
	}
	if e.layout, err = hostcalls.ConsumeLayout(e.read(uint32(e.export("engine_layout")), hostcalls.LayoutSize)); err != nil {
		t.Fatal(err)
	}
	e.log.Reset()
	return e
}

// rfcEntropy fills b with the masking key of the examples in RFC 6455 §5.7.
func rfcEntropy(b []byte) {
	for i := range b {
		b[i] = [...]byte{0x37, 0xfa, 0x21, 0x3d}[i%4]
	}
}

// countingEntropy returns a generator that never gives the same four bytes twice
// in a test.
func countingEntropy() func([]byte) {
	n := byte(0)
	return func(b []byte) {
		for i := range b {
			b[i] = n
			n++
		}
	}
}

// export calls an export with arguments as ABI.md lists them, and logs it.
func (e *embedding) export(name string, args ...int64) int32 {
	e.Helper()
	f := e.mod.ExportedFunction(name)
	if f == nil {
		e.Fatalf("the engine does not export %s", name)
	}
	stack := make([]uint64, max(len(args), 1))
	for i, a := range args {
		stack[i] = uint64(a)
		if f.Definition().ParamTypes()[i] == api.ValueTypeI32 {
			stack[i] = uint64(uint32(a))
		}
	}
	fmt.Fprintf(&e.log, "%s(%s)\n", name, e.printArgs(name, args))
	e.inCall = true
	err := f.CallWithStack(context.WithValue(context.Background(), embeddingKey{}, e), stack)
	e.inCall = false
	if err != nil {
		e.Fatalf("%s%v: %v\n%s", name, args, err, e.lastLog())
	}
	r := int32(uint32(stack[0]))
	fmt.Fprintf(&e.log, "  = %s\n", printResult(name, r))
	return r
}

func (e *embedding) printArgs(name string, args []int64) string {
	var b strings.Builder
	for _, f := range hostcalls.ABI().Exports {
		if f.Name != name {
			continue
		}
		for i, p := range f.Params {
			if i > 0 {
				b.WriteString(", ")
			}
			switch p.Name {
			case "now":
				fmt.Fprintf(&b, "now %v", time.Duration(args[i]))
			case "conn":
				fmt.Fprintf(&b, "conn %#x", args[i])
			default:
				fmt.Fprintf(&b, "%s %d", p.Name, args[i])
			}
		}
	}
	return b.String()
}

func printResult(name string, r int32) string {
	switch {
	case r < 0:
		return hostcalls.ABI().Errnos[-r].Name
	case name == "conn_open" || name == "conn_accept":
		return fmt.Sprintf("%#x", r)
	case r&hostcalls.More != 0:
		return fmt.Sprintf("%d and more", r&^hostcalls.More)
	}
	return fmt.Sprint(r)
}

// hostcall answers a hostcall.
func (e *embedding) hostcall(name string, p []uint64) int32 {
	if !e.inCall {
		e.Errorf("%s outside of a call", name)
	}
	e.hostcallCount++
	switch name {
	case "stream_connect":
		host := e.read(uint32(p[1]), uint32(p[2]))
		fmt.Fprintf(&e.log, "  stream_connect(conn %#x, host %q, port %d, flags %d) = %s\n", p[0], host, p[3], p[4], printResult("", e.connectErrno.Ret()))
		return int32(e.connectErrno)
	case "stream_write":
		fmt.Fprintf(&e.log, "  stream_write(conn %#x, count %d)\n", p[0], p[2])
		records := e.read(uint32(p[1]), uint32(p[2])*hostcalls.SegmentSize)
		for ; len(records) > 0; records = records[hostcalls.SegmentSize:] {
			s := hostcalls.ConsumeSegment(records)
			b := e.read(s.Ptr, s.Len)
			e.out = append(e.out, b...)
			if len(b) > 512 {
				fmt.Fprintf(&e.log, "    %s … %d bytes, crc32 %08x\n", printBytes(b[:32]), len(b), crc32.ChecksumIEEE(b))
			} else {
				fmt.Fprintf(&e.log, "    %s\n", printBytes(b))
			}
		}
	case "stream_close":
		fmt.Fprintf(&e.log, "  stream_close(conn %#x, how %d)\n", p[0], p[1])
		e.closes = append(e.closes, uint32(p[1]))
	case "timer_set":
		fmt.Fprintf(&e.log, "  timer_set(conn %#x, deadline %v)\n", p[0], time.Duration(p[1]))
		e.timers = append(e.timers, int64(p[1]))
	case "random_get":
		fmt.Fprintf(&e.log, "  random_get(len %d)\n", p[1])
		b := make([]byte, p[1])
		e.entropy(b)
		e.write(uint32(p[0]), b)
	case "host_to_ascii":
		name := string(e.read(uint32(p[0]), uint32(p[1])))
		ascii, ok := map[string]string{"Bücher.example": "xn--bcher-kva.example"}[name]
		fmt.Fprintf(&e.log, "  host_to_ascii(%q, out_cap %d) = %q\n", name, p[3], ascii)
		if !ok {
			return hostcalls.EINVAL.Ret()
		}
		e.write(uint32(p[2]), []byte(ascii))
		return int32(len(ascii))
	default:
		e.Errorf("no hostcall %s", name)
	}
	return int32(hostcalls.OK)
}

// lastLog returns the end of the log.
func (e *embedding) lastLog() string {
	lines := strings.Split(e.log.String(), "\n")
	return strings.Join(lines[max(len(lines)-12, 0):], "\n")
}

// printBytes prints text as text and frames as hex.
func printBytes(b []byte) string {
	for _, c := range b {
		if c >= 0x7f || c < ' ' && c != '\r' && c != '\n' {
			return fmt.Sprintf("% x", b)
		}
	}
	return fmt.Sprintf("%q", b)
}

// read returns a copy of memory.
func (e *embedding) read(ptr, n uint32) []byte {
	e.Helper()
	b, ok := e.mod.Memory().Read(ptr, n)
	if !ok {
		e.Fatalf("%d bytes at %#x are outside the memory", n, ptr)
	}
	return bytes.Clone(b)
}

func (e *embedding) write(ptr uint32, b []byte) {
	e.Helper()
	if !e.mod.Memory().Write(ptr, b) {
		e.Fatalf("%d bytes at %#x are outside the memory", len(b), ptr)
	}
}

func (e *embedding) lane(i uint32) uint32 { return e.layout.LanesPtr + i*e.layout.LaneStride }
func (e *embedding) rx(i uint32) uint32   { return e.lane(i) + e.layout.RxOffset }
func (e *embedding) tx(i uint32) uint32   { return e.lane(i) + e.layout.TxOffset }

func (e *embedding) unread(lane uint32) uint32 {
	return binary.LittleEndian.Uint32(e.read(e.lane(lane)+e.layout.ResultOffset, hostcalls.ResultSize))
}

// events returns the events of the call that returned r, printed, and those of
// the conn_continue calls that it takes.
func (e *embedding) events(h int64, lane uint32, r int32) (events []string) {
	e.Helper()
	for {
		if r < 0 {
			e.Fatalf("the call returned %v\n%s", hostcalls.Errno(-r), e.lastLog())
		}
		for i := range uint32(r &^ hostcalls.More) {
			if i >= e.layout.EventsCap {
				e.Fatalf("%d events do not fit", r&^hostcalls.More)
			}
			ev := hostcalls.ConsumeEvent(e.read(e.lane(lane)+e.layout.EventsOffset+i*hostcalls.EventSize, hostcalls.EventSize))
			s := printEvent(ev, e.payload(ev))
			fmt.Fprintf(&e.log, "  event %s\n", s)
			events = append(events, s)
		}
		if r&hostcalls.More == 0 {
			return events
		}
		r = e.export("conn_continue", h, int64(lane), e.now)
	}
}

func (e *embedding) payload(ev hostcalls.Event) []byte {
	if ev.Len == 0 {
		return nil
	}
	return e.read(ev.Ptr, ev.Len)
}

// printEvent prints an event as the logs have it.
func printEvent(ev hostcalls.Event, p []byte) string {
	var b strings.Builder
	switch {
	case ev.Kind >= hostcalls.KindClosed:
		fmt.Fprintf(&b, "closed %d", ev.Kind)
	default:
		b.WriteString(map[uint16]string{0: "text", 1: "binary", 2: "pong", 3: "error", 4: "open", 6: "response"}[ev.Kind])
	}
	for i, name := range []string{" first", " last", " clean", " by_peer"} {
		if ev.Flags&(1<<i) != 0 {
			b.WriteString(name)
		}
	}
	switch ev.Kind {
	case hostcalls.KindError:
		f, err := hostcalls.ConsumeFailure(p)
		fmt.Fprintf(&b, " %s %v", printFailure(f), err)
	case hostcalls.KindResponse:
		r, n, err := hostcalls.ConsumeResponse(p)
		fmt.Fprintf(&b, " %s %v %v", printResponse(r), n == len(p), err)
	default:
		fmt.Fprintf(&b, " rest %d, %s", ev.Rest, printBytes(p))
	}
	if ev.Code != 0 {
		fmt.Fprintf(&b, " code %d", ev.Code)
	}
	return b.String()
}

func printFailure(f hostcalls.Failure) string {
	return fmt.Sprintf("class %d, code %d, max %d, size %d, subject %q, rule %q", f.Class, f.Code, f.Max, f.Size, f.Subject, f.Rule)
}

func printResponse(r hostcalls.Response) string {
	return fmt.Sprintf("status %d, subprotocol %q, extensions %q", r.Status, r.Subprotocol, r.Extensions) + printFields(r.Fields)
}

// printFields prints a field block as the logs have it.
func printFields(b []byte) (s string) {
	for len(b) > 0 {
		name, value, rest, err := hostcalls.ConsumeField(b)
		if err != nil {
			return s + " and a malformed field block"
		}
		s += fmt.Sprintf(", %s: %s", name, value)
		b = rest
	}
	return s
}

// open calls conn_open in lane 0.
func (e *embedding) open(o hostcalls.Open) int64 {
	e.Helper()
	b := hostcalls.AppendOpen(nil, o)
	e.write(e.tx(0), b)
	return int64(e.export("conn_open", 0, int64(len(b)), e.now))
}

// accept calls conn_accept in lane 0.
func (e *embedding) accept(a hostcalls.Accept) int64 {
	e.Helper()
	b := hostcalls.AppendAccept(nil, a)
	e.write(e.tx(0), b)
	return int64(e.export("conn_accept", 0, int64(len(b)), e.now))
}

// receive gives b to the connection and returns its events.
func (e *embedding) receive(h int64, lane uint32, b []byte) []string {
	e.Helper()
	e.write(e.rx(lane), b)
	return e.events(h, lane, e.export("stream_received", h, int64(lane), int64(len(b)), e.now))
}

// send gives send records to the connection.
func (e *embedding) send(h int64, records ...[]byte) int32 {
	e.Helper()
	b := bytes.Join(records, nil)
	e.write(e.tx(0), b)
	return e.export("conn_send", h, 0, int64(len(b)), e.now)
}

// sendRecord encodes a send record whose payload is a whole frame's, unless
// frameLen says otherwise.
func sendRecord(op, flags uint8, payload string, frameLen ...uint64) []byte {
	h := hostcalls.SendHeader{Len: uint32(len(payload)), Opcode: op, Flags: flags, FrameLen: uint64(len(payload))}
	if len(frameLen) > 0 {
		h.FrameLen = frameLen[0]
	}
	b := make([]byte, hostcalls.SendHeaderSize)
	hostcalls.PutSendHeader(b, h)
	return append(b, payload...)
}

// takeOut returns what was written since it was called last.
func (e *embedding) takeOut() []byte {
	b := e.out
	e.out = nil
	return b
}
