package hostcalls

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unsafe"
)

// A recordVector is a record as bytes, as a value, and field by field.
type recordVector struct {
	record  string // its name in the surface
	hex     string // grouped by field
	value   any
	fields  map[string]uint64 // by name; reserved ones are left out
	append  func() []byte     // nil where nobody encodes it
	consume func(b []byte) (any, error)
	whole   bool // consume wants nothing to follow the record
	fixed   bool // consume is given the whole record, and panics otherwise
}

const limitsHex = `
	0807060504030201 1817161514131211 2827262524232221 3837363534333231 ffffffffffffffff
	44434241 54535251 64636261 feffffff 74737271 00000000`

const compressionHex = ` 02 01 0f 00 84838281 `

var compressionValue = Compression{CompressionContextTakeover, CompressionFastest, 15, 0x81828384}

var limitsValue = Limits{
	MessageLimit: 0x0102030405060708, IdleTimeout: 0x1112131415161718, HandshakeTimeout: 0x2122232425262728,
	CloseTimeout: 0x3132333435363738, ControlWindow: -1,
	PartLimit: 0x41424344, ControlLimit: 0x51525354, HeadLenLimit: 0x61626364, HeadFieldsLimit: -2, RatioLimit: 0x71727374,
}

// withLength is what ConsumeSend and ConsumeField return beside the record.
type withLength struct {
	value any
	n     int
}

var layoutValue = Layout{Magic, 1, 0x03030303, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}

var openValue = Open{limitsValue, compressionValue, []byte("ws://h"), []byte("a,b"), []byte{}}

var acceptValue = Accept{
	Limits: limitsValue, Compression: compressionValue, Method: []byte("GET"), Target: []byte("/"), Fields: []byte{0xf1, 0xf2},
	Subprotocols: []byte("chat"), ResponseFields: []byte{0xf3, 0xf4, 0xf5, 0xf6, 0xf7}, Major: 0x0102, Minor: 0x0304,
}

var failureValue = Failure{ClassLimit, 1009, 0x0102030405060708, 0x1112131415161718, []byte("Max"), []byte("rule")}

var responseValue = Response{101, []byte("chat"), []byte("x"), []byte{0xf1, 0xf2}}

