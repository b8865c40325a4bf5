package http2client

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A peer is the server's end of a connection, frame by frame. It says what a test
// says, and knows nothing of what may be said.
type peer struct {
	t *testing.T
	*http2.Framer
	nc     net.Conn
	conn   *Conn
	enc    *hpack.Encoder
	encBuf bytes.Buffer
	dec    *hpack.Decoder

	mu   sync.Mutex
	wire []string // what went over the wire, for a test that fails
}

// extendedConnect is the setting of a server that allows it.
var extendedConnect = http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1}

// bubble runs a test against a peer, with a clock of its own. At the end no
// goroutine is left, or synctest complains.
func bubble(t *testing.T, config Config, test func(p *peer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, config)
		defer p.end()
		test(p)
	})
}

// connected is bubble after the exchange of SETTINGS that allow Extended CONNECT.
func connected(t *testing.T, config Config, test func(p *peer), settings ...http2.Setting) {
	t.Helper()
	bubble(t, config, func(p *peer) {
		p.settings(append([]http2.Setting{extendedConnect}, settings...)...)
		test(p)
	})
}

func newPeer(t *testing.T, config Config) *peer {
	client, server := net.Pipe()
	p := &peer{t: t, nc: server}
	p.Framer = http2.NewFramer(p, p)
	p.AllowIllegalWrites, p.AllowIllegalReads = true, true
	p.enc = hpack.NewEncoder(&p.encBuf)
	p.dec = hpack.NewDecoder(4096, nil)
	p.conn = New(client, config)
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(server, preface); err != nil || string(preface) != http2.ClientPreface {
		t.Fatalf("the client begins with the preface: got %q, %v", preface, err)
	}
	return p
}

// Read and Write are those of the framer. They wait a minute of the bubble's time
// at most.
func (p *peer) Read(b []byte) (int, error) {
	_ = p.nc.SetReadDeadline(time.Now().Add(time.Minute))
	return p.nc.Read(b)
}

func (p *peer) Write(b []byte) (int, error) {
	p.log("peer: ", b)
	_ = p.nc.SetWriteDeadline(time.Now().Add(time.Minute))
	return p.nc.Write(b)
}

func (p *peer) log(who string, b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := hex.EncodeToString(b[:min(len(b), 40)])
	if len(line) > 18 {
		line = line[:6] + " " + line[6:8] + " " + line[8:10] + " " + line[10:18] + " " + line[18:]
	}
	p.wire = append(p.wire, who+line)
}

func (p *peer) fail(sentence, format string, args ...any) {
	p.t.Helper()
	p.mu.Lock()
	for _, line := range p.wire[max(0, len(p.wire)-20):] {
		p.t.Log(line)
	}
	p.mu.Unlock()
	p.t.Fatalf(sentence+": "+format, args...)
}

// next returns the client's next frame in words, or an error.
func (p *peer) next() (string, error) {
	f, err := p.ReadFrame()
	if err != nil {
		return "", err
	}
	s := p.words(f)
	p.mu.Lock()
	p.wire = append(p.wire, "client: "+s)
	p.mu.Unlock()
	return s, nil
}

func (p *peer) words(f http2.Frame) string {
	h := f.Header()
	s := fmt.Sprintf("%v %d", h.Type, h.StreamID)
	switch f := f.(type) {
	case *http2.DataFrame:
		if f.StreamEnded() {
			s += " END_STREAM"
		}
		if len(f.Data()) > 64 {
			return s + fmt.Sprintf(" %d bytes", len(f.Data()))
		}
		return s + fmt.Sprintf(" %q", f.Data())
	case *http2.HeadersFrame:
		if !f.HeadersEnded() {
			return s + " ..."
		}
		fields, err := p.dec.DecodeFull(f.HeaderBlockFragment())
		if err != nil {
			return s + " " + err.Error()
		}
		for _, f := range fields {
			s += " " + f.Name + "=" + f.Value
			if f.Sensitive {
				s += "(never indexed)"
			}
		}
	case *http2.SettingsFrame:
		if f.IsAck() {
			return s + " ACK"
		}
		_ = f.ForeachSetting(func(v http2.Setting) error { s += fmt.Sprintf(" %v=%d", v.ID, v.Val); return nil })
	case *http2.WindowUpdateFrame:
		s += fmt.Sprintf(" %d", f.Increment)
	case *http2.RSTStreamFrame:
		s += " " + f.ErrCode.String()
	case *http2.PingFrame:
		if f.IsAck() {
			s += " ACK"
		}
		s += " " + string(f.Data[:])
	case *http2.GoAwayFrame:
		s += fmt.Sprintf(" last %d %v", f.LastStreamID, f.ErrCode)
	}
	return s
}

