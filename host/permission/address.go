package permission

import "net/netip"

var (
	ipv4Loopback    = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	ipv4Unspecified = netip.IPv4Unspecified()
	ipv6Loopback    = netip.IPv6Loopback()
)

// class says what an address is for.
type class uint8

const (
	classPublic class = iota
	classUnspecified
	classLoopback
	classPrivate
	classLinkLocal
	classShared
	classMulticast
	classMetadata
	classBenchmarking
	classDocumentation
	classReserved
)

// String returns the class as messages have it, with its article.
func (c class) String() string {
	switch c {
	case classPublic:
		return "a public address"
	case classUnspecified:
		return "the unspecified address"
	case classLoopback:
		return "a loopback address"
	case classPrivate:
		return "a private address"
	case classLinkLocal:
		return "a link-local address"
	case classShared:
		return "a shared address (carrier-grade NAT)"
	case classMulticast:
		return "a multicast address"
	case classMetadata:
		return "a cloud metadata address"
	case classBenchmarking:
		return "a benchmarking address"
	case classDocumentation:
		return "a documentation address"
	case classReserved:
		return "a reserved address"
	}
	panic("BUG: address of unknown class")
}

// classWords are the rules that name a class. No host of these names can be written
// in a rule.
var classWords = map[string]class{
	"loopback":   classLoopback,
	"private":    classPrivate,
	"link-local": classLinkLocal,
}

func (c class) word() string {
	for word, class := range classWords {
		if class == c {
			return word
		}
	}
	panic("BUG: class without a word")
}

// classOf returns the class of addr, which is not IPv4-mapped. It looks at addr as
// it stands: see meanings for the addresses that it embeds.
func classOf(addr netip.Addr) class {
	for _, m := range metadata {
		if addr == m {
			return classMetadata
		}
	}
	return rangeClass(addr)
}

// rangeClass returns the class of the range that addr is in. A metadata address has
// the class of its surroundings.
func rangeClass(addr netip.Addr) class {
	ranges := ipv4Ranges
	if addr.Is6() {
		ranges = ipv6Ranges
	}
	for i := range ranges {
		if ranges[i].prefix.Contains(addr) {
			return ranges[i].class
		}
	}
	return classPublic
}

// meanings are the addresses that a packet to one address may reach. The first is
// the address itself, unmapped; n counts them.
type meanings struct {
	addrs [3]netip.Addr
	n     int
}

func (m *meanings) add(addr netip.Addr) {
	m.addrs[m.n] = addr
	m.n++
}

// meaningsOf returns addr itself, unmapped, and the IPv4 addresses that it embeds.
// Unspecified addresses mean loopback addresses too: systems connect them there.
func meaningsOf(addr netip.Addr) meanings {
	addr = addr.Unmap()
	var m meanings
	m.add(addr)
	b := addr.As16()
	switch {
	case addr == ipv4Unspecified:
		m.add(ipv4Loopback)
	case addr == netip.IPv6Unspecified():
		m.add(ipv6Loopback)
		m.add(ipv4Loopback)
	case addr.Is4() || addr == ipv6Loopback:
	case ipv4Compatible.Contains(addr), ipv4Translated.Contains(addr), nat64.Contains(addr):
		m.add(netip.AddrFrom4([4]byte(b[12:16])))
	case sixToFour.Contains(addr):
		m.add(netip.AddrFrom4([4]byte(b[2:6])))
		if isISATAP(b) {
			m.add(netip.AddrFrom4([4]byte(b[12:16])))
		}
	case teredo.Contains(addr):
		// The server, then the client, whose bits are inverted.
		// https://www.rfc-editor.org/rfc/rfc4380#section-4
		m.add(netip.AddrFrom4([4]byte(b[4:8])))
		m.add(netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]}))
	case nat64Local.Contains(addr):
		// Who runs the translator chooses the prefix length: 96 and 48 are looked
		// at. Zero is the filling of the one that is not in use.
		// https://www.rfc-editor.org/rfc/rfc6052#section-2.2
		last := netip.AddrFrom4([4]byte(b[12:16]))
		early := netip.AddrFrom4([4]byte{b[6], b[7], b[9], b[10]})
		if !last.IsUnspecified() || early.IsUnspecified() {
			m.add(last)
		}
		if !early.IsUnspecified() {
			m.add(early)
		}
	case isISATAP(b):
		m.add(netip.AddrFrom4([4]byte(b[12:16])))
	}
	return m
}

// isISATAP reports whether the second half of b is the interface of an ISATAP router
// or host, under whatever prefix. The two bits that may be set say where the IPv4
// address is unique.
// https://www.rfc-editor.org/rfc/rfc5214#section-6.1
func isISATAP(b [16]byte) bool {
	return b[8]&^3 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe
}

// reaches reports whether m holds addr.
func (m *meanings) reaches(addr netip.Addr) bool {
	addr = addr.Unmap()
	if m.addrs[0].IsUnspecified() {
		return addr == m.addrs[0] || addr.IsLoopback()
	}
	return addr == m.addrs[0]
}

