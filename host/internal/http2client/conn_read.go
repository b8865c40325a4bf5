package http2client

import (
	"encoding/binary"
	"errors"
	"io"
	"strings"

	"golang.org/x/net/http2"
)

// readFrames is the reading goroutine.
func (c *Conn) readFrames() {
	defer close(c.readEnded)
	err := c.readPreface()
	for err == nil {
		err = c.readFrame()
	}
	c.mu.Lock()
	defer c.unlock()
	c.fail(err)
}

// readPreface reads the frame that a server must begin with.
// https://www.rfc-editor.org/rfc/rfc9113.html#section-3.4
func (c *Conn) readPreface() error {
	b, err := c.in.Peek(5)
	if err != nil {
		return c.lost(c.source.err)
	}
	if string(b) == "HTTP/" {
		return connectionError(http2.ErrCodeProtocol, "the server speaks HTTP/1")
	}
	h, err := c.framer.ReadFrameHeader()
	switch {
	case err != nil:
		return c.frameError(err)
	case h.Type != http2.FrameSettings || h.Flags.Has(http2.FlagSettingsAck):
		return connectionError(http2.ErrCodeProtocol, "the first frame is not SETTINGS")
	}
	return c.readSETTINGS(h)
}

// readFrame reads a frame. Its error ends the connection.
func (c *Conn) readFrame() error {
	h, err := c.framer.ReadFrameHeader()
	if err != nil {
		return c.frameError(err)
	}
	switch h.Type {
	case http2.FrameData:
		return c.readDATA(h)
	case http2.FrameHeaders:
		return c.readHEADERS(h)
	case http2.FrameRSTStream:
		return c.readRSTStream(h)
	case http2.FrameSettings:
		return c.readSETTINGS(h)
	case http2.FramePushPromise:
		// https://www.rfc-editor.org/rfc/rfc9113.html#section-8.4: we have said
		// ENABLE_PUSH 0.
		return connectionError(http2.ErrCodeProtocol, "PUSH_PROMISE though ENABLE_PUSH is 0")
	case http2.FramePing:
		return c.readPING(h)
	case http2.FrameGoAway:
		return c.readGOAWAY(h)
	case http2.FrameWindowUpdate:
		return c.readWindowUpdate(h)
	case http2.FramePriority:
		if err := c.countUseless(); err != nil {
			return err
		}
		if _, err := c.framer.ReadFrameForHeader(h); err != nil {
			return c.frameError(err)
		}
		return nil
	default:
		// https://www.rfc-editor.org/rfc/rfc9113.html#section-4.1
		if err := c.countUseless(); err != nil {
			return err
		}
		return c.discard(int(h.Length))
	}
}

// frameError returns the connection's error for one of the framer.
func (c *Conn) frameError(err error) error {
	if c.source.err != nil {
		return c.lost(c.source.err)
	}
	if errors.Is(err, http2.ErrFrameTooLarge) {
		return connectionError(http2.ErrCodeFrameSize, "a frame of more than %d bytes", frameSize)
	}
	var conn http2.ConnectionError
	var stream http2.StreamError
	rule := "a frame that RFC 9113 §6 does not allow"
	if detail := c.framer.ErrorDetail(); detail != nil {
		rule = detail.Error()
	}
	switch {
	case errors.As(err, &conn):
		return connectionError(http2.ErrCode(conn), "%s", rule)
	case errors.As(err, &stream):
		// Padding that is longer than a field block: the block is lost, and the
		// compression state with it.
		return connectionError(stream.Code, "%s", rule)
	}
	return connectionError(http2.ErrCodeFrameSize, "a frame that is too short for its flags")
}

// lost returns the error of a transport that failed while it was read.
func (c *Conn) lost(err error) error {
	c.mu.Lock()
	defer c.unlock()
	if c.writeErr != nil {
		err = c.writeErr // came first
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF // a stream's io.EOF is the end that its sender meant
	}
	return &lostError{err: err, goAway: c.goAway}
}

// receiveStray takes a frame on a stream that is not open. The caller holds mu.
func (c *Conn) receiveStray(id uint32, frame string) error {
	if c.idle(id) {
		// https://www.rfc-editor.org/rfc/rfc9113.html#section-5.1
		return connectionError(http2.ErrCodeProtocol, "%s on stream %d, which was not opened", frame, id)
	}
	if frame != "DATA" && !c.useless.take() { // DATA is bounded by strayWindow
		return calm("frames without use")
	}
	return nil
}

// idle reports whether the stream was never opened. Streams with an even number
// are a server's, which may open none.
func (c *Conn) idle(id uint32) bool { return id%2 == 0 || id >= c.nextID }

