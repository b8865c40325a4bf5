package http2client

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

func TestGoAway(t *testing.T) {
	connected(t, Config{}, func(p *peer) {
		a, b := p.open(), p.open()
		_, opening := p.startStream()
		p.must(p.WriteGoAway(1, http2.ErrCodeNo, []byte("restart\r\n\x1b[31m"+strings.Repeat("x", 1000))))
		o := <-opening
		var e *GoAwayError
		if !errors.As(o.err, &e) || !Unprocessed(o.err) || e.LastStreamID != 1 || len(e.Debug) != debugLimit || !strings.HasPrefix(e.Debug, "restart???[31mxxx") {
			p.fail("a request above the last stream may be sent again", "got %v", o.err)
		}
		if err := b.WaitReadable(); !errors.As(err, &e) || !Unprocessed(err) {
			p.fail("a stream above the last ends", "%v", err)
		}
		if _, err := b.Write([]byte("x")); !Unprocessed(err) {
			p.fail("both ways", "%v", err)
		}
		p.wantStreams("nothing more can be opened", 1, 0)
		if _, _, err := p.conn.Open(p.t.Context(), request); !errors.As(err, &e) || !Unprocessed(err) {
			p.fail("and Open says why", "%v", err)
		}
		if p.conn.Err() != nil {
			p.fail("the connection is not over", "%v", p.conn.Err())
		}
		p.wantWrite("a stream up to the last goes on", a, "x")
		p.want("as before", `DATA 1 "x"`)
		_ = a.CloseWrite()
		p.want("it ends", `DATA 1 END_STREAM ""`)
		p.must(p.WriteData(1, true, nil))
		p.want("and the connection with it", "GOAWAY 0 last 0 NO_ERROR")
		p.wantEOF("the transport is closed")
		if err := p.conn.Err(); !errors.As(err, &e) || Unprocessed(err) {
			p.fail("the connection says why", "%v", err)
		}
	})
	connected(t, Config{}, func(p *peer) {
		s := p.open()
		p.must(p.WriteGoAway(maxStreamID, http2.ErrCodeNo, nil))
		p.must(p.WriteGoAway(1, http2.ErrCodeInternal, []byte("bye")))
		synctest.Wait()
		_ = p.nc.Close()
		<-p.conn.Done()
		err := s.WaitReadable()
		var e *GoAwayError
		if !errors.As(err, &e) || e.Code != http2.ErrCodeInternal || Unprocessed(err) || !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), `"bye"`) {
			p.fail("a connection that is lost after GOAWAY says both", "%v", err)
		}
	})
	connected(t, Config{}, func(p *peer) {
		// One request is on its way, and the others wait for room.
		r := request
		r.Path = "/?" + strings.Repeat("x", 60<<10)
		errs := make(chan error)
		for range 5 {
			go func() { _, _, err := p.conn.Open(p.t.Context(), r); errs <- err }()
		}
		synctest.Wait()
		p.must(p.WriteGoAway(0, http2.ErrCodeNo, nil))
		for range 5 {
			if err := <-errs; !Unprocessed(err) {
				p.fail("all of them may be sent again", "%v", err)
			}
		}
	})
}

func TestShutdown(t *testing.T) {
	connected(t, Config{}, func(p *peer) {
		s := p.open()
		done := make(chan error, 1)
		go func() { done <- p.conn.Shutdown(p.t.Context()) }()
		p.want("the server hears of it", "GOAWAY 0 last 0 NO_ERROR")
		p.wantStreams("no more streams are opened", 1, 0)
		if _, _, err := p.conn.Open(p.t.Context(), request); !errors.Is(err, ErrClosed) || !errors.Is(err, net.ErrClosed) || !Unprocessed(err) {
			p.fail("and Open says why", "%v", err)
		}
		p.sendDATA(1, "x")
		p.wantRead("those that are open go on", s, "x")
		_ = s.Close()
		p.want("until they end", "RST_STREAM 1 CANCEL", "GOAWAY 0 last 0 NO_ERROR")
		p.wantEOF("then the transport is closed")
		if err := <-done; err != nil || p.conn.Err() != ErrClosed {
			p.fail("Shutdown returns", "%v, %v", err, p.conn.Err())
		}
	})
	connected(t, Config{}, func(p *peer) {
		s := p.open()
		ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
		defer cancel()
		go p.discard()
		if err := p.conn.Shutdown(ctx); err != context.DeadlineExceeded {
			p.fail("Shutdown waits as long as its context", "%v", err)
		}
		<-p.conn.Done()
		p.wantEnd("then streams end", s, ErrClosed)
	})
}

