package http2client

import (
	"math"
	"time"
)

// A Config sets the limits of a Conn. In each field zero means the default. A
// negative limit means the default too, since there is no unlimited, except
// where its field says otherwise.
type Config struct {
	// StreamWindow is the most bytes of DATA frames that the server may send on
	// a stream beyond what was read, padding included. Default 64 KiB.
	StreamWindow int

	// HeaderListSize is the most bytes of a response's fields, names and values
	// and 32 for each field. Default 8 KiB.
	// https://www.rfc-editor.org/rfc/rfc9113.html#section-6.5.2
	HeaderListSize int

	// FieldCount is the most fields of a response, :status included. Default 100.
	FieldCount int

	// Streams is the most streams open at a time, however many more the server
	// allows. Default 10,000.
	Streams int

	// WriteTimeout is how long the transport may take for what is written to it
	// at a time, which is 100 KiB or so: then the connection is lost. Default
	// 30 s; negative switches it off.
	WriteTimeout time.Duration

	// Changed, unless nil, is called after fewer streams are open than were,
	// after the server changed how many may be, when the connection has failed,
	// and when Done is closed. It is called without a lock, on any goroutine and
	// on several at a time, and several changes may be one call. It must not wait.
	Changed func()
}

const (
	// frameSize is the most payload of a frame in either direction: the least
	// that RFC 9113 §6.5.2 has for SETTINGS_MAX_FRAME_SIZE, and the default.
	// Larger ones would only delay the other streams.
	frameSize = 16 << 10

	// connWindow is what the server may send on all streams before it hears of
	// us. It bounds no memory, see the package's doc; it is 32 ms of 1 Gbit/s.
	connWindow = 4 << 20

	// initialWindow is RFC 9113 §6.9.2's for every connection, and for the streams
	// of a server that says nothing.
	initialWindow = 65_535

	// readBufferSize is a TLS record's.
	readBufferSize = 16 << 10

	// outLimit is how many bytes may wait to be written before streams wait.
	// With those that are being written it is twice as many.
	outLimit = 64 << 10

	// answerLimit is how many answers to PINGs and SETTINGS may wait to be
	// written: 70 KiB.
	answerLimit = 4096

	// closeTimeout is how long the last bytes may take, GOAWAY among them.
	closeTimeout = time.Second

	// tableSize is the most that either HPACK table holds: the default of RFC 9113
	// §6.5.2, which we leave for the server's and do not exceed for ours.
	tableSize = 4 << 10

	// blockFactor times HeaderListSize is the most encoded bytes of a field
	// block. A response that is merely too long costs its stream, since its end
	// is read and decoded; a block that goes on costs the connection.
	blockFactor = 4

	// blockFrames is the most frames of a field block: CVE-2023-45288. Those of
	// blockFactor × 8 KiB need three.
	blockFrames = 32

	// interimResponses is the most 1xx responses before a response.
	interimResponses = 8

	// debugLimit is the most bytes kept of a GOAWAY's debug text.
	debugLimit = 256

	// maxWindow is the largest window, and maxStreamID the last stream's number.
	maxWindow   = math.MaxInt32
	maxStreamID = math.MaxInt32
)

// Rates of what a server may do that costs it little: at once, and then a second.
// A server that answers, moves or ends what is open stays far below them.
var (
	pingRate     = rate{burst: 1000, perSecond: 100}
	settingsRate = rate{burst: 100, perSecond: 10}

	// uselessRate is that of frames that change nothing: empty DATA, unknown
	// types, PRIORITY, a second GOAWAY, frames on streams that have ended.
	uselessRate = rate{burst: 1000, perSecond: 100}

	// resetRate is that of streams that end before they are complete: one for
	// those that the server's doing ends, CVE-2023-44487 and CVE-2025-8671, and
	// one for our caller's. All the streams there are may end at once, some times
	// over, as when a server restarts.
	resetRate = rate{burst: 40_000, perSecond: 100}
)

func (c Config) withDefaults() Config {
	c.StreamWindow = min(orDefault(c.StreamWindow, 64<<10), maxWindow)
	c.HeaderListSize = min(orDefault(c.HeaderListSize, 8<<10), 1<<24)
	c.FieldCount = orDefault(c.FieldCount, 100)
	c.Streams = min(orDefault(c.Streams, 10_000), maxStreamID)
	if c.WriteTimeout == 0 {
		c.WriteTimeout = 30 * time.Second
	}
	return c
}

func orDefault(v, otherwise int) int {
	if v <= 0 {
		return otherwise
	}
	return v
}
