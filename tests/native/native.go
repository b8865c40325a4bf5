// Package native drives a [protocol.Conn] on a net.Conn, natively: without the
// sandbox and without package host. Autobahn's native columns run on it, and it is
// the other side of a comparison with the engine in its module.
//
// It is a plain loop on one goroutine, to be read beside the package comment of
// protocol: read, Receive, NextEvent until there is none, write, timers. While it
// writes it does not read.
package native

import (
	"errors"
	"net"
	"os"
	"time"

	"github.com/wasock/wasock/protocol"
)

const (
	// readSize is how many bytes of the stream a Conn takes at once.
	readSize = 64 << 10

	// writeTimeout is how long the peer may take to read one output. It is far above
	// what a peer that reads needs.
	writeTimeout = 60 * time.Second
)

// A Conn is a [protocol.Conn] and the transport that it is driven on. Run drives it;
// other methods, and those of Protocol, are for the Handler.
type Conn struct {
	Protocol *protocol.Conn

	transport  net.Conn
	options    protocol.ServerOptions
	origin     time.Time // of the clock
	halfClosed bool
	lost, told bool  // the transport is of no use any more; the protocol knows
	unwritten  error // why the transport did not take output
	cause      error // of the end, as the protocol tells it
}

// A Handler receives the events of a connection, in order. An error of its own ends
// the connection without a closing handshake.
type Handler func(ev *protocol.Event) error

// Accept returns the server's end of a connection whose client has sent nothing yet
// that was read. cfg is as for [protocol.NewServer]; its Scratch is needed for
// compression, and is not to be shared with Conns on other goroutines.
func Accept(transport net.Conn, o protocol.ServerOptions, cfg *protocol.Config) (*Conn, error) {
	c := &Conn{transport: transport, options: o, origin: time.Now()}
	var err error
	c.Protocol, err = protocol.NewServer(c.Now(), cfg)
	return c, err
}

// Open returns the client's end of a connection to url, whose TLS, if it has any, is
// the transport's. cfg is as for [protocol.NewClient], and for Accept.
func Open(transport net.Conn, url string, o protocol.ClientOptions, cfg *protocol.Config) (*Conn, error) {
	u, err := protocol.ParseURL(url, nil)
	if err != nil {
		return nil, err
	}
	c := &Conn{transport: transport, origin: time.Now()}
	if c.Protocol, err = protocol.NewClient(u, o, cfg); err != nil {
		return nil, err
	}
	c.Protocol.SendRequest(c.Now())
	return c, nil
}

// Now returns the time on the connection's clock.
func (c *Conn) Now() protocol.Time { return protocol.Time(time.Since(c.origin)) }

// Send sends a whole message. What waits to be written is written first if it is as
// much as [protocol.Config.SendLimit]. Errors are those of [protocol.Conn.SendText].
func (c *Conn) Send(op protocol.Opcode, p []byte) error {
	err := c.Protocol.SendMessage(op, p, true)
	if errors.Is(err, protocol.ErrSendQueueFull) {
		c.flush()
		err = c.Protocol.SendMessage(op, p, true)
	}
	return err
}

// Run drives the connection until it has ended, and closes the transport. handle
// receives its events.
//
// The error is handle's; or the transport's, where that did not take output, and that
// of the event KindError. A connection that a Close frame ended has none.
func (c *Conn) Run(handle Handler) error {
	defer func() { _ = c.transport.Close() }()
	defer c.Protocol.Release()
	buffer := make([]byte, readSize)
	for {
		if err := c.drain(handle); err != nil {
			return err
		}
		if c.Protocol.Transport() == protocol.TransportClose {
			return errors.Join(c.unwritten, c.cause)
		}
		switch n, err := c.read(buffer); {
		case n > 0:
			c.Protocol.Receive(c.Now(), buffer[:n]) // an error comes again with the next read
		case errors.Is(err, os.ErrDeadlineExceeded):
			c.Protocol.HandleTimeout(c.Now())
		case err != nil:
			c.Protocol.ReceiveEOF(c.Now())
		}
	}
}

// drain does what follows every input, in the order of the package comment of
// protocol.
func (c *Conn) drain(handle Handler) error {
	for {
		if err := c.events(handle); err != nil {
			return err
		}
		c.flush()
		if c.Protocol.Transport() == protocol.TransportHalfClose {
			c.closeWrite()
		}
		if !c.lost || c.told {
			return nil
		}
		c.told = true
		c.Protocol.ReceiveEOF(c.Now()) // of which there are events
	}
}

func (c *Conn) events(handle Handler) error {
	var ev protocol.Event
	for {
		if !c.Protocol.NextEvent(&ev) {
			if !c.Protocol.Pending() {
				return nil
			}
			c.Protocol.Continue(c.Now())
			continue
		}
		switch ev.Kind {
		case protocol.KindRequest:
			// A request that is not acceptable was refused; KindError tells why.
			_ = c.Protocol.Accept(c.Now(), c.options)
		case protocol.KindError:
			c.cause = ev.Err
		}
		if err := handle(&ev); err != nil {
			return err
		}
	}
}

// flush writes the output. What is for a transport that is lost is dropped.
func (c *Conn) flush() {
	b := c.Protocol.TakeOutput()
	if len(b) == 0 || c.lost {
		return
	}
	err := c.transport.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err == nil {
		_, err = c.transport.Write(b)
	}
	if err != nil {
		c.lost, c.unwritten = true, err
	}
}

// closeWrite closes the write side, or a transport that has no sides. That this
// fails says that the peer has closed both already.
func (c *Conn) closeWrite() {
	if c.halfClosed || c.lost {
		return
	}
	c.halfClosed = true
	if t, ok := c.transport.(interface{ CloseWrite() error }); ok {
		c.lost = t.CloseWrite() != nil
	} else {
		c.lost = true
	}
}

// read reads until the protocol's next timer.
func (c *Conn) read(b []byte) (int, error) {
	var deadline time.Time // none
	if t := c.Protocol.NextTimeout(); t != protocol.Never {
		deadline = c.origin.Add(time.Duration(t))
	}
	if err := c.transport.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	return c.transport.Read(b)
}
