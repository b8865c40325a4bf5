package peers

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/wasock/wasock/host"
)

// autobahnPatience is how long the suite may take. It takes about a minute.
const autobahnPatience = 15 * time.Minute

// informational are Autobahn's cases without a right answer.
var informational = []string{"7.1.6", "7.13.1", "7.13.2"}

// autobahnCases is how many cases the sections have that we run: all but
// compression's.
const autobahnCases = 301

// An autobahnCase is what Autobahn says of a case in its index.
type autobahnCase struct {
	Behavior      string `json:"behavior"`
	BehaviorClose string `json:"behaviorClose"`
}

// TestAutobahnOverHTTP2 has Autobahn's client test wasock echo through HAProxy, which
// makes an Extended CONNECT of its HTTP/1.1. Every case is OK but those without a
// right answer. What was found is written to results.
func TestAutobahnOverHTTP2(t *testing.T) {
	const row = "autobahn, haproxy, HTTP/2 behind: server"
	wstest, proxy := need(t, row, wstestTool), need(t, row, haproxyTool)
	creds := newCredentials(t)

	// HAProxy offers h2 alone to our server, so it is HTTP/2 or nothing. Section 9 has
	// messages of 16 MiB, and one of 65,536 fragments.
	ours := startEcho(t, creds, "--message-limit", "64MiB", "--part-limit", "1000000")
	port, dir := freePort(t), t.TempDir()
	front := fmt.Sprintf("ws://%s/", address(port))
	file := write(t, dir, "haproxy.cfg", []byte(haproxy("", "ssl verify required ca-file CA alpn h2 ws h2")(dir, port, ours, creds)))
	start(t, nil, proxy, haproxyArgs(dir, file)...).accepts(t, port)

	reports := filepath.Join(dir, "reports")
	specification, err := json.Marshal(map[string]any{
		"outdir": reports, "servers": []map[string]string{{"agent": "wasock", "url": front}},
		"cases":         []string{"1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*"},
		"exclude-cases": []string{}, "exclude-agent-cases": map[string]string{},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), autobahnPatience)
	defer cancel()
	if err := start(t, nil, wstest, "-m", "fuzzingclient", "-s", write(t, dir, "fc.json", specification)).wait(ctx); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(reports, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index map[string]map[string]autobahnCase
	if err := json.Unmarshal(text, &index); err != nil {
		t.Fatal(err)
	}
	judgeAutobahn(t, row, index["wasock"])
}

// judgeAutobahn checks every case, and writes the summary.
func judgeAutobahn(t *testing.T, row string, cases map[string]autobahnCase) {
	t.Helper()
	summary := struct {
		Suite         string            `json:"suite"`
		Cases         int               `json:"cases"`
		Behavior      map[string]int    `json:"behavior"`
		BehaviorClose map[string]int    `json:"behaviorClose"`
		NotOK         map[string]string `json:"notOK"`
	}{"autobahntestsuite 25.10.1, fuzzingclient, over HTTP/2 through HAProxy", len(cases), map[string]int{}, map[string]int{}, map[string]string{}}
	if len(cases) != autobahnCases {
		t.Errorf("Autobahn has run %d cases, want %d", len(cases), autobahnCases)
	}
	p := pairing{row, column{false, host.HTTP2}}
	for name, c := range cases {
		summary.Behavior[c.Behavior]++
		summary.BehaviorClose[c.BehaviorClose]++
		want := "OK"
		if slices.Contains(informational, name) {
			want = "INFORMATIONAL"
		}
		var err error
		if c.Behavior != want || c.BehaviorClose != "OK" && c.BehaviorClose != want {
			err = fmt.Errorf("behavior %s, close %s, want %s", c.Behavior, c.BehaviorClose, want)
		}
		if c.Behavior != "OK" || c.BehaviorClose != "OK" {
			summary.NotOK[name] = c.Behavior + ", close " + c.BehaviorClose
		}
		p.settle(t, name, err)
	}
	text, err := json.MarshalIndent(summary, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	write(t, "results", "autobahn-http2.json", append(text, '\n'))
}
