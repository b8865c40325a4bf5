package interop

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"sync"

	"github.com/wasock/wasock/tests/peers/deflated"
)

// A peer opens and accepts connections with one library.
type peer interface {
	// dial opens a connection to a ws or wss URL, whose server's certificate
	// roots vouch for. The response is that of the opening handshake, also if it
	// refused.
	dial(ctx context.Context, url string, roots *x509.CertPool, o options) (conn, *http.Response, error)

	// accept takes over the connection of a request, or answers it and returns an
	// error. The caller's handler stays until ctx ends.
	accept(ctx context.Context, w http.ResponseWriter, r *http.Request, o options) (conn, error)
}

// options are those of one end. Zero is the library's default, without limits
// that the conversations reach.
type options struct {
	subprotocols []string
	header       http.Header // a client's fields in the request, a server's in the response
	readLimit    int         // bytes of a message
	partLimit    int         // fragments of a message
	frameSize    int         // what sendFragments will be called with

	// deflate is the most that the end is willing to do of permessage-deflate, with
	// messages of any length but 0. Nil is nothing.
	deflate *deflated.Agreement
}

// A conn is one end of a connection. One goroutine at a time sends.
type conn interface {
	subprotocol() string

	// send sends a message in one frame. Text may be other than UTF-8 if the
	// library lets it.
	send(ctx context.Context, k kind, p []byte) error

	// sendPlain sends a message without compression.
	sendPlain(ctx context.Context, k kind, p []byte) error

	// sendFragments sends a message in frames of size bytes, and calls between
	// in between.
	sendFragments(ctx context.Context, k kind, p []byte, size int, between func() error) error

	// ping sends a Ping and waits for its Pong. The Ping carries p if the library
	// lets its user choose.
	ping(ctx context.Context, p []byte) error

	// close sends a Close frame; noCode sends one without a code.
	close(code int, reason string) error

	// drop closes the transport without a Close frame.
	drop()

	// received is what arrived.
	received() *inbox
}

// errCannot is the error of what a library has no way to do.
var errCannot = errors.New("the library has no way to do this")

// Close codes by the names that the conversations use.
const (
	noCode   = 1005
	abnormal = 1006
)

// A kind says what an event is.
type kind int

const (
	text kind = iota
	binary
	closed
)

func (k kind) String() string { return [...]string{"text", "binary", "closed"}[k] }

// An event is what the application at one end learns.
type event struct {
	kind    kind
	payload []byte // of a message

	code   int // of closed: the other end's, or 1006
	reason string
	clean  bool // a Close frame arrived
}

// closedBy is the event of an end that received a Close frame, closedWithout of
// one that did not.
func closedBy(code int, reason string) event {
	return event{kind: closed, code: code, reason: reason, clean: true}
}

var closedWithout = event{kind: closed, code: abnormal}

// An inbox holds what arrived until the conversation asks for it. Whoever reads
// from the library fills it and never waits, so that control frames are answered.
type inbox struct {
	mu     sync.Mutex
	events []event
	filled chan struct{}

	pings chan []byte // application data, as far as the library shows Pings
	pongs chan []byte
}

func newInbox() *inbox {
	const most = 256 // control frames of a conversation
	return &inbox{filled: make(chan struct{}, 1), pings: make(chan []byte, most), pongs: make(chan []byte, most)}
}

func (in *inbox) received() *inbox { return in }

func (in *inbox) put(ev event) {
	in.mu.Lock()
	in.events = append(in.events, ev)
	in.mu.Unlock()
	select {
	case in.filled <- struct{}{}:
	default:
	}
}

// next waits for the next event. One goroutine at a time calls it.
func (in *inbox) next(ctx context.Context) (event, error) {
	for {
		in.mu.Lock()
		if len(in.events) > 0 {
			ev := in.events[0]
			in.events[0] = event{}
			in.events = in.events[1:]
			in.mu.Unlock()
			return ev, nil
		}
		in.mu.Unlock()
		select {
		case <-in.filled:
		case <-ctx.Done():
			return event{}, errors.New("nothing arrived before the conversation's time ran out")
		}
	}
}

// waitPong waits for the Pong of a Ping with p.
func (in *inbox) waitPong(ctx context.Context, p []byte) error {
	select {
	case got := <-in.pongs:
		if string(got) != string(p) {
			return errors.New("the Pong carries other application data than the Ping")
		}
		return nil
	case <-ctx.Done():
		return errors.New("no Pong arrived before the conversation's time ran out")
	}
}

// cut cuts p into pieces of size bytes and calls f with each and with between
// after each but the last.
func cut(p []byte, size int, between func() error, f func(piece []byte) error) error {
	for {
		n := min(size, len(p))
		if err := f(p[:n]); err != nil {
			return err
		}
		if p = p[n:]; len(p) == 0 {
			return nil
		}
		if between == nil {
			continue
		}
		if err := between(); err != nil {
			return err
		}
	}
}

// A library is a peer of others' making, and what it does in its own way.
type library struct {
	name string
	peer
	ways
	compression
}

// ways are what a library does otherwise than the rest. The zero value is what
// RFC 6455 says or, where it leaves a choice, what most do.
type ways struct {
	// answers is the Close frame that it answers one with. By default it holds
	// the same code and no reason.
	answers func(code int, reason string) (int, string)

	noCodeIsZero     bool // it reports 0 for a Close frame without a code, not 1005
	closesAtOnce     bool // it closes the transport after its Close frame, and does not wait for ours
	needsSubprotocol bool // it gives up where no subprotocol is common
	oneValuePerField bool // it writes only the first value of a response field
	acceptsAnyOrigin bool // it leaves Origin to the application
	hidesReason      bool // it does not always show the reason of the answer to its Close frame
}
