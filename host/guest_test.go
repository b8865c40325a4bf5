package host_test

import (
	"bytes"

	"github.com/wasock/wasock/hostcalls"
)

// A guest is a module that stands where the engine does: hand-made, and hostile
// where a test says so. It has one memory, the exports of the ABI, and its lanes
// at guestLanes.
type guest struct {
	layout hostcalls.Layout
	pages  int // of memory at the start
	max    int // pages that it may grow to

	bodies  map[string][]byte // of exports that are not as usual; nil leaves one out
	data    map[uint32][]byte // what the memory holds at the start
	routine *routine          // a function of its own, which is called as guestRoutine
}

// routine is a function of the guest's own.
type routine struct {
	signature
	locals int
	body   []byte
}

const (
	guestRecord = 1 << 10 // where the layout record is
	guestLanes  = 64 << 10
	guestStride = 64 << 10
	guestAnswer = 2 << 10 // where the response record is
	answerLen   = 64

	i32, i64 = 0x7f, 0x7e
)

// A signature is the type of a function.
type signature struct{ params, results []byte }

// guestImports are the hostcalls, in the order of their function indices.
var guestImports = []struct {
	name string
	signature
}{
	{"stream_connect", signature{[]byte{i32, i32, i32, i32, i32}, []byte{i32}}},
	{"stream_write", signature{[]byte{i32, i32, i32}, []byte{i32}}},
	{"stream_close", signature{[]byte{i32, i32}, []byte{i32}}},
	{"timer_set", signature{[]byte{i32, i64}, []byte{i32}}},
	{"random_get", signature{[]byte{i32, i32}, []byte{i32}}},
	{"host_to_ascii", signature{[]byte{i32, i32, i32, i32}, []byte{i32}}},
}

const (
	callConnect = iota
	callWrite
	callClose
	callTimer
	callRandom
	callASCII
	guestRoutine
)

// guestExports are the exports of the ABI with what a tame guest does in them.
var guestExports = []struct {
	name string
	signature
	body []byte
}{
	{"_initialize", signature{}, nil},
	{"wasock_abi_version", signature{nil, []byte{i32}}, constant(hostcalls.Version)},
	{"engine_layout", signature{nil, []byte{i32}}, constant(guestRecord)},
	// conn_open(lane, len, now): the handle is 1; the target is 127.0.0.1:1.
	{"conn_open", signature{[]byte{i32, i32, i64}, []byte{i32}}, code(connectTo(1, guestHost, 9, 1, 0), op(0x1a), constant(1))},
	// conn_accept(lane, len, now): copies the answer to tx. The handle is 1 more
	// than that of the time before.
	{"conn_accept", signature{[]byte{i32, i32, i64}, []byte{i32}}, code(copyAnswer, nextHandle)},
	{"stream_connected", signature{[]byte{i32, i32, i64}, []byte{i32}}, constant(0)},
	{"connect_request", signature{[]byte{i32, i32, i64}, []byte{i32}}, constant(0)},
	{"connect_response", signature{[]byte{i32, i32, i32, i64}, []byte{i32}}, constant(0)},
	{"stream_received", signature{[]byte{i32, i32, i32, i64}, []byte{i32}}, constant(0)},
	{"stream_ended", signature{[]byte{i32, i32, i64}, []byte{i32}}, constant(0)},
	{"stream_blocked", signature{[]byte{i32, i32, i32, i64}, []byte{i32}}, constant(0)},
	{"conn_continue", signature{[]byte{i32, i32, i64}, []byte{i32}}, constant(0)},
	{"conn_send", signature{[]byte{i32, i32, i32, i64}, []byte{i32}}, constant(0)},
	{"conn_close", signature{[]byte{i32, i32, i32, i32, i64}, []byte{i32}}, constant(0)},
	{"conn_timeout", signature{[]byte{i32, i32, i32, i64}, []byte{i32}}, constant(0)},
	{"conn_credit", signature{[]byte{i32, i32, i64, i64}, []byte{i32}}, constant(0)},
	{"conn_free", signature{[]byte{i32}, []byte{i32}}, constant(0)},
}

const (
	guestHost   = 3 << 10 // where "127.0.0.1" is
	guestHandle = 4 << 10 // where the last handle is
)

// Instructions. https://webassembly.github.io/spec/core/binary/instructions.html
func op(b ...byte) []byte { return b }

