package host

import (
	"errors"
	"net"
	"sync"
	"time"
)

// A transport carries the bytes of one connection. It is a waiter, or a selfFlusher
// whose poller reads as well.
type transport interface {
	// tryWrite writes what can be written without waiting and returns the rest.
	tryWrite(bufs [][]byte) (rest [][]byte, err error)

	// closeWrite closes the write side.
	closeWrite() error

	// close closes the transport and ends a receive or a write that waits.
	close() error

	localAddr() net.Addr
	remoteAddr() net.Addr
}

// A waiter is a transport that is read and written by goroutines that wait.
type waiter interface {
	// receive waits until bytes have arrived and returns a lane of inst with n
	// of them in rx. While it waits it holds no lane and, where the transport
	// allows it, no buffer. One goroutine at a time calls it.
	receive(inst *instance) (l *lane, n int, err error)

	// interrupt ends a receive that waits with os.ErrDeadlineExceeded, and those to
	// come until resume.
	interrupt()
	resume()

	// write writes all of b. One goroutine at a time calls it, and none calls
	// tryWrite meanwhile.
	write(b []byte) error
}

// A selfFlusher is a transport that calls flushReady when it takes more, so that
// no flusher is needed.
type selfFlusher interface{ flushWhenReady(bool) }

// newTransport returns the fastest transport for nc.
func newTransport(nc net.Conn) transport {
	if t := newRawTransport(nc); t != nil {
		return t
	}
	t := &connTransport{nc: nc}
	t.wait, t.writable = readiness(nc)
	return t
}

// readBuffers are the buffers that connTransports read into. A TLS record holds
// 16 KiB at most.
var readBuffers = sync.Pool{New: func() any { b := make([]byte, 16<<10); return &b }}

// connTransport is a transport over any net.Conn: TLS, pipes, and TCP where the
// system has no readiness to wait for. It reads into a buffer of its own, and
// leaves writing to the flusher, since Write may wait, unless it is certain that it
// does not.
type connTransport struct {
	nc net.Conn

	// wait waits until nc's socket is readable, so that an idle connection holds
	// no buffer. It is nil where there is no telling.
	wait func() error

	// writable reports whether nc's socket takes atOnce bytes without waiting. It is
	// nil where there is no telling.
	writable func() bool

	buffered bool // there may be bytes in nc, above its socket
}

func (t *connTransport) receive(inst *instance) (*lane, int, error) {
	for {
		buffered := t.buffered
		if t.wait != nil && !buffered {
			if err := t.wait(); err != nil {
				return nil, 0, err
			}
		}
		b := readBuffers.Get().(*[]byte)
		n, err := t.read(*b, buffered)
		if n > 0 {
			t.buffered = t.wait != nil
			l := inst.lanes.get()
			copy(l.rx, (*b)[:n])
			readBuffers.Put(b)
			return l, n, nil
		}
		readBuffers.Put(b)
		if buffered && isTimeout(err) {
			t.buffered = false // nothing was
			continue
		}
		if err != nil {
			return nil, 0, err
		}
	}
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// read reads from nc; with onlyBuffered, no more than what is in nc already.
func (t *connTransport) read(b []byte, onlyBuffered bool) (int, error) {
	if !onlyBuffered {
		return t.nc.Read(b)
	}
	if err := t.nc.SetReadDeadline(longAgo); err != nil {
		return 0, err
	}
	n, err := t.nc.Read(b)
	if e := t.nc.SetReadDeadline(time.Time{}); e != nil && err == nil {
		err = e
	}
	return n, err
}

// atOnce is how much a socket that is writable takes without waiting: less than a
// segment, for which Linux has room as long as it has any, and less than the low
// water mark of the BSDs. A TLS record adds some 30 bytes.
const atOnce = 1200

func (t *connTransport) tryWrite(bufs [][]byte) ([][]byte, error) {
	if len(bufs) != 1 || len(bufs[0]) > atOnce || t.writable == nil || !t.writable() {
		return bufs, nil
	}
	_, err := t.nc.Write(bufs[0])
	return nil, err
}

func (t *connTransport) write(b []byte) error {
	_, err := t.nc.Write(b)
	return err
}

func (t *connTransport) closeWrite() error {
	if w, ok := t.nc.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

func (t *connTransport) close() error         { return t.nc.Close() }
func (t *connTransport) localAddr() net.Addr  { return t.nc.LocalAddr() }
func (t *connTransport) remoteAddr() net.Addr { return t.nc.RemoteAddr() }
func (t *connTransport) interrupt()           { _ = t.nc.SetReadDeadline(longAgo) }
func (t *connTransport) resume()              { _ = t.nc.SetReadDeadline(time.Time{}) }

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}