func TestClose(t *testing.T) {
	connected(t, Config{}, func(p *peer) {
		s := p.open()
		p.sendDATA(1, "unread")
		synctest.Wait()
		_ = p.conn.Close()
		_ = p.conn.Close()
		p.want("the server hears of it", "GOAWAY 0 last 0 NO_ERROR")
		p.wantEOF("the transport is closed")
		p.wantRead("what had arrived is read", s, "unread")
		p.wantEnd("then comes the end", s, net.ErrClosed)
		if err := p.conn.Shutdown(p.t.Context()); err != nil {
			p.fail("Shutdown of a closed connection", "%v", err)
		}
	})
	connected(t, Config{}, func(p *peer) {
		s := p.open()
		start := time.Now()
		_, _ = s.Write([]byte("x")) // nobody reads it
		synctest.Wait()
		_ = p.conn.Close()
		<-p.conn.Done()
		if took := time.Since(start); took != closeTimeout {
			p.fail("a server that reads nothing delays the end by a second", "%v", took)
		}
	})
	bubble(t, Config{}, func(p *peer) {
		done := p.start(p.t.Context())
		synctest.Wait()
		_ = p.conn.Close()
		if o := <-done; !errors.Is(o.err, ErrClosed) || !Unprocessed(o.err) {
			p.fail("an Open that waits for SETTINGS ends", "%v", o.err)
		}
	})
}

func TestConnectionIsLost(t *testing.T) {
	connected(t, Config{}, func(p *peer) {
		s := p.open()
		_, opening := p.startStream()
		p.sendDATA(1, "last")
		synctest.Wait()
		_ = p.nc.Close()
		if o := <-opening; !errors.Is(o.err, io.ErrUnexpectedEOF) || Unprocessed(o.err) {
			p.fail("an Open that waits for the response ends", "%v", o.err)
		}
		<-p.conn.Done()
		p.wantRead("what had arrived is read", s, "last")
		p.wantEnd("then comes the end, which is not the server's", s, io.ErrUnexpectedEOF)
		if err := s.WaitReadable(); errors.Is(err, io.EOF) {
			p.fail("it is not io.EOF", "%v", err)
		}
	})
	// Wherever it is lost.
	stream := "000006 04 00 00000000 000800000001  000001 01 04 00000001 88  000004 00 08 00000001 01 6162 00  000004 08 00 00000000 00000001" +
		"000002 fe 00 00000000 0000  000005 02 00 00000001 0000000000  000001 01 00 00000001 88  000001 09 00 00000001 88"
	hexes := strings.ReplaceAll(stream, " ", "")
	for cut := 2; cut < len(hexes); cut += 2 {
		bubble(t, Config{}, func(p *peer) {
			opened := p.start(p.t.Context())
			go p.discard()
			head := len("000006040000000000000800000001")
			p.raw(hexes[:min(cut, head)])
			synctest.Wait() // stream 1 is open, if it will be
			if cut > head {
				p.raw(hexes[head:cut])
			}
			_ = p.nc.Close()
			<-p.conn.Done()
			if err := p.conn.Err(); !errors.Is(err, io.ErrUnexpectedEOF) {
				p.fail("it is lost", "after %d bytes: %v", cut/2, err)
			}
			if o := <-opened; o.Stream != nil {
				_ = o.Close()
			}
		})
	}
}

func TestWriteStalls(t *testing.T) {
	for _, timeout := range []time.Duration{0, time.Second, -1} {
		connected(t, Config{WriteTimeout: timeout}, func(p *peer) {
			s := p.open()
			start := time.Now()
			time.Sleep(20 * time.Second) // nothing is being written
			p.wantWrite("a write that is taken", s, "x")
			p.want("arrives", `DATA 1 "x"`)
			time.Sleep(5 * time.Second)
			p.wantWrite("the connection takes what the transport does not", s, "x")
			if timeout < 0 {
				time.Sleep(time.Hour)
				if err := p.conn.Err(); err != nil {
					p.fail("a negative limit is none", "%v", err)
				}
				return
			}
			<-p.conn.Done()
			want := 25*time.Second + p.conn.config.WriteTimeout
			var ne net.Error
			if err := p.conn.Err(); time.Since(start) != want || !errors.As(err, &ne) || !ne.Timeout() || !strings.Contains(err.Error(), "WriteTimeout") {
				p.fail("until the limit", "%v after %v, want %v", err, time.Since(start), want)
			}
			if _, err := s.Write([]byte("x")); !errors.As(err, &ne) {
				p.fail("and then streams end", "%v", err)
			}
		})
	}
}

