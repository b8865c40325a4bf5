package dialer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasock/wasock/host/permission"
)

// TestDial has targets of every spelling at real sockets: a name is looked up once, and
// a literal never.
func TestDial(t *testing.T) {
	wantNothingLeft(t)
	s := listen(t, "127.0.0.1:0", nil)
	for _, x := range []struct{ allow, host, lookups string }{
		{"127.0.0.1", "127.0.0.1", ""},
		{"127.0.0.1", "::ffff:127.0.0.1", ""},
		{"127.0.0.1", "[::ffff:7f00:1]", ""},
		{"service.test loopback", "service.test", "service.test"},
		{"service.test loopback", "SERVICE.test", "SERVICE.test"},
		{"service.test 127.0.0.1", "service.test.", "service.test."},
		{"*.test 127.0.0.0/8", "service.test", "service.test"},
		{everything, "service.test", "service.test"},
	} {
		n := &names{answers: map[string]string{"service.test": "127.0.0.1", "SERVICE.test": "127.0.0.1", "service.test.": "::ffff:127.0.0.1"}}
		d := &Dialer{Permissions: grants(t, x.allow, ""), Resolver: n}
		conn, err := d.Dial(t.Context(), Target{Host: x.host, Port: s.addr.Port()})
		if _, ok := conn.(*net.TCPConn); !ok && err == nil {
			t.Errorf("what is connected directly is a socket\n got %T", conn)
		}
		wantPeer(t, "allow "+x.allow+": dial "+x.host, conn, err, s.addr.String())
		n.wantLookups(t, "a name is looked up once, a literal never", x.lookups)
	}
}

// TestZeroDialer has a Dialer with Permissions only, and one with nothing.
func TestZeroDialer(t *testing.T) {
	wantNothingLeft(t)
	s := listen(t, "127.0.0.1:0", nil)
	target := Target{Host: "localhost", Port: s.addr.Port()}
	d := &Dialer{Permissions: grants(t, "localhost", "")}
	conn, err := d.Dial(t.Context(), target)
	wantPeer(t, "the system's resolver knows localhost", conn, err, s.addr.String())

	conn, err = new(Dialer).Dial(t.Context(), target)
	wantDenied(t, "the zero Dialer allows nothing", conn, err, "needs --allow-net="+target.String())
	conn, err = (&Dialer{Permissions: List(nil)}).Dial(t.Context(), target)
	wantDenied(t, "nor does nil", conn, err, "needs --allow-net="+target.String())
}

// TestHosts has what is no host: the permissions refuse it, and if they do not, the
// Dialer does.
func TestHosts(t *testing.T) {
	n := &names{}
	f := &fabric{}
	for _, host := range []string{
		"", ".", "[::1", "::1]", "[]", "[127.0.0.1]", "[service.test]", "fe80::1%eth0", "[fe80::1%25eth0]", "127.0.0.1%lo",
		"a\r\nHost: b", "a b", "a/b", "a@b", "a:80", "a\x00", "é.test", "１27.0.0.1", "a\u200bb", "user:secret@host", strings.Repeat("a.", 128),
	} {
		target := Target{Host: host, Port: 80}
		conn, err := (&Dialer{Permissions: grants(t, everything, ""), Resolver: n, connect: f.connect}).Dial(t.Context(), target)
		if conn != nil || err == nil {
			t.Errorf("dial %q\n got a connection", host)
		}
		d := &Dialer{Permissions: credulous{}, Resolver: n, connect: f.connect, Proxy: ProxyURL(&url.URL{Scheme: "http", Host: "127.0.0.1:1"})}
		conn, err = d.Dial(t.Context(), target)
		wantError(t, "dial "+target.String(), conn, err, "neither an ASCII name nor an address")
		if err == nil || strings.ContainsAny(err.Error(), "\r\n\x00\u200b") {
			t.Errorf("the error about %q is one line\n got %q", host, err)
		}
	}
	n.wantLookups(t, "nothing was looked up", "")
	f.wantDialed(t, "nothing was dialled", "")
}

