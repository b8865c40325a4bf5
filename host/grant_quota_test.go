package host_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/host/permission"
)

// obeying is a server whose clients say how a connection ends: "close" and "now" are
// done here, other messages are sent back.
func obeying(h *host.Host) http.Handler {
	return h.Handler(func(ctx context.Context, c *host.Conn) {
		for {
			typ, p, err := c.Read(ctx)
			switch {
			case err != nil:
				return
			case string(p) == "close":
				_ = c.Close(host.CodeGoingAway, "as you said")
			case string(p) == "now":
				_ = c.CloseNow()
			default:
				_ = c.Write(ctx, typ, p)
			}
		}
	}, nil)
}

// wantQuota checks that err is a *QuotaError of a quota.
func wantQuota(t *testing.T, sentence string, err error, quota string) *host.QuotaError {
	t.Helper()
	var qe *host.QuotaError
	if !errors.As(err, &qe) || qe.Quota != quota {
		t.Fatalf("%s: got %T %v, want a *QuotaError of %s", sentence, err, err, quota)
	}
	return qe
}

// TestConnectionsQuota has as many connections as the grant allows, one less and one
// more, over every carrier; each way in which one ends makes room.
func TestConnectionsQuota(t *testing.T) {
	say := func(m string) func(*testing.T, *host.Conn) {
		return func(t *testing.T, c *host.Conn) {
			if err := c.Write(newContext(t), text, []byte(m)); err != nil {
				t.Error(err)
			}
			if _, _, err := c.Read(newContext(t)); !errors.Is(err, host.ErrClosed) {
				t.Errorf("%q ends it: got %v", m, err)
			}
		}
	}
	ways := []struct {
		name string
		end  func(*testing.T, *host.Conn)
	}{
		{"Close", func(t *testing.T, c *host.Conn) { _ = c.Close(normal, "") }},
		{"CloseNow", func(t *testing.T, c *host.Conn) { _ = c.CloseNow() }},
		{"the peer's Close", say("close")},
		{"the peer's CloseNow", say("now")},
		{"a trap", func(t *testing.T, c *host.Conn) { c.Trap() }},
	}
	server := newHost(t, host.Config{Instances: 1})
	for _, c := range carriers {
		for _, w := range ways {
			t.Run(c.name+"/"+w.name, func(t *testing.T) {
				h := server
				if w.name == "a trap" {
					h = newHost(t, host.Config{Instances: 1})
				}
				url, o := c.serve(t, obeying(server))
				o.Grant = newGrant(t, "127.0.0.1", &permission.GrantOptions{Name: "chat", Quota: permission.Quota{Connections: 2}})
				conns := dialAll(t, h, url, o, 2)
				_, resp, err := h.Dial(newContext(t), url, o)
				wantQuota(t, "a third is one too many", err, "Connections")
				if resp != nil || !strings.Contains(err.Error(), `grant "chat" has used up Connections: 2 are open`) {
					t.Errorf("got %v, %v", resp, err)
				}
				wantEchoes(t, "the two go on", conns...)
				for _, conn := range conns {
					w.end(t, conn)
				}
				wantUnused(t, o.Grant, "both are over")
				var again []*host.Conn
				eventually(t, "there is room again", func() (bool, string) {
					conn, _, err := h.Dial(newContext(t), url, o)
					if err == nil {
						again = append(again, conn)
					}
					return len(again) == 2, fmt.Sprint(err)
				})
				wantEchoes(t, "the new ones work", again...)
			})
		}
	}
}

// TestFailedDialsDoNotCount has dials that fail after they were counted, and Hosts
// that end with connections open.
func TestFailedDialsDoNotCount(t *testing.T) {
	g := newGrant(t, "127.0.0.1", &permission.GrantOptions{Quota: permission.Quota{Connections: 1}})
	h := newHost(t, host.Config{Instances: 1, Grant: g})
	for _, c := range carriers {
		t.Run(c.name+"/refused", func(t *testing.T) {
			url, o := c.serve(t, http.NotFoundHandler())
			for range 2 {
				var he *host.HandshakeError
				if _, resp, err := h.Dial(newContext(t), url, o); !errors.As(err, &he) && !strings.Contains(fmt.Sprint(err), "RFC 8441") {
					t.Errorf("the handshake is refused: got %v, %v", resp, err)
				}
			}
		})
		for name, end := range map[string]func(*host.Host) error{
			"Close": (*host.Host).Close, "Shutdown": func(h *host.Host) error { return h.Shutdown(newContext(t)) },
		} {
			t.Run(c.name+"/Host."+name, func(t *testing.T) {
				client := newHost(t, host.Config{Instances: 1})
				url, o := c.serve(t, obeying(h))
				o.Grant = newGrant(t, "127.0.0.1", nil)
				dialAll(t, client, url, o, 3)
				if err := end(client); err != nil {
					t.Error(err)
				}
				wantUnused(t, o.Grant, "the Host's end is theirs")
			})
		}
	}
	for _, k := range dialKinds {
		t.Run(k.name+"/nobody listens", func(t *testing.T) {
			for range 2 {
				_, _, err := h.Dial(newContext(t), fmt.Sprintf(k.url, "127.0.0.1:1"), &host.DialOptions{HTTPVersion: k.version})
				var de *host.DialError
				if !errors.As(err, &de) || de.Step != "connect" {
					t.Errorf("got %T %v", err, err)
				}
			}
		})
	}
	t.Run("reset", func(t *testing.T) {
		e, p := dialRaw(t, h, eventStyle, host.DialOptions{})
		p.reset()
		e.wantClosed("the peer resets it", host.CodeAbnormal, "", false)
		wantUnused(t, g, "it is over")
	})
	wantUnused(t, g, "nothing is open")
}

