package protocol

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestCloseByUs(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		c := newTestConn(t, role)
		c.wantErr("closing is not refused", c.Close(c.clock, CodeNormal, "bye"), nil)
		c.wantFrame("a Close frame is sent", 0x88, "\x03\xe8bye")
		c.wantState("the answer is awaited", StateClosing)
		c.wantTransport("over the transport", TransportKeep)
		c.wantTimeout("for a while", defaultCloseTimeout)
		c.wantErr("closing again is no error", c.Close(c.clock, CodeGoingAway, ""), nil)
		c.wantIdle("and does nothing")
		c.advance(time.Second)
		c.receiveFrame(0x88, "\x0f\xa0ok")
		c.wantEvent("the peer's code and reason are told", closedEvent(CloseError{Code: 4000, Reason: "ok", Clean: true}))
		c.wantIdle("an answer is not answered")
		c.wantState("the closing handshake is complete", StateClosed)
		wantTransportEnd(c)
	})
}

// wantTransportEnd checks RFC 6455 §7.1.1 after a closing handshake: the server
// closes the transport, the client waits for that.
func wantTransportEnd(c *testConn) {
	c.t.Helper()
	want := TransportKeep
	if c.Role() == Server {
		want = TransportHalfClose
	}
	c.wantTransport("the server closes first", want)
	c.wantTimeout("the peer has a while to close, too", defaultCloseTimeout)
	c.receiveFrame(0x81, "late")
	c.receiveFrame(0x89, "late")
	c.receiveFrame(0x88, "\x03\xe8")
	c.wantIdle("what comes meanwhile is discarded")
	c.wantErr("closing is no error", c.Close(c.clock, CodeNormal, ""), nil)
	c.Fail(c.clock, errMasked)
	c.wantIdle("and nothing happens any more")

	// Both ways for this to end, on a copy each.
	byPeer, byTimeout := *c, *c
	connByPeer, connByTimeout := *c.Conn, *c.Conn
	byPeer.Conn, byTimeout.Conn = &connByPeer, &connByTimeout
	byPeer.receiveEOF()
	byTimeout.advance(defaultCloseTimeout - 1)
	byTimeout.wantTransport("there is time left", want)
	byTimeout.advance(1)
	for _, c := range []*testConn{&byPeer, &byTimeout} {
		c.wantTransport("the transport is closed at last", TransportClose)
		c.wantNoTimeout("and nothing is due")
		c.wantIdle("or told again")
	}
}

func TestCloseByPeer(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		for _, test := range []struct {
			payload string
			want    CloseError
		}{
			{"", CloseError{Code: CodeNoStatus}},
			{"\x03\xe8", CloseError{Code: CodeNormal}},
			{"\x03\xe9going", CloseError{Code: CodeGoingAway, Reason: "going"}},
			{"\x13\x87" + strings.Repeat("r", MaxReason), CloseError{Code: 4999, Reason: strings.Repeat("r", MaxReason)}},
			{"\x0b\xb8€\U0001f600", CloseError{Code: 3000, Reason: "€\U0001f600"}},
		} {
			test.want.Clean, test.want.ByPeer = true, true
			c := newTestConn(t, role)
			c.receiveFrame(0x88, test.payload)
			c.wantFrame("a Close frame is answered with its payload", 0x88, test.payload)
			c.wantEvent("and told", closedEvent(test.want))
			c.wantState("the closing handshake is complete", StateClosed)
			wantTransportEnd(c)
		}
	})
}

func TestCloseSimultaneously(t *testing.T) {
	p := newPair(t)
	p.client.Close(0, 4001, "client")
	p.server.Close(0, 4002, "server")
	p.flow()
	p.client.wantEvent("the client is told the server's code", closedEvent(CloseError{Code: 4002, Reason: "server", Clean: true}))
	p.server.wantEvent("and the server the client's", closedEvent(CloseError{Code: 4001, Reason: "client", Clean: true}))
	p.client.wantIdle("neither answers")
	p.server.wantIdle("the other")
	p.client.wantTransport("the server's half close reached the client", TransportClose)
	p.advance(defaultCloseTimeout)
	p.server.wantTransport("whose end reached the server", TransportClose)
}