// want reads the client's next frames.
func (p *peer) want(sentence string, frames ...string) {
	p.t.Helper()
	for _, want := range frames {
		got, err := p.next()
		if err != nil {
			p.fail(sentence, "got %v, want %s", err, want)
		}
		if got != want {
			p.fail(sentence, "got  %s\nwant %s", got, want)
		}
	}
}

// wantIdle checks that the client sends nothing.
func (p *peer) wantIdle(sentence string) {
	p.t.Helper()
	if got, err := p.next(); !errors.Is(err, os.ErrDeadlineExceeded) {
		p.fail(sentence, "got %s, %v, want nothing", got, err)
	}
}

// wantFailure checks that the connection ends with code, and a rule of which
// words are a part.
func (p *peer) wantFailure(sentence string, code http2.ErrCode, words string) {
	p.t.Helper()
	for {
		got, err := p.next()
		if err != nil {
			p.fail(sentence, "got %v, want GOAWAY with %v", err, code)
		}
		if strings.HasPrefix(got, "GOAWAY") {
			if want := fmt.Sprintf("GOAWAY 0 last 0 %v", code); got != want {
				p.fail(sentence, "got  %s\nwant %s; %v", got, want, p.conn.Err())
			}
			break
		}
	}
	p.wantEOF("the transport is closed after GOAWAY")
	var e *ConnectionError
	if err := p.conn.Err(); !errors.As(err, &e) || e.Code != code || !strings.Contains(err.Error(), words) {
		p.fail(sentence, "Err is %v, want %v with %q", err, code, words)
	}
}

func (p *peer) wantEOF(sentence string) {
	p.t.Helper()
	for {
		got, err := p.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			p.fail(sentence, "got %s, %v, want EOF", got, err)
		}
	}
	<-p.conn.Done()
}

// discard reads what the client sends, to the end.
func (p *peer) discard() { _, _ = io.Copy(io.Discard, p.nc) }

// end closes the connection, reads what is left and waits for the goroutines.
func (p *peer) end() {
	_ = p.conn.Close()
	for {
		if _, err := p.next(); err != nil {
			break
		}
	}
	_ = p.nc.Close()
	<-p.conn.Done()
}

// settings exchanges SETTINGS.
func (p *peer) settings(settings ...http2.Setting) {
	p.t.Helper()
	p.must(p.WriteSettings(settings...))
	p.must(p.WriteSettingsAck())
	p.want("the client sends its SETTINGS and opens the connection's window, then acknowledges ours",
		fmt.Sprintf("SETTINGS 0 ENABLE_PUSH=0 INITIAL_WINDOW_SIZE=%d MAX_HEADER_LIST_SIZE=%d", p.conn.config.StreamWindow, p.conn.config.HeaderListSize),
		fmt.Sprintf("WINDOW_UPDATE 0 %d", connWindow-initialWindow),
		"SETTINGS 0 ACK")
}

func (p *peer) must(err error) {
	p.t.Helper()
	if err != nil {
		p.fail("the peer can write", "%v; the connection's error is %v", err, p.conn.Err())
	}
}

// encode returns a field block: names and values in turn.
func (p *peer) encode(fields ...string) []byte {
	p.encBuf.Reset()
	for i := 0; i < len(fields); i += 2 {
		p.must(p.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}))
	}
	return bytes.Clone(p.encBuf.Bytes())
}

