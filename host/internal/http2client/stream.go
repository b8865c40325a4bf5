package http2client

import (
	"net"
	"sync"
	"time"
)

// A Stream is a net.Conn whose bytes are the DATA frames of a stream. Its methods
// may be called by any number of goroutines at a time.
type Stream struct {
	conn    *Conn
	writing sync.Mutex // held during a Write, so that each is whole

	// The connection's mu guards what follows.
	id      uint32  // 0: the request was not sent
	request []Field // until it is sent

	err      error // why the stream ended before it was complete
	closed   bool  // Close was called
	response *Response
	interim  int // 1xx responses

	readable       sync.Cond
	readDeadline   deadline
	received       blockQueue
	recvWindow     int64 // what the server may send
	recvUnreturned int64 // what was read and has not been given back
	recvEnded      bool  // END_STREAM arrived

	writable      sync.Cond
	writeDeadline deadline
	pending       []byte // what is left of a Write that waits
	sendWindow    int64
	endAsked      bool // CloseWrite was called
	sentEnd       bool // END_STREAM is on its way

	queue      *streamQueue // that it waits in, or nil
	prev, next *Stream
}

var _ net.Conn = (*Stream)(nil)

// Close ends the stream and releases what it holds. Unless both sides have ended
// it before, the server is told that nothing more will be read or written, by
// RST_STREAM with CANCEL: call CloseWrite, and read to the end, to say less. What
// was written before still leaves, but the server may drop it. Calls that wait
// return net.ErrClosed. It returns nil.
func (s *Stream) Close() error {
	c := s.conn
	c.mu.Lock()
	defer c.unlock()
	if s.closed {
		return nil
	}
	c.abandon(s, net.ErrClosed)
	s.release()
	return nil
}

// release frees what a stream that has ended holds. The caller holds conn.mu.
func (s *Stream) release() {
	s.closed = true
	s.received.clear()
	s.readDeadline.stop()
	s.writeDeadline.stop()
	s.wake()
}

// fail ends the stream with err. What has arrived can still be read. The caller
// holds conn.mu, and removes it from conn.
func (s *Stream) fail(err error) {
	if s.err == nil {
		s.err = err
	}
	if s.queue != nil {
		s.queue.remove(s)
	}
	s.wake()
}

func (s *Stream) wake() {
	s.readable.Broadcast()
	s.writable.Broadcast()
}

// LocalAddr returns that of the connection.
func (s *Stream) LocalAddr() net.Addr { return s.conn.nc.LocalAddr() }

// RemoteAddr returns that of the connection.
func (s *Stream) RemoteAddr() net.Addr { return s.conn.nc.RemoteAddr() }

// SetDeadline sets both deadlines.
func (s *Stream) SetDeadline(t time.Time) error {
	return s.setDeadlines(t, &s.readDeadline, &s.writeDeadline)
}

// SetReadDeadline sets when Read and WaitReadable give up, with an error that
// matches os.ErrDeadlineExceeded; zero is never. It concerns calls that wait, too.
// The stream is as it was, and another deadline makes it readable again.
func (s *Stream) SetReadDeadline(t time.Time) error { return s.setDeadlines(t, &s.readDeadline) }

// SetWriteDeadline sets when Write gives up, as SetReadDeadline does for Read. It
// is how to end a Write to a server that opens no window.
func (s *Stream) SetWriteDeadline(t time.Time) error { return s.setDeadlines(t, &s.writeDeadline) }

func (s *Stream) setDeadlines(t time.Time, deadlines ...*deadline) error {
	s.conn.mu.Lock()
	defer s.conn.unlock()
	if s.closed {
		return net.ErrClosed
	}
	for _, d := range deadlines {
		waiters := &s.readable
		if d == &s.writeDeadline {
			waiters = &s.writable
		}
		d.set(t, waiters)
	}
	return nil
}

// A streamQueue holds streams in the order in which they came. A stream is in one
// at most.
type streamQueue struct {
	first, last *Stream
	size        int
}

func (q *streamQueue) push(s *Stream) {
	s.queue, s.prev, s.next = q, q.last, nil
	if q.last == nil {
		q.first = s
	} else {
		q.last.next = s
	}
	q.last = s
	q.size++
}

// pop returns the first stream, or nil.
func (q *streamQueue) pop() *Stream {
	s := q.first
	if s != nil {
		q.remove(s)
	}
	return s
}

func (q *streamQueue) remove(s *Stream) {
	if s.prev == nil {
		q.first = s.next
	} else {
		s.prev.next = s.next
	}
	if s.next == nil {
		q.last = s.prev
	} else {
		s.next.prev = s.prev
	}
	s.queue, s.prev, s.next = nil, nil, nil
	q.size--
}
