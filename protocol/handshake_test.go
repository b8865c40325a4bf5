package protocol

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// rfcKey is the nonce of the example in RFC 6455 §1.3.
var rfcKey = [16]byte([]byte("the sample nonce"))

func TestAcceptKey(t *testing.T) {
	if got, want := acceptKey("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="; got != want {
		t.Errorf("the key of RFC 6455 §1.3 is answered by %q, want %q", got, want)
	}
}

// injections are fields that would write more than themselves into a head.
var injections = []Field{
	{"", "a"},
	{"A B", "a"},
	{"A:", "a"},
	{"A\r\nB", "a"},
	{"A\x00", "a"},
	{"Ä", "a"},
	{":authority", "a"},
	{"A", "a\r\nB: c"},
	{"A", "a\nB: c"},
	{"A", "a\rB: c"},
	{"A", "secret\x00"},
	{"A", "\r\n"},
	{"A", "a\r\n"},
	{"A", "a\x7f"},
}

func TestOwnFieldsRefusesInjections(t *testing.T) {
	for _, f := range injections {
		own, err := ownFields([]Field{{"Good", "one"}, f})
		var e *FieldError
		if !errors.As(err, &e) || !errors.Is(err, ErrField) || e.Name != f.Name || own != nil {
			t.Errorf("the field %q gives %q, %v, want a *FieldError", f, own, err)
			continue
		}
		if strings.Contains(err.Error(), "secret") || strings.ContainsAny(err.Error(), "\r\n\x00") {
			t.Errorf("the field %q gives %q, which repeats its value or its line ends", f, err.Error())
		}
	}
}

func TestOwnFieldsDropsWhatTheHandshakeWrites(t *testing.T) {
	for _, name := range []string{
		"Sec-WebSocket-Accept", "Sec-WebSocket-Extensions", "Sec-WebSocket-Key", "Sec-WebSocket-Protocol", "Sec-WebSocket-Version",
		"Upgrade", "Connection", "Host", "Content-Length", "Transfer-Encoding", "TE", "Trailer", "Keep-Alive", "Proxy-Connection",
	} {
		for _, name := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			own, err := ownFields([]Field{{name, "a"}, {"Cookie", " b\t"}})
			if err != nil || !reflect.DeepEqual(own, []Field{{"Cookie", "b"}}) {
				t.Errorf("of %s and Cookie is left %q, %v, want Cookie", name, own, err)
			}
		}
	}
}
