package protocol

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// newOpeningConn returns a Conn in StateConnecting, for the example in RFC 6455
// §1.3.
func newOpeningConn(t testing.TB, role Role, options ...func(*Config)) *testConn {
	t.Helper()
	cfg := &Config{Random: func(b []byte) {
		if len(b) == 16 {
			copy(b, rfcKey[:])
			return
		}
		testRandom(b)
	}}
	for _, o := range options {
		o(cfg)
	}
	var conn *Conn
	var err error
	if role == Server {
		conn, err = NewServer(0, cfg)
	} else {
		conn, err = NewClient(&URL{Scheme: "ws", Host: "server.example.com", Port: 80, Target: "/chat"},
			ClientOptions{Subprotocols: []string{"chat", "superchat"}, Fields: []Field{{"Origin", "http://example.com"}}}, cfg)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &testConn{Conn: conn, t: t, cfg: cfg}
}

var acceptChat = ServerOptions{Subprotocols: []string{"chat"}}

func TestClientOpens(t *testing.T) {
	c := newOpeningConn(t, Client)
	c.wantNoTimeout("time does not count before there is a transport")
	c.wantIdle("nor is anything sent")
	c.clock = 7
	c.SendRequest(c.clock)
	c.drain()
	if got := string(c.sent); !strings.HasPrefix(got, "GET /chat HTTP/1.1\r\nHost: server.example.com\r\n") || !strings.HasSuffix(got, "\r\n\r\n") {
		t.Errorf("the request is %q", got)
	}
	c.sent = nil
	c.wantTimeout("the handshake has its time", defaultHandshakeTimeout)
	c.advance(time.Second)
	c.receiveBytes(append([]byte(rfcResponse), "\x81\x01a\x89\x00"...))
	c.wantEvent("the connection is open", Event{Kind: KindOpen})
	c.wantEvent("a message that came with the response arrives", textEvent("a"))
	c.wantFrame("a Ping, too", 0x8a, "")
	c.wantState("open", StateOpen)
	if c.Subprotocol() != "chat" || c.Response() == nil || c.Response().Status != 101 || c.Request() != nil {
		t.Errorf("subprotocol %q, response %+v", c.Subprotocol(), c.Response())
	}
	c.wantTimeout("silence counts from the opening on", defaultIdleTimeout/2)
	c.SendRequest(c.clock)
	c.wantIdle("there is no second request")
	c.receiveFrame(0x82, "")
	c.wantEvent("the connection goes on", binaryEvent(""))
	if c.Response() != nil {
		t.Error("the response is let go with the next input")
	}
}

// TestClientOpensHTTP2 has the driver open an Extended CONNECT stream, at the
// second attempt. RFC 8441 §5.
func TestClientOpensHTTP2(t *testing.T) {
	c := newOpeningConn(t, Client)
	c.clock = 7
	for range 2 {
		want := Field{":protocol", "websocket"}
		if got := c.RequestFields(c.clock); len(got) < 2 || got[1] != want {
			t.Fatalf("the request is %q", got)
		}
		c.wantTimeout("the handshake has its time", defaultHandshakeTimeout)
		c.advance(time.Second)
	}
	c.wantIdle("nothing is sent as bytes")
	c.ReceiveResponse(c.clock, 200, []Field{{"sec-websocket-protocol", "chat"}})
	c.drain()
	c.wantEvent("the connection is open", Event{Kind: KindOpen})
	c.wantTimeout("silence counts from the opening on", defaultIdleTimeout/2)
	if c.Subprotocol() != "chat" || c.Response().Status != 200 || c.Response().Major != 2 {
		t.Errorf("subprotocol %q, response %+v", c.Subprotocol(), c.Response())
	}
	c.wantErr("frames are masked as ever", c.SendText([]byte("a")), nil)
	c.wantFrame("frames are masked as ever", 0x81, "a")
	c.receiveFrame(0x82, "")
	c.wantEvent("and received as ever", binaryEvent(""))
	if c.RequestFields(c.clock) != nil {
		t.Error("there is no second request")
	}
	c.ReceiveResponse(c.clock, 404, nil)
	c.wantIdle("nor a second response")
}

func TestClientRefusedHTTP2(t *testing.T) {
	c := newOpeningConn(t, Client)
	c.RequestFields(0)
	c.ReceiveResponse(0, 404, nil)
	c.drain()
	wantHandshakeFailure(c, "the refusal is told", 404)
	c.wantTransport("the stream is of no more use", TransportClose)
	if c.Response().Status != 404 {
		t.Errorf("the response is %+v", c.Response())
	}
	c.wantNoTimeout("nothing is waited for")
	s := newOpeningConn(t, Server)
	if s.RequestFields(0) != nil {
		t.Error("a server has no request")
	}
	s.ReceiveResponse(0, 200, nil)
	s.wantIdle("a server receives no response")
}

func TestServerOpens(t *testing.T) {
	c := newOpeningConn(t, Server)
	c.wantTimeout("the handshake has its time", defaultHandshakeTimeout)
	c.wantErr("there is nothing to accept yet", c.Accept(0, acceptChat), ErrNotOpen)
	c.wantErr("nor to refuse", c.Refuse(0, Response{Status: 403}), ErrNotOpen)
	if c.Request() != nil {
		t.Error("there is no request yet")
	}
	early := naiveFrame(Client, 0x81, "early")
	c.receiveBytes(append([]byte(rfcRequest), early...))
	c.wantEvent("the request is there", Event{Kind: KindRequest})
	c.wantIdle("frames behind it wait for the answer")
	if r := c.Request(); r == nil || r.Target != "/chat" || c.Response() != nil {
		t.Fatalf("the request is %+v", r)
	}
	if c.Buffered() != len(early) {
		t.Errorf("%d bytes are buffered, want %d", c.Buffered(), len(early))
	}
	c.advance(3 * time.Second)
	c.wantErr("the request is accepted", c.Accept(c.clock, acceptChat), nil)
	c.wantOutput("the response is that of the example", "'"+rfcResponse+"'")
	c.wantEvent("then the frame behind it is read", textEvent("early"))
	c.wantTimeout("silence counts from the answer on", defaultIdleTimeout/2)
	if c.Subprotocol() != "chat" || c.State() != StateOpen || c.Request() != nil {
		t.Errorf("%v with subprotocol %q", c.State(), c.Subprotocol())
	}
	c.wantErr("once", c.Accept(c.clock, acceptChat), ErrNotOpen)
	c.SendRequest(c.clock)
	c.wantIdle("a server sends no request")
}

// TestOpeningCuts feeds a request, or a response, and a frame behind it.
func TestOpeningCuts(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		head := rfcResponse
		if role == Server {
			head = rfcRequest
		}
		wire := append([]byte(head), naiveFrame(Server-role, 0x81, "Hello")...)
		run := func(cuts []int) (*testConn, string) {
			c := newOpeningConn(t, role)
			c.SendRequest(0)
			from := 0
			for _, cut := range append(cuts, len(wire)) {
				c.receiveBytes(wire[from:cut])
				if c.Request() != nil && c.State() == StateConnecting {
					c.wantErr("accepted", c.Accept(0, acceptChat), nil)
					c.drain()
				}
				from = cut
			}
			first := c.events[0]
			c.events = c.events[1:]
			return c, fmt.Sprintf("kind %d, %s", first.Kind, joined(c.events))
		}
		whole, want := run(nil)
		check := func(cuts []int) {
			c, got := run(cuts)
			if got != want || !bytes.Equal(c.sent, whole.sent) {
				t.Fatalf("cut at %d: %s, sent %q\nwant %s, sent %q", cuts, got, c.sent, want, whole.sent)
			}
		}
		var every []int
		for i := range wire {
			every = append(every, i)
			check([]int{i})
		}
		check(every)
		if !strings.HasSuffix(want, `, text "Hello"`) {
			t.Errorf("whole: %s", want)
		}
	})
}

