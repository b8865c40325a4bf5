package protocol

// opening is the state of an opening handshake. RFC 6455 §4, RFC 8441 §5.
type opening struct {
	client   *ClientHandshake // the client's, or nil
	server   *ServerHandshake // the server's, or nil
	answered bool             // ReceiveResponse was called, and NextEvent has not told
}

// NewClient returns a client in StateConnecting for u. Once there is a transport
// SendRequest goes on over HTTP/1.1, and RequestFields over HTTP/2. The error is
// one of o's or of cfg's.
func NewClient(u *URL, o ClientOptions, cfg *Config) (*Conn, error) {
	cfg, err := cfg.resolve(Client)
	if err != nil {
		return nil, err
	}
	if o.Compression.Mode != CompressionDisabled && cap(cfg.Scratch) == 0 {
		return nil, ErrConfig
	}
	var key [16]byte
	cfg.Random(key[:])
	o.HeadLimits = cfg.Head
	h, err := NewClientHandshake(u, key, o)
	if err != nil {
		return nil, err
	}
	c := newConn(0, Client, cfg)
	c.opening = &opening{client: h}
	return c, nil
}

// SendRequest sends the client's opening handshake; its timeout begins. It does
// nothing unless c is a client in StateConnecting.
func (c *Conn) SendRequest(now Time) {
	if c.state != StateConnecting || c.role != Client {
		return
	}
	c.now = now
	c.close.deadline = now.add(c.cfg.HandshakeTimeout)
	c.out.b = c.opening.client.AppendRequest(c.output())
}

// RequestFields returns the client's opening handshake for a driver that opens an
// Extended CONNECT stream with it, and hands the answer to ReceiveResponse and
// what the stream carries to Receive; its timeout begins. It may be called again
// for another stream until there is an answer. It returns nil unless c is a client
// in StateConnecting. RFC 8441 §5.
func (c *Conn) RequestFields(now Time) []Field {
	if c.state != StateConnecting || c.role != Client {
		return nil
	}
	c.now = now
	c.close.deadline = now.add(c.cfg.HandshakeTimeout)
	return c.opening.client.RequestFields()
}

// ReceiveResponse gives a client the final response to RequestFields. It does
// nothing unless c is a client in StateConnecting. RFC 8441 §5.
func (c *Conn) ReceiveResponse(now Time, status int, fields []Field) {
	if c.state != StateConnecting || c.role != Client {
		return
	}
	c.now = now
	// The error stays in the handshake, for NextEvent.
	_ = c.opening.client.ReceiveResponse(status, fields)
	c.opening.answered = true
}

// NewServer returns a server in StateConnecting that reads the request from the
// bytes it receives. Its KindRequest event is to be answered by Accept or Refuse.
func NewServer(now Time, cfg *Config) (*Conn, error) {
	cfg, err := cfg.resolve(Server)
	if err != nil {
		return nil, err
	}
	c := newConn(now, Server, cfg)
	c.opening = &opening{server: NewServerHandshake(cfg.Head)}
	c.close.deadline = now.add(cfg.HandshakeTimeout)
	return c, nil
}

// Request returns the request that a server received, from its KindRequest event
// on, or nil.
func (c *Conn) Request() *Request {
	if c.opening == nil || c.opening.server == nil {
		return nil
	}
	return c.opening.server.Request()
}

// Response returns the response that a client received, from the handshake's
// last event until the next input, or nil.
func (c *Conn) Response() *Response {
	if c.opening == nil || c.opening.client == nil {
		return nil
	}
	return c.opening.client.Response()
}

// Extensions returns what the server answered to a client's offer, as long as
// Response does, or "".
func (c *Conn) Extensions() string {
	if c.opening == nil || c.opening.client == nil {
		return ""
	}
	return c.opening.client.Extensions()
}

// Accept answers the request with what o allows, and opens the connection. If
// the request is not acceptable it is refused with the status of the
// *HandshakeError that is returned. RFC 6455 §4.2.2.
func (c *Conn) Accept(now Time, o ServerOptions) error {
	r := c.Request()
	switch {
	case c.state != StateConnecting || r == nil:
		return ErrNotOpen
	case o.Compression.Mode != CompressionDisabled && cap(c.cfg.Scratch) == 0:
		return ErrConfig
	}
	a, err := Accept(r, o)
	if err != nil {
		refusal, ok := err.(*HandshakeError)
		if !ok {
			refusal = &HandshakeError{Status: 500, Rule: err.Error()}
		}
		c.refuse(now, RefusalResponse(refusal), refusal)
		return err
	}
	c.out.b = a.Response.Append(c.output())
	c.subprotocol, c.ext = a.Subprotocol, a.Extension(c.cfg)
	c.opening = nil
	c.open(now)
	return nil
}

// Refuse answers the request with resp, which is not to be of status 101, and
// ends the connection.
func (c *Conn) Refuse(now Time, resp Response) error {
	if c.state != StateConnecting || c.Request() == nil {
		return ErrNotOpen
	}
	c.refuse(now, resp, &HandshakeError{Status: resp.Status, Rule: "the application refused the request"})
	return nil
}

func (c *Conn) refuse(now Time, resp Response, err *HandshakeError) {
	c.now = now
	c.out.b = resp.Append(c.output())
	c.close.transport = TransportHalfClose
	c.close.deadline = now.add(c.cfg.CloseTimeout)
	c.end(err, CodeAbnormal)
}

// receive consumes input of the opening handshake, and stores the event that it
// leads to.
func (o *opening) receive(c *Conn, ev *Event) bool {
	if o.server != nil {
		return o.receiveRequest(c, ev)
	}
	n, done, err := o.client.Receive(c.in.b)
	c.in.b = c.in.b[n:]
	o.answered = false
	switch {
	case err != nil:
		c.close.transport = TransportClose
		c.close.deadline = Never
		c.end(err, CodeAbnormal)
		return false
	case !done:
		return false
	}
	c.subprotocol, c.ext = o.client.Subprotocol(), o.client.Extension(c.cfg)
	c.open(c.now)
	*ev = Event{Kind: KindOpen}
	return true
}

func (o *opening) receiveRequest(c *Conn, ev *Event) bool {
	if o.server.Request() != nil {
		return false // the application has not answered yet
	}
	n, done, err := o.server.Receive(c.in.b)
	c.in.b = c.in.b[n:]
	switch {
	case err != nil:
		he := err.(*HandshakeError)
		c.refuse(c.now, RefusalResponse(he), he)
		return false
	case !done:
		return false
	}
	*ev = Event{Kind: KindRequest}
	return true
}
