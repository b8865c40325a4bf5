package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// A report is the outcome of a run.
type report struct {
	Environment     environment `json:"environment"`
	Notes           []string    `json:"notes,omitempty"`
	Rounds          int         `json:"rounds"`
	DurationSeconds float64     `json:"duration_seconds"` // of a sample
	Rows            []rowResult `json:"rows"`
}

// A rowResult is a row with a cell for each server.
type rowResult struct {
	row
	Unit  string `json:"unit"` // of the samples
	Cells []cell `json:"cells"`
}

// A cell is what was measured of one server under one load.
type cell struct {
	Server  string    `json:"server"`
	Samples []float64 `json:"samples"` // in the order in which they were taken
	Error   string    `json:"error,omitempty"`
}

// value returns the median of c's samples, and whether c has a value.
func (c cell) value() (float64, bool) {
	if c.Error != "" || len(c.Samples) == 0 {
		return 0, false
	}
	return median(c.Samples), true
}

// value returns the value of server's cell, and whether it has one.
func (r rowResult) value(server string) (float64, bool) {
	for _, c := range r.Cells {
		if c.Server == server {
			return c.value()
		}
	}
	return 0, false
}

// spread is the distance of the highest from the lowest sample as a part of the
// median, of the cell where it is largest.
func (r rowResult) spread() float64 {
	var spread float64
	for _, c := range r.Cells {
		if m, ok := c.value(); ok && m != 0 {
			spread = max(spread, (slices.Max(c.Samples)-slices.Min(c.Samples))/m)
		}
	}
	return spread
}

// text returns the report for people: what ran where, and a table.
func (r *report) text() string {
	var b strings.Builder
	b.WriteString(r.Environment.text())
	fmt.Fprintf(&b, "%-11s median of %d, %gs each (idle: of at most %d)\n", "samples", r.Rounds, r.DurationSeconds, maxIdleRounds)
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "%-11s %s\n", "note", note)
	}
	b.WriteString("\n" + formatTable(r.table()) + "\n")
	if len(r.compared()) > 0 {
		b.WriteString("÷ is wasock's figure by the other's: for speed above 1 is better, for memory below 1.\n")
	}
	b.WriteString("Spread is highest less lowest sample, by the median, in the cell of the row where it is largest.\n")
	if err := r.failures(); err != nil {
		fmt.Fprintf(&b, "\n%v\n", err)
	}
	return b.String()
}

// table returns the cells of the table, the heading first.
func (r *report) table() [][]string {
	if len(r.Rows) == 0 {
		return nil
	}
	compared := r.compared()
	heading := []string{"", "unit"}
	for _, c := range r.Rows[0].Cells {
		heading = append(heading, c.Server)
	}
	for _, name := range compared {
		heading = append(heading, "÷"+name)
	}
	table := [][]string{append(heading, "spread")}
	for _, row := range r.Rows {
		unit, scale := row.tableUnit()
		line := []string{row.label(), unit}
		for _, c := range row.Cells {
			if v, ok := c.value(); ok {
				line = append(line, significant(v/scale))
			} else if c.Error == "" {
				line = append(line, "–")
			} else {
				line = append(line, "failed")
			}
		}
		wasock, measured := row.value("wasock")
		for _, name := range compared {
			other, ok := row.value(name)
			if !measured || !ok || other == 0 {
				line = append(line, "–")
				continue
			}
			line = append(line, fmt.Sprintf("%.2f", wasock/other))
		}
		table = append(table, append(line, fmt.Sprintf("%.0f%%", 100*row.spread())))
	}
	return table
}

// compared returns the servers that wasock is put in relation to: the libraries
// that were measured, if wasock was.
func (r *report) compared() []string {
	if len(r.Rows) == 0 || !slices.ContainsFunc(r.Rows[0].Cells, func(c cell) bool { return c.Server == "wasock" }) {
		return nil
	}
	var names []string
	for _, c := range r.Rows[0].Cells {
		if c.Server != "wasock" && c.Server != "tcp" {
			names = append(names, c.Server)
		}
	}
	return names
}

// formatTable aligns columns, the first two to the left and figures to the right.
func formatTable(table [][]string) string {
	var widths []int
	for _, line := range table {
		for i, s := range line {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(s))
		}
	}
	var b strings.Builder
	for _, line := range table {
		var out strings.Builder
		for i, s := range line {
			if i > 0 {
				out.WriteString("  ")
			}
			padding := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(s))
			if i < 2 {
				out.WriteString(s + padding)
			} else {
				out.WriteString(padding + s)
			}
		}
		b.WriteString(strings.TrimRight(out.String(), " ") + "\n")
	}
	return b.String()
}

// json returns the report for programs.
func (r *report) json() ([]byte, error) {
	b, err := json.MarshalIndent(r, "", "\t")
	return append(b, '\n'), err
}

// benchfmt returns every sample as a line of Go's benchmark format, for
// benchstat. https://go.dev/design/14313-benchmark-format
func (r *report) benchfmt() string {
	var b strings.Builder
	b.WriteString(r.Environment.benchfmt())
	b.WriteString("Unit msgs/s better=higher\nUnit handshakes/s better=higher\nUnit B/conn better=lower\n")
	for _, row := range r.Rows {
		for _, c := range row.Cells {
			for _, sample := range c.Samples {
				fmt.Fprintf(&b, "%s 1 %.0f %s\n", row.benchmarkName(c.Server), sample, row.Unit)
			}
		}
	}
	return b.String()
}

// failures returns an error that names every cell without a value, nil if all
// have one.
func (r *report) failures() error {
	var errs []error
	for _, row := range r.Rows {
		for _, c := range row.Cells {
			if c.Error != "" {
				errs = append(errs, fmt.Errorf("%s, %s: %s", row.Name, c.Server, c.Error))
			}
		}
	}
	return errors.Join(errs...)
}

// median returns the middle of samples, or the mean of the two in the middle.
// There must be one.
func median(samples []float64) float64 {
	sorted := slices.Sorted(slices.Values(samples))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

// significant writes v with three significant digits, and all of its integer part.
func significant(v float64) string {
	switch {
	case v < 0.9995:
		return fmt.Sprintf("%.3f", v)
	case v < 9.995:
		return fmt.Sprintf("%.2f", v)
	case v < 99.95:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}
