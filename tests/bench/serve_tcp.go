package main

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
)

// serveTCP answers the opening handshake and then echoes the bytes that it
// reads, whatever they are. It is the limit: one read and one write for as many
// messages as there are, nothing parsed, and no buffer while a connection is
// idle.
func serveTCP(ln net.Listener) error {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return fmt.Errorf("accepting: %w", err)
		}
		go func() {
			defer conn.Close()
			// The client sees what goes wrong here as a lost connection.
			if err := acceptUpgrade(conn); err == nil {
				_ = echoBytes(conn.(*net.TCPConn))
			}
		}()
	}
}

// acceptUpgrade reads a request and answers 101 without any check of it. It
// relies on the client sending nothing more before it has the answer.
func acceptUpgrade(conn net.Conn) error {
	const keyField = "Sec-WebSocket-Key: "
	var head [2048]byte
	n := 0
	for !bytes.HasSuffix(head[:n], []byte("\r\n\r\n")) {
		k, err := conn.Read(head[n:])
		if err != nil {
			return err
		}
		n += k
	}
	_, key, ok := bytes.Cut(head[:n], []byte(keyField))
	if !ok {
		return errors.New("request has no " + keyField)
	}
	key, _, _ = bytes.Cut(key, []byte("\r\n"))
	sum := sha1.Sum(append(bytes.Clone(key), "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...)) // https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
	_, err := conn.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n"))
	return err
}

// echoBuffers holds a buffer for each goroutine that has something to echo.
var echoBuffers = sync.Pool{New: func() any { return new([256 << 10]byte) }}

// echoBytes echoes until the connection ends. It takes a buffer only once the
// connection is readable.
func echoBytes(conn *net.TCPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var (
		buf     *[256 << 10]byte
		n       int
		readErr error
	)
	read := func(fd uintptr) bool {
		buf = echoBuffers.Get().(*[256 << 10]byte)
		for {
			n, readErr = syscall.Read(int(fd), buf[:])
			if readErr != syscall.EINTR {
				break
			}
		}
		if readErr == syscall.EAGAIN {
			echoBuffers.Put(buf)
			return false
		}
		return true
	}
	for {
		if err := raw.Read(read); err != nil {
			return err
		}
		var writeErr error
		if n > 0 {
			_, writeErr = conn.Write(buf[:n])
		}
		echoBuffers.Put(buf)
		if n <= 0 || writeErr != nil {
			return errors.Join(readErr, writeErr)
		}
	}
}
