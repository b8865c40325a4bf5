package native

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasock/wasock/protocol"
)

const testURL = "ws://server.example.com/chat"

// What a peer says that is no Conn. The frame is masked with zeros.
const (
	request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	frame = "\x82\x85\x00\x00\x00\x00Hello"
)

func config() *protocol.Config {
	return &protocol.Config{
		Random: func(b []byte) { _, _ = rand.Read(b) }, Scratch: make([]byte, 32<<10), RatioLimit: 1100, // DEFLATE reaches 1,032
	}
}

// transports returns the two ends of a TCP connection.
func transports(t *testing.T) (client, server net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	if client, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	return client, server
}

// An end is a Conn, and what its Run came to.
type end struct {
	*Conn
	t      *testing.T
	events []string // but messages
	done   chan struct{}
	err    error
}

// run runs a Conn on a goroutine of its own. handle receives its events after the end
// has noted them.
func run(t *testing.T, c *Conn, err error, handle Handler) *end {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	e := &end{Conn: c, t: t, done: make(chan struct{})}
	go func() {
		defer close(e.done)
		e.err = c.Run(func(ev *protocol.Event) error {
			switch {
			case ev.Close != nil:
				e.events = append(e.events, fmt.Sprintf("%d %q clean=%v", ev.Close.Code, ev.Close.Reason, ev.Close.Clean))
			case ev.Err != nil:
				e.events = append(e.events, ev.Err.Error())
			}
			return handle(ev)
		})
	}()
	return e
}

func (e *end) wantEnd(sentence string, want ...string) {
	e.t.Helper()
	<-e.done
	if got := strings.Join(e.events, "\n"); got != strings.Join(want, "\n") {
		e.t.Errorf("%s:\n got %s\nwant %s", sentence, got, strings.Join(want, "\n"))
	}
}

func (e *end) wantError(sentence string, want error) {
	e.t.Helper()
	<-e.done
	if !errors.Is(e.err, want) {
		e.t.Errorf("%s: got %v, want %v", sentence, e.err, want)
	}
}

func ignore(*protocol.Event) error { return nil }

// Every message comes back as it was, also those that wait for the ones before them to
// be written, with compression and without.
func TestEcho(t *testing.T) {
	random := make([]byte, 1<<20)
	_, _ = rand.Read(random)
	messages := [][]byte{
		nil, []byte("a"), bytes.Repeat([]byte("b"), 125), bytes.Repeat([]byte("c"), 126),
		bytes.Repeat([]byte("d"), 65535), bytes.Repeat([]byte("e"), 65536), bytes.Repeat([]byte("\u6c34"), 1<<20), random, []byte("f"),
	}
	for mode, name := range []string{"plain", "no context takeover", "context takeover"} {
		t.Run(name, func(t *testing.T) {
			compression := protocol.Compression{Mode: protocol.CompressionMode(mode), Threshold: 1}
			left, right := transports(t)
			s, err := Accept(right, protocol.ServerOptions{Compression: compression}, config())
			server := run(t, s, err, Messages(func(op protocol.Opcode, p []byte) error { return s.Send(op, p) }))

			c, err := Open(left, testURL, protocol.ClientOptions{Compression: compression}, config())
			back := 0
			each := Messages(func(op protocol.Opcode, p []byte) error {
				if want := messages[back]; !bytes.Equal(p, want) || op != protocol.OpBinary {
					t.Errorf("message %d comes back as it was: got %d bytes of %v, want %d of binary", back, len(p), op, len(want))
				}
				if back++; back == len(messages) {
					return c.Protocol.Close(c.Now(), protocol.CodeNormal, "done")
				}
				return c.Send(protocol.OpBinary, messages[back])
			})
			extended := false
			client := run(t, c, err, func(ev *protocol.Event) error {
				if ev.Kind == protocol.KindOpen {
					extended = c.Protocol.Extended()
					return c.Send(protocol.OpBinary, messages[0])
				}
				return each(ev)
			})
			client.wantEnd("the server answers the Close frame", `1000 "done" clean=true`)
			server.wantEnd("the client closes", `1000 "done" clean=true`)
			client.wantError("a Close frame is no error", nil)
			server.wantError("a Close frame is no error", nil)
			if back != len(messages) {
				t.Errorf("%d of %d messages came back", back, len(messages))
			}
			if extended != (mode > 0) {
				t.Errorf("compression was agreed to: %v", extended)
			}
		})
	}
}

