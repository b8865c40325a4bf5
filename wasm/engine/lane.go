//go:build wasip1

package main

import (
	"unsafe"

	"github.com/wasock/wasock/hostcalls"
	"github.com/wasock/wasock/protocol"
)

// Sizes of a lane. A receive buffer takes four messages of 64 KiB with their
// headers, as the send buffer does, so that a peer that keeps four in flight
// costs one read and one write.
const (
	laneCount  = 4
	bufferLen  = 320 << 10
	eventsCap  = 512
	largePart  = 4 << 10 // a payload that is worth a segment rather than a move
	maxSegment = bufferLen/largePart + 1
	scratchLen = 64 << 10
	minScratch = 4 << 10   // less room is not worth an event
	keptEncode = 256 << 10 // the most of encoded that is kept
)

// A lane is the buffers that one call uses. hostcalls/ABI.md §2. It holds no
// pointer, so that the collector need not look through its buffers.
type lane struct {
	rx     [bufferLen]byte
	tx     [bufferLen]byte
	events [eventsCap]hostcalls.Event
	unread uint32

	segments [maxSegment]hostcalls.Segment
}

var (
	lanes  [laneCount]lane
	layout []byte

	// scratch is where what a lane's events hold was decoded to.
	scratch [laneCount][scratchLen]byte

	// encoded is where what a lane sends was encoded to; made when it is needed.
	encoded [laneCount][]byte

	// records are what a lane's event records point to besides payloads, kept from
	// the collector.
	records [laneCount][][]byte
)

// layoutRecord returns the layout record, made once.
func layoutRecord() []byte {
	if layout == nil {
		var l lane
		layout = hostcalls.AppendLayout(nil, hostcalls.Layout{
			Magic: hostcalls.Magic, Version: hostcalls.Version,
			LanesPtr: address(unsafe.Pointer(&lanes)), LanesCount: laneCount, LaneStride: uint32(unsafe.Sizeof(l)),
			RxOffset: uint32(unsafe.Offsetof(l.rx)), RxLen: bufferLen,
			TxOffset: uint32(unsafe.Offsetof(l.tx)), TxLen: bufferLen,
			EventsOffset: uint32(unsafe.Offsetof(l.events)), EventsCap: eventsCap, EventBytes: hostcalls.EventSize,
			SendHeaderLen: hostcalls.SendHeaderSize, ResultOffset: uint32(unsafe.Offsetof(l.unread)),
		})
	}
	return layout
}

func address(p unsafe.Pointer) uint32 { return uint32(uintptr(p)) }

func addressOf(b []byte) uint32 { return address(unsafe.Pointer(unsafe.SliceData(b))) }

// laneWithInput returns the lane i, whose tx holds length bytes of input.
func laneWithInput(i, length uint32) (*lane, hostcalls.Errno) {
	switch {
	case i >= laneCount:
		return nil, hostcalls.EBADF
	case length > bufferLen:
		return nil, hostcalls.EINVAL
	}
	return &lanes[i], hostcalls.OK
}

// put stores a record at the start of tx.
func (l *lane) put(b []byte) bool {
	if len(b) > len(l.tx) {
		return false
	}
	copy(l.tx[:], b) // nothing, if b was appended to tx
	return true
}

// fail leaves err's record in tx for a call whose arguments were wrong.
func (l *lane) fail(err error) int32 {
	if !l.put(appendFailure(l.tx[:0], err)) {
		return hostcalls.EFULL.Ret()
	}
	return hostcalls.EINVAL.Ret()
}

// refuse leaves the response that refuses a request in tx, and err's record
// after it.
func (l *lane) refuse(request *protocol.Request, err error) int32 {
	he, ok := err.(*protocol.HandshakeError)
	if !ok {
		return l.fail(err)
	}
	r := request.Refusal(he)
	if !l.put(appendFailure(appendResponse(l.tx[:0], &r, "", ""), err)) {
		return hostcalls.EFULL.Ret()
	}
	return hostcalls.EPROTO.Ret()
}

// event stores ev as the record n.
func (l *lane) event(n int, ev *protocol.Event) {
	r := &l.events[n]
	*r = hostcalls.Event{Kind: uint16(ev.Kind), Ptr: addressOf(ev.Payload), Len: uint32(len(ev.Payload)), Rest: ev.FrameRest}
	if ev.First {
		r.Flags |= hostcalls.EventFirst
	}
	if ev.Last {
		r.Flags |= hostcalls.EventLast
	}
	switch {
	case ev.Kind == protocol.KindPong:
		// It may be in the Conn's own memory, which the next control frame reuses.
		l.record(r, append([]byte(nil), ev.Payload...))
	case ev.Kind == protocol.KindError:
		l.record(r, appendFailure(nil, ev.Err))
	case ev.Kind >= protocol.KindClosed:
		if ev.Close.Clean {
			r.Flags |= hostcalls.EventClean
		}
		if ev.Close.ByPeer {
			r.Flags |= hostcalls.EventByPeer
		}
		l.record(r, []byte(ev.Close.Reason))
	}
}

// index is l's number.
func (l *lane) index() uintptr {
	return (uintptr(unsafe.Pointer(l)) - uintptr(unsafe.Pointer(&lanes))) / unsafe.Sizeof(*l)
}

// forget lets go of the records of the call before.
func (l *lane) forget() {
	if i := l.index(); len(records[i]) > 0 {
		clear(records[i])
		records[i] = records[i][:0]
	}
}

// record makes b the payload of r.
func (l *lane) record(r *hostcalls.Event, b []byte) {
	i := l.index()
	records[i] = append(records[i], b)
	r.Ptr, r.Len = addressOf(b), uint32(len(b))
}
