package dialer

import (
	"net"
	"syscall"
	"testing"
	"time"
)

// TestKeepAlive asks the system how a socket is set.
func TestKeepAlive(t *testing.T) {
	s := listen(t, "127.0.0.1:0", nil)
	for _, x := range []struct {
		config net.KeepAliveConfig
		want   int // s
	}{
		{net.KeepAliveConfig{}, 15},
		{net.KeepAliveConfig{Enable: true, Idle: 77 * time.Second}, 77},
	} {
		d := &Dialer{Permissions: grants(t, "127.0.0.1", ""), KeepAlive: x.config}
		conn, err := d.Dial(t.Context(), Target{Host: "127.0.0.1", Port: s.addr.Port()})
		if err != nil {
			t.Fatal(err)
		}
		raw, err := conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var on, idle int
		err = raw.Control(func(fd uintptr) {
			on, _ = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_KEEPALIVE)
			idle, _ = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE)
		})
		if err != nil || on != 1 || idle != x.want {
			t.Errorf("keep-alive of %+v\n got %d, after %d s, %v\nwant 1, after %d s", x.config, on, idle, err, x.want)
		}
		wantPeer(t, "keep-alive", conn, nil, s.addr.String())
	}
}
