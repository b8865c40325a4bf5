//go:build goexperiment.simd && wasm

package protocol

import (
	"encoding/binary"
	"simd/archsimd"
)

// vectorMin is from how many bytes on vectors are faster than words.
const vectorMin = 256

// maskVectors masks as many of the first bytes of b as make whole blocks of four
// vectors, and returns how many those are: a multiple of 64, so that the key
// stays as it is turned.
func maskVectors(key uint32, b []byte) int {
	k := archsimd.BroadcastUint32x4(key).ReshapeToUint8s()
	n := 0
	for ; len(b) >= 64; b = b[64:] {
		w := (*[64]byte)(b)
		w0, w1, w2, w3 := (*[16]byte)(w[:16]), (*[16]byte)(w[16:32]), (*[16]byte)(w[32:48]), (*[16]byte)(w[48:])
		v0 := archsimd.LoadUint8x16Array(w0).Xor(k)
		v1 := archsimd.LoadUint8x16Array(w1).Xor(k)
		v2 := archsimd.LoadUint8x16Array(w2).Xor(k)
		v3 := archsimd.LoadUint8x16Array(w3).Xor(k)
		v0.StoreArray(w0)
		v1.StoreArray(w1)
		v2.StoreArray(w2)
		v3.StoreArray(w3)
		n += 64
	}
	return n
}

// asciiVectors returns how many of the first bytes of b are known to be ASCII: a
// multiple of 64.
func asciiVectors(b []byte) int {
	const high = 0x8080808080808080
	n := 0
	for ; len(b) >= 64; b = b[64:] {
		w := (*[64]byte)(b)
		v := archsimd.LoadUint8x16Array((*[16]byte)(w[:16])).Or(archsimd.LoadUint8x16Array((*[16]byte)(w[16:32]))).
			Or(archsimd.LoadUint8x16Array((*[16]byte)(w[32:48])).Or(archsimd.LoadUint8x16Array((*[16]byte)(w[48:]))))
		var all [16]byte
		v.StoreArray(&all)
		if (binary.LittleEndian.Uint64(all[:8])|binary.LittleEndian.Uint64(all[8:]))&high != 0 {
			break
		}
		n += 64
	}
	return n
}
