package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wasock/wasock/host"
	_ "github.com/wasock/wasock/host/extendedconnect" // WebSocket over HTTP/2, in both servers of this command
	"github.com/wasock/wasock/host/permission"
)

// echoFlags are the flags of wasock echo.
type echoFlags struct {
	listenFlags
	netFlags
	limitFlags
	compressFlags
	noteFlags
	instances    int
	subprotocols []string
	origins      []string
	debugListen  string
}

func newEcho() *cobra.Command {
	var f echoFlags
	cmd := &cobra.Command{
		Use:   "echo",
		Short: "Serve WebSocket and send every message back",
		Long: `echo serves WebSocket and sends every message back as it came.

WebSockets are served over HTTP/1.1 and, with TLS or by prior knowledge, over
HTTP/2. A client that does not read is not read from either.

Listening is a permission. An address that --listen names is allowed by that;
with --allow-net the rules have to name it as well. An address without a host is
0.0.0.0, all of this machine's of IPv4; [::] is all of IPv6. Of names there is
localhost, which is 127.0.0.1.

echo prints one line for each listener, "listening on ws://127.0.0.1:9001/".
Ctrl-C, or SIGTERM, closes every connection with 1001 and waits for the peers; a
second one ends at once.`,
		Example: `  wasock echo
  wasock echo --listen 127.0.0.1:0 --subprotocol chat
  wasock echo --listen 127.0.0.1:9002 --tls-self-signed --ca-out ca.pem
  wasock echo --listen ws://:80 --listen wss://:443 --cert c --key k`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	f.listenFlags.add(fs)
	fs.StringArrayVar(&f.subprotocols, "subprotocol", nil, "subprotocol `name` to support, in order of preference; may be repeated")
	f.compressFlags.add(fs)
	fs.IntVar(&f.instances, "instances", 0, "`number` of engine instances that share the connections (default one for each CPU)")
	f.noteFlags.add(fs, "print the listeners and errors only")
	group(fs, "Who may connect, and where", func(fs *pflag.FlagSet) {
		f.netFlags.add(fs, "the addresses of --listen")
		fs.StringArrayVar(&f.origins, "origin", nil, "`origin` whose pages may connect besides our own, or * for any; may be repeated")
	})
	group(fs, "TLS", f.listenFlags.addTLS)
	group(fs, "Limits", f.limitFlags.add)
	fs.StringVar(&f.debugListen, "debug-listen", "", "address for net/http/pprof")
	_ = fs.MarkHidden("debug-listen")
	return cmd
}

func (f *echoFlags) run(cmd *cobra.Command) error {
	limits, err := f.limits()
	if err != nil {
		return err
	}
	if f.instances < 0 {
		return usage("--instances %d: there is at least one", f.instances)
	}
	compression, err := f.compression()
	if err != nil {
		return err
	}
	addresses, tlsConfig, err := f.parse()
	if err != nil {
		return err
	}
	notes, logger, err := f.noteFlags.open(cmd, slog.LevelInfo, slog.LevelError)
	if err != nil {
		return err
	}
	var debug *listenAddress
	if f.debugListen != "" {
		l, err := parseListen(f.debugListen, "ws")
		if err != nil {
			return err
		}
		debug = &l
	}
	grant, err := f.grant(addresses, debug, logger)
	if err != nil {
		return err
	}
	var listeners []*listener
	defer func() {
		for _, ln := range listeners {
			_ = ln.Close()
		}
	}()
	for _, a := range addresses {
		ln, err := a.listen(cmd.Context(), tlsConfig, grant)
		if err != nil {
			return f.listenFailed(err)
		}
		listeners = append(listeners, ln)
	}
	if debug != nil {
		ln, err := debug.listen(cmd.Context(), nil, grant)
		if err != nil {
			return f.listenFailed(err)
		}
		defer func() { _ = ln.Close() }()
		note(notes, "profiles on http://%s/debug/pprof/", ln.Addr())
		go serveProfiles(ln)
	}
	h, err := newHost(cmd, notes, host.Config{Instances: f.instances, Logger: logger})
	if err != nil {
		return err
	}
	defer func() { _ = h.Close() }()
	for _, ln := range listeners {
		fmt.Fprintf(cmd.OutOrStdout(), "listening on %s\n", ln.url)
	}
	defer freeMemoryOnSignal()()
	return serve(cmd.Context(), h, listeners, &host.AcceptOptions{
		Events: echoEvents{}, Limits: limits, Compression: compression, Subprotocols: f.subprotocols, Origins: f.origins,
	}, logger)
}

// maxConnections is the quota of a server's connections. Open files run out before it.
const maxConnections = 1 << 20

// grant returns the permission to listen. Without --allow-net it has the addresses
// that were named.
func (f *echoFlags) grant(addresses []listenAddress, debug *listenAddress, logger *slog.Logger) (*permission.Grant, error) {
	if debug != nil {
		addresses = append(addresses[:len(addresses):len(addresses)], *debug)
	}
	var named []string
	for _, a := range addresses {
		if rule := a.rule(); rule != "" { // without one it is refused later, with the reason
			named = append(named, rule)
		}
	}
	list, err := f.list(named...)
	if err != nil {
		return nil, err
	}
	o := &permission.GrantOptions{Name: "echo", Quota: permission.Quota{Connections: maxConnections}}
	if f.verbose {
		o.Logger = logger
	}
	return permission.NewGrant(list, o), nil
}

// listenFailed returns the error of listening that failed with err.
func (f *echoFlags) listenFailed(err error) error {
	var denied *host.PermissionError
	if errors.As(err, &denied) {
		return f.denied(denied)
	}
	return usageOrFailed(err)
}

// echoEvents sends every message back. It has no state, and one value serves all
// connections.
type echoEvents struct{ host.NoEvents }

func (echoEvents) OnMessage(c *host.Conn, t host.MessageType, p []byte) {
	err := c.Send(t, p)
	for errors.Is(err, host.ErrSendQueueFull) {
		// The peer does not read. Until it does, it is not read from: a message
		// is never dropped, and what waits is bounded by the send limit. There
		// is no deadline; the end of the connection ends the wait.
		err = c.Write(context.Background(), t, p)
	}
	// Any other error means that the connection is ending.
}

// newEchoServer returns a server whose every path echoes.
func newEchoServer(h *host.Host, o *host.AcceptOptions, logger *slog.Logger) *http.Server {
	echo := h.Handler(nil, o)
	// HTTP/2 on the plain port is by prior knowledge.
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Protocols: protocols,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" && r.Header.Get("Upgrade") == "" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
				explainItself(w, r)
				return
			}
			echo.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       10 * time.Second, // of requests: a connection that was taken over has deadlines of its own
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    8 << 10, // as much as the engine takes
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelInfo),
	}
}

