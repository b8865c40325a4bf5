package dialer

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/wasock/wasock/host/permission"
)

// TestBypasses has two services at one port: one at 127.0.0.2, which is granted, and one
// at 127.0.0.1, which is not and must not see a connection. Names are resolved by a real
// name server. Each row is an attempt to reach the second with the grant of the first.
func TestBypasses(t *testing.T) {
	wantNothingLeft(t)
	outside := listen(t, "127.0.0.2:0", nil)
	inside := listen(t, "127.0.0.1:"+outside.port(), nil)
	plain, socks := newHTTPProxy(t, nil), newSOCKSProxy(t)
	const (
		granted = "*.test 127.0.0.2"
		reached = "" // 127.0.0.2 is
		notIt   = "resolves to 127.0.0.1, a loopback address: needs --allow-net=127.0.0.1:"
	)
	for _, x := range []struct {
		name   string
		allow  string
		deny   string
		host   string
		answer string // of a.test
		proxy  *url.URL
		want   string // "": 127.0.0.2 is reached; otherwise what the denial says
	}{
		{"a good name", granted, "", "a.test", "127.0.0.2", nil, reached},
		{"a name server that changes its answer after the check", granted, "", "a.test", "127.0.0.2 then 127.0.0.1", nil, reached},
		{"one that changes it the other way", granted, "", "a.test", "127.0.0.1 then 127.0.0.2", nil, notIt},
		{"a name for a loopback address", granted, "", "a.test", "127.0.0.1", nil, notIt},
		{"a good address beside a bad one", granted, "", "a.test", "127.0.0.1 127.0.0.2", nil, reached},
		{"a bad address beside a good one", granted, "", "a.test", "127.0.0.2 127.0.0.1", nil, reached},
		{"a bad address of the family that is first", granted, "", "a.test", "::1 127.0.0.2", nil, reached},
		{"several bad ones", granted, "", "a.test", "::1 127.0.0.1 10.0.0.1", nil, "a loopback address: needs --allow-net=[::1]:"},
		{"a CNAME to a good name", granted, "", "c.test", "127.0.0.2", nil, reached},
		{"a CNAME to a bad name", granted, "", "c.test", "127.0.0.1", nil, notIt},
		{"a CNAME to a name that is not granted", "c.test 127.0.0.2", "", "c.test", "127.0.0.2", nil, reached},
		{"a CNAME to a name that is denied by its address", granted, "127.0.0.2", "c.test", "127.0.0.2", nil, "denied by --deny-net=127.0.0.2"},
		{"an IPv4-mapped answer", granted, "", "a.test", "::ffff:127.0.0.1", nil, notIt},
		{"a NAT64 answer", granted, "", "a.test", "64:ff9b::7f00:1", nil, "embeds 127.0.0.1, a loopback address"},
		{"a 6to4 answer", granted, "", "a.test", "2002:7f00:1::", nil, "embeds 127.0.0.1, a loopback address"},
		{"an answer that the system connects to loopback", granted, "", "a.test", "0.0.0.0", nil, "the unspecified address"},
		{"the same of IPv6", granted, "", "a.test", "::", nil, "the unspecified address"},
		{"a metadata address", granted, "", "a.test", "169.254.169.254", nil, "a cloud metadata address"},
		{"a last dot", granted, "", "a.test.", "127.0.0.1", nil, notIt},
		{"another case", granted, "", "A.TEST", "127.0.0.1", nil, notIt},
		{"a denied address of an allowed name", everything, "127.0.0.1", "a.test", "127.0.0.1", nil, "denied by --deny-net=127.0.0.1"},
		{"denied in another spelling", everything, "127.0.0.1", "a.test", "::ffff:7f00:1", nil, "denied by --deny-net=127.0.0.1"},
		{"denied, behind 0.0.0.0", everything, "127.0.0.1", "0.0.0.0", "", nil, "denied by --deny-net=127.0.0.1"},

		{"a literal", granted, "", "127.0.0.1", "", nil, "needs --allow-net=127.0.0.1:"},
		{"a literal, mapped", granted, "", "[::ffff:127.0.0.1]", "", nil, "needs --allow-net=127.0.0.1:"},
		{"a literal, mapped in hexadecimal", granted, "", "::FFFF:7f00:0001", "", nil, "needs --allow-net=127.0.0.1:"},
		{"a literal with a last dot", granted, "", "127.0.0.1.", "", nil, "not an IPv4 address in canonical form"},
		{"a short literal", granted, "", "127.1", "", nil, "not an IPv4 address in canonical form"},
		{"a number", everything, "127.0.0.1", "2130706433", "", nil, "not an IPv4 address in canonical form"},
		{"hexadecimal", everything, "127.0.0.1", "0x7f.1", "", nil, "not an IPv4 address in canonical form"},
		{"octal", everything, "127.0.0.1", "0177.0.0.1", "", nil, "not an IPv4 address in canonical form"},
		{"a zone id", everything, "127.0.0.1", "[::1%lo]", "", nil, "a zone id is never permitted"},
		{"a zone id of IPv4", everything, "127.0.0.1", "127.0.0.1%lo", "", nil, "cannot stand in a name"},
		{"wide digits", everything, "127.0.0.1", "１２７.0.0.1", "", nil, "form"},
		{"localhost", granted, "", "localhost", "", nil, "needs --allow-net=localhost:"},
		{"localhost with a last dot", granted, "", "LOCALHOST.", "", nil, "needs --allow-net=localhost:"},
		{"a host with a user", granted, "", "127.0.0.2@a.test", "127.0.0.2", nil, "cannot stand in a name"},
		{"a host with a port", granted, "", "a.test:80", "127.0.0.2", nil, "neither a name nor an address"},
		{"two lines", granted, "", "a.test\r\nHost: 127.0.0.1", "127.0.0.2", plain.url(""), "neither a name nor an address"},

		{"CONNECT by name", granted + " PROXY", "", "a.test", "127.0.0.2", plain.url(""), reached},
		{"CONNECT without a grant of the proxy", granted, "", "a.test", "127.0.0.2", plain.url(""), "needs --allow-net=PROXY"},
		{"CONNECT without a grant of the target", "PROXY 127.0.0.2", "", "a.test", "127.0.0.2", plain.url(""), "needs --allow-net=a.test:"},
		{"CONNECT to a literal", granted + " PROXY", "", "127.0.0.1", "", plain.url(""), "needs --allow-net=127.0.0.1:"},
		{"CONNECT to a name for a bad address", granted + " PROXY", "", "a.test", "127.0.0.1", plain.url(""), notIt},
		{"CONNECT to a name for both", granted + " PROXY", "", "a.test", "127.0.0.2 127.0.0.1", plain.url(""), notIt},
		{"CONNECT to a name for a denied address", everything, "127.0.0.1:TARGET", "a.test", "127.0.0.1", plain.url(""), "denied by --deny-net=127.0.0.1:TARGET"},
		{"a proxy whose name is not granted", "a.test 127.0.0.2 127.0.0.1:PROXYPORT", "", "a.test", "127.0.0.2", named(plain.url(""), "p.test"), "needs --allow-net=p.test:"},
		{"a proxy whose name is for a private address", granted, "", "a.test", "127.0.0.2", named(plain.url(""), "p.test"), "resolves to 127.0.0.1, a loopback address"},
		{"a proxy whose name changes its address", granted + " 127.0.0.1:PROXYPORT", "", "a.test", "127.0.0.2", named(plain.url(""), "q.test"), reached},
		{"a proxy at a metadata address", granted, "", "a.test", "127.0.0.2", mustParse("http://169.254.169.254"), "needs --allow-net=169.254.169.254:80"},
		{"a proxy that is a number", everything, "127.0.0.1", "a.test", "127.0.0.2", mustParse("http://2130706433:1"), "not an IPv4 address in canonical form"},
		{"socks5 by name", granted + " PROXY", "", "a.test", "127.0.0.2", socks.url("socks5", ""), reached},
		{"socks5 without a grant of the proxy", granted, "", "a.test", "127.0.0.2", socks.url("socks5", ""), "needs --allow-net=PROXY"},
		{"socks5 to a name for a bad address", granted + " PROXY", "", "a.test", "127.0.0.1", socks.url("socks5", ""), notIt},
		{"socks5 to a name for both", granted + " PROXY", "", "a.test", "127.0.0.1 127.0.0.2", socks.url("socks5", ""), reached},
		{"socks5 to a name that changes its answer", granted + " PROXY", "", "a.test", "127.0.0.2 then 127.0.0.1", socks.url("socks5", ""), reached},
		{"socks5h to a name for a bad address", granted + " PROXY", "", "a.test", "127.0.0.1", socks.url("socks5h", ""), notIt},
		{"socks5h to a literal", granted + " PROXY", "", "::ffff:127.0.0.1", "", socks.url("socks5h", ""), "needs --allow-net=127.0.0.1:"},
		{"socks5h to localhost", granted + " PROXY", "", "localhost", "", socks.url("socks5h", ""), "needs --allow-net=localhost:"},
	} {
		t.Run(x.name, func(t *testing.T) {
			proxyAddr, proxyPort := "", ""
			if x.proxy != nil {
				proxyAddr, proxyPort = x.proxy.Host, x.proxy.Port()
			}
			fill := strings.NewReplacer("PROXYPORT", proxyPort, "PROXY", proxyAddr, "TARGET", outside.port()).Replace
			dns := newNameServer(t, map[string]string{
				"a.test": x.answer, "c.test": "cname d.example.", "d.example": x.answer,
				"p.test": "127.0.0.1", "q.test": "127.0.0.1 then 10.0.0.1",
			})
			d := &Dialer{Permissions: grants(t, fill(x.allow), fill(x.deny)), Resolver: dns.resolver(), Proxy: ProxyURL(x.proxy)}
			conn, err := d.Dial(t.Context(), Target{Host: x.host, Port: outside.addr.Port()})
			if x.want == reached {
				wantPeer(t, x.name, conn, err, outside.addr.String())
			} else {
				wantDenied(t, x.name, conn, err, fill(x.want))
			}
			if n := inside.accepted.Swap(0); n != 0 {
				t.Errorf("%s: 127.0.0.1 saw %d connections", x.name, n)
			}
		})
	}
	if n := len(plain.requests) + len(socks.requests); n != 5 {
		t.Errorf("proxies were asked in the rows that reach the target\n got %d requests: %q %q", n, plain.requests, socks.requests)
	}
	socks.wantRequests(t, "socks5 is sent addresses that were checked", outside.addr.String(), outside.addr.String(), outside.addr.String())
}

