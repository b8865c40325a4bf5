package hostcalls

// A Surface is the ABI as tables, in the order of ABI.md: what web/abi.js,
// wasm/include/wasock.h and the tests are made from. Names are the ABI's.
type Surface struct {
	Exports   []Function
	Hostcalls []Function
	Constants []ConstantGroup
	Errnos    []Constant
	Records   []Record
}

// A Function is an export of the engine or a hostcall.
type Function struct {
	Name   string
	Params []Param
	Result string  // what an i32 of 0 or more means
	Errnos []Errno // those it can return, in order
	Doc    string  // one sentence

	// Negated says that an errno is returned as a negative number. A hostcall
	// that has no other result returns it as it is.
	Negated bool
}

// A Param is a parameter of a Function. Type is i32 or i64.
type Param struct{ Name, Type string }

// A ConstantGroup is constants that are values of one field or parameter.
type ConstantGroup struct {
	Name, Doc string
	Constants []Constant
}

// A Constant is a named number.
type Constant struct {
	Name  string
	Value uint32
	Doc   string
}

// A Record is the layout of a record: fixed fields, then parts of any length.
type Record struct {
	Name   string
	Size   uint32 // of the fixed fields, in bytes
	Doc    string
	Fields []RecordField
	Parts  []string // the field with a part's length is its name and "_len"; "payload" has "len"
}

// A RecordField is a fixed field of a Record.
type RecordField struct {
	Name   string
	Type   string // u8, u16, u32, u64, i32, i64, or the name of a record
	Offset uint32
	Doc    string
}

// ABI returns the surface of this version.
func ABI() *Surface {
	return &Surface{
		Exports:   surfaceExports(),
		Hostcalls: surfaceHostcalls(),
		Constants: surfaceConstants(),
		Errnos:    surfaceErrnos(),
		Records:   surfaceRecords(),
	}
}

var (
	laneParam = Param{"lane", "i32"}
	connParam = Param{"conn", "i32"}
	lenParam  = Param{"len", "i32"}
	nowParam  = Param{"now", "i64"}
)

func surfaceExports() []Function {
	return []Function{
		{Name: "wasock_abi_version", Result: "version", Doc: "Returns the version of the ABI."},
		{Name: "engine_layout", Result: "ptr", Doc: "Returns the address of the layout record."},
		{"conn_open", []Param{laneParam, lenParam, nowParam}, "handle",
			[]Errno{EINVAL, EBADF, ESTATE, EFULL, EACCES, EFAULT, ENOTSUP, EIO},
			"Creates a client from the open record in tx.", true},
		{"conn_accept", []Param{laneParam, lenParam, nowParam}, "handle",
			[]Errno{EINVAL, EBADF, EFULL, EPROTO},
			"Decides on the request in the accept record in tx.", true},
		{"stream_connected", []Param{connParam, laneParam, nowParam}, "events",
			[]Errno{EBADF, ESTATE},
			"The transport that stream_connect asked for is there.", true},
		{"connect_request", []Param{connParam, laneParam, nowParam}, "len",
			[]Errno{EBADF, ESTATE, EFULL},
			"Leaves in tx the request that opens an Extended CONNECT stream.", true},
		{"connect_response", []Param{connParam, laneParam, lenParam, nowParam}, "events",
			[]Errno{EINVAL, EBADF, ESTATE},
			"The final response to that request is in tx.", true},
		{"stream_received", []Param{connParam, laneParam, lenParam, nowParam}, "events",
			[]Errno{EINVAL, EBADF, EBUSY},
			"Bytes that arrived are in rx.", true},
		{"stream_ended", []Param{connParam, laneParam, nowParam}, "events",
			[]Errno{EBADF},
			"The transport delivers no more.", true},
		{"stream_blocked", []Param{connParam, laneParam, {"blocked", "i32"}, nowParam}, "events",
			[]Errno{EBADF},
			"The transport is behind with its output, or has caught up.", true},
		{"conn_continue", []Param{connParam, laneParam, nowParam}, "events",
			[]Errno{EBADF},
			"Goes on where more stopped.", true},
		{"conn_send", []Param{connParam, laneParam, lenParam, nowParam}, "zero",
			[]Errno{EINVAL, EBADF, ESTATE},
			"Sends the send records in tx.", true},
		{"conn_close", []Param{connParam, laneParam, {"code", "i32"}, lenParam, nowParam}, "events",
			[]Errno{EINVAL, EBADF},
			"Starts the closing handshake; the reason is in tx.", true},
		{"conn_timeout", []Param{connParam, laneParam, {"paused", "i32"}, nowParam}, "events",
			[]Errno{EBADF},
			"The timer is due.", true},
		{"conn_credit", []Param{connParam, laneParam, {"credit", "i64"}, nowParam}, "events",
			[]Errno{EBADF},
			"Sets how many bytes of payload the receiver will take.", true},
		{"conn_free", []Param{connParam}, "zero",
			[]Errno{EBADF},
			"Forgets the connection.", true},
	}
}

