package hostcalls

import "strconv"

// Version is the ABI's version. A host refuses a module of another one.
const Version = 1

// Module is the name that the engine imports its hostcalls from.
const Module = "wasock_host"

// Magic is the first word of the layout record: "WOCK".
const Magic = 0x4b434f57

// More is the bit of an export's result that says that events or input are left.
const More = 1 << 30

// FlagTLS asks stream_connect for TLS.
const FlagTLS = 1

// How stream_close closes a transport.
const (
	CloseWrite = 1 // the write side; reading goes on
	CloseBoth  = 2
)

// Event kinds. A kind of KindClosed or more is a close code.
const (
	KindText     = 0
	KindBinary   = 1
	KindPong     = 2
	KindError    = 3
	KindOpen     = 4
	KindResponse = 6
	KindClosed   = 1000
)

// Event flags.
const (
	EventFirst  = 1 << 0
	EventLast   = 1 << 1
	EventClean  = 1 << 2
	EventByPeer = 1 << 3
)

// Opcodes of send records. RFC 6455 §5.2.
const (
	OpContinuation = 0x0
	OpText         = 0x1
	OpBinary       = 0x2
	OpPing         = 0x9
	OpPong         = 0xA
)

// Flags of send records.
const (
	SendFIN  = 1 << 0 // the frame ends its message
	SendPart = 1 << 1 // the record goes on with the payload of the frame before

	// SendApart: the payload is not in the record. The host writes it, FrameLen
	// bytes, right behind the output of the call.
	SendApart = 1 << 2

	SendPlain = 1 << 3 // the message is not compressed
)

// What of permessage-deflate an end is willing to do.
const (
	CompressionDisabled          = 0
	CompressionNoContextTakeover = 1
	CompressionContextTakeover   = 2
)

// How much work compressing is worth.
const (
	CompressionDefault = 0
	CompressionFastest = 1
	CompressionBest    = 2
)

// Error classes.
const (
	ClassProtocol  = 1
	ClassLimit     = 2
	ClassHandshake = 3
	ClassArgument  = 4
	ClassEnded     = 5
	ClassIdle      = 6
)

// NoStatus is the close code that sends a Close frame without one.
const NoStatus = 1005

// An Errno is the result of a hostcall, and negated of an export.
type Errno int32

const (
	OK Errno = iota
	EINVAL
	EBADF
	ESTATE
	EFULL
	EACCES
	EBUSY
	EFAULT
	EPROTO
	ENOTSUP
	EIO
)

var errnoNames = [...]string{"ok", "inval", "badf", "state", "full", "acces", "busy", "fault", "proto", "notsup", "io"}

func (e Errno) Error() string {
	if e >= 0 && int(e) < len(errnoNames) {
		return "wasock errno " + strconv.Itoa(int(e)) + " (" + errnoNames[e] + ")"
	}
	return "wasock errno " + strconv.Itoa(int(e))
}

// Ret is e as an export or a hostcall that returns more than an errno returns it.
func (e Errno) Ret() int32 { return -int32(e) }
