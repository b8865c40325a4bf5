package tests

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/wasock/wasock/hostcalls"
)

// sentinel is what the lanes are filled with before a call.
const sentinel = 0xa5

// A laneGuard is what the lanes held before a call.
type laneGuard struct {
	*embedding
	before []byte
}

// guard fills the host's part of every lane with sentinels, puts input in the tx
// of lane 0 and remembers it all.
func (e *embedding) guard(input []byte) *laneGuard {
	l := e.layout
	for i := range l.LanesCount {
		for _, part := range e.hostParts() {
			e.write(e.lane(i)+part[0], bytes.Repeat([]byte{sentinel}, int(part[1])))
		}
	}
	e.write(e.tx(0), input)
	return &laneGuard{e, e.read(l.LanesPtr, l.LanesCount*l.LaneStride)}
}

// hostParts returns offset and length of what in a lane is the host's.
func (e *embedding) hostParts() [][2]uint32 {
	l := e.layout
	return [][2]uint32{{l.RxOffset, l.RxLen}, {l.TxOffset, l.TxLen},
		{l.EventsOffset, l.EventsCap * hostcalls.EventSize}, {l.ResultOffset, hostcalls.ResultSize}}
}

// wantOnly fails the test if anything in the lanes changed but the module's own
// part of lane 0 and the ranges that are given, from its start.
func (g *laneGuard) wantOnly(name string, may ...[2]uint32) {
	g.Helper()
	l := g.layout
	after := g.read(l.LanesPtr, l.LanesCount*l.LaneStride)
	for i := range after {
		if after[i] == g.before[i] {
			continue
		}
		at := uint32(i)
		in := func(r [2]uint32) bool { return at >= r[0] && at < r[0]+r[1] }
		if at < l.LaneStride && (slices.ContainsFunc(may, in) || !slices.ContainsFunc(g.hostParts(), in)) {
			continue
		}
		g.Errorf("%s: the byte at %d of lane %d was %#x and is %#x", name, at%l.LaneStride, at/l.LaneStride, g.before[i], after[i])
		return
	}
}

// arguments returns harmless arguments of an export, with h as the connection.
func arguments(f hostcalls.Function, h, now int64) []int64 {
	args := make([]int64, len(f.Params))
	for i, p := range f.Params {
		switch p.Name {
		case "conn":
			args[i] = h
		case "now":
			args[i] = now
		case "code":
			args[i] = 1000
		}
	}
	return args
}

// param returns the index of a parameter, or -1.
func param(f hostcalls.Function, name string) int {
	return slices.IndexFunc(f.Params, func(p hostcalls.Param) bool { return p.Name == name })
}

// Every export that takes a handle, a lane or a length refuses those that are
// none, and changes nothing.
func TestExportsRefuseHandlesLanesAndLengths(t *testing.T) {
	e := newEmbedding(t, compiledEngine)
	freed := e.accept(serverAccept())
	e.export("conn_free", freed)
	h := e.accept(serverAccept())
	if freed == h {
		t.Fatal("a handle was reused at once")
	}
	refuse := func(f hostcalls.Function, what string, at int, value int64, want hostcalls.Errno) {
		args := arguments(f, h, e.now)
		args[at] = value
		hostcallsBefore := e.hostcallCount
		g := e.guard(nil)
		name := fmt.Sprintf("%s with the %s %#x", f.Name, what, value)
		if r := e.export(f.Name, args...); r != want.Ret() {
			t.Errorf("%s returns %d, want %v", name, r, want)
		}
		g.wantOnly(name)
		if e.hostcallCount != hostcallsBefore {
			t.Errorf("%s makes hostcalls", name)
		}
		if !slices.Contains(f.Errnos, want) {
			t.Errorf("the surface does not say that %s may return %v", f.Name, want)
		}
	}
	for _, f := range hostcalls.ABI().Exports {
		if at := param(f, "conn"); at >= 0 {
			for _, value := range []int64{0, 1, freed, h + 1, h + 1<<20, h ^ 1<<30, 1<<31 - 1, 1 << 31, 1<<32 - 1} {
				refuse(f, "handle", at, value, hostcalls.EBADF)
			}
		}
		if at := param(f, "lane"); at >= 0 {
			for _, value := range []int64{int64(e.layout.LanesCount), 1 << 31, 1<<32 - 1} {
				refuse(f, "lane", at, value, hostcalls.EBADF)
			}
		}
		if at := param(f, "len"); at >= 0 {
			for _, value := range []int64{int64(e.layout.RxLen) + 1, 1 << 31, 1<<32 - 1} {
				refuse(f, "length", at, value, hostcalls.EINVAL)
			}
		}
	}
	if got := e.receive(h, 0, client.frame(0x81, "Hello")); len(got) != 1 {
		t.Errorf("the connection is not what it was: %q", got)
	}
}

