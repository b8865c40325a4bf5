package dialer

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestTLS has servers that are not who they should be, and what the error says: which
// check failed, for which host, and what was seen.
func TestTLS(t *testing.T) {
	wantNothingLeft(t)
	ca, stranger := newAuthority(t), newAuthority(t)
	good := ca.issue(t, ca.named("service.test"))
	past := time.Now().Add(-time.Minute).UTC()
	expired, early, many, weird := ca.named("service.test"), ca.named("service.test"), ca.named("a.test", "b.test", "127.0.0.9", "c.test", "d.test"), ca.named("x\x1b[31m\n.test")
	expired.NotBefore, expired.NotAfter = past.Add(-time.Hour), past
	early.NotBefore, early.NotAfter = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
	self := new(authority).issue(t, &x509.Certificate{DNSNames: []string{"service.test"}, Subject: pkix.Name{Organization: []string{"Nobody\nInc"}}})
	usage := ca.named("service.test")
	usage.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	client := ca.issue(t, &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	trust := &tls.Config{RootCAs: ca.pool()}
	certificate := func(template *x509.Certificate) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{ca.issue(t, template)}}
	}
	pin := func(cfg *tls.Config, certs ...tls.Certificate) *tls.Config {
		var pins []string
		for _, c := range certs {
			pins = append(pins, KeyPin(c.Leaf))
		}
		pinned, err := Pin(cfg, pins...)
		if err != nil {
			t.Fatal(err)
		}
		return pinned
	}
	serves := func(c tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{c}} }
	mutual := &tls.Config{Certificates: []tls.Certificate{good}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool(), MaxVersion: tls.VersionTLS12}

	for _, x := range []struct {
		name   string
		server *tls.Config
		client *tls.Config
		host   string   // default service.test
		want   []string // what the error says; none: no error
		as     any      // what is in its chain
	}{
		{"trusted", serves(good), trust, "", nil, nil},
		{"trusted, with a last dot", serves(good), trust, "service.test.", nil, nil},
		{"unknown issuer", serves(good), &tls.Config{RootCAs: stranger.pool()}, "", []string{`signed by an unknown authority: "Test Authority" (possibly because of`}, new(x509.UnknownAuthorityError)},
		{"the system's roots by default", serves(good), nil, "", []string{"signed by an unknown authority"}, new(x509.UnknownAuthorityError)},
		{"signed by itself", serves(self), trust, "", []string{`unknown authority: by itself, "Nobody` + "\uFFFD" + `Inc"`}, new(x509.UnknownAuthorityError)},
		{"another name", certificate(ca.named("other.test")), trust, "", []string{"its certificate is for other.test, not for service.test"}, new(x509.HostnameError)},
		{"many names", certificate(many), trust, "", []string{"is for a.test, b.test, c.test and 2 more, not for service.test"}, new(x509.HostnameError)},
		{"no name", certificate(ca.named()), trust, "", []string{"is for no name at all, not for service.test"}, new(x509.HostnameError)},
		{"a name that cannot be printed", certificate(weird), trust, "", []string{"x\uFFFD[31m\uFFFD.test, not for"}, new(x509.HostnameError)},
		{"an address", certificate(ca.named("127.0.0.1")), trust, "127.0.0.1", nil, nil},
		{"an address, mapped", certificate(ca.named("127.0.0.1")), trust, "::ffff:127.0.0.1", nil, nil},
		{"another address", certificate(ca.named("127.0.0.9", "a.test")), trust, "127.0.0.1", []string{"is for a.test, 127.0.0.9, not for 127.0.0.1"}, new(x509.HostnameError)},
		{"the server's name is given", certificate(ca.named("other.test")), &tls.Config{RootCAs: ca.pool(), ServerName: "other.test"}, "", nil, nil},
		{"expired", certificate(expired), trust, "", []string{"its certificate has expired on " + past.Format(time.DateTime) + " UTC"}, new(x509.CertificateInvalidError)},
		{"not valid yet", certificate(early), trust, "", []string{"its certificate is not valid before " + early.NotBefore.UTC().Format(time.DateTime)}, new(x509.CertificateInvalidError)},
		{"not valid at the time that is set", serves(good), &tls.Config{RootCAs: ca.pool(), Time: func() time.Time { return time.Unix(0, 0) }}, "",
			[]string{"its certificate is valid from " + good.Leaf.NotBefore.Format(time.DateTime)}, new(x509.CertificateInvalidError)},
		{"not for servers", certificate(usage), trust, "", []string{"x509: certificate specifies an incompatible key usage"}, new(x509.CertificateInvalidError)},
		{"client certificate", mutual, &tls.Config{RootCAs: ca.pool(), Certificates: []tls.Certificate{client}}, "", nil, nil},
		{"client certificate is missing", mutual, trust, "", []string{"remote error: tls: handshake failure"}, nil},
		{"TLS 1.1", &tls.Config{Certificates: []tls.Certificate{good}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, trust, "", []string{"protocol version"}, nil},
		{"TLS 1.2 where 1.3 is asked for", &tls.Config{Certificates: []tls.Certificate{good}, MaxVersion: tls.VersionTLS12}, &tls.Config{RootCAs: ca.pool(), MinVersion: tls.VersionTLS13}, "",
			[]string{"protocol version"}, nil},
		{"ALPN without ours", &tls.Config{Certificates: []tls.Certificate{good}, NextProtos: []string{"h3"}}, trust, "", []string{"no application protocol"}, nil},
		{"pinned", serves(good), pin(trust, good), "", nil, nil},
		{"pinned as the second", serves(good), pin(trust, client, good), "", nil, nil},
		{"another key", serves(good), pin(trust, client), "", []string{"its public key is not pinned: it has " + KeyPin(good.Leaf)}, new(*PinError)},
		{"the issuer's key", serves(good), pin(trust, tls.Certificate{Leaf: ca.cert}), "", []string{"its public key is not pinned"}, new(*PinError)},
		{"pinned, unknown issuer", serves(good), pin(nil, good), "", []string{"signed by an unknown authority"}, new(x509.UnknownAuthorityError)},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := listenTLS(t, "127.0.0.1:0", x.server, nil)
			d := &Dialer{
				Permissions: grants(t, everything, ""), TLS: x.client,
				Resolver: &names{answers: map[string]string{"service.test": "127.0.0.1", "service.test.": "127.0.0.1"}},
			}
			target := Target{Host: x.host, Port: s.addr.Port(), TLS: true}
			if target.Host == "" {
				target.Host = "service.test"
			}
			conn, err := d.Dial(t.Context(), target, "http/1.1")
			if x.want == nil {
				wantPeer(t, x.name, conn, err, s.addr.String())
				return
			}
			wantError(t, x.name, conn, err, append(x.want, "websocket: TLS handshake with "+target.String()+": ")...)
			wantStep(t, x.name, err, "TLS handshake", "")
			if x.as != nil && !errors.As(err, x.as) {
				t.Errorf("%s: %T is in the chain\n got %#v", x.name, x.as, err)
			}
			if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("the error can be printed\n got %q", err)
			}
		})
	}
}

