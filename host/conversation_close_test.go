package host_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/wasock/wasock/host"
)

// holdClose is the closing handshake: the peer learns code and reason, and both
// that it was clean. RFC 6455 §7.1.5.
func holdClose(from, to *end, code host.CloseCode, reason string) {
	from.t.Helper()
	to.send("what was sent before is not lost", text, []byte("before"))
	closed := make(chan error, 1)
	go func() {
		if from.events == nil {
			_, _, _ = from.conn.Read(from.ctx)
		}
		closed <- from.conn.Close(code, reason)
	}()
	ce := to.wantClosed("the peer learns code and reason", code, reason, true)
	if to.events == nil && !ce.ByPeer {
		to.fail("the peer knows that it did not begin", "%+v", ce)
	}
	if err := <-closed; err != nil {
		from.fail("Close succeeds", "%v", err)
	}
	ce = from.wantClosed("the answer has the same code", code, reason, true)
	if from.events == nil && ce.ByPeer {
		from.fail("the closer knows that it began", "%+v", ce)
	}
	for _, e := range []*end{from, to} {
		if err := e.conn.Send(text, nil); !errors.Is(err, host.ErrClosed) || host.CloseStatus(err) != int(code) {
			e.fail("what is sent after the end is refused with how it ended", "%v", err)
		}
		if err := e.conn.Close(normal, ""); e.events != nil && err != nil {
			e.fail("closing once more does nothing", "%v", err)
		}
	}
}

// holdWrongArguments has calls that are refused; the connection is as it was.
func holdWrongArguments(t *testing.T, client, server *end) {
	c := client.conn
	for _, x := range []struct {
		sentence string
		got      error
		want     error
	}{
		{"text is UTF-8", c.Send(text, []byte("\xff")), host.ErrInvalidUTF8},
		{"text ends with a whole character", c.Write(client.ctx, text, []byte("\xe2\x82")), host.ErrInvalidUTF8},
		{"a surrogate is not UTF-8", c.Send(text, []byte("\xed\xa0\x80")), host.ErrInvalidUTF8},
		{"a Ping has at most 125 bytes", c.SendPing(make([]byte, 126)), host.ErrInvalidArgument},
		{"1005 goes without a reason", c.Close(host.CodeNoStatus, "x"), host.ErrInvalidArgument},
		{"1006 is not sent", c.Close(host.CodeAbnormal, ""), host.ErrInvalidArgument},
		{"1015 is not sent", c.Close(1015, ""), host.ErrInvalidArgument},
		{"999 is no close code", c.Close(999, ""), host.ErrInvalidArgument},
		{"5000 is no close code", c.Close(5000, ""), host.ErrInvalidArgument},
		{"0 is no close code", c.Close(0, ""), host.ErrInvalidArgument},
		{"a reason has at most 123 bytes", c.Close(normal, strings.Repeat("x", 124)), host.ErrInvalidArgument},
		{"a reason is UTF-8", c.Close(normal, "\xff"), host.ErrInvalidUTF8},
	} {
		if !errors.Is(x.got, x.want) {
			client.fail(x.sentence, "got %v, want %v", x.got, x.want)
		}
	}
	client.send("the connection is as it was", text, []byte("still here"))
	server.wantMessage("the connection is as it was", text, []byte("still here"))
	if client.events != nil {
		if _, _, err := c.Read(client.ctx); !errors.Is(err, host.ErrEventStyle) {
			client.fail("messages that go to a handler are not read", "%v", err)
		}
	}
	holdClose(client, server, normal, "")
}

// holdVanishing has the server's transport end without a Close frame.
func holdVanishing(t *testing.T, client, server *end) {
	client.send("the connection works", text, []byte("hi"))
	server.wantMessage("the connection works", text, []byte("hi"))
	if err := server.conn.CloseNow(); err != nil {
		server.fail("CloseNow succeeds", "%v", err)
	}
	ce := client.wantClosed("a peer that vanishes is 1006", host.CodeAbnormal, "", false)
	if ce.Err == nil {
		client.fail("1006 has a cause", "%+v", ce)
	}
	server.wantClosed("who ends it without a handshake has 1006 too", host.CodeAbnormal, "", false)
}

// holdBothClose has both ends begin the closing handshake at once.
func holdBothClose(t *testing.T, client, server *end) {
	var wg sync.WaitGroup
	for i, e := range []*end{client, server} {
		wg.Go(func() {
			if err := e.conn.Close(host.CloseCode(3000+i), "me first"); err != nil {
				t.Errorf("%s: close: %v", e.name, err)
			}
		})
	}
	wg.Wait()
	for i, e := range []*end{client, server} {
		_, _, err := e.receive()
		var ce *host.CloseError
		if !errors.As(err, &ce) || !ce.WasClean || ce.Code != 3000 && ce.Code != 3001 {
			e.fail("who closes at the same time as the peer is closed cleanly", "end %d: %v", i, err)
		}
	}
}
