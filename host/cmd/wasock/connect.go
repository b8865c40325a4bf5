package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wasock/wasock/host"
)

// connectFlags are the flags of wasock connect.
type connectFlags struct {
	netFlags
	proxyFlags
	tlsFlags
	limitFlags
	compressFlags
	noteFlags
	header       []string
	subprotocols []string
	binary       string
	pingInterval time.Duration
	timeout      time.Duration
	wait         time.Duration
	count        int
	redirects    int
	http1, http2 bool
	prompt       bool
	asks         bool // prompt, at a terminal
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

Where connect may go: the host and port of URL, by way of the proxy that --proxy
or the environment names, and nowhere else. With --allow-net you say it, for a
URL that you did not write; then the proxy needs a rule as well. A name that
resolves to a private address needs a rule for that address too, except that of
a proxy without --allow-net. "wasock permissions explain" tries rules out.

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
  wasock connect --allow-net='*.example.com:443' --deny-net=private "$URL"
  wasock connect --proxy socks5h://127.0.0.1:1080 wss://example.com/`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return errors.New("connect needs a URL, such as ws://127.0.0.1:9001/")
			case len(args) > 1 && (f.allow.all || f.deny.all):
				return errors.New("connect takes one URL; write --allow-net=RULES and --deny-net=RULES with an equals sign")
			case len(args) > 1 && f.ignore.all:
				return errors.New("connect takes one URL; write --unsafely-ignore-certificate-errors=HOSTS with an equals sign")
			case len(args) > 1:
				return errors.New("connect takes one URL, and quotes around it where the shell needs them")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.binary, "binary", "", "send lines as binary messages, and print those that arrive, in this `form`: hex or raw")
	fs.IntVar(&f.count, "count", 0, "close after this `number` of messages has arrived")
	fs.DurationVarP(&f.wait, "wait", "w", 500*time.Millisecond, "listen so long after the end of the input; negative: until the peer closes")
	fs.DurationVar(&f.pingInterval, "ping-interval", 0, "send a Ping so often, and print the round-trip time")
	f.noteFlags.add(fs, "print messages and errors only")
	group(fs, "Opening handshake", func(fs *pflag.FlagSet) {
		fs.StringArrayVarP(&f.header, "header", "H", nil, "`field` to add to the request, 'Name: value'; may be repeated")
		fs.StringArrayVar(&f.subprotocols, "subprotocol", nil, "subprotocol `name` to offer, in order of preference; may be repeated")
		fs.BoolVar(&f.http2, "http2", false, "use HTTP/2 and nothing else; for ws without asking the server before")
		fs.BoolVar(&f.http1, "http1", false, "use HTTP/1.1 and nothing else (default for wss: HTTP/2 if the server has it for WebSockets)")
		fs.DurationVar(&f.timeout, "timeout", 30*time.Second, "time for connecting and the opening handshake; with --prompt for each of its steps")
		fs.IntVar(&f.redirects, "redirects", 0, "follow this `number` of redirects, each to a target that is allowed; to another origin goes no --header, --cert or user name")
		f.compressFlags.add(fs)
	})
	group(fs, "Where it may go", func(fs *pflag.FlagSet) {
		f.netFlags.add(fs, "the URL's host and port, and the proxy")
		fs.BoolVar(&f.prompt, "prompt", false, "at a terminal, ask about targets that no rule allows; not the default, since what is typed is the conversation")
		f.proxyFlags.add(fs)
	})
	group(fs, "TLS (SSLKEYLOGFILE, if set, names a file for its keys)", f.tlsFlags.add)
	group(fs, "Limits", f.limitFlags.add)
	return cmd
}

func (f *connectFlags) run(cmd *cobra.Command, url string) error {
	o, err := f.options()
	if err != nil {
		return err
	}
	notes, logger, err := f.noteFlags.open(cmd, slog.LevelWarn, slog.LevelWarn)
	if err != nil {
		return err
	}
	h, err := newHost(cmd, notes, host.Config{Instances: 1, Logger: logger})
	if err != nil {
		return err
	}
	defer func() { _ = h.Close() }()
	target, err := targetOf(cmd.Context(), h, url, o)
	if err != nil {
		return err
	}
	if err := f.tlsFlags.complete(o, target, logger); err != nil {
		return err
	}
	w := &way{flags: f, notes: notes, at: target}
	if err := w.open(cmd, o, logger); err != nil {
		return err
	}
	ctx, cancel := f.deadline(cmd.Context(), o)
	defer cancel()
	c, _, err := h.Dial(ctx, url, o)
	if err != nil {
		return w.failed(cmd.Context(), err)
	}
	s := newSession(cmd, notes, f, c)
	s.notice("connected to %s over %v%s%s", w.at, c.HTTPVersion(), w.through(), agreed(c))
	return s.run(cmd.Context())
}

// deadline returns a context for all of connecting. Where somebody may be asked the
// limits of each step are the only ones: how long people think is theirs to say.
func (f *connectFlags) deadline(ctx context.Context, o *host.DialOptions) (context.Context, context.CancelFunc) {
	if f.asks {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, f.timeout)
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
