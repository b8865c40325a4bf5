package host_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/wasock/wasock/host"
	_ "github.com/wasock/wasock/host/extendedconnect"
	"github.com/wasock/wasock/host/permission"
)

// patience bounds how long a test waits before it fails. No test waits for time
// to pass.
const patience = 30 * time.Second

// newHost returns a Host that may reach everything, unless cfg has a grant.
func newHost(t testing.TB, cfg host.Config) *host.Host {
	t.Helper()
	if cfg.Grant == nil {
		all, err := permission.AllowAll()
		if err != nil {
			t.Fatal(err)
		}
		cfg.Grant = permission.NewGrant(all, nil)
	}
	h, err := host.New(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func newContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// A carrier is what the two ends of a connection find each other over. The
// conversations do not know which it is.
type carrier struct {
	name    string
	version host.HTTPVersion

	// serve serves h until the test is over, and returns what to dial, and with
	// what.
	serve func(t *testing.T, h http.Handler) (url string, o *host.DialOptions)

	compression host.Compression // of both ends
}

var carriers = []carrier{
	{name: "ws", version: host.HTTP1, serve: func(t *testing.T, h http.Handler) (string, *host.DialOptions) {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s.URL, &host.DialOptions{}
	}},
	{name: "wss", version: host.HTTP1, serve: func(t *testing.T, h http.Handler) (string, *host.DialOptions) {
		s := httptest.NewTLSServer(h)
		t.Cleanup(s.Close)
		return s.URL, &host.DialOptions{TLS: trusting(s)}
	}},
	{name: "wss-http2", version: host.HTTP2, serve: func(t *testing.T, h http.Handler) (string, *host.DialOptions) {
		s := newHTTP2Server(t, h)
		return s.URL, &host.DialOptions{TLS: trusting(s)} // HTTPAuto finds it
	}},
	{name: "ws-http2", version: host.HTTP2, serve: func(t *testing.T, h http.Handler) (string, *host.DialOptions) {
		s := httptest.NewUnstartedServer(h)
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetUnencryptedHTTP2(true)
		s.Start()
		t.Cleanup(func() { closeServer(s) })
		return s.URL, &host.DialOptions{HTTPVersion: host.HTTP2}
	}},
}

// compressedCarriers are carriers whose ends compress, in every mode.
func compressedCarriers() (compressed []carrier) {
	for _, o := range []host.Compression{
		{Mode: host.CompressionContextTakeover, Threshold: 1},
		{Mode: host.CompressionNoContextTakeover, Level: host.CompressionFastest},
		{Mode: host.CompressionContextTakeover, Level: host.CompressionBest, WindowBits: 9, Threshold: 1},
	} {
		for _, c := range []carrier{carriers[0], carriers[2]} {
			c.name += fmt.Sprintf("-deflate-%d-%d", o.Mode, o.WindowBits)
			c.compression = o
			compressed = append(compressed, c)
		}
	}
	return compressed
}

// newHTTP2Server serves h with TLS over HTTP/2 and HTTP/1.1.
func newHTTP2Server(t testing.TB, h http.Handler) *httptest.Server {
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(func() { closeServer(s) })
	return s
}

// closeServer closes s and what it serves. A WebSocket over HTTP/2 is a request, for
// which Close would wait.
func closeServer(s *httptest.Server) {
	s.CloseClientConnections()
	s.Close()
}

// trusting returns the configuration of a client that trusts s.
func trusting(s *httptest.Server) *tls.Config {
	return s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
}

// connect opens a connection over c between two ends of the styles given.
func connect(t *testing.T, h *host.Host, c carrier, s styles, do *host.DialOptions, ao *host.AcceptOptions) (client, server *end) {
	t.Helper()
	ctx := newContext(t)
	client, server = newEnd(t, ctx, "client", s.client), newEnd(t, ctx, "server", s.server)
	accepted := make(chan error, 1)
	url, base := c.serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o := *ao
		o.Compression = c.compression
		o.Limits.RatioLimit = 2000 // more than there is: what the conversations send is one character
		if server.events != nil {
			o.Events = server.events
		}
		var err error
		server.conn, err = h.Accept(w, r, &o)
		accepted <- err
		if err == nil && r.ProtoMajor == 2 {
			<-server.conn.Done()
		}
	}))
	o := *do
	o.TLS, o.HTTPVersion, o.Compression = base.TLS, base.HTTPVersion, c.compression
	o.Limits.RatioLimit = 2000
	if client.events != nil {
		o.Events = client.events
	}
	var err error
	if client.conn, _, err = h.Dial(ctx, url, &o); err != nil {
		t.Fatalf("dial: %v", err)
	}
	if err := <-accepted; err != nil {
		t.Fatalf("accept: %v", err)
	}
	for _, e := range []*end{client, server} {
		if got := e.conn.HTTPVersion(); got != c.version {
			t.Fatalf("the %s's end is over %v, want %v", e.name, got, c.version)
		}
		if got := e.conn.Extensions() != ""; got != (c.compression.Mode != host.CompressionDisabled) {
			t.Fatalf("the %s's end agreed to %q", e.name, e.conn.Extensions())
		}
		if e.events != nil {
			e.wantEvent("an end is told first that it is open", "open")
		}
	}
	return client, server
}

// A style is how the application gets its messages.
type style string

const (
	streamStyle style = "stream"
	eventStyle  style = "events"
)

// styles are those of the two ends of a connection.
type styles struct{ client, server style }

var allStyles = []styles{{streamStyle, streamStyle}, {eventStyle, eventStyle}, {streamStyle, eventStyle}, {eventStyle, streamStyle}}

