package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/host/permission"
)

func TestConnect(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.pem")
	urls, _ := startEcho(t, "--listen=ws://127.0.0.1:0", "--listen=wss://127.0.0.1:0", "--tls-self-signed", "--ca-out", ca, "--subprotocol=chat")
	ws, wss := urls[0], urls[1]

	r := command(t, "a\nb c\n\nlast", "connect", "--count=4", ws)
	r.want(t, "each line is a message, the empty one and the unfinished one too", exitOK, "a\nb c\n\nlast\n")
	r.wantStderr(t, "notices go to stderr", "wasock: connected to 127.0.0.1:", "wasock: closed: 1000 (normal closure)\n")

	r = command(t, "a\n", "connect", "--quiet", "--wait=-1s", "--count=1", "--ca", ca, "--subprotocol=chat", wss)
	r.want(t, "over TLS", exitOK, "a\n")
	if r.stderr != "" {
		t.Errorf("--quiet leaves %q", r.stderr)
	}
	r = command(t, "a\n", "connect", "--count=1", "--subprotocol=chat", "--ca", ca, strings.Replace(wss, "127.0.0.1", "user:secret@localhost", 1))
	r.want(t, "localhost is named", exitOK, "a\n")
	r.wantStderr(t, "the subprotocol is named", "connected to localhost:", ", subprotocol chat\n")
	if strings.Contains(r.stderr, "secret") {
		t.Errorf("credentials are printed: %q", r.stderr)
	}

	r = command(t, "a\n", "connect", wss)
	r.want(t, "a certificate is verified", exitFailed, "")
	r.wantStderr(t, "it says what to do", "signed by an unknown authority", "--ca")

	r = command(t, "a\n", "connect", "--count=1", "--unsafely-ignore-certificate-errors=127.0.0.1", wss)
	r.want(t, "unless its host is named", exitOK, "a\n")
	r.wantStderr(t, "which is said", "TLS certificate is not verified")

	r = command(t, "00ff 10\n", "connect", "--count=1", "--binary=hex", ws)
	r.want(t, "hex in, hex out", exitOK, "00ff10\n")
	r = command(t, "\xff\n", "connect", "--count=1", "--binary=raw", ws)
	r.want(t, "raw in, raw out", exitOK, "\xff\n")
	r = command(t, "0\n", "connect", "--binary=hex", ws)
	r.want(t, "what is not hex is refused", exitUsage, "")
	r.wantStderr(t, "the line is named", "wasock: line 1 was not sent: it is not hex")
	r = command(t, "\xff\n", "connect", ws)
	r.want(t, "what is not UTF-8 is refused", exitUsage, "")

	r = command(t, "/close 4000\n", "connect", "--count=1", ws)
	r.want(t, "in a pipe a slash is text", exitOK, "/close 4000\n")
	r = command(t, "", "connect", "--wait=0", ws)
	r.want(t, "no input is a clean close", exitOK, "")
}

// The end of the input closes the connection once the peer has seen everything.
func TestConnectEndOfInput(t *testing.T) {
	t.Parallel()
	urls, _ := startEcho(t, "--listen=127.0.0.1:0")
	c := start(t, "connect", "--wait=0", urls[0])
	for _, text := range []string{"one", "two"} {
		if _, err := io.WriteString(c.stdin, text+"\n"); err != nil {
			t.Fatal(err)
		}
		if got := c.line(t); got != text {
			t.Errorf("echo of %q is %q", text, got)
		}
	}
	_ = c.stdin.Close()
	if code := c.exit(t); code != exitOK {
		t.Errorf("exit code %d: %s", code, c.stderr)
	}
}

func TestConnectInterrupted(t *testing.T) {
	t.Parallel()
	urls, _ := startEcho(t, "--listen=127.0.0.1:0")
	c := start(t, "connect", urls[0])
	if _, err := io.WriteString(c.stdin, "a\n"); err != nil {
		t.Fatal(err)
	}
	if got := c.line(t); got != "a" {
		t.Fatalf("echo of a is %q", got)
	}
	c.stop()
	if code := c.exit(t); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if got := c.stderr.String(); !strings.HasSuffix(got, "wasock: closed: 1001 (going away)\n") {
		t.Errorf("stderr %q", got)
	}
}

