//go:build unix && !wasock_portable

package host

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// rawTransport moves bytes between a socket and the guest's memory with no
// buffer between: it waits for readiness, and reads into a lane.
type rawTransport struct {
	nc  net.Conn
	raw syscall.RawConn

	// The functions that raw is given are made once, and these are their
	// arguments and results: a call allocates nothing.
	readFn  func(uintptr) bool
	inst    *instance
	lane    *lane
	n       int
	readErr error

	tryFn    func(uintptr) bool
	out      [][]byte
	writeErr error
}

// newRawTransport returns a transport for a socket, or nil for anything else.
func newRawTransport(nc net.Conn) transport {
	var raw syscall.RawConn
	var err error
	switch s := nc.(type) {
	case *net.TCPConn:
		raw, err = s.SyscallConn()
	case *net.UnixConn:
		raw, err = s.SyscallConn()
	default:
		return nil
	}
	if err != nil {
		return nil
	}
	t := &rawTransport{nc: nc, raw: raw}
	t.readFn, t.tryFn = t.readReady, t.writeReady
	return t
}

func (t *rawTransport) receive(inst *instance) (*lane, int, error) {
	t.inst = inst
	err := t.raw.Read(t.readFn)
	l, n, readErr := t.lane, t.n, t.readErr
	t.lane, t.n, t.readErr = nil, 0, nil
	if err == nil {
		err = readErr
	}
	if err != nil && l != nil {
		inst.lanes.put(l)
		l = nil
	}
	return l, n, err
}

// readReady reads into a lane. It reports false if there is nothing to read yet.
func (t *rawTransport) readReady(fd uintptr) bool {
	l := t.inst.lanes.get()
	n, err := ignoringEINTR(syscall.Read, fd, l.rx)
	if err == syscall.EAGAIN {
		t.inst.lanes.put(l)
		return false
	}
	t.lane = l
	switch {
	case err != nil:
		t.readErr = os.NewSyscallError("read", err)
	case n == 0:
		t.readErr = io.EOF
	default:
		t.n = n
	}
	return true
}

func (t *rawTransport) tryWrite(bufs [][]byte) ([][]byte, error) {
	t.out, t.writeErr = bufs, nil
	err := t.raw.Write(t.tryFn)
	rest := t.out
	t.out = nil
	if err == nil {
		err = t.writeErr
	}
	return rest, err
}

// writeReady writes what the socket takes. It never asks to wait.
func (t *rawTransport) writeReady(fd uintptr) bool {
	t.out, t.writeErr = writeAll(int(fd), t.out)
	return true
}

// writeAll writes bufs until the socket takes no more, and returns the rest. It
// changes the elements of bufs.
func writeAll(fd int, bufs [][]byte) ([][]byte, error) {
	for len(bufs) > 0 {
		var n int
		var err error
		if len(bufs) == 1 {
			n, err = syscall.Write(fd, bufs[0])
		} else {
			n, err = writev(fd, bufs)
		}
		switch err {
		case nil:
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return bufs, nil
		default:
			return nil, os.NewSyscallError("write", err)
		}
		for len(bufs) > 0 && n >= len(bufs[0]) {
			n -= len(bufs[0])
			bufs = bufs[1:]
		}
		if n > 0 {
			bufs[0] = bufs[0][n:]
		}
	}
	return nil, nil
}

func (t *rawTransport) write(b []byte) error {
	_, err := t.nc.Write(b)
	return err
}

// socket returns what a poller can take over.
func (t *rawTransport) socket() net.Conn { return t.nc }

func (t *rawTransport) closeWrite() error { return t.nc.(interface{ CloseWrite() error }).CloseWrite() }

func (t *rawTransport) close() error         { return t.nc.Close() }
func (t *rawTransport) localAddr() net.Addr  { return t.nc.LocalAddr() }
func (t *rawTransport) remoteAddr() net.Addr { return t.nc.RemoteAddr() }
func (t *rawTransport) interrupt()           { _ = t.nc.SetReadDeadline(longAgo) }
func (t *rawTransport) resume()              { _ = t.nc.SetReadDeadline(time.Time{}) }

func ignoringEINTR(f func(int, []byte) (int, error), fd uintptr, b []byte) (int, error) {
	for {
		n, err := f(int(fd), b)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// readiness returns functions that wait until the socket under nc is readable, and
// that tell whether it is writable; or nil if nc is not known to stand on one.
func readiness(nc net.Conn) (wait func() error, writable func() bool) {
	tc, ok := nc.(*tls.Conn)
	if !ok {
		return nil, nil
	}
	sc, ok := tc.NetConn().(syscall.Conn)
	if !ok {
		return nil, nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, nil
	}
	readable := func(fd uintptr) bool {
		var b [1]byte
		for {
			_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
			if err != syscall.EINTR {
				return err != syscall.EAGAIN
			}
		}
	}
	p := &writePoll{fds: make([]unix.PollFd, 1)}
	p.look = func(fd uintptr) {
		p.fds[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLOUT}
		n, err := unix.Poll(p.fds, 0)
		p.is = err == nil && n == 1 && p.fds[0].Revents == unix.POLLOUT
	}
	return func() error { return raw.Read(readable) }, func() bool { return raw.Control(p.look) == nil && p.is }
}

// writePoll is what a look at a socket needs, kept so that it allocates nothing.
type writePoll struct {
	fds  []unix.PollFd
	look func(uintptr)
	is   bool
}