func TestCloseCodesOut(t *testing.T) {
	for code := range 1 << 16 {
		c, err := NewConn(0, Server, "", nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		var wantErr error
		var want []byte
		switch {
		case code == 1005:
			want = octets("88 00")
		case sendable(code):
			want = append(octets("88 02"), byte(code>>8), byte(code))
		default:
			wantErr = ErrCloseCode
		}
		if err := c.Close(0, CloseCode(code), ""); err != wantErr || !bytes.Equal(c.TakeOutput(), want) {
			t.Errorf("close code %d: %v, want %v", code, err, wantErr)
		}
	}
}

func TestCloseCodesIn(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		for code := range 1 << 16 {
			c, err := NewConn(0, role, "", nil, &Config{Random: testRandom})
			if err != nil {
				t.Fatal(err)
			}
			c.Receive(0, naiveFrame(Server-role, 0x88, closePayloadOf(code)))
			var ev Event
			c.NextEvent(&ev)
			want := "\x03\xea"
			if sendable(code) {
				want = closePayloadOf(code)
			}
			if ok := ev.Close != nil && ev.Close.Code == CloseCode(code); ok != sendable(code) || ok == (ev.Err != nil) {
				t.Errorf("close code %d gives %s", code, eventString(ev))
			}
			if got := c.TakeOutput(); !bytes.Equal(got, naiveFrame(role, 0x88, want)) {
				t.Errorf("close code %d is answered with\n%s", code, grouped(got))
			}
		}
	})
}

func closePayloadOf(code int) string { return string([]byte{byte(code >> 8), byte(code)}) }

func TestCloseArguments(t *testing.T) {
	for _, state := range []State{StateConnecting, StateOpen, StateClosing, StateClosed} {
		c := newConnIn(t, Client, state)
		for _, test := range []struct {
			code   CloseCode
			reason string
			want   error
		}{
			{CodeNoStatus, "a reason needs a code", ErrCloseCode},
			{CodeAbnormal, "", ErrCloseCode},
			{CodeTLSHandshake, "", ErrCloseCode},
			{0, "", ErrCloseCode},
			{CodeNormal, strings.Repeat("r", MaxReason+1), ErrControlTooLong},
			{CodeNormal, strings.Repeat("€", MaxReason/3+1), ErrControlTooLong},
			{CodeNormal, "\xff", ErrInvalidUTF8},
			{CodeNormal, "a\xe2\x82", ErrInvalidUTF8},
		} {
			c.wantErr(fmt.Sprintf("in state %v %d with %q is refused", state, test.code, test.reason), c.Close(0, test.code, test.reason), test.want)
			c.wantState("and changes nothing", state)
			c.wantIdle("nor sends anything")
		}
	}
	c := newTestConn(t, Client)
	c.wantErr("the longest reason is not refused", c.Close(0, CodeNormal, strings.Repeat("€", MaxReason/3)), nil)
	c.wantFrame("but sent", 0x88, "\x03\xe8"+strings.Repeat("€", MaxReason/3))
}

func TestCloseTimeout(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		c := newTestConn(t, role, func(cfg *Config) { cfg.CloseTimeout = 2 * time.Second })
		c.Close(c.clock, CodeNormal, "")
		c.wantFrame("we close", 0x88, "\x03\xe8")
		c.advance(2*time.Second - 1)
		c.wantIdle("there is time left")
		c.receiveFrame(0x82, "late")
		c.advance(1)
		c.wantEvent("data does not prolong it", closedEvent(CloseError{Code: CodeAbnormal}))
		c.wantTransport("the transport is closed", TransportClose)
		c.wantNoTimeout("at once")
		c.wantIdle("without an error, which nobody made")
	})
}

