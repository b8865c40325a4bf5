//go:build unix && !linux

package host

import "syscall"

// writev writes the first of bufs: a system call more for the others is what it
// costs here.
func writev(fd int, bufs [][]byte) (int, error) { return syscall.Write(fd, bufs[0]) }
