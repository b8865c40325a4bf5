package permission

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"sync/atomic"
	"time"
)

// Quota is how much a Grant may be used. In each field zero means the default, and a
// negative number that nothing may be: there is no unlimited.
type Quota struct {
	// Connections is the most leases at a time: dials under way, connections and
	// listeners. Default 10,000.
	Connections int

	// DialsPerSecond is how many dials may begin in a second, over time. So many may
	// begin at once after a second without any. Default 1,000.
	DialsPerSecond int

	// BytesIn and BytesOut are the most bytes read and written by everything that the
	// grant opens, together, as long as it lives. A connection that stays has no
	// natural total, so the default is the largest number: bytes are counted, and no
	// connection gets there.
	BytesIn, BytesOut int64
}

const (
	defaultConnections    = 10_000
	defaultDialsPerSecond = 1_000
)

func (q Quota) withDefaults() Quota {
	return Quota{
		Connections:    orDefault(q.Connections, defaultConnections),
		DialsPerSecond: orDefault(q.DialsPerSecond, defaultDialsPerSecond),
		BytesIn:        orDefault(q.BytesIn, math.MaxInt64),
		BytesOut:       orDefault(q.BytesOut, math.MaxInt64),
	}
}

// orDefault returns d for zero, and zero for what is negative.
func orDefault[T int | int64](v, d T) T {
	if v == 0 {
		return d
	}
	return max(v, 0)
}

// Usage is how much of a Quota is in use.
type Usage struct {
	Connections       int
	BytesIn, BytesOut int64
}

// Usage returns how much g is used at the moment.
func (g *Grant) Usage() Usage {
	if g == nil {
		return Usage{}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return Usage{Connections: g.open, BytesIn: g.bytesIn.Load(), BytesOut: g.bytesOut.Load()}
}

// take adds n to used, unless that would be more than limit.
func take(used *atomic.Int64, n int, limit int64) bool {
	if n < 0 {
		panic("BUG: a negative number of bytes")
	}
	for {
		have := used.Load()
		if int64(n) > limit-have {
			return false
		}
		if used.CompareAndSwap(have, have+int64(n)) {
			return true
		}
	}
}

// A bucket holds the dials that may begin at once.
type bucket struct {
	full time.Time // when it is full again, if nobody dials
}

// take takes one dial out, at most rate of which the bucket holds, and gets back in a
// second. It returns how long to wait if there is none. rate is positive.
func (b *bucket) take(now time.Time, rate int) (wait time.Duration) {
	// Rounded up, so that a rate is not exceeded by the rounding.
	each := (time.Second + time.Duration(rate) - 1) / time.Duration(rate)
	full := now
	if b.full.After(now) {
		full = b.full
	}
	full = full.Add(each)
	if wait = full.Sub(now) - each*time.Duration(rate); wait > 0 {
		return wait
	}
	b.full = full
	return 0
}

// quotaKind is a field of Quota.
type quotaKind uint8

const (
	quotaConnections quotaKind = iota
	quotaDials
	quotaBytesIn
	quotaBytesOut
	quotaCount
)

// A QuotaError is an operation that a Quota does not allow. It says nothing against the
// target.
type QuotaError struct {
	Grant      string        // GrantOptions.Name
	Operation  string        // "dial" or "listen"
	Target     string        // host that was asked for, as in Verdict
	Port       uint16        // port that was asked for
	Quota      string        // the field of Quota
	Max        int64         // its value, with the default; 0 if it was negative
	RetryAfter time.Duration // for DialsPerSecond, when the next dial may begin
}

// Error returns a message such as
//
//	websocket: dial example.com:443: grant "chat" has used up Connections: 10000 are open: release one, or raise it
func (e *QuotaError) Error() string {
	name := "the grant"
	if e.Grant != "" {
		name = fmt.Sprintf("grant %q", e.Grant)
	}
	return fmt.Sprintf("websocket: %s %s: %s has used up %s: %s",
		e.Operation, joinHostPort(e.Target, e.Port), name, e.Quota, e.detail())
}

func (e *QuotaError) detail() string {
	switch {
	case e.Max == 0:
		return "it allows none: raise it"
	case e.Quota == "Connections":
		return fmt.Sprintf("%d are open: release one, or raise it", e.Max)
	case e.Quota == "DialsPerSecond":
		return fmt.Sprintf("%d began within a second: dial again in %v, or raise it", e.Max, e.RetryAfter)
	default:
		return fmt.Sprintf("%d bytes is all for its lifetime: make a new grant with more", e.Max)
	}
}

// describe names kind, and returns what g allows of it.
func (g *Grant) describe(kind quotaKind) (name string, limit int64) {
	switch kind {
	case quotaConnections:
		return "Connections", int64(g.quota.Connections)
	case quotaDials:
		return "DialsPerSecond", int64(g.quota.DialsPerSecond)
	case quotaBytesIn:
		return "BytesIn", g.quota.BytesIn
	case quotaBytesOut:
		return "BytesOut", g.quota.BytesOut
	}
	panic("BUG: quota of unknown kind")
}

// refuse records that kind denies u, and returns the error. g.mu is not held.
func (g *Grant) refuse(ctx context.Context, u use, kind quotaKind, wait time.Duration) error {
	v := u.on(nil)
	name, limit := g.describe(kind)
	err := &QuotaError{
		Grant: g.name, Operation: v.Operation, Target: v.Target, Port: v.Port,
		Quota: name, Max: limit, RetryAfter: wait,
	}
	if g.recording() {
		v.refuse(name + " is used up: " + err.detail())
		d := Decision{Grant: g.name, Verdict: v, Err: err}
		if repeated, due := g.due(kind); due {
			g.record(ctx, d, slog.Int("repeated", repeated))
		} else {
			g.notify(d)
		}
	}
	return err
}

// muted keeps a guest that runs into a quota all the time from filling the log.
type muted struct {
	until    time.Time
	repeated int // refusals since then
}

// due reports whether a refusal by kind goes to the logger, and how many since the
// last one did not.
func (g *Grant) due(kind quotaKind) (repeated int, due bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := &g.muted[kind]
	now := time.Now()
	if now.Before(m.until) {
		m.repeated++
		return 0, false
	}
	repeated = m.repeated
	*m = muted{until: now.Add(time.Second)}
	return repeated, true
}
