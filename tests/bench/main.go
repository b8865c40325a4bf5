// Command bench measures WebSocket echo servers side by side: messages a
// second, opening handshakes a second and memory of an idle connection, for
// wasock, three native Go libraries and a TCP echo that is the limit for all.
//
// README.md says what each row and column means. Linux only: it reads /proc.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once

	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "bench: interrupted")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is the program without its process: args has no program name. The report
// goes to stdout, progress to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == "serve" {
		return runServe(args[1:], stdout, stderr)
	}
	cfg, err := parseConfig(args, stderr)
	if err != nil {
		return err
	}
	return measure(ctx, cfg, stdout, stderr)
}

// measure runs the suite and writes the reports that cfg asks for. The report
// is written even if some cells failed; the error says which.
func measure(ctx context.Context, cfg *config, stdout, stderr io.Writer) error {
	env, err := readEnvironment(ctx, cfg)
	if err != nil {
		return err
	}
	s, err := newSuite(cfg, stderr)
	if err != nil {
		return err
	}
	results := s.run(ctx)
	if err := ctx.Err(); err != nil {
		return err
	}

	rep := &report{Environment: env, Notes: s.notes, Rounds: cfg.rounds, DurationSeconds: cfg.duration.Seconds(), Rows: results}
	text := rep.text()
	if _, err := io.WriteString(stdout, text); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	files := []struct {
		name    string
		content func() ([]byte, error)
	}{
		{cfg.outFile, func() ([]byte, error) { return []byte(text), nil }},
		{cfg.jsonFile, rep.json},
		{cfg.benchfmtFile, func() ([]byte, error) { return []byte(rep.benchfmt()), nil }},
	}
	for _, f := range files {
		if f.name == "" {
			continue
		}
		b, err := f.content()
		if err != nil {
			return fmt.Errorf("encoding %s: %w", f.name, err)
		}
		if err := os.WriteFile(f.name, b, 0o644); err != nil {
			return fmt.Errorf("writing a report: %w", err)
		}
	}
	return rep.failures()
}
