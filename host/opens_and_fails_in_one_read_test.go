package host_test

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/host/permission"
)

// A server's 101, a message and a frame that breaks the protocol arrive in one read.
func TestOpensAndFailsInOneRead(t *testing.T) {
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
		nc.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
			base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n\x81\x05Hello\xc1\x00"))
		nc.Read(make([]byte, 100))
	}()
	p, _ := permission.Parse([]string{"loopback"}, nil)
	h, err := host.New(context.Background(), host.Config{Grant: permission.NewGrant(p, nil)})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c, resp, err := h.Dial(ctx, "ws://"+ln.Addr().String()+"/", nil)
	if err != nil {
		t.Fatalf("the opening handshake was completed: Dial returns %v (status %d)", err, resp.StatusCode)
	}
	_, m, err := c.Read(ctx)
	if string(m) != "Hello" || err != nil {
		t.Errorf("the message arrived: got %q, %v", m, err)
	}
	_, _, err = c.Read(ctx)
	t.Log(err)
}
