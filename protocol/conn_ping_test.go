package protocol

import (
	"strings"
	"testing"
	"time"
)

func TestPing(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		c := newTestConn(t, role)
		for _, payload := range []string{"", "a", "\x00\xff", strings.Repeat("p", 125)} {
			c.receiveFrame(0x89, payload)
			c.wantFrame("a Pong echoes the Ping's payload", 0x8a, payload)
			c.receiveFrame(0x8a, payload)
			c.wantEvent("a Pong is told", pongEvent(payload))
		}
		c.receiveBytes(append(naiveFrame(c.peer(), 0x89, "1"), naiveFrame(c.peer(), 0x89, "2")...))
		c.wantOutputBytes("every Ping has its Pong", append(naiveFrame(role, 0x8a, "1"), naiveFrame(role, 0x8a, "2")...))
		cut := naiveFrame(c.peer(), 0x89, "cut")
		c.receiveBytes(cut[:len(cut)-1])
		c.wantIdle("a Ping is answered when it is whole")
		c.receiveBytes(cut[len(cut)-1:])
		c.wantFrame("with the whole payload", 0x8a, "cut")
	})
}

// TestOnePendingPong: CVE class "ping flood, pong amplification". RFC 6455 §5.5.3.
func TestOnePendingPong(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		c := newTestConn(t, role)
		c.SetOutputBlocked(true)
		for i := range 90 {
			c.receiveFrame(0x89, string(counting(i)))
		}
		c.wantIdle("while the transport is behind, Pongs wait")
		if n := cap(c.out.pong) + cap(c.out.b); n > 512 {
			t.Errorf("they hold %d bytes, want one Pong", n)
		}
		c.SetOutputBlocked(false)
		c.wantFrame("the latest Ping is answered, for all", 0x8a, string(counting(89)))
		c.SetOutputBlocked(true)
		c.SetOutputBlocked(false)
		c.wantIdle("once")

		c.SetOutputBlocked(true)
		c.receiveFrame(0x89, "late")
		c.Close(c.clock, CodeNormal, "")
		c.wantOutputBytes("a Pong that waits goes before a Close frame", append(naiveFrame(role, 0x8a, "late"), naiveFrame(role, 0x88, "\x03\xe8")...))
		c.receiveFrame(0x89, "after")
		c.SetOutputBlocked(false)
		c.wantIdle("and none after it")
	})
}

func TestPongWaitsForFrame(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		c := newTestConn(t, role)
		c.wantIdle("nothing to send")
		b, err := c.BeginFrame(nil, OpBinary, true, 2)
		c.wantErr("a frame is half sent", err, nil)
		c.receiveFrame(0x89, "1")
		c.receiveFrame(0x89, "2")
		c.wantIdle("no Pong fits inside it")
		if _, err = c.AppendPart(b, []byte("ab")); err != nil {
			t.Fatal(err)
		}
		c.wantFrame("behind it goes the Pong that answers both Pings", 0x8a, "2")

		b, _ = c.BeginFrame(nil, OpBinary, true, 2)
		c.receiveFrame(0x89, "3")
		c.AppendPart(b, []byte("ab"))
		c.receiveFrame(0x89, "4")
		c.wantFrame("a Ping that comes before it went is answered for both", 0x8a, "4")
		c.wantIdle("once")
	})
}

func TestPongWaitsForSendLimit(t *testing.T) {
	c := newTestConn(t, Server, func(cfg *Config) { cfg.SendLimit = 4 })
	c.SendBinary([]byte("ab"))
	input := naiveFrame(Client, 0x89, "p")
	for range 5 {
		c.Receive(0, []byte(string(input)))
		var ev Event
		if c.NextEvent(&ev) {
			t.Fatal("a Ping is nothing to tell")
		}
	}
	if c.OutputLen() != 4 {
		t.Errorf("%d bytes of output, want the message only", c.OutputLen())
	}
	c.wantOutput("one Pong goes with the output when that is taken", "82 02 | 'ab'  8a 01 | 'p'")
	c.wantIdle("and no other")
}