func wantHandshakeFailure(c *testConn, sentence string, status int) {
	c.t.Helper()
	c.drain()
	if len(c.events) != 2 {
		c.failf(sentence, "got %d events, want an error and the end", len(c.events))
	}
	var he *HandshakeError
	if !errors.As(c.events[0].Err, &he) || he.Status != status {
		c.failf(sentence, "got %s, want a *HandshakeError with status %d", eventString(c.events[0]), status)
	}
	c.events = c.events[1:]
	c.wantEvent(sentence, closedEvent(CloseError{Code: CodeAbnormal}))
	c.wantState(sentence, StateClosed)
}

func TestClientIsRefused(t *testing.T) {
	c := newOpeningConn(t, Client)
	c.SendRequest(0)
	c.drain()
	c.sent = nil
	c.receive("'HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno'")
	wantHandshakeFailure(c, "the server's status is told", 403)
	c.wantTransport("there is nothing more to say", TransportClose)
	c.wantNoTimeout("or to wait for")
	c.wantIdle("the rest is discarded")
	if r := c.Response(); r == nil || r.Status != 403 {
		t.Errorf("the response is %+v", r)
	}
}

func TestServerRefusesWhatIsNoRequest(t *testing.T) {
	c := newOpeningConn(t, Server)
	c.receive("'\x16\x03\x01\x02\x00'")
	c.receive("'\r\n\r\n'")
	wantHandshakeFailure(c, "TLS to a plain port is no request", 400)
	if got := string(c.sent); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
		t.Errorf("the answer is %q", got)
	}
	c.wantTransport("the answer is left to be read", TransportHalfClose)
	c.wantTimeout("for a while", defaultCloseTimeout)
	c.advance(defaultCloseTimeout)
	c.wantTransport("then the transport is closed", TransportClose)
}