// A malformed record is refused and stays as it is in tx; nothing is created.
func TestMalformedOpenAndAcceptRecords(t *testing.T) {
	e := newEmbedding(t, compiledEngine)
	openRecord, acceptRecord := hostcalls.AppendOpen(nil, clientOpen()), hostcalls.AppendAccept(nil, serverAccept())
	patch := func(b []byte, at int, v uint32) []byte {
		b = bytes.Clone(b)
		binary.LittleEndian.PutUint32(b[at:], v)
		return b
	}
	for _, test := range []struct {
		export, name string
		record       []byte
	}{
		{"conn_open", "no record", nil},
		{"conn_open", "a header without its last byte", openRecord[:hostcalls.OpenHeaderSize-1]},
		{"conn_open", "a record without its last byte", openRecord[:len(openRecord)-1]},
		{"conn_open", "a byte after the record", append(bytes.Clone(openRecord), 0)},
		{"conn_open", "url_len beyond the record", patch(openRecord, 72, uint32(len(openRecord)))},
		{"conn_open", "url_len of 4 GiB", patch(openRecord, 72, 1<<32-1)},
		{"conn_open", "subprotocols_len of 4 GiB", patch(openRecord, 76, 1<<32-1)},
		{"conn_open", "fields_len of 4 GiB", patch(openRecord, 80, 1<<32-1)},
		{"conn_open", "reserved of 1", patch(openRecord, 84, 1)},
		{"conn_open", "the limits' reserved of 1", patch(openRecord, 60, 1)},
		{"conn_open", "compression's reserved of 1", patch(openRecord, 64, 1<<24)},
		{"conn_open", "half a field", hostcalls.AppendOpen(nil, hostcalls.Open{URL: []byte("ws://a/"), Fields: []byte{1, 0, 0, 0, 0, 0, 0, 0}})},
		{"conn_accept", "no record", nil},
		{"conn_accept", "a header without its last byte", acceptRecord[:hostcalls.AcceptHeaderSize-1]},
		{"conn_accept", "a record without its last byte", acceptRecord[:len(acceptRecord)-1]},
		{"conn_accept", "a byte after the record", append(bytes.Clone(acceptRecord), 0)},
		{"conn_accept", "method_len of 4 GiB", patch(acceptRecord, 72, 1<<32-1)},
		{"conn_accept", "response_fields_len of 4 GiB", patch(acceptRecord, 88, 1<<32-1)},
		{"conn_accept", "half a field", hostcalls.AppendAccept(nil, hostcalls.Accept{Fields: []byte{0, 0, 0}})},
		{"conn_accept", "half a response field", hostcalls.AppendAccept(nil, hostcalls.Accept{ResponseFields: []byte{0, 0, 0}})},
	} {
		hostcallsBefore := e.hostcallCount
		g := e.guard(test.record)
		if r := e.export(test.export, 0, int64(len(test.record)), e.now); r != hostcalls.EINVAL.Ret() {
			t.Errorf("%s with %s returns %d, want EINVAL", test.export, test.name, r)
		}
		g.wantOnly(test.export + " with " + test.name)
		if e.hostcallCount != hostcallsBefore {
			t.Errorf("%s with %s makes hostcalls", test.export, test.name)
		}
	}
}