// TestIssuerExpired has a certificate in order whose issuer's is not: the
// issuer is named.
func TestIssuerExpired(t *testing.T) {
	ca := newAuthority(t)
	past := time.Now().Add(-time.Minute)
	c := ca.issue(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "Old\nOne"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: past.Add(-time.Hour), NotAfter: past,
	})
	between := &authority{c.Leaf, c.PrivateKey.(*ecdsa.PrivateKey)}
	server := between.issue(t, between.named("127.0.0.1"))
	server.Certificate = append(server.Certificate, c.Certificate...)
	s := listenTLS(t, "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{server}}, nil)
	d := &Dialer{Permissions: grants(t, everything, ""), TLS: &tls.Config{RootCAs: ca.pool()}}
	conn, err := d.Dial(t.Context(), Target{Host: "127.0.0.1", Port: s.addr.Port(), TLS: true})
	wantError(t, "an issuer that has expired", conn, err, `the certificate of its issuer "Old`+"\uFFFD"+`One" has expired on `+past.UTC().Format(time.DateTime))
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("the error can be printed\n got %q", err)
	}
}

// TestNameOf has holders of certificates without a common name, and with a long one.
func TestNameOf(t *testing.T) {
	if got := nameOf(pkix.Name{Country: []string{"NA"}}); got != `"C=NA"` {
		t.Errorf("a country only\n got %s", got)
	}
	if got := nameOf(pkix.Name{CommonName: strings.Repeat("é", 100)}); len(got) > 80 {
		t.Errorf("a long name is cut\n got %s", got)
	}
}

