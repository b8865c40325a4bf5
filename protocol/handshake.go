package protocol

import "strings"

// acceptGUID is what both ends append to the key. RFC 6455 §1.3.
const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// acceptKey returns the Sec-WebSocket-Accept that answers key, the value of
// Sec-WebSocket-Key. RFC 6455 §4.2.2.
func acceptKey(key string) string {
	// A key that was checked fits; others take a buffer of their own.
	var keyBuffer [24 + len(acceptGUID)]byte
	sum := sha1Sum(append(append(keyBuffer[:0], key...), acceptGUID...))
	var buffer [28]byte
	return string(appendBase64(buffer[:0], sum[:]))
}

// ownFields returns the fields that an application adds to a head of the opening
// handshake, checked, without those that are the handshake's own to write. The
// error is a *FieldError.
func ownFields(fields []Field) ([]Field, error) {
	if len(fields) == 0 {
		return nil, nil
	}
	own := make([]Field, 0, len(fields))
	for _, f := range fields {
		if !IsToken(f.Name) {
			return nil, &FieldError{f.Name, "a field name is an HTTP token: letters, digits and !#$%&'*+-.^_`|~"}
		}
		// https://fetch.spec.whatwg.org/#concept-header-value-normalize, except
		// that line ends stay and are refused.
		f.Value = trimOWS(f.Value)
		if !IsFieldValue(f.Value) {
			return nil, &FieldError{f.Name, "a field value holds no control characters but HTAB"}
		}
		if !isHandshakeField(f.Name) {
			own = append(own, f)
		}
	}
	return own, nil
}

// isHandshakeField reports whether a field with this name is dropped from those
// that an application gives: what negotiates the connection, as the reference
// system does, and beyond it what frames a body, since no head of a handshake
// has one and a server refuses those that say so (Accept).
func isHandshakeField(name string) bool {
	switch strings.ToLower(name) {
	case "sec-websocket-accept", "sec-websocket-extensions", "sec-websocket-key",
		"sec-websocket-protocol", "sec-websocket-version",
		"upgrade", "connection", "host",
		"content-length", "transfer-encoding", "te", "trailer", "keep-alive", "proxy-connection":
		return true
	}
	return false
}

// lowerNames makes the names of fields lower-case, which HTTP/2 asks for.
// RFC 9113 §8.2.1.
func lowerNames(fields []Field) []Field {
	for i := range fields {
		fields[i].Name = strings.ToLower(fields[i].Name)
	}
	return fields
}
