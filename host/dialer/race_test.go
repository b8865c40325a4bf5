package dialer

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestAttempts has addresses that answer, refuse or say nothing, at a virtual clock: the
// order in which they are connected, who wins, and when.
func TestAttempts(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	four := "192.0.2.1 192.0.2.2 2001:db8::1 2001:db8::2"
	for _, x := range []struct {
		name   string
		answer string
		peers  map[string]peer
		delay  time.Duration
		dialed string // without ports
		winner string // "" for an error
		after  time.Duration
	}{
		{"IPv6 is first, and wins", four, map[string]peer{"": answers(0, nil)}, 0, "2001:db8::1", "2001:db8::1", 0},
		{"families take turns, at once where one is refused", four, map[string]peer{"192.0.2.2": answers(0, nil)}, 0,
			"2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2", "192.0.2.2", 0},
		{"an address that says nothing costs a delay", four, map[string]peer{"2001:db8::1": isSilent, "192.0.2.1": answers(0, nil)}, 0,
			"2001:db8::1 192.0.2.1", "192.0.2.1", 250 * ms},
		{"two cost two", four, map[string]peer{"2001:db8::1": isSilent, "192.0.2.1": isSilent, "": answers(0, nil)}, 100 * ms,
			"2001:db8::1 192.0.2.1 2001:db8::2", "2001:db8::2", 200 * ms},
		{"who is slow may still win", four, map[string]peer{"2001:db8::1": answers(300*ms, nil), "": isSilent}, 0,
			"2001:db8::1 192.0.2.1", "2001:db8::1", 300 * ms},
		{"a late second is closed", four, map[string]peer{"2001:db8::1": answers(300*ms, nil), "192.0.2.1": answers(80*ms, nil)}, 0,
			"2001:db8::1 192.0.2.1", "2001:db8::1", 330 * ms},
		{"a refusal begins the delay anew", four, map[string]peer{"192.0.2.1": isSilent, "": answers(0, nil), "2001:db8::1": refusesAfter(100 * ms)}, 0,
			"2001:db8::1 192.0.2.1 2001:db8::2", "2001:db8::2", 350 * ms},
		{"one family", "192.0.2.1 192.0.2.2", map[string]peer{"192.0.2.2": answers(0, nil)}, 0, "192.0.2.1 192.0.2.2", "192.0.2.2", 0},
		{"a long tail of one family", "192.0.2.1 2001:db8::1 2001:db8::2 2001:db8::3", nil, 0, "2001:db8::1 192.0.2.1 2001:db8::2 2001:db8::3", "", 0},
		{"nobody answers", four, map[string]peer{"": isSilent}, 0, "2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2", "", 30 * s},
	} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fabric{peers: x.peers}
				d := &Dialer{
					Permissions: grants(t, everything, ""), Resolver: &names{answers: map[string]string{"a.test": x.answer}},
					AttemptDelay: x.delay, connect: f.connect,
				}
				begun := time.Now()
				conn, err := d.Dial(t.Context(), Target{Host: "a.test", Port: 80})
				if took := time.Since(begun); took != x.after {
					t.Errorf("%s\n got a result after %v\nwant one after %v", x.name, took, x.after)
				}
				var addrs []string
				for _, a := range strings.Fields(x.dialed) {
					addrs = append(addrs, net.JoinHostPort(a, "80"))
				}
				f.wantDialed(t, x.name, strings.Join(addrs, " "))
				if x.winner == "" {
					wantError(t, x.name, conn, err, "connect with a.test:80: "+strings.Fields(x.dialed)[0])
				} else {
					wantPeer(t, x.name, conn, err, net.JoinHostPort(x.winner, "80"))
				}
				f.wantClosed(t)
			})
		})
	}
}

func refusesAfter(delay time.Duration) peer {
	return func(ctx context.Context) (func(net.Conn), error) {
		time.Sleep(delay)
		return refuses(ctx)
	}
}

// TestAttemptsEnd has a caller who gives up while two addresses are silent: no third is
// connected, and a first that is connected in that moment is closed.
func TestAttemptsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fabric{peers: map[string]peer{"": isSilent}}
		d := &Dialer{
			Permissions: grants(t, everything, ""), connect: f.connect,
			Resolver: &names{answers: map[string]string{"a.test": "192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4"}},
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		conn, err := d.Dial(ctx, Target{Host: "a.test", Port: 80})
		if conn != nil || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the caller's time ran out\n got %v", err)
		}
		f.wantDialed(t, "two were begun", "192.0.2.1:80 192.0.2.2:80")
		f.wantClosed(t)
	})
}

// TestDeniedNeverRaces has denied addresses in every place among allowed ones that are
// silent, slow or refuse.
func TestDeniedNeverRaces(t *testing.T) {
	for _, answer := range []string{
		"10.0.0.1 93.184.1.1 93.184.1.2", "93.184.1.1 10.0.0.1 93.184.1.2", "93.184.1.1 93.184.1.2 10.0.0.1",
		"fd00::1 93.184.1.1 93.184.1.2", "93.184.1.1 93.184.1.2 ::ffff:10.0.0.1 64:ff9b::10.0.0.1",
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &fabric{peers: map[string]peer{"93.184.1.1": isSilent, "93.184.1.2": answers(time.Minute, nil), "": answers(0, nil)}}
			d := &Dialer{Permissions: grants(t, "a.test", ""), Resolver: &names{answers: map[string]string{"a.test": answer}}, connect: f.connect}
			conn, err := d.Dial(t.Context(), Target{Host: "a.test", Port: 80})
			wantPeer(t, answer, conn, err, "93.184.1.2:80")
			f.wantDialed(t, "only what is allowed is connected", "93.184.1.1:80 93.184.1.2:80")
			f.wantClosed(t)
		})
	}
}

// TestRealRace has two sockets of loopback that both accept: one conversation, and
// nothing left of the other.
func TestRealRace(t *testing.T) {
	wantNothingLeft(t)
	first := listen(t, "127.0.0.2:0", nil)
	second := listen(t, "127.0.0.3:"+first.port(), nil)
	d := &Dialer{
		Permissions: grants(t, everything, ""), AttemptDelay: 20 * time.Second, // a busy machine is no silent address
		Resolver: &names{answers: map[string]string{"a.test": "127.0.0.2 127.0.0.3", "b.test": "127.0.0.4 127.0.0.3"}}, // nobody listens at .4
	}
	conn, err := d.Dial(t.Context(), Target{Host: "a.test", Port: first.addr.Port()})
	wantPeer(t, "the first wins", conn, err, first.addr.String())
	conn, err = d.Dial(t.Context(), Target{Host: "b.test", Port: first.addr.Port()})
	wantPeer(t, "the second follows a refusal", conn, err, second.addr.String())
	if n := first.accepted.Load(); n != 1 {
		t.Errorf("the first was connected %d times", n)
	}
}
