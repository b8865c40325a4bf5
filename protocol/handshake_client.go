package protocol

import (
	"slices"
	"strconv"
	"strings"
)

// maxInterim is how many interim responses a client passes over. One 100 and a
// few 103 occur; a server could go on for ever.
const maxInterim = 8

// ClientOptions is what a client asks for in its opening handshake.
type ClientOptions struct {
	// Subprotocols are offered in order of preference; see CheckSubprotocols.
	Subprotocols []string

	// Fields are added to the request, in order. A name is a token; spaces
	// around a value are removed. The fields of the handshake itself, those of
	// the connection (Upgrade, Connection, Keep-Alive, …), Host and those that
	// frame a body are dropped. An Authorization here stands in for the one of
	// the URL. Names are sent as they are written, in lower case over HTTP/2.
	Fields []Field

	// Compression is what is offered of permessage-deflate.
	Compression Compression

	// HeadLimits bounds each head of a response.
	HeadLimits HeadLimits
}

// A ClientHandshake is a client's side of one opening handshake. RFC 6455 §4.1.
//
// Over HTTP/1.1, send what AppendRequest gives and hand what arrives to Receive
// until it is done or fails. Over HTTP/2, open an Extended CONNECT stream with
// RequestFields and hand the response to ReceiveResponse. A ClientHandshake is
// not safe for concurrent use.
type ClientHandshake struct {
	url     URL
	key     string // Sec-WebSocket-Key
	options ClientOptions

	head     headBuffer
	interim  int // interim responses so far
	response *Response

	subprotocol string
	extensions  string
	offer       deflateParams // of Compression, if it has a mode
	agreed      *deflateParams
	done        bool
	err         error
}

// NewClientHandshake returns a handshake with u. key is the nonce, 16 bytes that
// were drawn at random for this handshake alone; HTTP/2 does not use it.
//
// The error is a *SubprotocolError, a *FieldError, or a *URLError for a u that
// did not come from ParseURL.
func NewClientHandshake(u *URL, key [16]byte, o ClientOptions) (*ClientHandshake, error) {
	if err := checkURL(u); err != nil {
		return nil, err
	}
	if err := CheckSubprotocols(o.Subprotocols); err != nil {
		return nil, err
	}
	err := o.Compression.check()
	if err != nil {
		return nil, err
	}
	if o.Fields, err = ownFields(o.Fields); err != nil {
		return nil, err
	}
	o.Subprotocols = slices.Clone(o.Subprotocols)
	o.HeadLimits = o.HeadLimits.resolve()
	h := &ClientHandshake{url: *u, key: string(appendBase64(nil, key[:])), options: o}
	if o.Compression.Mode != CompressionDisabled {
		h.offer = offerDeflate(o.Compression.Mode, windowBits(o.Compression.WindowBits))
	}
	return h, nil
}

// checkURL holds a URL that was put together by hand to what the request line
// and the fields that are made of it need.
func checkURL(u *URL) error {
	switch {
	case u.Scheme != "ws" && u.Scheme != "wss":
		return &URLError{"scheme", "use ws or wss"}
	case !isTarget(u.Host):
		return &URLError{"host", "a host is ASCII without spaces"}
	case !isTarget(u.Target) || u.Target[0] != '/':
		return &URLError{"path", "a target begins with a slash and is ASCII without spaces"}
	case !IsFieldValue(u.Authorization):
		return &URLError{"credentials", "Authorization holds no control characters"}
	}
	return nil
}

// AppendRequest appends the request over HTTP/1.1.
func (h *ClientHandshake) AppendRequest(b []byte) []byte {
	fields := []Field{
		{"Host", h.url.HostPort()},
		{"Upgrade", "websocket"},
		{"Connection", "Upgrade"},
		{"Sec-WebSocket-Key", h.key},
	}
	r := Request{Method: "GET", Target: h.url.Target, Major: 1, Minor: 1, Fields: h.appendOffer(fields)}
	return r.Append(b)
}

// RequestFields returns the request over HTTP/2 or HTTP/3: an Extended CONNECT,
// its pseudo-header fields first, all names in lower case. RFC 8441 §4, §5.
func (h *ClientHandshake) RequestFields() []Field {
	scheme := "http"
	if h.url.Secure() {
		scheme = "https"
	}
	fields := []Field{
		{":method", "CONNECT"},
		{":protocol", "websocket"},
		{":scheme", scheme},
		{":authority", h.url.HostPort()},
		{":path", h.url.Target},
	}
	return lowerNames(h.appendOffer(fields))
}

// appendOffer appends the fields that all versions of HTTP have in common.
func (h *ClientHandshake) appendOffer(fields []Field) []Field {
	fields = append(fields, Field{"Sec-WebSocket-Version", "13"})
	if len(h.options.Subprotocols) > 0 {
		fields = append(fields, Field{"Sec-WebSocket-Protocol", strings.Join(h.options.Subprotocols, ", ")})
	}
	if h.options.Compression.Mode != CompressionDisabled {
		fields = append(fields, Field{"Sec-WebSocket-Extensions", h.offer.String()})
	}
	if _, n := fieldValue(h.options.Fields, "Authorization"); n == 0 && h.url.Authorization != "" {
		fields = append(fields, Field{"Authorization", h.url.Authorization})
	}
	return append(fields, h.options.Fields...)
}

