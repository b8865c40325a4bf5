package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasock/wasock/hostcalls"
)

func TestGeneratedFilesAreUpToDate(t *testing.T) {
	for _, f := range files {
		want := f.generate(hostcalls.ABI())
		got, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(f.path)))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the surface gives: run go generate ./hostcalls", f.path)
		}
		if first, _, _ := strings.Cut(string(want), "\n"); !strings.HasPrefix(first, "// Code generated ") || !strings.HasSuffix(first, " DO NOT EDIT.") {
			t.Errorf("%s begins %q", f.path, first)
		}
		if again := f.generate(hostcalls.ABI()); !bytes.Equal(again, want) {
			t.Errorf("%s differs from one run to the next", f.path)
		}
	}
}

func TestNames(t *testing.T) {
	for _, test := range [][3]string{{"url", "url", "Url"}, {"by_peer", "byPeer", "ByPeer"}, {"response_fields_len", "responseFieldsLen", "ResponseFieldsLen"}} {
		if c, p := camelCase(test[0]), pascalCase(test[0]); c != test[1] || p != test[2] {
			t.Errorf("%s becomes %s and %s, want %s and %s", test[0], c, p, test[1], test[2])
		}
	}
}

// look returns the path of a program, or skips the test.
func look(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skipf("there is no %s here", strings.Join(names, " and no "))
	return ""
}

// nodeCheck imports abi.js, prints its constants and offsets as JSON, and shows
// that what the writers write the readers read, in a view that begins anywhere.
const nodeCheck = `
const abi = await import(process.argv[1]);
const reserved = JSON.parse(process.argv[2]);
const out = { module: abi.MODULE, exports: abi.EXPORTS, hostcalls: abi.HOSTCALLS, constants: {}, records: {}, frozen: true, roundTrips: [] };
for (const [name, value] of Object.entries(abi)) {
  if (typeof value !== 'object') continue;
  out.frozen &&= Object.isFrozen(value) && Object.values(value).every((v) => typeof v !== 'object' || Object.isFrozen(v));
  if (name.endsWith('Record')) {
    const bare = name.slice(0, -'Record'.length);
    out.records[bare] = { size: value.size, offset: value.offset };
    const bytes = new Uint8Array(value.size + 16).fill(0xee);
    const view = new DataView(bytes.buffer, 3);
    for (let i = 0; i < value.size; i++) view.setUint8(5 + i, i + 0x71);
    const read = abi['read' + bare](view, 5);
    const again = new DataView(new ArrayBuffer(value.size + 16), 3);
    abi['write' + bare](again, 5, read);
    let equal = true;
    for (let i = 0; i < value.size + 10; i++) {
      const inside = i >= 5 && i < 5 + value.size;
      equal &&= again.getUint8(i) === (inside && !reserved[bare]?.includes(i - 5) ? view.getUint8(i) : 0);
    }
    out.roundTrips.push([bare, equal]);
  } else if (name !== 'EXPORTS' && name !== 'HOSTCALLS') {
    out.constants[name] = value;
  }
}
console.log(JSON.stringify(out));
`

// reservedBytes returns the offsets of the bytes of each record that are written as 0.
func reservedBytes(s *hostcalls.Surface) map[string][]uint32 {
	sizes := map[string]uint32{"u8": 1, "u16": 2, "u32": 4}
	all := make(map[string][]uint32)
	for _, r := range s.Records { // those inside of others come first
		name := pascalCase(r.Name)
		for _, f := range r.Fields {
			for _, at := range all[pascalCase(f.Type)] {
				all[name] = append(all[name], f.Offset+at)
			}
			for i := range sizes[f.Type] {
				if f.Name == "reserved" {
					all[name] = append(all[name], f.Offset+i)
				}
			}
		}
	}
	return all
}

