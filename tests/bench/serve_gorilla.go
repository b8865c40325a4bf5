package main

import (
	"bytes"
	"net"
	"net/http"

	"github.com/gorilla/websocket"
)

// serveGorilla reads through NextReader into a buffer that it keeps, because
// ReadMessage allocates for each message. The connection's buffers are those of
// net/http, which is the default.
func serveGorilla(ln net.Listener) error {
	return http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		upgrader := websocket.Upgrader{}
		if r.URL.Path != "/" {
			upgrader.EnableCompression = true   // at level 1
			upgrader.WriteBufferSize = 32 << 10 // 4 KiB would make fragments of it
		}
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return // Upgrade has answered
		}
		defer conn.Close()
		conn.SetReadLimit(maxMessageBytes)
		var message bytes.Buffer
		for {
			messageType, reader, err := conn.NextReader()
			if err != nil {
				return
			}
			message.Reset()
			if _, err := message.ReadFrom(reader); err != nil {
				return
			}
			if err := conn.WriteMessage(messageType, message.Bytes()); err != nil {
				return
			}
		}
	}))
}