func TestIdleTimeout(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		c := newTestConn(t, role)
		c.wantTimeout("a Ping is due after half of the timeout", 15*time.Second)
		c.advance(15*time.Second - 1)
		c.wantIdle("not before")
		c.advance(1)
		c.wantFrame("the peer is asked whether it is there", 0x89, "")
		c.wantTimeout("and has the other half to answer", 15*time.Second)
		c.advance(15*time.Second - 1)
		c.wantIdle("not less")
		c.advance(1)
		c.wantFrame("a peer that is silent is left", 0x88, "\x03\xe9"+idleReason)
		c.wantEvent("the application is told why", Event{Kind: KindError, Err: errIdle})
		c.wantEvent("and how", closedEvent(CloseError{Code: CodeGoingAway, Reason: "No response from ping frame."}))
		c.wantState("the connection is closed", StateClosed)
		c.wantTransport("the peer has time to read that", TransportHalfClose)
		c.wantTimeout("a while", defaultCloseTimeout)
		c.advance(defaultCloseTimeout)
		c.wantTransport("then the transport is closed", TransportClose)
		c.wantNoTimeout("for good")
		if !IsIdle(errIdle) || IsIdle(ErrUnexpectedEOF) {
			t.Error("IsIdle tells this error from others")
		}
	})
}

func TestIdleTimeoutIsRearmed(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		const at = 20 * time.Second // after the Ping
		for _, test := range []struct {
			name    string
			frames  []frame
			rearmed bool
		}{
			{"text", []frame{{0x81, "a"}}, true},
			{"binary", []frame{{0x82, ""}}, true},
			{"a fragment", []frame{{0x01, "a"}}, true},
			{"an empty fragment", []frame{{0x01, ""}}, true},
			{"a Pong", []frame{{0x8a, ""}}, true},
			{"a Pong that answers another Ping", []frame{{0x8a, "x"}}, true},
			{"a Ping", []frame{{0x89, ""}}, false},
			{"Pings", []frame{{0x89, "a"}, {0x89, "b"}}, false},
		} {
			c := newTestConn(t, role)
			c.advance(at)
			for _, f := range test.frames {
				c.receiveFrame(f.b0, f.payload)
			}
			want := 30*time.Second - at
			if test.rearmed {
				want = 15 * time.Second
			}
			c.wantTimeout(test.name, want)
		}
		c := newTestConn(t, role)
		c.advance(at)
		cut := naiveFrame(c.peer(), 0x82, "abc")
		c.receiveBytes(cut[:len(cut)-2])
		c.wantTimeout("a part of a frame is data", 15*time.Second)
	})
}

func TestIdleTimeoutForEver(t *testing.T) {
	p := newPair(t, func(cfg *Config) { cfg.IdleTimeout = 3 * time.Second })
	p.advance(time.Hour)
	p.client.wantState("two ends that answer stay", StateOpen)
	p.server.wantState("for ever", StateOpen)
	// Each end's Ping makes a Pong, which counts for the end that it reaches.
	if n := len(p.client.events); n != 2400 {
		t.Errorf("the client had %d Pongs within the hour, want one each 1.5 s", n)
	}
}

func TestIdleTimeoutOff(t *testing.T) {
	c := newTestConn(t, Server, func(cfg *Config) { cfg.IdleTimeout = -1 })
	c.wantNoTimeout("a negative timeout is none")
	c.advance(1000 * time.Hour)
	c.wantIdle("whatever time passes")
	c.HandleTimeout(c.clock)
	c.wantIdle("and when told of it")
}

func TestIdleTimeoutWithoutCredit(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		c := newTestConn(t, role)
		c.advance(10 * time.Second)
		c.LimitCredit(c.clock, 0)
		c.wantNoTimeout("without credit the silence is ours")
		c.advance(time.Hour)
		c.wantIdle("however long")
		c.LimitCredit(c.clock, 0)
		c.wantNoTimeout("no more credit is none")
		c.LimitCredit(c.clock, 5)
		c.wantTimeout("with credit the time begins anew", 15*time.Second)
		c.advance(10 * time.Second)
		c.GrantCredit(c.clock, 5)
		c.wantTimeout("more credit does not prolong it", 5*time.Second)
		c.receiveFrame(0x82, "0123456789")
		c.wantEvent("data uses the credit up", binaryEvent("0123456789"))
		c.wantNoTimeout("and with it the time")
		c.GrantCredit(c.clock, 1)
		c.wantTimeout("that begins anew", 15*time.Second)
		c.advance(20 * time.Second)
		c.wantFrame("silence is the peer's again", 0x89, "")
		c.LimitCredit(c.clock, 0)
		c.LimitCredit(c.clock, -1)
		c.wantTimeout("a question from before the pause is forgotten", 15*time.Second)
	})
}

