package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

const (
	// handshakeTimeout bounds an opening handshake and a verified round trip.
	// It is long because a loaded machine is slow, not because servers are.
	handshakeTimeout = 10 * time.Second

	// concurrentBytes is the request size from which a connection writes and
	// reads at the same time. A server may echo a message while the rest of
	// the batch is still on its way; were nobody reading, both directions could
	// fill up and stand still. With Linux's defaults the socket buffers hold
	// 64 KiB each way, so half of that can be written first, without a goroutine.
	concurrentBytes = 32 << 10

	// connsPerSource is the number of connections from one loopback address.
	// The default range of ephemeral ports has 28,232.
	connsPerSource = 20000
)

// The key and the accept value are those of the example in
// https://www.rfc-editor.org/rfc/rfc6455#section-1.3.
const (
	handshakeKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	handshakeAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// A target is an echo server to connect to.
type target struct {
	addr string // host:port
	path string
	raw  bool // echoes bytes, not messages

	offer string // Sec-WebSocket-Extensions, "" for none
}

// newBatch is newBatch with the reply that t gives.
func (t target) newBatch(seed uint64, count, size int) *batch {
	b := newBatch(seed, count, size)
	if t.raw {
		return b.raw()
	}
	return b
}

// dial connects to t and completes the opening handshake. source numbers the
// connections open at the same time from 0; it decides the address to dial from.
//
// Close resets the connection: that leaves no TIME_WAIT behind, with which a
// minute of handshakes would use up the ports.
func dial(ctx context.Context, t target, source int) (_ *net.TCPConn, err error) {
	d := net.Dialer{Timeout: handshakeTimeout, KeepAlive: -1}
	if n := source / connsPerSource; n > 0 {
		d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(1+n))}
		d.Control = bindWithoutPort
	}
	nc, err := d.DialContext(ctx, "tcp", t.addr)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	conn := nc.(*net.TCPConn)
	defer func() {
		if err != nil {
			conn.Close()
		}
	}()

	if err := conn.SetLinger(0); err != nil {
		return nil, fmt.Errorf("setting the way to close: %w", err)
	}
	if err := conn.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return nil, fmt.Errorf("setting a deadline: %w", err)
	}
	if err := handshake(conn, t); err != nil {
		return nil, fmt.Errorf("opening handshake: %w", err)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("clearing a deadline: %w", err)
	}
	return conn, nil
}

// handshake is the client's side of
// https://www.rfc-editor.org/rfc/rfc6455#section-4.1, as far as a benchmark
// needs it: status and accept value are checked.
func handshake(conn *net.TCPConn, t target) error {
	request := "GET " + t.path + " HTTP/1.1\r\nHost: " + t.addr +
		"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " + handshakeKey +
		"\r\nSec-WebSocket-Version: 13\r\n"
	if t.offer != "" {
		request += "Sec-WebSocket-Extensions: " + t.offer + "\r\n"
	}
	request += "\r\n"
	if _, err := conn.Write([]byte(request)); err != nil {
		return fmt.Errorf("writing the request: %w", err)
	}
	var head [2048]byte
	n := 0
	for {
		k, err := conn.Read(head[n:])
		if err != nil {
			return fmt.Errorf("reading the response: %w", err)
		}
		n += k
		end := bytes.Index(head[:n], []byte("\r\n\r\n"))
		if end < 0 && n < len(head) {
			continue
		}
		status, _, _ := bytes.Cut(head[:n], []byte("\r\n"))
		switch {
		case end < 0:
			return fmt.Errorf("response head is over %d bytes", len(head))
		case !bytes.HasPrefix(status, []byte("HTTP/1.1 101 ")):
			return fmt.Errorf("response is %q, want status 101", status)
		case !bytes.Contains(head[:end], []byte(handshakeAccept)):
			return errors.New("response has not the accept value of the key")
		case end+4 != n:
			return fmt.Errorf("%d bytes follow the response before anything was sent", n-end-4)
		}
		return nil
	}
}

// exchange writes b's request and reads until as many bytes as b's reply are
// there. It hands each piece that it reads to check, with its offset in the
// reply; check may be nil. buf should be larger than the reply: a server that
// sends too much is noticed when the surplus arrives with the end of a reply.
func exchange(conn *net.TCPConn, b *batch, buf []byte, check func(offset int, piece []byte) error) error {
	if len(b.request) < concurrentBytes {
		if _, err := conn.Write(b.request); err != nil {
			return fmt.Errorf("writing %d messages: %w", b.messages, err)
		}
		return readReply(conn, b, buf, check)
	}

	written := make(chan error, 1)
	go func() {
		_, err := conn.Write(b.request)
		written <- err
	}()
	if err := readReply(conn, b, buf, check); err != nil {
		conn.Close() // ends the write
		<-written
		return err
	}
	if err := <-written; err != nil {
		return fmt.Errorf("writing %d messages: %w", b.messages, err)
	}
	return nil
}

// readReply is exchange after the write.
func readReply(conn *net.TCPConn, b *batch, buf []byte, check func(offset int, piece []byte) error) error {
	for offset := 0; offset < len(b.reply); {
		n, err := conn.Read(buf)
		if err != nil {
			return fmt.Errorf("reading a reply, %d of %d bytes are there: %w", offset, len(b.reply), err)
		}
		piece := buf[:min(n, len(b.reply)-offset)]
		if check != nil {
			if err := check(offset, piece); err != nil {
				return err
			}
		}
		if surplus := n - len(piece); surplus > 0 {
			return fmt.Errorf("server sent more than the %d bytes of the reply: %d bytes are left over", len(b.reply), surplus)
		}
		offset += n
	}
	return nil
}

// verify makes one exchange and compares every byte of the reply.
func verify(conn *net.TCPConn, b *batch, buf []byte) error {
	if err := conn.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return fmt.Errorf("setting a deadline: %w", err)
	}
	err := exchange(conn, b, buf, func(offset int, piece []byte) error {
		for i, got := range piece {
			if want := b.reply[offset+i]; got != want {
				return fmt.Errorf("reply differs from the echo at byte %d of %d: got %#02x, want %#02x", offset+i, len(b.reply), got, want)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return fmt.Errorf("clearing a deadline: %w", err)
	}
	return nil
}

// bindWithoutPort leaves the choice of a port to connect, which knows the
// destination; bind would need a port that no other connection has.
// https://man7.org/linux/man-pages/man7/ip.7.html
func bindWithoutPort(_, _ string, raw syscall.RawConn) error {
	const ipBindAddressNoPort = 24
	var err error
	if cerr := raw.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, ipBindAddressNoPort, 1)
	}); cerr != nil {
		return cerr
	}
	return err
}
