package main

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/wasock/wasock/host/dialer"
	"github.com/wasock/wasock/host/permission"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		why  string
		args string
		code int
		want string
	}{
		{"each target has a line, whoever decided", "--allow-net=*.example.com,127.0.0.0/8 --deny-net=private,evil.example.com " +
			"a.example.com:443 10.0.0.1:80 evil.example.com:1 127.0.0.1:1 [::1]:80 other.example:443", exitNotPermitted,
			"a.example.com:443   allowed by --allow-net=*.example.com\n" +
				"10.0.0.1:80         denied by --deny-net=private\n" +
				"evil.example.com:1  denied by --deny-net=evil.example.com\n" +
				"127.0.0.1:1         allowed by --allow-net=127.0.0.0/8\n" +
				"[::1]:80            needs --allow-net=[::1]:80\n" +
				"other.example:443   needs --allow-net=other.example:443\n"},
		{"URLs are the engine's to parse, and their secrets are not printed", "--allow-net=evil.example:80,example.com:443 " +
			"wss://u:secret@EXAMPLE.com/?secret ws://example.com@evil.example/", exitOK,
			"example.com:443  allowed by --allow-net=example.com:443\nevil.example:80  allowed by --allow-net=evil.example:80\n"},
		{"without a rule nothing is allowed", "example.com:443", exitNotPermitted, "example.com:443  needs --allow-net=example.com:443\n"},
		{"everything is allowed", "--allow-net h:1", exitOK, "h:1  allowed by --allow-net\n"},
		{"nothing is, and no rule helps", "--allow-net=h --deny-net h:1 i:2", exitNotPermitted, "h:1  denied by --deny-net\ni:2  denied by --deny-net\n"},
		{"what no rule can allow", "--allow-net 127.1:80 h:0", exitNotPermitted,
			"127.1:80  the host is a number, but not an IPv4 address in canonical form\nh:0       port 0 cannot be dialled\n"},
		{"listening is another question", "--listen --allow-net=:9001 127.0.0.1:9001 :9001 ws://[::]:9001/ localhost:0", exitNotPermitted,
			"127.0.0.1:9001  allowed by --allow-net=:9001\n0.0.0.0:9001    allowed by --allow-net=:9001\n" +
				"[::]:9001       needs --allow-net=[::]:9001\nlocalhost:0     needs --allow-net=localhost:0\n"},
		{"a literal resolves to itself, and its class is named", "--resolve --allow-net=127.0.0.1,8.8.8.8 127.0.0.1:1 8.8.8.8:53 169.254.169.254:80", exitNotPermitted,
			"127.0.0.1:1         allowed by --allow-net=127.0.0.1\n  127.0.0.1         a loopback address: allowed by --allow-net=127.0.0.1\n" +
				"8.8.8.8:53          allowed by --allow-net=8.8.8.8\n  8.8.8.8           a public address: allowed by --allow-net=8.8.8.8\n" +
				"169.254.169.254:80  needs --allow-net=169.254.169.254:80\n  169.254.169.254   a cloud metadata address: needs --allow-net=169.254.169.254:80\n"},
	} {
		r := command(t, "", append([]string{"permissions", "explain"}, strings.Fields(c.args)...)...)
		r.want(t, c.why, c.code, c.want)
	}
	r := command(t, "", "permissions", "explain", "ftp://u:secret@h/")
	r.want(t, "what connect would not take", exitUsage, "")
	if strings.Contains(r.stderr, "secret") {
		t.Errorf("credentials are printed: %q", r.stderr)
	}
}

// fixedNames is a dialer.Resolver of these names and no others.
type fixedNames map[string][]string

