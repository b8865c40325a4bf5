package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// startTimeout is how long a server may take to tell its address. Compiling
	// the engine takes seconds on a loaded machine.
	startTimeout = 60 * time.Second

	// tailLines is how much of a server's output an error quotes.
	tailLines = 10
)

// A process is a running server. The caller must stop it.
type process struct {
	column  column
	target  target
	cmd     *exec.Cmd
	pipe    *os.File // the server's standard output and error
	output  *tail
	drained chan struct{} // closed when the output has been read
}

// startProcess runs the server of c and waits until it tells its address. The
// process is killed when ctx is done, and by the kernel should this program die
// first.
func startProcess(ctx context.Context, c column) (*process, error) {
	command := c.command
	if len(command) == 0 {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("finding this program: %w", err)
		}
		command = []string{self, "serve", c.name, "-addr", "127.0.0.1:0"}
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.name, err)
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = serverEnviron()
	cmd.Stdout, cmd.Stderr = w, w
	// A group of its own, so that a command that is a script dies with its
	// children. Pdeathsig follows the thread that starts the process; Go ends no
	// thread unless a goroutine locked it, and none does here.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err = cmd.Start()
	w.Close()
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("starting %s: %w", c.name, err)
	}

	p := &process{column: c, cmd: cmd, pipe: r, output: new(tail), drained: make(chan struct{})}
	found := make(chan string, 1)
	go func() {
		defer close(p.drained)
		p.output.drain(r, found)
	}()
	if p.target, err = p.awaitTarget(ctx, found); err != nil {
		p.stop()
		return nil, fmt.Errorf("starting %s: %w%s", c.name, err, p.output)
	}
	return p, nil
}

func (p *process) awaitTarget(ctx context.Context, found <-chan string) (target, error) {
	timer := time.NewTimer(startTimeout)
	defer timer.Stop()
	select {
	case s := <-found:
		u, err := url.Parse(s)
		if err != nil {
			return target{}, fmt.Errorf("its address: %w", err)
		}
		return target{addr: u.Host, path: u.RequestURI(), raw: p.column.raw}, nil
	case <-p.drained:
		return target{}, errors.New("it ended before it told a ws:// address")
	case <-timer.C:
		return target{}, fmt.Errorf("it told no ws:// address within %v", startTimeout)
	case <-ctx.Done():
		return target{}, ctx.Err()
	}
}

// stop kills the process and waits for its end.
func (p *process) stop() {
	_ = p.cmd.Cancel() // fails only if it has ended
	_ = p.cmd.Wait()   // reports the kill
	p.pipe.Close()     // ends the reading even if a child of it that left the group has the other end
	<-p.drained
}

// freeMemory asks the server to return free memory to the system, if it is one
// that can. It does not wait for it.
func (p *process) freeMemory() error {
	if !p.column.freesOnSIGUSR1 {
		return nil
	}
	if err := p.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		return fmt.Errorf("asking %s to free memory: %w", p.column.name, err)
	}
	return nil
}

// residentBytes returns how much memory of the process is resident.
func (p *process) residentBytes() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("reading the memory of %s: %w", p.column.name, err)
	}
	for line := range strings.Lines(string(status)) {
		value, ok := strings.CutPrefix(line, "VmRSS:")
		if !ok {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading the memory of %s: VmRSS: %w", p.column.name, err)
		}
		return kib << 10, nil
	}
	return 0, fmt.Errorf("reading the memory of %s: no VmRSS: it has ended%s", p.column.name, p.output)
}

// serverEnviron is the environment of every server: this one without the
// variables that tune Go's scheduler and collector, so that all have the defaults.
func serverEnviron() []string {
	var env []string
	for _, kv := range os.Environ() {
		switch name, _, _ := strings.Cut(kv, "="); name {
		case "GOMAXPROCS", "GOGC", "GOMEMLIMIT":
		default:
			env = append(env, kv)
		}
	}
	return env
}

var serverURL = regexp.MustCompile(`ws://[^\s"',]+`)

// A tail keeps the last lines of a server's output, without that of its address.
type tail struct {
	mu    sync.Mutex
	lines []string
}

// drain reads r to its end, so that the server never blocks on its output. The
// first ws:// URL goes to found, which must have room for it.
func (t *tail) drain(r io.Reader, found chan<- string) {
	br := bufio.NewReader(r)
	for {
		line, err := br.ReadSlice('\n') // a line that is too long comes in pieces
		if s := serverURL.Find(line); s != nil && found != nil {
			found <- string(s)
			found = nil
		} else if len(line) > 0 {
			t.mu.Lock()
			t.lines = append(t.lines[max(0, len(t.lines)-tailLines+1):], strings.TrimRight(string(line), "\n"))
			t.mu.Unlock()
		}
		if err != nil && err != bufio.ErrBufferFull {
			return
		}
	}
}

// String returns the lines as the end of an error message, "" if there are none.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == 0 {
		return ""
	}
	return "; its last output:\n\t" + strings.Join(t.lines, "\n\t")
}
