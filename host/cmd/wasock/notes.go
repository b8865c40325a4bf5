package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// note prints a line for the person at the terminal.
func note(w io.Writer, format string, args ...any) {
	fmt.Fprintln(w, "wasock: "+printable(fmt.Sprintf(format, args...)))
}

// printable returns s with control characters escaped, so that nothing a peer
// sent can drive the terminal. Line ends and tabs are kept.
func printable(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	harmless := func(r rune) bool { return r == '\n' || r == '\t' || unicode.IsPrint(r) }
	if strings.IndexFunc(s, func(r rune) bool { return !harmless(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case harmless(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// isTerminal reports whether v is a terminal.
func isTerminal(v any) bool {
	if l, ok := v.(*lockedWriter); ok {
		return isTerminal(l.w)
	}
	f, ok := v.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	if err != nil || st.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull) // a character device too
	return err != nil || !os.SameFile(st, null)
}

// palette wraps text in colours, or leaves it. https://no-color.org
type palette struct{ on bool }

func paletteFor(w io.Writer) palette {
	return palette{isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func (p palette) dim(s string) string   { return p.wrap("2", s) }
func (p palette) bold(s string) string  { return p.wrap("1", s) }
func (p palette) red(s string) string   { return p.wrap("31", s) }
func (p palette) green(s string) string { return p.wrap("32", s) }
func (p palette) cyan(s string) string  { return p.wrap("36", s) }

func (p palette) wrap(code, s string) string {
	if !p.on || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// lockedWriter is a Writer for several goroutines.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// noteFlags say how much is printed for the person at the terminal.
type noteFlags struct{ quiet, verbose bool }

// add adds the flags. quiet says what --quiet leaves.
func (f *noteFlags) add(fs *pflag.FlagSet, quiet string) {
	fs.BoolVarP(&f.quiet, "quiet", "q", false, quiet)
	fs.BoolVarP(&f.verbose, "verbose", "v", false, "print each decision of --allow-net and --deny-net, and what else helps to find a fault")
}

// open returns where notes go, and a logger, which has records from level up, or from
// quiet up with --quiet.
func (f *noteFlags) open(cmd *cobra.Command, level, quiet slog.Level) (io.Writer, *slog.Logger, error) {
	notes := cmd.ErrOrStderr()
	switch {
	case f.quiet && f.verbose:
		return nil, nil, usage("--quiet and --verbose exclude each other")
	case f.quiet:
		notes, level = io.Discard, quiet
	case f.verbose:
		level = slog.LevelDebug
	}
	return notes, newLogger(cmd.ErrOrStderr(), level), nil
}

// newLogger returns a logger that prints notes.
func newLogger(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(&noteLog{w: w, level: level})
}

// noteLog prints log records as notes: message, then key=value.
type noteLog struct {
	w     io.Writer
	level slog.Level
	attrs []slog.Attr
}

func (l *noteLog) Enabled(_ context.Context, level slog.Level) bool { return level >= l.level }

func (l *noteLog) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(strings.TrimPrefix(r.Message, "websocket: "))
	add := func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%s", a.Key, quoted(strings.TrimPrefix(a.Value.String(), "websocket: ")))
		return true
	}
	for _, a := range l.attrs {
		add(a)
	}
	r.Attrs(add)
	note(l.w, "%s", strings.TrimRight(b.String(), "\n"))
	return nil
}

func (l *noteLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &noteLog{l.w, l.level, append(l.attrs[:len(l.attrs):len(l.attrs)], attrs...)}
}

func (l *noteLog) WithGroup(string) slog.Handler { return l }

func quoted(s string) string {
	if s == "" || strings.ContainsAny(s, " \"\n") {
		return fmt.Sprintf("%q", s)
	}
	return s
}
