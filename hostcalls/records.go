package hostcalls

import "encoding/binary"

var le = binary.LittleEndian

// Sizes of the fixed records, in bytes.
const (
	LayoutSize         = 56
	ResultSize         = 4
	EventSize          = 24
	SegmentSize        = 8
	FieldHeaderSize    = 8
	SendHeaderSize     = 16
	LimitsSize         = 64
	CompressionSize    = 8
	OpenHeaderSize     = LimitsSize + CompressionSize + 16
	AcceptHeaderSize   = LimitsSize + CompressionSize + 24
	ErrorHeaderSize    = 32
	ResponseHeaderSize = 16
)

// A Layout says where the lanes are. Its fields are the record's, in order.
type Layout struct {
	Magic, Version                      uint32
	LanesPtr, LanesCount, LaneStride    uint32
	RxOffset, RxLen, TxOffset, TxLen    uint32
	EventsOffset, EventsCap, EventBytes uint32
	SendHeaderLen, ResultOffset         uint32
}

// ConsumeLayout decodes a layout record.
func ConsumeLayout(b []byte) (l Layout, err error) {
	if len(b) < LayoutSize {
		return l, EINVAL
	}
	for i, f := range l.fields() {
		*f = le.Uint32(b[4*i:])
	}
	return l, nil
}

// AppendLayout encodes l.
func AppendLayout(b []byte, l Layout) []byte {
	for _, f := range l.fields() {
		b = le.AppendUint32(b, *f)
	}
	return b
}

func (l *Layout) fields() [LayoutSize / 4]*uint32 {
	return [...]*uint32{&l.Magic, &l.Version, &l.LanesPtr, &l.LanesCount, &l.LaneStride, &l.RxOffset, &l.RxLen,
		&l.TxOffset, &l.TxLen, &l.EventsOffset, &l.EventsCap, &l.EventBytes, &l.SendHeaderLen, &l.ResultOffset}
}

// An Event is an event record. Its memory layout is the record's, so that the
// engine stores it as it is.
type Event struct {
	Kind, Flags    uint16
	Ptr, Len, Code uint32
	Rest           uint64
}

// ConsumeEvent decodes the event record at the start of b, which holds it whole.
func ConsumeEvent(b []byte) Event {
	_ = b[EventSize-1]
	return Event{Kind: le.Uint16(b), Flags: le.Uint16(b[2:]), Ptr: le.Uint32(b[4:]), Len: le.Uint32(b[8:]),
		Code: le.Uint32(b[12:]), Rest: le.Uint64(b[16:])}
}

// A Segment is a run of bytes in the guest's memory.
type Segment struct{ Ptr, Len uint32 }

// ConsumeSegment decodes the segment record at the start of b, which holds it
// whole.
func ConsumeSegment(b []byte) Segment {
	_ = b[SegmentSize-1]
	return Segment{le.Uint32(b), le.Uint32(b[4:])}
}

// A SendHeader is a send record before its payload.
type SendHeader struct {
	Len      uint32
	Opcode   uint8
	Flags    uint8
	FrameLen uint64
}

// PutSendHeader encodes h into the first SendHeaderSize bytes of b.
func PutSendHeader(b []byte, h SendHeader) {
	_ = b[SendHeaderSize-1]
	le.PutUint32(b, h.Len)
	b[4], b[5], b[6], b[7] = h.Opcode, h.Flags, 0, 0
	le.PutUint64(b[8:], h.FrameLen)
}

// SimpleSend returns the opcode and the length in bytes of the payload of the send
// record at the start of b if it is the commonest one: a whole frame that ends its
// message, and lies whole in b. Otherwise n is negative, and ConsumeSend tells.
// It is small enough to be inlined.
func SimpleSend(b []byte) (opcode uint8, n int) {
	if len(b) >= SendHeaderSize {
		h := le.Uint64(b)
		n = int(uint32(h))
		if h>>40 == SendFIN && le.Uint64(b[8:]) == uint64(n) && n <= len(b)-SendHeaderSize {
			return uint8(h >> 32), n
		}
	}
	return 0, -1
}

// ConsumeSend decodes the send record at the start of b: its header, its payload
// as a view of b, and its length in bytes.
func ConsumeSend(b []byte) (h SendHeader, payload []byte, n int, err error) {
	if len(b) < SendHeaderSize {
		return h, nil, 0, EINVAL
	}
	h = SendHeader{Len: le.Uint32(b), Opcode: b[4], Flags: b[5], FrameLen: le.Uint64(b[8:])}
	if uint64(h.Len) > uint64(len(b)-SendHeaderSize) || le.Uint16(b[6:]) != 0 || !h.valid() {
		return h, nil, 0, EINVAL
	}
	n = SendHeaderSize + int(h.Len)
	return h, b[SendHeaderSize:n:n], n, nil
}

