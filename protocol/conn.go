package protocol

// A Role says which end of a connection a Conn is.
type Role uint8

const (
	Client Role = iota
	Server
)

func (r Role) String() string {
	if r == Client {
		return "client"
	}
	return "server"
}

// A State is how far a connection is. Its numbers are those of the readyState of
// https://websockets.spec.whatwg.org/#dom-websocket-readystate.
type State uint8

const (
	StateConnecting State = iota // the opening handshake is under way
	StateOpen
	StateClosing // a Close frame was sent, its answer has not arrived
	StateClosed  // nothing more is sent or delivered; the transport may still have to be closed
)

func (s State) String() string {
	switch s {
	case StateConnecting:
		return "connecting"
	case StateOpen:
		return "open"
	case StateClosing:
		return "closing"
	case StateClosed:
		return "closed"
	}
	panic("BUG: unknown State")
}

// A TransportAction is what the driver is to do with the transport once the
// output is written.
type TransportAction uint8

const (
	// TransportKeep: nothing. Input is still wanted.
	TransportKeep TransportAction = iota

	// TransportHalfClose: close the write side and go on reading, so that the
	// peer sees the last frames before any reset. What arrives is discarded.
	TransportHalfClose

	// TransportClose: close both sides. The Conn is done.
	TransportClose
)

// A Conn is one end of a WebSocket connection. See the package comment for how
// to drive it.
type Conn struct {
	cfg     *Config
	ext     Extension
	scratch []byte   // in place of the Config's
	opening *opening // nil when the connection was made open, and some time after it opened
	role    Role
	state   State
	now     Time

	subprotocol string

	in    inbound
	out   outbound
	close closing
	alive keepalive
}

// NewConn returns a Conn in StateOpen: its opening handshake was completed
// elsewhere, as over HTTP/2 or by an HTTP server. ext is the extension that was
// negotiated, or nil.
func NewConn(now Time, role Role, subprotocol string, ext Extension, cfg *Config) (*Conn, error) {
	cfg, err := cfg.resolve(role)
	if err != nil {
		return nil, err
	}
	if ext != nil && cap(cfg.Scratch) == 0 {
		return nil, ErrConfig
	}
	c := newConn(now, role, cfg)
	c.subprotocol, c.ext = subprotocol, ext
	c.open(now)
	return c, nil
}

func newConn(now Time, role Role, cfg *Config) *Conn {
	c := &Conn{cfg: cfg, role: role, now: now}
	c.in.credit = unlimitedCredit
	c.close.deadline = Never
	return c
}

// open moves c to StateOpen.
func (c *Conn) open(now Time) {
	c.now = now
	c.state = StateOpen
	c.close.deadline = Never
	c.alive.open(now)
}

// Role returns which end c is.
func (c *Conn) Role() Role { return c.role }

// State returns how far the connection is.
func (c *Conn) State() State { return c.state }

// Subprotocol returns the subprotocol that was negotiated, or "".
func (c *Conn) Subprotocol() string { return c.subprotocol }

// Extended reports whether messages go through an extension.
func (c *Conn) Extended() bool { return c.ext != nil }

// SetScratch has what an extension decodes put into b, up to its capacity, and not
// into Config.Scratch: a driver that keeps several events gives each room of its own.
func (c *Conn) SetScratch(b []byte) { c.scratch = b }

// Release gives what c's extension holds to the Conns that share its Coders. c is not
// used any more.
func (c *Conn) Release() {
	if x, ok := c.ext.(interface{ Release() }); ok {
		x.Release()
	}
}

// Buffered returns how many bytes of the input wait for NextEvent: for it to be
// called, or for credit.
func (c *Conn) Buffered() int { return len(c.in.b) }

// Receive gives c the next bytes of the stream, cut anywhere. It keeps b until
// NextEvent has reported false, and unmasks payloads in it. The input before
// must have been drained: Buffered is 0.
func (c *Conn) Receive(now Time, b []byte) {
	if len(c.in.b) != 0 || c.Pending() {
		panic("BUG: protocol: Receive before the input before it was drained")
	}
	c.now = now
	c.in.b = b
	c.resume()
	c.out.b = c.output() // lets go of what was taken
	if c.state == StateOpen {
		c.opening = nil
	}
}

// ReceiveEOF tells c that the transport will deliver nothing more, because the
// peer closed it or because it failed. Input that is still Buffered is
// lost: a driver whose stream ended behind it drains it first.
func (c *Conn) ReceiveEOF(now Time) {
	c.now = now
	c.close.transport = TransportClose
	c.close.deadline = Never
	switch c.state {
	case StateConnecting:
		c.end(&HandshakeError{Rule: "the connection ended before the opening handshake did"}, CodeAbnormal)
	case StateOpen:
		c.end(ErrUnexpectedEOF, CodeAbnormal)
	case StateClosing:
		c.end(nil, CodeAbnormal)
	case StateClosed:
	}
}

// HandleTimeout does what is due at now. Calling it early or late is harmless.
func (c *Conn) HandleTimeout(now Time) {
	c.now = now
	if now >= c.close.deadline {
		c.closeTimeout()
	}
	if c.state == StateOpen {
		c.idleTimeout(now)
	}
}

// NextTimeout returns when HandleTimeout is next due, or Never.
func (c *Conn) NextTimeout() Time {
	t := c.close.deadline
	if c.state == StateOpen {
		t = min(t, c.idleDeadline())
	}
	return t
}

// NextEvent stores the next event in *ev and reports whether there was one. It
// consumes input as it goes and stops where the credit does.
func (c *Conn) NextEvent(ev *Event) bool {
	if c.state == StateConnecting && (len(c.in.b) > 0 || c.opening.answered) {
		if c.opening.receive(c, ev) {
			return true
		}
	}
	if c.state == StateOpen || c.state == StateClosing {
		if c.nextFrameEvent(ev) {
			return true
		}
	}
	if c.state == StateClosed {
		c.in.b = nil // RFC 6455 §7.1.7: what comes after the end is discarded
	}
	return c.close.nextEvent(ev)
}
