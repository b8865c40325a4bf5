package permission

import (
	"net/netip"
	"strconv"
)

// Rule is one entry of a List. Rules are made by Parse, by AllowAll and by the answers
// to a Grant's prompt, and are handed out in verdicts.
type Rule struct {
	effect effect
	kind   kind
	name   string       // kindName and kindSuffix, as parseTarget spells names
	prefix netip.Prefix // kindPrefix: masked, and IPv4 where it is IPv4-mapped
	class  class        // kindClass
	ports  ports

	answered bool // it was added by an answer to a prompt
}

// effect is what a rule does to the targets that it matches.
type effect uint8

const (
	allowing effect = iota
	denying
)

// kind is what a rule names.
type kind uint8

const (
	kindAll    kind = iota // everything: AllowAll
	kindName               // one host name
	kindSuffix             // a name and its sub-domains
	kindPrefix             // addresses, one or a range
	kindClass              // the addresses of a class word
	kindLocal              // the local host, by a bare port
)

// String returns the canonical spelling: Parse makes an equal rule of it. The rule
// of AllowAll has no spelling, and its String is empty.
func (r *Rule) String() string {
	s := r.host()
	if len(r.ports) > 0 {
		s += ":" + r.ports.String()
	}
	return s
}

// option returns the command-line option that made r.
func (r *Rule) option() string {
	option := "--allow-net"
	if r.effect == denying {
		option = "--deny-net"
	}
	if r.kind == kindAll {
		return option
	}
	return option + "=" + r.String()
}

func (r *Rule) host() string {
	switch r.kind {
	case kindAll, kindLocal:
		return ""
	case kindName:
		return r.name
	case kindSuffix:
		return "*." + r.name
	case kindPrefix:
		s := r.prefix.Addr().String()
		if !r.prefix.IsSingleIP() {
			s += "/" + strconv.Itoa(r.prefix.Bits())
		}
		if r.prefix.Addr().Is6() {
			s = "[" + s + "]"
		}
		return s
	case kindClass:
		return r.class.word()
	}
	panic("BUG: rule of unknown kind")
}

// width orders rules that cover equally many ports, the narrowest first. Only rules
// that can match the same target need to compare well.
func (r *Rule) width() int {
	switch r.kind {
	case kindName:
		return 0
	case kindLocal:
		return 1
	case kindSuffix:
		return 1 + maxName - len(r.name)
	case kindPrefix:
		return r.prefix.Addr().BitLen() - r.prefix.Bits()
	case kindClass:
		return 1 + 128
	case kindAll:
		return 1 + maxName
	}
	panic("BUG: rule of unknown kind")
}

// coversPort reports whether r covers port for operation. A listener on port 0 gets
// a port that nobody knows yet, so a deny rule covers it if it may become one of its
// ports.
func (r *Rule) coversPort(operation string, port uint16) bool {
	if r.effect == denying && operation == opListen && port == 0 && len(r.ports) > 0 {
		return r.ports.containsDynamic()
	}
	return r.ports.contains(port)
}

// coversName reports whether r names name. Rules for addresses name no names.
func (r *Rule) coversName(name string) bool {
	switch r.kind {
	case kindAll:
		return true
	case kindName:
		return name == r.name
	case kindSuffix:
		return isSubdomain(name, r.name)
	case kindLocal:
		return name == localhost
	case kindPrefix, kindClass:
		return false
	}
	panic("BUG: rule of unknown kind")
}

// coversAddr reports whether r names addr, which is not IPv4-mapped. Deny rules are
// read more widely than allow rules: a class word denies the metadata addresses in
// its ranges, and localhost denies the loopback addresses.
func (r *Rule) coversAddr(addr netip.Addr) bool {
	switch r.kind {
	case kindAll:
		return true
	case kindName, kindSuffix:
		return r.effect == denying && r.name == localhost && addr.IsLoopback()
	case kindPrefix:
		return r.prefix.Contains(addr)
	case kindClass:
		if r.effect == denying {
			return rangeClass(addr) == r.class
		}
		return classOf(addr) == r.class
	case kindLocal:
		if r.effect == denying && addr.IsLoopback() {
			return true
		}
		return addr == ipv4Loopback || addr == ipv6Loopback || addr == ipv4Unspecified
	}
	panic("BUG: rule of unknown kind")
}
