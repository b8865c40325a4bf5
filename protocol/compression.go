package protocol

import (
	"errors"
	"strconv"
)

// A CompressionMode says what of permessage-deflate an end is willing to do. RFC
// 7692.
type CompressionMode uint8

const (
	// CompressionDisabled neither offers nor accepts it.
	CompressionDisabled CompressionMode = iota

	// CompressionNoContextTakeover compresses each message by itself: nothing is
	// kept between messages. RFC 7692 §7.1.1.
	CompressionNoContextTakeover

	// CompressionContextTakeover compresses each message with what the ones before
	// were like, which makes small ones smaller, and keeps a window for it in both
	// directions.
	CompressionContextTakeover
)

// A CompressionLevel says how much work compressing is worth.
type CompressionLevel uint8

const (
	CompressionDefault CompressionLevel = iota
	CompressionFastest
	CompressionBest
)

// Compression is what an end is willing to do of permessage-deflate. Its zero value
// is nothing.
type Compression struct {
	Mode  CompressionMode
	Level CompressionLevel

	// WindowBits is the most window for either direction, 8 to 15, as the base-2
	// logarithm of its bytes. It bounds what a connection holds. 0 is 15.
	WindowBits int

	// Threshold is from how many bytes on a message is compressed. 0 is 64.
	Threshold int
}

// defaultThreshold is about where the header that a window of nothing needs is made
// up for.
const defaultThreshold = 64

// ErrCompression is returned for a Compression that has a mode, a level or a window
// that there is not.
var ErrCompression = errors.New("websocket: compression: a mode, a level, window bits of 8 to 15 and a threshold that is not negative")

// check returns ErrCompression unless o is one.
func (o *Compression) check() error {
	if o.Mode > CompressionContextTakeover || o.Level > CompressionBest || o.Threshold < 0 ||
		o.WindowBits != 0 && (o.WindowBits < minWindowBits || o.WindowBits > maxWindowBits) {
		return ErrCompression
	}
	return nil
}

const deflateName = "permessage-deflate"

// deflateParams are the parameters of permessage-deflate, as one end offers them or
// as both have agreed. RFC 7692 §7.1.
type deflateParams struct {
	serverNoContextTakeover bool
	clientNoContextTakeover bool
	serverMaxWindowBits     int // 8 to 15; 0: not there
	clientMaxWindowBits     int // as well; noBits: there, without a value
}

// noBits is client_max_window_bits without a value, which only an offer may have: the
// client will use whatever is answered. RFC 7692 §7.1.2.2.
const noBits = -1

// windowBits returns the window of an end's compressor: what was agreed, or the
// most.
func windowBits(agreed int) int {
	if agreed <= 0 {
		return maxWindowBits
	}
	return agreed
}

// https://www.rfc-editor.org/rfc/rfc7692.html#section-7.1.2.1
const (
	minWindowBits = 8
	maxWindowBits = 15
)

// parseDeflate decodes the parameters of an element. It reports false for what must
// be declined: a parameter that is not known, is there twice, or has a value that it
// must not have. In an offer client_max_window_bits may have none. RFC 7692 §7.1.
func parseDeflate(e *extensionElement, offer bool) (p deflateParams, ok bool) {
	for _, param := range e.params {
		switch param.name {
		case "server_no_context_takeover":
			if param.valued || p.serverNoContextTakeover {
				return p, false
			}
			p.serverNoContextTakeover = true
		case "client_no_context_takeover":
			if param.valued || p.clientNoContextTakeover {
				return p, false
			}
			p.clientNoContextTakeover = true
		case "server_max_window_bits":
			bits := parseWindowBits(param)
			if bits == 0 || p.serverMaxWindowBits != 0 {
				return p, false
			}
			p.serverMaxWindowBits = bits
		case "client_max_window_bits":
			bits := parseWindowBits(param)
			if offer && !param.valued {
				bits = noBits
			}
			if bits == 0 || p.clientMaxWindowBits != 0 {
				return p, false
			}
			p.clientMaxWindowBits = bits
		default:
			return p, false
		}
	}
	return p, true
}

// parseWindowBits returns a parameter's value: a decimal number from 8 to 15 without
// leading zeros. Otherwise it returns 0. RFC 7692 §7.1.2.
func parseWindowBits(p extensionParam) int {
	switch v := p.value; {
	case !p.valued:
	case len(v) == 1 && (v[0] == '8' || v[0] == '9'):
		return int(v[0] - '0')
	case len(v) == 2 && v[0] == '1' && v[1] >= '0' && v[1] <= '5':
		return 10 + int(v[1]-'0')
	}
	return 0
}

// String returns the element that says p.
func (p deflateParams) String() string {
	s := deflateName
	if p.serverNoContextTakeover {
		s += "; server_no_context_takeover"
	}
	if p.clientNoContextTakeover {
		s += "; client_no_context_takeover"
	}
	if p.serverMaxWindowBits != 0 {
		s += "; server_max_window_bits=" + strconv.Itoa(p.serverMaxWindowBits)
	}
	switch {
	case p.clientMaxWindowBits == noBits:
		s += "; client_max_window_bits"
	case p.clientMaxWindowBits != 0:
		s += "; client_max_window_bits=" + strconv.Itoa(p.clientMaxWindowBits)
	}
	return s
}

