// Command wasock runs WebSocket connections whose protocol is a WebAssembly
// module: an echo server, an interactive client and a demonstration of both.
//
//	wasock echo --listen 127.0.0.1:9001
//	wasock connect ws://127.0.0.1:9001/
//
// It is a user of package host like any other: it touches no frame but for
// display, in the demonstration.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes. The help of connect lists them.
const (
	exitOK           = 0 // the connection was closed cleanly, or there was none to close
	exitFailed       = 1 // no connection, or one that ended without a closing handshake
	exitUsage        = 2 // the command line, or a line of input, is wrong
	exitNotPermitted = 3 // --allow-net or --deny-net keep from the target
	exitClosedByPeer = 4 // the peer closed with a code that is not 1000, 1001 or 1005
)

// An exitError is an error with the exit code that it stands for. What a command
// returns is one; any other error is of the command line.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func failed(err error) error { return &exitError{exitFailed, err} }

func usage(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		// The second ends the process here, since a shell may have had the
		// signal ignored for a program in the background.
		if <-signals == os.Interrupt {
			os.Exit(130)
		}
		os.Exit(143)
	}()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run runs the command that args name until it is done or ctx ends, and returns
// its exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	stderr = &lockedWriter{w: stderr}
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	note(stderr, "%s", explain(err))
	var e *exitError
	if errors.As(err, &e) {
		return e.code
	}
	return exitUsage
}
