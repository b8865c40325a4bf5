package http2client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

func TestOpen(t *testing.T) {
	connected(t, Config{}, func(p *peer) {
		ok, err := p.conn.WaitSettings(p.t.Context())
		if !ok || err != nil {
			p.fail("the SETTINGS allow Extended CONNECT", "got %v, %v", ok, err)
		}
		r := request
		r.Path = "/chat?token=x"
		r.Fields = []Field{{Name: "sec-websocket-version", Value: "13"}, {Name: "authorization", Value: "Bearer x"},
			{Name: "x-api-key", Value: "y"}, {Name: "x-plain", Value: "z", Sensitive: true}}
		done := make(chan opening, 1)
		go func() {
			s, r, err := p.conn.Open(p.t.Context(), r)
			done <- opening{s, r, err}
		}()
		p.want("what may be a secret is in no compression table", "HEADERS 1 :method=CONNECT :protocol=websocket :scheme=https"+
			" :path=/chat?token=x(never indexed) :authority=example.com sec-websocket-version=13 authorization=Bearer x(never indexed)"+
			" x-api-key=y(never indexed) x-plain=z(never indexed)")
		p.head(1, ":status", "103", "link", "x")
		p.head(1, ":status", "200", "sec-websocket-protocol", "chat", "x-two", "1", "x-two", "2")
		o := <-done
		if got := fmt.Sprint(o.Status, o.Fields, o.err); got != `200 [header field "sec-websocket-protocol" = "chat" header field "x-two" = "1" header field "x-two" = "2"] <nil>` {
			p.fail("1xx is skipped, and the response's fields come in order", "got %s", got)
		}
		p.wantStreams("it is open", 1, 9999)
		if o.LocalAddr() != p.conn.nc.LocalAddr() || o.RemoteAddr() != p.conn.nc.RemoteAddr() {
			p.fail("a stream's addresses are the connection's", "they are not")
		}

		p.wantWrite("a stream writes", o.Stream, "hello")
		p.want("in a DATA frame", `DATA 1 "hello"`)
		p.sendDATA(1, "wor", "ld")
		p.wantRead("a stream reads across frames", o.Stream, "world")
		if err := o.CloseWrite(); err != nil {
			p.fail("a stream half-closes", "%v", err)
		}
		p.want("with END_STREAM", `DATA 1 END_STREAM ""`)
		if n, err := o.Write([]byte("x")); n != 0 || err != net.ErrClosed {
			p.fail("nothing is written after CloseWrite", "%d, %v", n, err)
		}
		_ = o.CloseWrite()
		p.must(p.WriteData(1, true, []byte("bye")))
		p.wantStreams("it has ended on both sides", 0, 10000)
		p.wantRead("what came before the end is read", o.Stream, "bye")
		p.wantEnd("the end is EOF", o.Stream, io.EOF)
		_ = o.Close()
		_ = o.Close()
		p.wantIdle("a stream that is complete is closed without a reset")
		p.wantEnd("and then it is closed", o.Stream, net.ErrClosed)
	})
}

func TestOpenIsRefused(t *testing.T) {
	connected(t, Config{}, func(p *peer) {
		id, done := p.startStream()
		p.head(id, ":status", "403", "x", "y")
		o := <-done
		var e *StatusError
		if !errors.As(o.err, &e) || e.Status != 403 || o.Response.Status != 403 || len(o.Fields) != 1 || o.Stream != nil || Unprocessed(o.err) {
			p.fail("a status that is not 2xx is an error with the response", "got %+v", o)
		}
		p.want("what follows is not wanted", "RST_STREAM 1 CANCEL")
		p.sendDATA(id, "body") // under way
		id, done = p.startStream()
		p.headEnd(id, ":status", "404")
		if o := <-done; !errors.As(o.err, &e) || e.Status != 404 {
			p.fail("a response without a body", "got %+v", o)
		}
		p.want("ends the same way: the server may have forgotten the stream", "RST_STREAM 3 CANCEL")
		p.wantStreams("neither is open", 0, 10000)
	})
}

