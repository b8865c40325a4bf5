package protocol

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// parseHost returns the host in the form that URL.Host documents.
// https://url.spec.whatwg.org/#concept-host-parser
func parseHost(s string, toASCII func(string) (string, error)) (string, error) {
	if strings.HasPrefix(s, "[") {
		return parseIPv6Host(s)
	}
	host := string(appendUnescaped(nil, s))
	// A name that is not UTF-8 is never one that IDNA takes, so toASCII need not
	// be trusted to see that.
	if !utf8.ValidString(host) {
		return "", &URLError{"host", "a name is UTF-8 once its escapes are decoded"}
	}
	if needsIDNA(host) {
		if toASCII == nil {
			return "", &URLError{"host", `this name needs IDNA, which is not available here: use a name in ASCII without "xn--"`}
		}
		var err error
		if host, err = toASCII(host); err != nil {
			return "", &URLError{"host", "the name is not valid in IDNA (UTS #46)"}
		}
	}
	if host == "" {
		return "", &URLError{"host", "a WebSocket URL names a host: ws://example.com/"}
	}
	// A mapped name is checked like any other: IDNA can turn a character into one
	// that divides a URL, U+FF0F into a slash.
	for i := range len(host) {
		if isForbiddenInDomain(host[i]) {
			return "", &URLError{"host", "a name holds no spaces, control characters or any of " + forbiddenInDomain}
		}
	}
	host = strings.ToLower(host)
	if endsInNumber(host) {
		return parseIPv4Host(host)
	}
	return host, nil
}

// needsIDNA reports whether mapping host to A-labels would do more than make it
// lower-case, or could fail.
// https://url.spec.whatwg.org/#concept-domain-to-ascii
func needsIDNA(host string) bool {
	labelStart := true
	for i := range len(host) {
		if host[i] >= utf8.RuneSelf || labelStart && len(host)-i >= 4 && equalFold(host[i:i+4], "xn--") {
			return true
		}
		labelStart = host[i] == '.'
	}
	return false
}

// https://url.spec.whatwg.org/#forbidden-domain-code-point
const forbiddenInDomain = `#%/:<>?@[\]^|`

func isForbiddenInDomain(c byte) bool {
	return c <= ' ' || c >= 0x7f || strings.IndexByte(forbiddenInDomain, c) >= 0
}

// endsInNumber reports whether the last label of host is a number, which makes
// the host an IPv4 address or nothing.
// https://url.spec.whatwg.org/#ends-in-a-number-checker
func endsInNumber(host string) bool {
	host = strings.TrimSuffix(host, ".")
	label := host[strings.LastIndexByte(host, '.')+1:]
	if _, ok := parseIPv4Number(label); ok {
		return true
	}
	for i := range len(label) {
		if !isDigit(label[i]) {
			return false
		}
	}
	return label != ""
}

// parseIPv4Host returns the address in dotted decimal. It takes what inet_aton
// takes: one to four numbers, each decimal, octal or hexadecimal, the last one
// for all bytes that are left. https://url.spec.whatwg.org/#concept-ipv4-parser
func parseIPv4Host(host string) (string, error) {
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	ok := len(labels) <= 4
	var address uint64
	for i := 0; ok && i < len(labels); i++ {
		room := 8 // bits that this number may fill
		if i == len(labels)-1 {
			room = 8 * (4 - i)
		}
		var v uint64
		v, ok = parseIPv4Number(labels[i])
		ok = ok && v < 1<<room
		address = address<<room | v
	}
	if !ok {
		return "", &URLError{"host", "a host whose last label is a number is an IPv4 address, such as 192.0.2.1"}
	}
	b := make([]byte, 0, len("255.255.255.255"))
	for shift := 24; shift >= 0; shift -= 8 {
		b = strconv.AppendUint(b, address>>shift&255, 10)
		b = append(b, '.')
	}
	return string(b[:len(b)-1]), nil
}

