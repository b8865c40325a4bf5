// Package wasm embeds the engine: package protocol as a WebAssembly module.
package wasm

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
)

// Engine is the module, a WASI preview 1 reactor with the ABI of
// hostcalls/ABI.md. It must not be changed.
//
//go:embed engine.wasm
var Engine []byte

// EngineSHA256 returns the hash that names Engine, in hex.
func EngineSHA256() string {
	sum := sha256.Sum256(Engine)
	return hex.EncodeToString(sum[:])
}
