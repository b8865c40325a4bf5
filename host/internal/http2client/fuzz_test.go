package http2client

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"

	"golang.org/x/net/http2"
)

// FuzzServer: whatever a server sends, no stream holds more than StreamWindow, no
// output more than its limits, what we send are valid frames, every call returns,
// and no goroutine is left.
func FuzzServer(f *testing.F) {
	const settings = "000006040000000000000800000001"
	for _, s := range []string{
		"",
		settings,
		"ff" + "0104010188" + "0000010568656c6c6f" + "00010100",
		"ff" + "0104010188" + "0104030188" + "00080105" + "0168656c6c" + "04000006" + "000400000000" + "08000104" + "000000ff" + "03000304" + "00000008" + "07000008" + "0000000100000000",
		"ff" + "0100010188" + "09040100" + "0104050188" + "000005fa" + "00",
		settings + "000001010400000001" + "88" + "000005000000000001" + "68656c6c6f" + "000000000100000001",
		settings + "000001010400000001" + "88" + "000401000800000001" + "ff" + "00000408000000000000000001",
		settings + "000000010000000001" + "000001090400000001" + "88" + "000004030000000001" + "00000008",
		settings + "000008060000000000" + "0000000000000000" + "000008070000000000" + "0000000100000000",
		settings + "00000604000000000000047fffffff" + "000004080000000001" + "7fffffff",
		settings + "000003010400000003" + "820188",
		"485454502f312e3120343030",
	} {
		b, err := hex.DecodeString(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		synctest.Test(t, func(t *testing.T) { fuzzServer(t, b) })
	})
}

func fuzzServer(t *testing.T, b []byte) {
	const window = 1000
	client, server := net.Pipe()
	c := New(client, Config{StreamWindow: window, HeaderListSize: 500})
	go func() { // reads what we send
		preface := make([]byte, len(http2.ClientPreface))
		_, _ = io.ReadFull(server, preface)
		fr := http2.NewFramer(nil, server)
		fr.SetMaxReadFrameSize(frameSize)
		for {
			_, err := fr.ReadFrame()
			if err != nil {
				if err != io.EOF && !errors.Is(err, io.ErrClosedPipe) {
					t.Errorf("we send what is no frame: %v", err)
				}
				break
			}
		}
		_, _ = io.Copy(io.Discard, server)
	}()
	ctx, cancel := context.WithCancel(t.Context())
	streams := make(chan *Stream, 3)
	for i := range cap(streams) {
		go func() {
			s, resp, err := c.Open(ctx, request)
			if (err == nil) != (s != nil) || s != nil && resp.Status/100 != 2 {
				t.Errorf("a stream comes with 2xx and without an error: %v, %v", resp, err)
			}
			if s != nil && i > 0 {
				go func() { _, _ = s.Write(make([]byte, 200<<10)) }()
				if i > 1 {
					go func() { _, _ = io.Copy(io.Discard, s) }()
				}
			}
			streams <- s
		}()
	}
	synctest.Wait()
	if len(b) > 0 && b[0] == 0xff {
		b = framed(b[1:])
	}
	head := min(len(b), 15)
	_, _ = server.Write(b[:head])
	synctest.Wait() // streams 1, 3 and 5 are open, if SETTINGS allow it
	for piece := range bytesIn(b[head:], 700) {
		if _, err := server.Write(piece); err != nil {
			break
		}
		synctest.Wait()
		c.mu.Lock()
		for _, s := range c.streams {
			if s.received.size > window || s.recvWindow < 0 || s.recvWindow > window {
				t.Errorf("stream %d holds %d bytes, and its window is %d", s.id, s.received.size, s.recvWindow)
			}
		}
		if c.out != nil && len(c.out.b) > 2*outLimit || c.ahead != nil && len(c.ahead.b) > 2*outLimit {
			t.Error("the output exceeds its limits")
		}
		if c.err == nil && c.open != len(c.streams)+c.heads.size {
			t.Errorf("%d streams count as open, and are %d", c.open, len(c.streams)+c.heads.size)
		}
		c.mu.Unlock()
	}
	cancel()
	for range cap(streams) {
		if s := <-streams; s != nil {
			_ = s.Close()
		}
	}
	_ = c.Close()
	<-c.Done()
	if err := c.Err(); err == nil || c.Streams() != 0 {
		t.Errorf("a connection that is over has an error and no streams: %v, %d", err, c.Streams())
	}
	_ = server.Close()
}

// framed makes frames of b, since most bytes are none. Each is a type, flags, a
// stream and a length, of a byte each, and the payload. SETTINGS come first.
func framed(b []byte) []byte {
	out := bytes.NewBuffer(bytes.Clone(settingsFrame))
	fr := http2.NewFramer(out, nil)
	for len(b) >= 4 {
		n := min(int(b[3]), len(b)-4)
		_ = fr.WriteRawFrame(http2.FrameType(b[0]%12), http2.Flags(b[1]), uint32(b[2]%8), b[4:4+n])
		b = b[4+n:]
	}
	return out.Bytes()
}

// bytesIn cuts b into pieces of n.
func bytesIn(b []byte, n int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for r := bytes.NewBuffer(b); r.Len() > 0 && yield(r.Next(n)); {
		}
	}
}
