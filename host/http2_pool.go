package host

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wasock/wasock/host/dialer"
	"github.com/wasock/wasock/host/internal/http2client"
	"github.com/wasock/wasock/host/permission"
)

const (
	// http1Memory is how long a server without HTTP/2, or without Extended CONNECT,
	// is not asked for it again.
	http1Memory = 10 * time.Minute

	// maxOrigins is how many origins are remembered.
	maxOrigins = 4096

	// http2HeadLimit is the most bytes of a response's fields on a connection that
	// several share, whose own limits may be lower.
	http2HeadLimit = 64 << 10
)

// An http2Pool holds the HTTP/2 connections of a Host's clients by origin, and
// remembers which origins have none.
type http2Pool struct {
	idleTimeout time.Duration

	mu      sync.Mutex
	origins map[originKey]*origin
	closed  bool
}

// An originKey is what connections have in common that may be shared. What is in
// two TLS configurations cannot be compared, so they are the same by identity.
type originKey struct {
	target   target
	path     path
	tls      *tls.Config
	proxyTLS *tls.Config
	insecure bool
}

// An origin is what the pool knows of one.
type origin struct {
	conns      []*http2Conn
	dials      map[*permission.Grant]*http2Dial // somebody connects, and others of its grant wait
	http1Until time.Time                        // until then HTTP/1.1 is used
}

// An http2Conn is a connection in the pool.
type http2Conn struct {
	*http2client.Conn
	route   dialer.Route
	looking atomic.Bool // a look is due
	idle    *time.Timer // closes the connection; under the pool's mu
}

// An http2Dial is an attempt to connect.
type http2Dial struct {
	force bool // HTTP/1.1 was out of the question
	done  chan struct{}
	err   error // for those who waited; nil: they look again
}

// A link is what a connection is to run over: a transport for HTTP/1.1, or room
// for a stream of HTTP/2.
type link struct {
	transport net.Conn
	stream    *http2client.Reservation
	conn      *http2Conn // stream's
	reused    bool       // conn was there before
}

// A dialFunc connects to an origin, offering protocols by ALPN where there is TLS.
type dialFunc func(ctx context.Context, protocols ...string) (net.Conn, dialer.Route, error)

func newHTTP2Pool(idleTimeout time.Duration) *http2Pool {
	return &http2Pool{idleTimeout: orDefault(idleTimeout, 30*time.Second), origins: make(map[originKey]*origin)}
}

// link returns what to use for an origin: room on a connection that there is, if
// permit allows it to this caller as well, or a new connection, of
// HTTP/1.1 if the server has no other, which with force is an error. timeout is for
// the SETTINGS of a new one.
func (p *http2Pool) link(ctx context.Context, key originKey, g *permission.Grant, force bool, permit func(dialer.Route) error, dial dialFunc, timeout time.Duration) (link, error) {
	for {
		l, d, mine, err := p.join(key, g, force, permit)
		switch {
		case err != nil || l.stream != nil:
			return l, err
		case d == nil:
			nc, _, err := dial(ctx, "http/1.1")
			return link{transport: nc}, err
		case mine:
			l, err := p.lead(ctx, key, force, dial, timeout)
			p.leave(ctx, key, g, d, err)
			return l, err
		}
		select {
		case <-d.done:
		case <-ctx.Done():
			return link{}, ctx.Err()
		}
		if d.err != nil && (force || !d.force) {
			return link{}, d.err
		}
	}
}

// join returns room on a connection; or the attempt to connect that is under way,
// and whether it is the caller's; or nothing if HTTP/1.1 is to be used.
func (p *http2Pool) join(key originKey, g *permission.Grant, force bool, permit func(dialer.Route) error) (l link, d *http2Dial, mine bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return link{}, nil, false, ErrClosed
	}
	o := p.origin(key)
	if !force && time.Now().Before(o.http1Until) {
		return link{}, nil, false, nil
	}
	for _, c := range o.conns {
		if permit(c.route) != nil {
			continue // the new connection's address is checked when it is made
		}
		if s, err := c.Reserve(); err == nil {
			return link{stream: s, conn: c, reused: true}, nil, false, nil
		}
	}
	// A grant may ask somebody, and who has another does not wait for that.
	d = o.dials[g]
	if mine = d == nil; mine {
		d = &http2Dial{force: force, done: make(chan struct{})}
		o.dials[g] = d
	}
	return link{}, d, mine, nil
}

// leave ends the caller's attempt. Those who waited share its error, unless it is
// the caller's alone: its permissions', or its context's.
func (p *http2Pool) leave(ctx context.Context, key originKey, g *permission.Grant, d *http2Dial, err error) {
	var denied *PermissionError
	if !errors.As(err, &denied) && ctx.Err() == nil {
		d.err = err
	}
	p.mu.Lock()
	delete(p.origin(key).dials, g)
	p.mu.Unlock()
	close(d.done)
}

// origin returns what is known of key. The caller holds mu.
func (p *http2Pool) origin(key originKey) *origin {
	o := p.origins[key]
	if o == nil {
		if len(p.origins) >= maxOrigins {
			p.forget()
		}
		o = &origin{dials: make(map[*permission.Grant]*http2Dial)}
		p.origins[key] = o
	}
	return o
}

