package protocol

import (
	"strconv"
	"strings"
)

// HeadLimits bounds the head of a request or response: its first line, its
// header fields and the blank line after them. What exceeds a limit fails the
// opening handshake. There is no unlimited: zero and negative values mean the
// default.
type HeadLimits struct {
	MaxBytes  int // of one head, its blank line included; default 8,192
	MaxFields int // header fields of one head; default 100
}

// Defaults of HeadLimits. The bytes are what common servers accept at least.
const (
	defaultHeadBytes  = 8192
	defaultHeadFields = 100
)

func (l HeadLimits) resolve() HeadLimits {
	if l.MaxBytes <= 0 {
		l.MaxBytes = defaultHeadBytes
	}
	if l.MaxFields <= 0 {
		l.MaxFields = defaultHeadFields
	}
	return l
}

// A headScanner finds the end of a head and looks at each byte once, however
// the bytes were cut. It is the one place that knows what ends a line.
type headScanner struct {
	size int  // bytes scanned
	line int  // bytes of the current line, without its line end
	cr   bool // the byte before was CR
}

// scan returns how many bytes of b belong to the head, and whether the last of
// them ends it. The error is a *HandshakeError, and n then counts up to the byte
// at fault.
func (s *headScanner) scan(b []byte, maxBytes int) (n int, done bool, err error) {
	for n < len(b) {
		c := b[n]
		n++
		s.size++
		switch {
		// A line ends with CRLF and neither of the two stands alone. RFC 9112 §2.2
		// lets a recipient take a lone LF for a line end; where two recipients
		// differ in that, a request can be smuggled past one of them.
		case s.cr && c != '\n':
			return n, false, &HandshakeError{Status: 400, Rule: "a CR is followed by LF"}
		case !s.cr && c == '\n':
			return n, false, &HandshakeError{Status: 400, Rule: "a line ends with CRLF, not with LF alone"}
		case c == '\n' && s.line == 0:
			return n, true, nil
		case c == '\n':
			s.cr, s.line = false, 0
		case c == '\r':
			s.cr = true
		case c == 0:
			return n, false, &HandshakeError{Status: 400, Rule: "a head holds no NUL"}
		// A line that begins with whitespace would continue the one before it, or
		// hide a field behind the first line. RFC 9112 §2.2, §5.2.
		case s.line == 0 && (c == ' ' || c == '\t'):
			return n, false, &HandshakeError{Status: 400, Rule: "no line of a head begins with whitespace"}
		default:
			s.line++
		}
		if s.size >= maxBytes {
			return n, false, &HandshakeError{Status: 431, Rule: "a head has at most " + strconv.Itoa(maxBytes) + " bytes"}
		}
	}
	return n, false, nil
}

// A headBuffer collects a head that arrives in pieces.
type headBuffer struct {
	scanner headScanner
	b       []byte // what has been received of the head
}

// receive takes bytes of b up to and including the blank line that ends the
// head, and returns how many it took and whether the head is complete. It never
// holds more than maxBytes. The error is a *HandshakeError.
func (h *headBuffer) receive(b []byte, maxBytes int) (n int, done bool, err error) {
	n, done, err = h.scanner.scan(b, maxBytes)
	if err != nil {
		return n, false, err
	}
	if need := len(h.b) + n; need > cap(h.b) {
		grown := make([]byte, len(h.b), min(max(need, 2*cap(h.b)), maxBytes))
		copy(grown, h.b)
		h.b = grown
	}
	h.b = append(h.b, b[:n]...)
	return n, done, nil
}

// cutHead returns the head that b begins with and its length, or 0 if b ends
// before the head does.
func cutHead(b []byte, maxBytes int) (head []byte, n int, err error) {
	var s headScanner
	n, done, err := s.scan(b, maxBytes)
	if err != nil || !done {
		return nil, 0, err
	}
	return b[:n], n, nil
}

// parseHead splits a complete head, as a headScanner delimits it, into its first
// line and its fields.
func parseHead(head []byte, maxFields int) (first string, fields []Field, err error) {
	first, rest, _ := strings.Cut(string(head), "\r\n")
	for {
		var line string
		line, rest, _ = strings.Cut(rest, "\r\n")
		if line == "" {
			return first, fields, nil
		}
		if len(fields) >= maxFields {
			return "", nil, &HandshakeError{Status: 431, Rule: "a head has at most " + strconv.Itoa(maxFields) + " fields"}
		}
		f, err := parseField(line)
		if err != nil {
			return "", nil, err
		}
		fields = append(fields, f)
	}
}

// parseField splits a field line. RFC 9112 §5.
func parseField(line string) (Field, error) {
	name, value, ok := strings.Cut(line, ":")
	// Whitespace between name and colon has led to smuggling, so a server must
	// refuse it. RFC 9112 §5.1.
	if !ok || !IsToken(name) {
		return Field{}, &HandshakeError{Status: 400, Rule: "a field line is a token, a colon and a value"}
	}
	value = trimOWS(value)
	if !IsFieldValue(value) {
		return Field{}, &HandshakeError{Status: 400, Field: name, Rule: "a field value holds no control characters"}
	}
	return Field{name, value}, nil
}

// parseVersion decodes the name and version of the protocol. RFC 9112 §2.3.
func parseVersion(s string) (major, minor int, ok bool) {
	if len(s) != len("HTTP/1.1") || s[:5] != "HTTP/" || !isDigit(s[5]) || s[6] != '.' || !isDigit(s[7]) {
		return 0, 0, false
	}
	return int(s[5] - '0'), int(s[7] - '0'), true
}

// appendVersion appends the name and version of the protocol. Major 0 stands for
// HTTP/1.1, so that a zero Request or Response can be completed and sent.
func appendVersion(b []byte, major, minor int) []byte {
	if major == 0 {
		major, minor = 1, 1
	}
	b = append(b, "HTTP/"...)
	b = strconv.AppendInt(b, int64(major), 10)
	b = append(b, '.')
	return strconv.AppendInt(b, int64(minor), 10)
}

// appendFields appends fields and the blank line that ends a head.
func appendFields(b []byte, fields []Field) []byte {
	for _, f := range fields {
		b = appendLineText(b, f.Name)
		b = append(b, ": "...)
		b = appendLineText(b, f.Value)
		b = append(b, "\r\n"...)
	}
	return append(b, "\r\n"...)
}

// appendLineText appends s with CR, LF and NUL replaced by spaces, so that
// nothing a caller puts into a head begins another line. RFC 9110 §5.5.
func appendLineText(b []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if c == '\r' || c == '\n' || c == 0 {
			c = ' '
		}
		b = append(b, c)
	}
	return b
}

// fieldValue returns the value of the first of the fields with this name, and
// how many there are.
func fieldValue(fields []Field, name string) (value string, count int) {
	for _, f := range fields {
		if equalFold(f.Name, name) {
			if count == 0 {
				value = f.Value
			}
			count++
		}
	}
	return value, count
}

// fieldValues returns the values of all fields with this name, in order.
func fieldValues(fields []Field, name string) (values []string) {
	for _, f := range fields {
		if equalFold(f.Name, name) {
			values = append(values, f.Value)
		}
	}
	return values
}

// fieldHasToken reports whether the list that the fields with this name make up
// together has token among its elements. RFC 9110 §5.3.
func fieldHasToken(fields []Field, name, token string) bool {
	for _, f := range fields {
		if equalFold(f.Name, name) && hasToken(f.Value, token) {
			return true
		}
	}
	return false
}
