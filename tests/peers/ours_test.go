package peers

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/tests/peers/relay"
)

// An ourServer is a server of ours that keeps the contract, in this process.
type ourServer struct {
	authority string // host and port
	endings   endings
	mux       *http.ServeMux

	// relay is in front of a server that compresses. It wants each connection to, or
	// none where plain says so. echoed are the bytes of the messages sent back.
	relay  *relay.Relay
	plain  bool
	echoed atomic.Int64
}

// serveOurs starts a server of ours. It takes those versions of HTTP and no other.
// Without credentials it serves in the clear, HTTP/2 by prior knowledge.
func serveOurs(t *testing.T, creds *credentials, versions ...host.HTTPVersion) *ourServer {
	t.Helper()
	s := &ourServer{mux: http.NewServeMux()}
	s.authority = s.start(t, creds, &host.AcceptOptions{Subprotocols: []string{"chat"}}, versions)
	return s
}

// serveDeflating is serveOurs with permessage-deflate.
func serveDeflating(t *testing.T, creds *credentials, version host.HTTPVersion) *ourServer {
	t.Helper()
	s := &ourServer{mux: http.NewServeMux()}
	behind := s.start(t, creds, &host.AcceptOptions{
		Subprotocols: []string{"chat"}, Compression: host.Compression{Mode: host.CompressionContextTakeover},
		Limits: deflatingLimits,
	}, []host.HTTPVersion{version})
	var err error
	if s.relay, err = relay.Listen(behind); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.relay.Close() })
	s.authority = s.relay.Addr()
	return s
}

// deflatingLimits have room for a megabyte of one sentence.
var deflatingLimits = host.Limits{RatioLimit: 2000}

// start starts s, and returns its host and port.
func (s *ourServer) start(t *testing.T, creds *credentials, options *host.AcceptOptions, versions []host.HTTPVersion) string {
	t.Helper()
	protocols := new(http.Protocols)
	for _, v := range versions {
		switch {
		case v == host.HTTP1:
			protocols.SetHTTP1(true)
		case creds == nil:
			protocols.SetUnencryptedHTTP2(true)
		default:
			protocols.SetHTTP2(true)
		}
	}
	for path, serve := range map[string]func(context.Context, *host.Conn, *http.Request) string{
		"/echo": s.serveEcho, "/fragments": s.serveFragments, "/ping": s.servePing, "/close": serveClose, "/drop": serveDrop,
	} {
		s.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			ourHost.Handler(func(ctx context.Context, c *host.Conn) {
				s.tell(c, r, serve(ctx, c, r))
			}, options).ServeHTTP(w, r)
		})
	}
	hs := &http.Server{Handler: s.mux, Protocols: protocols, ErrorLog: log.New(io.Discard, "", 0)}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if creds == nil {
			_ = hs.Serve(ln)
			return
		}
		hs.TLSConfig = &tls.Config{Certificates: []tls.Certificate{creds.certificate}}
		_ = hs.ServeTLS(ln, "", "")
	}()
	t.Cleanup(func() { _ = hs.Close() })
	return ln.Addr().String()
}

// tell tells how c ended. What its handler misses is told as well.
func (s *ourServer) tell(c *host.Conn, r *http.Request, problem string) {
	end := ending{Conversation: r.URL.Query().Get("conversation"), HTTPVersion: "1.1", Problem: problem}
	if c.HTTPVersion() == host.HTTP2 {
		end.HTTPVersion = "2"
	}
	if v := r.ProtoMajor; v != int(c.HTTPVersion()) && problem == "" {
		end.Problem = fmt.Sprintf("the request is of HTTP/%d, the connection says %v", v, c.HTTPVersion())
	}
	if s.relay != nil && (c.Extensions() == "") != s.plain && end.Problem == "" {
		end.Problem = fmt.Sprintf("what was agreed to is %q", c.Extensions())
	}
	// Over HTTP/2 the request's context ends with the stream.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), patience)
	defer cancel()
	_, _, err := c.Read(ctx)
	var ce *host.CloseError
	if errors.As(err, &ce) {
		end.Code, end.Reason = int(ce.Code), ce.Reason
	} else if end.Problem == "" {
		end.Problem = fmt.Sprintf("its connection is open still: %v", err)
	}
	s.endings.tell(end)
}

// Each of these serves one path, until the connection has ended or is ending, and
// returns what the peer did wrong.

func (s *ourServer) serveEcho(ctx context.Context, c *host.Conn, _ *http.Request) string {
	for {
		t, p, err := c.Read(ctx)
		if err != nil {
			return ""
		}
		s.echoed.Add(int64(len(p)))
		if err := c.Write(ctx, t, p); err != nil {
			return "echo: " + err.Error()
		}
	}
}

func (s *ourServer) serveFragments(ctx context.Context, c *host.Conn, r *http.Request) string {
	w, err := c.Writer(ctx, host.MessageText)
	if err != nil {
		return err.Error()
	}
	for _, part := range []string{"one ", "two ", "three"} {
		if _, err := io.WriteString(w, part); err != nil {
			return err.Error()
		}
	}
	if err := w.Close(); err != nil {
		return err.Error()
	}
	return s.serveEcho(ctx, c, r)
}

func (s *ourServer) servePing(ctx context.Context, c *host.Conn, r *http.Request) string {
	if _, err := c.Ping(ctx); err != nil {
		return "Ping: " + err.Error()
	}
	if err := c.Write(ctx, host.MessageText, []byte("pong")); err != nil {
		return err.Error()
	}
	return s.serveEcho(ctx, c, r)
}

func serveClose(_ context.Context, c *host.Conn, r *http.Request) string {
	code, err := strconv.ParseUint(r.URL.Query().Get("code"), 10, 16)
	if err != nil {
		return err.Error()
	}
	if err := c.Close(host.CloseCode(code), r.URL.Query().Get("reason")); err != nil {
		return "the client does not answer the Close frame: " + err.Error()
	}
	return ""
}

func serveDrop(ctx context.Context, c *host.Conn, _ *http.Request) string {
	if _, _, err := c.Read(ctx); err != nil {
		return "it sends nothing: " + err.Error()
	}
	_ = c.CloseNow()
	return ""
}
