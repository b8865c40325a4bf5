package tests

import (
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// importRules say what the files of a folder may import besides the standard
// library. The first that matches counts. /work/shared/docs/style.md has the
// picture: "Dependency direction".
var importRules = []struct {
	folder  string
	only    bool     // the folder itself, not those below it
	std     []string // nil: all of the standard library
	without []string // what of it is refused; a trailing slash refuses what is below
	allowed []string // with what is below each
}{
	{folder: "protocol",
		without: []string{"net", "net/", "os", "os/", "io", "io/", "fmt", "sync", "sync/", "log", "log/", "crypto/rand", "math/rand", "math/rand/", "bufio", "regexp", "syscall", "unsafe", "runtime", "context"},
		allowed: []string{module + "/protocol/deflate"}},
	{folder: "hostcalls", only: true, without: []string{"net", "net/", "os", "os/", "fmt", "sync", "log", "log/"}},
	{folder: "hostcalls/gen", allowed: []string{module + "/hostcalls"}},
	{folder: "wasm/engine",
		std:     []string{"errors", "strings", "time", "unsafe", "slices", "strconv"},
		allowed: []string{module + "/protocol", module + "/hostcalls"}},
	{folder: "wasm", only: true},
	{folder: "wasm", allowed: []string{module + "/wasm", module + "/hostcalls", module + "/host"}}, // SDK and examples
	{folder: "host/cmd", allowed: []string{module + "/host", module + "/hostcalls", module + "/wasm",
		"github.com/spf13/cobra", "github.com/spf13/pflag", "golang.org/x"}},
	{folder: "host", allowed: []string{module + "/host", module + "/hostcalls", module + "/wasm",
		"github.com/tetratelabs/wazero", "golang.org/x/net", "golang.org/x/sys"}},
}

var archRules = []archRule{
	{"imports", checkImports, []archBreak{
		{"protocol/a.go", `package protocol; import "net"`, "protocol/a.go imports net"},
		{"protocol/a.go", `package protocol; import "net/url"`, "net/url"},
		{"protocol/a.go", `package protocol; import "fmt"`, "fmt"},
		{"protocol/a.go", `package protocol; import x "io"`, "io"},
		{"protocol/a.go", `package protocol; import _ "sync"`, "sync"},
		{"protocol/a.go", `package protocol; import "crypto/rand"`, "crypto/rand"},
		{"protocol/a.go", `package protocol; import "github.com/klauspost/compress/flate"`, "klauspost/compress/flate"},
		{"protocol/a.go", "//go:build wasip1\n\npackage protocol; import \"os\"", "os"},
		{"protocol/a.go", `package protocol; import "github.com/wasock/wasock/hostcalls"`, "hostcalls"},
		{"hostcalls/a.go", `package hostcalls; import "github.com/wasock/wasock/protocol"`, "protocol"},
		{"hostcalls/a.go", `package hostcalls; import "golang.org/x/net/idna"`, "idna"},
		{"hostcalls/gen/a.go", `package main; import "github.com/wasock/wasock/wasm"`, "wasm"},
		{"wasm/a.go", `package wasm; import "github.com/wasock/wasock/hostcalls"`, "hostcalls"},
		{"wasm/engine/a.go", `package main; import "github.com/wasock/wasock/host"`, "host"},
		{"wasm/engine/a.go", `package main; import "fmt"`, "fmt"},
		{"wasm/websocket/a.go", `package websocket; import "github.com/wasock/wasock/protocol"`, "protocol"},
		{"host/a.go", `package host; import "github.com/wasock/wasock/protocol"`, "protocol"},
		{"host/cmd/wasock/a.go", `package main; import "github.com/wasock/wasock/protocol"`, "protocol"},
		{"host/a.go", `package host; import "github.com/coder/websocket"`, "coder/websocket"},
		{"host/a_test.go", `package host; import "github.com/wasock/wasock/tests"`, "tests"},
		{"protocol/a_test.go", `package protocol; import "github.com/wasock/wasock/tests/bench"`, "tests/bench"},
		{"other/a.go", `package other`, "no rule"},
	}},
	{"no concurrency in protocol", checkSansIO, []archBreak{
		{"protocol/a.go", `package protocol; func f() { go f() }`, "protocol/a.go:1: a go statement"},
		{"protocol/a.go", `package protocol; type c chan int`, "a chan type"},
		{"protocol/a.go", `package protocol; func f(c <-chan int) {}`, "a chan type"},
		{"protocol/a.go", `package protocol; func f() { select {} }`, "a select statement"},
	}},
	{"no clock in protocol", checkClock, []archBreak{
		{"protocol/a.go", `package protocol; import "time"; var now = time.Now`, "time.Now"},
		{"protocol/a.go", `package protocol; import clock "time"; func f() { clock.Sleep(1) }`, "time.Sleep"},
		{"protocol/a.go", `package protocol; import . "time"; func f() { Now() }`, "imports time without its name"},
	}},
	{"no variables in protocol", checkVariables, []archBreak{
		{"protocol/a.go", `package protocol; var count int`, "protocol/a.go:1: the variable count"},
		{"protocol/a.go", `package protocol; var b = make([]byte, 4)`, "b"},
		{"protocol/a.go", `package protocol; var b = []byte{f()}`, "b"},
		{"protocol/a.go", `package protocol; var m = map[string]int{"a": 1}`, "m"},
		{"protocol/a.go", `package protocol; var c = Config{}`, "c"},
		{"protocol/a.go", `package protocol; var errA = f()`, "errA"},
		{"protocol/a.go", `package protocol; var notNamed = errors.New("a")`, "notNamed"},
		{"protocol/a.go", `package protocol; var a, errB = 1, errors.New("b")`, "a"},
		{"protocol/a.go", `package protocol; var table = []int{1}; func f() { table[0] = 2 }`, "table"},
		{"protocol/a.go", `package protocol; var table = [...]int{1}; func f() { table[0]++ }`, "table"},
		{"protocol/a.go", `package protocol; var table = []int{1}; func f() { table = nil }`, "table"},
		{"protocol/a.go", `package protocol; var table = []int{1}; func f() { g(&table) }`, "table"},
		{"protocol/a.go", `package protocol; var table = []int{1}; func f() { for table[0] = range 3 {} }`, "table"},
		{"protocol/a.go", `package protocol; var errA = errors.New("a"); func f() { errA = nil }`, "errA"},
	}},
	{"panics are bugs", checkPanics, []archBreak{
		{"host/a.go", `package host; func f() { panic("oh no") }`, `host/a.go:1: a panic`},
		{"host/a.go", `package host; func f(err error) { panic(err) }`, "a panic"},
		{"host/a.go", `package host; func f() { panic(fmt.Sprintf("%d BUG:", 1)) }`, "a panic"},
		{"host/a.go", `package host; func f(s string) { panic(s + "BUG: ") }`, "a panic"},
	}},
	{"names", checkNames, []archBreak{
		{"host/a.go", `package host; type connManager struct{}`, "host/a.go:1: connManager"},
		{"host/a.go", `package host; type Wrapper struct{}`, "Wrapper"},
		{"host/a.go", `package host; type HTTPUtil = int`, "HTTPUtil"},
		{"host/a.go", `package host; func (x *T) ReadEx() {}`, "ReadEx"},
		{"host/a.go", `package host; func getInfo() {}`, "getInfo"},
		{"host/a.go", `package host; func New2() {}`, "New2"},
		{"host/a.go", `package host; func f() { type roomData struct{} }`, "roomData"},
		{"host/a_test.go", `package host; func newTestHelper() {}`, "newTestHelper"},
	}},
	{"file length", checkLength, []archBreak{
		{"web/a.js", strings.Repeat("x\n", 601), "web/a.js has 601 lines"},
		{"host/a.go", "package host\n" + strings.Repeat("// x\n", 600), "601 lines"},
	}},
	{"file names", checkFileNames, []archBreak{
		{"host/types.go", `package host`, "host/types.go"},
		{"host/utils.go", `package host`, "host/utils.go"},
	}},
}

// isStd reports whether p is a package of the standard library.
func isStd(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	return !strings.Contains(first, ".")
}

// under reports whether p is one of roots or below one.
func under(p string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool { return p == root || strings.HasPrefix(p, root+"/") })
}

