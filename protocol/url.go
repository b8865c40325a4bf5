package protocol

import (
	"strconv"
	"strings"
)

// A URL names a WebSocket endpoint, in the form that the URL standard gives it.
// https://url.spec.whatwg.org/
type URL struct {
	// Scheme is "ws" or "wss".
	Scheme string

	// Host is a lower-case name in ASCII, an IPv4 address in dotted decimal, or
	// an IPv6 address in brackets. A name keeps its trailing dot, which makes it
	// another origin than the name without; whoever resolves a name or looks it
	// up in a list takes one dot away first.
	Host string

	// Port is the port to connect to: the scheme's default if the URL has none.
	Port uint16

	// Target is the path, and the query if there is one, percent-encoded. It
	// begins with "/".
	Target string

	// Authorization is "Basic " and the credentials of the URL, or "" if it had
	// none. RFC 7617 §2.
	Authorization string
}

// ParseURL parses an absolute WebSocket URL as the URL standard does for its
// special schemes: it mends what browsers mend. "http" stands for "ws" and
// "https" for "wss"; a fragment is an error, even an empty one.
// https://url.spec.whatwg.org/#concept-basic-url-parser
// https://websockets.spec.whatwg.org/#dom-websocket-websocket
//
// toASCII maps a name that is not ASCII, or that has a label beginning with
// "xn--", to A-labels as UTS #46 has it, with CheckHyphens, UseSTD3ASCIIRules and
// VerifyDnsLength false. With a nil toASCII such names are errors. Other names
// do not need it.
//
// The error is a *URLError. It repeats nothing of what s holds behind its
// scheme: where a password has a slash in it, any part may hold some of it.
func ParseURL(s string, toASCII func(host string) (string, error)) (*URL, error) {
	scheme, rest, err := cutScheme(cleanURL(s))
	if err != nil {
		return nil, err
	}
	rest, _, hasFragment := strings.Cut(rest, "#")
	userinfo, hostPort, rest := cutAuthority(rest)
	host, port := cutPort(hostPort)
	u := &URL{Scheme: scheme, Authorization: basicAuthorization(userinfo)}
	if u.Port, err = parsePort(port, u.defaultPort()); err != nil {
		return nil, err
	}
	if u.Host, err = parseHost(host, toASCII); err != nil {
		return nil, err
	}
	path, query, hasQuery := strings.Cut(rest, "?")
	target := escapePath(path)
	if hasQuery {
		target = appendEscaped(append(target, '?'), query, inQuerySet)
	}
	u.Target = string(target)
	if hasFragment {
		return nil, &URLError{"fragment", `a WebSocket URL has none: remove "#" and what follows`}
	}
	return u, nil
}

// String returns the URL without its credentials. ParseURL of it gives the same
// URL again.
func (u *URL) String() string { return u.Origin() + u.Target }

// Origin returns the URL's scheme and host, and its port if that is not the
// scheme's default.
func (u *URL) Origin() string { return u.Scheme + "://" + u.HostPort() }

// HostPort returns the value of the Host field: the host, and the port if it is
// not the scheme's default. RFC 6455 §4.1.
func (u *URL) HostPort() string {
	if u.Port == u.defaultPort() {
		return u.Host
	}
	return u.Host + ":" + strconv.Itoa(int(u.Port))
}

// Secure reports whether the connection needs TLS.
func (u *URL) Secure() bool { return u.Scheme == "wss" }

func (u *URL) defaultPort() uint16 {
	if u.Secure() {
		return 443
	}
	return 80
}

// cleanURL returns s without what the parser passes over: spaces and control
// characters at its ends, and tabs and line ends anywhere. Bytes that are not
// UTF-8 become U+FFFD, as they do when a string enters JavaScript.
func cleanURL(s string) string {
	s = strings.TrimFunc(s, func(r rune) bool { return r <= ' ' })
	return strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r == '\r' {
			return -1
		}
		return r
	}, s)
}

// cutScheme returns the scheme, as "ws" or "wss", and what follows its colon.
// https://url.spec.whatwg.org/#scheme-start-state
func cutScheme(s string) (scheme, rest string, err error) {
	n := 0
	for n < len(s) && (isAlpha(s[n]) || n > 0 && (isDigit(s[n]) || strings.IndexByte("+-.", s[n]) >= 0)) {
		n++
	}
	if n == 0 || n == len(s) || s[n] != ':' {
		return "", "", &URLError{"scheme", "a WebSocket URL is absolute: begin it with ws:// or wss://"}
	}
	scheme, rest = strings.ToLower(s[:n]), s[n+1:]
	switch scheme {
	case "ws", "http":
		return "ws", rest, nil
	case "wss", "https":
		return "wss", rest, nil
	}
	rule := "use ws or wss; http and https stand for them"
	if strings.HasPrefix(rest, "//") && n <= 32 { // what looks like a scheme may be a user name
		rule += ", " + scheme + " does not"
	}
	return "", "", &URLError{"scheme", rule}
}

// cutAuthority takes apart what follows the scheme. Any number of slashes, none
// included, begins the authority of a special URL.
// https://url.spec.whatwg.org/#special-authority-ignore-slashes-state
// https://url.spec.whatwg.org/#authority-state
func cutAuthority(s string) (userinfo, hostPort, rest string) {
	s = strings.TrimLeft(s, `/\`)
	end := strings.IndexAny(s, `/\?`)
	if end < 0 {
		end = len(s)
	}
	hostPort, rest = s[:end], s[end:]
	if at := strings.LastIndexByte(hostPort, '@'); at >= 0 {
		userinfo, hostPort = hostPort[:at], hostPort[at+1:]
	}
	return userinfo, hostPort, rest
}

// cutPort cuts s at the colon that is not in brackets.
// https://url.spec.whatwg.org/#host-state
func cutPort(s string) (host, port string) {
	brackets := false
	for i := range len(s) {
		switch s[i] {
		case '[':
			brackets = true
		case ']':
			brackets = false
		case ':':
			if !brackets {
				return s[:i], s[i+1:]
			}
		}
	}
	return s, ""
}

// https://url.spec.whatwg.org/#port-state
func parsePort(s string, defaultPort uint16) (uint16, error) {
	if s == "" {
		return defaultPort, nil
	}
	port := 0
	for i := range len(s) {
		if !isDigit(s[i]) {
			return 0, &URLError{"port", "a port is decimal digits"}
		}
		if port = port*10 + int(s[i]-'0'); port > 65535 {
			return 0, &URLError{"port", "a port is at most 65535"}
		}
	}
	return uint16(port), nil
}

// basicAuthorization returns the value of Authorization for userinfo, or "" if
// both user and password are empty. Escapes are decoded to bytes; one that is
// malformed stands for itself. RFC 7617 §2.
func basicAuthorization(userinfo string) string {
	user, password, _ := strings.Cut(userinfo, ":")
	if user == "" && password == "" {
		return ""
	}
	credentials := appendUnescaped(nil, user)
	credentials = append(credentials, ':')
	credentials = appendUnescaped(credentials, password)
	return string(appendBase64([]byte("Basic "), credentials))
}
