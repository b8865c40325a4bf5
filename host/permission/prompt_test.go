package permission

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// script is a prompt that gives the answers of a test, in order, and keeps what it was
// asked. Without an answer left it waits until its question is withdrawn.
type script struct {
	mu      sync.Mutex
	answers []Answer
	asked   []string
	open    int // questions in front of it
}

func (s *script) prompt(ctx context.Context, v Verdict) (Answer, error) {
	s.mu.Lock()
	s.asked = append(s.asked, v.Operation+" "+joinHostPort(v.Target, v.Port)+": "+v.Explain())
	if s.open++; s.open > 1 {
		s.asked = append(s.asked, "BUT another question is open")
	}
	defer func() { s.open-- }()
	if len(s.answers) > 0 {
		defer s.mu.Unlock()
		a := s.answers[0]
		s.answers = s.answers[1:]
		return a, nil
	}
	s.mu.Unlock()
	<-ctx.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	return AnswerAllowAll, nil // too late, so that it must not count
}

func (s *script) wantAsked(t *testing.T, what string, want ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.asked, want) {
		t.Errorf("%s\n got %q\nwant %q", what, s.asked, want)
	}
	s.asked = nil
}

func prompting(list *List, answers ...Answer) (*Grant, *script) {
	s := &script{answers: answers}
	return NewGrant(list, &GrantOptions{Prompt: s.prompt}), s
}

func TestPromptIsAskedForWhatIsMissing(t *testing.T) {
	ctx := t.Context()
	g, s := prompting(testList(t, "example.com:443", "evil.example"), AnswerAllow, AnswerDeny)

	wantVerdict(t, "what a rule allows is not asked for", g.CheckTarget(ctx, "example.com", 443), "allowed by --allow-net=example.com:443 ✓")
	wantVerdict(t, "nor what a rule denies", g.CheckTarget(ctx, "evil.example", 443), "denied by --deny-net=evil.example")
	wantVerdict(t, "nor what nothing can allow", g.CheckTarget(ctx, "127.1", 443), "the host is a number, but not an IPv4 address in canonical form")
	s.wantAsked(t, "the prompt was not asked")

	wantVerdict(t, "a yes adds the rule", g.CheckTarget(ctx, "Example.org.", 443), "allowed when asked, as by --allow-net=example.org:443 ✓")
	s.wantAsked(t, "what is missing is asked for", "dial example.org:443: needs --allow-net=example.org:443")
	wantVerdict(t, "a yes is remembered", g.CheckTarget(ctx, "example.org", 443), "allowed when asked, as by --allow-net=example.org:443 ✓")
	s.wantAsked(t, "and not asked for again")

	const refused = "refused when asked: needs --allow-net=example.org:80"
	wantVerdict(t, "a yes is for one port, and a no denies", g.CheckTarget(ctx, "example.org", 80), refused)
	s.wantAsked(t, "the other port was asked for", "dial example.org:80: needs --allow-net=example.org:80")
	wantVerdict(t, "a no is remembered", g.CheckTarget(ctx, "EXAMPLE.org", 80), refused)
	s.wantAsked(t, "and not asked for again")
}

func TestPromptForAnAddressNamesIt(t *testing.T) {
	ctx := t.Context()
	g, s := prompting(testList(t, "example.com", ""), AnswerAllow, AnswerAllow, AnswerAllow, AnswerDeny)

	wantVerdict(t, "a yes to an address allows it",
		g.CheckAddr(ctx, "example.com", addrPort("127.0.0.1:80")), "allowed when asked, as by --allow-net=127.0.0.1:80 ✓")
	s.wantAsked(t, "the question names the address",
		"dial example.com:80: resolves to 127.0.0.1, a loopback address: needs --allow-net=127.0.0.1:80")

	wantVerdict(t, "two yeses allow a literal that embeds another address",
		g.CheckTarget(ctx, "64:ff9b::a00:1", 80), "allowed when asked, as by --allow-net=[64:ff9b::a00:1]:80 ✓")
	s.wantAsked(t, "it is asked for, and what it embeds",
		"dial [64:ff9b::a00:1]:80: needs --allow-net=[64:ff9b::a00:1]:80",
		"dial [64:ff9b::a00:1]:80: embeds 10.0.0.1, a private address: needs --allow-net=10.0.0.1:80")

	wantVerdict(t, "a no to what is missing still denies",
		g.CheckAddr(ctx, "example.com", addrPort("10.0.0.2:80")),
		"resolves to 10.0.0.2, a private address; refused when asked: needs --allow-net=10.0.0.2:80")
}

