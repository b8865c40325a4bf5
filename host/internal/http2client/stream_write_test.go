package http2client

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// TryWrite takes what may be sent at once, and never waits.
func TestTryWrite(t *testing.T) {
	connected(t, Config{}, func(p *peer) {
		try := func(sentence string, s *Stream, b string, want int, wantErr error) {
			p.t.Helper()
			if n, err := s.TryWrite([]byte(b)); n != want || !errors.Is(err, wantErr) {
				p.fail(sentence, "got %d, %v, want %d, %v", n, err, want, wantErr)
			}
		}
		s := p.open()
		try("as much as the window takes", s, "hello", 3, nil)
		p.want("is sent", `DATA 1 "hel"`)
		try("then nothing", s, "lo", 0, nil)
		p.wantIdle("nothing is kept for later either")
		p.must(p.WriteWindowUpdate(1, 10))
		p.wantIdle("what was not taken is the caller's")
		try("then all of it", s, "lo", 2, nil)
		p.want("is sent", `DATA 1 "lo"`)
		try("nothing is nothing", s, "", 0, nil)

		done := make(chan error, 1)
		go func() {
			_, err := s.Write([]byte(strings.Repeat("w", 9)))
			done <- err
		}()
		p.want("a Write waits in the middle", `DATA 1 "wwwwwwww"`)
		try("it is not overtaken", s, "x", 0, nil)
		p.must(p.WriteWindowUpdate(1, 2))
		p.want("it goes on", `DATA 1 "w"`)
		if err := <-done; err != nil {
			p.fail("it goes on", "%v", err)
		}
		_ = s.SetWriteDeadline(time.Now().Add(-time.Second))
		try("a deadline that has passed is told", s, "x", 0, os.ErrDeadlineExceeded)
		_ = s.SetWriteDeadline(time.Time{})
		try("and taken back", s, "x", 1, nil)
		p.want("it is sent", `DATA 1 "x"`)
		_ = s.CloseWrite()
		try("after the end nothing is", s, "x", 0, net.ErrClosed)
	}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 3})
}
