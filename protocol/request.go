package protocol

import "strings"

// A Request is the head of an HTTP request: of HTTP/1.1 as bytes, or of HTTP/2
// as its host hands it over, with the pseudo-header field ":protocol" among the
// fields.
type Request struct {
	Method, Target string
	Major, Minor   int // the version of HTTP; Major 0 is sent as HTTP/1.1
	Fields         []Field
}

// ConsumeRequest decodes the head of an HTTP/1 request that b begins with, and
// returns its length. A length of 0 without an error asks for more bytes. The
// Request keeps no view of b.
//
// The error is a *HandshakeError with the status to answer: 431 for what exceeds
// lim, 505 for a version that is not HTTP/1, and 400. RFC 9112 §3.
func ConsumeRequest(b []byte, lim HeadLimits) (*Request, int, error) {
	lim = lim.resolve()
	head, n, err := cutHead(b, lim.MaxBytes)
	if n == 0 {
		return nil, 0, err
	}
	r, err := parseRequest(head, lim.MaxFields)
	if err != nil {
		return nil, 0, err
	}
	return r, n, nil
}

// parseRequest decodes a complete head.
func parseRequest(head []byte, maxFields int) (*Request, error) {
	first, fields, err := parseHead(head, maxFields)
	if err != nil {
		return nil, err
	}
	method, rest, _ := strings.Cut(first, " ")
	target, version, _ := strings.Cut(rest, " ")
	major, minor, ok := parseVersion(version)
	// Exactly one space separates the three; a recipient that is lenient here can
	// be made to see another target than the proxy before it. RFC 9112 §3.
	if !ok || !IsToken(method) || !isTarget(target) {
		return nil, &HandshakeError{Status: 400, Rule: "a request begins with method, target and version, one space between them"}
	}
	if major != 1 {
		return nil, &HandshakeError{Status: 505, Rule: "the version of a request head is HTTP/1.1"}
	}
	return &Request{method, target, major, minor, fields}, nil
}

// isTarget reports whether s can be a request target: visible ASCII, since a URL
// holds nothing else. RFC 9112 §3.2.
func isTarget(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return s != ""
}

// Append appends the head of r as HTTP/1 writes it. CR, LF and NUL become
// spaces; the caller has checked everything else.
func (r *Request) Append(b []byte) []byte {
	b = appendLineText(b, r.Method)
	b = append(b, ' ')
	b = appendLineText(b, r.Target)
	b = append(b, ' ')
	b = appendVersion(b, r.Major, r.Minor)
	b = append(b, "\r\n"...)
	return appendFields(b, r.Fields)
}