func TestPromptForAListener(t *testing.T) {
	ctx := t.Context()
	g, s := prompting(nil, AnswerAllow)
	wantVerdict(t, "a yes allows listening", g.CheckListen(ctx, "127.0.0.1", 0), "allowed when asked, as by --allow-net=127.0.0.1:0 ✓")
	s.wantAsked(t, "the question says what it is about", "listen 127.0.0.1:0: needs --allow-net=127.0.0.1:0")
	l, err := g.AcquireListen(ctx, "127.0.0.1", 0)
	mustNot(t, err)
	l.Release()
}

func TestPromptAllowAll(t *testing.T) {
	ctx := t.Context()
	g, s := prompting(testList(t, "localhost", "evil.example"), AnswerDeny, AnswerAllowAll)
	g.CheckTarget(ctx, "refused.example", 80)
	wantVerdict(t, "everything is allowed", g.CheckTarget(ctx, "a.example", 80), "allowed when asked, as by --allow-net ✓")
	wantVerdict(t, "the metadata address too", g.CheckAddr(ctx, "b.example", addrPort("169.254.169.254:80")), "allowed when asked, as by --allow-net ✓")
	wantVerdict(t, "deny rules still hold", g.CheckTarget(ctx, "evil.example", 80), "denied by --deny-net=evil.example")
	wantVerdict(t, "and noes", g.CheckTarget(ctx, "refused.example", 80), "refused when asked: needs --allow-net=refused.example:80")
	wantVerdict(t, "what rules allow is allowed by them", g.CheckTarget(ctx, "localhost", 80), "allowed by --allow-net=localhost ✓")
	s.wantAsked(t, "nothing is asked any more",
		"dial refused.example:80: needs --allow-net=refused.example:80", "dial a.example:80: needs --allow-net=a.example:80")
}

func TestPromptAnswersEndWithTheList(t *testing.T) {
	ctx := t.Context()
	g, s := prompting(nil, AnswerAllow, AnswerDeny, AnswerAllowAll)
	g.CheckTarget(ctx, "a.example", 80)
	g.CheckTarget(ctx, "b.example", 80)
	g.CheckTarget(ctx, "c.example", 80)
	s.wantAsked(t, "all are asked for", "dial a.example:80: needs --allow-net=a.example:80",
		"dial b.example:80: needs --allow-net=b.example:80", "dial c.example:80: needs --allow-net=c.example:80")

	g.SetList(testList(t, "", "c.example"))
	s.answers = []Answer{AnswerDeny, AnswerAllow}
	wantVerdict(t, "a yes is forgotten", g.CheckTarget(ctx, "a.example", 80), "refused when asked: needs --allow-net=a.example:80")
	wantVerdict(t, "a no is forgotten", g.CheckTarget(ctx, "b.example", 80), "allowed when asked, as by --allow-net=b.example:80 ✓")
	wantVerdict(t, "a yes to all is forgotten", g.CheckTarget(ctx, "c.example", 80), "denied by --deny-net=c.example")

	g.Revoke()
	s.wantAsked(t, "the new list is asked about", "dial a.example:80: needs --allow-net=a.example:80", "dial b.example:80: needs --allow-net=b.example:80")
	wantVerdict(t, "a revoked grant asks nobody", g.CheckTarget(ctx, "a.example", 80), "the grant was revoked")
	s.wantAsked(t, "it was not asked")
}

func TestPromptFailures(t *testing.T) {
	ctx := t.Context()
	var answer func() (Answer, error)
	asked := 0
	g := NewGrant(nil, &GrantOptions{Prompt: func(context.Context, Verdict) (Answer, error) {
		asked++
		return answer()
	}})
	for _, test := range []struct {
		what   string
		answer func() (Answer, error)
		want   string
	}{
		{"an error denies", func() (Answer, error) { return AnswerAllowAll, errors.New("no terminal") }, "asking failed: no terminal: needs --allow-net=a.example:80"},
		{"an answer that there is not denies", func() (Answer, error) { return AnswerAllowAll + 1, nil }, "asking failed: the prompt returned no answer: needs --allow-net=a.example:80"},
		{"a prompt that never returns denies", func() (Answer, error) { runtime.Goexit(); return 0, nil }, "asking failed: the prompt returned no answer: needs --allow-net=a.example:80"},
		{"the next one asks again", func() (Answer, error) { return AnswerAllow, nil }, "allowed when asked, as by --allow-net=a.example:80 ✓"},
	} {
		answer = test.answer
		wantVerdict(t, test.what, g.CheckTarget(ctx, "a.example", 80), test.want)
	}
	if asked != 4 {
		t.Errorf("each asks\n got %d questions\nwant 4", asked)
	}
}

func TestPromptIsAskedOnceByMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		g := NewGrant(nil, &GrantOptions{Prompt: func(context.Context, Verdict) (Answer, error) {
			asked++
			time.Sleep(time.Minute) // somebody types
			return AnswerAllow, nil
		}})
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				wantVerdict(t, "all have the answer", g.CheckTarget(t.Context(), "a.example", 80), "allowed when asked, as by --allow-net=a.example:80 ✓")
			})
		}
		wg.Wait()
		if asked != 1 {
			t.Errorf("a question is asked once\n got %d times", asked)
		}
	})
}

func TestPromptsComeOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open, most, asked := 0, 0, 0
		g := NewGrant(nil, &GrantOptions{Prompt: func(_ context.Context, v Verdict) (Answer, error) {
			open++
			most = max(most, open)
			asked++
			time.Sleep(time.Minute)
			open--
			if asked == 10 {
				return AnswerAllowAll, nil
			}
			return AnswerAllow, nil
		}})
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				if v := g.CheckTarget(t.Context(), fmt.Sprintf("a%d.example", i), 80); !v.Allowed {
					t.Errorf("all are allowed\ngot %s", v.Explain())
				}
			})
		}
		wg.Wait()
		if most != 1 || asked != 10 {
			t.Errorf("one question is open at a time, and none after a yes to all\n got %d open, %d asked\nwant 1, 10", most, asked)
		}
	})
}

func TestContextEndsTheWaitForAPrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := prompting(nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		const ended = "asking ended: context deadline exceeded: needs --allow-net=a.example:80"
		wantVerdict(t, "the end of the context denies", g.CheckTarget(ctx, "a.example", 80), ended)
		synctest.Wait()
		s.wantAsked(t, "it was asked", "dial a.example:80: needs --allow-net=a.example:80")
		wantVerdict(t, "an ended context asks nobody", g.CheckTarget(ctx, "a.example", 80), ended)
		s.wantAsked(t, "it was not asked")
		s.answers = []Answer{AnswerAllow}
		wantVerdict(t, "nothing is remembered of it", g.CheckTarget(t.Context(), "a.example", 80), "allowed when asked, as by --allow-net=a.example:80 ✓")
		s.wantAsked(t, "it was asked again", "dial a.example:80: needs --allow-net=a.example:80")
	})
}

// One of two that wait for the same answer gives up, in either order of arrival.
func TestQuestionOutlivesWhoAskedIt(t *testing.T) {
	for _, firstLeaves := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			asked := 0
			g := NewGrant(nil, &GrantOptions{Prompt: func(ctx context.Context, _ Verdict) (Answer, error) {
				asked++
				select {
				case <-ctx.Done():
					return AnswerDeny, ctx.Err()
				case <-time.After(time.Hour):
					return AnswerAllow, nil
				}
			}})
			short, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var wg sync.WaitGroup
			for _, leaves := range []bool{firstLeaves, !firstLeaves} {
				ctx, want := t.Context(), "allowed when asked, as by --allow-net=a.example:80 ✓"
				if leaves {
					ctx, want = short, "asking ended: context deadline exceeded: needs --allow-net=a.example:80"
				}
				wg.Go(func() { wantVerdict(t, "each has its own patience", g.CheckTarget(ctx, "a.example", 80), want) })
				synctest.Wait()
			}
			wg.Wait()
			if asked != 1 {
				t.Errorf("the question is asked once\n got %d times", asked)
			}
		})
	}
}

// A prompt that does not heed its context holds up the prompts that follow, and nobody
// who does not want to wait.
func TestPromptThatDoesNotHeedItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		g := NewGrant(nil, &GrantOptions{Prompt: func(context.Context, Verdict) (Answer, error) {
			asked++
			time.Sleep(time.Hour)
			return AnswerAllow, nil
		}})
		short, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		g.CheckTarget(short, "a.example", 80)
		if waited := time.Since(start); waited != time.Minute {
			t.Errorf("who gives up goes at once\n got %v\nwant 1m", waited)
		}
		soon, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		g.CheckTarget(soon, "b.example", 80)
		synctest.Wait()
		if asked != 1 {
			t.Errorf("nothing is asked beside an open question\n got %d questions", asked)
		}
		wantVerdict(t, "the next question is asked in the end", g.CheckTarget(t.Context(), "b.example", 80), "allowed when asked, as by --allow-net=b.example:80 ✓")
		if waited := time.Since(start); waited != 2*time.Hour {
			t.Errorf("after the one before\n got %v\nwant 2h", waited)
		}
		const denied = "asking ended: context deadline exceeded: needs --allow-net=a.example:80"
		wantVerdict(t, "an answer that nobody waited for does not count", g.CheckTarget(short, "a.example", 80), denied)
	})
}

