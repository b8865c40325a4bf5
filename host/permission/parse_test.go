package permission

import (
	"reflect"
	"strings"
	"testing"
)

func TestRuleCanonicalSpelling(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, test := range []struct{ text, want string }{
		{"example.com", "example.com"},
		{"EXAMPLE.Com", "example.com"},
		{"example.com.", "example.com"},
		{"example.com.:443", "example.com:443"},
		{"example.com:443", "example.com:443"},
		{"example.com:0", "example.com:0"},
		{"example.com:65535", "example.com:65535"},
		{"example.com:8000-8010", "example.com:8000-8010"},
		{"example.com:80+443", "example.com:80+443"},
		{"example.com:443+80", "example.com:80+443"},
		{"example.com:80+80", "example.com:80"},
		{"example.com:80-80", "example.com:80"},
		{"example.com:80-90+91", "example.com:80-91"},
		{"example.com:80-90+85-100", "example.com:80-100"},
		{"example.com:80-90+82-85", "example.com:80-90"},
		{"example.com:0-65535", "example.com:0-65535"},
		{"example.com:1-65535+65535", "example.com:1-65535"},
		{"xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"_dns.example.com", "_dns.example.com"},
		{"-a.example", "-a.example"},
		{"a", "a"},
		{"unix", "unix"},
		{long + ".example", long + ".example"},
		{"1.example", "1.example"},
		{"0x7g", "0x7g"},
		{"*.example.com", "*.example.com"},
		{"*.EXAMPLE.com.:443", "*.example.com:443"},
		{"*.com", "*.com"},
		{"*.private", "*.private"},
		{"127.0.0.1", "127.0.0.1"},
		{"127.0.0.1:80", "127.0.0.1:80"},
		{"10.0.0.0/8", "10.0.0.0/8"},
		{"10.1.2.3/8", "10.0.0.0/8"},
		{"10.1.2.3/32:443", "10.1.2.3:443"},
		{"0.0.0.0/0", "0.0.0.0/0"},
		{"0.0.0.0", "0.0.0.0"},
		{"[::1]", "[::1]"},
		{"[::1]:8080", "[::1]:8080"},
		{"[2001:DB8:0:0::1]", "[2001:db8::1]"},
		{"[2001:db8::/32]", "[2001:db8::/32]"},
		{"[2001:db8::/32]:443", "[2001:db8::/32]:443"},
		{"[2001:db8::]/32", "[2001:db8::/32]"},
		{"[2001:db8::]/32:443", "[2001:db8::/32]:443"},
		{"[2001:db8::1/128]", "[2001:db8::1]"},
		{"[2001:db8::1/32]", "[2001:db8::/32]"},
		{"[::/0]", "[::/0]"},
		{"[::ffff:10.0.0.1]", "10.0.0.1"},
		{"[::ffff:a00:1]:80", "10.0.0.1:80"},
		{"[::ffff:10.0.0.0/104]", "10.0.0.0/8"},
		{"[::ffff:0:0/96]", "0.0.0.0/0"},
		{"[::ffff:0:0/95]", "[::fffe:0:0/95]"},
		{":8080", ":8080"},
		{":80+443", ":80+443"},
		{"private", "private"},
		{"Private:443", "private:443"},
		{"loopback:8000-9000", "loopback:8000-9000"},
		{"link-local", "link-local"},
	} {
		r, err := parseRule(test.text)
		if err != nil {
			t.Errorf("%s is a rule\ngot error %v", test.text, err)
			continue
		}
		if got := r.String(); got != test.want {
			t.Errorf("%s has one canonical spelling\n got %s\nwant %s", test.text, got, test.want)
		}
		again, err := parseRule(r.String())
		if err != nil || !reflect.DeepEqual(r, again) {
			t.Errorf("the canonical spelling of %s parses to an equal rule\n got %+v, error %v\nwant %+v", test.text, again, err, r)
		}
	}
}

// The words after "write" are what the user will try next, so they must be a rule.
func TestParseErrors(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", `invalid rule "": empty host: write example.com:443`},
		{":", `invalid rule ":": empty port: write :443`},
		{"https://x/", `invalid rule "https://x/": a rule is a host, not a URL: write x:443`},
		{"wss://x", `invalid rule "wss://x": a rule is a host, not a URL: write x:443`},
		{"ws://x/a", `invalid rule "ws://x/a": a rule is a host, not a URL: write x:80`},
		{"HTTP://x", `invalid rule "HTTP://x": a rule is a host, not a URL: write x:80`},
		{"https://x:8443/a", `invalid rule "https://x:8443/a": a rule is a host, not a URL: write x:8443`},
		{"https://[::1]/", `invalid rule "https://[::1]/": a rule is a host, not a URL: write [::1]:443`},
		{"ftp://x/", `invalid rule "ftp://x/": a rule is a host, not a URL: write x`},
		{"https://", `invalid rule "https://": a rule is a host, not a URL: write :443`},
		{"https://x/?token=secret", `invalid rule "https://x/…": a rule is a host, not a URL: write x:443`},
		{"https://x/#secret", `invalid rule "https://x/…": a rule is a host, not a URL: write x:443`},
		{"https://u:secret@x/", `invalid rule "https://…@x/": a rule carries no user name or password: write x:443`},
		{"https://u:sec,ret@x/", `invalid rule "https://…@x/": a rule carries no user name or password: write x:443`},
		{"https://x/?secret=a@b", `invalid rule "…": a rule carries no user name or password: write b:443`},
		{"u:secret@x:80", `invalid rule "…@x:80": a rule carries no user name or password: write x:80`},
		{"u:secret@://x", `invalid rule "…": a rule carries no user name or password: write x`},
		{"x:443?secret", `invalid rule "x:443…": a rule is a host, without a query or fragment: write x:443`},
		{"x/y", `invalid rule "x/y": a rule is a host, without a path: write x`},
		{"/y", `invalid rule "/y": a rule is a host, without a path: write example.com:443`},
		{"unix:/run/x.sock", `invalid rule "unix:/run/x.sock": unix sockets are not supported: write example.com:443`},
		{"UNIX:x", `invalid rule "UNIX:x": unix sockets are not supported: write example.com:443`},
		{"vsock:2:80", `invalid rule "vsock:2:80": vsock is not supported: write example.com:443`},
		{"a:", `invalid rule "a:": empty port: write a:443`},
		{"[::1]:", `invalid rule "[::1]:": empty port: write [::1]:443`},
		{"*.a:", `invalid rule "*.a:": empty port: write *.a:443`},
		{"a:80+", `invalid rule "a:80+": empty port: write a:443`},
		{"a:80-", `invalid rule "a:80-": empty port: write a:443`},
		{"a:-80", `invalid rule "a:-80": empty port: write a:443`},
		{"a:https", `invalid rule "a:https": port "https" is not a number: write a:443`},
		{"a:*", `invalid rule "a:*": port "*" is not a number: write a:443`},
		{"a:0x50", `invalid rule "a:0x50": port "0x50" is not a number: write a:443`},
		{"a:443/", `invalid rule "a:443/": port "443/" is not a number: write a:443`},
		{"a:080", `invalid rule "a:080": port 080 has a leading zero: write a:443`},
		{"a:65536", `invalid rule "a:65536": port 65536 is over 65535: write a:443`},
		{"a:99999999999999999999", `invalid rule "a:99999999999999999999": port 99999999999999999999 is over 65535: write a:443`},
		{"a:1-65536", `invalid rule "a:1-65536": port 65536 is over 65535: write a:443`},
		{"a:90-80", `invalid rule "a:90-80": port range 90-80 runs backwards: write a:80-90`},
		{"a:1-2-3", `invalid rule "a:1-2-3": port "2-3" is not a number: write a:443`},
		{"a:{80,443}", `invalid rule "a:{80,443}": ports are joined by +: write a:80+443`},
		{"*", `invalid rule "*": * stands for sub-domains, and everything is allowed by the option without a value: write *.example.com`},
		{"*:443", `invalid rule "*:443": * stands for sub-domains, and everything is allowed by the option without a value: write *.example.com`},
		{"*.", `invalid rule "*.": * is the first label, alone: write example.com:443`},
		{"*..", `invalid rule "*..": the name has an empty label: write *.example.com`},
		{"*a.com", `invalid rule "*a.com": * is the first label, alone: write *.a.com`},
		{"a.*.com", `invalid rule "a.*.com": * is the first label, alone: write *.com`},
		{"*.*.com", `invalid rule "*.*.com": * is the first label, alone: write *.com`},
		{"a.*", `invalid rule "a.*": * is the first label, alone: write example.com:443`},
		{"*.a..b", `invalid rule "*.a..b": the name has an empty label: write *.example.com`},
		{"*.0.0.1", `invalid rule "*.0.0.1": * stands for sub-domains, not for parts of an address: write 10.0.0.0/8`},
		{"::1", `invalid rule "::1": an IPv6 address is written in brackets: write [::1]`},
		{"2001:db8::1", `invalid rule "2001:db8::1": an IPv6 address is written in brackets: write [2001:db8::1]`},
		{"2001:db8::/32", `invalid rule "2001:db8::/32": an IPv6 address is written in brackets: write [2001:db8::/32]`},
		{"a:80:90", `invalid rule "a:80:90": a rule has one colon, before the port: write example.com:443`},
		{"[::1", `invalid rule "[::1": [ is not closed: write [::1]`},
		{"[::1,b.com", `invalid rule "[::1,b.com": [ is not closed: write example.com:443`},
		{"[::1,::2]", `invalid rule "[::1,::2]": "::1,::2" is not an IPv6 address: write [2001:db8::1]:443`},
		{"[]", `invalid rule "[]": "" is not an IPv6 address: write [2001:db8::1]:443`},
		{"[a.com]", `invalid rule "[a.com]": "a.com" is not an IPv6 address: write [2001:db8::1]:443`},
		{"[1.2.3.4]", `invalid rule "[1.2.3.4]": an IPv4 address has no brackets: write 1.2.3.4`},
		{"[::1]80", `invalid rule "[::1]80": "80" cannot follow ]: write [::1]:443`},
		{"[::1]]", `invalid rule "[::1]]": "]" cannot follow ]: write [::1]:443`},
		{"[::/8]/8", `invalid rule "[::/8]/8": "/8" cannot follow ]: write [::]:443`},
		{"[fe80::1%eth0]", `invalid rule "[fe80::1%eth0]": zone ids are not supported: write [fe80::1]:443`},
		{"10.0.0.0/33", `invalid rule "10.0.0.0/33": prefix length /33 is over 32: write 10.0.0.0/32`},
		{"10.0.0.0/999", `invalid rule "10.0.0.0/999": prefix length /999 is over 32: write 10.0.0.0/32`},
		{"10.0.0.0/", `invalid rule "10.0.0.0/": prefix length / is not a number: write 10.0.0.0/32`},
		{"10.0.0.0/-1", `invalid rule "10.0.0.0/-1": prefix length /-1 is not a number: write 10.0.0.0/32`},
		{"10.0.0.0/08", `invalid rule "10.0.0.0/08": prefix length /08 is not a number: write 10.0.0.0/32`},
		{"10.0.0.0/8/8", `invalid rule "10.0.0.0/8/8": prefix length /8/8 is not a number: write 10.0.0.0/32`},
		{"[::/129]", `invalid rule "[::/129]": prefix length /129 is over 128: write [::/128]`},
		{"[::]/x", `invalid rule "[::]/x": prefix length /x is not a number: write [::/128]`},
		{"10/8", `invalid rule "10/8": "10" is not an IPv4 address in canonical form: write 192.0.2.1:443`},
		{"127.1", `invalid rule "127.1": "127.1" is not an IPv4 address in canonical form: write 192.0.2.1:443`},
		{"0x7f.1", `invalid rule "0x7f.1": "0x7f.1" is not an IPv4 address in canonical form: write 192.0.2.1:443`},
		{"2130706433", `invalid rule "2130706433": "2130706433" is not an IPv4 address in canonical form: write 192.0.2.1:443`},
		{"127.0.0.1.", `invalid rule "127.0.0.1.": "127.0.0.1." is not an IPv4 address in canonical form: write 192.0.2.1:443`},
		{"127.0.0.01", `invalid rule "127.0.0.01": "127.0.0.01" is not an IPv4 address in canonical form: write 192.0.2.1:443`},
		{"bücher.example", `invalid rule "bücher.example": "ü" is not ASCII, names are written as A-labels: write xn--bcher-kva.example`},
		{"a。com", `invalid rule "a。com": "。" is not ASCII, names are written as A-labels: write xn--bcher-kva.example`},
		{" a", `invalid rule " a": " " cannot stand in a rule: write a`},
		{"a b", `invalid rule "a b": " " cannot stand in a rule: write example.com:443`},
		{"a\n", `invalid rule "a\n": "\n" cannot stand in a rule: write a`},
		{"a\x00", `invalid rule "a\x00": "\x00" cannot stand in a rule: write example.com:443`},
		{"a..b", `invalid rule "a..b": the name has an empty label: write example.com:443`},
		{".a", `invalid rule ".a": the name has an empty label: write example.com:443`},
		{".", `invalid rule ".": the name has an empty label: write example.com:443`},
		{"a.com..", `invalid rule "a.com..": the name has an empty label: write example.com:443`},
		{"a!b", `invalid rule "a!b": "!" cannot stand in a name: write example.com:443`},
		{strings.Repeat("a", 64), `invalid rule "` + strings.Repeat("a", 64) + `": a label is longer than 63 bytes: write example.com:443`},
		{strings.Repeat("a.", 127), `invalid rule "` + strings.Repeat("a.", 40) + `…": the name is longer than 253 bytes: write example.com:443`},
	} {
		_, err := Parse([]string{test.text}, nil)
		if test.text == strings.Repeat("a.", 127) {
			// 127 labels of one byte are 253 bytes without the last dot: the longest name.
			if err != nil {
				t.Errorf("a name of 253 bytes is a rule\ngot error %v", err)
			}
			_, err = Parse([]string{test.text + "b"}, nil)
		}
		if err == nil || err.Error() != test.want {
			t.Errorf("%q is refused with what is wrong and what is right\n got %v\nwant %s", test.text, err, test.want)
			continue
		}
		_, right, _ := strings.Cut(err.Error(), ": write ")
		if _, err := parseRule(right); err != nil {
			t.Errorf("what the error for %q shows is a rule\ngot error %v", test.text, err)
		}
		if strings.Contains(err.Error(), "sec") {
			t.Errorf("the error for %q shows no secret\ngot %v", test.text, err)
		}
	}
}

