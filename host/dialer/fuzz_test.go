package dialer

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/wasock/wasock/host/permission"
)

// Invariant: no address outside the granted set is ever connected, and none is sent to
// a proxy, for any rules, hosts, answers, proxies and systems that connect elsewhere.
// There is a connection or an error, and nothing is left open.
func FuzzDial(f *testing.F) {
	for _, seed := range []struct{ allow, deny, host, answers, proxy, elsewhere string }{
		{"*.test", "", "a.test", "93.184.1.1 10.0.0.1 ::1", "", ""},
		{"a.test,loopback", "127.0.0.2", "A.test.", "127.0.0.2 127.0.0.1 ::ffff:127.0.0.2", "", ""},
		{"a.test", "", "a.test", "93.184.1.1", "", "10.0.0.1"},
		{"0.0.0.0,127.0.0.1", "", "0.0.0.0", "", "", "127.0.0.1"},
		{"[::1]", "", "[::ffff:127.0.0.1]", "", "", ""},
		{"localhost,*.localhost", "[::1]", "x.localhost", "127.0.0.1 ::1 10.0.0.1", "", ""},
		{"a.test,p.test", "10.0.0.0/8", "a.test", "93.184.1.1 64:ff9b::a00:1", "http://p.test", ""},
		{"a.test,93.184.2.2:1080", "", "a.test", "93.184.1.1 10.0.0.1 2002:a00:1::", "socks5://93.184.2.2", ""},
		{"a.test,93.184.2.2:1080", "", "a.test", "93.184.1.1 fd00::1%eth0 fe80::1%eth0", "socks5://u:p@93.184.2.2", ""},
		{"a.test,private", "169.254.0.0/16", "a.test", "169.254.169.254", "socks5h://10.0.0.9:1", ""},
		{"a.test,10.0.0.9:1", "", "a.test", "93.184.1.1", "socks5h://10.0.0.9:1", ""},
		{"a.test", "", "a.test", "93.184.1.1", "http://169.254.169.254", ""},
		{"127.0.0.1", "", "2130706433", "", "https://127.0.0.1", ""},
		{"127.0.0.1,93.184.2.2", "", "127.0.0.1", "", "http://93.184.2.2", ""},
	} {
		f.Add(seed.allow, seed.deny, seed.host, uint16(443), appendAnswers(nil, seed.answers), seed.proxy, seed.elsewhere)
	}
	f.Fuzz(func(t *testing.T, allow, deny, host string, port uint16, answered []byte, proxy, elsewhere string) {
		var denied []string
		if deny != "" {
			denied = []string{deny}
		}
		l, err := permission.Parse([]string{allow}, denied)
		if allow == "" {
			l, err = permission.AllowAll(denied...)
		}
		if err != nil {
			return
		}
		var u *url.URL
		if proxy != "" {
			if u, err = ParseProxy(proxy); err != nil {
				return
			}
		}
		synctest.Test(t, func(t *testing.T) {
			w := &witness{list: l, target: Target{Host: host, Port: port}, proxy: u, answers: consumeAnswers(answered)}
			w.peers = map[string]peer{"": answers(0, w.serve)}
			if a, err := netip.ParseAddr(elsewhere); err == nil {
				w.elsewhere = netip.AddrPortFrom(a, port)
			}
			d := &Dialer{Permissions: List(l), Resolver: w, Proxy: ProxyURL(u), connect: w.connect}
			conn, err := d.Dial(t.Context(), w.target)
			if (conn == nil) == (err == nil) {
				t.Errorf("there is a connection or an error\n got %v, %v", conn, err)
			}
			if conn != nil {
				w.wantGranted(t, "is connected", w.dialedHost(), conn.RemoteAddr().String())
				_ = conn.Close()
			}
			w.wantClosed(t)
			for _, addr := range w.dialed {
				w.wantGranted(t, "was dialled", w.dialedHost(), addr.String())
			}
			for _, address := range w.sent {
				w.wantSent(t, address)
			}
		})
	})
}

// A witness is the network, the name servers and the proxies of one Dial, and knows what
// they saw.
type witness struct {
	fabric
	list    *permission.List
	target  Target
	proxy   *url.URL
	answers []netip.Addr

	sentMu sync.Mutex
	sent   []string // to proxies
}

func (w *witness) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	if len(w.answers) == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return w.answers, nil
}