func explainItself(w http.ResponseWriter, r *http.Request) {
	scheme := "ws"
	if r.TLS != nil {
		scheme = "wss"
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write([]byte("This is wasock echo, a WebSocket server that sends every message back.\n\n" +
		"It speaks WebSocket on every path. From a shell:\n\n" +
		"  wasock connect " + scheme + "://" + r.Host + "/\n\n" +
		"From the console of a page of this origin, such as this one:\n\n" +
		"  ws = new WebSocket(\"" + scheme + "://" + r.Host + "/\")\n" +
		"  ws.onmessage = e => console.log(e.data)\n" +
		"  ws.onopen = () => ws.send(\"hello\")\n"))
}

// shutdownTimeout is how long peers may take to answer our Close frames. It is
// more than Limits.CloseTimeout, after which a connection ends by itself.
const shutdownTimeout = 10 * time.Second

// serve serves on the listeners, as o says, until ctx ends, and then closes what is
// open.
func serve(ctx context.Context, h *host.Host, listeners []*listener, o *host.AcceptOptions, logger *slog.Logger) error {
	ended := make(chan error, len(listeners))
	var servers []*http.Server
	for _, ln := range listeners {
		counted := *o
		counted.Listener = ln.counted
		srv := newEchoServer(h, &counted, logger)
		servers = append(servers, srv)
		go func() { ended <- srv.Serve(ln) }()
		defer func() { _ = srv.Close() }()
	}
	select {
	case err := <-ended:
		return failed(err)
	case <-ctx.Done():
	}
	if n := h.Stats().Open; n > 0 {
		logger.Info("closing connections; a second Ctrl-C ends at once", "open", n)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	for _, srv := range servers {
		go func() { _ = srv.Shutdown(ctx) }()
	}
	if err := h.Shutdown(ctx); err != nil {
		return failed(errors.New("some peers did not answer the closing handshake, and were cut off"))
	}
	return nil
}

func serveProfiles(ln net.Listener) {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	_ = srv.Serve(ln) // until the listener is closed
}
