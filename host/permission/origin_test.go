package permission

import (
	"strings"
	"testing"
)

func testOrigins(t testing.TB, patterns string) *Origins {
	t.Helper()
	o, err := ParseOrigins(strings.Fields(patterns)...)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestOriginsAllow(t *testing.T) {
	for _, test := range []struct {
		patterns, origin string
		want             bool
	}{
		{"", "https://example.com", false},
		{"", "null", false},
		{"", "", false},
		{"https://example.com", "https://example.com", true},
		{"https://example.com", "HTTPS://EXAMPLE.com", true},
		{"HTTPS://EXAMPLE.com", "https://example.com", true},
		{"https://example.com", "https://example.com:443", true},
		{"https://example.com:443", "https://example.com", true},
		{"http://example.com:80", "http://example.com", true},
		{"https://example.com", "https://example.com:80", false},
		{"https://example.com", "https://example.com:8443", false},
		{"https://example.com:8443", "https://example.com:8443", true},
		{"https://example.com:8443", "https://example.com", false},
		{"https://example.com", "http://example.com", false},
		{"https://example.com", "http://example.com:443", false},
		{"http://example.com", "https://example.com:80", false},
		{"https://example.com", "https://www.example.com", false},
		{"https://example.com", "https://example.com.evil.example", false},
		{"https://example.com", "https://notexample.com", false},
		{"https://example.com", "https://example.co", false},
		{"https://example.com", "https://example.com.", false},
		{"https://example.com.", "https://example.com.", true},
		{"https://example.com.", "https://example.com", false},
		{"https://example.com", "https://example.com/", false},
		{"https://example.com", "https://example.com?", false},
		{"https://example.com", "https://example.com#", false},
		{"https://example.com", "https://user@example.com", false},
		{"https://example.com", "https://@example.com", false},
		{"https://example.com", "https://example.com@evil.example", false},
		{"https://example.com", `https://example.com\@evil.example`, false},
		{"https://example.com", "https://example.com%00.evil.example", false},
		{"https://example.com", "https://example%2ecom", false},
		{"https://example.com", "https://example.com:", false},
		{"https://example.com", "https://example.com:0443", false},
		{"https://example.com", "https://example.com:+443", false},
		{"https://example.com", "https://example.com:443:443", false},
		{"https://example.com", "https://example.com:65979", false},
		{"https://example.com", "https://example.com:0", false},
		{"https://example.com", "https:example.com", false},
		{"https://example.com", "https:/example.com", false},
		{"https://example.com", "https:///example.com", false},
		{"https://example.com", "//example.com", false},
		{"https://example.com", "example.com", false},
		{"https://example.com", " https://example.com", false},
		{"https://example.com", "https://example.com ", false},
		{"https://example.com", "https://example.com https://evil.example", false},
		{"https://example.com", "https://example.com, https://evil.example", false},
		{"https://example.com", "https://example.com\n", false},
		{"https://example.com", "https://example.com\x00", false},
		{"https://example.com", "wss://example.com", false},
		{"https://example.com", "javascript://example.com", false},
		{"https://example.com", "null", false},
		{"https://example.com", "", false},
		{"https://kelvin.example", "https://\u212aelvin.example", false},
		{"https://example.com", "https://ｅxample.com", false},
		{"https://example.com", "https://example。com", false},
		{"https://xn--bcher-kva.example", "https://XN--bcher-kva.example", true},
		{"https://xn--bcher-kva.example", "https://bücher.example", false},
		{"https://xn--bcher-kva.example", "https://bucher.example", false},
		{"https://example.com http://localhost:3000", "http://localhost:3000", true},
		{"https://example.com http://localhost:3000", "http://localhost", false},
		{"http://localhost:3000", "http://127.0.0.1:3000", false},

		{"https://*.example.com", "https://a.example.com", true},
		{"https://*.example.com", "https://a.b.c.EXAMPLE.com:443", true},
		{"HTTPS://*.EXAMPLE.com:443", "https://a.example.com", true},
		{"https://*.example.com", "https://example.com", false},
		{"https://*.example.com", "https://.example.com", false},
		{"https://*.example.com", "https://a..example.com", false},
		{"https://*.example.com", "https://notexample.com", false},
		{"https://*.example.com", "https://a.example.com.", false},
		{"https://*.example.com", "https://a.example.com.evil.example", false},
		{"https://*.example.com", "https://evil.example/a.example.com", false},
		{"https://*.example.com", "https://evil.example#.example.com", false},
		{"https://*.example.com", "https://evil.example?.example.com", false},
		{"https://*.example.com", `https://evil.example\.example.com`, false},
		{"https://*.example.com", "https://evil.example:443.example.com", false},
		{"https://*.example.com", "https://a.example.com@evil.example", false},
		{"https://*.example.com", "https://evil.example@a.example.com", false},
		{"https://*.example.com", "http://a.example.com", false},
		{"https://*.example.com", "https://a.example.com:8443", false},
		{"https://*.example.com:8443", "https://a.example.com:8443", true},
		{"https://*.example.com:8443", "https://a.example.com", false},
		{"https://*.example.com:8443", "http://a.example.com:8443", false},
		{"https://*.example.com", "https://*.example.com", false},
		{"https://*.com", "https://example.com", true},
		{"https://*.localhost", "https://app.localhost", true},
		{"https://example.com https://*.example.com", "https://example.com", true},

		{"http://127.0.0.1:8080", "http://127.0.0.1:8080", true},
		{"http://127.0.0.1", "http://127.1", false},
		{"http://127.0.0.1", "http://2130706433", false},
		{"http://127.0.0.1", "http://0x7f.0.0.1", false},
		{"http://127.0.0.1", "http://0177.0.0.1", false},
		{"http://127.0.0.1", "http://127.0.0.1.", false},
		{"http://127.0.0.1", "http://[::ffff:127.0.0.1]", false},
		{"http://127.0.0.1", "http://[::ffff:7f00:1]", false},
		{"http://[::1]:8080", "http://[::1]:8080", true},
		{"http://[::1]", "http://[0:0:0:0:0:0:0:1]", true},
		{"http://[2001:DB8::A]", "http://[2001:db8::a]", true},
		{"http://[::1]", "http://::1", false},
		{"http://[::1]", "http://[::1", false},
		{"http://[::1]", "http://[::1]8080", false},
		{"http://[::1]", "http://[::1]:", false},
		{"http://[fe80::1]", "http://[fe80::1%25eth0]", false},
		{"http://[fe80::1]", "http://[fe80::1%eth0]", false},
		{"http://[::1]", "http://[127.0.0.1]", false},
		{"http://127.0.0.1", "http://[127.0.0.1]", false},
		{"http://[::1]", "http://[::1]\x00", false},
		{"https://example.com:8443", "https://example.com:8443\t", false},
		{"https://example.com:8443", "https://example.com:８443", false},
		{"http://[::ffff:127.0.0.1]", "http://[::ffff:7f00:1]", true},

		{"null", "null", true},
		{"null", "NULL", false},
		{"null", "https://null", false},
		{"null", "", false},
		{"https://null", "null", false},
		{"*", "https://evil.example", true},
		{"*", "null", true},
		{"*", "what is this", true},
		{"* https://example.com", "https://evil.example", true},

		{"chrome-extension://abcdefgh", "chrome-extension://abcdefgh", true},
		{"chrome-extension://abcdefgh", "Chrome-Extension://abcdefgh", true},
		{"chrome-extension://abcdefgh", "chrome-extension://ABCDEFGH", false},
		{"chrome-extension://abcdefgh", "chrome-extension://abcdefgh2", false},
		{"chrome-extension://abcdefgh", "moz-extension://abcdefgh", false},
		{"chrome-extension://abcdefgh", "https://abcdefgh", false},
		{"chrome-extension://abcdefgh", "chrome-extension://abcdefgh/", false},
		{"moz-extension://0a1b-2c3d", "moz-extension://0a1b-2c3d", true},
		{"vscode-webview://0a1b2c", "vscode-webview://0a1b2c", true},
		{"tauri://localhost", "tauri://localhost", true},
		{"tauri://localhost", "tauri://localhost:80", false},
		{"app://localhost:123", "app://localhost:123", true},
		{"app://localhost:123", "app://localhost:124", false},
		{"file://", "file://", true},
		{"file://", "file:///", false},
		{"file://", "file://localhost", false},
		{"file://", "null", false},
	} {
		if got := testOrigins(t, test.patterns).Allows(test.origin); got != test.want {
			t.Errorf("scheme, host and port are compared exactly\npatterns %q, origin %q\n got %v\nwant %v", test.patterns, test.origin, got, test.want)
		}
	}
	for what, o := range map[string]*Origins{"nil": nil, "the zero value": {}} {
		if o.Allows("https://example.com") || o.Allows("null") || o.Allows("") {
			t.Errorf("%s allows no origin", what)
		}
	}
}

func TestParseOriginsErrors(t *testing.T) {
	for _, test := range []struct{ pattern, want string }{
		{"", `invalid origin "": an origin begins with a scheme and ://: write https://example.com`},
		{"example.com", `invalid origin "example.com": an origin begins with a scheme and ://: write https://example.com`},
		{"a.example:8443", `invalid origin "a.example:8443": an origin begins with a scheme and ://: write https://a.example:8443`},
		{"*.example.com", `invalid origin "*.example.com": * is the first label of the host, alone: write https://*.example.com`},
		{"NULL", `invalid origin "NULL": an origin begins with a scheme and ://: write null`},
		{"https://a.example/", `invalid origin "https://a.example/": "/" cannot stand in an origin: write https://a.example`},
		{"https://a.example/app", `invalid origin "https://a.example/app": "/" cannot stand in an origin: write https://a.example`},
		{"https://a.example?token=secret", `invalid origin "https://a.example…": "?" cannot stand in an origin: write https://a.example`},
		{"https://a.example#secret", `invalid origin "https://a.example…": "#" cannot stand in an origin: write https://a.example`},
		{"https://u:secret@a.example", `invalid origin "https://…@a.example": "@" cannot stand in an origin: write https://a.example`},
		{"u:secret@://a.example", `invalid origin "…": what stands before :// is no scheme: write https://example.com`},
		{"://a.example", `invalid origin "://a.example": what stands before :// is no scheme: write https://example.com`},
		{"3d://a", `invalid origin "3d://a": what stands before :// is no scheme: write https://example.com`},
		{"wss://a.example", `invalid origin "wss://a.example": an origin is that of a page, and pages are of http or https: write https://a.example`},
		{"ws://a.example:8080", `invalid origin "ws://a.example:8080": an origin is that of a page, and pages are of http or https: write http://a.example:8080`},
		{"https://", `invalid origin "https://": the host is empty: write https://example.com`},
		{"https://:443", `invalid origin "https://:443": the host is empty: write https://example.com`},
		{"chrome-extension://", `invalid origin "chrome-extension://": the host is empty: write https://example.com`},
		{"app://:80", `invalid origin "app://:80": the host is empty: write https://example.com`},
		{"app://a:b", `invalid origin "app://a:b": port "b" is not a number: write https://example.com`},
		{"app://[::1]", `invalid origin "app://[::1]": "[" cannot stand in a host: write https://example.com`},
		{"file://localhost", `invalid origin "file://localhost": files have no host: write https://example.com`},
		{"https://a.example:", `invalid origin "https://a.example:": empty port: write https://example.com`},
		{"https://a.example:*", `invalid origin "https://a.example:*": * is the first label of the host, alone: write https://*.example.com`},
		{"https://a.example:0", `invalid origin "https://a.example:0": no page comes from port 0: write https://example.com`},
		{"https://a.example:65536", `invalid origin "https://a.example:65536": port 65536 is over 65535: write https://example.com`},
		{"https://a.example:0443", `invalid origin "https://a.example:0443": port 0443 has a leading zero: write https://example.com`},
		{"https://127.1", `invalid origin "https://127.1": the host is a number, but not an IPv4 address in canonical form: write https://example.com`},
		{"https://::1", `invalid origin "https://::1": the host is empty: write https://example.com`},
		{"https://[::1", `invalid origin "https://[::1": the host in brackets is not an IPv6 address: write https://example.com`},
		{"https://[fe80::1%eth0]", `invalid origin "https://[fe80::1%eth0]": "%" cannot stand in an origin: write https://example.com`},
		{"https://[a.example]", `invalid origin "https://[a.example]": the host in brackets is not an IPv6 address: write https://example.com`},
		{"https://[::1]443", `invalid origin "https://[::1]443": "443" cannot follow ]: write https://example.com`},
		{"https://bücher.example", `invalid origin "https://bücher.example": "ü" is not ASCII, and names are written as A-labels (xn--…): write https://example.com`},
		{"https://a..example", `invalid origin "https://a..example": the name has an empty label: write https://example.com`},
		{" https://a.example", `invalid origin " https://a.example": what stands before :// is no scheme: write https://a.example`},
		{"https://a.example ", `invalid origin "https://a.example ": " " cannot stand in a name: write https://a.example`},
		{"https://*", `invalid origin "https://*": * is the first label of the host, alone: write https://*.example.com`},
		{"https://*.", `invalid origin "https://*.": the host is empty: write https://*.example.com`},
		{"https://*a.example", `invalid origin "https://*a.example": * is the first label of the host, alone: write https://*.example.com`},
		{"https://a.*.example", `invalid origin "https://a.*.example": * is the first label of the host, alone: write https://*.example.com`},
		{"https://*.*.example", `invalid origin "https://*.*.example": * is the first label of the host, alone: write https://*.example.com`},
		{"*://a.example", `invalid origin "*://a.example": * is the first label of the host, alone: write https://*.example.com`},
		{"https://*.10.0.0.1", `invalid origin "https://*.10.0.0.1": * stands for sub-domains, not for parts of an address: write https://*.example.com`},
		{"https://*.0.1", `invalid origin "https://*.0.1": the host is a number, but not an IPv4 address in canonical form: write https://*.example.com`},
		{"https://*.[::1]", `invalid origin "https://*.[::1]": only names of http and https have sub-domains: write https://*.example.com`},
		{"chrome-extension://*.a", `invalid origin "chrome-extension://*.a": only names of http and https have sub-domains: write https://*.example.com`},
	} {
		o, err := ParseOrigins("https://example.com", test.pattern)
		if o != nil {
			t.Errorf("a wrong pattern leaves no origins: %q", test.pattern)
		}
		wantError(t, "a wrong pattern is quoted, with what is wrong and what is right", err, test.want)
		if err == nil {
			continue
		}
		_, right, _ := strings.Cut(err.Error(), ": write ")
		if _, err := ParseOrigins(right); err != nil {
			t.Errorf("what the error for %q shows is a pattern\ngot %v", test.pattern, err)
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error for %q shows no secret\ngot %v", test.pattern, err)
		}
	}
}

func TestSameOrigin(t *testing.T) {
	for _, test := range []struct {
		origin, scheme, host string
		want                 bool
	}{
		{"https://example.com", "https", "example.com", true},
		{"https://EXAMPLE.com", "HTTPS", "Example.COM", true},
		{"https://example.com", "https", "example.com:443", true},
		{"https://example.com:443", "https", "example.com", true},
		{"https://example.com:8443", "https", "example.com:8443", true},
		{"http://example.com", "http", "example.com", true},
		{"http://[::1]:8080", "http", "[::1]:8080", true},
		{"http://[::1]", "http", "[0:0::1]", true},
		{"https://example.com.", "https", "example.com.", true},
		{"https://example.com", "", "example.com", true},
		{"http://example.com", "", "example.com", true},
		{"https://example.com:8443", "", "example.com:8443", true},

		{"http://example.com", "https", "example.com", false},
		{"https://example.com", "http", "example.com", false},
		{"https://example.com", "https", "example.com:80", false},
		{"https://example.com", "", "example.com:80", false},
		{"http://example.com", "", "example.com:443", false},
		{"https://example.com:8443", "https", "example.com", false},
		{"https://example.com", "https", "example.com:8443", false},
		{"https://example.com", "https", "www.example.com", false},
		{"https://www.example.com", "https", "example.com", false},
		{"https://evil-example.com", "https", "example.com", false},
		{"https://example.com.evil.example", "https", "example.com", false},
		{"https://example.com.", "https", "example.com", false},
		{"https://example.com", "https", "", false},
		{"https://example.com", "https", "*", false},
		{"https://example.com", "https", "*.example.com", false},
		{"https://example.com", "https", "user@example.com", false},
		{"https://example.com", "https", "evil.example@example.com", false},
		{"https://example.com", "https", "example.com/", false},
		{"https://example.com", "https", "example.com ", false},
		{"https://example.com", "https", "example.com:", false},
		{"https://example.com/x", "https", "example.com/x", false},
		{"https://u@example.com", "https", "u@example.com", false},
		{"https://127.1", "https", "127.1", false},
		{"http://127.0.0.1", "http", "localhost", false},
		{"http://localhost", "http", "127.0.0.1", false},
		{"null", "https", "null", false},
		{"null", "", "", false},
		{"", "", "", false},
		{"file://", "", "", false},
		{"file://", "file", "", false},
		{"chrome-extension://abc", "chrome-extension", "abc", false},
		{"wss://example.com", "wss", "example.com", false},
	} {
		if got := SameOrigin(test.origin, test.scheme, test.host); got != test.want {
			t.Errorf("a page is of the request's origin if scheme, host and port are\norigin %q, request %q to %q\n got %v\nwant %v",
				test.origin, test.scheme, test.host, got, test.want)
		}
	}
}
