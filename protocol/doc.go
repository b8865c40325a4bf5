// Package protocol is the WebSocket protocol without I/O: RFC 6455 for both
// roles, as a state machine that a program drives.
//
// A [Conn] opens no socket, reads no clock, draws no randomness and starts no
// goroutine. Whoever drives it hands it the bytes that arrived and the time,
// and takes from it the events for the application, the bytes to write and the
// time of its next timer. The same bytes in give the same messages, the same end
// and the same bytes out, however the input was cut.
//
// # Driving a Conn
//
// After every input ([Conn.Receive], [Conn.ReceiveEOF], [Conn.HandleTimeout])
// and every command (Send…, [Conn.Close], [Conn.Fail]) drain in this order:
//
//  1. [Conn.NextEvent] until it reports false, and again after [Conn.Continue] as long
//     as [Conn.Pending] says so. Payloads are views of the input.
//  2. [Conn.TakeOutput], and write what it returns to the transport.
//  3. [Conn.Transport], and close the transport, or its write side, if it says so.
//  4. [Conn.NextTimeout], and call [Conn.HandleTimeout] no later than that.
//
// A Conn is not safe for concurrent use.
//
// # Memory
//
// A Conn holds no payload. A message arrives as parts, each a view of the bytes
// that Receive was given, unmasked in place; whoever wants a message whole joins
// its parts. So nothing is sized from a length that the peer announced.
package protocol
