package main

import (
	"net"
	"net/http"

	"github.com/gorilla/websocket"
)

// serveGorilla is the echo of gorilla's examples. Its buffers are those of
// net/http, which is the default.
func serveGorilla(ln net.Listener) error {
	var upgrader websocket.Upgrader
	return http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return // Upgrade has answered
		}
		defer conn.Close()
		conn.SetReadLimit(maxMessageBytes)
		for {
			messageType, message, err := conn.ReadMessage()
			if err != nil {
				return
			}
			if err := conn.WriteMessage(messageType, message); err != nil {
				return
			}
		}
	}))
}
