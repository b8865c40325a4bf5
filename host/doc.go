// Package host carries WebSocket connections (RFC 6455), client and server, whose
// protocol engine runs as WebAssembly.
//
// A [Host] runs a few instances of the engine, each with a memory of its own, and
// spreads its connections over them. The engine parses heads and frames, keeps
// the rules and the limits, and decides when to ping and to close. The host moves
// bytes between sockets and the engine's memory, and grants authority: names,
// addresses, TLS, time and entropy. It does not interpret frames.
//
// # Two styles
//
// Without an [EventHandler] the caller reads: [Conn.Read] or [Conn.Reader], and
// [Conn.Write] or [Conn.Writer]. What is not read stays with the peer, and who
// reads nothing sees neither Pings nor the peer's Close frame, except in
// [Conn.Ping] and [Conn.Close].
//
// With an EventHandler in [DialOptions] or [AcceptOptions] the host reads, and
// calls the handler's methods, one at a time for one connection. On Linux the
// connections of an instance share one goroutine; a method that blocks holds up
// its own connection, and the others for some milliseconds at most. What a method
// sends is gathered and leaves when it returns, or about a millisecond later.
//
// In both styles [Conn.Send] queues and never waits, up to Limits.SendLimit, and
// Write waits for the queue.
//
// # Concurrency
//
// The methods of Host and Conn may be called from any goroutine, a handler's
// methods included. Messages that several goroutines write do not mix, and those
// of each stay in order. One goroutine reads at a time; others wait for it. A Read
// or Write that its context ends leaves the connection as it was.
//
// # Trust
//
// The peer is trusted with nothing: what it may make us hold, compute or wait for
// has a limit in [Limits], and there is no unlimited. The engine is not trusted
// either, since it is what reads the peer's bytes. Each pointer, length, handle
// and event record of its is checked, and only payload is used in place. An engine
// that breaks the contract, traps, or uses up Config.InstanceMemory ends the
// connections of that instance with 1006 and [ErrEngineTrapped]; others go on, and
// a fresh instance takes its place. It cannot reach what
// [github.com/wasock/wasock/host/permission] does not allow: it names a target, and
// [github.com/wasock/wasock/host/dialer] resolves, checks the name and every address, and
// dials. A connection counts on its grant until it ends, and ends with 1008 when the
// grant is revoked or used up.
//
// What the host does not limit is the time that one call into an engine takes.
// Generated code cannot be preempted, so a compromised engine can keep a processor
// busy; the calls of the engine that is embedded are bounded by their input.
//
// # HTTP/2
//
// Both roles speak WebSocket over HTTP/2 by Extended CONNECT (RFC 8441), with the
// same API as over HTTP/1.1. [Host.Dial] offers HTTP/2 to every wss server
// (DialOptions.HTTPVersion). If the server takes it and allows Extended CONNECT, the
// sockets to that origin share one connection, as far as it has room; each is
// checked against its own permissions. Otherwise HTTP/1.1 is used, and remembered
// for the origin for ten minutes. A response that refuses is final: it is not
// followed by an attempt over the other version.
//
// A server needs package [github.com/wasock/wasock/host/extendedconnect] imported
// for its effect, since net/http refuses Extended CONNECT otherwise. There the
// connection is a request, and lives as long as its handler: [Host.Handler] waits, a
// handler that calls [Host.Accept] waits for [Conn.Done].
//
// Frames are those of HTTP/1.1, a client's masked. What HTTP/2 adds are ends:
//
//	what happens                        what Read returns, OnClose is told
//	the peer's Close frame, then        the peer's code, clean
//	  END_STREAM, or RST_STREAM with
//	  NO_ERROR or CANCEL
//	END_STREAM without a Close frame    1006
//	RST_STREAM NO_ERROR or CANCEL       1006
//	RST_STREAM with another code        1006; Err says which code
//	GOAWAY                              nothing for streams that the server goes on
//	                                    with; 1006 for others; new ones are opened on
//	                                    another connection
//	the connection is lost              1006 for all its sockets, with the cause
//	no window for Limits.StallTimeout   1006, ErrStalled, for that socket only
//	our Close, answered                 the answer's code, clean
//	our CloseNow                        1006
//
// When we are done with a stream, a server sends END_STREAM and a client RST_STREAM
// with CANCEL.
//
// While the opening handshake lasts the same are a *HandshakeError that wraps the
// cause; what the server has not acted on (REFUSED_STREAM, GOAWAY), and what was lost
// with a connection that had been open before, is tried again, twice at most, and
// HTTP_1_1_REQUIRED over HTTP/1.1.
//
// Windows follow what the application has read: of a client, a server can send 64 KiB
// more; of a server, what its http.Server allows. By net/http's defaults one handler
// that does not read can use up the window of its whole connection: set
// HTTP2Config.MaxReceiveBufferPerStream well below MaxReceiveBufferPerConnection.
//
// # Limits
//
// The defaults are those of Limits: messages of 16 MiB in at most 1,024 fragments,
// 100 control frames in 10 s, 1 MiB of output that waits, a Ping after 15 s of
// silence and the end after 30 s, the end after 30 s in which the peer takes nothing of
// what is sent, 10 s for the opening handshake and 5 s for each step of the closing
// one. The head of a request is limited by the http.Server
// that reads it: set its ReadHeaderTimeout and MaxHeaderBytes.
package host
