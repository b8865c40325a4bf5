package protocol

import (
	"bytes"
	"fmt"
	"testing"
)

// key is testKey as a Header has it.
const key = 0x3d21fa37

// headerVectors are headers and how they are written, from both roles.
var headerVectors = []struct {
	name   string
	wire   string
	header Header
}{
	{"RFC 6455 §5.7: text Hello", "81 05", Header{FIN: true, Opcode: OpText, Length: 5}},
	{"RFC 6455 §5.7: text Hello, masked", "81 85 | 37fa213d", Header{FIN: true, Opcode: OpText, Masked: true, Length: 5, Key: key}},
	{"RFC 6455 §5.7: first fragment", "01 03", Header{Opcode: OpText, Length: 3}},
	{"RFC 6455 §5.7: last fragment", "80 02", Header{FIN: true, Opcode: OpContinuation, Length: 2}},
	{"RFC 6455 §5.7: Ping", "89 05", Header{FIN: true, Opcode: OpPing, Length: 5}},
	{"RFC 6455 §5.7: Pong, masked", "8a 85 | 37fa213d", Header{FIN: true, Opcode: OpPong, Masked: true, Length: 5, Key: key}},
	{"RFC 6455 §5.7: 256 bytes", "82 7e | 0100", Header{FIN: true, Opcode: OpBinary, Length: 256}},
	{"RFC 6455 §5.7: 64 KiB", "82 7f | 0000000000010000", Header{FIN: true, Opcode: OpBinary, Length: 65536}},
	{"empty", "82 00", Header{FIN: true, Opcode: OpBinary}},
	{"empty, masked", "82 80 | 37fa213d", Header{FIN: true, Opcode: OpBinary, Masked: true, Key: key}},
	{"a key of zeros", "82 80 | 00000000", Header{FIN: true, Opcode: OpBinary, Masked: true}},
	{"empty Close", "88 00", Header{FIN: true, Opcode: OpClose}},
	{"the longest Close", "88 7d", Header{FIN: true, Opcode: OpClose, Length: 125}},
	{"the longest Pong, masked", "8a fd | 37fa213d", Header{FIN: true, Opcode: OpPong, Masked: true, Length: 125, Key: key}},
	{"125", "82 7d", Header{FIN: true, Opcode: OpBinary, Length: 125}},
	{"126", "82 7e | 007e", Header{FIN: true, Opcode: OpBinary, Length: 126}},
	{"126, masked", "82 fe | 007e | 37fa213d", Header{FIN: true, Opcode: OpBinary, Masked: true, Length: 126, Key: key}},
	{"65535", "82 7e | ffff", Header{FIN: true, Opcode: OpBinary, Length: 65535}},
	{"65536, masked", "82 ff | 0000000000010000 | 37fa213d", Header{FIN: true, Opcode: OpBinary, Masked: true, Length: 65536, Key: key}},
	{"1<<31 - 1", "82 7f | 000000007fffffff", Header{FIN: true, Opcode: OpBinary, Length: 1<<31 - 1}},
	{"1<<31", "82 7f | 0000000080000000", Header{FIN: true, Opcode: OpBinary, Length: 1 << 31}},
	{"1<<32", "82 7f | 0000000100000000", Header{FIN: true, Opcode: OpBinary, Length: 1 << 32}},
	{"1<<53", "82 7f | 0020000000000000", Header{FIN: true, Opcode: OpBinary, Length: 1 << 53}},
	{"1<<63 - 1", "82 7f | 7fffffffffffffff", Header{FIN: true, Opcode: OpBinary, Length: 1<<63 - 1}},
	{"1<<63 - 1, masked", "82 ff | 7fffffffffffffff | 37fa213d", Header{FIN: true, Opcode: OpBinary, Masked: true, Length: 1<<63 - 1, Key: key}},
	{"RSV1", "c1 00", Header{FIN: true, RSV: 0x40, Opcode: OpText}},
	{"RSV2", "a1 00", Header{FIN: true, RSV: 0x20, Opcode: OpText}},
	{"RSV3", "11 00", Header{RSV: 0x10, Opcode: OpText}},
	{"all of RSV", "f1 00", Header{FIN: true, RSV: 0x70, Opcode: OpText}},
}