// What is wrong in a well-formed record is told by an error record in tx.
func TestRefusedOpenAndAcceptRecords(t *testing.T) {
	e := newEmbedding(t, compiledEngine)
	for _, test := range []struct {
		name string
		open hostcalls.Open
		want string
	}{
		{"another scheme", hostcalls.Open{URL: []byte("ftp://a/")}, `class 4, code 0, max 0, size 0, subject "scheme"`},
		{"a fragment", hostcalls.Open{URL: []byte("ws://a/#")}, `class 4, code 0, max 0, size 0, subject "fragment"`},
		{"no URL", hostcalls.Open{}, `class 4, code 0, max 0, size 0, subject "scheme"`},
		{"a name that has no ASCII form", hostcalls.Open{URL: []byte("ws://straße/")}, `class 4, code 0, max 0, size 0, subject "host"`},
		{"a subprotocol twice", hostcalls.Open{URL: []byte("ws://a/"), Subprotocols: []byte("a,a")}, `class 4`},
		{"an empty subprotocol", hostcalls.Open{URL: []byte("ws://a/"), Subprotocols: []byte("a,")}, `class 4`},
		{"a field on two lines", hostcalls.Open{URL: []byte("ws://a/"), Fields: hostcalls.AppendField(nil, "A", "b\r\nC: d")}, `class 4`},
		{"a negative limit", hostcalls.Open{URL: []byte("ws://a/"), Limits: hostcalls.Limits{MessageLimit: -1}}, `class 4`},
	} {
		record := hostcalls.AppendOpen(nil, test.open)
		g := e.guard(record)
		if r := e.export("conn_open", 0, int64(len(record)), e.now); r != hostcalls.EINVAL.Ret() {
			t.Errorf("conn_open with %s returns %d, want EINVAL", test.name, r)
		}
		f, err := hostcalls.ConsumeFailure(e.read(e.tx(0), e.layout.TxLen))
		if s := printFailure(f); err != nil || !bytes.HasPrefix([]byte(s), []byte(test.want)) {
			t.Errorf("conn_open with %s: the error record is %s, %v, want %s", test.name, s, err, test.want)
		}
		g.wantOnly("conn_open with "+test.name, [2]uint32{e.layout.TxOffset, uint32(hostcalls.ErrorHeaderSize + len(f.Subject) + len(f.Rule))})
	}

	a := serverAccept()
	a.Method = []byte("POST")
	record := hostcalls.AppendAccept(nil, a)
	g := e.guard(record)
	if r := e.export("conn_accept", 0, int64(len(record)), e.now); r != hostcalls.EPROTO.Ret() {
		t.Errorf("conn_accept of a POST returns %d, want EPROTO", r)
	}
	tx := e.read(e.tx(0), e.layout.TxLen)
	_, n, err := hostcalls.ConsumeResponse(tx)
	f, err2 := hostcalls.ConsumeFailure(tx[n:])
	if err != nil || err2 != nil || f.Class != hostcalls.ClassHandshake || f.Code != 405 {
		t.Errorf("conn_accept of a POST: %v, %v, %s", err, err2, printFailure(f))
	}
	g.wantOnly("conn_accept of a POST", [2]uint32{e.layout.TxOffset, uint32(n + hostcalls.ErrorHeaderSize + len(f.Subject) + len(f.Rule))})
}