func surfaceHostcalls() []Function {
	return []Function{
		{"stream_connect", []Param{connParam, {"host_ptr", "i32"}, {"host_len", "i32"}, {"port", "i32"}, {"flags", "i32"}}, "errno",
			[]Errno{EINVAL, ESTATE, EFULL, EACCES, EFAULT, ENOTSUP, EIO},
			"Begin to connect a transport to a host and port.", false},
		{"stream_write", []Param{connParam, {"segments_ptr", "i32"}, {"count", "i32"}}, "errno",
			[]Errno{EINVAL, EBADF, EFAULT},
			"Write the segments in order.", false},
		{"stream_close", []Param{connParam, {"how", "i32"}}, "errno",
			[]Errno{EINVAL, EBADF},
			"Close the transport, or its write side, after the output.", false},
		{"timer_set", []Param{connParam, {"deadline", "i64"}}, "errno",
			[]Errno{EBADF},
			"Call conn_timeout at or soon after the deadline.", false},
		{"random_get", []Param{{"ptr", "i32"}, lenParam}, "errno",
			[]Errno{EINVAL, EFAULT, EIO},
			"Fill with bytes from a cryptographic generator.", false},
		{"host_to_ascii", []Param{{"ptr", "i32"}, lenParam, {"out_ptr", "i32"}, {"out_cap", "i32"}}, "len",
			[]Errno{EINVAL, EFULL, EFAULT, ENOTSUP},
			"Convert a domain name to its ASCII form.", true},
	}
}

func surfaceConstants() []ConstantGroup {
	return []ConstantGroup{
		{"abi", "Numbers of the ABI itself.", []Constant{
			{"version", Version, "the version of the ABI"},
			{"magic", Magic, "the first word of the layout record, \"WOCK\""},
			{"more", More, "in an export's result: events or input may be left"},
			{"no_status", NoStatus, "the close code that sends a Close frame without one"},
		}},
		{"connect_flag", "Flags of stream_connect.", []Constant{
			{"tls", FlagTLS, "TLS with the host's name verified, before the first byte"},
		}},
		{"close_how", "What stream_close closes.", []Constant{
			{"write", CloseWrite, "the write side; reading goes on"},
			{"both", CloseBoth, "the transport"},
		}},
		{"opcode", "Opcodes of send records, RFC 6455 §5.2.", []Constant{
			{"continuation", OpContinuation, "a further frame of the message in progress"},
			{"text", OpText, "the first frame of a text message"},
			{"binary", OpBinary, "the first frame of a binary message"},
			{"ping", OpPing, "a Ping frame"},
			{"pong", OpPong, "a Pong frame"},
		}},
		{"send_flag", "Flags of send records.", []Constant{
			{"fin", SendFIN, "the frame ends its message"},
			{"part", SendPart, "the payload goes on with the frame of the record before"},
			{"apart", SendApart, "the payload is not here: the host writes it behind the output of the call"},
			{"plain", SendPlain, "the message is not compressed"},
		}},
		{"event_kind", "Kinds of events; from closed on, the kind is the close code.", []Constant{
			{"text", KindText, "a part of a text message"},
			{"binary", KindBinary, "a part of a binary message"},
			{"pong", KindPong, "a Pong frame"},
			{"error", KindError, "the connection failed"},
			{"open", KindOpen, "the opening handshake is complete"},
			{"response", KindResponse, "a client received a response"},
			{"closed", KindClosed, "the lowest close code"},
		}},
		{"compression_mode", "What of permessage-deflate an end is willing to do.", []Constant{
			{"disabled", CompressionDisabled, "nothing"},
			{"no_context_takeover", CompressionNoContextTakeover, "each message by itself"},
			{"context_takeover", CompressionContextTakeover, "each with what the ones before were like"},
		}},
		{"compression_level", "How much work compressing is worth.", []Constant{
			{"default", CompressionDefault, "most of the gain"},
			{"fastest", CompressionFastest, "less work"},
			{"best", CompressionBest, "more gain"},
		}},
		{"event_flag", "Flags of events.", []Constant{
			{"first", EventFirst, "the first part of its message"},
			{"last", EventLast, "the last part of its message"},
			{"clean", EventClean, "both ends completed the closing handshake"},
			{"by_peer", EventByPeer, "the peer sent its Close frame first"},
		}},
		{"error_class", "Classes of error records.", []Constant{
			{"protocol", ClassProtocol, "the peer broke the protocol"},
			{"limit", ClassLimit, "the peer exceeded a limit"},
			{"handshake", ClassHandshake, "the opening handshake failed"},
			{"argument", ClassArgument, "an argument of the host's was wrong"},
			{"ended", ClassEnded, "the transport ended without a closing handshake"},
			{"idle", ClassIdle, "the peer went silent"},
		}},
	}
}

