package protocol

import (
	"errors"
	"strconv"
)

// Errors of a caller that asked for what the state or the arguments do not
// allow. The connection is unchanged by the call that returned one.
var (
	// ErrNotOpen is returned by commands that need State Open.
	ErrNotOpen = errors.New("websocket: connection is not open")

	// ErrSendQueueFull is returned by a send command when the output that has
	// not been taken exceeds Config.SendLimit.
	ErrSendQueueFull = errors.New("websocket: send queue is full: take the output first")

	// ErrControlTooLong is returned for a ping, pong or close payload of more
	// than 125 bytes. RFC 6455 §5.5.
	ErrControlTooLong = errors.New("websocket: control frame payload is over 125 bytes")

	// ErrFrameTooLong is returned for a frame of more than 1<<63-1 bytes. RFC 6455
	// §5.2.
	ErrFrameTooLong = errors.New("websocket: frame payload is over 1<<63-1 bytes")

	// ErrInvalidUTF8 is returned for text or a close reason that is not UTF-8.
	ErrInvalidUTF8 = errors.New("websocket: text is not valid UTF-8")

	// ErrCloseCode is returned for a close code that must not be sent.
	ErrCloseCode = errors.New("websocket: close code must not be sent: use 1000 to 1003, 1007 to 1014 or 3000 to 4999")

	// ErrNotBare is returned by AppendBareHeader where payloads do not go over the
	// wire as they are.
	ErrNotBare = errors.New("websocket: the payload is masked or encoded on its way")

	// ErrMessageOrder is returned when a message is started while another is
	// unfinished, or continued while none is.
	ErrMessageOrder = errors.New("websocket: fragment does not follow the message in progress")
)

// A ProtocolError is a violation of the protocol by the peer. The connection
// was failed with Code. RFC 6455 §7.1.7.
type ProtocolError struct {
	Code CloseCode // the close code that was sent to the peer
	Rule string    // the rule that the peer broke
}

func (e *ProtocolError) Error() string {
	return "websocket: peer broke the protocol: " + e.Rule + " (close code " + strconv.Itoa(int(e.Code)) + ")"
}

// A LimitError is a limit of Config that the peer exceeded. The connection was
// failed with CodeMessageTooBig, or CodePolicyViolation where a number of frames
// is limited.
type LimitError struct {
	Code  CloseCode
	Limit string // the Config field
	Max   uint64 // its value
	Size  uint64 // what the peer sent or announced
}

func (e *LimitError) Error() string {
	return "websocket: " + e.Limit + " exceeded: " + strconv.FormatUint(e.Size, 10) +
		" is over " + strconv.FormatUint(e.Max, 10) + " (close code " + strconv.Itoa(int(e.Code)) + ")"
}

// A CloseError is how a connection ended. RFC 6455 §7.1.4 to §7.1.6.
type CloseError struct {
	Code   CloseCode // the peer's; CodeNoStatus if it sent none, CodeAbnormal without a closing handshake
	Reason string    // the peer's, UTF-8
	Clean  bool      // both ends completed the closing handshake
	ByPeer bool      // the peer sent its Close frame first
}

func (e *CloseError) Error() string {
	s := "websocket: closed with code " + strconv.Itoa(int(e.Code))
	if e.Reason != "" {
		s += " " + strconv.Quote(e.Reason)
	}
	if !e.Clean {
		s += " without a closing handshake"
	}
	return s
}

// A HandshakeError is an opening handshake that did not lead to a connection.
// RFC 6455 §4.
//
// On a client, Status is what the server answered, or 0 if its answer could not
// be parsed. On a server, Status is what to answer with.
type HandshakeError struct {
	Status int
	Field  string // the header field at fault, or ""
	Rule   string // the rule that was broken
}

func (e *HandshakeError) Error() string {
	s := "websocket: opening handshake failed: " + e.Rule
	if e.Field != "" {
		s += " (field " + e.Field + ")"
	}
	if e.Status != 0 {
		s += " (status " + strconv.Itoa(e.Status) + ")"
	}
	return s
}

// A URLError is a URL that names no WebSocket endpoint.
// https://websockets.spec.whatwg.org/#dom-websocket-websocket
type URLError struct {
	Part string // the part at fault: "scheme", "host", "port", "fragment", …
	Rule string // what is wrong with it and what would be right
}

func (e *URLError) Error() string {
	return "websocket: invalid URL: " + e.Part + ": " + e.Rule
}
