package peers

import (
	"fmt"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/tests/peers/deflated"
)

var (
	every    = deflated.Conversations
	telling  = deflated.Telling
	declined = []deflated.Conversation{deflated.Declined}
)

// upTo is what our end is willing to do, for messages of any length but 0.
func upTo(mode host.CompressionMode, bits int) host.Compression {
	return host.Compression{Mode: mode, WindowBits: bits, Threshold: 1}
}

const (
	takeover   = host.CompressionContextTakeover
	noTakeover = host.CompressionNoContextTakeover

	deflateName    = "permessage-deflate"
	serverForgets  = "; server_no_context_takeover"
	clientForgets  = "; client_no_context_takeover"
	neitherKeeps   = serverForgets + clientForgets
	serverNineBits = "; server_max_window_bits=9"
	clientNineBits = "; client_max_window_bits=9"
)

// windows are the parameters of the same window in both directions.
func windows(bits int) string {
	return fmt.Sprintf("; server_max_window_bits=%d; client_max_window_bits=%[1]d", bits)
}

// heldAt are all conversations for the least window, the most and one between, and for
// the others those that differ.
func heldAt(bits int) []deflated.Conversation {
	if bits == 9 || bits == 12 || bits == 15 {
		return every
	}
	return telling
}

// wsSettings are for ws, of whose options a client's and a server's have the same
// names. https://github.com/websockets/ws/blob/8.23.0/doc/ws.md
func wsSettings(weDial bool) []deflateSetting {
	all := upTo(takeover, 15)
	list := []deflateSetting{
		{"takeover", all, map[string]any{}, deflateName, every},
		{"no takeover", all, map[string]any{"serverNoContextTakeover": true, "clientNoContextTakeover": true}, deflateName + neitherKeeps, every},
		{"takeover for the client", all, map[string]any{"serverNoContextTakeover": true}, deflateName + serverForgets, every},
		{"takeover for the server", all, map[string]any{"clientNoContextTakeover": true}, deflateName + clientForgets, every},
		{"no takeover for us", upTo(noTakeover, 15), map[string]any{}, deflateName + neitherKeeps, every},
		{"9 bits for the server", all, map[string]any{"serverMaxWindowBits": 9}, deflateName + serverNineBits, every},
		{"9 bits for the client", all, map[string]any{"clientMaxWindowBits": 9}, deflateName + clientNineBits, every},
	}
	for bits := 9; bits <= 15; bits++ {
		list = append(list,
			deflateSetting{fmt.Sprintf("takeover, %d bits", bits), all,
				map[string]any{"serverMaxWindowBits": bits, "clientMaxWindowBits": bits}, deflateName + windows(bits), heldAt(bits)},
			deflateSetting{fmt.Sprintf("no takeover, %d bits", bits), all,
				map[string]any{"serverNoContextTakeover": true, "clientNoContextTakeover": true, "serverMaxWindowBits": bits, "clientMaxWindowBits": bits},
				deflateName + neitherKeeps + windows(bits), telling})
	}
	for bits := 8; bits <= 14; bits++ {
		list = append(list, deflateSetting{fmt.Sprintf("%d bits for us", bits), upTo(takeover, bits), map[string]any{}, deflateName + windows(bits), telling})
	}
	if weDial {
		// Its server declines to have less than it was told to have.
		return append(list, deflateSetting{"9 bits for us, 12 for them", upTo(takeover, 9), map[string]any{"serverMaxWindowBits": 12}, "", declined})
	}
	// A client that does not offer to be limited is declined.
	return append(list, deflateSetting{"9 bits for us, no limit for them", upTo(takeover, 9), map[string]any{"clientMaxWindowBits": false}, "", declined})
}

// websocketsSettings are for Python's websockets.
// https://websockets.readthedocs.io/en/17.4/reference/extensions.html
func websocketsSettings(weDial bool) []deflateSetting {
	all := upTo(takeover, 15)
	byItself := deflateName
	if weDial {
		byItself += windows(12)
	}
	list := []deflateSetting{
		{"by itself", all, nil, byItself, every},
		{"takeover", all, map[string]any{}, deflateName, every},
		{"no takeover", all, map[string]any{"server_no_context_takeover": true, "client_no_context_takeover": true}, deflateName + neitherKeeps, every},
		{"takeover for the client", all, map[string]any{"server_no_context_takeover": true}, deflateName + serverForgets, every},
		{"takeover for the server", all, map[string]any{"client_no_context_takeover": true}, deflateName + clientForgets, every},
		{"no takeover for us", upTo(noTakeover, 15), map[string]any{}, deflateName + neitherKeeps, every},
		{"9 bits for the server", all, map[string]any{"server_max_window_bits": 9}, deflateName + serverNineBits, every},
		{"9 bits for the client", all, map[string]any{"client_max_window_bits": 9}, deflateName + clientNineBits, every},
	}
	for bits := 9; bits <= 15; bits++ {
		list = append(list,
			deflateSetting{fmt.Sprintf("takeover, %d bits", bits), all,
				map[string]any{"server_max_window_bits": bits, "client_max_window_bits": bits}, deflateName + windows(bits), heldAt(bits)},
			deflateSetting{fmt.Sprintf("no takeover, %d bits", bits), all,
				map[string]any{"server_no_context_takeover": true, "client_no_context_takeover": true, "server_max_window_bits": bits, "client_max_window_bits": bits},
				deflateName + neitherKeeps + windows(bits), telling})
	}
	for bits := 9; bits <= 14; bits++ {
		list = append(list, deflateSetting{fmt.Sprintf("%d bits for us", bits), upTo(takeover, bits), map[string]any{}, deflateName + windows(bits), telling})
	}
	if weDial {
		// zlib has no window of 256 bytes: its server declines.
		return append(list, deflateSetting{"8 bits for us", upTo(takeover, 8), map[string]any{}, "", declined})
	}
	return append(list, deflateSetting{"9 bits for us, no limit for them", upTo(takeover, 9), map[string]any{"client_max_window_bits": nil}, "", declined})
}
