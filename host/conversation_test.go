package host_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/wasock/wasock/host"
)

const (
	text   = host.MessageText
	normal = host.CodeNormal
)

// A conversation is what two ends say to each other, whatever carries it.
type conversation struct {
	name   string
	styles styles // those it is about; "" is either
	dial   host.DialOptions
	accept host.AcceptOptions
	hold   func(t *testing.T, client, server *end)
}

// TestConversations holds every conversation over every carrier in every style.
func TestConversations(t *testing.T) {
	h := newHost(t, host.Config{Instances: 2})
	for _, c := range append(carriers, compressedCarriers()...) {
		for _, s := range allStyles {
			for _, talk := range conversations() {
				if talk.styles.client != "" && talk.styles.client != s.client || talk.styles.server != "" && talk.styles.server != s.server {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s-%s/%s", c.name, s.client, s.server, talk.name), func(t *testing.T) {
					client, server := connect(t, h, c, s, &talk.dial, &talk.accept)
					talk.hold(t, client, server)
				})
			}
		}
	}
	eventually(t, "no connection is left", func() (bool, string) {
		open, handles := h.Stats().Open, h.Handles()
		return open == 0 && handles == 0, fmt.Sprint(open, " open, ", handles, " handles")
	})
}

func conversations() []conversation {
	talks := []conversation{
		{name: "messages", hold: holdMessages},
		{name: "sizes", hold: holdSizes},
		{name: "order", hold: holdOrder},
		{name: "concurrent writers", hold: holdConcurrentWriters},
		{name: "subprotocol", hold: holdSubprotocol,
			dial:   host.DialOptions{Subprotocols: []string{"chat.v1", "chat.v2"}},
			accept: host.AcceptOptions{Subprotocols: []string{"chat.v2", "chat.v1"}}},
		{name: "wrong arguments", hold: holdWrongArguments},
		{name: "peer vanishes", hold: holdVanishing},
		{name: "both close", hold: holdBothClose},
		{name: "fragments", styles: styles{client: streamStyle}, hold: holdFragments},
		{name: "fragments are read as they come", styles: styles{client: streamStyle, server: streamStyle}, hold: holdReader},
		{name: "ping", styles: styles{client: streamStyle}, hold: holdPing},
		{name: "ping event", styles: styles{client: eventStyle}, hold: holdPingEvent},
		{name: "cancelled read", styles: styles{client: streamStyle}, hold: holdCancelledRead},
		{name: "cancelled write", hold: holdCancelledWrite},
		{name: "read limit", styles: styles{client: streamStyle}, hold: holdReadLimit},
		{name: "message limit", hold: holdMessageLimit,
			accept: host.AcceptOptions{Limits: host.Limits{MessageLimit: 1000}}},
	}
	for _, c := range []struct {
		code   host.CloseCode
		reason string
	}{
		{host.CodeNormal, "bye"}, {host.CodeGoingAway, ""}, {host.CodePolicyViolation, strings.Repeat("é", 61) + "!"},
		{3000, "three thousand"}, {4999, "x"}, {host.CodeNoStatus, ""},
	} {
		talks = append(talks,
			conversation{name: fmt.Sprintf("client closes %d", c.code), hold: func(t *testing.T, client, server *end) {
				holdClose(client, server, c.code, c.reason)
			}},
			conversation{name: fmt.Sprintf("server closes %d", c.code), hold: func(t *testing.T, client, server *end) {
				holdClose(server, client, c.code, c.reason)
			}})
	}
	return talks
}

func holdMessages(t *testing.T, client, server *end) {
	for _, m := range []struct {
		typ host.MessageType
		p   []byte
	}{{text, []byte("héllo wörld ✓ 𝄞")}, {text, nil}, {host.MessageBinary, []byte{0, 0xff, 0xfe}}, {host.MessageBinary, nil}, {text, []byte("\x00")}} {
		client.send("the client sends", m.typ, m.p)
		server.wantMessage("the server receives it as it was sent", m.typ, m.p)
		server.send("the server sends", m.typ, m.p)
		client.wantMessage("the client receives it as it was sent", m.typ, m.p)
	}
	holdClose(client, server, normal, "")
}

// holdSizes crosses the lengths of the frame header's three forms, of a TLS
// record, and of an engine's lane.
func holdSizes(t *testing.T, client, server *end) {
	for _, size := range []int{1, 125, 126, 16<<10 - 1, 16 << 10, 65535, 65536, 320<<10 - 20, 320 << 10, 1 << 20, 3<<20 + 1} {
		p := bytes.Repeat([]byte("0123456789abcde"), size/15+1)[:size]
		done := make(chan error, 1)
		go func() { done <- client.conn.Write(client.ctx, host.MessageBinary, p) }()
		server.wantMessage("a message of any size arrives whole", host.MessageBinary, p)
		if err := <-done; err != nil {
			client.fail("a message of any size is sent", "%v", err)
		}
		go func() { done <- server.conn.Write(server.ctx, text, p) }()
		client.wantMessage("a message of any size comes back whole", text, p)
		if err := <-done; err != nil {
			server.fail("a message of any size is sent", "%v", err)
		}
	}
	holdClose(server, client, normal, "")
}

