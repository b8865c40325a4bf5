//go:build !wasock_portable

package host

import (
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A poller reads for the connections of an instance whose events go to handlers:
// one goroutine waits for all of their sockets, so that an idle connection has
// no goroutine, and a busy one costs no scheduling. RATIONALE.md has the figures.
//
// Handlers run on that goroutine. One that takes long would hold up the others:
// then the watchdog starts another goroutine in its place, and the one that was
// held up ends once its handler has returned.
type poller struct {
	inst  *instance
	epfd  int
	file  *os.File    // epfd, for waiting in the runtime's own poller
	watch atomic.Bool // the watchdog is awake
	wake  chan struct{}
	done  chan struct{} // closed with the poller

	// seq is odd while a connection is handled, and another number for each. The
	// owner counts it on when it is done; the watchdog, to take its place.
	seq atomic.Uint64

	mu      sync.Mutex
	entries []pollEntry
	free    []uint32
	current *pollTransport       // what the owner handles
	batch   []syscall.EpollEvent // what it handles next
}

// A pollEntry is what an event's number stands for.
type pollEntry struct {
	t   *pollTransport
	gen uint32
}

// watchInterval is how long a handler may run before its poller goes on without
// it: half as long on average.
const watchInterval = 4 * time.Millisecond

func newPoller(inst *instance) (*poller, error) {
	epfd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := syscall.SetNonblock(epfd, true); err != nil { // so that NewFile makes it pollable
		_ = syscall.Close(epfd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	p := &poller{inst: inst, epfd: epfd, file: os.NewFile(uintptr(epfd), "epoll"), wake: make(chan struct{}, 1), done: make(chan struct{})}
	go p.loop()
	go p.watchdog()
	return p, nil
}

// close ends the poller's goroutines. No connection uses it any more.
func (p *poller) close() {
	_ = p.file.Close()
	close(p.done)
}

// loop handles events until the poller is closed or another loop took its place.
func (p *poller) loop() {
	raw, err := p.file.SyscallConn()
	if err != nil {
		return // closed
	}
	events := make([]syscall.EpollEvent, 128)
	n := 0
	poll := func(fd uintptr) bool {
		n = pollEvents(int(fd), events)
		return n > 0
	}
	for {
		t, ev, ok := p.next()
		if !ok {
			if raw.Read(poll) != nil {
				return
			}
			p.begin(events[:n])
			continue
		}
		if ev&syscall.EPOLLOUT != 0 {
			t.conn.flushReady()
		}
		if ev&^syscall.EPOLLOUT == 0 {
			continue
		}
		seq := p.seq.Add(1)
		if !p.watch.Load() && !p.watch.Swap(true) {
			p.wake <- struct{}{} // there is room: it sleeps, or is about to
		}
		t.handle(ev)
		if !p.seq.CompareAndSwap(seq, seq+1) {
			p.resume(t)
			return
		}
	}
}

func pollEvents(epfd int, events []syscall.EpollEvent) int {
	for {
		n, err := syscall.EpollWait(epfd, events, 0)
		if err == syscall.EINTR {
			continue
		}
		return max(n, 0)
	}
}

// begin takes the events of one poll.
func (p *poller) begin(events []syscall.EpollEvent) {
	p.mu.Lock()
	p.batch = events
	p.mu.Unlock()
}

// next returns the next event, which becomes what is handled, or false after the
// last. The events are the poller's and not the loop's, so that they are not lost
// with a loop that is replaced: epoll tells each once.
func (p *poller) next() (t *pollTransport, events uint32, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.batch) > 0 {
		ev := p.batch[0]
		p.batch = p.batch[1:]
		e := p.entries[ev.Fd]
		if e.t == nil || e.gen != uint32(ev.Pad) {
			continue // closed meanwhile
		}
		if e.t.suspended {
			// What there is to read, epoll tells again when it is resumed.
			if ev.Events &= syscall.EPOLLOUT; ev.Events == 0 {
				continue
			}
			return e.t, ev.Events, true
		}
		p.current = e.t
		return e.t, ev.Events, true
	}
	return nil, 0, false
}

// watchdog replaces the owner when a handler holds it up. It sleeps while the
// poller does.
func (p *poller) watchdog() {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	last := uint64(0)
	for {
		select {
		case <-tick.C:
		case <-p.done:
			return
		}
		seq := p.seq.Load()
		switch {
		case seq != last:
			last = seq
		case seq%2 == 1:
			p.replace(seq)
		default:
			tick.Stop()
			p.watch.Store(false)
			// The loop counts before it looks whether anybody watches: a handler that
			// began before this has been counted, one that begins later wakes us.
			if p.seq.Load() == seq || p.watch.Swap(true) {
				select {
				case <-p.wake:
				case <-p.done:
					return
				}
			}
			tick.Reset(watchInterval)
		}
	}
}

// replace starts another owner, unless the one there is has moved on from seq.
func (p *poller) replace(seq uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.seq.CompareAndSwap(seq, seq+1) {
		return
	}
	if p.current != nil { // else it was closed by its own handler
		p.current.suspended = true
		p.current.update()
		p.current = nil
	}
	go p.loop()
}

// resume has t polled again after its handler held up its owner.
func (p *poller) resume(t *pollTransport) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.suspended = false
	t.update()
}

// add takes the socket of nc over and polls it for c. It reports false if nc is
// no socket, or descriptors have run out: nc is as it was then. The caller holds
// c.mu.
func (p *poller) add(c *Conn, nc net.Conn) bool {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return false
	}
	switch nc.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	// A duplicate is not in the runtime's own poller, which would be woken by it.
	fd := -1
	err = raw.Control(func(s uintptr) {
		r, _, errno := syscall.Syscall(syscall.SYS_FCNTL, s, syscall.F_DUPFD_CLOEXEC, 0)
		if errno == 0 {
			fd = int(r)
		}
	})
	if err != nil || fd < 0 {
		return false
	}
	t := &pollTransport{poller: p, conn: c, fd: fd}
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		t.index, p.free = p.free[n-1], p.free[:n-1]
	} else {
		t.index = uint32(len(p.entries))
		p.entries = append(p.entries, pollEntry{})
	}
	p.entries[t.index].gen++
	p.entries[t.index].t = t
	t.update()
	if t.mask == 0 { // epoll refused it
		p.forget(t)
		_ = syscall.Close(fd)
		return false
	}
	_ = nc.Close() // the duplicate lives on
	c.tr = t
	return true
}

