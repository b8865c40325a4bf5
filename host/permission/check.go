package permission

import "net/netip"

const (
	opDial   = "dial"
	opListen = "listen"
)

// CheckTarget decides about dialling host and port before the host is resolved. host
// is a name or an IP literal, with brackets or without; port is the one that will be
// dialled, so the default of the scheme if a URL has none. For a literal the verdict
// is complete. For a name it is the first half: every address that the name resolves
// to goes to CheckAddr before it is dialled.
func (l *List) CheckTarget(host string, port uint16) Verdict {
	v, _ := l.checkTarget(opDial, host, port)
	return v
}

// CheckAddr decides about dialling addr, to which host was resolved. It checks host
// again, so its verdict needs no other beside it. Call it for every address before it
// is dialled, and with the address of the peer once connected: a system may connect
// elsewhere than it was told. A literal host resolves to itself only.
func (l *List) CheckAddr(host string, addr netip.AddrPort) Verdict {
	v, t := l.checkTarget(opDial, host, addr.Port())
	v.Addr = addr
	if !v.Allowed {
		return v
	}
	switch {
	case !addr.IsValid():
		v.refuse("there is no address")
	case addr.Addr().Zone() != "":
		v.refuse("an address with a zone id is never permitted")
	case t.isLiteral():
		if m := meaningsOf(t.addr); !m.reaches(addr.Addr()) {
			v.refuse("the address " + addr.Addr().String() + " is not the one that was asked for")
		}
	default:
		l.decideResolved(&v, t, addr.Addr())
	}
	return v
}

// CheckListen decides about accepting connections on host and port. host is the
// address to bind or localhost, which the caller then binds to loopback addresses
// only: other names are refused, because what they resolve to is not the caller's
// choice. Port 0 lets the system choose; it needs a rule without ports or with port 0,
// and is denied by deny rules for any port that the system may choose.
func (l *List) CheckListen(host string, port uint16) Verdict {
	v, _ := l.checkTarget(opListen, host, port)
	return v
}

func (l *List) checkTarget(operation, host string, port uint16) (Verdict, target) {
	v := Verdict{Operation: operation, Port: port}
	t, why := parseTarget(host)
	if why != "" {
		v.Target = display(host)
		v.refuse(why)
		return v, t
	}
	v.Target = t.text
	switch {
	case operation == opDial && port == 0:
		v.refuse("port 0 cannot be dialled")
	case operation == opListen && !t.isLiteral() && t.text != localhost:
		v.refuse("a listener is bound to an address or to localhost")
	case t.isLiteral():
		l.decideLiteral(&v, t.addr)
	default:
		l.decideName(&v, t.text)
	}
	return v, t
}

// decideName fills in v for a name that is not resolved yet.
func (l *List) decideName(v *Verdict, name string) {
	names := func(r *Rule) bool { return r.coversName(name) }
	if r := find(l.denyRules(), v, names); r != nil {
		v.deny(r, "")
	} else if r := find(l.allowRules(), v, names); r != nil {
		v.allow(r)
	} else {
		v.need(nameRule(name, v.Port), "")
	}
}

// decideLiteral fills in v for a host that is addr. A rule has to name addr itself,
// and addresses that it embeds have to be public or named as well. A listener is
// reached at addr only, whatever that embeds.
func (l *List) decideLiteral(v *Verdict, addr netip.Addr) {
	m := meaningsOf(addr)
	if l.denyMeanings(v, m) {
		return
	}
	for i, a := range m.addrs[:m.n] {
		if i > 0 && (classOf(a) == classPublic || v.Operation == opListen) {
			continue
		}
		r := l.allowingAddr(v, a)
		if r == nil {
			v.need(addrRule(a, v.Port), m.reason(v, i, classOf(a).String()))
			return
		}
		if i == 0 {
			v.Rule = r
		}
	}
	v.allow(v.Rule)
}

// decideResolved changes v, which allows the name t, for the address that t resolved
// to. The rule for the name suffices for public addresses, and for loopback addresses
// of localhost. All others need a rule that names them.
func (l *List) decideResolved(v *Verdict, t target, addr netip.Addr) {
	m := meaningsOf(addr)
	if l.denyMeanings(v, m) {
		return
	}
	for i, a := range m.addrs[:m.n] {
		c := classOf(a)
		if c == classPublic || c == classLoopback && t.isLocalhost() {
			continue
		}
		r := l.allowingAddr(v, a)
		if r == nil {
			v.need(addrRule(a, v.Port), m.reason(v, i, c.String()))
			return
		}
		v.allow(r)
	}
}

// denyMeanings denies v if a deny rule names an address of m.
func (l *List) denyMeanings(v *Verdict, m meanings) bool {
	for i, a := range m.addrs[:m.n] {
		r := find(l.denyRules(), v, func(r *Rule) bool { return r.coversAddr(a) })
		if r != nil {
			v.deny(r, m.reason(v, i, ""))
			return true
		}
	}
	return false
}

func (l *List) allowingAddr(v *Verdict, addr netip.Addr) *Rule {
	return find(l.allowRules(), v, func(r *Rule) bool { return r.coversAddr(addr) })
}

// find returns the most specific of rules that covers the port of v and for which
// covers holds, or nil.
func find(rules []Rule, v *Verdict, covers func(*Rule) bool) *Rule {
	for i := range rules {
		if r := &rules[i]; r.coversPort(v.Operation, v.Port) && covers(r) {
			return r
		}
	}
	return nil
}

func (l *List) allowRules() []Rule {
	if l == nil {
		return nil
	}
	return l.allow
}

func (l *List) denyRules() []Rule {
	if l == nil {
		return nil
	}
	return l.deny
}
