package tests

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/wasock/wasock/hostcalls"
	"github.com/wasock/wasock/protocol"
)

// acceptKey is the oracle of Sec-WebSocket-Accept. RFC 6455 §4.2.2.
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// A step is what one input led to.
type step struct {
	events []string
	out    string
	closes string
	timers string
}

// A party takes part in a conversation: the protocol natively, or in the sandbox.
type party interface {
	// start returns what is there once the connection may be given input: a
	// client's request.
	start(role protocol.Role) step
	receive(b []byte) step
	eof() step
	free()
}

// native is package protocol, driven as the ABI has the engine drive it.
type native struct {
	t         testing.TB
	now       protocol.Time
	limits    hostcalls.Limits
	conn      *protocol.Conn
	armed     protocol.Time
	transport protocol.TransportAction
	responded bool
}

func (n *native) config() *protocol.Config {
	l := n.limits
	return &protocol.Config{
		MessageLimit: l.MessageLimit, PartLimit: int(l.PartLimit), ControlLimit: int(l.ControlLimit),
		ControlWindow: time.Duration(l.ControlWindow), IdleTimeout: time.Duration(l.IdleTimeout),
		HandshakeTimeout: time.Duration(l.HandshakeTimeout), CloseTimeout: time.Duration(l.CloseTimeout),
		Random: rfcEntropy, Scratch: make([]byte, 1<<15),
	}
}

