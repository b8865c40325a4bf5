// Package peers holds conversations with WebSocket peers that are no Go libraries:
// servers, clients, browsers, and proxies in between, over HTTP/1.1 and HTTP/2.
//
// Each peer is a process of its own on loopback. A pairing is a peer in a role, a
// scheme and a version of HTTP; each of them holds the same conversations, which
// are named the same in Go, JavaScript and Python. The version of HTTP is what each
// end says that it was, not what was asked for.
//
// A server, ours or theirs, keeps one contract, so that a client finds the same at
// each. The path says what the server does, the query names the conversation:
//
//	/echo                  sends each message back
//	/fragments             sends a text message of three fragments
//	/ping                  sends a Ping, waits for its Pong, and sends the text "pong"
//	/close?code=&reason=   closes with that
//	/drop                  ends without a Close frame when a message has arrived
//	/missing               is answered with 404
//
// and it says how each connection ended.
//
// Peers whose permessage-deflate has settings hold the conversations of package
// deflated with each of them; the others hold these again in rows of their own, where
// a relay counts what passes.
//
// The package's tests run with WASOCK_PEERS=run, and skip what is not installed;
// with WASOCK_PEERS=all that is a failure. make peers-install installs, make peers
// runs.
package peers
