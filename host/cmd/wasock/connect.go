package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/host/permission"
)

// connectFlags are the flags of wasock connect.
type connectFlags struct {
	netFlags
	limitFlags
	compressFlags
	header        []string
	subprotocols  []string
	ca            string
	cert, key     string
	insecureHosts []string
	binary        string
	pingInterval  time.Duration
	timeout       time.Duration
	wait          time.Duration
	count         int
	http1, http2  bool
	quiet         bool
}

func newConnect() *cobra.Command {
	var f connectFlags
	cmd := &cobra.Command{
		Use:   "connect [flags] URL",
		Short: "Connect to a WebSocket URL and talk to it in lines",
		Long: `connect sends each line of its input as a message and prints each message that
arrives as a line. Notices go to standard error.

At the end of the input it pings the peer, listens for --wait after the answer,
and closes with 1000; the Pong comes when the peer has seen all that was sent.
With --count it closes after that many messages instead. At a terminal Ctrl-D
closes at once, and Ctrl-C closes with 1001.

A binary message is printed in hex. --binary hex sends lines of hex as binary
messages; --binary raw sends lines as they are, and prints what arrives so.

Lines that begin with / are commands at a terminal, and messages in a pipe:
  /ping                    send a Ping and print how long the Pong took
  /close [CODE [REASON]]   close, with 1000 by default
  /help                    print this list
  //TEXT                   send /TEXT

Where connect may go: the host and port of URL, and nothing else. Name targets
with --allow-net to say it yourself, for a URL that you did not write. A name
that resolves to a private address needs a rule for that address as well.

Exit codes:
  0  closed cleanly, with 1000, 1001 or no code, or at our wish
  1  no connection, or it ended without a closing handshake
  2  the command line or a line of the input is wrong
  3  --allow-net and --deny-net do not permit the target
  4  the peer closed with another code`,
		Example: `  wasock connect ws://127.0.0.1:9001/
  printf 'a\nb\n' | wasock connect --count 2 ws://127.0.0.1:9001/
  wasock connect --ca ca.pem wss://localhost:9002/
  wasock connect -H 'Authorization: Bearer x' wss://example.com/feed
  wasock connect --allow-net='*.example.com:443' --deny-net=private "$URL"`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return errors.New("connect needs a URL, such as ws://127.0.0.1:9001/")
			case len(args) > 1 && f.allow.all:
				return errors.New("connect takes one URL; write --allow-net=RULES with an equals sign")
			case len(args) > 1:
				return errors.New("connect takes one URL, and quotes around it where the shell needs them")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringArrayVarP(&f.header, "header", "H", nil, "`field` to add to the request, 'Name: value'; may be repeated")
	fs.StringArrayVar(&f.subprotocols, "subprotocol", nil, "subprotocol `name` to offer, in order of preference; may be repeated")
	fs.BoolVar(&f.http2, "http2", false, "use HTTP/2 and nothing else; for ws without asking the server before")
	fs.BoolVar(&f.http1, "http1", false, "use HTTP/1.1 and nothing else (default for wss: HTTP/2 if the server has it for WebSockets)")
	fs.StringVar(&f.binary, "binary", "", "send lines as binary messages, and print those that arrive, in this `form`: hex or raw")
	fs.IntVar(&f.count, "count", 0, "close after this `number` of messages has arrived")
	fs.DurationVarP(&f.wait, "wait", "w", 500*time.Millisecond, "listen so long after the end of the input; negative: until the peer closes")
	fs.DurationVar(&f.pingInterval, "ping-interval", 0, "send a Ping so often, and print the round-trip time")
	fs.DurationVar(&f.timeout, "timeout", 30*time.Second, "time for connecting and the opening handshake")
	fs.StringVar(&f.ca, "ca", "", "trust the certificates in this PEM `file`, and not the system's")
	fs.StringVar(&f.cert, "cert", "", "client certificate chain, a PEM `file`")
	fs.StringVar(&f.key, "key", "", "private key of --cert, a PEM `file`")
	fs.StringArrayVar(&f.insecureHosts, "insecure-host", nil, "`host` whose certificate is not verified; may be repeated")
	f.netFlags.add(fs)
	f.limitFlags.add(fs)
	f.compressFlags.add(fs)
	fs.BoolVarP(&f.quiet, "quiet", "q", false, "print messages and errors only")
	return cmd
}

func (f *connectFlags) run(cmd *cobra.Command, url string) error {
	o, err := f.options()
	if err != nil {
		return err
	}
	notes := cmd.ErrOrStderr()
	if f.quiet {
		notes = io.Discard
	}
	h, err := newHost(cmd, notes, host.Config{Instances: 1, Logger: newLogger(cmd.ErrOrStderr(), slog.LevelWarn)})
	if err != nil {
		return err
	}
	defer func() { _ = h.Close() }()
	named, err := targetOf(cmd.Context(), h, url, o)
	if err != nil {
		return err
	}
	list, err := f.list(named.Needs)
	if err != nil {
		return err
	}
	o.Grant = permission.NewGrant(list, nil)
	ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
	defer cancel()
	c, _, err := h.Dial(ctx, url, o)
	if err != nil {
		return f.dialFailed(cmd.Context(), err, named.Needs)
	}
	s := newSession(cmd, notes, f, c)
	s.notice("connected to %s over %v%s", net.JoinHostPort(named.Target, strconv.Itoa(int(named.Port))), c.HTTPVersion(), agreed(c))
	return s.run(cmd.Context())
}

// targetOf has the engine parse url, and returns its host and port as the error
// of a connection that nothing allows. That way one parser decides both what is
// named and what is dialled, and nothing is dialled here.
func targetOf(ctx context.Context, h *host.Host, url string, o *host.DialOptions) (*host.PermissionError, error) {
	probe := *o
	probe.Grant = permission.NewGrant(nil, nil)
	_, _, err := h.Dial(ctx, url, &probe)
	var named *host.PermissionError
	switch {
	case !errors.As(err, &named):
		return nil, usageOrFailed(err)
	case named.Needs == "": // no rule can allow it
		return nil, &exitError{exitNotPermitted, named}
	}
	return named, nil
}

// options makes the options of Dial, all but the permissions.
func (f *connectFlags) options() (*host.DialOptions, error) {
	switch {
	case f.binary != "" && f.binary != "hex" && f.binary != "raw":
		return nil, usage("--binary %s: write --binary hex or --binary raw", f.binary)
	case f.count < 0:
		return nil, usage("--count %d: a count is positive", f.count)
	case f.http1 && f.http2:
		return nil, usage("--http1 and --http2 exclude each other")
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
	cfg, err := f.tls()
	if err != nil {
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
		Header: fields, Subprotocols: f.subprotocols, Compression: compression, HTTPVersion: version, TLS: cfg, InsecureHosts: f.insecureHosts, Limits: limits,
	}, nil
}

func (f *connectFlags) tls() (*tls.Config, error) {
	if err := together("cert", f.cert, "key", f.key); err != nil {
		return nil, err
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.ca != "" {
		pem, err := os.ReadFile(f.ca)
		if err != nil {
			return nil, usage("--ca: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, usage("--ca %s: it holds no certificate in PEM form", f.ca)
		}
	}
	if f.cert != "" {
		cert, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return nil, usage("--cert %s with --key %s: %w", f.cert, f.key, err)
		}
		cfg.Certificates = []tls.Certificate{cert}
	}
	return cfg, nil
}

// dialFailed returns the error of a Dial that failed with err. named is the rule
// that allows the URL's host and port.
func (f *connectFlags) dialFailed(ctx context.Context, err error, named string) error {
	var denied *host.PermissionError
	switch {
	case errors.As(err, &denied):
		if denied.Needs != "" && !f.allow.given() && denied.Needs != named {
			// One flag that says it all: given, it takes the place of the default.
			err = fmt.Errorf("%w; if you mean it, use --allow-net=%s,%s", denied, named, denied.Needs)
		}
		return &exitError{exitNotPermitted, err}
	case ctx.Err() != nil:
		return failed(errors.New("interrupted before the connection was open"))
	}
	return usageOrFailed(err)
}

func usageOrFailed(err error) error {
	var argument *host.ArgumentError
	if errors.As(err, &argument) {
		return &exitError{exitUsage, err}
	}
	return failed(err)
}

// agreed is what was agreed to on c, for a notice.
func agreed(c *host.Conn) (s string) {
	if p := c.Subprotocol(); p != "" {
		s += ", subprotocol " + p
	}
	if x := c.Extensions(); x != "" {
		s += ", " + x
	}
	return s
}