// valid reports whether h's fields can stand beside each other.
func (h *SendHeader) valid() bool {
	switch {
	case h.Flags&^(SendFIN|SendPart|SendApart|SendPlain) != 0:
		return false
	case h.Opcode >= OpPing: // a control frame is whole: RFC 6455 §5.5
		return h.Flags&^SendPlain == SendFIN && uint64(h.Len) == h.FrameLen
	}
	if h.Flags&SendApart != 0 {
		return h.Len == 0 && h.Flags&SendPart == 0
	}
	return uint64(h.Len) <= h.FrameLen || h.Flags&SendPart != 0
}

// Limits is the limits record. Durations are nanoseconds; 0 is the default.
type Limits struct {
	MessageLimit, IdleTimeout, HandshakeTimeout, CloseTimeout, ControlWindow int64
	PartLimit, ControlLimit, HeadLenLimit, HeadFieldsLimit, RatioLimit       int32
}

// AppendLimits encodes l.
func AppendLimits(b []byte, l Limits) []byte {
	for _, v := range [...]int64{l.MessageLimit, l.IdleTimeout, l.HandshakeTimeout, l.CloseTimeout, l.ControlWindow} {
		b = le.AppendUint64(b, uint64(v))
	}
	for _, v := range [...]int32{l.PartLimit, l.ControlLimit, l.HeadLenLimit, l.HeadFieldsLimit, l.RatioLimit, 0} {
		b = le.AppendUint32(b, uint32(v))
	}
	return b
}

// consumeLimits decodes the limits record at the start of b, which holds it whole.
func consumeLimits(b []byte) (l Limits, err error) {
	for i, f := range [...]*int64{&l.MessageLimit, &l.IdleTimeout, &l.HandshakeTimeout, &l.CloseTimeout, &l.ControlWindow} {
		*f = int64(le.Uint64(b[8*i:]))
	}
	for i, f := range [...]*int32{&l.PartLimit, &l.ControlLimit, &l.HeadLenLimit, &l.HeadFieldsLimit, &l.RatioLimit} {
		*f = int32(le.Uint32(b[40+4*i:]))
	}
	if le.Uint32(b[60:]) != 0 {
		err = EINVAL
	}
	return l, err
}

// Compression is the compression record.
type Compression struct {
	Mode, Level, WindowBits uint8
	Threshold               uint32
}

// appendCompression encodes c.
func appendCompression(b []byte, c Compression) []byte {
	return le.AppendUint32(append(b, c.Mode, c.Level, c.WindowBits, 0), c.Threshold)
}

// consumeCompression decodes the compression record at the start of b, which holds
// it whole.
func consumeCompression(b []byte) (c Compression, err error) {
	c = Compression{b[0], b[1], b[2], le.Uint32(b[4:])}
	if b[3] != 0 {
		err = EINVAL
	}
	return c, err
}

// consumeOptions decodes what open and accept records begin with, and returns the
// rest of the fixed fields.
func consumeOptions(b []byte) (l Limits, c Compression, h []byte, err error) {
	l, err = consumeLimits(b)
	if err == nil {
		c, err = consumeCompression(b[LimitsSize:])
	}
	return l, c, b[LimitsSize+CompressionSize:], err
}

// takeParts cuts b, which follows a header, into parts of the given lengths.
func takeParts(b []byte, parts []*[]byte, lens []uint32) (rest []byte, err error) {
	for i, n := range lens {
		if uint64(n) > uint64(len(b)) {
			return nil, EINVAL
		}
		*parts[i] = b[:n:n]
		b = b[n:]
	}
	return b, nil
}

// An Open is the record that conn_open takes.
type Open struct {
	Limits       Limits
	Compression  Compression
	URL          []byte
	Subprotocols []byte // joined by commas
	Fields       []byte // a field block
}

// AppendOpen encodes o.
func AppendOpen(b []byte, o Open) []byte {
	b = appendCompression(AppendLimits(b, o.Limits), o.Compression)
	for _, p := range [...][]byte{o.URL, o.Subprotocols, o.Fields} {
		b = le.AppendUint32(b, uint32(len(p)))
	}
	b = le.AppendUint32(b, 0)
	b = append(b, o.URL...)
	b = append(b, o.Subprotocols...)
	return append(b, o.Fields...)
}

// ConsumeOpen decodes b, which is to hold one open record and nothing else.
func ConsumeOpen(b []byte) (o Open, err error) {
	if len(b) < OpenHeaderSize {
		return o, EINVAL
	}
	var h []byte
	o.Limits, o.Compression, h, err = consumeOptions(b)
	if err != nil || le.Uint32(h[12:]) != 0 {
		return o, EINVAL
	}
	rest, err := takeParts(b[OpenHeaderSize:], []*[]byte{&o.URL, &o.Subprotocols, &o.Fields},
		[]uint32{le.Uint32(h), le.Uint32(h[4:]), le.Uint32(h[8:])})
	if err == nil && len(rest) > 0 {
		err = EINVAL
	}
	return o, err
}

