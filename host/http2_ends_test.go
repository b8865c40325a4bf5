package host_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/wasock/wasock/host"
)

// TestHTTP2Ends has every way in which a stream ends, in both roles and styles. It is
// TestReset's and TestHalfClose's table for HTTP/2: RFC 8441 §5 has END_STREAM for
// TCP's FIN, and RST_STREAM with CANCEL for its RST. threats.md, "a stream reset is a
// crash".
func TestHTTP2Ends(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	const noClose = "without a Close frame"
	closes := func(e *end, st *http2PeerStream) {
		st.send(closeFrame(1000, "bye"))
		st.wantClose("the Close frame is answered", normal, "bye")
	}
	weClose := func(e *end, st *http2PeerStream) {
		closed := make(chan error, 1)
		go func() { closed <- e.conn.Close(normal, "bye") }()
		st.wantClose("we close", normal, "bye")
		e.t.Cleanup(func() { <-closed })
	}
	for _, x := range []struct {
		name   string
		do     func(e *end, st *http2PeerStream)
		code   host.CloseCode
		reason string
		clean  bool
		why    string // what the cause says, if there is one
		role   string // "" is both
	}{
		{"END_STREAM", func(_ *end, st *http2PeerStream) { st.end() }, 1006, "", false, noClose, ""},
		{"END_STREAM inside a header", func(_ *end, st *http2PeerStream) { st.say("\x82"); st.end() }, 1006, "", false, noClose, ""},
		{"END_STREAM inside a message", func(_ *end, st *http2PeerStream) { st.send("01 01 61"); st.end() }, 1006, "", false, noClose, ""},
		{"END_STREAM after our Close", func(e *end, st *http2PeerStream) { weClose(e, st); st.end() }, 1006, "", false, "", ""},
		{"RST_STREAM CANCEL", func(_ *end, st *http2PeerStream) { st.rst(http2.ErrCodeCancel) }, 1006, "", false, noClose, "client"},
		{"RST_STREAM NO_ERROR", func(_ *end, st *http2PeerStream) { st.rst(http2.ErrCodeNo) }, 1006, "", false, noClose, "client"},
		{"RST_STREAM CANCEL", func(_ *end, st *http2PeerStream) { st.rst(http2.ErrCodeCancel) }, 1006, "", false, "CANCEL", "server"},
		{"RST_STREAM INTERNAL_ERROR", func(_ *end, st *http2PeerStream) { st.rst(http2.ErrCodeInternal) }, 1006, "", false, "INTERNAL_ERROR", ""},
		{"RST_STREAM REFUSED_STREAM", func(_ *end, st *http2PeerStream) { st.rst(http2.ErrCodeRefusedStream) }, 1006, "", false, "REFUSED_STREAM", ""},
		{"RST_STREAM of a code there is not", func(_ *end, st *http2PeerStream) { st.rst(0xdead) }, 1006, "", false, "0xdead", ""},
		{"RST_STREAM with output on its way", func(e *end, st *http2PeerStream) {
			st.peer.keepWindows()
			for range 3 {
				_ = e.conn.Send(host.MessageBinary, make([]byte, 1<<20))
			}
			st.rst(http2.ErrCodeInternal)
		}, 1006, "", false, "INTERNAL_ERROR", ""},
		{"RST_STREAM after our Close", func(e *end, st *http2PeerStream) { weClose(e, st); st.rst(http2.ErrCodeInternal) }, 1006, "", false, "", ""},
		{"connection lost", func(_ *end, st *http2PeerStream) { _ = st.peer.nc.Close() }, 1006, "", false, "", ""},
		{"GOAWAY and connection lost", func(_ *end, st *http2PeerStream) {
			st.peer.sendGoAway(st.id, http2.ErrCodeNo)
			_ = st.peer.nc.Close()
		}, 1006, "", false, "", "client"},

		{"Close, END_STREAM", func(e *end, st *http2PeerStream) { closes(e, st); st.end() }, 1000, "bye", true, "", ""},
		{"Close and END_STREAM at once", func(e *end, st *http2PeerStream) {
			st.send(closeFrame(1000, "bye"))
			st.end()
			st.wantClose("the Close frame is answered", normal, "bye")
		}, 1000, "bye", true, "", ""},
		{"Close, RST_STREAM CANCEL", func(e *end, st *http2PeerStream) { closes(e, st); st.rst(http2.ErrCodeCancel) }, 1000, "bye", true, "", ""},
		{"Close, RST_STREAM NO_ERROR", func(e *end, st *http2PeerStream) { closes(e, st); st.rst(http2.ErrCodeNo) }, 1000, "bye", true, "", ""},
		{"Close, RST_STREAM INTERNAL_ERROR", func(e *end, st *http2PeerStream) { closes(e, st); st.rst(http2.ErrCodeInternal) }, 1000, "bye", true, "", ""},
		{"Close, connection lost", func(e *end, st *http2PeerStream) { closes(e, st); _ = st.peer.nc.Close() }, 1000, "bye", true, "", ""},
		{"our Close, answer, END_STREAM", func(e *end, st *http2PeerStream) {
			weClose(e, st)
			st.send(closeFrame(1000, "bye"))
			if e.name == "server" { // it ends first: RFC 6455 §7.1.1
				st.wantEnded("we have said all")
				st.end()
				return
			}
			st.end()
			st.wantReset("a server that has ended the stream may have forgotten it", http2.ErrCodeCancel)
		}, 1000, "bye", true, "", ""},
		{"our Close, answer and END_STREAM at once", func(e *end, st *http2PeerStream) {
			weClose(e, st)
			st.send(closeFrame(1000, "bye"))
			st.end()
		}, 1000, "bye", true, "", ""},
		{"our Close, answer, RST_STREAM NO_ERROR", func(e *end, st *http2PeerStream) {
			weClose(e, st)
			st.send(closeFrame(1000, "bye"))
			st.rst(http2.ErrCodeNo)
		}, 1000, "bye", true, "", "client"},
		{"Close without a code", func(e *end, st *http2PeerStream) { st.send("88 00"); st.end() }, 1005, "", true, "", ""},
	} {
		for _, r := range http2Roles {
			if x.role != "" && x.role != r.name {
				continue
			}
			for _, s := range []style{streamStyle, eventStyle} {
				t.Run(fmt.Sprintf("%s/%s/%s", x.name, r.name, s), func(t *testing.T) {
					e, st := r.connect(t, h, s, host.Limits{})
					ended := e.startEnd()
					x.do(e, st)
					ce := <-ended
					e.checkClosed("the end is told", ce, x.code, x.reason, x.clean)
					switch {
					case x.clean && ce.Err != nil:
						e.fail("a clean end has no cause", "%v", ce.Err)
					case x.why != "" && (ce.Err == nil || !strings.Contains(strings.ToLower(ce.Err.Error()), strings.ToLower(x.why))):
						e.fail("the cause is told", "%v, want %q in it", ce.Err, x.why)
					}
					if e.events != nil && len(e.events.events) > 0 {
						e.fail("the end is told once", "then %+v", <-e.events.events)
					}
					<-e.conn.Done()
					if err := e.conn.Write(e.ctx, text, []byte("x")); !errors.Is(err, host.ErrClosed) {
						e.fail("it is closed", "%v", err)
					}
				})
			}
		}
	}
	wantNothingOpen(t, h)
}

