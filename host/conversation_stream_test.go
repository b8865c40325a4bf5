package host_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/wasock/wasock/host"
)

// holdFragments writes a message in pieces, which cut characters, and during
// which nobody else can write.
func holdFragments(t *testing.T, client, server *end) {
	const message = "one two ✓ 𝄞 three"
	w, err := client.conn.Writer(client.ctx, text)
	if err != nil {
		client.fail("a message can be written in pieces", "%v", err)
	}
	for i := range len(message) {
		if n, err := w.Write([]byte(message[i : i+1])); n != 1 || err != nil {
			client.fail("a piece may end inside a character", "%d, %v", n, err)
		}
	}
	if err := client.conn.Send(text, []byte("between")); !errors.Is(err, host.ErrMessageInProgress) {
		client.fail("no message gets into another", "%v", err)
	}
	if err := client.conn.SendPing(nil); err != nil {
		client.fail("a Ping may stand between fragments", "%v", err)
	}
	second := make(chan error, 1)
	go func() { second <- client.conn.Write(client.ctx, text, []byte("second")) }()
	if err := w.Close(); err != nil {
		client.fail("the message ends", "%v", err)
	}
	if _, err := w.Write([]byte("x")); err == nil {
		client.fail("a writer that was closed writes nothing", "no error")
	}
	server.wantMessage("the fragments arrive as one message", text, []byte(message))
	if err := <-second; err != nil {
		client.fail("a Write waits for the Writer before it", "%v", err)
	}
	server.wantMessage("a Write waits for the Writer before it", text, []byte("second"))

	w, err = client.conn.Writer(client.ctx, host.MessageBinary)
	if err != nil {
		client.fail("a message can be written in pieces", "%v", err)
	}
	if err := w.Close(); err != nil {
		client.fail("a message of no pieces is empty", "%v", err)
	}
	server.wantMessage("a message of no pieces is empty", host.MessageBinary, nil)
	holdClose(client, server, normal, "")
}

// holdReader reads messages longer than a lane as they come, and skips one.
func holdReader(t *testing.T, client, server *end) {
	long := strings.Repeat("0123456789", 100_000)
	sent := make(chan error, 1)
	go func() {
		for range 3 {
			if err := client.conn.Write(client.ctx, text, []byte(long)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	typ, r, err := server.conn.Reader(server.ctx)
	if err != nil || typ != text {
		server.fail("a message can be read in pieces", "%v, %v", typ, err)
	}
	got, err := io.ReadAll(r)
	if err != nil || string(got) != long {
		server.fail("the pieces are the message", "%d bytes, %v", len(got), err)
	}
	if _, r, err = server.conn.Reader(server.ctx); err != nil {
		server.fail("another message can be read in pieces", "%v", err)
	}
	if n, err := io.ReadFull(r, make([]byte, 10)); n != 10 || err != nil {
		server.fail("a message may be read in part", "%d, %v", n, err)
	}
	if _, r, err = server.conn.Reader(server.ctx); err != nil {
		server.fail("the next Reader skips the rest", "%v", err)
	}
	if got, err = io.ReadAll(r); err != nil || string(got) != long {
		server.fail("the next Reader begins with the next message", "%d bytes, %v", len(got), err)
	}
	if err := <-sent; err != nil {
		client.fail("the messages are sent", "%v", err)
	}
	holdClose(client, server, normal, "")
}

func holdPing(t *testing.T, client, server *end) {
	client.send("a message is under way", text, []byte("kept"))
	server.wantMessage("a message is under way", text, []byte("kept"))
	server.send("a message arrives before the Pong", text, []byte("kept for Read"))
	reading := make(chan error, 1)
	if server.events == nil { // who does not read does not answer Pings
		go func() {
			_, _, err := server.conn.Read(server.ctx)
			reading <- err
		}()
	}
	for range 3 {
		if d, err := client.conn.Ping(client.ctx); err != nil || d <= 0 {
			client.fail("a Ping is answered without a Read beside it", "%v, %v", d, err)
		}
	}
	client.wantMessage("what arrived meanwhile is there for Read", text, []byte("kept for Read"))
	client.send("the server reads on", text, []byte("done"))
	if server.events == nil {
		if err := <-reading; err != nil {
			server.fail("the server reads on", "%v", err)
		}
	} else {
		server.wantMessage("the server reads on", text, []byte("done"))
	}
	holdClose(client, server, normal, "")
}

func holdPingEvent(t *testing.T, client, server *end) {
	reading := make(chan error, 1)
	if server.events == nil {
		go func() {
			_, _, err := server.conn.Read(server.ctx)
			reading <- err
		}()
	}
	if err := client.conn.SendPing([]byte("payload")); err != nil {
		client.fail("a Ping is sent", "%v", err)
	}
	if ev := client.wantEvent("a handler gets the Pong", "pong"); string(ev.payload) != "payload" {
		client.fail("a Pong has the Ping's payload", "%q", ev.payload)
	}
	if _, err := client.conn.Ping(client.ctx); !errors.Is(err, host.ErrEventStyle) {
		client.fail("Ping waits in the stream style only", "%v", err)
	}
	client.send("the connection goes on", text, nil)
	if server.events == nil {
		if err := <-reading; err != nil {
			server.fail("the connection goes on", "%v", err)
		}
	} else {
		server.wantMessage("the connection goes on", text, nil)
	}
	holdClose(client, server, normal, "")
}

func holdReadLimit(t *testing.T, client, server *end) {
	client.conn.SetReadLimit(1000)
	for _, size := range []int{999, 1000} {
		server.send("up to the limit a message is read", host.MessageBinary, make([]byte, size))
		client.wantMessage("up to the limit a message is read", host.MessageBinary, make([]byte, size))
	}
	server.send("a message over the limit is sent", host.MessageBinary, make([]byte, 1001))
	_, _, err := client.conn.Read(client.ctx)
	var le *host.LimitError
	if !errors.As(err, &le) || le.Limit != "SetReadLimit" || le.Max != 1000 {
		client.fail("the error says which limit", "%v", err)
	}
	server.wantClosed("the sender learns it by 1009", host.CodeMessageTooBig, "", true)
}
