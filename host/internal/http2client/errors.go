package http2client

import (
	"errors"
	"fmt"
	"net"

	"golang.org/x/net/http2"
)

// Errors of opening a stream. Nothing was sent for it.
var (
	// ErrNoExtendedConnect is returned for a server whose SETTINGS do not allow
	// Extended CONNECT, or have not arrived. HTTP/1.1 may be allowed.
	ErrNoExtendedConnect = errors.New("http2: the server's SETTINGS do not allow Extended CONNECT")

	// ErrTooManyStreams is returned when as many streams are open as the server,
	// or Config.Streams, allows. Wait for one to end, or use another connection.
	ErrTooManyStreams = errors.New("http2: as many streams are open as may be: wait for one to end, or open another connection")

	// ErrTooManyResets is returned when our own side has ended so many streams
	// before they were complete that more would be an attack on the server. Wait.
	ErrTooManyResets = errors.New("http2: too many streams were abandoned lately: wait before opening more")

	// ErrStreamsUsedUp is returned when the connection has no more stream numbers.
	// Use another connection.
	ErrStreamsUsedUp = errors.New("http2: the connection has no more stream numbers: open another")

	// ErrClosed is returned after Close or Shutdown of the connection. It matches
	// net.ErrClosed.
	ErrClosed error = closedError{}
)

// ErrRequest matches the errors of a request that must not go over the wire. They
// say which of its parts is to be changed.
var ErrRequest = errors.New("http2: invalid request")

// errReservationUsed is of a caller that opens a second stream in one's room.
var errReservationUsed = errors.New("http2: the reservation was used or released")

type closedError struct{}

func (closedError) Error() string        { return "http2: connection closed" }
func (closedError) Is(target error) bool { return target == net.ErrClosed }

// A StreamError is the end of a stream before it was complete. The connection and
// its other streams go on.
// https://www.rfc-editor.org/rfc/rfc9113.html#section-5.4.2
type StreamError struct {
	StreamID uint32
	Code     http2.ErrCode
	ByPeer   bool   // the server reset it; otherwise we did, over Rule
	Rule     string // the rule that the server broke, or the limit it exceeded
}

func (e *StreamError) Error() string {
	if e.ByPeer {
		return fmt.Sprintf("http2: the server reset stream %d with %v", e.StreamID, e.Code)
	}
	return fmt.Sprintf("http2: the server broke the protocol on stream %d, which was reset with %v: %s", e.StreamID, e.Code, e.Rule)
}

// A ConnectionError is a violation of the protocol, or of a limit of ours, by the
// server. The connection was closed with Code, and every stream with it.
// https://www.rfc-editor.org/rfc/rfc9113.html#section-5.4.1
type ConnectionError struct {
	Code http2.ErrCode
	Rule string // the rule that the server broke, or the limit it exceeded
}

func (e *ConnectionError) Error() string {
	return fmt.Sprintf("http2: the server broke the protocol, and the connection was closed with %v: %s", e.Code, e.Rule)
}

// A GoAwayError is the server's wish to end the connection. Streams that it has
// acted on continue.
// https://www.rfc-editor.org/rfc/rfc9113.html#section-6.8
type GoAwayError struct {
	LastStreamID uint32 // the last stream that the server may have acted on
	Code         http2.ErrCode
	Debug        string // the server's words: printable ASCII, 256 bytes at most

	// Unprocessed is whether this is the error of a stream that the server has
	// not acted on.
	Unprocessed bool
}

func (e *GoAwayError) Error() string {
	s := fmt.Sprintf("http2: the server is going away: %v, last stream %d", e.Code, e.LastStreamID)
	if e.Debug != "" {
		s += fmt.Sprintf(", saying %q", e.Debug)
	}
	return s
}

// A StatusError is a response whose status is not 2xx: the server refused.
type StatusError struct{ Status int }

func (e *StatusError) Error() string {
	return fmt.Sprintf("http2: the server refused Extended CONNECT with status %d", e.Status)
}

// lostError is a transport that failed.
type lostError struct {
	err    error
	goAway *GoAwayError // that came before, or nil
}

func (e *lostError) Error() string {
	if e.goAway != nil {
		return "http2: connection lost: " + e.err.Error() + ", after: " + e.goAway.Error()
	}
	return "http2: connection lost: " + e.err.Error()
}

func (e *lostError) Unwrap() []error {
	if e.goAway != nil {
		return []error{e.err, e.goAway}
	}
	return []error{e.err}
}

// unsentError is an error of a request of which nothing was sent.
type unsentError struct{ err error }

func (e *unsentError) Error() string { return e.err.Error() }
func (e *unsentError) Unwrap() error { return e.err }

// Unprocessed reports whether err, of opening or using a stream, says that the
// server has not acted on its request, so that the request may be sent again, on
// another connection where this one takes no more.
// https://www.rfc-editor.org/rfc/rfc9113.html#section-8.7
func Unprocessed(err error) bool {
	var unsent *unsentError
	var goAway *GoAwayError
	var stream *StreamError
	switch {
	case errors.As(err, &unsent):
		return true
	case errors.As(err, &goAway):
		return goAway.Unprocessed
	case errors.As(err, &stream):
		return stream.ByPeer && stream.Code == http2.ErrCodeRefusedStream
	}
	return false
}

// connectionError returns a ConnectionError.
func connectionError(code http2.ErrCode, rule string, args ...any) error {
	return &ConnectionError{Code: code, Rule: fmt.Sprintf(rule, args...)}
}

// calm is the error of a server that does too much of something.
func calm(what string) error {
	return connectionError(http2.ErrCodeEnhanceYourCalm, "too many %s", what)
}
