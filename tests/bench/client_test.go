package main

import (
	"bytes"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// serveEach accepts connections on a loopback port of the test's own, and hands
// each to handle.
func serveEach(t *testing.T, handle func(net.Conn)) target {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				handle(conn)
			}()
		}
	}()
	return target{addr: ln.Addr().String(), path: "/"}
}

func TestHandshakeRefusesOtherResponses(t *testing.T) {
	const accepted = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: " + handshakeAccept + "\r\n\r\n"
	for _, test := range []struct {
		name, response string
		want           string // part of the error, "" for none
	}{
		{"accepted", accepted, ""},
		{"refused", "HTTP/1.1 400 Bad Request\r\n\r\n", "400 Bad Request"},
		{"accept value of another key", strings.Replace(accepted, "s3p", "S3P", 1), "accept value"},
		{"frame before any message", accepted + "\x89\x00", "2 bytes follow"},
		{"endless head", "HTTP/1.1 101 Switching Protocols\r\n" + strings.Repeat("X: y\r\n", 1000), "over 2048 bytes"},
		{"half a head", accepted[:40], "EOF"},
	} {
		t.Run(test.name, func(t *testing.T) {
			srv := serveEach(t, func(conn net.Conn) {
				var request [512]byte
				if _, err := conn.Read(request[:]); err != nil {
					return
				}
				io.WriteString(conn, test.response)
			})
			conn, err := dial(t.Context(), srv, 0)
			if err == nil {
				conn.Close()
			}
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want %q", err, test.want)
			}
		})
	}
}

// TestWrongEchoesFail runs the client against servers that answer each batch
// with something else than its echo, in a small and in a large batch: the large
// one is written and read at the same time.
func TestWrongEchoesFail(t *testing.T) {
	for _, size := range []int{64, 100 << 10} {
		load := newBatch(0, 2, size)
		flipped := bytes.Clone(load.reply)
		flipped[len(flipped)-1] ^= 1
		swapped := slices.Concat(load.reply[len(load.reply)/2:], load.reply[:len(load.reply)/2])
		for _, test := range []struct {
			name  string
			reply []byte
			want  string // part of the error, "" for none
		}{
			{"the echo", load.reply, ""},
			{"last byte flipped", flipped, "differs from the echo"},
			{"messages swapped", swapped, "differs from the echo"},
			{"masked", load.request, "differs from the echo"},
			{"one byte short", load.reply[:len(load.reply)-1], "EOF"},
		} {
			t.Run(sizeOf(size)+", "+test.name, func(t *testing.T) {
				srv := serveEach(t, func(conn net.Conn) {
					if acceptUpgrade(conn) != nil {
						return
					}
					if _, err := io.ReadFull(conn, make([]byte, len(load.request))); err != nil {
						return
					}
					conn.Write(test.reply)
				})
				conn, err := dial(t.Context(), srv, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				err = verify(conn, load, make([]byte, len(load.reply)+1))
				if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
					t.Errorf("got error %v, want %q", err, test.want)
				}
			})
		}
	}
}

// TestSurplusFails reads the echo and one byte more. They leave the server in
// one segment, so that the client sees them together.
func TestSurplusFails(t *testing.T) {
	load := newBatch(0, 1, 64)
	srv := serveEach(t, func(conn net.Conn) {
		if acceptUpgrade(conn) != nil {
			return
		}
		if _, err := io.ReadFull(conn, make([]byte, len(load.request))); err != nil {
			return
		}
		conn.Write(append(bytes.Clone(load.reply), 0))
	})
	conn, err := dial(t.Context(), srv, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	err = verify(conn, load, make([]byte, len(load.reply)+1))
	if err == nil || !strings.Contains(err.Error(), "1 bytes are left over") {
		t.Errorf("got error %v, want one of a byte left over", err)
	}
}

func TestConnectionThatIsNotAcceptedIsNamed(t *testing.T) {
	var accepted atomic.Int64
	srv := serveEach(t, func(conn net.Conn) {
		if accepted.Add(1) > 1 {
			return
		}
		if acceptUpgrade(conn) == nil {
			_ = echoBytes(conn.(*net.TCPConn))
		}
	})
	srv.raw = true
	r := row{Name: "2x64", Kind: echoRow, Conns: 2, Size: 64, InFlight: 1}
	_, err := measureEcho(t.Context(), srv, r, window{duration: time.Minute})
	if err == nil || !strings.Contains(err.Error(), "connection 2 of 2") {
		t.Errorf("got error %v, want one of connection 2", err)
	}
}

func TestDialFromSeveralAddresses(t *testing.T) {
	remote := make(chan string, 2)
	srv := serveEach(t, func(conn net.Conn) {
		host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
		remote <- host
		_ = acceptUpgrade(conn)
	})
	for source, want := range map[int]string{connsPerSource - 1: "127.0.0.1", connsPerSource: "127.0.0.2"} {
		conn, err := dial(t.Context(), srv, source)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		if got := <-remote; got != want {
			t.Errorf("connection %d came from %s, want %s", source, got, want)
		}
	}
}
