package host_test

import (
	"net"
	"strings"
	"testing"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/host/permission"
	"github.com/wasock/wasock/hostcalls"
)

// fieldBlock is names and values in turn as a guest writes them.
func fieldBlock(fields ...string) (b []byte) {
	for i := 0; i < len(fields); i += 2 {
		b = hostcalls.AppendField(b, fields[i], fields[i+1])
	}
	return b
}

// guestRequest is where a guest's Extended CONNECT is.
const guestRequest = 8 << 10

// requesting has g ask for an Extended CONNECT after doing more, and claim n bytes.
func (g *guest) requesting(block []byte, n int32, more ...[]byte) *guest {
	g.data[guestRequest] = block
	return g.with("connect_request", code(more...),
		laneAt(1, guestTx), constant(guestRequest), constant(int32(len(block))), op(0xfc, 0x0a, 0, 0), constant(n))
}

// TestHostileConnectRequest has a guest whose Extended CONNECT is for somebody else,
// or for nobody: no stream is opened on a connection that others share.
func TestHostileConnectRequest(t *testing.T) {
	leavesNothing(t)
	s := newHTTP2RawServer(t)
	s.welcomes = true
	usual := func(fields ...string) []byte {
		all := map[string]string{":method": "CONNECT", ":protocol": "websocket", ":scheme": "http", ":authority": s.address, ":path": "/"}
		order := []string{":method", ":protocol", ":scheme", ":authority", ":path"}
		var rest []string
		for i := 0; i < len(fields); i += 2 {
			if _, ok := all[fields[i]]; ok {
				all[fields[i]] = fields[i+1]
			} else {
				rest = append(rest, fields[i:i+2]...)
			}
		}
		var list []string
		for _, name := range order {
			if all[name] != "-" {
				list = append(list, name, all[name])
			}
		}
		return fieldBlock(append(list, rest...)...)
	}
	good := usual()
	asks := func(fields ...string) func(*guest) *guest {
		b := usual(fields...)
		return func(g *guest) *guest { return g.requesting(b, int32(len(b))) }
	}
	claims := func(block []byte, n int32) func(*guest) *guest {
		return func(g *guest) *guest { return g.requesting(block, n) }
	}
	does := func(more ...[]byte) func(*guest) *guest {
		return func(g *guest) *guest { return g.requesting(good, int32(len(good)), more...) }
	}
	host0, port, _ := strings.Cut(s.address, ":")
	for _, x := range []struct {
		name string
		make func(*guest) *guest
		may  bool // ask: what it asks for is what it was granted
	}{
		{"another authority", asks(":authority", "evil.example"), false},
		{"another port", asks(":authority", host0+":1"), false},
		{"the authority without its port", asks(":authority", host0), false},
		{"the authority with credentials", asks(":authority", "user@"+s.address), false},
		{"the authority and more", asks(":authority", s.address+"\r\nhost: evil.example"), false},
		{"the authority with a path", asks(":authority", s.address+"/"), false},
		{"a longer port", asks(":authority", host0+":0"+port), false},
		{"no authority", asks(":authority", "-"), false},
		{"authority twice, the second another", func(g *guest) *guest {
			b := append(usual(), fieldBlock(":authority", "evil.example")...)
			return g.requesting(b, int32(len(b)))
		}, false},
		{"another scheme", asks(":scheme", "https"), false},
		{"no scheme", asks(":scheme", "-"), false},
		{"a field of another host", asks("host", "evil.example"), false},
		{"a field of HTTP/1.1", asks("transfer-encoding", "chunked"), false},
		{"a pseudo-field there is not", asks(":status", "200"), false},
		{"a field name in upper case", asks("X", "y"), false},
		{"a field value with a line end", asks("x", "y\r\nz: a"), false},
		{"a path with a line end", asks(":path", "/\r\nx: y"), false},
		{"no path", asks(":path", "-"), false},
		{"a path that does not begin", asks(":path", "elsewhere"), false},
		{"no protocol", asks(":protocol", "-"), false},
		{"fields without end", asks("x", strings.Repeat("y", 15<<10)), true},
		{"a block that is cut", claims(good, int32(len(good)-1)), false},
		{"a block of one byte", claims(good, 1), false},
		{"a block of nothing", claims(good, 0), false},
		{"more than the lane holds", claims(good, 16<<10+1), false},
		{"2^31-1 bytes", claims(good, 1<<31-1), false},
		{"an errno", claims(good, -int32(hostcalls.ESTATE)), false},
		{"an errno that there is not", claims(good, -1<<31), false},
		{"garbage to the end of the lane", claims([]byte(strings.Repeat("\xff", 4<<10)), 16<<10), false},
		{"traps", does(unreachable), false},
		{"connects", does(connectTo(2, guestHost, 9, 1, 0), op(0x1a)), true},
		{"sets a timer", does(call(callTimer, local(0), constant64(0)), op(0x1a)), true},
		{"writes", does(call(callWrite, local(0), constant(9<<10), constant(1)), op(0x1a)), true},
		{"writes a lot", does(call(callWrite, local(0), constant(9<<10), constant(1024)), op(0x1a)), true},
		{"closes its side", does(call(callClose, local(0), constant(1)), op(0x1a)), true},
		{"closes", does(call(callClose, local(0), constant(2)), op(0x1a)), true},
		{"writes, closes", does(call(callWrite, local(0), constant(9<<10), constant(1)), op(0x1a), call(callClose, local(0), constant(2)), op(0x1a)), true},
	} {
		t.Run(x.name, func(t *testing.T) {
			g := x.make(newGuest())
			h := hostileClient(t, s, g)
			var p *http2Peer
			for range 2 { // the second is by a fresh instance, and shares the connection
				d := startDial(t, newContext(t), h, s.url, s.options())
				if p == nil {
					p = s.accept("the connection was granted")
				}
				d.wait("Dial returns")
				if d.conn != nil {
					_ = d.conn.CloseNow()
				}
				if d.err == nil {
					t.Error("a tame guest opens nothing") // newGuest's makes nothing of a response
				}
				wantNothingOpen(t, h)
			}
			for _, st := range p.requests {
				if !x.may || st.fields[":authority"] != s.address || st.fields[":scheme"] != "http" || st.fields[":path"] != "/" {
					t.Errorf("the server saw %v", st.fields)
				}
			}
		})
	}
}

