package protocol

import (
	"bytes"
	"strings"
)

// escapePath returns path, which is empty or begins with a slash of either kind,
// escaped and without dot segments. The result begins with "/".
// https://url.spec.whatwg.org/#path-state
func escapePath(path string) (b []byte) {
	if path != "" {
		path = path[1:]
	}
	for more := true; more; {
		segment := path
		end := strings.IndexAny(path, `/\`)
		if more = end >= 0; more {
			segment, path = path[:end], path[end+1:]
		}
		switch dots(segment) {
		case 0:
			b = appendEscaped(append(b, '/'), segment, inPathSet)
			continue
		case 2:
			b = b[:max(0, bytes.LastIndexByte(b, '/'))]
		}
		if !more {
			b = append(b, '/')
		}
	}
	return b
}

// dots returns 1 or 2 for a segment that is so many dots, escaped or not, and 0
// for any other. https://url.spec.whatwg.org/#double-dot-path-segment
func dots(segment string) int {
	if len(segment) > len("%2e%2e") {
		return 0
	}
	switch strings.ReplaceAll(strings.ToLower(segment), "%2e", ".") {
	case ".":
		return 1
	case "..":
		return 2
	}
	return 0
}

const upperHex = "0123456789ABCDEF"

// appendEscaped appends s with the bytes that are in set percent-encoded.
// https://url.spec.whatwg.org/#string-utf-8-percent-encode
func appendEscaped(b []byte, s string, set func(c byte) bool) []byte {
	for i := range len(s) {
		if c := s[i]; set(c) {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		} else {
			b = append(b, c)
		}
	}
	return b
}

// inPathSet reports whether c is escaped in a path. A percent sign is not: it
// stands for itself or begins an escape, and only the server knows which.
// https://url.spec.whatwg.org/#path-percent-encode-set
func inPathSet(c byte) bool {
	return c <= ' ' || c >= 0x7f || strings.IndexByte("\"#<>?^`{}", c) >= 0
}

// inQuerySet reports whether c is escaped in the query of a special URL.
// https://url.spec.whatwg.org/#special-query-percent-encode-set
func inQuerySet(c byte) bool {
	return c <= ' ' || c >= 0x7f || strings.IndexByte(`"#<>'`, c) >= 0
}

// appendUnescaped appends s with its escapes decoded. What only looks like an
// escape stands for itself. https://url.spec.whatwg.org/#percent-decode
func appendUnescaped(b []byte, s string) []byte {
	for ; s != ""; s = s[1:] {
		if s[0] == '%' && len(s) >= 3 {
			high, ok1 := hexDigit(s[1])
			low, ok2 := hexDigit(s[2])
			if ok1 && ok2 {
				b = append(b, byte(high<<4|low))
				s = s[2:]
				continue
			}
		}
		b = append(b, s[0])
	}
	return b
}

func hexDigit(c byte) (v uint, ok bool) {
	switch {
	case isDigit(c):
		return uint(c - '0'), true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return uint(c|0x20-'a') + 10, true
	}
	return 0, false
}