func TestHeaderVectors(t *testing.T) {
	for _, test := range headerVectors {
		t.Run(test.name, func(t *testing.T) {
			wire := octets(test.wire)
			if got := AppendHeader([]byte("before"), test.header); !bytes.Equal(got, append([]byte("before"), wire...)) {
				t.Errorf("encodes to % x\nwant %s", got[len("before"):], test.wire)
			}
			if got := HeaderLen(test.header.Length, test.header.Masked); got != len(wire) {
				t.Errorf("HeaderLen is %d, want %d", got, len(wire))
			}
			for _, after := range []string{"", "\xff\xff"} {
				h, n, err := ConsumeHeader(append(bytes.Clone(wire), after...))
				if err != nil || n != len(wire) || h != test.header {
					t.Errorf("decodes to %+v, %d, %v\nwant %+v, %d", h, n, err, test.header, len(wire))
				}
			}
			for i := range len(wire) {
				if _, n, err := ConsumeHeader(wire[:i:i]); n != 0 || err != nil {
					t.Errorf("a prefix of %d bytes needs more: got %d, %v", i, n, err)
				}
			}
		})
	}
}

func TestHeaderFailsAtTheExactByte(t *testing.T) {
	type test struct {
		name string
		wire string // ends with the byte at fault
		err  error
	}
	tests := []test{
		{"a fragmented Close", "08", errFragmentedControl},
		{"a fragmented Ping", "09", errFragmentedControl},
		{"a fragmented Pong", "0a", errFragmentedControl},
		{"a Close of 126 bytes", "88 7e", errLongControl},
		{"a Ping of 126 bytes", "89 fe", errLongControl},
		{"a Pong of 64 KiB", "8a 7f", errLongControl},
		{"0 in 16 bits", "82 7e | 0000", errLengthForm},
		{"125 in 16 bits", "82 7e | 007d", errLengthForm},
		{"0 in 64 bits", "82 7f | 0000000000000000", errLengthForm},
		{"125 in 64 bits", "82 7f | 000000000000007d", errLengthForm},
		{"126 in 64 bits", "82 7f | 000000000000007e", errLengthForm},
		{"65535 in 64 bits", "82 ff | 000000000000ffff", errLengthForm},
		{"1<<63", "82 7f | 80", errLengthSign},
		{"1<<64 - 1", "82 ff | ff", errLengthSign},
	}
	for _, op := range []byte{3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf} {
		tests = append(tests, test{fmt.Sprintf("opcode %#x", op), fmt.Sprintf("8%x", op), errReservedOpcode})
		tests = append(tests, test{fmt.Sprintf("opcode %#x, not final", op), fmt.Sprintf("0%x", op), errReservedOpcode})
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			wire := octets(test.wire)
			for i := range len(wire) {
				if _, n, err := ConsumeHeader(wire[:i]); n != 0 || err != nil {
					t.Errorf("%d bytes are not at fault yet: got %d, %v", i, n, err)
				}
			}
			for _, after := range []string{"", "\x00", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"} {
				if _, n, err := ConsumeHeader(append(bytes.Clone(wire), after...)); n != 0 || err != test.err {
					t.Errorf("with %d bytes after: got %d, %v\nwant %v", len(after), n, err, test.err)
				}
			}
		})
	}
}

// TestHeaderOfAnyTwoBytes holds every pair of first bytes to the rules of RFC 6455
// §5.2 and §5.5, written another way.
func TestHeaderOfAnyTwoBytes(t *testing.T) {
	const zeros = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	for b0 := range 256 {
		for b1 := range 256 {
			_, n, err := ConsumeHeader([]byte(string([]byte{byte(b0), byte(b1)}) + zeros))
			op, length := b0%16, b1%128
			control := op >= 8
			ok := (op <= 2 || op >= 8 && op <= 10) && // defined
				!(control && b0 < 128) && // not fragmented
				length <= 125 // else not in its shortest form, or too long for a control frame
			want := 0
			if ok {
				want = 2 + b1/128*4
			}
			if n != want || (err == nil) != ok {
				t.Errorf("%02x %02x: %d, %v, want %d", b0, b1, n, err, want)
			}
		}
	}
}

func TestOpcodeStrings(t *testing.T) {
	for op, want := range map[Opcode]string{
		OpContinuation: "continuation", OpText: "text", OpBinary: "binary", OpClose: "close", OpPing: "ping", OpPong: "pong", 11: "reserved 11",
	} {
		if op.String() != want || op.Control() != (op >= 8) {
			t.Errorf("opcode %d is %q, control %t", uint8(op), op, op.Control())
		}
	}
}

func TestHeaderDoesNotAllocate(t *testing.T) {
	hostile := octets("82 ff | 7fffffffffffffff | 37fa213d")
	if n := testing.AllocsPerRun(100, func() { ConsumeHeader(hostile) }); n != 0 {
		t.Errorf("a header allocates %v times", n)
	}
}