// serveClose serves connections that end closes.
func serveClose(t *testing.T, h *host.Host, end func(c *host.Conn)) string {
	t.Helper()
	s := httptest.NewServer(h.Handler(func(_ context.Context, c *host.Conn) { end(c) }, nil))
	t.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

func TestConnectExitCodes(t *testing.T) {
	t.Parallel()
	h := newTestHost(t)
	for _, c := range []struct {
		why    string
		end    func(c *host.Conn)
		code   int
		stderr string
	}{
		{"1000 is clean", func(c *host.Conn) { _ = c.Close(1000, "") }, exitOK, "closed by the peer: 1000 (normal closure)"},
		{"1001 is clean", func(c *host.Conn) { _ = c.Close(1001, "") }, exitOK, "closed by the peer: 1001 (going away)"},
		{"no code is clean", func(c *host.Conn) { _ = c.Close(host.CodeNoStatus, "") }, exitOK, "closed by the peer: 1005 (no code)"},
		{"other codes are the peer's complaint", func(c *host.Conn) { _ = c.Close(4001, "no\x1b[2J") }, exitClosedByPeer, `closed by the peer: 4001 "no\x1b[2J"`},
		{"1011 as well", func(c *host.Conn) { _ = c.Close(1011, "") }, exitClosedByPeer, "closed by the peer: 1011 (internal error)"},
		{"no closing handshake is a failure", func(c *host.Conn) { _ = c.CloseNow() }, exitFailed, "closed with code 1006: "},
	} {
		r := command(t, "", "connect", "--wait=-1s", serveClose(t, h, c.end))
		r.want(t, c.why, c.code, "")
		r.wantStderr(t, c.why, c.stderr)
		if strings.Count(r.stderr, "closed") != 1 {
			t.Errorf("%s: it is not said once: %q", c.why, r.stderr)
		}
	}
}

func TestConnectNotPermitted(t *testing.T) {
	t.Parallel()
	r := command(t, "", "connect", "--allow-net=example.com", "ws://127.0.0.1:9/")
	r.want(t, "the rules do not name the target", exitNotPermitted, "")
	r.wantStderr(t, "the rule that is missing", "needs --allow-net=127.0.0.1:9")
	r = command(t, "", "connect", "--deny-net=127.0.0.0/8", "ws://127.0.0.1:9/")
	r.want(t, "a rule denies", exitNotPermitted, "")
	r.wantStderr(t, "the rule that denied", "denied by --deny-net=127.0.0.0/8")
	r = command(t, "", "connect", "--allow-net", "--deny-net=loopback", "ws://127.0.0.1:9/")
	r.want(t, "denying wins over allowing everything", exitNotPermitted, "")
	r = command(t, "", "connect", "--allow-net=ws://u:secret@h/", "ws://127.0.0.1:9/")
	r.want(t, "a malformed rule", exitUsage, "")
	if strings.Contains(r.stderr, "secret") {
		t.Errorf("credentials are printed: %q", r.stderr)
	}
	r = command(t, "", "connect", "ftp://u:secret@127.0.0.1/")
	r.want(t, "a bad URL", exitUsage, "")
	r.wantStderr(t, "a bad URL", "wasock: invalid URL: scheme: ")
	if strings.Contains(r.stderr, "secret") {
		t.Errorf("credentials are printed: %q", r.stderr)
	}
	s := httptest.NewServer(nil)
	s.Close() // its port is free now
	r = command(t, "", "connect", s.URL)
	r.want(t, "nobody listens", exitFailed, "")
	r.wantStderr(t, "it says what to do", "nothing listens there")
}

// A name that resolves to a private address needs a rule for that too, and the
// error shows the flag that has both.
func TestConnectPrivateName(t *testing.T) {
	const rule = "intranet.example:80"
	named, err := permission.Parse([]string{rule}, nil)
	if err != nil {
		t.Fatal(err)
	}
	denied := named.CheckAddr("intranet.example", netip.MustParseAddrPort("10.0.0.5:80")).Err()
	w := &way{flags: &connectFlags{}, named: []string{rule}}
	err = w.failed(t.Context(), denied)
	var e *exitError
	if !errors.As(err, &e) || e.code != exitNotPermitted {
		t.Fatalf("the error is %v", err)
	}
	if want := "; if you mean it, use --allow-net=intranet.example:80,10.0.0.5:80"; !strings.HasSuffix(explain(err), want) {
		t.Errorf("the error is %q", explain(err))
	}
}

// What a URL allows by default is the host and port that the engine dials.
func TestTargetOf(t *testing.T) {
	h := newTestHost(t)
	for url, want := range map[string]string{
		"ws://example.com":                     "example.com:80",
		"wss://EXAMPLE.com:443/":               "example.com:443",
		"https://example.com./a":               "example.com:443",
		"ws://user:p%40ss@host.example:81/@x":  "host.example:81",
		"ws://allowed.example@evil.example/":   "evil.example:80",
		`ws://evil.example\@allowed.example/`:  "evil.example:80",
		" ws:\\\\example.com\\x\n":             "example.com:80",
		"ws://[::1]:9/":                        "[::1]:9",
		"ws://[2001:DB8:0:0::1]/":              "[2001:db8::1]:80",
		"ws://[::ffff:127.0.0.1]:9/":           "127.0.0.1:9",
		"ws://0x7f.1:9/":                       "127.0.0.1:9",
		"ws://2130706433/":                     "127.0.0.1:80",
		"ws://localhost:9001/?a:b@c":           "localhost:9001",
		"ws://private/":                        "*.private:80",
		"wss://b\u00fccher.example:9000/":      "xn--bcher-kva.example:9000",
		"wss://example.com:65535/?x=1&y=[::1]": "example.com:65535",
	} {
		target, err := targetOf(t.Context(), h, url, &host.DialOptions{TLS: &tls.Config{}})
		if err != nil {
			t.Errorf("%q: %v", url, err)
			continue
		}
		if rule, err := ruleFor(target.Host, target.Port); err != nil || rule != want {
			t.Errorf("%q allows %s, %v, want %s", url, rule, err, want)
		}
	}
}
