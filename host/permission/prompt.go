package permission

import (
	"context"
	"errors"
	"strconv"
)

// An Answer is what somebody said to a question of a prompt.
type Answer uint8

const (
	// AnswerDeny denies. The rule that is missing is not asked for again.
	AnswerDeny Answer = iota

	// AnswerAllow adds the rule that is missing, Verdict.Needs, to the grant.
	AnswerAllow

	// AnswerAllowAll allows, as a bare --allow-net does, everything that no deny rule
	// matches and that was not denied by an answer before.
	AnswerAllowAll
)

// maxAnswers is how many answers a grant remembers. Whoever answers by hand does not
// get there; it bounds what a guest can make of a prompt that is a program. Then the
// prompt is asked no more, and what it would be asked about is denied.
const maxAnswers = 1024

// answers are what the prompt said, and what it is being asked.
type answers struct {
	refused   map[string]struct{}  // by the rule that is missing
	added     int                  // rules of Grant.list
	all       *List                // Grant.list and everything, after AnswerAllowAll
	questions map[string]*question // not finished; by the rule that is missing
}

func (a *answers) full() bool { return len(a.refused)+a.added >= maxAnswers }

// A question is put to the prompt once, for all that wait for the answer.
type question struct {
	use     use
	verdict Verdict
	ctx     context.Context // ends when the question is finished
	cancel  context.CancelFunc
	waiting int

	done    chan struct{} // closed when the question is finished
	outcome outcome
	err     error // why, for outcomeFailed
}

// outcome says what becomes of those that wait for a question.
type outcome uint8

const (
	outcomeOpen     outcome = iota // not finished
	outcomeAnswered                // rules were added: they look again
	outcomeObsolete                // the rules changed, or nobody waits: they look again
	outcomeRefused                 // they are denied
	outcomeFailed                  // they are denied, and the next may ask again
)

var errNoAnswer = errors.New("the prompt returned no answer")

// known returns what is known about u without asking. g.mu is held.
func (g *Grant) known(u use) Verdict {
	v := u.on(g.list.Load())
	if v.Allowed || v.needs == "" {
		return v
	}
	if _, refused := g.answers.refused[v.needs]; refused {
		v.because("refused when asked")
		return v
	}
	if g.answers.all != nil {
		return u.on(g.answers.all)
	}
	return v
}

// ask returns the verdict about u, for which a rule is missing, and whether the
// prompt decided. Each answer may bring up the next question: a name may be missing,
// then its address, then an address which that one embeds.
func (g *Grant) ask(ctx context.Context, u use) (v Verdict, prompted bool) {
	for {
		var q *question
		if v, q = g.question(ctx, u); q == nil {
			return v, prompted
		}
		select {
		case <-q.done:
		case <-ctx.Done():
			g.leave(q)
			v.because("asking ended: " + ctx.Err().Error())
			return v, prompted
		}
		switch q.outcome {
		case outcomeAnswered:
			prompted = true
		case outcomeObsolete:
		case outcomeRefused:
			v.because("refused when asked")
			return v, true
		case outcomeFailed:
			v.because("asking failed: " + q.err.Error())
			return v, prompted
		default:
			panic("BUG: question without an outcome")
		}
	}
}

// question returns the question that u waits for, and nil if the verdict stands
// without it.
func (g *Grant) question(ctx context.Context, u use) (Verdict, *question) {
	g.mu.Lock()
	defer g.mu.Unlock()
	v := g.known(u)
	_, refused := g.answers.refused[v.needs]
	switch {
	case v.Allowed, v.needs == "", refused:
		return v, nil
	case g.answers.full():
		v.because("no more is asked after " + strconv.Itoa(maxAnswers) + " answers")
		return v, nil
	case ctx.Err() != nil:
		v.because("asking ended: " + ctx.Err().Error())
		return v, nil
	}
	q := g.answers.questions[v.needs]
	if q == nil {
		q = &question{use: u, verdict: v, done: make(chan struct{})}
		// It outlives the caller if another one joins.
		q.ctx, q.cancel = context.WithCancel(context.WithoutCancel(ctx))
		if g.answers.questions == nil {
			g.answers.questions = make(map[string]*question)
		}
		g.answers.questions[v.needs] = q
		go g.put(q)
	}
	q.waiting++
	return v, q
}

// put asks the prompt, when it is q's turn. It runs on a goroutine of its own, so
// that a prompt that does not heed its context holds up nobody whose own has ended.
func (g *Grant) put(q *question) {
	defer g.end(q, outcomeFailed, errNoAnswer) // if the prompt calls runtime.Goexit
	select {
	case g.turn <- struct{}{}:
	case <-q.ctx.Done():
		return
	}
	defer func() { <-g.turn }()
	if g.settled(q) {
		return
	}
	answer, err := g.prompt(q.ctx, q.verdict)
	g.answer(q, answer, err)
}

// settled reports whether q need not be asked any more: the answer to another question
// may have said enough.
func (g *Grant) settled(q *question) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if v := g.known(q.use); v.needs != q.verdict.needs || g.answers.full() {
		g.finish(q, outcomeObsolete, nil)
	}
	return q.outcome != outcomeOpen
}

// answer takes the answer to q, unless q is finished: then the question was about
// rules that are gone, or nobody waited for the answer.
func (g *Grant) answer(q *question, answer Answer, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if q.outcome != outcomeOpen {
		return
	}
	if err != nil {
		g.finish(q, outcomeFailed, err)
		return
	}
	switch answer {
	case AnswerDeny:
		if g.answers.refused == nil {
			g.answers.refused = make(map[string]struct{})
		}
		g.answers.refused[q.verdict.needs] = struct{}{}
		g.finish(q, outcomeRefused, nil)
	case AnswerAllow:
		r, err := parseRule(q.verdict.needs)
		if err != nil {
			panic("BUG: what a verdict needs is no rule: " + err.Error())
		}
		g.list.Store(g.list.Load().adding(r))
		g.answers.added++
		g.finish(q, outcomeAnswered, nil)
	case AnswerAllowAll:
		g.answers.all = g.list.Load().adding(Rule{kind: kindAll})
		g.finish(q, outcomeAnswered, nil)
	default:
		g.finish(q, outcomeFailed, errNoAnswer)
	}
}

// leave takes one away from those that wait for q. When nobody is left there is no
// use in asking.
func (g *Grant) leave(q *question) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if q.waiting--; q.waiting == 0 {
		g.finish(q, outcomeObsolete, nil)
	}
}

// end finishes q.
func (g *Grant) end(q *question, o outcome, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.finish(q, o, err)
}

// finish finishes q, unless it is finished. g.mu is held.
func (g *Grant) finish(q *question, o outcome, err error) {
	if q.outcome != outcomeOpen {
		return
	}
	q.outcome, q.err = o, err
	delete(g.answers.questions, q.verdict.needs)
	close(q.done)
	q.cancel()
}

// forget forgets the answers, and finishes the questions. g.mu is held.
func (g *Grant) forget() {
	for _, q := range g.answers.questions {
		g.finish(q, outcomeObsolete, nil)
	}
	g.answers = answers{}
}
