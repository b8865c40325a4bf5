package peers

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// startPatience is how long a process may take until it listens. It is far above
// what any does.
const startPatience = 60 * time.Second

// killPatience is how long a process group that was killed may take to be gone.
const killPatience = 10 * time.Second

// A process is a peer that runs. It and what it started are killed when its test
// ends.
type process struct {
	cmd    *exec.Cmd
	lines  chan string   // of its standard output; closed at the end
	exited chan struct{} // closed when it has ended, with err
	err    error

	mu   sync.Mutex
	last []string // lines of both outputs, for a test that fails
}

// start starts a process. env is added to ours.
func start(t *testing.T, env []string, name string, args ...string) *process {
	t.Helper()
	const most = 4096 // lines that wait to be asked for
	p := &process{cmd: exec.Command(name, args...), lines: make(chan string, most), exited: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	group(p.cmd)
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		p.keep(stdout, p.lines)
		close(p.lines)
	})
	reading.Go(func() { p.keep(stderr, nil) })
	go func() {
		reading.Wait()
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		killGroup(p.cmd)
		select {
		case <-p.exited: // and nothing that it started has its outputs any more
		case <-time.After(killPatience):
			t.Errorf("something that %s started outlives it", p.cmd.Path)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if t.Failed() {
			t.Logf("the last that %s said:\n%s", p.cmd.Path, strings.Join(p.last, "\n"))
		}
	})
	return p
}

// keep reads the lines of one output.
func (p *process) keep(r io.Reader, lines chan<- string) {
	const most = 30 // lines that a test that fails shows
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		p.mu.Lock()
		p.last = append(p.last, in.Text())
		p.last = p.last[max(0, len(p.last)-most):]
		p.mu.Unlock()
		if lines == nil {
			continue
		}
		select {
		case lines <- in.Text():
		default: // nobody asks for so many
		}
	}
	_, _ = io.Copy(io.Discard, r) // a line that is too long
}

// line waits for a line that starts with prefix, and returns the rest of it.
func (p *process) line(t *testing.T, prefix string) string {
	t.Helper()
	timeout := time.After(startPatience)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				t.Fatalf("%s ended before it said %q", p.cmd.Path, prefix)
			}
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				return rest
			}
		case <-timeout:
			t.Fatalf("%s did not say %q within %v", p.cmd.Path, prefix, startPatience)
		}
	}
}

// accepts waits until a process takes connections at a port.
func (p *process) accepts(t *testing.T, port int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startPatience)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		nc, err := net.Dial("tcp", address(port))
		if err == nil {
			_ = nc.Close()
			return
		}
		select {
		case <-again.C:
		case <-p.exited:
			t.Fatalf("%s ended before it took connections: %v", p.cmd.Path, p.err)
		case <-ctx.Done():
			t.Fatalf("%s took no connections within %v: %v", p.cmd.Path, startPatience, err)
		}
	}
}

// wait waits until a process has ended by itself, and returns how.
func (p *process) wait(ctx context.Context) error {
	select {
	case <-p.exited:
		return p.err
	case <-ctx.Done():
		return fmt.Errorf("%s did not end: %w", p.cmd.Path, ctx.Err())
	}
}

// freePort returns a port that was free a moment ago, for a process that has to be
// told one.
func freePort(t *testing.T) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().(*net.TCPAddr).Port
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