func TestParseDenyErrors(t *testing.T) {
	want := `invalid rule "*": * stands for sub-domains, and everything is allowed by the option without a value: write *.example.com`
	l, err := Parse([]string{"a.com"}, []string{"*"})
	if l != nil || err == nil || err.Error() != want {
		t.Errorf("a wrong deny rule leaves no list\n got %v, %v\nwant %s", l, err, want)
	}
	l, err = AllowAll("b.com", "*")
	if l != nil || err == nil || err.Error() != want {
		t.Errorf("a wrong deny rule leaves no list of AllowAll\n got %v, %v\nwant %s", l, err, want)
	}
}

func TestSplitElement(t *testing.T) {
	for _, test := range []struct {
		element string
		want    []string
	}{
		{"", []string{""}},
		{"a", []string{"a"}},
		{"a,b", []string{"a", "b"}},
		{"a,,b", []string{"a", "", "b"}},
		{"a,", []string{"a", ""}},
		{",", []string{"", ""}},
		{"[::1]:80,b:443", []string{"[::1]:80", "b:443"}},
		{"[::1,b", []string{"[::1,b"}},
		{"a:{80,443},b", []string{"a:{80,443}", "b"}},
		{"a],b", []string{"a]", "b"}},
		{"]]a,[b,c],d", []string{"]]a", "[b,c]", "d"}},
	} {
		if got := splitElement(test.element); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%q is cut at commas outside of brackets\n got %q\nwant %q", test.element, got, test.want)
		}
	}
}