// The errnos of stream_connect are conn_open's, and the handle does not exist.
func TestConnOpenPassesErrnosOn(t *testing.T) {
	e := newEmbedding(t, compiledEngine)
	for _, f := range hostcalls.ABI().Hostcalls[:1] {
		for _, errno := range f.Errnos {
			e.connectErrno = errno
			record := hostcalls.AppendOpen(nil, clientOpen())
			g := e.guard(record)
			if r := e.export("conn_open", 0, int64(len(record)), e.now); r != errno.Ret() {
				t.Errorf("when stream_connect answers %v conn_open returns %d", errno, r)
			}
			g.wantOnly("conn_open")
			for h := int64(1 << 20); h < 10<<20; h += 1 << 20 {
				if r := e.export("conn_free", h); r != hostcalls.EBADF.Ret() {
					t.Errorf("when stream_connect answers %v there is a handle %#x", errno, h)
				}
			}
		}
	}
}

// Send records that are malformed, out of order or in a state that does not
// allow them: those before are sent, and the connection goes on.
func TestConnSendRefuses(t *testing.T) {
	const fin, part = hostcalls.SendFIN, hostcalls.SendPart
	first := sendRecord(hostcalls.OpText, fin, "first")
	for _, test := range []struct {
		name    string
		records []byte
		sent    string
		want    hostcalls.Errno
	}{
		{"nothing", nil, "", hostcalls.OK},
		{"one", first, "\x81\x05first", hostcalls.OK},
		{"half a header", append(bytes.Clone(first), 1, 2, 3), "\x81\x05first", hostcalls.EINVAL},
		{"half a payload", append(bytes.Clone(first), first[:len(first)-1]...), "\x81\x05first", hostcalls.EINVAL},
		{"a length of 4 GiB", append(bytes.Clone(first), join([]byte{255, 255, 255, 255, 1, 1, 0, 0}, make([]byte, 8))...), "\x81\x05first", hostcalls.EINVAL},
		{"a continuation of nothing", sendRecord(hostcalls.OpContinuation, fin, "a"), "", hostcalls.EINVAL},
		{"a part of nothing", sendRecord(hostcalls.OpText, fin|part, "a"), "", hostcalls.EINVAL},
		{"a close", sendRecord(8, fin, ""), "", hostcalls.EINVAL},
		{"opcode 3", sendRecord(3, fin, ""), "", hostcalls.EINVAL},
		{"opcode 11", sendRecord(11, fin, ""), "", hostcalls.EINVAL},
		{"opcode 255", sendRecord(255, fin, ""), "", hostcalls.EINVAL},
		{"a flag that is not defined", sendRecord(hostcalls.OpText, 16|fin, ""), "", hostcalls.EINVAL},
		{"a message that is not to be compressed", sendRecord(hostcalls.OpText, hostcalls.SendPlain|fin, "a"), "\x81\x01a", hostcalls.OK},
		{"a payload that is apart", join(first, sendRecord(hostcalls.OpBinary, hostcalls.SendApart|fin, "", 70000)), "\x81\x05first\x82\x7f\x00\x00\x00\x00\x00\x01\x11\x70", hostcalls.OK},
		{"a payload that is apart before a record", join(sendRecord(hostcalls.OpBinary, hostcalls.SendApart|fin, "", 70000), first), "", hostcalls.EINVAL},
		{"a ping of 126 bytes", sendRecord(hostcalls.OpPing, fin, string(make([]byte, 126))), "", hostcalls.EINVAL},
		{"a ping that is a part", join(sendRecord(hostcalls.OpPing, fin|part, "abcde"), first), "", hostcalls.EINVAL},
		{"a ping that announces more", sendRecord(hostcalls.OpPing, fin, "abcde", 70000), "", hostcalls.EINVAL},
		{"a message in a message", join(sendRecord(hostcalls.OpText, 0, "a"), first), "\x01\x01a", hostcalls.EINVAL},
		{"a part that is too long", join(sendRecord(hostcalls.OpText, fin, "a", 2), sendRecord(hostcalls.OpText, fin|part, "bc", 2)), "\x81\x02a", hostcalls.EINVAL},
		{"a ping in a frame", join(sendRecord(hostcalls.OpText, fin, "a", 2), sendRecord(hostcalls.OpPing, fin, "")), "\x81\x02a", hostcalls.EINVAL},
		{"a frame in parts", join(sendRecord(hostcalls.OpText, fin, "a", 3), sendRecord(hostcalls.OpText, fin|part, "b", 3), sendRecord(hostcalls.OpText, fin|part, "c", 3)), "\x81\x03abc", hostcalls.OK},
	} {
		e := newEmbedding(t, compiledEngine)
		h := e.accept(serverAccept())
		g := e.guard(test.records)
		if r := e.export("conn_send", h, 0, int64(len(test.records)), e.now); r != test.want.Ret() {
			t.Errorf("%s: conn_send returns %d, want %v", test.name, r, test.want)
		}
		if got := e.takeOut(); string(got) != test.sent {
			t.Errorf("%s: % x was sent, want % x", test.name, got, test.sent)
		}
		g.wantOnly(test.name, [2]uint32{e.layout.TxOffset, uint32(len(test.records))})
	}
}

