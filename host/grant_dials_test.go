package host_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/host/permission"
)

// TestPromptHoldsUpNobody has a dial that waits for an answer: a dial to the same origin
// that need not ask goes on.
func TestPromptHoldsUpNobody(t *testing.T) {
	for _, c := range carriers {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t, host.Config{Instances: 1})
			url, o := c.serve(t, h.Handler(nil, &host.AcceptOptions{Events: echo{}}))
			p := newSlowPrompt()
			asking := *o
			asking.Grant = permission.NewGrant(nil, &permission.GrantOptions{Prompt: p.prompt})
			ctx, cancel := context.WithCancel(newContext(t))
			defer cancel()
			startDial(t, ctx, h, url, &asking)
			p.wantAsked(t, "a rule is missing")
			if _, _, err := h.Dial(ctx, url, o); err != nil {
				t.Errorf("who need not ask does not wait: %v", err)
			}
		})
	}
}

// TestCloseEndsDials has a Host that is closed while a dial waits for an answer: the
// dial ends, and a yes that comes later connects nothing.
func TestCloseEndsDials(t *testing.T) {
	for _, k := range dialKinds {
		t.Run(k.name, func(t *testing.T) {
			h := newHost(t, host.Config{Instances: 1})
			s := newRawServer(t)
			p := newSlowPrompt()
			g := permission.NewGrant(nil, &permission.GrantOptions{Prompt: p.prompt})
			ctx := newContext(t)
			d := startDial(t, ctx, h, fmt.Sprintf(k.url, s.l.Addr()), &host.DialOptions{Grant: g, HTTPVersion: k.version})
			p.wantAsked(t, "a rule is missing")
			_ = h.Close()
			select {
			case <-d.done:
			case <-ctx.Done():
				t.Fatal("Dial waits on after Host.Close")
			}
			if !errors.Is(d.err, host.ErrClosed) {
				t.Errorf("Dial says why: %v", d.err)
			}
			p.answer <- permission.AnswerAllow
			_ = s.l.(interface{ SetDeadline(time.Time) error }).SetDeadline(soon())
			if nc, err := s.l.Accept(); err == nil {
				t.Errorf("%v connects after Host.Close", nc.RemoteAddr())
			}
		})
	}
}

// TestRedirectToNowhere has a Location that names no target: that is the server's fault,
// and not an argument of the caller's.
func TestRedirectToNowhere(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1})
	for _, location := range []string{"http://127.0.0.1:99999/", "http://1.2.3.4.5/", "http://xn--a/"} {
		url, o := carriers[0].serve(t, newRedirector(h, 1, location))
		o.Redirects = 1
		_, resp, err := h.Dial(newContext(t), url, o)
		var he *host.HandshakeError
		if !errors.As(err, &he) || he.Field != "Location" || resp == nil {
			t.Errorf("%s: got %T %v, and a response %t", location, err, err, resp != nil)
		}
	}
}
