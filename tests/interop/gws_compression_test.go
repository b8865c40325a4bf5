package interop

import (
	"fmt"

	"github.com/wasock/wasock/tests/peers/deflated"
)

var gwsCompression = compression{settings: gwsSettings(), fails: gwsFails, lacks: []string{
	"choice of what is compressed: it goes by a threshold and, with takeover, compresses everything (option.go)",
	"Pings between fragments: WriteFile has the connection locked (writefile.go)",
}}

func gwsFails(conversation string, theirs deflated.Compressor) string {
	switch {
	case conversation == "pings between messages" && theirs.Takeover:
		// https://github.com/lxzan/gws/blob/v1.8.9/writer.go
		return "doWrite puts the application data of Pings and Pongs into its window, where the other end has none"
	case conversation == "the context is taken over, or not" && theirs.Takeover && theirs.Bits == 8:
		return "it finds nothing in a window of 256 bytes"
	}
	return ""
}

func gwsSettings() (list []setting) {
	const plain = "permessage-deflate"
	most := upTo(true, 15)
	for bits := 8; bits <= 15; bits++ {
		limits, alone := "", telling
		if bits == 15 {
			alone = every
		} else {
			limits = fmt.Sprintf("; server_max_window_bits=%d; client_max_window_bits=%[1]d", bits)
		}
		list = append(list,
			setting{fmt.Sprintf("takeover, %d bits", bits), most, upTo(true, bits), plain + limits, plain + limits, every},
			setting{fmt.Sprintf("no takeover, %d bits", bits), most, upTo(false, bits), noTakeover + limits, noTakeover + limits, alone})
		if bits == 15 {
			break
		}
		// https://www.rfc-editor.org/rfc/rfc7692.html#section-7.1.2.1 has a server
		// that accepts a limit of its window answer it; getPermessageDeflate of
		// https://github.com/lxzan/gws/blob/v1.8.9/upgrader.go takes its own option.
		list = append(list, setting{fmt.Sprintf("%d bits for us", bits), upTo(true, bits), most, notObeyed, plain + limits, telling})
	}
	by := func(client, server deflated.Compressor) *deflated.Agreement {
		return &deflated.Agreement{Client: client, Server: server}
	}
	full, forgets, short := deflated.Compressor{Takeover: true, Bits: 15}, deflated.Compressor{Bits: 15}, deflated.Compressor{Takeover: true, Bits: 9}
	const clientAlone, serverAlone = plain + "; client_no_context_takeover", plain + "; server_no_context_takeover"
	const clientShort, serverShort = plain + "; client_max_window_bits=9", plain + "; server_max_window_bits=9"
	return append(list,
		setting{"takeover for the server", most, by(forgets, full), clientAlone, clientAlone, every},
		setting{"takeover for the client", most, by(full, forgets), serverAlone, serverAlone, every},
		setting{"no takeover for us", upTo(false, 15), most, noTakeover, noTakeover, every},
		setting{"9 bits for the server", most, by(full, short), serverShort, serverShort, every},
		setting{"9 bits for the client", most, by(short, full), clientShort, clientShort, every},
		setting{"12 bits for us, 9 for them", upTo(true, 12), upTo(true, 9),
			plain + "; server_max_window_bits=9; client_max_window_bits=9", plain + "; server_max_window_bits=9; client_max_window_bits=9", every},
	)
}
