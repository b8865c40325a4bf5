package main

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
)

// A deflateMode is what a row does of permessage-deflate, RFC 7692, at both ends and
// in both directions. Servers learn it from the path of the request.
type deflateMode string

const (
	takeover   deflateMode = "takeover"
	noTakeover deflateMode = "no-takeover"
)

// offer is the client's Sec-WebSocket-Extensions.
func (m deflateMode) offer() string {
	if m == noTakeover {
		return "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	}
	return "permessage-deflate"
}

// deflateLevel is the level of every server: gorilla's default and gws's.
const deflateLevel = flate.BestSpeed

// cycle is how many messages a connection sends before it begins again.
const cycle = 64

// A conversation is what a compressing client sends over and over, and what it reads
// the first time.
type conversation struct {
	mode     deflateMode
	texts    [cycle][]byte
	requests [cycle][]byte // masked frames
}

var flushTail = []byte{0, 0, 0xff, 0xff}

// newConversation returns messages of JSON records, each of about size bytes. The
// first refers to nothing before it, so that the last can be followed by it.
func newConversation(seed uint64, mode deflateMode, size int) (*conversation, error) {
	c := &conversation{mode: mode}
	random := rand.New(rand.NewPCG(seed, 1))
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.DefaultCompression)
	if err != nil {
		return nil, err
	}
	for i := range cycle {
		c.texts[i] = jsonMessage(random, size)
		b.Reset()
		if mode == noTakeover {
			w.Reset(&b)
		}
		if _, err := w.Write(c.texts[i]); err != nil {
			return nil, err
		}
		if err := w.Flush(); err != nil {
			return nil, err
		}
		payload := bytes.TrimSuffix(b.Bytes(), flushTail)
		var key [4]byte
		binary.LittleEndian.PutUint32(key[:], random.Uint32())
		frame := appendMaskedFrame(nil, payload, key)
		frame[0] = finTextDeflated
		c.requests[i] = frame
	}
	return c, nil
}

// finTextDeflated is FIN, RSV1 and opcode text. RFC 7692 §6.
const finTextDeflated = 0xc1

// jsonMessage returns an array of records as a feed of prices has them: names that
// repeat and numbers that do not.
func jsonMessage(random *rand.Rand, size int) []byte {
	symbols := []string{"ACME", "GLOBEX", "INITECH", "UMBRELLA", "HOOLI", "STARK", "WAYNE", "TYRELL"}
	b := []byte(`{"type":"update","channel":"trades","data":[`)
	for len(b) < size-110 {
		b = append(b, `{"id":`...)
		b = strconv.AppendUint(b, random.Uint64N(1<<40), 10)
		b = append(b, `,"symbol":"`...)
		b = append(b, symbols[random.IntN(len(symbols))]...)
		b = append(b, `","price":`...)
		b = strconv.AppendFloat(b, 100+100*random.Float64(), 'f', 2, 64)
		b = append(b, `,"size":`...)
		b = strconv.AppendInt(b, random.Int64N(1000), 10)
		b = append(b, `,"side":"`...)
		b = append(b, []string{"buy", "sell"}[random.IntN(2)]...)
		b = append(b, `"},`...)
	}
	return append(b[:len(b)-1], `]}`...)
}

// measureDeflate returns the compressed messages a second that t echoes under r.
func measureDeflate(ctx context.Context, t target, r row, w window) (float64, error) {
	var workers []worker
	for i := range r.Conns {
		e, err := newDeflateEchoer(ctx, t, i, r)
		if err != nil {
			closeAll(workers)
			return 0, fmt.Errorf("connection %d of %d: %w", i+1, r.Conns, err)
		}
		workers = append(workers, e)
	}
	return drive(ctx, workers, w)
}

// measureWire returns how many bytes of frame t sends for a message of r's.
func measureWire(ctx context.Context, t target, r row) (float64, error) {
	e, err := newDeflateEchoer(ctx, t, 0, r)
	if err != nil {
		return 0, err
	}
	defer e.close()
	return float64(e.firstBytes) / cycle, nil
}

