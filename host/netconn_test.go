package host_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"testing"

	"golang.org/x/net/nettest"

	"github.com/wasock/wasock/host"
)

// netPipe returns both ends of a connection as net.Conns of binary messages.
func netPipe(t *testing.T, h *host.Host) (client, server *host.Conn, done func()) {
	t.Helper()
	accepted := make(chan *host.Conn, 1)
	release := make(chan struct{})
	s := httptest.NewServer(h.Handler(func(_ context.Context, c *host.Conn) {
		accepted <- c
		<-release
	}, nil))
	c, _, err := h.Dial(t.Context(), s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c, <-accepted, func() {
		close(release)                   // the handler returns, and its end is closed
		_ = c.Close(host.CodeNormal, "") // one that is under way is waited for
		s.Close()
	}
}

// Deadlines, concurrency and closing are what golang.org/x/net/nettest asks of any
// net.Conn.
func TestNetConnIsANetConn(t *testing.T) {
	h := newHost(t, host.Config{})
	nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
		client, server, done := netPipe(t, h)
		ctx := context.Background()
		return client.NetConn(ctx, host.MessageBinary), server.NetConn(ctx, host.MessageBinary), done, nil
	})
}

func TestNetConnJoinsMessages(t *testing.T) {
	client, server, done := netPipe(t, newHost(t, host.Config{}))
	defer done()
	for _, m := range []string{"one", "", "two"} {
		if err := client.Write(t.Context(), host.MessageBinary, []byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	go func() { _ = client.Close(host.CodeNormal, "") }()
	got, err := io.ReadAll(server.NetConn(t.Context(), host.MessageBinary))
	if string(got) != "onetwo" || err != nil {
		t.Errorf("a stream of three messages and a close reads as %q, %v", got, err)
	}
}

func TestNetConnRefusesTheOtherType(t *testing.T) {
	client, server, done := netPipe(t, newHost(t, host.Config{}))
	defer done()
	if err := client.Write(t.Context(), host.MessageText, []byte("text")); err != nil {
		t.Fatal(err)
	}
	_, err := server.NetConn(t.Context(), host.MessageBinary).Read(make([]byte, 8))
	var pe *host.ProtocolError
	if !errors.As(err, &pe) || pe.Code != host.CodeUnsupportedData {
		t.Errorf("text on a binary stream gives %v, want a ProtocolError with 1003", err)
	}
	if _, _, err := client.Read(t.Context()); host.CloseStatus(err) != 1003 {
		t.Errorf("its sender sees %v, want 1003", err)
	}
}