func TestReceiverPaused(t *testing.T) {
	c := newTestConn(t, Server)
	c.clock = Time(time.Hour) // nobody drove c meanwhile
	c.ReceiverPaused(c.clock)
	c.HandleTimeout(c.clock)
	c.wantIdle("a driver that did not read does not hold it against the peer")
	c.wantTimeout("whose time begins anew", 15*time.Second)
	c.advance(20 * time.Second)
	c.wantFrame("a Ping is due", 0x89, "")
	c.ReceiverPaused(c.clock)
	c.wantTimeout("a pause after it counts in the same way", 15*time.Second)

	c = newTestConn(t, Client)
	c.Receive(0, octets("82 01 | 61  82 01 | 62"))
	var ev Event
	c.NextEvent(&ev) // which takes the application a minute
	c.clock = Time(time.Minute)
	c.ReceiverPaused(c.clock)
	c.wantEvent("what arrived before the pause", binaryEvent("b"))
	c.wantTimeout("does not bring its time back", 15*time.Second)
}

func TestIdleTimeoutLate(t *testing.T) {
	c := newTestConn(t, Server)
	c.HandleTimeout(5)
	c.wantIdle("a timer that is early does no harm")
	c.clock = Time(time.Hour)
	c.HandleTimeout(c.clock)
	c.wantFrame("one that is late asks first", 0x89, "")
	c.HandleTimeout(c.clock)
	c.wantIdle("and waits for the answer")
	c.wantTimeout("as long as if it had been in time", 15*time.Second)
	c.advance(time.Second)
	c.receiveFrame(0x8a, "")
	c.wantEvent("which comes", pongEvent(""))
	c.wantTimeout("in time", 15*time.Second)
}

func TestIdlePingWaits(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		c := newTestConn(t, role)
		c.SetOutputBlocked(true)
		c.advance(16 * time.Second)
		c.wantIdle("a Ping waits while the transport is behind")
		c.wantTimeout("which does not prolong the peer's silence", 14*time.Second)
		c.receiveFrame(0x89, "p")
		c.SetOutputBlocked(false)
		c.wantOutputBytes("and goes when that ends, after the Pong that waited", append(naiveFrame(role, 0x8a, "p"), naiveFrame(role, 0x89, "")...))

		c = newTestConn(t, role)
		c.SetOutputBlocked(true)
		c.advance(16 * time.Second)
		c.receiveFrame(0x82, "")
		c.wantEvent("the peer is there", binaryEvent(""))
		c.SetOutputBlocked(false)
		c.wantIdle("so it is not asked any more")

		c = newTestConn(t, role)
		b, err := c.BeginFrame(nil, OpBinary, true, 1)
		c.wantErr("a frame is half sent", err, nil)
		c.advance(16 * time.Second)
		c.wantIdle("no Ping fits inside it")
		c.wantTimeout("nor is the timer due for ever", 14*time.Second)
		c.AppendPart(b, []byte("a"))
		c.wantFrame("it goes behind the frame", 0x89, "")
	})
}

func TestIdleTimeoutWhileClosing(t *testing.T) {
	c := newTestConn(t, Server, func(cfg *Config) { cfg.CloseTimeout = time.Minute })
	c.Close(c.clock, CodeNormal, "")
	c.wantFrame("we close", 0x88, "\x03\xe8")
	c.wantTimeout("only the closing handshake's time counts", time.Minute)
	c.advance(time.Minute - 1)
	c.wantIdle("no Ping follows a Close frame")
}
