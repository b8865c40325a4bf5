package host

import (
	"net"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/wasock/wasock/host/permission"
	"github.com/wasock/wasock/hostcalls"
)

// A MessageType says what a message is. RFC 6455 §5.6.
type MessageType uint8

const (
	MessageText   MessageType = 1 // UTF-8
	MessageBinary MessageType = 2
)

func (t MessageType) String() string {
	if t == MessageText {
		return "text"
	}
	return "binary"
}

// A CloseCode says why a connection was closed. RFC 6455 §7.4.
type CloseCode uint16

// https://www.iana.org/assignments/websocket/websocket.xhtml#close-code-number
const (
	CodeNormal          CloseCode = 1000
	CodeGoingAway       CloseCode = 1001
	CodeProtocolError   CloseCode = 1002
	CodeUnsupportedData CloseCode = 1003
	CodeNoStatus        CloseCode = 1005 // the peer's Close frame held no code
	CodeAbnormal        CloseCode = 1006 // there was no Close frame
	CodeInvalidPayload  CloseCode = 1007
	CodePolicyViolation CloseCode = 1008
	CodeMessageTooBig   CloseCode = 1009
	CodeInternalError   CloseCode = 1011
	CodeServiceRestart  CloseCode = 1012
	CodeTryAgainLater   CloseCode = 1013
)

// A ReadyState is how far a connection is, with the numbers of
// https://websockets.spec.whatwg.org/#dom-websocket-readystate.
type ReadyState int32

const (
	StateConnecting ReadyState = iota
	StateOpen
	StateClosing
	StateClosed
)

// An HTTPVersion is a major version of HTTP.
type HTTPVersion uint8

const (
	// HTTPAuto is, for a wss URL, HTTP/2 if the server has it and allows WebSockets
	// over it, and otherwise HTTP/1.1; for a ws URL it is HTTP/1.1.
	HTTPAuto HTTPVersion = 0

	HTTP1 HTTPVersion = 1 // HTTP/1.1: Upgrade, RFC 6455 §4
	HTTP2 HTTPVersion = 2 // Extended CONNECT, RFC 8441; for a ws URL by prior knowledge
)

func (v HTTPVersion) String() string {
	switch v {
	case HTTPAuto:
		return "automatic"
	case HTTP1:
		return "HTTP/1.1"
	}
	return "HTTP/" + strconv.Itoa(int(v))
}

// A Conn is one end of a WebSocket connection, carried by an instance of the
// engine. Its methods may be called from any goroutine; at most one goroutine
// at a time reads, the others wait for it.
type Conn struct {
	host    *Host
	inst    *instance
	tr      transport
	request *serverStream     // tr, where it is a request that ends with its handler
	grant   *permission.Grant // a client's
	lease   *permission.Lease // what it counts on, nil if nothing; under mu until it is open
	spent   atomic.Bool       // the lease counts no more bytes
	target  *target           // what a client asked to connect to
	proxy   *url.URL          // through which; nil: directly

	handle   uint32
	server   bool
	version  HTTPVersion
	state    atomic.Int32 // a ReadyState
	closeHow uint8        // what the engine asked for: hostcalls.CloseWrite or CloseBoth; under mu and inst.mu
	wroteFIN bool
	finished bool

	deadline int64 // when the engine wants its timer, under mu and inst.mu
	armed    int64 // when the timer fires
	timer    *time.Timer
	overdue  bool // the timer found a handler that did not return, while closing; under mu

	mu   sync.Mutex // serialises calls into the engine and keeps their output in order
	out  outQueue   // under mu
	cork *lane      // where Send puts messages while a batch is delivered; under mu

	// flushes asks whoever waits for the end of the connection to flush meanwhile,
	// where there is somebody; under mu.
	flushes chan struct{}

	deliver sync.Mutex // serialises the delivery of events
	handler EventHandler
	message assembly                   // of an EventHandler's message that came in parts
	stream  *streamState               // nil where there is a handler
	end     atomic.Pointer[CloseError] // how it ended
	failure error                      // why; under mu
	done    chan struct{}              // closed when finished is set; under mu
	failed  bool                       // the handler was told why; under deliver
	wasOpen bool                       // a client's opening handshake succeeded; under deliver
	budget  int                        // what a batch of events may still cost; under deliver
	arrived int64                      // bytes of the message that is arriving; under deliver

	backlog     backlog // input that comes before the transport's; under deliver once it is open
	credited    bool    // the engine's credit is limited; under deliver
	credit      int     // and what is left of it
	windows     int     // how often it was given since the transport was read
	subprotocol string
	extensions  string              // agreed to; "": none
	plain       atomic.Bool         // SetWriteCompression(false) was called
	response    *hostcalls.Response // of the opening handshake, a client's, until Dial returns
	limits      *Limits
	apart       []byte // payload to write behind the output of the call in progress
}

func newConn(h *Host, inst *instance, events EventHandler, limits *Limits) *Conn {
	c := &Conn{host: h, inst: inst, handler: events, limits: limits, version: HTTP1}
	c.deadline, c.armed = never, never
	if events == nil {
		c.stream = newStreamState()
	}
	return c
}

// never is the deadline of a timer that is not set.
const never = 1<<63 - 1

// Subprotocol returns the subprotocol that was negotiated, or "".
func (c *Conn) Subprotocol() string { return c.subprotocol }

// ReadyState returns how far the connection is.
func (c *Conn) ReadyState() ReadyState { return ReadyState(c.state.Load()) }

// HTTPVersion returns the version of HTTP that the opening handshake was over.
func (c *Conn) HTTPVersion() HTTPVersion { return c.version }

// Done returns a channel that is closed when the connection has ended, what it
// sent has left, and its transport is closed. Over HTTP/2 a request's handler that
// called Accept returns then, and not before: the transport is the request.
func (c *Conn) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		c.tellDone()
	}
	return c.done
}