// Messages that arrive together are answered together, beyond SendLimit too.
func TestManyMessagesInOneRead(t *testing.T) {
	left, right := transports(t)
	defer func() { _ = left.Close() }()
	cfg := config()
	cfg.SendLimit = 10
	c, err := Accept(right, protocol.ServerOptions{}, cfg)
	run(t, c, err, Messages(func(op protocol.Opcode, p []byte) error { return c.Send(op, p) }))
	if _, err := left.Write([]byte(request + strings.Repeat(frame, 100))); err != nil {
		t.Fatal(err)
	}
	want := strings.Repeat("\x82\x05Hello", 100)
	answer := make([]byte, 129+len(want))
	if _, err := io.ReadFull(left, answer); err != nil {
		t.Fatal(err)
	}
	if _, got, _ := strings.Cut(string(answer), "\r\n\r\n"); got != want {
		t.Errorf("a hundred messages come back:\n got % x\nwant % x", got, want)
	}
}

// What ends a connection is what Run returns.
func TestEnds(t *testing.T) {
	t.Run("no WebSocket request", func(t *testing.T) {
		left, right := transports(t)
		c, err := Accept(right, protocol.ServerOptions{}, config())
		server := run(t, c, err, ignore)
		if _, err := left.Write([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(left)
		if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 426 ")) {
			t.Errorf("the request is refused: got %q, %v", answer, err)
		}
		_ = left.Close()
		<-server.done
		var refusal *protocol.HandshakeError
		if !errors.As(server.err, &refusal) || refusal.Status != 426 {
			t.Errorf("Run tells of the refusal: got %v", server.err)
		}
	})
	t.Run("the transport ends", func(t *testing.T) {
		left, right := transports(t)
		c, err := Open(left, testURL, protocol.ClientOptions{}, config())
		client := run(t, c, err, ignore)
		_ = right.Close()
		<-client.done
		var refusal *protocol.HandshakeError
		if !errors.As(client.err, &refusal) {
			t.Errorf("there was no opening handshake: got %v", client.err)
		}
	})
	t.Run("the transport does not take output", func(t *testing.T) {
		left, right := net.Pipe()
		_ = right.Close()
		c, err := Open(left, testURL, protocol.ClientOptions{}, config())
		client := run(t, c, err, ignore)
		client.wantError("Run tells why the request was not written", io.ErrClosedPipe)
	})
	t.Run("an error of the handler's", func(t *testing.T) {
		left, right := transports(t)
		problem := errors.New("the handler's")
		s, err := Accept(right, protocol.ServerOptions{}, config())
		server := run(t, s, err, func(*protocol.Event) error { return problem })
		c, err := Open(left, testURL, protocol.ClientOptions{}, config())
		client := run(t, c, err, ignore)
		server.wantError("Run returns it", problem)
		<-client.done
		if client.err == nil {
			t.Error("the transport was closed: the client had no error")
		}
	})
	t.Run("a URL that is none", func(t *testing.T) {
		if _, err := Open(nil, "chat", protocol.ClientOptions{}, config()); err == nil {
			t.Error("it was opened")
		}
	})
}

// The timers of the protocol run, here on a clock that nobody waits for. The peer reads
// what comes and says no more than what it is given.
func TestTimers(t *testing.T) {
	hello := request + frame
	for _, test := range []struct {
		name, says string
		handle     func(c *Conn) Handler
		after      time.Duration
		events     []string
	}{
		{
			"no opening handshake", "", nil, 10 * time.Second,
			[]string{"websocket: opening handshake failed: the opening handshake took longer than HandshakeTimeout", `1006 "" clean=false`},
		},
		{
			"no answer to a Ping", request, nil, 30 * time.Second,
			[]string{"No response from ping frame.", `1001 "No response from ping frame." clean=false`},
		},
		{
			"no answer to a Close frame", hello, func(c *Conn) Handler {
				return Messages(func(protocol.Opcode, []byte) error { return c.Protocol.Close(c.Now(), 1000, "") })
			}, 5 * time.Second,
			[]string{`1006 "" clean=false`},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				left, right := net.Pipe()
				go func() { _, _ = io.Copy(io.Discard, left) }()
				c, err := Accept(right, protocol.ServerOptions{}, config())
				handle := ignore
				if test.handle != nil {
					handle = test.handle(c)
				}
				server := run(t, c, err, handle)
				if _, err := left.Write([]byte(test.says)); err != nil {
					t.Fatal(err)
				}
				server.wantEnd("a timer ends it", test.events...)
				if got := time.Since(begin); got != test.after {
					t.Errorf("it ends after %v, want %v", got, test.after)
				}
			})
		})
	}
}

// A peer that does not read is given up.
func TestWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		left, _ := net.Pipe()
		c, err := Open(left, testURL, protocol.ClientOptions{}, config())
		run(t, c, err, ignore).wantError("the write has a deadline", os.ErrDeadlineExceeded)
		if got := time.Since(begin); got != writeTimeout {
			t.Errorf("it ends after %v, want %v", got, writeTimeout)
		}
	})
}
