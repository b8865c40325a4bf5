package dialer

import (
	"net/url"
	"os"
	"strings"
	"testing"
)

func TestParseProxy(t *testing.T) {
	for _, x := range []struct{ text, want, err string }{
		{"http://proxy.test", "http://proxy.test:80", ""},
		{"https://proxy.test/", "https://proxy.test:443", ""},
		{"socks5://127.0.0.1", "socks5://127.0.0.1:1080", ""},
		{"SOCKS5H://user:secret@[::1]:9050", "socks5h://[::1]:9050", ""},
		{"proxy.test:3128", "http://proxy.test:3128", ""},
		{"user:secret@proxy.test:3128", "http://proxy.test:3128", ""},
		{"127.0.0.1", "http://127.0.0.1:80", ""},
		{"http://user:@proxy.test", "http://proxy.test:80", ""},
		{"http://us%20er:se%3Acret@proxy.test", "http://proxy.test:80", ""},
		{"", "", "nothing after them"},
		{"http://", "", "nothing after them"},
		{"http://:3128", "", "nothing after them"},
		{"socks4://proxy.test", "", "not the URL of a proxy"},
		{"ftp://user:secret@proxy.test", "", "not the URL of a proxy"},
		{"http://user:secret@proxy.test:port", "", "not the URL of a proxy"},
		{"http://user:secret@proxy.test:65536", "", "nothing after them"},
		{"http://user:secret@proxy.test:0", "", "nothing after them"},
		{"http://user:secret@proxy.test/proxy.pac", "", "nothing after them"},
		{"http://user:secret@proxy.test?secret", "", "nothing after them"},
		{"http://user:secret@proxy.test#secret", "", "nothing after them"},
		{"http://user:secret@pröxy.test", "", "nothing after them"},
		{"http://user:secret@[fe80::1%25eth0]", "", "nothing after them"},
		{"http://user:secret@proxy.test\r\nX: y", "", "not the URL of a proxy"},
		{"http://us%3Aer:secret@proxy.test", "", "the proxy's user name"},
		{"http://user:secret%0D%0A@proxy.test", "", "the proxy's user name"},
		{"http://:secret@proxy.test", "", "the proxy's user name"},
		{"http://user:" + strings.Repeat("secret", 43) + "@proxy.test", "", "the proxy's user name"},
		{"http://" + strings.Repeat("u", 256) + "@proxy.test", "", "the proxy's user name"},
	} {
		u, err := ParseProxy(x.text)
		if x.err != "" {
			wantError(t, "parse "+x.text, nil, err, x.err)
			continue
		}
		if err != nil {
			t.Errorf("parse %s\n got %v", x.text, err)
			continue
		}
		p, err := newProxyServer(u)
		if err != nil || p.String() != x.want {
			t.Errorf("parse %s\n got %s, %v\nwant %s", x.text, p, err, x.want)
		}
	}
}

