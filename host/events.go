package host

import (
	"errors"
	"io"
	"net"

	"github.com/wasock/wasock/hostcalls"
)

// An EventHandler receives the events of a connection in order, one at a time:
// OnOpen first, then messages and pongs, OnError at most once and then OnClose
// once. deno.md §1.3 has the order that is matched.
//
// A method may send, close, and block; while it blocks, this connection is not
// read, and the peer is held back.
type EventHandler interface {
	OnOpen(c *Conn)

	// OnMessage receives a whole message. p is valid until OnMessage returns.
	OnMessage(c *Conn, t MessageType, p []byte)

	// OnPong receives a Pong's application data, valid until OnPong returns.
	OnPong(c *Conn, p []byte)

	// OnError says why the connection fails. OnClose follows.
	OnError(c *Conn, err error)

	// OnClose says that the connection ended: with the peer's close code and
	// reason, 1005 if it gave none, 1006 if there was no closing handshake.
	OnClose(c *Conn, code CloseCode, reason string, wasClean bool)
}

// NoEvents is an EventHandler that does nothing, to embed.
type NoEvents struct{}

func (NoEvents) OnOpen(*Conn)                           {}
func (NoEvents) OnMessage(*Conn, MessageType, []byte)   {}
func (NoEvents) OnPong(*Conn, []byte)                   {}
func (NoEvents) OnError(*Conn, error)                   {}
func (NoEvents) OnClose(*Conn, CloseCode, string, bool) {}

// serveEvents serves the handler: by the instance's poller where there is one,
// and otherwise until the connection ends.
func (c *Conn) serveEvents() {
	for !c.backlog.empty() {
		l, n, err := c.receive()
		if err != nil || !c.input(l, n) {
			return
		}
	}
	if c.inst.poller != nil {
		if t, ok := c.tr.(interface{ socket() net.Conn }); ok {
			c.mu.Lock()
			// A flusher that is under way has the transport: it is not taken over then.
			polled := !c.finished && !c.out.flushing && c.inst.poller.add(c, t.socket())
			c.mu.Unlock()
			if polled {
				return
			}
		}
	}
	c.serve()
}

// serve reads and delivers until the connection ends.
func (c *Conn) serve() {
	for {
		l, n, err := c.receive()
		if err != nil {
			c.ended(err)
			return
		}
		if !c.input(l, n) {
			return
		}
	}
}

// receive waits for bytes and returns the lane that they are in.
func (c *Conn) receive() (*lane, int, error) {
	c.deliver.Lock() // a timer may deliver as well
	held := c.heldBack()
	c.deliver.Unlock()
	if held {
		l := c.inst.lanes.get()
		return l, c.backlog.take(l.rx), nil
	}
	return c.tr.(waiter).receive(c.inst)
}

// input gives n bytes in l to the engine, delivers what comes of them and puts
// the lane back. It reports whether the connection is to be read on.
func (c *Conn) input(l *lane, n int) bool {
	if !c.deliver.TryLock() {
		// No lane is held while waiting for a handler.
		b := append([]byte(nil), l.rx[:n]...)
		c.inst.lanes.put(l)
		c.deliver.Lock()
		l = c.inst.lanes.get()
		copy(l.rx, b)
	}
	defer c.deliver.Unlock()
	c.mu.Lock()
	return c.deliverInput(l, n)
}

// deliverInput is input for a caller that holds deliver and mu; it unlocks mu. For a
// handler it goes on until nothing is left in the backlog.
func (c *Conn) deliverInput(l *lane, n int) bool {
	for c.deliverPart(l, n) {
		if c.backlog.empty() {
			c.backlog.forget()
		}
		held := c.heldBack()
		if !held {
			c.windows = 0
		}
		if c.handler == nil || !held {
			return true
		}
		l = c.inst.lanes.get()
		n = c.backlog.take(l.rx)
		c.mu.Lock()
	}
	return false
}

// deliverPart gives n bytes in l to the engine and delivers what comes of them. What
// inflates is delivered where it is or, if it is to be copied, in pieces, and the
// input that makes the next ones goes to the backlog. It unlocks mu.
func (c *Conn) deliverPart(l *lane, n int) bool {
	c.budget = maxBatch
	copies := c.handler == nil || c.inst.lanes.scarce()
	r := c.limitCredit(l, copies && c.extensions != "")
	switch {
	case r > 0: // of input that it was given before
		c.backlog.putBack(l.rx[:n])
		n = 0
	case r == 0:
		r = c.call(l, c.inst.fn.streamReceived, uint64(n), uint64(now()))
	}
	if r > 0 && !copies {
		c.cork = l
		c.mu.Unlock()
		r = c.deliverCorked(l, r, n)
	} else {
		c.mu.Unlock()
		r = c.deliverAll(l, r, n)
	}
	if r < 0 {
		c.lost(r)
		c.mu.Lock()
		c.finish()
		c.mu.Unlock()
		return false
	}
	return true
}

