package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/host/dialer"
	"github.com/wasock/wasock/host/permission"
)

// tlsFlags are the flags of a client's TLS.
type tlsFlags struct {
	ca         string
	cert, key  string
	pins       []string
	minVersion string
	ignore     optionalList
}

func (f *tlsFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.ca, "ca", "", "trust the certificates in this PEM `file`, and not the system's; for an https proxy too")
	fs.StringVar(&f.cert, "cert", "", "client certificate chain, a PEM `file`")
	fs.StringVar(&f.key, "key", "", "private key of --cert, a PEM `file`")
	fs.StringArrayVar(&f.pins, "pin", nil, "accept only a server with this public key, besides all other checks: `sha256/BASE64`; may be repeated")
	addMinVersion(fs, &f.minVersion)
	f.ignore.add(fs, "unsafely-ignore-certificate-errors", "do not verify the certificates of these hosts `[=HOSTS]`, exactly as in the URL, joined by commas; without a value the URL's host, and never that of a proxy")
}

// config makes the TLS configuration for targets, without the key log.
func (f *tlsFlags) config() (*tls.Config, error) {
	if err := together("cert", f.cert, "key", f.key); err != nil {
		return nil, err
	}
	version, err := tlsVersion(f.minVersion)
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{MinVersion: version}
	if f.ca != "" {
		if cfg.RootCAs, err = readCertificates("ca", f.ca); err != nil {
			return nil, err
		}
	}
	if f.cert != "" {
		cert, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return nil, usage("--cert %s with --key %s: %w", f.cert, f.key, err)
		}
		cfg.Certificates = []tls.Certificate{cert}
	}
	if len(f.pins) > 0 {
		if cfg, err = dialer.Pin(cfg, f.pins...); err != nil {
			return nil, usage("--pin: %w", err)
		}
	}
	return cfg, nil
}

// insecureHosts returns the hosts of --unsafely-ignore-certificate-errors in the form
// that connections have them, but the one that it means without a value.
func (f *tlsFlags) insecureHosts() (hosts []string, err error) {
	for _, value := range f.ignore.values {
		for name := range strings.SplitSeq(value, ",") {
			v := (*permission.List)(nil).CheckTarget(name, 443)
			if v.Needs() == "" {
				return nil, usage("--unsafely-ignore-certificate-errors=%s: %s: write hosts without ports, such as localhost,10.0.0.5", v.Target, v.Reason)
			}
			host := v.Target
			if addr, err := netip.ParseAddr(host); err == nil {
				host = addr.Unmap().String()
			}
			hosts = append(hosts, host)
		}
	}
	return hosts, nil
}

// complete adds to o what depends on the target.
func (f *tlsFlags) complete(o *host.DialOptions, target dialer.Target, logger *slog.Logger) error {
	if f.ignore.all {
		o.InsecureHosts = append(o.InsecureHosts, target.Host)
	}
	secure := target.TLS || o.Redirects > 0
	if len(f.pins) > 0 && !secure {
		return usage("--pin is for wss, and the URL is not: there is no key to compare")
	}
	if path := os.Getenv("SSLKEYLOGFILE"); path != "" && secure {
		// It stays open as long as the connection, which is as long as the process.
		file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return failed(fmt.Errorf("SSLKEYLOGFILE: %w", err))
		}
		logger.Warn("TLS keys are written to a file, and who reads it can read this connection", "SSLKEYLOGFILE", path)
		o.TLS.KeyLogWriter = file
	}
	o.ProxyTLS = &tls.Config{RootCAs: o.TLS.RootCAs, MinVersion: o.TLS.MinVersion}
	return nil
}

// addMinVersion adds --tls-min-version.
func addMinVersion(fs *pflag.FlagSet, version *string) {
	fs.StringVar(version, "tls-min-version", "1.2", "lowest `version` of TLS: 1.2 or 1.3")
}

func tlsVersion(text string) (uint16, error) {
	switch text {
	case "1.2":
		return tls.VersionTLS12, nil
	case "1.3":
		return tls.VersionTLS13, nil
	}
	return 0, usage("--tls-min-version %s: write 1.2 or 1.3", text)
}

// readCertificates reads the PEM file that a flag names.
func readCertificates(flag, file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, usage("--%s: %w", flag, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, usage("--%s %s: it holds no certificate in PEM form", flag, file)
	}
	return pool, nil
}