func checkImports(f *sourceFile) (violations []string) {
	if f.ast == nil {
		return nil
	}
	inTests := f.in("tests")
	for _, p := range f.imports() {
		if under(p, []string{module + "/tests"}) && !inTests {
			violations = append(violations, f.path+" imports "+p+": nothing depends on tests")
		}
	}
	if inTests || f.isTest() {
		return violations
	}
	for _, rule := range importRules {
		if f.dir() != rule.folder && (rule.only || !f.in(rule.folder)) {
			continue
		}
		for _, p := range f.imports() {
			switch {
			case isStd(p):
				below := func(r string) bool { return p == r || strings.HasSuffix(r, "/") && strings.HasPrefix(p, r) }
				if rule.std != nil && !slices.Contains(rule.std, p) || slices.ContainsFunc(rule.without, below) {
					violations = append(violations, f.path+" imports "+p+", which "+rule.folder+" does without")
				}
			case !under(p, rule.allowed):
				violations = append(violations, f.path+" imports "+p+": "+rule.folder+" depends on std and "+strings.Join(rule.allowed, ", "))
			}
		}
		return violations
	}
	return append(violations, f.path+": no rule says what "+f.dir()+" may import")
}

// protocolSource reports whether f is a part of package protocol that others
// use.
func protocolSource(f *sourceFile) bool { return f.ast != nil && f.in("protocol") && !f.isTest() }

