package main

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write the golden files")

// What differs from run to run: times, ports that were taken, the cipher that
// the CPU is best at, and paths.
var varying = []struct {
	re *regexp.Regexp
	to string
}{
	{regexp.MustCompile(`(?m)^ *\d+\.\d\d  `), "    TIME  "},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "127.0.0.1:PORT"},
	{regexp.MustCompile(`TLS_[A-Z0-9_]+`), "CIPHER"},
	{regexp.MustCompile(`(?m)^( +)\S+ connect`), "${1}wasock connect"},
	{regexp.MustCompile(`--ca \S+`), "--ca FILE"},
}

func TestDemo(t *testing.T) {
	r := start(t, "demo")
	var b strings.Builder
	for {
		line := r.line(t)
		if n := utf8.RuneCountInString(line); n > 80 && !strings.Contains(line, os.TempDir()) {
			t.Errorf("%d columns: %q", n, line)
		}
		b.WriteString(line + "\n")
		if strings.HasPrefix(line, "Ctrl-C") {
			break
		}
	}
	r.stop()
	if code := r.exit(t); code != exitOK {
		t.Errorf("exit code %d: %s", code, r.stderr)
	}
	got := b.String()
	for _, v := range varying {
		got = v.re.ReplaceAllString(got, v.to)
	}
	const golden = "testdata/demo.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the demonstration shows\n%s\nwant\n%s", got, want)
	}
}

// Every prefix of a frame or a head is "need more".
func TestConsumeUnits(t *testing.T) {
	for _, wire := range []string{
		"\x81\x00",
		"\x89\x85\x01\x02\x03\x04\x69\x67\x6f\x68\x6e", // masked "hello"
		"\x82\x7e\x00\x7e" + strings.Repeat("x", 126),
		"\x02\x7f\x00\x00\x00\x00\x00\x01\x00\x00" + strings.Repeat("x", 65536),
	} {
		step := max(1, len(wire)/100)
		for n := 0; n < len(wire); n += step {
			if _, used := consumeFrame([]byte(wire[:n])); used != 0 {
				t.Fatalf("% .16x: %d of %d bytes are taken for a frame", wire, n, len(wire))
			}
		}
		u, used := consumeFrame([]byte(wire + "next"))
		if used != len(wire) {
			t.Errorf("% .16x: %d of %d bytes used", wire, used, len(wire))
		}
		if u.masked && string(u.payload) != "hello" {
			t.Errorf("unmasked is %q", u.payload)
		}
	}
	head := "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	if u, n := consumeHead([]byte(head + "\x81\x00")); n != len(head) || u.head != "GET / HTTP/1.1" {
		t.Errorf("the head is %q, %d bytes", u.head, n)
	}
	if _, n := consumeHead([]byte(head[:len(head)-1])); n != 0 {
		t.Error("half a head is taken for one")
	}
}
