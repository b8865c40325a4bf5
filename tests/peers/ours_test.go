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
	"testing"

	"github.com/wasock/wasock/host"
)

// An ourServer is a server of ours that keeps the contract, in this process.
type ourServer struct {
	authority string // host and port
	endings   endings
	mux       *http.ServeMux
}

// serveOurs starts a server of ours. It takes those versions of HTTP and no other.
// Without credentials it serves in the clear, HTTP/2 by prior knowledge.
func serveOurs(t *testing.T, creds *credentials, versions ...host.HTTPVersion) *ourServer {
	t.Helper()
	s := &ourServer{mux: http.NewServeMux()}
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
	options := &host.AcceptOptions{Subprotocols: []string{"chat"}}
	for path, serve := range map[string]func(context.Context, *host.Conn, *http.Request) string{
		"/echo": serveEcho, "/fragments": serveFragments, "/ping": servePing, "/close": serveClose, "/drop": serveDrop,
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
	s.authority = ln.Addr().String()
	go func() {
		if creds == nil {
			_ = hs.Serve(ln)
			return
		}
		hs.TLSConfig = &tls.Config{Certificates: []tls.Certificate{creds.certificate}}
		_ = hs.ServeTLS(ln, "", "")
	}()
	t.Cleanup(func() { _ = hs.Close() })
	return s
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

func serveEcho(ctx context.Context, c *host.Conn, _ *http.Request) string {
	for {
		t, p, err := c.Read(ctx)
		if err != nil {
			return ""
		}
		if err := c.Write(ctx, t, p); err != nil {
			return "echo: " + err.Error()
		}
	}
}

func serveFragments(ctx context.Context, c *host.Conn, r *http.Request) string {
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
	return serveEcho(ctx, c, r)
}

func servePing(ctx context.Context, c *host.Conn, r *http.Request) string {
	if _, err := c.Ping(ctx); err != nil {
		return "Ping: " + err.Error()
	}
	if err := c.Write(ctx, host.MessageText, []byte("pong")); err != nil {
		return err.Error()
	}
	return serveEcho(ctx, c, r)
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
