package permission

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// anyRule is what an error shows when nothing better can be made of the input.
const anyRule = "example.com:443"

// parseRule parses one rule. doc.go has the grammar.
func parseRule(text string) (Rule, error) {
	if err := checkSpelling(text); err != nil {
		return Rule{}, err
	}
	s, err := splitRule(text)
	if err != nil {
		return Rule{}, err
	}
	r, err := s.rule()
	if err != nil {
		return Rule{}, err
	}
	if s.hasPort {
		var why, right string
		if r.ports, why, right = parsePorts(s.port); why != "" {
			return Rule{}, invalid(text, why, r.host()+":"+right)
		}
	}
	return r, nil
}

// checkSpelling refuses what is no rule at all, so that the parts are looked at in
// text of which every byte may stand in a rule.
func checkSpelling(text string) error {
	lower := strings.ToLower(text)
	switch {
	case text == "":
		return invalid(text, "empty host", anyRule)
	case strings.Contains(text, "://"):
		return invalid(text, "a rule is a host, not a URL", ruleOfURL(text))
	case strings.ContainsAny(text, "?#"):
		return invalid(text, "a rule is a host, without a query or fragment", text[:strings.IndexAny(text, "?#")])
	case strings.HasPrefix(lower, "unix:"):
		return invalid(text, "unix sockets are not supported", anyRule)
	case strings.HasPrefix(lower, "vsock:"):
		return invalid(text, "vsock is not supported", anyRule)
	}
	for _, c := range text {
		switch {
		case c > 0x7e:
			why := strconv.Quote(string(c)) + " is not ASCII, names are written as A-labels"
			return invalid(text, why, "xn--bcher-kva.example")
		case c == '%':
			return invalid(text, "zone ids are not supported", "[fe80::1]:443")
		case c <= ' ':
			return invalid(text, strconv.Quote(string(c))+" cannot stand in a rule", strings.TrimSpace(text))
		}
	}
	return nil
}

// spelling is a rule cut into its parts.
type spelling struct {
	text     string
	host     string // without brackets
	brackets bool
	bits     string // the prefix length, without its slash
	hasBits  bool
	port     string
	hasPort  bool
}

func splitRule(text string) (spelling, error) {
	s := spelling{text: text}
	rest, ok := strings.CutPrefix(text, "[")
	if !ok {
		if strings.Count(text, ":") > 1 {
			return s, bareIPv6(text)
		}
		s.host, s.port, s.hasPort = strings.Cut(text, ":")
		s.host, s.bits, s.hasBits = strings.Cut(s.host, "/")
		return s, nil
	}
	s.brackets = true
	if s.host, rest, ok = strings.Cut(rest, "]"); !ok {
		return s, invalid(text, "[ is not closed", text+"]")
	}
	s.host, s.bits, s.hasBits = strings.Cut(s.host, "/")
	rest, s.port, s.hasPort = strings.Cut(rest, ":")
	if bits, ok := strings.CutPrefix(rest, "/"); ok && !s.hasBits {
		s.bits, s.hasBits = bits, true
	} else if rest != "" {
		why := strconv.Quote(shorten(rest)) + " cannot follow ]"
		return s, invalid(text, why, "["+s.host+"]:443")
	}
	return s, nil
}

// bareIPv6 explains text, which has several colons and no bracket.
func bareIPv6(text string) error {
	host, _, _ := strings.Cut(text, "/")
	if _, err := netip.ParseAddr(host); err != nil {
		return invalid(text, "a rule has one colon, before the port", anyRule)
	}
	return invalid(text, "an IPv6 address is written in brackets", "["+text+"]")
}

// rule makes a rule of s, without its ports.
func (s spelling) rule() (Rule, error) {
	host := strings.ToLower(strings.TrimSuffix(s.host, "."))
	switch {
	case s.brackets || s.hasBits:
		return s.prefixRule()
	case s.host == "":
		return Rule{kind: kindLocal}, nil
	case s.host == "*":
		return Rule{}, invalid(s.text, "* stands for sub-domains, and everything is allowed by the option without a value", "*.example.com")
	case strings.Contains(host, "*"):
		return s.suffixRule(host)
	case endsInNumber(host):
		return s.prefixRule()
	}
	if class, ok := classWords[host]; ok {
		return Rule{kind: kindClass, class: class}, nil
	}
	if why := checkName(host); why != "" {
		return Rule{}, invalid(s.text, why, anyRule)
	}
	return Rule{kind: kindName, name: host}, nil
}

