package http2client

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

// A violation is something that a server must not send, as hex in the fields of a
// frame: length, type, flags, stream, payload.
type violation struct {
	name   string
	frames string
	code   http2.ErrCode
	rule   string // words of the error
}

// raw sends frames in hex.
func (p *peer) raw(frames string) {
	p.t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(frames), ""))
	p.must(err)
	_, err = p.Write(b)
	p.must(err)
}

// They cost the connection. Stream 1 is open, stream 3 has ended on both sides.
func TestConnectionErrors(t *testing.T) {
	for _, v := range []violation{
		{"DATA on stream 0", "000001 00 00 00000000 00", http2.ErrCodeProtocol, "stream 0"},
		{"DATA on an idle stream", "000001 00 00 00000005 00", http2.ErrCodeProtocol, "not opened"},
		{"DATA on a stream with an even number", "000001 00 00 00000002 00", http2.ErrCodeProtocol, "not opened"},
		{"DATA on a stream that has ended", "000001 00 00 00000003 00", http2.ErrCodeStreamClosed, "has ended"},
		{"DATA without its padding's length", "000000 00 08 00000001", http2.ErrCodeFrameSize, "too short"},
		{"HEADERS on stream 0", "000001 01 04 00000000 88", http2.ErrCodeProtocol, "stream ID 0"},
		{"HEADERS on an idle stream", "000001 01 04 00000005 88", http2.ErrCodeProtocol, "not opened"},
		{"HEADERS on a stream with an even number", "000001 01 04 00000002 88", http2.ErrCodeProtocol, "not opened"},
		{"HEADERS without its padding's length", "000000 01 0c 00000001", http2.ErrCodeFrameSize, "too short"},
		{"HEADERS with more padding than payload", "000002 01 0c 00000001 0288", http2.ErrCodeProtocol, ""},
		{"PRIORITY on stream 0", "000005 02 00 00000000 0000000000", http2.ErrCodeProtocol, "stream ID 0"},
		{"PRIORITY that is too short", "000004 02 00 00000001 00000000", http2.ErrCodeFrameSize, "want 5"},
		{"RST_STREAM on stream 0", "000004 03 00 00000000 00000000", http2.ErrCodeProtocol, ""},
		{"RST_STREAM on an idle stream", "000004 03 00 00000005 00000000", http2.ErrCodeProtocol, "not opened"},
		{"RST_STREAM that is too long", "000005 03 00 00000001 0000000000", http2.ErrCodeFrameSize, ""},
		{"SETTINGS on a stream", "000000 04 00 00000001", http2.ErrCodeProtocol, ""},
		{"SETTINGS of 5 bytes", "000005 04 00 00000000 0000000000", http2.ErrCodeFrameSize, ""},
		{"SETTINGS acknowledged with a payload", "000006 04 01 00000000 000000000000", http2.ErrCodeFrameSize, ""},
		{"SETTINGS acknowledged twice", "000000 04 01 00000000", http2.ErrCodeProtocol, "not sent"},
		{"ENABLE_PUSH 1", "000006 04 00 00000000 0002 00000001", http2.ErrCodeProtocol, "ENABLE_PUSH"},
		{"INITIAL_WINDOW_SIZE 2^31", "000006 04 00 00000000 0004 80000000", http2.ErrCodeFlowControl, ""},
		{"INITIAL_WINDOW_SIZE 2^31, said second", "00000c 04 00 00000000 0004 00000000 0004 80000000", http2.ErrCodeFlowControl, "over 2^31-1"},
		{"MAX_FRAME_SIZE 2^14-1", "000006 04 00 00000000 0005 00003fff", http2.ErrCodeProtocol, "MAX_FRAME_SIZE"},
		{"MAX_FRAME_SIZE 2^24", "000006 04 00 00000000 0005 01000000", http2.ErrCodeProtocol, "MAX_FRAME_SIZE"},
		{"ENABLE_CONNECT_PROTOCOL 2", "000006 04 00 00000000 0008 00000002", http2.ErrCodeProtocol, "is 2"},
		{"ENABLE_CONNECT_PROTOCOL from 1 to 0", "000006 04 00 00000000 0008 00000000", http2.ErrCodeProtocol, "was 1 and is 0"},
		{"PUSH_PROMISE", "000005 05 04 00000001 00000002 88", http2.ErrCodeProtocol, "PUSH_PROMISE"},
		{"PING on a stream", "000008 06 00 00000001 0000000000000000", http2.ErrCodeProtocol, ""},
		{"PING of 7 bytes", "000007 06 00 00000000 00000000000000", http2.ErrCodeFrameSize, ""},
		{"GOAWAY on a stream", "000008 07 00 00000001 00000000 00000000", http2.ErrCodeProtocol, ""},
		{"GOAWAY that is too short", "000007 07 00 00000000 00000000000000", http2.ErrCodeFrameSize, ""},
		{"GOAWAY for more than before", "000008 07 00 00000000 00000001 00000000  000008 07 00 00000000 00000003 00000000", http2.ErrCodeProtocol, "up to 3 after one for 1"},
		{"WINDOW_UPDATE of 3 bytes", "000003 08 00 00000001 000001", http2.ErrCodeFrameSize, "not 4"},
		{"WINDOW_UPDATE on an idle stream", "000004 08 00 00000005 00000001", http2.ErrCodeProtocol, "not opened"},
		{"CONTINUATION that continues nothing", "000001 09 04 00000001 88", http2.ErrCodeProtocol, "CONTINUATION"},
		{"CONTINUATION of another stream", "000000 01 00 00000001  000001 09 04 00000003 88", http2.ErrCodeProtocol, "CONTINUATION"},
		{"something else than CONTINUATION", "000000 01 00 00000001  000001 00 00 00000001 88", http2.ErrCodeProtocol, "CONTINUATION"},
		{"a frame of 16,385 bytes", "004001 00 00 00000001", http2.ErrCodeFrameSize, "16384"},
		{"a field block that ends in a field", "000001 01 04 00000001 08", http2.ErrCodeCompression, ""},
		{"an index that is not in the table", "000001 01 04 00000001 be", http2.ErrCodeCompression, ""},
		{"a table larger than allowed", "000003 01 04 00000001 3fe21f", http2.ErrCodeCompression, ""}, // 4,097
	} {
		t.Run(v.name, func(t *testing.T) {
			connected(t, Config{}, func(p *peer) {
				one := p.open()
				p.headEndOf(p.open())
				p.raw(v.frames)
				p.wantFailure(v.name, v.code, v.rule)
				if err := one.WaitReadable(); err != p.conn.Err() {
					p.fail("a stream ends with the connection's error", "%v", err)
				}
				if _, _, err := p.conn.Open(p.t.Context(), request); !errors.Is(err, p.conn.Err()) || !Unprocessed(err) {
					p.fail("and no other opens", "%v", err)
				}
				p.wantStreams("none is open", 0, 0)
			})
		})
	}
}