// TestDialContext has a Dialer in an http.Client.
func TestDialContext(t *testing.T) {
	wantNothingLeft(t)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Host) })
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	ca := newAuthority(t)
	secure := httptest.NewUnstartedServer(handler)
	secure.TLS = &tls.Config{Certificates: []tls.Certificate{ca.issue(t, ca.named("service.test"))}}
	secure.StartTLS()
	t.Cleanup(secure.Close)
	d := &Dialer{
		Permissions: grants(t, "service.test loopback", ""),
		Resolver:    &names{answers: map[string]string{"service.test": "127.0.0.1"}},
		TLS:         &tls.Config{RootCAs: ca.pool(), NextProtos: []string{"http/1.1"}},
	}
	transport := &http.Transport{DialContext: d.DialContext, DialTLSContext: d.DialTLSContext}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}
	for _, base := range []string{s.URL, secure.URL} {
		at := strings.Replace(base, "127.0.0.1", "service.test", 1)
		r, err := client.Get(at)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		_ = r.Body.Close()
		if want := at[strings.Index(at, "//")+2:]; string(body) != want {
			t.Errorf("GET %s\n got %q, %v\nwant %q", at, body, err, want)
		}
		_, err = client.Get(strings.Replace(base, "127.0.0.1", "other.test", 1))
		wantError(t, "another name", nil, err, "needs --allow-net=other.test")
	}
}

func TestDialContextArguments(t *testing.T) {
	wantNothingLeft(t)
	s := listen(t, "127.0.0.1:0", nil)
	d := &Dialer{Permissions: grants(t, everything, ""), Resolver: &names{answers: map[string]string{"both.test": "::1 127.0.0.1"}}}
	for _, x := range []struct{ network, address, want string }{
		{"tcp", s.addr.String(), ""},
		{"tcp4", s.addr.String(), ""},
		{"tcp4", "both.test:" + s.port(), ""},
		{"tcp6", s.addr.String(), "not of one family"},
		{"udp", s.addr.String(), "the network is not"},
		{"unix", "/run/socket", "the network is not"},
		{"tcp", "127.0.0.1", "not a host and a port number"},
		{"tcp", "127.0.0.1:http", "not a host and a port number"},
		{"tcp", "127.0.0.1:65536", "not a host and a port number"},
		{"tcp", "::1:80", "not a host and a port number"},
		{"tcp", "user:secret@a.test:80", "websocket: connect with …@a.test:80: the address is not a host and a port number"},
	} {
		for _, dial := range []func(context.Context, string, string) (net.Conn, error){d.DialContext, d.DialTLSContext} {
			conn, err := dial(t.Context(), x.network, x.address)
			switch {
			case x.want != "":
				wantError(t, x.network+" "+x.address, conn, err, x.want)
			case err == nil:
				wantPeer(t, x.network+" "+x.address, conn, err, s.addr.String())
			default: // the server speaks no TLS
				wantError(t, x.network+" "+x.address, conn, err, "does not speak TLS")
			}
		}
	}
}

// TestLocalAddr has sockets bound to an address, and no attempt with the other family.
func TestLocalAddr(t *testing.T) {
	wantNothingLeft(t)
	s := listen(t, "127.0.0.1:0", nil)
	d := &Dialer{
		Permissions: grants(t, everything, ""), LocalAddr: netip.MustParseAddr("127.0.0.9"),
		Resolver: &names{answers: map[string]string{"both.test": "::1 127.0.0.1", "six.test": "::1"}},
	}
	conn, err := d.Dial(t.Context(), Target{Host: "both.test", Port: s.addr.Port()})
	if err != nil {
		t.Fatal(err)
	}
	if got := conn.LocalAddr().(*net.TCPAddr).IP.String(); got != "127.0.0.9" {
		t.Errorf("the local address\n got %s", got)
	}
	wantPeer(t, "IPv4 is connected", conn, nil, s.addr.String())
	conn, err = d.Dial(t.Context(), Target{Host: "six.test", Port: s.addr.Port()})
	wantError(t, "a name without IPv4", conn, err, "websocket: resolve six.test:"+s.port()+": the name has no address of the kind")
	conn, err = d.Dial(t.Context(), Target{Host: "::1", Port: s.addr.Port()})
	wantError(t, "an IPv6 literal", conn, err, "not of one family")
	d.LocalAddr = netip.MustParseAddr("::1")
	conn, err = d.Dial(t.Context(), Target{Host: "127.0.0.1", Port: s.addr.Port()})
	wantError(t, "an IPv4 literal from ::1", conn, err, "not of one family")
}