func TestConnSendNeedsAnOpenConnection(t *testing.T) {
	e := newEmbedding(t, compiledEngine)
	h := e.open(clientOpen())
	record := sendRecord(hostcalls.OpText, hostcalls.SendFIN, "a")
	ping := sendRecord(hostcalls.OpPing, hostcalls.SendFIN, "a")
	closed := e.accept(serverAccept())
	e.receive(closed, 0, client.frame(0x88, ""))
	closing := e.accept(serverAccept())
	e.events(closing, 0, e.export("conn_close", closing, 0, 1000, 0, e.now))
	e.takeOut()
	for name, h := range map[string]int64{"connecting": h, "closed": closed, "closing": closing} {
		for _, b := range [][]byte{record, ping} {
			g := e.guard(b)
			if r := e.export("conn_send", h, 0, int64(len(b)), e.now); r != hostcalls.ESTATE.Ret() {
				t.Errorf("%s: conn_send returns %d, want ESTATE", name, r)
			}
			g.wantOnly("conn_send while " + name)
		}
	}
	if got := e.takeOut(); len(got) != 0 {
		t.Errorf("% x was sent", got)
	}
}

func TestConnCloseRefuses(t *testing.T) {
	e := newEmbedding(t, compiledEngine)
	h := e.accept(serverAccept())
	for _, test := range []struct {
		name   string
		code   int64
		reason string
	}{
		{"code 0", 0, ""}, {"code 999", 999, ""}, {"code 1004", 1004, ""}, {"code 1006", 1006, ""}, {"code 1015", 1015, ""},
		{"code 2999", 2999, ""}, {"code 5000", 5000, ""}, {"code 65536 + 1000", 1<<16 + 1000, ""}, {"code 4 Gi - 1", 1<<32 - 1, ""},
		{"1005 with a reason", 1005, "a"}, {"a reason that is not UTF-8", 1000, "\xff"}, {"a reason of 124 bytes", 1000, string(make([]byte, 124))},
	} {
		g := e.guard([]byte(test.reason))
		if r := e.export("conn_close", h, 0, test.code, int64(len(test.reason)), e.now); r != hostcalls.EINVAL.Ret() {
			t.Errorf("%s: conn_close returns %d, want EINVAL", test.name, r)
		}
		g.wantOnly(test.name)
	}
	if got := e.takeOut(); len(got) != 0 {
		t.Errorf("% x was sent", got)
	}
	g := e.guard(bytes.Repeat([]byte{'a'}, 123))
	e.events(h, 0, e.export("conn_close", h, 0, 4999, 123, e.now))
	g.wantOnly("conn_close", [2]uint32{e.layout.ResultOffset, hostcalls.ResultSize})
	if got := e.takeOut(); len(got) != 127 {
		t.Errorf("% x was sent", got)
	}
	if r := e.export("conn_close", h, 0, 1000, 0, e.now); r != 0 || len(e.takeOut()) != 0 {
		t.Errorf("a second conn_close returns %d", r)
	}
}

