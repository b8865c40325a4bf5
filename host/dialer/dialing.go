package dialer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/wasock/wasock/host/permission"
)

// A dialing is one call of Dial.
type dialing struct {
	*Dialer
	target endpoint
	proxy  *proxyServer  // nil: none
	left   time.Duration // of ConnectTimeout
	route  Route
}

// budget returns a context that ends with what is left of ConnectTimeout, and a
// function that ends it and takes off the time that was used.
func (g *dialing) budget(ctx context.Context) (context.Context, func()) {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, g.left)
	return ctx, func() {
		cancel()
		g.left -= time.Since(begun)
	}
}

// fail returns the error of step, which was with e or on the way to it.
func (g *dialing) fail(step string, e *endpoint, err error) error {
	var denied *permission.Error
	if errors.As(err, &denied) {
		return denied
	}
	failed := &Error{Step: step, Target: g.target.String(), Err: err}
	if g.proxy != nil && (e == &g.proxy.endpoint || step == stepTLS) {
		failed.Proxy = g.proxy.String()
	}
	return failed
}

// addresses returns the addresses of e that may be dialled.
func (g *dialing) addresses(ctx context.Context, e *endpoint, f family) ([]netip.AddrPort, error) {
	looking, stop := g.budget(ctx)
	addrs, err := g.lookup(looking, e, f)
	stop()
	if err != nil {
		return nil, g.fail(stepResolve, e, err)
	}
	return g.permitted(ctx, e, addrs)
}

// connectTo connects to the first address of e that answers.
func (g *dialing) connectTo(ctx context.Context, e *endpoint, f family) (net.Conn, error) {
	addrs, err := g.addresses(ctx, e, f)
	if err != nil {
		return nil, err
	}
	ctx, stop := g.budget(ctx)
	defer stop()
	conn, errs := race(ctx, len(addrs), cmp.Or(g.AttemptDelay, 250*time.Millisecond),
		func(ctx context.Context, i int) (net.Conn, error) { return g.connectAddr(ctx, e, addrs[i]) })
	if conn == nil {
		return nil, g.fail(stepConnect, e, attemptsError(e, addrs, errs))
	}
	return conn, nil
}

// connectAddr connects to addr, which was permitted for e, and checks where the socket
// is connected to: systems and what they are configured with connect elsewhere at times.
func (g *dialing) connectAddr(ctx context.Context, e *endpoint, addr netip.AddrPort) (net.Conn, error) {
	connect := g.connect
	if connect == nil {
		connect = g.connectTCP
	}
	conn, err := connect(ctx, addr)
	if err != nil {
		return nil, err
	}
	var remote netip.AddrPort // of what is not TCP it stays invalid, and is refused
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		remote = a.AddrPort()
	}
	if err := g.permissions().CheckAddr(ctx, e.host, remote).Err(); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

func (g *dialing) connectTCP(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{KeepAliveConfig: g.KeepAlive}
	if g.LocalAddr.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(g.LocalAddr.Unmap(), 0))
	}
	return d.DialContext(ctx, "tcp", addr.String())
}

// attemptsError joins what went wrong with the addresses of e that were tried.
func attemptsError(e *endpoint, addrs []netip.AddrPort, errs []error) error {
	if e.isLiteral() {
		return errs[0]
	}
	joined := &attemptErrors{errs: errs}
	for i := range errs {
		joined.addrs = append(joined.addrs, addrs[i])
	}
	return joined
}

// attemptErrors are the errors of several addresses, in the order of the attempts.
type attemptErrors struct {
	addrs []netip.AddrPort
	errs  []error
}

func (e *attemptErrors) Error() string {
	const shown = 3
	var parts []string
	for i, err := range e.errs[:min(len(e.errs), shown)] {
		parts = append(parts, e.addrs[i].Addr().String()+": "+describe(err))
	}
	if more := len(e.errs) - shown; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, "; ")
}

func (e *attemptErrors) Unwrap() []error { return e.errs }
