package protocol

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestMessageLimit(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		const limit = 200
		over := func(size int) error { return &LimitError{CodeMessageTooBig, "MessageLimit", limit, uint64(size)} }
		for _, test := range []struct {
			name   string
			frames []frame
			want   error
		}{
			{"limit-1 in one frame", []frame{{0x82, strings.Repeat("a", limit-1)}}, nil},
			{"limit in one frame", []frame{{0x82, strings.Repeat("a", limit)}}, nil},
			{"limit+1 in one frame", []frame{{0x82, strings.Repeat("a", limit+1)}}, over(limit + 1)},
			{"text", []frame{{0x81, strings.Repeat("a", limit+1)}}, over(limit + 1)},
			{"limit-1 in fragments", []frame{{0x02, strings.Repeat("a", limit-2)}, {0x80, "a"}}, nil},
			{"limit in fragments", []frame{{0x02, strings.Repeat("a", limit-2)}, {0x00, "a"}, {0x80, "a"}}, nil},
			{"limit+1 in fragments", []frame{{0x02, strings.Repeat("a", limit-2)}, {0x00, "a"}, {0x80, "aa"}}, over(limit + 1)},
			{"an empty fragment at the limit", []frame{{0x02, strings.Repeat("a", limit)}, {0x80, ""}}, nil},
			{"each message for itself", []frame{{0x82, strings.Repeat("a", limit)}, {0x81, strings.Repeat("a", limit)}}, nil},
			{"control frames do not count", []frame{{0x02, strings.Repeat("a", limit)}, {0x89, "ping"}, {0x80, ""}}, nil},
		} {
			c := newTestConn(t, role, func(cfg *Config) { cfg.MessageLimit = limit })
			for _, f := range test.frames {
				c.forget()
				c.receiveFrame(f.b0, f.payload)
			}
			if test.want == nil {
				c.wantState(test.name, StateOpen)
				continue
			}
			c.wantFailed(test.name, CodeMessageTooBig, test.want)
		}
	})
}

// TestMessageLimitIsKnownFromHeaders: the payload that is too long is not waited
// for. CVE class "frame length overflow or sign".
func TestMessageLimitIsKnownFromHeaders(t *testing.T) {
	for _, test := range []struct {
		header string
		length uint64
	}{
		{"82 7f | 0000000001000001", 16<<20 + 1},
		{"82 7f | 000000007fffffff", 1<<31 - 1},
		{"82 7f | 0000000080000000", 1 << 31},
		{"82 7f | 0000000100000000", 1 << 32},
		{"82 7f | 0020000000000000", 1 << 53},
		{"82 7f | 7fffffffffffffff", 1<<63 - 1},
	} {
		c := newTestConn(t, Client)
		c.receive(test.header)
		c.wantFailed(fmt.Sprintf("a header of %d bytes is over the default", test.length),
			CodeMessageTooBig, &LimitError{CodeMessageTooBig, "MessageLimit", 16 << 20, test.length})
	}
	c := newTestConn(t, Client)
	c.receive("82 7f | 0000000001000000")
	c.wantIdle("the default itself is not over it")
	c = newTestConn(t, Client, func(cfg *Config) { cfg.MessageLimit = 1<<63 - 1 })
	c.receive("02 01 | 61   80 7f | 7fffffffffffffff")
	c.wantEvent("the first fragment", partEvent(KindBinary, "a", "first", 0))
	c.wantFailed("the sum of fragments does not wrap", CodeMessageTooBig, &LimitError{CodeMessageTooBig, "MessageLimit", 1<<63 - 1, 1 << 63})
}

func TestPartLimit(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		for _, limit := range []int{0, 1, 2, 7} {
			most := limit
			if limit == 0 {
				most = 1024
			}
			over := &LimitError{CodePolicyViolation, "PartLimit", uint64(most), uint64(most + 1)}
			for _, payload := range []string{"", "a"} {
				for n := most - 1; n <= most+1; n++ {
					c := newTestConn(t, role, func(cfg *Config) { cfg.PartLimit = limit })
					for i := range n {
						b0 := byte(0x00)
						if i == 0 {
							b0 = 0x02
						}
						if i == n-1 {
							b0 |= 0x80
						}
						c.forget()
						c.receiveFrame(b0, payload)
					}
					name := fmt.Sprintf("%d fragments of %d, payload %q", n, most, payload)
					if n <= most {
						c.wantState(name, StateOpen)
						continue
					}
					c.wantFailed(name, CodePolicyViolation, over)
				}
			}
		}
	})
}

