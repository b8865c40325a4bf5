package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
)

// maxMessageBytes is the largest message that servers with a limit accept.
const maxMessageBytes = 16 << 20

// A column is a server under test.
type column struct {
	name           string
	serve          func(net.Listener) error // echoes until the listener fails
	command        []string                 // program and arguments that serve instead, if any
	raw            bool                     // echoes bytes, not messages
	freesOnSIGUSR1 bool
	deflates       []deflateMode // what of it the server has
}

// allColumns are the servers in the order of the report.
var allColumns = []column{
	{name: "tcp", serve: serveTCP, raw: true, freesOnSIGUSR1: true},
	{name: "wasock", serve: wasockInProcess, freesOnSIGUSR1: true, deflates: []deflateMode{noTakeover, takeover}},
	{name: "gorilla", serve: serveGorilla, freesOnSIGUSR1: true, deflates: []deflateMode{noTakeover}},
	{name: "coder", serve: serveCoder, freesOnSIGUSR1: true, deflates: []deflateMode{noTakeover, takeover}},
	{name: "gws", serve: serveGWS, freesOnSIGUSR1: true, deflates: []deflateMode{noTakeover, takeover}},
}

// selectColumns returns the columns of a comma-separated list of names, in the
// order of the report; all for "".
func selectColumns(list string) ([]column, error) {
	if list == "" {
		return slices.Clone(allColumns), nil
	}
	names := strings.Split(list, ",")
	for i, name := range names {
		names[i] = strings.TrimSpace(name)
		if !slices.Contains(columnNames(allColumns), names[i]) {
			return nil, fmt.Errorf("no server %q: there are %s", names[i], strings.Join(columnNames(allColumns), ", "))
		}
	}
	return slices.DeleteFunc(slices.Clone(allColumns), func(c column) bool { return !slices.Contains(names, c.name) }), nil
}

func columnNames(columns []column) []string {
	var names []string
	for _, c := range columns {
		names = append(names, c.name)
	}
	return names
}

// runServe is the mode in which the program runs itself as a server:
// serve <name> -addr host:port. It writes its ws:// URL to stdout and serves
// until it is killed. SIGUSR1 makes it return free memory to the system.
func runServe(args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return errors.New("serve: which server?")
	}
	fs := flag.NewFlagSet("serve", flag.ContinueOnError)
	fs.SetOutput(stderr)
	addr := fs.String("addr", "127.0.0.1:0", "`address` to listen on")
	if err := fs.Parse(args[1:]); err != nil {
		return err
	}
	columns, err := selectColumns(args[0])
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	c := columns[0]
	if c.serve == nil {
		return fmt.Errorf("serve: %s is not in this build", c.name)
	}

	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		return fmt.Errorf("serve %s: %w", c.name, err)
	}
	defer ln.Close()
	free := make(chan os.Signal, 1)
	signal.Notify(free, syscall.SIGUSR1)
	go func() {
		for range free {
			debug.FreeOSMemory()
		}
	}()

	if _, err := fmt.Fprintf(stdout, "ws://%s/\n", ln.Addr()); err != nil {
		return fmt.Errorf("serve %s: telling the address: %w", c.name, err)
	}
	if err := c.serve(ln); err != nil {
		return fmt.Errorf("serve %s: %w", c.name, err)
	}
	return nil
}
