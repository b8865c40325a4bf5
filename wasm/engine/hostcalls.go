//go:build wasip1

package main

import (
	"errors"
	"unsafe"

	"github.com/wasock/wasock/hostcalls"
)

//go:wasmimport wasock_host stream_connect
func hostStreamConnect(conn uint32, host unsafe.Pointer, hostLen, port, flags uint32) int32

//go:wasmimport wasock_host stream_write
func hostStreamWrite(conn uint32, segments unsafe.Pointer, count uint32) int32

//go:wasmimport wasock_host stream_close
func hostStreamClose(conn, how uint32) int32

//go:wasmimport wasock_host timer_set
func hostTimerSet(conn uint32, deadline int64) int32

//go:wasmimport wasock_host random_get
func hostRandomGet(p unsafe.Pointer, n uint32) int32

//go:wasmimport wasock_host host_to_ascii
func hostHostToASCII(p unsafe.Pointer, n uint32, out unsafe.Pointer, outCap uint32) int32

func streamConnect(h uint32, host string, port uint16, flags uint32) hostcalls.Errno {
	return hostcalls.Errno(hostStreamConnect(h, unsafe.Pointer(unsafe.StringData(host)), uint32(len(host)), uint32(port), flags))
}

// The errnos of the next three are not looked at: the host tells of a transport
// that failed by stream_ended.

func streamWrite(h uint32, segments []hostcalls.Segment) {
	hostStreamWrite(h, unsafe.Pointer(unsafe.SliceData(segments)), uint32(len(segments)))
}

func streamClose(h, how uint32) { hostStreamClose(h, how) }

func timerSet(h uint32, deadline int64) { hostTimerSet(h, deadline) }

// pool is entropy from the host that has not been used: a masking key per frame
// is too little to make a hostcall for.
var pool struct {
	b    [4096]byte
	left int
}

// random fills b with bytes that nobody can predict.
func random(b []byte) {
	for len(b) > 0 {
		if pool.left == 0 {
			if hostRandomGet(unsafe.Pointer(&pool.b), uint32(len(pool.b))) != 0 {
				panic("BUG: the host has no entropy")
			}
			pool.left = len(pool.b)
		}
		fresh := pool.b[len(pool.b)-pool.left:]
		n := copy(b, fresh)
		clear(fresh[:n]) // used once
		pool.left -= n
		b = b[n:]
	}
}

var errNotADomain = errors.New("is not a domain name")

// hostToASCII asks the host for a domain's ASCII form.
func hostToASCII(domain string) (string, error) {
	var out [255]byte
	n := hostHostToASCII(unsafe.Pointer(unsafe.StringData(domain)), uint32(len(domain)), unsafe.Pointer(&out), uint32(len(out)))
	if n <= 0 || int(n) > len(out) {
		return "", errNotADomain
	}
	return string(out[:n]), nil
}
