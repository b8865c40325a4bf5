package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openPTY returns both ends of a terminal that does not echo.
func openPTY(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("there are no pseudo-terminals:", err)
	}
	t.Cleanup(func() { _ = ours.Close() })
	var number int
	conn, err := ours.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = theirs.Close() })
	fd := int(theirs.Fd())
	mode, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	mode.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, mode); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

// A person is a command's user at a terminal.
type person struct {
	*os.File
	seen *bufio.Reader
	cmd  *exec.Cmd
}

// atTerminal runs the command in a process whose terminal is a person's. Its input is
// stdin, or the terminal if that is nil.
func atTerminal(t *testing.T, stdin io.Reader, args ...string) *person {
	t.Helper()
	ours, theirs := openPTY(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], append(args, "--cache-dir="+cacheDir)...)
	cmd.Env = append(os.Environ(), asCommand+"=1", "TERM=dumb")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, theirs, theirs
	if stdin == nil {
		cmd.Stdin = theirs
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 1}
	if _, err := io.WriteString(ours, "y\nA\n"); err != nil { // typed before any question
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = ours.SetReadDeadline(time.Now().Add(patience))
	return &person{ours, bufio.NewReader(ours), cmd}
}

// until reads until text is seen, and returns all of it.
func (p *person) until(t *testing.T, text string) string {
	t.Helper()
	var b strings.Builder
	for !strings.HasSuffix(b.String(), text) {
		c, err := p.seen.ReadByte()
		if err != nil {
			t.Fatalf("after %q: %v", &b, err)
		}
		if c != '\r' {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func (p *person) types(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(p, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

func (p *person) wantExit(t *testing.T, why string, code int) {
	t.Helper()
	_ = p.cmd.Wait()
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("%s: exit code %d, want %d", why, got, code)
	}
}

func TestPromptAtTerminal(t *testing.T) {
	t.Parallel()
	urls, _ := startEcho(t, "--listen=127.0.0.1:0")
	address := strings.TrimSuffix(strings.TrimPrefix(urls[0], "ws://"), "/")
	args := []string{"connect", "--prompt", "--allow-net=example.com", urls[0]}

	p := atTerminal(t, nil, args...)
	asked := p.until(t, choices)
	if want := "wasock: connect requests net access to \"" + address + "\".\n"; !strings.HasPrefix(asked, want) {
		t.Errorf("the question is %q, want %q", asked, want)
	}
	p.types(t, "y")
	p.until(t, "wasock: connected to "+address)
	p.types(t, "hello")
	p.until(t, "< hello\n")
	p.types(t, "/close")
	p.wantExit(t, "yes", exitOK)

	p = atTerminal(t, nil, args...)
	p.until(t, choices)
	p.types(t, "n")
	p.until(t, "is not permitted: refused when asked: needs --allow-net="+address+"\n")
	p.wantExit(t, "no", exitNotPermitted)

	p = atTerminal(t, nil, args...)
	p.until(t, choices)
	_ = p.cmd.Process.Signal(os.Interrupt)
	p.until(t, "wasock: interrupted before the connection was open\n")
	p.wantExit(t, "Ctrl-C", exitFailed)

	p = atTerminal(t, nil, "connect", "--allow-net=example.com", urls[0])
	p.until(t, "is not permitted: needs --allow-net="+address+"\n")
	p.wantExit(t, "without --prompt nobody is asked", exitNotPermitted)

	p = atTerminal(t, strings.NewReader("y\ny\nA\n"), args...)
	p.until(t, "wasock: --prompt has no effect: input and errors are not both a terminal\n")
	p.wantExit(t, "a pipe is no answer", exitNotPermitted)
}
