package http2client

import (
	"io"
	"net"
	"os"
)

// Read reads what has arrived, waiting until there is something. It returns io.EOF
// after the server has ended the stream, and otherwise after what has arrived: a
// *StreamError, the connection's error, or net.ErrClosed. The server may send as
// much more as was read.
func (s *Stream) Read(p []byte) (int, error) {
	c := s.conn
	c.mu.Lock()
	defer c.unlock()
	if len(p) == 0 {
		return 0, nil
	}
	if err := s.waitReadable(); err != nil {
		return 0, err
	}
	n := s.received.read(p)
	s.returnWindow(n)
	return n, nil
}

// WaitReadable waits until there is something to read, or returns the error that
// Read would, io.EOF among them. So one who waits needs no buffer.
func (s *Stream) WaitReadable() error {
	s.conn.mu.Lock()
	defer s.conn.unlock()
	return s.waitReadable()
}

// waitReadable is WaitReadable for who holds conn.mu.
func (s *Stream) waitReadable() error {
	for {
		switch {
		case s.closed:
			return net.ErrClosed
		case s.readDeadline.passed:
			return os.ErrDeadlineExceeded
		case s.received.size > 0:
			return nil
		case s.recvEnded:
			return io.EOF
		case s.err != nil:
			return s.err
		}
		s.conn.wait(&s.readable)
	}
}

// Buffered returns how many bytes have arrived and are unread.
func (s *Stream) Buffered() int {
	s.conn.mu.Lock()
	defer s.conn.unlock()
	return s.received.size
}

// receiveDATA takes payload, and the end of the stream. The caller holds mu.
func (c *Conn) receiveDATA(s *Stream, b []byte, ends bool) {
	if s.err != nil || s.closed {
		return // meanwhile
	}
	if len(b) > 0 {
		s.received.write(b)
		s.readable.Broadcast()
	}
	if ends {
		c.receiveEnd(s)
	}
}

// receiveEnd takes END_STREAM. The caller holds mu.
func (c *Conn) receiveEnd(s *Stream) {
	s.recvEnded = true
	s.readable.Broadcast()
	if s.sentEnd {
		c.remove(s)
	}
}

// returnWindow lets the server send n bytes more. It says so when it is half of
// the window, so that a reader of small pieces causes few frames. The caller holds
// conn.mu.
func (s *Stream) returnWindow(n int) {
	if s.recvEnded || s.err != nil {
		return
	}
	c := s.conn
	s.recvUnreturned += int64(n)
	if 2*s.recvUnreturned >= int64(c.config.StreamWindow) && s.recvUnreturned > 0 {
		_ = c.overtaking().WriteWindowUpdate(s.id, uint32(s.recvUnreturned))
		c.work.Signal()
		s.recvWindow += s.recvUnreturned
		s.recvUnreturned = 0
	}
}
