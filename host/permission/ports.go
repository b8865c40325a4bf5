package permission

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// firstDynamicPort is the lowest port that a system may choose for a listener on
// port 0: OpenBSD starts at 1024, FreeBSD at 10000, Linux at 32768. Where a system is
// set lower, ports below 1024 still need a privilege that a host should not have.
const firstDynamicPort = 1024

// ports is a set of ports: sorted ranges that neither overlap nor touch. An empty
// set stands for a rule without a port, which covers every port.
type ports []portRange

// portRange holds both ends, which are part of it.
type portRange struct{ first, last uint16 }

// contains reports whether p covers port.
func (p ports) contains(port uint16) bool {
	if len(p) == 0 {
		return true
	}
	for _, r := range p {
		if r.first <= port && port <= r.last {
			return true
		}
	}
	return false
}

// containsDynamic reports whether p covers a port that a listener on port 0 may get.
func (p ports) containsDynamic() bool {
	return p.contains(0) || p[len(p)-1].last >= firstDynamicPort
}

// count returns how many ports p covers.
func (p ports) count() int {
	if len(p) == 0 {
		return 1 << 16
	}
	n := 0
	for _, r := range p {
		n += int(r.last) - int(r.first) + 1
	}
	return n
}

func (p ports) String() string {
	var b strings.Builder
	for i, r := range p {
		if i > 0 {
			b.WriteByte('+')
		}
		b.WriteString(strconv.Itoa(int(r.first)))
		if r.last != r.first {
			b.WriteByte('-')
			b.WriteString(strconv.Itoa(int(r.last)))
		}
	}
	return b.String()
}

// parsePorts parses what follows the colon of a rule: ports and ranges joined by
// plus signs. why says what is wrong and right is a port set to write instead.
func parsePorts(text string) (p ports, why, right string) {
	if strings.ContainsAny(text, "{,}") {
		return nil, "ports are joined by +", strings.NewReplacer("{", "", "}", "", ",", "+").Replace(text)
	}
	for part := range strings.SplitSeq(text, "+") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		var r portRange
		if r.first, why = parsePort(first); why != "" {
			return nil, why, "443"
		}
		if r.last, why = parsePort(last); why != "" {
			return nil, why, "443"
		}
		if r.first > r.last {
			return nil, "port range " + part + " runs backwards", last + "-" + first
		}
		p = append(p, r)
	}
	return p.merged(), "", ""
}

// parsePort parses one port in decimal, without sign or leading zero. Zero is a
// port: a listener asks for it to let the system choose.
func parsePort(text string) (port uint16, why string) {
	if text == "" {
		return 0, "empty port"
	}
	if strings.Trim(text, "0123456789") != "" {
		return 0, "port " + strconv.Quote(shorten(text)) + " is not a number"
	}
	if len(text) > 1 && text[0] == '0' {
		return 0, "port " + shorten(text) + " has a leading zero"
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0, "port " + shorten(text) + " is over 65535"
	}
	return uint16(n), ""
}

// merged sorts p and joins ranges that overlap or touch, which makes equal sets of
// ports equal values.
func (p ports) merged() ports {
	slices.SortFunc(p, func(a, b portRange) int { return cmp.Compare(a.first, b.first) })
	joined := p[:1]
	for _, r := range p[1:] {
		end := &joined[len(joined)-1]
		if int(r.first) > int(end.last)+1 {
			joined = append(joined, r)
			continue
		}
		end.last = max(end.last, r.last)
	}
	return joined
}
