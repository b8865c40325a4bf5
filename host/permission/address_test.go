package permission

import (
	"net/netip"
	"strings"
	"testing"
)

// Each range is probed at both ends and just outside of them.
func TestClassOfBoundaries(t *testing.T) {
	for _, test := range []struct {
		addr string
		want class
	}{
		{"0.0.0.0", classUnspecified},
		{"0.0.0.1", classReserved},
		{"0.255.255.255", classReserved},
		{"1.0.0.0", classPublic},
		{"9.255.255.255", classPublic},
		{"10.0.0.0", classPrivate},
		{"10.255.255.255", classPrivate},
		{"11.0.0.0", classPublic},
		{"100.63.255.255", classPublic},
		{"100.64.0.0", classShared},
		{"100.100.100.199", classShared},
		{"100.100.100.200", classMetadata},
		{"100.127.255.255", classShared},
		{"100.128.0.0", classPublic},
		{"126.255.255.255", classPublic},
		{"127.0.0.0", classLoopback},
		{"127.255.255.255", classLoopback},
		{"128.0.0.0", classPublic},
		{"192.0.0.192", classMetadata},
		{"169.254.0.23", classMetadata},
		{"169.254.10.10", classMetadata},
		{"169.254.42.42", classMetadata},
		{"fd00:42::42", classMetadata},
		{"fd00:c1::a9fe:a9fe", classMetadata},
		{"fd00:a9fe:a9fe::1", classMetadata},
		{"fd00:100::100:200", classMetadata},
		{"168.63.129.15", classPublic},
		{"168.63.129.16", classMetadata},
		{"169.253.255.255", classPublic},
		{"169.254.0.0", classLinkLocal},
		{"169.254.169.253", classLinkLocal},
		{"169.254.169.254", classMetadata},
		{"169.254.170.2", classMetadata},
		{"169.254.170.23", classMetadata},
		{"169.254.255.255", classLinkLocal},
		{"169.255.0.0", classPublic},
		{"172.15.255.255", classPublic},
		{"172.16.0.0", classPrivate},
		{"172.31.255.255", classPrivate},
		{"172.32.0.0", classPublic},
		{"191.255.255.255", classPublic},
		{"192.0.0.0", classReserved},
		{"192.0.0.255", classReserved},
		{"192.0.1.255", classPublic},
		{"192.0.2.0", classDocumentation},
		{"192.0.2.255", classDocumentation},
		{"192.0.3.0", classPublic},
		{"192.88.99.0", classReserved},
		{"192.88.100.0", classPublic},
		{"192.167.255.255", classPublic},
		{"192.168.0.0", classPrivate},
		{"192.168.255.255", classPrivate},
		{"192.169.0.0", classPublic},
		{"198.17.255.255", classPublic},
		{"198.18.0.0", classBenchmarking},
		{"198.19.255.255", classBenchmarking},
		{"198.20.0.0", classPublic},
		{"198.51.99.255", classPublic},
		{"198.51.100.0", classDocumentation},
		{"198.51.101.0", classPublic},
		{"203.0.113.255", classDocumentation},
		{"203.0.114.0", classPublic},
		{"223.255.255.255", classPublic},
		{"224.0.0.0", classMulticast},
		{"239.255.255.255", classMulticast},
		{"240.0.0.0", classReserved},
		{"255.255.255.255", classReserved},
		{"::", classUnspecified},
		{"::1", classLoopback},
		{"::2", classReserved},
		{"::ffff:0:7f00:1", classReserved},
		{"64:ff9b::", classPublic},
		{"64:ff9b::ffff:ffff", classPublic},
		{"64:ff9b::1:0:0", classReserved},
		{"64:ff9b:1::", classReserved},
		{"100::", classReserved},
		{"1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", classReserved},
		{"2000::", classPublic},
		{"2001::", classPublic},
		{"2001:1::", classReserved},
		{"2001:1::1", classPublic},
		{"2001:1::4", classReserved},
		{"2001:2::", classBenchmarking},
		{"2001:2:1::", classReserved},
		{"2001:3::", classPublic},
		{"2001:4:112::", classPublic},
		{"2001:10::", classReserved},
		{"2001:20::", classPublic},
		{"2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", classReserved},
		{"2001:200::", classPublic},
		{"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", classPublic},
		{"2001:db8::", classDocumentation},
		{"2001:db9::", classPublic},
		{"2002::", classPublic},
		{"3fff::", classDocumentation},
		{"3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", classDocumentation},
		{"3fff:1000::", classPublic},
		{"4000::", classReserved},
		{"5f00::", classReserved},
		{"8000::", classReserved},
		{"fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", classReserved},
		{"fc00::", classPrivate},
		{"fd00:ec2::23", classMetadata},
		{"fd00:ec2::254", classMetadata},
		{"fd00:ec2::255", classPrivate},
		{"fd20:ce::254", classMetadata},
		{"fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", classPrivate},
		{"fe00::", classReserved},
		{"fe80::", classLinkLocal},
		{"fe80::a9fe:a9fe", classMetadata},
		{"febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", classLinkLocal},
		{"fec0::", classPrivate},
		{"feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", classPrivate},
		{"ff00::", classMulticast},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", classMulticast},
	} {
		if got := classOf(netip.MustParseAddr(test.addr)); got != test.want {
			t.Errorf("%s has the class of its range\n got %v\nwant %v", test.addr, got, test.want)
		}
	}
}