// ended tells the engine that the transport is at its end, because of err.
func (c *Conn) ended(err error) {
	if c.end.Load() != nil && c.request != nil {
		// The peer sent its Close frame and its end at once. Our answer is still to
		// leave: a request's output is written by another goroutine.
		c.drain()
	}
	c.deliver.Lock()
	defer c.deliver.Unlock()
	l := c.inst.lanes.get()
	c.mu.Lock()
	if c.failure == nil && !errors.Is(err, io.EOF) && !c.finished {
		c.failure = err
	}
	r := c.call(l, c.inst.fn.streamEnded, uint64(now()))
	c.mu.Unlock()
	if r = c.deliverAll(l, r, 0); r >= 0 {
		r = hostcalls.EBADF.Ret() // an engine that did not say how it ended says no more
	}
	c.lost(r)
	c.mu.Lock()
	c.finish()
	c.mu.Unlock()
}

// lost delivers the end of a connection that the engine can say nothing more
// about: it was aborted, or its instance failed. The caller holds deliver.
func (c *Conn) lost(r int32) {
	if r >= 0 || c.end.Load() != nil {
		return
	}
	err := c.cause()
	if err == nil && hostcalls.Errno(-r) == hostcalls.EIO {
		err = ErrEngineTrapped
	}
	if err != nil {
		c.onError(err)
	}
	c.onClose(&CloseError{Code: CodeAbnormal, Err: err})
}

// deliverCorked delivers r events of l to the handler while messages that are
// sent meanwhile gather in the lane, and sends those. The caller holds deliver.
func (c *Conn) deliverCorked(l *lane, r int32, n int) int32 {
	r = c.rounds(l, r, n, func(ev hostcalls.Event) { c.dispatch(ev, c.view) })
	c.mu.Lock()
	c.cork = nil
	_ = c.uncork(l) // that the connection closed meanwhile, OnClose tells
	c.mu.Unlock()
	c.inst.lanes.put(l)
	return r
}

// deliverAll delivers r events of l as copies where they are views: for handlers
// while lanes are scarce, after the lane was put back, and for streams always. n is
// the length of the input in l. The caller holds deliver.
func (c *Conn) deliverAll(l *lane, r int32, n int) int32 {
	c.budget = maxBatch
	if c.handler == nil {
		r = c.rounds(l, r, n, func(ev hostcalls.Event) { c.dispatch(ev, c.copied) })
		c.inst.lanes.put(l)
		return r
	}
	type owned struct {
		event   hostcalls.Event
		payload []byte
		ok      bool
	}
	var events []owned
	r = c.rounds(l, r, n, func(ev hostcalls.Event) {
		p, ok := c.copied(ev)
		events = append(events, owned{ev, p, ok})
	})
	c.inst.lanes.put(l)
	for _, e := range events {
		c.dispatch(e.event, func(hostcalls.Event) ([]byte, bool) { return e.payload, e.ok })
	}
	return r
}

// rounds calls f with the r events of l, and with those of conn_continue as long as
// there is more. What is left then of the n bytes of input goes to the backlog. It
// returns what the last call returned.
func (c *Conn) rounds(l *lane, r int32, n int, f func(hostcalls.Event)) int32 {
	for {
		for i := range int(max(r, 0) &^ hostcalls.More) {
			ev := l.event(i)
			if c.credited {
				c.credit -= int(ev.Len)
			}
			f(ev)
		}
		if r < 0 {
			return r
		}
		if r&hostcalls.More == 0 {
			if n > 0 {
				c.consumed(l, n)
			}
			return r
		}
		c.mu.Lock()
		// What was sent meanwhile goes out before what follows in the input, which
		// may end the connection.
		_ = c.uncork(l)
		r = c.goOn(l)
		c.mu.Unlock()
	}
}

// goOn calls conn_continue. The caller holds deliver and mu.
func (c *Conn) goOn(l *lane) int32 {
	if c.budget -= roundCost; c.budget < 0 {
		c.inst.distrust("it makes more of its input than there can be in it")
		return hostcalls.EIO.Ret()
	}
	return c.call(l, c.inst.fn.connContinue, uint64(now()))
}

