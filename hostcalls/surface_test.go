package hostcalls

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata/surface.golden")

// surfaceRecord returns the record of a name.
func surfaceRecord(t testing.TB, name string) *Record {
	t.Helper()
	records := ABI().Records
	for i := range records {
		if records[i].Name == name {
			return &records[i]
		}
	}
	t.Fatalf("the surface has no record %s", name)
	return nil
}

func (r *Record) field(t testing.TB, name string) RecordField {
	t.Helper()
	for _, f := range r.Fields {
		if f.Name == name {
			return f
		}
	}
	t.Fatalf("the record %s has no field %s", r.Name, name)
	return RecordField{}
}

// lengthField returns the name of the field that holds the length of a part.
func lengthField(part string) string {
	if part == "payload" {
		return "len"
	}
	return part + "_len"
}

var typeSizes = map[string]uint32{"u8": 1, "u16": 2, "u32": 4, "u64": 8, "i32": 4, "i64": 8, "limits": LimitsSize, "compression": CompressionSize}

func TestSurfaceGolden(t *testing.T) {
	const path = "testdata/surface.golden"
	got := printSurface(ABI())
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the surface is not that of %s: if that is meant, raise Version and run go test -update\n%s", path, got)
	}
}

// printSurface prints everything of s but the docs, one thing a line.
func printSurface(s *Surface) []byte {
	w := &bytes.Buffer{}
	fmt.Fprintf(w, "module %s\n", Module)
	printFunctions(w, "export", s.Exports)
	printFunctions(w, "hostcall", s.Hostcalls)
	for _, g := range s.Constants {
		for _, c := range g.Constants {
			fmt.Fprintf(w, "constant %s.%s = %#x\n", g.Name, c.Name, c.Value)
		}
	}
	for _, c := range s.Errnos {
		fmt.Fprintf(w, "errno %s = %d\n", c.Name, c.Value)
	}
	for _, r := range s.Records {
		fmt.Fprintf(w, "record %s, %d bytes\n", r.Name, r.Size)
		for _, f := range r.Fields {
			fmt.Fprintf(w, "\t%d %s %s\n", f.Offset, f.Type, f.Name)
		}
		for _, p := range r.Parts {
			fmt.Fprintf(w, "\t… bytes %s of %s\n", p, lengthField(p))
		}
	}
	return w.Bytes()
}

func printFunctions(w *bytes.Buffer, what string, functions []Function) {
	for _, f := range functions {
		fmt.Fprintf(w, "%s %s(", what, f.Name)
		for i, p := range f.Params {
			if i > 0 {
				fmt.Fprint(w, ", ")
			}
			fmt.Fprintf(w, "%s %s", p.Name, p.Type)
		}
		fmt.Fprintf(w, ") %s", f.Result)
		for _, e := range f.Errnos {
			sign := ""
			if f.Negated {
				sign = "-"
			}
			fmt.Fprintf(w, " %s%s", sign, errnoNames[e])
		}
		fmt.Fprintln(w)
	}
}

// Every byte of a record belongs to one field, and a field lies where its type
// is aligned, so that a C struct is the record.
func TestSurfaceRecordsHaveNoGaps(t *testing.T) {
	for _, r := range ABI().Records {
		at := uint32(0)
		for _, f := range r.Fields {
			size, ok := typeSizes[f.Type]
			if !ok || f.Offset != at || f.Offset%min(size, 8) != 0 {
				t.Errorf("%s.%s, a %s, lies at %d, want %d", r.Name, f.Name, f.Type, f.Offset, at)
			}
			at = f.Offset + size
		}
		if at != r.Size {
			t.Errorf("%s has %d bytes of fields, and a size of %d", r.Name, at, r.Size)
		}
		for _, p := range r.Parts {
			if f := r.field(t, lengthField(p)); f.Type != "u32" {
				t.Errorf("the length of %s.%s is a %s", r.Name, p, f.Type)
			}
		}
	}
}

func TestSurfaceOffsetsAreThoseOfTheEncoders(t *testing.T) {
	tested := map[string]bool{"result": true} // one word, which nobody encodes
	for _, v := range recordVectors {
		tested[v.record] = true
		r, b := surfaceRecord(t, v.record), v.bytes(t)
		for _, f := range r.Fields {
			want, ok := v.fields[f.Name]
			if f.Type == "limits" {
				if got, err := consumeLimits(b[f.Offset:]); got != limitsValue || err != nil {
					t.Errorf("%s.%s at %d is %+v, %v", r.Name, f.Name, f.Offset, got, err)
				}
				continue
			}
			if f.Type == "compression" {
				if got, err := consumeCompression(b[f.Offset:]); got != compressionValue || err != nil {
					t.Errorf("%s.%s at %d is %+v, %v", r.Name, f.Name, f.Offset, got, err)
				}
				continue
			}
			if !ok && f.Name != "reserved" {
				t.Errorf("the vector of %s has no %s", r.Name, f.Name)
			}
			if got := readScalar(b[f.Offset:], f.Type); got != want {
				t.Errorf("%s.%s at %d is %#x, want %#x", r.Name, f.Name, f.Offset, got, want)
			}
		}
		if n := len(v.fields); n > len(r.Fields) {
			t.Errorf("the vector of %s has %d fields, the record %d", r.Name, n, len(r.Fields))
		}
	}
	for _, r := range ABI().Records {
		if !tested[r.Name] {
			t.Errorf("the record %s has no vector", r.Name)
		}
	}
}

func readScalar(b []byte, typ string) uint64 {
	switch typeSizes[typ] {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(b))
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	case 8:
		return binary.LittleEndian.Uint64(b)
	}
	panic("BUG: " + typ + " is no scalar")
}
