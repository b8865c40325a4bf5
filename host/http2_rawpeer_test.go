package host_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// extendedConnect is the setting of a server that takes WebSockets. RFC 8441 §3.
var extendedConnect = http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1}

// An http2Peer is the other end of an HTTP/2 connection. It says the frames that a
// test says, and knows nothing of what may be said. By itself it acknowledges
// SETTINGS and PING, and returns the windows of what it receives unless it is
// stingy.
type http2Peer struct {
	t      *testing.T
	nc     net.Conn
	client bool

	saying sync.Mutex
	framer *http2.Framer
	block  bytes.Buffer
	enc    *hpack.Encoder
	next   uint32 // stream of a client

	mu       sync.Mutex
	changed  sync.Cond
	late     bool // patience ran out
	stingy   bool
	welcomes bool
	streams  map[uint32]*http2PeerStream
	requests []*http2PeerStream // that no test has asked for
	settled  bool               // the host said SETTINGS
	began    bool               // we did, which comes before an acknowledgement
	initial  int64              // what the host's SETTINGS give each stream
	windows  map[uint32]int64   // what WINDOW_UPDATEs gave beyond, 0 being the connection
	sent     map[uint32]int64   // DATA
	goAway   *http2.GoAwayFrame
	over     error
	wire     []string // what went over the wire, for a test that fails
}

// An http2PeerStream is a stream as its peer sees it. As a net.Conn, its bytes are
// those of DATA frames.
type http2PeerStream struct {
	*rawPeer // speaks WebSocket over it
	peer     *http2Peer
	id       uint32

	// Under peer.mu.
	fields map[string]string // of the host's HEADERS
	data   []byte
	total  int64 // bytes of data, those that were read too
	ended  bool
	reset  bool
	code   http2.ErrCode // of reset
}

// newHTTP2Peer exchanges prefaces over nc and reads it to its end.
func newHTTP2Peer(t *testing.T, nc net.Conn, client bool) *http2Peer {
	t.Helper()
	_ = nc.SetDeadline(time.Now().Add(patience))
	p := &http2Peer{t: t, nc: nc, client: client, next: 1, initial: 65535,
		streams: map[uint32]*http2PeerStream{}, windows: map[uint32]int64{}, sent: map[uint32]int64{}}
	p.changed.L = &p.mu
	p.framer = http2.NewFramer(nc, nc)
	p.framer.AllowIllegalWrites = true
	p.enc = hpack.NewEncoder(&p.block)
	if client {
		if _, err := io.WriteString(nc, http2.ClientPreface); err != nil {
			t.Fatalf("the client sends the preface: %v", err)
		}
	} else {
		preface := make([]byte, len(http2.ClientPreface))
		if _, err := io.ReadFull(nc, preface); err != nil || string(preface) != http2.ClientPreface {
			t.Fatalf("a client begins with the preface: got %q, %v", preface, err)
		}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.read()
	}()
	t.Cleanup(func() {
		_ = nc.Close()
		<-ended
	})
	return p
}

// read takes what the host sends.
func (p *http2Peer) read() {
	dec := hpack.NewDecoder(4096, nil)
	for {
		f, err := p.framer.ReadFrame()
		p.mu.Lock()
		if err != nil {
			p.over = err
			p.mu.Unlock()
			p.changed.Broadcast()
			return
		}
		h := f.Header()
		p.log("host: ", h.String())
		s := p.streams[h.StreamID]
		if s == nil && h.StreamID != 0 {
			s = p.stream(h.StreamID)
			p.requests = append(p.requests, s)
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			p.settled = true
			if v, ok := f.Value(http2.SettingInitialWindowSize); ok {
				p.initial = int64(v)
			}
			if !f.IsAck() && p.began {
				p.answer(p.framer.WriteSettingsAck)
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				p.answer(func() error { return p.framer.WritePing(true, f.Data) })
			}
		case *http2.WindowUpdateFrame:
			p.windows[h.StreamID] += int64(f.Increment)
		case *http2.GoAwayFrame:
			p.goAway = f
		case *http2.HeadersFrame:
			fields, err := dec.DecodeFull(f.HeaderBlockFragment())
			if err != nil {
				p.t.Errorf("a field block: %v", err)
			}
			for _, f := range fields {
				s.fields[f.Name] = f.Value
			}
			s.ended = s.ended || f.StreamEnded()
			if p.welcomes {
				go s.head(false, ":status", "200")
			}
		case *http2.DataFrame:
			s.data = append(s.data, f.Data()...)
			s.total += int64(len(f.Data()))
			s.ended = s.ended || f.StreamEnded()
			if n := h.Length; n > 0 && !p.stingy {
				p.answer(func() error { return p.framer.WriteWindowUpdate(0, n) })
				p.answer(func() error { return p.framer.WriteWindowUpdate(h.StreamID, n) })
			}
		case *http2.RSTStreamFrame:
			s.reset, s.code = true, f.ErrCode
		}
		p.mu.Unlock()
		p.changed.Broadcast()
	}
}