func TestRulesAreSortedBySpecificity(t *testing.T) {
	l, err := Parse([]string{
		"10.0.0.0/8,loopback,*.example.com,example.com,*.a.example.com",
		"10.0.0.1", "[::/0]", "10.0.0.0/24", "example.com:1-100", "*.example.com:443", "10.0.0.0/8:80+443",
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range l.allow {
		got = append(got, l.allow[i].String())
	}
	want := "*.example.com:443 10.0.0.0/8:80+443 example.com:1-100 " +
		"example.com 10.0.0.1 10.0.0.0/24 10.0.0.0/8 [::/0] loopback *.a.example.com *.example.com"
	if got := strings.Join(got, " "); got != want {
		t.Errorf("fewer ports come first, then the narrower host\n got %s\nwant %s", got, want)
	}
}

func TestUnknownKindsPanic(t *testing.T) {
	r := &Rule{kind: kindLocal + 1}
	for what, f := range map[string]func(){
		"a rule's host":    func() { _ = r.String() },
		"a rule's width":   func() { r.width() },
		"a name's match":   func() { r.coversName("a") },
		"an address match": func() { r.coversAddr(ipv4Loopback) },
		"a class":          func() { _ = (classReserved + 1).String() },
		"a class word":     func() { classReserved.word() },
	} {
		func() {
			defer func() {
				if s, _ := recover().(string); !strings.HasPrefix(s, "BUG: ") {
					t.Errorf("%s of unknown kind is a bug\ngot %q", what, s)
				}
			}()
			f()
		}()
	}
}
