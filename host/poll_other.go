//go:build !linux || wasock_portable

package host

import (
	"errors"
	"net"
)

// poller is for systems with epoll: elsewhere each connection has a goroutine.
type poller struct{}

func newPoller(*instance) (*poller, error) { return nil, errors.ErrUnsupported }

func (*poller) add(*Conn, net.Conn) bool { return false }
func (*poller) close()                   {}
