package protocol

// A Kind says what an Event is. A kind of 1000 or more is a close code.
type Kind uint16

const (
	KindText   Kind = 0 // a part of a text message
	KindBinary Kind = 1 // a part of a binary message
	KindPong   Kind = 2 // a Pong frame; Payload is its application data
	KindError  Kind = 3 // the connection failed; Err says why. A close event follows
	KindOpen   Kind = 4 // the opening handshake is complete

	// KindRequest: a server has read the opening handshake's request. The
	// application answers with Accept or Refuse.
	KindRequest Kind = 5

	// KindClosed and above: the connection ended; the kind is the close code.
	KindClosed Kind = 1000
)

// An Event is something for the application. Which fields are set depends on
// Kind.
type Event struct {
	Kind Kind

	// First and Last mark the parts of a message: a message that came in one
	// piece has both.
	First, Last bool

	// Payload is a part's application data, already valid UTF-8 where the kind
	// is KindText (a part may end inside a character). It is a view of the bytes
	// given to Receive, of Config.Scratch or of memory of the Conn's, valid until
	// the next call of any method of the Conn, or until that memory is reused.
	Payload []byte

	// FrameRest is how many bytes of payload the frame that carried this part
	// still announces. It is the peer's word: a hint, not a size to reserve.
	FrameRest uint64

	Err   error       // KindError: *ProtocolError, *LimitError, *HandshakeError or another
	Close *CloseError // KindClosed and above
}
