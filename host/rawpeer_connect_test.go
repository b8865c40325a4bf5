package host_test

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/wasock/wasock/host"
)

const sampleKey = "dGhlIHNhbXBsZSBub25jZQ=="

// upgradeRequest is the request of a client, without the blank line that ends it.
const upgradeRequest = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + sampleKey + "\r\n"

func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// A rawServer is a listener whose connections are rawPeers.
type rawServer struct {
	t   *testing.T
	l   net.Listener
	url string
}

func newRawServer(t *testing.T) *rawServer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return &rawServer{t, l, "ws://" + l.Addr().String() + "/"}
}

// accept waits for a client and its request, and returns the key in it.
func (s *rawServer) accept() (*rawPeer, string) {
	nc, err := s.l.Accept()
	if err != nil {
		s.t.Errorf("the client connects: %v", err)
		return nil, ""
	}
	p := newRawPeer(s.t, nc, false)
	r, err := http.ReadRequest(p.r)
	if err != nil {
		s.t.Errorf("the client sends a request: %v", err)
		return p, ""
	}
	return p, r.Header.Get("Sec-WebSocket-Key")
}

// open answers a request and says more in the same packet.
func (p *rawPeer) open(key string, frames ...string) {
	p.t.Helper()
	p.say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		acceptKey(key) + "\r\n\r\n" + string(wire(p.t, false, frames...)))
}

// dialRaw connects a client of h with a raw server. The frames follow the
// response in its packet.
func dialRaw(t *testing.T, h *host.Host, s style, o host.DialOptions, frames ...string) (*end, *rawPeer) {
	t.Helper()
	e := newEnd(t, newContext(t), "client", s)
	if e.events != nil {
		o.Events = e.events
	}
	server := newRawServer(t)
	peer := make(chan *rawPeer, 1)
	go func() {
		p, key := server.accept()
		if p != nil && key != "" {
			p.open(key, frames...)
		}
		peer <- p
	}()
	var err error
	if e.conn, _, err = h.Dial(e.ctx, server.url, &o); err != nil {
		t.Fatalf("dial a raw server: %v", err)
	}
	if e.events != nil {
		e.wantEvent("the client is told that it is open", "open")
	}
	return e, <-peer
}

// acceptRaw connects a raw client with a server of h. The frames follow the
// request in its packet.
func acceptRaw(t *testing.T, h *host.Host, s style, o host.AcceptOptions, frames ...string) (*end, *rawPeer) {
	t.Helper()
	e := newEnd(t, newContext(t), "server", s)
	if e.events != nil {
		o.Events = e.events
	}
	accepted := make(chan error, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var err error
		e.conn, err = h.Accept(w, r, &o)
		accepted <- err
	}))
	t.Cleanup(srv.Close)
	p := dialTCP(t, srv.Listener.Addr().String())
	request := upgradeRequest
	if o.Compression.Mode != host.CompressionDisabled {
		request += "Sec-WebSocket-Extensions: permessage-deflate\r\n"
	}
	p.say(request + "\r\n" + string(wire(t, true, frames...)))
	if err := <-accepted; err != nil {
		t.Fatalf("accept a raw client: %v", err)
	}
	resp, err := http.ReadResponse(p.r, nil)
	if err != nil || resp.StatusCode != 101 || resp.Header.Get("Sec-WebSocket-Accept") != acceptKey(sampleKey) {
		t.Fatalf("the request is accepted: %v, %v", resp, err)
	}
	if e.events != nil {
		e.wantEvent("the server is told that it is open", "open")
	}
	return e, p
}

func dialTCP(t *testing.T, address string) *rawPeer {
	t.Helper()
	nc, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return newRawPeer(t, nc, true)
}

// A role makes an end of a Host's and the raw peer that it is connected with.
type role struct {
	name    string
	connect func(t *testing.T, h *host.Host, s style, l host.Limits, frames ...string) (*end, *rawPeer)
}

var roles = []role{
	{"server", func(t *testing.T, h *host.Host, s style, l host.Limits, frames ...string) (*end, *rawPeer) {
		return acceptRaw(t, h, s, host.AcceptOptions{Limits: l}, frames...)
	}},
	{"client", func(t *testing.T, h *host.Host, s style, l host.Limits, frames ...string) (*end, *rawPeer) {
		return dialRaw(t, h, s, host.DialOptions{Limits: l}, frames...)
	}},
}

// forEachEnd runs f for both roles in both styles.
func forEachEnd(t *testing.T, f func(t *testing.T, r role, s style)) {
	for _, r := range roles {
		for _, s := range []style{streamStyle, eventStyle} {
			t.Run(r.name+"/"+string(s), func(t *testing.T) { f(t, r, s) })
		}
	}
}
