// Package hostcalls is the contract between engine.wasm and whoever embeds it,
// as Go constants and records. ABI.md is the contract in words.
//
// A guest is the module, the host its embedder; the guest makes hostcalls, the
// host calls exports. A handle names a connection, a lane is a set of buffers in
// the guest's memory that one call uses.
//
// Records are encoded by the Append functions and decoded by the Consume
// functions, which check every length against the bytes that are there: both
// ends treat the other's records as untrusted. Consume returns views of its
// argument; copy them before the memory is used again.
package hostcalls

//go:generate go run ./gen
