package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// A listenAddress is where to listen, and with what.
type listenAddress struct {
	scheme  string // "ws" or "wss"
	address string // host and port
}

// parseListen parses a value of --listen. scheme is the one of an address that
// names none.
func parseListen(text, scheme string) (listenAddress, error) {
	l := listenAddress{scheme, text}
	if s, rest, ok := strings.Cut(text, "://"); ok {
		l = listenAddress{strings.ToLower(s), strings.TrimSuffix(rest, "/")}
	}
	if l.scheme != "ws" && l.scheme != "wss" {
		return l, usage("--listen %s: write ws://ADDRESS, wss://ADDRESS or ADDRESS", text)
	}
	if _, port, err := net.SplitHostPort(l.address); err != nil || port == "" {
		return l, usage("--listen %s: an address is a host and a port, such as 127.0.0.1:9001 or [::1]:0", text)
	}
	return l, nil
}

func (l listenAddress) host() string {
	host, _, _ := net.SplitHostPort(l.address) // parseListen has seen it
	return host
}

// listen opens l and returns the URL of what it got. cfg is for wss.
func (l listenAddress) listen(cfg *tls.Config) (net.Listener, string, error) {
	ln, err := net.Listen("tcp", l.address)
	if err != nil {
		return nil, "", err
	}
	url := l.scheme + "://" + ln.Addr().String() + "/"
	if l.scheme == "wss" {
		ln = tls.NewListener(ln, cfg)
	}
	return ln, url, nil
}

// listenFlags are the addresses of a server and its certificate.
type listenFlags struct {
	addresses  []string
	selfSigned bool
	cert, key  string
	caOut      string
}

func (f *listenFlags) add(fs *pflag.FlagSet) {
	fs.StringArrayVar(&f.addresses, "listen", []string{"127.0.0.1:9001"}, "`ADDRESS` to listen on, or ws://ADDRESS or wss://ADDRESS; may be repeated; port 0 takes a free one")
	fs.BoolVar(&f.selfSigned, "tls-self-signed", false, "serve wss with a certificate made now")
	fs.StringVar(&f.cert, "tls-cert", "", "serve wss with the certificate chain in this PEM `file`")
	fs.StringVar(&f.key, "tls-key", "", "private key of --tls-cert, a PEM `file`")
	fs.StringVar(&f.caOut, "ca-out", "", "write the self-signed certificate to this `file`, for connect --ca")
}

// parse returns the addresses and the TLS configuration, which is nil without wss.
func (f *listenFlags) parse() ([]listenAddress, *tls.Config, error) {
	if err := together("tls-cert", f.cert, "tls-key", f.key); err != nil {
		return nil, nil, err
	}
	switch {
	case f.selfSigned && f.cert != "":
		return nil, nil, usage("--tls-self-signed and --tls-cert exclude each other")
	case f.caOut != "" && !f.selfSigned:
		return nil, nil, usage("--ca-out goes with --tls-self-signed")
	}
	scheme := "ws"
	if f.selfSigned || f.cert != "" {
		scheme = "wss"
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
			return nil, nil, usage("--listen %s: wss needs --tls-self-signed, or --tls-cert and --tls-key", text)
		}
		secure = secure || l.scheme == "wss"
		addresses = append(addresses, l)
		hosts = append(hosts, l.host())
	}
	if !secure {
		return addresses, nil, nil
	}
	cert, err := f.certificate(hosts)
	if err != nil {
		return nil, nil, err
	}
	return addresses, serverTLS(cert), nil
}

func (f *listenFlags) certificate(hosts []string) (tls.Certificate, error) {
	if f.cert != "" {
		cert, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return cert, failed(fmt.Errorf("--tls-cert %s with --tls-key %s: %w", f.cert, f.key, err))
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
