package main

import (
	"strings"

	"github.com/spf13/pflag"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/host/permission"
)

// netFlags are --allow-net and --deny-net.
type netFlags struct{ allow, deny optionalList }

// add adds the flags. byDefault says what is allowed without --allow-net.
func (n *netFlags) add(fs *pflag.FlagSet, byDefault string) {
	n.allow.add(fs, "allow-net", "targets to allow `[=RULES]`, all without a value (default "+byDefault+")")
	n.deny.add(fs, "deny-net", "targets to deny `[=RULES]`, also where --allow-net allows them, all without a value; rules like example.com:443,10.0.0.0/8")
}

// list returns the permissions. Without --allow-net they allow what the rules named
// say. A bare --deny-net leaves none: see explain and denied.
func (n *netFlags) list(named ...string) (*permission.List, error) {
	allow := n.allow.values
	if !n.allow.given() {
		allow = named
	}
	list, err := permission.Parse(allow, n.deny.values)
	if n.allow.all && err == nil {
		list, err = permission.AllowAll(n.deny.values...)
	}
	switch {
	case err != nil:
		return nil, usage("--allow-net or --deny-net: %w", err)
	case n.deny.all:
		return nil, nil
	}
	return list, nil
}

const deniedAll = "denied by --deny-net"

// explain says why v is what it is. No rule helps against a bare --deny-net.
func (n *netFlags) explain(v permission.Verdict) string {
	if n.deny.all && v.Needs() != "" {
		return deniedAll
	}
	return v.Explain()
}

// denied returns e as the error of a command.
func (n *netFlags) denied(e *host.PermissionError) error {
	if n.deny.all && e.Needs != "" {
		all := *e
		all.Needs, all.Reason = "", deniedAll
		e = &all
	}
	return &exitError{exitNotPermitted, e}
}

// ruleFor returns the rule that allows to dial host and port and nothing else. The
// error is of a host that no rule can allow.
func ruleFor(host string, port uint16) (string, error) {
	v := (*permission.List)(nil).CheckTarget(host, port)
	if v.Needs() == "" {
		return "", &exitError{exitNotPermitted, v.Err()}
	}
	return v.Needs(), nil
}

// everything is the value of an optionalList where it has none. With it and the type
// bool the help shows no value that could be taken for one of the list.
const everything = "true"

// optionalList is the value of a flag that may be given without one, which stands for
// all. Values are parsed later: the error of a flag repeats its value, and that may
// hold a password by mistake.
type optionalList struct {
	all    bool
	values []string
}

func (l *optionalList) add(fs *pflag.FlagSet, name, usage string) {
	fs.Var(l, name, usage)
	fs.Lookup(name).NoOptDefVal = everything
}

func (l *optionalList) given() bool { return l.all || len(l.values) > 0 }

func (l *optionalList) String() string { return strings.Join(l.values, ",") }
func (l *optionalList) Type() string   { return "bool" }

func (l *optionalList) Set(text string) error {
	if text == everything {
		l.all = true
	} else {
		l.values = append(l.values, text)
	}
	return nil
}
