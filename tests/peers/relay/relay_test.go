package relay

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
)

// frames returns a head and then the frames, written in hex.
func frames(t *testing.T, in ...string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(strings.Join(in, ""), " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"), b...)
}

// cuts calls f with p whole, byte by byte, and at every split.
func cuts(p []byte, f func(pieces [][]byte)) {
	f([][]byte{p})
	f(slices.Collect(slices.Chunk(p, 1)))
	for i := range p {
		f([][]byte{p[:i], p[i:]})
	}
}

func TestWire(t *testing.T) {
	passed := frames(t,
		"81 02 6f6b",             // text, as it is
		"c1 05 aa2a0500 00",      // text, compressed
		"42 02 aabb", "89 01 70", // binary, compressed, a Ping inside
		"00 00", "80 85 01020304 0000000000", // an empty fragment, and one that is masked
		"82 7e 0003 000000",   // the longer form of a length
		"88 82 01020304 02ea", // Close, 0x03e8
	)
	want := []Message{
		{Text: true, Frames: 1, Size: 2},
		{Text: true, Compressed: true, Frames: 1, Size: 5},
		{Compressed: true, Frames: 3, Size: 7, Controls: 1},
		{Frames: 1, Size: 3},
	}
	cuts(passed, func(pieces [][]byte) {
		var w Wire
		for _, p := range pieces {
			_, _ = w.Write(p)
		}
		got, err := w.Messages()
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("in %d pieces:\n got %+v, error %v\nwant %+v", len(pieces), got, err, want)
		}
		if w.Bytes() != int64(len(passed)) {
			t.Fatalf("got %d bytes, want %d", w.Bytes(), len(passed))
		}
		if got := w.Header().Get("Upgrade"); got != "websocket" {
			t.Fatalf("got Upgrade %q of the head", got)
		}
		if again, _ := w.Messages(); len(again) != 0 {
			t.Fatalf("a message is told twice: %+v", again)
		}
		if code, err := w.CloseCode(t.Context()); code != 1000 || err != nil {
			t.Fatalf("got code %d, error %v, want 1000", code, err)
		}
	})
}

func TestWireTellsWhatMayNotPass(t *testing.T) {
	for name, c := range map[string]struct {
		frames string
		want   error
	}{
		"RSV1 on a Ping":                {"c9 00", errControl},
		"a fragment of a Ping":          {"09 00", errControl},
		"a Ping of 126 bytes":           {"89 7e 007e", errControl},
		"RSV1 on a continuation":        {"01 00 c0 00", errContinuation},
		"a continuation of nothing":     {"80 00", errContinuation},
		"a message inside another":      {"01 00 81 00", errInterrupted},
		"RSV2":                          {"a1 00", errRSV},
		"RSV3":                          {"91 00", errRSV},
		"an opcode that is not defined": {"83 00", errOpcode},
	} {
		cuts(frames(t, c.frames), func(pieces [][]byte) {
			var w Wire
			for _, p := range pieces {
				_, _ = w.Write(p)
			}
			if _, err := w.Messages(); !errors.Is(err, c.want) {
				t.Errorf("%s: got %v, want %v", name, err, c.want)
			}
		})
	}
	var w Wire
	_, _ = w.Write(make([]byte, headLimit+1))
	if _, err := w.Messages(); !errors.Is(err, errNoHead) {
		t.Errorf("what has no head: got %v", err)
	}
	if h := w.Header(); h != nil {
		t.Errorf("what has no head: got fields %v", h)
	}
}

func TestCloseCodeOfNoFrame(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var w Wire
	if _, err := w.CloseCode(ctx); err == nil {
		t.Error("a code of a Close frame that did not pass")
	}
}

func TestRelay(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	r, err := Listen(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	client, err := net.Dial("tcp", r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()

	toServer := append(frames(t), 0x81, 0x80, 0, 0, 0, 0)
	if _, err := client.Write(toServer); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(server, make([]byte, len(toServer))); err != nil {
		t.Fatal(err)
	}
	link := r.OfClient(client.LocalAddr().String())
	if link == nil || link != r.OfServer(server.RemoteAddr().String()) {
		t.Fatalf("both ends find the same link: got %p by the client's address", link)
	}
	if m, err := link.ToServer.Messages(); err != nil || !slices.Equal(m, []Message{{Text: true, Frames: 1}}) {
		t.Errorf("what has arrived has passed: got %+v, error %v", m, err)
	}
	if n := link.ToClient.Bytes(); n != 0 {
		t.Errorf("nothing passed the other way: got %d bytes", n)
	}
	if r.OfServer(client.LocalAddr().String()) != nil || r.OfClient(server.RemoteAddr().String()) != nil {
		t.Error("an address of the other end finds the link")
	}
	r.Reset()
	if _, err := server.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("a reset reaches the server: got %v", err)
	}
}
