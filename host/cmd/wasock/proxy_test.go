package main

import (
	"encoding/base64"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/wasock/wasock/host/dialer"
)

// A testProxy is an HTTP proxy that connects every target to one address.
type testProxy struct {
	*httptest.Server
	to   string
	user string // "name:password", or empty for anybody

	mu      sync.Mutex
	targets []string
}

func startProxy(t *testing.T, to, user string, secure bool) *testProxy {
	t.Helper()
	p := &testProxy{to: to, user: user}
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(p.connect))
	p.Config.ErrorLog = log.New(io.Discard, "", 0) // of clients that do not trust it
	if secure {
		p.StartTLS()
	} else {
		p.Start()
	}
	t.Cleanup(p.Close)
	return p
}

func (p *testProxy) address() string { return p.Listener.Addr().String() }

func (p *testProxy) asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.targets)
}

func (p *testProxy) connect(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		http.Error(w, "this is a proxy", http.StatusMethodNotAllowed)
		return
	}
	p.mu.Lock()
	p.targets = append(p.targets, r.Host)
	p.mu.Unlock()
	if p.user != "" && r.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte(p.user)) {
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	target, err := net.Dial("tcp", p.to)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusOK)
	client, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		_ = target.Close()
		return
	}
	go func() {
		_, _ = io.Copy(target, buffered) // the server may have read some of it
		_ = target.Close()
	}()
	_, _ = io.Copy(client, target)
	_ = client.Close()
}

func TestConnectProxy(t *testing.T) {
	t.Parallel()
	urls, _ := startEcho(t, "--listen=127.0.0.1:0")
	address := strings.TrimSuffix(strings.TrimPrefix(urls[0], "ws://"), "/")
	p := startProxy(t, address, "me:secret", false)
	withUser := "http://me:secret@" + p.address()
	const far = "ws://192.0.2.1/" // nothing is there, but the proxy knows better

	r := command(t, "a\n", "connect", "--count=1", "--proxy", withUser, far)
	r.want(t, "through the proxy that is named", exitOK, "a\n")
	r.wantStderr(t, "which is said", "wasock: connected to 192.0.2.1:80 over HTTP/1.1 through http://"+p.address()+"\n")
	if got := p.asked(); !slices.Equal(got, []string{"192.0.2.1:80"}) {
		t.Errorf("the proxy was asked for %q", got)
	}
	if strings.Contains(r.stderr, "secret") {
		t.Errorf("credentials are printed: %q", r.stderr)
	}

	r = command(t, "", "connect", "--proxy", p.URL, far)
	r.want(t, "the proxy wants to know who it is", exitFailed, "")
	r.wantStderr(t, "it says what to do", "status 407 Proxy Authentication Required: put user:password@ into the proxy's URL\n")
	r = command(t, "", "connect", "--proxy", "http://me:wrong@"+p.address(), far)
	r.want(t, "it knows somebody else", exitFailed, "")
	r.wantStderr(t, "it says what to do", "the user name and password in the proxy's URL were not accepted\n")

	r = command(t, "", "connect", "--proxy", withUser, "--allow-net=192.0.2.1", far)
	r.want(t, "with --allow-net the proxy needs a rule", exitNotPermitted, "")
	r.wantStderr(t, "it says which", "needs --allow-net="+p.address()+"; that is the proxy: add the flag, or go without it: --proxy none\n")
	r = command(t, "a\n", "connect", "--count=1", "--proxy", withUser, "--allow-net=192.0.2.1", "--allow-net="+p.address(), far)
	r.want(t, "and works with it", exitOK, "a\n")
	r = command(t, "", "connect", "--proxy", withUser, "--allow-net="+p.address(), far)
	r.want(t, "the proxy's rule is not the target's", exitNotPermitted, "")
	r = command(t, "", "connect", "--proxy", withUser, "--deny-net=loopback", far)
	r.want(t, "a proxy can be denied", exitNotPermitted, "")
	r.wantStderr(t, "it is the proxy that is", "dial "+p.address()+" is not permitted: denied by --deny-net=loopback\n")

	p.Close()
	r = command(t, "", "connect", "--proxy", p.URL, far)
	r.want(t, "no proxy listens", exitFailed, "")
	r.wantStderr(t, "it says where to look", "connect with proxy "+p.URL+" for 192.0.2.1:80: ", "--proxy none goes without\n")
}