// TestInsecureHosts has hosts whose certificates are not verified: exactly those that
// are named, logged each time, and pins hold all the same.
func TestInsecureHosts(t *testing.T) {
	wantNothingLeft(t)
	cert := new(authority).issue(t, new(authority).named("127.0.0.1", "service.test"))
	s := listenTLS(t, "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}}, nil)
	pinned, err := Pin(nil, KeyPin(cert.Leaf))
	if err != nil {
		t.Fatal(err)
	}
	other, err := Pin(nil, KeyPin(new(authority).issue(t, &x509.Certificate{}).Leaf))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		host     string
		insecure []string
		cfg      *tls.Config
		want     string
	}{
		{"127.0.0.1", []string{"127.0.0.1"}, nil, ""},
		{"127.0.0.1", []string{"[127.0.0.1]"}, nil, ""},
		{"service.test", []string{"other.test", "SERVICE.test"}, nil, ""},
		{"service.test.", []string{"service.test"}, nil, ""},
		{"127.0.0.1", []string{"127.0.0.2", "127.0.0", "localhost", "*", "", "0.0.1", "service.test"}, nil, "unknown authority"},
		{"service.test", []string{"127.0.0.1", "*.test", "test", ".test"}, nil, "unknown authority"},
		{"service.test", []string{"service.test"}, pinned, ""},
		{"service.test", []string{"service.test"}, other, "not pinned"},
	} {
		var log logBuffer
		d := &Dialer{
			Permissions: grants(t, everything, ""), InsecureHosts: x.insecure, TLS: x.cfg, Logger: log.logger(),
			Resolver: &names{answers: map[string]string{"service.test": "127.0.0.1", "service.test.": "127.0.0.1"}},
		}
		conn, err := d.Dial(t.Context(), Target{Host: x.host, Port: s.addr.Port(), TLS: true})
		sentence := fmt.Sprintf("%s, with insecure hosts %q", x.host, x.insecure)
		if x.want == "" {
			wantPeer(t, sentence, conn, err, s.addr.String())
		} else {
			wantError(t, sentence, conn, err, x.want)
		}
		if warned := strings.Contains(log.String(), "not verified"); warned != (x.want != "unknown authority") {
			t.Errorf("%s: what is not verified is logged\n got %s", sentence, log.String())
		}
	}
}

// TestInsecureWithoutLogger has nobody who listens.
func TestInsecureWithoutLogger(t *testing.T) {
	s := listenTLS(t, "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{new(authority).issue(t, &x509.Certificate{})}}, nil)
	d := &Dialer{Permissions: grants(t, everything, ""), InsecureHosts: []string{"127.0.0.1"}}
	conn, err := d.Dial(t.Context(), Target{Host: "127.0.0.1", Port: s.addr.Port(), TLS: true})
	wantPeer(t, "a host that is not verified", conn, err, s.addr.String())
}

// TestTLSConfig has what goes in by tls.Config: it is not changed, and ALPN is Dial's.
func TestTLSConfig(t *testing.T) {
	wantNothingLeft(t)
	ca := newAuthority(t)
	cert := ca.issue(t, ca.named("127.0.0.1"))
	s := listenTLS(t, "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}}, nil)
	var keys bytes.Buffer
	cfg := &tls.Config{RootCAs: ca.pool(), KeyLogWriter: &keys, NextProtos: []string{"h2"}}
	d := &Dialer{Permissions: grants(t, "127.0.0.1", ""), TLS: cfg}
	target := Target{Host: "127.0.0.1", Port: s.addr.Port(), TLS: true}
	for _, x := range []struct {
		offered []string
		want    string
	}{{nil, ""}, {[]string{"http/1.1"}, "http/1.1"}, {[]string{"http/1.1", "h2"}, "h2"}} {
		conn, err := d.Dial(t.Context(), target, x.offered...)
		if err != nil {
			t.Fatal(err)
		}
		if got := conn.(*tls.Conn).ConnectionState().NegotiatedProtocol; got != x.want {
			t.Errorf("%q is offered\n got %q\nwant %q", x.offered, got, x.want)
		}
		wantPeer(t, "TLS", conn, nil, s.addr.String())
	}
	conn, err := d.DialTLSContext(t.Context(), "tcp", target.String())
	if err != nil {
		t.Fatal(err)
	}
	if got := conn.(*tls.Conn).ConnectionState().NegotiatedProtocol; got != "h2" {
		t.Errorf("DialTLSContext offers the NextProtos of TLS\n got %q", got)
	}
	wantPeer(t, "DialTLSContext", conn, nil, s.addr.String())
	if cfg.ServerName != "" || len(cfg.NextProtos) != 1 {
		t.Errorf("the configuration is the caller's\n got %q, %q", cfg.ServerName, cfg.NextProtos)
	}
	if !strings.Contains(keys.String(), "CLIENT_TRAFFIC_SECRET_0") {
		t.Errorf("the key log has the secrets\n got %q", keys.String())
	}
}

// TestTLSToOthers has peers that do not speak TLS, that leave, and that say nothing.
func TestTLSToOthers(t *testing.T) {
	for _, x := range []struct {
		name string
		peer func(net.Conn)
		want string
		took time.Duration
	}{
		{"plain HTTP", func(c net.Conn) {
			go func() { _, _ = io.Copy(io.Discard, c) }()
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
		}, "the peer does not speak TLS on this port", 0},
		{"a peer that leaves", func(c net.Conn) { _, _ = c.Read(make([]byte, 4096)) }, "the peer closed the connection", 0},
		{"a peer that says nothing", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, "(the time for it ran out)", 10 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &fabric{peers: map[string]peer{"": answers(0, x.peer)}}
			d := &Dialer{Permissions: grants(t, everything, ""), connect: f.connect}
			begun := time.Now()
			conn, err := d.Dial(t.Context(), Target{Host: "192.0.2.1", Port: 443, TLS: true})
			wantError(t, x.name, conn, err, x.want)
			wantStep(t, x.name, err, "TLS handshake", "")
			if took := time.Since(begun); took != x.took || x.took != 0 && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s\n got %v after %v\nwant an error after %v", x.name, err, took, x.took)
			}
			f.wantClosed(t)
		})
	}
}

