package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"syscall"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/host/dialer"
)

// explain returns the message of err, and what to do next where that is known.
func explain(err error) string {
	text := strings.ReplaceAll(err.Error(), "websocket: ", "") // the prefix of a library's errors
	if next := nextStep(err); next != "" {
		return text + "; " + next
	}
	return text
}

func nextStep(err error) string {
	var opErr *net.OpError
	if errors.As(err, &opErr) && opErr.Op == "listen" {
		return nextStepListening(err)
	}
	var dialErr *host.DialError
	if errors.As(err, &dialErr) {
		return nextStepDialling(dialErr)
	}
	var handshake *host.HandshakeError
	if errors.As(err, &handshake) {
		switch status := handshake.Status; {
		case status == 401 || status == 403 || status == 407:
			return "the server wants to know who you are: see --header"
		case status >= 300 && status < 400:
			return nextStepRedirect(handshake)
		case status == 400:
			return "the server may want wss:// in place of ws://"
		case status == 404 || status == 200 || status == 426:
			return "check the path of the URL"
		}
	}
	var argument *host.ArgumentError
	if errors.As(err, &argument) && argument.Part == "port" {
		return "an IPv6 address stands in brackets, as in ws://[::1]:9001/"
	}
	var limit *host.LimitError
	if errors.As(err, &limit) {
		switch limit.Limit {
		case "MessageLimit":
			return "--message-limit raises it"
		case "PartLimit":
			return "--part-limit raises it"
		case "ControlLimit":
			return "--control-limit raises it"
		}
	}
	return ""
}

// nextStepRedirect is for a redirect that was not followed: because nobody asked for
// it, or because of a rule about its Location.
func nextStepRedirect(e *host.HandshakeError) string {
	if e.Field == "Location" {
		return ""
	}
	return "--redirects 1 follows one, and more if you say so; or use the URL that it points to"
}

func nextStepListening(err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "end the program that listens there, or choose another port: 0 takes a free one"
	case errors.Is(err, syscall.EACCES):
		return "choose a port from 1024 on"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "listen on an address of this machine, such as 127.0.0.1"
	}
	return ""
}

func nextStepDialling(err *host.DialError) string {
	var (
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
		record   tls.RecordHeaderError
		pin      *dialer.PinError
		dns      *net.DNSError
	)
	switch {
	case err.Proxy != "" && err.Step != "TLS handshake":
		return nextStepProxy(err)
	case errors.As(err, &unknown):
		return "--ca trusts a certificate of your own, --unsafely-ignore-certificate-errors switches verification off"
	case errors.As(err, &hostname):
		return "use a name that the certificate has"
	case errors.As(err, &invalid):
		return "--unsafely-ignore-certificate-errors switches verification off for a test"
	case errors.As(err, &pin):
		return "if you know that this is the server's key, add --pin " + pin.Seen
	case errors.As(err, &record):
		return "nothing there speaks TLS: ws:// in place of wss:// may be right"
	case errors.As(err, &dns):
		return "check the name, and whether this machine is online"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: check host and port, or start wasock echo"
	case errors.Is(err, context.DeadlineExceeded):
		return "--timeout gives it more"
	}
	return ""
}

// nextStepProxy is for what went wrong with a proxy. Where it refused because of
// credentials the error says so.
func nextStepProxy(err *host.DialError) string {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns), errors.Is(err, syscall.ECONNREFUSED):
		return "check --proxy, or HTTPS_PROXY and its like; --proxy none goes without"
	case errors.Is(err, context.DeadlineExceeded):
		return "--timeout gives it more"
	}
	return ""
}
