package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wasock/wasock/host/dialer"
)

// pemPair writes a certificate that signs itself, made of template, and its key.
func pemPair(t *testing.T, template x509.Certificate) (certFile, keyFile string, cert *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.Subject = big.NewInt(1), pkix.Name{CommonName: "a test's"}
	template.BasicConstraintsValid = true
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile, cert
}

func TestConnectPin(t *testing.T) {
	t.Parallel()
	certFile, keyFile, cert := pemPair(t, x509.Certificate{DNSNames: []string{"localhost"}})
	urls, _ := startEcho(t, "--listen=127.0.0.1:0", "--cert", certFile, "--key", keyFile)
	url := strings.Replace(urls[0], "127.0.0.1", "localhost", 1)
	pin, other := dialer.KeyPin(cert), "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	r := command(t, "a\n", "connect", "--count=1", "--ca", certFile, "--pin", other, "--pin", pin, url)
	r.want(t, "the key is pinned", exitOK, "a\n")
	r = command(t, "", "connect", "--ca", certFile, "--pin", other, url)
	r.want(t, "another is", exitFailed, "")
	r.wantStderr(t, "the one that was seen is named", "its public key is not pinned: it has "+pin+"; if you know that this is the server's key, add --pin "+pin+"\n")
	r = command(t, "", "connect", "--pin", pin, url)
	r.want(t, "a pin makes up for no other check", exitFailed, "")
	r = command(t, "", "connect", "--pin", other, "--unsafely-ignore-certificate-errors", url)
	r.want(t, "and holds where those are switched off", exitFailed, "")
	r = command(t, "", "connect", "--pin", pin, "ws://127.0.0.1:9/")
	r.want(t, "without TLS there is no key", exitUsage, "")
}

func TestConnectIgnoredErrors(t *testing.T) {
	t.Parallel()
	yesterday := time.Now().Add(-24 * time.Hour)
	for _, c := range []struct {
		why         string
		certificate x509.Certificate
		stderr      string
	}{
		{"expired", x509.Certificate{DNSNames: []string{"localhost"}, NotBefore: yesterday.Add(-time.Hour), NotAfter: yesterday},
			"its certificate has expired on " + yesterday.UTC().Format(time.DateTime) + " UTC; --unsafely-ignore-certificate-errors switches verification off for a test\n"},
		{"of another name", x509.Certificate{DNSNames: []string{"box.example"}},
			"its certificate is for box.example, not for localhost; use a name that the certificate has\n"},
	} {
		certFile, keyFile, _ := pemPair(t, c.certificate)
		urls, _ := startEcho(t, "--listen=127.0.0.1:0", "--cert", certFile, "--key", keyFile)
		url := strings.Replace(urls[0], "127.0.0.1", "localhost", 1)
		r := command(t, "", "connect", "--ca", certFile, url)
		r.want(t, c.why, exitFailed, "")
		r.wantStderr(t, c.why, c.stderr)
		r = command(t, "", "connect", "--unsafely-ignore-certificate-errors=box.example,127.0.0.1", url)
		r.want(t, c.why+", and other hosts are ignored", exitFailed, "")
		for _, flag := range []string{"--unsafely-ignore-certificate-errors", "--unsafely-ignore-certificate-errors=a.example,LOCALHOST."} {
			r = command(t, "a\n", "connect", "--count=1", flag, url)
			r.want(t, c.why+", and ignored", exitOK, "a\n")
			r.wantStderr(t, "which is said", "TLS certificate is not verified target=localhost:")
		}
	}
}

// Without a value certificates are ignored of the URL's host only.
func TestConnectIgnoredRedirect(t *testing.T) {
	t.Parallel()
	certFile, keyFile, _ := pemPair(t, x509.Certificate{DNSNames: []string{"box.example"}})
	urls, _ := startEcho(t, "--listen=127.0.0.1:0", "--cert", certFile, "--key", keyFile)
	s := httptest.NewTLSServer(http.RedirectHandler("https"+strings.TrimPrefix(strings.Replace(urls[0], "127.0.0.1", "localhost", 1), "wss"), http.StatusFound))
	t.Cleanup(s.Close)
	args := []string{"connect", "--count=1", "--redirects=1", "--allow-net=localhost,127.0.0.1", "--http1", "wss" + strings.TrimPrefix(s.URL, "https")}
	r := command(t, "", append(args, "--unsafely-ignore-certificate-errors")...)
	r.want(t, "where a redirect leads is verified", exitFailed, "")
	r.wantStderr(t, "it went there", "redirected to localhost:", "TLS handshake with localhost:")
	r = command(t, "a\n", append(args, "--unsafely-ignore-certificate-errors=localhost", "--unsafely-ignore-certificate-errors")...)
	r.want(t, "unless that is named", exitOK, "a\n")
}

