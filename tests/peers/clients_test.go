package peers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasock/wasock/host"
)

// A client is a script that holds the conversations with our server. It is told a
// URL, a version of HTTP, an authority to trust, and which conversations.
type client struct {
	row     string
	tool    tool
	args    func(t *testing.T, creds *credentials) []string // before what it is told
	columns []column
	lacks   string // why it has not the other columns, or ""

	prefersHTTP1 bool // it goes over HTTP/2 only where the server has no HTTP/1.1

	// Of permessage-deflate: what carries the connections of a row of its own, and
	// why its connections go without, or its messages, or "".
	deflates      []column
	offersNothing string
	sendsPlain    string
}

var clients = []client{
	{row: "ws, node http2: server", tool: nodeTool, args: scriptAt("ws-client.mjs"), columns: columns,
		deflates: overHTTP1}, // an Extended CONNECT of our own offers nothing
	{row: "undici: server", tool: nodeTool, args: scriptAt("undici-client.mjs"),
		columns:    encryptedHTTP2,
		deflates:   encryptedHTTP2,
		sendsPlain: "undici 8.12 inflates, and compresses nothing (permessage-deflate.js)",
		lacks:      "undici has no HTTP/2 without TLS"},
	{row: "deno: server", tool: denoTool, args: func(t *testing.T, creds *credentials) []string {
		return []string{"run", "--no-config", "--no-lock", "--no-remote", "--no-npm", "--quiet", "--allow-net=127.0.0.1",
			"--cert", creds.ca, script(t, "deno-client.mjs")}
	}, columns: encryptedHTTP2,
		lacks: "Deno has no HTTP/2 without TLS", prefersHTTP1: true,
		deflates:      []column{{false, host.HTTP1}},
		offersNothing: "Deno 2.9 offers no extension"},
	{row: "python websockets: server", tool: pythonTool, args: scriptAt("websockets_client.py"),
		columns:  overHTTP1,
		deflates: overHTTP1,
		lacks:    "websockets has no HTTP/2"},
}

func scriptAt(name string) func(*testing.T, *credentials) []string {
	return func(t *testing.T, _ *credentials) []string { return []string{script(t, name)} }
}

// TestServer has our server talk with clients: one in this process, and wasock echo.
func TestServer(t *testing.T) {
	creds := newCredentials(t)
	for _, cl := range clients {
		name, _, _ := strings.Cut(cl.row, ":")
		t.Run(name, func(t *testing.T) {
			program := need(t, cl.row, cl.tool)
			if cl.lacks != "" {
				results.lacks(cl.row, cl.lacks)
			}
			for _, c := range cl.columns {
				p := pairing{cl.row, c}
				t.Run(c.String(), func(t *testing.T) {
					args := cl.args(t, creds)
					t.Run("in_process", func(t *testing.T) {
						s := serveOurs(t, creds.forScheme(c), c.version)
						p.hold(t, s, program, append(args, p.told(s.authority, creds)...))
					})
					t.Run("wasock_echo", func(t *testing.T) {
						if cl.prefersHTTP1 && c.version == host.HTTP2 {
							t.Skip("wasock echo has HTTP/1.1 too, which the client prefers")
						}
						authority := startEcho(t, creds.forScheme(c), "--subprotocol", "chat")
						p.hold(t, nil, program, append(append(args, p.told(authority, creds)...), echoConversations...))
					})
				})
			}
		})
	}
}

// echoConversations are those that a server which only echoes can hold.
var echoConversations = []string{
	"text", "binary", "empty messages", "64 KiB", "1 MiB", "1 MiB of text", tenAtOnce,
	"fragments from the client", "ping from the client", "subprotocol", "the client closes with 1000", "the client closes with 4000",
	"the client ends abruptly", "the Close frame ends the stream",
}

// forScheme is creds, or nil where there is no TLS.
func (creds *credentials) forScheme(c column) *credentials {
	if c.secure {
		return creds
	}
	return nil
}

// told is what a script is told.
func (p pairing) told(authority string, creds *credentials) []string {
	version := "1.1"
	if p.version == host.HTTP2 {
		version = "2"
	}
	return []string{p.scheme() + "://" + authority, version, creds.ca}
}

// startEcho starts wasock echo, and returns its host and port.
func startEcho(t *testing.T, creds *credentials, args ...string) string {
	t.Helper()
	program, err := wasock()
	if err != nil {
		t.Fatal(err)
	}
	args = append([]string{"echo", "--quiet", "--listen", "127.0.0.1:0"}, args...)
	if creds != nil {
		args = append(args, "--tls-cert", creds.cert, "--tls-key", creds.key)
	}
	p := start(t, nil, program, args...)
	_, authority, _ := strings.Cut(p.line(t, "listening on "), "://")
	return strings.TrimSuffix(authority, "/")
}

// A result is what a script says became of a conversation.
type result struct{ Conversation, Outcome, Reason string }

func (r result) err() error {
	switch r.Outcome {
	case "ok":
		return nil
	case "cannot":
		return cannot(r.Reason)
	}
	return errors.New("the client: " + r.Reason)
}

// scriptPatience is how long all conversations of a script may take.
const scriptPatience = 5 * time.Minute

// hold has a script hold conversations with s, or, if that is nil, with a server
// that does not say how connections end.
func (p pairing) hold(t *testing.T, s *ourServer, program string, args []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), scriptPatience)
	defer cancel()
	env := npmEnv(t)
	if s != nil && s.relay != nil {
		env = append(env, "PEERS_DEFLATE=1")
	}
	peer := start(t, env, program, args...)
	if err := peer.wait(ctx); err != nil {
		t.Error(err)
	}
	var of []result
	for line := range peer.lines {
		var r result
		if json.Unmarshal([]byte(line), &r) == nil && r.Conversation != "" {
			of = append(of, r)
		}
	}
	p.settleAll(t, s, of, args)
}

// settleAll makes a test of each conversation. None may be missing of those that
// are named in args, or of all.
func (p pairing) settleAll(t *testing.T, s *ourServer, of []result, args []string) {
	t.Helper()
	for _, conv := range conversations {
		if s == nil && !slices.Contains(args, conv.name) {
			continue
		}
		i := slices.IndexFunc(of, func(r result) bool { return r.Conversation == conv.name })
		if i < 0 {
			p.settle(t, conv.name, fmt.Errorf("the client does not say what became of it"))
			continue
		}
		err := of[i].err()
		if err == nil && s != nil {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			err = s.endings.check(ctx, conv.name, p.version)
			cancel()
		}
		p.settle(t, conv.name, err)
	}
}
