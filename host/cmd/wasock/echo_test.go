package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/host/permission"
)

func TestEchoPage(t *testing.T) {
	t.Parallel()
	urls, _ := startEcho(t, "--listen=127.0.0.1:0")
	page := "http" + strings.TrimPrefix(urls[0], "ws")
	resp, err := http.Get(page)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), "wasock connect "+urls[0]) {
		t.Errorf("GET / answers %d %q", resp.StatusCode, body)
	}
	resp, err = http.Get(page + "x")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("GET /x without an upgrade answers %d", resp.StatusCode)
	}
}

func TestEchoAddressInUse(t *testing.T) {
	urls, _ := startEcho(t, "--listen=127.0.0.1:0")
	address := strings.TrimSuffix(strings.TrimPrefix(urls[0], "ws://"), "/")
	r := command(t, "", "echo", "--listen", address)
	r.want(t, "an address is taken once", exitFailed, "")
	r.wantStderr(t, "it says what to do", "wasock: listen tcp4 "+address, "choose another port")
}

// Ctrl-C closes what is open with 1001, and waits.
func TestEchoShutdown(t *testing.T) {
	t.Parallel()
	urls, echo := startEcho(t, "--listen=127.0.0.1:0")
	c := start(t, "connect", urls[0])
	if _, err := io.WriteString(c.stdin, "a\n"); err != nil {
		t.Fatal(err)
	}
	if got := c.line(t); got != "a" {
		t.Fatalf("echo of a is %q", got)
	}
	echo.stop()
	if code := echo.exit(t); code != exitOK {
		t.Errorf("echo ends with %d: %s", code, echo.stderr)
	}
	if code := c.exit(t); code != exitOK {
		t.Errorf("connect ends with %d", code)
	}
	if got := c.stderr.String(); !strings.Contains(got, `wasock: closed by the peer: 1001 (going away) "Server shutting down"`) {
		t.Errorf("connect says %q", got)
	}
}

// Whatever the send limit, a burst comes back whole and in order.
func TestEchoBackpressure(t *testing.T) {
	urls, _ := startEcho(t, "--listen=127.0.0.1:0", "--send-limit=1B")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := dial(ctx, t, urls[0])
	const count, length = 400, 16 << 10
	sent := make(chan error, 1)
	go func() {
		for i := range count {
			if err := c.Write(ctx, host.MessageBinary, bytes.Repeat([]byte{byte(i)}, length)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for i := range count {
		_, p, err := c.Read(ctx)
		if err != nil {
			t.Fatal(i, err)
		}
		if len(p) != length || p[0] != byte(i) || p[length-1] != byte(i) {
			t.Fatalf("message %d is not the echo of what was sent", i)
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

func dial(ctx context.Context, t *testing.T, url string) *host.Conn {
	t.Helper()
	c, _, err := newTestHost(t).Dial(ctx, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The server allocates nothing for a message. The client is raw, so that only
// the server can.
func TestEchoAllocations(t *testing.T) {
	urls, _ := startEcho(t, "--listen=127.0.0.1:0")
	nc, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(urls[0], "ws://"), "/"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	_ = nc.SetDeadline(time.Now().Add(patience))
	_, err = io.WriteString(nc, "GET / HTTP/1.1\r\nHost: "+nc.RemoteAddr().String()+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(nc)
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(resp, err)
	}
	const rounds = 5000
	frame := []byte("\x81\x85\x00\x00\x00\x00hello") // masked with zeros
	answer := make([]byte, len("\x81\x05hello"))
	round := func() {
		if _, err := nc.Write(frame); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, answer); err != nil || string(answer) != "\x81\x05hello" {
			t.Fatal(answer, err)
		}
	}
	for range 100 {
		round()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range rounds {
		round()
	}
	runtime.ReadMemStats(&after)
	if n := after.Mallocs - before.Mallocs; n > rounds/10 {
		t.Errorf("%d messages took %d allocations", rounds, n)
	}
}

func TestSelfSignedNames(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.pem")
	urls, _ := startEcho(t, "--listen=127.0.0.1:0", "--tls-self-signed", "--ca-out", file)
	if !strings.HasPrefix(urls[0], "wss://127.0.0.1:") {
		t.Errorf("a TLS listener is %s", urls[0])
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	fromFile, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if fromFile.IsCA {
		t.Error("who trusts the certificate trusts what it signs")
	}
	cert, _, err := selfSigned([]string{"127.0.0.1", "0.0.0.0", "::", "", "192.0.2.7", "box.example"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"localhost", "box.example"}; !slices.Equal(cert.Leaf.DNSNames, want) {
		t.Errorf("names %q, want %q", cert.Leaf.DNSNames, want)
	}
	var addresses []string
	for _, ip := range cert.Leaf.IPAddresses {
		addresses = append(addresses, ip.String())
	}
	if want := []string{"127.0.0.1", "::1", "192.0.2.7"}; !slices.Equal(addresses, want) {
		t.Errorf("addresses %q, want %q", addresses, want)
	}
}

func TestParseListen(t *testing.T) {
	for text, want := range map[string]listenAddress{
		"127.0.0.1:9001":        {"wss", "127.0.0.1", 9001},
		":9001":                 {"wss", "0.0.0.0", 9001},
		"Localhost:9001":        {"wss", "Localhost", 9001},
		"ws://127.0.0.1:9001/":  {"ws", "127.0.0.1", 9001},
		"WSS://[::1]:0":         {"wss", "::1", 0},
		"http://127.0.0.1:9001": {},
		"9001":                  {},
		"::1:9001":              {},
		"127.0.0.1:":            {},
		"127.0.0.1:65536":       {},
		"127.0.0.1:http":        {},
		"ws://127.0.0.1:1/path": {},
		"box.example:9001":      {}, // what it resolves to is not ours to say
	} {
		got, err := parseListen(text, "wss")
		if (err != nil) != (want == listenAddress{}) || err == nil && got != want {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
	}
}

// What comes by a listener counts against the grant that allowed it, with TLS as well.
func TestEchoGrant(t *testing.T) {
	t.Parallel()
	h := newTestHost(t)
	grant, err := permission.Allow("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	cert, _, err := selfSigned(nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var listeners []*listener
	for _, scheme := range []string{"ws", "wss"} {
		ln, err := listenAddress{scheme, "127.0.0.1", 0}.listen(ctx, serverTLS(cert), grant)
		if err != nil {
			t.Fatal(err)
		}
		listeners = append(listeners, ln)
	}
	go func() {
		_ = serve(ctx, h, listeners, &host.AcceptOptions{Events: echoEvents{}}, slog.New(slog.DiscardHandler))
	}()
	for _, ln := range listeners {
		if _, _, err := h.Dial(ctx, ln.url, &host.DialOptions{InsecureHosts: []string{"127.0.0.1"}}); err != nil {
			t.Fatal(err)
		}
	}
	if got := grant.Usage().Connections; got != 4 {
		t.Errorf("two listeners with a connection each count as %d, want 4", got)
	}
}
