package permission

import (
	"errors"
	"log/slog"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func quotaGrant(t *testing.T, q Quota) *Grant {
	t.Helper()
	return NewGrant(testList(t, everything, ""), &GrantOptions{Name: "chat", Quota: q})
}

func mustDial(t *testing.T, g *Grant) *Lease {
	t.Helper()
	l, err := g.AcquireDial(t.Context(), "example.com", 443)
	mustNot(t, err)
	return l
}

// mustOpen returns the lease of a connection to 8.8.8.8.
func mustOpen(t *testing.T, g *Grant) *Lease {
	t.Helper()
	l := mustDial(t, g)
	mustNot(t, l.Opened(t.Context(), addrPort("8.8.8.8:443")))
	return l
}

func TestConnectionQuota(t *testing.T) {
	const used = `grant "chat" has used up Connections: 3 are open: release one, or raise it`
	g := quotaGrant(t, Quota{Connections: 3})
	first := mustDial(t, g)
	mustDial(t, g)
	_, err := g.AcquireListen(t.Context(), "127.0.0.1", 8080)
	mustNot(t, err)
	if got, want := g.Usage(), (Usage{Connections: 3}); got != want {
		t.Errorf("dials and listeners count\n got %+v\nwant %+v", got, want)
	}
	_, err = g.AcquireDial(t.Context(), "EXAMPLE.com.", 443)
	wantError(t, "one dial more is refused", err, "websocket: dial example.com:443: "+used)
	_, err = g.AcquireListen(t.Context(), "::1", 8080)
	wantError(t, "and one listener", err, "websocket: listen [::1]:8080: "+used)
	var q *QuotaError
	if !errors.As(err, &q) || *q != (QuotaError{Grant: "chat", Operation: "listen", Target: "::1", Port: 8080, Quota: "Connections", Max: 3}) {
		t.Errorf("the error has the quota and the target\ngot %+v", q)
	}
	first.Release()
	first.Release()
	mustDial(t, g)
	_, err = g.AcquireDial(t.Context(), "example.com", 443)
	wantError(t, "a lease is released once", err, "websocket: dial example.com:443: "+used)
}

func TestDialQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := quotaGrant(t, Quota{DialsPerSecond: 10})
		dial := func() error {
			l, err := g.AcquireDial(t.Context(), "example.com", 443)
			if err == nil {
				l.Release()
			}
			return err
		}
		const used = `websocket: dial example.com:443: grant "chat" has used up DialsPerSecond: 10 began within a second: dial again in `
		for i := range 10 {
			if err := dial(); err != nil {
				t.Fatalf("dial %d of 10 begins\ngot %v", i+1, err)
			}
		}
		wantError(t, "the eleventh is refused", dial(), used+"100ms, or raise it")
		time.Sleep(100*time.Millisecond - time.Nanosecond)
		wantError(t, "a moment too early as well", dial(), used+"1ns, or raise it")
		time.Sleep(time.Nanosecond)
		mustNot(t, dial())
		wantError(t, "one has come back", dial(), used+"100ms, or raise it")
		_, err := g.AcquireListen(t.Context(), "127.0.0.1", 80)
		mustNot(t, err) // it is no dial

		time.Sleep(time.Hour)
		began := 0
		for range 20 {
			if dial() == nil {
				began++
			}
		}
		if began != 10 {
			t.Errorf("no more than a second's worth is kept\n got %d\nwant 10", began)
		}
	})
}

func TestDialQuotaIsRoundedUp(t *testing.T) {
	var b bucket
	now := time.Now()
	for range 3 {
		b.take(now, 3)
	}
	if got, want := b.take(now, 3), 333_333_334*time.Nanosecond; got != want {
		t.Errorf("a third of a second is not over a moment early\n got %v\nwant %v", got, want)
	}
}

