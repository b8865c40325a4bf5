package permission

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// explained is a verdict as tables have it: its explanation, with ✓ if it allows.
func explained(v Verdict) string {
	if v.Allowed {
		return v.Explain() + " ✓"
	}
	return v.Explain()
}

func wantVerdict(t *testing.T, what string, v Verdict, want string) {
	t.Helper()
	if got := explained(v); got != want {
		t.Errorf("%s\n got %s\nwant %s", what, got, want)
	}
}

func wantError(t *testing.T, what string, err error, want string) {
	t.Helper()
	if err == nil || err.Error() != want {
		t.Errorf("%s\n got %v\nwant %s", what, err, want)
	}
}

func mustNot(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func addrPort(text string) netip.AddrPort { return netip.MustParseAddrPort(text) }

func TestGrantDecidesAsItsList(t *testing.T) {
	ctx := t.Context()
	l := testList(t, "example.com:443,10.0.0.0/8,:8080", "10.0.0.1")
	g := NewGrant(l, nil)
	for _, host := range []string{"example.com", "example.org", "10.0.0.1", "10.0.0.2", "localhost", "127.1", ""} {
		for _, port := range []uint16{0, 443, 8080} {
			addr := netip.AddrPortFrom(netip.MustParseAddr("10.0.0.2"), port)
			for _, test := range []struct {
				what      string
				got, want Verdict
			}{
				{"target", g.CheckTarget(ctx, host, port), l.CheckTarget(host, port)},
				{"address", g.CheckAddr(ctx, host, addr), l.CheckAddr(host, addr)},
				{"listener", g.CheckListen(ctx, host, port), l.CheckListen(host, port)},
			} {
				if test.got != test.want {
					t.Errorf("a grant decides as its list about the %s %q port %d\n got %+v\nwant %+v", test.what, host, port, test.got, test.want)
				}
			}
		}
	}
}

func TestAllow(t *testing.T) {
	g, err := Allow("example.com:443", "10.0.0.0/8")
	mustNot(t, err)
	wantVerdict(t, "a rule of Allow allows", g.CheckTarget(t.Context(), "10.1.2.3", 80), "allowed by --allow-net=10.0.0.0/8 ✓")
	g, err = Allow("*")
	if g != nil {
		t.Errorf("a wrong rule leaves no grant\ngot %v", g)
	}
	wantError(t, "a wrong rule is an error", err, `invalid rule "*": * stands for sub-domains, and everything is allowed by the option without a value: write *.example.com`)
}

func TestNilGrantAllowsNothing(t *testing.T) {
	ctx := t.Context()
	for what, g := range map[string]*Grant{"nil": nil, "a nil list": NewGrant(nil, nil)} {
		wantVerdict(t, what+" allows no target", g.CheckTarget(ctx, "example.com", 443), "needs --allow-net=example.com:443")
		wantVerdict(t, what+" allows no address", g.CheckAddr(ctx, "8.8.8.8", addrPort("8.8.8.8:443")), "needs --allow-net=8.8.8.8:443")
		wantVerdict(t, what+" allows no listener", g.CheckListen(ctx, "127.0.0.1", 80), "needs --allow-net=127.0.0.1:80")
		_, err := g.AcquireListen(ctx, "127.0.0.1", 80)
		wantError(t, what+" has no lease for a listener", err, "websocket: listen 127.0.0.1:80 is not permitted: needs --allow-net=127.0.0.1:80")
		g.SetList(nil)
		g.Revoke()
		if got := g.Usage(); got != (Usage{}) {
			t.Errorf("%s is not in use\ngot %+v", what, got)
		}
	}
	var none *Grant
	_, err := none.AcquireDial(ctx, "example.com", 443)
	wantError(t, "nil has no lease for a dial", err, "websocket: dial example.com:443 is not permitted: needs --allow-net=example.com:443")
	none.SetList(testList(t, everything, ""))
	wantVerdict(t, "nil stays nil", none.CheckTarget(ctx, "example.com", 443), "needs --allow-net=example.com:443")
}

// Two grants of one list are asked about the same things, and answered differently.
func TestAnswersDoNotChangeTheList(t *testing.T) {
	ctx := t.Context()
	l := testList(t, "a.example:80-90,b.example,10.0.0.0/8", "") // three: Go leaves room for a fourth
	first, _ := prompting(l, AnswerAllow)
	second, _ := prompting(l, AnswerAllow, AnswerDeny)
	first.CheckTarget(ctx, "c.example", 80)
	second.CheckTarget(ctx, "d.example", 80)
	wantVerdict(t, "an answer stays with the grant", first.CheckTarget(ctx, "c.example", 80), "allowed when asked, as by --allow-net=c.example:80 ✓")
	wantVerdict(t, "and is not the other's", second.CheckTarget(ctx, "c.example", 80), "refused when asked: needs --allow-net=c.example:80")
	wantVerdict(t, "nor the list's", l.CheckTarget("c.example", 80), "needs --allow-net=c.example:80")
	for what, l := range map[string]*List{"the list": l, "the grant's list": first.list.Load()} {
		if !slices.IsSortedFunc(l.allow, compareRules) {
			t.Errorf("%s has the most specific rule first\n got %v", what, l.allow)
		}
	}
}

func TestSetListAndRevoke(t *testing.T) {
	ctx := t.Context()
	g := NewGrant(testList(t, "a.example", ""), nil)
	g.SetList(testList(t, "b.example", ""))
	wantVerdict(t, "what the new list leaves out is denied", g.CheckTarget(ctx, "a.example", 80), "needs --allow-net=a.example:80")
	wantVerdict(t, "what the new list has is allowed", g.CheckTarget(ctx, "b.example", 80), "allowed by --allow-net=b.example ✓")
	g.Revoke()
	wantVerdict(t, "a revoked grant allows nothing", g.CheckTarget(ctx, "b.example", 80), "the grant was revoked")
	wantVerdict(t, "and no address", g.CheckAddr(ctx, "8.8.8.8", addrPort("8.8.8.8:80")), "the grant was revoked")
	wantVerdict(t, "and no listener", g.CheckListen(ctx, "127.0.0.1", 80), "the grant was revoked")
	wantVerdict(t, "what is wrong with a host is said still", g.CheckTarget(ctx, "127.1", 80), "the host is a number, but not an IPv4 address in canonical form")
	g.SetList(testList(t, everything, ""))
	wantVerdict(t, "nothing brings a revoked grant back", g.CheckTarget(ctx, "b.example", 80), "the grant was revoked")
	g.Revoke()
	_, err := g.AcquireDial(ctx, "b.example", 80)
	wantError(t, "a revoked grant has no leases", err, "websocket: dial b.example:80 is not permitted: the grant was revoked")
}

// testLog is a logger that writes records as text, without their time.
func testLog(level slog.Level) (*slog.Logger, *bytes.Buffer) {
	b := new(bytes.Buffer)
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})), b
}