func TestDataWhileClosing(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		c := newTestConn(t, role)
		c.receiveFrame(0x01, "a")
		c.wantEvent("a message begins", partEvent(KindText, "a", "first", 0))
		c.Close(c.clock, CodeNormal, "")
		c.wantFrame("we close", 0x88, "\x03\xe8")
		c.receiveFrame(0x80, "b")
		c.receiveFrame(0x82, strings.Repeat("x", 70000))
		c.receiveFrame(0x89, "ping")
		c.receiveFrame(0x8a, "pong")
		c.wantIdle("messages and Pongs are not delivered any more, and Pings not answered")
		long := naiveFrame(c.peer(), 0x82, "long")
		c.receiveBytes(long[:len(long)-2])
		c.wantIdle("a frame that is cut waits for its end")
		c.receiveBytes(append(long[len(long)-2:], naiveFrame(c.peer(), 0x88, "\x03\xe8")...))
		c.wantEvent("until the peer's Close frame comes", closedEvent(CloseError{Code: CodeNormal, Clean: true}))
		c.wantState("closed", StateClosed)
	})
}

func TestErrorsWhileClosing(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		for _, test := range []struct {
			name string
			f    frame
			err  error
		}{
			{"a reserved opcode", frame{0x83, ""}, errReservedOpcode},
			{"bad UTF-8", frame{0x81, "\xff"}, errInvalidText},
			{"a bad close code", frame{0x88, "\x03\xed"}, &ProtocolError{CodeProtocolError, "a close frame holds a code that must not be sent"}},
		} {
			c := newConnIn(t, role, StateClosing)
			c.receiveFrame(test.f.b0, test.f.payload)
			c.wantFailedSilently(test.name+" ends the connection; there is no second Close frame", test.err)
			c.wantTransport("and the transport is closed", TransportHalfClose)
			c.wantTimeout("when the peer had time to", defaultCloseTimeout)
		}
	})
}

func TestEOF(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		ended := func(c *testConn) {
			t.Helper()
			c.wantState("nothing follows", StateClosed)
			c.wantTransport("the transport is closed", TransportClose)
			c.wantNoTimeout("and nothing due")
			c.receiveEOF()
			c.wantIdle("a second end is none")
		}
		c := newConnIn(t, role, StateOpen)
		c.receiveEOF()
		c.wantFailedSilently("an open connection ends with an error", ErrUnexpectedEOF)
		ended(c)

		c = newConnIn(t, role, StateOpen)
		c.receiveFrame(0x01, "a")
		c.wantEvent("a message begins", partEvent(KindText, "a", "first", 0))
		c.receiveBytes(naiveFrame(c.peer(), 0x80, "bcd")[:1])
		c.receiveEOF()
		c.wantFailedSilently("also inside a message and a header", ErrUnexpectedEOF)
		ended(c)

		c = newConnIn(t, role, StateClosing)
		c.receiveEOF()
		c.wantEvent("a connection that closes ends without one, and not cleanly", closedEvent(CloseError{Code: CodeAbnormal}))
		ended(c)

		c = newConnIn(t, role, StateClosed)
		c.receiveEOF()
		c.wantIdle("the end of a closed one is nothing new")
		ended(c)
	})
}

