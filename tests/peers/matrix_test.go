package peers

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/wasock/wasock/host"
)

// A column is what carries a connection.
type column struct {
	secure  bool
	version host.HTTPVersion
}

var (
	columns        = []column{{false, host.HTTP1}, {true, host.HTTP1}, {false, host.HTTP2}, {true, host.HTTP2}}
	overHTTP1      = []column{{false, host.HTTP1}, {true, host.HTTP1}}
	encryptedHTTP2 = []column{{false, host.HTTP1}, {true, host.HTTP1}, {true, host.HTTP2}} // none in the clear
)

func (c column) scheme() string {
	if c.secure {
		return "wss"
	}
	return "ws"
}

// String is the column's name in the matrix and, without a slash, in a test's.
func (c column) String() string {
	if c.version == host.HTTP2 {
		return c.scheme() + " HTTP2"
	}
	return c.scheme() + " HTTP1"
}

// A matrix is what became of each pairing.
type matrix struct {
	mu    sync.Mutex
	rows  []string // in the order in which they were run
	cells map[string]map[column]tally
	not   map[string]bool // rows that were not run
	notes []string
}

type tally struct{ ok, failed, cannot, known int }

// add makes sure that there is a row.
func (m *matrix) add(row string) map[column]tally {
	if m.cells == nil {
		m.cells = make(map[string]map[column]tally)
	}
	if m.cells[row] == nil {
		m.rows = append(m.rows, row)
		m.cells[row] = make(map[column]tally)
	}
	return m.cells[row]
}

func (m *matrix) record(row string, at column, f func(n *tally)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	cells := m.add(row)
	n := cells[at]
	f(&n)
	cells[at] = n
}

// notRun says why a row was not run.
func (m *matrix) notRun(row, reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add(row)
	if m.not == nil {
		m.not = make(map[string]bool)
	}
	m.not[row] = true
	m.note(row + ": not run: " + reason)
}

// lacks says why a row has not all columns.
func (m *matrix) lacks(row, reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.note(row + ": " + reason)
}

// note adds a line below the table, once.
func (m *matrix) note(line string) {
	if !slices.Contains(m.notes, line) {
		m.notes = append(m.notes, line)
	}
}

// cannot says why a conversation of a row was not held.
func (m *matrix) cannot(row, conversation, reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.note(row + ": cannot: " + conversation + ": " + reason)
}

// String returns a table with the conversations that were held in each pairing,
// and below it why others were not.
func (m *matrix) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.rows) == 0 {
		return ""
	}
	var b strings.Builder
	var sum tally
	fmt.Fprintf(&b, "\n%-46s", "peer, and what we are")
	for _, c := range columns {
		fmt.Fprintf(&b, "  %-14s", c)
	}
	b.WriteByte('\n')
	for _, row := range m.rows {
		line := fmt.Sprintf("%-46s", row)
		for _, c := range columns {
			n := m.cells[row][c]
			said := n.String()
			if m.not[row] {
				said = "not run"
			}
			line += fmt.Sprintf("  %-14s", said)
			sum.ok += n.ok
			sum.failed += n.failed
			sum.cannot += n.cannot
			sum.known += n.known
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	fmt.Fprintf(&b, "%d conversations passed, %d failed, %d failed as known; %d that the peer has no way to hold\n",
		sum.ok, sum.failed, sum.known, sum.cannot)
	for _, note := range m.notes {
		b.WriteString("  " + note + "\n")
	}
	return b.String()
}

// String is a dash where nothing was to be run.
func (n tally) String() string {
	switch {
	case n.failed > 0:
		return fmt.Sprintf("FAILED %d of %d", n.failed, n.failed+n.ok+n.known)
	case n.known > 0:
		return fmt.Sprintf("ok %d, known %d", n.ok, n.known)
	case n.ok > 0:
		return fmt.Sprintf("ok %d", n.ok)
	}
	return "-"
}
