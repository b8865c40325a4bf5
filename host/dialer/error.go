package dialer

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"unicode"
)

// Values of Error.Step.
const (
	stepResolve = "resolve"
	stepConnect = "connect"
	stepProxy   = "proxy"
	stepTLS     = "TLS handshake"
)

// An Error is a connection that could not be opened.
type Error struct {
	Step   string // "resolve", "connect", "proxy", "TLS handshake" or a step of the caller's
	Target string // host and port of the target
	Err    error  // the error of package net, crypto/tls, crypto/x509 or another

	// Proxy is the scheme, host and port of the proxy that the step was with, or that
	// was between in a TLS handshake. Empty if there was none.
	Proxy string

	// Status is the HTTP status with which the proxy refused, 0 if it did not.
	Status int
}

// Error returns a message such as
//
//	websocket: connect with example.com:443: 192.0.2.1: connection refused
//
// It holds no credentials, and of what the peer sent only what can be printed.
func (e *Error) Error() string {
	s := "websocket: "
	switch {
	case e.Step == stepProxy && e.Proxy == "": // there is none that could be named
		s += "proxy for " + e.Target
	case e.Step == stepProxy:
		s += "proxy " + e.Proxy + " for " + e.Target
	case e.Step == stepTLS && e.Proxy != "":
		s += e.Step + " with " + e.Target + " through " + e.Proxy
	case e.Proxy != "":
		s += e.Step + verbs(e.Step) + "proxy " + e.Proxy + " for " + e.Target
	default:
		s += e.Step + verbs(e.Step) + e.Target
	}
	s += ": " + describe(e.Err)
	if errors.Is(e.Err, context.DeadlineExceeded) {
		s += " (the time for it ran out)"
	}
	return s
}

// verbs joins a step and what it is done to.
func verbs(step string) string {
	if step == stepResolve {
		return " "
	}
	return " with "
}

func (e *Error) Unwrap() error { return e.Err }

// tlsAlert is the Op of an alert that the peer sent; its text says so with it only.
const tlsAlert = "remote error"

// describe returns what err says, without the addresses that stand beside it and in
// words that name the remedy where there is one.
func describe(err error) string {
	if s := describeTLS(err); s != "" {
		return s
	}
	var joined *attemptErrors
	if errors.As(err, &joined) {
		return joined.Error()
	}
	var de *net.DNSError
	if errors.As(err, &de) {
		return printable(de.Err)
	}
	for oe, ok := err.(*net.OpError); ok && oe.Err != nil && oe.Op != tlsAlert; oe, ok = err.(*net.OpError) {
		err = oe.Err
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return "the peer closed the connection"
	}
	// Package proxy says the first two words of every refusal.
	return printable(strings.TrimPrefix(err.Error(), "unknown error "))
}

// redact returns text that is no host, without what may be a password, to be printed.
func redact(s string) string {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		s = "…" + s[i:]
	}
	return printable(s)
}

// printable returns s in a form that is safe to print: one line, and not a long one.
// Certificates and resolvers bring in text that nobody has checked.
func printable(s string) string {
	const limit = 200
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}
