package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// discardInput drops what was typed at t and not read yet.
func discardInput(t terminal) error {
	f, ok := t.(*os.File)
	if !ok {
		return nil
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var flushed error
	if err := conn.Control(func(fd uintptr) { flushed = unix.IoctlSetInt(int(fd), unix.TCFLSH, unix.TCIFLUSH) }); err != nil {
		return err
	}
	return flushed
}