// A response that is no record, or more than a status and fields, is refused and
// changes nothing: the next one is taken.
func TestMalformedConnectResponses(t *testing.T) {
	e := newEmbedding(t, compiledEngine)
	h := e.open(hostcalls.Open{URL: []byte("ws://example.com/")})
	if r := e.export("connect_request", h, 0, e.now); r <= 0 {
		t.Fatalf("connect_request returns %d", r)
	}
	good := hostcalls.AppendResponse(nil, hostcalls.Response{Status: 200, Fields: hostcalls.AppendField(nil, "a", "b")})
	for name, record := range map[string][]byte{
		"nothing":                  {},
		"half a record":            good[:15],
		"a byte less":              good[:len(good)-1],
		"a byte more":              append(bytes.Clone(good), 0),
		"a subprotocol":            hostcalls.AppendResponse(nil, hostcalls.Response{Status: 200, Subprotocol: []byte("a")}),
		"extensions":               hostcalls.AppendResponse(nil, hostcalls.Response{Status: 200, Extensions: []byte("a")}),
		"a field block with a gap": hostcalls.AppendResponse(nil, hostcalls.Response{Status: 200, Fields: []byte{1, 0, 0}}),
	} {
		g := e.guard(record)
		if r := e.export("connect_response", h, 0, int64(len(record)), e.now); r != hostcalls.EINVAL.Ret() {
			t.Errorf("%s: connect_response returns %d", name, r)
		}
		g.wantOnly(name)
	}
	if got := e.respond(h, 200, nil); len(got) != 2 {
		t.Errorf("then a response opens the connection: %q", got)
	}
}

// A call that succeeds changes its input, its events and its result, and nothing
// else of any lane.
func TestCallsKeepToTheirLane(t *testing.T) {
	e := newEmbedding(t, compiledEngine)
	h := e.accept(serverAccept())
	l := e.layout
	in := join(client.frame(0x81, "Hello"), client.frame(0x89, "ping"), client.frame(0x82, ""))
	g := e.guard(nil)
	e.write(e.rx(0), in)
	copy(g.before[l.RxOffset:], in)
	if r := e.export("stream_received", h, 0, int64(len(in)), e.now); r != 1|hostcalls.More {
		t.Errorf("stream_received returns %#x, want 1 and more", r)
	}
	if r := e.export("conn_continue", h, 0, e.now); r != 1 {
		t.Errorf("conn_continue returns %d, want 1", r)
	}
	g.wantOnly("stream_received", [2]uint32{l.RxOffset, uint32(len(in))}, [2]uint32{l.EventsOffset, 1 * hostcalls.EventSize}, [2]uint32{l.ResultOffset, 4})

	record := hostcalls.AppendAccept(nil, serverAccept())
	g = e.guard(record)
	e.export("conn_accept", 0, int64(len(record)), e.now)
	_, n, err := hostcalls.ConsumeResponse(e.read(e.tx(0), l.TxLen))
	if err != nil {
		t.Error(err)
	}
	g.wantOnly("conn_accept", [2]uint32{l.TxOffset, uint32(n)})

	record = hostcalls.AppendOpen(nil, clientOpen())
	g = e.guard(record)
	e.export("conn_open", 0, int64(len(record)), e.now)
	g.wantOnly("conn_open")
	for _, f := range hostcalls.ABI().Exports {
		if f.Result != "events" || f.Name == "stream_received" || f.Name == "stream_ended" || f.Name == "conn_close" || f.Name == "connect_response" {
			continue
		}
		g = e.guard(nil)
		if r := e.export(f.Name, arguments(f, h, e.now)...); r != 0 {
			t.Errorf("%s returns %d", f.Name, r)
		}
		g.wantOnly(f.Name, [2]uint32{l.ResultOffset, 4})
	}
}
