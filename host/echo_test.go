package host_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/host/permission"
)

type echo struct{ host.NoEvents }

func (echo) OnMessage(c *host.Conn, t host.MessageType, p []byte) { _ = c.Send(t, p) }

func newHost(t *testing.T) *host.Host {
	t.Helper()
	all, err := permission.AllowAll()
	if err != nil {
		t.Fatal(err)
	}
	h, err := host.New(t.Context(), host.Config{Permissions: all})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func TestEcho(t *testing.T) {
	h := newHost(t)
	s := httptest.NewServer(h.Handler(nil, &host.AcceptOptions{Events: echo{}}))
	defer s.Close()
	s2 := httptest.NewTLSServer(h.Handler(func(ctx context.Context, c *host.Conn) {
		for {
			typ, p, err := c.Read(ctx)
			if err != nil {
				return
			}
			if err := c.Write(ctx, typ, p); err != nil {
				return
			}
		}
	}, nil))
	defer s2.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, url := range []string{s.URL, s2.URL} {
		o := &host.DialOptions{}
		if strings.HasPrefix(url, "https") {
			o.TLS = s2.Client().Transport.(*http.Transport).TLSClientConfig
		}
		c, resp, err := h.Dial(ctx, url, o)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 101 {
			t.Fatal(resp)
		}
		for _, size := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20, 5 << 20} {
			msg := strings.Repeat("a", size)
			if err := c.Write(ctx, host.MessageText, []byte(msg)); err != nil {
				t.Fatal(err)
			}
			typ, p, err := c.Read(ctx)
			if err != nil || typ != host.MessageText || string(p) != msg {
				t.Fatal(size, typ, len(p), err)
			}
		}
		d, err := c.Ping(ctx)
		if err != nil {
			t.Fatal(err)
		}
		t.Log("ping", d)
		if err := c.Close(host.CodeNormal, "bye"); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%+v", h.Stats())
}