// TestHTTP2OurEnd has what the peer sees when we end the stream.
func TestHTTP2OurEnd(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	for _, s := range []style{streamStyle, eventStyle} {
		for _, r := range http2Roles {
			t.Run(r.name+"/"+string(s)+"/CloseNow", func(t *testing.T) {
				e, st := r.connect(t, h, s, host.Limits{})
				if err := e.conn.CloseNow(); err != nil {
					t.Error(err)
				}
				if r.name == "client" { // a server's stream ends with its handler
					st.wantReset("RFC 8441 §5 has CANCEL for RST", http2.ErrCodeCancel)
				} else {
					st.wantOver("the stream is over")
				}
				e.wantClosed("it is 1006", host.CodeAbnormal, "", false)
				if len(st.data) > 0 {
					t.Errorf("no Close frame is sent: got %x", st.data)
				}
			})
			t.Run(r.name+"/"+string(s)+"/Close", func(t *testing.T) {
				e, st := r.connect(t, h, s, host.Limits{})
				closed := make(chan error, 1)
				go func() { closed <- e.conn.Close(host.CodeGoingAway, "so long") }()
				st.wantClose("the Close frame is on the wire", host.CodeGoingAway, "so long")
				st.send(closeFrame(1001, "so long"))
				if r.name == "client" { // a server ends first: RFC 6455 §7.1.1
					st.end()
					st.wantReset("a server that has ended the stream may have forgotten it", http2.ErrCodeCancel)
				} else {
					st.wantEnded("END_STREAM follows it")
					st.end()
				}
				if err := <-closed; err != nil {
					t.Error(err)
				}
				e.wantClosed("the end is told", host.CodeGoingAway, "so long", true)
			})
		}
	}
	wantNothingOpen(t, h)
}

