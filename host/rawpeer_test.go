package host_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wasock/wasock/host"
)

// A rawPeer is the other end of a TCP connection. It says the bytes that a test
// says, and knows nothing of what may be said.
type rawPeer struct {
	t *testing.T
	net.Conn
	r      *bufio.Reader
	client bool // it is the client: its frames are masked

	mu   sync.Mutex
	wire []string // what went over the wire, for a test that fails
}

func newRawPeer(t *testing.T, nc net.Conn, client bool) *rawPeer {
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(patience))
	return &rawPeer{t: t, Conn: nc, r: bufio.NewReaderSize(nc, 64<<10), client: client}
}

func (p *rawPeer) fail(sentence, format string, args ...any) {
	p.t.Helper()
	p.mu.Lock()
	for _, line := range p.wire[max(0, len(p.wire)-20):] {
		p.t.Log(line)
	}
	p.mu.Unlock()
	p.t.Fatalf(sentence+": "+format, args...)
}

func (p *rawPeer) log(direction string, b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := hex.EncodeToString(b[:min(len(b), 32)])
	if len(b) > 32 {
		s += "…"
	}
	p.wire = append(p.wire, direction+" "+s)
}

func (p *rawPeer) write(b []byte) error {
	p.log("peer:", b)
	_, err := p.Conn.Write(b)
	return err
}

// say writes bytes as they are.
func (p *rawPeer) say(b string) {
	p.t.Helper()
	if err := p.write([]byte(b)); err != nil {
		p.fail("the peer can write", "%v", err)
	}
}

// send writes frames, all at once. Each is hex in the fields of a frame without a
// mask: first byte, length, payload. A client's are masked, with a key of 0.
func (p *rawPeer) send(frames ...string) {
	p.t.Helper()
	p.say(string(wire(p.t, p.client, frames...)))
}

func wire(t testing.TB, masked bool, frames ...string) (b []byte) {
	t.Helper()
	for _, f := range frames {
		fields := append(strings.SplitN(f, " ", 3), "")
		begin := len(b) + 1
		for i, field := range fields[:3] {
			raw, err := hex.DecodeString(strings.ReplaceAll(field, " ", ""))
			if err != nil {
				t.Fatalf("frame %q: %v", f, err)
			}
			b = append(b, raw...)
			if i == 1 && masked {
				b[begin] |= 0x80
				b = append(b, 0, 0, 0, 0)
			}
		}
	}
	return b
}

// frame returns a frame of payload for send.
func frame(first byte, payload []byte) string {
	b := []byte{first}
	length := []byte{byte(len(payload))}
	switch {
	case len(payload) > 65535:
		length = binary.BigEndian.AppendUint64([]byte{127}, uint64(len(payload)))
	case len(payload) > 125:
		length = binary.BigEndian.AppendUint16([]byte{126}, uint16(len(payload)))
	}
	return hex.EncodeToString(b) + " " + hex.EncodeToString(length) + " " + hex.EncodeToString(payload)
}

// receive reads a frame: its first byte and its payload.
func (p *rawPeer) receive() (first byte, payload []byte, err error) {
	var head [14]byte
	if _, err := io.ReadFull(p.r, head[:2]); err != nil {
		return 0, nil, err
	}
	masked := head[1]&0x80 != 0
	if masked == p.client {
		return 0, nil, errors.New("a client masks its frames, a server does not")
	}
	n := uint64(head[1] & 0x7f)
	switch n {
	case 126:
		_, err = io.ReadFull(p.r, head[2:4])
		n = uint64(binary.BigEndian.Uint16(head[2:]))
	case 127:
		_, err = io.ReadFull(p.r, head[2:10])
		n = binary.BigEndian.Uint64(head[2:])
	}
	var key [4]byte
	if masked && err == nil {
		_, err = io.ReadFull(p.r, key[:])
	}
	if err != nil {
		return 0, nil, err
	}
	payload = make([]byte, n)
	if _, err := io.ReadFull(p.r, payload); err != nil {
		return 0, nil, err
	}
	for i := range payload {
		payload[i] ^= key[i%4]
	}
	p.log("host:", append([]byte{head[0], byte(min(n, 127))}, payload...))
	return head[0], payload, nil
}

// wantFrame reads a frame.
func (p *rawPeer) wantFrame(sentence string, first byte, payload string) {
	p.t.Helper()
	gotFirst, got, err := p.receive()
	if err != nil || gotFirst != first || string(got) != payload {
		p.fail(sentence, "got %02x %.60q, %v, want %02x %.60q", gotFirst, got, err, first, payload)
	}
}

// wantClose reads a Close frame.
func (p *rawPeer) wantClose(sentence string, code host.CloseCode, reason string) {
	p.t.Helper()
	first, got, err := p.receive()
	if err != nil || first != 0x88 || len(got) < 2 || binary.BigEndian.Uint16(got) != uint16(code) || string(got[2:]) != reason {
		p.fail(sentence, "got %02x %x, %v, want 88 and %d %q", first, got, err, code, reason)
	}
}

// skipPongs reads empty Pongs.
func (p *rawPeer) skipPongs() {
	for {
		b, err := p.r.Peek(2)
		if err != nil || b[0] != 0x8a || b[1]&0x7f != 0 {
			return
		}
		_, _, _ = p.receive()
	}
}

// wantEOF reads the end of the stream.
func (p *rawPeer) wantEOF(sentence string) {
	p.t.Helper()
	if n, err := io.Copy(io.Discard, p.r); err != nil || n != 0 {
		p.fail(sentence, "got %d bytes, %v, want the end", n, err)
	}
}

// wantEnd reads to the end of the stream, or to a reset.
func (p *rawPeer) wantEnd(sentence string) {
	p.t.Helper()
	var ne net.Error
	if _, err := io.Copy(io.Discard, p.r); errors.As(err, &ne) && ne.Timeout() {
		p.fail(sentence, "got %v, want the end", err)
	}
}

// reset closes the connection with RST.
func (p *rawPeer) reset() {
	_ = p.Conn.(*net.TCPConn).SetLinger(0)
	_ = p.Conn.Close()
}

// closeFrame is a Close frame for send.
func closeFrame(code host.CloseCode, reason string) string {
	return frame(0x88, append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...))
}

func TestWireOfRawPeer(t *testing.T) {
	got := wire(t, true, "81 05 68656c6c6f", frame(0x82, make([]byte, 126)))
	want := append([]byte{0x81, 0x85, 0, 0, 0, 0, 'h', 'e', 'l', 'l', 'o', 0x82, 0xfe, 0, 126, 0, 0, 0, 0}, make([]byte, 126)...)
	if !bytes.Equal(got, want) {
		t.Errorf("frames of a client are masked: got %x, want %x", got, want)
	}
}