// A deflateEchoer sends a conversation over and over on one connection.
type deflateEchoer struct {
	conn *net.TCPConn
	c    *conversation
	next int
	buf  []byte

	firstBytes int // of the frames of the first time
}

// newDeflateEchoer dials t, and holds the conversation once, with every byte checked.
func newDeflateEchoer(ctx context.Context, t target, i int, r row) (*deflateEchoer, error) {
	c, err := newConversation(uint64(i), r.Deflate, r.Size)
	if err != nil {
		return nil, err
	}
	t.path += string(r.Deflate)
	t.offer = r.Deflate.offer()
	conn, err := dial(ctx, t, i)
	if err != nil {
		return nil, err
	}
	e := &deflateEchoer{conn: conn, c: c, buf: make([]byte, 2*r.Size+1024)}
	var seen []byte
	for i := range cycle {
		frame, payload, err := e.exchange()
		if err == nil {
			err = checkDeflated(r.Deflate, payload, &seen, c.texts[i])
		}
		if err != nil {
			e.close()
			return nil, fmt.Errorf("message %d: %w", i+1, err)
		}
		e.firstBytes += frame
	}
	return e, nil
}

// checkDeflated compares what payload inflates to with text. seen is what came before.
func checkDeflated(mode deflateMode, payload []byte, seen *[]byte, text []byte) error {
	r := flate.NewReaderDict(io.MultiReader(bytes.NewReader(payload), bytes.NewReader(flushTail)), *seen)
	got := make([]byte, len(text)+1)
	n, err := io.ReadFull(r, got)
	if err != io.ErrUnexpectedEOF || !bytes.Equal(got[:n], text) {
		return fmt.Errorf("the echo of %d bytes inflates to %d others: %v", len(text), n, err)
	}
	if mode == takeover {
		*seen = append(*seen, text...)
		*seen = (*seen)[max(0, len(*seen)-32<<10):]
	}
	return nil
}

// exchange sends the next message and reads its echo: the length of the frame, and its
// payload, which is valid until the next.
func (e *deflateEchoer) exchange() (frame int, payload []byte, err error) {
	if _, err := e.conn.Write(e.c.requests[e.next]); err != nil {
		return 0, nil, fmt.Errorf("writing a message: %w", err)
	}
	e.next = (e.next + 1) % cycle
	n := 0
	for {
		k, err := e.conn.Read(e.buf[n:])
		if err != nil {
			return 0, nil, fmt.Errorf("reading an echo: %w", err)
		}
		n += k
		header, length := deflatedFrame(e.buf[:n])
		switch {
		case header < 0:
			return 0, nil, fmt.Errorf("an echo begins with % x, which is no compressed text in one frame", e.buf[:min(n, 4)])
		case header == 0 || n < header+length:
			if n == len(e.buf) {
				return 0, nil, fmt.Errorf("an echo is over %d bytes", n)
			}
		case n > header+length:
			return 0, nil, fmt.Errorf("%d bytes follow an echo", n-header-length)
		default:
			return n, e.buf[header:n], nil
		}
	}
}

// deflatedFrame returns the lengths of b's header and payload, 0 for the header if it
// is not whole, and -1 if it is no compressed text.
func deflatedFrame(b []byte) (header, length int) {
	switch {
	case b[0] != finTextDeflated:
		return -1, 0
	case len(b) < 4:
		return 0, 0
	case b[1] < 126:
		return 2, int(b[1])
	case b[1] == 126:
		return 4, int(binary.BigEndian.Uint16(b[2:]))
	}
	return -1, 0 // no message is so long
}

func (e *deflateEchoer) step(context.Context) (int, error) {
	_, _, err := e.exchange()
	return 1, err
}

func (e *deflateEchoer) close() { e.conn.Close() }
