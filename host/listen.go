package host

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"

	"github.com/wasock/wasock/host/permission"
)

// Listen listens on address, a host and a port, if g allows it: Grant.CheckListen has
// the rules. The host is an IP address or localhost, which is 127.0.0.1 here, and port
// 0 lets the system choose. The listener counts as one of g's connections until it is
// closed, and is closed when g does not allow it any more. WebSockets that come by it
// count too if AcceptOptions.Listener names it. When a revoked listener closes,
// http.Server.Serve returns; give the connections time for their Close frames before the
// Server is closed as well: Host.Shutdown does.
//
// The error is a *PermissionError, a *QuotaError, an *ArgumentError for an address that
// is malformed, or package net's.
func Listen(ctx context.Context, address string, g *permission.Grant) (*Listener, error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return nil, &ArgumentError{Rule: "an address to listen on is a host and a port, such as 127.0.0.1:8080"}
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, &ArgumentError{Rule: "the port to listen on is a number up to 65535"}
	}
	if err := g.CheckListen(ctx, host, uint16(port)).Err(); err != nil {
		return nil, err
	}
	lease, err := g.AcquireListen(ctx, host, uint16(port))
	if err != nil {
		return nil, err
	}
	bind := host
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		bind = "127.0.0.1" // what else the name resolves to was not granted
	}
	network := "tcp4" // with "tcp" the unspecified address of one family is both families'
	if addr, err := netip.ParseAddr(bind); err == nil && addr.Unmap().Is6() {
		network = "tcp6"
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, network, net.JoinHostPort(bind, text))
	if err != nil {
		lease.Release()
		return nil, err
	}
	held := &Listener{Listener: l, grant: g, host: host, port: uint16(port), lease: lease}
	lease.OnRevoke(func(error) { _ = held.Close() })
	return held, nil
}

// A Listener is a net.Listener that counts against a grant.
type Listener struct {
	net.Listener
	grant *permission.Grant
	host  string
	port  uint16
	lease *permission.Lease
	once  sync.Once
}

// Close stops listening. Connections that were accepted stay.
func (l *Listener) Close() error {
	l.once.Do(l.lease.Release)
	return l.Listener.Close()
}

// lend takes a lease for a connection that l accepted.
func (l *Listener) lend(ctx context.Context) (*permission.Lease, error) {
	return l.grant.AcquireListen(ctx, l.host, l.port)
}
