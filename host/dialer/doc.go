// Package dialer opens TCP and TLS connections to what a permission list allows,
// directly or through a proxy.
//
// A [Dialer] resolves a name once, checks the name and every address that it resolved
// to, and connects to the addresses that passed, by number: the name is not resolved
// a second time by anybody. The address that the socket is connected to is checked as
// well. Its DialContext is a [net/http.Transport]'s:
//
//	list, err := permission.Parse([]string{"*.example.com:443"}, nil)
//	…
//	d := &dialer.Dialer{Permissions: dialer.List(list)}
//	client := &http.Client{Transport: &http.Transport{DialContext: d.DialContext}}
//
// Every redirect to another host is then a new dial with its own check. Leave
// Transport.Proxy nil and set Dialer.Proxy: with the former the proxy is what is
// dialled and checked, and the target is not.
//
// # Addresses
//
// Where a name resolves to addresses that are allowed and others that are not, the
// others are left out. They take no part in the race for the fastest either. At most 64
// answers are looked at and 16 addresses tried, IPv6 and IPv4 by turns, each when the
// one before failed or took longer than AttemptDelay. The first that is connected
// stays. https://www.rfc-editor.org/rfc/rfc8305
//
// # Proxies
//
// The kind of proxy is the scheme of its URL:
//
//	http://user:password@proxy.example.com:3128   HTTP CONNECT, Basic credentials
//	https://proxy.example.com                     the same, within TLS to the proxy
//	socks5://127.0.0.1:1080                       SOCKS5, names are resolved here
//	socks5h://127.0.0.1:1080                      SOCKS5, names are resolved by the proxy
//
// The default ports are 80, 443 and 1080. The target needs its grant as it does
// without a proxy, and the proxy's host and port need one too. A proxy in a private
// network is often a name that resolves to a private address, so allow both:
// --allow-net=proxy.example.com:3128,10.0.0.0/8:3128. TLS with the target runs inside
// the tunnel, from end to end, and the proxy's credentials stay outside of it.
//
// A socks5 proxy is sent an address that was checked. The other kinds are sent the
// name, and which address they connect to for it cannot be checked here. The grant of
// the name is what they need; in addition the name is resolved here, and one answer
// that is not allowed, private addresses without a rule of their own among them,
// refuses the target. That keeps names that everybody resolves alike from reaching
// what is denied. It does not stop somebody who has a name server of his own: to him
// such a proxy's network is open to the proxy's rules only. A name that
// cannot be resolved here within 2 s is left to the proxy. The lookup tells the
// name to the name servers of this machine; a Resolver that refuses keeps it from
// them.
//
// # TLS
//
// Certificates are verified always, except for the hosts in InsecureHosts. Roots,
// client certificates, server name, least version and key log are fields of
// [tls.Config]; [Pin] adds public keys to it. An [*Error] says which check failed.
package dialer
