package host_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/host/permission"
)

// TestPermissions has targets that are not allowed: Dial returns a
// *PermissionError that says what and why, and nothing is dialled.
func TestPermissions(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	address := l.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	nothing, err := host.New(context.Background(), host.Config{Instances: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer nothing.Close()
	all := newHost(t, host.Config{Instances: 1})
	parse := func(allow, deny string) *permission.List {
		var d []string
		if deny != "" {
			d = []string{deny}
		}
		p, err := permission.Parse([]string{allow}, d)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, x := range []struct {
		name  string
		h     *host.Host
		p     *permission.List
		url   string
		wants []string // what the error says
	}{
		{"nothing is allowed by default", nothing, nil, "ws://" + address, []string{address, "needs --allow-net=" + address}},
		{"nothing is allowed by default, wss", nothing, nil, "wss://" + address, []string{address, "needs --allow-net=" + address}},
		{"another port", all, parse("127.0.0.1:1", ""), "ws://" + address, []string{"needs --allow-net=" + address}},
		{"denied", all, parse("127.0.0.1", "127.0.0.1:"+port), "ws://" + address, []string{"denied by --deny-net=127.0.0.1:" + port}},
		{"a name is not its address", all, parse("127.0.0.1", ""), "ws://localhost:" + port, []string{"localhost:" + port, "needs --allow-net=localhost:" + port}},
		{"another spelling of the address", all, parse("127.0.0.2", ""), "ws://2130706433:" + port, []string{"needs --allow-net=" + address}},
		{"hexadecimal", all, parse("127.0.0.2", ""), "ws://0x7f.1:" + port, []string{"needs --allow-net=" + address}},
		{"mapped to IPv6", all, parse("private", ""), "ws://[::ffff:127.0.0.1]:" + port, []string{"127.0.0.1"}},
		{"resolved address is denied", all, parse("localhost", "127.0.0.0/8,[::1]"), "ws://localhost:" + port, []string{"localhost:" + port, "denied by --deny-net="}},
		{"credentials are not told", all, parse("127.0.0.2", ""), "ws://user:secret@" + address + "/?token=secret", []string{"needs --allow-net=" + address}},
	} {
		t.Run(x.name, func(t *testing.T) {
			o := &host.DialOptions{}
			if x.p != nil {
				o.Grant = permission.NewGrant(x.p, nil)
			}
			c, resp, err := x.h.Dial(newContext(t), x.url, o)
			var pe *host.PermissionError
			if c != nil || resp != nil || !errors.As(err, &pe) {
				t.Fatalf("got %T %v, want a *PermissionError", err, err)
			}
			for _, want := range x.wants {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want %q in it", err, want)
				}
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("got %q", err)
			}
			if n := x.h.Handles(); n != 0 {
				t.Errorf("%d handles are left", n)
			}
		})
	}
	// The listener's queue is empty: a deadline that has passed would still give
	// a connection that waits in it.
	_ = l.(*net.TCPListener).SetDeadline(soon())
	if nc, err := l.Accept(); err == nil {
		t.Errorf("somebody connected: %v", nc.RemoteAddr())
	}
}

// soon is a deadline for what does not come.
func soon() time.Time { return time.Now().Add(20 * time.Millisecond) }
