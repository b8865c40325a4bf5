package interop

import (
	"io"
	"net"
	"net/url"
	"sync"
)

// A relay stands between the ends of connections, as the network does.
type relay struct {
	target string
	mu     sync.Mutex
	conns  []*net.TCPConn
}

// relay starts one in front of s, and returns it and the URL by which to dial s
// through it.
func (c *call) relay(s *server) (*relay, string) {
	c.Helper()
	u, err := url.Parse(s.url)
	if err != nil {
		c.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.Fatal(err)
	}
	r := &relay{target: u.Host}
	c.Cleanup(func() { _ = ln.Close(); r.reset() })
	go r.serve(ln)
	u.Host = ln.Addr().String()
	return r, u.String()
}

func (r *relay) serve(ln net.Listener) {
	for {
		in, err := ln.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", r.target)
		if err != nil {
			_ = in.Close()
			continue
		}
		a, b := in.(*net.TCPConn), out.(*net.TCPConn)
		r.mu.Lock()
		r.conns = append(r.conns, a, b)
		r.mu.Unlock()
		go carry(a, b)
		go carry(b, a)
	}
}

func carry(to, from *net.TCPConn) {
	_, _ = io.Copy(to, from)
	_ = to.CloseWrite()
}

// reset ends both halves of every connection with a TCP reset.
func (r *relay) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, tc := range r.conns {
		_ = tc.SetLinger(0)
		_ = tc.Close()
	}
	r.conns = nil
}