// TestHTTP2CloseTimeout has a peer that answers no Close frame: CloseTimeout ends the
// stream, not the connection.
func TestHTTP2CloseTimeout(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	for _, r := range http2Roles {
		for _, s := range []style{streamStyle, eventStyle} {
			t.Run(r.name+"/"+string(s), func(t *testing.T) {
				e, st := r.connect(t, h, s, host.Limits{CloseTimeout: 50 * time.Millisecond})
				closed := make(chan error, 1)
				go func() { closed <- e.conn.Close(normal, "bye") }()
				st.wantClose("the peer is told", normal, "bye")
				st.wantOver("the stream is over")
				if err := <-closed; e.events == nil && host.CloseStatus(err) != 1006 {
					e.fail("Close says that the peer did not answer", "%v", err)
				}
				e.wantClosed("it is 1006", host.CodeAbnormal, "", false)
				<-e.conn.Done()
				if st.peer.over != nil {
					t.Errorf("the connection is open: %v", st.peer.over)
				}
			})
		}
	}
	wantNothingOpen(t, h)
}

// TestHTTP2GoAwayWhileOpen has a peer that wants the connection to end: the socket
// goes on, and the connection ends with it. RFC 9113 §6.8.
func TestHTTP2GoAwayWhileOpen(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	for _, r := range http2Roles {
		t.Run(r.name, func(t *testing.T) {
			e, st := r.connect(t, h, streamStyle, host.Limits{})
			st.peer.sendGoAway(st.id, http2.ErrCodeNo)
			for range 3 {
				wantEcho(t, "the socket goes on", e.conn, st.rawPeer)
			}
			ended := e.startEnd()
			st.send(closeFrame(1000, ""))
			st.wantClose("the socket closes", normal, "")
			st.end()
			e.checkClosed("the end is clean", <-ended, normal, "", true)
			if r.name == "client" {
				eventually(t, "the connection goes with its last stream", func() (bool, string) {
					st.peer.mu.Lock()
					defer st.peer.mu.Unlock()
					return st.peer.over != nil, "it is open"
				})
			}
		})
	}
	wantNothingOpen(t, h)
}