// The predicates of net/netip are a second opinion on the ranges that they know.
func TestClassOfAgreesWithNetip(t *testing.T) {
	for i := range 1 << 16 {
		for _, addr := range []netip.Addr{
			netip.AddrFrom4([4]byte{byte(i >> 8), byte(i), 1, 1}),
			netip.AddrFrom16([16]byte{byte(i >> 8), byte(i), 15: 1}),
		} {
			got := rangeClass(addr)
			for _, opinion := range []struct {
				class class
				is    bool
			}{
				{classLoopback, addr.IsLoopback()},
				{classLinkLocal, addr.IsLinkLocalUnicast()},
				{classMulticast, addr.IsMulticast()},
			} {
				if (got == opinion.class) != opinion.is {
					t.Fatalf("netip agrees about %s\n got %v\nwant %v: %v", addr, got, opinion.class, opinion.is)
				}
			}
			if addr.IsPrivate() && got != classPrivate || got == classPublic && !addr.IsGlobalUnicast() {
				t.Fatalf("netip agrees about %s\ngot %v", addr, got)
			}
		}
	}
}

func TestMeanings(t *testing.T) {
	for _, test := range []struct{ addr, want string }{
		{"8.8.8.8", "8.8.8.8"},
		{"0.0.0.0", "0.0.0.0 127.0.0.1"},
		{"::", ":: ::1 127.0.0.1"},
		{"::1", "::1"},
		{"::2", "::2 0.0.0.2"},
		{"::ffff:1.2.3.4", "1.2.3.4"},
		{"::ffff:0.0.0.0", "0.0.0.0 127.0.0.1"},
		{"::1.2.3.4", "::102:304 1.2.3.4"},
		{"::ffff:0:1.2.3.4", "::ffff:0:102:304 1.2.3.4"},
		{"::1:0:1.2.3.4", "::1:0:102:304"},
		{"64:ff9b::1.2.3.4", "64:ff9b::102:304 1.2.3.4"},
		{"64:ff9b::1:1.2.3.4", "64:ff9b::1:102:304"},
		{"64:ff9b:1::1.2.3.4", "64:ff9b:1::102:304 1.2.3.4"},
		{"64:ff9b:1:102:3:400::", "64:ff9b:1:102:3:400:: 1.2.3.4"},
		{"64:ff9b:1:102:3:400:506:708", "64:ff9b:1:102:3:400:506:708 5.6.7.8 1.2.3.4"},
		{"64:ff9b:1::", "64:ff9b:1:: 0.0.0.0"},
		{"64:ff9b:2::1.2.3.4", "64:ff9b:2::102:304"},
		{"2002:102:304:5::6", "2002:102:304:5::6 1.2.3.4"},
		{"2003:102:304:5::6", "2003:102:304:5::6"},
		{"2001:0:102:304::fefd:fcfb", "2001:0:102:304::fefd:fcfb 1.2.3.4 1.2.3.4"},
		{"2001:1:102:304::", "2001:1:102:304::"},
		{"2001:0:102:304:0:5efe:fefd:fcfb", "2001:0:102:304:0:5efe:fefd:fcfb 1.2.3.4 1.2.3.4"},
		{"2606:4700::5efe:1.2.3.4", "2606:4700::5efe:102:304 1.2.3.4"},
		{"2606:4700::200:5efe:1.2.3.4", "2606:4700::200:5efe:102:304 1.2.3.4"},
		{"2606:4700::300:5efe:1.2.3.4", "2606:4700::300:5efe:102:304 1.2.3.4"},
		{"2606:4700::400:5efe:1.2.3.4", "2606:4700::400:5efe:102:304"},
		{"2606:4700::1:5efe:1.2.3.4", "2606:4700::1:5efe:102:304"},
		{"2606:4700::5eff:1.2.3.4", "2606:4700::5eff:102:304"},
		{"2606:4700::5ffe:1.2.3.4", "2606:4700::5ffe:102:304"},
		{"fe80::5efe:1.2.3.4", "fe80::5efe:102:304 1.2.3.4"},
		{"2002:102:304::5efe:5.6.7.8", "2002:102:304::5efe:506:708 1.2.3.4 5.6.7.8"},
	} {
		m := meaningsOf(netip.MustParseAddr(test.addr))
		var got []string
		for _, a := range m.addrs[:m.n] {
			got = append(got, a.String())
		}
		if got := strings.Join(got, " "); got != test.want {
			t.Errorf("%s means itself and what it embeds\n got %s\nwant %s", test.addr, got, test.want)
		}
	}
}
