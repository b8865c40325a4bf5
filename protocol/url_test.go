package protocol

import (
	"errors"
	"net/url"
	"strings"
	"testing"
)

// mapping stands for IDNA in tests: it knows a few names.
func mapping(host string) (string, error) {
	switch strings.ToLower(host) {
	case "bücher.example":
		return "xn--bcher-kva.example", nil
	case "xn--bcher-kva.example":
		return "xn--bcher-kva.example", nil
	case "１２７.0.0.1":
		return "127.0.0.1", nil
	case "a／b.example":
		return "a/b.example", nil
	case "\u00ad":
		return "", nil
	case "faß.example": // as if the host forgot to make it lower-case
		return "XN--FA-HIA.example", nil
	case "xn--fa-hia.example":
		return host, nil
	}
	return "", errors.New("not a name that the test knows")
}

func TestParseURL(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		// schemes
		{"ws://example.com", "ws://example.com/"},
		{"wss://example.com/", "wss://example.com/"},
		{"http://example.com/", "ws://example.com/"},
		{"https://example.com/", "wss://example.com/"},
		{"WSS://example.com/", "wss://example.com/"},
		{"hTTps://example.com/", "wss://example.com/"},
		// slashes before the authority
		{"ws:example.com", "ws://example.com/"},
		{"ws:/example.com", "ws://example.com/"},
		{"ws:///example.com", "ws://example.com/"},
		{`ws:\\example.com\a\b`, "ws://example.com/a/b"},
		{`ws:/\/example.com`, "ws://example.com/"},
		// what is passed over
		{" \x00\x1f ws://example.com/ \n", "ws://example.com/"},
		{"w\ts\n:\r//exa\tmple.com/a\nb", "ws://example.com/ab"},
		// ports
		{"ws://example.com:80/", "ws://example.com/"},
		{"wss://example.com:443/", "wss://example.com/"},
		{"http://example.com:80/", "ws://example.com/"},
		{"https://example.com:443/", "wss://example.com/"},
		{"ws://example.com:443/", "ws://example.com:443/"},
		{"wss://example.com:80/", "wss://example.com:80/"},
		{"ws://example.com:/", "ws://example.com/"},
		{"ws://example.com:00080/", "ws://example.com/"},
		{"ws://example.com:0/", "ws://example.com:0/"},
		{"ws://example.com:65535/", "ws://example.com:65535/"},
		{"ws://example.com:8080?q", "ws://example.com:8080/?q"},
		{`ws://example.com:8080\a`, "ws://example.com:8080/a"},
		// userinfo is not part of the string
		{"ws://user:pass@example.com/", "ws://example.com/"},
		{"ws://@example.com/", "ws://example.com/"},
		{"ws://a@b@example.com/", "ws://example.com/"},
		{"ws://user:80@example.com:8080/", "ws://example.com:8080/"},
		// path
		{"ws://h/a/b/", "ws://h/a/b/"},
		{"ws://h//a//", "ws://h//a//"},
		{"ws://h/.", "ws://h/"},
		{"ws://h/..", "ws://h/"},
		{"ws://h/a/./b", "ws://h/a/b"},
		{"ws://h/a/../b", "ws://h/b"},
		{"ws://h/a/b/..", "ws://h/a/"},
		{"ws://h/a/b/.", "ws://h/a/b/"},
		{"ws://h/../../a", "ws://h/a"},
		{"ws://h/a//../b", "ws://h/a/b"},
		{"ws://h/a/%2e/b", "ws://h/a/b"},
		{"ws://h/a/%2E%2e/b", "ws://h/b"},
		{"ws://h/a/.%2e/b", "ws://h/b"},
		{"ws://h/a/%2E./b", "ws://h/b"},
		{"ws://h/a/.../b", "ws://h/a/.../b"},
		{"ws://h//.a/../b", "ws://h//b"},
		{"ws://h/a/..b/.c", "ws://h/a/..b/.c"},
		{"ws://h/%2e%2e%2e", "ws://h/%2e%2e%2e"},
		{`ws://h/a\..\b`, "ws://h/b"},
		{"ws://h/a b\"<>^`{|}~", "ws://h/a%20b%22%3C%3E%5E%60%7B|%7D~"},
		{"ws://h/%41%zz%", "ws://h/%41%zz%"},
		{"ws://h/\x01\x7f", "ws://h/%01%7F"},
		{"ws://h/é€😀", "ws://h/%C3%A9%E2%82%AC%F0%9F%98%80"},
		{"ws://h/\xff", "ws://h/%EF%BF%BD"},
		{"ws://h/:@!$&'()*+,;=[]", "ws://h/:@!$&'()*+,;=[]"},
		// query
		{"ws://h?", "ws://h/?"},
		{"ws://h/?", "ws://h/?"},
		{"ws://h?a=b", "ws://h/?a=b"},
		{"ws://h/?a?b", "ws://h/?a?b"},
		{"ws://h/?a/../b", "ws://h/?a/../b"},
		{`ws://h/?a\b`, `ws://h/?a\b`},
		{"ws://h/? '\"<>^`{|}", "ws://h/?%20%27%22%3C%3E^`{|}"},
		{"ws://h/?é%zz", "ws://h/?%C3%A9%zz"},
		{"ws://h/?a@b:c", "ws://h/?a@b:c"},
	} {
		u, err := ParseURL(test.in, nil)
		if err != nil {
			t.Errorf("ParseURL(%q) = %v, want %q", test.in, err, test.want)
			continue
		}
		if got := u.String(); got != test.want {
			t.Errorf("ParseURL(%q) = %q, want %q", test.in, got, test.want)
		}
	}
}