// tellDone closes done if the connection has ended and nothing is being written: a
// handler that waits for it returns then. The caller holds mu.
func (c *Conn) tellDone() {
	if c.done != nil && c.finished && c.out.inFlight == 0 {
		close(c.done)
	}
}

// LocalAddr returns the transport's local address, nil if it is closed.
func (c *Conn) LocalAddr() net.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.finished {
		return nil
	}
	return c.tr.localAddr()
}

// RemoteAddr returns the transport's remote address, nil if it is closed.
func (c *Conn) RemoteAddr() net.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.finished {
		return nil
	}
	return c.tr.remoteAddr()
}

// BufferedAmount returns how many bytes were sent but not yet taken by the
// operating system, framing included; 0 once the connection is closed.
func (c *Conn) BufferedAmount() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.finished {
		return 0 // what a flush holds still goes nowhere
	}
	n := c.out.buffered()
	if c.cork != nil {
		n += c.cork.staged
	}
	return n
}

// call calls an export whose first arguments are the connection and the lane,
// and does what the engine asked for meanwhile. The caller holds mu.
func (c *Conn) call(l *lane, f api.Function, args ...uint64) int32 {
	if c.finished {
		return hostcalls.EBADF.Ret()
	}
	var a [6]uint64
	a[0], a[1] = uint64(c.handle), uint64(l.index)
	n := copy(a[2:], args)
	r := c.inst.call(c, l, f, a[:2+n]...)
	if r > 0 && int(r&^hostcalls.More) > len(l.events)/hostcalls.EventSize {
		c.inst.distrust("it stored more events than a lane holds")
		r = hostcalls.EIO.Ret()
	}
	c.settle(l)
	return r
}

// settle writes the output of a call, sets the timer and closes what the engine
// asked to close. The caller holds mu.
func (c *Conn) settle(l *lane) {
	if len(l.out) > 0 {
		if c.apart != nil {
			l.out = append(l.out, c.apart)
			c.apart = nil
		}
		c.write(l.out)
		clear(l.out)
		l.out = l.out[:0]
		if len(c.out.pending) >= blockedAt && !c.out.blocked {
			c.out.blocked = true
			c.call(l, c.inst.fn.streamBlocked, 1, uint64(now()))
		}
	}
	if c.deadline < c.armed {
		c.arm(c.deadline)
	}
	switch {
	case c.closeHow == 0:
	case c.closeHow == hostcalls.CloseBoth:
		c.finish()
	case !c.wroteFIN && !c.out.flushing:
		c.wroteFIN = true
		_ = c.tr.closeWrite() // that it failed, the reader finds out
	}
}

// arm sets the timer. The caller holds mu.
func (c *Conn) arm(deadline int64) {
	c.armed = deadline
	d := time.Duration(deadline - now())
	if c.timer == nil {
		c.timer = time.AfterFunc(d, c.timeout)
	} else {
		c.timer.Reset(d)
	}
}

// timeout tells the engine that its timer is due.
func (c *Conn) timeout() {
	if !c.deliver.TryLock() {
		if c.heldUp() {
			return
		}
		// A peer that floods does not keep the timer out: a Mutex goes to who has
		// waited for a millisecond.
		c.deliver.Lock()
	}
	defer c.deliver.Unlock()
	l := c.inst.lanes.get()
	var paused uint64
	if c.stream != nil && !c.stream.reading() {
		paused = 1
	}
	c.mu.Lock()
	c.deadline, c.armed = never, never
	r := c.call(l, c.inst.fn.connTimeout, paused, uint64(now()))
	c.mu.Unlock()
	c.deliverAll(l, r, 0)
}

// heldUp is for a timer that finds events being delivered, by a handler that may
// block for long. Other timers can wait for it; a closing handshake that takes
// too long ends here, and only that it ended is told later. It is given one more
// CloseTimeout, since a timer may be early. It reports whether that is all.
func (c *Conn) heldUp() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.finished || c.ReadyState() != StateClosing {
		return false
	}
	if !c.overdue {
		c.overdue = true
		c.arm(now() + int64(c.limits.closeTimeout()))
		return true
	}
	if c.failure == nil {
		c.failure = errCloseTimeout
	}
	c.state.Store(int32(StateClosed))
	c.finish()
	return true
}

// attach makes tr the transport of c, and c one of the host's connections. It
// fails, and closes tr, if c or the host ended meanwhile.
func (c *Conn) attach(tr transport) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := error(ErrEngineTrapped)
	if !c.finished {
		err = c.host.add(c)
	}
	if err != nil {
		_ = tr.close()
		return err
	}
	c.tr = tr
	return nil
}

// finish closes the transport and forgets the connection. The caller holds mu.
func (c *Conn) finish() {
	if c.finished {
		return
	}
	c.finished = true
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.out.stall != nil {
		c.out.stall.Stop()
	}
	c.out.fail(ErrClosed)
	if c.tr != nil {
		_ = c.tr.close()
	}
	c.inst.free(c.handle)
	c.host.remove(c)
	if c.lease != nil {
		c.lease.Release()
	}
	c.tellDone()
}

// abort ends the connection without a closing handshake.
func (c *Conn) abort(err error) {
	c.mu.Lock()
	if c.failure == nil {
		c.failure = err
	}
	c.state.Store(int32(StateClosed))
	c.finish()
	c.mu.Unlock()
}

// closedError is the error of an operation that needs an open connection.
func (c *Conn) closedError() error {
	if e := c.end.Load(); e != nil {
		return e
	}
	return ErrClosed
}

// A part is what the engine delivered of a message.
type part struct {
	kind        uint16
	first, last bool
	payload     []byte
}
