package dialer

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// An authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{}
	c := a.issue(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "Test Authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	a.cert, a.key = c.Leaf, c.PrivateKey.(*ecdsa.PrivateKey)
	return a
}

// issue issues what template says; the first is signed by itself.
func (a *authority) issue(t testing.TB, template *x509.Certificate) tls.Certificate {
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

// named is the template of a certificate for names and addresses.
func (a *authority) named(names ...string) *x509.Certificate {
	c := &x509.Certificate{}
	for _, n := range names {
		if addr, err := netip.ParseAddr(n); err == nil {
			c.IPAddresses = append(c.IPAddresses, addr.AsSlice())
		} else {
			c.DNSNames = append(c.DNSNames, n)
		}
	}
	return c
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// listenTLS is listen with TLS. What fails in the handshake is not served.
func listenTLS(t testing.TB, addr string, cfg *tls.Config, serve func(net.Conn)) *server {
	t.Helper()
	var s *server
	ready := make(chan struct{})
	s = listen(t, addr, func(c net.Conn) {
		<-ready
		tc := tls.Server(c, cfg)
		if tc.Handshake() != nil {
			return
		}
		if serve == nil {
			greet(tc, s.addr)
			return
		}
		serve(tc)
	})
	close(ready)
	return s
}

// A logBuffer is a Logger's output.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *logBuffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
