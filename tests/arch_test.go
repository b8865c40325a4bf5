// Package tests holds the suites that cross folders.
package tests

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// module is the path of this module.
const module = "github.com/wasock/wasock"

// A sourceFile is a file of the repository. Its path is from the root, with
// slashes.
type sourceFile struct {
	path string
	text []byte
	ast  *ast.File // nil unless it is Go
	fset *token.FileSet
}

func (f *sourceFile) dir() string  { return path.Dir(f.path) }
func (f *sourceFile) isTest() bool { return strings.HasSuffix(f.path, "_test.go") }

// in reports whether f is in the folder or below it.
func (f *sourceFile) in(folder string) bool { return strings.HasPrefix(f.path, folder+"/") }

func (f *sourceFile) at(pos token.Pos) string {
	return f.path + ":" + strconv.Itoa(f.fset.Position(pos).Line)
}

// imports returns the paths that f imports.
func (f *sourceFile) imports() (paths []string) {
	for _, spec := range f.ast.Imports {
		p, _ := strconv.Unquote(spec.Path.Value) // the parser has checked it
		paths = append(paths, p)
	}
	return paths
}

// variables returns where f declares its package-level variables.
func (f *sourceFile) variables() map[string]token.Pos {
	names := map[string]token.Pos{}
	for _, d := range f.ast.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR {
			for _, spec := range g.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					names[name.Name] = name.Pos()
				}
			}
		}
	}
	return names
}