// A brokenWriter is a transport that takes nothing more.
type brokenWriter struct {
	net.Conn
	broken atomic.Bool
}

var errBroken = errors.New("broken pipe")

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.broken.Load() {
		return 0, errBroken
	}
	return w.Conn.Write(p)
}

// What the server sent before our writes failed is still read, its GOAWAY among
// it.
func TestWriteFails(t *testing.T) {
	for _, says := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe()
			w := &brokenWriter{Conn: client}
			p := &peer{t: t, nc: server}
			p.Framer = http2.NewFramer(p, p)
			p.conn = New(w, Config{})
			go func() { _, _ = io.Copy(io.Discard, server) }()
			p.must(p.WriteSettings(extendedConnect))
			synctest.Wait()
			opened := p.start(t.Context())
			synctest.Wait()
			p.raw("000001 01 04 00000001 88")
			s := (<-opened).Stream
			w.broken.Store(true)
			p.wantWrite("the connection takes it", s, "x")
			synctest.Wait()
			if _, err := s.Write([]byte("x")); !errors.Is(err, errBroken) {
				p.fail("then the transport does not", "%v", err)
			}
			if _, err := p.conn.Reserve(); !errors.Is(err, errBroken) {
				p.fail("nothing more is opened", "%v", err)
			}
			waiting := make(chan error)
			go func() { waiting <- s.WaitReadable() }()
			if says {
				p.must(p.WriteGoAway(0, http2.ErrCodeNo, nil))
				if err := <-waiting; !Unprocessed(err) {
					p.fail("what the server said is heard", "%v", err)
				}
			} else if err := <-waiting; !errors.Is(err, errBroken) {
				p.fail("a server that says nothing is waited for no longer than a second", "%v", err)
			}
			_ = server.Close()
			<-p.conn.Done()
		})
	}
}

// Resets of the server, by what came before.
func TestResetByServer(t *testing.T) {
	connected(t, Config{}, func(p *peer) {
		_, done := p.startStream()
		p.must(p.WriteRSTStream(1, http2.ErrCodeRefusedStream))
		o := <-done
		p.wantReset("before the response", o.err, http2.ErrCodeRefusedStream, true, "REFUSED_STREAM")
		if !Unprocessed(o.err) {
			p.fail("REFUSED_STREAM may be tried again", "%v", o.err)
		}

		s := p.open()
		p.sendDATA(3, "last")
		p.must(p.WriteRSTStream(3, http2.ErrCodeNo))
		p.wantRead("what had arrived is read", s, "last")
		p.wantReset("NO_ERROR before END_STREAM is no end", s.WaitReadable(), http2.ErrCodeNo, true, "")
		_, err := s.Write([]byte("x"))
		p.wantReset("both ways", err, http2.ErrCodeNo, true, "")
		if Unprocessed(err) {
			p.fail("the server has acted on it", "%v", err)
		}

		s = p.open()
		p.must(p.WriteData(5, true, []byte("last")))
		p.must(p.WriteRSTStream(5, http2.ErrCodeNo))
		synctest.Wait() // the end is read before the reset is
		p.wantRead("after END_STREAM all is read", s, "last")
		p.wantEnd("to the end", s, io.EOF)
		_, err = s.Write([]byte("x"))
		p.wantReset("and nothing written", err, http2.ErrCodeNo, true, "")

		s = p.open()
		waiting := make(chan error)
		go func() { waiting <- s.WaitReadable() }()
		synctest.Wait()
		p.must(p.WriteRSTStream(7, http2.ErrCodeCancel))
		p.wantReset("a Read that waits ends", <-waiting, http2.ErrCodeCancel, true, "CANCEL")
		_ = s.Close()
		p.wantStreams("none is open", 0, 10000)
		p.wantIdle("and there is nothing to say about it")
	})
}