// The list changes while a question is open: its answer is about rules that are gone.
func TestSetListWithdrawsQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := prompting(nil)
		done := make(chan struct{})
		go func() {
			defer close(done)
			wantVerdict(t, "the second question is answered", g.CheckTarget(t.Context(), "a.example", 80), "refused when asked: needs --allow-net=a.example:80")
		}()
		go func() {
			wantVerdict(t, "the new list may settle a question", g.CheckTarget(t.Context(), "b.example", 80), "allowed by --allow-net=b.example ✓")
		}()
		synctest.Wait()
		s.mu.Lock()
		s.answers = []Answer{AnswerDeny}
		s.mu.Unlock()
		g.SetList(testList(t, "b.example", ""))
		<-done
		synctest.Wait()
		if len(g.answers.questions) != 0 || g.answers.added != 0 || g.answers.all != nil {
			t.Errorf("nothing is left of the first question\ngot %+v", g.answers)
		}
	})
}

func TestRevokeWithdrawsQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := prompting(nil)
		done := make(chan struct{})
		go func() {
			defer close(done)
			wantVerdict(t, "an open question is denied", g.CheckTarget(t.Context(), "a.example", 80), "the grant was revoked")
		}()
		synctest.Wait()
		g.Revoke()
		<-done
	})
}

// Whoever answers a guest by a program does not remember without end.
func TestAnswersAreLimited(t *testing.T) {
	ctx := t.Context()
	asked := 0
	g := NewGrant(nil, &GrantOptions{Prompt: func(_ context.Context, v Verdict) (Answer, error) {
		asked++
		return Answer(asked % 2), nil
	}})
	host := func(i int) string { return fmt.Sprintf("a%d.example", i) }
	for i := range maxAnswers {
		g.CheckTarget(ctx, host(i), 80)
	}
	if asked != maxAnswers {
		t.Fatalf("each is asked for\n got %d questions\nwant %d", asked, maxAnswers)
	}
	wantVerdict(t, "one more is denied", g.CheckTarget(ctx, host(maxAnswers), 80), "no more is asked after 1024 answers: needs --allow-net=a1024.example:80")
	wantVerdict(t, "the first yes is remembered", g.CheckTarget(ctx, host(0), 80), "allowed when asked, as by --allow-net=a0.example:80 ✓")
	wantVerdict(t, "the last no is remembered", g.CheckTarget(ctx, host(maxAnswers-1), 80), "refused when asked: needs --allow-net=a1023.example:80")
	if asked != maxAnswers {
		t.Errorf("nothing more was asked for\n got %d questions\nwant %d", asked, maxAnswers)
	}
	g.SetList(nil)
	wantVerdict(t, "a new list begins anew", g.CheckTarget(ctx, host(maxAnswers), 80), "allowed when asked, as by --allow-net=a1024.example:80 ✓")
}

func TestPromptedDecisionsAreRecorded(t *testing.T) {
	ctx := t.Context()
	logger, b := testLog(slog.LevelInfo)
	s := &script{answers: []Answer{AnswerAllow, AnswerDeny}}
	g := NewGrant(nil, &GrantOptions{Name: "chat", Logger: logger, Prompt: s.prompt})
	g.CheckTarget(ctx, "a.example", 80)
	g.CheckTarget(ctx, "a.example", 80)
	g.CheckTarget(ctx, "b.example", 80)
	wantLog(t, "an answer is news, and what follows from it a detail", b,
		`level=INFO msg="websocket: permission allowed" grant=chat operation=dial target=a.example port=80 verdict=allowed rule="--allow-net=a.example:80" prompted=true`,
		`level=WARN msg="websocket: permission denied" grant=chat operation=dial target=b.example port=80 verdict=denied needs=b.example:80 reason="refused when asked" prompted=true`)
}

// Many goroutines ask many things while answers come and lists change; what is allowed
// must have been allowed by a list or an answer, and nothing may hang.
func TestPromptHammer(t *testing.T) {
	ctx := t.Context()
	g := NewGrant(nil, &GrantOptions{Prompt: func(_ context.Context, v Verdict) (Answer, error) {
		if v.Target == "no.example" {
			return AnswerDeny, nil
		}
		return AnswerAllow, nil
	}})
	denies := testList(t, "a.example", "never.example")
	g.SetList(denies)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				short, cancel := context.WithTimeout(ctx, 10*time.Microsecond)
				for _, host := range []string{"a.example", "b.example", "no.example", "never.example"} {
					g.CheckTarget(short, host, 80)
					v := g.CheckTarget(ctx, host, 80)
					if want := host == "a.example" || host == "b.example"; v.Allowed != want {
						t.Errorf("%s is what lists and answers say\n got %s", host, explained(v))
					}
				}
				cancel()
				g.CheckAddr(ctx, "b.example", netip.AddrPortFrom(ipv4Loopback, 80))
				g.SetList(denies)
			}
		})
	}
	wg.Wait()
	if n := len(g.turn); n != 0 {
		t.Errorf("no question is left\ngot %d", n)
	}
}