// Fragments of compressed messages are shorter: those that count are the ones that are
// out of proportion.
func TestPartLimitOfCompressed(t *testing.T) {
	blocks := strings.Repeat("\x00\x00\x00\xff\xff", 100)
	for _, size := range []int{127, 128} {
		c := newDeflateConn(t, Server, deflateParams{}, Compression{})
		c.Conn.cfg.PartLimit = 2
		c.receiveFrame(0x42, blocks[:size])
		c.receiveFrame(0x00, blocks[size:2*size])
		c.wantState("two are allowed", StateOpen)
		c.receiveFrame(0x00, blocks[2*size:3*size])
		if size == 128 {
			c.wantState("of 128 bytes they do not count", StateOpen)
			continue
		}
		c.wantFailed("of 127 they do", CodePolicyViolation, &LimitError{CodePolicyViolation, "PartLimit", 2, 3})
	}
}

// TestEmptyFragments: CVE class "too many or empty fragments".
func TestEmptyFragments(t *testing.T) {
	wire := append(octets("01 00"), make([]byte, 2*65536)...)
	c := newTestConn(t, Client)
	c.receiveBytes(wire)
	c.wantFailed("65,536 empty fragments are over the limit", CodePolicyViolation, &LimitError{CodePolicyViolation, "PartLimit", 1024, 1025})
}

func TestControlLimit(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		for _, b0 := range []byte{0x89, 0x8a} {
			c := newTestConn(t, role)
			flood := func(n int) {
				for range n {
					c.forget()
					c.receiveFrame(b0, "f")
				}
			}
			flood(100)
			c.wantState("100 control frames at once are not too many", StateOpen)
			c.advance(10*time.Second - 1)
			before := *c.Conn
			flood(1)
			c.wantFailed("101 within the window are", CodePolicyViolation, &LimitError{CodePolicyViolation, "ControlLimit", 100, 101})

			c.Conn = &before
			c.advance(1)
			flood(100)
			c.wantState("after the window there is another", StateOpen)
			flood(1)
			c.wantFailed("with the same limit", CodePolicyViolation, &LimitError{CodePolicyViolation, "ControlLimit", 100, 101})
		}
	})
}

func TestControlLimitConfig(t *testing.T) {
	for n := 2; n <= 4; n++ {
		c := newTestConn(t, Server, func(cfg *Config) { cfg.ControlLimit, cfg.ControlWindow = 3, time.Second })
		for range n {
			c.receiveFrame(0x89, "")
		}
		want := StateOpen
		if n > 3 {
			want = StateClosed
		}
		c.wantState(fmt.Sprintf("%d of 3 control frames", n), want)
	}
	c := newTestConn(t, Server, func(cfg *Config) { cfg.ControlLimit, cfg.ControlWindow = 3, time.Second })
	for range 3 {
		c.receiveFrame(0x89, "")
	}
	c.sent = nil
	c.receiveFrame(0x82, "")
	c.wantEvent("data does not count", binaryEvent(""))
	c.receiveFrame(0x88, "\x03\xe8")
	c.wantEvent("nor does a Close frame, of which there is one", closedEvent(CloseError{Code: CodeNormal, Clean: true, ByPeer: true}))
}