// Receive takes bytes of the response over HTTP/1.1, cut anywhere. It returns
// how many of them belong to the response and whether that is complete and the
// connection open; b[n:] is then the beginning of the first frame.
//
// The error is a *HandshakeError and stays: what is called after it returns it
// again. After done, Receive takes nothing more.
func (h *ClientHandshake) Receive(b []byte) (n int, done bool, err error) {
	for h.err == nil && !h.done {
		k, complete, err := h.head.receive(b[n:], h.options.HeadLimits.MaxBytes)
		n += k
		if err != nil {
			h.err = unanswered(err)
			break
		}
		if !complete {
			break
		}
		r, err := parseResponse(h.head.b, h.options.HeadLimits.MaxFields)
		if err != nil {
			h.err = err
			break
		}
		if r.Status >= 200 || r.Status == 101 {
			h.head = headBuffer{}
			h.response = r
			h.finish(h.checkUpgrade(r))
			break
		}
		// An interim response may precede any final one. RFC 9110 §15.2.
		if h.interim++; h.interim > maxInterim {
			h.err = &HandshakeError{Rule: "at most " + strconv.Itoa(maxInterim) + " interim responses precede the final one"}
			break
		}
		h.head = headBuffer{b: h.head.b[:0]}
	}
	return n, h.done, h.err
}

// ReceiveResponse takes the final response over HTTP/2 or HTTP/3. The connection
// is open unless it returns an error, which is a *HandshakeError. RFC 8441 §5.
func (h *ClientHandshake) ReceiveResponse(status int, fields []Field) error {
	if h.err != nil || h.done {
		return h.err
	}
	h.response = &Response{Status: status, Major: 2, Fields: fields}
	err := h.checkAnswer(h.response)
	if status != 200 {
		err = &HandshakeError{Status: status, Rule: "a server that opens a WebSocket over HTTP/2 answers 200"}
	}
	h.finish(err)
	return h.err
}

func (h *ClientHandshake) finish(err error) {
	if err != nil {
		h.err = err
		return
	}
	h.subprotocol, _ = fieldValue(h.response.Fields, "Sec-WebSocket-Protocol")
	h.extensions = strings.Join(fieldValues(h.response.Fields, "Sec-WebSocket-Extensions"), ", ")
	h.done = true
}

// checkUpgrade holds a final response over HTTP/1.1 to RFC 6455 §4.1, in that
// section's order.
func (h *ClientHandshake) checkUpgrade(r *Response) error {
	if r.Status != 101 {
		return &HandshakeError{Status: r.Status, Rule: "a server that opens a WebSocket answers 101"}
	}
	// HTTP/1.0 has neither 101 nor Upgrade. RFC 9110 §7.8.
	if r.Minor < 1 {
		return &HandshakeError{Status: r.Status, Rule: "a WebSocket is opened over HTTP/1.1"}
	}
	// The whole value, not one of a list: a second protocol would be one that the
	// bytes after the response are in, and that was not asked for.
	if v, n := fieldValue(r.Fields, "Upgrade"); n != 1 || !equalFold(v, "websocket") {
		return &HandshakeError{r.Status, "Upgrade", "the response has one Upgrade field, and it is websocket"}
	}
	if !fieldHasToken(r.Fields, "Connection", "upgrade") {
		return &HandshakeError{r.Status, "Connection", "the response's Connection holds Upgrade"}
	}
	if v, n := fieldValue(r.Fields, "Sec-WebSocket-Accept"); n != 1 || v != acceptKey(h.key) {
		return &HandshakeError{r.Status, "Sec-WebSocket-Accept", "the response has one Sec-WebSocket-Accept, and it answers the request's key"}
	}
	return h.checkAnswer(r)
}

// checkAnswer holds what the server chose to what it was offered.
func (h *ClientHandshake) checkAnswer(r *Response) error {
	// An offer may go unanswered, as RFC 6455 §4.1 and the reference system have
	// it. https://websockets.spec.whatwg.org/ fails the connection then: a caller
	// that wants that looks at Subprotocol.
	v, n := fieldValue(r.Fields, "Sec-WebSocket-Protocol")
	if n > 1 || n == 1 && !slices.Contains(h.options.Subprotocols, v) {
		return &HandshakeError{r.Status, "Sec-WebSocket-Protocol", "the response names at most one subprotocol, and it is one of those offered"}
	}
	answer := strings.Join(fieldValues(r.Fields, "Sec-WebSocket-Extensions"), ", ")
	if h.options.Compression.Mode == CompressionDisabled {
		if answer != "" {
			return &HandshakeError{r.Status, "Sec-WebSocket-Extensions", "the response accepts no extension that was not offered"}
		}
		return nil
	}
	agreed, ok, err := acceptDeflate(answer, h.offer, r.Status)
	if ok {
		h.agreed = &agreed
	}
	return err
}

// Response returns the final response once it was parsed, even if it failed the
// handshake, or nil.
func (h *ClientHandshake) Response() *Response { return h.response }

// Subprotocol returns the subprotocol that the server chose once the handshake
// is done, or "" if it chose none.
func (h *ClientHandshake) Subprotocol() string { return h.subprotocol }

// Extensions returns the server's answer to the offer once the handshake is
// done: the values of all its Sec-WebSocket-Extensions fields, separated by
// commas, or "".
func (h *ClientHandshake) Extensions() string { return h.extensions }

// Extension returns what a Conn needs for the extension that was agreed to, or nil.
// The Conn is to have cfg.
func (h *ClientHandshake) Extension(cfg *Config) Extension {
	if h.agreed == nil || !h.done {
		return nil
	}
	return newDeflate(Client, *h.agreed, h.options.Compression, cfg.coders())
}
