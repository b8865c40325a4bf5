package host

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/wasock/wasock/host/permission"
	"github.com/wasock/wasock/hostcalls"
)

// AcceptOptions are the options of Accept and Handler. Nil is the same as the
// zero value.
type AcceptOptions struct {
	// Header holds fields to add to the response, such as Set-Cookie.
	Header http.Header

	// Subprotocols are supported, in order of preference. The first that the
	// client offers is chosen; none if it offers none of them.
	Subprotocols []string

	// Compression is what is accepted of permessage-deflate. Default nothing.
	Compression Compression

	// Origins are the origins, besides the request's own, whose pages may
	// connect: "https://example.com", "https://*.example.com", or "*" for any.
	// permission.ParseOrigins has the rest. A request without Origin comes from no
	// page and is accepted.
	Origins []string

	// Listener, if set, is what the request came by. The connection then counts
	// against its grant, and is closed with 1008 when that is revoked.
	Listener *Listener

	// Events, if set, receives the connection's events. Otherwise the caller
	// reads.
	Events EventHandler

	// Limits are the connection's limits.
	Limits Limits
}

// Accept completes the opening handshake of r, an Upgrade over HTTP/1.1 or an
// Extended CONNECT over HTTP/2, and takes its connection over. If it cannot, it
// has answered the request, and returns a *HandshakeError.
//
// With AcceptOptions.Events, events arrive on another goroutine. Over HTTP/1.1 the
// handler need not stay. Over HTTP/2 the connection is the request, and ends when
// its handler returns: wait for Conn.Done, or use Handler, which does. Servers
// take Extended CONNECT only if package extendedconnect is imported.
func (h *Host) Accept(w http.ResponseWriter, r *http.Request, o *AcceptOptions) (*Conn, error) {
	if o == nil {
		o = &AcceptOptions{}
	}
	if err := errors.Join(o.Limits.check(), o.Compression.check()); err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return nil, err
	}
	if err := checkOrigin(r, o.Origins); err != nil {
		refuse(w, hostcalls.Response{}, err)
		return nil, err
	}
	inst, err := h.pick()
	if err != nil {
		http.Error(w, "the server is shutting down", http.StatusServiceUnavailable)
		return nil, err
	}
	c := newConn(h, inst, o.Events, &o.Limits)
	c.server = true
	response, err := c.openServer(r, o)
	if err != nil {
		refuse(w, response, err)
		return nil, err
	}
	if err := c.take(w, r, o, response); err != nil {
		inst.free(c.handle)
		return nil, err
	}
	c.state.CompareAndSwap(int32(StateConnecting), int32(StateOpen))
	h.accepted.Add(1)
	c.mu.Lock()
	if c.deadline < c.armed {
		c.arm(c.deadline)
	}
	c.mu.Unlock()
	if c.handler != nil {
		go c.serveOpen()
	}
	return c, nil
}

// take makes what r came by the transport of c, if o.Listener takes one more.
func (c *Conn) take(w http.ResponseWriter, r *http.Request, o *AcceptOptions, response hostcalls.Response) error {
	if o.Listener != nil {
		lease, err := o.Listener.lend(r.Context())
		if err != nil {
			http.Error(w, "the server takes no more connections", http.StatusServiceUnavailable)
			return err
		}
		c.leased(lease)
	}
	take := c.hijack
	if r.ProtoMajor >= 2 {
		take = func(w http.ResponseWriter, response hostcalls.Response) error { return c.takeStream(w, r, response) }
	}
	err := take(w, response)
	switch {
	case c.lease == nil:
	case err != nil:
		c.lease.Release()
	default:
		c.lease.OnRevoke(c.revoke)
	}
	return err
}

// serveOpen tells the handler that the connection is open, and serves it.
func (c *Conn) serveOpen() {
	c.deliver.Lock()
	c.handler.OnOpen(c)
	c.deliver.Unlock()
	c.serveEvents()
}