// An Accept is the record that conn_accept takes.
type Accept struct {
	Limits         Limits
	Compression    Compression
	Method, Target []byte
	Fields         []byte // of the request, a field block
	Subprotocols   []byte // supported, in order of preference, joined by commas
	ResponseFields []byte // to add to the response, a field block
	Major, Minor   uint16 // HTTP version
}

// AppendAccept encodes a.
func AppendAccept(b []byte, a Accept) []byte {
	b = appendCompression(AppendLimits(b, a.Limits), a.Compression)
	parts := [...][]byte{a.Method, a.Target, a.Fields, a.Subprotocols, a.ResponseFields}
	for _, p := range parts {
		b = le.AppendUint32(b, uint32(len(p)))
	}
	b = le.AppendUint16(b, a.Major)
	b = le.AppendUint16(b, a.Minor)
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// ConsumeAccept decodes b, which is to hold one accept record and nothing else.
func ConsumeAccept(b []byte) (a Accept, err error) {
	if len(b) < AcceptHeaderSize {
		return a, EINVAL
	}
	var h []byte
	if a.Limits, a.Compression, h, err = consumeOptions(b); err != nil {
		return a, err
	}
	a.Major, a.Minor = le.Uint16(h[20:]), le.Uint16(h[22:])
	rest, err := takeParts(b[AcceptHeaderSize:],
		[]*[]byte{&a.Method, &a.Target, &a.Fields, &a.Subprotocols, &a.ResponseFields},
		[]uint32{le.Uint32(h), le.Uint32(h[4:]), le.Uint32(h[8:]), le.Uint32(h[12:]), le.Uint32(h[16:])})
	if err == nil && len(rest) > 0 {
		err = EINVAL
	}
	return a, err
}

// A Failure is an error record.
type Failure struct {
	Class, Code uint32
	Max, Size   uint64
	Subject     []byte
	Rule        []byte
}

// AppendFailure encodes f.
func AppendFailure(b []byte, f Failure) []byte {
	b = le.AppendUint32(b, f.Class)
	b = le.AppendUint32(b, f.Code)
	b = le.AppendUint64(b, f.Max)
	b = le.AppendUint64(b, f.Size)
	b = le.AppendUint32(b, uint32(len(f.Subject)))
	b = le.AppendUint32(b, uint32(len(f.Rule)))
	b = append(b, f.Subject...)
	return append(b, f.Rule...)
}

// ConsumeFailure decodes the error record at the start of b.
func ConsumeFailure(b []byte) (f Failure, err error) {
	if len(b) < ErrorHeaderSize {
		return f, EINVAL
	}
	f.Class, f.Code, f.Max, f.Size = le.Uint32(b), le.Uint32(b[4:]), le.Uint64(b[8:]), le.Uint64(b[16:])
	_, err = takeParts(b[ErrorHeaderSize:], []*[]byte{&f.Subject, &f.Rule}, []uint32{le.Uint32(b[24:]), le.Uint32(b[28:])})
	return f, err
}

// A Response is a response record.
type Response struct {
	Status      uint32
	Subprotocol []byte
	Extensions  []byte
	Fields      []byte // a field block
}

// AppendResponse encodes r.
func AppendResponse(b []byte, r Response) []byte {
	b = le.AppendUint32(b, r.Status)
	for _, p := range [...][]byte{r.Subprotocol, r.Extensions, r.Fields} {
		b = le.AppendUint32(b, uint32(len(p)))
	}
	b = append(b, r.Subprotocol...)
	b = append(b, r.Extensions...)
	return append(b, r.Fields...)
}

// ConsumeResponse decodes the response record at the start of b, and returns its
// length in bytes.
func ConsumeResponse(b []byte) (r Response, n int, err error) {
	if len(b) < ResponseHeaderSize {
		return r, 0, EINVAL
	}
	r.Status = le.Uint32(b)
	rest, err := takeParts(b[ResponseHeaderSize:], []*[]byte{&r.Subprotocol, &r.Extensions, &r.Fields},
		[]uint32{le.Uint32(b[4:]), le.Uint32(b[8:]), le.Uint32(b[12:])})
	if err != nil {
		return r, 0, err
	}
	return r, len(b) - len(rest), nil
}

// AppendField appends a field to a field block.
func AppendField(b []byte, name, value string) []byte {
	b = le.AppendUint32(b, uint32(len(name)))
	b = le.AppendUint32(b, uint32(len(value)))
	b = append(b, name...)
	return append(b, value...)
}

// ConsumeField decodes the field at the start of a field block and returns what
// follows it.
func ConsumeField(b []byte) (name, value, rest []byte, err error) {
	if len(b) < FieldHeaderSize {
		return nil, nil, nil, EINVAL
	}
	rest, err = takeParts(b[FieldHeaderSize:], []*[]byte{&name, &value}, []uint32{le.Uint32(b), le.Uint32(b[4:])})
	return name, value, rest, err
}
