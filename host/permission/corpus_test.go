package permission

import (
	"context"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
)

// attempt is a row of testdata/bypasses.txt, which says what its columns are.
type attempt struct {
	line                         int
	allow, deny, operation, host string
	port                         uint16
	addr                         string
	want                         string
	given                        bool // the row is granted: a control
}

func readAttempts(t *testing.T) (rows []attempt) {
	t.Helper()
	text, err := os.ReadFile("testdata/bypasses.txt")
	mustNot(t, err)
	for i, line := range strings.Split(string(text), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		cells := strings.Split(line, "|")
		if len(cells) != 7 {
			t.Fatalf("line %d has 7 columns\ngot %d: %s", i+1, len(cells), line)
		}
		for i, c := range cells {
			cells[i] = strings.TrimSpace(c)
			if quoted, err := strconv.Unquote(cells[i]); err == nil && cells[i][0] == '"' {
				cells[i] = quoted
			}
		}
		row := attempt{line: i + 1, allow: cells[0], deny: cells[1], operation: cells[2], host: cells[3], addr: cells[5], want: cells[6]}
		if cells[4] != "" {
			port, err := strconv.ParseUint(cells[4], 10, 16)
			mustNot(t, err)
			row.port = uint16(port)
		}
		row.given = strings.HasPrefix(row.want, "allowed")
		rows = append(rows, row)
	}
	return rows
}

// use returns what a row of dial or listen asks for.
func (row *attempt) use(t *testing.T) use {
	u := use{stage: stageTarget, host: row.host, port: row.port}
	switch {
	case row.operation == opListen:
		u.stage = stageListen
	case row.addr != "":
		addr, err := netip.ParseAddr(row.addr)
		mustNot(t, err)
		u.stage, u.addr = stageAddr, netip.AddrPortFrom(addr, row.port)
	}
	return u
}

// ask returns the verdict on row in the words of its last column.
func (row *attempt) ask(t *testing.T) string {
	allowed := func(ok bool) string {
		if ok {
			return "allowed"
		}
		return "foreign"
	}
	switch row.operation {
	case opDial, opListen:
		return row.use(t).on(testList(t, row.allow, row.deny)).Explain()
	case "rule":
		if _, err := Parse([]string{row.allow}, nil); err != nil {
			_, why, _ := strings.Cut(err.Error(), `": `)
			return why
		}
		return "allowed"
	case "origin":
		return allowed(testOrigins(t, row.allow).Allows(row.host))
	case "same-origin":
		return allowed(SameOrigin(row.host, row.allow, row.addr))
	}
	t.Fatalf("line %d: operation %q", row.line, row.operation)
	return ""
}

func TestBypasses(t *testing.T) {
	attempts, given := 0, 0
	operations := map[string]int{}
	for _, row := range readAttempts(t) {
		if row.given {
			given++
		} else {
			attempts++
			operations[row.operation]++
		}
		if got := row.ask(t); got != row.want {
			t.Errorf("line %d: allow %q, deny %q: %s %q port %d at %q\n got %s\nwant %s",
				row.line, row.allow, row.deny, row.operation, row.host, row.port, row.addr, got, row.want)
		}
		if row.operation == opDial || row.operation == opListen {
			row.askGrant(t)
			row.takeBack(t)
		}
	}
	if attempts < 120 || given < 20 {
		t.Errorf("the corpus is large enough, with controls\n got %d attempts and %d controls\nwant 120 and 20", attempts, given)
	}
	for _, operation := range []string{opDial, opListen, "rule", "origin", "same-origin"} {
		if operations[operation] < 5 {
			t.Errorf("the corpus has attempts of each kind\n got %d of %s", operations[operation], operation)
		}
	}
}

// wantGiven checks that row is granted if it is a control, and only then.
func wantGiven(t *testing.T, what string, row *attempt, got bool) {
	t.Helper()
	if got != row.given {
		t.Errorf("line %d: %s\nallow %q, deny %q: %s %q port %d at %q\n got %v\nwant %v",
			row.line, what, row.allow, row.deny, row.operation, row.host, row.port, row.addr, got, row.given)
	}
}

// askGrant asks a Grant the same, whose prompt says no and is asked only for what is
// missing.
func (row *attempt) askGrant(t *testing.T) {
	t.Helper()
	u := row.use(t)
	v := u.on(testList(t, row.allow, row.deny))
	asked := false
	g := NewGrant(testList(t, row.allow, row.deny), &GrantOptions{
		Prompt: func(context.Context, Verdict) (Answer, error) { asked = true; return AnswerDeny, nil },
	})
	wantGiven(t, "a grant decides as its list", row, g.check(t.Context(), u).Allowed)
	if asked != (v.Needs() != "") {
		t.Errorf("line %d: the prompt is asked for what is missing and nothing else\n got %v\nwant %v", row.line, asked, !asked)
	}
}

// takeBack gets a lease for row from a Grant that allows everything, if there is one to
// be had, and then has the Grant allow what row says. Only what it allows stays.
func (row *attempt) takeBack(t *testing.T) {
	t.Helper()
	g := NewGrant(testList(t, everything, ""), nil)
	u := row.use(t)
	acquire := g.AcquireDial
	if u.stage == stageListen {
		acquire = g.AcquireListen
	}
	l, err := acquire(t.Context(), u.host, u.port)
	if err == nil && u.stage != stageListen {
		var v Verdict
		if v, err = l.open([]use{u}); !v.Allowed {
			err = v.Err()
		}
	}
	if err != nil {
		wantGiven(t, "what nothing can allow is not given", row, false)
		return
	}
	g.SetList(testList(t, row.allow, row.deny))
	wantGiven(t, "only what the new list allows stays open", row, l.Count(0, 0) == nil)
}
