package protocol

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
)

func TestParseURLHost(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		// names
		{"EXAMPLE.com", "example.com"},
		{"EX%41MPLE.%63om", "example.com"},
		{"example.com.", "example.com."},
		{"a..b", "a..b"},
		{".", "."},
		{"a_b-c~!$&'()*+,;=", "a_b-c~!$&'()*+,;="},
		{"xn-a.axn--b", "xn-a.axn--b"},
		{strings.Repeat("a", 300), strings.Repeat("a", 300)},
		// names that IDNA maps
		{"Bücher.example", "xn--bcher-kva.example"},
		{"b%C3%BCcher.example", "xn--bcher-kva.example"},
		{"XN--bcher-kva.example", "xn--bcher-kva.example"},
		{"faß.example", "xn--fa-hia.example"},
		{"１２７.0.0.1", "127.0.0.1"},
		// IPv4
		{"127.0.0.1", "127.0.0.1"},
		{"127.0.0.1.", "127.0.0.1"},
		{"127.1", "127.0.0.1"},
		{"127.0.1", "127.0.0.1"},
		{"2130706433", "127.0.0.1"},
		{"0x7f.1", "127.0.0.1"},
		{"0X7F000001", "127.0.0.1"},
		{"0177.0.0.01", "127.0.0.1"},
		{"0", "0.0.0.0"},
		{"0x", "0.0.0.0"},
		{"1.2.3.0x", "1.2.3.0"},
		{"0x.0x.0x.0x", "0.0.0.0"},
		{"00000000000000000000000000000000017.1", "15.0.0.1"},
		{"1.65536", "1.1.0.0"},
		{"1.2.65535", "1.2.255.255"},
		{"1.16777215", "1.255.255.255"},
		{"4294967295", "255.255.255.255"},
		{"%31%32%37.0.0.1", "127.0.0.1"},
		{"1.2.3.4a", "1.2.3.4a"},
		{"1.2.3.4.5x", "1.2.3.4.5x"},
		{"0xg", "0xg"},
		{"1.2.3.4..", "1.2.3.4.."},
		{"1.2.3.-4", "1.2.3.-4"},
		// IPv6
		{"[::]", "[::]"},
		{"[::1]", "[::1]"},
		{"[1::]", "[1::]"},
		{"[0:0:0:0:0:0:0:1]", "[::1]"},
		{"[2001:DB8:0:0:1:0:0:1]", "[2001:db8::1:0:0:1]"},
		{"[1:0:0:2:0:0:0:3]", "[1:0:0:2::3]"},
		{"[1:0:2:3:4:5:6:7]", "[1:0:2:3:4:5:6:7]"},
		{"[1:2:3:4:5:6:7::]", "[1:2:3:4:5:6:7:0]"},
		{"[::2:3:4:5:6:7:8]", "[0:2:3:4:5:6:7:8]"},
		{"[1:2:3:4:5:6:0:0]", "[1:2:3:4:5:6::]"},
		{"[0001:00a::]", "[1:a::]"},
		{"[::ffff:127.0.0.1]", "[::ffff:7f00:1]"},
		{"[64:ff9b::7f00:1]", "[64:ff9b::7f00:1]"},
		{"[1:2:3:4:5:6:1.2.3.4]", "[1:2:3:4:5:6:102:304]"},
	} {
		u, err := ParseURL("ws://"+test.in+"/", mapping)
		if err != nil || u.Host != test.want {
			t.Errorf("the host %q is %+v, %v, want %q", test.in, u, err, test.want)
		}
	}
}

