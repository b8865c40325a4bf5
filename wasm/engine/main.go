//go:build wasip1

// Command engine is the guest: package protocol behind the ABI of
// hostcalls/ABI.md. Its exports decode, call and encode; what WebSocket is stands
// in package protocol.
//
// Build it as a reactor: GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared.
package main

import (
	"unsafe"

	"github.com/wasock/wasock/hostcalls"
	"github.com/wasock/wasock/protocol"
)

func main() {}

//go:wasmexport wasock_abi_version
func abiVersion() uint32 { return hostcalls.Version }

//go:wasmexport engine_layout
func engineLayout() uint32 { return address(unsafe.Pointer(&layoutRecord()[0])) }

//go:wasmexport conn_open
func connOpen(laneIndex, length uint32, now int64) int32 {
	l, err := laneWithInput(laneIndex, length)
	if err != hostcalls.OK {
		return err.Ret()
	}
	o, bad := hostcalls.ConsumeOpen(l.tx[:length])
	if bad != nil {
		return hostcalls.EINVAL.Ret()
	}
	u, bad := protocol.ParseURL(string(o.URL), hostToASCII)
	if bad != nil {
		return l.fail(bad)
	}
	options := protocol.ClientOptions{Subprotocols: splitList(o.Subprotocols), Compression: compression(o.Compression)}
	if options.Fields, bad = fields(o.Fields); bad != nil {
		return hostcalls.EINVAL.Ret()
	}
	c, bad := protocol.NewClient(u, options, configFor(o.Limits))
	if bad != nil {
		return l.fail(bad)
	}
	h, err := conns.add(c)
	if err != hostcalls.OK {
		return err.Ret()
	}
	var flags uint32
	if u.Secure() {
		flags = hostcalls.FlagTLS
	}
	if err := streamConnect(h, u.Host, u.Port, flags); err != hostcalls.OK {
		conns.remove(h)
		return err.Ret()
	}
	return int32(h)
}

//go:wasmexport conn_accept
func connAccept(laneIndex, length uint32, now int64) int32 {
	l, err := laneWithInput(laneIndex, length)
	if err != hostcalls.OK {
		return err.Ret()
	}
	a, bad := hostcalls.ConsumeAccept(l.tx[:length])
	if bad != nil {
		return hostcalls.EINVAL.Ret()
	}
	r := &protocol.Request{Method: string(a.Method), Target: string(a.Target), Major: int(a.Major), Minor: int(a.Minor)}
	if r.Fields, bad = fields(a.Fields); bad != nil {
		return hostcalls.EINVAL.Ret()
	}
	o := protocol.ServerOptions{Subprotocols: splitList(a.Subprotocols), Compression: compression(a.Compression)}
	if o.Fields, bad = fields(a.ResponseFields); bad != nil {
		return hostcalls.EINVAL.Ret()
	}
	accepted, bad := protocol.Accept(r, o)
	if bad != nil {
		return l.refuse(r, bad)
	}
	config := configFor(a.Limits)
	c, bad := protocol.NewConn(protocol.Time(now), protocol.Server, accepted.Subprotocol, accepted.Extension(config), config)
	if bad != nil {
		return l.fail(bad)
	}
	if !l.put(appendResponse(l.tx[:0], &accepted.Response, accepted.Subprotocol, accepted.Extensions)) {
		return hostcalls.EFULL.Ret()
	}
	h, err := conns.add(c)
	if err != hostcalls.OK {
		return err.Ret()
	}
	conns.get(h).setTimer(h)
	return int32(h)
}

//go:wasmexport stream_connected
func streamConnected(h, laneIndex uint32, now int64) int32 {
	s, l, err := use(h, laneIndex)
	if err != hostcalls.OK {
		return err.Ret()
	}
	if s.connected {
		return hostcalls.ESTATE.Ret()
	}
	s.connected = true
	s.conn.SendRequest(protocol.Time(now))
	return s.drain(h, l)
}

//go:wasmexport connect_request
func connectRequest(h, laneIndex uint32, now int64) int32 {
	s, l, err := use(h, laneIndex)
	if err != hostcalls.OK {
		return err.Ret()
	}
	if s.connected || !s.opensClient() {
		return hostcalls.ESTATE.Ret()
	}
	block := appendFields(l.tx[:0], s.conn.RequestFields(protocol.Time(now)))
	if !l.put(block) {
		return hostcalls.EFULL.Ret()
	}
	s.requested = true
	s.flush(h, l)
	return int32(len(block))
}

