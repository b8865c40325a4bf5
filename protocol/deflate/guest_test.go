package deflate

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// rival names a module that has the exports of testdata/guestbench and other code
// behind them; what it takes is then relative to ours of the same run.
const rival = "DEFLATE_RIVAL"

// prose returns n bytes of this package's sources, again and again with other
// names: English and code.
func prose(n int) (text []byte) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		panic("BUG: the sources are not here")
	}
	for turn := 0; len(text) < n; turn++ {
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				panic("BUG: " + err.Error())
			}
			for i, word := range strings.Fields(string(b)) {
				if turn > 0 && i%(turn+2) == 0 {
					word += fmt.Sprint(turn)
				}
				text = append(text, word...)
				text = append(text, ' ')
			}
		}
	}
	return text[:n]
}

// A guest is a module of testdata/guestbench.
type guest struct {
	name           string
	input          func([]byte)
	encode, decode func(args ...uint64) uint64
	levels         []uint64
}

// newGuest builds the package for the sandbox, unless there is a file, and starts
// it.
func newGuest(t testing.TB, name, file string, levels ...uint64) *guest {
	t.Helper()
	if file == "" {
		file = filepath.Join(t.TempDir(), "guest.wasm")
		cmd := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", file, "./testdata/guestbench")
		cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build the guest: %v\n%s", err, out)
		}
	}
	wasm, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	r := wazero.NewRuntime(ctx)
	t.Cleanup(func() { _ = r.Close(ctx) })
	wasi_snapshot_preview1.MustInstantiate(ctx, r)
	m, err := r.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithStartFunctions("_initialize").WithStderr(os.Stderr))
	if err != nil {
		t.Fatal(err)
	}
	call := func(name string) func(args ...uint64) uint64 {
		f := m.ExportedFunction(name)
		return func(args ...uint64) uint64 {
			r, err := f.Call(ctx, args...)
			if err != nil {
				t.Fatalf("%s in the guest: %v", name, err)
			}
			return r[0]
		}
	}
	at := uint32(call("input_address")())
	return &guest{name, func(b []byte) {
		if !m.Memory().Write(at, b) {
			t.Fatal("no room in the guest")
		}
	}, call("encode"), call("decode"), levels}
}

// The guest puts out as many bytes as we do natively, and gets them back.
func TestGuest(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a module for the sandbox")
	}
	g := newGuest(t, "wasock", "")
	for _, level := range levels {
		for _, l := range loads() {
			takeover := uint64(0)
			if l.takeover {
				takeover = 1
			}
			d, want := deflater(level, 15), 0
			for _, m := range l.messages() {
				if !l.takeover {
					d.Reset()
				}
				want += len(d.AppendLast(nil, m))
			}
			g.input(l.data)
			if got := g.encode(uint64(len(l.data)), uint64(l.size), uint64(level), takeover); got != uint64(want) {
				t.Errorf("level %d, %s: %d bytes in the guest, %d natively", level, l.name, got, want)
			}
			if got := g.decode(takeover); got != uint64(len(l.data)) {
				t.Errorf("level %d, %s: %d bytes come back, want %d", level, l.name, got, len(l.data))
			}
		}
	}
}

// BenchmarkGuest is both directions inside the sandbox, in MB/s of messages.
// Set DEFLATE_RIVAL to a module to have it measured in turn with ours.
func BenchmarkGuest(b *testing.B) {
	guests := []*guest{newGuest(b, "wasock", "", uint64(Fastest), uint64(Default), uint64(Best))}
	if file := os.Getenv(rival); file != "" {
		guests = append(guests, newGuest(b, "rival", file, 1, 6, 9))
	}
	for _, l := range loads() {
		for _, g := range guests {
			for _, level := range g.levels {
				b.Run(fmt.Sprintf("%s/%s/level%d", l.name, g.name, level), func(b *testing.B) {
					takeover := uint64(0)
					if l.takeover {
						takeover = 1
					}
					g.input(l.data)
					var wire uint64
					encoding, decoding := time.Hour, time.Hour // the best of all turns
					for b.Loop() {
						begin := time.Now()
						wire = g.encode(uint64(len(l.data)), uint64(l.size), level, takeover)
						middle := time.Now()
						if g.decode(takeover) != uint64(len(l.data)) {
							b.Fatal("not all of it came back")
						}
						encoding, decoding = min(encoding, middle.Sub(begin)), min(decoding, time.Since(middle))
					}
					mb := float64(len(l.data)) / 1e6
					b.ReportMetric(0, "ns/op")
					b.ReportMetric(mb/encoding.Seconds(), "enc-MB/s")
					b.ReportMetric(mb/decoding.Seconds(), "dec-MB/s")
					b.ReportMetric(float64(len(l.data))/float64(wire), "ratio")
				})
			}
		}
	}
}

// zlib, by Python's binding, reads what we write and writes what we read, over a
// connection with context takeover, for every window.
func TestZlib(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	const script = `
import sys, zlib
bits = int(sys.argv[1])
d = zlib.decompressobj(-bits)
c = zlib.compressobj(6, zlib.DEFLATED, -max(bits, 9))
for line in sys.stdin:
    text = d.decompress(bytes.fromhex(line) + b"\0\0\xff\xff")
    wire = c.compress(text) + c.flush(zlib.Z_SYNC_FLUSH)
    print(text.hex() + " " + wire.hex())
`
	for bits := minWindowBits; bits <= maxWindowBits; bits++ {
		for _, level := range levels {
			d, z := deflater(level, bits), inflater(max(bits, 9))
			var lines strings.Builder
			var texts [][]byte
			for k := range 24 {
				text := samples([]int{0, 1, 100, 3000, 40_000, 700}[k%6])[k%5].text
				texts = append(texts, text)
				fmt.Fprintf(&lines, "%x\n", d.AppendLast(nil, text))
			}
			cmd := exec.Command(python, "-c", script, fmt.Sprint(bits))
			cmd.Stdin = strings.NewReader(lines.String())
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("zlib, level %d, %d bits: %v", level, bits, err)
			}
			for k, line := range strings.Split(strings.TrimSuffix(string(out), "\n"), "\n") {
				text, wire, _ := strings.Cut(line, " ")
				if text != hex.EncodeToString(texts[k]) {
					t.Fatalf("zlib does not read message %d, level %d, %d bits", k, level, bits)
				}
				wantText(t, fmt.Sprintf("zlib's message %d, %d bits", k, bits), z, octets(wire), texts[k])
			}
		}
	}
}