func TestJavaScriptInNode(t *testing.T) {
	node := look(t, "node")
	path, err := filepath.Abs("../../web/abi.js")
	if err != nil {
		t.Fatal(err)
	}
	reserved, err := json.Marshal(reservedBytes(hostcalls.ABI()))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node, "--input-type=module", "--no-warnings", "-e", nodeCheck, "--", "file://"+filepath.ToSlash(path), string(reserved))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, stderr.Bytes())
	}
	var got struct {
		Module    string
		Exports   map[string][]string
		Hostcalls map[string][]string
		Constants map[string]map[string]uint32
		Records   map[string]struct {
			Size   uint32
			Offset map[string]uint32
		}
		Frozen     bool
		RoundTrips [][2]any
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	s := hostcalls.ABI()
	if got.Module != hostcalls.Module || !got.Frozen {
		t.Errorf("MODULE is %q, all is frozen: %v", got.Module, got.Frozen)
	}
	wantFunctions(t, got.Exports, s.Exports)
	wantFunctions(t, got.Hostcalls, s.Hostcalls)
	for _, g := range append(s.Constants, hostcalls.ConstantGroup{Name: "errno", Constants: s.Errnos}) {
		group := got.Constants[pascalCase(g.Name)]
		if len(group) != len(g.Constants) {
			t.Errorf("%s has %d constants, want %d", g.Name, len(group), len(g.Constants))
		}
		for _, c := range g.Constants {
			if v, ok := group[camelCase(c.Name)]; !ok || v != c.Value {
				t.Errorf("%s.%s is %d (%v), want %d", g.Name, c.Name, v, ok, c.Value)
			}
		}
	}
	for _, r := range s.Records {
		record := got.Records[pascalCase(r.Name)]
		if record.Size != r.Size || len(record.Offset) != len(r.Fields) {
			t.Errorf("%s has %d bytes and %d fields, want %d and %d", r.Name, record.Size, len(record.Offset), r.Size, len(r.Fields))
		}
		for _, f := range r.Fields {
			if at, ok := record.Offset[camelCase(f.Name)]; !ok || at != f.Offset {
				t.Errorf("%s.%s is at %d (%v), want %d", r.Name, f.Name, at, ok, f.Offset)
			}
		}
	}
	if len(got.RoundTrips) != len(s.Records) {
		t.Errorf("%d records were written and read, want %d", len(got.RoundTrips), len(s.Records))
	}
	for _, r := range got.RoundTrips {
		if r[1] != true {
			t.Errorf("what readX reads of %v, writeX does not write", r[0])
		}
	}
}

func wantFunctions(t *testing.T, got map[string][]string, want []hostcalls.Function) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("there are %d functions, want %d", len(got), len(want))
	}
	for _, f := range want {
		var types []string
		for _, p := range f.Params {
			types = append(types, p.Type)
		}
		if fmt.Sprint(got[f.Name]) != fmt.Sprint(types) {
			t.Errorf("%s takes %v, want %v", f.Name, got[f.Name], types)
		}
	}
}

func TestHeaderCompiles(t *testing.T) {
	cc := look(t, "cc", "gcc", "clang")
	path, err := filepath.Abs("../../wasm/include")
	if err != nil {
		t.Fatal(err)
	}
	// It is included twice, and every constant is what the surface says.
	var source strings.Builder
	source.WriteString("#include <wasock.h>\n#include <wasock.h>\n")
	s := hostcalls.ABI()
	for _, g := range append(s.Constants, hostcalls.ConstantGroup{Name: "errno", Constants: s.Errnos}) {
		for _, c := range g.Constants {
			fmt.Fprintf(&source, "_Static_assert(WASOCK_%s_%s == %d, \"%s\");\n", strings.ToUpper(g.Name), strings.ToUpper(c.Name), c.Value, c.Name)
		}
	}
	file := filepath.Join(t.TempDir(), "check.c")
	if err := os.WriteFile(file, []byte(source.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(cc, "-Wall", "-Wextra", "-Werror", "-std=c11", "-pedantic", "-fsyntax-only", "-I", path, file)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %v\n%s", cmd, err, out)
	}
}