// forget takes t out of the table. The caller holds mu.
func (p *poller) forget(t *pollTransport) {
	p.entries[t.index].t = nil
	p.free = append(p.free, t.index)
	if p.current == t {
		p.current = nil
	}
}

// pollTransport is the transport of a connection that a poller reads for.
type pollTransport struct {
	poller *poller
	conn   *Conn
	index  uint32
	fd     int // -1 when closed; under conn.mu

	// Under poller.mu.
	mask      uint32 // what epoll watches for; 0: it does not
	suspended bool   // a handler of conn's held up its owner, and runs still
	wantWrite bool
}

// edge asks epoll for changes only. Otherwise it looks at each socket once more
// after every event, which costs more than to see here that it is drained.
const edge = 1 << 31

// update has epoll watch for what is wanted now. The caller holds poller.mu.
func (t *pollTransport) update() {
	var want uint32
	if !t.suspended {
		want = syscall.EPOLLIN | syscall.EPOLLRDHUP | edge
	}
	if t.wantWrite {
		want |= syscall.EPOLLOUT | edge
	}
	if want == t.mask || t.poller.entries[t.index].t != t {
		return
	}
	op := syscall.EPOLL_CTL_MOD
	switch {
	case want == 0:
		op = syscall.EPOLL_CTL_DEL
	case t.mask == 0:
		op = syscall.EPOLL_CTL_ADD
	}
	ev := syscall.EpollEvent{Events: want, Fd: int32(t.index), Pad: int32(t.poller.entries[t.index].gen)}
	if syscall.EpollCtl(t.poller.epfd, op, t.fd, &ev) == nil {
		t.mask = want
	}
}

// handle reads what can be read without waiting, and delivers it. A read that does
// not fill the buffer has drained the socket, unless its end is behind that.
func (t *pollTransport) handle(events uint32) {
	ended := events&^(syscall.EPOLLIN|syscall.EPOLLOUT) != 0
	for {
		more, open := t.read()
		if !open || !more && !ended {
			return
		}
	}
}

// read reads once, and delivers. It reports whether there may be more, and whether
// there will be.
func (t *pollTransport) read() (more, open bool) {
	c := t.conn
	c.deliver.Lock()
	l := c.inst.lanes.get()
	c.mu.Lock()
	if c.finished {
		c.mu.Unlock()
		c.deliver.Unlock()
		c.inst.lanes.put(l)
		c.ended(net.ErrClosed)
		return false, false
	}
	// The lock is held so that the descriptor cannot be closed and become another
	// connection's meanwhile; the read does not wait.
	n, err := ignoringEINTR(syscall.Read, uintptr(t.fd), l.rx)
	if n > 0 {
		more = n == len(l.rx)
		open = c.deliverInput(l, n)
		c.deliver.Unlock()
		return more, open
	}
	c.mu.Unlock()
	c.deliver.Unlock()
	c.inst.lanes.put(l)
	switch err {
	case syscall.EAGAIN:
	case nil:
		c.ended(io.EOF)
	default:
		c.ended(os.NewSyscallError("read", err))
	}
	return false, false
}

func (t *pollTransport) tryWrite(bufs [][]byte) ([][]byte, error) { return writeAll(t.fd, bufs) }

// flushWhenReady asks for flushReady once the socket takes more.
func (t *pollTransport) flushWhenReady(want bool) {
	t.poller.mu.Lock()
	defer t.poller.mu.Unlock()
	t.wantWrite = want
	t.update()
}

func (t *pollTransport) closeWrite() error {
	return os.NewSyscallError("shutdown", syscall.Shutdown(t.fd, syscall.SHUT_WR))
}

// close closes the socket. The end of the connection is delivered on another
// goroutine, since epoll has nothing to say about a socket that is gone.
func (t *pollTransport) close() error {
	t.poller.mu.Lock()
	t.poller.forget(t)
	t.poller.mu.Unlock()
	err := syscall.Close(t.fd)
	t.fd = -1
	if t.conn.end.Load() == nil {
		go t.conn.ended(net.ErrClosed)
	}
	return os.NewSyscallError("close", err)
}

func (t *pollTransport) localAddr() net.Addr {
	sa, err := syscall.Getsockname(t.fd)
	return sockaddr(sa, err)
}

func (t *pollTransport) remoteAddr() net.Addr {
	sa, err := syscall.Getpeername(t.fd)
	return sockaddr(sa, err)
}

func sockaddr(sa syscall.Sockaddr, err error) net.Addr {
	if err != nil {
		return nil
	}
	switch sa := sa.(type) {
	case *syscall.SockaddrInet4:
		return &net.TCPAddr{IP: sa.Addr[:], Port: sa.Port}
	case *syscall.SockaddrInet6:
		return &net.TCPAddr{IP: sa.Addr[:], Port: sa.Port}
	case *syscall.SockaddrUnix:
		return &net.UnixAddr{Name: sa.Name, Net: "unix"}
	}
	return nil
}
