package protocol

// An Extension transforms the application data of messages. permessage-deflate
// is the only one that is registered; it takes RSV1. RFC 6455 §9, RFC 7692.
//
// A Conn has at most one. Its methods are called in the order of the frames, by
// whoever drives the Conn.
type Extension interface {
	// Decode decodes src, a part of the payload of a message whose first frame
	// had RSV1 set, into dst, up to cap(dst), which is at least 1. It returns
	// what it appended and how many bytes of src it used; it is called again with
	// what it did not use until it used everything and reports done, which says
	// that nothing more will come of what it was given. If it is not done though
	// there is room, it has worked enough, and is called again after Resume. last says that src ends the message. An error fails the connection; a *ProtocolError says with
	// which code.
	Decode(dst, src []byte, last bool) (out []byte, n int, done bool, err error)

	// Resume lets Decode work on. What may be done between two calls is bounded, so
	// that a call of the driver's takes a time that is.
	Resume()

	// Encode appends src, a part of a message, encoded, to dst.
	Encode(dst, src []byte, last bool) []byte

	// Compresses reports whether a message that begins now is to be encoded.
	// size is its length in bytes, or -1 if it is not known.
	Compresses(op Opcode, size int) bool
}
