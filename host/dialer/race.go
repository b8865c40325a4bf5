package dialer

import (
	"context"
	"net"
	"time"
)

// race makes n attempts, each when the one before has failed or delay has passed, and
// returns the first connection that one of them makes. The others are told to end by
// their context; race waits for them, and closes what they made all the same. Without a
// connection the errors are those of the attempts that were begun, at least one.
// https://www.rfc-editor.org/rfc/rfc8305#section-5
func race(ctx context.Context, n int, delay time.Duration, attempt func(ctx context.Context, i int) (net.Conn, error)) (net.Conn, []error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		i    int
		conn net.Conn
		err  error
	}
	var (
		winner  net.Conn
		errs    []error // of those that were begun
		running int
		results = make(chan result)
		timer   = time.NewTimer(delay)
	)
	defer timer.Stop()
	begin := func() {
		i := len(errs)
		if i == n || i > 0 && ctx.Err() != nil {
			return
		}
		errs = append(errs, nil)
		running++
		timer.Reset(delay)
		go func() {
			conn, err := attempt(ctx, i)
			results <- result{i, conn, err}
		}()
	}
	for begin(); running > 0; {
		select {
		case <-timer.C:
			begin()
		case r := <-results:
			running--
			switch {
			case r.err != nil:
				errs[r.i] = r.err
				begin()
			case winner == nil:
				winner = r.conn
				cancel()
			default:
				_ = r.conn.Close()
			}
		}
	}
	if winner != nil {
		return winner, nil
	}
	return nil, errs
}