// maxBatch is what the engine may make of one input of a lane, in bytes of payload that
// are copied. A round of conn_continue counts for roundCost, and an event for
// eventCost, so that neither goes on for ever: 320 KiB are at most 47,000 messages,
// each of which may take a round.
const (
	maxBatch  = 64 << 20
	roundCost = 512
	eventCost = 64
)

// event returns the event record i of the lane.
func (l *lane) event(i int) hostcalls.Event {
	return hostcalls.ConsumeEvent(l.events[i*hostcalls.EventSize:])
}

// view returns the payload of ev where it is.
func (c *Conn) view(ev hostcalls.Event) ([]byte, bool) {
	if ev.Len == 0 {
		return nil, true
	}
	return c.inst.view(ev.Ptr, ev.Len)
}

// copied returns a copy of the payload of ev.
func (c *Conn) copied(ev hostcalls.Event) ([]byte, bool) {
	if c.budget -= int(min(ev.Len, maxBatch)) + eventCost; c.budget < 0 {
		return nil, false
	}
	p, ok := c.view(ev)
	return append([]byte(nil), p...), ok
}

const hostileEvent = "an event record points outside the memory, or at too much of it"

// dispatch does what an event is for. payload gives its payload, or false where
// the record is out of range: then the engine cannot be trusted any more.
func (c *Conn) dispatch(ev hostcalls.Event, payload func(hostcalls.Event) ([]byte, bool)) {
	if c.end.Load() != nil {
		return
	}
	p, ok := payload(ev)
	if !ok {
		c.inst.distrust(hostileEvent)
		return
	}
	switch {
	case ev.Kind == hostcalls.KindText || ev.Kind == hostcalls.KindBinary:
		c.onPart(part{ev.Kind, ev.Flags&hostcalls.EventFirst != 0, ev.Flags&hostcalls.EventLast != 0, p}, ev.Rest)
	case ev.Kind == hostcalls.KindPong:
		c.onPong(p)
	case ev.Kind == hostcalls.KindResponse:
		c.onResponse(p)
	case ev.Kind == hostcalls.KindOpen:
		c.onOpen()
	case ev.Kind == hostcalls.KindError:
		c.mu.Lock()
		if c.failure == nil { // the transport's own error says more than that it ended
			c.failure = failure(p)
		}
		c.mu.Unlock()
		c.onError(c.cause())
	case ev.Kind >= hostcalls.KindClosed:
		c.onClose(&CloseError{
			Code: CloseCode(ev.Kind), Reason: string(p), Err: c.cause(),
			WasClean: ev.Flags&hostcalls.EventClean != 0, ByPeer: ev.Flags&hostcalls.EventByPeer != 0,
		})
	}
}

// cause returns why the connection fails, or nil.
func (c *Conn) cause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failure
}

func (c *Conn) onOpen() {
	if !c.state.CompareAndSwap(int32(StateConnecting), int32(StateOpen)) {
		return
	}
	c.wasOpen = true
	if c.handler != nil {
		c.handler.OnOpen(c)
	}
}

func (c *Conn) onPart(p part, rest uint64) {
	if p.first {
		c.arrived = 0
	}
	// The engine holds the limit. This is for one that does not.
	if c.arrived += int64(len(p.payload)); c.arrived > c.limits.messageLimit() {
		c.inst.distrust("it delivers more of a message than MessageLimit")
		return
	}
	if p.last {
		c.inst.counter.messagesReceived.Add(1)
		c.arrived = 0
	}
	if c.handler == nil {
		c.stream.push(p)
		return
	}
	m, whole := c.message.add(p, rest)
	if !whole {
		return
	}
	c.handler.OnMessage(c, messageType(p.kind), m)
	c.message.release()
}

func messageType(kind uint16) MessageType {
	if kind == hostcalls.KindText {
		return MessageText
	}
	return MessageBinary
}

func (c *Conn) onPong(p []byte) {
	if c.handler != nil {
		c.handler.OnPong(c, p)
		return
	}
	c.stream.pong(p)
}

func (c *Conn) onError(err error) {
	if c.ReadyState() != StateConnecting {
		c.state.Store(int32(StateClosing))
	}
	if c.handler != nil && !c.failed {
		c.failed = true
		c.handler.OnError(c, err)
	}
}

func (c *Conn) onClose(e *CloseError) {
	c.end.Store(e)
	c.state.Store(int32(StateClosed))
	c.host.closeCodes.count(e.Code)
	if c.handler != nil {
		c.handler.OnClose(c, e.Code, e.Reason, e.WasClean)
		return
	}
	c.stream.close(e)
}
