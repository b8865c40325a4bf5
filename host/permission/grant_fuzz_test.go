package permission

import (
	"context"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// grantModel says what a Grant should allow: it keeps rules as text and asks new lists.
type grantModel struct {
	t           *testing.T
	allow, deny []string // of the last SetList
	added       []string // by answers since
	all         bool
	answers     []byte
}

// prompt gives the next answer. Whatever is asked for can be allowed.
func (m *grantModel) prompt(_ context.Context, v Verdict) (Answer, error) {
	if v.Allowed || v.Rule != nil || v.needs == "" {
		m.t.Errorf("only what a rule can allow is asked for\ngot %+v", v)
	}
	if len(m.answers) == 0 {
		return AnswerDeny, nil
	}
	a := Answer(m.answers[0] % 4)
	m.answers = m.answers[1:]
	switch a {
	case AnswerAllow:
		m.added = append(m.added, v.needs)
	case AnswerAllowAll:
		m.all = true
	}
	return a, nil
}

// verdicts returns what the rules and answers say about u without the yes to all, and
// with it.
func (m *grantModel) verdicts(u use) (listed, all Verdict) {
	l, err := Parse(slices.Concat(m.allow, m.added), m.deny)
	if err != nil {
		m.t.Fatal(err)
	}
	listed = u.on(l)
	if all = listed; m.all {
		if l, err = AllowAll(m.deny...); err != nil {
			m.t.Fatal(err)
		}
		all = u.on(l)
	}
	return listed, all
}

// Invariants, for any rules, answers and order of events: what a Grant allows, its List
// allows or the prompt added, and all that its List allows it allows; a lease is usable
// if and only if the current list allows all that it stands for; leases are counted.
func FuzzGrant(f *testing.F) {
	f.Add("example.com:443", "example.org", "evil.example", "example.com", []byte{8, 8, 8, 8}, []byte{0, 1, 2, 3, 4, 5, 6, 7, 3, 3}, []byte{1, 0, 2, 3})
	f.Add("*.com,10.0.0.0/8,loopback", ":80", "10.0.0.1", "127.0.0.1", []byte{127, 0, 0, 1}, []byte{3, 2, 6, 3, 5, 3, 4, 7}, []byte{1, 1, 1})
	f.Add("", "localhost", "localhost", "localhost", []byte{10, 0, 0, 1}, []byte{1, 3, 9, 4, 1, 3}, []byte{2})
	f.Fuzz(func(t *testing.T, first, second, deny, host string, ip, events, answers []byte) {
		m := &grantModel{t: t, allow: []string{first}, deny: []string{deny}, answers: answers}
		lists := map[string]*List{}
		for _, allow := range []string{first, second} {
			l, err := Parse([]string{allow}, m.deny)
			if err != nil {
				return
			}
			lists[allow] = l
		}
		addr, ok := netip.AddrFromSlice(ip)
		if !ok || len(events) > 64 {
			return
		}
		ctx := t.Context()
		g := NewGrant(lists[first], &GrantOptions{Prompt: m.prompt, Quota: Quota{Connections: 8}})
		leases := map[*Lease]use{} // open
		var revoked []*Lease

		for _, event := range events {
			port := []uint16{80, 443, 0}[event/16%3]
			u := use{stage: stageTarget, host: host, port: port}
			if event&8 != 0 {
				u.host = "example.org"
			}
			var v Verdict
			switch event % 8 {
			case 0:
				v = g.CheckTarget(ctx, u.host, port)
			case 1:
				u.stage, u.addr = stageAddr, netip.AddrPortFrom(addr, port)
				v = g.CheckAddr(ctx, u.host, u.addr)
			case 2:
				u.stage = stageListen
				v = g.CheckListen(ctx, u.host, port)
			case 3, 4:
				u.stage, u.addr = stageAddr, netip.AddrPortFrom(addr, port)
				l, err := g.AcquireDial(ctx, u.host, port)
				if err != nil {
					continue
				}
				if v.Allowed = l.Opened(ctx, u.addr) == nil; v.Allowed {
					leases[l] = u
				} else {
					l.Release()
				}
			case 5:
				u.stage = stageListen
				if l, err := g.AcquireListen(ctx, u.host, port); err == nil {
					v.Allowed = true
					leases[l] = u
				}
			case 6, 7:
				m.allow = []string{[]string{first, second}[event%2]}
				m.added, m.all = nil, false
				g.SetList(lists[m.allow[0]])
				for l, u := range leases {
					if listed, _ := m.verdicts(u); listed.Allowed != (l.Count(0, 0) == nil) {
						t.Errorf("a lease of %+v is usable if the list %q allows it\n got %v\nwant %s", u, m.allow, l.Count(0, 0), explained(listed))
					} else if !listed.Allowed {
						revoked = append(revoked, l)
						delete(leases, l)
					}
				}
				continue
			}
			listed, all := m.verdicts(u)
			if v.Allowed && !all.Allowed {
				t.Errorf("a grant allows what its list or the prompt does: %+v\n got %s\nwant %s", u, explained(v), explained(all))
			}
			if event%8 < 3 && listed.Allowed && !v.Allowed {
				t.Errorf("a grant allows all that its list does: %+v\n got %s\nwant %s", u, explained(v), explained(listed))
			}
		}
		if got, want := g.Usage().Connections, len(leases)+len(revoked); got != want {
			t.Errorf("leases are counted until they are released\n got %d\nwant %d", got, want)
		}
		for l := range leases {
			l.Release()
		}
		for _, l := range revoked {
			l.Release()
		}
		if got := g.Usage().Connections; got != 0 || len(g.answers.questions) != 0 {
			t.Errorf("nothing is left\ngot %d connections and questions %v", got, g.answers.questions)
		}
	})
}

// Invariants, for any patterns and origins: an origin that is allowed has the scheme,
// host and port of a pattern, by the word of net/url, and nothing beside them; the same
// holds for an origin that is the request's own; an error shows a pattern that is right.
func FuzzOrigins(f *testing.F) {
	for _, seed := range [][2]string{
		{"https://example.com", "https://example.com:443"},
		{"https://*.example.com:8443", "https://a.example.com:8443"},
		{"http://[::1]:80", "http://[0:0::1]"},
		{"http://127.0.0.1", "http://127.1"},
		{"chrome-extension://abc", "chrome-extension://abc"},
		{"null", "null"},
		{"https://u@x/?#", "https://example.com@evil.example"},
		{"file://", "file://"},
	} {
		f.Add(seed[0], seed[1], "example.com")
	}
	f.Fuzz(func(t *testing.T, pattern, origin, host string) {
		if SameOrigin(origin, "", host) {
			u := wantOrigin(t, origin)
			if h := wantOrigin(t, u.scheme+"://"+host); h != u {
				t.Errorf("the request's own origin has its host\n got %+v for %q\nwant %+v", u, origin, h)
			}
			if o, err := ParseOrigins(origin); err != nil || !o.Allows(origin) {
				t.Errorf("the request's own origin %q is a pattern that allows it\ngot %v", origin, err)
			}
		}
		o, err := ParseOrigins(pattern)
		if err != nil {
			_, right, _ := strings.Cut(err.Error(), ": write ")
			for _, part := range strings.Split(right, ": write ") { // the pattern may hold the words
				right = part
			}
			if _, err := ParseOrigins(right); err != nil {
				t.Errorf("what the error for %q shows is a pattern\ngot %q, %v", pattern, right, err)
			}
			return
		}
		if !o.Allows(origin) || pattern == "*" || pattern == "null" && origin == "null" {
			return
		}
		got, text := wantOrigin(t, origin), pattern
		before, after, below := strings.Cut(pattern, "://*.")
		if below {
			text = before + "://" + after
		}
		want := wantOrigin(t, text)
		if below && strings.HasSuffix(got.host, "."+want.host) {
			got.host = want.host
		} else if below {
			t.Errorf("%q is below %q", origin, pattern)
		}
		if got != want {
			t.Errorf("an origin that is allowed is one of a pattern\n got %+v for %q\nwant %+v for %q", got, origin, want, pattern)
		}
	})
}

// urlOrigin is an origin as net/url reads it.
type urlOrigin struct{ scheme, host, port string }

// wantOrigin returns the origin of text, which has nothing else.
func wantOrigin(t *testing.T, text string) urlOrigin {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatalf("%q is an origin\ngot %v", text, err)
	}
	if u.User != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Opaque != "" || strings.Contains(text, "#") {
		t.Errorf("%q is an origin and nothing else\ngot %+v", text, u)
	}
	o := urlOrigin{u.Scheme, strings.ToLower(u.Hostname()), u.Port()}
	if addr, err := netip.ParseAddr(o.host); err == nil {
		o.host = addr.String()
	}
	switch {
	case o.scheme != "http" && o.scheme != "https":
		return urlOrigin{o.scheme, u.Host, ""}
	case o.port == "" && o.scheme == "http":
		o.port = "80"
	case o.port == "":
		o.port = "443"
	}
	return o
}