// TestProxyFromEnvironment has the variables of the field.
func TestProxyFromEnvironment(t *testing.T) {
	const p, q, all = "http://p.test:1", "https://q.test:2", "socks5h://all.test:3"
	for _, x := range []struct {
		env    string // separated by spaces
		target string // with a scheme
		want   string // "" for none; with a space: an error
	}{
		{"", "ws://a.test:80", ""},
		{"HTTP_PROXY=" + p, "ws://a.test:80", p},
		{"HTTP_PROXY=" + p, "wss://a.test:443", ""},
		{"HTTPS_PROXY=" + q, "wss://a.test:443", q},
		{"HTTPS_PROXY=" + q, "ws://a.test:80", ""},
		{"http_proxy=" + p + " HTTP_PROXY=" + q, "ws://a.test:80", p},
		{"https_proxy=" + q + " HTTPS_PROXY=" + p, "wss://a.test:80", q},
		{"HTTP_PROXY=p.test:1", "ws://a.test:80", p},
		{"ALL_PROXY=" + all, "ws://a.test:80", all},
		{"ALL_PROXY=" + all, "wss://a.test:80", all},
		{"all_proxy=" + all + " ALL_PROXY=" + p, "wss://a.test:80", all},
		{"ALL_PROXY=" + all + " HTTP_PROXY=" + p, "ws://a.test:80", p},
		{"ALL_PROXY=" + all + " HTTP_PROXY=" + p, "wss://a.test:80", all},

		{"ALL_PROXY=" + all, "ws://localhost:80", ""},
		{"ALL_PROXY=" + all, "ws://127.0.0.8:80", ""},
		{"ALL_PROXY=" + all, "ws://[::1]:80", ""},
		{"ALL_PROXY=" + all + " NO_PROXY=*", "ws://a.test:80", ""},
		{"ALL_PROXY=" + all + " NO_PROXY=a.test", "ws://a.test:80", ""},
		{"ALL_PROXY=" + all + " no_proxy=a.test NO_PROXY=b.test", "ws://b.test:80", all},
		{"ALL_PROXY=" + all + " NO_PROXY=a.test", "ws://A.TEST.:80", ""},
		{"ALL_PROXY=" + all + " NO_PROXY=a.test", "ws://b.a.test:80", ""},
		{"ALL_PROXY=" + all + " NO_PROXY=a.test", "ws://ba.test:80", all},
		{"ALL_PROXY=" + all + " NO_PROXY=.a.test", "ws://a.test:80", all},
		{"ALL_PROXY=" + all + " NO_PROXY=.a.test", "ws://b.a.test:80", ""},
		{"ALL_PROXY=" + all + " NO_PROXY=b.test,a.test:81", "ws://a.test:80", all},
		{"ALL_PROXY=" + all + " NO_PROXY=b.test,a.test:81", "ws://a.test:81", ""},
		{"ALL_PROXY=" + all + " NO_PROXY=192.0.2.1", "ws://192.0.2.1:80", ""},
		{"ALL_PROXY=" + all + " NO_PROXY=192.0.2.1", "ws://192.0.2.2:80", all},
		{"ALL_PROXY=" + all + " NO_PROXY=192.0.2.1:81", "ws://192.0.2.1:80", all},
		{"ALL_PROXY=" + all + " NO_PROXY=192.0.2.0/24", "ws://192.0.2.9:80", ""},
		{"ALL_PROXY=" + all + " NO_PROXY=192.0.2.0/24", "ws://[::ffff:192.0.2.9]:80", ""},
		{"ALL_PROXY=" + all + " NO_PROXY=192.0.2.0/24", "ws://192.0.3.9:80", all},
		{"ALL_PROXY=" + all + " NO_PROXY=2001:db8::/32", "ws://[2001:db8::1]:80", ""},
		{"ALL_PROXY=" + all + " NO_PROXY=2001:db8::/32", "ws://[2001:db9::1]:80", all},

		{"HTTP_PROXY=socks4://user:secret@p.test", "ws://a.test:80", "HTTP_PROXY: this is not the URL of a proxy"},
		{"HTTP_PROXY=http://user:secret@p.test:x", "ws://a.test:80", "HTTP_PROXY: this is not the URL of a proxy"},
		{"HTTPS_PROXY=http://user:secret@p.test:x", "ws://a.test:80", ""},
		{"HTTPS_PROXY=http://user:secret@p.test:x", "wss://a.test:80", "HTTPS_PROXY: this is not the URL of a proxy"},
		{"ALL_PROXY=http://user:secret@p.test:x", "wss://a.test:80", "ALL_PROXY: this is not the URL of a proxy"},
		{"ALL_PROXY=http://user:secret@p.test:x NO_PROXY=a.test", "wss://a.test:80", ""},
		{"REQUEST_METHOD=GET HTTP_PROXY=" + p, "ws://a.test:80", "refusing to use HTTP_PROXY value in CGI environment"},
		{"REQUEST_METHOD=GET HTTPS_PROXY=" + q, "wss://a.test:80", q},
		{"REQUEST_METHOD=GET ALL_PROXY=" + all, "ws://a.test:80", all},
		{"ALL_PROXY=" + all, "ws://a b:80", "neither an ASCII name"},
	} {
		t.Run("", func(t *testing.T) {
			for _, name := range []string{"http_proxy", "https_proxy", "all_proxy", "no_proxy", "REQUEST_METHOD"} {
				t.Setenv(name, "")
				t.Setenv(strings.ToUpper(name), "")
			}
			for _, setting := range strings.Fields(x.env) {
				name, value, _ := strings.Cut(setting, "=")
				t.Setenv(name, value)
			}
			scheme, address, _ := strings.Cut(x.target, "://")
			i := strings.LastIndexByte(address, ':')
			target := Target{Host: address[:i], Port: 80, TLS: scheme == "wss"}
			if strings.HasSuffix(address, ":81") {
				target.Port = 81
			}
			choose := ProxyFromEnvironment()
			os.Unsetenv("ALL_PROXY") // it has been read
			u, err := choose(target)
			if strings.Contains(x.want, " ") {
				wantError(t, x.env+" for "+x.target, nil, err, x.want)
				return
			}
			got := ""
			if u != nil {
				got = u.String()
			}
			if err != nil || got != x.want {
				t.Errorf("%s for %s\n got %q, %v\nwant %q", x.env, x.target, got, err, x.want)
			}
		})
	}
}

// TestProxyFails has a Proxy that fails, and one that returns what is none.
func TestProxyFails(t *testing.T) {
	f := &fabric{}
	for _, x := range []struct {
		proxy func(Target) (*url.URL, error)
		want  string
	}{
		{func(Target) (*url.URL, error) { return nil, os.ErrNotExist }, "websocket: proxy for a.test:80: file does not exist"},
		{ProxyURL(mustParse("gopher://user:secret@p.test")), "websocket: proxy for a.test:80: this is not the URL of a proxy"},
		{ProxyURL(mustParse("http:user:secret@p.test")), "websocket: proxy for a.test:80: the URL of a proxy has"},
	} {
		d := &Dialer{Permissions: grants(t, everything, ""), Proxy: x.proxy, connect: f.connect}
		conn, err := d.Dial(t.Context(), Target{Host: "a.test", Port: 80})
		wantError(t, "no proxy", conn, err, x.want)
		wantStep(t, "no proxy", err, "proxy", "")
	}
	f.wantDialed(t, "nothing was dialled in its place", "")
}
