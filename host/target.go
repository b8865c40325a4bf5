package host

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"

	"github.com/wasock/wasock/host/permission"
)

// A PermissionError is a target that the permissions do not allow. It names the
// rule that is missing, or the one that denied.
type PermissionError = permission.Error

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

// checkTarget checks t against the permissions of one connection, or the host's.
func (h *Host) checkTarget(p *permission.List, t *target) error {
	if p == nil {
		p = h.cfg.Permissions
	}
	return p.CheckTarget(t.host, t.port).Err()
}

// grants returns the permissions that hold for c.
func (c *Conn) grants() *permission.List {
	if c.permissions != nil {
		return c.permissions
	}
	return c.host.cfg.Permissions
}

// connect opens a transport to c's target: connected to an address that the
// permissions allow, and behind TLS, with protocols offered by ALPN, where the
// engine asked for that.
func (c *Conn) connect(ctx context.Context, o *DialOptions, protocols ...string) (net.Conn, error) {
	t := c.target
	permissions := c.grants()
	d := net.Dialer{
		Timeout: o.Limits.connectTimeout(),
		// Called with each address in turn, after resolution and before the
		// connection: there is no second resolution that could differ.
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			addr, err := netip.ParseAddrPort(address)
			if err != nil {
				return err
			}
			return permissions.CheckAddr(t.host, addr).Err()
		},
	}
	nc, err := d.DialContext(ctx, "tcp", t.String())
	if err != nil {
		var denied *PermissionError
		if errors.As(err, &denied) {
			return nil, denied
		}
		return nil, &DialError{"connect", t.String(), err}
	}
	if !t.tls {
		return nc, nil
	}
	tc, err := c.secure(ctx, nc, o, protocols)
	if err != nil {
		_ = nc.Close()
		return nil, &DialError{"TLS handshake", t.String(), err}
	}
	return tc, nil
}

// secure does the TLS handshake with the target over nc.
func (c *Conn) secure(ctx context.Context, nc net.Conn, o *DialOptions, protocols []string) (net.Conn, error) {
	cfg := &tls.Config{}
	if o.TLS != nil {
		cfg = o.TLS.Clone()
	}
	if cfg.InsecureSkipVerify {
		return nil, errSkipVerify
	}
	if cfg.ServerName == "" {
		cfg.ServerName = c.target.name()
	}
	if o.insecure(c.target) {
		cfg.InsecureSkipVerify = true
		c.host.logger.Warn("websocket: TLS certificate is not verified", "target", c.target.String())
	}
	cfg.NextProtos = protocols
	ctx, cancel := context.WithTimeout(ctx, o.Limits.tlsTimeout())
	defer cancel()
	tc := tls.Client(nc, cfg)
	if err := tc.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return tc, nil
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

var errSkipVerify = errors.New("TLS verification is switched off only by name: use DialOptions.InsecureHosts")
