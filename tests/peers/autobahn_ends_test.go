package peers

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/protocol"
	"github.com/wasock/wasock/tests/native"
)

// Section 9 has messages of 16 MiB, and one of 65,536 fragments.
const (
	autobahnMessageLimit = 64 << 20
	autobahnPartLimit    = 1_000_000
)

func startAutobahnEcho(t *testing.T, creds *credentials) string {
	t.Helper()
	return startEcho(t, creds, "--compress",
		"--message-limit", strconv.Itoa(autobahnMessageLimit), "--part-limit", strconv.Itoa(autobahnPartLimit))
}

// echoAlone starts wasock echo.
func echoAlone(t *testing.T, _ pairing) string { return startAutobahnEcho(t, nil) }

// echoBehindHAProxy starts wasock echo and, in front of it, HAProxy, which makes an
// Extended CONNECT of HTTP/1.1. It offers our server h2 alone, so it is HTTP/2 or
// nothing.
func echoBehindHAProxy(t *testing.T, p pairing) string {
	t.Helper()
	creds := newCredentials(t)
	ours := startAutobahnEcho(t, creds)
	return startHAProxy(t, p.row, "", "ssl verify required ca-file CA alpn h2 ws h2", ours, creds)
}

// startHAProxy returns the host and port of a HAProxy that goes on to a server. What
// bind and server say is as for haproxy.
func startHAProxy(t *testing.T, row, bind, server, authority string, creds *credentials) string {
	t.Helper()
	program := need(t, row, haproxyTool)
	port, dir := freePort(t), t.TempDir()
	file := write(t, dir, "haproxy.cfg", []byte(haproxy(bind, server)(dir, port, authority, creds)))
	start(t, nil, program, haproxyArgs(dir, file)...).accepts(t, port)
	return address(port)
}

// visitAlone visits by package host.
func visitAlone(_ *testing.T, p pairing, authority string) visit {
	return visitByHost(p, authority, nil)
}

// visitThroughHAProxy visits by package host over HTTP/2, of which HAProxy makes
// HTTP/1.1.
func visitThroughHAProxy(t *testing.T, p pairing, authority string) visit {
	t.Helper()
	creds := newCredentials(t)
	front := startHAProxy(t, p.row, "ssl crt CERT alpn h2", "", authority, creds)
	return visitByHost(p, front, creds.clientTLS())
}

// visitByHost visits with an EventHandler: a message that arrives with a frame that
// fails the connection is answered before it fails.
func visitByHost(p pairing, authority string, config *tls.Config) visit {
	o := host.DialOptions{
		TLS: config, HTTPVersion: p.version,
		Compression: host.Compression{Mode: host.CompressionContextTakeover, Threshold: 1},
		Limits:      host.Limits{MessageLimit: autobahnMessageLimit, PartLimit: autobahnPartLimit},
	}
	return func(ctx context.Context, path string, back func(p []byte) bool) error {
		v, o := &visitor{ctx: ctx, back: back}, o
		o.Events = v
		_, _, err := ourHost.Dial(ctx, p.scheme()+"://"+authority+path, &o)
		// Dial has an error also for a connection that opens and fails in one read.
		c := v.opened.Load()
		if c == nil {
			return errors.Join(errors.New("it was not opened"), err)
		}
		defer func() { _ = c.CloseNow() }()
		if got := c.HTTPVersion(); got != p.version {
			return fmt.Errorf("it was opened over %v, want %v", got, p.version)
		}
		select {
		case <-c.Done():
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// A visitor is the EventHandler of one visit.
type visitor struct {
	host.NoEvents
	ctx    context.Context
	back   func(p []byte) bool
	opened atomic.Pointer[host.Conn]
}

func (v *visitor) OnOpen(c *host.Conn) { v.opened.Store(c) }

func (v *visitor) OnMessage(c *host.Conn, t host.MessageType, p []byte) {
	if !v.back(p) {
		return
	}
	// Any other error is of a connection that is ending, which Autobahn judges.
	if errors.Is(c.Send(t, p), host.ErrSendQueueFull) {
		_ = c.Write(v.ctx, t, p)
	}
}

// nativeConfig returns what a native Conn is made with. Its scratch is its own.
func nativeConfig() *protocol.Config {
	return &protocol.Config{
		MessageLimit: autobahnMessageLimit, PartLimit: autobahnPartLimit,
		Random:  func(b []byte) { _, _ = rand.Read(b) }, // it never fails
		Scratch: make([]byte, 64<<10),
	}
}

var nativeCompression = protocol.Compression{Mode: protocol.CompressionContextTakeover, Threshold: 1}

// serveNative starts a server of package native.
func serveNative(t *testing.T, _ pairing) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return // it was closed
			}
			serving.Go(func() {
				c, err := native.Accept(nc, protocol.ServerOptions{Compression: nativeCompression}, nativeConfig())
				if err != nil {
					t.Errorf("a configuration of ours is refused: %v", err)
					return
				}
				_ = c.Run(native.Messages(c.Send)) // Autobahn judges how it ends
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		serving.Wait()
	})
	return ln.Addr().String()
}

// visitNative visits by package native.
func visitNative(_ *testing.T, _ pairing, authority string) visit {
	return func(ctx context.Context, path string, back func(p []byte) bool) error {
		nc, err := new(net.Dialer).DialContext(ctx, "tcp", authority)
		if err != nil {
			return err
		}
		c, err := native.Open(nc, "ws://"+authority+path, protocol.ClientOptions{Compression: nativeCompression}, nativeConfig())
		if err != nil {
			return errors.Join(err, nc.Close())
		}
		defer context.AfterFunc(ctx, func() { _ = nc.Close() })()
		opened := false
		messages := native.Messages(func(op protocol.Opcode, p []byte) error {
			if back(p) {
				return c.Send(op, p)
			}
			return nil
		})
		err = c.Run(func(ev *protocol.Event) error {
			opened = opened || ev.Kind == protocol.KindOpen
			return messages(ev)
		})
		if opened {
			err = nil
		}
		return errors.Join(err, ctx.Err())
	}
}
