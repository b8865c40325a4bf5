package http2client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestMain runs the tests in a process whose environment lets net/http serve
// Extended CONNECT: it is read when net/http is initialised.
func TestMain(m *testing.M) {
	const setting = "http2xconnect=1"
	if strings.Contains(os.Getenv("GODEBUG"), setting) {
		os.Exit(m.Run())
	}
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "GODEBUG="+strings.TrimPrefix(os.Getenv("GODEBUG")+","+setting, ","))
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		panic(err)
	}
}

// echo is a handler that sends back what it gets.
func echo(w http.ResponseWriter, r *http.Request) {
	if r.Method != "CONNECT" || r.Header.Get(":protocol") != "websocket" || r.ProtoMajor != 2 {
		http.Error(w, "no Extended CONNECT", http.StatusBadRequest)
		return
	}
	if r.URL.Path != "/echo" {
		http.Error(w, "not here", http.StatusNotFound)
		return
	}
	rc := http.NewResponseController(w)
	w.WriteHeader(200)
	_ = rc.Flush()
	b := make([]byte, 32<<10)
	for {
		n, err := r.Body.Read(b)
		if n > 0 {
			if _, err := w.Write(b[:n]); err != nil || rc.Flush() != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// dialEcho returns a connection to a server of net/http.
func dialEcho(t testing.TB, secure bool, config Config) *Conn {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(echo))
	server.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 2000}
	server.Config.Protocols = new(http.Protocols)
	var nc net.Conn
	var err error
	if secure {
		server.EnableHTTP2 = true
		server.Config.Protocols.SetHTTP2(true)
		server.StartTLS()
		nc, err = tls.Dial("tcp", server.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	} else {
		server.Config.Protocols.SetUnencryptedHTTP2(true)
		server.Start()
		nc, err = net.Dial("tcp", server.Listener.Addr().String())
	}
	if err != nil {
		t.Fatal(err)
	}
	c := New(nc, config)
	t.Cleanup(func() {
		_ = c.Close()
		<-c.Done()
		server.Close()
	})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if ok, err := c.WaitSettings(ctx); !ok || err != nil {
		t.Fatalf("net/http allows Extended CONNECT: got %v, %v", ok, err)
	}
	return c
}

var echoRequest = Request{Scheme: "https", Authority: "localhost", Path: "/echo", Protocol: "websocket"}

func openEcho(t testing.TB, c *Conn) *Stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, _, err := c.Open(ctx, echoRequest)
	if err != nil {
		t.Fatal(err)
	}
	_ = s.SetDeadline(time.Now().Add(time.Minute))
	return s
}

func TestThousandStreamsOverNetHTTP(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(map[bool]string{false: "h2c", true: "TLS"}[secure], func(t *testing.T) {
			c := dialEcho(t, secure, Config{})
			const streams = 1000
			var wg, all sync.WaitGroup
			opened := make(chan struct{})
			all.Add(streams)
			for i := range streams {
				wg.Go(func() {
					s := openEcho(t, c)
					all.Done()
					<-opened // all are open at the same time
					converse(t, s, uint64(i))
				})
			}
			all.Wait()
			if c.Streams() != streams || c.Free() != 2000-streams {
				t.Errorf("%d streams are open and %d free", c.Streams(), c.Free())
			}
			close(opened)
			wg.Wait()
			if n := c.Streams(); n != 0 {
				t.Errorf("all have ended: %d are open", n)
			}
		})
	}
}

// converse has the other end of s send back messages of many sizes, and ends s on
// both sides.
func converse(t *testing.T, s *Stream, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1))
	message := make([]byte, 100<<10)
	for i := 0; i+8 <= len(message); i += 8 {
		binary.LittleEndian.PutUint64(message[i:], random.Uint64())
	}
	got := make([]byte, len(message))
	for _, size := range []int{1, 100, random.IntN(2000), random.IntN(len(message))} {
		sent := make(chan error, 1)
		go func() { _, err := s.Write(message[:size]); sent <- err }()
		if n, err := io.ReadFull(s, got[:size]); err != nil || !bytes.Equal(got[:size], message[:size]) {
			t.Errorf("an echo of %d bytes: %d, %v", size, n, err)
		}
		if err := <-sent; err != nil {
			t.Errorf("a write of %d bytes: %v", size, err)
		}
	}
	_ = s.CloseWrite()
	if err := s.WaitReadable(); err != io.EOF {
		t.Errorf("the server ends the stream: %v", err)
	}
	_ = s.Close()
}

func TestRefusalByNetHTTP(t *testing.T) {
	c := dialEcho(t, false, Config{})
	r := echoRequest
	r.Path = "/elsewhere"
	_, resp, err := c.Open(t.Context(), r)
	var e *StatusError
	if !errors.As(err, &e) || e.Status != 404 || resp.Status != 404 {
		t.Errorf("got %v, %v", resp, err)
	}
	s := openEcho(t, c)
	_, _ = s.Write([]byte("x"))
	_ = s.Close() // resets
	converse(t, openEcho(t, c), 1)
}

// Streams are opened, used, reset and given up by many goroutines at a time.
func TestHammer(t *testing.T) {
	c := dialEcho(t, false, Config{StreamWindow: 10_000, Streams: 20})
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 2))
			for range 20 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				if random.IntN(4) == 0 {
					ctx, cancel = context.WithTimeout(ctx, time.Duration(random.IntN(2000))*time.Microsecond)
				}
				s, _, err := c.Open(ctx, echoRequest)
				cancel()
				if err != nil {
					if !errors.Is(err, ErrTooManyStreams) && !errors.Is(err, context.DeadlineExceeded) {
						t.Error(err)
					}
					runtime.Gosched()
					continue
				}
				b := make([]byte, random.IntN(50_000))
				go func() { _, _ = s.Write(b) }()
				_ = s.SetReadDeadline(time.Now().Add(time.Duration(random.IntN(5000)) * time.Microsecond))
				_, _ = io.CopyN(io.Discard, s, 30_000)
				if i%2 == 0 {
					_ = s.CloseWrite()
				}
				_ = s.Close()
			}
		})
	}
	wg.Wait()
	if n := c.Streams(); n != 0 || c.Err() != nil {
		t.Errorf("%d streams are open, and the connection's error is %v", n, c.Err())
	}
	converse(t, openEcho(t, c), 1)
}
