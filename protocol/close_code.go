package protocol

import (
	"encoding/binary"
	"unicode/utf8"
)

// A CloseCode says why a connection was closed. RFC 6455 §7.4.
type CloseCode uint16

// https://www.iana.org/assignments/websocket/websocket.xhtml#close-code-number
const (
	CodeNormal             CloseCode = 1000
	CodeGoingAway          CloseCode = 1001
	CodeProtocolError      CloseCode = 1002
	CodeUnsupportedData    CloseCode = 1003
	CodeNoStatus           CloseCode = 1005 // never on the wire: the Close frame held no code
	CodeAbnormal           CloseCode = 1006 // never on the wire: there was no Close frame
	CodeInvalidPayload     CloseCode = 1007
	CodePolicyViolation    CloseCode = 1008
	CodeMessageTooBig      CloseCode = 1009
	CodeMandatoryExtension CloseCode = 1010
	CodeInternalError      CloseCode = 1011
	CodeServiceRestart     CloseCode = 1012
	CodeTryAgainLater      CloseCode = 1013
	CodeBadGateway         CloseCode = 1014
	CodeTLSHandshake       CloseCode = 1015 // never on the wire
)

// maxControlPayload is the most that a control frame carries. RFC 6455 §5.5.
const maxControlPayload = 125

// MaxReason is the longest close reason in bytes of UTF-8.
const MaxReason = maxControlPayload - 2

// Sendable reports whether c may stand in a Close frame. RFC 6455 §7.4.2.
func (c CloseCode) Sendable() bool {
	switch {
	case c >= 3000 && c <= 4999:
		return true
	case c < 1000 || c > 1014:
		return false
	}
	return c != 1004 && c != CodeNoStatus && c != CodeAbnormal
}

// ConsumeClosePayload decodes the payload of a Close frame. reason is a view of
// b. An empty payload gives CodeNoStatus. RFC 6455 §5.5.1.
func ConsumeClosePayload(b []byte) (code CloseCode, reason []byte, err error) {
	switch {
	case len(b) == 0:
		return CodeNoStatus, nil, nil
	case len(b) == 1:
		return 0, nil, &ProtocolError{CodeProtocolError, "a close payload is empty or begins with a code of two bytes"}
	}
	code, reason = CloseCode(binary.BigEndian.Uint16(b)), b[2:]
	if !code.Sendable() {
		return 0, nil, &ProtocolError{CodeProtocolError, "a close frame holds a code that must not be sent"}
	}
	if !utf8.Valid(reason) {
		return 0, nil, &ProtocolError{CodeInvalidPayload, "a close reason is UTF-8"}
	}
	return code, reason, nil
}

// AppendClosePayload appends the payload of a Close frame. CodeNoStatus appends
// nothing. The caller has checked code and reason.
func AppendClosePayload(b []byte, code CloseCode, reason string) []byte {
	if code == CodeNoStatus {
		return b
	}
	b = binary.BigEndian.AppendUint16(b, uint16(code))
	return append(b, reason...)
}