func TestConnectProxyFromEnvironment(t *testing.T) {
	urls, _ := startEcho(t, "--listen=127.0.0.1:0")
	p := startProxy(t, strings.TrimSuffix(strings.TrimPrefix(urls[0], "ws://"), "/"), "", false)
	t.Setenv("HTTP_PROXY", p.URL)
	r := command(t, "a\n", "connect", "--count=1", "ws://192.0.2.1:8080/")
	r.want(t, "the environment names a proxy", exitOK, "a\n")
	r = command(t, "a\n", "connect", "--count=1", urls[0])
	r.want(t, "not for this machine", exitOK, "a\n")
	if got := p.asked(); !slices.Equal(got, []string{"192.0.2.1:8080"}) {
		t.Errorf("the proxy was asked for %q", got)
	}
	r = command(t, "a\n", "connect", "--count=1", "--proxy", p.URL, urls[0])
	r.want(t, "--proxy is for every target", exitOK, "a\n")
	if got := p.asked(); len(got) != 2 {
		t.Errorf("the proxy was asked for %q", got)
	}

	t.Setenv("HTTP_PROXY", "ftp://u:secret@h")
	r = command(t, "", "connect", "ws://192.0.2.1/")
	r.want(t, "a variable that names no proxy", exitUsage, "")
	r.wantStderr(t, "it is named", "wasock: HTTP_PROXY: this is not the URL of a proxy", "correct it, or use --proxy none\n")
	if strings.Contains(r.stderr, "secret") {
		t.Errorf("credentials are printed: %q", r.stderr)
	}
	t.Setenv("HTTP_PROXY", "")
	t.Setenv("ALL_PROXY", p.URL)
	r = command(t, "", "connect", "--proxy=none", "--deny-net=192.0.2.1", "ws://192.0.2.1/")
	r.want(t, "no proxy is one that nobody asks", exitNotPermitted, "")
	if got := p.asked(); len(got) != 2 {
		t.Errorf("the proxy was asked for %q", got)
	}
}

// An https proxy is verified by --ca too, and never unverified.
func TestConnectHTTPSProxy(t *testing.T) {
	t.Parallel()
	urls, _ := startEcho(t, "--listen=127.0.0.1:0")
	p := startProxy(t, strings.TrimSuffix(strings.TrimPrefix(urls[0], "ws://"), "/"), "", true)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	r := command(t, "a\n", "connect", "--count=1", "--ca", ca, "--proxy", p.URL, "ws://192.0.2.1/")
	r.want(t, "the proxy's certificate is trusted", exitOK, "a\n")
	r = command(t, "", "connect", "--unsafely-ignore-certificate-errors=127.0.0.1,192.0.2.1", "--proxy", p.URL, "ws://192.0.2.1/")
	r.want(t, "it is verified, whatever is ignored", exitFailed, "")
}

// A proxy that was named may stand in a private network.
func TestProxyRules(t *testing.T) {
	names := fixedNames{"proxy.example": {"8.8.8.8", "10.0.0.5", "::ffff:127.0.0.1", "fd00::1", "169.254.169.254", "100.64.0.1"}}
	for text, want := range map[string]string{
		"http://proxy.example:3128":  "proxy.example:3128,10.0.0.5:3128,127.0.0.1:3128,[fd00::1]:3128",
		"proxy.example":              "proxy.example:80,10.0.0.5:80,127.0.0.1:80,[fd00::1]:80",
		"https://u:p@proxy.example/": "proxy.example:443,10.0.0.5:443,127.0.0.1:443,[fd00::1]:443",
		"socks5://10.0.0.5":          "10.0.0.5:1080",
		"socks5h://[::1]:9050":       "[::1]:9050",
		"socks5h://gone.example":     "gone.example:1080",
	} {
		f := proxyFlags{text}
		choose, err := f.choose()
		if err != nil {
			t.Fatal(err)
		}
		u, err := choose(dialer.Target{Host: "192.0.2.1", Port: 443, TLS: true})
		if err != nil {
			t.Fatal(err)
		}
		rules, err := newProxyServer(u).rules(t.Context(), names)
		if got := strings.Join(rules, ","); err != nil || got != want {
			t.Errorf("%s allows %s, %v, want %s", text, got, err, want)
		}
	}
}

func TestConnectRedirects(t *testing.T) {
	t.Parallel()
	urls, _ := startEcho(t, "--listen=127.0.0.1:0")
	var mu sync.Mutex
	var to string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		http.Redirect(w, r, to, http.StatusFound)
	}))
	t.Cleanup(s.Close)
	from := "ws" + strings.TrimPrefix(s.URL, "http")
	to = "http" + strings.TrimPrefix(urls[0], "ws")
	address := strings.TrimSuffix(strings.TrimPrefix(urls[0], "ws://"), "/")

	r := command(t, "", "connect", from)
	r.want(t, "redirects are not followed", exitFailed, "")
	r.wantStderr(t, "it says how", "(status 302); --redirects 1 follows one")
	r = command(t, "", "connect", "--redirects=1", from)
	r.want(t, "where they lead is not named by the URL", exitNotPermitted, "")
	r.wantStderr(t, "it says what is missing", "wasock: redirected to "+address+"\n",
		"needs --allow-net="+address+"; if you mean it, use --allow-net="+strings.TrimPrefix(from, "ws://")+","+address+"\n")
	r = command(t, "a\n", "connect", "--count=1", "--redirects=1", "--allow-net=127.0.0.1", from)
	r.want(t, "where they lead is allowed", exitOK, "a\n")
	r.wantStderr(t, "it says where it went", "wasock: redirected to "+address+"\n", "wasock: connected to "+address+" over")
	mu.Lock()
	to = "/again"
	mu.Unlock()
	r = command(t, "", "connect", "--redirects=2", from)
	r.want(t, "they are counted", exitFailed, "")
	if n := strings.Count(r.stderr, "redirected to"); n != 2 {
		t.Errorf("%d redirects were followed: %q", n, r.stderr)
	}
}
