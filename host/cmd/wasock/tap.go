package main

import (
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// A tapListener records the connections that it accepts while it has a
// recording. Under TLS it records what is inside.
type tapListener struct {
	net.Listener

	mu        sync.Mutex
	recording *recording
}

// record makes r the recording of the connections to come; nil ends it.
func (l *tapListener) record(r *recording) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.recording = r
}

func (l *tapListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.recording == nil {
		return nc, nil
	}
	return &tappedConn{nc, l.recording}, nil
}

// tappedConn records what passes.
type tappedConn struct {
	net.Conn
	r *recording
}

func (c *tappedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.r.add(c.Conn, fromClient, b[:n])
	return n, err
}

func (c *tappedConn) Write(b []byte) (int, error) {
	c.r.add(c.Conn, fromServer, b) // before the client can have it, and answer
	return c.Conn.Write(b)
}

// CloseWrite closes the write side, as the connection below does.
func (c *tappedConn) CloseWrite() error {
	return c.Conn.(interface{ CloseWrite() error }).CloseWrite()
}

// A direction is who sent something.
type direction int

const (
	fromClient direction = iota
	fromServer
)

// A recording is what passed a connection, in order.
type recording struct {
	mu     sync.Mutex
	start  time.Time
	chunks []chunk
	tls    *tls.ConnectionState // nil without TLS
}

// A chunk is what one call read or wrote.
type chunk struct {
	from direction
	at   time.Duration // since the recording's start
	b    []byte
}

func newRecording() *recording { return &recording{start: time.Now()} }

func (r *recording) add(nc net.Conn, from direction, b []byte) {
	if len(b) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if tc, ok := nc.(*tls.Conn); ok && r.tls == nil {
		state := tc.ConnectionState()
		r.tls = &state
	}
	r.chunks = append(r.chunks, chunk{from, time.Since(r.start), append([]byte(nil), b...)})
}

// units returns what was recorded as HTTP heads and frames, in the order in which
// they were complete.
func (r *recording) units() []unit {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.chunks) > 0 && isHTTP2(r.firstBytes()) {
		return r.http2Units()
	}
	var rest [2][]byte
	var upgraded [2]bool
	var units []unit
	for _, c := range r.chunks {
		b := append(rest[c.from], c.b...)
		for {
			consume := consumeFrame
			if !upgraded[c.from] {
				consume = consumeHead
			}
			u, n := consume(b)
			if n == 0 {
				break
			}
			upgraded[c.from] = true
			u.from, u.at = c.from, c.at
			units = append(units, u)
			b = b[n:]
		}
		rest[c.from] = b
	}
	return units
}

// firstBytes returns the client's, as many as tell HTTP/2 from HTTP/1.1.
func (r *recording) firstBytes() (b []byte) {
	for _, c := range r.chunks {
		if c.from == fromClient {
			b = append(b, c.b...)
		}
	}
	return b[:min(len(b), 64)]
}

func (r *recording) http2Units() (units []unit) {
	var wire [2]http2Wire
	for _, c := range r.chunks {
		for _, u := range wire[c.from].units(c.b, c.from) {
			u.from, u.at = c.from, c.at
			units = append(units, u)
		}
	}
	return units
}
