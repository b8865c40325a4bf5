package protocol

// A Field is one header field of an opening handshake. Name is as it was
// written; names compare without regard to ASCII case.
type Field struct {
	Name, Value string
}