// Over a long time the rate is what was asked for, also where a second does not divide.
func TestDialQuotaOverTime(t *testing.T) {
	for _, rate := range []int{1, 3, 7, 1000, 999_999_937, math.MaxInt32} {
		var b bucket
		const ticks, tick = 100_000, time.Millisecond
		now, began := time.Now(), 0
		for range ticks {
			now = now.Add(tick)
			for range 3 {
				if b.take(now, rate) == 0 {
					began++
				}
			}
		}
		want := min(3*ticks, int(float64(ticks)*tick.Seconds()*float64(rate))+rate)
		if began > want || began < want-rate-want/1000 {
			t.Errorf("in %v at %d a second\n got %d dials\nwant %d", ticks*tick, rate, began, want)
		}
	}
}

func TestRefusedDialsDoNotCount(t *testing.T) {
	g := quotaGrant(t, Quota{Connections: 1, DialsPerSecond: 2})
	l := mustDial(t, g)
	for range 5 {
		_, err := g.AcquireDial(t.Context(), "example.com", 443)
		if err == nil || !strings.Contains(err.Error(), "used up Connections") {
			t.Fatalf("a dial is refused for want of connections\ngot %v", err)
		}
	}
	l.Release()
	mustDial(t, g) // a refused dial costs none of the rate
}

func TestByteQuotas(t *testing.T) {
	for _, test := range []struct {
		quota   Quota
		count   func(*Lease, int) error
		name    string
		counted func(Usage) int64
	}{
		{Quota{BytesIn: 100}, func(l *Lease, n int) error { return l.Count(n, 0) }, "BytesIn", func(u Usage) int64 { return u.BytesIn }},
		{Quota{BytesOut: 100}, func(l *Lease, n int) error { return l.Count(0, n) }, "BytesOut", func(u Usage) int64 { return u.BytesOut }},
	} {
		g := quotaGrant(t, test.quota)
		a, b := mustOpen(t, g), mustOpen(t, g)
		want := `websocket: dial example.com:443: grant "chat" has used up ` + test.name + ": 100 bytes is all for its lifetime: make a new grant with more"
		mustNot(t, test.count(a, 60))
		wantError(t, test.name+" that do not fit are refused", test.count(b, 41), want)
		mustNot(t, test.count(b, 39))
		mustNot(t, test.count(b, 1))
		mustNot(t, test.count(a, 0))
		wantError(t, test.name+" are used up by all leases together", test.count(a, 1), want)
		a.Release()
		wantError(t, test.name+" do not come back with a release", test.count(b, 1), want)
		wantError(t, test.name+" that are very many do not go around", test.count(b, math.MaxInt), want)
		if got := test.counted(g.Usage()); got != 100 {
			t.Errorf("%s are counted\n got %d\nwant 100", test.name, got)
		}
	}
}

func TestByteQuotaDefaults(t *testing.T) {
	g := quotaGrant(t, Quota{})
	l := mustOpen(t, g)
	mustNot(t, l.Count(math.MaxInt, math.MaxInt))
	if err := l.Count(1, 0); err == nil {
		t.Error("there is no unlimited: one byte more than fits into a number is refused")
	}
	if err := l.Count(0, 1); err == nil {
		t.Error("there is no unlimited: one byte more than fits into a number is refused")
	}
}

func TestQuotaDefaultsAndNegatives(t *testing.T) {
	if got, want := (Quota{}).withDefaults(), (Quota{10_000, 1_000, math.MaxInt64, math.MaxInt64}); got != want {
		t.Errorf("zero is the default\n got %+v\nwant %+v", got, want)
	}
	if got := (Quota{-1, -1, -1, -1}).withDefaults(); got != (Quota{}) {
		t.Errorf("what is negative is nothing\n got %+v", got)
	}
	const none = `websocket: dial example.com:443: the grant has used up `
	_, err := NewGrant(nil, &GrantOptions{Quota: Quota{Connections: -1}}).AcquireDial(t.Context(), "example.com", 443)
	wantError(t, "no connection is allowed", err, none+"Connections: it allows none: raise it")
	_, err = NewGrant(nil, &GrantOptions{Quota: Quota{DialsPerSecond: -1}}).AcquireDial(t.Context(), "example.com", 443)
	wantError(t, "no dial is allowed", err, none+"DialsPerSecond: it allows none: raise it")
	g := NewGrant(testList(t, everything, ""), &GrantOptions{Quota: Quota{BytesIn: -1, BytesOut: -1}})
	l := mustOpen(t, g)
	mustNot(t, l.Count(0, 0))
	wantError(t, "no byte may be read", l.Count(1, 0), none+"BytesIn: it allows none: raise it")
	wantError(t, "no byte may be written", l.Count(0, 1), none+"BytesOut: it allows none: raise it")
}