// answer says what a peer says by itself. That it cannot, the reader finds out.
func (p *http2Peer) answer(f func() error) {
	p.saying.Lock()
	defer p.saying.Unlock()
	_ = f()
}

// say says a frame.
func (p *http2Peer) say(name string, f func() error) {
	p.t.Helper()
	p.mu.Lock()
	p.log("peer: ", name)
	p.mu.Unlock()
	p.saying.Lock()
	defer p.saying.Unlock()
	if err := f(); err != nil {
		p.t.Errorf("the peer says %s: %v", name, err)
	}
}

func (p *http2Peer) log(who, words string) { p.wire = append(p.wire, who+words) }

func (p *http2Peer) fail(sentence, format string, args ...any) {
	p.t.Helper()
	p.mu.Lock()
	for _, line := range p.wire[max(0, len(p.wire)-30):] {
		p.t.Log(line)
	}
	p.mu.Unlock()
	p.t.Fatalf(sentence+": "+format, args...)
}

// wait waits until f, which is called with mu held.
func (p *http2Peer) wait(sentence string, f func() bool) {
	p.t.Helper()
	if err := p.until(f); err != nil {
		p.fail(sentence, "%v", err)
	}
}

func (p *http2Peer) until(f func() bool) error {
	late := time.AfterFunc(patience, func() {
		p.mu.Lock()
		p.late = true
		p.mu.Unlock()
		p.changed.Broadcast()
	})
	defer late.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for !f() {
		switch {
		case p.late:
			return os.ErrDeadlineExceeded
		case p.over != nil:
			return p.over
		}
		p.changed.Wait()
	}
	return nil
}

// stream makes a stream. The caller holds mu.
func (p *http2Peer) stream(id uint32) *http2PeerStream {
	s := &http2PeerStream{peer: p, id: id, fields: map[string]string{}}
	s.rawPeer = newRawPeer(p.t, http2PeerConn{p.nc, s}, p.client)
	p.streams[id] = s
	return s
}

// settings says SETTINGS.
func (p *http2Peer) settings(settings ...http2.Setting) {
	p.t.Helper()
	p.say(fmt.Sprint("SETTINGS ", settings), func() error { return p.framer.WriteSettings(settings...) })
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.began = true; p.settled {
		p.answer(p.framer.WriteSettingsAck)
	}
}

// keepWindows makes p stingy.
func (p *http2Peer) keepWindows() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stingy = true
}

// sendGoAway says GOAWAY.
func (p *http2Peer) sendGoAway(last uint32, code http2.ErrCode) {
	p.t.Helper()
	p.say(fmt.Sprintf("GOAWAY %d %v", last, code), func() error { return p.framer.WriteGoAway(last, code, nil) })
}

// head says HEADERS: names and values in turn.
func (s *http2PeerStream) head(ends bool, fields ...string) {
	s.peer.t.Helper()
	s.peer.say(fmt.Sprintf("HEADERS %d %q", s.id, fields), func() error {
		s.peer.block.Reset()
		for i := 0; i < len(fields); i += 2 {
			if err := s.peer.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}); err != nil {
				return err
			}
		}
		return s.peer.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: s.id, BlockFragment: s.peer.block.Bytes(), EndHeaders: true, EndStream: ends})
	})
}