// serve is every peer: a proxy that opens the tunnel, and keeps what it was sent.
func (w *witness) serve(c net.Conn) {
	first := make([]byte, 1)
	if w.proxy == nil || w.proxy.Scheme == "https" {
		return
	}
	if _, err := c.Read(first); err != nil {
		return
	}
	address := ""
	if first[0] == 5 {
		buffer := make([]byte, 512)
		_, _ = c.Read(buffer)
		_, _ = io.WriteString(c, "\x05\x00")
		n, _ := c.Read(buffer)
		if n < 8 {
			return
		}
		body, port := buffer[4:n-2], binary.BigEndian.Uint16(buffer[n-2:n])
		if addr, ok := netip.AddrFromSlice(body); ok && buffer[3] != 3 {
			address = netip.AddrPortFrom(addr, port).String()
		} else {
			address = fmt.Sprintf("%s:%d", body[1:], port)
		}
	} else {
		head, err := readHead(c)
		if err != nil {
			return
		}
		address = string(bytes.Fields(head)[1])
	}
	w.sentMu.Lock()
	w.sent = append(w.sent, address)
	w.sentMu.Unlock()
	if first[0] == 5 {
		_, _ = io.WriteString(c, "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
	} else {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
	}
}

// dialedHost is the host that connections are for.
func (w *witness) dialedHost() string {
	if w.proxy != nil {
		return w.proxy.Hostname()
	}
	return w.target.Host
}

// wantGranted checks that the list allows address for host, and the target in any case.
func (w *witness) wantGranted(t *testing.T, what, host, address string) {
	t.Helper()
	addr, err := netip.ParseAddrPort(address)
	if v := w.list.CheckAddr(host, addr); err != nil || !v.Allowed {
		t.Errorf("%s %s for %q: %v %s", address, what, host, err, v.Explain())
	}
	if v := w.list.CheckTarget(w.target.Host, w.target.Port); !v.Allowed {
		t.Errorf("%s %s for %q: %s", address, what, w.target.Host, v.Explain())
	}
}

// wantSent checks what a proxy was asked to connect to. Of a name every address that it
// has here is granted.
func (w *witness) wantSent(t *testing.T, address string) {
	t.Helper()
	if _, err := netip.ParseAddrPort(address); err == nil {
		w.wantGranted(t, "was sent to the proxy", w.target.Host, address)
		return
	}
	want := strings.TrimSuffix(w.target.Host, ".") + fmt.Sprintf(":%d", w.target.Port)
	if address != want || w.proxy.Scheme == "socks5" {
		t.Errorf("%q was sent to the %s proxy, want %q", address, w.proxy.Scheme, want)
	}
	for _, a := range w.answers {
		if a.IsValid() {
			w.wantGranted(t, "is what the proxy may connect to", w.target.Host, netip.AddrPortFrom(a, w.target.Port).String())
		}
	}
}

// notable are addresses that random bytes do not find.
var notable = []string{
	"127.0.0.1", "::1", "0.0.0.0", "::", "10.0.0.1", "192.168.1.1", "fd00::1", "169.254.169.254", "fe80::1", "100.100.100.200",
	"93.184.1.1", "2606:2800::1", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::127.0.0.1", "2002:7f00:1::", "2001:0:7f00:1::", "224.0.0.1",
}

// appendAnswers encodes addresses for consumeAnswers: a byte for the kind, and 16.
func appendAnswers(b []byte, text string) []byte {
	for _, s := range strings.Fields(text) {
		a := netip.MustParseAddr(s)
		kind := byte(0)
		switch {
		case a.Is4():
			kind = 1
		case a.Zone() != "":
			kind = 2
		}
		b16 := a.As16()
		b = append(append(b, kind), b16[:]...)
	}
	return b
}

func consumeAnswers(b []byte) (addrs []netip.Addr) {
	for ; len(b) >= 17; b = b[17:] {
		a := netip.AddrFrom16([16]byte(b[1:17]))
		last := [4]byte(b[13:17])
		switch b[0] % 6 {
		case 1:
			a = netip.AddrFrom4(last)
		case 2:
			a = a.WithZone("eth0")
		case 3:
			a = netip.AddrFrom16(netip.AddrFrom4(last).As16())
		case 4:
			a = netip.Addr{}
		case 5:
			a = netip.MustParseAddr(notable[int(b[1])%len(notable)])
		}
		addrs = append(addrs, a)
	}
	return addrs
}
