// Package interop holds conversations with other WebSocket libraries over
// loopback sockets, with and without TLS, in both directions.
//
// A library is a peer and what is particular about it, in a file of its own; ours
// is two peers, one for each style of reading. Each conversation is held by every
// library with each of ours in each role. Those about permessage-deflate are of
// package deflated, and are held with every setting of a library. Run it with -v for
// the matrices.
package interop
