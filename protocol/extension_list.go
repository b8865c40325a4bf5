package protocol

import "strings"

// An extensionElement is one element of a Sec-WebSocket-Extensions field: an
// extension that is offered or agreed to.
type extensionElement struct {
	name   string
	params []extensionParam
}

// An extensionParam is a parameter. Its value may be there and yet empty only in a
// field that is malformed.
type extensionParam struct {
	name, value string
	valued      bool
}

// consumeExtension decodes the first element of list, a field's value, and returns
// what follows it. ok is false when there is none left. Empty elements are passed
// over. The error is a *HandshakeError: what is malformed cannot be told apart into
// elements, so none of it counts.
// https://www.rfc-editor.org/rfc/rfc6455.html#section-9.1
func consumeExtension(list string) (e extensionElement, rest string, ok bool, err error) {
	s := skipOWS(list)
	for s != "" && s[0] == ',' {
		s = skipOWS(s[1:])
	}
	if s == "" {
		return e, "", false, nil
	}
	if e.name, s = cutToken(s); e.name == "" {
		return e, "", false, errExtensionList
	}
	for {
		if s = skipOWS(s); s == "" {
			return e, "", true, nil
		}
		switch s[0] {
		case ',':
			return e, s[1:], true, nil
		case ';':
		default:
			return e, "", false, errExtensionList
		}
		var p extensionParam
		if p, s, ok = consumeExtensionParam(skipOWS(s[1:])); !ok {
			return e, "", false, errExtensionList
		}
		if e.params = append(e.params, p); len(e.params) > maxExtensionParams {
			return e, "", false, errExtensionList
		}
	}
}

// maxExtensionParams is more than any extension has.
const maxExtensionParams = 16

var errExtensionList = &HandshakeError{400, "Sec-WebSocket-Extensions", "an extension is a token, with parameters after semicolons"}

// consumeExtensionParam decodes a parameter: name, name=value or name="value". What
// is quoted is a token all the same.
func consumeExtensionParam(s string) (p extensionParam, rest string, ok bool) {
	if p.name, s = cutToken(s); p.name == "" {
		return p, "", false
	}
	after := skipOWS(s)
	if after == "" || after[0] != '=' {
		return p, s, true
	}
	p.valued = true
	if s = skipOWS(after[1:]); s == "" || s[0] != '"' {
		p.value, s = cutToken(s)
		return p, s, p.value != ""
	}
	var quoted strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			p.value = quoted.String()
			return p, s[i+1:], IsToken(p.value)
		case '\\':
			if i++; i == len(s) {
				return p, "", false
			}
		}
		quoted.WriteByte(s[i])
	}
	return p, "", false
}

// cutToken returns the token that s begins with, or "", and what follows it.
func cutToken(s string) (token, rest string) {
	n := 0
	for n < len(s) && isTokenByte(s[n]) {
		n++
	}
	return s[:n], s[n:]
}

func skipOWS(s string) string { return strings.TrimLeft(s, " \t") }
