package tests

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasock/wasock/hostcalls"
	"github.com/wasock/wasock/protocol"
	"github.com/wasock/wasock/wasm"
)

var update = flag.Bool("update", false, "rewrite testdata/*.log")

// client is the peer of a server, server that of a client.
var client, server = peer{protocol.Client}, peer{protocol.Server}

func join(list ...[]byte) []byte { return bytes.Join(list, nil) }

// The calls and hostcalls of a client, from URL to freed handle, are those of
// testdata/client.log.
func TestClientLog(t *testing.T) {
	wantLog(t, "client.log", func(e *embedding) {
		o := hostcalls.Open{URL: []byte("wss://user:pass@example.com:8443/chat?a=b"), Subprotocols: []byte("chat,superchat"),
			Fields: hostcalls.AppendField(nil, "Origin", "https://example.com")}
		h := e.open(o)
		e.events(h, 0, e.export("stream_connected", h, 0, e.now))
		// The response and the first frame come together.
		e.receive(h, 0, append(answerRequest(e.takeOut(), "Sec-WebSocket-Protocol: chat\r\n"), server.frame(0x81, "Welcome")...))
		e.pass(time.Second)
		e.send(h, sendRecord(hostcalls.OpText, hostcalls.SendFIN, "Hello"), sendRecord(hostcalls.OpPing, hostcalls.SendFIN, "ping"),
			sendRecord(hostcalls.OpBinary, 0, "frag"), sendRecord(hostcalls.OpContinuation, hostcalls.SendFIN, "ment", 8),
			sendRecord(hostcalls.OpContinuation, hostcalls.SendFIN|hostcalls.SendPart, "part", 8))
		e.receive(h, 1, join(server.frame(0x8a, "ping"), server.frame(0x01, "frag"), server.frame(0x89, "are you there?"), server.frame(0x80, "ment")))
		// Credit for three bytes: the rest stays unread, and is given again.
		e.events(h, 0, e.export("conn_credit", h, 0, 3, e.now))
		in := server.frame(0x82, "credit")
		e.receive(h, 0, in)
		fmt.Fprintf(&e.log, "  unread %d\n", e.unread(0))
		e.events(h, 0, e.export("conn_credit", h, 0, 1<<20, e.now))
		e.receive(h, 0, in[len(in)-int(e.unread(0)):])
		e.receive(h, 0, in[len(in)-3:])
		fmt.Fprintf(&e.log, "  unread %d\n", e.unread(0))
		// While the output is blocked only the last Ping is answered.
		e.events(h, 0, e.export("stream_blocked", h, 0, 1, e.now))
		e.receive(h, 0, join(server.frame(0x89, "one"), server.frame(0x89, "two")))
		e.events(h, 0, e.export("stream_blocked", h, 0, 0, e.now))
		e.pass(16 * time.Second)
		e.events(h, 0, e.export("conn_timeout", h, 0, 0, e.now))
		e.write(e.tx(0), []byte("bye"))
		e.events(h, 0, e.export("conn_close", h, 0, 1000, 3, e.now))
		e.receive(h, 0, server.frame(0x88, "\x03\xe8bye"))
		e.events(h, 0, e.export("stream_ended", h, 0, e.now))
		e.export("conn_free", h)
		e.export("conn_free", h)

		o = hostcalls.Open{URL: []byte("ws://Bücher.example/")}
		h = e.open(o)
		e.events(h, 0, e.export("stream_ended", h, 0, e.now)) // the transport could not be connected
		e.export("conn_free", h)
		e.connectErrno = hostcalls.EACCES
		e.open(o)
		e.connectErrno = hostcalls.OK
		h = e.open(hostcalls.Open{URL: []byte("ws://[::1]/")})
		e.events(h, 0, e.export("stream_connected", h, 0, e.now))
		e.receive(h, 0, []byte("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"))
		e.export("conn_free", h)
	})
}