// TestDialsQuota has more dials than may begin in a second, of which the ones too many
// dial nothing.
func TestDialsQuota(t *testing.T) {
	s := newRawServer(t)
	h := newHost(t, host.Config{Instances: 1})
	for _, k := range dialKinds {
		g := newGrant(t, "127.0.0.1", &permission.GrantOptions{Quota: permission.Quota{DialsPerSecond: 2}})
		url := fmt.Sprintf(k.url, "127.0.0.1:1")
		o := &host.DialOptions{Grant: g, HTTPVersion: k.version}
		for range 2 {
			var de *host.DialError
			if _, _, err := h.Dial(newContext(t), url, o); !errors.As(err, &de) {
				t.Errorf("%s: two may begin: got %T %v", k.name, err, err)
			}
		}
		_, _, err := h.Dial(newContext(t), fmt.Sprintf(k.url, s.l.Addr()), o)
		if qe := wantQuota(t, k.name, err, "DialsPerSecond"); qe.RetryAfter <= 0 || qe.RetryAfter > time.Second {
			t.Errorf("%s: a third may begin after %v", k.name, qe.RetryAfter)
		}
		wantUnused(t, g, k.name)
	}
	wantNothingOpen(t, h)
}

// TestBytesQuota has a connection that receives, or sends, the last byte that its grant
// has, and stays; with one byte more it is closed with 1008, in both styles.
func TestBytesQuota(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1})
	for _, s := range []style{streamStyle, eventStyle} {
		for _, quota := range []int64{1000, 1 << 20} { // a message in one lane, and in many
			t.Run(fmt.Sprint(s, "/BytesIn/", quota), func(t *testing.T) {
				g := newGrant(t, "127.0.0.1", &permission.GrantOptions{Quota: permission.Quota{BytesIn: quota}})
				e, p := dialRaw(t, h, s, host.DialOptions{Grant: g})
				payload := lastPayload(quota-g.Usage().BytesIn, 0)
				p.send(frame(0x82, payload))
				e.wantMessage("what fits arrives", host.MessageBinary, payload)
				wantFull(t, e, func() int64 { return g.Usage().BytesIn }, quota)
				ended := e.startEnd()
				p.send("89 00")
				wantSpent(t, e, p, ended, "BytesIn")
				wantUnused(t, g, "it is over")
			})
			t.Run(fmt.Sprint(s, "/BytesOut/", quota), func(t *testing.T) {
				g := newGrant(t, "127.0.0.1", &permission.GrantOptions{Quota: permission.Quota{BytesOut: quota}})
				e, p := dialRaw(t, h, s, host.DialOptions{Grant: g})
				payload := lastPayload(quota-g.Usage().BytesOut, 4)
				e.send("what fits is sent", host.MessageBinary, payload)
				p.wantFrame("what fits arrives", 0x82, string(payload))
				wantFull(t, e, func() int64 { return g.Usage().BytesOut }, quota)
				ended := e.startEnd()
				_ = e.conn.Send(text, nil)
				if b, err := p.r.Peek(1); err == nil && b[0] == 0x81 {
					p.wantFrame("the write that goes over it may arrive", 0x81, "")
				}
				wantSpent(t, e, p, ended, "BytesOut")
				wantUnused(t, g, "it is over")
			})
		}
	}
	wantNothingOpen(t, h)
}

// lastPayload returns a payload whose frame has left bytes, key bytes of masking key
// included.
func lastPayload(left int64, key int) []byte {
	header := 4
	if left > 1<<16 {
		header = 10
	}
	return bytes.Repeat([]byte("x"), int(left)-header-key)
}

// wantFull checks that a grant is used up to the last byte, and e is open.
func wantFull(t *testing.T, e *end, used func() int64, quota int64) {
	t.Helper()
	eventually(t, "all of the quota is used", func() (bool, string) {
		return used() == quota, fmt.Sprintf("%d of %d", used(), quota)
	})
	if got := e.conn.ReadyState(); got != host.StateOpen {
		e.fail("what fits leaves it open", "state %d", got)
	}
}