func TestParseURLErrors(t *testing.T) {
	for _, test := range []struct{ in, part string }{
		{"", "scheme"},
		{"example.com", "scheme"},
		{"/chat", "scheme"},
		{"//example.com/", "scheme"},
		{"1ws://example.com/", "scheme"},
		{":", "scheme"},
		{"wss", "scheme"},
		{"ftp://example.com/", "scheme"},
		{"wsx://example.com/", "scheme"},
		{"ws+unix://example.com/", "scheme"},
		{"user:secret@example.com", "scheme"},
		{"ws://example.com/#", "fragment"},
		{"ws://example.com/#a", "fragment"},
		{"ws://example.com#a", "fragment"},
		{"ws://example.com?a#b", "fragment"},
		{"ws:", "host"},
		{"ws://", "host"},
		{"ws:///", "host"},
		{"ws://?a", "host"},
		{"ws://:80/", "host"},
		{"ws://user@/", "host"},
		{"ws://user:pass@:80/", "host"},
		{"ws://example.com:65536/", "port"},
		{"ws://example.com:99999999999999999999/", "port"},
		{"ws://example.com:-1/", "port"},
		{"ws://example.com:80a/", "port"},
		{"ws://example.com:8 0/", "port"},
		{"ws://::1/", "port"},
		{"ws://user:secret/@example.com/", "port"},
	} {
		_, err := ParseURL(test.in, nil)
		var e *URLError
		if !errors.As(err, &e) {
			t.Errorf("ParseURL(%q) = %v, want a *URLError", test.in, err)
			continue
		}
		if e.Part != test.part {
			t.Errorf("ParseURL(%q) blames the %s, want the %s: %v", test.in, e.Part, test.part, err)
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("ParseURL(%q) = %v, which repeats a credential", test.in, err)
		}
	}
}

func TestParseURLNamesTheScheme(t *testing.T) {
	_, err := ParseURL("ftp://example.com/", nil)
	if want := "websocket: invalid URL: scheme: use ws or wss; http and https stand for them, ftp does not"; err == nil || err.Error() != want {
		t.Errorf("an unknown scheme is named and so are the allowed ones:\n got %v\nwant %s", err, want)
	}
}