// TestFamilies has networks and local addresses that leave one family, or none.
func TestFamilies(t *testing.T) {
	for _, x := range []struct{ network, local, host, asked, dialed, want string }{
		{"tcp", "", "both.test", "ip", "[2001:db8::1]:80 192.0.2.1:80", "connection refused"},
		{"tcp4", "", "both.test", "ip4", "192.0.2.1:80", "connection refused"},
		{"tcp6", "", "both.test", "ip6", "[2001:db8::1]:80", "connection refused"},
		{"tcp", "127.0.0.1", "both.test", "ip4", "192.0.2.1:80", "connection refused"},
		{"tcp", "::ffff:127.0.0.1", "both.test", "ip4", "192.0.2.1:80", "connection refused"},
		{"tcp", "::1", "both.test", "ip6", "[2001:db8::1]:80", "connection refused"},
		{"tcp4", "::1", "both.test", "", "", "not of one family"},
		{"tcp6", "", "::ffff:192.0.2.1", "", "", "not of one family"},
		{"tcp4", "", "::ffff:192.0.2.1", "", "192.0.2.1:80", "connection refused"},
	} {
		f, n := &fabric{}, &names{answers: map[string]string{"both.test": "::ffff:192.0.2.1 2001:db8::1"}}
		d := &Dialer{Permissions: grants(t, everything, ""), Resolver: n, connect: f.connect}
		if x.local != "" {
			d.LocalAddr = netip.MustParseAddr(x.local)
		}
		conn, err := d.DialContext(t.Context(), x.network, net.JoinHostPort(x.host, "80"))
		sentence := x.network + " " + x.host + " from " + x.local
		wantError(t, sentence, conn, err, x.want)
		f.wantDialed(t, sentence, x.dialed)
		if got := strings.Join(n.networks, " "); got != x.asked {
			t.Errorf("%s: the resolver is asked for\n got %q\nwant %q", sentence, got, x.asked)
		}
	}
}

// TestLocalAddrWithProxy has the sockets to a proxy bound, and not what the proxy does.
func TestLocalAddrWithProxy(t *testing.T) {
	f := &fabric{}
	d := &Dialer{
		Permissions: grants(t, everything, ""), LocalAddr: netip.MustParseAddr("127.0.0.1"), Proxy: ProxyURL(mustParse("socks5://both.test")),
		Resolver: &names{answers: map[string]string{"both.test": "2001:db8::1 192.0.2.1", "six.test": "2001:db8::2"}}, connect: f.connect,
	}
	conn, err := d.Dial(t.Context(), Target{Host: "six.test", Port: 80})
	wantError(t, "the proxy refuses", conn, err, "connect with proxy socks5://both.test:1080 for six.test:80: 192.0.2.1: connect: connection refused")
	f.wantDialed(t, "IPv4 only", "192.0.2.1:1080")
}

func TestOptions(t *testing.T) {
	f := &fabric{}
	for _, x := range []struct {
		d    Dialer
		want string
	}{
		{Dialer{ConnectTimeout: -1}, "a timeout of the Dialer is negative"},
		{Dialer{ProxyTimeout: -1}, "a timeout of the Dialer is negative"},
		{Dialer{TLSTimeout: -1}, "a timeout of the Dialer is negative"},
		{Dialer{AttemptDelay: -1}, "a timeout of the Dialer is negative"},
		{Dialer{AttemptDelay: 10*time.Millisecond - 1}, "AttemptDelay is less than 10 ms"},
		{Dialer{AttemptDelay: 10 * time.Millisecond}, "connection refused"},
		{Dialer{TLS: &tls.Config{InsecureSkipVerify: true}}, "websocket: TLS handshake with 192.0.2.1:443: TLS verification is switched off only by name: use InsecureHosts"},
	} {
		d := &x.d
		d.Permissions, d.connect = grants(t, everything, ""), f.connect
		conn, err := d.Dial(t.Context(), Target{Host: "192.0.2.1", Port: 443, TLS: true})
		wantError(t, "an option that means nothing", conn, err, x.want)
	}
	f.wantDialed(t, "one was dialled", "192.0.2.1:443")
}

