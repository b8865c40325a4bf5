package tests

import (
	"context"
	"log"
	"log/slog"
	"net/http"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/host/permission"
)

// What README.md shows, compiled: TestREADMEBlocksCompile holds its blocks to this
// file.
var _ = []func(){readmeServer, readmeClient, readmeEvents, readmeHTTP2, readmeCompression, readmePermissions}

func readmeServer() {
	ctx := context.Background()

	h, err := host.New(ctx, host.Config{}) // compiles the engine, once
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/echo", h.Handler(func(ctx context.Context, c *host.Conn) {
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
	log.Fatal(http.ListenAndServe("127.0.0.1:9001", nil))
}

func readmeClient() {
	ctx := context.Background()

	grant, err := permission.Allow("echo.example.com:443")
	if err != nil {
		log.Fatal(err)
	}
	h, err := host.New(ctx, host.Config{Grant: grant}) // the default allows nothing
	if err != nil {
		log.Fatal(err)
	}
	c, resp, err := h.Dial(ctx, "wss://echo.example.com/", nil)
	if err != nil {
		log.Fatal(err)
	}
	log.Print(resp.Status, c.HTTPVersion())
}

type echo struct{ host.NoEvents }

func (echo) OnMessage(c *host.Conn, t host.MessageType, p []byte) {
	_ = c.Write(context.Background(), t, p) // waits while the peer does not read
}

func readmeEvents() {
	h, err := host.New(context.Background(), host.Config{})
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/echo", h.Handler(nil, &host.AcceptOptions{Events: echo{}}))
}

func serve(context.Context, *host.Conn) {}

func readmeHTTP2() {
	h, err := host.New(context.Background(), host.Config{})
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/echo", h.Handler(serve, nil)) // ws and wss, HTTP/1.1 and HTTP/2
}

func readmeCompression() {
	o := &host.AcceptOptions{Compression: host.Compression{Mode: host.CompressionContextTakeover}}
	_ = o
}

func readmePermissions() {
	ctx := context.Background()
	h, err := host.New(ctx, host.Config{})
	if err != nil {
		log.Fatal(err)
	}

	list, err := permission.Parse([]string{"*.example.com:443"}, []string{"internal.example.com"})
	if err != nil {
		log.Fatal(err)
	}
	grant := permission.NewGrant(list, &permission.GrantOptions{
		Name:   "chat plugin",
		Quota:  permission.Quota{Connections: 10, DialsPerSecond: 5},
		Logger: slog.Default(),
	})
	c, resp, err := h.Dial(ctx, "wss://api.example.com/", &host.DialOptions{Grant: grant})
	if err != nil {
		log.Fatal(err)
	}
	log.Print(resp.Status, c.HTTPVersion())
	grant.Revoke() // closes c
}