func TestParseURLHostErrors(t *testing.T) {
	for _, in := range []string{
		// names
		"a b", "a%20b", "a%00b", "a%2fb", "a%23b", "a%3ab", "a%40b", "a%5bb", "a%5cb", "a%7fb", "a<b", "a>b", "a^b", "a|b", "a%7cb",
		"a%b", "a%25b", "a%zz", "a[b", "a]b", "%ff", "%C3", "%0d%0a", "%09",
		// IDNA
		"ü.example", "xn--", "a.xn--\x7f", "a／b.example", "\u00ad", "%C2%AD",
		// IPv4
		"256.1.1.1", "1.256.1.1", "1.1.1.256", "1.1.65536", "1.16777216", "4294967296", "99999999999999999999999",
		"0x100000000", "1.2.3.4.5", "08", "1.2.3.08", "1..2", "a.1", "foo.0x1", ".1",
		// IPv6
		"[]", "[:]", "[1]", "[1:2:3:4:5:6:7]", "[1:2:3:4:5:6:7:8:9]", "[1:2:3:4:5:6:7:8::]", "[::1::]", "[:::]", "[:1]", "[1:]",
		"[12345::]", "[g::]", "[::1", "[::1]a", "a[::1]", "[::1.2.3]", "[::1.2.3.4.5]", "[::01.2.3.4]", "[::256.2.3.4]", "[::1.2.3.]",
		"[::.1.2.3]", "[::1.2.3.a]", "[1:2:3:4:5:6:7:1.2.3.4]", "[::1.2.3.4:5]", "[::%31]", "[::1%25eth0]", "[fe80::1%eth0]", "[::1%]", "[ ::1]",
	} {
		u, err := ParseURL("ws://"+in+"/", mapping)
		var e *URLError
		if !errors.As(err, &e) || e.Part != "host" {
			t.Errorf("the host %q gives %+v, %v, want an error that blames the host", in, u, err)
		}
	}
}

func TestParseURLWithoutIDNA(t *testing.T) {
	for _, in := range []string{"ws://bücher.example/", "ws://xn--bcher-kva.example/", "ws://a.XN--b/"} {
		_, err := ParseURL(in, nil)
		if err == nil || !strings.Contains(err.Error(), "IDNA") {
			t.Errorf("ParseURL(%q, nil) = %v, want an error that tells of IDNA", in, err)
		}
	}
}

// net/netip is the oracle for addresses that are written as most are.
func TestIPv6AgreesWithNetip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		var a [8]uint16
		var raw [16]byte
		for i := range a {
			if r.IntN(2) == 0 {
				a[i] = uint16(r.Uint32() >> r.IntN(17))
			}
			binary.BigEndian.PutUint16(raw[2*i:], a[i])
		}
		address := netip.AddrFrom16(raw)
		want := address.String()
		if address.Is4In6() { // netip writes these with dots, the URL standard does not
			continue
		}
		if got := string(appendIPv6(nil, a)); got != want {
			t.Fatalf("appendIPv6(%x) = %s, want %s", a, got, want)
		}
		for _, s := range []string{want, address.StringExpanded()} {
			if got, ok := parseIPv6(s); !ok || got != a {
				t.Fatalf("parseIPv6(%s) = %x, %v, want %x", s, got, ok, a)
			}
		}
	}
}

func FuzzParseIPv6(f *testing.F) {
	// parseIPv6 takes what net/netip takes as an IPv6 address without a zone, and
	// nothing else.
	for _, s := range []string{"::", "::1", "1:2:3:4:5:6:7:8", "1::8", "::ffff:1.2.3.4", "1:2:3:4:5:6:7::", "::01.2.3.4", ":1", "1:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := parseIPv6(s)
		want, err := netip.ParseAddr(s)
		if valid := err == nil && want.Is6() && want.Zone() == ""; ok != valid {
			t.Fatalf("parseIPv6(%q) = %v, net/netip says %v", s, ok, valid)
		}
		if !ok {
			return
		}
		var raw [16]byte
		for i, piece := range got {
			binary.BigEndian.PutUint16(raw[2*i:], piece)
		}
		if raw != want.As16() {
			t.Fatalf("parseIPv6(%q) = %x, want %x", s, raw, want.As16())
		}
	})
}
