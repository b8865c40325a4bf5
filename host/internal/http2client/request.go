package http2client

import (
	"fmt"
	"strings"

	"golang.org/x/net/http2/hpack"
)

// A Field is a field of a request or a response. One that is Sensitive, and one
// whose name says that it is, is never put into a compression table.
// https://www.rfc-editor.org/rfc/rfc7541.html#section-7.1.3
type Field = hpack.HeaderField

// A Request is an Extended CONNECT.
// https://www.rfc-editor.org/rfc/rfc8441.html#section-4
type Request struct {
	Scheme    string  // "https", or "http"
	Authority string  // the host, and the port if it is not the scheme's
	Path      string  // begins with a slash, and has the query
	Protocol  string  // "websocket"
	Fields    []Field // names in lower case, in the order in which they are sent
}

// sensitiveNames are fields that carry secrets. Browsers can put a token nowhere
// but into the subprotocol, so it is one of them.
var sensitiveNames = [...]string{"authorization", "proxy-authorization", "cookie", "set-cookie", "sec-websocket-protocol"}

// sensitiveWords are parts of the names of others.
var sensitiveWords = [...]string{"auth", "token", "secret", "password", "session", "api-key", "apikey"}

// connectionFields belong to a connection of HTTP/1.1, and make a message of
// HTTP/2 malformed. https://www.rfc-editor.org/rfc/rfc9113.html#section-8.2.2
var connectionFields = [...]string{"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}

// fields returns the request as it is sent, or an error that matches ErrRequest.
func (r *Request) fields() ([]Field, error) {
	switch {
	case r.Scheme != "http" && r.Scheme != "https":
		return nil, requestError("the scheme is %q, not http or https", r.Scheme)
	case r.Authority == "" || strings.ContainsAny(r.Authority, "@/?# \t") || !validValue(r.Authority):
		return nil, requestError("the authority is not a host and a port") // it may hold a password
	case !strings.HasPrefix(r.Path, "/") || strings.ContainsAny(r.Path, "# \t") || !validValue(r.Path):
		return nil, requestError("the path does not begin with a slash, or holds a space, a # or a control character")
	case !validName(strings.ToLower(r.Protocol)): // either is a token
		return nil, requestError("the protocol %q is not a token", r.Protocol)
	}
	fields := make([]Field, 0, 5+len(r.Fields))
	fields = append(fields,
		Field{Name: ":method", Value: "CONNECT"},
		Field{Name: ":protocol", Value: r.Protocol},
		Field{Name: ":scheme", Value: r.Scheme},
		// A query may hold a token.
		Field{Name: ":path", Value: r.Path, Sensitive: strings.Contains(r.Path, "?")},
		Field{Name: ":authority", Value: r.Authority})
	for _, f := range r.Fields {
		if err := checkRequestField(f); err != nil {
			return nil, err
		}
		f.Sensitive = f.Sensitive || isSensitive(f.Name)
		fields = append(fields, f)
	}
	return fields, nil
}

func checkRequestField(f Field) error {
	switch {
	case !validName(f.Name):
		return requestError("the field name %q is not a token in lower case", f.Name)
	case !validValue(f.Value):
		return requestError("the value of field %q holds a control character, or begins or ends with a space", f.Name)
	case isOneOf(f.Name, connectionFields[:]):
		return requestError("field %q belongs to HTTP/1.1", f.Name)
	case f.Name == "te" && f.Value != "trailers":
		return requestError("field te is not trailers")
	case f.Name == "host":
		return requestError("field host would be a second authority")
	case f.Name == "content-length":
		// https://www.rfc-editor.org/rfc/rfc9113.html#section-8.1.1: what is sent
		// would have to be as long.
		return requestError("field content-length is of requests that end")
	}
	return nil
}

func requestError(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrRequest}, args...)...)
}

func isSensitive(name string) bool {
	if isOneOf(name, sensitiveNames[:]) {
		return true
	}
	for _, word := range sensitiveWords {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

func isOneOf(name string, names []string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// validName reports whether name is a token without upper-case letters.
// https://www.rfc-editor.org/rfc/rfc9113.html#section-8.2.1
func validName(name string) bool {
	for i := range len(name) {
		switch b := name[i]; {
		case 'a' <= b && b <= 'z', '0' <= b && b <= '9', strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0:
		default:
			return false
		}
	}
	return name != ""
}

// validValue reports whether value holds no control character but tabs, and
// neither begins nor ends with white space. RFC 9113 §8.2.1 asks for less: it
// refuses NUL, CR and LF only, but no value has a use for the others
// (https://www.rfc-editor.org/rfc/rfc9110.html#section-5.5).
func validValue(value string) bool {
	for i := range len(value) {
		if b := value[i]; b < ' ' && b != '\t' || b == 0x7f {
			return false
		}
	}
	return strings.Trim(value, " \t") == value
}
