package host

import (
	"context"
	"io"
	"unicode/utf8"

	"github.com/wasock/wasock/hostcalls"
)

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
