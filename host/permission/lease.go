package permission

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"
)

// ErrReleased is returned by the methods of a Lease that was released.
var ErrReleased = errors.New("websocket: the lease was released")

// ErrNotOpened is returned by Lease.Count before Lease.Opened: nobody has checked what
// the connection is connected to.
var ErrNotOpened = errors.New("websocket: the lease's connection was not checked: call Opened once it is connected")

// A Lease stands for one thing that a Grant opened: a dial and then its connection, a
// listener, or a connection that a listener accepted. It may be used by several
// goroutines at once.
//
// A dial acquires its lease first of all, is checked, calls Opened when it is
// connected, and Release when the connection is closed. There is no gap: until Opened
// the checks are those of the current list, and after it SetList looks at the lease.
type Lease struct {
	grant  *Grant
	wanted use           // what it was acquired for
	state  atomic.Uint32 // written under grant.mu
	err    *RevokedError // written before state becomes leaseRevoked

	// Guarded by grant.mu.
	uses     []use // the target, then a proxy; all have to stay allowed
	onRevoke func(error)
}

const (
	leaseDialling uint32 = iota
	leaseOpen
	leaseRevoked
	leaseReleased
)

// AcquireDial begins a dial to host and port: it counts one connection and one dial. It
// asks no rule: the checks follow. ctx is for the logger. The error is a *QuotaError, or
// an *Error if g was revoked.
func (g *Grant) AcquireDial(ctx context.Context, host string, port uint16) (*Lease, error) {
	return g.acquire(ctx, use{stage: stageTarget, host: host, port: port}, leaseDialling)
}

// AcquireListen counts one listener on host and port, or one connection that such a
// listener accepted. host and port are those of CheckListen, also where the system
// chose the port. The prompt is not asked: CheckListen before the listener is bound
// does that. The lease needs no Opened. The error is a *QuotaError or an *Error.
func (g *Grant) AcquireListen(ctx context.Context, host string, port uint16) (*Lease, error) {
	return g.acquire(ctx, use{stage: stageListen, host: host, port: port}, leaseOpen)
}

func (g *Grant) acquire(ctx context.Context, u use, state uint32) (*Lease, error) {
	if g == nil {
		return nil, u.on(nil).Err()
	}
	l := &Lease{grant: g, wanted: u, uses: []use{u}}
	l.state.Store(state)
	kind, wait, v, ok := g.admit(l)
	switch {
	case ok:
		return l, nil
	case kind != quotaCount:
		return nil, g.refuse(ctx, u, kind, wait)
	default:
		return nil, g.denied(ctx, v)
	}
}

// admit adds l to the leases if it can. If not, kind is the quota that is used up, and
// quotaCount if v denies.
func (g *Grant) admit(l *Lease) (kind quotaKind, wait time.Duration, v Verdict, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	dials := l.state.Load() == leaseDialling
	if !dials || g.list.Load() == revokedList {
		if v = g.known(l.wanted); !v.Allowed {
			return quotaCount, 0, v, false
		}
	}
	if g.open >= g.quota.Connections {
		return quotaConnections, 0, v, false
	}
	if dials {
		if g.quota.DialsPerSecond == 0 {
			return quotaDials, 0, v, false
		}
		if wait = g.dials.take(time.Now(), g.quota.DialsPerSecond); wait > 0 {
			return quotaDials, wait, v, false
		}
	}
	g.open++
	g.leases[l] = struct{}{}
	return 0, 0, v, true
}

// denied records v, which denies, and returns its error.
func (g *Grant) denied(ctx context.Context, v Verdict) error {
	err := v.Err()
	if g.recording() {
		g.record(ctx, Decision{Grant: g.name, Verdict: v, Err: err})
	}
	return err
}

// Opened says that the dial is connected to addr, and checks that once more, by the
// list of this moment. From now on the lease is revoked if a new list does not allow
// the target at addr. A dial that connects anew, to take the place of the connection,
// calls it again. With an error (an *Error, a *RevokedError, or ErrReleased) the caller
// closes the connection. ctx is for the logger: the prompt is not asked.
func (l *Lease) Opened(ctx context.Context, addr netip.AddrPort) error {
	return l.opened(ctx, l.target(addr))
}

// OpenedThrough is Opened for a connection through a proxy: proxy and addr are the
// proxy's host and address. target is the address that the proxy was told to connect
// to, and the zero Addr if it was told the name: then nobody but the proxy knows the
// address, and the target is checked by name.
func (l *Lease) OpenedThrough(ctx context.Context, proxy string, addr netip.AddrPort, target netip.Addr) error {
	t := l.target(netip.AddrPort{})
	if target.IsValid() {
		t = l.target(netip.AddrPortFrom(target, t.port))
	} else {
		t.stage = stageTarget
	}
	return l.opened(ctx, t, use{stage: stageAddr, host: proxy, addr: addr, port: addr.Port()})
}