// streamError resets s for what the server did, and returns an error if the server
// does that too often. The caller holds mu.
func (c *Conn) streamError(s *Stream, code http2.ErrCode, rule string) error {
	c.reset(s, code, &StreamError{StreamID: s.id, Code: code, Rule: rule})
	if !c.peerResets.take() {
		return calm("streams that had to be reset")
	}
	return nil
}

// readRSTStream takes the end of a stream by the server.
func (c *Conn) readRSTStream(h http2.FrameHeader) error {
	f, err := c.framer.ReadFrameForHeader(h)
	if err != nil {
		return c.frameError(err)
	}
	c.mu.Lock()
	defer c.unlock()
	s := c.streams[h.StreamID]
	if s == nil {
		return c.receiveStray(h.StreamID, "RST_STREAM")
	}
	// Where the server has ended the stream before, what we have read and shall
	// read is complete: https://www.rfc-editor.org/rfc/rfc9113.html#section-8.1.
	complete := s.recvEnded
	s.fail(&StreamError{StreamID: s.id, Code: f.(*http2.RSTStreamFrame).ErrCode, ByPeer: true})
	c.remove(s)
	if !complete && !c.peerResets.take() {
		return calm("RST_STREAMs")
	}
	return nil
}

// readGOAWAY takes the server's wish to end the connection.
// https://www.rfc-editor.org/rfc/rfc9113.html#section-6.8
func (c *Conn) readGOAWAY(h http2.FrameHeader) error {
	f, err := c.framer.ReadFrameForHeader(h)
	if err != nil {
		return c.frameError(err)
	}
	frame := f.(*http2.GoAwayFrame)
	c.mu.Lock()
	defer c.unlock()
	if c.goAway != nil {
		if frame.LastStreamID > c.goAway.LastStreamID {
			return connectionError(http2.ErrCodeProtocol, "a GOAWAY for streams up to %d after one for %d", frame.LastStreamID, c.goAway.LastStreamID)
		}
		if !c.useless.take() {
			return calm("frames without use")
		}
	}
	c.goAway = &GoAwayError{LastStreamID: frame.LastStreamID, Code: frame.ErrCode, Debug: printable(frame.DebugData())}
	c.changed = true
	unprocessed := *c.goAway
	unprocessed.Unprocessed = true
	for s := c.heads.pop(); s != nil; s = c.heads.pop() {
		s.fail(&unprocessed)
		c.open--
	}
	for id, s := range c.streams {
		if id > frame.LastStreamID {
			s.fail(&unprocessed)
			delete(c.streams, id)
			c.open--
		}
	}
	c.endIfIdle()
	return nil
}

// printable returns the beginning of b with what is not printable ASCII replaced,
// so that it can go into a log.
func printable(b []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, string(b[:min(len(b), debugLimit)]))
}

// readWindowUpdate opens a window for us. It is not counted: it costs nothing, and
// a server may send one for every few bytes that it reads.
// https://www.rfc-editor.org/rfc/rfc9113.html#section-6.9
func (c *Conn) readWindowUpdate(h http2.FrameHeader) error {
	if h.Length != 4 {
		return connectionError(http2.ErrCodeFrameSize, "WINDOW_UPDATE has %d bytes, not 4", h.Length)
	}
	b, err := c.in.Peek(4)
	if err != nil {
		return c.lost(c.source.err)
	}
	increment := int64(binary.BigEndian.Uint32(b) & maxWindow)
	_, _ = c.in.Discard(4)
	c.mu.Lock()
	defer c.unlock()
	if h.StreamID == 0 {
		if increment == 0 {
			return connectionError(http2.ErrCodeProtocol, "WINDOW_UPDATE of the connection by 0")
		}
		if c.sendWindow += increment; c.sendWindow > maxWindow {
			return connectionError(http2.ErrCodeFlowControl, "WINDOW_UPDATE opens the connection's window above 2^31-1")
		}
		c.fill()
		return nil
	}
	s := c.streams[h.StreamID]
	switch {
	case s == nil && c.idle(h.StreamID):
		return c.receiveStray(h.StreamID, "WINDOW_UPDATE")
	case s == nil:
		return nil
	case increment == 0:
		return c.streamError(s, http2.ErrCodeProtocol, "WINDOW_UPDATE by 0")
	}
	if s.sendWindow += increment; s.sendWindow > maxWindow {
		return c.streamError(s, http2.ErrCodeFlowControl, "WINDOW_UPDATE opens the window above 2^31-1")
	}
	c.enqueue(s)
	c.fill()
	return nil
}

func (c *Conn) countUseless() error {
	c.mu.Lock()
	defer c.unlock()
	if !c.useless.take() {
		return calm("frames without use")
	}
	return nil
}