// parseSource makes a sourceFile of a Go source, whatever its build tags.
func parseSource(t *testing.T, path string, text []byte) *sourceFile {
	t.Helper()
	f := &sourceFile{path: path, text: text, fset: token.NewFileSet()}
	if strings.HasSuffix(path, ".go") {
		var err error
		if f.ast, err = parser.ParseFile(f.fset, path, text, parser.ParseComments); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// sourceExtensions are those of files that people write.
var sourceExtensions = []string{".go", ".js", ".mjs", ".ts", ".c", ".h", ".py", ".sh", ".html", ".css"}

// repository returns the source files of the repository.
func repository(t *testing.T) (files []*sourceFile) {
	t.Helper()
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".git", ".cache", "bin", "node_modules", "testdata", "__pycache__"}, d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if !slices.Contains(sourceExtensions, path.Ext(p)) {
			return nil
		}
		text, err := fs.ReadFile(root, p)
		if err != nil {
			return err
		}
		files = append(files, parseSource(t, p, text))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// An archRule is a rule about the source, and a source that breaks it: a check
// that cannot fail proves nothing.
type archRule struct {
	name   string
	check  func(f *sourceFile) []string
	breaks []archBreak
}

// An archBreak is a file that breaks a rule. What the rule says of it contains
// says.
type archBreak struct{ path, text, says string }

func TestArchitecture(t *testing.T) {
	files := repository(t)
	if len(files) < 50 {
		t.Fatalf("there are %d source files: this is not the repository", len(files))
	}
	for _, rule := range archRules {
		t.Run(rule.name, func(t *testing.T) {
			for _, f := range files {
				for _, violation := range rule.check(f) {
					t.Error(violation)
				}
			}
		})
	}
}

func TestArchitectureRulesCanFail(t *testing.T) {
	for _, rule := range archRules {
		if len(rule.breaks) == 0 {
			t.Errorf("%s: no source shows that it can fail", rule.name)
		}
		for _, b := range rule.breaks {
			got := strings.Join(rule.check(parseSource(t, b.path, []byte(b.text))), "\n")
			if !strings.Contains(got, b.says) {
				t.Errorf("%s: of %s\n%s\nit says %q, want something of %q", rule.name, b.path, b.text, got, b.says)
			}
		}
	}
}

// A Go source that no rule has anything against.
func TestArchitectureRulesCanPass(t *testing.T) {
	for p, text := range map[string]string{
		"protocol/a.go": `package protocol
			import ("errors"; "time"; "github.com/wasock/wasock/protocol/deflate")
			var (
				ErrA = errors.New("a")
				errB = &ProtocolError{1, "b"}
				errC = idleError{}
				table = [...]int{1, 1<<3, -2}
				names = []string{a: "x", b: "y"}
				pairs = [][2]byte{{1, 2}, {'a', 'b'}}
			)
			var d time.Duration = 0
			func f(x int) { if x == 0 { panic("BUG: x") }; table := []int{1}; _ = table[0] }`,
		"protocol/a_test.go": `package protocol
			import ("net"; "os")
			var mutable int
			func TestA() { go f(); panic("whatever") }`,
		"host/a.go": `package host
			import ("net"; "fmt"; "golang.org/x/net/http2"; "github.com/tetratelabs/wazero/api"; "github.com/wasock/wasock/hostcalls"; "github.com/wasock/wasock/wasm")
			func f() { panic(fmt.Sprintf("BUG: %d", 1)) }
			func g(v any) { panic("BUG: " + v.(string)) }`,
		"host/a_test.go":         `package host; import "github.com/wasock/wasock/protocol"`,
		"hostcalls/a.go":         `package hostcalls; import "encoding/binary"`,
		"wasm/a.go":              `package wasm; import _ "embed"`,
		"wasm/engine/a.go":       `package main; import ("unsafe"; "github.com/wasock/wasock/protocol")`,
		"tests/a_test.go":        `package tests; import "github.com/wasock/wasock/protocol"`,
		"hostcalls/gen/a.go":     `package main; import ("fmt"; "github.com/wasock/wasock/hostcalls")`,
		"host/database.go":       `package host; type database struct{}; func newRegex() {}`,
		"host/cmd/wasock/a.go":   `package main; import "github.com/wasock/wasock/host"`,
		"web/abi.js":             "// Code generated by x. DO NOT EDIT.\n" + strings.Repeat("x\n", 900),
		"web/socket.js":          strings.Repeat("x\n", 600),
		"protocol/long_table.go": "package protocol\n" + strings.Repeat("// x\n", 599),
	} {
		if p == "protocol/a.go" {
			text = strings.Replace(text, "var d time.Duration = 0\n", "const d time.Duration = 0\n", 1)
		}
		for _, rule := range archRules {
			for _, violation := range rule.check(parseSource(t, p, []byte(text))) {
				t.Errorf("%s: %s", rule.name, violation)
			}
		}
	}
}

// TestTablesAreNotAssigned: no file of protocol assigns to a variable of another.
func TestTablesAreNotAssigned(t *testing.T) {
	var sources []*sourceFile
	for _, f := range repository(t) {
		if protocolSource(f) {
			sources = append(sources, f)
		}
	}
	for _, violation := range assignedElsewhere(sources) {
		t.Error(violation)
	}
	broken := assignedElsewhere([]*sourceFile{
		parseSource(t, "protocol/a.go", []byte(`package protocol; var table = []int{1}`)),
		parseSource(t, "protocol/b.go", []byte(`package protocol; func f() { table[0] = 2 }`)),
	})
	if len(broken) != 1 || !strings.Contains(broken[0], "protocol/b.go assigns to table") {
		t.Errorf("of a file that assigns to another's table it says %q", broken)
	}
}

func assignedElsewhere(sources []*sourceFile) (violations []string) {
	for _, declares := range sources {
		for name, object := range declares.variables() {
			for _, f := range sources {
				if f != declares && isAssigned(f.ast, name) {
					violations = append(violations, f.path+" assigns to "+name+" of "+declares.at(object))
				}
			}
		}
	}
	return violations
}

// rootEntries are what the repository's root may hold.
var rootEntries = []string{
	"go.mod", "go.sum", "wasm", "host", "protocol", "hostcalls", "web", "Makefile", "tests", "README.md",
	"LICENSE", ".gitignore", ".gitattributes", ".ci", ".github", ".git",
}

func TestRootEntries(t *testing.T) {
	ignored := gitIgnored(t)
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	for _, name := range strayEntries(names, ignored) {
		t.Errorf("%s does not belong to the root: rootEntries lists what does", name)
	}
	if got := strayEntries([]string{"wasm", "bin", "pkg", "x.test"}, []string{"bin", "*.test"}); !slices.Equal(got, []string{"pkg"}) {
		t.Errorf("the check finds %q, want pkg", got)
	}
}

func strayEntries(names, ignored []string) (stray []string) {
	for _, name := range names {
		ignores := func(pattern string) bool { ok, err := path.Match(pattern, name); return ok && err == nil }
		if !slices.Contains(rootEntries, name) && !slices.ContainsFunc(ignored, ignores) {
			stray = append(stray, name)
		}
	}
	return stray
}

// gitIgnored returns the patterns of .gitignore, without their slashes.
func gitIgnored(t *testing.T) (patterns []string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", ".gitignore"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		if p := strings.Trim(string(bytes.TrimSpace(line)), "/"); p != "" && p[0] != '#' {
			patterns = append(patterns, p)
		}
	}
	return patterns
}
