package interop

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A call is the surroundings of one conversation.
type call struct {
	*testing.T
	ctx     context.Context
	end     context.CancelFunc
	role    role
	library library
	secure  bool
}

// patience is how long a conversation may take. It is far above what any does.
const patience = 30 * time.Second

func newCall(t *testing.T, lib library, r role, scheme string) *call {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return &call{T: t, ctx: ctx, end: cancel, role: r, library: lib, secure: scheme == "wss"}
}

// A server accepts connections with the library of its end.
type server struct {
	url      string
	roots    *x509.CertPool
	accepted chan accepted
}

type accepted struct {
	conn
	request *http.Request
}

// serve starts a server of the end that serves. gate, if not nil, may answer a
// request in its place, and then returns true.
func (c *call) serve(o options, gate func(w http.ResponseWriter, r *http.Request) bool) *server {
	const most = 64 // connections of a conversation
	s := &server{accepted: make(chan accepted, most)}
	hs := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if gate != nil && gate(w, r) {
			return
		}
		conn, err := c.serving().accept(c.ctx, w, r, o)
		if err != nil {
			return // it has answered
		}
		s.accepted <- accepted{conn, r}
		<-c.ctx.Done()
	}))
	hs.Config.ErrorLog = log.New(io.Discard, "", 0)
	if c.secure {
		hs.StartTLS()
		s.roots = x509.NewCertPool()
		s.roots.AddCert(hs.Certificate())
	} else {
		hs.Start()
	}
	c.Cleanup(func() { c.end(); hs.Close() })
	s.url = "ws" + strings.TrimPrefix(hs.URL, "http")
	return s
}

func (c *call) serving() peer {
	if c.role.server {
		return c.role.ours
	}
	return c.library.peer
}

func (c *call) dialling() peer {
	if c.role.server {
		return c.library.peer
	}
	return c.role.ours
}

// A pair is the two ends of a connection.
type pair struct {
	ours, theirs conn
	request      *http.Request
	response     *http.Response
}

// open opens a connection between an end of ours and one of theirs.
func (c *call) open(ours, theirs options) *pair {
	c.Helper()
	client, server := c.byRole(ours, theirs)
	s := c.serve(server, nil)
	return c.join(s, s.url, client)
}

// join dials s by url.
func (c *call) join(s *server, url string, client options) *pair {
	c.Helper()
	dialled, response, err := c.dialling().dial(c.ctx, url, s.roots, client)
	if err != nil {
		c.Fatalf("opening handshake: %v", err)
	}
	c.Cleanup(dialled.drop)
	select {
	case a := <-s.accepted:
		c.Cleanup(a.drop)
		p := &pair{request: a.request, response: response}
		p.ours, p.theirs = dialled, a.conn
		if c.role.server {
			p.ours, p.theirs = p.theirs, p.ours
		}
		return p
	case <-c.ctx.Done():
		c.Fatal("opening handshake: the client has a connection, the server none")
		return nil
	}
}

// byRole puts what belongs to us and to them, or to the client and to the server,
// in the other order if we serve.
func (c *call) byRole(a, b options) (options, options) {
	if c.role.server {
		return b, a
	}
	return a, b
}

// must ends the conversation if err is not nil: as skipped if that is because the
// library has no way to do it.
func (c *call) must(what string, err error) {
	c.Helper()
	switch {
	case errors.Is(err, errCannot):
		c.Skipf("%s: %v", what, err)
	case err != nil:
		c.Fatalf("%s: %v", what, err)
	}
}

// wantMessage checks that the next event at an end is a message.
func (c *call) wantMessage(sentence string, at conn, k kind, p []byte) {
	c.Helper()
	c.wantEvent(sentence, at, event{kind: k, payload: p})
}

func (c *call) wantEvent(sentence string, at conn, want event) {
	c.Helper()
	got, err := at.received().next(c.ctx)
	if err != nil {
		c.Fatalf("%s: got nothing, want %v: %v", sentence, want, err)
	}
	if !got.equal(want) {
		c.Fatalf("%s:\n got %v\nwant %v%s", sentence, got, want, difference(got.payload, want.payload))
	}
}

// wantCode checks that the next event at an end is a Close frame with code. The
// reason is anybody's choice.
func (c *call) wantCode(sentence string, at conn, code int) {
	c.Helper()
	got, err := at.received().next(c.ctx)
	if err != nil {
		c.Fatalf("%s: got nothing, want code %d: %v", sentence, code, err)
	}
	if want := closedBy(code, got.reason); !got.equal(want) {
		c.Fatalf("%s:\n got %v\nwant %v", sentence, got, want)
	}
}

// want checks a value.
func want[T comparable](c *call, sentence string, got, want T) {
	c.Helper()
	if got != want {
		c.Errorf("%s:\n got %v\nwant %v", sentence, got, want)
	}
}

func (ev event) equal(other event) bool {
	return ev.kind == other.kind && bytes.Equal(ev.payload, other.payload) &&
		ev.code == other.code && ev.reason == other.reason && ev.clean == other.clean
}

func (ev event) String() string {
	if ev.kind == closed {
		return fmt.Sprintf("closed with %d %q, clean %t", ev.code, ev.reason, ev.clean)
	}
	return fmt.Sprintf("%v of %d bytes: % x", ev.kind, len(ev.payload), ev.payload[:min(len(ev.payload), 32)])
}

// difference says where two payloads part.
func difference(got, want []byte) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("\nat byte %d: got % x, want % x", i, got[i:min(i+16, len(got))], want[i:min(i+16, len(want))])
		}
	}
	return ""
}
