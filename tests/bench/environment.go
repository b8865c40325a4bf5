package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// An environment is what a reader must know to judge or repeat a run.
type environment struct {
	Date      string            `json:"date"`   // RFC 3339
	Commit    string            `json:"commit"` // of this repository, "(dirty)" if there are changes
	CPU       string            `json:"cpu"`
	CPUCount  int               `json:"cpu_count"`
	System    string            `json:"system"`
	Go        string            `json:"go"`
	Libraries map[string]string `json:"libraries"` // versions by column
	Wasock    string            `json:"wasock"`    // how its column was served
	Command   string            `json:"command"`
}

// libraryModules are the modules that columns are made of.
var libraryModules = []struct{ column, module string }{
	{"gorilla", "github.com/gorilla/websocket"},
	{"coder", "github.com/coder/websocket"},
	{"gws", "github.com/lxzan/gws"},
}

func readEnvironment(ctx context.Context, cfg *config) (environment, error) {
	model, err := cpuModel()
	if err != nil {
		return environment{}, err
	}
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return environment{}, fmt.Errorf("reading the kernel's version: %w", err)
	}
	return environment{
		Date:      time.Now().UTC().Format(time.RFC3339),
		Commit:    readCommit(ctx),
		CPU:       model,
		CPUCount:  runtime.NumCPU(),
		System:    fmt.Sprintf("%s/%s, kernel %s", runtime.GOOS, runtime.GOARCH, strings.TrimSpace(string(release))),
		Go:        runtime.Version(),
		Libraries: libraryVersions(),
		Wasock:    describeWasock(cfg),
		Command:   strings.Join(append([]string{"bench"}, quoteArgs(cfg.args)...), " "),
	}, nil
}

func (e environment) text() string {
	var libraries []string
	for _, l := range libraryModules {
		libraries = append(libraries, l.column+" "+e.Libraries[l.column])
	}
	var b strings.Builder
	for _, line := range [][2]string{
		{"date", e.Date},
		{"commit", e.Commit},
		{"cpu", fmt.Sprintf("%s, %d", e.CPU, e.CPUCount)},
		{"system", e.System},
		{"go", e.Go},
		{"libraries", strings.Join(libraries, ", ")},
		{"wasock", e.Wasock},
		{"command", e.Command},
	} {
		fmt.Fprintf(&b, "%-11s %s\n", line[0], line[1])
	}
	return b.String()
}

// benchfmt returns the configuration lines that benchstat knows, and ours.
func (e environment) benchfmt() string {
	return fmt.Sprintf("goos: %s\ngoarch: %s\npkg: github.com/wasock/wasock/tests/bench\ncpu: %s\ncommit: %s\n",
		runtime.GOOS, runtime.GOARCH, e.CPU, e.Commit)
}

func cpuModel() (string, error) {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "", fmt.Errorf("reading the CPU's model: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value), nil
		}
	}
	return runtime.GOARCH, nil // arm64 kernels name no model
}

// readCommit returns the commit of the working directory. A tree without git or
// without a commit is no reason not to measure.
func readCommit(ctx context.Context) string {
	commit, err := exec.CommandContext(ctx, "git", "rev-parse", "--short=12", "--verify", "--quiet", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	hash := strings.TrimSpace(string(commit))
	if status, err := exec.CommandContext(ctx, "git", "status", "--porcelain").Output(); err != nil || len(status) > 0 {
		return hash + " (dirty)"
	}
	return hash
}

// libraryVersions returns the versions of libraryModules in this program.
func libraryVersions() map[string]string {
	versions := make(map[string]string)
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return versions
	}
	for _, l := range libraryModules {
		for _, m := range info.Deps {
			if m.Path == l.module {
				versions[l.column] = m.Version
			}
		}
	}
	return versions
}

func describeWasock(cfg *config) string {
	for _, c := range cfg.columns {
		switch {
		case c.name != "wasock":
		case len(c.command) > 0:
			return "command " + strings.Join(c.command, " ")
		default:
			return "in process"
		}
	}
	return "not measured"
}

// quoteArgs quotes the arguments that a shell would split.
func quoteArgs(args []string) []string {
	var quoted []string
	for _, a := range args {
		if a == "" || strings.ContainsAny(a, " \t'\"$\\*?") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		quoted = append(quoted, a)
	}
	return quoted
}