var recordVectors = []recordVector{
	{
		record: "layout",
		hex: `574f434b 01000000 03030303 04000000 05000000 06000000 07000000
			08000000 09000000 0a000000 0b000000 0c000000 0d000000 0e000000`,
		value: layoutValue,
		fields: map[string]uint64{"magic": Magic, "abi_version": 1, "lanes_ptr": 0x03030303, "lanes_count": 4, "lane_stride": 5,
			"rx_offset": 6, "rx_len": 7, "tx_offset": 8, "tx_len": 9, "events_offset": 10, "events_cap": 11, "event_size": 12,
			"send_header_len": 13, "result_offset": 14},
		append:  func() []byte { return AppendLayout(nil, layoutValue) },
		consume: func(b []byte) (any, error) { return errOr(ConsumeLayout(b)) },
	},
	{
		record:  "limits",
		hex:     limitsHex,
		value:   limitsValue,
		append:  func() []byte { return AppendLimits(nil, limitsValue) },
		consume: func(b []byte) (any, error) { return errOr(consumeLimits(b)) },
		fields: map[string]uint64{"message_limit": 0x0102030405060708, "idle_timeout": 0x1112131415161718,
			"handshake_timeout": 0x2122232425262728, "close_timeout": 0x3132333435363738, "control_window": 1<<64 - 1,
			"part_limit": 0x41424344, "control_limit": 0x51525354, "head_len_limit": 0x61626364, "head_fields_limit": 1<<32 - 2, "ratio_limit": 0x71727374},
		fixed: true,
	},
	{
		record:  "compression",
		hex:     compressionHex,
		value:   compressionValue,
		append:  func() []byte { return appendCompression(nil, compressionValue) },
		consume: func(b []byte) (any, error) { return errOr(consumeCompression(b)) },
		fields:  map[string]uint64{"mode": 2, "level": 1, "window_bits": 15, "threshold": 0x81828384},
		fixed:   true,
	},
	{
		record:  "open",
		hex:     limitsHex + compressionHex + `06000000 03000000 00000000 00000000 77733a2f2f68 612c62`,
		value:   openValue,
		fields:  map[string]uint64{"url_len": 6, "subprotocols_len": 3, "fields_len": 0},
		append:  func() []byte { return AppendOpen(nil, openValue) },
		consume: func(b []byte) (any, error) { return errOr(ConsumeOpen(b)) },
		whole:   true,
	},
	{
		record: "accept",
		hex:    limitsHex + compressionHex + `03000000 01000000 02000000 04000000 05000000 0201 0403 474554 2f f1f2 63686174 f3f4f5f6f7`,
		value:  acceptValue,
		fields: map[string]uint64{"method_len": 3, "target_len": 1, "fields_len": 2, "subprotocols_len": 4,
			"response_fields_len": 5, "major": 0x0102, "minor": 0x0304},
		append:  func() []byte { return AppendAccept(nil, acceptValue) },
		consume: func(b []byte) (any, error) { return errOr(ConsumeAccept(b)) },
		whole:   true,
	},
	{
		record: "field",
		hex:    `02000000 03000000 4162 636465`,
		value:  withLength{[2]string{"Ab", "cde"}, 13},
		fields: map[string]uint64{"name_len": 2, "value_len": 3},
		append: func() []byte { return AppendField(nil, "Ab", "cde") },
		consume: func(b []byte) (any, error) {
			name, value, rest, err := ConsumeField(b)
			return withLength{[2]string{string(name), string(value)}, len(b) - len(rest)}, err
		},
	},
	{
		record: "send",
		hex:    `03000000 01 01 0000 0807060504030201 616263`,
		value:  withLength{[2]any{SendHeader{3, OpText, SendFIN, 0x0102030405060708}, "abc"}, 19},
		fields: map[string]uint64{"len": 3, "opcode": OpText, "flags": SendFIN, "frame_len": 0x0102030405060708},
		append: func() []byte {
			b := bytes.Repeat([]byte{0xee}, SendHeaderSize)
			PutSendHeader(b, SendHeader{3, OpText, SendFIN, 0x0102030405060708})
			return append(b, "abc"...)
		},
		consume: func(b []byte) (any, error) {
			h, payload, n, err := ConsumeSend(b)
			return withLength{[2]any{h, string(payload)}, n}, err
		},
	},
	{
		record:  "event",
		hex:     `e903 0c00 04030201 08070605 0c0b0a09 1817161514131211`,
		value:   Event{1001, EventClean | EventByPeer, 0x01020304, 0x05060708, 0x090a0b0c, 0x1112131415161718},
		fields:  map[string]uint64{"kind": 1001, "flags": 12, "ptr": 0x01020304, "len": 0x05060708, "code": 0x090a0b0c, "rest": 0x1112131415161718},
		consume: func(b []byte) (any, error) { return ConsumeEvent(b), nil },
		fixed:   true,
	},
	{
		record:  "error",
		hex:     `02000000 f1030000 0807060504030201 1817161514131211 03000000 04000000 4d6178 72756c65`,
		value:   failureValue,
		fields:  map[string]uint64{"class": 2, "code": 1009, "max": 0x0102030405060708, "size": 0x1112131415161718, "subject_len": 3, "rule_len": 4},
		append:  func() []byte { return AppendFailure(nil, failureValue) },
		consume: func(b []byte) (any, error) { return errOr(ConsumeFailure(b)) },
	},
	{
		record: "response",
		hex:    `65000000 04000000 01000000 02000000 63686174 78 f1f2`,
		value:  withLength{responseValue, 23},
		fields: map[string]uint64{"status": 101, "subprotocol_len": 4, "extensions_len": 1, "fields_len": 2},
		append: func() []byte { return AppendResponse(nil, responseValue) },
		consume: func(b []byte) (any, error) {
			r, n, err := ConsumeResponse(b)
			return withLength{r, n}, err
		},
	},
	{
		record:  "segment",
		hex:     `04030201 08070605`,
		value:   Segment{0x01020304, 0x05060708},
		fields:  map[string]uint64{"ptr": 0x01020304, "len": 0x05060708},
		consume: func(b []byte) (any, error) { return ConsumeSegment(b), nil },
		fixed:   true,
	},
}

// errOr makes what a Consume function returns an any.
func errOr[T any](v T, err error) (any, error) { return v, err }

func (v *recordVector) bytes(t testing.TB) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(v.hex), ""))
	if err != nil {
		t.Fatalf("vector %s: %v", v.record, err)
	}
	return b
}