// An end is one end of a connection, in either style.
type end struct {
	t      *testing.T
	ctx    context.Context
	name   string
	conn   *host.Conn
	events *recorder // nil in the stream style
}

func newEnd(t *testing.T, ctx context.Context, name string, s style) *end {
	e := &end{t: t, ctx: ctx, name: name}
	if s == eventStyle {
		e.events = newRecorder(t)
	}
	return e
}

func (e *end) fail(sentence, format string, args ...any) {
	e.t.Helper()
	e.t.Fatalf("%s: %s: %s", e.name, sentence, fmt.Sprintf(format, args...))
}

// send sends a message, and waits where the style does.
func (e *end) send(sentence string, typ host.MessageType, p []byte) {
	e.t.Helper()
	if err := e.conn.Write(e.ctx, typ, p); err != nil {
		e.fail(sentence, "write: %v", err)
	}
}

// receive returns the next message, or how the connection ended.
func (e *end) receive() (host.MessageType, []byte, error) {
	if e.events == nil {
		return e.conn.Read(e.ctx)
	}
	var failure error
	for {
		ev, err := e.events.next(e.ctx)
		switch {
		case err != nil:
			return 0, nil, err
		case ev.kind == "message":
			return ev.typ, ev.payload, nil
		case ev.kind == "error":
			failure = ev.err
		case ev.kind == "close":
			return 0, nil, &host.CloseError{Code: ev.code, Reason: ev.reason, WasClean: ev.clean, Err: failure}
		}
	}
}

func (e *end) wantMessage(sentence string, typ host.MessageType, p []byte) {
	e.t.Helper()
	gotType, got, err := e.receive()
	if err != nil {
		e.fail(sentence, "read: %v", err)
	}
	if gotType != typ || !bytes.Equal(got, p) {
		e.fail(sentence, "got %v of %d bytes %.20q, want %v of %d bytes %.20q", gotType, len(got), got, typ, len(p), p)
	}
}

// wantClosed waits for the end, and passes over messages.
func (e *end) wantClosed(sentence string, code host.CloseCode, reason string, clean bool) *host.CloseError {
	e.t.Helper()
	for {
		_, _, err := e.receive()
		if err == nil {
			continue
		}
		var ce *host.CloseError
		if !errors.As(err, &ce) {
			e.fail(sentence, "got %v, want a *CloseError", err)
		}
		e.checkClosed(sentence, ce, code, reason, clean)
		return ce
	}
}

// startEnd reads meanwhile, and says how the connection ended; nil if it did not.
func (e *end) startEnd() <-chan *host.CloseError {
	ended := make(chan *host.CloseError, 1)
	go func() {
		for {
			_, _, err := e.receive()
			if err == nil {
				continue
			}
			var ce *host.CloseError
			_ = errors.As(err, &ce)
			ended <- ce
			return
		}
	}()
	return ended
}

// checkClosed checks how the connection ended.
func (e *end) checkClosed(sentence string, ce *host.CloseError, code host.CloseCode, reason string, clean bool) {
	e.t.Helper()
	if ce == nil || ce.Code != code || ce.Reason != reason || ce.WasClean != clean {
		e.fail(sentence, "got %+v, want %d %q, clean %v", ce, code, reason, clean)
	}
	if got := e.conn.ReadyState(); got != host.StateClosed {
		e.fail(sentence, "state is %d, want closed", got)
	}
}

// wantEvent waits for an event and returns it.
func (e *end) wantEvent(sentence, kind string) event {
	e.t.Helper()
	ev, err := e.events.next(e.ctx)
	if err != nil || ev.kind != kind {
		e.fail(sentence, "got %+v, %v, want %s", ev, err, kind)
	}
	return ev
}

// An event is a call of an EventHandler.
type event struct {
	kind    string // "open", "message", "pong", "error", "close"
	typ     host.MessageType
	payload []byte
	err     error
	code    host.CloseCode
	reason  string
	clean   bool
}

// A recorder is an EventHandler that keeps what it is told for next.
type recorder struct {
	events chan event
	over   <-chan struct{}
}

func newRecorder(t testing.TB) *recorder {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	return &recorder{events: make(chan event, 64), over: ctx.Done()}
}

func (r *recorder) put(e event) {
	select {
	case r.events <- e:
	case <-r.over:
	}
}

func (r *recorder) next(ctx context.Context) (event, error) {
	select {
	case e := <-r.events:
		return e, nil
	case <-ctx.Done():
		return event{}, ctx.Err()
	}
}

func (r *recorder) OnOpen(*host.Conn) { r.put(event{kind: "open"}) }
func (r *recorder) OnMessage(_ *host.Conn, t host.MessageType, p []byte) {
	r.put(event{kind: "message", typ: t, payload: bytes.Clone(p)})
}
func (r *recorder) OnPong(_ *host.Conn, p []byte) {
	r.put(event{kind: "pong", payload: bytes.Clone(p)})
}
func (r *recorder) OnError(_ *host.Conn, err error) { r.put(event{kind: "error", err: err}) }
func (r *recorder) OnClose(_ *host.Conn, code host.CloseCode, reason string, clean bool) {
	r.put(event{kind: "close", code: code, reason: reason, clean: clean})
}

// echo is an EventHandler that sends back what it receives.
type echo struct{ host.NoEvents }

func (echo) OnMessage(c *host.Conn, t host.MessageType, p []byte) { _ = c.Send(t, p) }

// eventually waits until f reports true.
func eventually(t testing.TB, sentence string, f func() (bool, string)) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		ok, got := f()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %s", sentence, got)
		}
		time.Sleep(time.Millisecond) // between two looks, not instead of one
	}
}
