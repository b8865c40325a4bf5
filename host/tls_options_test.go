package host_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/host/dialer"
)

// TestTLSOptions has pins, key logs, versions and client certificates over HTTP/1.1 and
// HTTP/2. The errors name the check that failed and the host.
func TestTLSOptions(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1})
	ca := newAuthority(t)
	cert := ca.issue(t, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	client := ca.issue(t, &x509.Certificate{Subject: certName("me"), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	trust := &tls.Config{RootCAs: ca.pool()}
	pin := func(cfg *tls.Config, pins ...string) *tls.Config {
		cfg, err := dialer.Pin(cfg, pins...)
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	own, strange := dialer.KeyPin(cert.Leaf), dialer.KeyPin(&x509.Certificate{RawSubjectPublicKeyInfo: der})
	var keys bytes.Buffer
	for _, x := range []struct {
		name   string
		server *tls.Config
		o      host.DialOptions
		want   string // what the error says; "" is none
	}{
		{"its pin", &tls.Config{}, host.DialOptions{TLS: pin(trust, own)}, ""},
		{"its pin among others", &tls.Config{}, host.DialOptions{TLS: pin(trust, strange, own)}, ""},
		{"another's pin", &tls.Config{}, host.DialOptions{TLS: pin(trust, strange)}, "its public key is not pinned: it has " + own},
		{"the issuer's pin", &tls.Config{}, host.DialOptions{TLS: pin(trust, dialer.KeyPin(ca.cert))}, "its public key is not pinned: it has " + own},
		{"its pin, without trust", &tls.Config{}, host.DialOptions{TLS: pin(&tls.Config{RootCAs: newAuthority(t).pool()}, own)}, "unknown authority"},
		{"another's pin, insecure", &tls.Config{}, host.DialOptions{TLS: pin(trust, strange), InsecureHosts: []string{"127.0.0.1"}}, "its public key is not pinned"},
		{"its pin, insecure", &tls.Config{}, host.DialOptions{TLS: pin(nil, own), InsecureHosts: []string{"127.0.0.1"}}, ""},
		{"key log", &tls.Config{}, host.DialOptions{TLS: &tls.Config{RootCAs: ca.pool(), KeyLogWriter: &keys}}, ""},
		{"an old server", &tls.Config{MaxVersion: tls.VersionTLS12}, host.DialOptions{TLS: &tls.Config{RootCAs: ca.pool(), MinVersion: tls.VersionTLS13}}, "version"},
		{"old enough", &tls.Config{MaxVersion: tls.VersionTLS12}, host.DialOptions{TLS: trust}, ""},
		{"client certificate", &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool()},
			host.DialOptions{TLS: &tls.Config{RootCAs: ca.pool(), Certificates: []tls.Certificate{client}}}, ""},
		{"another name", &tls.Config{}, host.DialOptions{TLS: &tls.Config{RootCAs: ca.pool(), ServerName: "other.example"}}, "its certificate is for 127.0.0.1, not for other.example"},
	} {
		for _, version := range []host.HTTPVersion{host.HTTP1, host.HTTP2} {
			t.Run(x.name+"/"+version.String(), func(t *testing.T) {
				var shown string
				sockets := h.Handler(nil, &host.AcceptOptions{Events: echo{}})
				s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if len(r.TLS.PeerCertificates) > 0 {
						shown = r.TLS.PeerCertificates[0].Subject.CommonName
					}
					sockets.ServeHTTP(w, r)
				}))
				s.Config.ErrorLog = log.New(io.Discard, "", 0)
				s.TLS = x.server.Clone()
				s.TLS.Certificates = []tls.Certificate{cert}
				s.EnableHTTP2 = true
				s.StartTLS()
				t.Cleanup(func() { closeServer(s) })
				keys.Reset()
				o := x.o
				o.HTTPVersion = version
				address := s.Listener.Addr().String()
				conn, _, err := h.Dial(newContext(t), "wss://"+address+"/", &o)
				if x.want != "" {
					var de *host.DialError
					if !errors.As(err, &de) || de.Step != "TLS handshake" || de.Target != address || !strings.Contains(err.Error(), x.want) || !strings.Contains(err.Error(), address) {
						t.Errorf("got %T %v, want what says %q of %s", err, err, x.want, address)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				wantEchoes(t, "it works", conn)
				_ = conn.CloseNow()
				if x.name == "key log" && !strings.Contains(keys.String(), "CLIENT_TRAFFIC_SECRET_0 ") {
					t.Errorf("the keys are logged: got %q", keys.String())
				}
				if x.name == "client certificate" && shown != "me" {
					t.Errorf("the server is shown %q", shown)
				}
			})
		}
	}
	wantNothingOpen(t, h)
}