func (f fixedNames) LookupNetIP(_ context.Context, _, host string) (addrs []netip.Addr, err error) {
	for _, a := range f[host] {
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	if addrs == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return addrs, nil
}

// A name is permitted if one of its addresses is.
func TestExplainResolved(t *testing.T) {
	list, err := permission.Parse([]string{"*.example", "10.0.0.0/8"}, []string{"9.9.9.9"})
	if err != nil {
		t.Fatal(err)
	}
	e := &explanation{flags: &explainFlags{resolve: true, timeout: patience}, list: list, resolver: fixedNames{
		"mixed.example": {"8.8.8.8", "10.0.0.5", "192.168.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "9.9.9.9"},
		"near.example":  {"192.168.0.1"},
		"else.test":     {"8.8.8.8"},
	}}
	for _, name := range []string{"mixed.example", "near.example", "gone.example", "else.test"} {
		e.target(t.Context(), dialer.Target{Host: name, Port: 80})
	}
	var b strings.Builder
	if err := e.print(&b); err != nil {
		t.Fatal(err)
	}
	want := `mixed.example:80   allowed by --allow-net=*.example
  8.8.8.8          a public address: allowed by --allow-net=*.example
  10.0.0.5         a private address: allowed by --allow-net=10.0.0.0/8
  192.168.0.1      a private address: needs --allow-net=192.168.0.1:80
  127.0.0.1        a loopback address: needs --allow-net=127.0.0.1:80
  64:ff9b::7f00:1  which embeds 127.0.0.1, a loopback address: needs --allow-net=127.0.0.1:80
  9.9.9.9          a public address: denied by --deny-net=9.9.9.9
near.example:80    allowed by --allow-net=*.example, but none of its addresses is allowed
  192.168.0.1      a private address: needs --allow-net=192.168.0.1:80
gone.example:80    allowed by --allow-net=*.example; lookup gone.example: no such host
else.test:80       needs --allow-net=else.test:80
  8.8.8.8          a public address: needs --allow-net=else.test:80
`
	if b.String() != want {
		t.Errorf("it prints\n%swant\n%s", &b, want)
	}
	if e.denied != 2 || e.unresolved != 1 {
		t.Errorf("%d are denied and %d unresolved, want 2 and 1", e.denied, e.unresolved)
	}
}

func TestConnectDenyAll(t *testing.T) {
	t.Parallel()
	urls, _ := startEcho(t, "--listen=127.0.0.1:0")
	r := command(t, "", "connect", "--deny-net", urls[0])
	r.want(t, "a bare --deny-net denies what the URL names", exitNotPermitted, "")
	r.wantStderr(t, "no rule would help", "is not permitted: denied by --deny-net\n")
	r = command(t, "", "connect", "--allow-net", "--deny-net", "--prompt", urls[0])
	r.want(t, "and what --allow-net allows, and nobody is asked", exitNotPermitted, "")
}

// --verbose shows the decisions of both ends.
func TestVerbose(t *testing.T) {
	t.Parallel()
	urls, echo := startEcho(t, "--listen=127.0.0.1:0", "--allow-net=127.0.0.1") // --quiet
	r := command(t, "a\n", "connect", "-v", "--count=1", urls[0])
	r.want(t, "it changes nothing else", exitOK, "a\n")
	address := strings.TrimSuffix(strings.TrimPrefix(urls[0], "ws://"), "/")
	r.wantStderr(t, "the rule is shown", "wasock: permission allowed grant=connect operation=dial target=127.0.0.1", "address="+address, "rule=--allow-net="+address+"\n")
	r = command(t, "a\n", "connect", "--count=1", urls[0])
	if strings.Contains(r.stderr, "permission") {
		t.Errorf("without it decisions are printed: %q", r.stderr)
	}
	echo.stop()
	echo.exit(t)

	v := start(t, "echo", "-v", "--listen=127.0.0.1:0")
	v.line(t)
	v.stop()
	v.exit(t)
	if got := v.stderr.String(); !strings.Contains(got, "permission allowed grant=echo operation=listen target=127.0.0.1 port=0") {
		t.Errorf("listening is not among the decisions: %q", got)
	}
}

func TestEchoNotPermitted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		why, args, stderr string
	}{
		{"the rules do not name the address", "--listen=127.0.0.1:0 --allow-net=127.0.0.1:9001", "listen 127.0.0.1:0 is not permitted: needs --allow-net=127.0.0.1:0\n"},
		{"one of several addresses", "--listen=127.0.0.1:0 --listen=:0 --allow-net=127.0.0.1", "listen 0.0.0.0:0 is not permitted: needs --allow-net=0.0.0.0:0\n"},
		{"a rule denies", "--listen=127.0.0.1:0 --deny-net=loopback", "listen 127.0.0.1:0 is not permitted: denied by --deny-net=loopback\n"},
		{"everything is denied", "--listen=127.0.0.1:0 --deny-net", "listen 127.0.0.1:0 is not permitted: denied by --deny-net\n"},
		{"the port of profiles is one too", "--listen=127.0.0.1:0 --allow-net=127.0.0.1:0 --debug-listen=127.0.0.2:0", "listen 127.0.0.2:0 is not permitted: needs --allow-net=127.0.0.2:0\n"},
	} {
		r := command(t, "", append([]string{"echo", "-q"}, strings.Fields(c.args)...)...)
		if r.code != exitNotPermitted {
			t.Errorf("%s: code %d, stderr %q", c.why, r.code, r.stderr)
		}
		r.wantStderr(t, c.why, c.stderr)
	}
	for _, args := range [][]string{
		{"--listen=:0", "--listen=localhost:0"}, {"--listen=127.0.0.1:0", "--allow-net"},
		{"--listen=localhost:0", "--listen=:0", "--allow-net=localhost,0.0.0.0,127.0.0.1", "--debug-listen=127.0.0.1:0"},
	} {
		urls, echo := startEcho(t, args...)
		if !strings.HasPrefix(urls[0], "ws://") {
			t.Errorf("%q listens on %q", args, urls)
		}
		echo.stop()
		if code := echo.exit(t); code != exitOK {
			t.Errorf("%q: code %d, %s", args, code, echo.stderr)
		}
	}
}