// parseIPv4Number parses decimal digits, octal ones after "0", hexadecimal ones
// after "0x"; "0x" alone is zero. A number that is over 32 bits stays over.
// https://url.spec.whatwg.org/#ipv4-number-parser
func parseIPv4Number(s string) (v uint64, ok bool) {
	if s == "" {
		return 0, false
	}
	base := uint64(10)
	switch {
	case strings.HasPrefix(s, "0x"), strings.HasPrefix(s, "0X"):
		s, base = s[2:], 16
	case s[0] == '0':
		s, base = s[1:], 8
	}
	for i := range len(s) {
		digit, ok := hexDigit(s[i])
		if !ok || uint64(digit) >= base {
			return 0, false
		}
		v = min(v*base+uint64(digit), 1<<32)
	}
	return v, true
}

// parseIPv6Host returns the address in brackets, in its shortest form.
func parseIPv6Host(s string) (string, error) {
	literal, closed := strings.CutSuffix(s[1:], "]")
	// The URL standard leaves zone ids out on purpose: they mean something to one
	// machine only. https://url.spec.whatwg.org/#concept-ipv6
	if strings.Contains(literal, "%") {
		return "", &URLError{"host", "an IPv6 address has no zone id in a URL"}
	}
	address, ok := parseIPv6(literal)
	if !closed || !ok {
		return "", &URLError{"host", "what is in brackets is an IPv6 address, such as [2001:db8::1]"}
	}
	b := appendIPv6([]byte{'['}, address)
	return string(append(b, ']')), nil
}

// https://url.spec.whatwg.org/#concept-ipv6-parser
func parseIPv6(s string) (address [8]uint16, ok bool) {
	n := 0    // pieces read, counting one that is only skipped over by "::"
	gap := -1 // where the pieces after "::" begin, before they move to the end
	if strings.HasPrefix(s, "::") {
		s, n, gap = s[2:], 1, 1
	} else if strings.HasPrefix(s, ":") {
		return address, false
	}
	for s != "" {
		if n == 8 {
			return address, false
		}
		if s[0] == ':' {
			if gap >= 0 {
				return address, false
			}
			n++
			s, gap = s[1:], n
			continue
		}
		digits, piece := 0, uint(0)
		for ; digits < 4 && digits < len(s); digits++ {
			v, ok := hexDigit(s[digits])
			if !ok {
				break
			}
			piece = piece<<4 | v
		}
		rest := s[digits:]
		switch {
		case strings.HasPrefix(rest, "."):
			v, ok := parseDottedDecimal(s)
			if !ok || n > 6 {
				return address, false
			}
			address[n], address[n+1] = uint16(v>>16), uint16(v)
			n += 2
			s = ""
			continue
		case strings.HasPrefix(rest, ":"):
			if rest = rest[1:]; rest == "" {
				return address, false
			}
		case rest != "":
			return address, false
		}
		address[n] = uint16(piece)
		n++
		s = rest
	}
	if gap < 0 {
		return address, n == 8
	}
	tail := n - gap
	copy(address[8-tail:], address[gap:n])
	clear(address[gap : 8-tail])
	return address, true
}

// parseDottedDecimal parses the IPv4 address at the end of an IPv6 address: four
// decimal numbers, without leading zeros.
func parseDottedDecimal(s string) (address uint32, ok bool) {
	labels := strings.Split(s, ".")
	if len(labels) != 4 {
		return 0, false
	}
	for _, label := range labels {
		if len(label) > 1 && label[0] == '0' {
			return 0, false
		}
		v, err := strconv.ParseUint(label, 10, 8)
		if err != nil {
			return 0, false
		}
		address = address<<8 | uint32(v)
	}
	return address, true
}

// appendIPv6 appends address with the first of its longest runs of zeros, if
// that has two pieces or more, as "::".
// https://url.spec.whatwg.org/#concept-ipv6-serializer
func appendIPv6(b []byte, address [8]uint16) []byte {
	begin, length := -1, 1
	for i := 0; i < 8; {
		run := i
		for run < 8 && address[run] == 0 {
			run++
		}
		if run-i > length {
			begin, length = i, run-i
		}
		i = max(run, i+1)
	}
	for i := 0; i < 8; i++ {
		if i == begin {
			b = append(b, "::"...)
			i += length - 1
			continue
		}
		if i > 0 && i != begin+length {
			b = append(b, ':')
		}
		b = strconv.AppendUint(b, uint64(address[i]), 16)
	}
	return b
}
