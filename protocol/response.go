package protocol

import (
	"strconv"
	"strings"
)

// A Response is the head of an HTTP response, of HTTP/1.1 or HTTP/2. HTTP/2 has
// no Reason.
type Response struct {
	Status       int
	Reason       string
	Major, Minor int // the version of HTTP; Major 0 is sent as HTTP/1.1
	Fields       []Field
}

// ConsumeResponse decodes the head of an HTTP/1 response that b begins with, and
// returns its length. A length of 0 without an error asks for more bytes. The
// Response keeps no view of b. Interim responses are responses like any other.
//
// The error is a *HandshakeError with Status 0. RFC 9112 §4.
func ConsumeResponse(b []byte, lim HeadLimits) (*Response, int, error) {
	lim = lim.resolve()
	head, n, err := cutHead(b, lim.MaxBytes)
	if err != nil {
		return nil, 0, unanswered(err)
	}
	if n == 0 {
		return nil, 0, nil
	}
	r, err := parseResponse(head, lim.MaxFields)
	if err != nil {
		return nil, 0, err
	}
	return r, n, nil
}

// parseResponse decodes a complete head.
func parseResponse(head []byte, maxFields int) (*Response, error) {
	first, fields, err := parseHead(head, maxFields)
	if err != nil {
		return nil, unanswered(err)
	}
	version, rest, _ := strings.Cut(first, " ")
	// Servers without a reason often leave out the space before it as well.
	code, reason, _ := strings.Cut(rest, " ")
	major, minor, ok := parseVersion(version)
	if !ok || major != 1 || len(code) != 3 || code[0] == '0' || !isDigit(code[0]) || !isDigit(code[1]) || !isDigit(code[2]) ||
		!IsFieldValue(trimOWS(reason)) {
		return nil, &HandshakeError{Rule: "a response begins with HTTP/1.1, a status of three digits and a reason, one space between them"}
	}
	status, _ := strconv.Atoi(code)
	return &Response{status, reason, major, minor, fields}, nil
}

// unanswered returns err, a *HandshakeError about a head, without the status
// that would answer a request: a client has nothing to answer.
func unanswered(err error) error {
	e := *err.(*HandshakeError)
	e.Status = 0
	return &e
}

// Append appends the head of r as HTTP/1 writes it. CR, LF and NUL become
// spaces; the caller has checked everything else.
func (r *Response) Append(b []byte) []byte {
	b = appendVersion(b, r.Major, r.Minor)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(r.Status), 10)
	b = append(b, ' ')
	b = appendLineText(b, r.Reason)
	b = append(b, "\r\n"...)
	return appendFields(b, r.Fields)
}