func (n *native) start(role protocol.Role) step {
	n.armed, n.transport, n.responded = protocol.Never, protocol.TransportKeep, false
	var err error
	if role == protocol.Server {
		if n.conn, err = protocol.NewConn(n.now, role, "superchat", nil, n.config()); err != nil {
			n.t.Fatal(err)
		}
		return n.drain()
	}
	u, err := protocol.ParseURL(clientURL, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	if n.conn, err = protocol.NewClient(u, protocol.ClientOptions{Subprotocols: []string{"chat", "superchat"}}, n.config()); err != nil {
		n.t.Fatal(err)
	}
	n.conn.SendRequest(n.now)
	return n.drain()
}

func (n *native) receive(b []byte) step {
	n.conn.Receive(n.now, bytes.Clone(b))
	return n.drain()
}

func (n *native) eof() step {
	n.conn.ReceiveEOF(n.now)
	return n.drain()
}

func (n *native) free() { n.conn = nil }

// drain is the order of the package comment of protocol.
func (n *native) drain() (s step) {
	var ev protocol.Event
	for {
		if !n.conn.NextEvent(&ev) {
			if !n.conn.Pending() {
				break
			}
			n.conn.Continue(n.now)
			continue
		}
		if r := n.conn.Response(); r != nil && !n.responded {
			n.responded = true
			s.events = append(s.events, n.printResponse(r))
		}
		s.events = append(s.events, printNative(&ev))
	}
	s.out = string(n.conn.TakeOutput())
	if t := n.conn.Transport(); t != n.transport {
		n.transport = t
		s.closes = fmt.Sprint([]uint32{map[protocol.TransportAction]uint32{
			protocol.TransportHalfClose: hostcalls.CloseWrite, protocol.TransportClose: hostcalls.CloseBoth}[t]})
	}
	if t := n.conn.NextTimeout(); t < n.armed {
		n.armed = t
		s.timers = fmt.Sprint([]int64{int64(t)})
	}
	return s
}

func (n *native) printResponse(r *protocol.Response) string {
	var block []byte
	for _, f := range r.Fields {
		block = hostcalls.AppendField(block, f.Name, f.Value)
	}
	record := hostcalls.AppendResponse(nil, hostcalls.Response{Status: uint32(r.Status), Subprotocol: []byte(n.conn.Subprotocol()), Fields: block})
	return printEvent(hostcalls.Event{Kind: hostcalls.KindResponse}, record)
}

// printNative prints an event of package protocol as the ABI's record of it.
func printNative(ev *protocol.Event) string {
	r := hostcalls.Event{Kind: uint16(ev.Kind), Rest: ev.FrameRest}
	payload := ev.Payload
	for _, f := range []struct {
		on  bool
		bit uint16
	}{
		{ev.First, hostcalls.EventFirst}, {ev.Last, hostcalls.EventLast},
		{ev.Close != nil && ev.Close.Clean, hostcalls.EventClean}, {ev.Close != nil && ev.Close.ByPeer, hostcalls.EventByPeer},
	} {
		if f.on {
			r.Flags |= f.bit
		}
	}
	if ev.Close != nil {
		payload = []byte(ev.Close.Reason)
	}
	if ev.Kind == protocol.KindError {
		f := hostcalls.Failure{Class: hostcalls.ClassEnded, Rule: []byte(strings.TrimPrefix(ev.Err.Error(), "websocket: "))}
		switch e := ev.Err.(type) {
		case *protocol.ProtocolError:
			f = hostcalls.Failure{Class: hostcalls.ClassProtocol, Code: uint32(e.Code), Rule: []byte(e.Rule)}
		case *protocol.LimitError:
			f = hostcalls.Failure{Class: hostcalls.ClassLimit, Code: uint32(e.Code), Max: e.Max, Size: e.Size, Subject: []byte(e.Limit)}
		case *protocol.HandshakeError:
			f = hostcalls.Failure{Class: hostcalls.ClassHandshake, Code: uint32(e.Status), Subject: []byte(e.Field), Rule: []byte(e.Rule)}
		}
		payload = hostcalls.AppendFailure(nil, f)
	}
	return printEvent(r, payload)
}

// sandboxed is package protocol in the Wasm module.
type sandboxed struct {
	*embedding
	handle int64
}

func (s *sandboxed) start(role protocol.Role) step {
	s.takeStep(nil)
	if role == protocol.Server {
		s.handle = s.accept(serverAccept())
	} else {
		s.handle = s.open(clientOpen())
	}
	if s.handle <= 0 {
		s.Fatalf("no connection: %v", hostcalls.Errno(-s.handle))
	}
	if role == protocol.Server {
		return s.takeStep(nil)
	}
	return s.takeStep(s.events(s.handle, 1, s.export("stream_connected", s.handle, 1, s.now)))
}

func (s *sandboxed) receive(b []byte) step {
	return s.takeStep(s.embedding.receive(s.handle, 1, b))
}

func (s *sandboxed) eof() step {
	return s.takeStep(s.events(s.handle, 1, s.export("stream_ended", s.handle, 1, s.now)))
}

func (s *sandboxed) free() {
	if r := s.export("conn_free", s.handle); r != 0 {
		s.Fatalf("conn_free returned %d", r)
	}
	s.log.Reset()
}

// takeStep returns events and what the hostcalls since the last step were for.
func (s *sandboxed) takeStep(events []string) step {
	st := step{events: events, out: string(s.takeOut())}
	if len(s.closes) > 0 {
		st.closes = fmt.Sprint(s.closes)
	}
	if len(s.timers) > 0 {
		st.timers = fmt.Sprint(s.timers)
	}
	s.closes, s.timers = nil, nil
	return st
}

// hold holds a conversation whose input comes in pieces.
func hold(p party, role protocol.Role, pieces [][]byte, eof bool) (steps []step) {
	defer p.free()
	steps = append(steps, p.start(role))
	if role == protocol.Client {
		steps = append(steps, p.receive(answerRequest([]byte(steps[0].out), "Sec-WebSocket-Protocol: chat\r\n")))
	}
	for _, b := range pieces {
		steps = append(steps, p.receive(b))
	}
	if eof {
		steps = append(steps, p.eof())
	}
	return steps
}

// summary is what of a conversation does not depend on how its input was cut:
// whole messages, output and the fate of the transport.
func summary(steps []step) string {
	var b, message strings.Builder
	for _, s := range steps {
		for _, ev := range s.events {
			kind, rest, _ := strings.Cut(ev, " ")
			if kind != "text" && kind != "binary" {
				b.WriteString(ev + "\n")
				continue
			}
			flags, payload, _ := strings.Cut(rest, ", ")
			if strings.Contains(flags, "first") {
				message.Reset()
			}
			message.WriteString(payloadHex(payload))
			if strings.Contains(flags, "last") {
				b.WriteString(kind + " " + message.String() + "\n")
			}
		}
	}
	for _, s := range steps {
		b.WriteString(fmt.Sprintf("%x", s.out))
	}
	for _, s := range steps {
		b.WriteString(s.closes)
	}
	return b.String()
}

// payloadHex undoes printBytes, so that parts can be joined.
func payloadHex(printed string) string {
	if !strings.HasPrefix(printed, `"`) {
		return strings.ReplaceAll(printed, " ", "")
	}
	var s string
	if _, err := fmt.Sscanf(printed, "%q", &s); err != nil {
		panic(err)
	}
	return fmt.Sprintf("%x", s)
}

// The same bytes in give the same events and the same bytes out, natively and in
// the sandbox, however they are cut. style.md, the second sentence.
func TestNativeAndSandboxAgree(t *testing.T) {
	for _, mode := range engineModes {
		t.Run(mode.name, func(t *testing.T) {
			sandbox := &sandboxed{embedding: newEmbedding(t, mode.runtime)}
			for _, role := range []protocol.Role{protocol.Server, protocol.Client} {
				for _, c := range conversations {
					ways := cuts(c.wire(peer{1 - role}))
					if mode.name == "interpreter" || testing.Short() {
						ways = ways[:min(len(ways), 2)] // whole and byte by byte
					}
					var whole string
					for i, pieces := range ways {
						want := hold(&native{t: t, now: protocol.Time(sandbox.now), limits: conversationLimits}, role, pieces, c.eof)
						got := hold(sandbox, role, pieces, c.eof)
						wantSteps(t, fmt.Sprintf("%v, %s, in %d pieces, the first of %d bytes", role, c.name, len(pieces), len(pieces[0])), got, want)
						s := summary(got)
						if i == 0 {
							whole = s
						} else if s != whole {
							t.Errorf("%v, %s, in %d pieces, the first of %d bytes: it is\n%s\nwhole it was\n%s", role, c.name, len(pieces), len(pieces[0]), s, whole)
						}
						if t.Failed() {
							return
						}
					}
				}
			}
		})
	}
}

func wantSteps(t *testing.T, name string, got, want []step) {
	t.Helper()
	for i := range want {
		if i < len(got) && fmt.Sprintf("%q", got[i]) == fmt.Sprintf("%q", want[i]) {
			continue
		}
		t.Errorf("%s: step %d: the sandbox and native differ (is engine.wasm built from this protocol?)\nsandbox %q\nnative  %q", name, i, got[i], want[i])
		return
	}
}

// Every cut of the response and the frame that follows it gives the same.
func TestNativeAndSandboxAgreeOnTheHandshake(t *testing.T) {
	sandbox := &sandboxed{embedding: newEmbedding(t, compiledEngine)}
	for _, test := range []struct{ name, more, frame string }{
		{"opened", "Sec-WebSocket-Protocol: superchat\r\nX: y\r\n", "\x81\x05Hello"},
		{"a subprotocol that was not offered", "Sec-WebSocket-Protocol: other\r\n", "\x81\x05Hello"},
		{"an extension that was not offered", "Sec-WebSocket-Extensions: permessage-deflate\r\n", ""},
		{"an accept twice", "Sec-WebSocket-Accept: " + acceptKey("x") + "\r\n", ""},
	} {
		var whole string
		n := &native{t: t, now: protocol.Time(sandbox.now), limits: conversationLimits}
		request := n.start(protocol.Client)
		for i, pieces := range cuts(append(answerRequest([]byte(request.out), test.more), test.frame...)) {
			var got, want []step
			for p, steps := range map[party]*[]step{sandbox: &got, n: &want} {
				*steps = append(*steps, p.start(protocol.Client))
				for _, b := range pieces {
					*steps = append(*steps, p.receive(b))
				}
				p.free()
			}
			wantSteps(t, fmt.Sprintf("%s, in %d pieces", test.name, len(pieces)), got, want)
			if s := summary(got); i == 0 {
				whole = s
			} else if s != whole {
				t.Fatalf("%s, in %d pieces: it is\n%s\nwhole it was\n%s", test.name, len(pieces), s, whole)
			}
		}
	}
}
