package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/host/permission"
	"github.com/wasock/wasock/hostcalls"
	"github.com/wasock/wasock/wasm"
)

// patience is how long a test waits for what should come at once.
const patience = 20 * time.Second

// newTestHost returns a Host that may reach 127.0.0.1.
func newTestHost(t *testing.T) *host.Host {
	t.Helper()
	loopback, err := permission.Allow("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	cache, _, err := openCache(cacheDir)
	if err != nil {
		t.Fatal(err)
	}
	h, err := host.New(t.Context(), host.Config{Grant: loopback, Instances: 1, CacheDir: cache})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// A result is what a command left.
type result struct {
	code           int
	stdout, stderr string
}

// asCommand is the variable that makes the command itself of the test's process.
const asCommand = "WASOCK_TEST_AS_COMMAND"

// cacheDir has the tests share the compiled engine: under the race detector
// compiling takes seconds.
var cacheDir string

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	flag.Parse()
	dir, err := os.MkdirTemp("", "wasock-test-")
	if err != nil {
		panic(err)
	}
	cacheDir = dir
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSLKEYLOGFILE"} {
		_ = os.Unsetenv(name)
		_ = os.Unsetenv(strings.ToLower(name))
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// command runs args to their end.
func command(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var stdout, stderr bytes.Buffer
	code := run(ctx, append(args, "--cache-dir="+cacheDir), strings.NewReader(stdin), &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

func (r result) want(t *testing.T, why string, code int, stdout string) {
	t.Helper()
	if r.code != code || r.stdout != stdout {
		t.Errorf("%s: got code %d, stdout %q, stderr %q; want %d, %q", why, r.code, r.stdout, r.stderr, code, stdout)
	}
}

func (r result) wantStderr(t *testing.T, why string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(r.stderr, p) {
			t.Errorf("%s: stderr %q does not hold %q", why, r.stderr, p)
		}
	}
}

// A running command.
type running struct {
	stdin  *io.PipeWriter
	lines  *bufio.Scanner // of stdout
	stop   context.CancelFunc
	done   chan int
	stderr *bytes.Buffer // read it after done
}

// start runs args until stop is called, at the latest at the end of the test.
func start(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	stdin, toStdin := io.Pipe()
	fromStdout, stdout := io.Pipe()
	r := &running{stdin: toStdin, lines: bufio.NewScanner(fromStdout), stop: cancel, done: make(chan int, 1), stderr: new(bytes.Buffer)}
	go func() {
		code := run(ctx, append(args, "--cache-dir="+cacheDir), stdin, stdout, r.stderr)
		_ = stdout.Close()
		r.done <- code
	}()
	t.Cleanup(func() {
		cancel()
		_ = toStdin.Close()
		_, _ = io.Copy(io.Discard, fromStdout)
	})
	return r
}

func (r *running) line(t *testing.T) string {
	t.Helper()
	if !r.lines.Scan() {
		t.Fatalf("stdout ended: %v; stderr %q", r.lines.Err(), r.stderr)
	}
	return r.lines.Text()
}

// exit waits for the end of the command and returns its exit code.
func (r *running) exit(t *testing.T) int {
	t.Helper()
	select {
	case code := <-r.done:
		return code
	case <-time.After(patience):
		t.Fatal("the command does not end")
		return 0
	}
}

// startEcho starts an echo server and returns its URLs.
func startEcho(t *testing.T, args ...string) (urls []string, r *running) {
	t.Helper()
	r = start(t, append([]string{"echo", "--quiet"}, args...)...)
	listeners := max(1, strings.Count(strings.Join(args, " "), "--listen"))
	for range listeners {
		url, ok := strings.CutPrefix(r.line(t), "listening on ")
		if !ok {
			t.Fatalf("echo printed %q", r.lines.Text())
		}
		urls = append(urls, url)
	}
	return urls, r
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		why    string
		args   []string
		stderr string
	}{
		{"a subcommand is suggested", []string{"ecoh"}, `wasock: unknown command "ecoh"; did you mean echo?` + "\n"},
		{"an unknown subcommand names the help", []string{"frobnicate"}, `wasock: unknown command "frobnicate"; see wasock --help` + "\n"},
		{"a flag is suggested", []string{"connect", "--alow-net=x", "ws://h/"}, "wasock: unknown flag: --alow-net; did you mean --allow-net?\n"},
		{"hidden flags are not", []string{"echo", "--debug-lisen=x"}, "wasock: unknown flag: --debug-lisen; see wasock echo --help\n"},
		{"an unknown flag names the help", []string{"echo", "--colour"}, "wasock: unknown flag: --colour; see wasock echo --help\n"},
		{"the URL is missing", []string{"connect"}, "wasock: connect needs a URL, such as ws://127.0.0.1:9001/\n"},
		{"rules need an equals sign", []string{"connect", "--allow-net", "h", "ws://h/"}, "wasock: connect takes one URL; write --allow-net=RULES and --deny-net=RULES with an equals sign\n"},
		{"hosts need an equals sign", []string{"connect", "--unsafely-ignore-certificate-errors", "h", "wss://h/"}, "wasock: connect takes one URL; write --unsafely-ignore-certificate-errors=HOSTS with an equals sign\n"},
		{"a proxy has a URL, which is not repeated", []string{"connect", "--proxy=ftp://u:secret@h", "ws://h/"}, "wasock: --proxy: this is not the URL of a proxy, such as http://proxy.example.com:3128 or socks5h://127.0.0.1:1080\n"},
		{"a pin has a form", []string{"connect", "--pin=sha1/x", "wss://h/"}, "wasock: --pin: this is not a pin: write sha256/ and the base64 of 32 bytes, with its =\n"},
		{"TLS has two versions", []string{"connect", "--tls-min-version=1.1", "wss://h/"}, "wasock: --tls-min-version 1.1: write 1.2 or 1.3\n"},
		{"a server's TLS as well", []string{"echo", "--tls-self-signed", "--tls-min-version=3"}, "wasock: --tls-min-version 3: write 1.2 or 1.3\n"},
		{"hosts have no ports", []string{"connect", "--unsafely-ignore-certificate-errors=h,h:443", "wss://h/"}, "wasock: --unsafely-ignore-certificate-errors=h:443: the host is neither a name nor an address: write hosts without ports, such as localhost,10.0.0.5\n"},
		{"redirects are counted", []string{"connect", "--redirects=-1", "ws://h/"}, "wasock: --redirects -1: a number of redirects is not negative\n"},
		{"quiet is not verbose", []string{"connect", "-q", "-v", "ws://h/"}, "wasock: --quiet and --verbose exclude each other\n"},
		{"client certificates are for wss", []string{"echo", "--ca=x"}, "wasock: --ca is for wss, which needs --tls-self-signed, or --cert and --key\n"},
		{"a name is not listened on", []string{"echo", "--listen=box.example:1"}, "wasock: --listen box.example:1: the host is an address of this machine, localhost, or nothing for 0.0.0.0\n"},
		{"a rule is typed wrong", []string{"connect", "--allow-net=exmaple.com:44x", "ws://h/"}, "wasock: --allow-net or --deny-net: invalid rule \"exmaple.com:44x\": port \"44x\" is not a number: write exmaple.com:443\n"},
		{"IPv6 has brackets in rules", []string{"connect", "--allow-net=::1", "ws://h/"}, "wasock: --allow-net or --deny-net: invalid rule \"::1\": an IPv6 address is written in brackets: write [::1]\n"},
		{"an empty rule is none", []string{"connect", "--deny-net=", "ws://h/"}, "wasock: --allow-net or --deny-net: invalid rule \"\": empty host: write example.com:443\n"},
		{"a subcommand of permissions is suggested", []string{"permissions", "explian"}, "wasock: unknown command \"explian\"; did you mean explain?\n"},
		{"explain needs a target", []string{"permissions", "explain"}, "wasock: explain needs a target, such as wss://example.com/ or example.com:443\n"},
		{"a target has a port", []string{"permissions", "explain", "example.com"}, "wasock: a target is a URL such as wss://example.com/, or a host and a port such as example.com:443\n"},
		{"IPv6 has brackets in targets", []string{"permissions", "explain", "::1"}, "wasock: an IPv6 address is written in brackets: [::1]:443\n"},
		{"nothing is resolved for listening", []string{"permissions", "explain", "--listen", "--resolve", "127.0.0.1:1"}, "wasock: --listen and --resolve exclude each other: no name is resolved for listening\n"},
		{"sizes have units", []string{"echo", "--message-limit=0"}, `wasock: invalid argument "0" for "--message-limit" flag: a size is a positive number of bytes, such as 65536, 64KiB or 16MiB; see wasock echo --help` + "\n"},
		{"echo takes no arguments", []string{"echo", "127.0.0.1:9001"}, "wasock: echo takes no arguments; see wasock echo --help\n"},
		{"wss needs a certificate", []string{"echo", "--listen=wss://127.0.0.1:0"}, "wasock: --listen wss://127.0.0.1:0: wss needs --tls-self-signed, or --cert and --key\n"},
		{"an address has a port", []string{"echo", "--listen=127.0.0.1"}, "wasock: --listen 127.0.0.1: an address is a host and a port, such as 127.0.0.1:9001 or [::1]:0\n"},
		{"certificate and key are a pair", []string{"echo", "--cert=x"}, "wasock: --cert and --key belong together: give both\n"},
		{"a header has a colon, and is not repeated", []string{"connect", "-H", "secret", "ws://h/"}, "wasock: --header number 1 is not of the form 'Name: value'\n"},
		{"--binary has two forms", []string{"connect", "--binary=base64", "ws://h/"}, "wasock: --binary base64: write --binary hex or --binary raw\n"},
	} {
		r := command(t, "", c.args...)
		r.want(t, c.why, exitUsage, "")
		if r.stderr != c.stderr {
			t.Errorf("%s: stderr %q, want %q", c.why, r.stderr, c.stderr)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, name := range []string{"echo", "connect", "permissions", "permissions explain", "version", "demo"} {
		r := command(t, "", append(strings.Fields(name), "--help")...)
		if r.code != exitOK || !strings.Contains(r.stdout, "Examples:\n  wasock "+name) {
			t.Errorf("%s --help has no example: code %d, %q", name, r.code, r.stdout)
		}
		for line := range strings.Lines(r.stdout) {
			if len([]rune(strings.TrimSuffix(line, "\n"))) > 80 && !strings.Contains(line, "cache") {
				t.Errorf("%s --help: over 80 columns: %q", name, line)
			}
		}
	}
}

func TestVersion(t *testing.T) {
	r := command(t, "", "version", "--json")
	var v versions
	if err := json.Unmarshal([]byte(r.stdout), &v); err != nil || r.code != exitOK {
		t.Fatal(err, r)
	}
	if v.EngineSHA256 != wasm.EngineSHA256() || v.ABIVersion != hostcalls.Version || !strings.HasPrefix(v.Go, "go1.") {
		t.Errorf("version says %+v", v)
	}
	text := command(t, "", "version")
	if !strings.Contains(text.stdout, "engine  sha256:"+v.EngineSHA256+"\nABI     1\n") {
		t.Errorf("version says %q", text.stdout)
	}
}

func TestCacheDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	cache, warm, err := openCache(dir)
	if err != nil || warm {
		t.Fatalf("a new directory: warm %v, %v", warm, err)
	}
	if err := os.MkdirAll(filepath.Join(cache, "wazero-v1"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cache, "wazero-v1", "code"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if again, warm, err := openCache(dir); err != nil || !warm || again != cache {
		t.Fatalf("with code in it: %q, warm %v, %v", again, warm, err)
	}
	if err := os.Chmod(cache, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, _, err := openCache(dir); err == nil {
		t.Fatal("code that others can write is executed")
	}
}

// A directory that cannot be made is a note, and no failure.
func TestCacheDirUnwritable(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"connect", "--cache-dir", file, "ws://127.0.0.1:0/"}, strings.NewReader(""), &stdout, &stderr)
	r := result{code, stdout.String(), stderr.String()}
	r.want(t, "port 0 is never permitted", exitNotPermitted, "")
	r.wantStderr(t, "the cache is a note", "wasock: the compiled engine is not kept: ", "--cache-dir")
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain, grüezi 你好\t\n": "plain, grüezi 你好\t\n",
		"\x1b]0;title\a":       `\x1b]0;title\x07`,
		"\u009b31m\u202e":      `\x9b31m\u202e`,
		"\x9b31m":              "\ufffd31m", // not UTF-8
	} {
		if got := printable(in); got != want {
			t.Errorf("printable(%q) is %q, want %q", in, got, want)
		}
	}
}
