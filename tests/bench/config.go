package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// A config is what the command line asks for.
type config struct {
	duration time.Duration // measured time of one sample
	warmup   time.Duration // load before it that is not counted
	settle   time.Duration // see measureIdle
	rounds   int

	rows      []row
	columns   []column
	idleConns int
	notes     []string // for the reader of the report

	outFile, jsonFile, benchfmtFile string // "" for none
	args                            []string
}

// parseConfig reads args, without the program name. It writes usage and flag
// errors to stderr.
func parseConfig(args []string, stderr io.Writer) (*config, error) {
	cfg := &config{args: args}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.DurationVar(&cfg.duration, "duration", 2*time.Second, "measured `time` of one sample")
	fs.DurationVar(&cfg.warmup, "warmup", 300*time.Millisecond, "`time` of load before each sample that is not counted")
	fs.DurationVar(&cfg.settle, "settle", time.Second, "idle row: `time` for a server to become quiet, before and after it frees memory")
	fs.IntVar(&cfg.rounds, "rounds", 5, "samples of each cell; a cell is their median")
	fs.IntVar(&cfg.idleConns, "idle-conns", 10000, "idle row: `connections`, fewer if the file limit allows fewer")
	fs.StringVar(&cfg.outFile, "out", "", "write the report to this `file` too")
	fs.StringVar(&cfg.jsonFile, "json", "", "write every sample as JSON to this `file`")
	fs.StringVar(&cfg.benchfmtFile, "benchfmt", "", "write every sample as Go benchmark lines to this `file`, for benchstat")
	quick := fs.Bool("quick", false, "one round of 0.5 s, unless -rounds or -duration is given")
	rowNames := fs.String("rows", "", "comma-separated `rows`, by name or number from 1 (default all)")
	serverNames := fs.String("servers", "", "comma-separated `servers` (default all)")
	wasockCommand := fs.String("wasock", "", "`command` that runs wasock's echo server; a line of its output must hold its ws:// URL")
	wasockSIGUSR1 := fs.Bool("wasock-sigusr1", false, "the -wasock command frees memory on SIGUSR1")
	fs.Usage = func() {
		fmt.Fprintf(stderr, "usage: bench [flags]\n\nrows:\n")
		for i, r := range allRows {
			fmt.Fprintf(stderr, "  %2d  %-11s %s\n", i+1, r.Name, r.label())
		}
		fmt.Fprintf(stderr, "\nservers: %s\n\nflags:\n", strings.Join(columnNames(allColumns), ", "))
		fs.PrintDefaults()
	}
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q: quote a -wasock command that has arguments", fs.Arg(0))
	}

	set := make(map[string]bool)
	fs.Visit(func(f *flag.Flag) { set[f.Name] = true })
	if *quick && !set["rounds"] {
		cfg.rounds = 1
	}
	if *quick && !set["duration"] {
		cfg.duration = 500 * time.Millisecond
	}
	if cfg.rounds < 1 || cfg.duration <= 0 || cfg.warmup < 0 || cfg.settle < 0 || cfg.idleConns < 1 {
		return nil, errors.New("-rounds, -duration and -idle-conns must be positive, -warmup and -settle not negative")
	}

	var err error
	if cfg.rows, err = selectRows(*rowNames); err != nil {
		return nil, err
	}
	if cfg.columns, err = selectColumns(*serverNames); err != nil {
		return nil, err
	}
	cfg.placeWasock(strings.Fields(*wasockCommand), *wasockSIGUSR1)
	return cfg, nil
}

// placeWasock puts a command in the place of wasock's own server, if there is one.
func (cfg *config) placeWasock(command []string, sigusr1 bool) {
	i := slices.IndexFunc(cfg.columns, func(c column) bool { return c.name == "wasock" })
	if i < 0 || len(command) == 0 {
		return
	}
	cfg.columns[i].command = command
	cfg.columns[i].freesOnSIGUSR1 = sigusr1
	if !sigusr1 {
		cfg.notes = append(cfg.notes, "wasock was not asked to free memory in the idle row: -wasock-sigusr1 was not given")
	}
}
