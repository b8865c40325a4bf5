package peers

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/tests/peers/deflated"
	"github.com/wasock/wasock/tests/peers/relay"
)

// A deflater is a peer whose permessage-deflate has settings. Its script serves or
// dials with each of them, and sends messages back.
type deflater struct {
	name     string
	tool     tool
	script   string
	settings func(weDial bool) []deflateSetting
	cannot   map[deflated.Manner]string
}

var deflaters = []deflater{
	{name: "ws", tool: nodeTool, script: "deflate-ws.mjs", settings: wsSettings},
	{name: "python websockets", tool: pythonTool, script: "deflate_websockets.py", settings: websocketsSettings,
		cannot: map[deflated.Manner]string{deflated.InTurn: "websockets compresses everything"}},
}

// A deflateSetting is what each end is willing to do, theirs by the names of its API,
// and what they agree to, as the response says it.
type deflateSetting struct {
	name   string
	ours   host.Compression
	theirs map[string]any
	agreed string
	held   []deflated.Conversation
}

// TestCompression holds the conversations of package deflated with every setting, over
// HTTP/1.1 without TLS, so that the relay sees frames.
func TestCompression(t *testing.T) {
	for _, d := range deflaters {
		t.Run(strings.ReplaceAll(d.name, " ", "_")+"_serves", d.serves)
		t.Run(strings.ReplaceAll(d.name, " ", "_")+"_dials", d.dials)
	}
}

// serves has our client talk with the peer's server.
func (d deflater) serves(t *testing.T) {
	p := pairing{d.name + ", deflate settings: client", column{false, host.HTTP1}}
	program := need(t, p.row, d.tool)
	settings := d.settings(true)
	options := make([]map[string]any, len(settings))
	for i, s := range settings {
		options[i] = s.theirs
	}
	peer := d.start(t, program, "serve", options)
	var addresses []string
	if err := json.Unmarshal([]byte(peer.line(t, "listening ")), &addresses); err != nil {
		t.Fatal(err)
	}
	for i, s := range settings {
		authority, path, _ := strings.Cut(addresses[i], "/")
		r, err := relay.Listen(authority)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() })
		url := "ws://" + strings.TrimSuffix(r.Addr()+"/"+path, "/")
		d.holdAll(t, p, s, func(ctx context.Context, conv deflated.Conversation) (*deflated.Call, error) {
			c, _, err := ourHost.Dial(ctx, url+"/"+string(conv.Manner), &host.DialOptions{
				Compression: s.ours, Limits: deflateLimits(conv.Manner),
			})
			if err != nil {
				return nil, err
			}
			return s.call(ctx, c, deflated.OfClient, r.OfClient(c.LocalAddr().String()))
		})
	}
}

// dials has our server talk with the peer's client, whose connections come in the
// order of the conversations.
func (d deflater) dials(t *testing.T) {
	p := pairing{d.name + ", deflate settings: server", column{false, host.HTTP1}}
	program := need(t, p.row, d.tool)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r, err := relay.Listen(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })

	type call struct {
		URL     string          `json:"url"`
		Options map[string]any  `json:"options"`
		Manner  deflated.Manner `json:"manner"`
	}
	var calls []call
	var accept []*host.AcceptOptions
	settings := d.settings(false)
	for _, s := range settings {
		for _, conv := range s.held {
			if d.cannot[conv.Manner] != "" {
				continue
			}
			calls = append(calls, call{fmt.Sprintf("ws://%s/%d", r.Addr(), len(calls)), s.theirs, conv.Manner})
			accept = append(accept, &host.AcceptOptions{Compression: s.ours, Limits: deflateLimits(conv.Manner)})
		}
	}
	accepted := make(chan acceptedCall)
	hs := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		i, err := strconv.Atoi(strings.TrimPrefix(req.URL.Path, "/"))
		if err != nil || i >= len(accept) {
			http.NotFound(w, req)
			return
		}
		c, err := ourHost.Accept(w, req, accept[i])
		select {
		case accepted <- acceptedCall{i, c, r.OfServer(req.RemoteAddr), err}:
		case <-t.Context().Done():
		}
	})}
	go func() { _ = hs.Serve(ln) }()
	t.Cleanup(func() { _ = hs.Close() })
	peer := d.start(t, program, "dial", calls)
	from := &callers{accepted: accepted, peer: peer}
	for _, s := range settings {
		d.holdAll(t, p, s, func(ctx context.Context, _ deflated.Conversation) (*deflated.Call, error) {
			a, err := from.next(ctx)
			if err != nil {
				return nil, err
			}
			return s.call(ctx, a.c, deflated.OfServer, a.link)
		})
	}
}

