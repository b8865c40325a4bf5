package permission

import (
	"errors"
	"log/slog"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// revocations counts the calls of a lease's function, and keeps the last error.
type revocations struct {
	n   atomic.Int32
	err atomic.Value
}

func watch(l *Lease) *revocations {
	r := &revocations{}
	l.OnRevoke(func(err error) {
		r.err.Store(err)
		r.n.Add(1)
	})
	return r
}

func (r *revocations) want(t *testing.T, what, want string) {
	t.Helper()
	err, _ := r.err.Load().(error)
	if want == "" {
		if n := r.n.Load(); n != 0 {
			t.Errorf("%s\n got %v, %d times\nwant no call", what, err, n)
		}
		return
	}
	if n := r.n.Load(); n != 1 || err.Error() != "websocket: permission revoked: "+want {
		t.Errorf("%s\n got %v, %d times\nwant websocket: permission revoked: %s", what, err, n, want)
	}
}

func TestLeaseOfADial(t *testing.T) {
	ctx := t.Context()
	g := NewGrant(testList(t, "example.com:443", ""), nil)
	l, err := g.AcquireDial(ctx, "example.com", 443)
	mustNot(t, err)
	if err := l.Count(1, 1); err != ErrNotOpened {
		t.Errorf("nothing passes before the connection is checked\n got %v\nwant %v", err, ErrNotOpened)
	}
	wantError(t, "an address that is not allowed is refused", l.Opened(ctx, addrPort("10.0.0.1:443")),
		"websocket: dial example.com:443 is not permitted: resolves to 10.0.0.1, a private address: needs --allow-net=10.0.0.1:443")
	wantError(t, "and no address", l.Opened(ctx, netip.AddrPort{}), "websocket: dial example.com:0 is not permitted: port 0 cannot be dialled")
	wantError(t, "and a port that was not asked for", l.Opened(ctx, addrPort("8.8.8.8:80")),
		"websocket: dial example.com:80 is not permitted: needs --allow-net=example.com:80")
	if err := l.Count(1, 1); err != ErrNotOpened {
		t.Errorf("nothing passes after a refusal\n got %v\nwant %v", err, ErrNotOpened)
	}
	mustNot(t, l.Opened(ctx, addrPort("8.8.8.8:443")))
	mustNot(t, l.Count(2, 3))
	if got, want := g.Usage(), (Usage{1, 2, 3}); got != want {
		t.Errorf("an open connection is counted\n got %+v\nwant %+v", got, want)
	}
	mustNot(t, l.Opened(ctx, addrPort("8.8.4.4:443"))) // another connection in its place
	l.Release()
	if err := l.Count(1, 1); err != ErrReleased {
		t.Errorf("nothing passes after the release\n got %v\nwant %v", err, ErrReleased)
	}
	if err := l.Opened(ctx, addrPort("8.8.8.8:443")); err != ErrReleased {
		t.Errorf("a released lease is not opened\n got %v\nwant %v", err, ErrReleased)
	}
	if got, want := g.Usage(), (Usage{0, 2, 3}); got != want {
		t.Errorf("a released lease is no connection\n got %+v\nwant %+v", got, want)
	}
}

func TestLeaseIsForThePortThatWasAskedFor(t *testing.T) {
	g := NewGrant(testList(t, "example.com", ""), nil)
	l, err := g.AcquireDial(t.Context(), "example.com", 443)
	mustNot(t, err)
	wantError(t, "a rule for all ports does not change what was asked for", l.Opened(t.Context(), addrPort("8.8.8.8:80")),
		"websocket: dial example.com:80 is not permitted: the port is not the one that was asked for")
}

func TestSetListRevokes(t *testing.T) {
	ctx := t.Context()
	open := func(g *Grant, host, addr string) *Lease {
		t.Helper()
		l, err := g.AcquireDial(ctx, host, 443)
		mustNot(t, err)
		mustNot(t, l.Opened(ctx, netip.AddrPortFrom(netip.MustParseAddr(addr), 443)))
		return l
	}
	for _, test := range []struct{ host, addr, allow, deny, want string }{
		{"example.com", "8.8.8.8", "example.com", "", ""},
		{"example.com", "8.8.8.8", "*.com:443,10.0.0.0/8", "example.org", ""},
		{"example.com", "8.8.8.8", "", "", "dial example.com:443 is not permitted: needs --allow-net=example.com:443"},
		{"example.com", "8.8.8.8", "example.com:80", "", "dial example.com:443 is not permitted: needs --allow-net=example.com:443"},
		{"Example.com.", "8.8.8.8", "example.com", "", ""},
		{"example.com", "8.8.8.8", "example.com", "8.0.0.0/8", "dial example.com:443 is not permitted: resolves to 8.8.8.8: denied by --deny-net=8.0.0.0/8"},
		{"example.com", "8.8.8.8", everything, "example.com", "dial example.com:443 is not permitted: denied by --deny-net=example.com"},
		{"example.com", "10.0.0.1", "example.com", "", "dial example.com:443 is not permitted: resolves to 10.0.0.1, a private address: needs --allow-net=10.0.0.1:443"},
		{"example.com", "10.0.0.1", "example.com,private", "", ""},
		{"example.com", "64:ff9b::a00:1", "example.com", "10.0.0.0/8", "dial example.com:443 is not permitted: resolves to 64:ff9b::a00:1, which embeds 10.0.0.1: denied by --deny-net=10.0.0.0/8"},
		{"10.0.0.1", "10.0.0.1", "10.0.0.0/8", "", ""},
		{"10.0.0.1", "10.0.0.1", "example.com", "", "dial 10.0.0.1:443 is not permitted: needs --allow-net=10.0.0.1:443"},
	} {
		g := NewGrant(testList(t, everything, ""), nil)
		l := open(g, test.host, test.addr)
		r := watch(l)
		g.SetList(testList(t, test.allow, test.deny))
		what := "allow " + test.allow + ", deny " + test.deny + " decides about the connection to " + test.host + " at " + test.addr
		r.want(t, what, test.want)
		g.SetList(testList(t, test.allow, test.deny))
		r.want(t, what+", once", test.want)
		if err := l.Count(1, 1); (err == nil) != (test.want == "") {
			t.Errorf("%s\nbytes pass if it stays\ngot %v", what, err)
		}
		if got := g.Usage().Connections; got != 1 {
			t.Errorf("%s\na connection counts until it is released\n got %d\nwant 1", what, got)
		}
		l.Release()
		if got := g.Usage().Connections; got != 0 {
			t.Errorf("%s\nand no longer\n got %d\nwant 0", what, got)
		}
	}
}

func TestSetListRevokesListeners(t *testing.T) {
	ctx := t.Context()
	g := NewGrant(testList(t, ":8080,:9090", ""), nil)
	a, err := g.AcquireListen(ctx, "127.0.0.1", 8080)
	mustNot(t, err)
	b, err := g.AcquireListen(ctx, "localhost", 9090)
	mustNot(t, err)
	ra, rb := watch(a), watch(b)
	g.SetList(testList(t, ":9090", ""))
	ra.want(t, "what the new list leaves out is revoked", "listen 127.0.0.1:8080 is not permitted: needs --allow-net=127.0.0.1:8080")
	rb.want(t, "what it has is not", "")
	mustNot(t, b.Count(1, 1))
	g.SetList(testList(t, ":9090", "127.0.0.1:9090,[::1]:9090"))
	rb.want(t, "a deny rule for addresses is not one for localhost", "")
	g.SetList(testList(t, ":9090", "localhost"))
	rb.want(t, "a deny rule for localhost is", "listen localhost:9090 is not permitted: denied by --deny-net=localhost")
}

// A dial that is under way when the list changes is revoked at once if it cannot come
// to anything, and otherwise checked when it is connected.
func TestSetListDuringADial(t *testing.T) {
	ctx := t.Context()
	dial := func(g *Grant) (*Lease, *revocations) {
		t.Helper()
		l, err := g.AcquireDial(ctx, "example.com", 443)
		mustNot(t, err)
		if v := g.CheckAddr(ctx, "example.com", addrPort("10.0.0.1:443")); !v.Allowed {
			t.Fatalf("the dial is allowed at first\ngot %s", v.Explain())
		}
		return l, watch(l)
	}
	const missing = "dial example.com:443 is not permitted: needs --allow-net=example.com:443"

	g := NewGrant(testList(t, "example.com,private", ""), nil)
	l, r := dial(g)
	g.SetList(nil)
	r.want(t, "a dial to what is missing is revoked", missing)
	wantError(t, "and is not opened", l.Opened(ctx, addrPort("10.0.0.1:443")), "websocket: permission revoked: "+missing)
	wantError(t, "nor counted", l.Count(1, 0), "websocket: permission revoked: "+missing)

	g = NewGrant(testList(t, "example.com,private", ""), nil)
	l, r = dial(g)
	g.SetList(testList(t, "example.com", ""))
	r.want(t, "a dial to a name that is still allowed goes on", "")
	wantError(t, "its address is checked when it is connected", l.Opened(ctx, addrPort("10.0.0.1:443")),
		"websocket: dial example.com:443 is not permitted: resolves to 10.0.0.1, a private address: needs --allow-net=10.0.0.1:443")

	g, _ = prompting(testList(t, "example.com,private", ""), AnswerAllow, AnswerAllow)
	l, r = dial(g)
	g.SetList(nil)
	r.want(t, "a dial that the prompt may allow goes on", "")
	wantError(t, "and is not opened before", l.Opened(ctx, addrPort("10.0.0.1:443")), "websocket: dial example.com:443 is not permitted: needs --allow-net=example.com:443")
	g.CheckAddr(ctx, "example.com", addrPort("10.0.0.1:443"))
	mustNot(t, l.Opened(ctx, addrPort("10.0.0.1:443")))
	g.SetList(testList(t, "", "example.org"))
	r.want(t, "once it is open nobody is asked", missing)

	g, _ = prompting(testList(t, "example.com,private", ""))
	_, r = dial(g)
	g.SetList(testList(t, everything, "example.com"))
	r.want(t, "a dial that a rule denies is revoked", "dial example.com:443 is not permitted: denied by --deny-net=example.com")

	g, _ = prompting(testList(t, "example.com,private", ""))
	_, r = dial(g)
	g.Revoke()
	r.want(t, "a dial of a revoked grant is revoked", "dial example.com:443 is not permitted: the grant was revoked")
}

func TestLeaseThroughAProxy(t *testing.T) {
	ctx := t.Context()
	const rules = "example.com:443,proxy.example:3128,10.0.0.0/8"
	proxyAddr := addrPort("10.0.0.1:3128")
	for _, test := range []struct {
		what, allow, deny string
		target            netip.Addr
		want              string
	}{
		{"what stays allowed stays", rules, "", netip.Addr{}, ""},
		{"the target has to stay allowed", "proxy.example:3128,10.0.0.0/8", "", netip.Addr{}, "dial example.com:443 is not permitted: needs --allow-net=example.com:443"},
		{"the proxy too", "example.com:443,10.0.0.0/8", "", netip.Addr{}, "dial proxy.example:3128 is not permitted: needs --allow-net=proxy.example:3128"},
		{"and its address", rules, "10.0.0.1", netip.Addr{}, "dial proxy.example:3128 is not permitted: resolves to 10.0.0.1: denied by --deny-net=10.0.0.1"},
		{"an address that only the proxy knows is not looked at", rules, "8.8.8.8", netip.Addr{}, ""},
		{"one that it was told is", rules, "8.8.8.8", netip.MustParseAddr("8.8.8.8"), "dial example.com:443 is not permitted: resolves to 8.8.8.8: denied by --deny-net=8.8.8.8"},
	} {
		g := NewGrant(testList(t, rules, ""), nil)
		l := mustDial(t, g)
		mustNot(t, l.OpenedThrough(ctx, "proxy.example", proxyAddr, test.target))
		mustNot(t, l.Count(1, 1))
		r := watch(l)
		g.SetList(testList(t, test.allow, test.deny))
		r.want(t, test.what, test.want)
	}

	l := mustDial(t, NewGrant(testList(t, "example.com:443", ""), nil))
	wantError(t, "a target alone does not open a proxy", l.OpenedThrough(ctx, "proxy.example", proxyAddr, netip.Addr{}),
		"websocket: dial proxy.example:3128 is not permitted: needs --allow-net=proxy.example:3128")
	l = mustDial(t, NewGrant(testList(t, "proxy.example:3128,10.0.0.0/8", ""), nil))
	wantError(t, "nor a proxy a target", l.OpenedThrough(ctx, "proxy.example", proxyAddr, netip.Addr{}),
		"websocket: dial example.com:443 is not permitted: needs --allow-net=example.com:443")
	l = mustDial(t, NewGrant(testList(t, rules, ""), nil))
	wantError(t, "nor is a proxy without an address one", l.OpenedThrough(ctx, "proxy.example", netip.AddrPort{}, netip.Addr{}),
		"websocket: dial proxy.example:0 is not permitted: port 0 cannot be dialled")
	wantError(t, "an address that the proxy is told is checked", l.OpenedThrough(ctx, "proxy.example", proxyAddr, ipv4Loopback),
		"websocket: dial example.com:443 is not permitted: resolves to 127.0.0.1, a loopback address: needs --allow-net=127.0.0.1:443")
}

func TestOnRevoke(t *testing.T) {
	g := quotaGrant(t, Quota{})
	l := mustOpen(t, g)
	first, second := watch(l), watch(l)
	other := mustOpen(t, g)
	released := watch(other)
	other.Release()
	silent := mustOpen(t, g)
	removed := watch(silent)
	silent.OnRevoke(nil)
	g.Revoke()
	const want = "dial example.com:443 is not permitted: the grant was revoked"
	first.want(t, "a later function takes the place of an earlier one", "")
	second.want(t, "the later one is called", want)
	released.want(t, "a released lease is not revoked", "")
	if err := other.Count(0, 0); err != ErrReleased || len(g.leases) != 0 {
		t.Errorf("and not known any more\n got %v, and %d leases", err, len(g.leases))
	}
	removed.want(t, "a function that was taken back is not called", "")
	watch(l).want(t, "a lease that was revoked before calls at once", want)
	l.OnRevoke(nil)
	l.Release()
	watch(l).want(t, "a released lease calls nobody", "")

	err := second.err.Load().(error)
	var revoked *RevokedError
	var denied *Error
	if !errors.As(err, &revoked) || revoked.Grant != "chat" || !errors.As(err, &denied) || denied.Target != "example.com" {
		t.Errorf("the error has the grant and the denial\ngot %+v", err)
	}
}

// A function of OnRevoke closes the connection, whose end releases the lease, and may
// well look at the grant.
func TestOnRevokeMayUseTheGrant(t *testing.T) {
	g := quotaGrant(t, Quota{})
	l := mustOpen(t, g)
	l.OnRevoke(func(error) {
		l.Release()
		g.SetList(nil)
		if v := g.CheckTarget(t.Context(), "example.com", 443); v.Allowed {
			t.Errorf("the new list counts already\ngot %s", explained(v))
		}
	})
	g.SetList(nil)
	if got := g.Usage().Connections; got != 0 {
		t.Errorf("the lease was released\n got %d connections", got)
	}
}

func TestLeaseDecisionsAreRecorded(t *testing.T) {
	ctx := t.Context()
	logger, b := testLog(slog.LevelDebug)
	var decisions []Decision
	g := NewGrant(testList(t, everything, ""), &GrantOptions{
		Name: "chat", Logger: logger, OnDecision: func(d Decision) { decisions = append(decisions, d) },
	})
	l := mustOpen(t, g)
	wantLog(t, "what was decided before is not logged again", b, "")
	g.SetList(testList(t, "example.com", "8.8.8.8"))
	wantLog(t, "what is revoked is logged, with its address", b,
		`level=INFO msg="websocket: permission revoked" grant=chat operation=dial target=example.com port=443 address=8.8.8.8:443 verdict=revoked rule="--deny-net=8.8.8.8" reason="resolves to 8.8.8.8"`)
	if d := decisions[len(decisions)-1]; d.Verdict.Allowed || l.Count(1, 0) != d.Err {
		t.Errorf("the hook gets the error of the lease\ngot %+v", d)
	}
	l = mustDial(t, g)
	_ = l.Opened(ctx, addrPort("8.8.8.8:443"))
	wantLog(t, "what is refused at last is logged", b,
		`level=WARN msg="websocket: permission denied" grant=chat operation=dial target=example.com port=443 address=8.8.8.8:443 verdict=denied rule="--deny-net=8.8.8.8" reason="resolves to 8.8.8.8"`)
	_, err := g.AcquireListen(ctx, "127.0.0.1", 80)
	wantLog(t, "so is a listener", b,
		`level=WARN msg="websocket: permission denied" grant=chat operation=listen target=127.0.0.1 port=80 verdict=denied needs=127.0.0.1:80`)
	wantError(t, "with its error", err, "websocket: listen 127.0.0.1:80 is not permitted: needs --allow-net=127.0.0.1:80")
}

func TestOpenedOfAListenerIsABug(t *testing.T) {
	l, err := quotaGrant(t, Quota{}).AcquireListen(t.Context(), "127.0.0.1", 80)
	mustNot(t, err)
	defer func() {
		if s, _ := recover().(string); !strings.HasPrefix(s, "BUG: ") {
			t.Errorf("a listener is open from the start\ngot %q", s)
		}
	}()
	_ = l.Opened(t.Context(), addrPort("127.0.0.1:80"))
}

// A dial and a change of the list meet, over and over. Whichever comes first, nothing is
// open when both are over: it was denied, or it was revoked.
func TestNoDialSlipsThrough(t *testing.T) {
	ctx, addr := t.Context(), addrPort("8.8.8.8:443")
	allows, denies := testList(t, "example.com", ""), testList(t, "example.com", "8.8.8.8")
	denied, revoked := 0, 0
	for i := range 5000 {
		g := NewGrant(allows, nil)
		l := mustDial(t, g)
		r := watch(l)
		var err error
		both := []func(){func() { g.SetList(denies) }, func() { err = l.Opened(ctx, addr) }}
		var ready atomic.Int32
		meet := func(f func()) {
			for ready.Add(1); ready.Load() < 2; {
				runtime.Gosched()
			}
			f()
		}
		var wg sync.WaitGroup
		wg.Go(func() { meet(both[i%2]) })
		meet(both[1-i%2])
		wg.Wait()
		switch {
		case err != nil && r.n.Load() == 0:
			denied++
		case err == nil && r.n.Load() == 1 && l.Count(0, 0) != nil:
			revoked++
		default:
			t.Fatalf("what is open is revoked\n got error %v and %d calls", err, r.n.Load())
		}
	}
	if denied == 0 || revoked == 0 {
		t.Errorf("either comes first at times\n got %d denied, %d revoked", denied, revoked)
	}
}

// Dials run against a list that changes all the time. Whatever the order, nothing stays
// open that the last list does not allow, each function is called once at most, and
// every lease is given back.
func TestLeaseHammer(t *testing.T) {
	ctx := t.Context()
	lists := []*List{testList(t, "a.example", ""), testList(t, "b.example", ""), testList(t, "a.example,b.example", "8.8.8.8"), nil}
	g := NewGrant(lists[0], &GrantOptions{Quota: Quota{DialsPerSecond: 1 << 30}})
	var changes, dials sync.WaitGroup
	ticks := make(chan int)
	for range 2 {
		changes.Go(func() {
			for i := range ticks {
				g.SetList(lists[i%len(lists)])
			}
		})
	}
	type connection struct {
		lease *Lease
		host  string
		r     *revocations
	}
	kept := make(chan connection, 4000)
	opened := atomic.Int32{}
	for i := range 8 {
		host := []string{"a.example", "b.example"}[i%2]
		dials.Go(func() {
			for n := range 500 {
				select {
				case ticks <- n:
				default: // the list is being changed, twice
				}
				l, err := g.AcquireDial(ctx, host, 443)
				if err != nil {
					t.Error(err)
					return
				}
				r := watch(l)
				addr := addrPort([]string{"8.8.8.8:443", "9.9.9.9:443"}[i/4])
				if !g.CheckAddr(ctx, host, addr).Allowed || l.Opened(ctx, addr) != nil {
					l.Release()
					continue
				}
				opened.Add(1)
				kept <- connection{l, host, r}
			}
		})
	}
	dials.Wait()
	close(ticks)
	changes.Wait()
	g.SetList(lists[0])
	close(kept)
	for c := range kept {
		n, err := c.r.n.Load(), c.lease.Count(0, 0)
		switch {
		case n > 1:
			t.Errorf("a function is called once\n got %d times", n)
		case (n == 1) != (err != nil):
			t.Errorf("what is revoked is told\n got %d calls and %v", n, err)
		case c.host == "b.example" && n == 0:
			t.Errorf("nothing is open that the last list does not allow\n got %s", c.host)
		}
		c.lease.Release()
	}
	if n := opened.Load(); n < 100 {
		t.Errorf("dials come through\n got %d of 4000", n)
	}
	if got := g.Usage().Connections; got != 0 || len(g.leases) != 0 {
		t.Errorf("every lease is given back\n got %d open, %d known", got, len(g.leases))
	}
}
