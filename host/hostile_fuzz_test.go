package host_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/host/permission"
	"github.com/wasock/wasock/hostcalls"
)

// The operations of a scripted guest. Each export reads operations from where the
// one before stopped, up to opReturn. Numbers are 32 bits after the operation.
const (
	opReturn    = iota // result; what follows the script is this, with 0
	opConnect          // handle: where it may
	opForbidden        // handle: where it may not
	opWrite            // ptr, count
	opClose            // how
	opTimer            // deadline
	opRandom           // ptr, len
	opASCII            // ptr, len, out, cap
	opEvent            // index, event record
	opTrap
	opGrow   // pages
	opFill   // len, bytes: into tx
	opAccept // fills tx with a good answer
	opCount
)

const (
	scriptCursor = 5 << 10
	scriptBegin  = 192 << 10
	scriptLen    = 16 << 10
	forbiddenPtr = 6 << 10
)

// scriptedGuest returns a guest that does what script says.
func scriptedGuest(script []byte, forbidden string, port int32) *guest {
	g := newGuest()
	g.pages = 5
	g.data[scriptBegin] = script[:min(len(script), scriptLen)]
	g.data[scriptCursor] = []byte{scriptBegin & 0xff, scriptBegin >> 8 & 0xff, scriptBegin >> 16, 0}
	g.data[forbiddenPtr] = []byte(forbidden)

	advance := func(n int32) []byte {
		return store(scriptCursor, code(load(scriptCursor), constant(n), op(0x6a)))
	}
	number := code(load(scriptCursor), op(0x28, 0, 0), advance(4))
	const conn, lane, operation = 0, 1, 2
	when := func(which int32, body []byte) []byte {
		return code(local(operation), constant(which), op(0x46, 0x04, 0x40), body, op(0x0b))
	}
	drop := op(0x1a)
	eventAt := code(laneAt(lane, guestEvents), number, constant(guestCap-1), op(0x71), constant(hostcalls.EventSize), op(0x6c, 0x6a))
	g.routine = &routine{signature: signature{[]byte{i32, i32}, []byte{i32}}, locals: 1, body: code(
		op(0x03, 0x40), // loop
		load(scriptCursor), op(0x2d, 0, 0), constant(opCount), op(0x70), op(0x21, operation), advance(1),
		when(opReturn, code(number, op(0x0f))),
		when(opConnect, code(number, constant(guestHost), constant(9), constant(1), constant(0), op(0x10, callConnect), drop)),
		when(opForbidden, code(number, constant(forbiddenPtr), constant(int32(len(forbidden))), constant(port), constant(0), op(0x10, callConnect), drop)),
		when(opWrite, code(local(conn), number, number, op(0x10, callWrite), drop)),
		when(opClose, code(local(conn), number, op(0x10, callClose), drop)),
		when(opTimer, code(local(conn), number, op(0xac), op(0x10, callTimer), drop)),
		when(opRandom, code(number, number, op(0x10, callRandom), drop)),
		when(opASCII, code(number, number, number, number, op(0x10, callASCII), drop)),
		when(opEvent, code(eventAt, load(scriptCursor), constant(hostcalls.EventSize), op(0xfc, 0x0a, 0, 0), advance(hostcalls.EventSize))),
		when(opTrap, unreachable),
		when(opGrow, code(number, constant(0xff), op(0x71, 0x40, 0), drop)),
		when(opFill, code(laneAt(lane, guestTx), load(scriptCursor), constant(64), op(0xfc, 0x0a, 0, 0), advance(64))),
		when(opAccept, code(laneAt(lane, guestTx), constant(guestAnswer), constant(answerLen), op(0xfc, 0x0a, 0, 0))),
		op(0x0c, 0, 0x0b), unreachable, // for ever
	)}
	for _, export := range exportNames() {
		switch export {
		case "conn_open", "conn_accept": // of a lane only
			g.with(export, call(guestRoutine, constant(1), local(0)))
		case "conn_free":
			g.with(export, call(guestRoutine, local(0), constant(0)))
		default:
			g.with(export, call(guestRoutine, local(0), local(1)))
		}
	}
	return g
}

// A script is put together from operations.
type script []byte

