package host_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/wasock/wasock/host"
)

// TestTrap has an instance fail: its connections end with ErrEngineTrapped, those
// of others go on, and a fresh one takes its place.
func TestTrap(t *testing.T) {
	before := measure()
	h := newHost(t, host.Config{Instances: 2})
	var ends []*end
	var servers []*httptest.Server
	for i := range 8 { // four on each instance
		s := styles{eventStyle, eventStyle}
		if i >= 4 {
			s = styles{streamStyle, streamStyle}
		}
		carrier := carrier{name: "ws", version: host.HTTP1, serve: func(_ *testing.T, h http.Handler) (string, *host.DialOptions) {
			srv := httptest.NewServer(h)
			servers = append(servers, srv)
			return srv.URL, &host.DialOptions{}
		}}
		client, server := connect(t, h, carrier, s, &host.DialOptions{}, &host.AcceptOptions{})
		ends = append(ends, client, server)
	}
	victim := ends[0].conn
	trapped := make([]bool, len(ends))
	for i, e := range ends {
		trapped[i] = e.conn.SameInstance(victim)
	}
	victim.Trap()
	for i, e := range ends {
		if !trapped[i] && !trapped[i^1] {
			e.send("others go on", host.MessageText, []byte("hi"))
			ends[i^1].wantMessage("others go on", host.MessageText, []byte("hi"))
			continue
		}
		ce := e.wantClosed("the end is 1006", host.CodeAbnormal, "", false)
		if trapped[i] && !errors.Is(ce.Err, host.ErrEngineTrapped) {
			e.fail("the cause is told", "%v", ce.Err)
		}
	}
	eventually(t, "a fresh instance takes its place", func() (bool, string) {
		for range 2 {
			c, _, err := h.Dial(newContext(t), "ws://127.0.0.1:1/", nil)
			var de *host.DialError
			if c != nil || !errors.As(err, &de) {
				return false, fmt.Sprint(err)
			}
		}
		return true, ""
	})
	_ = h.Close()
	for _, s := range servers {
		s.Close()
	}
	wantFootprint(t, before)
}

// TestTrapWhileConnecting has an instance fail while a connection that it is to
// carry is being made.
func TestTrapWhileConnecting(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1})
	silent := newRawServer(t)
	victim, _ := dialRaw(t, h, eventStyle, host.DialOptions{})
	dialled := make(chan error, 1)
	ctx, cancel := context.WithCancel(newContext(t))
	go func() {
		c, _, err := h.Dial(ctx, "wss"+silent.url[len("ws"):], nil)
		if c != nil {
			_ = c.CloseNow()
		}
		dialled <- err
	}()
	nc, err := silent.l.Accept() // the TLS handshake waits
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	victim.conn.Trap()
	victim.wantClosed("its connections end", host.CodeAbnormal, "", false)
	cancel()
	if err := <-dialled; err == nil {
		t.Error("nobody answered")
	}
	wantNothingOpen(t, h)
}

// TestCloseDuringReplacement ends a Host while an instance that failed is being
// replaced: the fresh one's memory is not freed under it, which would end the
// process.
func TestCloseDuringReplacement(t *testing.T) {
	for range 20 {
		h := newHost(t, host.Config{Instances: 1})
		e, _ := dialRaw(t, h, eventStyle, host.DialOptions{})
		e.conn.Trap()
		_ = h.Close()
		e.wantClosed("its connections end", host.CodeAbnormal, "", false)
	}
}
