package host_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/host/permission"
	"github.com/wasock/wasock/hostcalls"
)

// TestModuleThatIsNoEngine has modules that New refuses, with one error.
func TestModuleThatIsNoEngine(t *testing.T) {
	layout := func(change func(*hostcalls.Layout)) []byte {
		g := newGuest()
		change(&g.layout)
		return g.module()
	}
	without := func(export string) []byte {
		g := newGuest()
		g.bodies[export] = nil
		return g.module()
	}
	const outside, none = "outside its memory", "not one of this ABI"
	for _, x := range []struct {
		name   string
		module []byte
		want   string
	}{
		{"empty", []byte{}, "compile the engine"},
		{"no module", []byte("#!/bin/sh\n"), "compile the engine"},
		{"module of nothing", []byte("\x00asm\x01\x00\x00\x00"), "no memory"},
		{"no conn_open", without("conn_open"), "conn_open"},
		{"no conn_free", without("conn_free"), "conn_free"},
		{"no version", without("wasock_abi_version"), "wasock_abi_version"},
		{"no layout", without("engine_layout"), "engine_layout"},
		{"version 2", newGuest().with("wasock_abi_version", constant(2)).module(), "ABI version is 2"},
		{"version traps", newGuest().with("wasock_abi_version", unreachable).module(), "unreachable"},
		{"initialisation traps", newGuest().with("_initialize", unreachable).module(), "unreachable"},
		{"initialisation asks for a connection", newGuest().with("_initialize", connectTo(1, guestHost, 9, 1, 0), op(0x1a), unreachable).module(), "unreachable"},
		{"layout outside the memory", newGuest().with("engine_layout", constant(-1)).module(), outside},
		{"layout at the end of the memory", newGuest().with("engine_layout", constant(4<<16-hostcalls.LayoutSize+1)).module(), outside},
		{"another magic", layout(func(l *hostcalls.Layout) { l.Magic++ }), none},
		{"no lanes", layout(func(l *hostcalls.Layout) { l.LanesCount = 0 }), none},
		{"one lane", layout(func(l *hostcalls.Layout) { l.LanesCount = 1 }), none},
		{"too many lanes", layout(func(l *hostcalls.Layout) { l.LanesCount = 1 << 31 }), none},
		{"lanes outside", layout(func(l *hostcalls.Layout) { l.LanesPtr = 3 << 16 }), outside},
		{"lanes at the top", layout(func(l *hostcalls.Layout) { l.LanesPtr = 1<<32 - 1 }), outside},
		{"stride outside", layout(func(l *hostcalls.Layout) { l.LaneStride = 1<<32 - 1 }), outside},
		{"rx outside", layout(func(l *hostcalls.Layout) { l.RxLen = 1<<32 - 1 }), outside},
		{"rx too small", layout(func(l *hostcalls.Layout) { l.RxLen = 1 }), none},
		{"tx outside", layout(func(l *hostcalls.Layout) { l.TxOffset = 1<<32 - 1 }), outside},
		{"events outside", layout(func(l *hostcalls.Layout) { l.EventsCap = 1<<32 - 1 }), outside},
		{"no events", layout(func(l *hostcalls.Layout) { l.EventsCap = 0 }), none},
		{"event of another size", layout(func(l *hostcalls.Layout) { l.EventBytes = 8 }), none},
		{"send record of another size", layout(func(l *hostcalls.Layout) { l.SendHeaderLen = 8 }), none},
		{"result outside", layout(func(l *hostcalls.Layout) { l.ResultOffset = 1<<32 - 1 }), outside},
		{"memory over the limit", func() []byte { g := newGuest(); g.pages, g.max = 1024, 2048; return g.module() }(), "memory"},
	} {
		h, err := host.New(t.Context(), host.Config{Engine: x.module, Instances: 1, InstanceMemory: 16 << 20})
		if h != nil || err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: got %v, want an error with %q", x.name, err, x.want)
		}
		if h != nil {
			_ = h.Close()
		}
	}
}

