package peers

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// autobahnPatience is how long the tests of one column may take, all of them, which is
// about half an hour on a machine that does nothing else.
const autobahnPatience = 2 * time.Hour

// agent is our end's name in Autobahn's reports.
const agent = "wasock"

// An autobahnIndex is what Autobahn says of each case.
type autobahnIndex map[string]*autobahnCase

type autobahnCase struct {
	Behavior      string `json:"behavior"`
	BehaviorClose string `json:"behaviorClose"`
	File          string `json:"reportfile"`

	Traffic *autobahnTraffic // of the cases of compression
}

// An autobahnTraffic is how much Autobahn has received in a case.
type autobahnTraffic struct {
	Messages    int `json:"incomingWebSocketMessages"`
	Application int `json:"incomingOctetsAppLevel"`
	Payload     int `json:"incomingOctetsWebSocketLevel"`
}

// compressed returns by how much the payload differs from what it stands for: never by
// nothing if it was encoded, though what was random before may become longer.
func (a *autobahnTraffic) compressed() int {
	if a == nil {
		return 0
	}
	return a.Application - a.Payload
}

// deflateCase reports whether a case is of compression.
func deflateCase(name string) bool {
	return strings.HasPrefix(name, "12.") || strings.HasPrefix(name, "13.")
}

// readAutobahn reads the reports in a folder.
func readAutobahn(t *testing.T, dir string) autobahnIndex {
	t.Helper()
	read := func(name string, v any) {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = json.Unmarshal(text, v)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var index map[string]autobahnIndex
	read("index.json", &index)
	for name, one := range index[agent] {
		if !deflateCase(name) {
			continue
		}
		var report struct {
			Traffic *autobahnTraffic `json:"trafficStats"`
		}
		read(one.File, &report)
		one.File = filepath.Join(dir, one.File)
		one.Traffic = report.Traffic
	}
	return index[agent]
}

// specification writes what Autobahn is to do, and where its reports will be.
func specification(t *testing.T, cases []string, more map[string]any) (file, reports string) {
	t.Helper()
	dir := t.TempDir()
	reports = filepath.Join(dir, "reports")
	all := map[string]any{
		"outdir": reports, "cases": cases, "exclude-cases": []string{}, "exclude-agent-cases": map[string]string{},
	}
	for k, v := range more {
		all[k] = v
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, dir, "specification.json", text), reports
}

// fuzzingClient has Autobahn's client test a server of ours, which serve starts. serve
// returns its host and port.
func fuzzingClient(serve func(t *testing.T, p pairing) string) func(*testing.T, pairing, []string) autobahnIndex {
	return func(t *testing.T, p pairing, cases []string) autobahnIndex {
		wstest := need(t, p.row, wstestTool)
		ctx, cancel := context.WithTimeout(t.Context(), autobahnPatience)
		defer cancel()
		file, reports := specification(t, cases, map[string]any{
			"servers": []map[string]string{{"agent": agent, "url": "ws://" + serve(t, p) + "/"}},
		})
		if err := start(t, nil, wstest, "-m", "fuzzingclient", "-s", file).wait(ctx); err != nil {
			t.Fatal(err)
		}
		return readAutobahn(t, reports)
	}
}

// A visit opens a WebSocket to a path of Autobahn's server, offers compression, and
// gives each message to back, which says whether it is sent back, until the connection
// has ended. The error is that of one which was not opened, or did not end in time: how
// it ended is for Autobahn to judge.
type visit func(ctx context.Context, path string, back func(p []byte) bool) error

// fuzzingServer has Autobahn's server test a client of ours. way returns what visits
// the server, of which it gets host and port.
func fuzzingServer(way func(t *testing.T, p pairing, authority string) visit) func(*testing.T, pairing, []string) autobahnIndex {
	return func(t *testing.T, p pairing, cases []string) autobahnIndex {
		python := need(t, p.row, autobahnPython)
		ctx, cancel := context.WithTimeout(t.Context(), autobahnPatience)
		defer cancel()
		file, reports := specification(t, cases, map[string]any{"url": "ws://127.0.0.1:9001"})
		server := start(t, nil, python, script(t, "autobahn_server.py"), "-m", "fuzzingserver", "--webport", "0", "-s", file)
		port := server.line(t, "listening ")
		wantLoopbackOnly(t, port)
		v := way(t, p, net.JoinHostPort("127.0.0.1", port))

		var count int
		v.ask(ctx, t, "/getCaseCount", &count)
		for n := range count {
			number := fmt.Sprintf("?agent=%s&case=%d", agent, n+1)
			if err := v(ctx, "/runCase"+number, func([]byte) bool { return true }); err != nil {
				t.Fatalf("case %d: %v", n+1, err)
			}
			var result struct{ Behavior string }
			v.ask(ctx, t, "/getCaseStatus"+number, &result) // answered when there is one
		}
		if err := v(ctx, "/updateReports?agent="+agent, func([]byte) bool { return false }); err != nil {
			t.Fatal(err)
		}
		return readAutobahn(t, reports)
	}
}

// autobahnPython is the Python that Autobahn is installed for.
var autobahnPython = tool{"Autobahn", filepath.Join(filepath.Dir(wstestTool.path), "python")}

// ask visits a path whose one message is JSON, and stores that.
func (v visit) ask(ctx context.Context, t *testing.T, path string, answer any) {
	t.Helper()
	var message []byte
	err := v(ctx, path, func(p []byte) bool {
		message = append(message, p...)
		return false
	})
	if err == nil {
		err = json.Unmarshal(message, answer)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// wantLoopbackOnly checks that a port of loopback's first address is not one of every
// address.
func wantLoopbackOnly(t *testing.T, port string) {
	t.Helper()
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		t.Fatal(err)
	}
	nc, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.2", port), time.Second)
	if err == nil {
		_ = nc.Close()
		t.Fatal("Autobahn's server listens on every interface")
	}
}