func TestServerRefuses(t *testing.T) {
	c := newOpeningConn(t, Server)
	c.receive("'" + strings.Replace(rfcRequest, "Version: 13", "Version: 8", 1) + "'")
	c.wantEvent("any request that can be read is told", Event{Kind: KindRequest})
	err := c.Accept(0, acceptChat)
	var he *HandshakeError
	if !errors.As(err, &he) || he.Status != 426 {
		t.Errorf("it is not acceptable: got %v, want status 426", err)
	}
	wantHandshakeFailure(c, "and is refused", 426)
	if got := string(c.sent); !strings.HasPrefix(got, "HTTP/1.1 426 ") || !strings.Contains(got, "Sec-WebSocket-Version: 13\r\n") {
		t.Errorf("the answer is %q", got)
	}
	c.sent = nil
	c.wantErr("it is not open for a second thought", c.Accept(0, acceptChat), ErrNotOpen)

	c = newOpeningConn(t, Server)
	c.receive("'" + rfcRequest + "'")
	c.wantEvent("the request", Event{Kind: KindRequest})
	c.wantErr("the application refuses it", c.Refuse(0, Response{Status: 403, Reason: "Forbidden", Major: 1, Minor: 1}), nil)
	c.wantOutput("its response is sent", "'HTTP/1.1 403 Forbidden\r\n\r\n'")
	wantHandshakeFailure(c, "and told", 403)
	c.receiveEOF()
	c.wantTransport("the transport ends when the client has read it", TransportClose)
	c.wantIdle("that is all")

	c = newOpeningConn(t, Server)
	c.receive("'" + rfcRequest + "'")
	c.wantEvent("the request", Event{Kind: KindRequest})
	if err := c.Accept(0, ServerOptions{Fields: []Field{{"A", "a\r\nB: b"}}}); !errors.Is(err, ErrField) {
		t.Errorf("the application's field is at fault: got %v, want a *FieldError", err)
	}
	wantHandshakeFailure(c, "the client is told that it is not its fault", 500)
}

func TestOpeningTimeout(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		c := newOpeningConn(t, role, func(cfg *Config) { cfg.HandshakeTimeout = 3 * time.Second })
		c.SendRequest(0)
		c.drain()
		c.sent = nil
		c.advance(3*time.Second - 1)
		c.wantIdle("there is time left")
		c.wantState("the handshake goes on", StateConnecting)
		c.advance(1)
		c.wantEvent("the time is over", Event{Kind: KindError, Err: errHandshakeTimeout})
		c.wantEvent("and the connection ends", closedEvent(CloseError{Code: CodeAbnormal}))
		c.wantTransport("with the transport", TransportClose)
		c.wantNoTimeout("for good")
		c.wantIdle("without a word")
	})
}

func TestOpeningEnds(t *testing.T) {
	bothRoles(t, func(t *testing.T, role Role) {
		start := func() *testConn {
			c := newOpeningConn(t, role)
			c.SendRequest(0)
			c.drain()
			c.sent = nil
			return c
		}
		c := start()
		c.receive("'HTTP'")
		c.receiveEOF()
		wantHandshakeFailure(c, "the transport ended", 0)
		c.wantTransport("it is closed", TransportClose)
		c.wantNoTimeout("at once")

		c = start()
		c.wantErr("giving up is no error", c.Close(0, CodeNormal, ""), nil)
		c.wantFailedSilently("but the end of the connection is one", ErrGivenUp)
		c.wantTransport("the transport is closed", TransportClose)
		c.wantNoTimeout("at once")

		c = start()
		mine := errors.New("mine")
		c.Fail(0, mine)
		c.wantFailedSilently("the caller's error is told", mine)
		c.wantTransport("the transport is closed", TransportClose)
		c.wantNoTimeout("at once")
	})
}

func TestNewClientRefuses(t *testing.T) {
	cfg := &Config{Random: testRandom}
	if _, err := NewClient(&URL{Scheme: "http"}, ClientOptions{}, cfg); err == nil {
		t.Error("a URL is of ws or wss")
	}
	if _, err := NewClient(&URL{Scheme: "ws", Host: "h", Target: "/"}, ClientOptions{}, nil); err != ErrConfig {
		t.Errorf("a client needs Random: got %v, want ErrConfig", err)
	}
}