//go:wasmexport connect_response
func connectResponse(h, laneIndex, length uint32, now int64) int32 {
	s, l, err := use(h, laneIndex)
	switch {
	case err != hostcalls.OK:
		return err.Ret()
	case length > uint32(len(l.tx)):
		return hostcalls.EINVAL.Ret()
	case !s.requested || s.connected || !s.opensClient():
		return hostcalls.ESTATE.Ret()
	}
	r, n, bad := hostcalls.ConsumeResponse(l.tx[:length])
	if bad != nil || uint32(n) != length || len(r.Subprotocol) > 0 || len(r.Extensions) > 0 {
		return hostcalls.EINVAL.Ret()
	}
	fs, bad := fields(r.Fields)
	if bad != nil {
		return hostcalls.EINVAL.Ret()
	}
	s.connected = true
	s.conn.ReceiveResponse(protocol.Time(now), int(r.Status), fs)
	return s.drain(h, l)
}

//go:wasmexport stream_received
func streamReceived(h, laneIndex, length uint32, now int64) int32 {
	s, l, err := use(h, laneIndex)
	switch {
	case err != hostcalls.OK:
		return err.Ret()
	case length > uint32(len(l.rx)):
		return hostcalls.EINVAL.Ret()
	case s.conn.Buffered() > 0 || s.conn.Pending():
		return hostcalls.EBUSY.Ret()
	}
	s.conn.Receive(protocol.Time(now), l.rx[:length])
	return s.drain(h, l)
}

//go:wasmexport conn_continue
func connContinue(h, laneIndex uint32, now int64) int32 {
	s, l, err := use(h, laneIndex)
	if err != hostcalls.OK {
		return err.Ret()
	}
	s.conn.Continue(protocol.Time(now))
	return s.drain(h, l)
}

//go:wasmexport stream_ended
func streamEnded(h, laneIndex uint32, now int64) int32 {
	s, l, err := use(h, laneIndex)
	if err != hostcalls.OK {
		return err.Ret()
	}
	s.conn.ReceiveEOF(protocol.Time(now))
	return s.drain(h, l)
}

//go:wasmexport stream_blocked
func streamBlocked(h, laneIndex, blocked uint32, now int64) int32 {
	s, l, err := use(h, laneIndex)
	if err != hostcalls.OK {
		return err.Ret()
	}
	s.conn.SetOutputBlocked(blocked != 0)
	s.flush(h, l)
	return 0 // events of input that is left are conn_continue's to tell
}

//go:wasmexport conn_send
func connSend(h, laneIndex, length uint32, now int64) int32 {
	s, l, err := use(h, laneIndex)
	switch {
	case err != hostcalls.OK:
		return err.Ret()
	case length > uint32(len(l.tx)):
		return hostcalls.EINVAL.Ret()
	}
	return s.send(h, l, l.tx[:length])
}

//go:wasmexport conn_close
func connClose(h, laneIndex, code, length uint32, now int64) int32 {
	s, l, err := use(h, laneIndex)
	switch {
	case err != hostcalls.OK:
		return err.Ret()
	case length > protocol.MaxReason || code > 0xffff:
		return hostcalls.EINVAL.Ret()
	}
	if s.conn.Close(protocol.Time(now), protocol.CloseCode(code), string(l.tx[:length])) != nil {
		return hostcalls.EINVAL.Ret()
	}
	if s.conn.Buffered() > 0 || s.conn.Pending() {
		s.flush(h, l)
		return 0 // events of input that is left are conn_continue's to tell
	}
	return s.drain(h, l)
}

//go:wasmexport conn_timeout
func connTimeout(h, laneIndex, paused uint32, now int64) int32 {
	s, l, err := use(h, laneIndex)
	if err != hostcalls.OK {
		return err.Ret()
	}
	s.armed, s.timed = protocol.Never, false
	if paused != 0 {
		s.conn.ReceiverPaused(protocol.Time(now))
	}
	s.conn.HandleTimeout(protocol.Time(now))
	return s.drain(h, l)
}

//go:wasmexport conn_credit
func connCredit(h, laneIndex uint32, credit, now int64) int32 {
	s, l, err := use(h, laneIndex)
	if err != hostcalls.OK {
		return err.Ret()
	}
	s.timed = false
	s.conn.LimitCredit(protocol.Time(now), credit)
	return s.drain(h, l)
}

//go:wasmexport conn_free
func connFree(h uint32) int32 {
	if !conns.remove(h) {
		return hostcalls.EBADF.Ret()
	}
	return 0
}
