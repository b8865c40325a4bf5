package host

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2"

	"github.com/wasock/wasock/host/internal/http2client"
)

// A clientStream is the transport over a stream of an HTTP/2 connection, which is
// opened after the transport was attached. RFC 8441 §5.
type clientStream struct {
	cancel context.CancelFunc // ends the opening

	mu     sync.Mutex
	stream *http2client.Stream // nil until it is open
	closed bool
}

// opened makes s the stream. It fails if the transport was closed meanwhile.
func (t *clientStream) opened(s *http2client.Stream) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		_ = s.Close()
		return net.ErrClosed
	}
	t.stream = s
	return nil
}

func (t *clientStream) get() *http2client.Stream {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stream
}

func (t *clientStream) receive(inst *instance) (*lane, int, error) {
	if err := t.stream.WaitReadable(); err != nil {
		return nil, 0, orderly(err)
	}
	l := inst.lanes.get()
	n, err := t.stream.Read(l.rx)
	if err != nil {
		inst.lanes.put(l)
		return nil, 0, orderly(err)
	}
	return l, n, nil
}

// orderly is err, or io.EOF where the server reset the stream because it had
// nothing more to say: NO_ERROR is what a server sends that answered early, and
// CANCEL what a peer sends that is done. Whether the connection ended cleanly its
// closing handshake decides. RFC 9113 §7, §8.1.
func orderly(err error) error {
	var se *http2client.StreamError
	if errors.As(err, &se) && se.ByPeer && (se.Code == http2.ErrCodeNo || se.Code == http2.ErrCodeCancel) {
		return io.EOF
	}
	return err
}

func (t *clientStream) tryWrite(bufs [][]byte) ([][]byte, error) {
	s := t.get()
	if s == nil {
		return nil, errStreamNotOpen
	}
	for len(bufs) > 0 {
		n, err := s.TryWrite(bufs[0])
		if err != nil {
			return nil, err
		}
		if n < len(bufs[0]) {
			bufs[0] = bufs[0][n:]
			break
		}
		bufs = bufs[1:]
	}
	return bufs, nil
}

func (t *clientStream) write(b []byte) error {
	s := t.get()
	if s == nil {
		return errStreamNotOpen
	}
	_, err := s.Write(b)
	return err
}

var errStreamNotOpen = errors.New("websocket: the engine writes to an HTTP/2 stream that is not open yet")

func (t *clientStream) closeWrite() error {
	if s := t.get(); s != nil {
		return s.CloseWrite()
	}
	return nil
}

func (t *clientStream) close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	t.cancel()
	if t.stream == nil {
		return nil
	}
	return t.stream.Close()
}

func (t *clientStream) localAddr() net.Addr {
	if s := t.get(); s != nil {
		return s.LocalAddr()
	}
	return nil
}

func (t *clientStream) remoteAddr() net.Addr {
	if s := t.get(); s != nil {
		return s.RemoteAddr()
	}
	return nil
}

func (t *clientStream) interrupt() { _ = t.stream.SetReadDeadline(longAgo) }
func (t *clientStream) resume()    { _ = t.stream.SetReadDeadline(time.Time{}) }
