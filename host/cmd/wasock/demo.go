package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/host/permission"
)

func newDemo() *cobra.Command {
	return &cobra.Command{
		Use:    "demo",
		Short:  "Hold a conversation with an echo server and show what goes over the wire",
		Hidden: true,
		Long: `demo serves echo on ws://127.0.0.1:9001/ and wss://127.0.0.1:9002/, talks to
both through package host, to the second over HTTP/1.1 and HTTP/2, and prints
every frame that passed. Then it serves on, until Ctrl-C.

The bytes are recorded at the server's end of the connection, inside of TLS.`,
		Example: "  wasock demo",
		Args:    noArguments,
		RunE:    runDemo,
	}
}

// A demo is two echo servers and a client of them.
type demo struct {
	host      *host.Host
	grant     *permission.Grant
	out       io.Writer
	colours   palette
	endpoints []*endpoint
	roots     *x509.CertPool
	caFile    string
}

// An endpoint is one of a demo's servers.
type endpoint struct {
	url      string
	tap      *tapListener
	versions []host.HTTPVersion
}

func runDemo(cmd *cobra.Command, _ []string) error {
	logger := newLogger(cmd.ErrOrStderr(), slog.LevelWarn)
	loopback, err := permission.Allow("127.0.0.1")
	if err != nil {
		return failed(err)
	}
	h, err := newHost(cmd, cmd.ErrOrStderr(), host.Config{Grant: loopback, Logger: logger})
	if err != nil {
		return err
	}
	defer func() { _ = h.Close() }()
	dir, err := os.MkdirTemp("", "wasock-demo-")
	if err != nil {
		return failed(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	d := &demo{
		host: h, grant: loopback, out: cmd.OutOrStdout(), colours: paletteFor(cmd.OutOrStdout()),
		caFile: filepath.Join(dir, "ca.pem"), roots: x509.NewCertPool(),
	}
	listeners, err := d.listen(cmd.Context(), cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- serve(ctx, h, listeners, &host.AcceptOptions{Events: echoEvents{}}, logger) }()
	for _, e := range d.endpoints {
		for _, version := range e.versions {
			if err := d.show(ctx, e, version); err != nil {
				cancel()
				<-served
				return failed(fmt.Errorf("conversation with %s over %v: %w", e.url, version, err))
			}
		}
	}
	d.printCommands()
	return <-served
}

// listen opens the endpoints, on free ports where the usual ones are taken.
func (d *demo) listen(ctx context.Context, stderr io.Writer) ([]*listener, error) {
	cert, pem, err := selfSigned(nil, time.Now())
	if err != nil {
		return nil, failed(err)
	}
	d.roots.AppendCertsFromPEM(pem)
	if err := os.WriteFile(d.caFile, pem, 0o644); err != nil {
		return nil, failed(err)
	}
	var listeners []*listener
	for _, a := range []listenAddress{{"ws", "127.0.0.1", 9001}, {"wss", "127.0.0.1", 9002}} {
		ln, err := a.listen(ctx, serverTLS(cert), d.grant)
		if errors.Is(err, syscall.EADDRINUSE) {
			note(stderr, "%s is taken, using a free port", a)
			a.port = 0
			ln, err = a.listen(ctx, serverTLS(cert), d.grant)
		}
		if err != nil {
			return nil, failed(err)
		}
		tap := &tapListener{Listener: ln.Listener}
		ln.Listener = tap
		versions := []host.HTTPVersion{host.HTTP1}
		if a.scheme == "wss" {
			versions = append(versions, host.HTTP2)
		}
		d.endpoints = append(d.endpoints, &endpoint{ln.url, tap, versions})
		listeners = append(listeners, ln)
	}
	return listeners, nil
}

// show holds a conversation with e and prints what passed.
func (d *demo) show(ctx context.Context, e *endpoint, version host.HTTPVersion) error {
	r := newRecording()
	e.tap.record(r)
	rtt, err := d.converse(ctx, e.url, version)
	e.tap.record(nil)
	if err != nil {
		return err
	}
	units := r.units()
	layer := "TCP, without TLS"
	if r.tls != nil {
		layer = tls.VersionName(r.tls.Version) + ", " + tls.CipherSuiteName(r.tls.CipherSuite) + "; this is inside of it"
	}
	fmt.Fprintf(d.out, "%s\n%v over %s\n\n", d.colours.bold(e.url), version, layer)
	printTable(d.out, units, d.colours)
	_, err = fmt.Fprintf(d.out, "%s\n\n", d.colours.dim(fmt.Sprintf("%8.2f  from Ping to Pong at the client", float64(rtt)/float64(time.Millisecond))))
	return err
}

// converse has every kind of frame sent, each after the answer to the one before.
func (d *demo) converse(ctx context.Context, url string, version host.HTTPVersion) (rtt time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	c, _, err := d.host.Dial(ctx, url, &host.DialOptions{HTTPVersion: version, TLS: &tls.Config{RootCAs: d.roots}})
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.CloseNow() }()
	for _, m := range []struct {
		t       host.MessageType
		payload string
	}{
		{host.MessageText, "hello, grüezi, 你好"},
		{host.MessageBinary, "\x00\x01\x7f\x80\xff"},
		{host.MessageText, strings.Repeat("more than 125 bytes: an extended length. ", 8)},
	} {
		if err := c.Write(ctx, m.t, []byte(m.payload)); err != nil {
			return 0, err
		}
		if err := expect(ctx, c, m.t, m.payload); err != nil {
			return 0, err
		}
	}
	if err := d.writeFragments(ctx, c, "one message ", "in ", "fragments"); err != nil {
		return 0, err
	}
	if rtt, err = c.Ping(ctx); err != nil {
		return 0, err
	}
	return rtt, c.Close(host.CodeNormal, "goodbye")
}

func (d *demo) writeFragments(ctx context.Context, c *host.Conn, fragments ...string) error {
	w, err := c.Writer(ctx, host.MessageText)
	if err != nil {
		return err
	}
	for _, f := range fragments {
		if _, err := io.WriteString(w, f); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return expect(ctx, c, host.MessageText, strings.Join(fragments, ""))
}

func expect(ctx context.Context, c *host.Conn, t host.MessageType, payload string) error {
	gotType, got, err := c.Read(ctx)
	if err != nil {
		return err
	}
	if gotType != t || !bytes.Equal(got, []byte(payload)) {
		return fmt.Errorf("sent %d bytes of %v, and %d bytes of %v came back", len(payload), t, len(got), gotType)
	}
	return nil
}

// printCommands prints what to try. The certificate has a line of its own, since
// its path may be long.
func (d *demo) printCommands() {
	name := "wasock"
	if _, err := exec.LookPath(name); err != nil {
		name = os.Args[0]
	}
	fmt.Fprintf(d.out, "%s In another terminal:\n\n", d.colours.bold("Serving on."))
	for _, e := range d.endpoints {
		if strings.HasPrefix(e.url, "wss:") {
			fmt.Fprintf(d.out, "  %s connect \\\n    --ca %s \\\n    %s\n", name, d.caFile, e.url)
		} else {
			fmt.Fprintf(d.out, "  %s connect %s\n", name, e.url)
		}
	}
	fmt.Fprint(d.out, "\nCtrl-C ends this.\n")
}
