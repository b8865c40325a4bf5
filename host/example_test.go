package host_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"time"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/host/permission"
)

func ExampleHost_Dial() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	// A client may reach what it was granted.
	allowed, err := permission.Allow("127.0.0.1")
	if err != nil {
		panic(err)
	}
	h, err := host.New(ctx, host.Config{Grant: allowed})
	if err != nil {
		panic(err)
	}
	defer h.Close()
	server := httptest.NewServer(h.Handler(nil, &host.AcceptOptions{Events: shout{}}))
	defer server.Close()

	c, _, err := h.Dial(ctx, server.URL, nil)
	if err != nil {
		panic(err)
	}
	if err := c.Write(ctx, host.MessageText, []byte("hello")); err != nil {
		panic(err)
	}
	_, p, err := c.Read(ctx)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(p))
	fmt.Println(c.Close(host.CodeNormal, "bye"))

	_, _, err = h.Dial(ctx, "wss://example.com", nil)
	fmt.Println(err)
	// Output:
	// hello!
	// <nil>
	// websocket: dial example.com:443 is not permitted: needs --allow-net=example.com:443
}

// A connection is served by a function, which reads and writes.
func ExampleHost_Handler() {
	ctx := context.Background()
	h, err := host.New(ctx, host.Config{})
	if err != nil {
		panic(err)
	}
	defer h.Shutdown(ctx)

	echo := h.Handler(func(ctx context.Context, c *host.Conn) {
		for {
			typ, p, err := c.Read(ctx)
			if err != nil {
				return
			}
			if err := c.Write(ctx, typ, p); err != nil {
				return
			}
		}
	}, nil)
	server := httptest.NewServer(echo)
	defer server.Close()
	fmt.Println(say(server.URL, "hello"))
	// Output: hello
}

// shout is told of messages, and needs no goroutine of its own.
type shout struct{ host.NoEvents }

func (shout) OnMessage(c *host.Conn, t host.MessageType, p []byte) {
	_ = c.Send(t, append(p[:len(p):len(p)], '!')) // p is valid until OnMessage returns; Send copies
}

// Connections are served by events: many of them share one goroutine.
func ExampleHost_Handler_events() {
	ctx := context.Background()
	h, err := host.New(ctx, host.Config{})
	if err != nil {
		panic(err)
	}
	defer h.Shutdown(ctx)

	server := httptest.NewServer(h.Handler(nil, &host.AcceptOptions{Events: shout{}}))
	defer server.Close()
	fmt.Println(say(server.URL, "hello"))
	// Output: hello!
}

// say sends a message to a server and returns the answer.
func say(url, message string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	allowed, err := permission.Allow("127.0.0.1")
	if err != nil {
		return err.Error()
	}
	h, err := host.New(ctx, host.Config{Grant: allowed})
	if err != nil {
		return err.Error()
	}
	defer h.Close()
	c, _, err := h.Dial(ctx, url, nil)
	if err != nil {
		return err.Error()
	}
	defer c.Close(host.CodeNormal, "")
	if err := c.Write(ctx, host.MessageText, []byte(message)); err != nil {
		return err.Error()
	}
	_, p, err := c.Read(ctx)
	if err != nil {
		return err.Error()
	}
	return string(p)
}
