package dialer

import (
	"errors"
	"net/url"
	"os"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpproxy"
)

// ProxyURL returns a Dialer.Proxy that is u for every target. Nil is no proxy.
func ProxyURL(u *url.URL) func(Target) (*url.URL, error) {
	return func(Target) (*url.URL, error) { return u, nil }
}

// ParseProxy parses the URL of a proxy as users write it: http, https, socks5 or
// socks5h, and http if there is no scheme. The error holds nothing of text, in which a
// password may stand.
func ParseProxy(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, errProxyURL
	}
	if _, err := newProxyServer(u); err != nil {
		return nil, err
	}
	return u, nil
}

// ProxyFromEnvironment returns a Dialer.Proxy that is what the environment says now:
// HTTPS_PROXY for targets with TLS, HTTP_PROXY for others, ALL_PROXY where that one is
// not set, and none for targets that NO_PROXY names, localhost and loopback addresses.
// Each is read in lower case first. NO_PROXY is a list, joined by commas, of addresses,
// ranges such as 10.0.0.0/8, domains, which are meant with those below them, .domains,
// which are not, each but the ranges with a port or without, and * for everything.
//
// A variable that is no proxy's URL is an error for the targets that it is for:
// connecting directly is not what was asked for. HTTP_PROXY is an error as well where
// REQUEST_METHOD is set, because a CGI program has it from a header field of a request.
// https://go.dev/s/cgihttpproxy
func ProxyFromEnvironment() func(Target) (*url.URL, error) {
	env := httpproxy.FromEnvironment()
	all := os.Getenv("all_proxy")
	if all == "" {
		all = os.Getenv("ALL_PROXY")
	}
	plain := environmentProxy{"HTTP_PROXY", env.HTTPProxy}
	secure := environmentProxy{"HTTPS_PROXY", env.HTTPSProxy}
	if plain.text == "" {
		plain = environmentProxy{"ALL_PROXY", all}
		env.CGI = false
	}
	if secure.text == "" {
		secure = environmentProxy{"ALL_PROXY", all}
	}
	// httpproxy reads NO_PROXY. It connects directly where it cannot parse a proxy, so
	// it is asked only whether one is to be used.
	const some = "http://proxy.invalid"
	env.HTTPProxy, env.HTTPSProxy = some, some
	use := env.ProxyFunc()
	return func(t Target) (*url.URL, error) {
		e, err := newEndpoint(t.Host, t.Port)
		if err != nil {
			return nil, err
		}
		proxy, scheme := plain, "http"
		if t.TLS {
			proxy, scheme = secure, "https"
		}
		if proxy.text == "" {
			return nil, nil
		}
		if u, err := use(&url.URL{Scheme: scheme, Host: e.String()}); u == nil {
			return nil, err
		}
		u, err := ParseProxy(proxy.text)
		if err != nil {
			return nil, errors.New(proxy.variable + ": " + err.Error())
		}
		return u, nil
	}
}

// An environmentProxy is the text of a proxy and the variable that it stood in.
type environmentProxy struct{ variable, text string }

var (
	errProxyURL = errors.New("this is not the URL of a proxy, such as http://proxy.example.com:3128 or socks5h://127.0.0.1:1080")
	errProxyAt  = errors.New("the URL of a proxy has a scheme, a host and a port, perhaps user:password@, and nothing after them")
	errUser     = errors.New("the proxy's user name is empty or has a colon, or it or the password has a control character or over 255 bytes")
)

// proxyPorts are the default ports by scheme; those of http and https are net/http's.
var proxyPorts = map[string]uint16{"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}

// A proxyServer is a proxy as its URL says.
type proxyServer struct {
	endpoint
	scheme string
	user   *url.Userinfo // nil: no credentials
}

func newProxyServer(u *url.URL) (*proxyServer, error) {
	p := &proxyServer{scheme: u.Scheme, user: u.User}
	port, ok := proxyPorts[p.scheme]
	if !ok {
		return nil, errProxyURL
	}
	if text := u.Port(); text != "" {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil || n == 0 {
			return nil, errProxyAt
		}
		port = uint16(n)
	}
	var err error
	if p.endpoint, err = newEndpoint(u.Hostname(), port); err != nil {
		return nil, errProxyAt
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errProxyAt
	}
	if p.user != nil && !validUser(p.user) {
		return nil, errUser
	}
	return p, nil
}

// validUser reports whether u can be sent by Basic authentication and by SOCKS5.
// https://www.rfc-editor.org/rfc/rfc7617#section-2
// https://www.rfc-editor.org/rfc/rfc1929#section-2
func validUser(u *url.Userinfo) bool {
	password, _ := u.Password()
	name := u.Username()
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	return name != "" && len(name) <= 255 && len(password) <= 255 &&
		!strings.Contains(name, ":") && !strings.ContainsFunc(name+password, control)
}

// String returns the URL without credentials.
func (p *proxyServer) String() string { return p.scheme + "://" + p.endpoint.String() }

// proxyFor returns the proxy for t, or nil.
func (d *Dialer) proxyFor(t Target) (*proxyServer, error) {
	if d.Proxy == nil {
		return nil, nil
	}
	u, err := d.Proxy(t)
	if err == nil && u == nil {
		return nil, nil
	}
	var p *proxyServer
	if err == nil {
		p, err = newProxyServer(u)
	}
	if err != nil {
		return nil, &Error{Step: stepProxy, Target: t.String(), Err: err}
	}
	return p, nil
}
