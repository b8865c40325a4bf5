package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"time"
)

// A serverStream is the transport over an Extended CONNECT request that net/http
// or x/net/http2 serves: what arrives is the request's body, what is sent is the
// response's. RFC 8441 §5.
//
// The stream lives as long as the request's handler. Its write side has no other
// end than the handler's, so closeWrite ends the connection, and Done then lets
// the handler return. What the peer had on its way is lost then: RFC 9113 §8.1
// lets a server answer before it has read all.
type serverStream struct {
	body    io.ReadCloser
	w       http.ResponseWriter
	control *http.ResponseController
	ctx     context.Context // of the request: done when the stream or its handler ends

	local, remote net.Addr

	buf  []byte // what fill reads into; its caller's
	ends chan struct{}
	once sync.Once

	// pump reads for a connection whose receive is interrupted at times: one of
	// net/http's deadlines cannot be taken back, it ends the stream. It is nil in
	// the event style, which needs no goroutine for that.
	pump *bodyPump

	writing sync.Mutex // held while w is used, which it is not once ends is closed
}

// newServerStream answers r, as the engine decided, and returns its stream.
func newServerStream(w http.ResponseWriter, r *http.Request, status int, fields http.Header, interrupts bool) (*serverStream, error) {
	s := &serverStream{body: r.Body, w: w, control: http.NewResponseController(w), ctx: r.Context(), ends: make(chan struct{})}
	s.local, _ = r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if a, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		s.remote = net.TCPAddrFromAddrPort(a)
	}
	for name, values := range fields {
		w.Header()[name] = values
	}
	w.WriteHeader(status)
	if err := s.control.Flush(); err != nil {
		return nil, err
	}
	// A server's own deadlines are for requests that end. The engine has timers.
	_ = s.control.SetReadDeadline(time.Time{})
	_ = s.control.SetWriteDeadline(time.Time{})
	if interrupts {
		s.pump = &bodyPump{filled: make(chan filled), taken: make(chan struct{}), interrupted: make(chan struct{})}
		go s.pump.run(s)
	}
	return s, nil
}

// Sizes of the buffer that the body is read into, which is held while nothing
// arrives: it is small until much does.
const (
	idleBodyBuffer = 512
	maxBodyBuffer  = 16 << 10 // the most that a DATA frame holds by default
)

// fill waits for bytes and returns them. They are valid until the next fill.
func (s *serverStream) fill() ([]byte, error) {
	if s.buf == nil {
		s.buf = make([]byte, idleBodyBuffer)
	}
	b := s.buf
	n, err := s.body.Read(b)
	switch {
	case n == len(b) && n < maxBodyBuffer:
		s.buf = make([]byte, maxBodyBuffer)
	case n < idleBodyBuffer && len(b) > idleBodyBuffer:
		s.buf = nil
	}
	if n > 0 {
		return b[:n], nil
	}
	select {
	case <-s.ends:
		return nil, io.EOF // we closed it
	default:
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return nil, err
}

func (s *serverStream) receive(inst *instance) (*lane, int, error) {
	var b []byte
	var err error
	if s.pump != nil {
		b, err = s.pump.receive(s)
	} else {
		b, err = s.fill()
	}
	if err != nil {
		return nil, 0, err
	}
	l := inst.lanes.get()
	n := copy(l.rx, b)
	if s.pump != nil {
		s.pump.release(s)
	}
	return l, n, nil
}

func (s *serverStream) tryWrite(bufs [][]byte) ([][]byte, error) { return bufs, nil }

// write writes b, which waits for the peer's flow-control window.
func (s *serverStream) write(b []byte) (err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	select {
	case <-s.ends:
		return net.ErrClosed
	case <-s.ctx.Done():
		return errHandlerReturned
	default:
	}
	defer func() {
		// net/http panics where a handler has returned, which a caller of Accept may
		// do too early at any time.
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errHandlerReturned, p)
		}
	}()
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	return s.control.Flush()
}

var errHandlerReturned = errors.New("websocket: the request's HTTP/2 stream ended, or its handler returned: over HTTP/2 it waits for Conn.Done")

func (s *serverStream) closeWrite() error { return s.close() }

func (s *serverStream) close() error {
	s.once.Do(func() {
		close(s.ends)
		_ = s.body.Close()
		if !s.writing.TryLock() {
			s.cutWrite()
			return
		}
		s.writing.Unlock()
	})
	return nil
}

// cutWrite ends a write that waits for the peer's window. It resets the stream.
func (s *serverStream) cutWrite() {
	defer func() { _ = recover() }() // as in write
	_ = s.control.SetWriteDeadline(longAgo)
}

// detach closes s and waits until w is in nobody's use, for a handler that is
// about to return.
func (s *serverStream) detach() {
	_ = s.close()
	s.writing.Lock()
	defer s.writing.Unlock()
}

func (s *serverStream) localAddr() net.Addr  { return s.local }
func (s *serverStream) remoteAddr() net.Addr { return s.remote }

func (s *serverStream) interrupt() {
	if s.pump != nil {
		s.pump.interrupt()
	}
}

func (s *serverStream) resume() {
	if s.pump != nil {
		s.pump.resume()
	}
}

// A bodyPump fills a serverStream's buffer ahead of its reader, once, so that the
// reader can give up waiting.
type bodyPump struct {
	filled chan filled
	taken  chan struct{}
	err    error // of the last fill; the reader's

	mu          sync.Mutex
	interrupted chan struct{} // closed while receive is not to wait
}

type filled struct {
	b   []byte
	err error
}

func (p *bodyPump) run(s *serverStream) {
	for {
		b, err := s.fill()
		select {
		case p.filled <- filled{b, err}:
		case <-s.ends:
			return
		}
		if err != nil {
			return
		}
		select {
		case <-p.taken:
		case <-s.ends:
			return
		}
	}
}

// receive waits for bytes, which are valid until release.
func (p *bodyPump) receive(s *serverStream) ([]byte, error) {
	if p.err != nil {
		return nil, p.err
	}
	p.mu.Lock()
	interrupted := p.interrupted
	p.mu.Unlock()
	select {
	case f := <-p.filled:
		p.err = f.err
		return f.b, f.err
	case <-s.ends:
		return nil, io.EOF
	case <-interrupted:
		return nil, os.ErrDeadlineExceeded
	}
}

func (p *bodyPump) release(s *serverStream) {
	select {
	case p.taken <- struct{}{}:
	case <-s.ends:
	}
}

func (p *bodyPump) interrupt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.interrupted)
}

func (p *bodyPump) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.interrupted = make(chan struct{})
}
