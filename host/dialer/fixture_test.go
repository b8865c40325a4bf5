package dialer

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/wasock/wasock/host/permission"
)

const everything = "(all)" // as allow rules: AllowAll

// grants returns the Permissions of rules that are separated by spaces.
func grants(t testing.TB, allow, deny string) Permissions {
	t.Helper()
	l, err := permission.Parse(strings.Fields(allow), strings.Fields(deny))
	if allow == everything {
		l, err = permission.AllowAll(strings.Fields(deny)...)
	}
	if err != nil {
		t.Fatal(err)
	}
	return List(l)
}

// credulous Permissions allow everything, hosts that are none included.
type credulous struct{}

func (credulous) CheckTarget(context.Context, string, uint16) permission.Verdict {
	return permission.Verdict{Allowed: true}
}

func (credulous) CheckAddr(context.Context, string, netip.AddrPort) permission.Verdict {
	return permission.Verdict{Allowed: true}
}

// counting counts the questions.
type counting struct {
	Permissions
	n atomic.Int32
}

func (p *counting) CheckTarget(ctx context.Context, host string, port uint16) permission.Verdict {
	p.n.Add(1)
	return p.Permissions.CheckTarget(ctx, host, port)
}

func (p *counting) CheckAddr(ctx context.Context, host string, addr netip.AddrPort) permission.Verdict {
	p.n.Add(1)
	return p.Permissions.CheckAddr(ctx, host, addr)
}

// names is a Resolver. A name has several answers, separated by "then": each lookup
// takes the next, and the last stays. The answer "never" waits for the end of ctx.
type names struct {
	answers map[string]string

	mu       sync.Mutex
	lookups  []string
	networks []string
}

func (n *names) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	n.lookups = append(n.lookups, host)
	n.networks = append(n.networks, network)
	answer, rest, changes := strings.Cut(n.answers[host], " then ")
	if changes {
		n.answers[host] = rest
	}
	n.mu.Unlock()
	if answer == "never" {
		<-ctx.Done()
		return nil, &net.DNSError{Err: "some other words", Name: host, IsTimeout: true}
	}
	var addrs []netip.Addr
	for _, text := range strings.Fields(answer) {
		text, zone, _ := strings.Cut(text, "%") // ParseAddr refuses zones of mapped addresses
		addrs = append(addrs, netip.MustParseAddr(text).WithZone(zone))
	}
	if addrs == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return addrs, nil
}

// wantLookups checks which names were looked up, and how often.
func (n *names) wantLookups(t *testing.T, sentence, want string) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if got := strings.Join(n.lookups, " "); got != want {
		t.Errorf("%s\n got %q\nwant %q", sentence, got, want)
	}
}

// A server is a real listener that counts whom it accepts.
type server struct {
	addr     netip.AddrPort
	accepted atomic.Int32
}

// listen serves connections to addr until the test ends: it writes its own address and
// a new line, and then what it receives. With serve it does that.
func listen(t testing.TB, addr string, serve func(net.Conn)) *server {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{addr: l.Addr().(*net.TCPAddr).AddrPort()}
	if serve == nil {
		serve = func(c net.Conn) { greet(c, s.addr) }
	}
	var open sync.WaitGroup
	ended := make(chan struct{})
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
		open.Wait()
	})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.accepted.Add(1)
			open.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	}()
	return s
}

func (s *server) port() string { return strconv.Itoa(int(s.addr.Port())) }

// greet writes addr and then what it reads.
func greet(c net.Conn, addr netip.AddrPort) {
	if _, err := io.WriteString(c, addr.String()+"\n"); err == nil {
		_, _ = io.Copy(c, c)
	}
}

// wantPeer reads the greeting of a server, exchanges a line with it, and closes conn.
func wantPeer(t *testing.T, sentence string, conn net.Conn, err error, want string) {
	t.Helper()
	if err != nil {
		t.Errorf("%s\n got %v", sentence, err)
		return
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	got, err := r.ReadString('\n')
	if err != nil || strings.TrimSuffix(got, "\n") != want {
		t.Errorf("%s\n got %q, %v\nwant %q", sentence, got, err, want)
		return
	}
	if _, err := io.WriteString(conn, "echo\n"); err != nil {
		t.Errorf("%s\n got %v", sentence, err)
	}
	if got, err := r.ReadString('\n'); got != "echo\n" {
		t.Errorf("%s: what is sent comes back\n got %q, %v", sentence, got, err)
	}
}

// wantError checks that err holds each of wants, that conn is nil, and that nothing
// secret is said.
func wantError(t *testing.T, sentence string, conn net.Conn, err error, wants ...string) {
	t.Helper()
	if conn != nil {
		_ = conn.Close()
		t.Errorf("%s\n got a connection with %v", sentence, conn.RemoteAddr())
	}
	if err == nil {
		t.Errorf("%s\n got no error\nwant %q", sentence, wants)
		return
	}
	for _, want := range wants {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n got %v\nwant %q in it", sentence, err, want)
		}
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("%s: credentials are not told\n got %v", sentence, err)
	}
}

