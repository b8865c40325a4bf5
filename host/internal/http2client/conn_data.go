package http2client

import "golang.org/x/net/http2"

// readDATA takes a DATA frame as it arrives.
// https://www.rfc-editor.org/rfc/rfc9113.html#section-6.1
func (c *Conn) readDATA(h http2.FrameHeader) error {
	if h.StreamID == 0 {
		return connectionError(http2.ErrCodeProtocol, "DATA on stream 0")
	}
	length, padding := int(h.Length), 0
	if h.Flags.Has(http2.FlagDataPadded) {
		if length == 0 {
			return connectionError(http2.ErrCodeFrameSize, "DATA is too short for its padding")
		}
		b, err := c.in.ReadByte()
		if err != nil {
			return c.lost(c.source.err)
		}
		if length--; int(b) > length {
			return connectionError(http2.ErrCodeProtocol, "DATA has more padding than payload")
		}
		padding = int(b)
		length -= padding
	}
	var s *Stream
	for accounted := false; ; accounted = true {
		if length > 0 && c.in.Buffered() == 0 {
			if _, err := c.in.Peek(1); err != nil {
				return c.lost(c.source.err)
			}
		}
		b, _ := c.in.Peek(min(length, c.in.Buffered())) // is there
		c.mu.Lock()
		if !accounted {
			var err error
			if s, err = c.accountDATA(h, length); err != nil {
				c.unlock()
				return err
			}
		}
		length -= len(b)
		if s != nil {
			c.receiveDATA(s, b, length == 0 && h.Flags.Has(http2.FlagDataEndStream))
		}
		c.unlock()
		_, _ = c.in.Discard(len(b))
		if length == 0 {
			return c.discard(padding)
		}
	}
}

// accountDATA takes a DATA frame off the windows, and returns the stream that it
// is for, or nil if there is none. The caller holds mu.
func (c *Conn) accountDATA(h http2.FrameHeader, payload int) (*Stream, error) {
	n := int64(h.Length) // https://www.rfc-editor.org/rfc/rfc9113.html#section-6.9.1: padding counts
	if n > c.recvWindow {
		return nil, connectionError(http2.ErrCodeFlowControl, "%d bytes of DATA in a connection window of %d", n, c.recvWindow)
	}
	c.recvWindow -= n
	if c.recvUnreturned += n; c.recvUnreturned >= connWindow/2 {
		_ = c.overtaking().WriteWindowUpdate(0, uint32(c.recvUnreturned))
		c.work.Signal()
		c.recvWindow += c.recvUnreturned
		c.recvUnreturned = 0
	}
	s := c.streams[h.StreamID]
	if payload == 0 && (s == nil || !h.Flags.Has(http2.FlagDataEndStream)) && !c.useless.take() {
		return nil, calm("frames without use")
	}
	if s == nil {
		if c.strayWindow -= n; c.strayWindow < 0 && !c.idle(h.StreamID) {
			return nil, connectionError(http2.ErrCodeStreamClosed, "DATA on stream %d, which has ended", h.StreamID)
		}
		return nil, c.receiveStray(h.StreamID, "DATA")
	}
	switch {
	case s.response == nil:
		return nil, c.streamError(s, http2.ErrCodeProtocol, "DATA before the response")
	case s.recvEnded:
		return nil, c.streamError(s, http2.ErrCodeStreamClosed, "DATA after END_STREAM")
	case n > s.recvWindow:
		return nil, c.streamError(s, http2.ErrCodeFlowControl, "more DATA than StreamWindow")
	}
	s.recvWindow -= n
	s.returnWindow(int(n) - payload)
	return s, nil
}

// discard skips payload that nobody wants.
func (c *Conn) discard(n int) error {
	if _, err := c.in.Discard(n); err != nil {
		return c.lost(c.source.err)
	}
	return nil
}
