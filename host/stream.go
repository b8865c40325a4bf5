package host

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/wasock/wasock/hostcalls"
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

// A ping is a Ping frame whose Pong is awaited.
type ping struct {
	id   uint64
	pong chan struct{}
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
			c.linger()
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
			c.linger()
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
			_ = c.tr.setReadDeadline(longAgo)
			close(interrupted)
		})
	}
	l, n, err := c.receive()
	if !stop() {
		<-interrupted
		_ = c.tr.setReadDeadline(time.Time{})
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

// linger reads on after the end of the connection, so that the peer sees our last
// frames and the transport ends in order. It returns at once.
func (c *Conn) linger() {
	c.mu.Lock()
	finished := c.finished
	c.mu.Unlock()
	if finished {
		return
	}
	if c.stream.lingers.Swap(true) {
		return
	}
	go func() {
		c.stream.token <- struct{}{} // who reads finds out that the connection ended
		c.serve()
		<-c.stream.token
	}()
}

// Write sends a message, waiting while more than SendLimit bytes are buffered. A
// Write that ctx ends before it began sending sends nothing; one that ctx ends
// later has sent the message, or leaves the rest of it to the buffer. Either way
// the connection stays usable.
func (c *Conn) Write(ctx context.Context, t MessageType, p []byte) error {
	if err := checkMessage(t, p); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.stream != nil {
		if err := c.acquire(ctx, c.stream.writer); err != nil {
			return err
		}
		defer func() { <-c.stream.writer }()
	}
	for {
		// Other senders may have filled the queue since it was drained.
		err := c.send(uint8(t), hostcalls.SendFIN, p)
		if err != ErrSendQueueFull {
			return err
		}
		if err := c.drained(ctx); err != nil {
			return err
		}
	}
}

// drained waits until no more than SendLimit bytes are buffered.
func (c *Conn) drained(ctx context.Context) error {
	for {
		c.mu.Lock()
		if c.ReadyState() != StateOpen {
			c.mu.Unlock()
			return c.closedError()
		}
		if c.out.err != nil {
			err := c.out.err
			c.mu.Unlock()
			return err
		}
		if c.out.buffered() <= c.limits.sendLimit() {
			c.mu.Unlock()
			return nil
		}
		wait := c.out.wait()
		c.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Writer returns a writer of one message, which is sent in fragments as it is
// written, and ends when the writer is closed. Until then other writers wait.
func (c *Conn) Writer(ctx context.Context, t MessageType) (io.WriteCloser, error) {
	if err := checkMessage(t, nil); err != nil {
		return nil, err
	}
	if c.stream == nil {
		return nil, ErrEventStyle
	}
	if err := c.acquire(ctx, c.stream.writer); err != nil {
		return nil, err
	}
	return &messageWriter{ctx: ctx, c: c, op: uint8(t), text: t == MessageText}, nil
}

// messageWriter writes one message.
type messageWriter struct {
	ctx  context.Context
	c    *Conn
	op   uint8
	text bool
	tail []byte // the beginning of a character that Write's argument ended in
	done bool
}

func (w *messageWriter) Write(p []byte) (int, error) {
	if w.done {
		return 0, ErrClosed
	}
	if err := w.c.drained(w.ctx); err != nil {
		return 0, err
	}
	b := p
	if w.text {
		var ok bool
		if b, ok = w.wholeText(p); !ok {
			return 0, ErrInvalidUTF8
		}
	}
	if len(b) > 0 {
		if err := w.c.send(w.op, 0, b); err != nil {
			return 0, err
		}
		w.op = hostcalls.OpContinuation
	}
	return len(p), nil
}

// wholeText returns the characters that p completes and keeps the rest.
func (w *messageWriter) wholeText(p []byte) ([]byte, bool) {
	b := p
	if len(w.tail) > 0 {
		b = append(w.tail, p...)
	}
	whole := len(b)
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if c := b[len(b)-i]; utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRune(b[len(b)-i:]) {
				whole -= i
			}
			break
		}
	}
	w.tail = append([]byte(nil), b[whole:]...)
	return b[:whole], utf8.Valid(b[:whole])
}

// Close ends the message.
func (w *messageWriter) Close() error {
	if w.done {
		return nil
	}
	w.done = true
	defer func() { <-w.c.stream.writer }()
	if len(w.tail) > 0 {
		return ErrInvalidUTF8
	}
	return w.c.send(w.op, hostcalls.SendFIN, nil)
}

// Ping sends a Ping and waits for its Pong; it returns the time between. It needs
// no Read beside it: what arrives meanwhile is kept for the next Read.
func (c *Conn) Ping(ctx context.Context) (time.Duration, error) {
	if c.stream == nil {
		return 0, ErrEventStyle
	}
	c.deliver.Lock()
	c.stream.pingCount++
	w := &ping{id: c.stream.pingCount, pong: make(chan struct{})}
	c.stream.pings = append(c.stream.pings, w)
	c.deliver.Unlock()
	defer c.forgetPing(w)

	start := time.Now()
	if err := c.SendPing(binary.BigEndian.AppendUint64(nil, w.id)); err != nil {
		return 0, err
	}
	for {
		select {
		case <-w.pong:
			return time.Since(start), nil
		case <-c.stream.closed:
			return 0, c.closedError()
		case <-ctx.Done():
			return 0, ctx.Err()
		case c.stream.token <- struct{}{}: // nobody reads: do it here
			err := c.fillUntil(ctx, w.pong)
			<-c.stream.token
			if err != nil {
				return 0, err
			}
		}
	}
}

// maxUnread is how many bytes of messages Ping keeps for Read while it looks for
// its Pong among them.
const maxUnread = 1 << 20

var errUnread = errors.New("websocket: no Pong yet, and 1 MiB of messages waits for Read")

// fillUntil handles input until done is closed or the connection ended.
func (c *Conn) fillUntil(ctx context.Context, done <-chan struct{}) error {
	for {
		select {
		case <-done:
			return nil
		case <-c.stream.closed:
			return nil
		default:
		}
		c.deliver.Lock()
		full := c.stream.queued > maxUnread
		c.deliver.Unlock()
		if full {
			return errUnread
		}
		if err := c.fill(ctx); err != nil {
			return err
		}
	}
}

func (c *Conn) forgetPing(w *ping) {
	c.deliver.Lock()
	defer c.deliver.Unlock()
	for i, x := range c.stream.pings {
		if x == w {
			c.stream.pings = append(c.stream.pings[:i], c.stream.pings[i+1:]...)
			return
		}
	}
}

// SendPing sends a Ping with p, at most 125 bytes, without waiting for the Pong,
// which an EventHandler receives.
func (c *Conn) SendPing(p []byte) error {
	if len(p) > 125 {
		return ErrInvalidArgument
	}
	return c.send(hostcalls.OpPing, hostcalls.SendFIN, p)
}

// closeFrame sends a Close frame.
func (c *Conn) closeFrame(code CloseCode, reason string) error {
	if len(reason) > 123 {
		return ErrInvalidArgument
	}
	l := c.inst.lanes.get()
	defer c.inst.lanes.put(l)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cork != nil {
		if err := c.uncork(c.cork); err != nil && !errors.Is(err, ErrClosed) {
			return err
		}
	}
	n := copy(l.tx, reason)
	r := c.call(l, c.inst.fn.connClose, uint64(code), uint64(n), uint64(now()))
	switch e := hostcalls.Errno(-r); {
	case r >= 0 || e == hostcalls.EBADF:
		c.state.CompareAndSwap(int32(StateOpen), int32(StateClosing))
		return nil
	default:
		return callError(e)
	}
}

// Close starts the closing handshake with code and reason; CodeNoStatus sends no
// code. With an EventHandler it returns at once, and OnClose follows. Otherwise
// it waits for the peer's answer, at most Limits.CloseTimeout, and discards the
// messages that arrive meanwhile; the error is nil if the handshake completed.
//
// ErrInvalidArgument is returned for a code that must not be sent, or a reason
// of more than 123 bytes.
func (c *Conn) Close(code CloseCode, reason string) error {
	if !utf8.ValidString(reason) {
		return ErrInvalidUTF8
	}
	if err := c.closeFrame(code, reason); err != nil {
		return err
	}
	if c.stream == nil {
		return nil
	}
	select {
	case <-c.stream.closed:
	case c.stream.token <- struct{}{}:
		err := c.fillUntil(context.Background(), c.stream.closed)
		<-c.stream.token
		if err != nil {
			return err
		}
	}
	<-c.stream.closed
	c.linger()
	if e := c.end.Load(); !e.WasClean {
		return e
	}
	return nil
}

// CloseNow ends the connection without a closing handshake: the peer sees the
// transport end. RFC 6455 §7.1.7.
func (c *Conn) CloseNow() error {
	if c.end.Load() != nil {
		// It ended already. Our answer to the peer's Close may still be on its way,
		// and the transport closes by itself.
		if c.stream != nil {
			c.linger()
		}
		return nil
	}
	c.kill(ErrClosed)
	return nil
}

// kill ends the connection here and now.
func (c *Conn) kill(err error) {
	c.abort(err)
	if c.stream == nil {
		return // whoever serves it finds out, and OnClose follows
	}
	c.deliver.Lock()
	defer c.deliver.Unlock()
	c.lost(hostcalls.EBADF.Ret())
}
