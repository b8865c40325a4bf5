package protocol

import (
	"errors"
	"strconv"
	"strings"
)

// Errors of a caller whose handshake options cannot be sent. The errors that
// are returned say more and match these by errors.Is.
var (
	// ErrSubprotocol is matched by every *SubprotocolError.
	ErrSubprotocol = errors.New("websocket: invalid subprotocol")

	// ErrField is matched by every *FieldError.
	ErrField = errors.New("websocket: invalid header field")
)

// A SubprotocolError is a list of subprotocols that a client must not offer.
type SubprotocolError struct {
	Value string // the element at fault
	Rule  string // what is wrong with it and what would be right
}

func (e *SubprotocolError) Error() string {
	return ErrSubprotocol.Error() + " " + strconv.Quote(e.Value) + ": " + e.Rule
}

// Unwrap returns ErrSubprotocol.
func (e *SubprotocolError) Unwrap() error { return ErrSubprotocol }

// A FieldError is a header field of the caller's that HTTP cannot carry. The
// value is not part of it, for it may be a secret.
type FieldError struct {
	Name string // as the caller wrote it
	Rule string // what is wrong with the field and what would be right
}

func (e *FieldError) Error() string {
	return ErrField.Error() + " " + strconv.Quote(e.Name) + ": " + e.Rule
}

// Unwrap returns ErrField.
func (e *FieldError) Unwrap() error { return ErrField }

// IsToken reports whether s is a token of HTTP: what methods, field names and
// subprotocols are. RFC 9110 §5.6.2.
func IsToken(s string) bool {
	for i := range len(s) {
		if !isTokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func isTokenByte(c byte) bool {
	return isAlpha(c) || isDigit(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// IsFieldValue reports whether s is the value of a header field: no control
// character but HTAB, and neither space nor HTAB at its ends. Bytes outside
// ASCII are allowed, and so is the empty value. RFC 9110 §5.5.
func IsFieldValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return trimOWS(s) == s
}

// trimOWS returns s without the optional whitespace around it. RFC 9110 §5.6.3.
func trimOWS(s string) string { return strings.Trim(s, " \t") }

// CheckSubprotocols reports whether a client may offer list: no element occurs
// twice and each is a token. The error is a *SubprotocolError.
// https://websockets.spec.whatwg.org/#dom-websocket-websocket
//
// Elements that differ only in case are the same one here, as in the reference
// system. To RFC 6455 §4.1 they differ, so this refuses more than it has to.
func CheckSubprotocols(list []string) error {
	lower := make([]string, len(list))
	for i, s := range list {
		lower[i] = strings.ToLower(s)
	}
	if i := indexRepeated(lower); i >= 0 {
		return &SubprotocolError{list[i], "the same subprotocol must not be offered twice; case does not count"}
	}
	for _, s := range list {
		if !IsToken(s) {
			return &SubprotocolError{s, "a subprotocol is an HTTP token: letters, digits and !#$%&'*+-.^_`|~"}
		}
	}
	return nil
}

// indexRepeated returns the index of the first element of list that equals one
// before it, or -1.
func indexRepeated(list []string) int {
	if len(list) < 2 {
		return -1
	}
	seen := make(map[string]bool, len(list))
	for i, s := range list {
		if seen[s] {
			return i
		}
		seen[s] = true
	}
	return -1
}

// cutElement returns the first element of a comma-separated list and what
// follows it. Elements are trimmed and empty ones are passed over; ok is false
// when there is none left. RFC 9110 §5.6.1.
func cutElement(list string) (element, rest string, ok bool) {
	for list != "" {
		element, list, _ = strings.Cut(list, ",")
		if element = trimOWS(element); element != "" {
			return element, list, true
		}
	}
	return "", "", false
}

// hasToken reports whether the comma-separated list value has token among its
// elements, compared without ASCII case.
func hasToken(value, token string) bool {
	for {
		element, rest, ok := cutElement(value)
		if !ok {
			return false
		}
		if equalFold(element, token) {
			return true
		}
		value = rest
	}
}

// equalFold reports whether s and t are equal but for ASCII case. Unlike
// strings.EqualFold it does not take U+212A, the Kelvin sign, for a k.
func equalFold(s, t string) bool {
	if len(s) != len(t) {
		return false
	}
	for i := range len(s) {
		if a, b := s[i], t[i]; a != b && (a|0x20 != b|0x20 || !isAlpha(a)) {
			return false
		}
	}
	return true
}