func checkSansIO(f *sourceFile) (violations []string) {
	if !protocolSource(f) {
		return nil
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		what := ""
		switch n.(type) {
		case *ast.GoStmt:
			what = "a go statement"
		case *ast.ChanType:
			what = "a chan type"
		case *ast.SelectStmt:
			what = "a select statement"
		}
		if what != "" {
			violations = append(violations, f.at(n.Pos())+": "+what+": whoever drives the protocol is alone")
		}
		return true
	})
	return violations
}

// clockFunctions of package time read the clock or wait for it.
var clockFunctions = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

func checkClock(f *sourceFile) (violations []string) {
	if !protocolSource(f) {
		return nil
	}
	name := "time"
	for _, spec := range f.ast.Imports {
		if spec.Path.Value == `"time"` && spec.Name != nil {
			if name = spec.Name.Name; name == "." {
				return []string{f.path + " imports time without its name"}
			}
		}
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && isIdent(s.X, name) && slices.Contains(clockFunctions, s.Sel.Name) {
			violations = append(violations, f.at(n.Pos())+": time."+s.Sel.Name+": the time is an argument")
		}
		return true
	})
	return violations
}

func isIdent(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

// checkVariables looks at each file by itself. TestTablesAreNotAssigned looks at
// the others.
func checkVariables(f *sourceFile) (violations []string) {
	if !protocolSource(f) {
		return nil
	}
	for _, d := range f.ast.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, spec := range g.Specs {
			v := spec.(*ast.ValueSpec) // a var declaration has no other
			for i, name := range v.Names {
				constant := i < len(v.Values) && (isErrorValue(name.Name, v.Values[i]) || isTable(v.Values[i]))
				if name.Name != "_" && (!constant || isAssigned(f.ast, name.Name)) {
					violations = append(violations, f.at(name.Pos())+": the variable "+name.Name+" is neither an error nor a table of constants")
				}
			}
		}
	}
	return violations
}

// isErrorValue reports whether an error of this name is made by errors.New, or
// is a literal of a type that ends in Error.
func isErrorValue(name string, e ast.Expr) bool {
	if !strings.HasPrefix(name, "Err") && !strings.HasPrefix(name, "err") {
		return false
	}
	if u, ok := e.(*ast.UnaryExpr); ok && u.Op == token.AND {
		e = u.X
	}
	switch e := e.(type) {
	case *ast.CallExpr:
		s, ok := e.Fun.(*ast.SelectorExpr)
		return ok && isIdent(s.X, "errors") && s.Sel.Name == "New"
	case *ast.CompositeLit:
		id, ok := e.Type.(*ast.Ident)
		return ok && strings.HasSuffix(id.Name, "Error")
	}
	return false
}

// isTable reports whether e is an array or a slice of constants.
func isTable(e ast.Expr) bool {
	lit, ok := e.(*ast.CompositeLit)
	if !ok {
		return false
	}
	if _, ok := lit.Type.(*ast.ArrayType); !ok {
		return false
	}
	return !slices.ContainsFunc(lit.Elts, func(e ast.Expr) bool { return !isConstant(e) })
}

// isConstant reports whether e is made of literals and names only.
func isConstant(e ast.Expr) bool {
	constant := true
	ast.Inspect(e, func(n ast.Node) bool {
		switch n.(type) {
		case *ast.CallExpr, *ast.FuncLit, *ast.MapType, *ast.StarExpr, *ast.IndexExpr:
			constant = false
		}
		return constant
	})
	return constant
}

