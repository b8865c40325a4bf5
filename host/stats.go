package host

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/wasock/wasock/hostcalls"
)

// Stats are counts since the Host was made.
type Stats struct {
	Open             int    // connections now
	Accepted, Dialed uint64 // connections that were opened

	MessagesReceived, MessagesSent uint64
	BytesReceived                  uint64               // from transports, framing included
	PayloadSent                    uint64               // of messages
	CloseCodes                     map[CloseCode]uint64 // how connections ended
}

// Stats returns the counts. Those of the messages in flight may be a moment old.
func (h *Host) Stats() Stats {
	h.mu.Lock()
	n := h.retired
	for _, inst := range h.instances {
		n.add(inst.counter.load())
	}
	open := len(h.conns)
	h.mu.Unlock()
	return Stats{
		Open: open, Accepted: h.accepted.Load(), Dialed: h.dialed.Load(),
		MessagesReceived: n.messagesReceived, MessagesSent: n.messagesSent,
		BytesReceived: n.bytesReceived, PayloadSent: n.payloadSent,
		CloseCodes: h.closeCodes.load(),
	}
}

// counter counts what an instance's connections do. Each instance has its own, so
// that cores do not share its cache line.
type counter struct {
	messagesReceived, messagesSent, bytesReceived, payloadSent atomic.Uint64
}

// counters is what a counter says at one time.
type counters struct {
	messagesReceived, messagesSent, bytesReceived, payloadSent uint64
}

func (c *counter) sent(op uint8, payload int) {
	if op == hostcalls.OpText || op == hostcalls.OpBinary {
		c.messagesSent.Add(1)
	}
	c.payloadSent.Add(uint64(payload))
}

func (c *counter) load() counters {
	return counters{c.messagesReceived.Load(), c.messagesSent.Load(), c.bytesReceived.Load(), c.payloadSent.Load()}
}

func (n *counters) add(m counters) {
	n.messagesReceived += m.messagesReceived
	n.messagesSent += m.messagesSent
	n.bytesReceived += m.bytesReceived
	n.payloadSent += m.payloadSent
}

// closeCodes counts close codes.
type closeCodes struct {
	mu sync.Mutex
	n  map[CloseCode]uint64
}

func (c *closeCodes) count(code CloseCode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = make(map[CloseCode]uint64)
	}
	c.n[code]++
}

func (c *closeCodes) load() map[CloseCode]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.n)
}