func (s script) do(operation byte, numbers ...uint32) script {
	s = append(s, operation)
	for _, n := range numbers {
		s = append(s, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
	}
	return s
}

// open has a server's connection opened with handle 1.
func (s script) open() script { return s.do(opAccept).do(opReturn, 1) }

func (s script) event(kind, flags, ptr, length uint32) script {
	return s.do(opEvent, 0, kind|flags<<16, ptr, length, 0, 0, 0)
}

func FuzzHostileEngine(f *testing.F) {
	// Whatever an engine does, the host does not panic, reaches nothing that was
	// not allowed, and ends every connection once with it.
	f.Add(byte(0), []byte{})
	f.Add(byte(1), []byte(script{}.do(opForbidden, 1).do(opReturn, 1)))
	f.Add(byte(1), []byte(script{}.do(opConnect, 1).do(opForbidden, 1).do(opReturn, 1)))
	f.Add(byte(0), []byte(script{}.open().do(opTrap)))
	f.Add(byte(0), []byte(script{}.open().event(0, 3, 0, 5).do(opReturn, 1).event(1, 1, 0, 5).do(opReturn, 1).event(1, 0, 0, 1<<24).do(opReturn, 1)))
	f.Add(byte(0), []byte(script{}.open().event(3, 0, 0, 0).event(3, 0, 0, 0).do(opReturn, 2).do(opReturn, 0)))
	f.Add(byte(0), []byte(script{}.open().event(1006, 0, 0, 0).do(opClose, 2).do(opReturn, 1)))
	f.Add(byte(0), []byte(script{}.open().do(opWrite, 0, 64).do(opClose, 1).do(opReturn, 0).do(opClose, 2)))
	f.Add(byte(0), []byte(script{}.open().do(opTimer, 0).do(opReturn, 0).do(opTimer, 0).do(opReturn, 0)))
	f.Add(byte(0), []byte(script{}.open().do(opReturn, hostcalls.More|5).do(opReturn, hostcalls.More).do(opReturn, 1<<31)))
	f.Add(byte(0), []byte(script{}.open().do(opGrow, 255).do(opRandom, 0, 1<<16).do(opASCII, guestHost, 9, 0, 100).do(opReturn, 0)))
	f.Add(byte(0), []byte(script{}.open().open().open().open()))

	allowed, err := permission.Parse([]string{"127.0.0.1:1"}, nil)
	if err != nil {
		f.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	defer l.Close()
	var reached atomic.Bool
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			reached.Store(true)
			_ = nc.Close()
		}
	}()
	f.Fuzz(func(t *testing.T, first byte, b []byte) {
		g := scriptedGuest(b, "127.0.0.1", int32(l.Addr().(*net.TCPAddr).Port))
		h, err := host.New(context.Background(), host.Config{
			Engine: g.module(), Instances: 1, InstanceMemory: 16 << 20, Grant: permission.NewGrant(allowed, nil), Interpreter: true})
		if err != nil {
			t.Fatal(err) // the script does not run before there are connections
		}
		defer h.Close()
		ends := &endCounter{}
		s := httptest.NewServer(h.Handler(nil, &host.AcceptOptions{Events: ends}))
		defer s.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
		defer cancel()
		dial := func() {
			if c, _, err := h.Dial(ctx, "ws://"+l.Addr().String(), nil); err == nil {
				_, _, _ = c.Read(ctx)
				_ = c.CloseNow()
			}
		}
		if first%2 == 1 { // the script begins with conn_open, and not with conn_accept
			dial()
		}
		peers := make([]net.Conn, 2)
		for i := range peers {
			nc, err := net.Dial("tcp", s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			_, _ = io.WriteString(nc, upgradeRequest+"\r\n")
			_ = nc.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
			_, _ = nc.Read(make([]byte, 256))
			_, _ = io.WriteString(nc, "anything")
			peers[i] = nc
		}
		dial()
		for _, nc := range peers {
			_ = nc.Close()
		}
		_ = h.Close()
		eventually(t, "every connection ends, once", func() (bool, string) {
			open, opened, ended := h.Stats().Open, ends.opened.Load(), ends.ended.Load()
			return open == 0 && opened == ended, fmt.Sprint(open, " open; ", opened, " were opened, ", ended, " ended")
		})
		if n := ends.failed.Load(); n > ends.opened.Load() {
			t.Errorf("%d errors were told of %d connections", n, ends.opened.Load())
		}
		if reached.Load() {
			t.Fatal("the engine reached what it may not")
		}
	})
}

// endCounter is an EventHandler that counts.
type endCounter struct{ opened, failed, ended atomic.Int64 }

func (e *endCounter) OnOpen(*host.Conn)                                { e.opened.Add(1) }
func (e *endCounter) OnMessage(*host.Conn, host.MessageType, []byte)   {}
func (e *endCounter) OnPong(*host.Conn, []byte)                        {}
func (e *endCounter) OnError(*host.Conn, error)                        { e.failed.Add(1) }
func (e *endCounter) OnClose(*host.Conn, host.CloseCode, string, bool) { e.ended.Add(1) }
