package permission

import (
	"net/netip"
	"strconv"
	"strings"
)

const (
	localhost = "localhost"

	// Limits of a name in text, without its last dot.
	// https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4
	maxName  = 253
	maxLabel = 63
)

// target is a host that somebody asks for: an address if the host is a literal, and
// a name otherwise.
type target struct {
	text string     // as asked for, lower case, without brackets and last dot
	addr netip.Addr // valid for a literal; never IPv4-mapped
}

func (t target) isLiteral() bool { return t.addr.IsValid() }

// isLocalhost reports whether t is a name that is kept for the loopback addresses.
// https://www.rfc-editor.org/rfc/rfc6761#section-6.3
func (t target) isLocalhost() bool {
	return !t.isLiteral() && isSubdomain(t.text, localhost)
}

// parseTarget parses a host. why says what is wrong with it and is empty otherwise.
// Only spellings that every resolver reads alike pass.
func parseTarget(host string) (t target, why string) {
	if host == "" {
		return target{}, "the host is empty"
	}
	if host[0] == '[' || strings.Contains(host, ":") {
		return parseLiteral6(host)
	}
	name := strings.TrimSuffix(host, ".")
	if !endsInNumber(name) {
		// Checked before it is lower-cased: the Kelvin sign's lower case is an ASCII k.
		if why = checkName(name); why != "" {
			return target{}, why
		}
		return target{text: strings.ToLower(name)}, ""
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return target{}, "the host is a number, but not an IPv4 address in canonical form"
	}
	return target{text: host, addr: addr}, ""
}

func parseLiteral6(host string) (t target, why string) {
	text, opened := strings.CutPrefix(host, "[")
	text, closed := strings.CutSuffix(text, "]")
	addr, err := netip.ParseAddr(text)
	if opened != closed || err != nil || !addr.Is6() {
		return target{}, "the host is neither a name nor an address"
	}
	if addr.Zone() != "" {
		return target{}, "an address with a zone id is never permitted"
	}
	return target{text: strings.ToLower(text), addr: addr.Unmap()}, ""
}

// endsInNumber reports whether parsers of URLs read name as an IPv4 address, in
// whatever spelling, or refuse it for looking like one.
// https://url.spec.whatwg.org/#ends-in-a-number-checker
func endsInNumber(name string) bool {
	label := name[strings.LastIndexByte(name, '.')+1:]
	if hex, ok := strings.CutPrefix(strings.ToLower(label), "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return label != "" && strings.Trim(label, "0123456789") == ""
}

// checkName says what keeps name, without its last dot, from being a host name. The
// underscore is no letter of host names by the book, but names that have it are in use.
func checkName(name string) (why string) {
	if len(name) > maxName {
		return "the name is longer than " + strconv.Itoa(maxName) + " bytes"
	}
	label := 0
	for i, c := range name {
		switch {
		case c == '.':
			if label == 0 {
				return "the name has an empty label"
			}
			label = 0
			continue
		case c >= 0x80:
			return strconv.Quote(string(c)) + " is not ASCII, and names are written as A-labels (xn--…)"
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return strconv.Quote(name[i:i+1]) + " cannot stand in a name"
		}
		if label++; label > maxLabel {
			return "a label is longer than " + strconv.Itoa(maxLabel) + " bytes"
		}
	}
	if label == 0 {
		return "the name has an empty label"
	}
	return ""
}

// isSubdomain reports whether name is suffix or lies below it, at any depth.
func isSubdomain(name, suffix string) bool {
	rest, ok := strings.CutSuffix(name, suffix)
	return ok && (rest == "" || rest[len(rest)-1] == '.')
}

// display returns text that nobody has checked in a form that is safe to print: one
// line, short, without credentials.
func display(text string) string {
	text = redact(text)
	if quoted := strconv.Quote(text); quoted[1:len(quoted)-1] != text {
		return quoted
	}
	return text
}

// redact takes out of text what may be a secret, if text is a URL that stands where
// a host should: everything before the last @, and the query and fragment.
func redact(text string) string {
	scheme, rest, isURL := strings.Cut(text, "://")
	if !isURL {
		scheme, rest = "", text
	} else {
		scheme += "://"
	}
	at := strings.LastIndexByte(rest, '@')
	query := strings.IndexAny(rest, "?#")
	switch {
	case strings.Contains(scheme, "@") || at >= 0 && query >= 0:
		return "…"
	case at >= 0:
		return shorten(scheme + "…" + rest[at:])
	case query >= 0:
		return shorten(scheme + rest[:query] + "…")
	}
	return shorten(text)
}

// shorten keeps a message readable: long enough for most names, short for a line.
func shorten(text string) string {
	const limit = 80
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}
