package host_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/wasock/wasock/host"
)

// TestHandlerThatWaitsForDone has handlers that return when Done says so, which is
// all that Accept asks for, while both ends still write: net/http's response is in
// nobody's use then, or the race detector would tell.
func TestHandlerThatWaitsForDone(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	const sockets = 20
	returned := make(chan struct{}, sockets)
	s := newHTTP2Server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := h.Accept(w, r, &host.AcceptOptions{Events: host.NoEvents{}})
		if err != nil {
			t.Error(err)
			return
		}
		go func() {
			sendUntilClosed(c)
			returned <- struct{}{}
		}()
		<-c.Done()
	}))
	ctx := newContext(t)
	for range sockets {
		c, _, err := h.Dial(ctx, s.URL, &host.DialOptions{TLS: trusting(s)})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.Read(ctx); err != nil {
			t.Error(err)
		}
		_ = c.CloseNow()
	}
	for range sockets {
		<-returned
	}
	wantNothingOpen(t, h)
}

// sendUntilClosed sends messages, as many as the queue takes.
func sendUntilClosed(c *host.Conn) {
	for m := bytes.Repeat([]byte("m"), 700); ; {
		if err := c.Send(host.MessageBinary, m); err != nil && !errors.Is(err, host.ErrSendQueueFull) {
			return
		}
	}
}

// TestHandlerThatDoesNotWait has handlers that return as soon as Accept has, against
// its word, while somebody writes or waits for a window. The sockets end, and the
// process does not.
func TestHandlerThatDoesNotWait(t *testing.T) {
	if raceDetector {
		t.Skip("the handler races with net/http, which is what it must not do")
	}
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	for name, window := range map[string]bool{"writing": true, "waiting for a window": false} {
		t.Run(name, func(t *testing.T) {
			returned := make(chan struct{}, 1)
			release := make(chan struct{})
			s := newPlainHTTP2Server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, err := h.Accept(w, r, &host.AcceptOptions{
					Events: host.NoEvents{}, Limits: host.Limits{StallTimeout: 50 * time.Millisecond},
				})
				if err != nil {
					t.Error(err)
					return
				}
				go func() {
					sendUntilClosed(c)
					_ = c.CloseNow()
					returned <- struct{}{}
				}()
				if window {
					go func() { _ = c.CloseNow() }()
				} else {
					<-release
				}
			}))
			for range map[bool]int{true: 50, false: 3}[window] {
				p := dialHTTP2Peer(t, s)
				if !window {
					p.keepWindows()
				}
				st := p.request()
				st.wantStatus("it is accepted", "200")
				if window {
					st.wantOver("the stream ends with its handler")
				} else {
					p.wait("somebody waits", func() bool { return st.total > 0 })
					release <- struct{}{}
				}
				<-returned
			}
			wantNothingOpen(t, h)
		})
	}
}

// A response is an http.ResponseWriter that a middleware has put between, which
// hands nothing through.
type response struct{ header http.Header }

func (r response) Header() http.Header         { return r.header }
func (r response) Write(p []byte) (int, error) { return len(p), nil }
func (r response) WriteHeader(int)             {}

// TestResponseThatCannotFlush has a middleware's http.ResponseWriter, over which
// nothing would arrive.
func TestResponseThatCannotFlush(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	for _, o := range []*host.AcceptOptions{nil, {Events: host.NoEvents{}}} {
		r := httptest.NewRequest(http.MethodConnect, "https://example.com/", io.NopCloser(bytes.NewReader(nil)))
		r.ContentLength = -1
		r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
		r.Header = http.Header{":protocol": {"websocket"}, "Sec-Websocket-Version": {"13"}}
		c, err := h.Accept(response{http.Header{}}, r, o)
		var he *host.HandshakeError
		if c != nil || !errors.As(err, &he) || !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("got %v, %v, want a *HandshakeError over http.ErrNotSupported", c, err)
		}
		wantNothingOpen(t, h)
	}
}

// TestHandlerThatDoesNotRead has a handler that reads nothing and waits for Done: it
// hears of a stream that was reset.
func TestHandlerThatDoesNotRead(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	for name, end := range map[string]func(*http2PeerStream){
		"RST_STREAM":      func(st *http2PeerStream) { st.rst(http2.ErrCodeCancel) },
		"connection lost": func(st *http2PeerStream) { _ = st.peer.nc.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			conns := make(chan *host.Conn, 1)
			s := newPlainHTTP2Server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, err := h.Accept(w, r, nil)
				if err != nil {
					t.Error(err)
					return
				}
				conns <- c
				<-c.Done()
			}))
			st := dialHTTP2Peer(t, s).request()
			st.wantStatus("it is accepted", "200")
			c := <-conns
			st.send("81 02 6869")
			end(st)
			select {
			case <-c.Done():
			case <-newContext(t).Done():
				t.Fatal("Done tells of the end")
			}
			ctx := newContext(t)
			_, _, err := c.Read(ctx)
			if err == nil { // or net/http has dropped the message
				_, _, err = c.Read(ctx)
			}
			if host.CloseStatus(err) != 1006 {
				t.Errorf("the end is 1006: %v", err)
			}
		})
	}
	wantNothingOpen(t, h)
}

// TestHandlerContext has a handler that reads with its context when the peer's stream
// ends: what it learns is how the connection ended, as over HTTP/1.1, and not that the
// request's context did. Its context ends after that.
func TestHandlerContext(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	for name, end := range map[string]func(st *http2PeerStream){
		"RST_STREAM":      func(st *http2PeerStream) { st.rst(http2.ErrCodeCancel) },
		"connection lost": func(st *http2PeerStream) { _ = st.peer.nc.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			read := make(chan error, 1)
			over := make(chan struct{})
			s := newPlainHTTP2Server(t, h.Handler(func(ctx context.Context, c *host.Conn) {
				_, _, err := c.Read(ctx)
				read <- err
				<-ctx.Done()
				close(over)
			}, nil))
			st := dialHTTP2Peer(t, s).request()
			st.wantStatus("it is open", "200")
			end(st)
			if err := <-read; host.CloseStatus(err) != 1006 {
				t.Errorf("Read returns %v, want a *CloseError with 1006", err)
			}
			<-over
		})
	}
}
