package permission

import (
	"net/netip"
	"strconv"
	"strings"
)

// Verdict is the answer to one question, with all that a record of it needs.
type Verdict struct {
	Allowed   bool
	Operation string         // "dial" or "listen"
	Target    string         // host that was asked for: lower case, no brackets, no last dot
	Port      uint16         // port that was asked for
	Addr      netip.AddrPort // address that was checked; zero before resolution
	Rule      *Rule          // the rule that decided, nil if none matched
	Reason    string         // what Rule does not say, such as "resolves to 127.0.0.1, a loopback address"

	needs string // the rule that would help next, empty if none would
}

// Explain says why: "allowed by --allow-net=…", "needs --allow-net=…", "denied by
// --deny-net=…", or what is wrong with the host. The reason, if any, comes first.
func (v Verdict) Explain() string {
	switch {
	case v.Allowed && v.Rule != nil && v.Rule.answered:
		return "allowed when asked, as by " + v.Rule.option()
	case v.Allowed && v.Rule != nil:
		return "allowed by " + v.Rule.option()
	case v.Allowed:
		return "allowed"
	}
	return explain(v.Reason, v.Rule, v.needs)
}

// Needs returns the allow rule that is missing. It is empty if the verdict allows, if a
// deny rule matched, and if nothing can allow what was asked for. A verdict that needs
// one rule may need another once it has that one.
func (v Verdict) Needs() string { return v.needs }

// Err returns nil if the verdict allows the operation and an *Error otherwise.
func (v Verdict) Err() error {
	if v.Allowed {
		return nil
	}
	return &Error{
		Operation: v.Operation,
		Target:    v.Target,
		Port:      v.Port,
		Addr:      v.Addr,
		Rule:      v.Rule,
		Needs:     v.needs,
		Reason:    v.Reason,
	}
}

// Error is an operation that the List does not permit.
type Error struct {
	Operation string         // "dial" or "listen"
	Target    string         // host that was asked for, as in Verdict
	Port      uint16         // port that was asked for
	Addr      netip.AddrPort // address that was checked; zero before resolution
	Rule      *Rule          // the deny rule that matched, nil if none did
	Needs     string         // the allow rule that is missing; empty if a deny rule matched or the target is never permitted
	Reason    string         // what Rule and Needs do not say
}

// Error returns a message such as
//
//	websocket: dial example.com:443 is not permitted: needs --allow-net=example.com:443
//
// It shows host and port of the target and no other part of a URL.
func (e *Error) Error() string {
	return "websocket: " + e.Operation + " " + joinHostPort(e.Target, e.Port) +
		" is not permitted: " + explain(e.Reason, e.Rule, e.Needs)
}

func explain(reason string, denied *Rule, needs string) string {
	var parts []string
	if reason != "" {
		parts = append(parts, reason)
	}
	if denied != nil {
		parts = append(parts, "denied by "+denied.option())
	}
	if needs != "" {
		parts = append(parts, "needs --allow-net="+needs)
	}
	return strings.Join(parts, ": ")
}

func (v *Verdict) allow(r *Rule) {
	v.Allowed, v.Rule = true, r
}

func (v *Verdict) deny(r *Rule, reason string) {
	if !r.ports.contains(v.Port) {
		reason = "port 0 lets the system choose a port that is denied"
	}
	v.Allowed, v.Rule, v.Reason = false, r, reason
}

// need refuses for want of a rule. A rule that decided half of the question is taken
// back: it did not decide the whole.
func (v *Verdict) need(needs, reason string) {
	v.Allowed, v.Rule, v.Reason, v.needs = false, nil, reason, needs
}

// refuse refuses what no rule can allow.
func (v *Verdict) refuse(reason string) {
	v.need("", reason)
}

// because adds to the reason.
func (v *Verdict) because(reason string) {
	if v.Reason != "" {
		v.Reason += "; "
	}
	v.Reason += reason
}

// reason says how the i-th address of m comes into the question of v, and what kind of
// address it is if kind is not empty. It is empty if the question was about that very
// address.
func (m *meanings) reason(v *Verdict, i int, kind string) string {
	resolved := v.Addr.IsValid()
	if !resolved && i == 0 {
		return ""
	}
	var steps []string
	if resolved {
		steps = append(steps, "resolves to "+m.addrs[0].String())
	}
	if i > 0 {
		verb := "embeds "
		if m.addrs[0].IsUnspecified() {
			verb = "reaches "
		}
		steps = append(steps, verb+m.addrs[i].String())
	}
	reason := strings.Join(steps, ", which ")
	if kind != "" {
		reason += ", " + kind
	}
	return reason
}

// addrRule returns the rule that names addr and port.
func addrRule(addr netip.Addr, port uint16) string {
	return netip.AddrPortFrom(addr, port).String()
}

// nameRule returns the rule that names name and port. A few names mean something else
// in a rule; for them it is the rule that has their sub-domains too.
func nameRule(name string, port uint16) string {
	rule := joinHostPort(name, port)
	if r, err := parseRule(rule); err != nil || r.kind != kindName {
		return "*." + rule
	}
	return rule
}

// joinHostPort adds brackets to an IPv6 address.
func joinHostPort(host string, port uint16) string {
	if addr, err := netip.ParseAddr(host); err == nil && addr.Is6() {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(int(port))
}
