package host_test

import (
	"errors"
	"net/http"
	"testing"

	"golang.org/x/net/http2"

	"github.com/wasock/wasock/host"
)

// TestOpeningAsHTTP2Server has requests over HTTP/2, and the answers to them.
// RFC 8441 §4 and §5; threats.md "upgrade smuggling" and "cross-site WebSocket
// hijacking".
func TestOpeningAsHTTP2Server(t *testing.T) {
	leavesNothing(t)
	h := newHost(t, host.Config{Instances: 1})
	refusals := make(chan error, 1)
	s := newPlainHTTP2Server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := h.Accept(w, r, &host.AcceptOptions{
			Subprotocols: []string{"chat"}, Origins: []string{"https://friend.example"}, Header: http.Header{"X-Mine": {"yes"}},
		})
		refusals <- err
		if err == nil {
			_ = c.Write(r.Context(), text, []byte("hi"))
			_, _, _ = c.Read(r.Context())
			<-c.Done()
		}
	}))
	p := dialHTTP2Peer(t, s)
	for _, x := range []struct {
		name   string
		fields []string // instead of the usual, and beside
		status string
		field  string // of the error; "-" where net/http answers
	}{
		{"usual", nil, "200", ""},
		{"WebSocket in another case", []string{":protocol", "WebSocket"}, "200", ""},
		{"host that repeats the authority", []string{"host", "127.0.0.1"}, "200", ""},
		{"same Origin", []string{"origin", "https://127.0.0.1"}, "200", ""},
		{"Origin of a friend", []string{"origin", "https://friend.example"}, "200", ""},
		{"Sec-WebSocket-Key is not looked at", []string{"sec-websocket-key", "mine"}, "200", ""},
		{"extension is declined", []string{"sec-websocket-extensions", "permessage-deflate"}, "200", ""},
		{"subprotocol that is not ours", []string{"sec-websocket-protocol", "mqtt"}, "200", ""},

		{"GET with the fields of an upgrade", []string{":method", "GET", ":protocol", "-", "connection", "Upgrade", "upgrade", "websocket",
			"sec-websocket-key", sampleKey}, "400", "-"},
		{"GET", []string{":method", "GET", ":protocol", "-", "sec-websocket-key", sampleKey}, "400", ":protocol"},
		{"POST", []string{":method", "POST", ":protocol", "-"}, "400", ":protocol"},
		{"CONNECT without :protocol", []string{":protocol", "-", ":scheme", "-", ":path", "-"}, "400", ":protocol"},
		{":protocol connect-udp", []string{":protocol", "connect-udp"}, "501", ":protocol"},
		{":protocol websocket2", []string{":protocol", "websocket2"}, "501", ":protocol"},
		{"no version", []string{"sec-websocket-version", "-"}, "400", "Sec-WebSocket-Version"},
		{"version 8", []string{"sec-websocket-version", "8"}, "400", "Sec-WebSocket-Version"},
		{"two versions", []string{"sec-websocket-version", "13", "sec-websocket-version", "13"}, "400", "Sec-WebSocket-Version"},
		{"content-length", []string{"content-length", "5"}, "400", "Content-Length"},
		{"content-length 0", []string{"content-length", "0"}, "400", "Content-Length"},
		{"foreign Origin", []string{"origin", "https://evil.example"}, "403", "Origin"},
		{"Origin null", []string{"origin", "null"}, "403", "Origin"},
		{"Origin that ends like ours", []string{"origin", "https://evil127.0.0.1"}, "403", "Origin"},
		{"two Origins", []string{"origin", "https://127.0.0.1", "origin", "https://127.0.0.1"}, "403", "Origin"},
		{"subprotocol that is no token", []string{"sec-websocket-protocol", "a b"}, "400", "Sec-WebSocket-Protocol"},
		{"host that disagrees", []string{"host", "evil.example"}, "400", "Host"},
	} {
		t.Run(x.name, func(t *testing.T) {
			st := p.request(x.fields...)
			st.wantStatus("the status", x.status)
			if x.field == "-" {
				st.wantEnded("the refusal ends the stream")
				return
			}
			err := <-refusals
			var he *host.HandshakeError
			if x.status == "200" {
				if err != nil {
					t.Fatalf("Accept succeeds: %v", err)
				}
				for name, want := range map[string]string{"x-mine": "yes", "sec-websocket-protocol": "", "sec-websocket-extensions": "",
					"sec-websocket-accept": "", "upgrade": "", "connection": ""} {
					if got := st.fields[name]; got != want {
						t.Errorf("%s is %q, want %q", name, got, want)
					}
				}
				st.wantFrame("the socket is open", 0x81, "hi")
				st.send(closeFrame(1000, ""))
				st.wantClose("the socket closes", normal, "")
				st.wantEnded("the socket closes")
				return
			}
			if !errors.As(err, &he) || he.Field != x.field || http.StatusText(he.Status) == "" || x.status[0] != byte('0'+he.Status/100) {
				t.Errorf("got %v (%#v), want status %s and field %q", err, he, x.status, x.field)
			}
			st.wantEnded("the refusal ends the stream")
			if x.field == "Sec-WebSocket-Version" && st.fields["sec-websocket-version"] != "13" {
				t.Errorf("the refusal says the version that is taken: %v", st.fields) // RFC 6455 §4.4
			}
		})
	}
	t.Run("subprotocol", func(t *testing.T) {
		st := p.request("sec-websocket-protocol", "mqtt, chat")
		st.wantStatus("it is accepted", "200")
		if got := st.fields["sec-websocket-protocol"]; got != "chat" {
			t.Errorf("the subprotocol is %q", got)
		}
		if err := <-refusals; err != nil {
			t.Error(err)
		}
		st.rst(http2.ErrCodeCancel)
	})
	wantNothingOpen(t, h)
	if p.over != nil {
		t.Errorf("the connection outlives refusals: %v", p.over)
	}
}