// hostileHost returns a Host whose engine is g, and a server of it. A listener at
// 127.0.0.1:1 is the only place that it may reach.
func hostileHost(t *testing.T, g *guest, r *recorder) (*host.Host, string) {
	t.Helper()
	p, err := permission.Parse([]string{"127.0.0.1:1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(t, host.Config{Engine: g.module(), Instances: 1, InstanceMemory: 16 << 20, Grant: permission.NewGrant(p, nil)})
	var events host.EventHandler
	if r != nil {
		events = r
	}
	s := httptest.NewServer(h.Handler(func(ctx context.Context, c *host.Conn) {
		for {
			if _, _, err := c.Read(ctx); err != nil {
				return
			}
		}
	}, &host.AcceptOptions{Events: events}))
	t.Cleanup(s.Close)
	return h, s.Listener.Addr().String()
}

// TestHostileConnect has a guest ask for connections that it may not have: Dial
// fails with an error, and nothing is dialled.
func TestHostileConnect(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := int32(l.Addr().(*net.TCPAddr).Port)
	at := func(s string) (*guest, int32) {
		g := newGuest()
		g.data[8<<10] = []byte(s)
		return g, int32(len(s))
	}
	connect := func(host string, port, flags int32) *guest {
		g, n := at(host)
		return g.with("conn_open", connectTo(1, 8<<10, n, port, flags), op(0x1a), constant(1))
	}
	for _, x := range []struct {
		name   string
		g      *guest
		denied bool
	}{
		{"another port", connect("127.0.0.1", port, 0), true},
		{"another host", connect("localhost", 1, 0), true},
		{"port that wraps", connect("127.0.0.1", port|1<<16, 0), false},
		{"host with a line end", connect("127.0.0.1\r\nX: y", 1, 0), false},
		{"host with NUL", connect("127.0.0.1\x00.example", 1, 0), false},
		{"host with credentials", connect("127.0.0.1@evil", 1, 0), false},
		{"host that is not ASCII", connect("127.0.0.1\xff", 1, 0), false},
		{"empty host", connect("", 1, 0), false},
		{"long host", connect(strings.Repeat("a", 256), 1, 0), false},
		{"unknown flags", connect("127.0.0.1", 1, 2), false},
		{"host outside the memory", newGuest().with("conn_open", connectTo(1, -1, 9, 1, 0), op(0x1a), constant(1)), false},
		{"handle 0", newGuest().with("conn_open", connectTo(0, guestHost, 9, 1, 0), op(0x1a), constant(1)), false},
		{"no connection at all", newGuest().with("conn_open", constant(1)), false},
		{"an errno that there is not", newGuest().with("conn_open", constant(-12345)), false},
		{"an error record that is none", newGuest().with("conn_open", constant(-int32(hostcalls.EINVAL))), false},
		{"traps", newGuest().with("conn_open", unreachable), false},
		{"loops over its stack", newGuest().with("conn_open", call(guestRoutine), constant(1)).recursing(), false},
		{"connects twice, the second time elsewhere", newGuest().with("conn_open",
			connectTo(1, guestHost, 9, 1, 0), op(0x1a), connectTo(1, guestHost, 9, port, 0), op(0x1a), constant(1)), false},
	} {
		t.Run(x.name, func(t *testing.T) {
			h, _ := hostileHost(t, x.g, nil)
			for range 2 {
				c, _, err := h.Dial(newContext(t), "ws://"+l.Addr().String(), nil)
				var pe *host.PermissionError
				if c != nil || err == nil || errors.As(err, &pe) != x.denied {
					t.Errorf("got %v, want an error (permission: %v)", err, x.denied)
				}
			}
			wantNothingOpen(t, h)
		})
	}
	_ = l.(*net.TCPListener).SetDeadline(soon())
	if nc, err := l.Accept(); err == nil {
		t.Errorf("somebody connected: %v", nc.RemoteAddr())
	}
}

// recursing has the routine call itself.
func (g *guest) recursing() *guest {
	g.routine = &routine{body: call(guestRoutine)}
	return g
}

// TestHostileEvents has a guest that says what is not so of a connection. The
// connection ends with 1006 and once, and a fresh instance takes the next.
func TestHostileEvents(t *testing.T) {
	received := func(parts ...[]byte) *guest { return newGuest().with("stream_received", parts...) }
	segment := func(ptr, length uint32) *guest {
		g := received(call(callWrite, local(0), constant(8<<10), constant(1)), op(0x1a), constant(1))
		g.data[8<<10] = []byte{byte(ptr), byte(ptr >> 8), byte(ptr >> 16), byte(ptr >> 24), byte(length), byte(length >> 8), byte(length >> 16), byte(length >> 24)}
		return g.event(0, hostcalls.Event{Kind: 1006})
	}
	write := func(handle []byte, ptr, count int32) *guest {
		return received(call(callWrite, handle, constant(ptr), constant(count)), op(0x1a), constant(1)).event(0, hostcalls.Event{Kind: 1006})
	}
	const whole = hostcalls.EventFirst | hostcalls.EventLast
	for _, x := range []struct {
		name string
		g    *guest
	}{
		{"traps", received(unreachable)},
		{"recurses", received(call(guestRoutine), constant(0)).recursing()},
		{"more events than there are", received(constant(guestCap + 1))},
		{"a billion events", received(constant(1<<30 - 1))},
		{"as many events as there are, and more for ever", received(constant(hostcalls.More|0x3fffffff)).with("conn_continue", constant(hostcalls.More|0x3fffffff))},
		{"errno that there is not", received(constant(-1 << 31))},
		{"payload outside", received(constant(1)).event(0, hostcalls.Event{Kind: hostcalls.KindText, Flags: whole, Ptr: 1<<32 - 1, Len: 1})},
		{"payload too long", received(constant(1)).event(0, hostcalls.Event{Kind: hostcalls.KindText, Flags: whole, Ptr: 0, Len: 1<<32 - 1})},
		{"payload across the end", received(constant(1)).event(0, hostcalls.Event{Kind: hostcalls.KindBinary, Flags: whole, Ptr: 16<<20 - 1, Len: 2})},
		{"error record that is none", received(constant(1)).event(0, hostcalls.Event{Kind: hostcalls.KindError, Ptr: 0, Len: 3})},
		{"two ends", received(constant(2)).event(0, hostcalls.Event{Kind: 1006}).event(1, hostcalls.Event{Kind: 1006})},
		{"response to a server", received(constant(1)).event(0, hostcalls.Event{Kind: hostcalls.KindResponse, Ptr: 0, Len: 1})},
		{"segment outside", segment(1<<32-1, 1)},
		{"segment too long", segment(0, 1<<32-1)},
		{"segments outside", write(local(0), -1, 1)},
		{"too many segments", write(local(0), 0, 1025)},
		{"segments that wrap", write(local(0), 0, 1<<29)},
		{"another's handle", write(constant(12345), 0, 1)},
		{"unknown way to close", received(call(callClose, local(0), constant(9)), op(0x1a), call(callClose, constant(99), constant(2)), op(0x1a), unreachable)},
		{"closes, and says nothing", received(call(callClose, local(0), constant(2)), op(0x1a), constant(0))},
		{"entropy to nowhere", received(call(callRandom, constant(-1), constant(16)), op(0x1a), call(callRandom, constant(0), constant(-1)), op(0x1a), unreachable)},
		{"name from nowhere", received(call(callASCII, constant(-1), constant(16), constant(0), constant(0)), op(0x1a),
			call(callASCII, constant(guestHost), constant(9), constant(-1), constant(100)), op(0x1a), unreachable)},
		{"connects while it is open", received(connectTo(2, guestHost, 9, 1, 0), op(0x1a), unreachable)},
		{"grows to the end of its memory", received(op(0x03, 0x40), constant(1), op(0x40, 0), constant(0), op(0x4e, 0x0d, 0, 0x0b), unreachable)},
		{"gives back more than it was given", received(constant(0)).extended(9)},
		{"gives back all that there is", received(constant(0)).extended(-1)},
		{"gives everything back, for ever", received(constant(0)).extended(8)},
		{"has a window full of events without input, for ever", newGuest().with("conn_credit", constant(1)).extended(0).
			event(0, hostcalls.Event{Kind: hostcalls.KindBinary, Flags: whole, Ptr: 0, Len: 64 << 10})},
		{"more events for credit than there are", newGuest().with("conn_credit", constant(guestCap+1)).extended(0)},
		{"an errno for credit", newGuest().with("conn_credit", constant(-1<<31)).extended(0)},
	} {
		for _, s := range []style{eventStyle, streamStyle} {
			t.Run(x.name+"/"+string(s), func(t *testing.T) {
				var r *recorder
				if s == eventStyle {
					r = newRecorder(t)
				}
				h, address := hostileHost(t, x.g, r)
				for range 2 { // the second is carried by a fresh instance, or by one that is still good
					p := openHostile(t, address)
					_, _ = io.WriteString(p, "anything") // the connection may be gone
					_ = p.Conn.(*net.TCPConn).CloseWrite()
					p.wantEnd("the connection ends")
					if r != nil {
						wantOneEnd(t, r)
					}
					_ = p.Close()
				}
				wantNothingOpen(t, h)
			})
		}
	}
}

// wantOneEnd reads the events of a connection up to its end.
func wantOneEnd(t *testing.T, r *recorder) {
	t.Helper()
	failures := 0
	for {
		ev, err := r.next(newContext(t))
		if err != nil {
			t.Fatalf("the end is told: %v", err)
		}
		switch ev.kind {
		case "error":
			if failures++; failures > 1 {
				t.Fatalf("an error is told once: then %v", ev.err)
			}
		case "close":
			if ev.code != host.CodeAbnormal || ev.clean {
				t.Errorf("the end is 1006: %+v", ev)
			}
			return
		}
	}
}

// openHostile opens a connection to a server whose engine is hostile.
func openHostile(t *testing.T, address string) *rawPeer {
	t.Helper()
	var p *rawPeer
	eventually(t, "a fresh instance takes connections", func() (bool, string) {
		p = dialTCP(t, address)
		p.say(upgradeRequest + "\r\n")
		resp, err := http.ReadResponse(p.r, nil)
		if err != nil || resp.StatusCode != 101 {
			_ = p.Close()
			return false, "refused"
		}
		return true, ""
	})
	return p
}

// TestTrapInEveryExport has a guest that traps in one of its exports: the
// operation fails, the connections end, and the Host stands.
func TestTrapInEveryExport(t *testing.T) {
	for _, export := range exportNames() {
		t.Run(export, func(t *testing.T) {
			g := newGuest().with(export, unreachable)
			if export == "conn_continue" {
				g.with("stream_received", constant(hostcalls.More))
			}
			if export == "conn_timeout" {
				g.with("stream_received", call(callTimer, local(0), constant64(0)), op(0x1a), constant(0))
			}
			h, address := hostileHost(t, g, newRecorder(t))
			for range 2 {
				p := dialTCP(t, address)
				p.say(upgradeRequest + "\r\n")
				if resp, err := http.ReadResponse(p.r, nil); err == nil && resp.StatusCode == 101 {
					p.say("anything")
				}
				_ = p.Close()
				_, _, err := h.Dial(newContext(t), "ws://127.0.0.1:1/", nil)
				if err == nil {
					t.Error("nobody listens there")
				}
			}
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			_ = h.Shutdown(ctx)
			eventually(t, "no connection is left", func() (bool, string) { return h.Stats().Open == 0, "some are" })
		})
	}
}