// forget makes room in origins: of what need not be known any more, or else of
// what can be found out again. The caller holds mu.
func (p *http2Pool) forget() {
	for _, before := range []time.Time{time.Now(), time.Now().Add(http1Memory)} {
		for key, o := range p.origins {
			if len(o.conns) == 0 && len(o.dials) == 0 && !o.http1Until.After(before) {
				delete(p.origins, key)
			}
		}
		if len(p.origins) < maxOrigins {
			return
		}
	}
}

var (
	errNoHTTP2           = errors.New("the server did not choose HTTP/2")
	errNoExtendedConnect = errors.New("the server's HTTP/2 does not allow WebSockets (SETTINGS_ENABLE_CONNECT_PROTOCOL, RFC 8441)")
)

// lead connects, and finds out what the server has.
func (p *http2Pool) lead(ctx context.Context, key originKey, force bool, dial dialFunc, timeout time.Duration) (link, error) {
	protocols := []string{"h2", "http/1.1"}
	if force {
		protocols = protocols[:1]
	}
	nc, route, err := dial(ctx, protocols...)
	if err != nil {
		return link{}, err
	}
	if tc, ok := nc.(*tls.Conn); ok && tc.ConnectionState().NegotiatedProtocol != "h2" {
		if force {
			_ = nc.Close()
			return link{}, &DialError{Step: "HTTP/2", Target: key.target.String(), Err: errNoHTTP2}
		}
		p.useHTTP1(key)
		return link{transport: nc}, nil
	}
	c := &http2Conn{route: route}
	c.Conn = http2client.New(nc, http2client.Config{HeaderListSize: http2HeadLimit, FieldCount: http2HeadLimit / 32, Changed: func() {
		if !c.looking.Swap(true) {
			go p.look(key, c)
		}
	}})
	settling, cancel := context.WithTimeout(ctx, timeout)
	allowed, err := c.WaitSettings(settling)
	cancel()
	if err == nil && allowed {
		var s *http2client.Reservation
		if s, err = p.add(key, c); err == nil {
			return link{stream: s, conn: c}, nil
		}
	}
	_ = c.Close()
	switch {
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		return link{}, &HandshakeError{Rule: "the server's HTTP/2 SETTINGS did not come within HandshakeTimeout"}
	case err != nil:
		return link{}, &DialError{Step: "HTTP/2", Target: key.target.String(), Err: err}
	case force:
		return link{}, &DialError{Step: "HTTP/2", Target: key.target.String(), Err: errNoExtendedConnect}
	}
	p.useHTTP1(key)
	nc, _, err = dial(ctx, "http/1.1")
	if err != nil {
		return link{}, &fallbackError{errNoExtendedConnect, err}
	}
	return link{transport: nc}, nil
}

// A fallbackError is what went wrong with HTTP/2, and with HTTP/1.1 after it.
type fallbackError struct{ first, second error }

func (e *fallbackError) Error() string {
	return e.second.Error() + " (tried because " + e.first.Error() + ")"
}

func (e *fallbackError) Unwrap() []error { return []error{e.first, e.second} }

// add puts c into the pool, with room for its first stream.
func (p *http2Pool) add(key originKey, c *http2Conn) (*http2client.Reservation, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	s, err := c.Reserve()
	if err != nil {
		return nil, err
	}
	o := p.origin(key)
	o.conns = append(o.conns, c)
	o.http1Until = time.Time{}
	return s, nil
}

// useHTTP1 remembers that HTTP/2 is of no use for key.
func (p *http2Pool) useHTTP1(key originKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.origin(key).http1Until = time.Now().Add(http1Memory)
}

// look takes c out of the pool if it is over, and closes it some time after its
// last stream.
func (p *http2Pool) look(key originKey, c *http2Conn) {
	c.looking.Store(false)
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.origins[key]
	if o == nil || !slices.Contains(o.conns, c) {
		return
	}
	switch idle := c.Streams() == 0; {
	case c.Err() != nil:
		p.remove(o, c)
	case idle && c.idle == nil:
		c.idle = time.AfterFunc(p.idleTimeout, func() { p.expire(key, c) })
	case !idle && c.idle != nil:
		c.idle.Stop()
		c.idle = nil
	}
}

// remove takes c out of o. The caller holds mu.
func (p *http2Pool) remove(o *origin, c *http2Conn) {
	o.conns = slices.DeleteFunc(o.conns, func(other *http2Conn) bool { return other == c })
	if c.idle != nil {
		c.idle.Stop()
	}
}

// expire closes c, which has had no stream for a while.
func (p *http2Pool) expire(key originKey, c *http2Conn) {
	p.mu.Lock()
	c.idle = nil
	idle := c.Streams() == 0
	if o := p.origins[key]; idle && o != nil {
		p.remove(o, c)
	}
	p.mu.Unlock()
	if idle {
		// Somebody may have opened a stream meanwhile, which goes on, or reserved one,
		// and finds that it is unprocessed.
		_ = c.Shutdown(context.Background()) // ends with the connection
	}
}

// probeTimeout is how long a server may take to answer when it is asked whether it
// is there.
const probeTimeout = 5 * time.Second

// probe closes a connection whose server does not answer, so that the next dial
// makes a new one: a network in between may have forgotten it.
func (c *http2Conn) probe() {
	ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
	defer cancel()
	if c.Ping(ctx) != nil {
		_ = c.Close()
	}
}

// close closes all connections. Their streams have ended.
func (p *http2Pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, o := range p.origins {
		for _, c := range o.conns {
			if c.idle != nil {
				c.idle.Stop()
			}
			_ = c.Close()
		}
	}
	clear(p.origins)
}
