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
// [github.com/wasock/wasock/host/permission] does not allow: the host resolves and
// dials, and checks the name as well as the address.
//
// What the host does not limit is the time that one call into an engine takes.
// Generated code cannot be preempted, so a compromised engine can keep a processor
// busy; the calls of the engine that is embedded are bounded by their input.
//
// # Limits
//
// The defaults are those of Limits: messages of 16 MiB in at most 1,024 fragments,
// 100 control frames in 10 s, 1 MiB of output that waits, a Ping after 15 s of
// silence and the end after 30 s, 10 s for the opening handshake and 5 s for each
// step of the closing one. The head of a request is limited by the http.Server
// that reads it: set its ReadHeaderTimeout and MaxHeaderBytes.
package host
