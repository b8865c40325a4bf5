package peers

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/wasock/wasock/host"
	_ "github.com/wasock/wasock/host/extendedconnect"
	"github.com/wasock/wasock/host/permission"
)

// ourHost carries our end of every conversation, as one program would.
var ourHost *host.Host

// results are of all pairings.
var results matrix

// all reports whether a peer that is not installed is a failure.
var all = os.Getenv("WASOCK_PEERS") == "all"

func TestMain(m *testing.M) {
	if os.Getenv("WASOCK_PEERS") == "" {
		fmt.Println("not run: WASOCK_PEERS is not set. make peers sets it")
		os.Exit(0)
	}
	code, err := runAll(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runAll(m *testing.M) (code int, err error) {
	loopback, err := permission.Parse([]string{"loopback"}, nil)
	if err != nil {
		return 1, err
	}
	if ourHost, err = host.New(context.Background(), host.Config{Grant: permission.NewGrant(loopback, nil)}); err != nil {
		return 1, err
	}
	code = m.Run()
	fmt.Print(results.String())
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := ourHost.Shutdown(ctx); err != nil {
		return code, fmt.Errorf("shutdown: %w, with %d connections left", err, ourHost.Stats().Open)
	}
	return code, nil
}