func TestOpenIsCanceled(t *testing.T) {
	connected(t, Config{}, func(p *peer) {
		ctx, cancel := context.WithCancel(p.t.Context())
		done := p.start(ctx)
		p.want("the request", "HEADERS 1 "+requestWords)
		cancel()
		if o := <-done; o.err != context.Canceled || Unprocessed(o.err) {
			p.fail("Open ends with its context", "got %v", o.err)
		}
		p.want("the server is told", "RST_STREAM 1 CANCEL")
		p.head(1, ":status", "200", "x-indexed", "1")
		p.must(p.WriteData(1, true, []byte("late")))
		p.must(p.WriteRSTStream(1, http2.ErrCodeCancel))
		s := p.open()
		p.head(3, ":status", "200") // a mistake, so that we see what the field block was
		p.want("the connection goes on, and the compression state with it", "RST_STREAM 3 PROTOCOL_ERROR")
		_, err := s.Read(nil)
		if err != nil {
			p.fail("reading nothing is no error", "%v", err)
		}

		_, _, err = p.conn.Open(ctx, request)
		if !errors.Is(err, context.Canceled) || !Unprocessed(err) {
			p.fail("a context that has ended opens nothing", "got %v", err)
		}
		p.wantStreams("nothing is open", 0, 10000)
	})
}

func TestOpenWithoutExtendedConnect(t *testing.T) {
	changes := 0
	bubble(t, Config{Changed: func() { changes++ }}, func(p *peer) {
		if _, err := p.conn.Reserve(); !errors.Is(err, ErrNoExtendedConnect) || !Unprocessed(err) {
			p.fail("before SETTINGS nothing is allowed", "got %v", err)
		}
		ctx, cancel := context.WithTimeout(p.t.Context(), time.Second)
		defer cancel()
		if _, _, err := p.conn.Open(ctx, request); !errors.Is(err, context.DeadlineExceeded) || !Unprocessed(err) {
			p.fail("Open waits for SETTINGS", "got %v", err)
		}
		p.settings()
		if ok, err := p.conn.WaitSettings(p.t.Context()); ok || err != nil {
			p.fail("SETTINGS do not allow it", "got %v, %v", ok, err)
		}
		if _, _, err := p.conn.Open(p.t.Context(), request); !errors.Is(err, ErrNoExtendedConnect) {
			p.fail("then nothing is sent", "got %v", err)
		}
		p.wantStreams("there is no room", 0, 0)
		before := changes
		p.must(p.WriteSettings(extendedConnect))
		p.want("the server may allow it later", "SETTINGS 0 ACK")
		synctest.Wait()
		if changes == before {
			p.fail("a pool hears of it", "it did not")
		}
		_ = p.open()
	})
}

