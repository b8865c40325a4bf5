package http2client

import (
	"context"

	"golang.org/x/net/http2"
)

// A Reservation is room for one stream, which nobody else can take. Use it with
// Open or give it back with Release.
type Reservation struct {
	conn *Conn
	used bool // under conn.mu
}

// Reserve takes room for one stream. It does not wait: call WaitSettings first.
// Its errors say why there is none: ErrTooManyStreams, ErrNoExtendedConnect,
// ErrTooManyResets, ErrStreamsUsedUp, or the connection's end.
func (c *Conn) Reserve() (*Reservation, error) {
	c.mu.Lock()
	defer c.unlock()
	if err := c.refusal(); err != nil {
		return nil, &unsentError{err}
	}
	c.reserved++
	return &Reservation{conn: c}, nil
}

// Release gives the room back, unless it was used.
func (r *Reservation) Release() {
	c := r.conn
	c.mu.Lock()
	defer c.unlock()
	if !r.used {
		r.used = true
		c.reserved--
		c.changed = true
	}
}

// Open waits for the server's SETTINGS, sends an Extended CONNECT, and waits for
// the response. 1xx responses are skipped.
//
// There is a stream if the error is nil: the status is 2xx. The caller ends it
// with Close. If the server refused, the error is a *StatusError, and the Response
// says more; what may follow it is not read. Other errors come without a Response:
// those of Reserve, ctx's, ErrRequest, a *StreamError, or the connection's end. To
// all of them Unprocessed has an answer.
//
// ctx is of no concern to the stream once Open has returned.
func (c *Conn) Open(ctx context.Context, req Request) (*Stream, *Response, error) {
	if _, err := c.WaitSettings(ctx); err != nil {
		return nil, nil, &unsentError{err}
	}
	r, err := c.Reserve()
	if err != nil {
		return nil, nil, err
	}
	return r.Open(ctx, req)
}

// Open is as that of Conn, in the room that was reserved. It uses the reservation,
// whatever it returns.
func (r *Reservation) Open(ctx context.Context, req Request) (*Stream, *Response, error) {
	fields, err := req.fields()
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		r.Release()
		return nil, nil, &unsentError{err}
	}
	c := r.conn
	c.mu.Lock()
	s, err := r.newStream(fields)
	if err != nil {
		c.unlock()
		return nil, nil, &unsentError{err}
	}
	canceled := false
	stop := context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.unlock()
		canceled = true
		s.readable.Broadcast()
	})
	defer stop()
	c.heads.push(s)
	c.fill()
	for s.response == nil && s.err == nil && !canceled {
		c.wait(&s.readable)
	}
	resp, err := s.response, s.err
	switch {
	case resp != nil && resp.Status/100 == 2:
		c.unlock()
		return s, resp, nil
	case resp != nil:
		c.refused(s)
		c.unlock()
		return nil, resp, &StatusError{Status: resp.Status}
	case err == nil:
		if err = ctx.Err(); s.id == 0 {
			err = &unsentError{err}
		}
		c.abandon(s, err)
	}
	c.unlock()
	return nil, nil, err
}

// newStream turns the reservation into a stream. The caller holds conn.mu.
func (r *Reservation) newStream(fields []Field) (*Stream, error) {
	c := r.conn
	if r.used {
		return nil, errReservationUsed
	}
	r.used = true
	c.reserved--
	if err := c.refusal(); err != nil {
		c.changed = true
		return nil, err
	}
	size := 0
	for _, f := range fields {
		size += int(f.Size())
	}
	// https://www.rfc-editor.org/rfc/rfc9113.html#section-10.5.1: the server would
	// refuse it, or lose the connection over it.
	if uint64(size) > uint64(c.peer.headerListSize) {
		c.changed = true
		return nil, requestError("its fields have %d bytes, and the server takes %d", size, c.peer.headerListSize)
	}
	s := &Stream{conn: c, request: fields, recvWindow: int64(c.config.StreamWindow)}
	s.readable.L, s.writable.L = &c.mu, &c.mu
	c.open++
	return s, nil
}

// refused ends a stream whose response is not 2xx. The caller holds mu.
func (c *Conn) refused(s *Stream) {
	c.abandon(s, ErrClosed)
	s.release()
}

// abandon ends a stream that its own side wants no more. The caller holds mu.
func (c *Conn) abandon(s *Stream, err error) {
	if s.err != nil || s.recvEnded && s.sentEnd {
		return
	}
	// Reserve looks at these. A server that has ended its side has nothing left to do
	// for the stream, and END_STREAM instead of a reset is what some fail over that
	// have forgotten it by then: libwebsockets 4.1, hypercorn 0.18.
	if s.id != 0 && !s.recvEnded {
		c.ownResets.take()
	}
	c.reset(s, http2.ErrCodeCancel, err)
}

// reset ends s with err, and tells the server if it knows of s. The caller holds
// mu.
func (c *Conn) reset(s *Stream, code http2.ErrCode, err error) {
	if s.id != 0 {
		_ = c.output().WriteRSTStream(s.id, code)
		c.work.Signal()
		// What the server sent before it hears of this is not held against it.
		if !s.recvEnded {
			c.strayWindow += s.recvWindow
			c.useless.expect(strayFrames)
		}
	}
	s.fail(err)
	c.remove(s)
}

// strayFrames is how many frames that are not DATA a server may have under way on
// a stream: a 1xx response, the response, an empty END_STREAM, RST_STREAM.
const strayFrames = 4

// remove forgets a stream that has ended. The caller holds mu.
func (c *Conn) remove(s *Stream) {
	delete(c.streams, s.id)
	c.open--
	c.changed = true
	c.endIfIdle()
}
