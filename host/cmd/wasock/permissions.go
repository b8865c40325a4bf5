package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/host/dialer"
	"github.com/wasock/wasock/host/permission"
)

func newPermissions() *cobra.Command {
	cmd := &cobra.Command{
		Use:                        "permissions",
		Short:                      "Show what --allow-net and --deny-net permit",
		Example:                    `  wasock permissions explain --allow-net='*.example.com' wss://a.example.com/`,
		SuggestionsMinimumDistance: 2,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return fmt.Errorf("unknown command %q%s", args[0], didYouMean(cmd.SuggestionsFor(args[0]), "see wasock permissions --help"))
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newExplain())
	return cmd
}

// explainFlags are the flags of wasock permissions explain.
type explainFlags struct {
	netFlags
	resolve, listen bool
	timeout         time.Duration
}

func newExplain() *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain [flags] URL|HOST:PORT...",
		Short: "Print for each target whether it is permitted, and why",
		Long: `explain prints a line for each target: its host and port, and the rule that
allows or denies it or the one that is missing. Nothing is connected, and
without --allow-net nothing is allowed.

A name that is allowed may still resolve to an address that is not. --resolve
asks the name servers now, and prints each address with its class and verdict.
The name is permitted if one of them is; the others are not connected.

Rules are joined by commas:
  example.com:443    a host and a port; without it any, with :80+8000-8010 some
  *.example.com      a host and its sub-domains
  10.0.0.0/8         a range of addresses; [2001:db8::/32] of IPv6, in brackets
  :8080              this machine, on that port
  private            addresses of private networks; also loopback and link-local
What --deny-net matches is denied, whatever allows it.

Exit codes:
  0  everything is permitted
  1  a name did not resolve
  2  the command line is wrong
  3  something is not permitted`,
		Example: `  wasock permissions explain --allow-net='*.example.com' wss://a.example.com/
  wasock permissions explain --allow-net --deny-net=private --resolve host:80
  wasock permissions explain --allow-net=:9001 --listen 127.0.0.1:9001`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("explain needs a target, such as wss://example.com/ or example.com:443")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	f.netFlags.add(fs, "nothing")
	fs.BoolVar(&f.resolve, "resolve", false, "resolve names, and explain each address")
	fs.BoolVar(&f.listen, "listen", false, "explain listening in place of connecting")
	fs.DurationVar(&f.timeout, "timeout", 10*time.Second, "time for resolving a name")
	return cmd
}

func (f *explainFlags) run(cmd *cobra.Command, args []string) error {
	switch {
	case f.listen && f.resolve:
		return usage("--listen and --resolve exclude each other: no name is resolved for listening")
	case f.timeout <= 0:
		return usage("--timeout %v: a timeout is positive", f.timeout)
	}
	list, err := f.list()
	if err != nil {
		return err
	}
	targets, err := f.targets(cmd, args)
	if err != nil {
		return err
	}
	e := &explanation{flags: f, list: list, resolver: net.DefaultResolver}
	for _, t := range targets {
		e.target(cmd.Context(), t)
	}
	if err := e.print(cmd.OutOrStdout()); err != nil {
		return failed(err)
	}
	switch {
	case e.denied > 0:
		return &exitError{exitNotPermitted, fmt.Errorf("not permitted: %d of %d", e.denied, len(targets))}
	case e.unresolved > 0:
		return failed(fmt.Errorf("not resolved: %d of %d", e.unresolved, len(targets)))
	}
	return nil
}

// targets parses the arguments: URLs as connect does, all others here.
func (f *explainFlags) targets(cmd *cobra.Command, args []string) (targets []dialer.Target, err error) {
	var h *host.Host
	for _, arg := range args {
		var t dialer.Target
		switch {
		case f.listen:
			var l listenAddress
			l, err = parseListen(arg, "ws")
			t.Host, t.Port = l.host, l.port
		case !strings.Contains(arg, "://"):
			t, err = parseTarget(arg)
		default:
			if h == nil {
				if h, err = newHost(cmd, cmd.ErrOrStderr(), host.Config{Instances: 1}); err != nil {
					return nil, err
				}
				defer func() { _ = h.Close() }()
			}
			t, err = targetOf(cmd.Context(), h, arg, &host.DialOptions{})
		}
		if err != nil {
			return nil, err
		}
		targets = append(targets, t)
	}
	return targets, nil
}

