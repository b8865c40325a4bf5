// Package relay stands between the ends of WebSocket connections, as the network
// does, and says what passed: how many bytes, and which frames where there is no TLS.
package relay

import (
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
)

// A Relay carries connections to a server. Its methods may be called from any
// goroutine.
type Relay struct {
	ln     net.Listener
	target string

	mu    sync.Mutex
	links []*Link
}

// Listen starts a Relay to the server at target, a host and a port. It listens on
// loopback. The caller closes it.
func Listen(target string) (*Relay, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Relay{ln: ln, target: target}
	go r.serve()
	return r, nil
}

// Addr returns the host and the port by which to dial the server through r.
func (r *Relay) Addr() string { return r.ln.Addr().String() }

// A Link is one connection through a Relay.
type Link struct {
	ToServer, ToClient Wire

	in, out *net.TCPConn
	ended   atomic.Bool // by reset, which no FIN is to come before
}

// OfClient returns the connection whose client has the local address addr, the latest
// of those that had. It returns nil if there is none.
func (r *Relay) OfClient(addr string) *Link {
	return r.last(func(l *Link) bool { return l.in.RemoteAddr().String() == addr })
}

// OfServer returns the connection whose server has the remote address addr, the latest
// of those that had. It returns nil if there is none.
func (r *Relay) OfServer(addr string) *Link {
	return r.last(func(l *Link) bool { return l.out.LocalAddr().String() == addr })
}

func (r *Relay) last(is func(*Link) bool) *Link {
	for _, l := range slices.Backward(r.Links()) {
		if is(l) {
			return l
		}
	}
	return nil
}

// Links returns all connections so far, also those that have ended.
func (r *Relay) Links() []*Link {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*Link(nil), r.links...)
}

// Reset ends both halves of every connection with a TCP reset.
func (r *Relay) Reset() {
	for _, l := range r.Links() {
		l.reset()
	}
}

func (l *Link) reset() {
	l.ended.Store(true)
	for _, tc := range []*net.TCPConn{l.in, l.out} {
		_ = tc.SetLinger(0)
		_ = tc.Close()
	}
}

// Close stops listening, and ends what there is as Reset does.
func (r *Relay) Close() error {
	err := r.ln.Close()
	r.Reset()
	return err
}

func (r *Relay) serve() {
	for {
		in, err := r.ln.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", r.target)
		if err != nil {
			_ = in.Close()
			continue
		}
		l := &Link{in: in.(*net.TCPConn), out: out.(*net.TCPConn)}
		r.mu.Lock()
		r.links = append(r.links, l)
		r.mu.Unlock()
		go l.carry(l.out, l.in, &l.ToServer)
		go l.carry(l.in, l.out, &l.ToClient)
	}
}

// carry shows w what it carries before it passes it on: whoever has a message finds
// it there.
func (l *Link) carry(to, from *net.TCPConn, w *Wire) {
	_, _ = io.Copy(io.MultiWriter(w, to), from)
	if !l.ended.Load() {
		_ = to.CloseWrite()
	}
}