// Prefixes of addresses that embed an IPv4 address.
var (
	ipv4Compatible = netip.MustParsePrefix("::/96")           // https://www.rfc-editor.org/rfc/rfc4291#section-2.5.5.1
	ipv4Translated = netip.MustParsePrefix("::ffff:0:0:0/96") // https://www.rfc-editor.org/rfc/rfc2765#section-2.1
	nat64          = netip.MustParsePrefix("64:ff9b::/96")    // https://www.rfc-editor.org/rfc/rfc6052#section-2.1
	nat64Local     = netip.MustParsePrefix("64:ff9b:1::/48")  // https://www.rfc-editor.org/rfc/rfc8215
	sixToFour      = netip.MustParsePrefix("2002::/16")       // https://www.rfc-editor.org/rfc/rfc3056#section-2
	teredo         = netip.MustParsePrefix("2001::/32")       // https://www.rfc-editor.org/rfc/rfc4380#section-2.6
)

// metadata are the addresses at which clouds hand out credentials to whoever asks
// from the machine. Most have a class that keeps them from names anyway; the entry
// keeps them from the class words.
var metadata = [...]netip.Addr{
	netip.MustParseAddr("169.254.169.254"),    // most clouds
	netip.MustParseAddr("fd00:ec2::254"),      // AWS EC2
	netip.MustParseAddr("169.254.170.2"),      // AWS ECS
	netip.MustParseAddr("169.254.170.23"),     // AWS EKS
	netip.MustParseAddr("fd00:ec2::23"),       // AWS EKS
	netip.MustParseAddr("100.100.100.200"),    // Alibaba Cloud
	netip.MustParseAddr("168.63.129.16"),      // Azure, in a public range
	netip.MustParseAddr("fd20:ce::254"),       // Google Cloud
	netip.MustParseAddr("fe80::a9fe:a9fe"),    // OpenStack
	netip.MustParseAddr("fd00:c1::a9fe:a9fe"), // Oracle Cloud
	netip.MustParseAddr("192.0.0.192"),        // Oracle Cloud at Customer
	netip.MustParseAddr("169.254.42.42"),      // Scaleway
	netip.MustParseAddr("fd00:42::42"),        // Scaleway
	netip.MustParseAddr("fd00:a9fe:a9fe::1"),  // Akamai
	netip.MustParseAddr("fd00:100::100:200"),  // Alibaba Cloud
	netip.MustParseAddr("169.254.0.23"),       // Tencent Cloud
	netip.MustParseAddr("169.254.10.10"),      // Tencent Cloud
}

type classRange struct {
	prefix netip.Prefix
	class  class
}

func ranges(class class, prefixes ...string) []classRange {
	var list []classRange
	for _, p := range prefixes {
		list = append(list, classRange{netip.MustParsePrefix(p), class})
	}
	return list
}

func concat(lists ...[]classRange) []classRange {
	var all []classRange
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

// ipv4Ranges holds the ranges that are not public; the first that contains an address
// decides.
// https://www.iana.org/assignments/iana-ipv4-special-registry
var ipv4Ranges = concat(
	ranges(classLoopback, "127.0.0.0/8"),
	ranges(classPrivate, "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
	ranges(classLinkLocal, "169.254.0.0/16"),
	ranges(classShared, "100.64.0.0/10"),
	ranges(classUnspecified, "0.0.0.0/32"),
	ranges(classMulticast, "224.0.0.0/4"),
	ranges(classBenchmarking, "198.18.0.0/15"),
	ranges(classDocumentation, "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"),
	ranges(classReserved, "0.0.0.0/8", "192.0.0.0/24", "192.88.99.0/24", "240.0.0.0/4"),
)

// ipv6Ranges is the same for IPv6. What lies outside of 2000::/3 is not in use as
// public address space, but for NAT64. Of 2001::/23 the assignments that the registry
// calls globally reachable are public; Teredo and 6to4 are judged by what they embed.
// https://www.iana.org/assignments/iana-ipv6-special-registry
var ipv6Ranges = concat(
	ranges(classPublic, "64:ff9b::/96"),
	ranges(classLoopback, "::1/128"),
	ranges(classPrivate, "fc00::/7", "fec0::/10"),
	ranges(classLinkLocal, "fe80::/10"),
	ranges(classUnspecified, "::/128"),
	ranges(classMulticast, "ff00::/8"),
	ranges(classReserved, "::/3", "4000::/2", "8000::/1"),
	ranges(classPublic, "2001::/32", "2001:1::1/128", "2001:1::2/128", "2001:1::3/128",
		"2001:3::/32", "2001:4:112::/48", "2001:20::/28", "2001:30::/28"),
	ranges(classBenchmarking, "2001:2::/48"),
	ranges(classReserved, "2001::/23"),
	ranges(classDocumentation, "2001:db8::/32", "3fff::/20"),
)