func TestTLSMinVersion(t *testing.T) {
	t.Parallel()
	certFile, keyFile, _ := pemPair(t, x509.Certificate{DNSNames: []string{"localhost"}})
	s := httptest.NewUnstartedServer(nil)
	s.TLS = &tls.Config{MaxVersion: tls.VersionTLS12}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	url := "wss" + strings.TrimPrefix(s.URL, "https")
	r := command(t, "", "connect", "--unsafely-ignore-certificate-errors", url)
	r.wantStderr(t, "TLS 1.2 is enough", "opening handshake failed")
	r = command(t, "", "connect", "--unsafely-ignore-certificate-errors", "--tls-min-version=1.3", url)
	r.want(t, "TLS 1.3 is asked for", exitFailed, "")
	r.wantStderr(t, "it is not there", "TLS handshake with ", "protocol version")

	for version, want := range map[string]bool{"1.2": true, "1.3": false} {
		urls, _ := startEcho(t, "--listen=127.0.0.1:0", "--cert", certFile, "--key", keyFile, "--tls-min-version", version)
		address := strings.TrimSuffix(strings.TrimPrefix(urls[0], "wss://"), "/")
		c, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
		if (err == nil) != want {
			t.Errorf("a server from %s on and a client up to 1.2: %v", version, err)
		}
		if err == nil {
			_ = c.Close()
		}
	}
}

func TestClientCertificate(t *testing.T) {
	t.Parallel()
	client, clientKey, _ := pemPair(t, x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	stranger, strangerKey, _ := pemPair(t, x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	ca := filepath.Join(t.TempDir(), "ca.pem")
	urls, _ := startEcho(t, "--listen=127.0.0.1:0", "--tls-self-signed", "--ca-out", ca, "--ca", client)
	for _, version := range []string{"--http1", "--http2"} {
		r := command(t, "a\n", "connect", "--count=1", version, "--ca", ca, "--cert", client, "--key", clientKey, urls[0])
		r.want(t, "a client that the server knows, "+version, exitOK, "a\n")
		r = command(t, "", "connect", version, "--ca", ca, urls[0])
		r.want(t, "a client without a certificate, "+version, exitFailed, "")
		r = command(t, "", "connect", version, "--ca", ca, "--cert", stranger, "--key", strangerKey, urls[0])
		r.want(t, "a stranger, "+version, exitFailed, "")
	}
}

func TestConnectKeyLog(t *testing.T) {
	urls, _ := startEcho(t, "--listen=127.0.0.1:0", "--tls-self-signed")
	file := filepath.Join(t.TempDir(), "keys")
	t.Setenv("SSLKEYLOGFILE", file)
	r := command(t, "a\n", "connect", "-q", "--count=1", "--unsafely-ignore-certificate-errors", urls[0])
	r.want(t, "with a key log", exitOK, "a\n")
	r.wantStderr(t, "which is said", "TLS keys are written to a file, and who reads it can read this connection SSLKEYLOGFILE="+file)
	keys, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(keys), "CLIENT_TRAFFIC_SECRET_0 ") {
		t.Errorf("the key log is %q, %v", keys, err)
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("others can read it: %v, %v", st.Mode(), err)
	}
	t.Setenv("SSLKEYLOGFILE", t.TempDir())
	r = command(t, "", "connect", "--unsafely-ignore-certificate-errors", urls[0])
	r.want(t, "a key log that cannot be written", exitFailed, "")
	r.wantStderr(t, "it is named", "wasock: SSLKEYLOGFILE: open ")
	plain, _ := startEcho(t, "--listen=127.0.0.1:0")
	r = command(t, "a\n", "connect", "--count=1", plain[0])
	r.want(t, "without TLS there are no keys", exitOK, "a\n")
}
