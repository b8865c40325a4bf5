package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wasock/wasock/host"
)

// pongTimeout is how long the end of the input waits for the Pong that says that
// the peer has seen everything.
const pongTimeout = 5 * time.Second

// A session is a conversation over one connection.
type session struct {
	conn        *host.Conn
	flags       *connectFlags
	out         *lineWriter
	notes       io.Writer
	stdin       io.Reader
	interactive bool // the input is a terminal: lines may be commands

	ended  chan error    // how the connection ended
	enough chan struct{} // --count messages have arrived
	quiet  chan struct{} // the input has ended, and the time after it
	asked  error         // why we close, where that decides the exit code
}

func newSession(cmd *cobra.Command, notes io.Writer, f *connectFlags, c *host.Conn) *session {
	s := &session{
		conn: c, flags: f, stdin: cmd.InOrStdin(), notes: notes,
		interactive: isTerminal(cmd.InOrStdin()),
		ended:       make(chan error, 1), enough: make(chan struct{}), quiet: make(chan struct{}, 1),
	}
	s.out = newLineWriter(cmd.OutOrStdout(), f.binary, s.interactive)
	return s
}

func (s *session) notice(format string, args ...any) {
	s.out.around(func() { note(s.notes, format, args...) })
}

// run talks until the connection has ended.
func (s *session) run(ctx context.Context) error {
	go s.receive()
	lines := s.readLines()
	var pings <-chan time.Time
	if s.flags.pingInterval > 0 {
		t := time.NewTicker(s.flags.pingInterval)
		defer t.Stop()
		pings = t.C
	}
	s.out.prompt()
	for {
		select {
		case err := <-s.ended:
			return s.outcome(err)
		case <-s.enough:
			return s.close(host.CodeNormal, "")
		case <-s.quiet:
			return s.close(host.CodeNormal, "")
		case <-ctx.Done():
			return s.close(host.CodeGoingAway, "")
		case <-pings:
			go s.ping(ctx)
		case l := <-lines:
			if l.err != nil {
				lines = nil
				if l.err != io.EOF {
					s.asked = usage("input: %w", l.err)
				}
				s.inputEnded(ctx)
				continue
			}
			s.out.entered()
			closing, err := s.input(ctx, l)
			if closing || err != nil {
				return err
			}
			s.out.prompt()
		}
	}
}

// receive prints messages until the connection has ended.
func (s *session) receive() {
	for n := 1; ; n++ {
		t, p, err := s.conn.Read(context.Background())
		if err != nil {
			s.ended <- err
			return
		}
		if err := s.out.message(t, p); err != nil {
			s.ended <- err
			return
		}
		if n == s.flags.count {
			close(s.enough)
		}
	}
}

// A line is a line of the input, without its end, or how the input ended.
type line struct {
	number int
	text   []byte
	err    error
}

// readLines reads the input. At the end of the session its goroutine may still
// wait for a line, which nothing can end but the end of the process.
func (s *session) readLines() <-chan line {
	lines := make(chan line)
	go func() {
		r := bufio.NewReader(s.stdin)
		for n := 1; ; n++ {
			b, err := r.ReadBytes('\n')
			if len(b) > 0 {
				lines <- line{number: n, text: withoutEnd(b)}
			}
			if err != nil {
				lines <- line{err: err}
				return
			}
		}
	}()
	return lines
}

func withoutEnd(b []byte) []byte {
	if len(b) > 0 && b[len(b)-1] == '\n' {
		b = b[:len(b)-1]
		if runtime.GOOS == "windows" && len(b) > 0 && b[len(b)-1] == '\r' {
			b = b[:len(b)-1]
		}
	}
	return b
}

// inputEnded sees to it that the session ends some time after its input.
func (s *session) inputEnded(ctx context.Context) {
	switch {
	case s.interactive || s.asked != nil:
		s.quiet <- struct{}{}
	case s.flags.count > 0 || s.flags.wait < 0:
		// Something else ends it.
	default:
		go func() {
			pong, cancel := context.WithTimeout(ctx, pongTimeout)
			defer cancel()
			_, _ = s.conn.Ping(pong) // without a Pong the wait was long enough, too
			time.AfterFunc(s.flags.wait, func() { s.quiet <- struct{}{} })
		}()
	}
}

