package host

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/wasock/wasock/host/dialer"
	"github.com/wasock/wasock/host/permission"
	"github.com/wasock/wasock/hostcalls"
)

// DialOptions are the options of Dial. Nil is the same as the zero value.
type DialOptions struct {
	// Header holds fields to add to the request. Those of the handshake itself
	// (Sec-WebSocket-*, Upgrade, Connection, Host) are left out.
	Header http.Header

	// Subprotocols are offered, in order of preference.
	Subprotocols []string

	// Grant takes the place of Config.Grant.
	Grant *permission.Grant

	// Redirects is how many redirects are followed. Each hop is checked as the first
	// target was. A hop to another origin gets no Header, no credentials of the URL and
	// no client certificate; one from wss to ws is refused. Default none.
	Redirects int

	// TLS has roots, client certificates, server name, minimum version and key log
	// for wss; dialer.Pin adds public keys. InsecureSkipVerify is refused: see
	// InsecureHosts. Connections over HTTP/2 are shared by those with the same TLS,
	// that is the same pointer.
	TLS *tls.Config

	// InsecureHosts are the hosts, exactly as in the URL, whose certificates are
	// not verified. That gives up what wss is for; it is logged each time.
	InsecureHosts []string

	// Compression is what is offered of permessage-deflate. Default nothing.
	Compression Compression

	// Proxy returns the proxy to connect through, nil for none: see dialer.ProxyURL and
	// dialer.ProxyFromEnvironment. The target needs its permission, and the proxy one
	// of its own. Default none. ProxyTLS is for https proxies.
	Proxy    ProxyFunc
	ProxyTLS *tls.Config

	// Resolver resolves names. Default net.DefaultResolver.
	Resolver dialer.Resolver

	// LocalAddr is the address to connect from, and KeepAlive is TCP's. The zero
	// values leave both to package net.
	LocalAddr netip.Addr
	KeepAlive net.KeepAliveConfig

	// HTTPVersion is the version of HTTP for the opening handshake. Default
	// HTTPAuto.
	HTTPVersion HTTPVersion

	// Events, if set, receives the connection's events. Otherwise the caller
	// reads.
	Events EventHandler

	// Limits are the connection's limits.
	Limits Limits
}

// Dial opens a connection to a ws, wss, http or https URL. ctx governs the
// opening handshake only.
//
// The response is that of the opening handshake; it is returned with a
// *HandshakeError too if the server sent one, and its body is empty. The other
// errors are *ArgumentError for a malformed URL or option, *PermissionError and
// *QuotaError for what the grant does not allow, *RevokedError if it was revoked
// meanwhile, and *DialError for a transport that could not be opened.
func (h *Host) Dial(ctx context.Context, url string, o *DialOptions) (*Conn, *http.Response, error) {
	if o == nil {
		o = &DialOptions{}
	}
	if err := o.check(); err != nil {
		return nil, nil, err
	}
	var redirect *http.Response
	for hops := 0; ; hops++ {
		c, resp, err := h.dial(ctx, url, o)
		var ae *ArgumentError
		if hops > 0 && errors.As(err, &ae) { // the caller's arguments led to the first hop
			return nil, redirect, &HandshakeError{Status: redirect.StatusCode, Field: "Location", Rule: "a redirect leads to a URL that can be dialled", Err: err}
		}
		if err == nil || hops == o.Redirects {
			return c, resp, err
		}
		to, next, ok, err := o.redirected(url, resp, err)
		if !ok {
			return nil, resp, err
		}
		url, o, redirect = to, next, resp
	}
}

// check refuses options that mean nothing.
func (o *DialOptions) check() error {
	if err := o.Limits.check(); err != nil {
		return err
	}
	if err := o.Compression.check(); err != nil {
		return err
	}
	switch {
	case o.HTTPVersion > HTTP2:
		return &ArgumentError{Rule: "HTTPVersion is HTTPAuto, HTTP1 or HTTP2"}
	case o.Redirects < 0:
		return &ArgumentError{Rule: "Redirects is not negative"}
	}
	return nil
}

// dial is Dial without redirects.
func (h *Host) dial(ctx context.Context, url string, o *DialOptions) (*Conn, *http.Response, error) {
	inst, err := h.pick()
	if err != nil {
		return nil, nil, err
	}
	c := newConn(h, inst, o.Events, &o.Limits)
	if c.grant = o.Grant; c.grant == nil {
		c.grant = h.cfg.Grant
	}
	if err := c.openClient(url, o); err != nil {
		return nil, nil, err
	}
	err = c.establish(ctx, o)
	resp := c.httpResponse()
	c.response = nil
	if err != nil {
		c.abort(err)
		return nil, resp, err
	}
	h.dialed.Add(1)
	c.lease.OnRevoke(c.revoke)
	if c.handler != nil {
		go c.serveEvents()
	}
	return c, resp, nil
}