// named returns u with name for its host.
func named(u *url.URL, name string) *url.URL {
	u.Host = net.JoinHostPort(name, u.Port())
	return u
}

// TestConnectedElsewhere has a system that connects to another address than it was told:
// what is not granted is closed, before anything is sent there.
func TestConnectedElsewhere(t *testing.T) {
	wantNothingLeft(t)
	for _, x := range []struct {
		elsewhere string
		proxy     string
		want      string
	}{
		{"10.0.0.1:80", "", "resolves to 10.0.0.1, a private address"},
		{"93.184.1.1:81", "", "needs --allow-net=a.test:81"},
		{"93.184.9.9:80", "", "denied by --deny-net=93.184.9.9"},
		{"93.184.1.2:80", "", ""},
		{"10.0.0.1:3128", "http://p.test:3128", "resolves to 10.0.0.1, a private address"},
		{"10.0.0.1:3128", "socks5://p.test:3128", "resolves to 10.0.0.1, a private address"},
	} {
		f := &fabric{elsewhere: netip.MustParseAddrPort(x.elsewhere), peers: map[string]peer{"": answers(0, nil)}}
		d := &Dialer{
			Permissions: grants(t, "a.test:80 p.test:3128", "93.184.9.9"), connect: f.connect,
			Resolver: &names{answers: map[string]string{"a.test": "93.184.1.1", "p.test": "93.184.1.1"}},
		}
		if x.proxy != "" {
			d.Proxy = ProxyURL(mustParse(x.proxy))
		}
		conn, err := d.Dial(t.Context(), Target{Host: "a.test", Port: 80})
		if x.want == "" {
			wantPeer(t, x.elsewhere, conn, err, "93.184.1.1:80")
		} else {
			wantDenied(t, x.elsewhere, conn, err, x.want)
		}
		f.wantClosed(t)
	}
}

