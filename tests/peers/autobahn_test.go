package peers

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/wasock/wasock/host"
)

// An autobahnColumn is an end of ours as Autobahn tests it.
type autobahnColumn struct {
	name string // of its file in results, and of its test
	pairing
	reach string // what is tested, and how Autobahn comes to it, in words
	test  func(t *testing.T, p pairing, cases []string) autobahnIndex

	classes   []int // of sections 12 and 13 that are run: see deflateGroups
	threshold int   // from how many bytes on the end compresses a message
}

var autobahnColumns = []autobahnColumn{
	{
		name: "server-wazero", pairing: pairing{"autobahn: server", column{false, host.HTTP1}},
		reach: "wasock echo", test: fuzzingClient(echoAlone), classes: shortClasses, threshold: echoThreshold,
	},
	{
		name: "client-wazero", pairing: pairing{"autobahn: client", column{false, host.HTTP1}},
		reach: "host.Dial", test: fuzzingServer(visitAlone), classes: shortClasses, threshold: 1,
	},
	{
		name: "server-wazero-http2", pairing: pairing{"autobahn: server", column{true, host.HTTP2}},
		reach: "wasock echo over HTTP/2, through HAProxy", test: fuzzingClient(echoBehindHAProxy), classes: oneClass, threshold: echoThreshold,
	},
	{
		name: "client-wazero-http2", pairing: pairing{"autobahn: client", column{true, host.HTTP2}},
		reach: "host.Dial over HTTP/2, through HAProxy", test: fuzzingServer(visitThroughHAProxy), classes: oneClass, threshold: 1,
	},
	{
		name: "server-native", pairing: pairing{"autobahn: server, native protocol", column{false, host.HTTP1}},
		reach: "tests/native", test: fuzzingClient(serveNative), classes: oneClass, threshold: 1,
	},
	{
		name: "client-native", pairing: pairing{"autobahn: client, native protocol", column{false, host.HTTP1}},
		reach: "tests/native", test: fuzzingServer(visitNative), classes: oneClass, threshold: 1,
	},
}

// autobahnAll is set to have all 517 cases run, in server-wazero and client-wazero
// only. That takes about an hour.
var autobahnAll = os.Getenv("WASOCK_AUTOBAHN") == "all"

// echoThreshold is wasock echo's, which is that of package host.
const echoThreshold = 64

// withoutDeflate are the sections but those of compression, as patterns. Autobahn has
// a pattern for the beginning of a name.
var withoutDeflate = []string{"1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*"}

// How many cases match withoutDeflate, and how many there are.
const (
	casesWithoutDeflate = 301
	casesInAll          = 517
)

// Sections 12 and 13 are permessage-deflate: 12.x.y has five kinds of data, 13.x.y
// seven offers. y is the size class of the thousand messages of a case:
//
//	1 to 10    16 B, 64 B, 256 B, 1 KiB, 4 KiB, … each twice the one before, 128 KiB
//	11 to 15   8 KiB to 128 KiB, in fragments of 256 B
//	16 to 18   128 KiB, in fragments of 1 KiB, 4 KiB, 32 KiB
var deflateGroups = []struct{ section, groups int }{{12, 5}, {13, 7}}

// The size classes that are run. The others take most of an hour, since Autobahn is in
// Python, and the one class half a minute.
var (
	shortClasses = []int{1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13}
	oneClass     = []int{11}
)

// cases returns the patterns of the cases to run, and how many cases these are. skip
// is why the column is not run at all.
func (c *autobahnColumn) cases() (patterns []string, count int, skip string) {
	if autobahnAll {
		if len(c.classes) < len(shortClasses) {
			return nil, 0, "all cases are run under wazero over HTTP/1.1 only"
		}
		return []string{"*"}, casesInAll, ""
	}
	patterns = append(patterns, withoutDeflate...)
	for _, d := range deflateGroups {
		for group := range d.groups {
			for _, class := range c.classes {
				patterns = append(patterns, fmt.Sprintf("%d.%d.%d", d.section, group+1, class))
			}
		}
	}
	return patterns, casesWithoutDeflate + len(patterns) - len(withoutDeflate), ""
}

// informational are the cases without a right answer, and why they have none. All
// others are OK.
var informational = map[string]string{
	"7.1.6":  "a Close frame behind 256 KiB: whether what came before is echoed is up to either end",
	"7.13.1": "a close code over 4999 has no meaning that RFC 6455 says",
	"7.13.2": "a close code over 4999 has no meaning that RFC 6455 says",
}

// TestAutobahn has Autobahn test our ends, and writes what it found to results.
func TestAutobahn(t *testing.T) {
	for _, c := range autobahnColumns {
		t.Run(c.name, func(t *testing.T) {
			patterns, count, skip := c.cases()
			if skip != "" {
				t.Skip(skip)
			}
			t.Parallel()
			found := c.test(t, c.pairing, patterns)
			c.judge(t, found, count)
			c.summarise(t, found)
		})
	}
}

// judge checks every case, and that they are as many as they should be.
func (c *autobahnColumn) judge(t *testing.T, found autobahnIndex, count int) {
	t.Helper()
	if len(found) != count {
		t.Errorf("Autobahn has run %d cases, want %d", len(found), count)
	}
	for name, one := range found {
		c.settle(t, name, one.check(name, c.threshold))
	}
}