// openClient has the engine check the URL and the options.
func (c *Conn) openClient(url string, o *DialOptions) error {
	record := hostcalls.AppendOpen(nil, hostcalls.Open{
		Limits: o.Limits.record(), Compression: o.Compression.record(), URL: []byte(url),
		Subprotocols: []byte(strings.Join(o.Subprotocols, ",")), Fields: appendFields(nil, o.Header),
	})
	l := c.inst.lanes.get()
	defer c.inst.lanes.put(l)
	if len(record) > len(l.tx) {
		return &ArgumentError{Rule: "URL, subprotocols and header together are too long"}
	}
	copy(l.tx, record)
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.inst.call(c, l, c.inst.fn.connOpen, uint64(l.index), uint64(len(record)), uint64(now()))
	switch e := hostcalls.Errno(-r); {
	case r > 0 && c.target != nil:
		c.handle = uint32(r)
		if !c.inst.add(c.handle, c) {
			return ErrEngineTrapped
		}
		return nil
	case e == hostcalls.EINVAL:
		return failure(append([]byte(nil), l.tx[:min(len(l.tx), maxAnswer)]...))
	default:
		return callError(e)
	}
}

// establish connects, and performs the opening handshake over the version of HTTP
// that o and the server have.
func (c *Conn) establish(ctx context.Context, o *DialOptions) error {
	if err := c.chooseProxy(o); err != nil {
		return err
	}
	ctx, cancel, err := c.lend(ctx)
	if err != nil {
		return err
	}
	defer cancel(nil)
	if o.HTTPVersion == HTTP2 || o.HTTPVersion == HTTPAuto && c.target.tls {
		return interruption(ctx, c.openShared(ctx, o))
	}
	nc, _, err := c.connect(ctx, o, "http/1.1")
	if err == nil {
		err = c.openUpgrade(ctx, nc)
	}
	return interruption(ctx, err)
}

// openUpgrade performs the opening handshake over HTTP/1.1 on nc.
func (c *Conn) openUpgrade(ctx context.Context, nc net.Conn) error {
	if err := c.attach(newTransport(nc)); err != nil {
		return err
	}
	l := c.inst.lanes.get()
	c.mu.Lock()
	r := c.call(l, c.inst.fn.streamConnected, uint64(now()))
	c.mu.Unlock()
	c.inst.lanes.put(l)
	if r < 0 {
		return callError(hostcalls.Errno(-r))
	}
	for c.ReadyState() == StateConnecting && c.end.Load() == nil {
		if err := c.fill(ctx); err != nil {
			return err
		}
	}
	return c.openingError(nil)
}

// openingError returns why c is not open, or nil if it is. err is why if the engine
// does not know.
func (c *Conn) openingError(err error) error {
	if c.wasOpen {
		return nil // what ended it came with the response, and Read, or OnClose, tells
	}
	ended := c.ReadyState() == StateClosed
	switch e := c.end.Load(); {
	case e != nil && e.Err != nil:
		err = e.Err
	case e == nil && ended && err == nil: // it was aborted, and that is told in a moment
		err = c.cause()
	}
	var he *HandshakeError
	if err == nil || errors.As(err, &he) {
		return err
	}
	return &HandshakeError{Rule: "the connection ended before the opening handshake did", Err: err}
}

// onResponse keeps the response of the opening handshake.
func (c *Conn) onResponse(p []byte) {
	p = append([]byte(nil), p...)
	r, _, err := hostcalls.ConsumeResponse(p)
	if err != nil {
		c.inst.distrust("a response record is malformed")
		return
	}
	c.response = &r
	c.subprotocol, c.extensions = string(r.Subprotocol), string(r.Extensions)
}

// httpResponse returns the response as net/http has it.
func (c *Conn) httpResponse() *http.Response {
	r := c.response
	if r == nil {
		return nil
	}
	proto, minor := "HTTP/1.1", 1
	if c.version == HTTP2 {
		proto, minor = "HTTP/2.0", 0 // as net/http writes it
	}
	return &http.Response{
		Status:     http.StatusText(int(r.Status)),
		StatusCode: int(r.Status),
		Proto:      proto, ProtoMajor: int(c.version), ProtoMinor: minor,
		Header: header(r.Fields),
		Body:   io.NopCloser(strings.NewReader("")),
	}
}

// appendFields appends h as a field block.
func appendFields(b []byte, h http.Header) []byte {
	for name, values := range h {
		for _, v := range values {
			b = hostcalls.AppendField(b, name, v)
		}
	}
	return b
}

// header decodes a field block as far as it is well formed.
func header(b []byte) http.Header {
	h := make(http.Header)
	for len(b) > 0 {
		name, value, rest, err := hostcalls.ConsumeField(b)
		if err != nil {
			break
		}
		h.Add(string(name), string(value))
		b = rest
	}
	return h
}
