package http2client

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

// A stream's window opens as its bytes are read, in steps of a half.
func TestReadingOpensTheWindow(t *testing.T) {
	connected(t, Config{StreamWindow: 1000}, func(p *peer) {
		s := p.open()
		p.sendDATA(1, strings.Repeat("a", 999), "b")
		p.wantIdle("a reader who does not read opens no window")
		if n := s.Buffered(); n != 1000 {
			p.fail("limit bytes are held", "%d are", n)
		}
		p.wantRead("limit-1 of the half is read", s, strings.Repeat("a", 499))
		p.wantIdle("nothing is said yet")
		p.wantRead("the half", s, "a")
		p.want("and the window opens by it", "WINDOW_UPDATE 1 500")
		p.wantRead("all", s, strings.Repeat("a", 499)+"b")
		p.want("and by the rest", "WINDOW_UPDATE 1 500")
		p.must(p.WriteData(1, true, make([]byte, 1000)))
		_, _ = io.ReadFull(s, make([]byte, 1000))
		p.wantIdle("nobody needs a window after END_STREAM")
		if n := s.Buffered(); n != 0 {
			p.fail("nothing is held", "%d are", n)
		}
	})
}

func TestPaddingCountsInTheWindow(t *testing.T) {
	connected(t, Config{StreamWindow: 1000}, func(p *peer) {
		s := p.open()
		for range 2 {
			p.must(p.WriteDataPadded(1, false, []byte("x"), make([]byte, 255))) // 257 bytes
			p.wantRead("the payload is read", s, "x")
		}
		p.want("padding is given back as it arrives, and its length", "WINDOW_UPDATE 1 513")
		p.must(p.WriteRawFrame(http2.FrameData, http2.FlagDataPadded, 1, []byte{2, 'y', 0, 0}))
		p.wantRead("the payload ends where the padding begins", s, "y")
		p.must(p.WriteRawFrame(http2.FrameData, http2.FlagDataPadded, 1, []byte{3, 'y', 0, 0}))
		p.wantRead("padding ends", s, "")
		p.must(p.WriteRawFrame(http2.FrameData, http2.FlagDataPadded, 1, []byte{3, 0, 0}))
		p.wantFailure("with the frame", http2.ErrCodeProtocol, "more padding than payload")
	})
}

func TestServerExceedsAWindow(t *testing.T) {
	connected(t, Config{StreamWindow: 1000}, func(p *peer) {
		s, other := p.open(), p.open()
		p.sendDATA(1, strings.Repeat("a", 1000), "b")
		p.want("limit+1 costs the stream", "RST_STREAM 1 FLOW_CONTROL_ERROR")
		_ = other
		p.wantRead("what was within the limit is read", s, strings.Repeat("a", 1000))
		_, err := s.Read(make([]byte, 1))
		p.wantReset("then the end", err, http2.ErrCodeFlowControl, false, "StreamWindow")
		p.sendDATA(3, "x")
		p.wantRead("others go on", other, "x")
	})
	connected(t, Config{StreamWindow: connWindow + 1}, func(p *peer) {
		_ = p.open()
		p.conn.recvWindow = 10
		p.sendDATA(1, strings.Repeat("a", 10))
		p.sendDATA(1, "b")
		p.wantFailure("the connection's window is a limit too", http2.ErrCodeFlowControl, "connection window")
	})
}

// A stream that nobody reads does not stop the others, since the connection's
// window opens as bytes arrive.
func TestSlowReaderStopsNobody(t *testing.T) {
	connected(t, Config{}, func(p *peer) {
		_ = p.open() // nobody reads it
		p.sendDATA(1, strings.Repeat("a", frameSize), strings.Repeat("a", frameSize))
		s := p.open()
		sent, updates := 2*frameSize, 0
		for range 2 * connWindow / frameSize {
			p.sendDATA(3, strings.Repeat("b", frameSize))
			sent += frameSize
			_, _ = io.ReadFull(s, make([]byte, frameSize))
			for {
				got, err := p.next()
				if err != nil {
					break
				}
				if n := 0; strings.HasPrefix(got, "WINDOW_UPDATE 0") {
					_, _ = fmt.Sscanf(got, "WINDOW_UPDATE 0 %d", &n)
					updates += n
				}
			}
		}
		if updates < sent-connWindow/2 || updates > sent {
			p.fail("all that arrives is given back to the connection", "%d of %d", updates, sent)
		}
	})
}