// isAssigned reports whether what name stands for, or a part of it, is assigned
// to in f, or its address taken. A local variable of the same name that is
// declared with := does not count.
func isAssigned(f *ast.File, name string) bool {
	assigned := false
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				assigned = assigned || slices.ContainsFunc(n.Lhs, func(e ast.Expr) bool { return isIdent(rootOf(e), name) })
			}
		case *ast.IncDecStmt:
			assigned = assigned || isIdent(rootOf(n.X), name)
		case *ast.RangeStmt:
			if n.Tok == token.ASSIGN {
				assigned = assigned || isIdent(rootOf(n.Key), name) || n.Value != nil && isIdent(rootOf(n.Value), name)
			}
		case *ast.UnaryExpr:
			assigned = assigned || n.Op == token.AND && isIdent(rootOf(n.X), name)
		}
		return !assigned
	})
	return assigned
}

// rootOf returns what an element, a field or a slice is taken of.
func rootOf(e ast.Expr) ast.Expr {
	for {
		switch x := e.(type) {
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		default:
			return e
		}
	}
}

func checkPanics(f *sourceFile) (violations []string) {
	if f.ast == nil || f.isTest() {
		return nil
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && isIdent(call.Fun, "panic") && len(call.Args) == 1 && !beginsBUG(call.Args[0]) {
			violations = append(violations, f.at(n.Pos())+`: a panic whose message does not begin "BUG:"`)
		}
		return true
	})
	return violations
}

func beginsBUG(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return e.Kind == token.STRING && err == nil && strings.HasPrefix(s, "BUG:")
	case *ast.BinaryExpr:
		return beginsBUG(e.X)
	case *ast.CallExpr: // fmt.Sprintf and the like
		return len(e.Args) > 0 && beginsBUG(e.Args[0])
	}
	return false
}

// bannedNames are not to be the last word of a type's or a function's name.
// style.md, "Names".
var bannedNames = []string{"Manager", "Helper", "Util", "Utils", "Common", "Misc", "Base", "Impl", "Process", "Data", "Info", "Wrapper", "New2", "Ex"}

// standardNames are those that a standard, or the system below us, uses, with
// the place.
var standardNames = map[string]string{
	"receiveData":  "RFC 6455 §5.6: data frames",
	"process":      "tests/bench: a process of the operating system",
	"startProcess": "tests/bench: a process of the operating system",
}

func checkNames(f *sourceFile) (violations []string) {
	if f.ast == nil {
		return nil
	}
	check := func(id *ast.Ident) {
		if standardNames[id.Name] == "" && slices.Contains(bannedNames, lastWord(id.Name)) {
			violations = append(violations, f.at(id.Pos())+": "+id.Name+" says nothing: style.md bans "+lastWord(id.Name))
		}
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.TypeSpec:
			check(n.Name)
		case *ast.FuncDecl:
			check(n.Name)
		}
		return true
	})
	return violations
}

// lastWord returns the last word of a name in camel case, its first letter in
// upper case.
func lastWord(name string) string {
	runes := []rune(name)
	i := len(runes) - 1
	for i > 0 && !(unicode.IsUpper(runes[i]) && (i+1 < len(runes))) {
		i--
	}
	runes[i] = unicode.ToUpper(runes[i])
	return string(runes[i:])
}

const maxLines = 600

// longFiles may be longer, with the reason.
var longFiles = map[string]string{}

func checkLength(f *sourceFile) []string {
	if longFiles[f.path] != "" || isGenerated(f.text) {
		return nil
	}
	if n := strings.Count(string(f.text), "\n"); n > maxLines {
		return []string{f.path + " has " + strconv.Itoa(n) + " lines: divide it, or give longFiles a reason"}
	}
	return nil
}

// isGenerated reports whether a file begins as generated ones do.
func isGenerated(text []byte) bool {
	first, _, _ := strings.Cut(string(text), "\n")
	return strings.HasPrefix(first, "// Code generated ") && strings.HasSuffix(first, " DO NOT EDIT.")
}

func checkFileNames(f *sourceFile) []string {
	name := strings.TrimSuffix(path.Base(f.path), path.Ext(f.path))
	if slices.Contains([]string{"types", "util", "utils", "helper", "helpers", "common", "misc", "base"}, name) {
		return []string{f.path + " is not named after a thing"}
	}
	return nil
}
