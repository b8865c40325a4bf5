package http2client

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"

	"golang.org/x/net/http2"
)

// An echoServer answers DATA with the same DATA, without allocating, so that what
// a benchmark counts is ours. It opens all windows at once, and again as it reads.
func echoServer(nc net.Conn) {
	in := make([]byte, 256<<10)
	have := 0
	out := append([]byte(nil), settingsFrame...)
	preface := len(http2.ClientPreface)
	for {
		n, err := nc.Read(in[have:])
		if err != nil {
			return
		}
		have += n
		rest := in[:have]
		if preface > 0 {
			if len(rest) < preface {
				continue
			}
			rest, preface = rest[preface:], 0
		}
		credit := 0
		for len(rest) >= 9 {
			length := int(rest[0])<<16 | int(rest[1])<<8 | int(rest[2])
			if len(rest) < 9+length {
				break
			}
			switch http2.FrameType(rest[3]) {
			case http2.FrameHeaders:
				out = append(out, 0, 0, 1, byte(http2.FrameHeaders), byte(http2.FlagHeadersEndHeaders))
				out = append(append(out, rest[5:9]...), 0x88) // :status 200
			case http2.FrameData:
				credit += length
				out = append(out, rest[:9+length]...)
				if length > 0 {
					out = append(append(out, 0, 0, 4, byte(http2.FrameWindowUpdate), 0), rest[5:9]...)
					out = binary.BigEndian.AppendUint32(out, uint32(length))
				}
			}
			rest = rest[9+length:]
		}
		if credit > 0 {
			out = append(out, 0, 0, 4, byte(http2.FrameWindowUpdate), 0, 0, 0, 0, 0)
			out = binary.BigEndian.AppendUint32(out, uint32(credit))
		}
		have = copy(in, rest)
		if _, err := nc.Write(out); err != nil {
			return
		}
		out = out[:0]
	}
}

// settingsFrame allows Extended CONNECT.
var settingsFrame = []byte{0, 0, 6, byte(http2.FrameSettings), 0, 0, 0, 0, 0, 0, byte(http2.SettingEnableConnectProtocol), 0, 0, 0, 1}

func benchConn(b testing.TB) *Conn {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	go func() {
		echoServer(server)
		_ = server.Close()
	}()
	c := New(nc, Config{})
	b.Cleanup(func() {
		_ = c.Close()
		<-c.Done()
	})
	return c
}

func BenchmarkEcho(b *testing.B) {
	for _, streams := range []int{1, 50} {
		for _, size := range []int{64, 16 << 10} {
			b.Run(fmt.Sprintf("streams=%d/size=%d", streams, size), func(b *testing.B) {
				c := benchConn(b)
				all := make([]*Stream, streams)
				for i := range all {
					all[i] = openEcho(b, c)
				}
				b.ReportAllocs()
				b.SetBytes(int64(2 * size))
				b.ResetTimer()
				done := make(chan error, streams)
				for i, s := range all {
					n := b.N / streams
					if i < b.N%streams {
						n++
					}
					go func() {
						buf := make([]byte, size)
						for range n {
							if _, err := s.Write(buf); err != nil {
								done <- err
								return
							}
							if _, err := io.ReadFull(s, buf); err != nil {
								done <- err
								return
							}
						}
						done <- nil
					}()
				}
				for range all {
					if err := <-done; err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
