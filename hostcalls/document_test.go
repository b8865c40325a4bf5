package hostcalls

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A docTable is a table of ABI.md: the cells of its rows, the heading first.
type docTable [][]string

// documentTables returns the tables of ABI.md.
func documentTables(t *testing.T) (tables []docTable) {
	t.Helper()
	b, err := os.ReadFile("ABI.md")
	if err != nil {
		t.Fatal(err)
	}
	var table docTable
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			if table != nil {
				tables, table = append(tables, table), nil
			}
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if strings.Trim(cells[0], "-") != "" || cells[0] == "" {
			table = append(table, cells)
		}
	}
	if table != nil {
		tables = append(tables, table)
	}
	return tables
}

func unquote(s string) string { return strings.Trim(s, "`") }

// documentSurface returns what the tables of ABI.md say, in the lines of
// surface.golden, except for its order.
func documentSurface(t *testing.T) []string {
	t.Helper()
	lines := []string{"module " + Module}
	recordHeading := regexp.MustCompile("^`(\\w+)`, (\\d+) bytes$")
	for _, table := range documentTables(t) {
		head := table[0]
		record := recordHeading.FindStringSubmatch(head[min(2, len(head)-1)])
		switch {
		case head[0] == "export" || head[0] == "hostcall":
			for _, row := range table[1:] {
				lines = append(lines, documentFunction(head[0], row))
			}
		case head[0] == "value":
			for _, row := range table[1:] {
				v, err := strconv.ParseUint(row[0], 0, 32)
				if err != nil {
					t.Errorf("ABI.md: %s: %v", head[1], err)
				}
				if head[1] == "`errno`" {
					lines = append(lines, fmt.Sprintf("errno %s = %d", unquote(row[1]), v))
				} else {
					lines = append(lines, fmt.Sprintf("constant %s.%s = %#x", unquote(head[1]), unquote(row[1]), v))
				}
			}
		case record != nil:
			lines = append(lines, fmt.Sprintf("record %s, %s bytes", record[1], record[2]))
			for _, row := range table[1:] {
				name := unquote(row[2])
				if row[1] == "bytes" {
					lines = append(lines, fmt.Sprintf("%s\t… bytes %s of %s", record[1], name, lengthField(name)))
				} else {
					lines = append(lines, fmt.Sprintf("%s\t%s %s %s", record[1], row[0], row[1], name))
				}
			}
		default:
			t.Errorf("ABI.md: a table with the heading %q says nothing of the surface", head)
		}
	}
	return lines
}

func documentFunction(what string, row []string) string {
	s := fmt.Sprintf("%s %s(%s) %s", what, unquote(row[0]), row[1], row[2])
	for _, e := range strings.Fields(row[3]) {
		sign := "-"
		if row[2] == "errno" {
			sign = ""
		}
		s += " " + sign + unquote(e)
	}
	return s
}

func TestDocumentNamesTheSurface(t *testing.T) {
	var want []string
	record := ""
	for line := range strings.Lines(string(printSurface(ABI()))) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "record "); ok {
			record, _, _ = strings.Cut(rest, ",")
		}
		if strings.HasPrefix(line, "\t") {
			line = record + line
		}
		want = append(want, line)
	}
	got := documentSurface(t)
	for _, line := range missing(want, got) {
		t.Errorf("ABI.md does not say: %s", line)
	}
	for _, line := range missing(got, want) {
		t.Errorf("ABI.md says, and the surface does not: %s", line)
	}
}

// missing returns the lines of a that b lacks.
func missing(a, b []string) []string {
	set := map[string]int{}
	for _, line := range a {
		set[line]++
	}
	for _, line := range b {
		if set[line]--; set[line] == 0 {
			delete(set, line)
		}
	}
	maps.DeleteFunc(set, func(_ string, n int) bool { return n < 0 })
	return slices.Sorted(maps.Keys(set))
}

// TestDocumentRules: what ABI.md says in its sentences with a number in them.
func TestDocumentRules(t *testing.T) {
	b, err := os.ReadFile("ABI.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, sentence := range []string{
		fmt.Sprintf("# The engine ABI, version %d\n", Version),
		fmt.Sprintf("imports these from `%s`", Module),
		fmt.Sprintf("| `magic` | %#x, \"WOCK\" |", Magic),
		fmt.Sprintf("| `event_size` | bytes of one, %d |", EventSize),
		fmt.Sprintf("before its payload, %d |", SendHeaderSize),
		fmt.Sprintf("Code %d sends none", NoStatus),
	} {
		if !strings.Contains(string(b), sentence) {
			t.Errorf("ABI.md does not say %q", sentence)
		}
	}
}
