package protocol

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// A testConn drives a Conn in the order of the package comment, on a clock of its
// own. Every view is overwritten as soon as it expires, so what the Conn keeps of
// memory that is not its own shows.
//
// Checks take the sentence first that they prove.
type testConn struct {
	*Conn
	t     testing.TB
	cfg   *Config
	clock Time

	input  []byte  // what Receive was given and is not drained
	events []Event // drained and not checked, copies
	sent   []byte  // output that is not checked, a copy
	log    []string
}

// testKey is every masking key that a test's Random draws: the one of the
// examples in RFC 6455 §5.7.
var testKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

func testRandom(b []byte) {
	for i := range b {
		b[i] = testKey[i%4]
	}
}

// newTestConn returns a Conn that is open, at the time 0.
func newTestConn(t testing.TB, role Role, options ...func(*Config)) *testConn {
	t.Helper()
	return newExtendedConn(t, role, nil, options...)
}

// newExtendedConn is newTestConn with an extension.
func newExtendedConn(t testing.TB, role Role, ext Extension, options ...func(*Config)) *testConn {
	t.Helper()
	cfg := &Config{Random: testRandom}
	for _, o := range options {
		o(cfg)
	}
	conn, err := NewConn(0, role, "", ext, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &testConn{Conn: conn, t: t, cfg: cfg}
}

func bothRoles(t *testing.T, f func(t *testing.T, role Role)) {
	for _, role := range []Role{Client, Server} {
		t.Run(role.String(), func(t *testing.T) { f(t, role) })
	}
}

// receive gives c the wire bytes, in the notation of octets, and drains it.
func (c *testConn) receive(wire string) {
	c.t.Helper()
	c.receiveBytes(octets(wire))
}

// receiveFrame gives c a frame of its peer's. b0 is its first byte.
func (c *testConn) receiveFrame(b0 byte, payload string) {
	c.t.Helper()
	c.receiveBytes(naiveFrame(c.peer(), b0, payload))
}

func (c *testConn) receiveBytes(b []byte) {
	c.t.Helper()
	c.note("received", b)
	c.input = bytes.Clone(b)
	c.Receive(c.clock, c.input[:len(b):len(b)])
	c.drain()
}

func (c *testConn) receiveEOF() {
	c.t.Helper()
	c.note("received EOF", nil)
	c.ReceiveEOF(c.clock)
	c.drain()
}

// peer returns the role at the other end.
func (c *testConn) peer() Role { return Server - c.Role() }

// drain takes everything that c has, and poisons what expires by that.
func (c *testConn) drain() {
	for {
		var ev Event
		if !c.NextEvent(&ev) {
			if !c.Pending() {
				break
			}
			c.Continue(c.clock)
			continue
		}
		c.keep(ev)
		poison(ev.Payload)
		poison(c.cfg.Scratch[:cap(c.cfg.Scratch)])
	}
	poison(c.input[:len(c.input)-c.Buffered()])
	if out := c.TakeOutput(); len(out) > 0 {
		c.note("sent    ", out)
		c.sent = append(c.sent, out...)
		poison(out)
	}
}

// keep keeps a copy of ev for the checks.
func (c *testConn) keep(ev Event) {
	ev.Payload = bytes.Clone(ev.Payload)
	if len(ev.Payload) == 0 {
		ev.Payload = nil
	}
	c.events = append(c.events, ev)
}

// forget drops what was kept for the checks.
func (c *testConn) forget() { c.events, c.sent = nil, nil }

func poison(b []byte) {
	for i := range b {
		b[i] = 0xdb
	}
}

// advance lets d pass, with every timer that is due on the way.
func (c *testConn) advance(d time.Duration) {
	c.t.Helper()
	end := c.clock.add(d)
	for range 1000 {
		at := c.NextTimeout()
		if at > end {
			c.clock = end
			c.note(fmt.Sprintf("now %v", time.Duration(end)), nil)
			return
		}
		c.clock = max(c.clock, at)
		c.note(fmt.Sprintf("timer at %v", time.Duration(c.clock)), nil)
		c.HandleTimeout(c.clock)
		c.drain()
	}
	c.failf("a timer that was handled is not due again", "due at %v for ever", time.Duration(c.NextTimeout()))
}

// wantEvent checks the next event.
func (c *testConn) wantEvent(sentence string, want Event) {
	c.t.Helper()
	c.drain()
	if len(c.events) == 0 {
		c.failf(sentence, "got no event\nwant %s", eventString(want))
	}
	got := c.events[0]
	c.events = c.events[1:]
	if !reflect.DeepEqual(got, want) {
		c.failf(sentence, "got  %s\nwant %s", eventString(got), eventString(want))
	}
}

// wantOutput checks everything that was sent since the last check, in the
// notation of octets.
func (c *testConn) wantOutput(sentence, want string) {
	c.t.Helper()
	c.wantOutputBytes(sentence, octets(want))
}

// wantFrame checks that exactly one frame was sent. b0 is its first byte.
func (c *testConn) wantFrame(sentence string, b0 byte, payload string) {
	c.t.Helper()
	c.wantOutputBytes(sentence, naiveFrame(c.Role(), b0, payload))
}

func (c *testConn) wantOutputBytes(sentence string, want []byte) {
	c.t.Helper()
	c.drain()
	got := c.sent
	c.sent = nil
	if !bytes.Equal(got, want) {
		c.failf(sentence, "sent\n%swant\n%s", grouped(got), grouped(want))
	}
}

// wantIdle checks that there is neither an event nor output.
func (c *testConn) wantIdle(sentence string) {
	c.t.Helper()
	c.drain()
	if len(c.events) > 0 {
		c.failf(sentence, "got %s\nwant nothing", eventString(c.events[0]))
	}
	c.wantOutput(sentence, "")
}

// wantFailed checks that c failed the connection because of err, as RFC 6455
// §7.1.7 has it.
func (c *testConn) wantFailed(sentence string, code CloseCode, err error) {
	c.t.Helper()
	c.wantFrame(sentence, 0x88, closePayload(code, ""))
	c.wantFailedSilently(sentence, err)
	c.wantTransport(sentence, TransportHalfClose)
	c.wantTimeout(sentence, defaultCloseTimeout)
}

// wantFailedSilently is wantFailed for a connection that can send nothing.
func (c *testConn) wantFailedSilently(sentence string, err error) {
	c.t.Helper()
	c.wantEvent(sentence, Event{Kind: KindError, Err: err})
	c.wantEvent(sentence, closedEvent(CloseError{Code: CodeAbnormal}))
	c.wantState(sentence, StateClosed)
	c.wantIdle(sentence)
}

func (c *testConn) wantState(sentence string, want State) {
	c.t.Helper()
	if got := c.State(); got != want {
		c.failf(sentence, "the state is %v, want %v", got, want)
	}
}

func (c *testConn) wantTransport(sentence string, want TransportAction) {
	c.t.Helper()
	if got := c.Transport(); got != want {
		c.failf(sentence, "the transport action is %d, want %d", got, want)
	}
}

// wantTimeout checks that the next timer is due after d.
func (c *testConn) wantTimeout(sentence string, d time.Duration) {
	c.t.Helper()
	if got := time.Duration(c.NextTimeout() - c.clock); c.NextTimeout() == Never || got != d {
		c.failf(sentence, "the next timer is due in %v, want %v", got, d)
	}
}

func (c *testConn) wantNoTimeout(sentence string) {
	c.t.Helper()
	if got := c.NextTimeout(); got != Never {
		c.failf(sentence, "a timer is due at %v, want none", time.Duration(got))
	}
}

func (c *testConn) wantErr(sentence string, got, want error) {
	c.t.Helper()
	if !errors.Is(got, want) {
		c.failf(sentence, "the error is %v, want %v", got, want)
	}
}

func (c *testConn) failf(sentence, format string, args ...any) {
	c.t.Helper()
	c.t.Fatalf("%s: %s\n%s\nwire of the %v:\n%s", c.t.Name(), sentence, fmt.Sprintf(format, args...), c.Role(), strings.Join(c.log, ""))
}

// note adds to the log of the wire.
func (c *testConn) note(what string, b []byte) {
	c.log = append(c.log, fmt.Sprintf("%8v %s\n%s", time.Duration(c.clock), what, grouped(b)))
}

// Events as tests write them.

func textEvent(s string) Event   { return messageEvent(KindText, s) }
func binaryEvent(s string) Event { return messageEvent(KindBinary, s) }
func pongEvent(s string) Event   { return messageEvent(KindPong, s) }

func messageEvent(kind Kind, s string) Event {
	return partEvent(kind, s, "first last", 0)
}

// partEvent is a part of a message. marks are "first", "last", both or "".
func partEvent(kind Kind, s, marks string, rest uint64) Event {
	ev := Event{Kind: kind, First: strings.Contains(marks, "first"), Last: strings.Contains(marks, "last"), FrameRest: rest}
	if s != "" {
		ev.Payload = []byte(s)
	}
	return ev
}

func closedEvent(e CloseError) Event { return Event{Kind: Kind(e.Code), Close: &e} }

func eventString(ev Event) string {
	switch {
	case ev.Close != nil:
		return fmt.Sprintf("%d %+v", ev.Kind, *ev.Close)
	case ev.Err != nil:
		return fmt.Sprintf("error %T %v", ev.Err, ev.Err)
	}
	return fmt.Sprintf("kind %d first=%t last=%t rest=%d payload (%d) %.64q", ev.Kind, ev.First, ev.Last, ev.FrameRest, len(ev.Payload), ev.Payload)
}

func closePayload(code CloseCode, reason string) string {
	if code == CodeNoStatus {
		return ""
	}
	return string(binary.BigEndian.AppendUint16(nil, uint16(code))) + reason
}

// octets returns the bytes of a vector: hex, with spaces and bars between fields,
// and text in single quotes.
func octets(s string) (b []byte) {
	for i, piece := range strings.Split(s, "'") {
		if i%2 == 1 {
			b = append(b, piece...)
			continue
		}
		h, err := hex.DecodeString(strings.NewReplacer(" ", "", "|", "", "\n", "", "\t", "").Replace(piece))
		if err != nil {
			panic("octets: " + err.Error() + " in " + s)
		}
		b = append(b, h...)
	}
	return b
}

// grouped writes wire bytes a frame to a line, in hex with a bar between fields.
func grouped(b []byte) string {
	const most = 48 // bytes of payload that are shown
	var s strings.Builder
	for len(b) > 0 {
		h, n, err := ConsumeHeader(b)
		if n == 0 || err != nil {
			fmt.Fprintf(&s, "\t% x\n", b[:min(len(b), most)])
			break
		}
		fields := []int{2, HeaderLen(h.Length, false) - 2, 0}
		if h.Masked {
			fields[2] = 4
		}
		s.WriteString("\t")
		for _, length := range fields {
			if length > 0 {
				fmt.Fprintf(&s, "% x | ", b[:length])
				b = b[length:]
			}
		}
		n = int(min(h.Length, uint64(len(b))))
		fmt.Fprintf(&s, "% x", b[:min(n, most)])
		if n > most {
			fmt.Fprintf(&s, " … %d bytes", n)
		}
		s.WriteString("\n")
		b = b[n:]
	}
	return s.String()
}

// naiveFrame is the frame that from sends, made without the code under test.
func naiveFrame(from Role, b0 byte, payload string) []byte {
	var b1 byte
	if from == Client {
		b1 = 0x80
	}
	n := len(payload)
	b := []byte{b0}
	switch {
	case n <= 125:
		b = append(b, b1|byte(n))
	case n <= 65535:
		b = append(b, b1|126, byte(n>>8), byte(n))
	default:
		b = append(b, b1|127, 0, 0, 0, 0, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	if from == Server {
		return append(b, payload...)
	}
	b = append(b, testKey[:]...)
	return append(b, naiveMask(testKey, 0, []byte(payload))...)
}

// A pair is a client and a server with a transport between them, on one clock.
type pair struct {
	client, server *testConn
}

func newPair(t testing.TB, options ...func(*Config)) *pair {
	return &pair{newTestConn(t, Client, options...), newTestConn(t, Server, options...)}
}

// flow carries what was sent, until both ends have nothing more to send.
func (p *pair) flow() {
	for p.carry(p.client, p.server) || p.carry(p.server, p.client) {
	}
}

// carry takes what from sent to to, and the end of the transport with it. It
// reports whether there was anything.
func (p *pair) carry(from, to *testConn) bool {
	from.drain()
	b := from.sent
	from.sent = nil
	if len(b) > 0 {
		to.receiveBytes(b)
	}
	if from.Transport() != TransportKeep && to.Transport() != TransportClose {
		to.receiveEOF()
		return true
	}
	return len(b) > 0
}

// advance lets d pass at both ends, a timer at a time in the order of the clock.
func (p *pair) advance(d time.Duration) {
	end := p.client.clock.add(d)
	for {
		p.flow()
		at := min(p.client.NextTimeout(), p.server.NextTimeout(), end)
		step := max(0, time.Duration(at-p.client.clock))
		p.client.advance(step)
		p.server.advance(step)
		if at == end {
			p.flow()
			return
		}
	}
}

func TestPairConversation(t *testing.T) {
	p := newPair(t)
	for i, send := range []func([]byte) error{p.client.SendText, p.client.SendBinary, p.client.SendPing} {
		if err := send([]byte{'a', byte('0' + i)}); err != nil {
			t.Fatal(err)
		}
	}
	p.flow()
	p.server.wantEvent("the text arrives first", textEvent("a0"))
	p.server.wantEvent("the binary message after it", binaryEvent("a1"))
	p.client.wantEvent("the Ping was answered with its payload", pongEvent("a2"))
	p.advance(20 * time.Second)
	p.client.wantEvent("the server answered the Ping of the idle timeout", pongEvent(""))
	p.server.wantEvent("as the client did", pongEvent(""))
	p.client.wantIdle("that is all that silence is")
	if err := p.server.Close(p.server.clock, CodeNormal, "bye"); err != nil {
		t.Fatal(err)
	}
	p.flow()
	p.client.wantEvent("the client is told code and reason", closedEvent(CloseError{Code: CodeNormal, Reason: "bye", Clean: true, ByPeer: true}))
	p.server.wantEvent("the server gets them back", closedEvent(CloseError{Code: CodeNormal, Reason: "bye", Clean: true}))
	p.advance(time.Minute)
	p.client.wantTransport("the client's transport ends after the server's", TransportClose)
	p.server.wantTransport("and the server's at last", TransportClose)
	p.client.wantNoTimeout("nothing is due afterwards")
	p.server.wantNoTimeout("at either end")
}

func TestConnGetters(t *testing.T) {
	conn, err := NewConn(0, Server, "chat", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if conn.Role() != Server || conn.State() != StateOpen || conn.Subprotocol() != "chat" ||
		conn.Buffered() != 0 || conn.Credit() != unlimitedCredit || conn.Request() != nil || conn.Response() != nil {
		t.Errorf("a new server is %v %v with subprotocol %q, %d buffered, credit %d", conn.Role(), conn.State(), conn.Subprotocol(), conn.Buffered(), conn.Credit())
	}
	for s, want := range map[fmt.Stringer]string{
		Client: "client", Server: "server",
		StateConnecting: "connecting", StateOpen: "open", StateClosing: "closing", StateClosed: "closed",
	} {
		if s.String() != want {
			t.Errorf("%T prints as %q, want %q", s, s, want)
		}
	}
	wantPanic(t, "there is no fifth state", func() { _ = (StateClosed + 1).String() })
}

func TestConfig(t *testing.T) {
	for _, test := range []struct {
		name string
		set  func(*Config)
	}{
		{"MessageLimit", func(c *Config) { c.MessageLimit = -1 }},
		{"PartLimit", func(c *Config) { c.PartLimit = -1 }},
		{"ControlLimit", func(c *Config) { c.ControlLimit = -1 }},
		{"ControlWindow", func(c *Config) { c.ControlWindow = -1 }},
		{"SendLimit", func(c *Config) { c.SendLimit = -1 }},
		{"HandshakeTimeout", func(c *Config) { c.HandshakeTimeout = -1 }},
		{"CloseTimeout", func(c *Config) { c.CloseTimeout = -1 }},
		{"Head.MaxBytes", func(c *Config) { c.Head.MaxBytes = -1 }},
		{"Head.MaxFields", func(c *Config) { c.Head.MaxFields = -1 }},
	} {
		cfg := &Config{Random: testRandom}
		test.set(cfg)
		if _, err := NewConn(0, Server, "", nil, cfg); err != ErrConfig {
			t.Errorf("a negative %s gives %v, want ErrConfig", test.name, err)
		}
		if _, err := NewServer(0, cfg); err != ErrConfig {
			t.Errorf("a negative %s gives a server %v, want ErrConfig", test.name, err)
		}
	}
	if _, err := NewConn(0, Server, "", nil, &Config{IdleTimeout: -1}); err != nil {
		t.Errorf("a negative IdleTimeout switches it off: got %v", err)
	}
	for _, cfg := range []*Config{nil, {}} {
		if _, err := NewConn(0, Client, "", nil, cfg); err != ErrConfig {
			t.Errorf("a client without Random gives %v, want ErrConfig", err)
		}
		if _, err := NewConn(0, Server, "", &fakeExtension{}, cfg); err != ErrConfig {
			t.Errorf("an extension without Scratch gives %v, want ErrConfig", err)
		}
	}
	cfg := &Config{}
	r, err := cfg.resolve(Server)
	if err != nil || r.MessageLimit != 16<<20 || r.PartLimit != 1024 || r.ControlLimit != 100 || r.ControlWindow != 10*time.Second ||
		r.SendLimit != 1<<20 || r.IdleTimeout != 30*time.Second || r.HandshakeTimeout != 10*time.Second || r.CloseTimeout != 5*time.Second {
		t.Errorf("the defaults are %+v, %v", r, err)
	}
	if cfg.MessageLimit != 0 {
		t.Error("the caller's Config is not written to")
	}
}

func TestConfigWithDefaults(t *testing.T) {
	cfg := (&Config{PartLimit: 7}).WithDefaults()
	for _, role := range []Role{Server, Client} {
		if r, err := cfg.resolve(role); (err == nil) != (role == Server) || err == nil && r != cfg {
			t.Errorf("a %v resolves it to %p, %v, want %p itself, or ErrConfig without Random", role, r, err, cfg)
		}
	}
	if cfg.PartLimit != 7 || cfg.MessageLimit != defaultMessageLimit {
		t.Errorf("the defaults are filled in: got %+v", cfg)
	}
	if _, err := NewConn(0, Server, "", nil, (&Config{PartLimit: -1}).WithDefaults()); err != ErrConfig {
		t.Errorf("a negative limit stays an error: got %v", err)
	}
}

func TestTimeSaturates(t *testing.T) {
	for _, test := range []struct {
		t    Time
		d    time.Duration
		want Time
	}{
		{0, 0, 0}, {5, 7, 12}, {Never - 1, 1, Never}, {Never - 1, 2, Never}, {Never, 1 << 62, Never}, {1, 1<<63 - 1, Never},
	} {
		if got := test.t.add(test.d); got != test.want {
			t.Errorf("%d + %d is %d, want %d", test.t, test.d, got, test.want)
		}
	}
	c := newTestConn(t, Server, func(cfg *Config) { cfg.IdleTimeout, cfg.CloseTimeout = 1<<63-1, 1<<63-1 })
	c.clock = 10
	c.receiveFrame(0x81, "a")
	c.wantEvent("a message arrives", textEvent("a"))
	c.clock = 1 << 62
	c.HandleTimeout(c.clock)
	c.wantIdle("half of the longest timeout is not over")
	c.Close(c.clock, CodeNormal, "")
	c.wantNoTimeout("a timer that the clock does not reach is none")
}

func TestReceiveBeforeDrained(t *testing.T) {
	c := newTestConn(t, Server)
	c.LimitCredit(0, 0)
	c.receiveFrame(0x82, "abc")
	wantPanic(t, "input is not replaced while some of it waits", func() { c.Receive(0, []byte{0}) })
	wantPanic(t, "credit is not taken back by granting", func() { c.GrantCredit(0, -1) })
}

func wantPanic(t *testing.T, sentence string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if s, _ := recover().(string); !strings.HasPrefix(s, "BUG: ") {
			t.Errorf("%s: want a panic that begins with BUG, got %q", sentence, s)
		}
	}()
	f()
}