func wantDenied(t *testing.T, sentence string, conn net.Conn, err error, wants ...string) {
	t.Helper()
	wantError(t, sentence, conn, err, wants...)
	var denied *permission.Error
	if !errors.As(err, &denied) || err != error(denied) {
		t.Errorf("%s\n got %T %v\nwant a *permission.Error", sentence, err, err)
	}
}

// wantStep checks that err is an *Error of step.
func wantStep(t *testing.T, sentence string, err error, step, proxy string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Step != step || e.Proxy != proxy {
		t.Errorf("%s\n got %#v\nwant step %q, proxy %q", sentence, err, step, proxy)
	}
}

// wantNothingLeft checks, after the cleanups that follow it, that as many goroutines
// and sockets are left as there were.
func wantNothingLeft(t *testing.T) {
	t.Helper()
	goroutines, sockets := runtime.NumGoroutine(), openSockets(t)
	t.Cleanup(func() {
		var g, s int
		for range 200 {
			if g, s = runtime.NumGoroutine(), openSockets(t); g <= goroutines && s <= sockets {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		stacks := make([]byte, 64<<10)
		stacks = stacks[:runtime.Stack(stacks, true)]
		t.Errorf("nothing is left\n got %d goroutines and %d sockets\nwant %d and %d\n%s", g, s, goroutines, sockets, stacks)
	})
}

// openSockets counts the sockets of this process, where the system tells.
func openSockets(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	n := 0
	for _, e := range entries {
		if link, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(link, "socket:") {
			n++
		}
	}
	return n
}

// A fabric takes the place of the network below a Dialer, for addresses that loopback
// does not have, and for virtual time.
type fabric struct {
	peers     map[string]peer // by address; "" for all others
	elsewhere netip.AddrPort  // where sockets turn out to be connected, if valid

	mu     sync.Mutex
	dialed []netip.AddrPort
	open   int
	served sync.WaitGroup
}

// A peer answers an attempt to connect: by an error, or by what serves the connection.
type peer func(ctx context.Context) (serve func(net.Conn), err error)

func refuses(context.Context) (func(net.Conn), error) {
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
}

func isSilent(ctx context.Context) (func(net.Conn), error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// answers connects after delay, even if it is told to end meanwhile: the two cross.
func answers(delay time.Duration, serve func(net.Conn)) peer {
	return func(context.Context) (func(net.Conn), error) {
		time.Sleep(delay)
		return serve, nil
	}
}

func (f *fabric) connect(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	f.mu.Lock()
	f.dialed = append(f.dialed, addr)
	f.mu.Unlock()
	p := f.peers[addr.Addr().String()]
	if p == nil {
		p = f.peers[""]
	}
	if p == nil {
		p = refuses
	}
	serve, err := p(ctx)
	if err != nil {
		return nil, err
	}
	near, far := net.Pipe()
	f.mu.Lock()
	f.open++
	f.mu.Unlock()
	f.served.Go(func() {
		defer far.Close()
		if serve == nil {
			greet(far, addr)
			return
		}
		serve(far)
	})
	c := &fabricConn{Conn: near, fabric: f, remote: addr}
	if f.elsewhere.IsValid() {
		c.remote = f.elsewhere
	}
	return c, nil
}

// wantClosed checks that no connection is open, and waits for the peers to end.
func (f *fabric) wantClosed(t testing.TB) {
	t.Helper()
	f.mu.Lock()
	open := f.open
	f.mu.Unlock()
	if open != 0 {
		t.Fatalf("%d connections are left open", open)
	}
	f.served.Wait()
}

// wantDialed checks which addresses were connected, in order.
func (f *fabric) wantDialed(t *testing.T, sentence, want string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	var got []string
	for _, a := range f.dialed {
		got = append(got, a.String())
	}
	if s := strings.Join(got, " "); s != want {
		t.Errorf("%s\n got %q\nwant %q", sentence, s, want)
	}
}

// A fabricConn is one end of a pipe that is connected to remote.
type fabricConn struct {
	net.Conn
	fabric *fabric
	remote netip.AddrPort
	once   sync.Once
}

func (c *fabricConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

func (c *fabricConn) Close() error {
	c.once.Do(func() {
		c.fabric.mu.Lock()
		c.fabric.open--
		c.fabric.mu.Unlock()
	})
	return c.Conn.Close()
}
