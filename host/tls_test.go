package host_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wasock/wasock/host"
)

// An authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{}
	c := a.issue(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	a.cert, a.key = c.Leaf, c.PrivateKey.(*ecdsa.PrivateKey)
	return a
}

// issue issues what template says; the first is signed by itself.
func (a *authority) issue(t *testing.T, template *x509.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(1)
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// TestTLS has servers that are not who they should be, and what a client may do
// about it. A wss connection is never without TLS, nor unverified unless its host
// is named.
func TestTLS(t *testing.T) {
	var logged bytes.Buffer
	h := newHost(t, host.Config{Instances: 1, Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	ca, stranger := newAuthority(t), newAuthority(t)
	loopback := []net.IP{net.IPv4(127, 0, 0, 1)}
	good := ca.issue(t, &x509.Certificate{IPAddresses: loopback, DNSNames: []string{"localhost"}})
	other := ca.issue(t, &x509.Certificate{DNSNames: []string{"other.example"}})
	past := time.Now().Add(-time.Minute)
	expired := ca.issue(t, &x509.Certificate{IPAddresses: loopback, NotBefore: past.Add(-time.Hour), NotAfter: past})
	client := ca.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "me"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	trust := &tls.Config{RootCAs: ca.pool()}

	for _, x := range []struct {
		name   string
		server *tls.Config
		o      host.DialOptions
		want   string // what the error says; "" is none
	}{
		{"trusted", &tls.Config{Certificates: []tls.Certificate{good}}, host.DialOptions{TLS: trust}, ""},
		{"unknown issuer", &tls.Config{Certificates: []tls.Certificate{good}}, host.DialOptions{TLS: &tls.Config{RootCAs: stranger.pool()}}, "unknown authority"},
		{"system's roots by default", &tls.Config{Certificates: []tls.Certificate{good}}, host.DialOptions{}, "unknown authority"},
		{"wrong name", &tls.Config{Certificates: []tls.Certificate{other}}, host.DialOptions{TLS: trust}, "127.0.0.1"},
		{"expired", &tls.Config{Certificates: []tls.Certificate{expired}}, host.DialOptions{TLS: trust}, "expired"},
		{"wrong name, server name given", &tls.Config{Certificates: []tls.Certificate{other}},
			host.DialOptions{TLS: &tls.Config{RootCAs: ca.pool(), ServerName: "other.example"}}, ""},
		{"InsecureSkipVerify", &tls.Config{Certificates: []tls.Certificate{good}},
			host.DialOptions{TLS: &tls.Config{InsecureSkipVerify: true}}, "InsecureHosts"},
		{"insecure host", &tls.Config{Certificates: []tls.Certificate{expired}}, host.DialOptions{InsecureHosts: []string{"127.0.0.1"}}, ""},
		{"another host is insecure", &tls.Config{Certificates: []tls.Certificate{expired}},
			host.DialOptions{TLS: trust, InsecureHosts: []string{"127.0.0.2", "127.0.0", "localhost", "*", "", "0.0.1"}}, "expired"},
		{"client certificate", &tls.Config{Certificates: []tls.Certificate{good}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool()},
			host.DialOptions{TLS: &tls.Config{RootCAs: ca.pool(), Certificates: []tls.Certificate{client}}}, ""},
		{"client certificate is missing", &tls.Config{Certificates: []tls.Certificate{good}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool()},
			host.DialOptions{TLS: trust}, "certificate"},
		{"TLS 1.1", &tls.Config{Certificates: []tls.Certificate{good}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, host.DialOptions{TLS: trust}, "version"},
		{"TLS 1.2 where 1.3 is asked for", &tls.Config{Certificates: []tls.Certificate{good}, MaxVersion: tls.VersionTLS12},
			host.DialOptions{TLS: &tls.Config{RootCAs: ca.pool(), MinVersion: tls.VersionTLS13}}, "version"},
		{"ALPN without http/1.1", &tls.Config{Certificates: []tls.Certificate{good}, NextProtos: []string{"h3"}}, host.DialOptions{TLS: trust}, "protocol"},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := httptest.NewUnstartedServer(h.Handler(nil, &host.AcceptOptions{Events: echo{}}))
			s.Config.ErrorLog = log.New(io.Discard, "", 0)
			l := tls.NewListener(s.Listener, x.server)
			s.Listener = l
			s.Start()
			defer s.Close()
			before := logged.Len()
			c, _, err := h.Dial(newContext(t), "wss://"+l.Addr().String()+"/", &x.o)
			if warned := strings.Contains(logged.String()[before:], "not verified"); warned != (x.name == "insecure host") {
				t.Errorf("what is not verified is logged: %s", logged.String()[before:])
			}
			if x.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				_ = c.CloseNow()
				return
			}
			if c != nil || err == nil || !strings.Contains(err.Error(), x.want) {
				t.Fatalf("got %v, want an error with %q", err, x.want)
			}
			var de *host.DialError
			var he *host.HandshakeError // TLS 1.3 tells of a client's certificate after the handshake
			switch {
			case errors.As(err, &de) && de.Step == "TLS handshake" && de.Target == l.Addr().String():
			case errors.As(err, &he) && x.name == "client certificate is missing":
			default:
				t.Errorf("the error says where it failed: %T %v", err, err)
			}
		})
	}
	wantNothingOpen(t, h)
}

// TestTLSToPlainServer has wss to a server that does not speak TLS, and one that
// says nothing.
func TestTLSToPlainServer(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1})
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	var de *host.DialError
	if _, _, err := h.Dial(newContext(t), strings.Replace(s.URL, "http:", "wss:", 1), nil); !errors.As(err, &de) || de.Step != "TLS handshake" {
		t.Errorf("got %v", err)
	}
	silent := newRawServer(t)
	if _, _, err := h.Dial(newContext(t), strings.Replace(silent.url, "ws:", "wss:", 1),
		&host.DialOptions{Limits: host.Limits{TLSTimeout: 20 * time.Millisecond}}); !errors.As(err, &de) || de.Step != "TLS handshake" || !isTimeout(err) {
		t.Errorf("TLSTimeout: got %v", err)
	}
	wantNothingOpen(t, h)
}
