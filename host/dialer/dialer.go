package dialer

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/wasock/wasock/host/permission"
)

// Permissions decide about a dial. CheckTarget is asked before a host is resolved, and
// CheckAddr about each address that it resolved to and about the address of the
// connected socket. Both take the host as the caller has it. They may wait, until ctx
// ends, for somebody who decides.
type Permissions interface {
	CheckTarget(ctx context.Context, host string, port uint16) permission.Verdict
	CheckAddr(ctx context.Context, host string, addr netip.AddrPort) permission.Verdict
}

// List returns the Permissions that are l. Nil allows nothing.
func List(l *permission.List) Permissions { return list{l} }

type list struct{ *permission.List }

func (l list) CheckTarget(_ context.Context, host string, port uint16) permission.Verdict {
	return l.List.CheckTarget(host, port)
}

func (l list) CheckAddr(_ context.Context, host string, addr netip.AddrPort) permission.Verdict {
	return l.List.CheckAddr(host, addr)
}

// A Resolver resolves names; *net.Resolver is one. network is "ip", "ip4" or "ip6". A
// lookup must end when ctx does.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// A Target is what a connection is made to.
type Target struct {
	Host string // an ASCII name, IPv4, or IPv6 with brackets or without
	Port uint16
	TLS  bool // from the target's end to ours, whatever is between
}

// String returns host and port, the host in canonical form if it is a host.
func (t Target) String() string {
	e, err := newEndpoint(t.Host, t.Port)
	if err != nil {
		return net.JoinHostPort(redact(t.Host), strconv.Itoa(int(t.Port)))
	}
	return e.String()
}

// A Dialer opens connections. The zero value allows nothing; with Permissions it is
// ready for use. It may be used by several goroutines at once, and is not to be changed
// meanwhile. Of the durations zero means the default and a negative one is refused.
type Dialer struct {
	// Permissions decide. Nil allows nothing.
	Permissions Permissions

	// Resolver resolves names. Default net.DefaultResolver.
	Resolver Resolver

	// Proxy returns the proxy for a target, or nil to connect directly: see ProxyURL
	// and ProxyFromEnvironment. Default nil, which is no proxy.
	Proxy func(Target) (*url.URL, error)

	// LocalAddr is the address that sockets are bound to, on a port that the system
	// chooses. Addresses of the other family are not connected. The zero value lets
	// the system choose.
	LocalAddr netip.Addr

	// KeepAlive is for TCP. The zero value is the default of package net: on, 15 s.
	KeepAlive net.KeepAliveConfig

	// ConnectTimeout is how long resolving and connecting may take together, of a
	// proxy where there is one. The time that Permissions take to decide does not
	// count. Default 30 s.
	ConnectTimeout time.Duration

	// ProxyTimeout is how long a proxy may take to open the tunnel once it is
	// connected, TLS with it included. Default 30 s.
	ProxyTimeout time.Duration

	// TLSTimeout is how long the TLS handshake with the target may take. Default
	// 10 s.
	TLSTimeout time.Duration

	// AttemptDelay is how long to wait for an address before the next one is
	// connected too. Default 250 ms; below 10 ms it is refused.
	// https://www.rfc-editor.org/rfc/rfc8305#section-8
	AttemptDelay time.Duration

	// TLS is for targets. InsecureSkipVerify is refused: see InsecureHosts. NextProtos
	// is replaced by the protocols given to Dial. The certificate is verified for
	// ServerName if that is set, and for the target's host otherwise.
	TLS *tls.Config

	// InsecureHosts are the hosts, exactly as in the target, whose certificates are
	// not verified. That gives up what TLS is for; each use is logged. It does not
	// hold for proxies.
	InsecureHosts []string

	// ProxyTLS is for https proxies, InsecureSkipVerify refused. Default: the system's
	// roots, and nothing of TLS.
	ProxyTLS *tls.Config

	// Logger receives what an operator should know. Default: nothing is logged.
	Logger *slog.Logger

	// connect takes the place of the system's connect in tests.
	connect func(ctx context.Context, addr netip.AddrPort) (net.Conn, error)
}

// Dial connects to t. With t.TLS the result is a *tls.Conn after its handshake, for
// which protocols were offered by ALPN. Without it and without an https proxy it is a
// *net.TCPConn, and its RemoteAddr is a proxy's where there is one.
//
// The error is a *permission.Error if t, its addresses, or its proxy are not allowed,
// and an *Error if the connection could not be opened. It matches context.Canceled or
// context.DeadlineExceeded where ctx or a timeout is why. Nothing is left open then.
func (d *Dialer) Dial(ctx context.Context, t Target, protocols ...string) (net.Conn, error) {
	conn, _, err := d.dial(ctx, t, ip4|ip6, protocols)
	return conn, err
}

// DialRoute is Dial for a caller that is to know how the connection got there.
func (d *Dialer) DialRoute(ctx context.Context, t Target, protocols ...string) (net.Conn, Route, error) {
	return d.dial(ctx, t, ip4|ip6, protocols)
}

// A Route is how a connection got to its target.
type Route struct {
	Remote netip.AddrPort // what the socket is connected to: the target, or the proxy
	Proxy  string         // the proxy's host, empty if there is none

	// Target is the address that the proxy was told to connect to. It is zero if the
	// proxy was told a name, and without a proxy.
	Target netip.Addr
}

