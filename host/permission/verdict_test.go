package permission

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestErrorMessages(t *testing.T) {
	const not = " is not permitted: "
	for _, test := range []struct {
		row  checkRow
		want string
	}{
		{checkRow{"", "", "example.com", 443, "", ""}, "dial example.com:443" + not + "needs --allow-net=example.com:443"},
		{checkRow{"", "", "EXAMPLE.com.", 443, "", ""}, "dial example.com:443" + not + "needs --allow-net=example.com:443"},
		{checkRow{"", "", "[2606:4700::A]", 443, "", ""}, "dial [2606:4700::a]:443" + not + "needs --allow-net=[2606:4700::a]:443"},
		{checkRow{everything, "*.com:443", "example.com", 443, "", ""}, "dial example.com:443" + not + "denied by --deny-net=*.com:443"},
		{checkRow{"example.com", "", "example.com", 443, "127.0.0.1", ""}, "dial example.com:443" + not + "resolves to 127.0.0.1, a loopback address: needs --allow-net=127.0.0.1:443"},
		{checkRow{everything, "loopback", "example.com", 443, "::ffff:127.0.0.1", ""}, "dial example.com:443" + not + "resolves to 127.0.0.1: denied by --deny-net=loopback"},
		{checkRow{"", "", "127.1", 80, "", ""}, "dial 127.1:80" + not + "the host is a number, but not an IPv4 address in canonical form"},
		{checkRow{"", "", "fe80::1%eth0", 80, "", ""}, "dial [fe80::1%eth0]:80" + not + "an address with a zone id is never permitted"},
		{checkRow{"", "", "", 80, "", ""}, "dial :80" + not + "the host is empty"},
		{checkRow{"", "", "a\nb", 80, "", ""}, `dial "a\nb":80` + not + `"\n" cannot stand in a name`},
		{checkRow{"", "", "user:secret@example.com", 80, "", ""}, "dial …@example.com:80" + not + "the host is neither a name nor an address"},
		{checkRow{"", "", "https://user:secret@example.com/", 80, "", ""}, "dial https://…@example.com/:80" + not + "the host is neither a name nor an address"},
		{checkRow{"", "", "example.com?token=secret", 80, "", ""}, `dial example.com…:80` + not + `"?" cannot stand in a name`},
		{checkRow{"", "", "x?token=secret@y", 80, "", ""}, `dial …:80` + not + `"?" cannot stand in a name`},
		{checkRow{"", "", strings.Repeat("a", 100), 80, "", ""}, "dial " + strings.Repeat("a", 80) + "…:80" + not + "a label is longer than 63 bytes"},
	} {
		row := test.row
		err := row.ask(testList(t, row.allow, row.deny)).Err()
		if err == nil || err.Error() != "websocket: "+test.want {
			t.Errorf("the message names operation, target, reason and remedy\n got %v\nwant websocket: %s", err, test.want)
		}
	}
}

func TestErrorFields(t *testing.T) {
	addr := netip.MustParseAddrPort("[::ffff:10.0.0.1]:443")
	l := testList(t, "example.com", "10.0.0.0/8")
	var got *Error
	if err := l.CheckAddr("Example.com", addr).Err(); !errors.As(err, &got) {
		t.Fatalf("a denial is an *Error\ngot %v", err)
	}
	want := Error{Operation: "dial", Target: "example.com", Port: 443, Addr: addr, Rule: &l.deny[0], Reason: "resolves to 10.0.0.1"}
	if *got != want {
		t.Errorf("a denial carries the deny rule and the address\n got %+v\nwant %+v", *got, want)
	}

	if err := l.CheckListen("127.0.0.1", 0).Err(); !errors.As(err, &got) {
		t.Fatalf("a denial is an *Error\ngot %v", err)
	}
	want = Error{Operation: "listen", Target: "127.0.0.1", Needs: "127.0.0.1:0"}
	if *got != want {
		t.Errorf("a denial carries the rule that is missing\n got %+v\nwant %+v", *got, want)
	}
}

func TestVerdictFields(t *testing.T) {
	addr := netip.MustParseAddrPort("8.8.8.8:443")
	l := testList(t, "example.com,10.0.0.0/8", "")
	for _, test := range []struct {
		what      string
		got, want Verdict
	}{
		{
			"an allowed name carries its rule", l.CheckTarget("EXAMPLE.com", 443),
			Verdict{Allowed: true, Operation: "dial", Target: "example.com", Port: 443, Rule: &l.allow[0]},
		},
		{
			"an allowed address is in the verdict", l.CheckAddr("example.com", addr),
			Verdict{Allowed: true, Operation: "dial", Target: "example.com", Port: 443, Addr: addr, Rule: &l.allow[0]},
		},
		{
			"the address is in a verdict about the name too", l.CheckAddr("a.com", addr),
			Verdict{Operation: "dial", Target: "a.com", Port: 443, Addr: addr, needs: "a.com:443"},
		},
		{
			"an allowed listener carries its rule", l.CheckListen("10.0.0.1", 80),
			Verdict{Allowed: true, Operation: "listen", Target: "10.0.0.1", Port: 80, Rule: &l.allow[1]},
		},
	} {
		if test.got != test.want {
			t.Errorf("%s\n got %+v\nwant %+v", test.what, test.got, test.want)
		}
	}
}

func TestZeroVerdict(t *testing.T) {
	if err := (Verdict{}).Err(); err == nil {
		t.Error("the zero verdict allows nothing")
	}
	if got := (Verdict{Allowed: true}).Explain(); got != "allowed" {
		t.Errorf("a verdict of the caller's own making explains itself\n got %s\nwant allowed", got)
	}
}

// What a denial asks for is what helps: adding it again and again ends in permission,
// unless the target is never permitted.
func TestNeedsHelp(t *testing.T) {
	hosts := []string{"example.com", "localhost", "private", "unix", "8.8.8.8", "::1", "0.0.0.0", "::", "64:ff9b::7f00:1", "2001:0:7f00:1::80ff:fffe"}
	addrs := []string{"8.8.8.8", "127.0.0.1", "::", "fd00:ec2::254", "64:ff9b:1:a00:0:100:a00:2"}
	for _, host := range hosts {
		for _, addr := range append(addrs, "") {
			literal, err := netip.ParseAddr(host)
			if err == nil && addr != "" {
				addr = literal.String()
			}
			wantHelp(t, checkRow{host: host, port: 443, addr: addr})
		}
	}
}

func wantHelp(t *testing.T, row checkRow) {
	t.Helper()
	var allow []string
	for {
		l, err := Parse(allow, nil)
		if err != nil {
			t.Errorf("what dialling %s at %q needs is a rule\ngot %v", row.host, row.addr, err)
			return
		}
		v := row.ask(l)
		if v.Allowed || v.needs == "" {
			return
		}
		// A name and three addresses at most.
		if allow = append(allow, v.needs); len(allow) > 4 {
			t.Errorf("adding what dialling %s at %q needs ends\ngot %q", row.host, row.addr, allow)
			return
		}
	}
}