// TestZones has answers with zone ids, which are never permitted.
func TestZones(t *testing.T) {
	f := &fabric{peers: map[string]peer{"": answers(0, nil)}}
	for _, answer := range []string{"fe80::1%eth0", "::ffff:93.184.1.1%eth0", "2606:2800::1%1"} {
		d := &Dialer{Permissions: grants(t, everything, ""), Resolver: &names{answers: map[string]string{"a.test": answer}}, connect: f.connect}
		conn, err := d.Dial(t.Context(), Target{Host: "a.test", Port: 80})
		wantDenied(t, answer, conn, err, "zone id is never permitted")
	}
	f.wantDialed(t, "nothing was dialled", "")
}

// TestConnectedToNoTCP has a connection whose peer has no address that could be checked.
func TestConnectedToNoTCP(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	d := &Dialer{Permissions: grants(t, everything, ""), connect: func(context.Context, netip.AddrPort) (net.Conn, error) { return near, nil }}
	conn, err := d.Dial(t.Context(), Target{Host: "93.184.1.1", Port: 80})
	wantDenied(t, "a pipe", conn, err, "not permitted")
	if _, err := near.Write(nil); err == nil {
		t.Error("it is closed")
	}
}

// TestRedirects has an http.Client that is sent from a granted host to others: each hop
// is a dial of its own.
func TestRedirects(t *testing.T) {
	wantNothingLeft(t)
	inside := listen(t, "127.0.0.1:0", nil)
	for _, to := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "bad.test", "127.1", "2130706433"} {
		outside := listen(t, "127.0.0.2:0", func(c net.Conn) {
			if _, err := readHead(c); err == nil {
				_, _ = c.Write([]byte("HTTP/1.1 302 Found\r\nLocation: http://" + to + ":" + inside.port() + "/\r\nContent-Length: 0\r\n\r\n"))
			}
		})
		d := &Dialer{Permissions: grants(t, "*.test 127.0.0.2", ""), Resolver: &names{answers: map[string]string{"a.test": "127.0.0.2", "bad.test": "127.0.0.1"}}}
		transport := &http.Transport{DialContext: d.DialContext}
		r, err := (&http.Client{Transport: transport}).Get("http://a.test:" + outside.port())
		var denied *permission.Error
		if !errors.As(err, &denied) {
			t.Errorf("a redirect to %s is denied\n got %v, %v", to, r, err)
		}
		transport.CloseIdleConnections()
	}
	if n := inside.accepted.Load(); n != 0 {
		t.Errorf("127.0.0.1 saw %d connections", n)
	}
}

// TestEnvironmentProxies has an environment that somebody else has set.
func TestEnvironmentProxies(t *testing.T) {
	f := &fabric{peers: map[string]peer{"": answers(0, nil)}}
	for value, want := range map[string]string{
		"http://169.254.169.254/":      "needs --allow-net=169.254.169.254:80",
		"socks5h://[fd00:ec2::254]:80": "needs --allow-net=[fd00:ec2::254]:80",
		"http://metadata.test":         "resolves to 169.254.169.254, a cloud metadata address",
		"http://0:80":                  "not an IPv4 address in canonical form",
	} {
		t.Setenv("http_proxy", value)
		d := &Dialer{
			Permissions: grants(t, "*.test", ""), Proxy: ProxyFromEnvironment(), connect: f.connect,
			Resolver: &names{answers: map[string]string{"a.test": "93.184.1.1", "metadata.test": "169.254.169.254"}},
		}
		conn, err := d.Dial(t.Context(), Target{Host: "a.test", Port: 80})
		wantDenied(t, value, conn, err, want)
	}
	f.wantDialed(t, "nothing was dialled", "")
}
