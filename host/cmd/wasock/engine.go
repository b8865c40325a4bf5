package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/wasm"
)

// silentStart is how long a start may take before it says why.
const silentStart = 300 * time.Millisecond

// newHost returns a Host whose compiled code is kept where --cache-dir says. What
// there is to say about that goes to notes.
func newHost(cmd *cobra.Command, notes io.Writer, cfg host.Config) (*host.Host, error) {
	dir, err := cmd.Flags().GetString("cache-dir")
	if err != nil {
		return nil, err
	}
	why := "compiling the engine…"
	if dir != "" {
		cache, warm, err := openCache(dir)
		switch {
		case err != nil:
			note(notes, "the compiled engine is not kept: %v; name another directory with --cache-dir, or none with --cache-dir ''", err)
		case warm:
			cfg.CacheDir, why = cache, ""
		default:
			cfg.CacheDir, why = cache, "compiling the engine, once for this machine…"
		}
	}
	if why != "" {
		defer time.AfterFunc(silentStart, func() { note(notes, "%s", why) }).Stop()
	}
	h, err := host.New(cmd.Context(), cfg)
	if err != nil && cfg.CacheDir != "" {
		note(notes, "the compiled engine in %s is not used: %v; delete it if this comes again", cfg.CacheDir, err)
		cfg.CacheDir = ""
		h, err = host.New(cmd.Context(), cfg)
	}
	if err != nil {
		return nil, failed(err)
	}
	return h, nil
}

// defaultCacheDir is the user's, or "" where the system knows of none.
func defaultCacheDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "wasock")
}

// openCache makes the directory for this engine in dir and reports whether it
// holds compiled code. What is in it will be executed, so it is for the user
// alone.
func openCache(dir string) (cache string, warm bool, err error) {
	cache = filepath.Join(dir, "engine-"+wasm.EngineSHA256()[:16])
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", false, err
	}
	st, err := os.Stat(cache)
	if err != nil {
		return "", false, err
	}
	if runtime.GOOS != "windows" && st.Mode().Perm()&0o022 != 0 {
		return "", false, fmt.Errorf("%s can be written by others", cache)
	}
	f, err := os.CreateTemp(cache, "writable-")
	if err != nil {
		return "", false, err
	}
	_ = f.Close()
	_ = os.Remove(f.Name())
	entries, _ := filepath.Glob(filepath.Join(cache, "wazero-*", "*"))
	return cache, len(entries) > 0, nil
}
