package main

import (
	"bytes"
	"context"
	"net"
	"net/http"

	"github.com/coder/websocket"
)

// serveCoder reads through Reader into a buffer that it keeps, because Read
// allocates for each message, and writes with Write, because Writer makes two
// frames of a message and the client expects one.
func serveCoder(ln net.Listener) error {
	modes := map[string]websocket.CompressionMode{
		"/":                      websocket.CompressionDisabled,
		"/" + string(noTakeover): websocket.CompressionNoContextTakeover,
		"/" + string(takeover):   websocket.CompressionContextTakeover,
	}
	return http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: modes[r.URL.Path]})
		if err != nil {
			return // Accept has answered
		}
		defer conn.CloseNow()
		conn.SetReadLimit(maxMessageBytes)
		// A context that cannot be cancelled spares a timer for each call.
		ctx := context.Background()
		var message bytes.Buffer
		for {
			messageType, reader, err := conn.Reader(ctx)
			if err != nil {
				return
			}
			message.Reset()
			if _, err := message.ReadFrom(reader); err != nil {
				return
			}
			if err := conn.Write(ctx, messageType, message.Bytes()); err != nil {
				return
			}
		}
	}))
}
