package http2client

import (
	"golang.org/x/net/http2"
)

// sendPreface sends the connection preface, our SETTINGS, and opens the
// connection's window. https://www.rfc-editor.org/rfc/rfc9113.html#section-3.4
func (c *Conn) sendPreface() {
	c.mu.Lock()
	defer c.unlock()
	out := c.output()
	out.b = append(out.b, http2.ClientPreface...)
	_ = out.WriteSettings(
		http2.Setting{ID: http2.SettingEnablePush, Val: 0},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(c.config.StreamWindow)},
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: uint32(c.config.HeaderListSize)},
	)
	_ = out.WriteWindowUpdate(0, connWindow-initialWindow)
}

// readSETTINGS takes the server's SETTINGS as a whole: what one of them says twice
// counts once, so that a frame costs one walk over the streams.
func (c *Conn) readSETTINGS(h http2.FrameHeader) error {
	f, err := c.framer.ReadFrameForHeader(h)
	if err != nil {
		return c.frameError(err)
	}
	frame := f.(*http2.SettingsFrame)
	if frame.IsAck() {
		if c.settingsAcked {
			return connectionError(http2.ErrCodeProtocol, "SETTINGS acknowledged that were not sent")
		}
		c.settingsAcked = true
		return nil
	}
	if !c.settings.take() {
		return calm("SETTINGS")
	}
	c.mu.Lock()
	defer c.unlock()
	window, table := c.peer.initialWindow, c.peer.tableSize
	for i := range frame.NumSettings() {
		if err := c.receiveSetting(frame.Setting(i), &window, &table); err != nil {
			return err
		}
	}
	if table != c.peer.tableSize {
		c.peer.tableSize = table
		// The encoder takes 4,096 at most, whatever the server allows, so that its
		// table is bounded: https://www.rfc-editor.org/rfc/rfc7541.html#section-4.2.
		c.encoder.SetMaxDynamicTableSize(table)
	}
	if err := c.moveWindows(window - c.peer.initialWindow); err != nil {
		return err
	}
	c.peer.initialWindow = window
	// The acknowledgement goes behind the frames that were made before it, which
	// obey the settings of before.
	_ = c.output().WriteSettingsAck()
	c.work.Signal()
	c.fill()
	c.changed = true
	if !c.peer.received {
		c.peer.received = true
		close(c.settled)
	}
	return c.countAnswer()
}

// receiveSetting takes one setting.
// https://www.rfc-editor.org/rfc/rfc9113.html#section-6.5.2
func (c *Conn) receiveSetting(s http2.Setting, window *int64, table *uint32) error {
	switch s.ID {
	case http2.SettingHeaderTableSize:
		*table = s.Val
	case http2.SettingEnablePush:
		if s.Val != 0 {
			return connectionError(http2.ErrCodeProtocol, "a server's ENABLE_PUSH is %d", s.Val)
		}
	case http2.SettingMaxConcurrentStreams:
		c.peer.maxStreams = min(s.Val, maxStreamID)
	case http2.SettingInitialWindowSize:
		if s.Val > maxWindow {
			return connectionError(http2.ErrCodeFlowControl, "INITIAL_WINDOW_SIZE is %d, over 2^31-1", s.Val)
		}
		*window = int64(s.Val)
	case http2.SettingMaxFrameSize:
		// We send none over the least that it can be.
		if s.Val < frameSize || s.Val > 1<<24-1 {
			return connectionError(http2.ErrCodeProtocol, "MAX_FRAME_SIZE is %d, not from 2^14 to 2^24-1", s.Val)
		}
	case http2.SettingMaxHeaderListSize:
		c.peer.headerListSize = s.Val
	case http2.SettingEnableConnectProtocol:
		// https://www.rfc-editor.org/rfc/rfc8441.html#section-3
		if s.Val > 1 {
			return connectionError(http2.ErrCodeProtocol, "ENABLE_CONNECT_PROTOCOL is %d", s.Val)
		}
		if c.peer.extendedConnect && s.Val == 0 {
			return connectionError(http2.ErrCodeProtocol, "ENABLE_CONNECT_PROTOCOL was 1 and is 0")
		}
		c.peer.extendedConnect = s.Val == 1
	}
	return nil
}

// moveWindows changes the windows of the streams there are, which may become
// negative. https://www.rfc-editor.org/rfc/rfc9113.html#section-6.9.2
func (c *Conn) moveWindows(delta int64) error {
	if delta == 0 {
		return nil
	}
	for _, s := range c.streams {
		if s.sendWindow += delta; s.sendWindow > maxWindow {
			return connectionError(http2.ErrCodeFlowControl, "INITIAL_WINDOW_SIZE opens the window of stream %d above 2^31-1", s.id)
		}
		c.enqueue(s)
	}
	return nil
}
