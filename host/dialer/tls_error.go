package dialer

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"strings"
	"time"
)

// describeTLS says which check of a TLS handshake failed, or returns "" if err is of
// another kind or says so itself. The certificate's text is the peer's.
func describeTLS(err error) string {
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &authority) && authority.Cert != nil:
		return describeIssuer(authority)
	case errors.As(err, &name):
		return describeNames(name)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return describeValidity(err, invalid.Cert)
	case errors.As(err, &record):
		return "the peer does not speak TLS on this port"
	}
	return ""
}

func describeIssuer(e x509.UnknownAuthorityError) string {
	s := "its certificate is signed by an unknown authority: "
	if bytes.Equal(e.Cert.RawIssuer, e.Cert.RawSubject) {
		s += "by itself, "
	}
	s += nameOf(e.Cert.Issuer)
	// An authority of that name that is known and did not sign: only the text tells.
	if _, hint, ok := strings.Cut(e.Error(), " (possibly"); ok {
		s += " (possibly" + hint
	}
	return printable(s)
}

func describeNames(e x509.HostnameError) string {
	const shown = 3
	names := e.Certificate.DNSNames
	for _, ip := range e.Certificate.IPAddresses {
		names = append(names[:len(names):len(names)], ip.String())
	}
	s := "its certificate is for "
	switch n := len(names); {
	case n == 0:
		s += "no name at all"
	case n > shown:
		s += quoteNames(names[:shown]) + fmt.Sprintf(" and %d more", n-shown)
	default:
		s += quoteNames(names)
	}
	return s + ", not for " + printable(e.Host)
}

func quoteNames(names []string) string {
	var list []string
	for _, name := range names {
		list = append(list, short(name))
	}
	return strings.Join(list, ", ")
}

func describeValidity(err error, cert *x509.Certificate) string {
	s := "its certificate "
	var verification *tls.CertificateVerificationError
	if errors.As(err, &verification) && !cert.Equal(verification.UnverifiedCertificates[0]) {
		s = "the certificate of its issuer " + nameOf(cert.Subject) + " "
	}
	// By tls.Config.Time the moment that was verified for may be another.
	switch now := time.Now(); {
	case now.After(cert.NotAfter):
		return s + "has expired on " + cert.NotAfter.UTC().Format(time.DateTime) + " UTC"
	case now.Before(cert.NotBefore):
		return s + "is not valid before " + cert.NotBefore.UTC().Format(time.DateTime) + " UTC"
	}
	return s + "is valid from " + cert.NotBefore.UTC().Format(time.DateTime) + " to " + cert.NotAfter.UTC().Format(time.DateTime) + " UTC only"
}

// nameOf returns what people call the holder of a certificate.
func nameOf(n pkix.Name) string {
	switch {
	case n.CommonName != "":
		return fmt.Sprintf("%q", short(n.CommonName))
	case len(n.Organization) > 0:
		return fmt.Sprintf("%q", short(n.Organization[0]))
	}
	return fmt.Sprintf("%q", short(n.String()))
}

// short keeps one name from taking the place of the others.
func short(s string) string {
	const limit = 64
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return printable(s)
}