func TestResetStreamsGiveTheWindowBack(t *testing.T) {
	connected(t, Config{StreamWindow: connWindow}, func(p *peer) {
		s := p.open()
		_ = s.Close()
		p.want("a stream is closed", "RST_STREAM 1 CANCEL")
		for range connWindow / 2 / frameSize {
			p.sendDATA(1, strings.Repeat("a", frameSize))
		}
		p.want("what was under way is given back", fmt.Sprintf("WINDOW_UPDATE 0 %d", connWindow/2))
		for range connWindow / 2 / frameSize {
			p.sendDATA(1, strings.Repeat("a", frameSize))
		}
		p.want("all of its window", fmt.Sprintf("WINDOW_UPDATE 0 %d", connWindow/2))
		p.sendDATA(1, "b")
		p.wantFailure("and no more", http2.ErrCodeStreamClosed, "has ended")
	})
}

func TestSendingObeysTheWindows(t *testing.T) {
	connected(t, Config{}, func(p *peer) {
		s := p.open()
		written := make(chan error, 1)
		go func() { _, err := s.Write(make([]byte, 30)); written <- err }()
		p.want("a stream's window is obeyed", `DATA 1 "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"`)
		p.wantIdle("then it waits")
		p.must(p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 5}))
		p.want("the window can become negative", "SETTINGS 0 ACK")
		p.must(p.WriteWindowUpdate(1, 5))
		p.wantIdle("0 is no window")
		p.must(p.WriteWindowUpdate(1, 1))
		p.want("1 is", `DATA 1 "\x00"`)
		p.must(p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 24}))
		got := []string{}
		for range 2 {
			w, _ := p.next()
			got = append(got, w)
		}
		if got[0] != "SETTINGS 0 ACK" || got[1] != fmt.Sprintf("DATA 1 %q", make([]byte, 19)) {
			p.fail("SETTINGS open it, and what obeys them follows the acknowledgement", "got %q", got)
		}
		if err := <-written; err != nil {
			p.fail("all is written", "%v", err)
		}
	}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10})

	connected(t, Config{}, func(p *peer) {
		s := p.open()
		go func() { _, _ = s.Write([]byte("x")) }()
		p.wantIdle("INITIAL_WINDOW_SIZE 0 is no window")
		p.must(p.WriteWindowUpdate(1, 1))
		p.want("until WINDOW_UPDATE", `DATA 1 "x"`)
	}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})

	connected(t, Config{}, func(p *peer) {
		a, b := p.open(), p.open()
		go func() { _, _ = a.Write(make([]byte, 2*initialWindow)) }()
		p.want("the connection's window is obeyed", "DATA 1 16384 bytes", "DATA 1 16384 bytes", "DATA 1 16384 bytes", "DATA 1 16383 bytes")
		go func() { _, _ = b.Write([]byte("x")) }()
		id, done := p.startStream()
		p.head(id, ":status", "200")
		<-done
		p.wantIdle("for all streams; requests need none")
		p.must(p.WriteWindowUpdate(0, frameSize+1))
		p.want("it is shared in turns of a frame", "DATA 1 16384 bytes", `DATA 3 "x"`)
	}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
}

func TestWindowOverflow(t *testing.T) {
	connected(t, Config{}, func(p *peer) {
		s := p.open()
		p.must(p.WriteWindowUpdate(1, maxWindow-initialWindow))
		p.must(p.WriteWindowUpdate(0, maxWindow-initialWindow))
		p.wantIdle("2^31-1 is a window")
		p.must(p.WriteWindowUpdate(1, 1))
		p.want("2^31 is none", "RST_STREAM 1 FLOW_CONTROL_ERROR")
		p.wantEndReset("the stream ends", s, http2.ErrCodeFlowControl)
		p.must(p.WriteWindowUpdate(1, 1)) // under way
		p.must(p.WriteWindowUpdate(0, 1))
		p.wantFailure("nor for the connection", http2.ErrCodeFlowControl, "connection's window")
	})
	connected(t, Config{}, func(p *peer) {
		_ = p.open()
		p.must(p.WriteWindowUpdate(1, maxWindow-initialWindow))
		p.must(p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: initialWindow + 1}))
		p.wantFailure("nor by SETTINGS", http2.ErrCodeFlowControl, "stream 1")
	})
	connected(t, Config{}, func(p *peer) {
		s := p.open()
		p.must(p.WriteWindowUpdate(1, 0))
		p.want("an increment of 0 costs the stream", "RST_STREAM 1 PROTOCOL_ERROR")
		p.wantEndReset("the stream ends", s, http2.ErrCodeProtocol)
		p.must(p.WriteWindowUpdate(0, 0))
		p.wantFailure("or the connection", http2.ErrCodeProtocol, "by 0")
	})
}

