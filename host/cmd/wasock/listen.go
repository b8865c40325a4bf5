package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/host/permission"
)

// A listenAddress is where to listen, and with what.
type listenAddress struct {
	scheme string // "ws" or "wss"
	host   string // an address or localhost
	port   uint16
}

// parseListen parses a value of --listen. scheme is the one of an address that
// names none. Without a host it is 0.0.0.0, as in a rule without one.
func parseListen(text, scheme string) (listenAddress, error) {
	l, address := listenAddress{scheme: scheme}, text
	if s, rest, ok := strings.Cut(text, "://"); ok {
		l.scheme, address = strings.ToLower(s), strings.TrimSuffix(rest, "/")
	}
	if l.scheme != "ws" && l.scheme != "wss" {
		return l, usage("--listen %s: write ws://ADDRESS, wss://ADDRESS or ADDRESS", text)
	}
	name, port, err := net.SplitHostPort(address)
	n, errPort := strconv.ParseUint(port, 10, 16)
	if err != nil || errPort != nil {
		return l, usage("--listen %s: an address is a host and a port, such as 127.0.0.1:9001 or [::1]:0", text)
	}
	if name == "" {
		name = "0.0.0.0"
	}
	if _, err := netip.ParseAddr(name); err != nil && !strings.EqualFold(name, "localhost") {
		return l, usage("--listen %s: the host is an address of this machine, localhost, or nothing for 0.0.0.0", text)
	}
	l.host, l.port = name, uint16(n)
	return l, nil
}

func (l listenAddress) String() string {
	return net.JoinHostPort(l.host, strconv.Itoa(int(l.port)))
}

// rule returns the rule that allows to listen on l, and "" if none can.
func (l listenAddress) rule() string {
	return (*permission.List)(nil).CheckListen(l.host, l.port).Needs()
}

// A listener is an open listenAddress.
type listener struct {
	net.Listener                // with TLS, if it is for wss
	counted      *host.Listener // without
	url          string
}

// listen opens l, if g allows it. cfg is for wss.
func (l listenAddress) listen(ctx context.Context, cfg *tls.Config, g *permission.Grant) (*listener, error) {
	ln, err := host.Listen(ctx, l.String(), g)
	if err != nil {
		return nil, err
	}
	open := &listener{ln, ln, l.scheme + "://" + ln.Addr().String() + "/"}
	if l.scheme == "wss" {
		open.Listener = tls.NewListener(ln, cfg)
	}
	return open, nil
}

// listenFlags are the addresses of a server and its certificate.
type listenFlags struct {
	addresses  []string
	selfSigned bool
	cert, key  string
	ca         string
	minVersion string
	caOut      string
}

func (f *listenFlags) add(fs *pflag.FlagSet) {
	fs.StringArrayVar(&f.addresses, "listen", []string{"127.0.0.1:9001"}, "`ADDRESS` to listen on, or ws://ADDRESS or wss://ADDRESS; may be repeated; port 0 takes a free one")
}

// addTLS adds the flags for wss.
func (f *listenFlags) addTLS(fs *pflag.FlagSet) {
	fs.BoolVar(&f.selfSigned, "tls-self-signed", false, "serve wss with a certificate made now")
	fs.StringVar(&f.caOut, "ca-out", "", "write the self-signed certificate to this `file`, for connect --ca")
	fs.StringVar(&f.cert, "cert", "", "serve wss with the certificate chain in this PEM `file`")
	fs.StringVar(&f.key, "key", "", "private key of --cert, a PEM `file`")
	fs.StringVar(&f.ca, "ca", "", "accept only clients with a certificate that is signed by one in this PEM `file`")
	addMinVersion(fs, &f.minVersion)
	// The names beside --tls-self-signed.
	for name, file := range map[string]*string{"tls-cert": &f.cert, "tls-key": &f.key} {
		fs.StringVar(file, name, "", "")
		_ = fs.MarkHidden(name)
	}
}

// parse returns the addresses and the TLS configuration, which is nil without wss.
func (f *listenFlags) parse() ([]listenAddress, *tls.Config, error) {
	if err := together("cert", f.cert, "key", f.key); err != nil {
		return nil, nil, err
	}
	switch {
	case f.selfSigned && f.cert != "":
		return nil, nil, usage("--tls-self-signed and --cert exclude each other")
	case f.caOut != "" && !f.selfSigned:
		return nil, nil, usage("--ca-out goes with --tls-self-signed")
	}
	scheme := "ws"
	if f.selfSigned || f.cert != "" {
		scheme = "wss"
	}
	version, err := tlsVersion(f.minVersion)
	if err != nil {
		return nil, nil, err
	}
	var addresses []listenAddress
	var hosts []string
	secure := false
	for _, text := range f.addresses {
		l, err := parseListen(text, scheme)
		if err != nil {
			return nil, nil, err
		}
		if l.scheme == "wss" && scheme != "wss" {
			return nil, nil, usage("--listen %s: wss needs --tls-self-signed, or --cert and --key", text)
		}
		secure = secure || l.scheme == "wss"
		addresses = append(addresses, l)
		hosts = append(hosts, l.host)
	}
	switch {
	case f.ca != "" && !secure:
		return nil, nil, usage("--ca is for wss, which needs --tls-self-signed, or --cert and --key")
	case !secure:
		return addresses, nil, nil
	}
	cert, err := f.certificate(hosts)
	if err != nil {
		return nil, nil, err
	}
	cfg := serverTLS(cert)
	cfg.MinVersion = version
	if f.ca != "" {
		if cfg.ClientCAs, err = readCertificates("ca", f.ca); err != nil {
			return nil, nil, err
		}
		cfg.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return addresses, cfg, nil
}

func (f *listenFlags) certificate(hosts []string) (tls.Certificate, error) {
	if f.cert != "" {
		cert, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return cert, failed(fmt.Errorf("--cert %s with --key %s: %w", f.cert, f.key, err))
		}
		return cert, nil
	}
	cert, pem, err := selfSigned(hosts, time.Now())
	if err != nil {
		return cert, failed(err)
	}
	if f.caOut != "" {
		if err := os.WriteFile(f.caOut, pem, 0o644); err != nil {
			return cert, failed(fmt.Errorf("--ca-out: %w", err))
		}
	}
	return cert, nil
}

func serverTLS(cert tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12}
}