// The calls and hostcalls of a client whose transport is an Extended CONNECT
// stream are those of testdata/http2.log.
func TestHTTP2ClientLog(t *testing.T) {
	wantLog(t, "http2.log", func(e *embedding) {
		h := e.open(hostcalls.Open{URL: []byte("wss://user:pass@example.com:8443/chat?a=b"), Subprotocols: []byte("chat,superchat"),
			Fields: hostcalls.AppendField(nil, "Origin", "https://example.com")})
		e.logBlock(0, e.export("connect_request", h, 0, e.now))
		e.logBlock(1, e.export("connect_request", h, 1, e.now)) // the first stream was refused
		e.respond(h, 200, hostcalls.AppendField(nil, "sec-websocket-protocol", "chat"))
		e.receive(h, 0, server.frame(0x81, "Welcome"))
		e.send(h, sendRecord(hostcalls.OpText, hostcalls.SendFIN, "Hello"))
		e.export("connect_request", h, 0, e.now) // it is open
		e.respond(h, 200, nil)
		e.export("conn_free", h)

		h = e.open(hostcalls.Open{URL: []byte("ws://example.com/")})
		e.respond(h, 200, nil) // nothing was asked for
		e.logBlock(0, e.export("connect_request", h, 0, e.now))
		e.respond(h, 403, hostcalls.AppendField(nil, "content-length", "0"))
		e.export("conn_free", h)

		// HTTP/1.1 is asked after HTTP/2 could not be.
		h = e.open(hostcalls.Open{URL: []byte("ws://example.com/")})
		e.logBlock(0, e.export("connect_request", h, 0, e.now))
		e.events(h, 0, e.export("stream_connected", h, 0, e.now))
		e.respond(h, 200, nil)
		e.export("connect_request", h, 0, e.now)
		e.receive(h, 0, answerRequest(e.takeOut(), ""))
		e.export("conn_free", h)

		h = e.open(hostcalls.Open{URL: []byte("ws://example.com/")})
		e.export("connect_request", h, 0, e.now)
		e.pass(10 * time.Second)
		e.events(h, 0, e.export("conn_timeout", h, 0, 0, e.now)) // no response came
		e.export("conn_free", h)

		h = e.accept(serverAccept())
		e.export("connect_request", h, 0, e.now) // a server
	})
}