// Changed is called without a lock: it may look at the connection.
func TestChanged(t *testing.T) {
	var conn atomic.Pointer[Conn]
	var calls, streams atomic.Int32
	connected(t, Config{Changed: func() {
		calls.Add(1)
		if conn := conn.Load(); conn != nil {
			streams.Store(int32(conn.Streams()))
			_ = conn.Err()
			_ = conn.Free()
		}
	}}, func(p *peer) {
		conn.Store(p.conn)
		wantCalls := func(sentence string, open int32) {
			t.Helper()
			synctest.Wait()
			if calls.Swap(0) == 0 || streams.Load() != open {
				p.fail(sentence, "it was not, or %d streams are open, want %d", streams.Load(), open)
			}
		}
		a, b, c := p.open(), p.open(), p.open()
		_ = c
		calls.Store(0)
		_ = a.Close()
		wantCalls("it is called after Close", 2)
		p.want("which resets", "RST_STREAM 1 CANCEL")
		p.must(p.WriteRSTStream(b.id, http2.ErrCodeCancel))
		wantCalls("after the server's reset", 1)
		p.must(p.WriteGoAway(5, http2.ErrCodeNo, nil))
		wantCalls("after GOAWAY", 1)
		_ = p.nc.Close()
		<-p.conn.Done()
		wantCalls("and at the end", 0)
	})
}

// A Write that another's END_STREAM has made something to tell tells it, rather
// than wait with it.
func TestChangedIsToldByWhoWaits(t *testing.T) {
	var calls atomic.Int32
	connected(t, Config{Changed: func() { calls.Add(1) }}, func(p *peer) {
		a, b := p.open(), p.open()
		go func() { _, _ = a.Write([]byte("ab")) }()
		p.want("a Write waits", `DATA 1 "a"`)
		_ = a.CloseWrite()
		p.must(p.WriteData(1, true, nil))
		synctest.Wait()
		p.conn.mu.Lock()
		calls.Store(0)
		a.sendWindow = 1
		p.conn.enqueue(a)
		p.conn.mu.Unlock()
		go func() { _, _ = b.Write([]byte("xy")) }()
		p.want("another Write sends both", `DATA 1 END_STREAM "b"`, `DATA 3 "x"`)
		synctest.Wait()
		if calls.Load() != 1 {
			p.fail("the end of the first is told once", "%d times", calls.Load())
		}
	}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
}

func TestPing(t *testing.T) {
	connected(t, Config{}, func(p *peer) {
		errs := make(chan error)
		for range 2 {
			go func() { errs <- p.conn.Ping(p.t.Context()) }()
		}
		p.want("two who ask share a PING", "PING 0 \x00\x00\x00\x00\x00\x00\x00\x01")
		p.must(p.WritePing(true, [8]byte{7: 2}))
		synctest.Wait()
		if len(errs) > 0 {
			p.fail("the answer to another is none", "it was taken")
		}
		p.must(p.WritePing(true, [8]byte{7: 1}))
		for range 2 {
			if err := <-errs; err != nil {
				p.fail("the server is alive", "%v", err)
			}
		}
		ctx, cancel := context.WithTimeout(p.t.Context(), time.Second)
		defer cancel()
		if err := p.conn.Ping(ctx); err != context.DeadlineExceeded {
			p.fail("the server does not answer", "%v", err)
		}
		p.want("what was asked", "PING 0 \x00\x00\x00\x00\x00\x00\x00\x02")
		go func() { errs <- p.conn.Ping(p.t.Context()) }()
		p.wantIdle("is not asked twice")
		_ = p.nc.Close()
		if err := <-errs; !errors.Is(err, io.ErrUnexpectedEOF) {
			p.fail("the connection ends", "%v", err)
		}
		if err := p.conn.Ping(p.t.Context()); !errors.Is(err, io.ErrUnexpectedEOF) {
			p.fail("and has ended", "%v", err)
		}
	})
}

func TestErrorWords(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&StreamError{StreamID: 3, Code: http2.ErrCodeCancel, ByPeer: true}, "http2: the server reset stream 3 with CANCEL"},
		{&GoAwayError{LastStreamID: 5, Code: http2.ErrCodeNo}, "http2: the server is going away: NO_ERROR, last stream 5"},
		{&StatusError{403}, "http2: the server refused Extended CONNECT with status 403"},
		{ErrClosed, "http2: connection closed"},
		{&lostError{err: io.ErrUnexpectedEOF}, "http2: connection lost: unexpected EOF"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
		if Unprocessed(c.err) {
			t.Errorf("%v does not say that the server did nothing", c.err)
		}
	}
}