// DialContext connects to address, a host and a port number, without TLS: whoever is
// given the connection may speak TLS over it. network is "tcp", "tcp4" or "tcp6". Proxy
// is asked with Target.TLS false, since it cannot be known: see DialTLSContext. Errors
// are those of Dial.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	t, f, err := parseAddress(network, address)
	if err != nil {
		return nil, &Error{Step: "connect", Target: redact(address), Err: err}
	}
	conn, _, err := d.dial(ctx, t, f, nil)
	return conn, err
}

// DialTLSContext is DialContext with TLS, for which the protocols in TLS.NextProtos are
// offered. The result is a *tls.Conn. It serves as the DialTLSContext of an
// http.Transport where a proxy is chosen by scheme, or InsecureHosts is in use.
func (d *Dialer) DialTLSContext(ctx context.Context, network, address string) (net.Conn, error) {
	t, f, err := parseAddress(network, address)
	if err != nil {
		return nil, &Error{Step: "connect", Target: redact(address), Err: err}
	}
	t.TLS = true
	var protocols []string
	if d.TLS != nil {
		protocols = d.TLS.NextProtos
	}
	conn, _, err := d.dial(ctx, t, f, protocols)
	return conn, err
}

// CheckReuse checks whether the permissions allow to use, for t, a connection that Dial
// opened for t at another time, perhaps under other permissions, and whose RemoteAddr is
// remote. Ask it before a shared connection is used by somebody else than who dialled.
// The error is a *permission.Error, or an *Error if Proxy fails.
func (d *Dialer) CheckReuse(ctx context.Context, t Target, remote netip.AddrPort) error {
	server, err := d.proxyFor(t)
	switch {
	case err != nil:
		return err
	case server == nil:
		return d.permissions().CheckAddr(ctx, t.Host, remote).Err()
	}
	if err := d.permissions().CheckTarget(ctx, t.Host, t.Port).Err(); err != nil {
		return err
	}
	return d.permissions().CheckAddr(ctx, server.host, remote).Err()
}

var (
	errTimeout    = errors.New("websocket: a timeout of the Dialer is negative: zero means its default")
	errDelay      = errors.New("websocket: AttemptDelay is less than 10 ms: zero means 250 ms")
	errNetwork    = errors.New(`the network is not "tcp", "tcp4" or "tcp6"`)
	errAddress    = errors.New("the address is not a host and a port number, such as example.com:443")
	errSkipVerify = errors.New("TLS verification is switched off only by name: use InsecureHosts")
)

// check refuses options that mean nothing, before anything is asked or dialled.
func (d *Dialer) check(t Target) error {
	switch {
	case min(d.ConnectTimeout, d.ProxyTimeout, d.TLSTimeout, d.AttemptDelay) < 0:
		return errTimeout
	case d.AttemptDelay != 0 && d.AttemptDelay < 10*time.Millisecond:
		return errDelay
	case t.TLS && d.TLS != nil && d.TLS.InsecureSkipVerify:
		return &Error{Step: "TLS handshake", Target: t.String(), Err: errSkipVerify}
	}
	return nil
}

// dial opens a connection to t, whose own addresses are of family f.
func (d *Dialer) dial(ctx context.Context, t Target, f family, protocols []string) (net.Conn, Route, error) {
	if err := d.check(t); err != nil {
		return nil, Route{}, err
	}
	if err := d.permissions().CheckTarget(ctx, t.Host, t.Port).Err(); err != nil {
		return nil, Route{}, err
	}
	e, err := newEndpoint(t.Host, t.Port)
	if err != nil {
		return nil, Route{}, &Error{Step: stepResolve, Target: t.String(), Err: err}
	}
	server, err := d.proxyFor(t)
	if err != nil {
		return nil, Route{}, err
	}
	g := &dialing{Dialer: d, target: e, proxy: server, left: cmp.Or(d.ConnectTimeout, 30*time.Second)}
	var conn net.Conn
	if server == nil {
		conn, err = g.connectTo(ctx, &g.target, f&d.localFamily())
	} else {
		g.route.Proxy, g.route.Target = server.host, e.addr
		conn, err = g.tunnel(ctx, f)
	}
	if err != nil {
		return nil, Route{}, err
	}
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		g.route.Remote = a.AddrPort()
	}
	if t.TLS {
		conn, err = g.secure(ctx, conn, slices.Clone(protocols))
	}
	return conn, g.route, err
}

// parseAddress parses what functions of package net take.
func parseAddress(network, address string) (t Target, f family, err error) {
	switch network {
	case "tcp":
		f = ip4 | ip6
	case "tcp4":
		f = ip4
	case "tcp6":
		f = ip6
	default:
		return t, f, errNetwork
	}
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return t, f, errAddress
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return t, f, errAddress
	}
	return Target{Host: host, Port: uint16(port)}, f, nil
}

func (d *Dialer) permissions() Permissions {
	if d.Permissions == nil {
		return List(nil)
	}
	return d.Permissions
}

func (d *Dialer) logger() *slog.Logger {
	if d.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return d.Logger
}