func surfaceErrnos() []Constant {
	docs := [...]string{
		OK:      "success",
		EINVAL:  "an argument or a record is malformed",
		EBADF:   "no such handle or lane",
		ESTATE:  "the connection's state does not allow it",
		EFULL:   "no room: too many connections, a record too large for its buffer",
		EACCES:  "the permissions do not allow it",
		EBUSY:   "the call before is not finished",
		EFAULT:  "an address outside the memory",
		EPROTO:  "the peer broke the protocol",
		ENOTSUP: "not supported here",
		EIO:     "the operation failed",
	}
	errnos := make([]Constant, len(docs))
	for i, doc := range docs {
		errnos[i] = Constant{errnoNames[i], uint32(i), doc}
	}
	return errnos
}

func surfaceRecords() []Record {
	return []Record{
		{"layout", LayoutSize, "Where the lanes are.", []RecordField{
			{"magic", "u32", 0, "0x4b434f57, \"WOCK\""},
			{"abi_version", "u32", 4, "1"},
			{"lanes_ptr", "u32", 8, "address of lane 0"},
			{"lanes_count", "u32", 12, "how many lanes"},
			{"lane_stride", "u32", 16, "bytes from one lane to the next"},
			{"rx_offset", "u32", 20, "where in a lane received bytes go"},
			{"rx_len", "u32", 24, "how many fit"},
			{"tx_offset", "u32", 28, "where in a lane commands go, and records come back"},
			{"tx_len", "u32", 32, "how many bytes fit"},
			{"events_offset", "u32", 36, "where in a lane event records are"},
			{"events_cap", "u32", 40, "how many fit"},
			{"event_size", "u32", 44, "bytes of one"},
			{"send_header_len", "u32", 48, "bytes of a send record before its payload"},
			{"result_offset", "u32", 52, "where in a lane the result record is"},
		}, nil},
		{"result", ResultSize, "What a call leaves beside its events.", []RecordField{
			{"unread", "u32", 0, "bytes at the end of the input that were not consumed"},
		}, nil},
		{"limits", LimitsSize, "The limits of a connection; 0 is the default.", []RecordField{
			{"message_limit", "i64", 0, "bytes of a received message"},
			{"idle_timeout", "i64", 8, "nanoseconds that the peer may be silent; negative: off"},
			{"handshake_timeout", "i64", 16, "nanoseconds that the opening handshake may take"},
			{"close_timeout", "i64", 24, "nanoseconds that each step of the closing handshake may take"},
			{"control_window", "i64", 32, "nanoseconds in which control frames are counted"},
			{"part_limit", "i32", 40, "fragments of a received message"},
			{"control_limit", "i32", 44, "control frames received within control_window"},
			{"head_len_limit", "i32", 48, "bytes of a head of the opening handshake"},
			{"head_fields_limit", "i32", 52, "fields of a head"},
			{"ratio_limit", "i32", 56, "how many times as long as its compressed form a message may be, above 64 KiB"},
			{"reserved", "u32", 60, "0"},
		}, nil},
		{"compression", CompressionSize, "What is offered or accepted of permessage-deflate.", []RecordField{
			{"mode", "u8", 0, "a compression_mode"},
			{"level", "u8", 1, "a compression_level"},
			{"window_bits", "u8", 2, "the most window for either direction, 8 to 15; 0 is 15"},
			{"reserved", "u8", 3, "0"},
			{"threshold", "u32", 4, "bytes from which on a message is compressed; 0 is the default"},
		}, nil},
		{"open", OpenHeaderSize, "What conn_open takes.", []RecordField{
			{"limits", "limits", 0, "the limits record"},
			{"compression", "compression", 64, "the compression record"},
			{"url_len", "u32", 72, "bytes of url"},
			{"subprotocols_len", "u32", 76, "bytes of subprotocols"},
			{"fields_len", "u32", 80, "bytes of fields"},
			{"reserved", "u32", 84, "0"},
		}, []string{"url", "subprotocols", "fields"}},
		{"accept", AcceptHeaderSize, "What conn_accept takes.", []RecordField{
			{"limits", "limits", 0, "the limits record"},
			{"compression", "compression", 64, "the compression record"},
			{"method_len", "u32", 72, "bytes of method"},
			{"target_len", "u32", 76, "bytes of target"},
			{"fields_len", "u32", 80, "bytes of fields"},
			{"subprotocols_len", "u32", 84, "bytes of subprotocols"},
			{"response_fields_len", "u32", 88, "bytes of response_fields"},
			{"major", "u16", 92, "the HTTP version's first number"},
			{"minor", "u16", 94, "its second"},
		}, []string{"method", "target", "fields", "subprotocols", "response_fields"}},
		{"field", FieldHeaderSize, "A field of a field block.", []RecordField{
			{"name_len", "u32", 0, "bytes of name"},
			{"value_len", "u32", 4, "bytes of value"},
		}, []string{"name", "value"}},
		{"send", SendHeaderSize, "A frame to send, or a part of one.", []RecordField{
			{"len", "u32", 0, "bytes of payload in this record"},
			{"opcode", "u8", 4, "an opcode"},
			{"flags", "u8", 5, "send_flag bits"},
			{"reserved", "u16", 6, "0"},
			{"frame_len", "u64", 8, "bytes of payload of the frame"},
		}, []string{"payload"}},
		{"event", EventSize, "Something for the application.", []RecordField{
			{"kind", "u16", 0, "an event_kind, or a close code"},
			{"flags", "u16", 2, "event_flag bits"},
			{"ptr", "u32", 4, "address of the payload"},
			{"len", "u32", 8, "bytes of payload"},
			{"code", "u32", 12, "0"},
			{"rest", "u64", 16, "bytes of payload that the frame still announces"},
		}, nil},
		{"error", ErrorHeaderSize, "Why a call or a connection failed.", []RecordField{
			{"class", "u32", 0, "an error_class"},
			{"code", "u32", 4, "a close code, or an HTTP status"},
			{"max", "u64", 8, "the limit that was exceeded"},
			{"size", "u64", 16, "what exceeded it"},
			{"subject_len", "u32", 24, "bytes of subject"},
			{"rule_len", "u32", 28, "bytes of rule"},
		}, []string{"subject", "rule"}},
		{"response", ResponseHeaderSize, "A response of an opening handshake.", []RecordField{
			{"status", "u32", 0, "the HTTP status"},
			{"subprotocol_len", "u32", 4, "bytes of subprotocol"},
			{"extensions_len", "u32", 8, "bytes of extensions"},
			{"fields_len", "u32", 12, "bytes of fields"},
		}, []string{"subprotocol", "extensions", "fields"}},
		{"segment", SegmentSize, "A run of bytes in the module's memory.", []RecordField{
			{"ptr", "u32", 0, "its address"},
			{"len", "u32", 4, "its length"},
		}, nil},
	}
}
