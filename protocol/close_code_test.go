package protocol

import (
	"errors"
	"strings"
	"testing"
)

// sendable is RFC 6455 §7.4 and the IANA registry, code by code.
func sendable(code int) bool {
	switch code {
	case 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014:
		return true
	}
	return 3000 <= code && code <= 4999
}

func TestCloseCodeSendable(t *testing.T) {
	for code := range 1 << 16 {
		if got, want := CloseCode(code).Sendable(), sendable(code); got != want {
			t.Errorf("%d is sendable: %t, want %t", code, got, want)
		}
	}
}

func TestClosePayloadVectors(t *testing.T) {
	for _, test := range []struct {
		name, wire string
		code       CloseCode
		reason     string
	}{
		{"no code", "", CodeNoStatus, ""},
		{"1000", "03e8", CodeNormal, ""},
		{"1000 and a reason", "03e8 | 'bye'", CodeNormal, "bye"},
		{"4999 and UTF-8", "1387 | e282ac", 4999, "€"},
		{"the longest", "0bb8 | '" + strings.Repeat("r", MaxReason) + "'", 3000, strings.Repeat("r", MaxReason)},
	} {
		t.Run(test.name, func(t *testing.T) {
			wire := string(octets(test.wire))
			if got := string(AppendClosePayload([]byte("before"), test.code, test.reason)); got != "before"+wire {
				t.Errorf("encodes to %x, want %x", got[len("before"):], wire)
			}
			code, reason, err := ConsumeClosePayload([]byte(wire))
			if err != nil || code != test.code || string(reason) != test.reason {
				t.Errorf("decodes to %d, %q, %v, want %d, %q", code, reason, err, test.code, test.reason)
			}
		})
	}
}

func TestClosePayloadRefuses(t *testing.T) {
	for _, test := range []struct {
		name, wire string
		code       CloseCode
	}{
		{"one byte", "03", CodeProtocolError},
		{"0", "0000", CodeProtocolError},
		{"999", "03e7", CodeProtocolError},
		{"1005", "03ed", CodeProtocolError},
		{"1015 and a reason that is not UTF-8", "03f7 | ff", CodeProtocolError},
		{"a reason that is not UTF-8", "03e8 | ff", CodeInvalidPayload},
		{"a reason that ends inside a character", "03e8 | 'a' e282", CodeInvalidPayload},
		{"a surrogate", "03e8 | eda080", CodeInvalidPayload},
	} {
		code, reason, err := ConsumeClosePayload(octets(test.wire))
		var pe *ProtocolError
		if !errors.As(err, &pe) || pe.Code != test.code || code != 0 || reason != nil {
			t.Errorf("%s: %d, %q, %v, want a *ProtocolError with %d", test.name, code, reason, err, test.code)
		}
	}
}

func TestErrorStrings(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{errMasked, "websocket: peer broke the protocol: a server does not mask its frames (close code 1002)"},
		{&LimitError{CodeMessageTooBig, "MessageLimit", 10, 11}, "websocket: MessageLimit exceeded: 11 is over 10 (close code 1009)"},
		{&CloseError{Code: 1000, Clean: true}, "websocket: closed with code 1000"},
		{&CloseError{Code: 4000, Reason: "a\nb", Clean: true}, `websocket: closed with code 4000 "a\nb"`},
		{&CloseError{Code: 1006}, "websocket: closed with code 1006 without a closing handshake"},
		{errHandshakeTimeout, "websocket: opening handshake failed: the opening handshake took longer than HandshakeTimeout"},
		{&HandshakeError{Status: 400, Field: "Host", Rule: "r"}, "websocket: opening handshake failed: r (field Host) (status 400)"},
		{&URLError{"port", "r"}, "websocket: invalid URL: port: r"},
		{errIdle, "No response from ping frame."},
	} {
		if got := test.err.Error(); got != test.want {
			t.Errorf("%T prints as %q, want %q", test.err, got, test.want)
		}
	}
}
