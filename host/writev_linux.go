package host

import "golang.org/x/sys/unix"

// writev writes as many of bufs as the socket takes at once.
func writev(fd int, bufs [][]byte) (int, error) {
	const most = 64 // within the system's limit, and enough for a batch
	return unix.Writev(fd, bufs[:min(len(bufs), most)])
}