// wantSpent checks that e ends because of a quota of bytes.
func wantSpent(t *testing.T, e *end, p *rawPeer, ended <-chan *host.CloseError, quota string) {
	t.Helper()
	reason := quota + " is used up"
	p.skipPongs()
	p.wantClose("the peer is told", host.CodePolicyViolation, reason)
	p.send(closeFrame(host.CodePolicyViolation, reason))
	_ = p.Conn.(*net.TCPConn).CloseWrite()
	p.wantEOF("then the end")
	ce := <-ended
	e.checkClosed("the application is told", ce, host.CodePolicyViolation, reason, true)
	if e.events == nil {
		wantQuota(t, "the cause is told", ce.Err, quota)
	}
}

// TestBytesQuotaOverCarriers has a client whose grant runs out of bytes over every
// carrier, compressed or not.
func TestBytesQuotaOverCarriers(t *testing.T) {
	h := newHost(t, host.Config{Instances: 1})
	for _, c := range append(carriers[:len(carriers):len(carriers)], compressedCarriers()...) {
		for _, s := range allStyles {
			t.Run(fmt.Sprint(c.name, "/", s.client, "/", s.server), func(t *testing.T) {
				g := newGrant(t, "127.0.0.1", &permission.GrantOptions{Quota: permission.Quota{BytesOut: 4000}})
				client, server := connect(t, h, c, s, &host.DialOptions{Grant: g}, &host.AcceptOptions{})
				ended, peer := client.startEnd(), server.startEnd()
				noise := make([]byte, 1000) // does not compress
				for i := range noise {
					noise[i] = byte(rand.Uint32())
				}
				var err error
				for i := 0; err == nil && i < 10_000; i++ {
					err = client.conn.Write(client.ctx, host.MessageBinary, noise)
				}
				if !errors.Is(err, host.ErrClosed) {
					t.Fatalf("writing ends: got %v", err)
				}
				const reason = "BytesOut is used up"
				server.checkClosed("the peer is told", <-peer, host.CodePolicyViolation, reason, true)
				client.checkClosed("the application is told", <-ended, host.CodePolicyViolation, reason, true)
				wantUnused(t, g, "it is over")
			})
		}
	}
	wantNothingOpen(t, h)
}

// TestLeaseHammer has many connections of one grant opened and ended in every way at
// once, while its list changes: nothing counts in the end.
func TestLeaseHammer(t *testing.T) {
	server, client := newHost(t, host.Config{Instances: 2}), newHost(t, host.Config{Instances: 2})
	g := newGrant(t, "127.0.0.1", &permission.GrantOptions{Quota: permission.Quota{Connections: 12, DialsPerSecond: 100_000, BytesOut: 8 << 20}})
	ctx := newContext(t)
	var traps atomic.Int64
	var wg sync.WaitGroup
	for _, c := range carriers {
		url, o := c.serve(t, obeying(server))
		missing, mo := c.serve(t, http.NotFoundHandler())
		o.Grant, mo.Grant = g, g
		for range 4 {
			wg.Go(func() {
				for opened := 0; opened < 8 && ctx.Err() == nil; {
					o := *o
					if rand.IntN(2) == 0 {
						o.Events = host.NoEvents{}
					}
					dialling, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(20))*time.Millisecond)
					if rand.IntN(4) > 0 {
						cancel()
						dialling, cancel = context.WithCancel(ctx)
					}
					if rand.IntN(8) == 0 {
						_, _, _ = client.Dial(dialling, missing, mo)
					}
					conn, _, err := client.Dial(dialling, url, &o)
					cancel()
					if err != nil {
						time.Sleep(time.Millisecond) // a refusal is quick, and the next one is the same
						continue
					}
					opened++
					switch rand.IntN(6) {
					case 0:
						_ = conn.CloseNow()
					case 1:
						_ = conn.Close(normal, "")
					case 2:
						_ = conn.Write(ctx, text, []byte("close"))
					case 3:
						_ = conn.Write(ctx, text, []byte("now"))
					case 4:
						_ = conn.Send(host.MessageBinary, make([]byte, rand.IntN(100_000)))
					case 5:
						if traps.Add(1) == 10 { // an instance is gone for a while
							conn.Trap()
						}
					}
					if o.Events == nil {
						reading, cancel := context.WithTimeout(ctx, 5*time.Millisecond)
						_, _, _ = conn.Read(reading)
						cancel()
					}
					_ = conn.CloseNow()
				}
			})
		}
	}
	stop := make(chan struct{})
	changed := make(chan struct{})
	go func() {
		defer close(changed)
		for {
			select {
			case <-stop:
				return
			case <-time.After(40 * time.Millisecond): // between two revocations
			}
			g.SetList(newList(t, "127.0.0.2", ""))
			g.SetList(newList(t, "127.0.0.1", ""))
		}
	}()
	wg.Wait()
	close(stop)
	<-changed
	wantNothingOpen(t, client)
	wantUnused(t, g, "nothing leaks")
	if s := client.Stats(); s.Dialed < 16*8 || len(s.CloseCodes) < 2 {
		t.Errorf("the hammer hits: %+v", s)
	}
}
