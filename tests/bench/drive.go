package main

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// stallTimeout is how long a server may be silent before a sample is given up.
const stallTimeout = 10 * time.Second

var errStalled = fmt.Errorf("no complete reply for %v", stallTimeout)

// A window is when drive counts.
type window struct {
	warmup, duration time.Duration
}

// A worker makes load, one step at a time.
type worker interface {
	// step does one piece of work, of which the return value is the size.
	step(ctx context.Context) (int, error)

	// close frees what the worker holds, and makes a step in progress end soon.
	// It may be called more than once and while step runs.
	close()
}

// A counter is written by one worker. It fills a cache line, so that workers
// do not slow each other.
type counter struct {
	atomic.Int64
	_ [56]byte
}

// drive lets every worker step in a goroutine of its own and returns how much
// work they did together a second within w. Should no step end within
// w.duration, it goes on until one does. It closes the workers. The first
// failure of a step ends it, as does ctx.
func drive(ctx context.Context, workers []worker, w window) (float64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer closeAll(workers)
	context.AfterFunc(ctx, func() { closeAll(workers) })

	counters := make([]counter, len(workers))
	var stop atomic.Bool
	var running sync.WaitGroup
	for i, worker := range workers {
		running.Go(func() {
			for !stop.Load() {
				n, err := worker.step(ctx)
				if err != nil {
					cancel(err)
					return
				}
				counters[i].Add(int64(n))
			}
		})
	}

	wait(ctx, w.warmup)
	stalled := time.AfterFunc(w.duration+stallTimeout, func() { cancel(errStalled) })
	defer stalled.Stop()
	var (
		start, before = time.Now(), sum(counters)
		done          int64
		elapsed       time.Duration
	)
	for done == 0 && ctx.Err() == nil {
		wait(ctx, w.duration)
		elapsed, done = time.Since(start), sum(counters)-before
	}

	stop.Store(true)
	running.Wait()
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	return float64(done) / elapsed.Seconds(), nil
}

// wait returns after d or when ctx is done.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func closeAll(workers []worker) {
	for _, w := range workers {
		w.close()
	}
}

func sum(counters []counter) int64 {
	var n int64
	for i := range counters {
		n += counters[i].Load()
	}
	return n
}

// measureEcho returns the messages a second that t echoes under the load r.
func measureEcho(ctx context.Context, t target, r row, w window) (float64, error) {
	load := t.newBatch(0, r.InFlight, r.Size)
	var workers []worker
	for i := range r.Conns {
		// Payloads of its own, so that an echo to the wrong connection is seen.
		first := t.newBatch(uint64(i+1), r.InFlight, r.Size)
		e, err := newEchoer(ctx, t, i, first, load)
		if err != nil {
			closeAll(workers)
			return 0, fmt.Errorf("connection %d of %d: %w", i+1, r.Conns, err)
		}
		workers = append(workers, e)
	}
	return drive(ctx, workers, w)
}

// An echoer sends the same batch over and over on one connection.
type echoer struct {
	conn *net.TCPConn
	load *batch
	buf  []byte
}

// maxReadBytes bounds an echoer's buffer: those of the row with the largest
// messages fit in a core's second-level cache together.
const maxReadBytes = 256 << 10

// newEchoer dials t and verifies a first round trip with first, whose shape is
// load's.
func newEchoer(ctx context.Context, t target, i int, first, load *batch) (*echoer, error) {
	conn, err := dial(ctx, t, i)
	if err != nil {
		return nil, err
	}
	e := &echoer{conn: conn, load: load, buf: make([]byte, min(len(load.reply)+1, maxReadBytes))}
	if err := verify(conn, first, e.buf); err != nil {
		e.close()
		return nil, fmt.Errorf("first round trip: %w", err)
	}
	return e, nil
}

func (e *echoer) step(context.Context) (int, error) {
	return e.load.messages, exchange(e.conn, e.load, e.buf, nil)
}

func (e *echoer) close() { e.conn.Close() }

// measureHandshakes returns the opening handshakes a second that t completes
// for r.Conns workers, each of which connects, upgrades and closes in turn.
func measureHandshakes(ctx context.Context, t target, r row, w window) (float64, error) {
	workers := make([]worker, r.Conns)
	for i := range workers {
		workers[i] = handshaker{t}
	}
	return drive(ctx, workers, w)
}

// A handshaker opens and closes connections.
type handshaker struct{ target target }

func (h handshaker) step(ctx context.Context) (int, error) {
	conn, err := dial(ctx, h.target, 0)
	if err != nil {
		return 0, err
	}
	return 1, conn.Close()
}

// close has nothing to free: a step keeps no connection, and ends within
// handshakeTimeout.
func (h handshaker) close() {}