func TestRecordVectors(t *testing.T) {
	for _, v := range recordVectors {
		b := v.bytes(t)
		if got, err := v.consume(b); err != nil || !reflect.DeepEqual(got, v.value) {
			t.Errorf("%s: decoded it is %+v, %v, want %+v", v.record, got, err, v.value)
		}
		if v.append != nil {
			if got := v.append(); !bytes.Equal(got, b) {
				t.Errorf("%s: encoded it is %x, want %x", v.record, got, b)
			}
		}
	}
}

func TestRecordsFollowWhatIsThere(t *testing.T) {
	before := []byte("before")
	for name, appended := range map[string][]byte{
		"layout": AppendLayout(before, layoutValue), "open": AppendOpen(before, openValue), "accept": AppendAccept(before, acceptValue),
		"field": AppendField(before, "Ab", "cde"), "error": AppendFailure(before, failureValue), "response": AppendResponse(before, responseValue),
		"limits": AppendLimits(before, limitsValue),
	} {
		for _, v := range recordVectors {
			if v.record == name && !bytes.Equal(appended, append([]byte("before"), v.bytes(t)...)) {
				t.Errorf("%s: appended it is %x", name, appended)
			}
		}
	}
}

func TestRecordPrefixesAreRefused(t *testing.T) {
	for _, v := range recordVectors {
		if v.fixed {
			continue
		}
		b := v.bytes(t)
		for n := range b {
			if got, err := v.consume(b[:n:n]); err != EINVAL {
				t.Errorf("%s: the first %d of %d bytes give %+v, %v, want EINVAL", v.record, n, len(b), got, err)
			}
		}
	}
}

func TestRecordsThatAreFollowed(t *testing.T) {
	for _, v := range recordVectors {
		if v.fixed {
			continue
		}
		got, err := v.consume(append(v.bytes(t), 0xee))
		switch {
		case v.whole && err != EINVAL:
			t.Errorf("%s with a byte after it gives %+v, %v, want EINVAL", v.record, got, err)
		case !v.whole && (err != nil || !reflect.DeepEqual(got, v.value)):
			t.Errorf("%s with a byte after it gives %+v, %v, want %+v", v.record, got, err, v.value)
		}
	}
}

// TestRecordLengths gives each length field its boundaries. The oracle adds the
// lengths up.
func TestRecordLengths(t *testing.T) {
	for _, v := range recordVectors {
		r := surfaceRecord(t, v.record)
		for i := range r.Parts {
			b := v.bytes(t)
			at := r.field(t, lengthField(r.Parts[i])).Offset
			there := uint32(len(b)) - r.Size
			others := uint32(0)
			for j, other := range r.Parts {
				if j != i {
					others += binary.LittleEndian.Uint32(b[r.field(t, lengthField(other)).Offset:])
				}
			}
			for _, n := range []uint32{0, 1, there - others - 1, there - others, there - others + 1, there, there + 1, 1<<31 - 1, 1 << 31, 1<<32 - 1} {
				binary.LittleEndian.PutUint32(b[at:], n)
				sum := uint64(n) + uint64(others)
				want := sum <= uint64(there)
				if v.whole {
					want = sum == uint64(there)
				}
				if got, err := v.consume(b); (err == nil) != want || err != nil && err != EINVAL {
					t.Errorf("%s with %s %#x of %#x gives %+v, %v", v.record, lengthField(r.Parts[i]), n, there-others, got, err)
				}
			}
		}
	}
}