func code(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func constant(v int32) []byte { return append([]byte{0x41}, sleb(int64(v))...) }

func constant64(v int64) []byte { return append([]byte{0x42}, sleb(v)...) }

func local(i byte) []byte { return []byte{0x20, i} }

func call(f byte, args ...[]byte) []byte { return append(bytes.Join(args, nil), 0x10, f) }

// store stores a 32-bit number.
func store(address int32, value []byte) []byte {
	return code(constant(address), value, op(0x36, 2, 0))
}

func load(address int32) []byte { return code(constant(address), op(0x28, 2, 0)) }

var unreachable = op(0x00)

// laneAt is the address of a part of the lane that the parameter i names.
func laneAt(i byte, offset int32) []byte {
	return code(local(i), constant(guestStride), op(0x6c), constant(guestLanes+offset), op(0x6a))
}

var copyAnswer = code(laneAt(0, guestTx), constant(guestAnswer), constant(answerLen), op(0xfc, 0x0a, 0, 0))

var nextHandle = code(store(guestHandle, code(load(guestHandle), constant(1), op(0x6a))), load(guestHandle))

func connectTo(handle, ptr, length, port, flags int32) []byte {
	return call(callConnect, constant(handle), constant(ptr), constant(length), constant(port), constant(flags))
}

const (
	guestTx     = 16 << 10
	guestEvents = 32 << 10
	guestResult = 60 << 10
	guestCap    = 64
)

// newGuest returns a guest that is tame: it opens connections, and says nothing
// more.
func newGuest() *guest {
	return (&guest{
		layout: hostcalls.Layout{
			Magic: hostcalls.Magic, Version: hostcalls.Version, LanesPtr: guestLanes, LanesCount: 2, LaneStride: guestStride,
			RxOffset: 0, RxLen: 16 << 10, TxOffset: guestTx, TxLen: 16 << 10, EventsOffset: guestEvents, EventsCap: guestCap,
			EventBytes: hostcalls.EventSize, SendHeaderLen: hostcalls.SendHeaderSize, ResultOffset: guestResult,
		},
		pages: 4, max: 256,
		bodies: map[string][]byte{},
		data:   map[uint32][]byte{guestHost: []byte("127.0.0.1")},
	}).answer(hostcalls.Response{Status: 101, Fields: hostcalls.AppendField(nil, "X", "y")})
}

// answer has conn_accept answer with r.
func (g *guest) answer(r hostcalls.Response) *guest {
	b := hostcalls.AppendResponse(nil, r)
	g.data[guestAnswer] = append(b, make([]byte, answerLen-len(b))...)
	return g
}

// extended has connections agree to an extension, and the result record say n.
func (g *guest) extended(n int32) *guest {
	for lane := range uint32(2) {
		g.data[guestLanes+lane*guestStride+guestResult] = []byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}
	}
	return g.answer(hostcalls.Response{Status: 101, Extensions: []byte("x")})
}

// with replaces the body of an export.
func (g *guest) with(export string, parts ...[]byte) *guest {
	g.bodies[export] = code(parts...)
	return g
}

// event puts an event record into lane 0 and 1 at the start.
func (g *guest) event(i int, ev hostcalls.Event) *guest {
	var b []byte
	for _, v := range []uint32{uint32(ev.Kind) | uint32(ev.Flags)<<16, ev.Ptr, ev.Len, ev.Code, uint32(ev.Rest), uint32(ev.Rest >> 32)} {
		b = append(b, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
	}
	for lane := range uint32(2) {
		g.data[guestLanes+lane*guestStride+guestEvents+uint32(i)*hostcalls.EventSize] = b
	}
	return g
}

// module encodes g. https://webassembly.github.io/spec/core/binary/modules.html
func (g *guest) module() []byte {
	var types, imports, functions, exports, codes, data [][]byte
	add := func(s signature) []byte {
		types = append(types, code(op(0x60), vector(s.params), vector(s.results)))
		return leb(nil, uint64(len(types)-1))
	}
	for _, f := range guestImports {
		imports = append(imports, code(name(hostcalls.Module), name(f.name), op(0), add(f.signature)))
	}
	body := func(locals int, b []byte) []byte {
		declared := op(0)
		if locals > 0 {
			declared = code(op(1), leb(nil, uint64(locals)), op(i32))
		}
		return vector(code(declared, b, op(0x0b)))
	}
	own := routine{body: op()}
	if g.routine != nil {
		own = *g.routine
	}
	functions = append(functions, add(own.signature))
	codes = append(codes, body(own.locals, own.body))
	for _, f := range guestExports {
		b, replaced := g.bodies[f.name]
		if replaced && b == nil {
			continue
		}
		if !replaced {
			b = f.body
		}
		exports = append(exports, code(name(f.name), op(0), leb(nil, uint64(len(guestImports)+len(functions)))))
		functions = append(functions, add(f.signature))
		codes = append(codes, body(0, b))
	}
	exports = append(exports, code(name("memory"), op(2, 0)))
	contents := map[uint32][]byte{guestRecord: hostcalls.AppendLayout(nil, g.layout)}
	for at, b := range g.data {
		contents[at] = b
	}
	for at, b := range contents {
		data = append(data, code(op(0), constant(int32(at)), op(0x0b), vector(b)))
	}
	memory := code(op(1), leb(nil, uint64(g.pages)), leb(nil, uint64(g.max)))
	return code([]byte("\x00asm\x01\x00\x00\x00"),
		section(1, types), section(2, imports), section(3, functions), section(5, [][]byte{memory}), section(7, exports),
		section(10, codes), section(11, data))
}

func section(id byte, entries [][]byte) []byte {
	return code(op(id), vector(code(leb(nil, uint64(len(entries))), bytes.Join(entries, nil))))
}

func vector(b []byte) []byte { return append(leb(nil, uint64(len(b))), b...) }

func name(s string) []byte { return vector([]byte(s)) }

func leb(b []byte, v uint64) []byte {
	for ; v >= 0x80; v >>= 7 {
		b = append(b, byte(v)|0x80)
	}
	return append(b, byte(v))
}

func sleb(v int64) (b []byte) {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

// exportNames are the names of the exports that a host calls for connections.
func exportNames() (names []string) {
	for _, f := range guestExports[3:] {
		names = append(names, f.name)
	}
	return names
}