// TestTimeoutBoundaries: nothing happens a nanosecond before a timeout is over.
func TestTimeoutBoundaries(t *testing.T) {
	const d = time.Second
	for name, at := range map[string]func() *testConn{
		"IdleTimeout": func() *testConn {
			return newTestConn(t, Client, func(cfg *Config) { cfg.IdleTimeout = 2 * d })
		},
		"HandshakeTimeout": func() *testConn {
			c := newOpeningConn(t, Client, func(cfg *Config) { cfg.HandshakeTimeout = d })
			c.SendRequest(0)
			c.drain()
			c.sent = nil
			return c
		},
		"CloseTimeout": func() *testConn {
			c := newTestConn(t, Client, func(cfg *Config) { cfg.CloseTimeout = d })
			c.Close(0, CodeNormal, "")
			c.drain()
			c.sent = nil
			return c
		},
	} {
		for _, after := range []time.Duration{d - 1, d, d + 1} {
			c := at()
			c.clock = Time(after)
			c.HandleTimeout(c.clock)
			c.drain()
			if got := len(c.events) > 0 || len(c.sent) > 0; got != (after >= d) {
				t.Errorf("%s of %v after %v: something happened is %t", name, d, after, got)
			}
		}
	}
}

func TestHeadLimits(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		head, fields := rfcResponse, strings.Count(rfcResponse, ": ")
		if role == Server {
			head, fields = rfcRequest, strings.Count(rfcRequest, ": ")
		}
		for _, test := range []struct {
			name   string
			limits HeadLimits
			ok     bool
		}{
			{"a byte more", HeadLimits{MaxBytes: len(head) + 1}, true},
			{"as many bytes", HeadLimits{MaxBytes: len(head)}, true},
			{"a byte less", HeadLimits{MaxBytes: len(head) - 1}, false},
			{"a field more", HeadLimits{MaxFields: fields + 1}, true},
			{"as many fields", HeadLimits{MaxFields: fields}, true},
			{"a field less", HeadLimits{MaxFields: fields - 1}, false},
		} {
			c := newOpeningConn(t, role, func(cfg *Config) { cfg.Head = test.limits })
			c.SendRequest(0)
			c.receive("'" + head + "'")
			if ok := len(c.events) == 1 && c.events[0].Err == nil; ok != test.ok {
				t.Errorf("%s: got %s", test.name, eventString(c.events[0]))
			}
		}
	})
}

// TestHostileMemory is "worst memory per connection for any input": what a Conn
// holds after each of these is a few hundred bytes.
func TestHostileMemory(t *testing.T) {
	hostile := map[string][]byte{
		"a header of 1<<63 - 1 bytes": octets("82 7f | 7fffffffffffffff"),
		"half a header":               octets("82 7f | 7fffffffff"),
		"a Ping but for a byte":       append([]byte{0x89, 125}, make([]byte, 124)...),
		"1,024 empty fragments":       append([]byte{0x01, 0}, make([]byte, 2*1023)...),
		"1 MiB of a message":          append(octets("02 7f | 0000000000200000"), make([]byte, 1<<20)...),
	}
	const conns = 100
	for name, wire := range hostile {
		all := make([]*Conn, conns)
		for i := range all {
			c, err := NewConn(0, Client, "", nil, &Config{Random: testRandom, MessageLimit: 1<<63 - 1})
			if err != nil {
				t.Fatal(err)
			}
			all[i] = c
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for _, c := range all {
			c.Receive(0, wire)
			var ev Event
			for c.NextEvent(&ev) {
			}
			c.TakeOutput()
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if grown := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / conns; grown > 1<<10 {
			t.Errorf("%s: a connection holds %d bytes more, want at most 1 KiB", name, grown)
		}
		for _, c := range all {
			if c.State() != StateOpen {
				t.Fatalf("%s: %v, want open", name, c.State())
			}
		}
	}
}

func TestControlLimitLeavesAnswersOut(t *testing.T) {
	c := newTestConn(t, Server, func(cfg *Config) { cfg.ControlLimit = 2 })
	for range 50 {
		c.wantErr("a Ping of ours is sent", c.SendPing(nil), nil)
		c.receive("8a 80 00000000")
	}
	c.wantState("any number of Pongs may answer as many Pings", StateOpen)
	c.receive("8a 80 00000000")
	c.receive("8a 80 00000000")
	c.wantState("two more are unsolicited, which is the limit", StateOpen)
	c.receive("8a 80 00000000")
	c.wantState("a third is over it", StateClosed)
}
