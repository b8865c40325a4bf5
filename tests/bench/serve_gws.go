package main

import (
	"net"
	"net/http"

	"github.com/lxzan/gws"
)

// serveGWS is the echo of gws's README: a goroutine of its own for ReadLoop, so
// that net/http's can end and free the request. Compression is off at /.
func serveGWS(ln net.Listener) error {
	upgraders := make(map[string]*gws.Upgrader)
	for _, mode := range []deflateMode{"", noTakeover, takeover} {
		upgraders["/"+string(mode)] = gws.NewUpgrader(gwsEcho{}, &gws.ServerOption{
			CheckUtf8Enabled:    true,
			Recovery:            gws.Recovery,
			ReadMaxPayloadSize:  maxMessageBytes,
			WriteMaxPayloadSize: maxMessageBytes,
			PermessageDeflate: gws.PermessageDeflate{Enabled: mode != "", Level: deflateLevel,
				ServerContextTakeover: mode == takeover, ClientContextTakeover: mode == takeover,
				ServerMaxWindowBits: 15, ClientMaxWindowBits: 15},
		})
	}
	return http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgraders[r.URL.Path].Upgrade(w, r)
		if err != nil {
			return // Upgrade has answered
		}
		go conn.ReadLoop()
	}))
}

type gwsEcho struct{ gws.BuiltinEventHandler }

func (gwsEcho) OnMessage(conn *gws.Conn, message *gws.Message) {
	defer message.Close()
	_ = conn.WriteMessage(message.Opcode, message.Bytes()) // on failure ReadLoop ends
}
