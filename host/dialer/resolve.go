package dialer

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxAnswers is how many of a name's addresses are checked. A hostile name server
	// can send thousands, and each check may be a line in a log.
	maxAnswers = 64

	// maxAttempts is how many of them are connected.
	maxAttempts = 16
)

var (
	errHost      = errors.New("the host is neither an ASCII name nor an address without a zone id")
	errNoAddress = errors.New("the name has no address of the kind that is asked for")
	errFamily    = errors.New("the address, the network (tcp4, tcp6) and LocalAddr are not of one family")
)

// An endpoint is a host and a port: the target's or a proxy's.
type endpoint struct {
	host string     // as given, and as permissions are asked about it
	name string     // without brackets and last dot; of a literal the canonical form
	addr netip.Addr // of a literal, unmapped
	port uint16
}

// newEndpoint parses host. What it accepts is safe to write into a request and a
// message; what may be dialled is for the permissions to say.
func newEndpoint(host string, port uint16) (endpoint, error) {
	e := endpoint{host: host, port: port}
	text, opened := strings.CutPrefix(host, "[")
	text, closed := strings.CutSuffix(text, "]")
	if addr, err := netip.ParseAddr(text); err == nil {
		if addr.Zone() != "" || opened != closed || opened && addr.Is4() {
			return endpoint{}, errHost
		}
		e.addr = addr.Unmap()
		e.name = e.addr.String()
		return e, nil
	}
	e.name = strings.TrimSuffix(host, ".")
	if e.name == "" || len(e.name) > 253 {
		return endpoint{}, errHost
	}
	for _, c := range []byte(e.name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return endpoint{}, errHost
		}
	}
	return e, nil
}

func (e *endpoint) String() string { return net.JoinHostPort(e.name, strconv.Itoa(int(e.port))) }

func (e *endpoint) isLiteral() bool { return e.addr.IsValid() }

// A family is a set of address families.
type family uint8

const (
	ip4 family = 1 << iota
	ip6
)

// localFamily returns the families that sockets may be of.
func (d *Dialer) localFamily() family {
	switch {
	case !d.LocalAddr.IsValid():
		return ip4 | ip6
	case d.LocalAddr.Unmap().Is4():
		return ip4
	}
	return ip6
}

func (f family) has(addr netip.Addr) bool {
	if addr.Unmap().Is4() {
		return f&ip4 != 0
	}
	return addr.Is6() && f&ip6 != 0
}

func (f family) network() string {
	switch f {
	case ip4:
		return "ip4"
	case ip6:
		return "ip6"
	}
	return "ip"
}

// lookup returns the addresses of e that are of family f, each once, in the order in
// which to try them: IPv6 and IPv4 by turns, and otherwise the resolver's order.
// https://www.rfc-editor.org/rfc/rfc8305#section-4
func (d *Dialer) lookup(ctx context.Context, e *endpoint, f family) ([]netip.Addr, error) {
	if f == 0 || e.isLiteral() && !f.has(e.addr) {
		return nil, errFamily
	}
	if e.isLiteral() {
		return []netip.Addr{e.addr}, nil
	}
	var r Resolver = net.DefaultResolver
	if d.Resolver != nil {
		r = d.Resolver
	}
	// With its last dot: the resolver adds no search domain to such a name.
	answers, err := r.LookupNetIP(ctx, f.network(), e.host)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	var first, second []netip.Addr
	for _, a := range answers {
		switch {
		case !f.has(a):
		case a.Unmap().Is4():
			second = appendOnce(second, a)
		default:
			first = appendOnce(first, a)
		}
	}
	if len(first)+len(second) == 0 {
		return nil, errNoAddress
	}
	return interleave(first, second), nil
}

func appendOnce(list []netip.Addr, a netip.Addr) []netip.Addr {
	if slices.Contains(list, a) {
		return list
	}
	return append(list, a)
}

func interleave(first, second []netip.Addr) []netip.Addr {
	all := make([]netip.Addr, 0, len(first)+len(second))
	for i := range max(len(first), len(second)) {
		if i < len(first) {
			all = append(all, first[i])
		}
		if i < len(second) {
			all = append(all, second[i])
		}
	}
	return all
}

// permitted returns those of the addresses of e that may be dialled. If none may, the
// error is the first one's.
func (d *Dialer) permitted(ctx context.Context, e *endpoint, addrs []netip.Addr) ([]netip.AddrPort, error) {
	var allowed []netip.AddrPort
	var denied error
	for _, a := range addrs[:min(len(addrs), maxAnswers)] {
		// As it was answered: a zone id, which unmapping would drop, refuses.
		err := d.permissions().CheckAddr(ctx, e.host, netip.AddrPortFrom(a, e.port)).Err()
		switch {
		case err == nil:
			allowed = append(allowed, netip.AddrPortFrom(a.Unmap(), e.port))
		case denied == nil:
			denied = err
		}
		if len(allowed) == maxAttempts {
			break
		}
	}
	if len(allowed) == 0 {
		return nil, denied
	}
	return allowed, nil
}