// check checks a case of an end that compresses messages from threshold bytes on.
func (one *autobahnCase) check(name string, threshold int) error {
	want := "OK"
	if informational[name] != "" {
		want = "INFORMATIONAL"
	}
	// Where there is no right answer there need be none to what ended it.
	if one.Behavior != want || one.BehaviorClose != "OK" && one.BehaviorClose != want {
		return fmt.Errorf("behavior %s, close %s, want %s", one.Behavior, one.BehaviorClose, want)
	}
	if one.Traffic == nil {
		if deflateCase(name) {
			return errors.New("it does not say how long the messages were on the wire")
		}
		return nil
	}
	// Autobahn takes a message that is not compressed for as good an answer.
	size, plain := one.Traffic.Application/max(1, one.Traffic.Messages), one.Traffic.compressed() == 0
	if wantPlain := size < threshold; plain != wantPlain {
		return fmt.Errorf("%d messages of %d bytes came back as %d bytes, with a threshold of %d: not compressed %t, want %t",
			one.Traffic.Messages, size, one.Traffic.Payload, threshold, plain, wantPlain)
	}
	return nil
}

// summarise writes what was found to results.
func (c *autobahnColumn) summarise(t *testing.T, found autobahnIndex) {
	t.Helper()
	summary := struct {
		Suite         string            `json:"suite"`
		Tested        string            `json:"tested"`
		Cases         int               `json:"cases"`
		Behavior      map[string]int    `json:"behavior"`
		BehaviorClose map[string]int    `json:"behaviorClose"`
		Compressed    int               `json:"compressed"` // cases in which our messages were
		NotOK         map[string]string `json:"notOK"`
	}{"autobahntestsuite 25.10.1", c.row + ": " + c.reach, len(found), map[string]int{}, map[string]int{}, 0, map[string]string{}}
	for name, one := range found {
		summary.Behavior[one.Behavior]++
		summary.BehaviorClose[one.BehaviorClose]++
		if one.Traffic.compressed() != 0 {
			summary.Compressed++
		}
		if one.Behavior != "OK" || one.BehaviorClose != "OK" {
			summary.NotOK[name] = one.Behavior + ", close " + one.BehaviorClose
		}
	}
	text, err := json.MarshalIndent(summary, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	name := "autobahn-" + c.name + ".json"
	if autobahnAll {
		name = "autobahn-all-" + c.name + ".json"
	}
	write(t, "results", name, append(text, '\n'))
}

// TestAutobahnVerdicts: a column fails for whatever Autobahn says that is not expected.
func TestAutobahnVerdicts(t *testing.T) {
	traffic := func(size, payload int) *autobahnTraffic { return &autobahnTraffic{1000, 1000 * size, payload} }
	for _, test := range []struct {
		says, name string
		one        autobahnCase
		ok         bool
	}{
		{"OK", "1.1.1", autobahnCase{Behavior: "OK", BehaviorClose: "OK"}, true},
		{"late", "6.4.1", autobahnCase{Behavior: "NON-STRICT", BehaviorClose: "OK"}, false},
		{"a wrong close", "7.7.1", autobahnCase{Behavior: "OK", BehaviorClose: "UNCLEAN"}, false},
		{"no compression", "12.1.2", autobahnCase{Behavior: "UNIMPLEMENTED", BehaviorClose: "OK"}, false},
		{"no right answer", "7.1.6", autobahnCase{Behavior: "INFORMATIONAL", BehaviorClose: "INFORMATIONAL"}, true},
		{"no right answer, and it ended well", "7.13.1", autobahnCase{Behavior: "INFORMATIONAL", BehaviorClose: "OK"}, true},
		{"no right answer, and it ended badly", "7.13.1", autobahnCase{Behavior: "INFORMATIONAL", BehaviorClose: "FAILED"}, false},
		{"a right answer where there is none", "7.13.2", autobahnCase{Behavior: "OK", BehaviorClose: "OK"}, false},
		{"no right answer where there is one", "7.1.5", autobahnCase{Behavior: "INFORMATIONAL", BehaviorClose: "OK"}, false},
		{"compressed", "12.1.2", autobahnCase{Behavior: "OK", BehaviorClose: "OK", Traffic: traffic(64, 7804)}, true},
		{"compressed, and longer", "12.2.2", autobahnCase{Behavior: "OK", BehaviorClose: "OK", Traffic: traffic(64, 64100)}, true},
		{"not compressed", "12.1.2", autobahnCase{Behavior: "OK", BehaviorClose: "OK", Traffic: traffic(64, 64000)}, false},
		{"not compressed below the threshold", "12.1.1", autobahnCase{Behavior: "OK", BehaviorClose: "OK", Traffic: traffic(16, 16000)}, true},
		{"compressed below the threshold", "12.1.1", autobahnCase{Behavior: "OK", BehaviorClose: "OK", Traffic: traffic(16, 15000)}, false},
		{"no word of its traffic", "13.7.8", autobahnCase{Behavior: "OK", BehaviorClose: "OK"}, false},
	} {
		if err := test.one.check(test.name, echoThreshold); (err == nil) != test.ok {
			t.Errorf("%s: a case that says %s: got %v, want that it passes %t", test.name, test.says, err, test.ok)
		}
	}
}
