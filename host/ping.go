package host

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/wasock/wasock/hostcalls"
)

// A ping is a Ping frame whose Pong is awaited.
type ping struct {
	id   uint64
	pong chan struct{}
}

// Ping sends a Ping and waits for its Pong; it returns the time between. It needs
// no Read beside it: what arrives meanwhile is kept for the next Read.
func (c *Conn) Ping(ctx context.Context) (time.Duration, error) {
	if c.stream == nil {
		return 0, ErrEventStyle
	}
	c.deliver.Lock()
	c.stream.pingCount++
	w := &ping{id: c.stream.pingCount, pong: make(chan struct{})}
	c.stream.pings = append(c.stream.pings, w)
	c.deliver.Unlock()
	defer c.forgetPing(w)

	start := time.Now()
	if err := c.SendPing(binary.BigEndian.AppendUint64(nil, w.id)); err != nil {
		return 0, err
	}
	for {
		select {
		case <-w.pong:
			return time.Since(start), nil
		case <-c.stream.closed:
			return 0, c.closedError()
		case <-ctx.Done():
			return 0, ctx.Err()
		case c.stream.token <- struct{}{}: // nobody reads: do it here
			err := c.fillUntil(ctx, w.pong, maxUnread)
			<-c.stream.token
			if err != nil {
				return 0, err
			}
		}
	}
}

// maxUnread is how many bytes of messages Ping keeps for Read while it looks for
// its Pong among them.
const maxUnread = 1 << 20

var errUnread = errors.New("websocket: no Pong yet, and 1 MiB of messages waits for Read")

// fillUntil handles input until done is closed, the connection ended, or more than
// limit bytes of messages wait for Read.
func (c *Conn) fillUntil(ctx context.Context, done <-chan struct{}, limit int) error {
	for {
		select {
		case <-done:
			return nil
		case <-c.stream.closed:
			return nil
		default:
		}
		c.deliver.Lock()
		full := c.stream.queued > limit
		c.deliver.Unlock()
		if full {
			return errUnread
		}
		if err := c.fill(ctx); err != nil {
			return err
		}
	}
}

func (c *Conn) forgetPing(w *ping) {
	c.deliver.Lock()
	defer c.deliver.Unlock()
	for i, x := range c.stream.pings {
		if x == w {
			c.stream.pings = append(c.stream.pings[:i], c.stream.pings[i+1:]...)
			return
		}
	}
}

// SendPing sends a Ping with p, at most 125 bytes, without waiting for the Pong,
// which an EventHandler receives.
func (c *Conn) SendPing(p []byte) error {
	if len(p) > 125 {
		return ErrInvalidArgument
	}
	return c.send(hostcalls.OpPing, hostcalls.SendFIN, p)
}