// headEndOf ends s on both sides.
func (p *peer) headEndOf(s *Stream) {
	p.t.Helper()
	_ = s.CloseWrite()
	p.want("our side ends", fmt.Sprintf(`DATA %d END_STREAM ""`, s.id))
	p.must(p.WriteData(s.id, true, nil))
	p.wantEnd("and the server's", s, io.EOF)
}

func TestFirstFrame(t *testing.T) {
	for _, v := range []violation{
		{"PING", "000008 06 00 00000000 0000000000000000", http2.ErrCodeProtocol, "not SETTINGS"},
		{"an acknowledgement", "000000 04 01 00000000", http2.ErrCodeProtocol, "not SETTINGS"},
		{"HTTP/1.1", hex.EncodeToString([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")), http2.ErrCodeProtocol, "HTTP/1"},
		{"a frame of 16 MiB", "ffffff 04 00 00000000", http2.ErrCodeFrameSize, "16384"},
	} {
		bubble(t, Config{}, func(p *peer) {
			go p.raw(v.frames)
			p.wantFailure(v.name, v.code, v.rule)
			if _, err := p.conn.WaitSettings(p.t.Context()); err != p.conn.Err() {
				p.fail("WaitSettings says why", "%v", err)
			}
		})
	}
}

// They cost the stream: field blocks in answer to a request.
func TestMalformedResponses(t *testing.T) {
	for _, v := range []struct {
		name   string
		fields []string
		rule   string
	}{
		{"no :status", []string{"x", "y"}, "no :status"},
		{"two :status", []string{":status", "200", ":status", "200"}, "two :status"},
		{":status after a field", []string{"x", "y", ":status", "200"}, "pseudo-field follows"},
		{":status of two digits", []string{":status", "99"}, "from 100 to 599"},
		{":status of four digits", []string{":status", "2000"}, "from 100 to 599"},
		{":status 600", []string{":status", "600"}, "from 100 to 599"},
		{":status +20", []string{":status", "+20"}, "from 100 to 599"},
		{"status 101", []string{":status", "101"}, "101"},
		{"a request's pseudo-field", []string{":status", "200", ":path", "/"}, "not :status"},
		{"an unknown pseudo-field", []string{":status", "200", ":x", ""}, "not :status"},
		{"upper case", []string{":status", "200", "X-Y", ""}, "lower case"},
		{"no name", []string{":status", "200", "", "x"}, "lower case"},
		{"a space in a name", []string{":status", "200", "x y", ""}, "lower case"},
		{"CR in a value", []string{":status", "200", "x", "a\rb"}, "control character"},
		{"LF in a value", []string{":status", "200", "x", "a\nb"}, "control character"},
		{"NUL in a value", []string{":status", "200", "x", "a\x00b"}, "control character"},
		{"a space around a value", []string{":status", "200", "x", "a "}, "space"},
		{"connection", []string{":status", "200", "connection", "upgrade"}, "HTTP/1.1"},
		{"upgrade", []string{":status", "200", "upgrade", "websocket"}, "HTTP/1.1"},
		{"transfer-encoding", []string{":status", "200", "transfer-encoding", "chunked"}, "HTTP/1.1"},
	} {
		connected(t, Config{}, func(p *peer) {
			id, done := p.startStream()
			p.head(id, v.fields...)
			o := <-done
			p.wantReset(v.name, o.err, http2.ErrCodeProtocol, false, v.rule)
			p.want("the server is told", "RST_STREAM 1 PROTOCOL_ERROR")
			_ = p.open() // the compression state is the server's
		})
	}
	connected(t, Config{}, func(p *peer) {
		id, done := p.startStream()
		p.headEnd(id, ":status", "100")
		p.wantReset("a 1xx response does not end the stream", (<-done).err, http2.ErrCodeProtocol, false, "1xx")
		p.want("the server is told", "RST_STREAM 1 PROTOCOL_ERROR")
		id, done = p.startStream()
		p.sendDATA(id, "x")
		p.wantReset("DATA does not come before the response", (<-done).err, http2.ErrCodeProtocol, false, "before")
		p.want("the server is told", "RST_STREAM 3 PROTOCOL_ERROR")

		s := p.open()
		p.headEnd(s.id, "trailer", "x")
		p.want("a stream that is connected has no trailers", "RST_STREAM 5 PROTOCOL_ERROR")
		p.wantEndReset("it ends", s, http2.ErrCodeProtocol)
		for id := uint32(7); id <= 9; id += 2 {
			s = p.open()
			p.must(p.WriteData(s.id, true, nil))
			if id == 7 {
				p.must(p.WriteData(s.id, true, []byte("x")))
			} else {
				p.headEnd(s.id, "trailer", "x")
			}
			p.want("nothing follows END_STREAM", fmt.Sprintf("RST_STREAM %d STREAM_CLOSED", id))
			p.wantEnd("what came before it is complete", s, io.EOF)
		}
	})
}

func TestInterimResponses(t *testing.T) {
	for n := interimResponses - 1; n <= interimResponses+1; n++ {
		connected(t, Config{}, func(p *peer) {
			id, done := p.startStream()
			for range n {
				p.head(id, ":status", "103")
			}
			if n <= interimResponses {
				p.head(id, ":status", "200")
				if o := <-done; o.err != nil {
					p.fail("as many as the limit are skipped", "%v", o.err)
				}
				return
			}
			p.wantReset("one more costs the stream", (<-done).err, http2.ErrCodeEnhanceYourCalm, false, "1xx")
			p.want("the server is told", "RST_STREAM 1 ENHANCE_YOUR_CALM")
		})
	}
}

func TestFieldLimits(t *testing.T) {
	const limit = 300
	for size := limit - 1; size <= limit+1; size++ {
		connected(t, Config{HeaderListSize: limit}, func(p *peer) {
			id, done := p.startStream()
			p.head(id, ":status", "200", "x", strings.Repeat("v", size-42-33))
			o := <-done
			if size <= limit {
				if o.err != nil {
					p.fail("fields of the limit are taken", "%v", o.err)
				}
				return
			}
			p.wantReset("one byte more costs the stream", o.err, http2.ErrCodeEnhanceYourCalm, false, "HeaderListSize")
			p.want("the server is told", "RST_STREAM 1 ENHANCE_YOUR_CALM")
			p.wantStreams("the connection goes on", 0, 10000)
		})
	}
	for count := 4; count <= 6; count++ {
		connected(t, Config{FieldCount: 5}, func(p *peer) {
			id, done := p.startStream()
			fields := []string{":status", "200"}
			for range count - 1 {
				fields = append(fields, "x", "")
			}
			p.head(id, fields...)
			o := <-done
			if count <= 5 {
				if o.err != nil || len(o.Fields) != count-1 {
					p.fail("as many fields as the limit are taken", "%v, %v", o.Response, o.err)
				}
				return
			}
			p.wantReset("one more costs the stream", o.err, http2.ErrCodeEnhanceYourCalm, false, "FieldCount")
			p.want("the server is told", "RST_STREAM 1 ENHANCE_YOUR_CALM")
		})
	}
}

// CVE-2026-49975: one large entry of the table, and thousands of bytes that each
// repeat it.
func TestTableBomb(t *testing.T) {
	connected(t, Config{FieldCount: 1 << 20}, func(p *peer) {
		id, done := p.startStream()
		block := append(p.encode(":status", "200", "x", strings.Repeat("v", 4000)), strings.Repeat("\xbe", 10_000)...)
		p.must(p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndHeaders: true}))
		p.wantReset("it costs the stream", (<-done).err, http2.ErrCodeEnhanceYourCalm, false, "HeaderListSize")
		p.want("the server is told", "RST_STREAM 1 ENHANCE_YOUR_CALM")
	})
}

// CVE-2023-45288: a field block that goes on, in frames or in bytes.
func TestContinuationFlood(t *testing.T) {
	for frames := blockFrames - 1; frames <= blockFrames+1; frames++ {
		connected(t, Config{}, func(p *peer) {
			id, done := p.startStream()
			p.must(p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.encode(":status", "200")}))
			for i := 2; i <= frames; i++ {
				p.must(p.WriteContinuation(id, i == frames, nil))
			}
			if frames <= blockFrames {
				if o := <-done; o.err != nil {
					p.fail("as many frames as the limit are taken", "%v", o.err)
				}
				return
			}
			p.wantFailure("one more costs the connection", http2.ErrCodeEnhanceYourCalm, "33 frames")
		})
	}
	const limit = 100
	for size := blockFactor*limit - 1; size <= blockFactor*limit+1; size++ {
		connected(t, Config{HeaderListSize: limit}, func(p *peer) {
			id, done := p.startStream()
			block := p.encode(":status", "200")
			for len(block) < size {
				block = append(block, 0x20) // a table size of 0: no field
			}
			p.must(p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block[len(block)-1:]}))
			p.must(p.WriteContinuation(id, false, block[1:len(block)-1]))
			p.must(p.WriteContinuation(id, true, block[:1]))
			if size <= blockFactor*limit {
				if o := <-done; o.err != nil {
					p.fail("as many bytes as the limit are taken", "%v", o.err)
				}
				return
			}
			p.wantFailure("one more costs the connection", http2.ErrCodeEnhanceYourCalm, "401 bytes")
		})
	}
	connected(t, Config{}, func(p *peer) {
		p.enc.SetMaxDynamicTableSize(0)
		id, done := p.startStream()
		p.must(p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte{0x20, 0x00, 0x01, 'x', 0x7f, 0xff, 0xff, 0x0f}, EndHeaders: true}))
		p.wantFailure("a string that is announced longer than any may be", http2.ErrCodeCompression, "too long")
		<-done
	})
}