// wantEndReset checks that s was reset for what the server did.
func (p *peer) wantEndReset(sentence string, s *Stream, code http2.ErrCode) {
	p.t.Helper()
	synctest.Wait()
	_, err := s.Write([]byte("x"))
	p.wantReset(sentence, err, code, false, "")
	p.wantReset(sentence, s.WaitReadable(), code, false, "")
	p.wantReset(sentence, s.CloseWrite(), code, false, "")
}

func TestWriteDeadline(t *testing.T) {
	connected(t, Config{}, func(p *peer) {
		s := p.open()
		_ = s.SetWriteDeadline(time.Now().Add(time.Second))
		start := time.Now()
		n, err := s.Write([]byte("hello"))
		if n != 3 || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Second {
			p.fail("a deadline ends a Write, which says what it has sent", "%d, %v after %v", n, err, time.Since(start))
		}
		if n, err := s.Write([]byte("lo")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			p.fail("and those that follow", "%d, %v", n, err)
		}
		_ = s.SetWriteDeadline(time.Now().Add(time.Second))
		_ = s.SetWriteDeadline(time.Now().Add(2 * time.Second))
		p.want("it has sent that", `DATA 1 "hel"`)
		go func() {
			time.Sleep(1500 * time.Millisecond)
			p.must(p.WriteWindowUpdate(1, 2))
		}()
		p.wantWrite("a later deadline replaces it, and the stream is as good as before", s, "lo")
		p.want("nothing is missing or twice", `DATA 1 "lo"`)
		_ = s.SetWriteDeadline(time.Time{})
		go func() {
			time.Sleep(time.Hour)
			_ = s.SetWriteDeadline(longAgo)
		}()
		if n, err := s.Write([]byte("x")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			p.fail("a deadline concerns a Write that waits", "%d, %v", n, err)
		}
	}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 3})
}

func TestReadDeadline(t *testing.T) {
	connected(t, Config{}, func(p *peer) {
		s := p.open()
		_ = s.SetDeadline(time.Now().Add(time.Second))
		start := time.Now()
		p.wantEnd("a deadline ends a Read", s, os.ErrDeadlineExceeded)
		if time.Since(start) != time.Second {
			p.fail("when it passes", "after %v", time.Since(start))
		}
		p.sendDATA(1, "x")
		synctest.Wait()
		p.wantEnd("even if there is something", s, os.ErrDeadlineExceeded)
		_ = s.SetReadDeadline(time.Time{})
		p.wantRead("nothing was lost", s, "x")
		_ = s.SetReadDeadline(time.Now().Add(time.Second))
		go func() {
			time.Sleep(time.Second / 2)
			_ = s.SetReadDeadline(time.Now().Add(time.Second))
		}()
		start = time.Now()
		p.wantEnd("a later deadline replaces it", s, os.ErrDeadlineExceeded)
		if time.Since(start) != 3*time.Second/2 {
			p.fail("for a Read that waits", "after %v", time.Since(start))
		}
		_ = s.Close()
		if err := s.SetDeadline(time.Time{}); err != net.ErrClosed {
			p.fail("a stream that is closed has no deadlines", "%v", err)
		}
	})
}

// A stream's window may shrink while it waits for the connection's.
func TestWindowShrinksWhileAStreamWaits(t *testing.T) {
	connected(t, Config{}, func(p *peer) {
		s := p.open()
		go func() { _, _ = s.Write(make([]byte, initialWindow+10)) }()
		p.want("the connection's window is used up", "DATA 1 16384 bytes", "DATA 1 16384 bytes", "DATA 1 16384 bytes", "DATA 1 16383 bytes")
		p.must(p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: initialWindow}))
		p.want("the stream's becomes 0", "SETTINGS 0 ACK")
		p.must(p.WriteWindowUpdate(0, 100))
		p.wantIdle("then the connection's does not help")
		p.must(p.WriteWindowUpdate(1, 100))
		p.want("until the stream's opens", `DATA 1 "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"`)
	}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
}

