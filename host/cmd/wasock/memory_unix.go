//go:build unix

package main

import (
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

// freeMemoryOnSignal gives free memory back to the system at each SIGUSR1, so
// that a measurement of resident memory counts what is in use. It returns a
// function that ends this.
func freeMemoryOnSignal() func() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	go func() {
		for range signals {
			debug.FreeOSMemory()
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
	}
}