func TestStreamLimit(t *testing.T) {
	for _, limit := range []struct {
		name     string
		config   Config
		settings []http2.Setting
	}{
		{"of the server", Config{}, []http2.Setting{{ID: http2.SettingMaxConcurrentStreams, Val: 3}}},
		{"of Config", Config{Streams: 3}, nil},
	} {
		t.Run(limit.name, func(t *testing.T) {
			connected(t, limit.config, func(p *peer) {
				first := p.open()
				p.wantStreams("one of three", 1, 2)
				r, err := p.conn.Reserve()
				if err != nil {
					p.fail("there is room", "%v", err)
				}
				p.wantStreams("a reservation takes room", 1, 1)
				_ = p.open()
				p.wantStreams("limit-1 are open, one is reserved", 2, 0)
				if _, _, err := p.conn.Open(p.t.Context(), request); !errors.Is(err, ErrTooManyStreams) || !Unprocessed(err) {
					p.fail("nobody else gets its room", "got %v", err)
				}
				done := make(chan opening, 1)
				go func() {
					s, resp, err := r.Open(p.t.Context(), request)
					done <- opening{s, resp, err}
				}()
				p.want("who reserved does", "HEADERS 5 "+requestWords)
				p.head(5, ":status", "200")
				<-done
				r.Release()
				if _, _, err := r.Open(p.t.Context(), request); err == nil {
					p.fail("once", "it opened a second")
				}
				p.wantStreams("the limit are open", 3, 0)
				_ = first.Close()
				p.want("one ends", "RST_STREAM 1 CANCEL")
				p.wantStreams("there is room again", 2, 1)
				r, _ = p.conn.Reserve()
				if _, _, err := r.Open(p.t.Context(), Request{}); !errors.Is(err, ErrRequest) {
					p.fail("an invalid request uses the reservation", "got %v", err)
				}
				r, _ = p.conn.Reserve()
				r.Release()
				p.wantStreams("and one can be given back", 2, 1)
			}, limit.settings...)
		})
	}
	connected(t, Config{}, func(p *peer) {
		r, _ := p.conn.Reserve()
		p.must(p.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 0}))
		p.want("the server takes back what it allowed", "SETTINGS 0 ACK")
		if _, _, err := r.Open(p.t.Context(), request); !errors.Is(err, ErrTooManyStreams) {
			p.fail("a reservation does not help", "got %v", err)
		}
		p.wantStreams("and is used up", 0, 0)
	})
}

func TestStreamNumbers(t *testing.T) {
	connected(t, Config{}, func(p *peer) {
		p.conn.mu.Lock()
		p.conn.nextID = maxStreamID
		p.conn.mu.Unlock()
		r, err := p.conn.Reserve()
		if err != nil {
			p.fail("2^31-1 is a stream's number", "%v", err)
		}
		if _, err := p.conn.Reserve(); !errors.Is(err, ErrStreamsUsedUp) {
			p.fail("it is the last", "got %v", err)
		}
		r.Release()
		_ = p.open()
		if _, err := p.conn.Reserve(); !errors.Is(err, ErrStreamsUsedUp) || p.conn.Free() != 0 {
			p.fail("it is the last", "got %v", err)
		}
	})
}

func TestInvalidRequests(t *testing.T) {
	connected(t, Config{}, func(p *peer) {
		for name, change := range map[string]func(*Request){
			"scheme":             func(r *Request) { r.Scheme = "wss" },
			"no authority":       func(r *Request) { r.Authority = "" },
			"user information":   func(r *Request) { r.Authority = "user:secret@example.com" },
			"path":               func(r *Request) { r.Path = "chat" },
			"no path":            func(r *Request) { r.Path = "" },
			"newline in path":    func(r *Request) { r.Path = "/\r\nx: y" },
			"fragment":           func(r *Request) { r.Path = "/#x" },
			"protocol":           func(r *Request) { r.Protocol = "web socket" },
			"no protocol":        func(r *Request) { r.Protocol = "" },
			"upper case":         func(r *Request) { r.Fields = []Field{{Name: "X-Y"}} },
			"no name":            func(r *Request) { r.Fields = []Field{{Value: "x"}} },
			"pseudo-field":       func(r *Request) { r.Fields = []Field{{Name: ":path", Value: "/"}} },
			"CR":                 func(r *Request) { r.Fields = []Field{{Name: "x", Value: "a\rb"}} },
			"LF":                 func(r *Request) { r.Fields = []Field{{Name: "x", Value: "a\nb"}} },
			"NUL":                func(r *Request) { r.Fields = []Field{{Name: "x", Value: "a\x00b"}} },
			"space at the start": func(r *Request) { r.Fields = []Field{{Name: "x", Value: " a"}} },
			"tab at the end":     func(r *Request) { r.Fields = []Field{{Name: "x", Value: "a\t"}} },
			"connection":         func(r *Request) { r.Fields = []Field{{Name: "connection", Value: "upgrade"}} },
			"upgrade":            func(r *Request) { r.Fields = []Field{{Name: "upgrade", Value: "websocket"}} },
			"te":                 func(r *Request) { r.Fields = []Field{{Name: "te", Value: "gzip"}} },
			"host":               func(r *Request) { r.Fields = []Field{{Name: "host", Value: "other"}} },
			"content-length":     func(r *Request) { r.Fields = []Field{{Name: "content-length", Value: "0"}} },
		} {
			r := request
			change(&r)
			_, _, err := p.conn.Open(p.t.Context(), r)
			if !errors.Is(err, ErrRequest) || !Unprocessed(err) || strings.Contains(err.Error(), "secret") {
				p.fail("a request with a wrong "+name+" is refused", "got %v", err)
			}
		}
		p.wantStreams("nothing is open", 0, 10000)
		p.wantIdle("nothing was sent")
	})
}

