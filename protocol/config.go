package protocol

import (
	"errors"
	"time"
)

// A Time is an instant in nanoseconds on the caller's clock. The clock's origin
// is the caller's; it never goes back.
type Time int64

// Never is the instant of a timer that is not set.
const Never Time = 1<<63 - 1

// add returns the instant d after t, which is Never if the clock does not reach
// it. d is not negative.
func (t Time) add(d time.Duration) Time {
	if t > Never-Time(d) {
		return Never
	}
	return t + Time(d)
}

// A Config holds the limits of a Conn. It may be shared between Conns and must
// not change while one uses it.
//
// In every limit zero means the default. A negative limit is an error, except
// where its field says otherwise: there is no unlimited.
type Config struct {
	// MessageLimit is the most bytes of one received message, all of its
	// fragments together. Default 16 MiB.
	MessageLimit int64

	// PartLimit is the most fragments of fewer than 4 KiB, empty ones included, of
	// one received message; of fewer than 128 bytes if it is encoded. Default 1,024.
	PartLimit int

	// ControlLimit is the most Ping and Pong frames received within ControlWindow.
	// Default 100 within 10 s.
	ControlLimit  int
	ControlWindow time.Duration

	// SendLimit is how many bytes of output may wait to be taken before send
	// commands return ErrSendQueueFull. A frame that starts below the limit is
	// accepted whole. Default 1 MiB.
	SendLimit int

	// IdleTimeout is how long the peer may be silent. At half of it a Ping is
	// sent, at the whole the connection is closed with CodeGoingAway. It runs
	// only while the receiver has credit. Default 30 s; negative switches it off.
	IdleTimeout time.Duration

	// HandshakeTimeout is how long the opening handshake may take. Default 10 s.
	HandshakeTimeout time.Duration

	// CloseTimeout is how long the peer may take to answer a Close frame, and
	// then to close the transport. Default 5 s.
	CloseTimeout time.Duration

	// Head limits the opening handshake's head.
	Head HeadLimits

	// Random fills b with bytes that the peer cannot predict. A client needs it
	// for masking keys and its handshake key. RFC 6455 §10.3.
	Random func(b []byte)

	// RatioLimit is how many times as long as what was received of it a compressed
	// message may become, once it is longer than 64 KiB. Default 100.
	RatioLimit int

	// Scratch is where an extension puts the payload that it decodes, up to its
	// capacity. A Conn with an extension needs it. It is used only between a call
	// of NextEvent and the next one, so Conns that one goroutine drives may share
	// it.
	Scratch []byte

	// Coders are what Conns that one goroutine drives lend each other for
	// compression. Nil: each has its own.
	Coders *Coders

	filled bool // by WithDefaults
}

// Defaults of Config. Their reasons are in RATIONALE.md.
const (
	defaultMessageLimit     = 16 << 20
	defaultPartLimit        = 1024
	defaultControlLimit     = 100
	defaultControlWindow    = 10 * time.Second
	defaultRatioLimit       = 100
	defaultSendLimit        = 1 << 20
	defaultIdleTimeout      = 30 * time.Second
	defaultHandshakeTimeout = 10 * time.Second
	defaultCloseTimeout     = 5 * time.Second
)

// ErrConfig is returned for a Config that has a negative limit, for a client
// without Random, or for an Extension without Scratch.
var ErrConfig = errors.New("websocket: config: a limit is negative, a client has no Random, or an extension no Scratch")

// WithDefaults returns cfg with the defaults filled in. Conns that are given the
// result share it; otherwise each has a copy.
func (cfg *Config) WithDefaults() *Config {
	r := *cfg
	r.fill()
	return &r
}

// resolve returns cfg with defaults filled in for role.
func (cfg *Config) resolve(role Role) (*Config, error) {
	if cfg != nil && cfg.filled && (role == Server || cfg.Random != nil) {
		return cfg, nil
	}
	var r Config
	if cfg != nil {
		r = *cfg
	}
	if r.negative() || role == Client && r.Random == nil {
		return nil, ErrConfig
	}
	r.fill()
	return &r, nil
}

// fill replaces zeros by defaults. A Config with a negative limit is not filled.
func (r *Config) fill() {
	if r.negative() {
		return
	}
	orDefault(&r.MessageLimit, defaultMessageLimit)
	orDefault(&r.PartLimit, defaultPartLimit)
	orDefault(&r.ControlLimit, defaultControlLimit)
	orDefault(&r.ControlWindow, defaultControlWindow)
	orDefault(&r.SendLimit, defaultSendLimit)
	orDefault(&r.RatioLimit, defaultRatioLimit)
	orDefault(&r.IdleTimeout, defaultIdleTimeout)
	orDefault(&r.HandshakeTimeout, defaultHandshakeTimeout)
	orDefault(&r.CloseTimeout, defaultCloseTimeout)
	r.filled = true
}

// coders returns what a connection compresses and inflates with.
func (r *Config) coders() *Coders {
	if r.Coders != nil {
		return r.Coders
	}
	return new(Coders)
}

// negative reports whether a limit is, that must not be.
func (r *Config) negative() bool {
	return r.MessageLimit < 0 || r.PartLimit < 0 || r.ControlLimit < 0 || r.ControlWindow < 0 || r.SendLimit < 0 || r.RatioLimit < 0 ||
		r.HandshakeTimeout < 0 || r.CloseTimeout < 0 || r.Head.MaxBytes < 0 || r.Head.MaxFields < 0
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}