// TestFloods does what costs a server little, as often as it may, and once more.
func TestFloods(t *testing.T) {
	for _, flood := range []struct {
		name  string
		rate  rate
		first int // that the exchange of SETTINGS took
		send  func(p *peer)
		words string
	}{
		{"PING", pingRate, 0, func(p *peer) { p.raw("000008 06 00 00000000 0000000000000000") }, "PINGs"},
		{"SETTINGS", settingsRate, 1, func(p *peer) { p.raw("000000 04 00 00000000") }, "SETTINGS"},
		{"PING nobody sent, answered", uselessRate, 0, func(p *peer) { p.raw("000008 06 01 00000000 0000000000000000") }, "use"},
		{"empty DATA", uselessRate, 0, func(p *peer) { p.raw("000000 00 00 00000001") }, "use"},
		{"DATA of padding", uselessRate, 0, func(p *peer) { p.raw("000002 00 08 00000001 0100") }, "use"},
		{"PRIORITY", uselessRate, 0, func(p *peer) { p.raw("000005 02 00 00000001 0000000000") }, "use"},
		{"unknown frames", uselessRate, 0, func(p *peer) { p.raw("000001 fa 00 00000001 00") }, "use"},
		{"RST_STREAM on a stream that has ended", uselessRate, 0, func(p *peer) { p.raw("000004 03 00 00000003 00000000") }, "use"},
		{"HEADERS on a stream that has ended", uselessRate, 0, func(p *peer) { p.raw("000001 01 04 00000003 88") }, "use"},
		{"END_STREAM on a stream that has ended", uselessRate, 0, func(p *peer) { p.raw("000000 00 01 00000003") }, "use"},
		{"GOAWAY", uselessRate, -1, func(p *peer) { p.raw("000008 07 00 00000000 00000001 00000000") }, "use"},
	} {
		t.Run(flood.name, func(t *testing.T) {
			connected(t, Config{}, func(p *peer) {
				s := p.open()
				p.headEndOf(p.open())
				go p.discard() // the client's answers
				for range flood.rate.burst - flood.first {
					flood.send(p)
				}
				synctest.Wait()
				if err := p.conn.Err(); err != nil {
					p.fail("as many as the burst are taken", "%v", err)
				}
				time.Sleep(time.Second)
				for range flood.rate.perSecond {
					flood.send(p)
				}
				synctest.Wait()
				if err := p.conn.Err(); err != nil {
					p.fail("and as many as the rate in a second", "%v", err)
				}
				flood.send(p)
				<-p.conn.Done()
				var e *ConnectionError
				if err := p.conn.Err(); !errors.As(err, &e) || e.Code != http2.ErrCodeEnhanceYourCalm || !strings.Contains(e.Rule, flood.words) {
					p.fail("one more ends the connection", "%v", err)
				}
				if err := s.WaitReadable(); err != p.conn.Err() {
					p.fail("and its streams", "%v", err)
				}
			})
		})
	}
}