func (s spelling) suffixRule(host string) (Rule, error) {
	suffix, ok := strings.CutPrefix(host, "*.")
	if !ok || strings.Contains(suffix, "*") {
		last := host[strings.LastIndexByte(host, '*')+1:]
		return Rule{}, invalid(s.text, "* is the first label, alone", "*."+strings.TrimPrefix(last, "."))
	}
	if endsInNumber(suffix) {
		return Rule{}, invalid(s.text, "* stands for sub-domains, not for parts of an address", "10.0.0.0/8")
	}
	if why := checkName(suffix); why != "" {
		return Rule{}, invalid(s.text, why, "*.example.com")
	}
	return Rule{kind: kindSuffix, name: suffix}, nil
}

// prefixRule makes the rule of an address or of a range. Bits of the address behind
// the prefix length are cleared, as the reference does.
func (s spelling) prefixRule() (Rule, error) {
	addr, err := netip.ParseAddr(s.host)
	switch {
	case s.hasBits && !s.brackets && err != nil && !endsInNumber(s.host):
		return Rule{}, invalid(s.text, "a rule is a host, without a path", s.host)
	case s.brackets && err == nil && addr.Is4():
		return Rule{}, invalid(s.text, "an IPv4 address has no brackets", s.host)
	case s.brackets && err != nil:
		why := strconv.Quote(shorten(s.host)) + " is not an IPv6 address"
		return Rule{}, invalid(s.text, why, "[2001:db8::1]:443")
	case err != nil:
		why := strconv.Quote(shorten(s.host)) + " is not an IPv4 address in canonical form"
		return Rule{}, invalid(s.text, why, "192.0.2.1:443")
	}
	bits := addr.BitLen()
	if s.hasBits {
		n, err := strconv.ParseUint(s.bits, 10, 8)
		switch {
		case err != nil && !errors.Is(err, strconv.ErrRange), s.bits != "0" && s.bits[0] == '0':
			why := "prefix length /" + shorten(s.bits) + " is not a number"
			return Rule{}, invalid(s.text, why, s.withBits(bits))
		case err != nil || int(n) > bits:
			why := fmt.Sprintf("prefix length /%s is over %d", shorten(s.bits), bits)
			return Rule{}, invalid(s.text, why, s.withBits(bits))
		}
		bits = int(n)
	}
	return Rule{kind: kindPrefix, prefix: unmapPrefix(netip.PrefixFrom(addr, bits))}, nil
}

func (s spelling) withBits(bits int) string {
	if s.brackets {
		return fmt.Sprintf("[%s/%d]", s.host, bits)
	}
	return fmt.Sprintf("%s/%d", s.host, bits)
}

// unmapPrefix masks p and makes IPv4 of it if it holds IPv4-mapped addresses only,
// because addresses are unmapped before they are matched.
func unmapPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

// ruleOfURL returns the rule that whoever wrote a URL may have meant. It leaves out
// all but scheme, host and port.
func ruleOfURL(url string) string {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		rest = url
	}
	rest = rest[strings.LastIndexByte(rest, '@')+1:]
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	if i := strings.LastIndexByte(rest, ':'); i > strings.LastIndexByte(rest, ']') {
		return rest
	}
	switch strings.ToLower(scheme) {
	case "https", "wss":
		return rest + ":443"
	case "http", "ws":
		return rest + ":80"
	}
	return rest
}

// invalid returns the error for text. right is shown if it is a rule.
func invalid(text, why, right string) error {
	if len(right) > len(text)+len(anyRule) || right == text {
		right = anyRule
	} else if _, err := parseRule(right); err != nil {
		right = anyRule
	}
	return fmt.Errorf("invalid rule %q: %s: write %s", redact(text), why, right)
}
