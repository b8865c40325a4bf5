package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"syscall"
	"time"
)

const (
	// warmConns are opened and closed before the first look at a server's
	// memory, so that what it allocates once is not counted.
	warmConns = 100

	// reservedFiles are descriptors of a process that are not connections.
	reservedFiles = 100

	// maxIdleRounds bounds the rounds of the idle row: a sample takes some ten
	// seconds, and memory varies less than speed.
	maxIdleRounds = 3
)

// raiseFileLimit raises the number of files that this process, and those that
// it starts, may have open: to want, or as near as the system permits. It
// returns the limit.
func raiseFileLimit(want uint64) (uint64, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("reading the file limit: %w", err)
	}
	if limit.Max < want {
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: want, Max: want}) == nil {
			return want, nil
		}
	}
	limit.Cur = limit.Max
	// Setting it even if it is the same: Go gives a limit that was set, and not
	// the one that it raised by itself at start, to the processes it starts.
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("raising the file limit to %d: %w", limit.Max, err)
	}
	return limit.Max, nil
}

// measureIdle returns the bytes by which p's resident memory grows for each of
// r.Conns connections that were used once and are now idle. p must be fresh.
//
// Before each look at the memory, the server has settle to become quiet, is
// asked to free what it can, and has settle again to do so.
func measureIdle(ctx context.Context, p *process, r row, settle time.Duration) (float64, error) {
	b := p.target.newBatch(0, 1, r.Size)
	conns, err := openIdle(ctx, p.target, warmConns, b)
	closeConns(conns)
	if err != nil {
		return 0, fmt.Errorf("warm connections: %w", err)
	}
	before, err := settledBytes(ctx, p, settle)
	if err != nil {
		return 0, err
	}

	conns, err = openIdle(ctx, p.target, r.Conns, b)
	defer closeConns(conns)
	if err != nil {
		return 0, fmt.Errorf("idle connections: %w", err)
	}
	after, err := settledBytes(ctx, p, settle)
	if err != nil {
		return 0, err
	}

	buf := make([]byte, len(b.reply)+1)
	for i, conn := range conns {
		if err := verify(conn, b, buf); err != nil {
			return 0, fmt.Errorf("connection %d of %d was not kept: %w", i+1, len(conns), err)
		}
	}
	return float64(after-before) / float64(r.Conns), nil
}

// openIdle opens n connections and makes a verified round trip of b on each. It
// returns those that it opened even if there is an error.
func openIdle(ctx context.Context, t target, n int, b *batch) ([]*net.TCPConn, error) {
	var (
		mu    sync.Mutex
		conns []*net.TCPConn
		errs  []error
		group sync.WaitGroup
	)
	openers := 4 * runtime.GOMAXPROCS(0)
	for opener := range openers {
		group.Go(func() {
			buf := make([]byte, len(b.reply)+1)
			for i := opener; i < n; i += openers {
				conn, err := dial(ctx, t, i)
				if err == nil {
					err = verify(conn, b, buf)
				}
				mu.Lock()
				if conn != nil {
					conns = append(conns, conn)
				}
				if err != nil {
					errs = append(errs, fmt.Errorf("connection %d of %d: %w", i+1, n, err))
				}
				failed := len(errs) > 0
				mu.Unlock()
				if failed {
					return
				}
			}
		})
	}
	group.Wait()
	return conns, errors.Join(errs...)
}

func closeConns(conns []*net.TCPConn) {
	for _, conn := range conns {
		conn.Close()
	}
}

func settledBytes(ctx context.Context, p *process, settle time.Duration) (int64, error) {
	wait(ctx, settle)
	if err := p.freeMemory(); err != nil {
		return 0, err
	}
	wait(ctx, settle)
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return p.residentBytes()
}
