package main

import (
	"context"
	"net"
	"net/http"

	"github.com/wasock/wasock/host"
)

// wasockInProcess serves wasock from this program, like the other columns. The
// flag -wasock puts a command in its place.
var wasockInProcess = serveWasock

// serveWasock is an event-driven echo, as a user of package host writes it. It
// sends without waiting as long as the peer takes what it is sent.
func serveWasock(ln net.Listener) error {
	h, err := host.New(context.Background(), host.Config{})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	for path, mode := range map[string]host.CompressionMode{
		"/":                      host.CompressionDisabled,
		"/" + string(noTakeover): host.CompressionNoContextTakeover,
		"/" + string(takeover):   host.CompressionContextTakeover,
	} {
		mux.Handle(path, h.Handler(nil, &host.AcceptOptions{
			Events:      wasockEcho{},
			Limits:      host.Limits{MessageLimit: maxMessageBytes},
			Compression: host.Compression{Mode: mode, Level: host.CompressionFastest},
		}))
	}
	return http.Serve(ln, mux)
}

type wasockEcho struct{ host.NoEvents }

func (wasockEcho) OnMessage(c *host.Conn, t host.MessageType, p []byte) {
	// Write waits while the send queue is over its limit: the peer is held back
	// rather than an answer dropped. An error means that the connection ended.
	_ = c.Write(context.Background(), t, p)
}
