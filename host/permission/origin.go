package permission

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Origins is an immutable set of origins whose pages may connect to a server. The zero
// value and nil allow none. An Origins may be used by several goroutines at once.
type Origins struct {
	any      bool // "*"
	null     bool
	patterns []originPattern
}

// originPattern is one origin, or all those that are below it.
type originPattern struct {
	origin
	below bool // https://*.example.com: the sub-domains of its host, and not the host
}

// origin is the origin of a page.
// https://html.spec.whatwg.org/multipage/browsers.html#concept-origin-tuple
type origin struct {
	scheme string     // lower case
	name   string     // host, lower case, a last dot included; of other schemes than http, all behind ://
	addr   netip.Addr // host of http and https that is an address
	port   uint16     // of http and https, the default filled in
}

// ParseOrigins builds Origins from patterns:
//
//	https://example.com          this scheme, host and port, here 443
//	https://example.com:8443     the same for another port
//	https://[2001:db8::1]        an IPv6 address, always in brackets
//	https://*.example.com        sub-domains of example.com at any depth, and not itself
//	chrome-extension://abcdef    an origin of another scheme, letter by letter
//	file://                      files, where a browser says so
//	null                         what has no origin: sandboxed frames, files, data: URLs
//	*                            whatever the request says, null and nonsense included
//
// The error quotes the pattern that is wrong and shows one that is right.
func ParseOrigins(patterns ...string) (*Origins, error) {
	o := &Origins{}
	for _, text := range patterns {
		switch text {
		case "*":
			o.any = true
		case "null":
			o.null = true
		default:
			p, why := parseOriginPattern(text)
			if why != "" {
				return nil, fmt.Errorf("invalid origin %q: %s: write %s", redact(text), why, rightOrigin(text))
			}
			o.patterns = append(o.patterns, p)
		}
	}
	return o, nil
}

// Allows reports whether pages of origin, the value of an Origin field, may connect.
// Schemes and host names are compared in any case, ports with the default filled in,
// and all else exactly, as browsers do: a name with a last dot is another than without.
// What is no origin, such as a URL with a path, a user name or a number in another
// spelling than a browser's, is allowed by * only. null is foreign unless a pattern
// names it.
//
// A request without an Origin field comes from no page, and whether it may connect is
// not decided here. Of several Origin fields none can be trusted.
func (o *Origins) Allows(origin string) bool {
	switch {
	case o == nil:
		return false
	case o.any:
		return true
	case origin == "null":
		return o.null
	}
	asked, why := parseOrigin(origin)
	return why == "" && slices.ContainsFunc(o.patterns, func(p originPattern) bool { return p.matches(asked) })
}

// SameOrigin reports whether origin, the value of an Origin field, is the origin of the
// request that carries it: its scheme, "https" or "http", and its Host field (:authority
// in HTTP/2). An empty scheme stands for one that is not known, because a proxy in front
// may end TLS: then pages of both http and https are taken for the same.
//
// It believes the Host field. Where names of strangers may be resolved to the server,
// which is so on loopback and in private networks (DNS rebinding), check Host as well.
func SameOrigin(origin, scheme, host string) bool {
	page, why := parseOrigin(origin)
	if why != "" || !isWeb(page.scheme) || scheme != "" && !strings.EqualFold(scheme, page.scheme) {
		return false
	}
	request, why := parseOrigin(page.scheme + "://" + host)
	return why == "" && request == page
}

func (p *originPattern) matches(o origin) bool {
	if !p.below {
		return o == p.origin
	}
	return o.scheme == p.scheme && o.port == p.port && strings.HasSuffix(o.name, "."+p.name)
}

// parseOriginPattern parses all patterns but * and null. why says what is wrong.
func parseOriginPattern(text string) (p originPattern, why string) {
	before, after, below := strings.Cut(text, "://*.")
	if below {
		text = before + "://" + after
	}
	switch {
	case strings.Contains(text, "*"):
		return p, "* is the first label of the host, alone"
	case below && (!isWeb(strings.ToLower(before)) || strings.HasPrefix(after, "[")):
		return p, "only names of http and https have sub-domains"
	}
	if p.origin, why = parseOrigin(text); why != "" {
		return p, why
	}
	if p.below = below; below && p.addr.IsValid() {
		return p, "* stands for sub-domains, not for parts of an address"
	}
	return p, ""
}

