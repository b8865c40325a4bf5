package host_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/host/permission"
)

// newList parses rules; allow and deny are lists joined by commas.
func newList(t testing.TB, allow, deny string) *permission.List {
	t.Helper()
	var a, d []string
	if allow != "" {
		a = []string{allow}
	}
	if deny != "" {
		d = []string{deny}
	}
	l, err := permission.Parse(a, d)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// newGrant returns a grant of the rules in allow, joined by commas.
func newGrant(t testing.TB, allow string, o *permission.GrantOptions) *permission.Grant {
	t.Helper()
	return permission.NewGrant(newList(t, allow, ""), o)
}

// hostPort returns the host and port of a URL.
func hostPort(t testing.TB, text string) string {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// wantUnused waits until nothing counts against g.
func wantUnused(t testing.TB, g *permission.Grant, sentence string) {
	t.Helper()
	eventually(t, sentence, func() (bool, string) {
		n := g.Usage().Connections
		return n == 0, fmt.Sprintf("%d connections count", n)
	})
}

// names is a Resolver that knows some names.
type names map[string][]string

func (n names) LookupNetIP(ctx context.Context, _, name string) (addrs []netip.Addr, err error) {
	for _, a := range n[name] {
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	if len(addrs) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return addrs, ctx.Err()
}

// dialKinds are the ways in which a target may be dialled: %s is its host and port.
var dialKinds = []struct {
	name, url string
	version   host.HTTPVersion
}{
	{"ws", "ws://%s/", host.HTTPAuto},
	{"ws-http2", "ws://%s/", host.HTTP2},
	{"wss", "wss://%s/", host.HTTP1},
	{"wss-auto", "wss://%s/", host.HTTPAuto},
	{"wss-http2", "wss://%s/", host.HTTP2},
}

// TestGrantDenies has targets that no grant allows, over every carrier: the error is
// a *PermissionError that tells the rule, and nobody connects.
func TestGrantDenies(t *testing.T) {
	s := newRawServer(t)
	address := s.l.Addr().String()
	all := newHost(t, host.Config{Instances: 1})
	bare, err := host.New(context.Background(), host.Config{Instances: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer bare.Close()
	revoked := newGrant(t, "127.0.0.1", nil)
	revoked.Revoke()
	known := names{"rebound.test": {"127.0.0.1"}, "mapped.test": {"::ffff:127.0.0.1"}}
	_, port, _ := net.SplitHostPort(address)
	for _, x := range []struct {
		name  string
		h     *host.Host
		grant *permission.Grant
		host  string
		want  string
	}{
		{"no grant at all", bare, nil, "127.0.0.1", "needs --allow-net=" + address},
		{"an empty grant in place of one that allows", all, permission.NewGrant(nil, nil), "127.0.0.1", "needs --allow-net=" + address},
		{"a grant that was revoked", all, revoked, "127.0.0.1", "the grant was revoked"},
		{"a deny rule", all, permission.NewGrant(newList(t, "127.0.0.1", "127.0.0.0/8"), nil), "127.0.0.1", "denied by --deny-net=127.0.0.0/8"},
		{"a name, not its address", all, newGrant(t, "rebound.test", nil), "rebound.test", "needs --allow-net=" + address},
		{"a name, not its mapped address", all, newGrant(t, "mapped.test", nil), "mapped.test", "127.0.0.1"},
		{"an address, not the name", all, newGrant(t, "127.0.0.1", nil), "rebound.test", "needs --allow-net=rebound.test:" + port},
	} {
		for _, k := range dialKinds {
			t.Run(x.name+"/"+k.name, func(t *testing.T) {
				o := &host.DialOptions{Grant: x.grant, HTTPVersion: k.version, Resolver: known}
				c, resp, err := x.h.Dial(newContext(t), fmt.Sprintf(k.url, x.host+":"+port), o)
				var pe *host.PermissionError
				if c != nil || resp != nil || !errors.As(err, &pe) || pe.Operation != "dial" || !strings.Contains(err.Error(), x.want) {
					t.Errorf("got %T %v, want a *PermissionError with %q", err, err, x.want)
				}
			})
		}
		wantUnused(t, x.grant, "a dial that is denied does not count any more")
	}
	_ = s.l.(*net.TCPListener).SetDeadline(soon())
	if nc, err := s.l.Accept(); err == nil {
		t.Errorf("somebody connected: %v", nc.RemoteAddr())
	}
	wantNothingOpen(t, all)
}

// TestDialGrant has DialOptions.Grant take the place of Config.Grant, which allows
// nothing, over every carrier, and count what is open.
func TestDialGrant(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1, Grant: permission.NewGrant(nil, nil)})
	for _, c := range carriers {
		t.Run(c.name, func(t *testing.T) {
			url, o := c.serve(t, h.Handler(nil, &host.AcceptOptions{Events: echo{}}))
			o.Grant = newGrant(t, hostPort(t, url), nil)
			conns := dialAll(t, h, url, o, 3)
			wantEchoes(t, "all three work", conns...)
			if u := o.Grant.Usage(); u.Connections != 3 || u.BytesIn == 0 || u.BytesOut == 0 {
				t.Errorf("the grant counts them: got %+v", u)
			}
			for _, c := range conns {
				_ = c.Close(normal, "")
			}
			wantUnused(t, o.Grant, "what is closed does not count")
		})
	}
}

// TestPrompt has a grant that asks: for the name and then for its address. A yes
// opens the connection, a no is remembered.
func TestPrompt(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1})
	for _, c := range carriers {
		for _, answer := range []permission.Answer{permission.AnswerAllow, permission.AnswerDeny} {
			t.Run(fmt.Sprint(c.name, "/", answer == permission.AnswerAllow), func(t *testing.T) {
				url, o := c.serve(t, h.Handler(nil, &host.AcceptOptions{Events: echo{}}))
				_, port, _ := net.SplitHostPort(hostPort(t, url))
				var asked []string
				o.Resolver = names{"example.com": {"127.0.0.1"}} // what httptest's certificates are for
				o.Grant = permission.NewGrant(nil, &permission.GrantOptions{Prompt: func(_ context.Context, v permission.Verdict) (permission.Answer, error) {
					asked = append(asked, v.Needs())
					return answer, nil
				}})
				url = strings.Replace(url, "127.0.0.1", "example.com", 1)
				for range 2 {
					conn, _, err := h.Dial(newContext(t), url, o)
					if answer == permission.AnswerAllow {
						if err != nil {
							t.Fatal(err)
						}
						wantEchoes(t, "a yes opens it", conn)
						_ = conn.CloseNow()
						continue
					}
					var pe *host.PermissionError
					if !errors.As(err, &pe) || !strings.Contains(err.Error(), "refused when asked") {
						t.Errorf("a no denies it: got %T %v", err, err)
					}
				}
				want := "example.com:" + port
				if answer == permission.AnswerAllow {
					want += " 127.0.0.1:" + port
				}
				if got := strings.Join(asked, " "); got != want {
					t.Errorf("each question is put once\n got %s\nwant %s", got, want)
				}
				wantUnused(t, o.Grant, "nothing is left")
			})
		}
	}
}

// A slowPrompt is a prompt that waits to be told.
type slowPrompt struct {
	asked  chan permission.Verdict
	answer chan permission.Answer
}

func newSlowPrompt() *slowPrompt {
	return &slowPrompt{make(chan permission.Verdict, 16), make(chan permission.Answer, 16)}
}

func (p *slowPrompt) prompt(ctx context.Context, v permission.Verdict) (permission.Answer, error) {
	p.asked <- v
	select {
	case a := <-p.answer:
		return a, nil
	case <-ctx.Done():
		return permission.AnswerDeny, ctx.Err()
	}
}

func (p *slowPrompt) wantAsked(t *testing.T, sentence string) {
	t.Helper()
	select {
	case <-p.asked:
	case <-time.After(patience):
		t.Fatalf("%s: nobody asks", sentence)
	}
}

// TestPromptWaits has a dial whose prompt is not answered: what is open on its
// instance goes on, other dials of its grant do not wait, and it ends with its context.
func TestPromptWaits(t *testing.T) {
	for _, c := range carriers {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t, host.Config{Instances: 1})
			echoes := h.Handler(nil, &host.AcceptOptions{Events: echo{}})
			url, o := c.serve(t, echoes)
			other, oo := c.serve(t, echoes)
			p := newSlowPrompt()
			asking := *o
			asking.Grant = newGrant(t, hostPort(t, other), &permission.GrantOptions{Prompt: p.prompt})
			oo.Grant = asking.Grant
			open := dialAll(t, h, other, oo, 1)
			ctx, cancel := context.WithCancel(newContext(t))
			defer cancel()
			waits := startDial(t, ctx, h, url, &asking)
			p.wantAsked(t, "a rule is missing")
			wantEchoes(t, "what is open goes on", open...)
			wantEchoes(t, "the same grant's other target does not wait", dialAll(t, h, other, oo, 1)...)
			cancel()
			var pe *host.PermissionError
			if err := waits.wantError("the dial ends with its context"); !errors.As(err, &pe) && !errors.Is(err, context.Canceled) {
				t.Errorf("got %T %v", err, err)
			}
			waits = startDial(t, newContext(t), h, url, &asking)
			p.wantAsked(t, "the next one asks again")
			p.answer <- permission.AnswerAllow
			wantEchoes(t, "a late yes opens it", waits.wantOpen("a late yes opens it", c.version))
		})
	}
}

