package http2client

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A Conn is the client's end of an HTTP/2 connection. Its methods may be called
// by any number of goroutines at a time.
type Conn struct {
	nc     net.Conn
	config Config

	// The reading goroutine's own.
	source         source
	in             *bufio.Reader
	framer         *http2.Framer
	decoder        *hpack.Decoder
	decoding       *fieldBlock // what decoder emits to
	recvWindow     int64       // what the server may send
	recvUnreturned int64       // what it sent and has not been given back
	settingsAcked  bool
	pings          meter
	settings       meter

	settled   chan struct{} // closed at the server's first SETTINGS
	failed    chan struct{} // closed with err
	readEnded chan struct{} // closed at the end of the reading goroutine
	done      chan struct{}

	mu       sync.Mutex // guards what follows, and the streams
	err      error      // why the connection is over; nil: it is not
	goAway   *GoAwayError
	draining bool // Shutdown was called
	changed  bool // Config.Changed is due

	streams  map[uint32]*Stream
	nextID   uint32
	open     int // streams that have not ended, those that wait to be sent among them
	reserved int

	strayWindow int64 // what the server may send on streams that we have reset

	ping      *ping // that was not answered; nil: none
	pingCount uint64

	useless    meter
	peerResets meter
	ownResets  meter

	// peer is what the server's SETTINGS say.
	peer struct {
		received        bool
		extendedConnect bool
		maxStreams      uint32
		initialWindow   int64
		headerListSize  uint32
		tableSize       uint32
	}

	// What is to be written: see conn_write.go.
	work       sync.Cond    // the writing goroutine waits for something to do
	ahead      *frameBuffer // frames that overtake the others; nil: none
	out        *frameBuffer // frames in order; nil: none
	heads      streamQueue  // streams whose request is to be sent
	ready      streamQueue  // streams that have bytes to send and a window
	sendWindow int64
	encoder    *hpack.Encoder
	block      bytes.Buffer // what encoder writes to
	writeErr   error        // the transport takes nothing more
	answers    int          // to PINGs and SETTINGS, that wait to be written

	writeStarted time.Time // of the write that is under way; zero: none is
	watchdog     *time.Timer
	watching     bool // the watchdog is set
}

// New takes nc over, on which HTTP/2 was agreed, and sends the connection preface
// on it. End it with Close or Shutdown: either closes nc.
func New(nc net.Conn, config Config) *Conn {
	config = config.withDefaults()
	c := &Conn{
		nc: nc, config: config,
		recvWindow: connWindow,
		pings:      meter{rate: pingRate},
		settings:   meter{rate: settingsRate},
		useless:    meter{rate: uselessRate},
		peerResets: meter{rate: resetRate},
		ownResets:  meter{rate: resetRate},
		settled:    make(chan struct{}),
		failed:     make(chan struct{}),
		readEnded:  make(chan struct{}),
		done:       make(chan struct{}),
		streams:    map[uint32]*Stream{},
		nextID:     1,
		sendWindow: initialWindow,
	}
	c.work.L = &c.mu
	c.source.nc = nc
	c.in = bufio.NewReaderSize(&c.source, readBufferSize)
	c.framer = http2.NewFramer(nil, c.in)
	c.framer.SetMaxReadFrameSize(frameSize)
	c.decoder = hpack.NewDecoder(tableSize, c.emit)
	c.decoder.SetMaxStringLength(blockFactor * config.HeaderListSize)
	c.encoder = hpack.NewEncoder(&c.block)
	c.peer.maxStreams = maxStreamID
	c.peer.initialWindow = initialWindow
	c.peer.headerListSize = maxWindow
	c.peer.tableSize = tableSize
	c.sendPreface()
	go c.readFrames()
	go c.writeFrames()
	return c
}

// source is the transport as the framer reads it. It remembers its error, by which
// a transport that failed differs from a frame that is too short.
type source struct {
	nc  net.Conn
	err error
}

func (s *source) Read(p []byte) (n int, err error) {
	n, s.err = s.nc.Read(p)
	return n, s.err
}