// A server that asks and does not read the answers.
func TestAnswersAreNotRead(t *testing.T) {
	connected(t, Config{WriteTimeout: -1}, func(p *peer) {
		const ping = "000008 06 00 00000000 0000000000000000"
		p.raw(ping) // its answer is being written
		synctest.Wait()
		for i := range answerLimit {
			if i%100 == 0 {
				time.Sleep(time.Second)
			}
			p.raw(ping)
		}
		synctest.Wait()
		if err := p.conn.Err(); err != nil || len(p.conn.ahead.b) != answerLimit*17 {
			p.fail("as many as the limit wait", "%v, %d bytes", err, len(p.conn.ahead.b))
		}
		time.Sleep(time.Second)
		p.raw(ping)
		<-p.conn.Done()
		if err := p.conn.Err(); !strings.Contains(err.Error(), "not read") {
			p.fail("one more ends the connection, though nothing can be written", "%v", err)
		}
	})
}

// CVE-2023-44487 and CVE-2025-8671: streams that end before they are complete.
func TestResetFloods(t *testing.T) {
	for name, reset := range map[string]func(p *peer, id uint32){
		"RST_STREAM":             func(p *peer, id uint32) { p.must(p.WriteRSTStream(id, http2.ErrCodeCancel)) },
		"what has us reset them": func(p *peer, id uint32) { p.must(p.WriteWindowUpdate(id, 0)) },
	} {
		t.Run(name, func(t *testing.T) {
			connected(t, Config{}, func(p *peer) {
				a, b, c := p.open(), p.open(), p.open()
				_ = b
				p.conn.mu.Lock()
				p.conn.peerResets.level = float64(resetRate.burst - 2) // and more as in open
				p.conn.peerResets.at = time.Now()
				p.conn.mu.Unlock()
				reset(p, a.id)
				reset(p, b.id)
				synctest.Wait()
				if err := p.conn.Err(); err != nil {
					p.fail("as many as the burst are taken", "%v", err)
				}
				go reset(p, c.id)
				p.wantFailure("one more ends the connection", http2.ErrCodeEnhanceYourCalm, "too many")
			})
		})
	}
	connected(t, Config{}, func(p *peer) {
		a, b := p.open(), p.open()
		p.conn.mu.Lock()
		p.conn.ownResets.level, p.conn.ownResets.at = float64(resetRate.burst-1), time.Now()
		p.conn.mu.Unlock()
		p.wantStreams("we may reset one more", 2, 9998)
		_ = a.Close()
		p.want("and do", "RST_STREAM 1 CANCEL")
		p.wantStreams("then no more are opened", 1, 0)
		if _, err := p.conn.Reserve(); !errors.Is(err, ErrTooManyResets) || !Unprocessed(err) {
			p.fail("with a reason", "%v", err)
		}
		p.wantWrite("those that are open go on", b, "x")
		p.want("as before", `DATA 3 "x"`)
		time.Sleep(time.Second / 50)
		p.wantStreams("time heals", 1, 9999)
	})
}

// Frames of types that we do not know, and flags, are ignored.
func TestUnknownIsIgnored(t *testing.T) {
	connected(t, Config{}, func(p *peer) {
		s := p.open()
		p.raw("000003 fe ff 00000001 010203   000004 10 00 00000000 00000001   000006 04 f0 00000000 00ff 00000001")
		p.want("what we know among them is not", "SETTINGS 0 ACK")
		p.raw("000007 0a 00 00000000 00000000000000   000005 02 00 00000003 0000000000   000008 06 00 80000000 6162636465666768")
		p.want("nor a PING after others", "PING 0 ACK abcdefgh")
		p.sendDATA(s.id, "x")
		p.wantRead("the stream goes on", s, "x")
	})
}