// A frame is read as it arrives, and its stream may be closed meanwhile.
func TestFrameArrivesInPieces(t *testing.T) {
	connected(t, Config{}, func(p *peer) {
		s := p.open()
		p.raw("00000a 00 09 00000001 03 6162")
		p.wantRead("what has arrived is read", s, "ab")
		p.raw("63646566 0000")
		p.wantRead("and the rest of the payload", s, "cdef")
		p.wantEnd("the frame's END_STREAM counts", s, io.EOF)
		p.raw("00")

		s = p.open()
		p.raw("00000a 00 01 00000003 6162")
		synctest.Wait()
		_ = s.Close()
		p.want("a stream is closed within a frame", "RST_STREAM 3 CANCEL")
		p.raw("6364656667686970")
		p.wantStreams("the connection goes on", 1, 9999) // the first was not ended by us
		p.wantIdle("and has nothing to say")
	})
}

// One stream with megabytes does not starve another.
func TestStreamsTakeTurns(t *testing.T) {
	connected(t, Config{}, func(p *peer) {
		p.must(p.WriteWindowUpdate(0, 1<<30))
		big, small := p.open(), p.open()
		go func() { _, _ = big.Write(make([]byte, 4<<20)) }()
		synctest.Wait()
		go func() { _, _ = small.Write([]byte("x")) }()
		synctest.Wait()
		for n := 0; ; n++ {
			got, _ := p.next()
			if got == `DATA 3 "x"` {
				break
			}
			if n > 2*(outLimit/frameSize+1) {
				p.fail("a small Write leaves after what the connection has taken", "not after %d frames", n)
			}
		}
		p.conn.mu.Lock()
		held := len(p.conn.out.b)
		p.conn.mu.Unlock()
		if held > outLimit+frameSize+9 {
			p.fail("the connection takes outLimit and a frame", "it holds %d bytes", held)
		}
	}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
}

func TestCloseWriteFollowsAWriteThatWaits(t *testing.T) {
	connected(t, Config{}, func(p *peer) {
		s := p.open()
		go func() { _, _ = s.Write([]byte("hello")) }()
		p.want("a Write waits for a window", `DATA 1 "hel"`)
		_ = s.CloseWrite()
		p.wantIdle("CloseWrite does not overtake it")
		p.must(p.WriteWindowUpdate(1, 2))
		p.want("its last frame ends the stream", `DATA 1 END_STREAM "lo"`)

		s = p.open()
		_ = s.SetWriteDeadline(time.Now().Add(time.Second))
		go func() { _, _ = s.Write([]byte("hello")) }()
		p.want("another waits", `DATA 3 "hel"`)
		_ = s.CloseWrite()
		p.want("where it is given up, the stream ends after what was sent", `DATA 3 END_STREAM ""`)
	}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 3})
}

func TestCloseEndsWhatWaits(t *testing.T) {
	connected(t, Config{}, func(p *peer) {
		s := p.open()
		p.sendDATA(1, "unread")
		errs := make(chan error, 2)
		go func() { _, err := s.Write([]byte("x")); errs <- err }()
		other := p.open()
		go func() { errs <- other.WaitReadable() }()
		synctest.Wait()
		_ = s.Close()
		_ = other.Close()
		for range 2 {
			if err := <-errs; err != net.ErrClosed {
				p.fail("Close ends calls that wait", "%v", err)
			}
		}
		if n := s.Buffered(); n != 0 {
			p.fail("and frees what was unread", "%d bytes", n)
		}
		if err := s.CloseWrite(); err != net.ErrClosed {
			p.fail("a closed stream has no end to send", "%v", err)
		}
		p.want("the server is told", "RST_STREAM 1 CANCEL", "RST_STREAM 3 CANCEL")
	}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
}

// Whatever the sizes of frames and of reads, the bytes come in order, and the
// blocks hold little more than what is unread.
func TestBlocks(t *testing.T) {
	var q blockQueue
	var in, out byte
	write := func(n int) {
		b := make([]byte, n)
		for i := range b {
			b[i] = in
			in++
		}
		q.write(b)
	}
	read := func(n int) {
		b := make([]byte, n)
		k := q.read(b)
		for i := range b[:k] {
			if b[i] != out {
				t.Fatalf("bytes come in order: got %d, want %d", b[i], out)
			}
			out++
		}
	}
	for i := range 2000 {
		write(i * 37 % 20000)
		if i%3 == 0 {
			write(1)
		}
		read(i * 53 % 21000)
		held := 0
		for b := q.first; b != nil; b = b.next {
			held += len(b.buf)
		}
		if over := held - q.size; over > 2*blockSizes[len(blockSizes)-1] {
			t.Fatalf("%d bytes are held for %d", held, q.size)
		}
	}
	q.clear()
	if q.first != nil || q.last != nil || q.size != 0 {
		t.Fatal("clear leaves something")
	}
}
