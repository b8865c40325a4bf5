//go:build wasip1

package main

import (
	"strings"
	"time"

	"github.com/wasock/wasock/hostcalls"
	"github.com/wasock/wasock/protocol"
)

// lastConfig is the configuration that was made last. Connections of one host
// mostly have the same limits, and share it.
var lastConfig struct {
	limits hostcalls.Limits
	config *protocol.Config
}

func configFor(l hostcalls.Limits) *protocol.Config {
	if lastConfig.config == nil || lastConfig.limits != l {
		lastConfig.limits = l
		config := protocol.Config{
			MessageLimit:     l.MessageLimit,
			PartLimit:        int(l.PartLimit),
			ControlLimit:     int(l.ControlLimit),
			ControlWindow:    time.Duration(l.ControlWindow),
			IdleTimeout:      time.Duration(l.IdleTimeout),
			HandshakeTimeout: time.Duration(l.HandshakeTimeout),
			CloseTimeout:     time.Duration(l.CloseTimeout),
			Head:             protocol.HeadLimits{MaxBytes: int(l.HeadLenLimit), MaxFields: int(l.HeadFieldsLimit)},
			RatioLimit:       int(l.RatioLimit),
			Random:           random,
			Scratch:          scratch[0][:],
			Coders:           &coders,
		}
		lastConfig.config = config.WithDefaults()
	}
	return lastConfig.config
}

// coders are what all connections compress and inflate with.
var coders protocol.Coders

func compression(c hostcalls.Compression) protocol.Compression {
	return protocol.Compression{
		Mode: protocol.CompressionMode(c.Mode), Level: protocol.CompressionLevel(c.Level),
		WindowBits: int(c.WindowBits), Threshold: int(min(c.Threshold, 1<<31-1)),
	}
}

// splitList splits what was joined by commas; nothing is no element.
func splitList(b []byte) []string {
	if len(b) == 0 {
		return nil
	}
	return strings.Split(string(b), ",")
}

// fields decodes a field block.
func fields(b []byte) (fs []protocol.Field, err error) {
	if len(b) == 0 {
		return nil, nil
	}
	// One string for all of them: allocations are what a handshake costs here.
	all, rest := string(b), b
	fs = make([]protocol.Field, 0, 16)
	for len(rest) > 0 {
		at := len(b) - len(rest) + hostcalls.FieldHeaderSize
		var name, value []byte
		if name, value, rest, err = hostcalls.ConsumeField(rest); err != nil {
			return nil, err
		}
		fs = append(fs, protocol.Field{Name: all[at : at+len(name)], Value: all[at+len(name) : at+len(name)+len(value)]})
	}
	return fs, nil
}

// appendFields appends a field block.
func appendFields(b []byte, fs []protocol.Field) []byte {
	for _, f := range fs {
		b = hostcalls.AppendField(b, f.Name, f.Value)
	}
	return b
}

// fieldBlock is where a response's fields are gathered.
var fieldBlock [4 << 10]byte

func appendResponse(b []byte, r *protocol.Response, subprotocol, extensions string) []byte {
	block := appendFields(fieldBlock[:0], r.Fields)
	return hostcalls.AppendResponse(b, hostcalls.Response{
		Status: uint32(r.Status), Subprotocol: []byte(subprotocol), Extensions: []byte(extensions), Fields: block,
	})
}

// response stores the response that c received as the event record n.
func (l *lane) response(n int, c *protocol.Conn) {
	r := &l.events[n]
	*r = hostcalls.Event{Kind: hostcalls.KindResponse}
	l.record(r, appendResponse(nil, c.Response(), c.Subprotocol(), c.Extensions()))
}

// appendFailure encodes err as an error record.
func appendFailure(b []byte, err error) []byte {
	f := hostcalls.Failure{Class: hostcalls.ClassEnded}
	switch e := err.(type) {
	case *protocol.ProtocolError:
		f.Class, f.Code, f.Rule = hostcalls.ClassProtocol, uint32(e.Code), []byte(e.Rule)
	case *protocol.LimitError:
		f.Class, f.Code, f.Max, f.Size, f.Subject = hostcalls.ClassLimit, uint32(e.Code), e.Max, e.Size, []byte(e.Limit)
	case *protocol.HandshakeError:
		f.Class, f.Code, f.Subject, f.Rule = hostcalls.ClassHandshake, uint32(e.Status), []byte(e.Field), []byte(e.Rule)
	case *protocol.URLError:
		f.Class, f.Subject, f.Rule = hostcalls.ClassArgument, []byte(e.Part), []byte(e.Rule)
	default:
		switch {
		case protocol.IsIdle(err):
			f.Class = hostcalls.ClassIdle
		case err != protocol.ErrUnexpectedEOF && err != protocol.ErrGivenUp:
			f.Class = hostcalls.ClassArgument
		}
		f.Rule = []byte(strings.TrimPrefix(err.Error(), "websocket: "))
	}
	return hostcalls.AppendFailure(b, f)
}