// Handler returns an http.Handler that accepts connections and calls f with each.
// The connection is closed with 1000 when f returns, with 1011 if it panics, and
// ctx ends with it. f may be nil where o.Events is set.
func (h *Host) Handler(f func(ctx context.Context, c *Conn), o *AcceptOptions) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := h.Accept(w, r, o)
		if err != nil {
			h.logger.Info("websocket: request refused", "remote", r.RemoteAddr, "error", err)
			return
		}
		ctx := r.Context()
		if c.request != nil {
			defer c.request.detach()
			// The stream's end ends r's context. f is to learn of it by c, as over HTTP/1.1.
			var cancel context.CancelFunc
			ctx, cancel = context.WithCancel(context.WithoutCancel(ctx))
			defer cancel()
			defer context.AfterFunc(r.Context(), func() {
				<-c.Done()
				cancel()
			})()
		}
		switch {
		case c.handler == nil:
			code := CodeInternalError
			defer func() { _ = c.Close(code, "") }()
			f(ctx, c)
			code = CodeNormal
		case c.request != nil:
			c.flushUntilDone()
		}
	})
}

// openServer has the engine decide on the request.
func (c *Conn) openServer(r *http.Request, o *AcceptOptions) (hostcalls.Response, error) {
	var fields []byte
	// Over HTTP/2 Host is among r.Header too, and may repeat :authority, which is
	// r.Host. RFC 9113 §8.3.1.
	if h := r.Header["Host"]; len(h) != 1 || !strings.EqualFold(h[0], r.Host) {
		fields = hostcalls.AppendField(nil, "Host", r.Host)
	}
	// net/http takes these fields away, and the engine refuses requests by them.
	for _, te := range r.TransferEncoding {
		fields = hostcalls.AppendField(fields, "Transfer-Encoding", te)
	}
	if r.ContentLength > 0 && r.Header.Get("Content-Length") == "" {
		fields = hostcalls.AppendField(fields, "Content-Length", strconv.FormatInt(r.ContentLength, 10))
	}
	record := hostcalls.AppendAccept(nil, hostcalls.Accept{
		Limits: o.Limits.record(), Compression: o.Compression.record(), Method: []byte(r.Method), Target: []byte(r.RequestURI),
		Fields: appendFields(fields, r.Header), Subprotocols: []byte(strings.Join(o.Subprotocols, ",")),
		ResponseFields: appendFields(nil, o.Header), Major: uint16(r.ProtoMajor), Minor: uint16(r.ProtoMinor),
	})
	l := c.inst.lanes.get()
	defer c.inst.lanes.put(l)
	if len(record) > len(l.tx) {
		return hostcalls.Response{}, &HandshakeError{Status: http.StatusRequestHeaderFieldsTooLarge, Rule: "the request's head is too long"}
	}
	copy(l.tx, record)
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.inst.call(c, l, c.inst.fn.connAccept, uint64(l.index), uint64(len(record)), uint64(now()))
	e := hostcalls.Errno(-n)
	answer := l.tx[:min(len(l.tx), maxAnswer)]
	switch {
	case n > 0:
		c.handle = uint32(n)
		if !c.inst.add(c.handle, c) {
			return hostcalls.Response{}, ErrEngineTrapped
		}
		response, err := responseOf(answer)
		if err != nil {
			c.inst.free(c.handle)
		}
		return response, err
	case e == hostcalls.EPROTO:
		_, size, err := hostcalls.ConsumeResponse(answer)
		if err != nil {
			return hostcalls.Response{}, err
		}
		refusal := failure(answer[size:])
		response, err := responseOf(answer[:size])
		if err != nil {
			return response, err
		}
		return response, refusal
	case e == hostcalls.EINVAL:
		return hostcalls.Response{}, failure(answer)
	default:
		return hostcalls.Response{}, callError(e)
	}
}

// responseOf decodes the response record at the start of b, which is the guest's
// memory, and copies it.
func responseOf(b []byte) (hostcalls.Response, error) {
	_, n, err := hostcalls.ConsumeResponse(b)
	if err != nil {
		return hostcalls.Response{}, err
	}
	r, _, err := hostcalls.ConsumeResponse(append([]byte(nil), b[:n]...))
	return r, err
}