// end says END_STREAM.
func (s *http2PeerStream) end() {
	s.peer.t.Helper()
	s.peer.say(fmt.Sprintf("DATA %d END_STREAM", s.id), func() error { return s.peer.framer.WriteData(s.id, true, nil) })
}

// rst says RST_STREAM.
func (s *http2PeerStream) rst(code http2.ErrCode) {
	s.peer.t.Helper()
	s.peer.say(fmt.Sprintf("RST_STREAM %d %v", s.id, code), func() error { return s.peer.framer.WriteRSTStream(s.id, code) })
}

// window is how much the host lets the peer send on s.
func (s *http2PeerStream) window() int64 {
	p := s.peer
	p.mu.Lock()
	defer p.mu.Unlock()
	return min(p.initial+p.windows[s.id]-p.sent[s.id], 65535+p.windows[0]-p.sent[0])
}

// wantFields waits for the host's HEADERS, and returns its fields.
func (s *http2PeerStream) wantFields(sentence string) map[string]string {
	s.peer.t.Helper()
	s.peer.wait(sentence, func() bool { return len(s.fields) > 0 })
	return s.fields
}

// wantStatus waits for a server's response.
func (s *http2PeerStream) wantStatus(sentence, status string) {
	s.peer.t.Helper()
	if got := s.wantFields(sentence)[":status"]; got != status {
		s.peer.fail(sentence, "status is %s, want %s", got, status)
	}
}

// wantEnded waits for the host's END_STREAM.
func (s *http2PeerStream) wantEnded(sentence string) {
	s.peer.t.Helper()
	s.peer.wait(sentence, func() bool { return s.ended || s.reset })
	s.peer.mu.Lock()
	ended, code := s.ended, s.code
	s.peer.mu.Unlock()
	if !ended {
		s.peer.fail(sentence, "got RST_STREAM %v, want END_STREAM", code)
	}
}

// wantReset waits for the host's RST_STREAM.
func (s *http2PeerStream) wantReset(sentence string, code http2.ErrCode) {
	s.peer.t.Helper()
	s.peer.wait(sentence, func() bool { return s.reset })
	if s.code != code {
		s.peer.fail(sentence, "got RST_STREAM %v, want %v", s.code, code)
	}
}

// wantOver waits until the host has neither to say nor to hear any more on s.
func (s *http2PeerStream) wantOver(sentence string) {
	s.peer.t.Helper()
	if err := s.peer.until(func() bool { return s.ended || s.reset || s.peer.over != nil }); err != nil {
		s.peer.fail(sentence, "%v", err)
	}
}

// http2PeerConn is a stream's bytes.
type http2PeerConn struct {
	net.Conn // its addresses
	s        *http2PeerStream
}

func (c http2PeerConn) Close() error                { return nil }
func (c http2PeerConn) SetDeadline(time.Time) error { return nil }

func (c http2PeerConn) Read(b []byte) (n int, err error) {
	if err := c.s.peer.until(func() bool { return len(c.s.data) > 0 || c.s.ended || c.s.reset }); err != nil {
		return 0, err
	}
	c.s.peer.mu.Lock()
	defer c.s.peer.mu.Unlock()
	n = copy(b, c.s.data)
	c.s.data = c.s.data[n:]
	switch {
	case n > 0:
		return n, nil
	case c.s.ended:
		return 0, io.EOF
	}
	return 0, fmt.Errorf("RST_STREAM %v", c.s.code)
}

// Write says DATA, in frames of 16 KiB at most, and asks for no window.
func (c http2PeerConn) Write(b []byte) (int, error) {
	p := c.s.peer
	for rest := b; len(rest) > 0; {
		n := min(len(rest), 16<<10)
		p.mu.Lock()
		p.log("peer: ", fmt.Sprintf("DATA %d %s", c.s.id, hex.EncodeToString(rest[:min(n, 32)])))
		p.sent[c.s.id] += int64(n)
		p.sent[0] += int64(n)
		p.mu.Unlock()
		p.saying.Lock()
		err := p.framer.WriteData(c.s.id, false, rest[:n])
		p.saying.Unlock()
		if err != nil {
			return len(b) - len(rest), err
		}
		rest = rest[n:]
	}
	return len(b), nil
}
