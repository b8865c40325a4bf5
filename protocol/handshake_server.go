package protocol

import "slices"

// ServerOptions is what a server agrees to in an opening handshake.
type ServerOptions struct {
	// Subprotocols are those that the server speaks, in order of preference. The
	// first that the client offers is chosen; if there is none, none is answered.
	Subprotocols []string

	// Fields are added to the response, under the rules of ClientOptions.Fields.
	Fields []Field

	// HeadLimits bounds the head of a request that arrives as bytes. Accept,
	// which gets it parsed, does not use it.
	HeadLimits HeadLimits

	// Compression is what is accepted of permessage-deflate.
	Compression Compression
}

// An Acceptance is a server's consent to open a connection.
type Acceptance struct {
	Response    Response // to be sent before any frame
	Subprotocol string   // the one chosen, or ""
	Extensions  string   // the answer to the client's offer, or ""

	compression Compression
	agreed      *deflateParams
}

// Extension returns what a Conn needs for the extension that was agreed to, or nil.
// The Conn is to have cfg.
func (a *Acceptance) Extension(cfg *Config) Extension {
	if a.agreed == nil {
		return nil
	}
	return newDeflate(Server, *a.agreed, a.compression, cfg.coders())
}

// Accept decides whether r opens a WebSocket: an Upgrade over HTTP/1.1 (RFC 6455
// §4.2), or an Extended CONNECT over HTTP/2 or HTTP/3 (RFC 8441 §5, RFC 9220
// §3), with the fields that ClientHandshake.RequestFields describes.
//
// What r says of a body and of its host is part of the decision, so a caller
// that got r from an HTTP library puts Host, Content-Length and
// Transfer-Encoding back among the fields if the library takes them out.
//
// The error is a *HandshakeError with the status to answer, for which see
// RefusalResponse, or for what o has a *FieldError or ErrCompression.
func Accept(r *Request, o ServerOptions) (*Acceptance, error) {
	own, err := ownFields(o.Fields)
	if err != nil {
		return nil, err
	}
	if err := o.Compression.check(); err != nil {
		return nil, err
	}
	a := &Acceptance{}
	if r.Major >= 2 {
		a.Response = Response{Status: 200, Major: r.Major}
		err = checkConnect(r)
	} else {
		a.Response = Response{Status: 101, Reason: reasonPhrase(101), Major: 1, Minor: 1}
		err = checkUpgradeRequest(r)
	}
	if err != nil {
		return nil, err
	}
	if a.Subprotocol, err = chooseSubprotocol(r.Fields, o.Subprotocols); err != nil {
		return nil, err
	}
	if err = a.answerExtensions(r.Fields, o.Compression); err != nil {
		return nil, err
	}

	fields := make([]Field, 0, 5+len(own))
	if r.Major < 2 {
		key, _ := fieldValue(r.Fields, "Sec-WebSocket-Key")
		fields = append(fields, Field{"Upgrade", "websocket"}, Field{"Connection", "Upgrade"},
			Field{"Sec-WebSocket-Accept", acceptKey(key)})
	}
	if a.Subprotocol != "" {
		fields = append(fields, Field{"Sec-WebSocket-Protocol", a.Subprotocol})
	}
	if a.Extensions != "" {
		fields = append(fields, Field{"Sec-WebSocket-Extensions", a.Extensions})
	}
	a.Response.Fields = append(fields, own...)
	if r.Major >= 2 {
		lowerNames(a.Response.Fields)
	}
	return a, nil
}

// A ServerHandshake collects a request that arrives at a server as bytes. What
// Accept makes of it is the rest of the opening handshake.
type ServerHandshake struct {
	limits  HeadLimits
	head    headBuffer
	request *Request
	err     error
}

// NewServerHandshake returns a handshake that has received nothing.
func NewServerHandshake(lim HeadLimits) *ServerHandshake {
	return &ServerHandshake{limits: lim.resolve()}
}

// Receive takes bytes of the request, cut anywhere. It returns how many of them
// belong to the request and whether that is complete; b[n:] is then what the
// client sent after it, which must not be taken for frames before the request is
// accepted.
//
// The error is a *HandshakeError and stays, as that of ConsumeRequest. After
// done, Receive takes nothing more.
func (h *ServerHandshake) Receive(b []byte) (n int, done bool, err error) {
	if h.err != nil || h.request != nil {
		return 0, h.request != nil, h.err
	}
	n, done, h.err = h.head.receive(b, h.limits.MaxBytes)
	if done {
		h.request, h.err = parseRequest(h.head.b, h.limits.MaxFields)
	}
	if done || h.err != nil {
		h.head = headBuffer{}
	}
	return n, h.request != nil, h.err
}

// Request returns the request once it is complete, or nil.
func (h *ServerHandshake) Request() *Request { return h.request }

