package host

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/wasock/wasock/host/dialer"
	"github.com/wasock/wasock/hostcalls"
)

// Errors of a caller. The connection is unchanged by the call that returned one.
var (
	// ErrClosed is returned for a Conn or a Host that is closed. Where a peer
	// closed a Conn the error is a *CloseError, which ErrClosed matches.
	ErrClosed = errors.New("websocket: closed")

	// ErrSendQueueFull is returned by Send when more than SendLimit bytes wait
	// to be written.
	ErrSendQueueFull = errors.New("websocket: send queue is full: wait for BufferedAmount to fall, drop the message, or close")

	// ErrInvalidUTF8 is returned for text, or a close reason, that is not UTF-8.
	ErrInvalidUTF8 = errors.New("websocket: text is not valid UTF-8")

	// ErrEventStyle is returned by the reading methods of a Conn whose messages
	// go to an EventHandler.
	ErrEventStyle = errors.New("websocket: this connection delivers its messages to an EventHandler")

	// ErrMessageInProgress is returned by Send while a Writer is open.
	ErrMessageInProgress = errors.New("websocket: a message is being written: close its Writer first")

	// ErrInvalidArgument is returned for arguments that must not go over the
	// wire: a close code that may not be sent, a Ping of more than 125 bytes.
	ErrInvalidArgument = errors.New("websocket: invalid argument")

	// ErrStalled is why a connection ended whose peer did not read: the transport
	// took none of the output for Limits.StallTimeout.
	ErrStalled = errors.New("websocket: the peer takes nothing of what is sent to it (Limits.StallTimeout)")

	// ErrEngineTrapped is the error of the connections of an engine instance
	// that trapped or used up its memory. Others are not affected.
	ErrEngineTrapped = errors.New("websocket: the engine instance of this connection failed")
)

var errCloseTimeout = errors.New("websocket: the closing handshake was not completed within CloseTimeout")

// A ProtocolError is a violation of the protocol by the peer. The connection was
// failed with Code. RFC 6455 §7.1.7.
type ProtocolError struct {
	Code CloseCode // the close code that was sent
	Rule string    // the rule that the peer broke
}

func (e *ProtocolError) Error() string {
	return fmt.Sprintf("websocket: peer broke the protocol: %s (close code %d)", e.Rule, e.Code)
}

// A LimitError is a limit that the peer exceeded. The connection was failed with
// Code.
type LimitError struct {
	Code  CloseCode
	Limit string // the field of Limits
	Max   uint64 // its value
	Size  uint64 // what the peer sent or announced
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("websocket: %s exceeded: %d is over %d (close code %d)", e.Limit, e.Size, e.Max, e.Code)
}

// A CloseError is how a connection ended. RFC 6455 §7.1.4 to §7.1.6.
type CloseError struct {
	Code     CloseCode // the peer's; 1005 if it sent none, 1006 without a closing handshake
	Reason   string
	WasClean bool  // both ends completed the closing handshake
	ByPeer   bool  // the peer began it
	Err      error // why, where the handshake was not completed: *ProtocolError, *LimitError or another
}

func (e *CloseError) Error() string {
	s := "websocket: closed with code " + strconv.Itoa(int(e.Code))
	if e.Reason != "" {
		s += " " + strconv.Quote(e.Reason)
	}
	switch {
	case e.Err != nil:
		s += ": " + e.Err.Error()
	case !e.WasClean:
		s += " without a closing handshake"
	}
	return s
}

// Is reports that a CloseError is ErrClosed.
func (e *CloseError) Is(target error) bool { return target == ErrClosed }

func (e *CloseError) Unwrap() error { return e.Err }

// CloseStatus returns the close code that err says the connection ended with, or
// -1 if it says none.
func CloseStatus(err error) int {
	var ce *CloseError
	if errors.As(err, &ce) {
		return int(ce.Code)
	}
	return -1
}

// A HandshakeError is an opening handshake that did not lead to a connection.
// RFC 6455 §4.
type HandshakeError struct {
	Status int    // of the response, or 0 if there was none that could be parsed
	Field  string // the header field at fault, or ""
	Rule   string // the rule that was broken
	Err    error  // the transport's error, or nil
}

func (e *HandshakeError) Error() string {
	s := "websocket: opening handshake failed: " + e.Rule
	if e.Field != "" {
		s += " (field " + e.Field + ")"
	}
	if e.Status != 0 {
		s += " (status " + strconv.Itoa(e.Status) + ")"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *HandshakeError) Unwrap() error { return e.Err }

// An ArgumentError is an argument of Dial or Accept that is malformed: a URL, a
// subprotocol, a header field. Nothing was dialled.
type ArgumentError struct {
	Part string // what of it is at fault, or ""
	Rule string
}

func (e *ArgumentError) Error() string {
	if e.Part == "" {
		return "websocket: " + e.Rule
	}
	return "websocket: invalid URL: " + e.Part + ": " + e.Rule
}

// A DialError is a transport that could not be opened. Nothing was sent. Besides the
// dialer's, its Step may be "HTTP/2".
type DialError = dialer.Error

// failure decodes an error record of the engine's.
func failure(b []byte) error {
	f, err := hostcalls.ConsumeFailure(b)
	if err != nil {
		return ErrEngineTrapped
	}
	switch f.Class {
	case hostcalls.ClassProtocol:
		return &ProtocolError{CloseCode(f.Code), string(f.Rule)}
	case hostcalls.ClassLimit:
		return &LimitError{CloseCode(f.Code), string(f.Subject), f.Max, f.Size}
	case hostcalls.ClassHandshake:
		return &HandshakeError{Status: int(f.Code), Field: string(f.Subject), Rule: string(f.Rule)}
	case hostcalls.ClassArgument:
		return &ArgumentError{string(f.Subject), string(f.Rule)}
	}
	return errors.New("websocket: " + string(f.Rule))
}

// callError is the error of an export that returned e.
func callError(e hostcalls.Errno) error {
	switch e {
	case hostcalls.ESTATE, hostcalls.EBADF:
		return ErrClosed
	case hostcalls.EFULL:
		return ErrSendQueueFull
	case hostcalls.EINVAL:
		return ErrInvalidArgument
	}
	return fmt.Errorf("websocket: engine: %w", e)
}
