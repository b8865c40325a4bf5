package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/wasock/wasock/host"
)

// lineWriter prints messages, each on a line of its own: as they are in a pipe,
// and marked and harmless at a terminal.
type lineWriter struct {
	mu       sync.Mutex
	w        io.Writer
	binary   string // "raw" prints binary messages as they are
	terminal bool   // w is one
	prompts  bool   // a person types beside it
	shown    bool   // the cursor stands behind a prompt
	colours  palette
}

func newLineWriter(w io.Writer, binary string, interactive bool) *lineWriter {
	l := &lineWriter{w: w, binary: binary, terminal: isTerminal(w), colours: paletteFor(w)}
	l.prompts = interactive && l.terminal && os.Getenv("TERM") != "dumb"
	return l
}

// message prints one message.
func (l *lineWriter) message(t host.MessageType, p []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clearPrompt()
	err := l.print(t, p)
	l.showPrompt() // what was typed of a line is with the terminal: Ctrl-R shows it
	return err
}

func (l *lineWriter) print(t host.MessageType, p []byte) error {
	text, mark := string(p), "<"
	if t == host.MessageBinary && l.binary != "raw" {
		text, mark = hex.EncodeToString(p), "< "+strconv.Itoa(len(p))+" bytes"
	}
	if l.terminal {
		text = l.colours.green(mark) + " " + strings.ReplaceAll(printable(text), "\n", "\n  ")
	}
	_, err := io.WriteString(l.w, text+"\n")
	return err
}

// around calls f, which prints a line elsewhere on the terminal.
func (l *lineWriter) around(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	shown := l.shown
	l.clearPrompt()
	f()
	if shown {
		l.showPrompt()
	}
}

// prompt shows that a line may be typed.
func (l *lineWriter) prompt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.showPrompt()
}

// entered says that a line was typed: the cursor stands on the next.
func (l *lineWriter) entered() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shown = false
}

// end takes the prompt away for good.
func (l *lineWriter) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clearPrompt()
	l.prompts = false
}

func (l *lineWriter) showPrompt() {
	if l.prompts && !l.shown {
		_, _ = io.WriteString(l.w, l.colours.cyan(">")+" ")
		l.shown = true
	}
}

func (l *lineWriter) clearPrompt() {
	if l.shown {
		_, _ = io.WriteString(l.w, "\r\x1b[K")
		l.shown = false
	}
}

// closeNames are the meanings of close codes that a person may meet.
// https://www.iana.org/assignments/websocket/websocket.xhtml#close-code-number
var closeNames = map[host.CloseCode]string{
	host.CodeNormal:          "normal closure",
	host.CodeGoingAway:       "going away",
	host.CodeProtocolError:   "protocol error",
	host.CodeUnsupportedData: "unsupported data",
	host.CodeNoStatus:        "no code",
	host.CodeInvalidPayload:  "invalid payload",
	host.CodePolicyViolation: "policy violation",
	host.CodeMessageTooBig:   "message too big",
	host.CodeInternalError:   "internal error",
	host.CodeServiceRestart:  "service restart",
	host.CodeTryAgainLater:   "try again later",
}

// describeClose says how a connection was closed.
func describeClose(e *host.CloseError) string {
	how := "closed"
	if e.ByPeer {
		how = "closed by the peer"
	}
	how += fmt.Sprintf(": %d", e.Code)
	if name := closeNames[e.Code]; name != "" {
		how += " (" + name + ")"
	}
	if e.Reason != "" {
		how += " " + strconv.Quote(e.Reason)
	}
	return how
}