func TestConsumeSendRefuses(t *testing.T) {
	for _, test := range []struct {
		name string
		hex  string
		ok   bool
	}{
		{"an empty frame", `00000000 02 01 0000 0000000000000000`, true},
		{"a payload longer than its frame", `01000000 02 01 0000 0000000000000000 61`, false},
		{"the rest of a frame", `01000000 02 03 0000 0000000000000000 61`, true},
		{"the first of a long frame", `01000000 02 00 0000 ffffffffffffffff 61`, true},
		{"reserved bytes", `00000000 02 01 0001 0000000000000000`, false},
		{"a flag that is not defined", `00000000 02 11 0000 0000000000000000`, false},
		{"a message that is not compressed", `00000000 02 09 0000 0000000000000000`, true},
		{"a payload that is apart", `00000000 02 05 0000 0100000000000000`, true},
		{"a payload that is apart and here", `01000000 02 05 0000 0100000000000000 61`, false},
		{"a part that is apart", `00000000 02 07 0000 0100000000000000`, false},
		{"a ping that is apart", `00000000 09 05 0000 0000000000000000`, false},
		{"a ping", `01000000 09 01 0000 0100000000000000 61`, true},
		{"a pong", `01000000 0a 01 0000 0100000000000000 61`, true},
		{"a ping without fin", `01000000 09 00 0000 0100000000000000 61`, false},
		{"a ping with part", `01000000 09 03 0000 0100000000000000 61`, false},
		{"a ping longer than its record", `01000000 09 01 0000 0200000000000000 61`, false},
		{"a pong longer than its record", `00000000 0a 01 0000 0001000000000000`, false},
	} {
		b, err := hex.DecodeString(strings.ReplaceAll(test.hex, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := ConsumeSend(b); (err == nil) != test.ok {
			t.Errorf("%s gives %v", test.name, err)
		}
	}
}

func TestConsumeOpenRefusesReservedBytes(t *testing.T) {
	for _, at := range []int{60, 67, 84} {
		b := AppendOpen(nil, openValue)
		b[at] = 1
		if _, err := ConsumeOpen(b); err != EINVAL {
			t.Errorf("a reserved byte at %d that is not 0 gives %v", at, err)
		}
	}
	for _, at := range []int{63, 67} {
		b := AppendAccept(nil, acceptValue)
		b[at] = 1
		if _, err := ConsumeAccept(b); err != EINVAL {
			t.Errorf("a reserved byte of accept at %d that is not 0 gives %v", at, err)
		}
	}
}

// The engine stores event and segment records as these types lie in memory.
func TestEventAndSegmentLieInMemoryAsTheirRecords(t *testing.T) {
	var e Event
	var s Segment
	for _, f := range []struct {
		record, field string
		offset        uintptr
	}{
		{"event", "kind", unsafe.Offsetof(e.Kind)}, {"event", "flags", unsafe.Offsetof(e.Flags)},
		{"event", "ptr", unsafe.Offsetof(e.Ptr)}, {"event", "len", unsafe.Offsetof(e.Len)},
		{"event", "code", unsafe.Offsetof(e.Code)}, {"event", "rest", unsafe.Offsetof(e.Rest)},
		{"segment", "ptr", unsafe.Offsetof(s.Ptr)}, {"segment", "len", unsafe.Offsetof(s.Len)},
	} {
		r := surfaceRecord(t, f.record)
		if want := r.field(t, f.field).Offset; f.offset != uintptr(want) {
			t.Errorf("%s.%s lies at %d, want %d", f.record, f.field, f.offset, want)
		}
	}
	if unsafe.Sizeof(e) != EventSize || unsafe.Sizeof(s) != SegmentSize {
		t.Errorf("an Event has %d bytes, a Segment %d", unsafe.Sizeof(e), unsafe.Sizeof(s))
	}
}

func TestErrno(t *testing.T) {
	if got, want := EPROTO.Error(), "wasock errno 8 (proto)"; got != want {
		t.Errorf("EPROTO is %q, want %q", got, want)
	}
	for _, e := range []Errno{-1, EIO + 1} {
		if got := e.Error(); strings.Contains(got, "(") {
			t.Errorf("an errno that is none is %q", got)
		}
	}
	if EIO.Ret() != -10 || OK.Ret() != 0 {
		t.Errorf("as results EIO is %d and OK %d", EIO.Ret(), OK.Ret())
	}
}

// fuzzRecord seeds a fuzz test with the record's vector and its prefixes.
func fuzzRecord(f *testing.F, record string) {
	for _, v := range recordVectors {
		if v.record == record {
			b := v.bytes(f)
			f.Add(b)
			f.Add(b[:len(b)/2])
			f.Add(append(b, b...))
		}
	}
	f.Add([]byte{})
}

// wantRefusal fails the test unless err is EINVAL.
func wantRefusal(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, EINVAL) {
		t.Fatalf("the error is %v, want EINVAL", err)
	}
}

func FuzzConsumeLayout(f *testing.F) {
	// What ConsumeLayout accepts AppendLayout gives back; it refuses exactly what is shorter than the record.
	fuzzRecord(f, "layout")
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ConsumeLayout(b)
		if (err != nil) != (len(b) < LayoutSize) {
			t.Fatalf("%d bytes give %v", len(b), err)
		}
		if err == nil && !bytes.Equal(AppendLayout(nil, l), b[:LayoutSize]) {
			t.Fatalf("%x became %+v", b, l)
		}
	})
}

