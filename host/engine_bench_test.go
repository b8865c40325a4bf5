package host

import (
	"context"
	"encoding/binary"
	"strconv"
	"testing"

	"github.com/wasock/wasock/hostcalls"
)

// benchConn returns a connection of a server that is open, with nothing around
// it but the engine.
func benchConn(b *testing.B) (*Conn, *lane) {
	b.Helper()
	h, err := New(context.Background(), Config{Instances: 1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = h.Close() })
	c := newConn(h, h.instances[0], NoEvents{}, &Limits{})
	l := c.inst.lanes.get()
	b.Cleanup(func() { c.inst.lanes.put(l) })
	fields := hostcalls.AppendField(nil, "Host", "x")
	fields = hostcalls.AppendField(fields, "Upgrade", "websocket")
	fields = hostcalls.AppendField(fields, "Connection", "Upgrade")
	fields = hostcalls.AppendField(fields, "Sec-WebSocket-Version", "13")
	fields = hostcalls.AppendField(fields, "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	n := copy(l.tx, hostcalls.AppendAccept(nil, hostcalls.Accept{Method: []byte("GET"), Target: []byte("/"), Fields: fields, Major: 1, Minor: 1}))
	r := c.inst.call(c, l, c.inst.fn.connAccept, uint64(l.index), uint64(n), uint64(now()))
	if r <= 0 {
		b.Fatal(failure(l.tx))
	}
	c.handle = uint32(r)
	c.armed = 0 // no timer is wanted here
	return c, l
}

// BenchmarkEngineReceive is what a message costs on its way in, in batches of
// what one socket read brings.
func BenchmarkEngineReceive(b *testing.B) {
	for _, size := range []int{16, 64, 1024, 65536} {
		for _, batch := range []int{1, max(1, min(64, (256<<10)/(size+14)))} {
			b.Run(strconv.Itoa(batch)+"x"+strconv.Itoa(size), func(b *testing.B) {
				c, l := benchConn(b)
				var wire []byte
				for range batch {
					switch {
					case size < 126:
						wire = append(wire, 0x82, 0x80|byte(size))
					case size < 65536:
						wire = append(wire, 0x82, 0x80|126, byte(size>>8), byte(size))
					default:
						wire = append(wire, 0x82, 0x80|127)
						wire = binary.BigEndian.AppendUint64(wire, uint64(size))
					}
					wire = append(wire, 1, 2, 3, 4)
					wire = append(wire, make([]byte, size)...)
				}
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for i := 0; i < b.N; i += batch {
					copy(l.rx, wire)
					if r := c.inst.call(c, l, c.inst.fn.streamReceived, uint64(c.handle), uint64(l.index), uint64(len(wire)), uint64(now())); r != int32(batch) {
						b.Fatal(r)
					}
				}
			})
		}
	}
}

// BenchmarkEngineSend is what a message costs on its way out.
func BenchmarkEngineSend(b *testing.B) {
	for _, size := range []int{16, 64, 1024, 65536} {
		for _, batch := range []int{1, max(1, min(64, (256<<10)/(size+16)))} {
			b.Run(strconv.Itoa(batch)+"x"+strconv.Itoa(size), func(b *testing.B) {
				c, l := benchConn(b)
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for i := 0; i < b.N; i += batch {
					n := 0
					for range batch {
						hostcalls.PutSendHeader(l.tx[n:], hostcalls.SendHeader{Len: uint32(size), Opcode: hostcalls.OpBinary, Flags: hostcalls.SendFIN, FrameLen: uint64(size)})
						n += hostcalls.SendHeaderSize + size
					}
					if r := c.inst.call(c, l, c.inst.fn.connSend, uint64(c.handle), uint64(l.index), uint64(n), uint64(now())); r != 0 {
						b.Fatal(r)
					}
					l.out = l.out[:0]
				}
			})
		}
	}
}

// BenchmarkEngineAccept is what the engine has to do with an opening handshake.
func BenchmarkEngineAccept(b *testing.B) {
	c, l := benchConn(b)
	fields := hostcalls.AppendField(nil, "Host", "127.0.0.1:9001")
	for _, f := range [][2]string{
		{"Upgrade", "websocket"}, {"Connection", "Upgrade"}, {"Sec-Websocket-Version", "13"},
		{"Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}, {"Origin", "http://127.0.0.1:9001"},
		{"User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"}, {"Accept-Language", "en"},
	} {
		fields = hostcalls.AppendField(fields, f[0], f[1])
	}
	record := hostcalls.AppendAccept(nil, hostcalls.Accept{Method: []byte("GET"), Target: []byte("/"), Fields: fields, Major: 1, Minor: 1})
	b.ReportAllocs()
	for b.Loop() {
		n := copy(l.tx, record)
		c.handle = 0
		r := c.inst.call(c, l, c.inst.fn.connAccept, uint64(l.index), uint64(n), uint64(now()))
		if r <= 0 {
			b.Fatal(failure(l.tx))
		}
		c.inst.free(uint32(r))
	}
}
