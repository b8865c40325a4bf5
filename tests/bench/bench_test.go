package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary be the servers that the suite starts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		main()
		return
	}
	os.Exit(m.Run())
}

// quickArgs make a run that shows that the harness works, not how fast servers are.
var quickArgs = []string{"-rounds=1", "-duration=50ms", "-warmup=5ms", "-settle=20ms", "-idle-conns=200"}

// wasockStandIn is a -wasock command: this program's gws server.
func wasockStandIn(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(self, " \t") {
		t.Skip("-wasock splits its command at spaces, and the test binary's path has one")
	}
	return self + " serve gws -addr 127.0.0.1:0"
}

func TestEveryRowHasAValueForEveryServer(t *testing.T) {
	dir := t.TempDir()
	out, jsonFile, benchfmtFile := filepath.Join(dir, "out.txt"), filepath.Join(dir, "out.json"), filepath.Join(dir, "out.bench")
	args := append(quickArgs, "-wasock", wasockStandIn(t), "-wasock-sigusr1", "-out", out, "-json", jsonFile, "-benchfmt", benchfmtFile)

	// A run fails if the client counts or compares bytes that are not the echo.
	var stdout strings.Builder
	if err := run(t.Context(), args, &stdout, t.Output()); err != nil {
		t.Fatal(err)
	}

	if got := readFile(t, out); got != stdout.String() {
		t.Errorf("-out holds another text than stdout:\n%s\nstdout:\n%s", got, stdout.String())
	}
	var rep report
	if err := json.Unmarshal([]byte(readFile(t, jsonFile)), &rep); err != nil {
		t.Fatal(err)
	}
	if len(rep.Rows) != len(allRows) {
		t.Fatalf("got %d rows, want %d", len(rep.Rows), len(allRows))
	}
	lines := readFile(t, benchfmtFile)
	for _, r := range rep.Rows {
		if len(r.Cells) != len(allColumns) {
			t.Errorf("%s: got %d cells, want %d", r.Name, len(r.Cells), len(allColumns))
		}
		for i, c := range r.Cells {
			if !r.loads(allColumns[i]) {
				if len(c.Samples) > 0 || c.Error != "" {
					t.Errorf("%s, %s: got samples %v and error %q of what it cannot do", r.Name, c.Server, c.Samples, c.Error)
				}
				continue
			}
			// 200 connections can fit in pages that the warm ones left behind.
			if v, ok := c.value(); !ok || v <= 0 && r.Kind != idleRow {
				t.Errorf("%s, %s: got samples %v", r.Name, c.Server, c.Samples)
			}
			if name := r.benchmarkName(c.Server) + " 1 "; strings.Count(lines, name) != 1 {
				t.Errorf("benchmark lines have not exactly one %q", name)
			}
		}
	}
	if rep.Environment.Libraries["gws"] == "" {
		t.Error("the version of gws is not in the report")
	}
	t.Log(stdout.String())
}

func TestACellThatFailsLeavesTheOthers(t *testing.T) {
	args := append(quickArgs, "-rows=1x64", "-servers=wasock,tcp", "-wasock=/bin/echo nothing to serve")
	var stdout strings.Builder
	err := run(t.Context(), args, &stdout, io.Discard)
	for _, want := range []string{"1x64, wasock", "ended before it told", "nothing to serve"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one with %q", err, want)
		}
	}
	if !strings.Contains(stdout.String(), "failed") {
		t.Errorf("the table does not say that a cell failed:\n%s", stdout.String())
	}
}

func TestServersEndWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p, err := startProcess(ctx, allColumns[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.residentBytes(); err != nil {
		t.Error(err)
	}
	cancel()
	<-p.drained // its output ends with it
	p.stop()
	if err := syscall.Kill(p.cmd.Process.Pid, 0); err != syscall.ESRCH {
		t.Errorf("after stop, signal to the server: got %v, want %v", err, syscall.ESRCH)
	}
}

func TestAnInterruptedRunReportsNothing(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	var stdout strings.Builder
	args := []string{"-rows=1x64,idle,handshake", "-servers=tcp", "-duration=1m"}
	if err := run(ctx, args, &stdout, io.Discard); err != context.DeadlineExceeded {
		t.Errorf("got error %v, want %v", err, context.DeadlineExceeded)
	}
	if stdout.Len() > 0 {
		t.Errorf("got output:\n%s", stdout.String())
	}
}

func TestCommandLine(t *testing.T) {
	for _, test := range []struct {
		args string
		want string // part of the error, "" for none
	}{
		{"", ""},
		{"-quick -rows 3,idle -servers gws,tcp", ""},
		{"-servers wasock", ""},
		{"-servers apache", "apache"},
		{"-rows 0", `"0"`},
		{"-rows 18", `"18"`},
		{"-rows 2x64", "2x64"},
		{"-rounds 0", "-rounds"},
		{"-wasock wasock echo", "echo"},
	} {
		_, err := parseConfig(strings.Fields(test.args), io.Discard)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: got error %v, want %q", test.args, err, test.want)
		}
	}
}

func TestQuickGivesWayToOtherFlags(t *testing.T) {
	cfg, err := parseConfig(strings.Fields("-quick -rounds 3 -rows handshake,1,3"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.rounds != 3 || cfg.duration != 500*time.Millisecond {
		t.Errorf("got %d rounds of %v, want 3 of 500ms", cfg.rounds, cfg.duration)
	}
	var names []string
	for _, r := range cfg.rows {
		names = append(names, r.Name)
	}
	if got, want := strings.Join(names, " "), "1x64 50x64x32 handshake"; got != want {
		t.Errorf("got rows %q, want %q", got, want)
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
