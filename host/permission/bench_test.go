package permission

import (
	"context"
	"net/netip"
	"testing"
)

// benchmarkRules is a long list for a command line: twenty rules that do not match
// stand before the one that does.
const benchmarkRules = "a1.example:443,a2.example:443,a3.example:443,a4.example:443,a5.example:443," +
	"*.b1.example:443,*.b2.example:443,*.b3.example:443,*.b4.example:443,*.b5.example:443," +
	"172.16.0.0/24:443,172.16.1.0/24:443,172.16.2.0/24:443,172.16.3.0/24:443,172.16.4.0/24:443," +
	"[fd01::/64]:443,[fd02::/64]:443,[fd03::/64]:443,[fd04::/64]:443,[fd05::/64]:443," +
	"*.example.com,10.0.0.0/8"

func BenchmarkCheck(b *testing.B) {
	l := testList(b, benchmarkRules, "evil.example.com,169.254.0.0/16,*.internal:1-1023")
	g, ctx := NewGrant(l, nil), context.Background()
	public := netip.MustParseAddrPort("93.184.215.14:443")
	private := netip.MustParseAddrPort("[64:ff9b::a00:1]:443")
	for _, bench := range []struct {
		name  string
		check func() Verdict
		want  bool
	}{
		{"Target", func() Verdict { return l.CheckTarget("www.example.com", 443) }, true},
		{"Addr", func() Verdict { return l.CheckAddr("www.example.com", public) }, true},
		{"AddrEmbedded", func() Verdict { return l.CheckAddr("www.example.com", private) }, true},
		{"Literal", func() Verdict { return l.CheckTarget("10.1.2.3", 443) }, true},
		{"Listen", func() Verdict { return l.CheckListen("10.1.2.3", 8080) }, true},
		{"Denied", func() Verdict { return l.CheckTarget("www.example.org", 443) }, false},
		{"GrantTarget", func() Verdict { return g.CheckTarget(ctx, "www.example.com", 443) }, true},
		{"GrantAddr", func() Verdict { return g.CheckAddr(ctx, "www.example.com", public) }, true},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if bench.check().Allowed != bench.want {
					b.Fatal("the verdict is the expected one")
				}
			}
		})
	}
}

func TestAllowedVerdictsDoNotAllocate(t *testing.T) {
	l := testList(t, benchmarkRules, "evil.example.com")
	addr := netip.MustParseAddrPort("[64:ff9b::a00:1]:443")
	if n := testing.AllocsPerRun(100, func() {
		l.CheckTarget("www.example.com", 443)
		l.CheckTarget("10.1.2.3", 443)
		l.CheckAddr("www.example.com", addr)
		l.CheckListen("10.1.2.3", 8080)
	}); n != 0 {
		t.Errorf("an allowed verdict costs no allocation\n got %v\nwant 0", n)
	}
}

// BenchmarkLease is what a connection costs: once, and for each read or write.
func BenchmarkLease(b *testing.B) {
	ctx, addr := context.Background(), netip.MustParseAddrPort("93.184.215.14:443")
	g := NewGrant(testList(b, benchmarkRules, ""), &GrantOptions{Quota: Quota{DialsPerSecond: 1 << 30}})
	b.Run("Dial", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			l, err := g.AcquireDial(ctx, "www.example.com", 443)
			if err != nil || l.Opened(ctx, addr) != nil {
				b.Fatal("the dial is allowed", err)
			}
			l.Release()
		}
	})
	b.Run("Count", func(b *testing.B) {
		l, err := g.AcquireDial(ctx, "www.example.com", 443)
		if err != nil || l.Opened(ctx, addr) != nil {
			b.Fatal("the dial is allowed", err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if l.Count(100, 100) != nil {
				b.Fatal("the bytes are allowed")
			}
		}
	})
}

func BenchmarkOrigins(b *testing.B) {
	o := testOrigins(b, "https://a.example https://b.example:8443 https://*.c.example https://example.com")
	b.ReportAllocs()
	for b.Loop() {
		if !o.Allows("https://example.com") || !SameOrigin("https://example.com", "https", "example.com") {
			b.Fatal("the origin is allowed")
		}
	}
}
