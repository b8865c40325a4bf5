package host

import (
	"context"
	"encoding/binary"
	"io"
	"sync/atomic"
)

// streamState is what a Conn without an EventHandler has beside: the parts of
// messages that were received and not read, and who waits for what.
type streamState struct {
	token  chan struct{} // held by whoever reads from the transport
	writer chan struct{} // held by whoever writes a message

	// Under Conn.deliver.
	parts     []part
	queued    int // bytes in parts
	pings     []*ping
	pingCount uint64

	closed    chan struct{} // closed when the connection ended
	message   []byte        // of a Read that was cancelled inside a message
	inMessage bool
	readLimit atomic.Int64
	lingers   atomic.Bool // a goroutine reads on after the end, or will
}

func newStreamState() *streamState {
	return &streamState{
		token: make(chan struct{}, 1), writer: make(chan struct{}, 1), closed: make(chan struct{}),
	}
}

// reading reports whether somebody reads from the transport.
func (s *streamState) reading() bool { return len(s.token) > 0 }

func (s *streamState) push(p part) {
	s.parts = append(s.parts, p)
	s.queued += len(p.payload)
}

// pop returns the next part.
func (s *streamState) pop() (part, bool) {
	if len(s.parts) == 0 {
		return part{}, false
	}
	p := s.parts[0]
	s.parts[0] = part{}
	s.queued -= len(p.payload)
	if s.parts = s.parts[1:]; len(s.parts) == 0 {
		s.parts = nil
	}
	return p, true
}

func (s *streamState) pong(p []byte) {
	if len(p) != 8 {
		return // not an answer to one of ours
	}
	id := binary.BigEndian.Uint64(p)
	for i, w := range s.pings {
		if w.id == id {
			close(w.pong)
			s.pings = append(s.pings[:i], s.pings[i+1:]...)
			return
		}
	}
}

func (s *streamState) close(*CloseError) { close(s.closed) }

// acquire takes a token.
func (c *Conn) acquire(ctx context.Context, token chan struct{}) error {
	select {
	case token <- struct{}{}:
		return nil
	default:
	}
	select {
	case token <- struct{}{}:
		return nil
	case <-c.stream.closed:
		return c.closedError()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// SetReadLimit sets the most bytes of one message that Read returns; a longer one
// fails the connection with 1009. It cannot exceed Limits.MessageLimit, which
// also holds while it is 0.
func (c *Conn) SetReadLimit(n int64) {
	if c.stream != nil {
		c.stream.readLimit.Store(n)
	}
}

// Read waits for a message and returns it, whole. A Read that ctx ends leaves the
// connection, and the message that was arriving, to the next Read.
//
// When the connection has ended the error is a *CloseError.
func (c *Conn) Read(ctx context.Context) (MessageType, []byte, error) {
	if c.stream == nil {
		return 0, nil, ErrEventStyle
	}
	if err := c.acquire(ctx, c.stream.token); err != nil {
		return 0, nil, err
	}
	defer func() { <-c.stream.token }()
	s := c.stream
	for {
		p, err := c.nextPart(ctx)
		if err != nil {
			return 0, nil, err
		}
		if limit := s.readLimit.Load(); limit > 0 && int64(len(s.message)+len(p.payload)) > limit {
			err := &LimitError{CodeMessageTooBig, "SetReadLimit", uint64(limit), uint64(len(s.message) + len(p.payload))}
			_ = c.closeFrame(CodeMessageTooBig, "")
			c.leaveReading()
			return 0, nil, err
		}
		if p.first && p.last {
			return messageType(p.kind), p.payload, nil
		}
		s.message = append(s.message, p.payload...)
		if p.last {
			m := s.message
			s.message = nil
			return messageType(p.kind), m, nil
		}
	}
}

// Reader waits for a message and returns its type and a reader of it. The message
// is not held in memory whole. It must be read to its end, or the next Reader
// skips what is left. ctx governs the reading as well.
func (c *Conn) Reader(ctx context.Context) (MessageType, io.Reader, error) {
	if c.stream == nil {
		return 0, nil, ErrEventStyle
	}
	if err := c.acquire(ctx, c.stream.token); err != nil {
		return 0, nil, err
	}
	defer func() { <-c.stream.token }()
	for {
		p, err := c.nextPart(ctx)
		if err != nil {
			return 0, nil, err
		}
		if p.first {
			c.stream.inMessage = !p.last
			return messageType(p.kind), &messageReader{ctx: ctx, c: c, rest: p.payload, last: p.last}, nil
		}
	}
}

// messageReader reads one message.
type messageReader struct {
	ctx  context.Context
	c    *Conn
	rest []byte
	last bool
}

func (r *messageReader) Read(b []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.last {
			return 0, io.EOF
		}
		if err := r.c.acquire(r.ctx, r.c.stream.token); err != nil {
			return 0, err
		}
		p, err := r.c.nextPart(r.ctx)
		<-r.c.stream.token
		if err != nil {
			return 0, err
		}
		r.rest, r.last = p.payload, p.last
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// nextPart waits for a part of a message. The caller holds the token.
func (c *Conn) nextPart(ctx context.Context) (part, error) {
	for {
		c.deliver.Lock()
		p, ok := c.stream.pop()
		c.deliver.Unlock()
		if ok {
			return p, nil
		}
		if e := c.end.Load(); e != nil {
			c.leaveReading()
			return part{}, e
		}
		if err := c.fill(ctx); err != nil {
			return part{}, err
		}
	}
}

// fill waits for bytes and handles them. It returns an error only if ctx ended:
// how the connection ended is in c.end. The caller holds the token.
func (c *Conn) fill(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var interrupted chan struct{}
	stop := func() bool { return true }
	if ctx.Done() != nil {
		interrupted = make(chan struct{})
		stop = context.AfterFunc(ctx, func() {
			c.tr.(waiter).interrupt()
			close(interrupted)
		})
	}
	l, n, err := c.receive()
	if !stop() {
		<-interrupted
		c.tr.(waiter).resume()
		if err != nil && isTimeout(err) {
			return ctx.Err()
		}
	}
	if err != nil {
		c.ended(err)
		return nil
	}
	c.input(l, n)
	return nil
}
