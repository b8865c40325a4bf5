package host

import (
	"errors"
	"math"
	"time"

	"github.com/wasock/wasock/hostcalls"
)

// Limits are the limits of a connection. In each zero means the default. A
// negative one is refused, except where its field says otherwise: there is no
// unlimited.
type Limits struct {
	// MessageLimit is the most bytes of one received message, all of its
	// fragments together. Default 16 MiB.
	MessageLimit int64

	// PartLimit is the most fragments of fewer than 4 KiB of one received message; of
	// fewer than 128 bytes if it is compressed. Default 1,024.
	PartLimit int

	// ControlLimit is the most control frames received within ControlWindow.
	// Default 100 within 10 s.
	ControlLimit  int
	ControlWindow time.Duration

	// RatioLimit is how many times as long as what was received of it a compressed
	// message may become, once it is longer than 64 KiB. Default 100.
	RatioLimit int

	// SendLimit is the BufferedAmount, in bytes, above which Send returns
	// ErrSendQueueFull and Write waits. A message that starts below it is taken
	// whole. Default 1 MiB.
	SendLimit int

	// IdleTimeout is how long the peer may be silent while we read: at half of
	// it a Ping is sent, at the whole the connection is closed with 1001 "No
	// response from ping frame.". Default 30 s; negative switches it off.
	IdleTimeout time.Duration

	// ConnectTimeout is how long connecting may take, and TLSTimeout the TLS
	// handshake. Defaults 30 s and 10 s.
	ConnectTimeout time.Duration
	TLSTimeout     time.Duration

	// HandshakeTimeout is how long the opening handshake may take. Default 10 s.
	HandshakeTimeout time.Duration

	// CloseTimeout is how long the peer may take to answer a Close frame, and
	// then to close the transport. Default 5 s.
	CloseTimeout time.Duration

	// StallTimeout is how long the transport may take nothing of the output that
	// waits for it: the peer does not read. The connection then ends with 1006.
	// Default 30 s.
	StallTimeout time.Duration

	// HeadLimit is the most bytes of an opening handshake's head, and
	// HeadFieldLimit the most fields in it. Defaults 8 KiB and 100.
	HeadLimit      int
	HeadFieldLimit int
}

var errLimits = errors.New("websocket: a limit is negative or over 2,147,483,647")

// check refuses limits that no record holds.
func (l *Limits) check() error {
	if min(l.MessageLimit, int64(l.PartLimit), int64(l.ControlLimit), int64(l.ControlWindow), int64(l.SendLimit),
		int64(l.ConnectTimeout), int64(l.TLSTimeout), int64(l.HandshakeTimeout), int64(l.CloseTimeout),
		int64(l.StallTimeout), int64(l.HeadLimit), int64(l.HeadFieldLimit), int64(l.RatioLimit)) < 0 {
		return errLimits
	}
	if max(l.PartLimit, l.ControlLimit, l.HeadLimit, l.HeadFieldLimit, l.RatioLimit) > math.MaxInt32 {
		return errLimits
	}
	return nil
}

// record is what the engine is told of l; it has the defaults.
func (l *Limits) record() hostcalls.Limits {
	return hostcalls.Limits{
		MessageLimit: l.MessageLimit, IdleTimeout: int64(l.IdleTimeout), HandshakeTimeout: int64(l.HandshakeTimeout),
		CloseTimeout: int64(l.CloseTimeout), ControlWindow: int64(l.ControlWindow), PartLimit: int32(l.PartLimit),
		ControlLimit: int32(l.ControlLimit), HeadLenLimit: int32(l.HeadLimit), HeadFieldsLimit: int32(l.HeadFieldLimit),
		RatioLimit: int32(l.RatioLimit),
	}
}

func (l *Limits) messageLimit() int64 { return orDefault(l.MessageLimit, 16<<20) }

func (l *Limits) sendLimit() int { return orDefault(l.SendLimit, 1<<20) }

func (l *Limits) closeTimeout() time.Duration { return orDefault(l.CloseTimeout, 5*time.Second) }

func (l *Limits) stallTimeout() time.Duration { return orDefault(l.StallTimeout, 30*time.Second) }

func (l *Limits) handshakeTimeout() time.Duration {
	return orDefault(l.HandshakeTimeout, 10*time.Second)
}

func (l *Limits) connectTimeout() time.Duration { return orDefault(l.ConnectTimeout, 30*time.Second) }

func (l *Limits) tlsTimeout() time.Duration { return orDefault(l.TLSTimeout, 10*time.Second) }

func orDefault[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}