// parseOrigin parses the value of an Origin field other than null. why says what keeps
// it from being an origin.
// https://www.rfc-editor.org/rfc/rfc6454#section-7
func parseOrigin(text string) (o origin, why string) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return o, "an origin begins with a scheme and ://"
	}
	if !isScheme(scheme) {
		return o, "what stands before :// is no scheme"
	}
	// They end the host of a URL, stand before it, or give it a zone id.
	if i := strings.IndexAny(rest, "/?#@%"); i >= 0 {
		return o, strconv.Quote(rest[i:i+1]) + " cannot stand in an origin"
	}
	o.scheme = strings.ToLower(scheme)
	switch {
	case isWeb(o.scheme):
		return parseWebOrigin(o.scheme, rest)
	case o.scheme == "ws", o.scheme == "wss":
		return o, "an origin is that of a page, and pages are of http or https"
	case o.scheme == "file" && rest != "":
		return o, "files have no host"
	case o.scheme != "file":
		why = checkOtherHost(rest)
	}
	o.name = rest
	return o, why
}

// parseWebOrigin parses an origin of http or https, of which rest follows the scheme.
func parseWebOrigin(scheme, rest string) (o origin, why string) {
	o.scheme, o.port = scheme, defaultPort(scheme)
	host, port, hasPort := strings.Cut(rest, ":")
	if strings.HasPrefix(rest, "[") {
		inside, after, closed := strings.Cut(rest[1:], "]")
		addr, err := netip.ParseAddr(inside)
		if !closed || err != nil || !addr.Is6() {
			return o, "the host in brackets is not an IPv6 address"
		}
		o.addr = addr
		if host, port, hasPort = strings.Cut(after, ":"); host != "" {
			return o, strconv.Quote(shorten(host)) + " cannot follow ]"
		}
	} else {
		t, why := parseTarget(host)
		if why != "" {
			return o, why
		}
		if o.addr = t.addr; !t.isLiteral() {
			o.name = strings.ToLower(host)
		}
	}
	if hasPort {
		if o.port, why = parsePort(port); why == "" && o.port == 0 {
			why = "no page comes from port 0"
		}
	}
	return o, why
}

// checkOtherHost says what keeps text from being host and port of an origin of a scheme
// that is not http, https or file. What a host is there is not known; it is compared
// letter by letter.
func checkOtherHost(text string) (why string) {
	host, port, hasPort := strings.Cut(text, ":")
	for _, c := range host {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || strings.ContainsRune("0123456789-._~", c)) {
			return strconv.Quote(string(c)) + " cannot stand in a host"
		}
	}
	if host == "" {
		return "the host is empty"
	}
	if hasPort {
		_, why = parsePort(port)
	}
	return why
}

func isWeb(scheme string) bool { return scheme == "http" || scheme == "https" }

func defaultPort(scheme string) uint16 {
	if scheme == "https" {
		return 443
	}
	return 80
}

// isScheme reports whether text is a scheme.
// https://www.rfc-editor.org/rfc/rfc3986#section-3.1
func isScheme(text string) bool {
	for i, c := range text {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		case i > 0 && strings.ContainsRune("0123456789+-.", c):
		default:
			return false
		}
	}
	return text != ""
}

// rightOrigin returns the pattern that whoever wrote text may have meant.
func rightOrigin(text string) string {
	example := "https://example.com"
	switch {
	case strings.EqualFold(text, "null"):
		return "null"
	case strings.Contains(text, "*"):
		example = "https://*.example.com"
	}
	scheme, rest, ok := strings.Cut(strings.TrimSpace(text), "://")
	if !ok {
		scheme, rest = "https", scheme
	}
	switch scheme = strings.ToLower(scheme); scheme {
	case "wss":
		scheme = "https"
	case "ws":
		scheme = "http"
	}
	rest = rest[strings.LastIndexByte(rest, '@')+1:]
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	right := scheme + "://" + rest
	if _, why := parseOriginPattern(right); why != "" || right == text || len(right) > maxName {
		return example
	}
	return right
}