// input does what a line asks for, and reports whether that closed the connection.
func (s *session) input(ctx context.Context, l line) (closing bool, err error) {
	text := l.text
	if s.interactive && strings.HasPrefix(string(text), "/") {
		if !strings.HasPrefix(string(text), "//") {
			return s.command(ctx, string(text))
		}
		text = text[1:]
	}
	t := host.MessageText
	switch s.flags.binary {
	case "raw":
		t = host.MessageBinary
	case "hex":
		t = host.MessageBinary
		if text, err = hex.DecodeString(strings.Join(strings.Fields(string(text)), "")); err != nil {
			return s.badLine(l, "it is not hex: write two digits for each byte")
		}
	}
	err = s.conn.Write(ctx, t, text)
	switch {
	case err == nil:
		return false, nil
	case errors.Is(err, host.ErrInvalidUTF8):
		return s.badLine(l, "it is not UTF-8, and a text message has to be: use --binary raw")
	case ctx.Err() != nil:
		return true, s.close(host.CodeGoingAway, "")
	case errors.Is(err, host.ErrClosed):
		return true, s.outcome(<-s.ended)
	}
	return true, failed(err)
}

// badLine refuses a line: a person may correct it, a pipe is ended.
func (s *session) badLine(l line, why string) (closing bool, err error) {
	if s.interactive {
		s.notice("not sent: %s", why)
		return false, nil
	}
	s.asked = usage("line %d was not sent: %s", l.number, why)
	return true, s.close(host.CodeNormal, "")
}

const commands = "/ping, /close [CODE [REASON]], //TEXT to send /TEXT"

// command does what a line that begins with / asks for.
func (s *session) command(ctx context.Context, text string) (closing bool, err error) {
	name, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	switch name {
	case "/ping":
		go s.ping(ctx)
	case "/close":
		code, reason, _ := strings.Cut(strings.TrimSpace(rest), " ")
		n := uint64(host.CodeNormal)
		if code != "" {
			if n, err = strconv.ParseUint(code, 10, 16); err != nil {
				s.notice("%s is no close code: write /close CODE REASON", strconv.Quote(code))
				return false, nil
			}
		}
		return s.tryClose(host.CloseCode(n), strings.TrimSpace(reason))
	case "/help":
		s.notice("type %s", commands)
	default:
		s.notice("no command %s: type %s", name, commands)
	}
	return false, nil
}

// tryClose closes, unless code or reason cannot be sent.
func (s *session) tryClose(code host.CloseCode, reason string) (closing bool, err error) {
	err = s.conn.Close(code, reason)
	if errors.Is(err, host.ErrInvalidArgument) || errors.Is(err, host.ErrInvalidUTF8) {
		s.notice("not closed: %d is no code to send, or the reason is over 123 bytes; 1000 and 3000 to 4999 are yours", code)
		return false, nil
	}
	return true, s.outcome(<-s.ended)
}

// close closes the connection and waits for its end.
func (s *session) close(code host.CloseCode, reason string) error {
	_ = s.conn.Close(code, reason) // receive has the result
	return s.outcome(<-s.ended)
}

func (s *session) ping(ctx context.Context) {
	rtt, err := s.conn.Ping(ctx)
	if err == nil {
		s.notice("pong after %v", rtt.Round(time.Microsecond))
	}
}

// outcome tells how the connection ended, and returns what that is for the exit
// code.
func (s *session) outcome(err error) error {
	s.out.end()
	var ce *host.CloseError
	if !errors.As(err, &ce) || !ce.WasClean || ce.Err != nil {
		return failed(err)
	}
	how := describeClose(ce)
	switch {
	case s.asked != nil:
		return s.asked
	case !ce.ByPeer, ce.Code == host.CodeNormal, ce.Code == host.CodeGoingAway, ce.Code == host.CodeNoStatus:
		s.notice("%s", how)
		return nil
	}
	return &exitError{exitClosedByPeer, errors.New(how)}
}