// A person at a terminal is asked in it, and nothing else answers.
func TestPrompter(t *testing.T) {
	t.Parallel()
	list, err := permission.Parse([]string{"intranet.example"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	v := list.CheckAddr("intranet.example", netip.MustParseAddrPort("10.0.0.5:80"))
	const asked = "wasock: connect requests net access to \"10.0.0.5:80\".\n" +
		"        intranet.example resolves to 10.0.0.5, a private address.\n" +
		"        --allow-net=10.0.0.5:80 allows it without a question.\n" + choices
	for _, c := range []struct {
		why   string
		typed []string
		want  permission.Answer
	}{
		{"y is yes", []string{"y\n"}, permission.AnswerAllow},
		{"case and spaces do not matter where nothing is at stake", []string{" Y \r\n"}, permission.AnswerAllow},
		{"n is no", []string{"n\n"}, permission.AnswerDeny},
		{"A is all", []string{"A\n"}, permission.AnswerAllowAll},
		{"a is asked about, and so is everything else", []string{"a\n", "\n", "yes please\n", "n\n"}, permission.AnswerDeny},
	} {
		ours, theirs := net.Pipe()
		answers := make(chan permission.Answer, 1)
		go func() {
			a, err := (&prompter{func() (terminal, error) { return ours, nil }}).ask(t.Context(), v)
			if err != nil {
				t.Errorf("%s: %v", c.why, err)
			}
			answers <- a
		}()
		for i, line := range c.typed {
			want := choices
			if i == 0 {
				want = asked
			}
			if got := readText(t, theirs, len(want)); got != want {
				t.Errorf("%s: the question is %q, want %q", c.why, got, want)
			}
			if _, err := theirs.Write([]byte(line)); err != nil {
				t.Fatal(err)
			}
		}
		if got := <-answers; got != c.want {
			t.Errorf("%s: the answer is %v, want %v", c.why, got, c.want)
		}
	}
}

func readText(t *testing.T, from net.Conn, n int) string {
	t.Helper()
	_ = from.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, n)
	for have := 0; have < n; {
		m, err := from.Read(b[have:])
		if err != nil {
			t.Fatalf("after %q: %v", b[:have], err)
		}
		have += m
	}
	return string(b)
}

// Nothing that is not an answer is taken for one.
func TestPrompterNoAnswer(t *testing.T) {
	v := (*permission.List)(nil).CheckTarget("h.example", 80)
	ours, theirs := net.Pipe()
	go func() {
		readText(t, theirs, len(question(v)))
		_ = theirs.Close()
	}()
	p := &prompter{func() (terminal, error) { return ours, nil }}
	if _, err := p.ask(t.Context(), v); err == nil {
		t.Error("the end of the terminal is an answer")
	}
	ours, theirs = net.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		readText(t, theirs, len(question(v)))
		cancel()
	}()
	if _, err := p.ask(ctx, v); err != context.Canceled {
		t.Errorf("when nobody waits any more: %v", err)
	}
	p.open = func() (terminal, error) { return nil, os.ErrNotExist }
	if _, err := p.ask(t.Context(), v); err == nil {
		t.Error("without a terminal there is an answer")
	}
}
