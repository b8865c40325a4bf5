// Package extendedconnect makes the HTTP/2 servers of the process accept
// WebSockets. Import it for its effect:
//
//	import _ "github.com/wasock/wasock/host/extendedconnect"
//
// net/http and golang.org/x/net/http2 serve Extended CONNECT, which carries
// WebSockets over HTTP/2, only if the environment variable GODEBUG held
// http2xconnect=1 when they were initialised. This package puts it there, and is
// initialised before them: packages that do not depend on each other are
// initialised in the order of their paths.
//
// It is an import of its own because it changes the whole process: every HTTP/2
// server in it announces SETTINGS_ENABLE_CONNECT_PROTOCOL, and its handlers see
// CONNECT requests whose Header holds ":protocol". A handler that answers any
// method should look for them, and one that tunnels CONNECT should not take them
// for a tunnel's. Processes that are started by this one inherit the variable.
//
// A process that sets http2xconnect=0 in its environment keeps that. RFC 8441 §3.
package extendedconnect

import "os"

const setting = "http2xconnect="

func init() {
	value := os.Getenv("GODEBUG")
	if !has(value) {
		if value != "" {
			value += ","
		}
		_ = os.Setenv("GODEBUG", value+setting+"1") // fails for malformed names only
	}
}

// has reports whether a list of GODEBUG settings holds ours. Package strings is
// not imported: the fewer this package depends on, the earlier it is initialised.
func has(list string) bool {
	for len(list) > 0 {
		end := 0
		for end < len(list) && list[end] != ',' {
			end++
		}
		if end >= len(setting) && list[:len(setting)] == setting {
			return true
		}
		list = list[min(end+1, len(list)):]
	}
	return false
}