// head sends a field block in a HEADERS frame.
func (p *peer) head(id uint32, fields ...string) {
	p.t.Helper()
	p.must(p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.encode(fields...), EndHeaders: true}))
}

// headEnd is head with END_STREAM.
func (p *peer) headEnd(id uint32, fields ...string) {
	p.t.Helper()
	p.must(p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.encode(fields...), EndHeaders: true, EndStream: true}))
}

// sendDATA sends DATA frames, one for each payload.
func (p *peer) sendDATA(id uint32, payloads ...string) {
	p.t.Helper()
	for _, b := range payloads {
		p.must(p.WriteData(id, false, []byte(b)))
	}
}

// An opening is the outcome of an Open.
type opening struct {
	*Stream
	*Response
	err error
}

// request is what tests ask for, and requestWords its frame.
var request = Request{Scheme: "https", Authority: "example.com", Path: "/chat", Protocol: "websocket"}

const requestWords = ":method=CONNECT :protocol=websocket :scheme=https :path=/chat :authority=example.com"

// start opens a stream, and returns where its outcome will be.
func (p *peer) start(ctx context.Context) chan opening {
	done := make(chan opening, 1)
	go func() {
		s, r, err := p.conn.Open(ctx, request)
		done <- opening{s, r, err}
	}()
	return done
}

// startStream is start, and reads the request.
func (p *peer) startStream() (uint32, chan opening) {
	p.t.Helper()
	id := p.conn.nextID
	done := p.start(context.Background())
	p.want("a request is one HEADERS frame", fmt.Sprintf("HEADERS %d %s", id, requestWords))
	return id, done
}

// open opens a stream, which the peer accepts.
func (p *peer) open() *Stream {
	p.t.Helper()
	id, done := p.startStream()
	p.head(id, ":status", "200")
	o := <-done
	if o.err != nil || o.Status != 200 {
		p.fail("a stream opens", "got %v, %v", o.Response, o.err)
	}
	return o.Stream
}

// wantRead reads from s, in as many calls as it takes.
func (p *peer) wantRead(sentence string, s *Stream, want string) {
	p.t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(s, got); err != nil || string(got) != want {
		p.fail(sentence, "got %q, %v, want %q", got[:n], err, want)
	}
}

// wantEnd checks what Read returns at the end of s.
func (p *peer) wantEnd(sentence string, s *Stream, want error) {
	p.t.Helper()
	if n, err := s.Read(make([]byte, 1)); n != 0 || !errors.Is(err, want) {
		p.fail(sentence, "Read returns %d, %v, want %v", n, err, want)
	}
	if err := s.WaitReadable(); !errors.Is(err, want) {
		p.fail(sentence, "WaitReadable returns %v, want %v", err, want)
	}
}

// wantReset checks that err is a StreamError.
func (p *peer) wantReset(sentence string, err error, code http2.ErrCode, byPeer bool, words string) {
	p.t.Helper()
	var e *StreamError
	if !errors.As(err, &e) || e.Code != code || e.ByPeer != byPeer || !strings.Contains(err.Error(), words) {
		p.fail(sentence, "got %v, want %v (by the peer: %v) with %q", err, code, byPeer, words)
	}
}

// wantWrite writes to s.
func (p *peer) wantWrite(sentence string, s *Stream, b string) {
	p.t.Helper()
	if n, err := s.Write([]byte(b)); n != len(b) || err != nil {
		p.fail(sentence, "Write returns %d, %v", n, err)
	}
}

// wantStreams checks the counts that a pool looks at.
func (p *peer) wantStreams(sentence string, open, free int) {
	p.t.Helper()
	synctest.Wait()
	if o, f := p.conn.Streams(), p.conn.Free(); o != open || f != free {
		p.fail(sentence, "%d streams are open and %d free, want %d and %d", o, f, open, free)
	}
}