// TestErrors has what goes wrong without TLS and proxies, and what is said about it.
func TestErrors(t *testing.T) {
	wantNothingLeft(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().(*net.TCPAddr).AddrPort()
	_ = l.Close()
	d := &Dialer{Permissions: grants(t, everything, ""), Resolver: &names{answers: map[string]string{
		"one.test": "127.0.0.1", "more.test": "127.0.0.1 127.0.0.2 127.0.0.3 127.0.0.4 127.0.0.5",
	}}}
	for _, x := range []struct{ host, step, want string }{
		{"127.0.0.1", "connect", "websocket: connect with 127.0.0.1:PORT: connect: connection refused"},
		{"one.test", "connect", "websocket: connect with one.test:PORT: 127.0.0.1: connect: connection refused"},
		{"more.test", "connect", "websocket: connect with more.test:PORT: 127.0.0.1: connect: connection refused; 127.0.0.2: connect: connection refused; " +
			"127.0.0.3: connect: connection refused; and 2 more"},
		{"none.test", "resolve", "websocket: resolve none.test:PORT: no such host"},
	} {
		conn, err := d.Dial(t.Context(), Target{Host: x.host, Port: closed.Port()})
		wantStep(t, "dial "+x.host, err, x.step, "")
		want := strings.ReplaceAll(x.want, "PORT", fmt.Sprint(closed.Port()))
		if conn != nil || err == nil || err.Error() != want {
			t.Errorf("dial %s\n got %v\nwant %s", x.host, err, want)
		}
		var dns *net.DNSError
		if x.step == "connect" && !errors.Is(err, syscall.ECONNREFUSED) || x.step == "resolve" && !errors.As(err, &dns) {
			t.Errorf("the cause is in the chain\n got %#v", err)
		}
	}
	conn, err := (&Dialer{Permissions: credulous{}}).Dial(t.Context(), Target{Host: strings.Repeat("é", 1000), Port: 1})
	if wantError(t, "a long host", conn, err, "éé…:1"); len(err.Error()) > 400 {
		t.Errorf("the error is of a length to be read\n got %v", err)
	}
	if e := (&Error{Step: "HTTP/2", Target: "a:443", Err: io.ErrUnexpectedEOF}); e.Error() != "websocket: HTTP/2 with a:443: the peer closed the connection" {
		t.Errorf("a caller's step\n got %v", e)
	}
}

// TestConnectTimeout has time run out while a name is looked up and while addresses are
// connected, and a caller who gives up. Resolution and connecting share their time.
func TestConnectTimeout(t *testing.T) {
	for _, x := range []struct {
		name   string
		answer string
		cancel time.Duration
		want   error
		after  time.Duration
		says   string
	}{
		{"the resolver does not answer", "never", 0, context.DeadlineExceeded, 30 * time.Second, "websocket: resolve a.test:80: context deadline exceeded (the time for it ran out)"},
		{"the address does not answer", "192.0.2.1", 0, context.DeadlineExceeded, 30 * time.Second, "websocket: connect with a.test:80: 192.0.2.1: context deadline exceeded (the time for it ran out)"},
		{"the caller gives up on the resolver", "never", time.Second, context.Canceled, time.Second, "websocket: resolve a.test:80: context canceled"},
		{"the caller gives up on the address", "192.0.2.1", time.Second, context.Canceled, time.Second, "websocket: connect with a.test:80: 192.0.2.1: context canceled"},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &fabric{peers: map[string]peer{"": isSilent}}
			d := &Dialer{Permissions: grants(t, everything, ""), Resolver: &names{answers: map[string]string{"a.test": x.answer}}, connect: f.connect}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if x.cancel > 0 {
				time.AfterFunc(x.cancel, cancel)
			}
			begun := time.Now()
			conn, err := d.Dial(ctx, Target{Host: "a.test", Port: 80})
			if conn != nil || !errors.Is(err, x.want) || err.Error() != x.says {
				t.Errorf("%s\n got %v\nwant %s", x.name, err, x.says)
			}
			if took := time.Since(begun); took != x.after {
				t.Errorf("%s\n got an error after %v\nwant one after %v", x.name, took, x.after)
			}
			f.wantClosed(t)
		})
	}
}

// TestConnectTimeoutIsShared has a slow resolver before a silent address, and a person
// between them who takes a minute to decide.
func TestConnectTimeoutIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fabric{peers: map[string]peer{"": isSilent}}
		d := &Dialer{
			Permissions: deliberate{grants(t, everything, "")}, Resolver: slow{20 * time.Second, "192.0.2.1"},
			connect: f.connect, ConnectTimeout: 25 * time.Second,
		}
		begun := time.Now()
		conn, err := d.Dial(t.Context(), Target{Host: "a.test", Port: 80})
		wantError(t, "time runs out", conn, err, "the time for it ran out")
		if took := time.Since(begun); took != 85*time.Second {
			t.Errorf("20 s for the resolver, 60 s for the decision, 5 s for the address\n got %v", took)
		}
	})
}

// deliberate Permissions take a minute to decide about an address.
type deliberate struct{ Permissions }

func (p deliberate) CheckAddr(ctx context.Context, host string, addr netip.AddrPort) permission.Verdict {
	time.Sleep(time.Minute)
	return p.Permissions.CheckAddr(ctx, host, addr)
}

