package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A rowKind is what a row measures.
type rowKind string

const (
	echoRow      rowKind = "echo"
	idleRow      rowKind = "idle"
	handshakeRow rowKind = "handshake"
	deflateRow   rowKind = "deflate" // echo of JSON, compressed
	wireRow      rowKind = "wire"    // bytes that the server sends in it
)

// A row is one load that every server is put under.
type row struct {
	Name     string  `json:"name"`
	Kind     rowKind `json:"kind"`
	Conns    int     `json:"conns"`              // connections, or workers that open them
	Size     int     `json:"size,omitempty"`     // bytes of payload of a message
	InFlight int     `json:"inflight,omitempty"` // messages that a connection sends before it waits for their echoes

	Deflate deflateMode `json:"deflate,omitempty"`
}

// allRows are the rows in the order of the report. Those of echo are the loads
// of docs/design.md §4, and one of large messages.
var allRows = []row{
	{Name: "1x64", Kind: echoRow, Conns: 1, Size: 64, InFlight: 1},
	{Name: "50x64", Kind: echoRow, Conns: 50, Size: 64, InFlight: 1},
	{Name: "50x64x32", Kind: echoRow, Conns: 50, Size: 64, InFlight: 32},
	{Name: "100x512", Kind: echoRow, Conns: 100, Size: 512, InFlight: 1},
	{Name: "20x4K", Kind: echoRow, Conns: 20, Size: 4 << 10, InFlight: 1},
	{Name: "8x64Kx4", Kind: echoRow, Conns: 8, Size: 64 << 10, InFlight: 4},
	{Name: "4x1M", Kind: echoRow, Conns: 4, Size: 1 << 20, InFlight: 1},
	{Name: "idle", Kind: idleRow, Conns: 10000, Size: 64, InFlight: 1},
	{Name: "handshake", Kind: handshakeRow, Conns: 8},
	{Name: "deflate1K", Kind: deflateRow, Conns: 50, Size: 1 << 10, InFlight: 1, Deflate: noTakeover},
	{Name: "deflate1K+", Kind: deflateRow, Conns: 50, Size: 1 << 10, InFlight: 1, Deflate: takeover},
	{Name: "deflate16K", Kind: deflateRow, Conns: 50, Size: 16 << 10, InFlight: 1, Deflate: noTakeover},
	{Name: "deflate16K+", Kind: deflateRow, Conns: 50, Size: 16 << 10, InFlight: 1, Deflate: takeover},
	{Name: "wire1K", Kind: wireRow, Conns: 1, Size: 1 << 10, Deflate: noTakeover},
	{Name: "wire1K+", Kind: wireRow, Conns: 1, Size: 1 << 10, Deflate: takeover},
	{Name: "wire16K", Kind: wireRow, Conns: 1, Size: 16 << 10, Deflate: noTakeover},
	{Name: "wire16K+", Kind: wireRow, Conns: 1, Size: 16 << 10, Deflate: takeover},
}

// selectRows returns the rows of a comma-separated list of names and numbers
// from 1, in the order of the report; all for "".
func selectRows(list string) ([]row, error) {
	if list == "" {
		return slices.Clone(allRows), nil
	}
	wanted := make(map[int]bool)
	for field := range strings.SplitSeq(list, ",") {
		field = strings.TrimSpace(field)
		i := slices.IndexFunc(allRows, func(r row) bool { return r.Name == field })
		if i < 0 {
			n, err := strconv.Atoi(field)
			if err != nil || n < 1 || n > len(allRows) {
				return nil, fmt.Errorf("no row %q: -h lists them", field)
			}
			i = n - 1
		}
		wanted[i] = true
	}
	var rows []row
	for i, r := range allRows {
		if wanted[i] {
			rows = append(rows, r)
		}
	}
	return rows, nil
}

// label describes r to the reader of the report.
func (r row) label() string {
	switch r.Kind {
	case echoRow:
		return fmt.Sprintf("%s, %s, %d in flight", countOf(r.Conns, "conn"), sizeOf(r.Size), r.InFlight)
	case idleRow:
		return "idle memory, " + countOf(r.Conns, "conn")
	case handshakeRow:
		return "opening handshakes, " + countOf(r.Conns, "worker")
	case deflateRow:
		return fmt.Sprintf("%s, %s JSON, deflate, %s", countOf(r.Conns, "conn"), sizeOf(r.Size), r.Deflate)
	case wireRow:
		return fmt.Sprintf("bytes of an echo, %s JSON, %s", sizeOf(r.Size), r.Deflate)
	}
	panic("BUG: row kind " + string(r.Kind))
}

// unit is the unit of a sample of r, in benchstat's spelling.
func (r row) unit() string {
	switch r.Kind {
	case echoRow:
		return "msgs/s"
	case idleRow:
		return "B/conn"
	case handshakeRow:
		return "handshakes/s"
	case deflateRow:
		return "msgs/s"
	case wireRow:
		return "B/msg"
	}
	panic("BUG: row kind " + string(r.Kind))
}

// tableUnit is the unit of r in the table, and how many of unit it is.
func (r row) tableUnit() (name string, scale float64) {
	switch r.Kind {
	case echoRow:
		return "k msgs/s", 1000
	case idleRow:
		return "KiB/conn", 1024
	case handshakeRow:
		return "k handshakes/s", 1000
	case deflateRow:
		return "k msgs/s", 1000
	case wireRow:
		return "B/msg", 1
	}
	panic("BUG: row kind " + string(r.Kind))
}

// benchmarkName is the name of r's benchmark for one server, as in
// https://go.dev/design/14313-benchmark-format.
func (r row) benchmarkName(server string) string {
	switch r.Kind {
	case echoRow:
		return fmt.Sprintf("BenchmarkEcho/conns=%d/size=%d/inflight=%d/server=%s", r.Conns, r.Size, r.InFlight, server)
	case idleRow:
		return fmt.Sprintf("BenchmarkIdle/conns=%d/server=%s", r.Conns, server)
	case handshakeRow:
		return fmt.Sprintf("BenchmarkHandshake/workers=%d/server=%s", r.Conns, server)
	case deflateRow:
		return fmt.Sprintf("BenchmarkDeflate/conns=%d/size=%d/mode=%s/server=%s", r.Conns, r.Size, r.Deflate, server)
	case wireRow:
		return fmt.Sprintf("BenchmarkWire/size=%d/mode=%s/server=%s", r.Size, r.Deflate, server)
	}
	panic("BUG: row kind " + string(r.Kind))
}

// loads reports whether c can be put under r: raw TCP does not inflate, and gorilla has
// no context takeover.
func (r row) loads(c column) bool { return r.Deflate == "" || slices.Contains(c.deflates, r.Deflate) }

// countOf returns "1 conn", "2 conns".
func countOf(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// sizeOf returns n bytes in the largest binary unit that divides it.
func sizeOf(n int) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}
