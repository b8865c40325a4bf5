package main

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/wasock/wasock/host"
)

// size is a flag's number of bytes.
type size int64

var sizeUnits = []struct {
	suffix string
	bytes  int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {"", 1}}

func (s *size) String() string {
	for _, u := range sizeUnits {
		if *s > 0 && int64(*s)%u.bytes == 0 {
			return strconv.FormatInt(int64(*s)/u.bytes, 10) + u.suffix
		}
	}
	return "0"
}

func (s *size) Set(text string) error {
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(text, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 1 || n > math.MaxInt64/u.bytes {
			break
		}
		*s = size(n * u.bytes)
		return nil
	}
	return errors.New("a size is a positive number of bytes, such as 65536, 64KiB or 16MiB")
}

func (s *size) Type() string { return "size" }

// limitFlags are the limits of a connection.
type limitFlags struct {
	message, send  size
	parts, control int
	idle           time.Duration
}

func (l *limitFlags) add(fs *pflag.FlagSet) {
	*l = limitFlags{message: 16 << 20, send: 1 << 20}
	fs.Var(&l.message, "message-limit", "longest message to accept")
	fs.IntVar(&l.parts, "part-limit", 1024, "most `fragments` of a message to accept")
	fs.IntVar(&l.control, "control-limit", 100, "most control `frames` to accept in 10 s")
	fs.Var(&l.send, "send-limit", "unsent output above which sending waits")
	fs.DurationVar(&l.idle, "idle-timeout", 30*time.Second, "ping a silent peer after half of this, give it up after all; 0 for never")
}

func (l *limitFlags) limits() (host.Limits, error) {
	switch {
	case l.parts < 1 || l.parts > math.MaxInt32:
		return host.Limits{}, usage("--part-limit %d: a message has at least one part", l.parts)
	case l.control < 1 || l.control > math.MaxInt32:
		return host.Limits{}, usage("--control-limit %d: a closing handshake takes at least one control frame", l.control)
	case l.send > math.MaxInt32:
		return host.Limits{}, usage("--send-limit %v is over 2GiB", &l.send)
	}
	idle := l.idle
	if idle <= 0 {
		idle = -1
	}
	return host.Limits{
		MessageLimit: int64(l.message), SendLimit: int(l.send), PartLimit: l.parts, ControlLimit: l.control, IdleTimeout: idle,
	}, nil
}

// compressFlags is --compress.
type compressFlags struct{ mode, level string }

func (c *compressFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&c.mode, "compress", "", "compress messages (permessage-deflate): `MODE` is takeover, or no-takeover to keep nothing between them; takeover without a value")
	fs.Lookup("compress").NoOptDefVal = "takeover"
	fs.StringVar(&c.level, "compress-level", "default", "work that compressing is worth: `LEVEL` is fastest, default or best")
}

func (c *compressFlags) compression() (o host.Compression, err error) {
	switch c.mode {
	case "":
	case "takeover":
		o.Mode = host.CompressionContextTakeover
	case "no-takeover":
		o.Mode = host.CompressionNoContextTakeover
	default:
		return o, usage("--compress=%s: write --compress=takeover or --compress=no-takeover", c.mode)
	}
	switch c.level {
	case "default":
	case "fastest":
		o.Level = host.CompressionFastest
	case "best":
		o.Level = host.CompressionBest
	default:
		return o, usage("--compress-level %s: write fastest, default or best", c.level)
	}
	return o, nil
}

// headerFields parses the values of --header.
func headerFields(values []string) (map[string][]string, error) {
	fields := make(map[string][]string)
	for i, v := range values {
		name, value, ok := strings.Cut(v, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			// A field may hold a secret, so it is not repeated.
			return nil, usage("--header number %d is not of the form 'Name: value'", i+1)
		}
		fields[name] = append(fields[name], strings.TrimSpace(value))
	}
	return fields, nil
}

// together returns an error unless both files of a pair are named, or none is.
func together(a, fileA, b, fileB string) error {
	if (fileA == "") != (fileB == "") {
		return usage("--%s and --%s belong together: give both", a, b)
	}
	return nil
}