// checkUpgradeRequest holds a request over HTTP/1.1 to RFC 6455 §4.2.1.
func checkUpgradeRequest(r *Request) error {
	if r.Method != "GET" {
		return &HandshakeError{Status: 405, Rule: "a WebSocket is opened with GET"}
	}
	// A server ignores Upgrade in HTTP/1.0. RFC 9110 §7.8.
	if r.Major < 1 || r.Major == 1 && r.Minor < 1 {
		return &HandshakeError{Status: 400, Rule: "a WebSocket is opened over HTTP/1.1 or later"}
	}
	if v, n := fieldValue(r.Fields, "Host"); n != 1 || v == "" {
		return &HandshakeError{400, "Host", "a request has one Host field, and it is not empty"}
	}
	if err := checkNoBody(r); err != nil {
		return err
	}
	if !fieldHasToken(r.Fields, "Upgrade", "websocket") {
		return &HandshakeError{426, "Upgrade", "the request's Upgrade holds websocket"}
	}
	if !fieldHasToken(r.Fields, "Connection", "upgrade") {
		return &HandshakeError{400, "Connection", "the request's Connection holds Upgrade"}
	}
	// The version comes before the key: the keys of other versions may differ.
	if err := checkVersion(r, 426); err != nil {
		return err
	}
	v, n := fieldValue(r.Fields, "Sec-WebSocket-Key")
	if key, ok := decodeBase64(v); n != 1 || !ok || len(key) != 16 {
		return &HandshakeError{400, "Sec-WebSocket-Key", "a request has one Sec-WebSocket-Key, and it is 16 bytes in base64"}
	}
	return nil
}

// checkConnect holds a request over HTTP/2 or HTTP/3 to RFC 8441 §4 and §5.
func checkConnect(r *Request) error {
	v, n := fieldValue(r.Fields, ":protocol")
	if r.Method != "CONNECT" || n != 1 {
		return &HandshakeError{400, ":protocol", "over HTTP/2 a WebSocket is opened with CONNECT and one :protocol"}
	}
	// Proxies write WebSocket in other cases. RFC 9220 §3 names the status.
	if !equalFold(v, "websocket") {
		return &HandshakeError{501, ":protocol", "the only protocol here is websocket"}
	}
	// The host is in :authority, and HTTP/2 lets Host repeat it. RFC 9113 §8.3.1.
	if _, n := fieldValue(r.Fields, "Host"); n > 1 {
		return &HandshakeError{400, "Host", "a request has at most one Host field over HTTP/2"}
	}
	if err := checkNoBody(r); err != nil {
		return err
	}
	return checkVersion(r, 400) // HTTP/2 has no Upgrade that a 426 could ask for
}

// checkNoBody refuses a request that frames a body, an empty one too. What came
// after the head would be a body to the proxy before us and frames to us, or the
// other way round, and could hold another request.
func checkNoBody(r *Request) error {
	for _, name := range []string{"Content-Length", "Transfer-Encoding"} {
		if _, n := fieldValue(r.Fields, name); n > 0 {
			return &HandshakeError{400, name, "a request that opens a WebSocket has no body"}
		}
	}
	return nil
}

// checkVersion refuses a version of the WebSocket protocol other than 13 with
// status. RFC 6455 §4.4.
func checkVersion(r *Request, status int) error {
	v, n := fieldValue(r.Fields, "Sec-WebSocket-Version")
	if n > 1 {
		return &HandshakeError{400, "Sec-WebSocket-Version", "a request has one Sec-WebSocket-Version"}
	}
	if v != "13" {
		return &HandshakeError{status, "Sec-WebSocket-Version", "the version of the WebSocket protocol is 13"}
	}
	return nil
}

// chooseSubprotocol returns the first of supported that the client offers. The
// offer may be spread over several fields. RFC 6455 §4.2.2, §11.3.4.
func chooseSubprotocol(fields []Field, supported []string) (string, error) {
	var offer []string
	for _, value := range fieldValues(fields, "Sec-WebSocket-Protocol") {
		begin := len(offer)
		for {
			element, rest, ok := cutElement(value)
			if !ok {
				break
			}
			if !IsToken(element) {
				return "", &HandshakeError{400, "Sec-WebSocket-Protocol", "a subprotocol is a token"}
			}
			offer, value = append(offer, element), rest
		}
		if len(offer) == begin {
			return "", &HandshakeError{400, "Sec-WebSocket-Protocol", "an offer names at least one subprotocol"}
		}
	}
	// Here case counts, as RFC 6455 §4.1 has it.
	if indexRepeated(offer) >= 0 {
		return "", &HandshakeError{400, "Sec-WebSocket-Protocol", "an offer names no subprotocol twice"}
	}
	for _, s := range supported {
		if slices.Contains(offer, s) {
			return s, nil
		}
	}
	return "", nil
}

// answerExtensions answers the client's offer, which is to be well-formed also where
// nothing is accepted of it.
func (a *Acceptance) answerExtensions(fields []Field, o Compression) error {
	offer := fieldValues(fields, "Sec-WebSocket-Extensions")
	if len(offer) == 0 {
		return nil
	}
	agreed, ok, err := negotiateDeflate(offer, o.Mode, windowBits(o.WindowBits))
	if ok && err == nil {
		a.Extensions, a.compression, a.agreed = agreed.String(), o, &agreed
	}
	return err
}
