package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/wasock/wasock/host/permission"
)

// terminalFile is the terminal of this process, whatever its input and output are.
const terminalFile = "/dev/tty"

// A terminal is where questions are put.
type terminal interface {
	io.ReadWriteCloser
	SetReadDeadline(time.Time) error
}

// openTerminal opens the terminal, for reading from it apart from the input: what is
// piped in is never an answer.
func openTerminal() (terminal, error) { return os.OpenFile(terminalFile, os.O_RDWR, 0) }

// A prompter asks the person at a terminal about targets that no rule allows.
type prompter struct {
	open func() (terminal, error)
}

// ask puts the question of v and waits for an answer, or for the end of ctx.
func (p *prompter) ask(ctx context.Context, v permission.Verdict) (permission.Answer, error) {
	t, err := p.open()
	if err != nil {
		return permission.AnswerDeny, err
	}
	defer func() { _ = t.Close() }()
	defer context.AfterFunc(ctx, func() { _ = t.SetReadDeadline(time.Unix(1, 0)) })()
	// Lines that were typed or pasted before the question was seen do not answer it.
	if err := discardInput(t); err != nil {
		return permission.AnswerDeny, err
	}
	if _, err := io.WriteString(t, question(v)); err != nil {
		return permission.AnswerDeny, err
	}
	for lines := bufio.NewReader(t); ; {
		line, err := lines.ReadString('\n')
		switch {
		case ctx.Err() != nil:
			return permission.AnswerDeny, ctx.Err()
		case err != nil:
			return permission.AnswerDeny, fmt.Errorf("no answer: %w", err)
		}
		switch strings.TrimSpace(line) {
		case "y", "Y":
			return permission.AnswerAllow, nil
		case "n", "N":
			return permission.AnswerDeny, nil
		case "A":
			return permission.AnswerAllowAll, nil
		}
		// A small a is none of them: it may be meant for "this" as well as for "all".
		if _, err := io.WriteString(t, choices); err != nil {
			return permission.AnswerDeny, err
		}
	}
}

const choices = "Allow? y = yes, n = no, A = all that no --deny-net matches [y/n/A] > "

// question is the text for v. The reference's says who asks for what, and which flag
// would have answered.
func question(v permission.Verdict) string {
	asked := fmt.Sprintf("wasock: connect requests net access to %q.\n", v.Needs())
	if v.Reason != "" {
		asked += fmt.Sprintf("        %s %s.\n", v.Target, v.Reason)
	}
	return printable(asked+"        --allow-net="+v.Needs()+" allows it without a question.\n") + choices
}
