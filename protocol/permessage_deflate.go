package protocol

import "github.com/wasock/wasock/protocol/deflate"

// Coders are what connections with compression lend each other: tables, windows, and
// compressors between two messages. The zero value is ready. Conns that share one
// are driven by one goroutine at a time.
type Coders struct {
	shared deflate.Shared
	spare  [CompressionBest + 1][maxWindowBits + 1]*deflate.Deflater
}

// take returns a compressor that has seen nothing.
func (c *Coders) take(level CompressionLevel, bits int) *deflate.Deflater {
	d := c.spare[level][bits]
	if d == nil {
		d = new(deflate.Deflater)
		d.Init(&c.shared, deflate.Level(level), bits)
		return d
	}
	c.spare[level][bits] = nil
	d.Reset()
	return d
}

// give takes a compressor back.
func (c *Coders) give(level CompressionLevel, bits int, d *deflate.Deflater) {
	c.spare[level][bits] = d
}

// permessageDeflate is the extension permessage-deflate on one connection. RFC 7692.
type permessageDeflate struct {
	coders *Coders

	// Receiving.
	in      deflate.Inflater
	inKeeps bool // context takeover
	tail    int  // bytes of deflateTail that were decoded

	// Sending.
	out       *deflate.Deflater // nil between messages without context takeover
	outKeeps  bool
	outBits   int
	level     CompressionLevel
	threshold int
}

// deflateTail is what a sender leaves out at the end of a message. RFC 7692 §7.2.2.
var deflateTail = [4]byte{0, 0, 0xff, 0xff}

// newDeflate returns the extension for an end that agreed to p.
func newDeflate(role Role, p deflateParams, o Compression, coders *Coders) *permessageDeflate {
	x := &permessageDeflate{coders: coders, level: o.Level, threshold: o.Threshold}
	if x.threshold == 0 {
		x.threshold = defaultThreshold
	}
	inBits, outBits := windowBits(p.clientMaxWindowBits), windowBits(p.serverMaxWindowBits)
	x.inKeeps, x.outKeeps = !p.clientNoContextTakeover, !p.serverNoContextTakeover
	if role == Client {
		inBits, outBits = outBits, inBits
		x.inKeeps, x.outKeeps = x.outKeeps, x.inKeeps
	}
	// zlib compresses with 9 where it is asked for 8, and so do its users.
	x.in.Init(&coders.shared, max(inBits, minWindowBits+1))
	x.outBits = outBits
	return x
}

// Decode implements Extension.
func (x *permessageDeflate) Decode(dst, src []byte, last bool) (out []byte, n int, done bool, err error) {
	out, n, more, err := x.in.Inflate(dst, src)
	if err != nil {
		return out, n, false, &ProtocolError{CodeInvalidPayload, err.Error()}
	}
	if more || !last {
		return out, n, !more, nil
	}
	for x.tail < len(deflateTail) {
		var k int
		out, k, more, err = x.in.Inflate(out, deflateTail[x.tail:])
		x.tail += k
		if err != nil {
			return out, n, false, &ProtocolError{CodeInvalidPayload, err.Error()}
		}
		if more {
			return out, n, false, nil
		}
	}
	// RFC 7692 §7.2.2: a message ends with a block.
	if !x.in.AtBoundary() {
		return out, n, false, errDeflateEnd
	}
	x.tail = 0
	if !x.inKeeps {
		x.in.Reset()
	}
	return out, n, true, nil
}

var errDeflateEnd = &ProtocolError{CodeInvalidPayload, "a compressed message ends with a whole block, less 00 00 ff ff"}

// Resume implements Extension.
func (x *permessageDeflate) Resume() { x.in.Resume() }

// Encode implements Extension.
func (x *permessageDeflate) Encode(dst, src []byte, last bool) []byte {
	if x.out == nil {
		x.out = x.coders.take(x.level, x.outBits)
	}
	if !last {
		return x.out.AppendPart(dst, src)
	}
	dst = x.out.AppendLast(dst, src)
	if !x.outKeeps {
		x.coders.give(x.level, x.outBits, x.out)
		x.out = nil
	}
	return dst
}

// Compresses implements Extension.
func (x *permessageDeflate) Compresses(_ Opcode, size int) bool {
	return size < 0 || size >= x.threshold
}

// Release gives back what x holds. It is not used any more.
func (x *permessageDeflate) Release() {
	x.in.Reset()
	if x.out != nil {
		x.coders.give(x.level, x.outBits, x.out)
		x.out = nil
	}
}
