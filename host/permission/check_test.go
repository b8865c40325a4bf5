package permission

import (
	"net/netip"
	"strings"
	"testing"
)

const everything = "(all)" // in a table: AllowAll

func testList(t testing.TB, allow, deny string) *List {
	t.Helper()
	var l *List
	var err error
	var denied, allowed []string
	if deny != "" {
		denied = strings.Fields(deny)
	}
	if allow != "" {
		allowed = strings.Fields(allow)
	}
	if allow == everything {
		l, err = AllowAll(denied...)
	} else {
		l, err = Parse(allowed, denied)
	}
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// checkRow asks one question. addr is empty for CheckTarget. want is the explanation,
// and ends in "✓" if the verdict allows.
type checkRow struct {
	allow, deny string
	host        string
	port        uint16
	addr        string
	want        string
}

func (row checkRow) ask(l *List) Verdict {
	if row.addr == "" {
		return l.CheckTarget(row.host, row.port)
	}
	return l.CheckAddr(row.host, netip.AddrPortFrom(netip.MustParseAddr(row.addr), row.port))
}

func runChecks(t *testing.T, what string, rows []checkRow) {
	t.Helper()
	for _, row := range rows {
		v := row.ask(testList(t, row.allow, row.deny))
		got := v.Explain()
		if v.Allowed {
			got += " ✓"
		}
		if got != row.want {
			t.Errorf("%s\nallow %s, deny %s: dial %q port %d at %q\n got %s\nwant %s",
				what, row.allow, row.deny, row.host, row.port, row.addr, got, row.want)
		}
		if err := v.Err(); (err == nil) != v.Allowed {
			t.Errorf("%s\nallow %s, deny %s: the error of %q agrees with the verdict\ngot %v",
				what, row.allow, row.deny, row.host, err)
		}
	}
}

func TestCheckTargetNames(t *testing.T) {
	const h = "example.com"
	runChecks(t, "a name is allowed by a rule that names it and its port", []checkRow{
		{"", "", h, 443, "", "needs --allow-net=example.com:443"},
		{h, "", h, 443, "", "allowed by --allow-net=example.com ✓"},
		{h, "", h, 1, "", "allowed by --allow-net=example.com ✓"},
		{h, "", h, 65535, "", "allowed by --allow-net=example.com ✓"},
		{h, "", h, 0, "", "port 0 cannot be dialled"},
		{"example.com:0", "", h, 0, "", "port 0 cannot be dialled"},
		{"example.com:443", "", h, 443, "", "allowed by --allow-net=example.com:443 ✓"},
		{"example.com:443", "", h, 442, "", "needs --allow-net=example.com:442"},
		{"example.com:443", "", h, 444, "", "needs --allow-net=example.com:444"},
		{"example.com:443", "", h, 4433, "", "needs --allow-net=example.com:4433"},
		{"example.com:8000-8010", "", h, 7999, "", "needs --allow-net=example.com:7999"},
		{"example.com:8000-8010", "", h, 8000, "", "allowed by --allow-net=example.com:8000-8010 ✓"},
		{"example.com:8000-8010", "", h, 8010, "", "allowed by --allow-net=example.com:8000-8010 ✓"},
		{"example.com:8000-8010", "", h, 8011, "", "needs --allow-net=example.com:8011"},
		{"example.com:80+443", "", h, 80, "", "allowed by --allow-net=example.com:80+443 ✓"},
		{"example.com:80+443", "", h, 443, "", "allowed by --allow-net=example.com:80+443 ✓"},
		{"example.com:80+443", "", h, 81, "", "needs --allow-net=example.com:81"},
		{"a.com,example.com:80", "", h, 80, "", "allowed by --allow-net=example.com:80 ✓"},
		{"a.com example.com:80", "", h, 80, "", "allowed by --allow-net=example.com:80 ✓"},
		{h, "", "a.com", 443, "", "needs --allow-net=a.com:443"},
		{h, "", "EXAMPLE.com", 443, "", "allowed by --allow-net=example.com ✓"},
		{h, "", "example.com.", 443, "", "allowed by --allow-net=example.com ✓"},
		{"EXAMPLE.COM.", "", h, 443, "", "allowed by --allow-net=example.com ✓"},
		{h, "", "www.example.com", 443, "", "needs --allow-net=www.example.com:443"},
		{h, "", "notexample.com", 443, "", "needs --allow-net=notexample.com:443"},
		{h, "", "example.com.evil.example", 443, "", "needs --allow-net=example.com.evil.example:443"},
		{h, "", "example.co", 443, "", "needs --allow-net=example.co:443"},
		{h, "", "example", 443, "", "needs --allow-net=example:443"},
		{"com", "", h, 443, "", "needs --allow-net=example.com:443"},
		{"xn--bcher-kva.example", "", "XN--BCHER-KVA.example", 443, "", "allowed by --allow-net=xn--bcher-kva.example ✓"},
		{"xn--bcher-kva.example", "", "bcher.example", 443, "", "needs --allow-net=bcher.example:443"},
		{"*.example.com", "", h, 443, "", "allowed by --allow-net=*.example.com ✓"},
		{"*.example.com", "", "a.example.com", 443, "", "allowed by --allow-net=*.example.com ✓"},
		{"*.example.com", "", "a.b.c.example.com", 443, "", "allowed by --allow-net=*.example.com ✓"},
		{"*.example.com", "", "A.EXAMPLE.COM.", 443, "", "allowed by --allow-net=*.example.com ✓"},
		{"*.example.com", "", "notexample.com", 443, "", "needs --allow-net=notexample.com:443"},
		{"*.example.com", "", "example.com.evil.example", 443, "", "needs --allow-net=example.com.evil.example:443"},
		{"*.example.com:443", "", "a.example.com", 80, "", "needs --allow-net=a.example.com:80"},
		{"*.com", "", h, 443, "", "allowed by --allow-net=*.com ✓"},
		{":8080", "", "localhost", 8080, "", "allowed by --allow-net=:8080 ✓"},
		{":8080", "", "LOCALHOST.", 8080, "", "allowed by --allow-net=:8080 ✓"},
		{":8080", "", "localhost", 8081, "", "needs --allow-net=localhost:8081"},
		{":8080", "", "a.localhost", 8080, "", "needs --allow-net=a.localhost:8080"},
		{":8080", "", h, 8080, "", "needs --allow-net=example.com:8080"},
		{"127.0.0.1", "", "localhost", 80, "", "needs --allow-net=localhost:80"},
		{"loopback,private", "", "localhost", 80, "", "needs --allow-net=localhost:80"},
		{"0.0.0.0/0,[::/0]", "", h, 443, "", "needs --allow-net=example.com:443"},
		{"private", "", "private", 443, "", "needs --allow-net=*.private:443"},
		{"*.private", "", "private", 443, "", "allowed by --allow-net=*.private ✓"},
		{"", "", "unix", 443, "", "needs --allow-net=*.unix:443"},
		{"unix", "", "unix", 443, "", "allowed by --allow-net=unix ✓"},
		{everything, "", h, 443, "", "allowed by --allow-net ✓"},
		{everything, "", "localhost", 443, "", "allowed by --allow-net ✓"},
	})
}

func TestCheckTargetDeny(t *testing.T) {
	const h = "example.com"
	runChecks(t, "a deny rule that matches wins over every allow rule", []checkRow{
		{h, h, h, 443, "", "denied by --deny-net=example.com"},
		{"example.com:443", h, h, 443, "", "denied by --deny-net=example.com"},
		{h, "example.com:443", h, 443, "", "denied by --deny-net=example.com:443"},
		{h, "example.com:443", h, 80, "", "allowed by --allow-net=example.com ✓"},
		{h, "*.example.com", h, 443, "", "denied by --deny-net=*.example.com"},
		{"example.com:443", "*.com", h, 443, "", "denied by --deny-net=*.com"},
		{"*.example.com", h, "a.example.com", 443, "", "allowed by --allow-net=*.example.com ✓"},
		{"*.example.com", "a.example.com", "a.example.com", 443, "", "denied by --deny-net=a.example.com"},
		{"*.example.com", "a.example.com", "A.example.COM.", 443, "", "denied by --deny-net=a.example.com"},
		{everything, h, h, 443, "", "denied by --deny-net=example.com"},
		{everything, h, "a.com", 443, "", "allowed by --allow-net ✓"},
		{everything, "*.com,example.com,example.com:443", h, 443, "", "denied by --deny-net=example.com:443"},
		{everything, "*.com,example.com", h, 443, "", "denied by --deny-net=example.com"},
		{everything, "*.com *.example.com", h, 443, "", "denied by --deny-net=*.example.com"},
		{everything, "example.com:0-442+444-65535", h, 443, "", "allowed by --allow-net ✓"},
		{everything, "example.com:0-442+444-65535", h, 80, "", "denied by --deny-net=example.com:0-442+444-65535"},
		{"127.0.0.1:80", "127.0.0.1", "127.0.0.1", 80, "", "denied by --deny-net=127.0.0.1"},
		{"127.0.0.1", "127.0.0.0/8", "127.0.0.1", 80, "", "denied by --deny-net=127.0.0.0/8"},
		{"127.0.0.1", "loopback", "127.0.0.1", 80, "", "denied by --deny-net=loopback"},
		{"127.0.0.1", "127.0.0.0/8,0.0.0.0/0,loopback", "127.0.0.1", 80, "", "denied by --deny-net=127.0.0.0/8"},
		{everything, "localhost", "127.9.9.9", 80, "", "denied by --deny-net=localhost"},
		{everything, "localhost", "::1", 80, "", "denied by --deny-net=localhost"},
		{everything, "*.localhost", "127.0.0.1", 80, "", "denied by --deny-net=*.localhost"},
		{everything, "a.localhost", "127.0.0.1", 80, "", "allowed by --allow-net ✓"},
		{everything, ":80", "127.9.9.9", 80, "", "denied by --deny-net=:80"},
		{everything, ":80", "0.0.0.0", 80, "", "denied by --deny-net=:80"},
		{everything, ":80", "127.0.0.1", 81, "", "allowed by --allow-net ✓"},
		{everything, "127.0.0.1", "localhost", 80, "", "allowed by --allow-net ✓"},
		{everything, "127.0.0.1", "::ffff:127.0.0.1", 80, "", "denied by --deny-net=127.0.0.1"},
		{everything, "127.0.0.1", "::127.0.0.1", 80, "", "embeds 127.0.0.1: denied by --deny-net=127.0.0.1"},
		{everything, "127.0.0.1", "64:ff9b::7f00:1", 80, "", "embeds 127.0.0.1: denied by --deny-net=127.0.0.1"},
		{everything, "127.0.0.1", "0.0.0.0", 80, "", "reaches 127.0.0.1: denied by --deny-net=127.0.0.1"},
		{everything, "127.0.0.1", "[::]", 80, "", "reaches 127.0.0.1: denied by --deny-net=127.0.0.1"},
		{everything, "[::1]", "::", 80, "", "reaches ::1: denied by --deny-net=[::1]"},
		{everything, "link-local", "169.254.169.254", 80, "", "denied by --deny-net=link-local"},
		{everything, "private", "fd00:ec2::254", 80, "", "denied by --deny-net=private"},
		{everything, "private", "100.64.0.1", 80, "", "allowed by --allow-net ✓"},
		{everything, "[::/0]", "::ffff:8.8.8.8", 80, "", "allowed by --allow-net ✓"},
		{everything, "[::ffff:8.0.0.0/104]", "8.8.8.8", 80, "", "denied by --deny-net=8.0.0.0/8"},
		{"", h, h, 443, "", "denied by --deny-net=example.com"},
		{"", "a.com", h, 443, "", "needs --allow-net=example.com:443"},
	})
}

func TestCheckTargetLiterals(t *testing.T) {
	runChecks(t, "a literal is allowed by rules for addresses only", []checkRow{
		{"127.0.0.1", "", "127.0.0.1", 80, "", "allowed by --allow-net=127.0.0.1 ✓"},
		{"127.0.0.1:80", "", "127.0.0.1", 81, "", "needs --allow-net=127.0.0.1:81"},
		{"127.0.0.1", "", "127.0.0.2", 80, "", "needs --allow-net=127.0.0.2:80"},
		{"localhost", "", "127.0.0.1", 80, "", "needs --allow-net=127.0.0.1:80"},
		{"localhost", "", "[::1]", 80, "", "needs --allow-net=[::1]:80"},
		{"*.com,example.com", "", "8.8.8.8", 443, "", "needs --allow-net=8.8.8.8:443"},
		{"8.8.8.8", "", "8.8.8.8", 443, "", "allowed by --allow-net=8.8.8.8 ✓"},
		{"10.0.0.0/8", "", "9.255.255.255", 80, "", "needs --allow-net=9.255.255.255:80"},
		{"10.0.0.0/8", "", "10.0.0.0", 80, "", "allowed by --allow-net=10.0.0.0/8 ✓"},
		{"10.0.0.0/8", "", "10.255.255.255", 80, "", "allowed by --allow-net=10.0.0.0/8 ✓"},
		{"10.0.0.0/8", "", "11.0.0.0", 80, "", "needs --allow-net=11.0.0.0:80"},
		{"10.0.0.4/30", "", "10.0.0.7", 80, "", "allowed by --allow-net=10.0.0.4/30 ✓"},
		{"10.0.0.4/30", "", "10.0.0.8", 80, "", "needs --allow-net=10.0.0.8:80"},
		{"10.0.0.4/32", "", "10.0.0.5", 80, "", "needs --allow-net=10.0.0.5:80"},
		{"10.0.0.0/8:443", "", "10.1.2.3", 443, "", "allowed by --allow-net=10.0.0.0/8:443 ✓"},
		{"10.0.0.0/8:443", "", "10.1.2.3", 80, "", "needs --allow-net=10.1.2.3:80"},
		{"0.0.0.0/0", "", "127.0.0.1", 80, "", "allowed by --allow-net=0.0.0.0/0 ✓"},
		{"0.0.0.0/0", "", "::1", 80, "", "needs --allow-net=[::1]:80"},
		{"[2001:4860::/32]", "", "2001:4860::1", 80, "", "allowed by --allow-net=[2001:4860::/32] ✓"},
		{"[2001:4860::/32]", "", "2001:4860:ffff:ffff:ffff:ffff:ffff:ffff", 80, "", "allowed by --allow-net=[2001:4860::/32] ✓"},
		{"[2001:4860::/32]", "", "2001:4861::", 80, "", "needs --allow-net=[2001:4861::]:80"},
		{"[2001:4860::/32]", "", "2001:485f:ffff:ffff:ffff:ffff:ffff:ffff", 80, "", "needs --allow-net=[2001:485f:ffff:ffff:ffff:ffff:ffff:ffff]:80"},
		{"[::1]", "", "::1", 80, "", "allowed by --allow-net=[::1] ✓"},
		{"[::1]", "", "[::1]", 80, "", "allowed by --allow-net=[::1] ✓"},
		{"[::1]", "", "0:0:0:0:0:0:0:1", 80, "", "allowed by --allow-net=[::1] ✓"},
		{"[2001:4860::A]", "", "2001:4860::a", 80, "", "allowed by --allow-net=[2001:4860::a] ✓"},
		{"loopback", "", "127.255.255.255", 80, "", "allowed by --allow-net=loopback ✓"},
		{"loopback", "", "::1", 80, "", "allowed by --allow-net=loopback ✓"},
		{"loopback", "", "10.0.0.1", 80, "", "needs --allow-net=10.0.0.1:80"},
		{"loopback:80", "", "::1", 81, "", "needs --allow-net=[::1]:81"},
		{"private", "", "10.0.0.1", 80, "", "allowed by --allow-net=private ✓"},
		{"private", "", "172.31.255.255", 80, "", "allowed by --allow-net=private ✓"},
		{"private", "", "172.32.0.0", 80, "", "needs --allow-net=172.32.0.0:80"},
		{"private", "", "192.168.0.1", 80, "", "allowed by --allow-net=private ✓"},
		{"private", "", "fd12::1", 80, "", "allowed by --allow-net=private ✓"},
		{"private", "", "127.0.0.1", 80, "", "needs --allow-net=127.0.0.1:80"},
		{"private", "", "169.254.0.1", 80, "", "needs --allow-net=169.254.0.1:80"},
		{"private", "", "100.64.0.1", 80, "", "needs --allow-net=100.64.0.1:80"},
		{"private", "", "8.8.8.8", 80, "", "needs --allow-net=8.8.8.8:80"},
		{"private", "", "fd00:ec2::254", 80, "", "needs --allow-net=[fd00:ec2::254]:80"},
		{"link-local", "", "169.254.1.1", 80, "", "allowed by --allow-net=link-local ✓"},
		{"link-local", "", "fe80::1", 80, "", "allowed by --allow-net=link-local ✓"},
		{"link-local,private", "", "169.254.169.254", 80, "", "needs --allow-net=169.254.169.254:80"},
		{"169.254.169.254", "", "169.254.169.254", 80, "", "allowed by --allow-net=169.254.169.254 ✓"},
		{"169.254.0.0/16", "", "169.254.169.254", 80, "", "allowed by --allow-net=169.254.0.0/16 ✓"},
		{":80", "", "127.0.0.1", 80, "", "allowed by --allow-net=:80 ✓"},
		{":80", "", "::1", 80, "", "allowed by --allow-net=:80 ✓"},
		{":80", "", "0.0.0.0", 80, "", "allowed by --allow-net=:80 ✓"},
		{":80", "", "::", 80, "", "needs --allow-net=[::]:80"},
		{":80", "", "127.0.0.2", 80, "", "needs --allow-net=127.0.0.2:80"},
		{":80", "", "8.8.8.8", 80, "", "needs --allow-net=8.8.8.8:80"},
		{"10.0.0.0/8,10.0.0.1", "", "10.0.0.1", 80, "", "allowed by --allow-net=10.0.0.1 ✓"},
		{"private,10.0.0.0/8:80", "", "10.0.0.1", 80, "", "allowed by --allow-net=10.0.0.0/8:80 ✓"},
		{everything, "", "169.254.169.254", 80, "", "allowed by --allow-net ✓"},
		{everything, "", "64:ff9b::7f00:1", 80, "", "allowed by --allow-net ✓"},
		{everything, "", "224.0.0.1", 80, "", "allowed by --allow-net ✓"},
	})
}

// The encodings by which a forbidden address has passed other checks.
func TestCheckTargetBypasses(t *testing.T) {
	const (
		number  = "the host is a number, but not an IPv4 address in canonical form"
		nothing = "the host is neither a name nor an address"
		zone    = "an address with a zone id is never permitted"
		label   = "the name has an empty label"
	)
	bad := func(host, want string) checkRow {
		return checkRow{everything, "", host, 80, "", want}
	}
	runChecks(t, "not even AllowAll allows a host that parsers read differently", []checkRow{
		bad("", "the host is empty"),
		bad("2130706433", number),
		bad("0x7f000001", number),
		bad("0X7F000001", number),
		bad("0x7f.1", number),
		bad("127.1", number),
		bad("127.0.1", number),
		bad("0177.0.0.1", number),
		bad("0x7f.0x0.0x0.0x1", number),
		bad("127.0.0.0x1", number),
		bad("127.0.0.1.", number),
		bad("127.0.0.1..", label),
		bad("127.0.0.01", number),
		bad("127.000.000.001", number),
		bad("127.0.0.256", number),
		bad("127.0.0.1.5", number),
		bad("4294967296", number),
		bad("18446744073709551617", number),
		bad("0", number),
		bad("0x", number),
		bad("example.com.0x1", number),
		bad("example.1", number),
		bad("1.2.3", number),
		bad("１２７.0.0.1", number),
		bad("127。0。0。1", `"。" is not ASCII, and names are written as A-labels (xn--…)`),
		bad("①.example", `"①" is not ASCII, and names are written as A-labels (xn--…)`),
		bad("bücher.example", `"ü" is not ASCII, and names are written as A-labels (xn--…)`),
		bad("\u212aernel.org", "\"\u212a\" is not ASCII, and names are written as A-labels (xn--…)"),
		bad("LOCALHO\u017fT", `"ſ" is not ASCII, and names are written as A-labels (xn--…)`),
		bad("a\u00adb.com", `"\u00ad" is not ASCII, and names are written as A-labels (xn--…)`),
		bad("a\xff.com", `"�" is not ASCII, and names are written as A-labels (xn--…)`),
		bad("%31%32%37.0.0.1.com", `"%" cannot stand in a name`),
		bad("localhost%00.com", `"%" cannot stand in a name`),
		bad("localhost\x00.com", `"\x00" cannot stand in a name`),
		bad("localhost\r\n.com", `"\r" cannot stand in a name`),
		bad(" localhost", `" " cannot stand in a name`),
		bad("localhost ", `" " cannot stand in a name`),
		bad("*", `"*" cannot stand in a name`),
		bad("*.example.com", `"*" cannot stand in a name`),
		bad("example.com/", `"/" cannot stand in a name`),
		bad("example.com\\", `"\\" cannot stand in a name`),
		bad("evil@example.com", `"@" cannot stand in a name`),
		bad("example.com#", `"#" cannot stand in a name`),
		bad("a..b", label),
		bad(".a", label),
		bad(".", label),
		bad("..", label),
		bad("example.com..", label),
		bad(strings.Repeat("a", 64)+".com", "a label is longer than 63 bytes"),
		bad(strings.Repeat("a.", 127)+"b", "the name is longer than 253 bytes"),
		bad("example.com:443", nothing),
		bad("127.0.0.1:80", nothing),
		bad("[::1", nothing),
		bad("::1]", nothing),
		bad("[::1]:80", nothing),
		bad("[[::1]]", nothing),
		bad("[]", nothing),
		bad("[", nothing),
		bad("]", `"]" cannot stand in a name`),
		bad(":", nothing),
		bad("[127.0.0.1]", nothing),
		bad("[localhost]", nothing),
		bad("[::1]@evil.com", nothing),
		bad("::1::", nothing),
		bad("::ffff:127.1", nothing),
		bad("::ffff:0177.0.0.1", nothing),
		bad("1:2:3:4:5:6:7:8:9", nothing),
		bad("0x::1", nothing),
		bad("fe80::1%eth0", zone),
		bad("[fe80::1%25eth0]", zone),
		bad("::1%1", zone),
	})
	// With a rule for names in force, spellings of loopback are not names.
	const public, loopback = "example.com,*.example", "a loopback address"
	runChecks(t, "an address that embeds another has to pass as both", []checkRow{
		{public, "", "::ffff:127.0.0.1", 80, "", "needs --allow-net=127.0.0.1:80"},
		{public, "", "[::FFFF:7F00:1]", 80, "", "needs --allow-net=127.0.0.1:80"},
		{"127.0.0.1", "", "::ffff:7f00:1", 80, "", "allowed by --allow-net=127.0.0.1 ✓"},
		{"[::ffff:127.0.0.1]", "", "127.0.0.1", 80, "", "allowed by --allow-net=127.0.0.1 ✓"},
		{"[::/0]", "", "::ffff:127.0.0.1", 80, "", "needs --allow-net=127.0.0.1:80"},
		{"[::/0]", "", "::127.0.0.1", 80, "", "embeds 127.0.0.1, " + loopback + ": needs --allow-net=127.0.0.1:80"},
		{"127.0.0.1", "", "::127.0.0.1", 80, "", "needs --allow-net=[::7f00:1]:80"},
		{"127.0.0.1,[::7f00:1]", "", "::127.0.0.1", 80, "", "allowed by --allow-net=[::7f00:1] ✓"},
		{"[::/0]", "", "::ffff:0:127.0.0.1", 80, "", "embeds 127.0.0.1, " + loopback + ": needs --allow-net=127.0.0.1:80"},
		{"[64:ff9b::/96]", "", "64:ff9b::7f00:1", 80, "", "embeds 127.0.0.1, " + loopback + ": needs --allow-net=127.0.0.1:80"},
		{"127.0.0.1", "", "64:ff9b::7f00:1", 80, "", "needs --allow-net=[64:ff9b::7f00:1]:80"},
		{"127.0.0.1,[64:ff9b::/96]", "", "64:ff9b::7f00:1", 80, "", "allowed by --allow-net=[64:ff9b::/96] ✓"},
		{"[64:ff9b::/96]", "", "64:ff9b::808:808", 80, "", "allowed by --allow-net=[64:ff9b::/96] ✓"},
		{"8.8.8.8", "", "64:ff9b::808:808", 80, "", "needs --allow-net=[64:ff9b::808:808]:80"},
		{"[::/0]", "", "64:ff9b:1::a00:1", 80, "", "embeds 10.0.0.1, a private address: needs --allow-net=10.0.0.1:80"},
		{"[::/0]", "", "64:ff9b:1:a00:0:100::", 80, "", "embeds 10.0.0.1, a private address: needs --allow-net=10.0.0.1:80"},
		{"[::/0]", "", "64:ff9b:1::", 80, "", "embeds 0.0.0.0, the unspecified address: needs --allow-net=0.0.0.0:80"},
		{"[::/0]", "", "64:ff9b:1::808:808", 80, "", "allowed by --allow-net=[::/0] ✓"},
		{"[2002::/16]", "", "2002:7f00:1::", 80, "", "embeds 127.0.0.1, " + loopback + ": needs --allow-net=127.0.0.1:80"},
		{"[2002::/16]", "", "2002:a9fe:a9fe::1", 80, "", "embeds 169.254.169.254, a cloud metadata address: needs --allow-net=169.254.169.254:80"},
		{"[2002::/16]", "", "2002:808:808::1", 80, "", "allowed by --allow-net=[2002::/16] ✓"},
		{"[2001::/32]", "", "2001:0:808:808::80ff:fffe", 80, "", "embeds 127.0.0.1, " + loopback + ": needs --allow-net=127.0.0.1:80"},
		{"[2001::/32]", "", "2001:0:7f00:1::f7f7:f7f7", 80, "", "embeds 127.0.0.1, " + loopback + ": needs --allow-net=127.0.0.1:80"},
		{"[2001::/32]", "", "2001:0:808:808::f7f7:f7f7", 80, "", "allowed by --allow-net=[2001::/32] ✓"},
		{"0.0.0.0", "", "0.0.0.0", 80, "", "reaches 127.0.0.1, " + loopback + ": needs --allow-net=127.0.0.1:80"},
		{"0.0.0.0,127.0.0.1", "", "0.0.0.0", 80, "", "allowed by --allow-net=0.0.0.0 ✓"},
		{"0.0.0.0,127.0.0.1", "", "::ffff:0:0", 80, "", "allowed by --allow-net=0.0.0.0 ✓"},
		{"[::]", "", "::", 80, "", "reaches ::1, " + loopback + ": needs --allow-net=[::1]:80"},
		{"[::],[::1]", "", "::", 80, "", "reaches 127.0.0.1, " + loopback + ": needs --allow-net=127.0.0.1:80"},
		{"[::],loopback", "", "::", 80, "", "allowed by --allow-net=[::] ✓"},
	})
}

func TestCheckAddr(t *testing.T) {
	const h = "example.com"
	private := func(addr, shown, class, needs string) checkRow {
		return checkRow{"example.com:80", "", h, 80, addr, "resolves to " + shown + ", " + class + ": needs --allow-net=" + needs}
	}
	runChecks(t, "a rule for a name grants public addresses only", []checkRow{
		{"example.com:80", "", h, 80, "8.8.8.8", "allowed by --allow-net=example.com:80 ✓"},
		{"example.com:80", "", h, 81, "8.8.8.8", "needs --allow-net=example.com:81"},
		{"example.com:80", "", h, 80, "2606:4700::1", "allowed by --allow-net=example.com:80 ✓"},
		{"example.com:80", "", h, 80, "::ffff:8.8.8.8", "allowed by --allow-net=example.com:80 ✓"},
		{"example.com:80", "", h, 80, "64:ff9b::808:808", "allowed by --allow-net=example.com:80 ✓"},
		{"example.com:80", "", h, 80, "2002:808:808::1", "allowed by --allow-net=example.com:80 ✓"},
		{"*.com", "", h, 80, "8.8.8.8", "allowed by --allow-net=*.com ✓"},
		{"a.com", "", h, 80, "8.8.8.8", "needs --allow-net=example.com:80"},
		{"8.8.8.8", "", h, 80, "8.8.8.8", "needs --allow-net=example.com:80"},
		private("127.0.0.1", "127.0.0.1", "a loopback address", "127.0.0.1:80"),
		private("127.255.255.254", "127.255.255.254", "a loopback address", "127.255.255.254:80"),
		private("::1", "::1", "a loopback address", "[::1]:80"),
		private("::ffff:127.0.0.1", "127.0.0.1", "a loopback address", "127.0.0.1:80"),
		private("10.0.0.1", "10.0.0.1", "a private address", "10.0.0.1:80"),
		private("172.16.0.0", "172.16.0.0", "a private address", "172.16.0.0:80"),
		private("192.168.255.255", "192.168.255.255", "a private address", "192.168.255.255:80"),
		private("fc00::", "fc00::", "a private address", "[fc00::]:80"),
		private("fec0::1", "fec0::1", "a private address", "[fec0::1]:80"),
		private("169.254.1.1", "169.254.1.1", "a link-local address", "169.254.1.1:80"),
		private("fe80::1", "fe80::1", "a link-local address", "[fe80::1]:80"),
		private("100.64.0.0", "100.64.0.0", "a shared address (carrier-grade NAT)", "100.64.0.0:80"),
		private("224.0.0.1", "224.0.0.1", "a multicast address", "224.0.0.1:80"),
		private("ff02::1", "ff02::1", "a multicast address", "[ff02::1]:80"),
		private("0.0.0.0", "0.0.0.0", "the unspecified address", "0.0.0.0:80"),
		private("::", "::", "the unspecified address", "[::]:80"),
		private("169.254.169.254", "169.254.169.254", "a cloud metadata address", "169.254.169.254:80"),
		private("::ffff:169.254.169.254", "169.254.169.254", "a cloud metadata address", "169.254.169.254:80"),
		private("100.100.100.200", "100.100.100.200", "a cloud metadata address", "100.100.100.200:80"),
		private("168.63.129.16", "168.63.129.16", "a cloud metadata address", "168.63.129.16:80"),
		private("fd00:ec2::254", "fd00:ec2::254", "a cloud metadata address", "[fd00:ec2::254]:80"),
		private("198.18.0.1", "198.18.0.1", "a benchmarking address", "198.18.0.1:80"),
		private("192.0.2.1", "192.0.2.1", "a documentation address", "192.0.2.1:80"),
		private("2001:db8::1", "2001:db8::1", "a documentation address", "[2001:db8::1]:80"),
		private("255.255.255.255", "255.255.255.255", "a reserved address", "255.255.255.255:80"),
		private("0.0.0.1", "0.0.0.1", "a reserved address", "0.0.0.1:80"),
		private("::127.0.0.1", "::7f00:1", "a reserved address", "[::7f00:1]:80"),
		private("64:ff9b::7f00:1", "64:ff9b::7f00:1, which embeds 127.0.0.1", "a loopback address", "127.0.0.1:80"),
		private("2002:a00:1::", "2002:a00:1::, which embeds 10.0.0.1", "a private address", "10.0.0.1:80"),
		private("2001:0:808:808::80ff:fffe", "2001:0:808:808::80ff:fffe, which embeds 127.0.0.1", "a loopback address", "127.0.0.1:80"),
	})
	runChecks(t, "a rule beside the name grants the address that it names", []checkRow{
		{"example.com,127.0.0.1", "", h, 80, "127.0.0.1", "allowed by --allow-net=127.0.0.1 ✓"},
		{"example.com,127.0.0.1:81", "", h, 80, "127.0.0.1", "resolves to 127.0.0.1, a loopback address: needs --allow-net=127.0.0.1:80"},
		{"example.com,127.0.0.1", "", h, 80, "127.0.0.2", "resolves to 127.0.0.2, a loopback address: needs --allow-net=127.0.0.2:80"},
		{"example.com,10.0.0.0/8", "", h, 80, "10.1.2.3", "allowed by --allow-net=10.0.0.0/8 ✓"},
		{"example.com,private", "", h, 80, "10.1.2.3", "allowed by --allow-net=private ✓"},
		{"example.com,private", "", h, 80, "127.0.0.1", "resolves to 127.0.0.1, a loopback address: needs --allow-net=127.0.0.1:80"},
		{"example.com,link-local", "", h, 80, "169.254.169.254", "resolves to 169.254.169.254, a cloud metadata address: needs --allow-net=169.254.169.254:80"},
		{"example.com,link-local", "", h, 80, "169.254.169.253", "allowed by --allow-net=link-local ✓"},
		{"example.com,:80", "", h, 80, "127.0.0.1", "allowed by --allow-net=:80 ✓"},
		{"example.com,0.0.0.0", "", h, 80, "0.0.0.0", "resolves to 0.0.0.0, which reaches 127.0.0.1, a loopback address: needs --allow-net=127.0.0.1:80"},
		{"example.com,localhost", "", h, 80, "127.0.0.1", "resolves to 127.0.0.1, a loopback address: needs --allow-net=127.0.0.1:80"},
		{"localhost", "", "localhost", 80, "127.0.0.1", "allowed by --allow-net=localhost ✓"},
		{"localhost", "", "LocalHost.", 80, "127.0.0.1", "allowed by --allow-net=localhost ✓"},
		{"localhost", "", "localhost", 80, "::1", "allowed by --allow-net=localhost ✓"},
		{"localhost", "", "localhost", 80, "10.0.0.1", "resolves to 10.0.0.1, a private address: needs --allow-net=10.0.0.1:80"},
		{"localhost", "", "localhost.localdomain", 80, "127.0.0.1", "needs --allow-net=localhost.localdomain:80"},
		{"localhost.localdomain", "", "localhost.localdomain", 80, "127.0.0.1", "resolves to 127.0.0.1, a loopback address: needs --allow-net=127.0.0.1:80"},
		{"notlocalhost", "", "notlocalhost", 80, "127.0.0.1", "resolves to 127.0.0.1, a loopback address: needs --allow-net=127.0.0.1:80"},
		{"*.localhost", "", "a.localhost", 80, "127.0.0.1", "allowed by --allow-net=*.localhost ✓"},
		{":80", "", "localhost", 80, "127.0.0.1", "allowed by --allow-net=:80 ✓"},
		{"*.nip.io", "", "127.0.0.1.nip.io", 80, "127.0.0.1", "resolves to 127.0.0.1, a loopback address: needs --allow-net=127.0.0.1:80"},
		{everything, "", h, 80, "127.0.0.1", "allowed by --allow-net ✓"},
		{everything, "", h, 80, "169.254.169.254", "allowed by --allow-net ✓"},
	})
	runChecks(t, "a deny rule for the name or the address wins", []checkRow{
		{h, "8.8.8.8", h, 80, "8.8.8.8", "resolves to 8.8.8.8: denied by --deny-net=8.8.8.8"},
		{h, "8.8.8.8:81", h, 80, "8.8.8.8", "allowed by --allow-net=example.com ✓"},
		{h, "8.0.0.0/8", h, 80, "::ffff:8.8.8.8", "resolves to 8.8.8.8: denied by --deny-net=8.0.0.0/8"},
		{h, "8.8.8.8", h, 80, "64:ff9b::808:808", "resolves to 64:ff9b::808:808, which embeds 8.8.8.8: denied by --deny-net=8.8.8.8"},
		{"example.com,127.0.0.1:80", "127.0.0.1", h, 80, "127.0.0.1", "resolves to 127.0.0.1: denied by --deny-net=127.0.0.1"},
		{"example.com:80", h, h, 80, "8.8.8.8", "denied by --deny-net=example.com"},
		{everything, "private", h, 80, "192.168.1.1", "resolves to 192.168.1.1: denied by --deny-net=private"},
		{everything, "localhost", h, 80, "127.0.0.1", "resolves to 127.0.0.1: denied by --deny-net=localhost"},
		{everything, "localhost", "a.localhost", 80, "::1", "resolves to ::1: denied by --deny-net=localhost"},
		{everything, "127.0.0.1", "localhost", 80, "127.0.0.1", "resolves to 127.0.0.1: denied by --deny-net=127.0.0.1"},
		{everything, "127.0.0.1", h, 80, "0.0.0.0", "resolves to 0.0.0.0, which reaches 127.0.0.1: denied by --deny-net=127.0.0.1"},
	})
	runChecks(t, "a literal is dialled at its own address", []checkRow{
		{"8.8.8.8", "", "8.8.8.8", 80, "8.8.8.8", "allowed by --allow-net=8.8.8.8 ✓"},
		{"8.8.8.8", "", "8.8.8.8", 80, "::ffff:8.8.8.8", "allowed by --allow-net=8.8.8.8 ✓"},
		{"8.8.8.8", "", "::ffff:8.8.8.8", 80, "8.8.8.8", "allowed by --allow-net=8.8.8.8 ✓"},
		{"8.8.8.8,8.8.4.4", "", "8.8.8.8", 80, "8.8.4.4", "the address 8.8.4.4 is not the one that was asked for"},
		{"8.8.8.8", "", "8.8.8.8", 80, "127.0.0.1", "the address 127.0.0.1 is not the one that was asked for"},
		{"10.0.0.1", "", "10.0.0.1", 80, "10.0.0.1", "allowed by --allow-net=10.0.0.1 ✓"},
		{":80", "", "0.0.0.0", 80, "127.0.0.1", "allowed by --allow-net=:80 ✓"},
		{":80", "", "0.0.0.0", 80, "0.0.0.0", "allowed by --allow-net=:80 ✓"},
		{":80", "", "0.0.0.0", 80, "10.0.0.1", "the address 10.0.0.1 is not the one that was asked for"},
	})
	runChecks(t, "what is no plain address is refused", []checkRow{
		{everything, "", h, 80, "fe80::1%eth0", "an address with a zone id is never permitted"},
		{everything, "", "fe80::1", 80, "fe80::1%eth0", "an address with a zone id is never permitted"},
		{everything, "", "127.1", 80, "127.0.0.1", "the host is a number, but not an IPv4 address in canonical form"},
		{everything, "", h, 0, "8.8.8.8", "port 0 cannot be dialled"},
	})
	v := testList(t, everything, "").CheckAddr(h, netip.AddrPortFrom(netip.Addr{}, 80))
	if got, want := v.Explain(), "there is no address"; v.Allowed || got != want {
		t.Errorf("an absent address is refused\n got %s\nwant %s", got, want)
	}
}

func TestCheckListen(t *testing.T) {
	const dynamic = "port 0 lets the system choose a port that is denied: denied by --deny-net="
	for _, test := range []struct {
		allow, deny, host string
		port              uint16
		want              string
	}{
		{"", "", "127.0.0.1", 8080, "needs --allow-net=127.0.0.1:8080"},
		{":8080", "", "127.0.0.1", 8080, "allowed by --allow-net=:8080"},
		{":8080", "", "0.0.0.0", 8080, "allowed by --allow-net=:8080"},
		{":8080", "", "[::1]", 8080, "allowed by --allow-net=:8080"},
		{":8080", "", "localhost", 8080, "allowed by --allow-net=:8080"},
		{":8080", "", "::", 8080, "needs --allow-net=[::]:8080"},
		{":8080", "", "127.0.0.1", 8081, "needs --allow-net=127.0.0.1:8081"},
		{"0.0.0.0", "", "0.0.0.0", 80, "allowed by --allow-net=0.0.0.0"},
		{"[::]", "", "::", 80, "allowed by --allow-net=[::]"},
		{"127.0.0.1", "", "0.0.0.0", 80, "needs --allow-net=0.0.0.0:80"},
		{"0.0.0.0", "127.0.0.1", "0.0.0.0", 80, "reaches 127.0.0.1: denied by --deny-net=127.0.0.1"},
		{"192.168.1.5", "", "192.168.1.5", 80, "allowed by --allow-net=192.168.1.5"},
		{"example.com", "", "example.com", 80, "a listener is bound to an address or to localhost"},
		{"", "", "example.com", 80, "a listener is bound to an address or to localhost"},
		{everything, "", "a.localhost", 80, "a listener is bound to an address or to localhost"},
		{everything, "", "", 80, "the host is empty"},
		{everything, "", "127.1", 80, "the host is a number, but not an IPv4 address in canonical form"},
		{everything, "", "0.0.0.0", 80, "allowed by --allow-net"},
		{everything, "0.0.0.0", "0.0.0.0", 80, "denied by --deny-net=0.0.0.0"},
		{"127.0.0.1", "", "127.0.0.1", 0, "allowed by --allow-net=127.0.0.1"},
		{"127.0.0.1:0", "", "127.0.0.1", 0, "allowed by --allow-net=127.0.0.1:0"},
		{"127.0.0.1:0", "", "127.0.0.1", 8080, "needs --allow-net=127.0.0.1:8080"},
		{"127.0.0.1:8080", "", "127.0.0.1", 0, "needs --allow-net=127.0.0.1:0"},
		{"127.0.0.1", "127.0.0.1:1023", "127.0.0.1", 0, "allowed by --allow-net=127.0.0.1"},
		{"127.0.0.1", "127.0.0.1:1024", "127.0.0.1", 0, dynamic + "127.0.0.1:1024"},
		{"127.0.0.1", "127.0.0.1:22+8080", "127.0.0.1", 0, dynamic + "127.0.0.1:22+8080"},
		{"localhost", ":8080", "localhost", 0, dynamic + ":8080"},
		{"127.0.0.1", "127.0.0.1:0", "127.0.0.1", 0, "denied by --deny-net=127.0.0.1:0"},
		{"127.0.0.1", "127.0.0.1", "127.0.0.1", 0, "denied by --deny-net=127.0.0.1"},
	} {
		v := testList(t, test.allow, test.deny).CheckListen(test.host, test.port)
		if got := v.Explain(); got != test.want || v.Allowed != strings.HasPrefix(test.want, "allowed") {
			t.Errorf("listening needs a rule for the address\nallow %s, deny %s: listen on %q port %d\n got %s\nwant %s",
				test.allow, test.deny, test.host, test.port, got, test.want)
		}
		if v.Operation != "listen" {
			t.Errorf("the verdict names its operation\n got %s\nwant listen", v.Operation)
		}
	}
}

func TestEmptyListAllowsNothing(t *testing.T) {
	addr := netip.MustParseAddrPort("8.8.8.8:443")
	for what, l := range map[string]*List{"nil": nil, "the zero value": {}, "no rules": testList(t, "", "")} {
		if l.CheckTarget("example.com", 443).Allowed ||
			l.CheckTarget("8.8.8.8", 443).Allowed ||
			l.CheckAddr("example.com", addr).Allowed ||
			l.CheckAddr("8.8.8.8", addr).Allowed ||
			l.CheckListen("127.0.0.1", 8080).Allowed {
			t.Errorf("%s allows nothing", what)
		}
	}
}
