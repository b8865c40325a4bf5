//go:build !(goexperiment.simd && wasm)

package protocol

import "math"

// vectorMin is out of reach: there are no vectors here.
const vectorMin = math.MaxInt

// The naive twins of the functions for the build that has vectors.

func maskVectors(uint32, []byte) int { return 0 }

func asciiVectors([]byte) int { return 0 }