// offerDeflate returns what a client offers that is willing to do mode, and has
// windows of bits for both directions. RFC 7692 §7.1.
func offerDeflate(mode CompressionMode, bits int) deflateParams {
	p := deflateParams{clientMaxWindowBits: noBits}
	if mode == CompressionNoContextTakeover {
		p.serverNoContextTakeover, p.clientNoContextTakeover = true, true
	}
	if bits < maxWindowBits {
		p.serverMaxWindowBits, p.clientMaxWindowBits = bits, bits
	}
	return p
}

// agreeDeflate returns the server's answer to one offer, or false to decline it.
// bits is the most window that the server has for either direction.
func agreeDeflate(offer deflateParams, mode CompressionMode, bits int) (deflateParams, bool) {
	agreed := deflateParams{
		// RFC 7692 §7.1.1.1: what the client asks for here is to be done; a server may
		// ask for as much of itself, and of the client (§7.1.1.2).
		serverNoContextTakeover: offer.serverNoContextTakeover || mode == CompressionNoContextTakeover,
		clientNoContextTakeover: offer.clientNoContextTakeover || mode == CompressionNoContextTakeover,
	}
	if bits < maxWindowBits || offer.serverMaxWindowBits != 0 {
		agreed.serverMaxWindowBits = min(windowBits(offer.serverMaxWindowBits), bits)
	}
	switch {
	case offer.clientMaxWindowBits == 0 && bits < maxWindowBits:
		// RFC 7692 §7.1.2.2: a client that does not offer it cannot be asked for it.
		return agreed, false
	case offer.clientMaxWindowBits > 0:
		agreed.clientMaxWindowBits = min(offer.clientMaxWindowBits, bits)
	case bits < maxWindowBits:
		agreed.clientMaxWindowBits = bits
	}
	return agreed, true
}

// negotiateDeflate returns the server's answer to a client's offers, whose elements
// are the values of its Sec-WebSocket-Extensions fields: to the first that it can
// accept. ok is false if there is none. The error is a *HandshakeError.
func negotiateDeflate(offers []string, mode CompressionMode, bits int) (agreed deflateParams, ok bool, err error) {
	for _, list := range offers {
		for {
			e, rest, found, err := consumeExtension(list)
			if err != nil {
				return agreed, false, err
			}
			if !found {
				break
			}
			list = rest
			if ok || e.name != deflateName || mode == CompressionDisabled {
				continue // the rest is still to be well-formed
			}
			if offer, valid := parseDeflate(&e, true); valid {
				agreed, ok = agreeDeflate(offer, mode, bits)
			}
		}
	}
	return agreed, ok, nil
}

// acceptDeflate holds a server's answer, the value of Sec-WebSocket-Extensions, to
// what a client offered. ok is false if the answer is empty. The error is a
// *HandshakeError: a client fails the connection for it. RFC 7692 §7.1, RFC 6455
// §9.1.
func acceptDeflate(answer string, offer deflateParams, status int) (agreed deflateParams, ok bool, err error) {
	e, rest, found, bad := consumeExtension(answer)
	if bad != nil {
		return agreed, false, &HandshakeError{status, "Sec-WebSocket-Extensions", errExtensionList.Rule}
	}
	if !found {
		return agreed, false, nil
	}
	if _, _, another, bad := consumeExtension(rest); bad != nil || another || e.name != deflateName {
		return agreed, false, &HandshakeError{status, "Sec-WebSocket-Extensions", "the response accepts permessage-deflate once, and nothing else"}
	}
	agreed, valid := parseDeflate(&e, false)
	switch {
	case !valid:
		return agreed, false, &HandshakeError{status, "Sec-WebSocket-Extensions", "the parameters of permessage-deflate are known ones, once each, with windows of 8 to 15 bits"}
	case offer.serverNoContextTakeover && !agreed.serverNoContextTakeover:
		// RFC 7692 §7.1.1.1
		return agreed, false, &HandshakeError{status, "Sec-WebSocket-Extensions", "a server that accepts server_no_context_takeover says so"}
	case offer.serverMaxWindowBits != 0 && (agreed.serverMaxWindowBits == 0 || agreed.serverMaxWindowBits > offer.serverMaxWindowBits):
		// RFC 7692 §7.1.2.1
		return agreed, false, &HandshakeError{status, "Sec-WebSocket-Extensions", "a server that accepts server_max_window_bits answers it, with no more than was offered"}
	case agreed.clientMaxWindowBits != 0 && offer.clientMaxWindowBits == 0:
		// RFC 7692 §7.1.2.2
		return agreed, false, &HandshakeError{status, "Sec-WebSocket-Extensions", "the response has client_max_window_bits only if the offer has"}
	}
	// What the client said of its own compressor holds whatever is answered.
	agreed.clientNoContextTakeover = agreed.clientNoContextTakeover || offer.clientNoContextTakeover
	if offer.clientMaxWindowBits > 0 {
		agreed.clientMaxWindowBits = min(windowBits(agreed.clientMaxWindowBits), offer.clientMaxWindowBits)
	}
	return agreed, true, nil
}