func wantLog(t *testing.T, what string, b *bytes.Buffer, want ...string) {
	t.Helper()
	got := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if !slices.Equal(got, want) {
		t.Errorf("%s\n got %s\nwant %s", what, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
	b.Reset()
}

func TestDecisionsAreLogged(t *testing.T) {
	ctx := t.Context()
	logger, b := testLog(slog.LevelDebug)
	g := NewGrant(testList(t, "example.com:443,127.0.0.1:8080", "10.0.0.0/8"), &GrantOptions{Name: "chat", Logger: logger})

	g.CheckTarget(ctx, "Example.com.", 443)
	wantLog(t, "what a rule allows is a detail", b,
		`level=DEBUG msg="websocket: permission allowed" grant=chat operation=dial target=example.com port=443 verdict=allowed rule="--allow-net=example.com:443"`)
	g.CheckAddr(ctx, "example.com", addrPort("[::ffff:10.0.0.1]:443"))
	wantLog(t, "a denial is a warning and names the rule and the address", b,
		`level=WARN msg="websocket: permission denied" grant=chat operation=dial target=example.com port=443 address=10.0.0.1:443 verdict=denied rule="--deny-net=10.0.0.0/8" reason="resolves to 10.0.0.1"`)
	g.CheckAddr(ctx, "example.com", addrPort("127.0.0.1:443"))
	wantLog(t, "a denial names what is missing", b,
		`level=WARN msg="websocket: permission denied" grant=chat operation=dial target=example.com port=443 address=127.0.0.1:443 verdict=denied needs=127.0.0.1:443 reason="resolves to 127.0.0.1, a loopback address"`)
	g.CheckListen(ctx, "127.0.0.1", 8080)
	wantLog(t, "a listener is logged as well", b,
		`level=DEBUG msg="websocket: permission allowed" grant=chat operation=listen target=127.0.0.1 port=8080 verdict=allowed rule="--allow-net=127.0.0.1:8080"`)
	g.CheckTarget(ctx, "u:secret@example.com\n", 80)
	wantLog(t, "a record is one line, without credentials", b,
		`level=WARN msg="websocket: permission denied" grant=chat operation=dial target="\"…@example.com\\n\"" port=80 verdict=denied reason="the host is neither a name nor an address"`)

	logger, b = testLog(slog.LevelInfo)
	g = NewGrant(testList(t, "example.com:443", ""), &GrantOptions{Logger: logger})
	g.CheckTarget(ctx, "example.com", 443)
	if b.Len() != 0 {
		t.Errorf("a logger that wants no details gets none\ngot %s", b)
	}
}

func TestOnDecision(t *testing.T) {
	ctx := t.Context()
	var got []Decision
	g := NewGrant(testList(t, "example.com:443", ""), &GrantOptions{Name: "chat", OnDecision: func(d Decision) { got = append(got, d) }})
	v := g.CheckTarget(ctx, "example.com", 443)
	if len(got) != 1 || got[0] != (Decision{Grant: "chat", Verdict: v}) {
		t.Errorf("the hook gets what was allowed\ngot %+v", got)
	}
	v = g.CheckTarget(ctx, "example.com", 80)
	if len(got) != 2 || got[1].Verdict != v || got[1].Prompted {
		t.Errorf("the hook gets what was denied\ngot %+v", got)
	}
	wantError(t, "and why", got[1].Err, "websocket: dial example.com:80 is not permitted: needs --allow-net=example.com:80")
}

func TestNeeds(t *testing.T) {
	l := testList(t, "example.com:443", "evil.example")
	for _, test := range []struct{ host, want string }{
		{"example.com", ""},
		{"example.org", "example.org:443"},
		{"evil.example", ""},
		{"127.1", ""},
	} {
		if got := l.CheckTarget(test.host, 443).Needs(); got != test.want {
			t.Errorf("a verdict about %s says what it needs\n got %q\nwant %q", test.host, got, test.want)
		}
	}
}

func TestGrantsWithoutRecordsCostWhatListsCost(t *testing.T) {
	ctx := context.Background()
	g := NewGrant(testList(t, benchmarkRules, "evil.example.com"), &GrantOptions{
		Prompt: func(context.Context, Verdict) (Answer, error) { return AnswerDeny, nil },
	})
	addr := addrPort("[64:ff9b::a00:1]:443")
	if n := testing.AllocsPerRun(100, func() {
		g.CheckTarget(ctx, "www.example.com", 443)
		g.CheckTarget(ctx, "10.1.2.3", 443)
		g.CheckAddr(ctx, "www.example.com", addr)
		g.CheckListen(ctx, "10.1.2.3", 8080)
	}); n != 0 {
		t.Errorf("an allowed verdict costs no allocation\n got %v\nwant 0", n)
	}
}

func TestUnknownStagesPanic(t *testing.T) {
	for what, f := range map[string]func(){
		"a use":   func() { use{stage: stageListen + 1}.on(nil) },
		"a quota": func() { NewGrant(nil, nil).describe(quotaCount) },
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
