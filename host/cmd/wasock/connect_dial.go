package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/host/dialer"
	"github.com/wasock/wasock/host/permission"
)

// options makes the options of Dial, all but the grant and what depends on the target.
func (f *connectFlags) options() (*host.DialOptions, error) {
	switch {
	case f.binary != "" && f.binary != "hex" && f.binary != "raw":
		return nil, usage("--binary %s: write --binary hex or --binary raw", f.binary)
	case f.count < 0:
		return nil, usage("--count %d: a count is positive", f.count)
	case f.http1 && f.http2:
		return nil, usage("--http1 and --http2 exclude each other")
	case f.redirects < 0:
		return nil, usage("--redirects %d: a number of redirects is not negative", f.redirects)
	case f.timeout <= 0:
		return nil, usage("--timeout %v: a timeout is positive", f.timeout)
	}
	limits, err := f.limits()
	if err != nil {
		return nil, err
	}
	compression, err := f.compression()
	if err != nil {
		return nil, err
	}
	fields, err := headerFields(f.header)
	if err != nil {
		return nil, err
	}
	cfg, err := f.config()
	if err != nil {
		return nil, err
	}
	insecure, err := f.insecureHosts()
	if err != nil {
		return nil, err
	}
	proxy, err := f.choose()
	if err != nil {
		return nil, err
	}
	if _, err := f.list(); err != nil {
		return nil, err
	}
	version := host.HTTPAuto
	switch {
	case f.http1:
		version = host.HTTP1
	case f.http2:
		version = host.HTTP2
	}
	limits.ConnectTimeout, limits.TLSTimeout, limits.HandshakeTimeout = f.timeout, f.timeout, f.timeout
	return &host.DialOptions{
		Header: fields, Subprotocols: f.subprotocols, Compression: compression, HTTPVersion: version, Limits: limits,
		TLS: cfg, InsecureHosts: insecure, Proxy: proxy, Redirects: f.redirects,
	}, nil
}

// errParsed ends a Dial whose URL was wanted and nothing else.
var errParsed = errors.New("the URL was parsed")

// targetOf has the engine parse text and returns what it would dial. That way one
// parser decides both what is named and what is dialled, and nothing is dialled here.
func targetOf(ctx context.Context, h *host.Host, text string, o *host.DialOptions) (target dialer.Target, err error) {
	probe := *o
	probe.Grant = permission.NewGrant(nil, nil)
	probe.Proxy = func(t dialer.Target) (*url.URL, error) {
		target = t
		return nil, errParsed
	}
	if _, _, err = h.Dial(ctx, text, &probe); !errors.Is(err, errParsed) {
		return target, usageOrFailed(err)
	}
	return target, nil
}

// A way is how connect gets to its target.
type way struct {
	flags *connectFlags
	notes io.Writer
	named []string      // the rules for what the operator named
	at    dialer.Target // the URL's, or the last redirect's
	proxy *proxyServer  // to it; nil: none
	hops  int
}

// open sets o's grant and proxy.
func (w *way) open(cmd *cobra.Command, o *host.DialOptions, logger *slog.Logger) error {
	f := w.flags
	choose := o.Proxy
	if choose == nil {
		choose = dialer.ProxyURL(nil)
	}
	u, err := choose(w.at)
	if err != nil {
		return usage("%w; correct it, or use --proxy %s", err, noProxy)
	}
	if err := w.name(cmd.Context(), u); err != nil {
		return err
	}
	list, err := f.list(w.named...)
	if err != nil {
		return err
	}
	granted := &permission.GrantOptions{Name: "connect"}
	if f.verbose {
		granted.Logger = logger
	}
	if f.asks = f.prompt && !f.deny.all && isTerminal(cmd.InOrStdin()) && isTerminal(cmd.ErrOrStderr()); f.asks {
		granted.Prompt = (&prompter{openTerminal}).ask
	} else if f.prompt && !f.deny.all {
		note(w.notes, "--prompt has no effect: input and errors are not both a terminal")
	}
	o.Grant = permission.NewGrant(list, granted)
	o.Proxy = func(t dialer.Target) (*url.URL, error) {
		w.hop(t)
		u, err := choose(t)
		if w.proxy = nil; u != nil {
			w.proxy = newProxyServer(u)
		}
		return u, err
	}
	return nil
}

// name sets the rules that stand in place of --allow-net: for the URL's target, and
// for the proxy at u, if any.
func (w *way) name(ctx context.Context, u *url.URL) error {
	rule, err := ruleFor(w.at.Host, w.at.Port)
	if err != nil || w.flags.allow.given() || w.flags.deny.all {
		return err
	}
	w.named = []string{rule}
	if u == nil {
		return nil
	}
	rules, err := newProxyServer(u).rules(ctx, net.DefaultResolver)
	w.named = append(w.named, rules...)
	return err
}

// hop says where a redirect leads.
func (w *way) hop(t dialer.Target) {
	w.at = t
	if w.hops++; w.hops > 1 {
		note(w.notes, "redirected to %s", t)
	}
}

// through is the proxy, for a notice.
func (w *way) through() string {
	if w.proxy == nil {
		return ""
	}
	return " through " + w.proxy.String()
}

// failed returns the error of a Dial that failed with err.
func (w *way) failed(ctx context.Context, err error) error {
	var denied *host.PermissionError
	switch {
	case ctx.Err() != nil:
		return failed(errors.New("interrupted before the connection was open"))
	case errors.As(err, &denied):
		return w.denied(denied)
	}
	return usageOrFailed(err)
}

// denied says which flag would help. One that is given takes the place of the default,
// so it has to say it all.
func (w *way) denied(e *host.PermissionError) error {
	err := w.flags.netFlags.denied(e)
	if e.Needs == "" || w.flags.deny.all {
		return err
	}
	all := strings.Join(append(w.named, e.Needs), ",")
	switch proxied := w.proxy != nil && w.proxy.is(e); {
	case proxied && w.flags.allow.given():
		err = fmt.Errorf("%w; that is the proxy: add the flag, or go without it: --proxy %s", err, noProxy)
	case proxied:
		err = fmt.Errorf("%w; that is the proxy: use --allow-net=%s, or go without it: --proxy %s", err, all, noProxy)
	case !w.flags.allow.given():
		err = fmt.Errorf("%w; if you mean it, use --allow-net=%s", err, all)
	}
	return err
}

func usageOrFailed(err error) error {
	var argument *host.ArgumentError
	if errors.As(err, &argument) {
		return &exitError{exitUsage, err}
	}
	return failed(err)
}