func FuzzConsumeOpen(f *testing.F) {
	// What ConsumeOpen accepts AppendOpen gives back, byte for byte; anything else is EINVAL.
	fuzzRecord(f, "open")
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := ConsumeOpen(b)
		if err != nil {
			wantRefusal(t, err)
		} else if !bytes.Equal(AppendOpen(nil, o), b) {
			t.Fatalf("%x became %+v", b, o)
		}
	})
}

func FuzzConsumeAccept(f *testing.F) {
	// What ConsumeAccept accepts AppendAccept gives back, byte for byte; anything else is EINVAL.
	fuzzRecord(f, "accept")
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ConsumeAccept(b)
		if err != nil {
			wantRefusal(t, err)
		} else if !bytes.Equal(AppendAccept(nil, a), b) {
			t.Fatalf("%x became %+v", b, a)
		}
	})
}

func FuzzConsumeSend(f *testing.F) {
	// What ConsumeSend accepts PutSendHeader and the payload give back, and it is n bytes; anything else is EINVAL.
	fuzzRecord(f, "send")
	f.Fuzz(func(t *testing.T, b []byte) {
		h, payload, n, err := ConsumeSend(b)
		if err != nil {
			wantRefusal(t, err)
			return
		}
		again := make([]byte, SendHeaderSize)
		PutSendHeader(again, h)
		if again = append(again, payload...); !bytes.Equal(again, b[:n]) || cap(payload) != len(payload) {
			t.Fatalf("%x became %+v with %d bytes of payload", b, h, len(payload))
		}
	})
}

func FuzzConsumeFailure(f *testing.F) {
	// What ConsumeFailure accepts AppendFailure gives back, as the beginning of the input; anything else is EINVAL.
	fuzzRecord(f, "error")
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ConsumeFailure(b)
		if err != nil {
			wantRefusal(t, err)
		} else if !bytes.HasPrefix(b, AppendFailure(nil, e)) {
			t.Fatalf("%x became %+v", b, e)
		}
	})
}

func FuzzConsumeResponse(f *testing.F) {
	// What ConsumeResponse accepts AppendResponse gives back, as the first n bytes; anything else is EINVAL.
	fuzzRecord(f, "response")
	f.Fuzz(func(t *testing.T, b []byte) {
		r, n, err := ConsumeResponse(b)
		if err != nil {
			wantRefusal(t, err)
		} else if !bytes.Equal(AppendResponse(nil, r), b[:n]) {
			t.Fatalf("%x became %+v, of %d bytes", b, r, n)
		}
	})
}

func FuzzConsumeField(f *testing.F) {
	// A field block is consumed field by field to its end or to EINVAL, and what was consumed AppendField gives back.
	fuzzRecord(f, "field")
	f.Fuzz(func(t *testing.T, b []byte) {
		var again []byte
		for rest := b; len(rest) > 0; {
			name, value, after, err := ConsumeField(rest)
			if err != nil {
				wantRefusal(t, err)
				break
			}
			again = AppendField(again, string(name), string(value))
			rest = after
		}
		if !bytes.HasPrefix(b, again) {
			t.Fatalf("%x became %x", b, again)
		}
	})
}

// SimpleSend says what ConsumeSend says of the records that it knows, and nothing of
// others.
func TestSimpleSendIsConsumeSend(t *testing.T) {
	for _, flags := range []uint8{0, SendFIN, SendPart, SendFIN | SendPart, SendFIN | SendApart, SendPlain | SendFIN, 16 | SendFIN} {
		for _, opcode := range []uint8{OpContinuation, OpText, OpBinary, OpPing} {
			for _, size := range []int{0, 1, 300} {
				for _, frameLen := range []int{size, size + 1} {
					b := make([]byte, SendHeaderSize+size)
					PutSendHeader(b, SendHeader{Len: uint32(size), Opcode: opcode, Flags: flags, FrameLen: uint64(frameLen)})
					for cut := range len(b) + 1 {
						op, n := SimpleSend(b[:cut])
						h, payload, _, err := ConsumeSend(b[:cut])
						simple := err == nil && h.Flags == SendFIN && h.FrameLen == uint64(h.Len)
						if (n >= 0) != simple || simple && (op != h.Opcode || n != len(payload)) {
							t.Fatalf("of % x SimpleSend says %d, %d; ConsumeSend %+v, %v", b[:cut], op, n, h, err)
						}
					}
				}
			}
		}
	}
}