// parseTarget parses a host and a port.
func parseTarget(text string) (dialer.Target, error) {
	// The text may be a URL with a password, so it is not repeated.
	name, port, err := net.SplitHostPort(text)
	if err != nil {
		if addr, err := netip.ParseAddr(text); err == nil && addr.Is6() {
			return dialer.Target{}, usage("an IPv6 address is written in brackets: [%s]:443", addr)
		}
		return dialer.Target{}, usage("a target is a URL such as wss://example.com/, or a host and a port such as example.com:443")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return dialer.Target{}, usage("the port of a target is a number up to 65535, as in example.com:443")
	}
	return dialer.Target{Host: name, Port: uint16(n)}, nil
}

// An explanation is what explain prints.
type explanation struct {
	flags              *explainFlags
	list               *permission.List
	resolver           dialer.Resolver
	rows               []explained
	denied, unresolved int
}

// explained is a line: what it is about, and what is said about it.
type explained struct {
	about, text string
	allowed     bool
}

// target adds the lines about t.
func (e *explanation) target(ctx context.Context, t dialer.Target) {
	check := e.list.CheckTarget
	if e.flags.listen {
		check = e.list.CheckListen
	}
	v := check(t.Host, t.Port)
	at := len(e.rows)
	e.rows = append(e.rows, explained{net.JoinHostPort(v.Target, strconv.Itoa(int(v.Port))), e.flags.explain(v), v.Allowed})
	possible := v.Allowed || v.Needs() != "" || v.Rule != nil
	if e.flags.resolve && possible {
		some, err := e.addresses(ctx, t, v.Target)
		switch {
		case err != nil:
			e.rows[at].text += "; " + explain(err)
			e.unresolved++
		case v.Allowed && !some:
			e.rows[at].text += ", but none of its addresses is allowed"
			e.rows[at].allowed = false
		}
	}
	if !e.rows[at].allowed {
		e.denied++
	}
}

// addresses adds a line about each address of t, whose host is named name, and reports
// whether some are allowed.
func (e *explanation) addresses(ctx context.Context, t dialer.Target, name string) (some bool, err error) {
	addrs := []netip.Addr{}
	if addr, err := netip.ParseAddr(name); err == nil {
		addrs = append(addrs, addr)
	} else {
		ctx, cancel := context.WithTimeout(ctx, e.flags.timeout)
		defer cancel()
		if addrs, err = e.resolver.LookupNetIP(ctx, "ip", t.Host); err != nil {
			return false, err
		}
	}
	for _, addr := range addrs {
		v := e.list.CheckAddr(t.Host, netip.AddrPortFrom(addr, t.Port))
		why := strings.TrimPrefix(e.flags.explain(v), v.Reason+": ")
		e.rows = append(e.rows, explained{"  " + addr.Unmap().String(), addressClass(addr) + ": " + why, v.Allowed})
		some = some || v.Allowed
	}
	return some, nil
}

// addressClass says what kind of address addr is: what a list says about it that
// allows a name only.
func addressClass(addr netip.Addr) string {
	const name = "name.example"
	list, err := permission.Parse([]string{name}, nil)
	if err != nil {
		panic("BUG: a name is no rule: " + err.Error())
	}
	v := list.CheckAddr(name, netip.AddrPortFrom(addr, 443))
	if v.Allowed {
		return "a public address"
	}
	return strings.TrimPrefix(v.Reason, "resolves to "+addr.Unmap().String()+", ")
}

// print prints the lines in two columns.
func (e *explanation) print(w io.Writer) error {
	width := 0
	for _, r := range e.rows {
		width = max(width, len(r.about))
	}
	colours := paletteFor(w)
	for _, r := range e.rows {
		text := printable(r.text)
		if r.allowed {
			text = colours.green(text)
		} else {
			text = colours.red(text)
		}
		if _, err := fmt.Fprintf(w, "%-*s  %s\n", width, printable(r.about), text); err != nil {
			return err
		}
	}
	return nil
}
