package http2client

import (
	"encoding/binary"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

// A frameBuffer holds frames that are to be written. Its Framer writes to it.
type frameBuffer struct {
	*http2.Framer
	b []byte
}

func (f *frameBuffer) Write(p []byte) (int, error) {
	f.b = append(f.b, p...)
	return len(p), nil
}

// frameBuffers are the buffers of all connections. One that has nothing to write
// has none.
var frameBuffers = sync.Pool{New: func() any {
	f := &frameBuffer{}
	f.Framer = http2.NewFramer(f, nil)
	return f
}}

func (f *frameBuffer) release() {
	if cap(f.b) <= 4*outLimit {
		f.b = f.b[:0]
		frameBuffers.Put(f)
	}
}

// appendDATA appends a DATA frame, which the Framer would copy once more.
func (f *frameBuffer) appendDATA(id uint32, payload []byte, flags http2.Flags) {
	n := len(payload)
	f.b = append(f.b, byte(n>>16), byte(n>>8), byte(n), byte(http2.FrameData), byte(flags))
	f.b = binary.BigEndian.AppendUint32(f.b, id)
	f.b = append(f.b, payload...)
}

// output returns the buffer of the frames that leave in order. Its caller holds
// mu, and signals c.work.
func (c *Conn) output() *frameBuffer {
	if c.out == nil {
		c.out = frameBuffers.Get().(*frameBuffer)
	}
	return c.out
}

// overtaking returns the buffer of the frames that leave before those of output:
// answers to PINGs and WINDOW_UPDATE frames, which depend on no other. A reset may
// not overtake its stream's DATA, nor an acknowledgement of SETTINGS frames that
// obey those before.
func (c *Conn) overtaking() *frameBuffer {
	if c.ahead == nil {
		c.ahead = frameBuffers.Get().(*frameBuffer)
	}
	return c.ahead
}

// hasRoom reports whether streams may add to the output.
func (c *Conn) hasRoom() bool { return c.out == nil || len(c.out.b) < outLimit }

// enqueue has s wait for its turn, if it has something to send and may. The caller
// holds mu, and calls fill.
func (c *Conn) enqueue(s *Stream) {
	if s.queue == nil && len(s.pending) > 0 && s.sendWindow > 0 {
		c.ready.push(s)
	}
}

// fill moves what streams have to send to the output, as far as there is room and
// the windows allow: requests first, then a frame of each stream in turn. The
// caller holds mu.
func (c *Conn) fill() {
	if c.err != nil || c.writeErr != nil {
		return
	}
	for c.heads.size > 0 && c.hasRoom() {
		c.sendHead(c.heads.pop())
	}
	for c.ready.size > 0 && c.sendWindow > 0 && c.hasRoom() {
		s := c.ready.pop()
		if s.sendWindow <= 0 {
			continue // the server has shrunk it
		}
		n := int(min(int64(len(s.pending)), frameSize, s.sendWindow, c.sendWindow))
		s.sendWindow -= int64(n)
		c.sendWindow -= int64(n)
		flags := http2.Flags(0)
		if s.endAsked && n == len(s.pending) {
			flags = http2.FlagDataEndStream
		}
		c.output().appendDATA(s.id, s.pending[:n], flags)
		c.work.Signal()
		if s.pending = s.pending[n:]; len(s.pending) == 0 {
			s.writable.Broadcast()
		}
		c.enqueue(s)
		if flags != 0 {
			c.endSent(s)
		}
	}
}

// sendHead sends the request of s, which becomes the next stream. The caller holds
// mu.
func (c *Conn) sendHead(s *Stream) {
	s.id = c.nextID
	c.nextID += 2
	s.sendWindow = c.peer.initialWindow
	c.streams[s.id] = s
	c.block.Reset()
	for _, f := range s.request {
		_ = c.encoder.WriteField(f) // to memory
	}
	s.request = nil
	out := c.output()
	for first := true; first || c.block.Len() > 0; first = false {
		fragment := c.block.Next(frameSize)
		if first {
			_ = out.WriteHeaders(http2.HeadersFrameParam{StreamID: s.id, BlockFragment: fragment, EndHeaders: c.block.Len() == 0})
		} else {
			_ = out.WriteContinuation(s.id, c.block.Len() == 0, fragment)
		}
	}
	c.work.Signal()
}

// sendEnd sends END_STREAM on s, after what is pending. The caller holds mu.
func (c *Conn) sendEnd(s *Stream) {
	if s.endAsked {
		return
	}
	s.endAsked = true
	if len(s.pending) == 0 {
		c.output().appendDATA(s.id, nil, http2.FlagDataEndStream)
		c.work.Signal()
		c.endSent(s)
	}
}

// endSent ends our side of s.
func (c *Conn) endSent(s *Stream) {
	s.sentEnd = true
	if s.recvEnded {
		c.remove(s)
	}
}

// take returns what is to be written, or nil. The caller holds mu.
func (c *Conn) take() *frameBuffer {
	out, ahead := c.out, c.ahead
	c.out, c.ahead, c.answers = nil, nil, 0
	if out == nil || ahead == nil {
		if out == nil {
			return ahead
		}
		return out
	}
	out.b = slices.Insert(out.b, 0, ahead.b...)
	ahead.release()
	return out
}

// writeFrames is the writing goroutine. It closes the transport.
func (c *Conn) writeFrames() {
	c.mu.Lock()
	for c.err == nil {
		b := c.take()
		if b == nil {
			c.wait(&c.work)
			continue
		}
		c.fill() // there is room
		if c.writeErr != nil {
			b.release()
			continue
		}
		c.watchWrite()
		c.unlock()
		_, err := c.nc.Write(b.b)
		b.release()
		c.mu.Lock()
		c.writeStarted = time.Time{}
		if err != nil && c.err == nil {
			c.writeFailed(err)
		}
	}
	if c.watchdog != nil {
		c.watchdog.Stop()
	}
	b := c.take() // a GOAWAY at least: see fail
	useless := c.writeErr != nil || isLost(c.err)
	c.unlock()
	if !useless {
		_, _ = c.nc.Write(b.b)
	}
	b.release()
	_ = c.nc.Close()
	<-c.readEnded
	close(c.done)
	c.mu.Lock()
	c.changed = true
	c.unlock()
}

// watchWrite has the watchdog look after a write that begins. The transport's own
// deadline would be left set after it, and crypto/tls fails for good if it answers
// a KeyUpdate after one that has passed; besides, the watchdog costs no call per
// write. The caller holds mu.
func (c *Conn) watchWrite() {
	c.writeStarted = time.Now()
	if c.config.WriteTimeout < 0 || c.watching {
		return
	}
	c.watching = true
	if c.watchdog == nil {
		c.watchdog = time.AfterFunc(c.config.WriteTimeout, c.checkWrite)
	} else {
		c.watchdog.Reset(c.config.WriteTimeout)
	}
}

// checkWrite is the watchdog.
func (c *Conn) checkWrite() {
	c.mu.Lock()
	defer c.unlock()
	if c.watching = !c.writeStarted.IsZero() && c.err == nil; !c.watching {
		return
	}
	if left := c.config.WriteTimeout - time.Since(c.writeStarted); left > 0 {
		c.watchdog.Reset(left)
		return
	}
	c.fail(&lostError{err: stalledError{c.config.WriteTimeout}})
}

// writeFailed is the end of a transport that takes nothing more. What the server
// sent before may still be read for a while, a GOAWAY among it. The caller holds
// mu.
func (c *Conn) writeFailed(err error) {
	c.writeErr = err
	c.changed = true
	_ = c.nc.SetReadDeadline(time.Now().Add(closeTimeout))
	for _, s := range c.streams {
		s.writable.Broadcast()
	}
}

func isLost(err error) bool {
	_, ok := err.(*lostError)
	return ok
}

// A stalledError is a transport that took too long to take what was written.
type stalledError struct{ limit time.Duration }

func (e stalledError) Error() string {
	return "nothing more could be written for " + e.limit.String() + " (WriteTimeout)"
}
func (stalledError) Timeout() bool   { return true }
func (stalledError) Temporary() bool { return false }

var _ net.Error = stalledError{}
