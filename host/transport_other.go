//go:build !unix || wasock_portable

package host

import "net"

// newRawTransport returns nil: there is no readiness to wait for here.
func newRawTransport(net.Conn) transport { return nil }

func readiness(net.Conn) (wait func() error, writable func() bool) { return nil, nil }
