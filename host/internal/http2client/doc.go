// Package http2client is the client's end of an HTTP/2 connection that carries
// nothing but Extended CONNECT: https://www.rfc-editor.org/rfc/rfc9113.html and
// https://www.rfc-editor.org/rfc/rfc8441.html. Its streams are net.Conns, and a
// thousand of them share one connection.
//
// It knows nothing of WebSocket, TLS, pools or permissions. New takes a
// connection that speaks HTTP/2 already, by ALPN or by prior knowledge.
//
// # Why not http2.Transport
//
// It refuses the pseudo-field :protocol from Go 1.27 on, has no deadlines on a
// stream, opens windows without regard to what has been read, and needs a
// goroutine for each request's body. The Framer and hpack of the same module
// are what stands below this package. DATA and WINDOW_UPDATE frames, which come
// by the thousand, are read and written without the Framer, which would copy the
// one and allocate the other.
//
// # One lock
//
// A Conn has a mutex, and its streams have none for their state. A DATA frame
// takes it once when it arrives, once when it is read and once when it is
// written. Nothing waits for the network while it holds the lock.
//
// # Two goroutines
//
// One reads and one writes; a stream has none. The writing goroutine writes what
// all streams have left in one buffer meanwhile, so that frames of many streams
// leave in one call when there are many, and at once when there is one.
//
// # Windows
//
// A stream's window opens as its bytes are read: who does not read holds up the
// sender, and holds StreamWindow bytes at most. The connection's window opens as
// bytes arrive, since it is shared: if it waited for readers, one that stopped
// would stop the others. So Streams times StreamWindow is the bound of what a
// connection holds, and the connection's window is none.
//
// # What is counted
//
// Whatever a server can have us do, hold or answer without sending payload has a
// bound. Each is in config.go. A server that exceeds one loses the stream, where
// that is enough, and otherwise the connection, with ENHANCE_YOUR_CALM.
package http2client
