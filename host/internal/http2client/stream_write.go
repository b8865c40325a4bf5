package http2client

import (
	"net"
	"os"
)

// Write sends p in DATA frames. It returns when the connection has taken all of
// it, to be written in a moment, and waits for the server's windows and for other
// streams' turns before. Its error says why it took less: os.ErrDeadlineExceeded,
// after which the stream is as usable as before, a *StreamError, net.ErrClosed
// after CloseWrite or Close, or the connection's. p is not kept.
func (s *Stream) Write(p []byte) (int, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	c := s.conn
	c.mu.Lock()
	defer c.unlock()
	if err := s.offer(p); err != nil {
		return 0, err
	}
	for len(s.pending) > 0 {
		if err := s.writeError(); err != nil {
			n := len(p) - len(s.pending)
			s.takeBack()
			return n, err
		}
		c.wait(&s.writable)
	}
	s.pending = nil
	return len(p), nil
}

// TryWrite is Write without waiting: it sends what the windows and the room there
// is take of p at once, and nothing while a Write waits. It returns how much that
// was. The error is as Write's.
func (s *Stream) TryWrite(p []byte) (int, error) {
	if !s.writing.TryLock() {
		return 0, nil
	}
	defer s.writing.Unlock()
	s.conn.mu.Lock()
	defer s.conn.unlock()
	if err := s.offer(p); err != nil {
		return 0, err
	}
	n := len(p) - len(s.pending)
	s.takeBack()
	return n, nil
}

// offer makes p what is pending, and sends what can be sent of it at once. The caller
// holds conn.mu.
func (s *Stream) offer(p []byte) error {
	if s.endAsked {
		return net.ErrClosed
	}
	if err := s.writeError(); err != nil {
		return err
	}
	s.pending = p
	s.conn.enqueue(s)
	s.conn.fill()
	return nil
}

// writeError returns why nothing can be written. The caller holds conn.mu.
func (s *Stream) writeError() error {
	switch {
	case s.closed:
		return net.ErrClosed
	case s.err != nil:
		return s.err
	case s.conn.writeErr != nil:
		return &lostError{err: s.conn.writeErr, goAway: s.conn.goAway}
	case s.writeDeadline.passed:
		return os.ErrDeadlineExceeded
	}
	return nil
}

// takeBack gives up what is pending. The caller holds conn.mu.
func (s *Stream) takeBack() {
	s.pending = nil
	if s.queue != nil {
		s.queue.remove(s)
	}
	if s.endAsked && !s.sentEnd && s.err == nil && !s.closed {
		s.endAsked = false
		s.conn.sendEnd(s)
	}
}

// CloseWrite ends our side of the stream, with END_STREAM after what was written
// or is being written. The server's side stays open. It does not wait.
// https://www.rfc-editor.org/rfc/rfc8441.html#section-4: it is TCP's FIN.
func (s *Stream) CloseWrite() error {
	c := s.conn
	c.mu.Lock()
	defer c.unlock()
	switch {
	case s.closed:
		return net.ErrClosed
	case s.err != nil:
		return s.err
	}
	c.sendEnd(s)
	return nil
}