// WaitSettings waits for the server's SETTINGS, and reports whether they allow
// Extended CONNECT. A server may allow it later: Free tells.
// https://www.rfc-editor.org/rfc/rfc8441.html#section-3
func (c *Conn) WaitSettings(ctx context.Context) (extendedConnect bool, err error) {
	select {
	case <-c.settled:
	case <-c.failed:
		return false, c.Err()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	c.mu.Lock()
	defer c.unlock()
	return c.peer.extendedConnect, c.err
}

// Free returns how many more streams may be opened now. It is 0 until the
// server's SETTINGS have arrived, and once either side is ending the connection.
func (c *Conn) Free() int {
	c.mu.Lock()
	defer c.unlock()
	if c.refusal() != nil {
		return 0
	}
	return c.free()
}

func (c *Conn) free() int {
	return min(c.config.Streams, int(c.peer.maxStreams)) - c.open - c.reserved
}

// refusal returns why no stream may be opened, or nil. The caller holds mu.
func (c *Conn) refusal() error {
	switch {
	case c.err != nil:
		return c.err
	case c.draining:
		return ErrClosed
	case c.goAway != nil:
		return c.goAway
	case c.writeErr != nil:
		return &lostError{err: c.writeErr}
	case !c.peer.extendedConnect:
		return ErrNoExtendedConnect
	case c.free() <= 0:
		return ErrTooManyStreams
	case c.ownResets.full():
		return ErrTooManyResets
	case uint64(c.nextID)+2*uint64(c.heads.size+c.reserved) > maxStreamID:
		return ErrStreamsUsedUp
	}
	return nil
}

// Streams returns how many streams are open. A stream is until both sides have
// ended it or one has reset it.
func (c *Conn) Streams() int {
	c.mu.Lock()
	defer c.unlock()
	return c.open
}

// Done returns a channel that is closed when the connection is over: the
// transport is closed and no goroutine is left.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err returns why the connection is over or about to be, or nil: ErrClosed, a
// *ConnectionError, a *GoAwayError, or one that wraps the transport's.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.unlock()
	return c.err
}

// Shutdown refuses new streams, waits until those that are open have ended, and
// closes the connection. If ctx ends before they have, they end with ErrClosed and
// Shutdown returns its error.
func (c *Conn) Shutdown(ctx context.Context) error {
	c.mu.Lock()
	if c.err == nil && !c.draining {
		c.draining = true
		c.changed = true
		_ = c.output().WriteGoAway(0, http2.ErrCodeNo, nil)
		c.work.Signal()
	}
	c.endIfIdle()
	c.unlock()
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		_ = c.Close()
		return ctx.Err()
	}
}

// Close ends the connection and its streams, with ErrClosed. What was written
// before, and a GOAWAY frame, still leave if the transport takes them within a
// second. Close does not wait for that: Done tells. It returns nil.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.unlock()
	c.fail(ErrClosed)
	return nil
}

// endIfIdle ends a connection that takes no more streams and has none. The caller
// holds mu.
func (c *Conn) endIfIdle() {
	switch {
	case c.open > 0:
	case c.draining:
		c.fail(ErrClosed)
	case c.goAway != nil:
		c.fail(c.goAway)
	}
}

// fail ends the connection and its streams with err. The caller holds mu.
func (c *Conn) fail(err error) {
	if c.err != nil {
		return
	}
	c.err = err
	c.changed = true
	close(c.failed)
	for s := c.heads.pop(); s != nil; s = c.heads.pop() {
		s.fail(&unsentError{err})
	}
	for _, s := range c.streams {
		s.fail(err)
	}
	clear(c.streams)
	c.open = 0

	grace := time.Now().Add(closeTimeout)
	code := http2.ErrCodeNo
	switch e := err.(type) {
	case *lostError:
		grace = longAgo // no use
	case *ConnectionError:
		code = e.Code
	}
	_ = c.output().WriteGoAway(0, code, nil)
	_ = c.nc.SetWriteDeadline(grace)
	c.work.Signal()
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// unlock releases mu, and tells Config.Changed if there is something to tell.
func (c *Conn) unlock() {
	changed := c.changed
	c.changed = false
	c.mu.Unlock()
	if changed && c.config.Changed != nil {
		c.config.Changed()
	}
}

// wait waits on one of the conditions of mu, or returns at once if there is
// something to tell. The caller holds mu and looks again.
func (c *Conn) wait(cond *sync.Cond) {
	if c.changed {
		c.unlock()
		c.mu.Lock()
		return
	}
	cond.Wait()
}