// start starts the script with a list.
func (d deflater) start(t *testing.T, program, mode string, list any) *process {
	t.Helper()
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return start(t, npmEnv(t), program, script(t, d.script), mode, write(t, t.TempDir(), "list.json", text))
}

// An acceptedCall is a connection that our server accepted, or the error of that.
type acceptedCall struct {
	number int
	c      *host.Conn
	link   *relay.Link
	err    error
}

// callers are the connections of a client that dials them one after the other. One
// that it could not open is missing.
type callers struct {
	accepted <-chan acceptedCall
	peer     *process
	number   int           // of the connection that is wanted
	early    *acceptedCall // one that came in its place
}

// next waits for the next connection.
func (from *callers) next(ctx context.Context) (a acceptedCall, err error) {
	number := from.number
	from.number++
	if from.early != nil {
		a, from.early = *from.early, nil
	} else {
		select {
		case a = <-from.accepted:
		case <-from.peer.exited:
			return a, fmt.Errorf("the client ended: %w", cmp.Or(from.peer.err, errors.New("it dials no more")))
		case <-ctx.Done():
			return a, errors.New("the client does not dial")
		}
	}
	if a.number != number {
		from.early = &a
		return a, errors.New("the client could not open the connection")
	}
	return a, a.err
}

// call returns what a conversation is held with. It ends c with ctx.
func (s deflateSetting) call(ctx context.Context, c *host.Conn,
	of func(deflated.End, *deflated.Agreement, *relay.Link) *deflated.Call, link *relay.Link) (*deflated.Call, error) {
	context.AfterFunc(ctx, func() { _ = c.CloseNow() })
	if link == nil {
		return nil, errors.New("the relay has no such connection")
	}
	agreed, err := deflated.Agreed(s.agreed)
	if err != nil {
		return nil, err
	}
	return of(deflatedEnd{c}, agreed, link), nil
}

// holdAll holds what a setting leads to. open opens a connection for a conversation.
func (d deflater) holdAll(t *testing.T, p pairing, s deflateSetting, open func(context.Context, deflated.Conversation) (*deflated.Call, error)) {
	t.Helper()
	for _, conv := range s.held {
		name := s.name + ": " + conv.Name
		if reason := d.cannot[conv.Manner]; reason != "" {
			results.record(p.row, p.column, func(n *tally) { n.cannot++ })
			results.cannot(p.row, conv.Name, reason)
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		c, err := open(ctx, conv)
		if err == nil {
			err = c.Hold(ctx, conv)
		}
		cancel()
		p.settle(t, name, err)
	}
}

func deflateLimits(m deflated.Manner) (l host.Limits) {
	if m.FragmentSize() > 0 {
		l.PartLimit = 4000 // each fragment is less than 4 KiB
	}
	return l
}

// deflatedEnd is our end for package deflated.
type deflatedEnd struct{ *host.Conn }

func (e deflatedEnd) Send(ctx context.Context, text bool, p []byte) error {
	return e.Write(ctx, messageType(text), p)
}

func (e deflatedEnd) SendPlain(ctx context.Context, text bool, p []byte) error {
	e.SetWriteCompression(false)
	defer e.SetWriteCompression(true)
	return e.Send(ctx, text, p)
}

func (e deflatedEnd) SendFragments(ctx context.Context, text bool, p []byte, size int, between func() error) (bool, error) {
	w, err := e.Writer(ctx, messageType(text))
	if err != nil {
		return true, err
	}
	for i := 0; i < len(p) && err == nil; i += size {
		if i > 0 && between != nil {
			if err = between(); err != nil {
				break
			}
		}
		_, err = w.Write(p[i:min(i+size, len(p))])
	}
	return true, errors.Join(err, w.Close())
}

// Ping is for when no message is due.
func (e deflatedEnd) Ping(ctx context.Context) error {
	_, err := e.Conn.Ping(ctx)
	return err
}

func (e deflatedEnd) Next(ctx context.Context) (text bool, p []byte, err error) {
	t, p, err := e.Read(ctx)
	return t == host.MessageText, p, err
}

func messageType(text bool) host.MessageType {
	if text {
		return host.MessageText
	}
	return host.MessageBinary
}
