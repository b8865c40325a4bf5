package peers

import (
	"crypto/tls"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasock/wasock/host"
)

// TestClient has our client talk with servers.
func TestClient(t *testing.T) {
	creds := newCredentials(t)
	t.Run("node", func(t *testing.T) { clientOfNode(t, creds) })
	t.Run("hypercorn", func(t *testing.T) { clientOfHypercorn(t, creds) })
	t.Run("libwebsockets", func(t *testing.T) { clientOfLibwebsockets(t, creds) })
}

// clientTLS returns the configuration of a client that trusts creds.
func (creds *credentials) clientTLS() *tls.Config { return &tls.Config{RootCAs: creds.roots} }

// clientOfNode has Node's http and http2.
func clientOfNode(t *testing.T, creds *credentials) {
	const row = "node http2: client"
	node := need(t, row, nodeTool)
	for mode, served := range map[string][]column{
		"ws": {{false, host.HTTP1}}, "h2c": {{false, host.HTTP2}}, "wss": {{true, host.HTTP1}, {true, host.HTTP2}},
	} {
		p := start(t, npmEnv(t), node, script(t, "node-server.mjs"), mode, creds.cert, creds.key)
		port := p.line(t, "listening ")
		s := &session{config: creds.clientTLS(), endings: &endings{}}
		go s.endings.follow(p)
		for _, c := range served {
			s.pairing, s.url = pairing{row, c}, c.scheme()+"://127.0.0.1:"+port
			s.hold(t)
		}
	}
}

// npmEnv tells scripts where npm's packages are: beside this file.
func npmEnv(t *testing.T) []string {
	t.Helper()
	p, err := filepath.Abs(".cache/npm/package.json")
	if err != nil {
		t.Fatal(err)
	}
	return []string{"PEERS_NPM=" + p}
}

// clientOfHypercorn has hypercorn, whose frames are wsproto's.
func clientOfHypercorn(t *testing.T, creds *credentials) {
	for _, secure := range []bool{false, true} {
		s := startHypercorn(t, hypercornRow, creds, secure)
		for _, v := range []host.HTTPVersion{host.HTTP1, host.HTTP2} {
			c := column{secure, v}
			s.pairing, s.url = pairing{hypercornRow, c}, c.scheme()+"://"+s.authority
			s.hold(t)
		}
	}
}

const hypercornRow = "hypercorn: client"

// startHypercorn starts hypercorn for a row, and returns a session without a pairing.
func startHypercorn(t *testing.T, row string, creds *credentials, secure bool) *session {
	t.Helper()
	python := need(t, row, pythonTool)
	port := freePort(t)
	args := []string{"-m", "hypercorn", "--bind", address(port)}
	if secure {
		args = append(args, "--certfile", creds.cert, "--keyfile", creds.key)
	}
	p := start(t, []string{"PYTHONPATH=" + script(t, ""), "PYTHONDONTWRITEBYTECODE=1"}, python, append(args, "hypercorn_app:app")...)
	p.accepts(t, port)
	s := &session{authority: address(port), config: creds.clientTLS(), endings: &endings{}, cannot: map[string]string{
		"fragments from the server": "ASGI has no fragments",
		"ping from the server":      "ASGI has no Pings",
		"the server ends abruptly":  "ASGI has no way to end a transport",
	}}
	go s.endings.follow(p)
	return s
}

// clientOfLibwebsockets has its test server, which serves three subprotocols of its
// own and echoes none. Its streams start with INITIAL_WINDOW_SIZE 0.
func clientOfLibwebsockets(t *testing.T, creds *credentials) {
	const row = "libwebsockets-test-server: client"
	lws := need(t, row, lwsTool)
	for _, secure := range []bool{false, true} {
		port := freePort(t)
		args := []string{"--interface=lo", fmt.Sprintf("--port=%d", port)}
		if secure {
			args = append(args, "--ssl", "-C", creds.cert, "-K", creds.key)
		}
		p := start(t, nil, lws, args...)
		p.accepts(t, port)
		s := &session{config: creds.clientTLS()}
		for _, v := range []host.HTTPVersion{host.HTTP1, host.HTTP2} {
			c := column{secure, v}
			s.pairing, s.url = pairing{row, c}, fmt.Sprintf("%s://%s", c.scheme(), address(port))
			if v == host.HTTP2 && !secure {
				continue // it has no HTTP/2 without TLS
			}
			t.Run(c.String(), func(t *testing.T) {
				for _, conv := range libwebsocketsConversations {
					s.settle(t, conv.name, s.one(t.Context(), conv))
				}
			})
		}
	}
}

// libwebsocketsConversations are those that its test server can hold.
var libwebsocketsConversations = []conversation{
	{"its numbers arrive in order", func(c *call) {
		conn := c.open("/", "dumb-increment-protocol")
		for i := range 20 {
			c.wantMessage("each number is the next", conn, host.MessageText, fmt.Append(nil, i))
		}
		c.close(conn)
	}},
	{"a mirrored message comes back", func(c *call) {
		conn := c.open("/", "lws-mirror-protocol")
		line := "d #000000 1 2 3 4;"
		c.must("send", conn.Write(c.ctx, host.MessageText, []byte(line)))
		c.wantMessage("what was sent comes back", conn, host.MessageText, []byte(line))
		c.close(conn)
	}},
	{"64 KiB through its window", func(c *call) {
		// The mirror has each piece that it reads for a message, and a ring of
		// 16 of them; so this sends as it reads.
		conn := c.open("/", "lws-mirror-protocol")
		line := strings.Repeat("d #000000 1 2 3 4;", 56) // about 1 KiB
		for range 64 {
			c.must("send", conn.Write(c.ctx, host.MessageText, []byte(line)))
			var got strings.Builder
			for got.Len() < len(line) {
				_, p, err := conn.Read(c.ctx)
				c.must("what was sent comes back", err)
				got.Write(p)
			}
			if got.String() != line {
				c.fail("what was sent comes back: got %q", got.String())
			}
		}
		c.close(conn)
	}},
	{"ping from the client", func(c *call) {
		conn := c.open("/", "lws-mirror-protocol")
		_, err := conn.Ping(c.ctx)
		c.must("a Ping is answered", err)
		c.close(conn)
	}},
	{"subprotocol", func(c *call) {
		conn := c.open("/", "stranger", "lws-mirror-protocol")
		if got := conn.Subprotocol(); got != "lws-mirror-protocol" {
			c.fail("the one that both know is chosen: got %q", got)
		}
		c.close(conn)
	}},
	{"the client closes with 1000", func(c *call) { c.closesLibwebsockets(1000, "done") }},
	{"the client closes with 4000", func(c *call) { c.closesLibwebsockets(4000, "moved") }},
	{"the client ends abruptly", func(c *call) {
		conn := c.open("/", "dumb-increment-protocol")
		c.wantMessage("the connection works", conn, host.MessageText, []byte("0"))
		c.must("CloseNow", conn.CloseNow())
		again := c.open("/", "dumb-increment-protocol")
		c.wantMessage("the next one works", again, host.MessageText, []byte("0"))
		c.close(again)
	}},
}

func (c *call) closesLibwebsockets(code host.CloseCode, reason string) {
	conn := c.open("/", "lws-mirror-protocol")
	c.must("the server answers the Close frame", conn.Close(code, reason))
}
