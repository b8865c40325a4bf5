package interop

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A matrix is what became of each conversation, by library and role.
type matrix struct {
	conversations []string
	number        string // what a cell's number is

	mu    sync.Mutex
	cells map[cell]tally
	notes []string
}

type cell struct{ conversation, library, role string }

type tally struct{ passed, skipped, failed int }

func (m *matrix) record(conversation, library, role string, t *testing.T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cells == nil {
		m.cells = make(map[cell]tally)
	}
	at := cell{conversation, library, role}
	n := m.cells[at]
	switch {
	case t.Failed():
		n.failed++
	case t.Skipped():
		n.skipped++
	default:
		n.passed++
	}
	m.cells[at] = n
}

// note adds a line below the table, once.
func (m *matrix) note(line string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Contains(m.notes, line) {
		m.notes = append(m.notes, line)
	}
}

// String returns a table: for each library a column for each role, in it how often
// the conversation passed, - for skipped, F for failed.
func (m *matrix) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b strings.Builder
	var sum tally
	for i, r := range roles {
		fmt.Fprintf(&b, "%d: we are %s\n", i+1, r.name)
	}
	fmt.Fprintf(&b, "%-48s", "\nconversation ("+m.number+", - skipped)")
	for _, lib := range libraries {
		fmt.Fprintf(&b, "  %-*s", 3*len(roles), lib.name)
	}
	fmt.Fprintf(&b, "\n%-48s", "")
	for range libraries {
		b.WriteString("  ")
		for i := range roles {
			fmt.Fprintf(&b, "%-3d", i+1)
		}
	}
	for _, conv := range m.conversations {
		fmt.Fprintf(&b, "\n%-48s", conv)
		for _, lib := range libraries {
			b.WriteString("  ")
			for _, r := range roles {
				n := m.cells[cell{conv, lib.name, r.name}]
				fmt.Fprintf(&b, "%-3s", n)
				sum.passed += n.passed
				sum.skipped += n.skipped
				sum.failed += n.failed
			}
		}
	}
	fmt.Fprintf(&b, "\n%d passed, %d skipped, %d failed", sum.passed, sum.skipped, sum.failed)
	for _, note := range m.notes {
		b.WriteString("\n  " + note)
	}
	return b.String()
}

func (n tally) String() string {
	switch {
	case n.failed > 0:
		return "F"
	case n.passed == 0 && n.skipped > 0:
		return "-"
	case n.passed == 0:
		return " "
	}
	return fmt.Sprint(n.passed)
}
