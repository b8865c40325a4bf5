package permission

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

// Invariants, for any rules and any question: what Parse accepts, its String parses
// again to an equal rule; rules by name allow public addresses only, and loopback
// addresses of localhost; a deny rule takes away and never gives; an allowed address has an
// allowed target; what a denial needs is a rule that helps; nothing panics.
func FuzzList(f *testing.F) {
	loopback := netip.MustParseAddr("::ffff:127.0.0.1").As16()
	for _, seed := range []struct{ allow, deny, host string }{
		{"example.com:443,*.example.com", "a.example.com", "b.example.com"},
		{"10.0.0.0/8:80+8000-8010,[::/0]", "private", "10.0.0.1"},
		{":8080,loopback,[::1]:1", "[2001:db8::]/32:443", "[::1]"},
		{"localhost", "", "LOCALHOST."},
		{"https://u:p@x/?q", "unix:/x", "0x7f.1"},
		{"*", "[::1", "fe80::1%eth0"},
		{"a:{1,2}", "a:2-1", "64:ff9b::7f00:1"},
	} {
		f.Add(seed.allow, seed.deny, seed.host, uint16(443), loopback[:])
	}
	f.Fuzz(func(t *testing.T, allow, deny, host string, port uint16, b []byte) {
		l, err := Parse([]string{allow}, nil)
		if err != nil {
			return
		}
		onlyNames := true
		for i := range l.allow {
			r := &l.allow[i]
			again, err := parseRule(r.String())
			if err != nil || !reflect.DeepEqual(*r, again) {
				t.Errorf("%q parses again to an equal rule\n got %+v, error %v\nwant %+v", r, again, err, *r)
			}
			onlyNames = onlyNames && (r.kind == kindName || r.kind == kindSuffix)
		}

		target := l.CheckTarget(host, port)
		wantHelp(t, checkRow{host: host, port: port})
		_ = target.Explain()
		_ = l.CheckListen(host, port).Explain()
		addr, ok := netip.AddrFromSlice(b)
		if !ok {
			return
		}
		resolved := l.CheckAddr(host, netip.AddrPortFrom(addr, port))
		_ = resolved.Explain()
		wantHelp(t, checkRow{host: host, port: port, addr: addr.String()})
		if resolved.Allowed && !target.Allowed {
			t.Errorf("%q at %s is allowed, so its target is", host, addr)
		}
		name := "." + strings.ToLower(strings.TrimSuffix(host, "."))
		if onlyNames && resolved.Allowed && !strings.HasSuffix(name, ".localhost") {
			m := meaningsOf(addr)
			for _, a := range m.addrs[:m.n] {
				if c := classOf(a); c != classPublic {
					t.Errorf("rules by name %q allow %q at a public address\ngot %s, which means %s, %v", allow, host, addr, a, c)
				}
			}
		}

		both, err := Parse([]string{allow}, []string{deny})
		if err != nil {
			return
		}
		if both.CheckTarget(host, port).Allowed && !target.Allowed {
			t.Errorf("deny rules %q take away from %q\ngot %q allowed", deny, allow, host)
		}
		if both.CheckAddr(host, netip.AddrPortFrom(addr, port)).Allowed && !resolved.Allowed {
			t.Errorf("deny rules %q take away from %q\ngot %q at %s allowed", deny, allow, host, addr)
		}
		for i := range both.deny {
			if r := &both.deny[i]; r.ports.contains(port) && r.coversAddr(addr.Unmap()) &&
				both.CheckAddr(host, netip.AddrPortFrom(addr, port)).Allowed {
				t.Errorf("deny rule %s wins over %q\ngot %q at %s allowed", r, allow, host, addr)
			}
		}
	})
}