// slow is a Resolver that answers late, and does not if it is ended.
type slow struct {
	delay  time.Duration
	answer string
}

func (s slow) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	select {
	case <-time.After(s.delay):
		return []netip.Addr{netip.MustParseAddr(s.answer)}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// TestConcurrency has one Dialer used by many, with and without a proxy.
func TestConcurrency(t *testing.T) {
	wantNothingLeft(t)
	s := listen(t, "127.0.0.1:0", nil)
	p := newHTTPProxy(t, nil)
	d := &Dialer{Permissions: grants(t, everything, ""), Resolver: &names{answers: map[string]string{"a.test": "127.0.0.1"}},
		Proxy: func(target Target) (*url.URL, error) {
			if target.Host == "a.test" {
				return nil, nil
			}
			return p.url("user:secret@"), nil
		}}
	var all sync.WaitGroup
	for i := range 40 {
		host := []string{"a.test", "127.0.0.1"}[i%2]
		all.Go(func() {
			conn, err := d.Dial(t.Context(), Target{Host: host, Port: s.addr.Port()})
			wantPeer(t, host, conn, err, s.addr.String())
		})
	}
	all.Wait()
}

// TestAnswers has more answers than are looked at, and more than are connected.
func TestAnswers(t *testing.T) {
	list := func(format string, n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format+" ", i+1)
		}
		return b.String()
	}
	for _, x := range []struct {
		name, answer  string
		dialed, asked int
		want          string
	}{
		{"16 addresses are connected", list("93.184.1.%d", 16), 16, 17, "and 13 more"},
		{"not more", list("93.184.1.%d", 200), 16, 17, "and 13 more"},
		{"denied ones do not count", list("10.0.0.%d", 60) + list("93.184.1.%d", 20), 4, 65, "and 1 more"},
		{"64 answers are looked at", list("10.0.0.%d", 64) + "93.184.1.1", 0, 65, "resolves to 10.0.0.1, a private address"},
		{"the same answer counts once", strings.Repeat("93.184.1.1 ", 100) + "93.184.1.2", 2, 3, "93.184.1.2: connect: connection refused"},
	} {
		f := &fabric{}
		asked := &counting{Permissions: grants(t, "a.test", "")}
		d := &Dialer{Permissions: asked, Resolver: &names{answers: map[string]string{"a.test": x.answer}}, connect: f.connect}
		conn, err := d.Dial(t.Context(), Target{Host: "a.test", Port: 80})
		wantError(t, x.name, conn, err, x.want)
		if len(f.dialed) != x.dialed || int(asked.n.Load()) != x.asked {
			t.Errorf("%s\n got %d connected and %d questions\nwant %d and %d", x.name, len(f.dialed), asked.n.Load(), x.dialed, x.asked)
		}
	}
}

// TestCheckReuse has a connection that was dialled under other permissions.
func TestCheckReuse(t *testing.T) {
	inside, outside := netip.MustParseAddrPort("10.0.0.1:443"), netip.MustParseAddrPort("93.184.1.1:443")
	for _, x := range []struct {
		allow, proxy string
		remote       netip.AddrPort
		want         string
	}{
		{"a.test", "", outside, ""},
		{"a.test", "", inside, "resolves to 10.0.0.1, a private address"},
		{"b.test", "", outside, "needs --allow-net=a.test:443"},
		{"a.test", "http://p.test:443", outside, "needs --allow-net=p.test:443"},
		{"a.test p.test", "http://p.test:443", outside, ""},
		{"a.test p.test", "http://p.test:443", inside, "resolves to 10.0.0.1, a private address"},
		{"p.test", "http://p.test:443", outside, "needs --allow-net=a.test:443"},
		{"a.test", "gopher://p.test:443", outside, "not the URL of a proxy"},
	} {
		d := &Dialer{Permissions: grants(t, x.allow, "")}
		if x.proxy != "" {
			u, err := url.Parse(x.proxy)
			if err != nil {
				t.Fatal(err)
			}
			d.Proxy = ProxyURL(u)
		}
		err := d.CheckReuse(t.Context(), Target{Host: "a.test", Port: 443, TLS: true}, x.remote)
		if (err == nil) != (x.want == "") || err != nil && !strings.Contains(err.Error(), x.want) {
			t.Errorf("allow %s, proxy %q, connected to %s\n got %v\nwant %q", x.allow, x.proxy, x.remote, err, x.want)
		}
	}
}