// TestHTTP2ConnectionLost has many sockets on a connection that fails: each is told,
// with 1006.
func TestHTTP2ConnectionLost(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	for name, lose := range map[string]func(*http2Peer){
		"closed": func(p *http2Peer) { _ = p.nc.Close() },
		"protocol error": func(p *http2Peer) {
			p.say("PUSH_PROMISE", func() error { return p.framer.WriteRawFrame(http2.FramePushPromise, 4, 1, make([]byte, 10)) })
		},
		"no frame": func(p *http2Peer) {
			p.say("garbage", func() error { _, err := p.nc.Write([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff")); return err })
		},
		"GOAWAY of its last": func(p *http2Peer) { p.sendGoAway(0, http2.ErrCodeInternal) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newHTTP2RawServer(t, "h2")
			var p *http2Peer
			var ends []*end
			for i := range 10 {
				e := newEnd(t, newContext(t), fmt.Sprint("socket ", i), []style{streamStyle, eventStyle}[i%2])
				o := s.options()
				if e.events != nil {
					o.Events = e.events
				}
				d := startDial(t, e.ctx, h, s.url, o)
				if p == nil {
					p = s.accept("the client comes")
				}
				p.wantRequest("it asks").head(false, ":status", "200")
				e.conn = d.wantOpen("it opens", host.HTTP2)
				ends = append(ends, e)
			}
			lose(p)
			for _, e := range ends {
				if e.wantClosed("each is told", host.CodeAbnormal, "", false).Err == nil {
					e.fail("each is told why", "no cause")
				}
			}
		})
	}
	wantNothingOpen(t, h)
}

// TestServerStreamEnds has how a handler ends its stream.
func TestServerStreamEnds(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	t.Run("f returns", func(t *testing.T) {
		s := newPlainHTTP2Server(t, h.Handler(func(ctx context.Context, c *host.Conn) { _ = c.Write(ctx, text, []byte("hi")) }, nil))
		st := dialHTTP2Peer(t, s).request()
		st.wantFrame("what it wrote arrives", 0x81, "hi")
		st.wantClose("then 1000", normal, "")
		st.send(closeFrame(1000, ""))
		st.wantEnded("then END_STREAM")
	})
	t.Run("f panics", func(t *testing.T) {
		s := newPlainHTTP2Server(t, h.Handler(func(context.Context, *host.Conn) { panic(http.ErrAbortHandler) }, nil))
		st := dialHTTP2Peer(t, s).request()
		st.wantClose("1011", host.CodeInternalError, "")
		st.send(closeFrame(1011, ""))
		st.wantOver("then the end")
	})
	t.Run("handler returns before Done", func(t *testing.T) {
		s := newPlainHTTP2Server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := h.Accept(w, r, &host.AcceptOptions{Events: host.NoEvents{}}); err != nil {
				t.Error(err)
			}
		}))
		st := dialHTTP2Peer(t, s).request()
		st.wantEnded("the stream ends with its handler")
		wantNothingOpen(t, h)
	})
	wantNothingOpen(t, h)
}

// TestHTTP2FrameErrors has a peer that breaks the protocol: the Close frame is on the
// wire, and then the stream ends. RFC 6455 §7.1.7.
func TestHTTP2FrameErrors(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	for _, r := range http2Roles {
		masked := r.name == "server"
		for _, x := range []struct {
			name, bytes string
			code        host.CloseCode
			l           host.Limits
		}{
			{"masking of the other role", string(wire(t, !masked, "81 02 6869")), 1002, host.Limits{}},
			{"reserved bit", string(wire(t, masked, "c1 02 6869")), 1002, host.Limits{}},
			{"reserved opcode", string(wire(t, masked, "83 00")), 1002, host.Limits{}},
			{"continuation of nothing", string(wire(t, masked, "80 01 61")), 1002, host.Limits{}},
			{"fragmented Ping", string(wire(t, masked, "09 00")), 1002, host.Limits{}},
			{"text that is not UTF-8", string(wire(t, masked, "81 01 ff")), 1007, host.Limits{}},
			{"message too big", string(wire(t, masked, frame(0x82, make([]byte, 101)))), 1009, host.Limits{MessageLimit: 100}},
			{"length with the top bit", string(wire(t, masked, "82 7fffffffffffffffff")), 1002, host.Limits{}},
		} {
			for _, s := range []style{streamStyle, eventStyle} {
				t.Run(fmt.Sprintf("%s/%s/%s", r.name, x.name, s), func(t *testing.T) {
					e, st := r.connect(t, h, s, x.l)
					ended := e.startEnd()
					st.say(x.bytes)
					first, payload, err := st.receive()
					if err != nil || first != 0x88 || len(payload) < 2 || host.CloseCode(payload[0])<<8|host.CloseCode(payload[1]) != x.code {
						st.peer.fail("the Close frame has the code", "got %02x %x, %v, want %d", first, payload, err, x.code)
					}
					st.wantEnded("END_STREAM follows")
					st.end()
					if ce := <-ended; ce == nil || ce.WasClean || ce.Err == nil {
						t.Errorf("the end is told: %v", ce)
					}
				})
			}
		}
	}
	wantNothingOpen(t, h)
}
