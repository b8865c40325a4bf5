package host_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/host/permission"
)

type firstMessage struct {
	host.NoEvents
	got chan []byte
}

func (f *firstMessage) OnMessage(_ *host.Conn, _ host.MessageType, p []byte) {
	f.got <- bytes.Clone(p)
}

// A compressed message of two fragments arrives whole, however the stream is cut.
func TestFragmentedCompressedMessage(t *testing.T) {
	var message []byte
	for i := 0; len(message) < 8192; i++ {
		message = fmt.Appendf(message, "{\"id\": %d, \"name\": \"n%d\"}\n", i*7919, i*i)
	}
	message = message[:8192]
	var z bytes.Buffer
	w, _ := flate.NewWriter(&z, 6)
	w.Write(message)
	w.Flush()
	payload := z.Bytes()[:z.Len()-4]
	frame := func(b0 byte, p []byte) []byte {
		return append(binary.BigEndian.AppendUint16([]byte{b0, 126}, uint16(len(p))), p...)
	}
	f1, f2 := frame(0x41, payload[:256]), frame(0x80, payload[256:])
	p, _ := permission.Parse([]string{"loopback"}, nil)
	h, err := host.New(context.Background(), host.Config{Grant: permission.NewGrant(p, nil)})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for _, style := range []string{"events", "reading"} {
		for name, cut := range map[string]func(head []byte) [][]byte{
			"all at once":              func(head []byte) [][]byte { return [][]byte{bytes.Join([][]byte{head, f1, f2}, nil)} },
			"head and f1, f2":          func(head []byte) [][]byte { return [][]byte{append(head, f1...), f2} },
			"head, f1, f2":             func(head []byte) [][]byte { return [][]byte{head, f1, f2} },
			"head, f1 and f2":          func(head []byte) [][]byte { return [][]byte{head, append(bytes.Clone(f1), f2...)} },
			"head and half f1, others": func(head []byte) [][]byte { return [][]byte{append(head, f1[:100]...), f1[100:], f2} },
		} {
			t.Run(style+"/"+name, func(t *testing.T) {
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer ln.Close()
				go func() {
					nc, err := ln.Accept()
					if err != nil {
						return
					}
					defer nc.Close()
					r, _ := http.ReadRequest(bufio.NewReader(nc))
					sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
					head := []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Accept: " +
						base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n")
					for _, b := range cut(head) {
						nc.Write(b)
						time.Sleep(50 * time.Millisecond)
					}
					nc.Read(make([]byte, 100))
				}()
				ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
				defer cancel()
				o := &host.DialOptions{HTTPVersion: host.HTTP1, Compression: host.Compression{Mode: host.CompressionContextTakeover}}
				f := &firstMessage{got: make(chan []byte, 1)}
				if style == "events" {
					o.Events = f
				}
				c, _, err := h.Dial(ctx, "ws://"+ln.Addr().String()+"/", o)
				if err != nil {
					t.Fatal(err)
				}
				defer c.CloseNow()
				var got []byte
				if style == "events" {
					select {
					case got = <-f.got:
					case <-ctx.Done():
						t.Fatal(ctx.Err())
					}
				} else if _, got, err = c.Read(ctx); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, message) {
					i := 0
					for i < min(len(got), len(message)) && got[i] == message[i] {
						i++
					}
					t.Errorf("got %d bytes, want %d; they differ from byte %d on:\n got %.60q\nwant %.60q", len(got), len(message), i, got[i:], message[i:])
				}
			})
		}
	}
}