// target returns the use of the host and port that the lease was acquired for, at addr.
func (l *Lease) target(addr netip.AddrPort) use {
	u := l.wanted
	if u.stage == stageListen {
		panic("BUG: Opened is for leases of AcquireDial")
	}
	u.stage, u.addr = stageAddr, addr
	return u
}

func (l *Lease) opened(ctx context.Context, uses ...use) error {
	g := l.grant
	v, err := l.open(uses)
	if err == nil && !v.Allowed {
		return g.denied(ctx, v)
	}
	return err
}

func (l *Lease) open(uses []use) (v Verdict, err error) {
	g := l.grant
	g.mu.Lock()
	defer g.mu.Unlock()
	switch l.state.Load() {
	case leaseRevoked:
		return v, l.err
	case leaseReleased:
		return v, ErrReleased
	}
	for _, u := range uses {
		if v = g.known(u); !v.Allowed {
			return v, nil
		}
	}
	l.uses = uses
	l.state.Store(leaseOpen)
	return v, nil
}

// OnRevoke has f called once when the lease is revoked, with a *RevokedError, by the
// goroutine that changes the list; at once, by this one, if that has happened. f closes
// the connection (the close code for it is 1008) or ends the dial, and must not wait
// for long. It may use the lease and its grant. A later f takes the place of an earlier
// one; after Release none is called, but one may just be running.
func (l *Lease) OnRevoke(f func(error)) {
	g := l.grant
	g.mu.Lock()
	l.onRevoke = f
	revoked := l.state.Load() == leaseRevoked
	g.mu.Unlock()
	if revoked && f != nil {
		f(l.err)
	}
}

// Count counts bytes that were read and written. It is meant for every read and write:
// it takes no lock and allocates nothing. With an error (a *QuotaError, a
// *RevokedError, ErrNotOpened or ErrReleased) the caller closes the connection, and
// need not count what that takes. Bytes that do not fit are not counted.
func (l *Lease) Count(in, out int) error {
	if state := l.state.Load(); state != leaseOpen {
		return l.unusable(state)
	}
	g := l.grant
	if !take(&g.bytesIn, in, g.quota.BytesIn) {
		return g.refuse(context.Background(), l.wanted, quotaBytesIn, 0)
	}
	if !take(&g.bytesOut, out, g.quota.BytesOut) {
		return g.refuse(context.Background(), l.wanted, quotaBytesOut, 0)
	}
	return nil
}

// unusable says why l is not open in state.
func (l *Lease) unusable(state uint32) error {
	switch state {
	case leaseDialling:
		return ErrNotOpened
	case leaseRevoked:
		return l.err
	default:
		return ErrReleased
	}
}

// Release says that what the lease stands for is closed. Only the first call counts.
func (l *Lease) Release() {
	g := l.grant
	g.mu.Lock()
	defer g.mu.Unlock()
	if l.state.Swap(leaseReleased) != leaseReleased {
		g.open--
		delete(g.leases, l)
		l.onRevoke = nil
	}
}

// A revocation is a lease that was revoked, and whose holder is not told yet.
type revocation struct {
	verdict Verdict
	f       func(error)
	err     *RevokedError
}

// revoke marks l as revoked because of v. g.mu is held. It counts as a connection
// until it is released.
func (l *Lease) revoke(v Verdict) revocation {
	g := l.grant
	delete(g.leases, l)
	l.err = &RevokedError{Grant: g.name, Err: v.Err()}
	l.state.Store(leaseRevoked)
	return revocation{v, l.onRevoke, l.err}
}

// tell tells the holders of revoked leases. g.mu is not held.
func (g *Grant) tell(revoked []revocation) {
	for _, r := range revoked {
		if g.recording() {
			g.record(context.Background(), Decision{Grant: g.name, Verdict: r.verdict, Err: r.err})
		}
		if r.f != nil {
			r.f(r.err)
		}
	}
}

// A RevokedError is why something that was open has to be closed: a new list does not
// allow it.
type RevokedError struct {
	Grant string // GrantOptions.Name
	Err   error  // the *Error of the new list
}

// Error returns a message such as
//
//	websocket: permission revoked: dial example.com:443 is not permitted: denied by --deny-net=example.com
func (e *RevokedError) Error() string {
	return "websocket: permission revoked: " + strings.TrimPrefix(e.Err.Error(), "websocket: ")
}

func (e *RevokedError) Unwrap() error { return e.Err }
