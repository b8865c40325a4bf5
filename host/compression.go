package host

import (
	"math"

	"github.com/wasock/wasock/hostcalls"
)

// A CompressionMode says what of permessage-deflate a connection may do. RFC 7692.
type CompressionMode uint8

const (
	// CompressionDisabled is neither to offer nor to accept it. It is the default: it
	// costs time and memory, and what a message says can be guessed by the length of
	// what it compresses to, where an attacker chooses a part of it.
	CompressionDisabled CompressionMode = hostcalls.CompressionDisabled

	// CompressionNoContextTakeover compresses each message by itself. Between messages
	// a connection holds nothing for it.
	CompressionNoContextTakeover CompressionMode = hostcalls.CompressionNoContextTakeover

	// CompressionContextTakeover compresses each message with what the ones before
	// were like. Small messages that resemble each other become much smaller; a
	// connection holds a window for each direction, and tables to search one.
	CompressionContextTakeover CompressionMode = hostcalls.CompressionContextTakeover
)

// A CompressionLevel says how much work compressing is worth.
type CompressionLevel uint8

const (
	CompressionDefault CompressionLevel = hostcalls.CompressionDefault
	CompressionFastest CompressionLevel = hostcalls.CompressionFastest
	CompressionBest    CompressionLevel = hostcalls.CompressionBest
)

// Compression is what a connection may do of permessage-deflate. Its zero value is
// nothing.
type Compression struct {
	Mode  CompressionMode
	Level CompressionLevel

	// WindowBits bounds the window of either direction: 8 to 15, for 256 bytes to
	// 32 KiB, which is what 0 is. A client that does not let itself be limited is
	// declined below 15.
	WindowBits int

	// Threshold is from how many bytes on a message is compressed; 0 is 64. One that
	// is sent in fragments, by Writer, always is.
	Threshold int
}

// check refuses what no record holds.
func (o *Compression) check() error {
	if o.Mode > CompressionContextTakeover || o.Level > CompressionBest || o.Threshold < 0 || o.Threshold > math.MaxInt32 ||
		o.WindowBits != 0 && (o.WindowBits < 8 || o.WindowBits > 15) {
		return &ArgumentError{Rule: "Compression has a mode, a level, WindowBits of 8 to 15 and a Threshold that is not negative"}
	}
	return nil
}

func (o *Compression) record() hostcalls.Compression {
	return hostcalls.Compression{Mode: uint8(o.Mode), Level: uint8(o.Level), WindowBits: uint8(o.WindowBits), Threshold: uint32(o.Threshold)}
}

// Extensions returns what was agreed to of extensions, as the server's
// Sec-WebSocket-Extensions says it, or "". RFC 6455 §9.1.
func (c *Conn) Extensions() string { return c.extensions }

// SetWriteCompression says whether messages that begin from now on are compressed, on
// a connection that agreed to it. They are at first.
func (c *Conn) SetWriteCompression(on bool) { c.plain.Store(!on) }