func TestFail(t *testing.T) {
	mine := errors.New("mine")
	bothRoles(t, func(t *testing.T, role Role) {
		for _, test := range []struct {
			err  error
			code CloseCode
		}{
			{mine, CodeInternalError},
			{&ProtocolError{Code: CodePolicyViolation, Rule: "mine"}, CodePolicyViolation},
			{fmt.Errorf("wrapped: %w", &ProtocolError{Code: CodeUnsupportedData}), CodeUnsupportedData},
			{&LimitError{Code: CodeMessageTooBig, Limit: "mine"}, CodeMessageTooBig},
			{&ProtocolError{Code: CodeAbnormal, Rule: "a code that must not be sent"}, CodeInternalError},
			{&LimitError{}, CodeInternalError},
		} {
			c := newConnIn(t, role, StateOpen)
			c.Fail(c.clock, test.err)
			c.wantFailed("the caller's error is told, its code sent", test.code, test.err)
			c.Fail(c.clock, mine)
			c.wantIdle("once")
		}

		c := newConnIn(t, role, StateOpen)
		c.LimitCredit(c.clock, 0)
		c.receiveFrame(0x81, "waits")
		c.Fail(c.clock, mine)
		c.wantFailed("input that waits is discarded", CodeInternalError, mine)
		if c.Buffered() != 0 {
			t.Errorf("%d bytes are left", c.Buffered())
		}

		c = newConnIn(t, role, StateClosing)
		c.Fail(c.clock, mine)
		c.wantFailedSilently("after our Close frame there is no other", mine)
		c.wantTransport("the peer has time to read it", TransportHalfClose)
		c.advance(defaultCloseTimeout)
		c.wantTransport("but not for ever", TransportClose)

		c = newConnIn(t, role, StateClosed)
		c.Fail(c.clock, mine)
		c.wantIdle("a closed connection does not fail")
	})
}

// TestCloseInsideFrame: no frame fits inside one that is half sent.
func TestCloseInsideFrame(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		half := func() *testConn {
			t.Helper()
			c := newTestConn(t, role)
			b, err := c.BeginFrame(nil, OpText, true, 3)
			if err == nil {
				_, err = c.AppendPart(b, []byte("a"))
			}
			c.wantErr("a frame is half sent", err, nil)
			return c
		}
		c := half()
		c.wantErr("it is not closed inside", c.Close(c.clock, CodeNormal, ""), ErrMessageOrder)
		_, err := c.AppendPart(nil, []byte("bc"))
		c.wantErr("but after", err, nil)
		c.wantErr("its end", c.Close(c.clock, CodeNormal, ""), nil)
		c.wantFrame("with a Close frame", 0x88, "\x03\xe8")

		c = half()
		c.receiveFrame(0x88, "\x03\xe8")
		c.wantEvent("a Close frame of the peer's cannot be answered", Event{Kind: KindError, Err: ErrUnexpectedEOF})
		c.wantEvent("so this is no closing handshake", closedEvent(CloseError{Code: CodeAbnormal, ByPeer: true}))
		c.wantIdle("and nothing is sent")
		c.wantTransport("the transport is closed", TransportClose)
		c.wantNoTimeout("at once")
		_, err = c.AppendPart(nil, []byte("bc"))
		c.wantErr("the frame has no end", err, ErrNotOpen)

		c = half()
		c.receiveFrame(0x83, "")
		c.wantFailedSilently("failing sends nothing either", errReservedOpcode)
		c.wantTransport("the transport is closed", TransportClose)
		c.wantNoTimeout("at once")

		c = half()
		c.advance(defaultIdleTimeout)
		c.wantEvent("nor does the idle timeout", Event{Kind: KindError, Err: errIdle})
		c.wantEvent("which ends it with its code", closedEvent(CloseError{Code: CodeGoingAway, Reason: idleReason}))
		c.wantIdle("without a word")
		c.wantTransport("the transport is closed", TransportClose)
	})
}

func TestCloseBetweenFragments(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		c := newTestConn(t, role)
		c.SendMessage(OpText, []byte("a"), false)
		c.wantFrame("a message begins", 0x01, "a")
		c.receiveFrame(0x88, "")
		c.wantFrame("a Close frame is answered between its fragments", 0x88, "")
		c.wantEvent("and told", closedEvent(CloseError{Code: CodeNoStatus, Clean: true, ByPeer: true}))
		c.wantErr("the message has no end", c.SendMessage(OpContinuation, nil, true), ErrNotOpen)
	})
}
