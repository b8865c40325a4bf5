package permission

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
)

// A Grant is a List in the hands of somebody: a service, a guest. It decides as its
// List does, and besides records decisions, asks a prompt about what the List does not
// say, counts connections, dials and bytes, and can be changed while connections are
// open. A nil *Grant allows nothing. A Grant may be used by several goroutines at once.
type Grant struct {
	name       string
	quota      Quota // with its defaults
	logger     *slog.Logger
	onDecision func(Decision)
	prompt     func(context.Context, Verdict) (Answer, error)

	// list holds the rules that were given and those that answers added. It is
	// replaced under mu, and read without.
	list atomic.Pointer[List]

	bytesIn, bytesOut atomic.Int64

	// turn is taken by the question that is in front of the prompt.
	turn chan struct{}

	mu      sync.Mutex
	answers answers
	leases  map[*Lease]struct{} // neither revoked nor released
	open    int                 // leases that are not released
	dials   bucket
	muted   [quotaCount]muted
}

// GrantOptions are the options of NewGrant. Nil is the same as the zero value.
type GrantOptions struct {
	// Name says who holds the grant, in records and errors.
	Name string

	// Quota is how much the grant may be used.
	Quota Quota

	// Logger gets one record for each decision: at Warn if it denies, because
	// somebody tries what was not granted; at Info if an answer or a change of the
	// list decided; at Debug if a rule allows, because a connection is three such
	// decisions or more, all of them foreseen. Of refusals by the same quota it gets
	// one a second, which counts those in between. Default none.
	Logger *slog.Logger

	// OnDecision, if set, is called with each decision, by the goroutine that asked,
	// so by several at once. It may use the grant.
	OnDecision func(Decision)

	// Prompt, if set, is asked where a rule is missing (Verdict.Needs), and never
	// where a rule denied or nothing can allow. It is called for one question at a
	// time, and must return when ctx ends. With an error the operation is denied, and
	// the next one asks again. It must not ask the grant.
	Prompt func(ctx context.Context, v Verdict) (Answer, error)
}

// NewGrant makes a Grant of list, which may be nil. o may be nil.
func NewGrant(list *List, o *GrantOptions) *Grant {
	if o == nil {
		o = &GrantOptions{}
	}
	g := &Grant{
		name:       o.Name,
		quota:      o.Quota.withDefaults(),
		logger:     o.Logger,
		onDecision: o.OnDecision,
		prompt:     o.Prompt,
		turn:       make(chan struct{}, 1),
		leases:     make(map[*Lease]struct{}),
	}
	g.list.Store(list)
	return g
}

// Allow makes a Grant of the rules of --allow-net, with default options.
func Allow(rules ...string) (*Grant, error) {
	list, err := Parse(rules, nil)
	if err != nil {
		return nil, err
	}
	return NewGrant(list, nil), nil
}

// CheckTarget decides as List.CheckTarget does. Where a rule is missing and there is
// a prompt it waits for the answer, or for ctx to end, which denies.
func (g *Grant) CheckTarget(ctx context.Context, host string, port uint16) Verdict {
	return g.check(ctx, use{stage: stageTarget, host: host, port: port})
}

// CheckAddr decides as List.CheckAddr does, and asks as CheckTarget does. What is
// asked for names the address, which may belong to a name that was allowed before.
func (g *Grant) CheckAddr(ctx context.Context, host string, addr netip.AddrPort) Verdict {
	return g.check(ctx, use{stage: stageAddr, host: host, addr: addr, port: addr.Port()})
}

// CheckListen decides as List.CheckListen does, and asks as CheckTarget does.
func (g *Grant) CheckListen(ctx context.Context, host string, port uint16) Verdict {
	return g.check(ctx, use{stage: stageListen, host: host, port: port})
}

func (g *Grant) check(ctx context.Context, u use) Verdict {
	if g == nil {
		return u.on(nil)
	}
	v := u.on(g.list.Load())
	prompted := false
	if g.prompt != nil && !v.Allowed && v.needs != "" {
		v, prompted = g.ask(ctx, u)
	}
	if g.recording() {
		g.record(ctx, Decision{Grant: g.name, Verdict: v, Prompted: prompted, Err: v.Err()})
	}
	return v
}

// SetList replaces the list, and forgets the answers of the prompt. Decisions from
// then on are by the new list; a question that is being asked is asked anew if the new
// list leaves it open. What the grant opened and the new list does not allow is
// revoked: SetList returns when the functions of Lease.OnRevoke have returned. A nil
// list allows nothing. After Revoke SetList does nothing.
func (g *Grant) SetList(list *List) {
	if g == nil {
		return
	}
	g.mu.Lock()
	var revoked []revocation
	if g.list.Load() != revokedList {
		revoked = g.replace(list)
	}
	g.mu.Unlock()
	g.tell(revoked)
}

// Revoke takes the grant away for good: everything that it opened is revoked, as by
// SetList, and from then on it allows nothing and asks nobody.
func (g *Grant) Revoke() { g.SetList(revokedList) }

// replace does the part of SetList that happens under g.mu.
func (g *Grant) replace(list *List) (revoked []revocation) {
	g.list.Store(list)
	g.forget()
	for l := range g.leases {
		if v, refused := g.refuses(l); refused {
			revoked = append(revoked, l.revoke(v))
		}
	}
	return revoked
}

// refuses reports whether l cannot stay. A dial that is under way can while it may
// still be asked about: Lease.Opened checks it once more.
func (g *Grant) refuses(l *Lease) (v Verdict, refused bool) {
	waits := l.state.Load() == leaseDialling && g.prompt != nil
	for _, u := range l.uses {
		if v = g.known(u); !v.Allowed && (v.needs == "" || !waits) {
			return v, true
		}
	}
	return Verdict{}, false
}

// revokedList is the list of a grant that was revoked. It stands for itself: what it
// denies is denied with that reason.
var revokedList = new(List)

// A use is what somebody wants to do, or does: an operation on a host and port, at an
// address if that is known.
type use struct {
	stage stage
	host  string
	port  uint16
	addr  netip.AddrPort // stageAddr only
}

// stage says which question to a List a use is.
type stage uint8

const (
	stageTarget stage = iota
	stageAddr
	stageListen
)

// on returns what list says about u.
func (u use) on(list *List) Verdict {
	var v Verdict
	switch u.stage {
	case stageTarget:
		v = list.CheckTarget(u.host, u.port)
	case stageAddr:
		v = list.CheckAddr(u.host, u.addr)
		if v.Allowed && u.addr.Port() != u.port {
			v.refuse("the port is not the one that was asked for")
		}
	case stageListen:
		v = list.CheckListen(u.host, u.port)
	default:
		panic("BUG: use of unknown stage")
	}
	if list == revokedList && v.needs != "" {
		v.refuse("the grant was revoked")
	}
	return v
}