func TestCountOfNegativeBytesIsABug(t *testing.T) {
	l := mustOpen(t, quotaGrant(t, Quota{}))
	for _, n := range [][2]int{{-1, 0}, {0, -1}} {
		func() {
			defer func() {
				if s, _ := recover().(string); !strings.HasPrefix(s, "BUG: ") {
					t.Errorf("%d bytes are a bug\ngot %q", n, s)
				}
			}()
			_ = l.Count(n[0], n[1])
		}()
	}
}

func TestByteQuotaHammer(t *testing.T) {
	const leases, each = 8, 100_000
	g := quotaGrant(t, Quota{BytesIn: 3 * leases * each})
	var passed atomic.Int64
	var wg sync.WaitGroup
	for range leases {
		l := mustOpen(t, g)
		wg.Go(func() {
			for range each {
				if l.Count(3, 1) == nil {
					passed.Add(1)
				}
			}
			for range each / 10 {
				_ = l.Count(4, 0)
			}
		})
	}
	wg.Wait()
	// A count of 4 may have taken the place of others.
	if got := g.Usage(); got.BytesIn > 3*leases*each || got.BytesIn < 3*leases*each-3 || got.BytesOut != passed.Load() {
		t.Errorf("no count is lost, to the last that fits\n got %+v, %d passed\nwant %d", got, passed.Load(), 3*leases*each)
	}
}

func TestCountDoesNotAllocate(t *testing.T) {
	l := mustOpen(t, quotaGrant(t, Quota{}))
	if n := testing.AllocsPerRun(100, func() { _ = l.Count(10, 10) }); n != 0 {
		t.Errorf("counting costs no allocation\n got %v\nwant 0", n)
	}
}

// A guest that runs into a quota all the time does not fill the log, and the hook hears
// of each refusal.
func TestQuotaRefusalsAreRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, b := testLog(slog.LevelInfo)
		var decisions []Decision
		g := NewGrant(testList(t, everything, ""), &GrantOptions{
			Name: "chat", Logger: logger, OnDecision: func(d Decision) { decisions = append(decisions, d) },
			Quota: Quota{Connections: 1, BytesIn: 10},
		})
		l := mustOpen(t, g)
		dial := func() { _, _ = g.AcquireDial(t.Context(), "example.com", 443) }
		for range 100 {
			dial()
		}
		record := `level=WARN msg="websocket: permission denied" grant=chat operation=dial target=example.com port=443 verdict=denied reason="Connections is used up: 1 are open: release one, or raise it" repeated=`
		wantLog(t, "the first refusal is logged", b, record+"0")
		if len(decisions) != 100 {
			t.Errorf("the hook hears of each\n got %d\nwant 100", len(decisions))
		}
		wantError(t, "and of the error", decisions[99].Err, `websocket: dial example.com:443: grant "chat" has used up Connections: 1 are open: release one, or raise it`)
		_ = l.Count(11, 0)
		wantLog(t, "another quota is another record", b,
			`level=WARN msg="websocket: permission denied" grant=chat operation=dial target=example.com port=443 verdict=denied reason="BytesIn is used up: 10 bytes is all for its lifetime: make a new grant with more" repeated=0`)
		time.Sleep(time.Second)
		dial()
		dial()
		wantLog(t, "after a second the rest is counted", b, record+"99")
	})
}