// The limit of a server counts 32 for each field: RFC 9113 §6.5.2.
func TestRequestIsTooLongForTheServer(t *testing.T) {
	size := 5*32 + len(strings.NewReplacer("=", "", " ", "").Replace(requestWords))
	for limit := size - 1; limit <= size+1; limit++ {
		connected(t, Config{}, func(p *peer) {
			if limit >= size {
				_ = p.open()
				return
			}
			if _, _, err := p.conn.Open(p.t.Context(), request); !errors.Is(err, ErrRequest) || !strings.Contains(err.Error(), fmt.Sprint(size)) {
				p.fail("what the server would refuse is not sent", "got %v", err)
			}
			p.wantStreams("nothing is open", 0, 10000)
		}, http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: uint32(limit)})
	}
}

// A request that is longer than a frame goes on in CONTINUATION frames.
func TestLongRequest(t *testing.T) {
	connected(t, Config{}, func(p *peer) {
		r := request
		r.Path = "/?" + strings.Repeat("\\", 3*frameSize) // Huffman coding is of no use
		done := make(chan opening, 1)
		go func() {
			s, resp, err := p.conn.Open(p.t.Context(), r)
			done <- opening{s, resp, err}
		}()
		p.want("HEADERS is followed by CONTINUATIONs", "HEADERS 1 ...", "CONTINUATION 1", "CONTINUATION 1", "CONTINUATION 1")
		p.head(1, ":status", "200")
		if o := <-done; o.err != nil {
			p.fail("it opens", "%v", o.err)
		}
	}, http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0}, http2.Setting{ID: http2.SettingHeaderTableSize, Val: 1 << 20})
}

// A server that reads nothing holds up the requests, not only the payload.
func TestRequestsWaitForRoom(t *testing.T) {
	connected(t, Config{Streams: 1 << 20}, func(p *peer) {
		ctx, cancel := context.WithTimeout(p.t.Context(), time.Second)
		defer cancel()
		r := request
		r.Path = "/?" + strings.Repeat("x", 4<<10)
		const n = 100
		errs := make(chan error, n)
		for range n {
			go func() { _, _, err := p.conn.Open(ctx, r); errs <- err }()
		}
		synctest.Wait()
		p.conn.mu.Lock()
		size, waiting := len(p.conn.out.b), p.conn.heads.size
		p.conn.mu.Unlock()
		if size > outLimit+(5<<10) || waiting == 0 {
			p.fail("at most outLimit bytes wait", "it is %d bytes, and %d requests wait", size, waiting)
		}
		unsent := 0
		for range n {
			if err := <-errs; Unprocessed(err) {
				unsent++
			}
		}
		if unsent == 0 {
			p.fail("what was not sent says so", "none does")
		}
		p.wantStreams("nothing is open", 0, 1<<20)
		for sent := map[string]int{}; ; {
			got, err := p.next()
			if err != nil {
				if sent["HEADERS"] != n-unsent || sent["RST_STREAM"] != n-unsent {
					p.fail("what was sent was reset", "got %v, and %d unsent", sent, unsent)
				}
				break
			}
			word, _, _ := strings.Cut(got, " ")
			sent[word]++
		}
	})
}
