package host

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// redirected returns the URL and the options for the hop that resp asks for, which
// failed the opening handshake with url. ok is false if it asks for none that can be
// followed; then err is what to return. RFC 6455 §4.2.2 leaves it to the client
// whether it follows; the WebSockets Standard's never does.
func (o *DialOptions) redirected(from string, resp *http.Response, err error) (to string, next *DialOptions, ok bool, why error) {
	var he *HandshakeError
	if !errors.As(err, &he) || resp == nil || !redirects(resp.StatusCode) {
		return "", nil, false, err
	}
	refuse := func(rule string) (string, *DialOptions, bool, error) {
		return "", nil, false, &HandshakeError{Status: resp.StatusCode, Field: "Location", Rule: rule}
	}
	location := resp.Header.Values("Location")
	if len(location) != 1 {
		return refuse("a redirect has one Location")
	}
	base, err := url.Parse(strings.TrimSpace(from))
	if err != nil {
		return refuse("a redirect from this URL cannot be followed")
	}
	u, err := base.Parse(location[0])
	if err != nil || u.Hostname() == "" {
		return refuse("the Location of a redirect is a URL")
	}
	u.Fragment = "" // the engine refuses it, and it is not the server's to set
	secure, toSecure := secureScheme(base.Scheme), secureScheme(u.Scheme)
	switch {
	case !toSecure && !plainScheme(u.Scheme):
		return refuse("a redirect leads to a ws, wss, http or https URL")
	case secure && !toSecure:
		return refuse("a redirect from wss to ws is not followed")
	}
	if originOf(base) == originOf(u) {
		u.User = base.User
		return u.String(), o, true, nil
	}
	// Any field may be a credential, and so are a client certificate, and what stands
	// before the @ of a URL that somebody else wrote. CVE-2018-1000007 and its like.
	u.User = nil
	other := *o
	other.Header = nil
	if o.TLS != nil {
		other.TLS = o.TLS.Clone()
		other.TLS.Certificates, other.TLS.GetClientCertificate, other.TLS.ServerName = nil, nil, ""
		// A session is kept by name, not by port, and carries the certificate that it
		// began with.
		other.TLS.ClientSessionCache = nil
	}
	return u.String(), &other, true, nil
}

// redirects reports whether status is a redirect to Location. RFC 9110 §15.4.
func redirects(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

func secureScheme(s string) bool { return strings.EqualFold(s, "wss") || strings.EqualFold(s, "https") }
func plainScheme(s string) bool  { return strings.EqualFold(s, "ws") || strings.EqualFold(s, "http") }

// originOf returns u's origin, in which ws and http are the same, and so are the
// default port and none. It is compared only: two spellings of a host are two origins.
func originOf(u *url.URL) string {
	scheme, port := "ws", "80"
	if secureScheme(u.Scheme) {
		scheme, port = "wss", "443"
	}
	if p := u.Port(); p != "" {
		port = p
	}
	// Lower case is ASCII's: that of İ begins with i, and its A-label is another host's.
	host := strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, u.Hostname())
	return scheme + "://" + net.JoinHostPort(host, port)
}