// TestTLSEndToEnd has wss on every path: the server sees TLS for its own name, the
// client verifies the server's certificate, and the proxy sees nothing else.
func TestTLSEndToEnd(t *testing.T) {
	wantNothingLeft(t)
	ca, stranger := newAuthority(t), newAuthority(t)
	s := listenTLS(t, "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{ca.issue(t, ca.named("service.test"))}}, nil)
	proxyTLS := &tls.Config{Certificates: []tls.Certificate{ca.issue(t, ca.named("127.0.0.1"))}}
	plain, secure, socks := newHTTPProxy(t, nil), newHTTPProxy(t, proxyTLS), newSOCKSProxy(t)
	for _, u := range []*url.URL{nil, plain.url(""), secure.url(""), socks.url("socks5", ""), socks.url("socks5h", "")} {
		for _, x := range []struct {
			roots *authority
			want  string
		}{{ca, ""}, {stranger, "signed by an unknown authority"}} {
			d := &Dialer{
				Permissions: grants(t, everything, ""), Proxy: ProxyURL(u),
				TLS: &tls.Config{RootCAs: x.roots.pool()}, ProxyTLS: &tls.Config{RootCAs: ca.pool()},
				Resolver: &names{answers: map[string]string{"service.test": "127.0.0.1"}},
			}
			conn, err := d.Dial(t.Context(), Target{Host: "service.test", Port: s.addr.Port(), TLS: true})
			if x.want != "" {
				via := ""
				if u != nil {
					via = u.String()
				}
				wantError(t, "a stranger's roots", conn, err, x.want)
				wantStep(t, "the handshake is with the target", err, "TLS handshake", via)
				if u != nil && !strings.Contains(err.Error(), "through "+via) {
					t.Errorf("the proxy is named\n got %v", err)
				}
				continue
			}
			if tc, ok := conn.(*tls.Conn); ok && tc.ConnectionState().ServerName != "service.test" || !ok && err == nil {
				t.Errorf("the name is the target's\n got %T", conn)
			}
			wantPeer(t, fmt.Sprintf("wss through %v", u), conn, err, s.addr.String())
		}
	}
	for _, p := range []*tap{&plain.seen, &secure.seen, &socks.seen} {
		if text := p.String(); text == "" || strings.Contains(text, "echo") {
			t.Errorf("a proxy sees TLS and not what is in it\n got %q", text)
		}
	}
}
