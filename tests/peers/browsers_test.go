package peers

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A browser holds the conversations in a page that our server serves. A browser
// opens a WebSocket over HTTP/2 only where it has a session with the origin, which
// the page's own loading makes.
type browser struct {
	row  string
	tool tool
	// prepare makes a profile in dir, and returns what starts the browser with url.
	prepare func(t *testing.T, dir, url string, creds *credentials) (env, args []string)
}

var browsers = []browser{
	{"chromium: server", chromiumTool, chromiumProfile},
	{"firefox: server", firefoxTool, firefoxProfile},
}

// TestBrowsers has our server talk with browsers.
func TestBrowsers(t *testing.T) {
	creds := newCredentials(t)
	for _, b := range browsers {
		name, _, _ := strings.Cut(b.row, ":")
		t.Run(name, func(t *testing.T) {
			program := need(t, b.row, b.tool)
			results.lacks(b.row, "browsers have no HTTP/2 without TLS")
			for _, c := range encryptedHTTP2 {
				t.Run(c.String(), func(t *testing.T) {
					s := serveOurs(t, creds.forScheme(c), c.version)
					b.hold(t, pairing{b.row, c}, s, program, creds)
				})
			}
		})
	}
}

// hold has the browser hold all conversations with s.
func (b browser) hold(t *testing.T, p pairing, s *ourServer, program string, creds *credentials) {
	t.Helper()
	posted := make(chan []result, 1)
	for path, name := range map[string]string{"/{$}": "page.html", "/conversations.mjs": "conversations.mjs"} {
		s.mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, script(t, name)) })
	}
	s.mux.HandleFunc("POST /results", func(_ http.ResponseWriter, r *http.Request) {
		var of []result
		if err := json.NewDecoder(r.Body).Decode(&of); err != nil {
			t.Errorf("the page's results: %v", err)
		}
		posted <- of
	})
	url := strings.Replace(p.scheme(), "ws", "http", 1) + "://" + s.authority + "/"
	env, args := b.prepare(t, t.TempDir(), url, creds)
	peer := start(t, env, program, args...)
	select {
	case of := <-posted:
		p.settleAll(t, s, of, nil)
	case <-peer.exited:
		t.Fatalf("the browser ended before the page had its results: %v", peer.err)
	case <-time.After(scriptPatience):
		t.Fatalf("the page had no results within %v", scriptPatience)
	}
}

// chromiumProfile starts Chromium. It finds no host, and trusts every certificate.
func chromiumProfile(_ *testing.T, dir, url string, _ *credentials) (env, args []string) {
	return []string{"HOME=" + dir}, []string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic",
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--ignore-certificate-errors",
		"--user-data-dir=" + dir, url,
	}
}

// firefoxProfile starts Firefox with a profile that excepts our certificate, as a
// click in its warning does, and with a proxy that does not exist for every host
// but loopback.
func firefoxProfile(t *testing.T, dir, url string, creds *credentials) (env, args []string) {
	var prefs strings.Builder
	for name, value := range map[string]any{
		"network.proxy.type": 1, "network.proxy.http": "127.0.0.1", "network.proxy.http_port": 9,
		"network.proxy.ssl": "127.0.0.1", "network.proxy.ssl_port": 9,
		"network.captive-portal-service.enabled": false, "network.connectivity-service.enabled": false,
		"datareporting.policy.dataSubmissionEnabled": false, "toolkit.telemetry.enabled": false,
		"app.normandy.enabled": false, "app.update.enabled": false, "extensions.update.enabled": false,
		"browser.safebrowsing.malware.enabled": false, "browser.safebrowsing.phishing.enabled": false,
		"browser.shell.checkDefaultBrowser": false, "browser.aboutwelcome.enabled": false,
		"browser.startup.homepage_override.mstone": "ignore", "datareporting.policy.dataSubmissionPolicyBypassNotification": true,
		"termsofuse.bypassNotification": true,
	} {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&prefs, "user_pref(%q, %s);\n", name, text)
	}
	write(t, dir, "user.js", []byte(prefs.String()))
	if authority, ok := strings.CutPrefix(url, "https://"); ok {
		host, port, err := net.SplitHostPort(strings.TrimSuffix(authority, "/"))
		if err != nil {
			t.Fatal(err)
		}
		// Of its fields Firefox says nothing but in nsCertOverrideService.cpp.
		sum := sha256.Sum256(creds.certificate.Certificate[0])
		fingerprint := strings.ReplaceAll(fmt.Sprintf("% X", sum), " ", ":")
		write(t, dir, "cert_override.txt", fmt.Appendf(nil, "%s:%s:\tOID.2.16.840.1.101.3.4.2.1\t%s\t\n", host, port, fingerprint))
	}
	return []string{"HOME=" + dir, "MOZ_CRASHREPORTER_DISABLE=1"}, []string{"--headless", "--no-remote", "--profile", dir, url}
}
