package deflated

import (
	"fmt"
	"strconv"
	"strings"
)

// An Agreement is what both ends agreed to of permessage-deflate: what the compressor
// of each may do. RFC 7692 §7.1.
type Agreement struct{ Client, Server Compressor }

// A Compressor is one end's.
type Compressor struct {
	Takeover bool // it may refer to messages before
	Bits     int  // of its window, 8 to 15
}

// Agreed returns what a response's Sec-WebSocket-Extensions says, or nil if it says
// nothing.
func Agreed(value string) (*Agreement, error) {
	if value == "" {
		return nil, nil
	}
	a := &Agreement{Client: Compressor{true, 15}, Server: Compressor{true, 15}}
	name, params, _ := strings.Cut(value, ";")
	if strings.TrimSpace(name) != "permessage-deflate" {
		return nil, fmt.Errorf("deflated: %q is not permessage-deflate alone", value)
	}
	for param := range strings.SplitSeq(params, ";") {
		key, number, _ := strings.Cut(strings.TrimSpace(param), "=")
		switch key {
		case "":
		case "client_no_context_takeover":
			a.Client.Takeover = false
		case "server_no_context_takeover":
			a.Server.Takeover = false
		case "client_max_window_bits", "server_max_window_bits":
			bits, err := strconv.Atoi(number)
			if err != nil || bits < 8 || bits > 15 {
				return nil, fmt.Errorf("deflated: %q has a window of %q bits", value, number)
			}
			if key == "client_max_window_bits" {
				a.Client.Bits = bits
			} else {
				a.Server.Bits = bits
			}
		default:
			return nil, fmt.Errorf("deflated: %q has the parameter %q", value, key)
		}
	}
	return a, nil
}

// saidBy returns an error unless value says a, whatever the order of its parameters.
func (a *Agreement) saidBy(who, value string) error {
	got, err := Agreed(value)
	if err != nil {
		return fmt.Errorf("%s: %w", who, err)
	}
	if (got == nil) != (a == nil) || got != nil && *got != *a {
		return fmt.Errorf("%s says that %q was agreed to, want %v", who, value, a)
	}
	return nil
}

// String returns what both compressors may do.
func (a *Agreement) String() string {
	if a == nil {
		return "nothing"
	}
	return fmt.Sprintf("%+v", *a)
}