// hostileClient returns a Host whose engine is g, which connects to s, and nowhere
// else.
func hostileClient(t *testing.T, s *http2RawServer, g *guest) *host.Host {
	t.Helper()
	p, err := permission.Parse([]string{s.address}, nil)
	if err != nil {
		t.Fatal(err)
	}
	g.with("conn_open", connectTo(1, guestHost, 9, int32(s.l.Addr().(*net.TCPAddr).Port), 0), op(0x1a), constant(1))
	return newHost(t, host.Config{Engine: g.module(), Instances: 1, InstanceMemory: 16 << 20, Grant: permission.NewGrant(p, nil)})
}

// TestHostileConnectResponse has a guest that says what is not so of a response.
// Dial fails, and nothing is left.
func TestHostileConnectResponse(t *testing.T) {
	leavesNothing(t)
	s := newHTTP2RawServer(t)
	s.welcomes = true
	request := fieldBlock(":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":authority", s.address, ":path", "/")
	answers := func(parts ...[]byte) *guest {
		return newGuest().requesting(request, int32(len(request))).with("connect_response", parts...)
	}
	one := func(ev hostcalls.Event) *guest { return answers(constant(1)).event(0, ev) }
	const whole = hostcalls.EventFirst | hostcalls.EventLast
	for _, x := range []struct {
		name  string
		g     *guest
		opens bool // as far as Dial can know
	}{
		{"traps", answers(unreachable), false},
		{"nothing", answers(constant(0)), false},
		{"an errno", answers(constant(-int32(hostcalls.EPROTO))), false},
		{"an errno that there is not", answers(constant(-1 << 31)), false},
		{"more events than there are", answers(constant(guestCap + 1)), false},
		{"a billion events", answers(constant(1<<30 - 1)), false},
		{"events for ever", answers(constant(hostcalls.More|guestCap)).with("conn_continue", constant(hostcalls.More|guestCap)), false},
		{"response outside", one(hostcalls.Event{Kind: hostcalls.KindResponse, Ptr: 1<<32 - 1, Len: 1}), false},
		{"response too long", one(hostcalls.Event{Kind: hostcalls.KindResponse, Ptr: 0, Len: 1<<32 - 1}), false},
		{"response that is none", one(hostcalls.Event{Kind: hostcalls.KindResponse, Ptr: 0, Len: 3}), false},
		{"response across the end", one(hostcalls.Event{Kind: hostcalls.KindResponse, Ptr: 16<<20 - 1, Len: 2}), false},
		{"error record that is none", one(hostcalls.Event{Kind: hostcalls.KindError, Ptr: 0, Len: 3}), false},
		{"payload outside", one(hostcalls.Event{Kind: hostcalls.KindText, Flags: whole, Ptr: 1<<32 - 1, Len: 1}), false},
		{"an end", one(hostcalls.Event{Kind: 1006}), false},
		{"an end that is clean", one(hostcalls.Event{Kind: 1000, Flags: hostcalls.EventClean}), false},
		{"closes", answers(call(callClose, local(0), constant(2)), op(0x1a), constant(0)), false},
		{"open, and no response", one(hostcalls.Event{Kind: hostcalls.KindOpen}), true},
		{"open, and an end", answers(constant(2)).event(0, hostcalls.Event{Kind: hostcalls.KindOpen}).event(1, hostcalls.Event{Kind: 1006}), false},
		{"open, and writes from outside", answers(call(callWrite, local(0), constant(-1), constant(1)), op(0x1a), constant(1)).event(0, hostcalls.Event{Kind: hostcalls.KindOpen}), true},
	} {
		for _, style := range []style{streamStyle, eventStyle} {
			t.Run(x.name+"/"+string(style), func(t *testing.T) {
				h := hostileClient(t, s, x.g)
				var p *http2Peer
				eventually(t, "a fresh instance asks again", func() (bool, string) {
					o := s.options()
					if style == eventStyle {
						o.Events = newRecorder(t)
					}
					d := startDial(t, newContext(t), h, s.url, o)
					if p == nil {
						p = s.accept("the connection was granted")
					}
					d.wait("Dial returns")
					if d.err == nil && !x.opens {
						t.Error("Dial gives a connection that is not open")
					}
					if d.conn != nil {
						_ = d.conn.CloseNow()
					}
					wantNothingOpen(t, h)
					p.mu.Lock()
					defer p.mu.Unlock()
					return len(p.requests) >= 2, "it does not"
				})
			})
		}
	}
}
