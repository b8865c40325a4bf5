package protocol

import "errors"

// ErrUnexpectedEOF is the error of a connection whose transport ended without a
// closing handshake.
var ErrUnexpectedEOF = errors.New("websocket: unexpected EOF: the transport ended without a Close frame")

// errHandshakeTimeout is the error of a connection whose peer took too long to
// open it.
var errHandshakeTimeout = &HandshakeError{Rule: "the opening handshake took longer than HandshakeTimeout"}

// idleReason is the reason that goes with CodeGoingAway after an idle timeout.
const idleReason = "No response from ping frame."

// closing is the state of the closing handshake and of what follows it.
type closing struct {
	sent      bool // our Close frame is in the output
	byPeer    bool // the peer's came before ours
	transport TransportAction

	// deadline is when the step in progress has taken too long: the opening
	// handshake, the answer to our Close frame, or the transport's end.
	deadline Time

	// ended is what the application is to be told, nil before the end.
	ended *ending
}

// ending is how a connection ended, and how much of it has been told.
type ending struct {
	err       error
	close     CloseError
	toldError bool
	toldClose bool
}

// Transport returns what to do with the transport once the output is written.
func (c *Conn) Transport() TransportAction { return c.close.transport }

// Close starts the closing handshake. CodeNoStatus sends a Close frame without a
// code. In StateConnecting it gives the connection up; in StateClosing and
// StateClosed it does nothing. RFC 6455 §7.1.2.
//
// The error is ErrCloseCode, ErrInvalidUTF8 or ErrControlTooLong for arguments
// that must not be sent, and ErrMessageOrder inside a frame.
func (c *Conn) Close(now Time, code CloseCode, reason string) error {
	if !code.Sendable() && (code != CodeNoStatus || reason != "") {
		return ErrCloseCode
	}
	if err := validReason(reason); err != nil {
		return err
	}
	c.now = now
	switch c.state {
	case StateConnecting:
		c.close.transport = TransportClose
		c.close.deadline = Never
		c.end(ErrGivenUp, CodeAbnormal)
	case StateOpen:
		if c.out.rest > 0 {
			return ErrMessageOrder
		}
		c.sendClose(AppendClosePayload(nil, code, reason))
		c.state = StateClosing
		c.close.deadline = now.add(c.cfg.CloseTimeout)
	case StateClosing, StateClosed:
	}
	return nil
}

// ErrGivenUp is the error of a connection that was closed before it was open.
var ErrGivenUp = errors.New("websocket: closed before the connection was established")

// Fail fails the connection because of err: a Close frame with err's close code
// is sent, the application is told err and CodeAbnormal, and input is discarded
// from here on. RFC 6455 §7.1.7.
func (c *Conn) Fail(now Time, err error) {
	if c.state == StateClosed {
		return
	}
	c.now = now
	code := CodeInternalError
	var pe *ProtocolError
	var le *LimitError
	switch {
	case errors.As(err, &pe):
		code = pe.Code
	case errors.As(err, &le):
		code = le.Code
	}
	if !code.Sendable() {
		code = CodeInternalError // an error of the caller's making
	}
	c.drop(code, "", err, CodeAbnormal)
}

// drop ends the connection from our side: it sends a Close frame if it can, and
// leaves the peer a while to read it.
func (c *Conn) drop(code CloseCode, reason string, err error, told CloseCode) {
	c.close.transport = TransportClose
	c.close.deadline = Never
	if c.state != StateConnecting && c.out.rest == 0 {
		if !c.close.sent {
			c.sendClose(AppendClosePayload(nil, code, reason))
		}
		c.close.transport = TransportHalfClose
		c.close.deadline = c.now.add(c.cfg.CloseTimeout)
	}
	c.end(err, told)
	if told == code {
		c.close.ended.close.Reason = reason
	}
}

// receiveClose handles a Close frame. RFC 6455 §5.5.1, §7.1.5.
func (c *Conn) receiveClose(payload []byte) {
	code, reason, err := ConsumeClosePayload(payload)
	if err != nil {
		c.Fail(c.now, err)
		return
	}
	if !c.close.sent {
		c.close.byPeer = true
		if c.out.rest > 0 {
			c.close.transport = TransportClose
			c.end(ErrUnexpectedEOF, CodeAbnormal) // no frame fits inside the one being sent
			return
		}
		c.sendClose(payload)
	}
	c.state = StateClosed
	c.close.ended = &ending{close: CloseError{Code: code, Reason: string(reason), Clean: true, ByPeer: c.close.byPeer}}
	c.close.deadline = c.now.add(c.cfg.CloseTimeout)
	// RFC 6455 §7.1.1: the server closes the transport first; the client waits
	// for it. A half close leaves the peer time to read our answer.
	if c.role == Server {
		c.close.transport = TransportHalfClose
	}
}

// sendClose puts a Close frame into the output, after any Pong that waits.
func (c *Conn) sendClose(payload []byte) {
	c.sendDuePong()
	c.out.b = c.appendFrame(c.output(), OpClose, true, 0, payload)
	c.close.sent = true
}

// closeTimeout ends the step that close.deadline was set for.
func (c *Conn) closeTimeout() {
	c.close.deadline = Never
	c.close.transport = TransportClose
	switch c.state {
	case StateConnecting:
		c.end(errHandshakeTimeout, CodeAbnormal)
	case StateClosing:
		c.end(nil, CodeAbnormal)
	case StateOpen, StateClosed:
	}
}

// end moves c to StateClosed, to tell the application err, unless it is nil, and
// then code.
func (c *Conn) end(err error, code CloseCode) {
	c.state = StateClosed
	c.in.b = nil
	if c.close.ended == nil {
		c.close.ended = &ending{err: err, close: CloseError{Code: code, ByPeer: c.close.byPeer}}
	}
}

// nextEvent stores the events of the end, each once.
func (cl *closing) nextEvent(ev *Event) bool {
	e := cl.ended
	switch {
	case e == nil || e.toldClose:
		return false
	case e.err != nil && !e.toldError:
		e.toldError = true
		*ev = Event{Kind: KindError, Err: e.err}
	default:
		e.toldClose = true
		*ev = Event{Kind: Kind(e.close.Code), Close: &e.close}
	}
	return true
}
