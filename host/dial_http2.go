package host

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strconv"
	"strings"

	"golang.org/x/net/http2"

	"github.com/wasock/wasock/host/dialer"
	"github.com/wasock/wasock/host/internal/http2client"
	"github.com/wasock/wasock/hostcalls"
)

// openAttempts is how often a stream is asked for, where the server says that it has
// not acted on the request, or closed a connection that had been open before, as
// one does that has been idle: then a WebSocket that it may have opened ended with it.
const openAttempts = 3

// openShared opens c over a stream of a shared HTTP/2 connection, or over HTTP/1.1
// where that is all the server has and o does not ask for more.
func (c *Conn) openShared(ctx context.Context, o *DialOptions) error {
	key := originKey{target: *c.target, path: c.path(o), tls: o.TLS, proxyTLS: o.ProxyTLS, insecure: o.insecure(c.target)}
	permit := func(r dialer.Route) error { return c.opened(ctx, r) }
	dial := func(ctx context.Context, protocols ...string) (net.Conn, dialer.Route, error) {
		return c.connect(ctx, o, protocols...)
	}
	force := o.HTTPVersion == HTTP2
	for attempt := 1; ; attempt++ {
		l, err := c.host.http2.link(ctx, key, c.grant, force, permit, dial, c.limits.handshakeTimeout())
		if err != nil {
			return err
		}
		if l.transport != nil {
			return c.openUpgrade(ctx, l.transport)
		}
		err = c.openStream(ctx, l)
		switch {
		case err == nil:
			return nil
		case requiresHTTP1(err) && !force:
			// RFC 9113 §7: a server may not want to do this over HTTP/2.
			c.host.http2.useHTTP1(key)
		case attempt == openAttempts || ctx.Err() != nil || c.over():
			return err
		case !http2client.Unprocessed(err) && !(l.reused && l.conn.Err() != nil && c.response == nil):
			return err
		}
	}
}

func requiresHTTP1(err error) bool {
	var se *http2client.StreamError
	return errors.As(err, &se) && se.ByPeer && se.Code == http2.ErrCodeHTTP11Required
}

// openStream performs the opening handshake over an Extended CONNECT stream in the
// room that l has. RFC 8441 §5.
func (c *Conn) openStream(ctx context.Context, l link) error {
	opening, cancel := context.WithTimeout(ctx, c.limits.handshakeTimeout())
	defer cancel()
	t := &clientStream{cancel: cancel}
	if err := c.attach(t); err != nil {
		l.stream.Release()
		return err
	}
	request, err := c.connectRequest()
	if err != nil {
		l.stream.Release()
		return err
	}
	stream, response, err := l.stream.Open(opening, request)
	var refused *http2client.StatusError
	switch {
	case errors.As(err, &refused):
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil && c.end.Load() != nil:
		go l.conn.probe() // the engine's timer was first, or the caller closed c
		return c.openingError(err)
	case err != nil && opening.Err() != nil:
		go l.conn.probe()
		return &HandshakeError{Rule: "there was no response within HandshakeTimeout", Err: err}
	case err != nil:
		return &HandshakeError{Rule: "the HTTP/2 stream could not be opened", Err: err}
	default:
		if err := t.opened(stream); err != nil {
			return c.openingError(err)
		}
	}
	return c.connectResponse(response)
}

// connectRequest asks the engine for the request.
func (c *Conn) connectRequest() (request http2client.Request, err error) {
	l := c.inst.lanes.get()
	defer c.inst.lanes.put(l)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.finished {
		return request, ErrClosed
	}
	n := c.inst.call(c, l, c.inst.fn.connectRequest, uint64(c.handle), uint64(l.index), uint64(now()))
	switch {
	case n < 0:
		return request, callError(hostcalls.Errno(-n))
	case n == 0 || int(n) > len(l.tx):
		c.inst.distrust("its Extended CONNECT is not in the lane")
		return request, ErrEngineTrapped
	}
	block := bytes.Clone(l.tx[:n])
	c.settle(l)
	for len(block) > 0 {
		var name, value []byte
		if name, value, block, err = hostcalls.ConsumeField(block); err != nil {
			break
		}
		switch string(name) {
		case ":method": // CONNECT: http2client sends no other
		case ":protocol":
			request.Protocol = string(value)
		case ":scheme":
			request.Scheme = string(value)
		case ":authority":
			request.Authority = string(value)
		case ":path":
			request.Path = string(value)
		default:
			request.Fields = append(request.Fields, http2client.Field{Name: string(name), Value: string(value)})
		}
	}
	// The connection may be shared with whoever has the same target, and was
	// permitted for that only.
	if err != nil || request.Scheme != c.target.scheme() || !strings.EqualFold(request.Authority, c.target.authority()) {
		c.inst.distrust("its Extended CONNECT is not for the target that it asked to connect to")
		return request, ErrEngineTrapped
	}
	return request, nil
}

// connectResponse gives the engine the response, and returns what it makes of it.
func (c *Conn) connectResponse(response *http2client.Response) error {
	if err := c.limits.checkHead(response); err != nil {
		return err
	}
	var fields []byte
	for _, f := range response.Fields {
		fields = hostcalls.AppendField(fields, f.Name, f.Value)
	}
	record := hostcalls.AppendResponse(nil, hostcalls.Response{Status: uint32(response.Status), Fields: fields})
	c.deliver.Lock()
	l := c.inst.lanes.get()
	copy(l.tx, record) // http2HeadLimit fits
	c.mu.Lock()
	c.version = HTTP2
	r := c.call(l, c.inst.fn.connectResponse, uint64(len(record)), uint64(now()))
	c.mu.Unlock()
	r = c.deliverAll(l, r, 0)
	c.deliver.Unlock()
	if r < 0 {
		return callError(hostcalls.Errno(-r))
	}
	switch e := c.end.Load(); {
	case e == nil && c.ReadyState() == StateConnecting:
		c.inst.distrust("it makes nothing of a response")
	case e != nil && e.Err == nil: // no frame has arrived that could end it
		c.inst.distrust("it ends a connection as it opens, and does not say why")
	default:
		return c.openingError(nil)
	}
	return ErrEngineTrapped
}

// checkHead checks a response whose connection is shared, and has the highest
// limits.
func (l *Limits) checkHead(r *http2client.Response) error {
	size := 0
	for _, f := range r.Fields {
		size += len(f.Name) + len(f.Value) + len(": \r\n")
	}
	if limit := orDefault(l.HeadLimit, 8<<10); size > limit {
		return &HandshakeError{Status: r.Status, Rule: "the response's fields have more than HeadLimit bytes"}
	}
	if limit := orDefault(l.HeadFieldLimit, 100); len(r.Fields) > limit {
		return &HandshakeError{Status: r.Status, Rule: "the response has more than HeadFieldLimit fields"}
	}
	return nil
}

func (t *target) scheme() string {
	if t.tls {
		return "https"
	}
	return "http"
}

// authority is what names t in a request: without the scheme's own port.
func (t *target) authority() string {
	if t.tls && t.port == 443 || !t.tls && t.port == 80 {
		return t.host
	}
	return t.host + ":" + strconv.Itoa(int(t.port))
}