// TestCloseWhilePromptWaits has a Host end while a prompt is not answered: Close and
// Shutdown do not wait for it, and an answer that comes later opens nothing.
func TestCloseWhilePromptWaits(t *testing.T) {
	for _, k := range dialKinds {
		for _, shutdown := range []bool{false, true} {
			if shutdown && k.version != host.HTTPAuto {
				continue // a Host takes a while to make
			}
			t.Run(fmt.Sprint(k.name, "/", shutdown), func(t *testing.T) {
				h := newHost(t, host.Config{Instances: 1})
				s := newRawServer(t)
				p := newSlowPrompt()
				g := permission.NewGrant(nil, &permission.GrantOptions{Prompt: p.prompt})
				waits := startDial(t, newContext(t), h, fmt.Sprintf(k.url, s.l.Addr()), &host.DialOptions{Grant: g, HTTPVersion: k.version})
				p.wantAsked(t, "a rule is missing")
				ended := make(chan error, 1)
				go func() {
					if shutdown {
						ended <- h.Shutdown(newContext(t))
					} else {
						ended <- h.Close()
					}
				}()
				select {
				case err := <-ended:
					if err != nil {
						t.Error(err)
					}
				case <-time.After(patience):
					t.Fatal("the Host's end does not wait for the prompt")
				}
				p.answer <- permission.AnswerDeny
				waits.wantError("it opens nothing")
				wantUnused(t, g, "nothing is left")
			})
		}
	}
}
