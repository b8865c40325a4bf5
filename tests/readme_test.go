package tests

import (
	"os"
	"strings"
	"testing"
)

// The Go blocks of README.md are code that compiles: their lines stand in
// readme_blocks_test.go, one after the other. A line of only … stands for
// lines that are left out.
func TestREADMEBlocksCompile(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	examples, err := os.ReadFile("readme_blocks_test.go")
	if err != nil {
		t.Fatal(err)
	}
	compiled := "\n" + strings.Join(lines(string(examples)), "\n") + "\n"
	blocks := strings.Split(string(readme), "```go\n")[1:]
	if len(blocks) == 0 {
		t.Fatal("README.md has no Go block")
	}
	for _, block := range blocks {
		code, _, closed := strings.Cut(block, "```")
		if !closed {
			t.Fatalf("a block is not closed: %.60q", block)
		}
		for part := range strings.SplitSeq(strings.Join(lines(code), "\n"), "\n…\n") {
			for piece := range strings.SplitSeq(part, "\n\n") {
				if piece = strings.TrimSpace(piece); strings.HasPrefix(piece, "import _ ") {
					continue // host_test.go has it
				}
				if !strings.Contains(compiled, "\n"+piece+"\n") {
					t.Errorf("README.md shows code that is not compiled:\n%s", piece)
				}
			}
		}
	}
}

// lines are the lines of code without indentation. Blank lines stay.
func lines(code string) (all []string) {
	for line := range strings.SplitSeq(code, "\n") {
		all = append(all, strings.TrimSpace(line))
	}
	return all
}
