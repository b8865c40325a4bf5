//go:build wasip1

package main

import (
	"github.com/wasock/wasock/hostcalls"
	"github.com/wasock/wasock/protocol"
)

// A handle is a slot's index in its low bits and the slot's generation, which is
// never 0, above them. It is positive as an int32.
const (
	slotBits   = 20
	slotMask   = 1<<slotBits - 1
	generation = 1<<(31-slotBits) - 1
)

// A slot holds a connection.
type slot struct {
	conn      *protocol.Conn // nil while the slot is free
	gen       uint32
	armed     protocol.Time // what the host's timer is set for
	transport protocol.TransportAction
	responded bool // the response event was stored
	requested bool // connect_request was called
	connected bool // stream_connected or connect_response was called

	// unsent is what is to come by part records of a frame, where there is compression.
	unsent uint64

	// timed: the host's timer is no later than the connection's, and stays so
	// while messages come and go.
	timed bool
}

// table holds the connections by handle.
type table struct {
	slots []*slot
	free  []uint32
}

var conns table

// messages is where drain has them decoded to.
var messages [64]protocol.Message

// add gives c a handle.
func (t *table) add(c *protocol.Conn) (uint32, hostcalls.Errno) {
	var i uint32
	if n := len(t.free); n > 0 {
		i, t.free = t.free[n-1], t.free[:n-1]
	} else {
		if len(t.slots) > slotMask {
			return 0, hostcalls.EFULL
		}
		i = uint32(len(t.slots))
		t.slots = append(t.slots, &slot{})
	}
	s := t.slots[i]
	*s = slot{conn: c, gen: s.gen%generation + 1, armed: protocol.Never}
	return s.gen<<slotBits | i, hostcalls.OK
}

// get returns the connection's slot, or nil for a handle that names none.
func (t *table) get(h uint32) *slot {
	i := h & slotMask
	if int(i) >= len(t.slots) {
		return nil
	}
	s := t.slots[i]
	if s.conn == nil || s.gen != h>>slotBits {
		return nil
	}
	return s
}

// remove forgets the connection.
func (t *table) remove(h uint32) bool {
	s := t.get(h)
	if s == nil {
		return false
	}
	s.conn.Release()
	s.conn = nil
	t.free = append(t.free, h&slotMask)
	return true
}

// use returns what a call on a connection works with.
func use(h, laneIndex uint32) (*slot, *lane, hostcalls.Errno) {
	s := conns.get(h)
	if s == nil || laneIndex >= laneCount {
		return nil, nil, hostcalls.EBADF
	}
	return s, &lanes[laneIndex], hostcalls.OK
}

// opensClient reports whether s is a client that is not open yet.
func (s *slot) opensClient() bool {
	return s.conn.Role() == protocol.Client && s.conn.State() == protocol.StateConnecting
}

// drain stores the events that there are and hands over the output, as the
// package comment of protocol has it. It returns what the export returns.
func (s *slot) drain(h uint32, l *lane) int32 {
	l.forget()
	l.unread = 0
	n, whole := 0, false // events stored, and whether a message ends among them
	extended, decoded := s.conn.Extended(), 0
	for n < eventsCap-1 {
		if k := s.conn.NextMessages(messages[:min(len(messages), eventsCap-1-n)]); k > 0 {
			for i := range messages[:k] {
				m, r := &messages[i], &l.events[n+i]
				r.Kind, r.Flags = uint16(m.Kind), hostcalls.EventFirst|hostcalls.EventLast
				r.Ptr, r.Len, r.Code, r.Rest = addressOf(m.Payload), uint32(len(m.Payload)), 0, 0
			}
			n, whole = n+k, true
			if k == len(messages) {
				continue
			}
		}
		if s.timed && s.conn.Settled() {
			return int32(n)
		}
		if whole && s.conn.Buffered() > 0 {
			// What follows may fail or close the connection. The host answers these
			// messages first, as it would if they had come alone.
			s.flush(h, l)
			return int32(n) | hostcalls.More
		}
		if extended {
			if scratchLen-decoded < minScratch {
				s.flush(h, l)
				return int32(n) | hostcalls.More
			}
			s.conn.SetScratch(scratch[l.index()][decoded:])
		}
		var ev protocol.Event
		if !s.conn.NextEvent(&ev) {
			break
		}
		if extended {
			decoded += len(ev.Payload) // or more than was used, where it is not of a compressed message
		}
		if ev.Kind == protocol.KindOpen {
			s.timed = false // the idle timer takes the handshake's place, and may be earlier
			extended = s.conn.Extended()
		}
		if s.conn.Response() != nil && !s.responded {
			s.responded = true
			l.response(n, s.conn)
			n++
		}
		l.event(n, &ev)
		n, whole = n+1, whole || ev.Last && ev.Kind <= protocol.KindBinary
	}
	s.flush(h, l)
	if n >= eventsCap-1 || s.conn.Pending() {
		return int32(n) | hostcalls.More
	}
	l.unread = uint32(len(s.conn.Unread()))
	return int32(n)
}

// flush hands the output, the fate of the transport and the timer to the host.
func (s *slot) flush(h uint32, l *lane) {
	if out := s.conn.TakeOutput(); len(out) > 0 {
		l.segments[0] = hostcalls.Segment{Ptr: addressOf(out), Len: uint32(len(out))}
		streamWrite(h, l.segments[:1])
	}
	if t := s.conn.Transport(); t != s.transport {
		s.transport = t
		if t == protocol.TransportHalfClose {
			streamClose(h, hostcalls.CloseWrite)
		} else {
			streamClose(h, hostcalls.CloseBoth)
		}
	}
	s.setTimer(h)
}

