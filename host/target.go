package host

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/wasock/wasock/host/dialer"
)

// A target is what a connection is made to, as the engine parsed it from a URL.
type target struct {
	host string // an ASCII name, IPv4, or IPv6 in brackets
	port uint16
	tls  bool
}

// valid reports whether t could have come from a URL. The engine's word is not
// taken for it.
func (t *target) valid() bool {
	for i := range len(t.host) {
		if c := t.host[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("/\\?#@%\"<>^`{|}", c) >= 0 {
			return false
		}
	}
	return t.host != ""
}

func (t *target) name() string { return strings.Trim(t.host, "[]") }

func (t *target) String() string { return net.JoinHostPort(t.name(), strconv.Itoa(int(t.port))) }

func (t *target) dialer() dialer.Target { return dialer.Target{Host: t.host, Port: t.port, TLS: t.tls} }

// A path is the way to a target: what connections have in common that may be shared,
// besides TLS.
type path struct {
	proxy string // its URL, "" for none
	local netip.Addr
}

// chooseProxy asks for the proxy to c's target, once for all of its attempts.
func (c *Conn) chooseProxy(o *DialOptions) (err error) {
	if o.Proxy == nil {
		return nil
	}
	if c.proxy, err = o.Proxy(c.target.dialer()); err != nil {
		return &DialError{Step: "proxy", Target: c.target.String(), Err: err}
	}
	return nil
}

// path returns the way to c's target.
func (c *Conn) path(o *DialOptions) path {
	p := path{local: o.LocalAddr}
	if c.proxy != nil {
		p.proxy = c.proxy.String()
	}
	return p
}

// connect opens a transport to c's target: connected to an address that the grant
// allows, and behind TLS, with protocols offered by ALPN, where the engine asked for
// that.
func (c *Conn) connect(ctx context.Context, o *DialOptions, protocols ...string) (net.Conn, dialer.Route, error) {
	d := dialer.Dialer{
		Permissions: c.grant, Resolver: o.Resolver,
		Proxy: dialer.ProxyURL(c.proxy), LocalAddr: o.LocalAddr, KeepAlive: o.KeepAlive,
		ConnectTimeout: o.Limits.connectTimeout(), TLSTimeout: o.Limits.tlsTimeout(),
		TLS: o.TLS, InsecureHosts: o.InsecureHosts, ProxyTLS: o.ProxyTLS, Logger: c.host.logger,
	}
	nc, route, err := d.DialRoute(ctx, c.target.dialer(), protocols...)
	if err == nil {
		if err = c.opened(ctx, route); err != nil {
			_ = nc.Close()
		}
	}
	if err != nil {
		return nil, dialer.Route{}, err
	}
	return nc, route, nil
}

// opened tells c's lease where c goes, and fails if it may not.
func (c *Conn) opened(ctx context.Context, r dialer.Route) error {
	if r.Proxy != "" {
		return c.lease.OpenedThrough(ctx, r.Proxy, r.Remote, r.Target)
	}
	return c.lease.Opened(ctx, r.Remote)
}

// insecure reports whether t is one of InsecureHosts.
func (o *DialOptions) insecure(t *target) bool {
	for _, name := range o.InsecureHosts {
		if strings.EqualFold(strings.Trim(name, "[]"), t.name()) {
			return true
		}
	}
	return false
}

// A ProxyFunc says which proxy a target is to be reached through, nil for none.
type ProxyFunc = func(dialer.Target) (*url.URL, error)