func TestURLAuthorization(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"ws://h/", ""},
		{"ws://@h/", ""},
		{"ws://:@h/", ""},
		{"ws://user@h/", "Basic dXNlcjo="},
		{"ws://:pass@h/", "Basic OnBhc3M="},
		{"ws://user:p%40ss@h/", "Basic dXNlcjpwQHNz"},
		{"ws://user:pa:ss@h/", "Basic dXNlcjpwYTpzcw=="},
		{"ws://a@b:c@h/", "Basic YUBiOmM="},
		{"ws://a%zz:%@h/", "Basic YSV6ejol"},
		{"ws://ü:é@h/", "Basic w7w6w6k="},
		{"ws://%C3%BC:%C3%A9@h/", "Basic w7w6w6k="},
		{"ws://u:%0d%0aHost:x@h/", "Basic dToNCkhvc3Q6eA=="},
	} {
		u, err := ParseURL(test.in, nil)
		if err != nil || u.Authorization != test.want {
			t.Errorf("ParseURL(%q).Authorization = %+v, %v, want %q", test.in, u, err, test.want)
		}
	}
}

func TestURLParts(t *testing.T) {
	u, err := ParseURL("https://user:pass@[2001:DB8::1]:8443/a/b?c=d", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := URL{"wss", "[2001:db8::1]", 8443, "/a/b?c=d", "Basic dXNlcjpwYXNz"}
	if *u != want {
		t.Errorf("the parts are %+v, want %+v", *u, want)
	}
	if got, want := u.HostPort(), "[2001:db8::1]:8443"; got != want {
		t.Errorf("HostPort() = %q, want %q", got, want)
	}
	if got, want := u.Origin(), "wss://[2001:db8::1]:8443"; got != want {
		t.Errorf("Origin() = %q, want %q", got, want)
	}
	if !u.Secure() {
		t.Error("wss is secure")
	}
	u, err = ParseURL("ws://example.com:80/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if u.Port != 80 || u.HostPort() != "example.com" || u.Secure() {
		t.Errorf("the default port is left out: %+v, %q", u, u.HostPort())
	}
}

func FuzzParseURL(f *testing.F) {
	// What is accepted parses to itself again, its target and host hold nothing
	// that could begin another line or field, and net/url agrees on host and port.
	for _, s := range []string{
		"ws://example.com", "wss://user:p%40ss@[::1]:8443/a/../b?c#", `ws:\\0x7f.1\%2e%2e`, "http://EX%41MPLE.com:080/ \r\n",
		"ws://xn--a/", "ws://bücher.example/é?é", "ws://1.2.3.4.:80", "ws://[::ffff:1.2.3.4]", "ws://a:b@c:d@e/", "\x00ws:h",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := ParseURL(s, mapping)
		if err != nil {
			if e, ok := err.(*URLError); !ok || e.Part == "" || e.Rule == "" {
				t.Fatalf("ParseURL(%q) = %#v, want a *URLError", s, err)
			}
			return
		}
		if err := checkURL(u); err != nil {
			t.Fatalf("ParseURL(%q) = %+v, which a handshake refuses: %v", s, u, err)
		}
		again, err := ParseURL(u.String(), mapping)
		if err != nil {
			t.Fatalf("ParseURL(%q), of %q: %v", u.String(), s, err)
		}
		if again.Authorization = u.Authorization; *again != *u {
			t.Fatalf("ParseURL(%q) = %+v, again %+v", s, u, again)
		}
		// net/url refuses malformed escapes and some bytes in names; where it does
		// not, it must see the same host.
		if v, err := url.Parse(u.String()); err == nil && v.Host != u.HostPort() {
			t.Fatalf("ParseURL(%q) has host %q, net/url sees %q", s, u.HostPort(), v.Host)
		}
	})
}
