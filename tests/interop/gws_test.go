package interop

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/lxzan/gws"

	"github.com/wasock/wasock/tests/peers/deflated"
)

var gwsLibrary = library{name: "gws", peer: gwsPeer{}, ways: ways{
	// https://www.rfc-editor.org/rfc/rfc6455.html#section-7.1.5 has 1005 for a
	// Close frame without a code; emitClose of
	// https://github.com/lxzan/gws/blob/v1.8.9/conn.go has 0.
	noCodeIsZero: true,

	// https://www.rfc-editor.org/rfc/rfc6455.html#section-5.5.1 says that the
	// answer typically holds the same code; emitClose answers those below 1016
	// with 1000.
	answers: func(code int, _ string) (int, string) {
		if code < 1016 && code != noCode {
			return 1000, ""
		}
		return code, ""
	},

	// https://www.rfc-editor.org/rfc/rfc6455.html#section-7.1.1 has the transport
	// closed after both Close frames; WriteClose of
	// https://github.com/lxzan/gws/blob/v1.8.9/writer.go closes it after its own.
	closesAtOnce: true,

	// https://www.rfc-editor.org/rfc/rfc6455.html#section-4.1 lets a client go on
	// if the response has no subprotocol; getSubProtocol of
	// https://github.com/lxzan/gws/blob/v1.8.9/client.go does not, nor does
	// WithSubProtocol of https://github.com/lxzan/gws/blob/v1.8.9/upgrader.go.
	needsSubprotocol: true,

	oneValuePerField: true, // WithExtraHeader of upgrader.go
	acceptsAnyOrigin: true, // it leaves it to ServerOption.Authorize
}, compression: gwsCompression}

type gwsPeer struct{}

func (gwsPeer) dial(_ context.Context, url string, roots *x509.CertPool, o options) (conn, *http.Response, error) {
	header := o.header.Clone()
	if header == nil {
		header = http.Header{}
	}
	if len(o.subprotocols) > 0 {
		header.Set("Sec-WebSocket-Protocol", strings.Join(o.subprotocols, ", "))
	}
	c := newGWSConn()
	gc, response, err := gws.NewClient(c, &gws.ClientOption{
		Addr: url, RequestHeader: header, TlsConfig: &tls.Config{RootCAs: roots},
		ReadMaxPayloadSize: o.readLimit, Logger: noLog{}, PermessageDeflate: gwsDeflate(o.deflate),
	})
	if err != nil {
		return nil, response, err
	}
	return c.start(gc), response, nil
}

func (gwsPeer) accept(_ context.Context, w http.ResponseWriter, r *http.Request, o options) (conn, error) {
	c := newGWSConn()
	gc, err := gws.NewUpgrader(c, &gws.ServerOption{
		SubProtocols: o.subprotocols, ResponseHeader: o.header, ReadMaxPayloadSize: o.readLimit, Logger: noLog{},
		PermessageDeflate: gwsDeflate(o.deflate),
	}).Upgrade(w, r)
	if err != nil {
		return nil, err
	}
	return c.start(gc), nil
}

func gwsDeflate(most *deflated.Agreement) gws.PermessageDeflate {
	if most == nil {
		return gws.PermessageDeflate{}
	}
	return gws.PermessageDeflate{
		Enabled: true, Threshold: 1, PoolSize: 1,
		ClientContextTakeover: most.Client.Takeover, ClientMaxWindowBits: most.Client.Bits,
		ServerContextTakeover: most.Server.Takeover, ServerMaxWindowBits: most.Server.Bits,
	}
}

// noLog is a gws.Logger.
type noLog struct{}

func (noLog) Error(...any) {}

// gwsConn is a connection and its gws.Event.
type gwsConn struct {
	*inbox
	c *gws.Conn
}

func newGWSConn() *gwsConn { return &gwsConn{inbox: newInbox()} }

func (c *gwsConn) start(gc *gws.Conn) conn {
	c.c = gc
	go gc.ReadLoop()
	return c
}

func (c *gwsConn) OnOpen(*gws.Conn) {}

func (c *gwsConn) OnMessage(_ *gws.Conn, m *gws.Message) {
	k := binary
	if m.Opcode == gws.OpcodeText {
		k = text
	}
	c.put(event{kind: k, payload: append([]byte(nil), m.Bytes()...)})
	_ = m.Close()
}

// OnPing answers, which gws leaves to its user.
func (c *gwsConn) OnPing(gc *gws.Conn, p []byte) {
	c.pings <- append([]byte(nil), p...)
	_ = gc.WritePong(p) // on failure ReadLoop ends
}

func (c *gwsConn) OnPong(_ *gws.Conn, p []byte) { c.pongs <- append([]byte(nil), p...) }

func (c *gwsConn) OnClose(_ *gws.Conn, err error) {
	var ce *gws.CloseError
	if errors.As(err, &ce) {
		c.put(closedBy(int(ce.Code), string(ce.Reason)))
		return
	}
	c.put(closedWithout)
}

func (c *gwsConn) subprotocol() string { return c.c.SubProtocol() }

func (c *gwsConn) send(_ context.Context, k kind, p []byte) error {
	return c.c.WriteMessage(gwsOpcode(k), p)
}

// sendPlain has no way: what is compressed goes by a threshold for all messages, and
// with context takeover everything is.
func (c *gwsConn) sendPlain(context.Context, kind, []byte) error { return errCannot }

func gwsOpcode(k kind) gws.Opcode {
	if k == text {
		return gws.OpcodeText
	}
	return gws.OpcodeBinary
}

// sendFragments relies on WriteFile writing a frame for each Read. Between them
// the connection is locked.
func (c *gwsConn) sendFragments(_ context.Context, k kind, p []byte, size int, between func() error) error {
	if between != nil {
		return errCannot
	}
	return c.c.WriteFile(gwsOpcode(k), &pieces{p, size})
}

// pieces is a reader of no more than size bytes at a time.
type pieces struct {
	rest []byte
	size int
}

func (r *pieces) Read(b []byte) (int, error) {
	n := copy(b, r.rest[:min(r.size, len(r.rest))])
	if r.rest = r.rest[n:]; len(r.rest) == 0 {
		return n, io.EOF
	}
	return n, nil
}

func (c *gwsConn) ping(ctx context.Context, p []byte) error {
	if err := c.c.WritePing(p); err != nil {
		return err
	}
	return c.waitPong(ctx, p)
}

// close without a code is a message with the opcode of Close: WriteClose makes it
// 1000.
func (c *gwsConn) close(code int, reason string) error {
	if code == noCode {
		return c.c.WriteMessage(gws.OpcodeCloseConnection, nil)
	}
	return c.c.WriteClose(uint16(code), []byte(reason))
}

func (c *gwsConn) drop() { _ = c.c.NetConn().Close() }