// The calls and hostcalls of a server that agreed to permessage-deflate are those of
// testdata/deflate.log. The messages are of RFC 7692 §7.2.3.
func TestDeflateLog(t *testing.T) {
	wantLog(t, "deflate.log", func(e *embedding) {
		a := serverAccept()
		a.Fields = hostcalls.AppendField(a.Fields, "Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=10; client_max_window_bits")
		a.Compression = hostcalls.Compression{Mode: hostcalls.CompressionContextTakeover, WindowBits: 12, Threshold: 5}
		h := e.accept(a)
		e.logRecords(h)
		e.receive(h, 0, join(client.frame(0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00"), client.frame(0xc1, "\xf2\x00\x11\x00\x00"), client.frame(0x81, "plain")))
		fin, part := uint8(hostcalls.SendFIN), uint8(hostcalls.SendPart)
		e.send(h, sendRecord(hostcalls.OpText, fin, "Hello"), sendRecord(hostcalls.OpText, fin, "Hello"),
			sendRecord(hostcalls.OpText, fin|hostcalls.SendPlain, "Hello"), sendRecord(hostcalls.OpText, fin, "shrt"), sendRecord(hostcalls.OpPing, fin, "ping"))
		// A message in records leaves in as many frames, and one in fragments is compressed.
		e.send(h, sendRecord(hostcalls.OpText, fin, "HelloHello", 15), sendRecord(hostcalls.OpText, fin|part, "Hello", 15),
			sendRecord(hostcalls.OpBinary, 0, "a"), sendRecord(hostcalls.OpContinuation, fin, ""))
		e.send(h, sendRecord(hostcalls.OpBinary, fin|hostcalls.SendApart, "", 70000))
		e.send(h, sendRecord(hostcalls.OpText, fin, "Hel", 5), sendRecord(hostcalls.OpPing, fin, "in between"))
		e.receive(h, 0, client.frame(0xc1, "\x06"))
		e.export("conn_free", h)

		a.Fields = hostcalls.AppendField(serverAccept().Fields, "Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=16")
		h = e.accept(a) // declined
		e.logRecords(h)
		a.Compression.WindowBits = 7
		e.accept(a)
	})
}

// The calls and hostcalls of a server, from request to freed handle, are those
// of testdata/server.log.
func TestServerLog(t *testing.T) {
	wantLog(t, "server.log", func(e *embedding) {
		a := serverAccept()
		a.Limits = hostcalls.Limits{}
		a.ResponseFields = hostcalls.AppendField(nil, "Server", "test")
		h := e.accept(a)
		e.logRecords(h)
		e.receive(h, 0, join(client.frame(0x81, "Hello"), client.frame(0x89, "ping")))
		e.send(h, sendRecord(hostcalls.OpText, hostcalls.SendFIN, "Hello"), sendRecord(hostcalls.OpPong, hostcalls.SendFIN, ""),
			sendRecord(hostcalls.OpBinary, hostcalls.SendFIN, strings.Repeat("a", 126)))
		// Payloads of 4 KiB and more stay where they are: each begins a segment.
		e.send(h, sendRecord(hostcalls.OpText, hostcalls.SendFIN, "b"), sendRecord(hostcalls.OpText, hostcalls.SendFIN, strings.Repeat("c", 4096)),
			sendRecord(hostcalls.OpText, hostcalls.SendFIN, "d"))
		e.send(h, sendRecord(hostcalls.OpText, hostcalls.SendFIN, "sent"), sendRecord(hostcalls.OpContinuation, hostcalls.SendFIN, "out of order"))
		e.receive(h, 0, server.frame(0x81, "not masked"))
		e.send(h, sendRecord(hostcalls.OpText, hostcalls.SendFIN, "too late"))
		e.pass(6 * time.Second)
		e.events(h, 0, e.export("conn_timeout", h, 0, 0, e.now))
		e.export("conn_free", h)

		h = e.accept(a)
		e.pass(20 * time.Second)
		e.events(h, 0, e.export("conn_timeout", h, 0, 0, e.now)) // a Ping
		e.pass(20 * time.Second)
		e.events(h, 0, e.export("conn_timeout", h, 0, 0, e.now)) // the end
		e.events(h, 0, e.export("stream_ended", h, 0, e.now))
		e.export("conn_free", h)

		h = e.accept(a)
		e.receive(h, 0, client.frame(0x88, "\x03\xe9going"))
		e.export("conn_free", h)

		a.Fields = hostcalls.AppendField(nil, "Host", "server.example.com")
		e.logRecords(e.accept(a))
	})
}

// wantLog runs a scripted conversation with the compiler and the interpreter and
// compares its log with the golden file.
func wantLog(t *testing.T, file string, script func(e *embedding)) {
	path := filepath.Join("testdata", file)
	for _, mode := range engineModes {
		t.Run(mode.name, func(t *testing.T) {
			e := newEmbedding(t, mode.runtime)
			e.entropy = countingEntropy()
			script(e)
			got := e.log.String()
			if *update && mode.name == "compiler" {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			gotLines, wantLines := strings.Split(got, "\n"), strings.Split(string(want), "\n")
			for i := range min(len(gotLines), len(wantLines)) {
				if gotLines[i] != wantLines[i] {
					t.Fatalf("%s:%d: the log is\n%s\nwant\n%s", path, i+1, strings.Join(gotLines[max(i-3, 0):i+1], "\n"), wantLines[i])
				}
			}
			if len(gotLines) != len(wantLines) {
				t.Fatalf("the log has %d lines, %s has %d", len(gotLines), path, len(wantLines))
			}
		})
	}
}

// pass lets time pass.
func (e *embedding) pass(d time.Duration) { e.now += int64(d) }

// logRecords logs what conn_accept, which returned h, left in tx.
func (e *embedding) logRecords(h int64) {
	e.Helper()
	b := e.read(e.tx(0), 4096)
	r, n, err := hostcalls.ConsumeResponse(b)
	fmt.Fprintf(&e.log, "  response %s %v\n", printResponse(r), err)
	if h == int64(hostcalls.EPROTO.Ret()) {
		f, err := hostcalls.ConsumeFailure(b[n:])
		fmt.Fprintf(&e.log, "  error %s %v\n", printFailure(f), err)
	}
}

// logBlock logs the field block of n bytes in tx.
func (e *embedding) logBlock(lane uint32, n int32) {
	e.Helper()
	if n < 0 {
		e.Fatalf("there is no field block: %v\n%s", hostcalls.Errno(-n), e.lastLog())
	}
	fmt.Fprintf(&e.log, "  fields%s\n", printFields(e.read(e.tx(lane), uint32(n))))
}

// respond answers an Extended CONNECT.
func (e *embedding) respond(h int64, status uint32, fields []byte) []string {
	e.Helper()
	b := hostcalls.AppendResponse(nil, hostcalls.Response{Status: status, Fields: fields})
	e.write(e.tx(0), b)
	r := e.export("connect_response", h, 0, int64(len(b)), e.now)
	if r == hostcalls.ESTATE.Ret() {
		return nil
	}
	return e.events(h, 0, r)
}

// A handle that was freed names no connection until 2,047 more have been opened
// in its place. ABI.md §1.
func TestHandlesAreNotReused(t *testing.T) {
	e := newEmbedding(t, compiledEngine)
	other := e.accept(serverAccept())
	seen := map[int64]bool{other: true}
	for range 2047 {
		h := e.accept(serverAccept())
		if h < 1 || seen[h] {
			t.Fatalf("after %d connections the handle is %#x", len(seen), h)
		}
		seen[h] = true
		if r := e.export("conn_free", h); r != 0 {
			t.Fatalf("conn_free(%#x) = %d", h, r)
		}
		e.log.Reset()
	}
	for h := range seen {
		want := hostcalls.EBADF.Ret()
		if h == other {
			want = 0
		}
		if r := e.export("stream_blocked", h, 0, 0, e.now); r != want {
			t.Errorf("with the handle %#x stream_blocked returns %d, want %d", h, r, want)
		}
	}
}

// More events than a lane holds come in several calls, and so does what follows a
// message; stream_received is busy between them.
func TestMoreEventsThanALaneHolds(t *testing.T) {
	for _, n := range []int{1, 510, 511, 512, 1022, 1023, 1500} {
		e := newEmbedding(t, compiledEngine)
		h := e.accept(serverAccept())
		var in []byte
		var want []string
		for i := range n {
			payload := fmt.Sprint(i)
			in = append(in, client.frame(0x82, payload)...)
			want = append(want, fmt.Sprintf("binary first last rest 0, %q", payload))
		}
		in = append(in, client.frame(0x89, "ping")...)
		e.write(e.rx(2), in)
		r := e.export("stream_received", h, 2, int64(len(in)), e.now)
		if r&hostcalls.More == 0 {
			t.Errorf("of %d messages before a Ping it returned %#x: the host is to answer them first", n, r)
		}
		if uint32(n) > e.layout.EventsCap {
			if again := e.export("stream_received", h, 3, 0, e.now); again != hostcalls.EBUSY.Ret() {
				t.Errorf("with input left stream_received returns %d, want EBUSY", again)
			}
		}
		if got := e.events(h, 2, r); !slices.Equal(got, want) {
			t.Errorf("of %d events %d came, or in another order", n, len(got))
		}
		if got, want := e.takeOut(), server.frame(0x8a, "ping"); !bytes.Equal(got, want) {
			t.Errorf("after %d events the output is % x, want % x", n, got, want)
		}
		if e.unread(2) != 0 {
			t.Errorf("after %d events %d bytes are unread", n, e.unread(2))
		}
	}
}

// A lane's addresses stay when the memory grows.
func TestLanesStayWhenTheMemoryGrows(t *testing.T) {
	e := newEmbedding(t, compiledEngine)
	before := e.mod.Memory().Size()
	a := serverAccept()
	var handles []int64
	for i := 0; e.mod.Memory().Size() == before; i++ {
		handles = append(handles, e.accept(a))
		e.log.Reset()
		if i > 100_000 {
			t.Fatal("the memory does not grow")
		}
	}
	l, err := hostcalls.ConsumeLayout(e.read(uint32(e.export("engine_layout")), hostcalls.LayoutSize))
	if err != nil || l != e.layout {
		t.Errorf("the layout is %+v, %v, it was %+v", l, err, e.layout)
	}
	for _, h := range handles[len(handles)-3:] {
		if got := e.receive(h, 3, client.frame(0x81, "Hello")); !slices.Equal(got, []string{`text first last rest 0, "Hello"`}) {
			t.Errorf("the events are %q", got)
		}
	}
}

// The module's imports and exports are those of ABI.md, with their types.
func TestModuleHasTheSurface(t *testing.T) {
	r, err := compiledEngine()
	if err != nil {
		t.Fatal(err)
	}
	s := hostcalls.ABI()
	want := map[string]string{"export _initialize": "[] []"}
	for _, f := range s.Exports {
		want["export "+f.Name] = fmt.Sprint(valueTypes(f.Params), []byte{0x7f})
	}
	for _, f := range s.Hostcalls {
		want[hostcalls.Module+" "+f.Name] = fmt.Sprint(valueTypes(f.Params), []byte{0x7f})
	}
	got := map[string]string{}
	for name, f := range r.module.ExportedFunctions() {
		got["export "+name] = fmt.Sprint(f.ParamTypes(), f.ResultTypes())
	}
	document, err := os.ReadFile("../hostcalls/ABI.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.module.ImportedFunctions() {
		module, name, _ := f.Import()
		if module == "wasi_snapshot_preview1" {
			if !strings.Contains(string(document), "`"+name+"`") {
				t.Errorf("ABI.md §7 does not name the import %s", name)
			}
			continue
		}
		got[module+" "+name] = fmt.Sprint(f.ParamTypes(), f.ResultTypes())
	}
	for name, types := range want {
		if got[name] != types {
			t.Errorf("%s has the type %q, want %s", name, got[name], types)
		}
		delete(got, name)
	}
	for name := range got {
		t.Errorf("ABI.md does not name %s", name)
	}
}

// The engine's size is what a page has to load.
func TestEngineSize(t *testing.T) {
	const maxRaw, maxGzip, nearRaw, nearGzip = 2_726_297, 819_200, 2_600_000, 800_000
	var compressed bytes.Buffer
	w, err := gzip.NewWriterLevel(&compressed, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(wasm.Engine); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	raw, zipped := len(wasm.Engine), compressed.Len()
	t.Logf("engine.wasm has %d bytes, %d in gzip", raw, zipped)
	if raw > maxRaw || zipped > maxGzip {
		t.Errorf("engine.wasm has %d bytes and %d in gzip: the limits are %d and %d", raw, zipped, maxRaw, maxGzip)
	} else if raw > nearRaw || zipped > nearGzip {
		t.Logf("it is near its limits of %d and %d", maxRaw, maxGzip)
	}
}
