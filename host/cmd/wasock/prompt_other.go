//go:build !(linux || darwin || dragonfly || freebsd || netbsd || openbsd)

package main

import "errors"

// discardInput fails: without it there is no telling what a line answers.
func discardInput(terminal) error {
	return errors.New("questions are not supported on this system: use --allow-net")
}