// setTimer sets the host's timer if it would be late. One that is early does no
// harm, and is not worth a hostcall.
func (s *slot) setTimer(h uint32) {
	if t := s.conn.NextTimeout(); t < s.armed {
		s.armed = t
		timerSet(h, int64(t))
	}
	s.timed = true
}

// send turns the send records in b into frames, in place: a frame is never longer
// than its record.
func (s *slot) send(h uint32, l *lane, b []byte) int32 {
	if s.conn.Extended() {
		return s.sendEncoded(h, l, b)
	}
	var (
		out      []byte // the segment in progress; it ends before the record at b[at:]
		segments = l.segments[:0]
		result   error
		apart    bool
	)
	for at := 0; at < len(b) && result == nil; {
		// Short messages in a row, each moved to the end of the one before; the
		// first stays where it is.
		if op, n := hostcalls.SimpleSend(b[at:]); n >= 0 && n < largePart && op <= hostcalls.OpBinary {
			at += hostcalls.SendHeaderSize
			if out == nil {
				start := at - protocol.HeaderLen(uint64(n), s.conn.Role() == protocol.Client)
				out = b[start:start]
			}
			out, result = s.conn.AppendMessage(out, protocol.Opcode(op), true, b[at:at+n])
			at += n
			continue
		}
		r, payload, n, err := hostcalls.ConsumeSend(b[at:])
		if err != nil {
			result = err
			break
		}
		// A segment begins where its first payload need not be moved, and anew at
		// a payload that is too long to be worth moving.
		if out == nil || len(payload) >= largePart {
			if len(out) > 0 {
				segments = append(segments, segment(out))
			}
			start := at + hostcalls.SendHeaderSize
			if r.Flags&hostcalls.SendPart == 0 {
				start -= protocol.HeaderLen(r.FrameLen, s.conn.Role() == protocol.Client)
			}
			out = b[start:start]
		}
		if r.Flags&hostcalls.SendApart != 0 && at+n != len(b) {
			result = hostcalls.EINVAL
			break
		}
		apart = r.Flags&hostcalls.SendApart != 0
		out, result = s.appendRecord(out, r, payload)
		at += n
	}
	if len(out) > 0 {
		segments = append(segments, segment(out))
	}
	if len(segments) > 0 {
		streamWrite(h, segments)
	}
	if result == nil && (apart || s.timed && s.conn.Settled()) {
		return 0 // nothing may come between a header and the payload that is apart
	}
	s.flush(h, l)
	return errnoOf(result).Ret()
}

// sendEncoded is send for a connection with compression: what is sent is not where
// its record was.
func (s *slot) sendEncoded(h uint32, l *lane, b []byte) int32 {
	out := encoded[l.index()][:0]
	var result error
	for at := 0; at < len(b) && result == nil; {
		r, payload, n, err := hostcalls.ConsumeSend(b[at:])
		if err != nil {
			result = err
			break
		}
		out, result = s.appendEncoded(out, r, payload)
		at += n
	}
	if len(out) > 0 {
		l.segments[0] = segment(out)
		streamWrite(h, l.segments[:1])
	}
	if cap(out) <= keptEncode {
		encoded[l.index()] = out
	}
	s.flush(h, l)
	return errnoOf(result).Ret()
}

// appendEncoded appends what a send record is for, as a frame of its own.
func (s *slot) appendEncoded(out []byte, r hostcalls.SendHeader, payload []byte) ([]byte, error) {
	op, part, length := protocol.Opcode(r.Opcode), r.Flags&hostcalls.SendPart != 0, r.FrameLen
	switch {
	case r.Flags&hostcalls.SendApart != 0:
		return out, protocol.ErrNotBare
	case part && uint64(len(payload)) > s.unsent || !part && s.unsent > 0:
		return out, protocol.ErrMessageOrder
	case op.Control():
		return s.conn.AppendControl(out, op, payload)
	case part:
		op, length = protocol.OpContinuation, s.unsent
	}
	rest := length - uint64(len(payload))
	fin := r.Flags&hostcalls.SendFIN != 0 && rest == 0
	appendTo := s.conn.AppendEncoded
	if r.Flags&hostcalls.SendPlain != 0 && op != protocol.OpContinuation {
		appendTo = s.conn.AppendMessage
	}
	out, err := appendTo(out, op, fin, payload)
	if err == nil {
		s.unsent = rest
	}
	return out, err
}

// appendRecord appends the frame, or the part of one, that a send record is for.
func (s *slot) appendRecord(out []byte, r hostcalls.SendHeader, payload []byte) ([]byte, error) {
	op := protocol.Opcode(r.Opcode)
	if r.Flags&hostcalls.SendApart != 0 {
		return s.conn.AppendBareHeader(out, op, r.Flags&hostcalls.SendFIN != 0, r.FrameLen)
	}
	if op.Control() {
		return s.conn.AppendControl(out, op, payload)
	}
	if r.Flags&hostcalls.SendPart == 0 {
		var err error
		out, err = s.conn.BeginFrame(out, op, r.Flags&hostcalls.SendFIN != 0, r.FrameLen)
		if err != nil {
			return out, err
		}
	}
	return s.conn.AppendPart(out, payload)
}

func errnoOf(err error) hostcalls.Errno {
	switch err {
	case nil:
		return hostcalls.OK
	case protocol.ErrNotOpen:
		return hostcalls.ESTATE
	case protocol.ErrSendQueueFull:
		return hostcalls.EFULL
	case protocol.ErrNotBare:
		return hostcalls.ENOTSUP
	}
	return hostcalls.EINVAL
}

func segment(b []byte) hostcalls.Segment {
	return hostcalls.Segment{Ptr: addressOf(b), Len: uint32(len(b))}
}
