package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

// A suite measures the rows of a config.
type suite struct {
	cfg      *config
	rows     []row // as cfg's, within the limits of this machine
	notes    []string
	progress io.Writer
}

// newSuite raises the file limit if a row needs it, and fits the idle row to it.
func newSuite(cfg *config, progress io.Writer) (*suite, error) {
	s := &suite{cfg: cfg, rows: slices.Clone(cfg.rows), notes: slices.Clone(cfg.notes), progress: progress}
	for i := range s.rows {
		r := &s.rows[i]
		if r.Kind != idleRow {
			continue
		}
		r.Conns = cfg.idleConns
		limit, err := raiseFileLimit(uint64(cfg.idleConns) + reservedFiles)
		if err != nil {
			return nil, err
		}
		if room := int(limit) - reservedFiles; room < r.Conns {
			r.Conns = max(room, 1)
			s.notes = append(s.notes, fmt.Sprintf("idle memory is of %d connections, not %d: a process may open %d files here", r.Conns, cfg.idleConns, limit))
		}
	}
	return s, nil
}

// run measures every row, in order. What fails is in the cell where it failed.
// When ctx is done it returns what there is.
func (s *suite) run(ctx context.Context) []rowResult {
	var results []rowResult
	for _, r := range s.rows {
		if ctx.Err() != nil {
			break
		}
		results = append(results, s.measureRow(ctx, r))
	}
	return results
}

// measureRow takes the samples of a row, in rounds over the servers, so that
// what else happens on the machine meets all of them. Each round begins with
// another server, so that none is always first.
//
// Servers live as long as the row; those of the idle row as long as a sample,
// because memory that was needed once stays.
func (s *suite) measureRow(ctx context.Context, r row) rowResult {
	result := rowResult{row: r, Unit: r.unit()}
	for _, c := range s.cfg.columns {
		result.Cells = append(result.Cells, cell{Server: c.name, Samples: []float64{}})
	}
	processes := make([]*process, len(s.cfg.columns))
	stop := func(i int) {
		if processes[i] != nil {
			processes[i].stop()
			processes[i] = nil
		}
	}
	defer func() {
		for i := range processes {
			stop(i)
		}
	}()

	rounds := s.cfg.rounds
	switch r.Kind {
	case idleRow:
		rounds = min(rounds, maxIdleRounds)
	case wireRow:
		rounds = 1 // the same each time
	}
	for round := range rounds {
		for turn := range processes {
			i := (round + turn) % len(processes)
			c := &result.Cells[i]
			if c.Error != "" || !r.loads(s.cfg.columns[i]) {
				continue
			}
			err := s.takeSample(ctx, r, s.cfg.columns[i], &processes[i], c)
			if ctx.Err() != nil {
				return result
			}
			if err != nil {
				c.Error = err.Error()
				fmt.Fprintf(s.progress, "%s, %s: %v\n", r.Name, c.Server, err)
			}
			if err != nil || r.Kind == idleRow {
				stop(i)
			}
		}
		s.reportProgress(result, round, rounds)
	}
	return result
}

// takeSample adds a sample to c. It starts *p if it is not running.
func (s *suite) takeSample(ctx context.Context, r row, col column, p **process, c *cell) error {
	if *p == nil {
		started, err := startProcess(ctx, col)
		if err != nil {
			return err
		}
		*p = started
	}
	value, err := s.measureCell(ctx, r, *p)
	if err != nil {
		return fmt.Errorf("%w%s", err, (*p).output)
	}
	c.Samples = append(c.Samples, value)
	return nil
}

func (s *suite) measureCell(ctx context.Context, r row, p *process) (float64, error) {
	w := window{warmup: s.cfg.warmup, duration: s.cfg.duration}
	switch r.Kind {
	case echoRow:
		return measureEcho(ctx, p.target, r, w)
	case handshakeRow:
		return measureHandshakes(ctx, p.target, r, w)
	case idleRow:
		return measureIdle(ctx, p, r, s.cfg.settle)
	case deflateRow:
		return measureDeflate(ctx, p.target, r, w)
	case wireRow:
		return measureWire(ctx, p.target, r)
	}
	panic("BUG: row kind " + string(r.Kind))
}

// reportProgress writes a line with the round's samples.
func (s *suite) reportProgress(result rowResult, round, rounds int) {
	unit, scale := result.tableUnit()
	var line strings.Builder
	fmt.Fprintf(&line, "%s %d/%d, %s:", result.Name, round+1, rounds, unit)
	for _, c := range result.Cells {
		if len(c.Samples) == round+1 {
			fmt.Fprintf(&line, "  %s %s", c.Server, significant(c.Samples[round]/scale))
		}
	}
	fmt.Fprintln(s.progress, line.String())
}