func holdOrder(t *testing.T, client, server *end) {
	const n = 500
	go func() {
		for i := range n {
			if err := client.conn.Write(client.ctx, text, fmt.Append(nil, i)); err != nil {
				t.Errorf("message %d: %v", i, err)
			}
		}
	}()
	for i := range n {
		server.wantMessage("messages arrive in order", text, fmt.Append(nil, i))
	}
	holdClose(client, server, normal, "")
}

// holdConcurrentWriters has messages of all sizes sent by several goroutines:
// each arrives whole, and in the order of its writer.
func holdConcurrentWriters(t *testing.T, client, server *end) {
	const writers, each = 6, 40
	sizes := []int{8, 100, 125, 126, 5000, 70_000, 400_000}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				size := sizes[(i*7+w)%len(sizes)]
				if size > 5000 && i%8 != w {
					size = 200
				}
				p := bytes.Repeat([]byte{byte(w)}, size)
				binary.BigEndian.PutUint32(p, uint32(w))
				binary.BigEndian.PutUint32(p[4:], uint32(i))
				if err := client.conn.Write(client.ctx, host.MessageBinary, p); err != nil {
					t.Errorf("writer %d: message %d: %v", w, i, err)
					return
				}
			}
		})
	}
	var next [writers]uint32
	for range writers * each {
		_, p, err := server.receive()
		if err != nil {
			server.fail("every message arrives", "%v", err)
		}
		w, i := binary.BigEndian.Uint32(p), binary.BigEndian.Uint32(p[4:])
		if w >= writers || i != next[w] {
			server.fail("a writer's messages keep their order", "writer %d: got %d, want %d", w, i, next[w])
		}
		next[w]++
		if n := bytes.Count(p[8:], []byte{byte(w)}); n != len(p)-8 {
			server.fail("no message has bytes of another", "writer %d: %d of %d", w, n, len(p)-8)
		}
	}
	wg.Wait()
	holdClose(client, server, normal, "")
}

func holdSubprotocol(t *testing.T, client, server *end) {
	for _, e := range []*end{client, server} {
		if got := e.conn.Subprotocol(); got != "chat.v2" {
			e.fail("the server's preference decides", "got %q", got)
		}
	}
	holdClose(client, server, normal, "")
}

func holdCancelledRead(t *testing.T, client, server *end) {
	ctx, cancel := context.WithCancel(client.ctx)
	read := make(chan error)
	for range 3 {
		go func() {
			_, _, err := client.conn.Read(ctx)
			read <- err
		}()
		cancel()
		if err := <-read; !errors.Is(err, context.Canceled) {
			client.fail("a Read that is cancelled says so", "%v", err)
		}
		server.send("the connection is as it was", text, []byte("after"))
		client.wantMessage("the next Read gets what arrives", text, []byte("after"))
		ctx, cancel = context.WithCancel(client.ctx)
	}
	cancel()
	holdClose(client, server, normal, "")
}

func holdCancelledWrite(t *testing.T, client, server *end) {
	ctx, cancel := context.WithCancel(client.ctx)
	cancel()
	// Whether it was sent is for Write to say.
	want := [][]byte{}
	if err := client.conn.Write(ctx, text, []byte("perhaps")); err == nil {
		want = append(want, []byte("perhaps"))
	} else if !errors.Is(err, context.Canceled) {
		client.fail("a Write that is cancelled says so", "%v", err)
	}
	client.send("the connection is as it was", text, []byte("certainly"))
	for _, p := range append(want, []byte("certainly")) {
		server.wantMessage("what was sent arrives, and nothing else", text, p)
	}
	holdClose(client, server, normal, "")
}

func holdMessageLimit(t *testing.T, client, server *end) {
	for _, size := range []int{999, 1000} {
		client.send("up to the limit a message is delivered", host.MessageBinary, make([]byte, size))
		server.wantMessage("up to the limit a message is delivered", host.MessageBinary, make([]byte, size))
	}
	client.send("a message over the limit is sent", host.MessageBinary, make([]byte, 1001))
	ce := server.wantClosed("a message over the limit fails the connection", host.CodeAbnormal, "", false)
	var le *host.LimitError
	if !errors.As(ce.Err, &le) || le.Limit != "MessageLimit" || le.Max != 1000 || le.Size != 1001 || le.Code != host.CodeMessageTooBig {
		server.fail("the error says which limit", "%v", ce.Err)
	}
	client.wantClosed("the sender learns it by 1009", host.CodeMessageTooBig, "", true)
}