// maxAnswer is the most bytes of records that the engine answers a request with.
const maxAnswer = 16 << 10

// refuse answers a request that was not accepted.
func refuse(w http.ResponseWriter, response hostcalls.Response, err error) {
	status, text := http.StatusInternalServerError, "WebSocket is not available"
	var he *HandshakeError
	if errors.As(err, &he) {
		status, text = he.Status, he.Rule
	}
	for name, values := range header(response.Fields) {
		if name != "Content-Length" {
			w.Header()[name] = values
		}
	}
	http.Error(w, text, status)
}

// hijack takes the connection over from the HTTP server and writes the response.
func (c *Conn) hijack(w http.ResponseWriter, response hostcalls.Response) error {
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		err := &HandshakeError{Status: http.StatusInternalServerError, Rule: "the HTTP server cannot hand its connection over", Err: err}
		http.Error(w, err.Rule, err.Status)
		return err
	}
	if n := rw.Reader.Buffered(); n > 0 {
		b, _ := rw.Reader.Peek(n)
		c.backlog.putBack(b)
	}
	if err := writeHead(rw.Writer, response); err != nil {
		_ = nc.Close()
		return &HandshakeError{Rule: "the response could not be written", Err: err}
	}
	c.subprotocol, c.extensions = string(response.Subprotocol), string(response.Extensions)
	return c.attach(newTransport(nc))
}

// takeStream answers an Extended CONNECT and makes its stream the transport.
func (c *Conn) takeStream(w http.ResponseWriter, r *http.Request, response hostcalls.Response) error {
	s, err := newServerStream(w, r, int(response.Status), header(response.Fields), c.stream != nil)
	if err != nil {
		return &HandshakeError{Rule: "the response could not be sent", Err: err}
	}
	c.request = s
	c.version = HTTPVersion(r.ProtoMajor)
	c.subprotocol, c.extensions = string(response.Subprotocol), string(response.Extensions)
	if err := c.attach(s); err != nil {
		return err
	}
	if c.stream != nil {
		// Somebody may read with the request's context, or not at all, when the peer
		// resets the stream, and the handler waits for Done.
		context.AfterFunc(r.Context(), c.linger)
	}
	return nil
}

// writeHead writes the head of an HTTP/1.1 response, as the engine decided it.
func writeHead(w *bufio.Writer, response hostcalls.Response) error {
	status := int(response.Status)
	_, _ = w.WriteString("HTTP/1.1 " + strconv.Itoa(status) + " " + http.StatusText(status) + "\r\n")
	for b := response.Fields; len(b) > 0; {
		name, value, rest, err := hostcalls.ConsumeField(b)
		if err != nil || !fieldSafe(name) || !fieldSafe(value) {
			return errors.New("the engine's response cannot be written as a head")
		}
		_, _ = w.Write(name)
		_, _ = w.WriteString(": ")
		_, _ = w.Write(value)
		_, _ = w.WriteString("\r\n")
		b = rest
	}
	_, _ = w.WriteString("\r\n")
	return w.Flush() // a Writer keeps its first error
}

// fieldSafe reports whether b ends neither its line nor its string.
func fieldSafe(b []byte) bool {
	for _, c := range b {
		if c == '\r' || c == '\n' || c == 0 {
			return false
		}
	}
	return true
}

// checkOrigin refuses requests of pages that are not of the same origin as the
// request and not among allowed. Without it any page could use its visitor's
// cookies here: CWE-1385.
func checkOrigin(r *http.Request, allowed []string) error {
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		return nil
	}
	patterns, err := permission.ParseOrigins(allowed...)
	if err != nil {
		return err
	}
	// Behind a proxy that ends TLS the request's scheme is not known, and a page of
	// either is taken for it.
	scheme := ""
	if r.TLS != nil {
		scheme = "https"
	}
	if len(origins) == 1 && (permission.SameOrigin(origins[0], scheme, r.Host) || patterns.Allows(origins[0])) {
		return nil
	}
	return &HandshakeError{Status: http.StatusForbidden, Field: "Origin", Rule: "pages of this origin may not connect"}
}
