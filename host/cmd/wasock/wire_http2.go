package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// An http2Wire takes one direction of an HTTP/2 connection with one WebSocket apart,
// for display only.
type http2Wire struct {
	begun  bool
	rest   []byte // of a frame that is not whole
	stream []byte // of the WebSocket frame that is not whole
	fields *hpack.Decoder
	block  []byte // of a field block that is not whole
}

// A frame's header. https://www.rfc-editor.org/rfc/rfc9113.html#section-4.1
const frameHeaderLen = 9

// isHTTP2 reports whether the client's first bytes are those of HTTP/2.
func isHTTP2(b []byte) bool {
	return len(b) >= len(http2.ClientPreface) && string(b[:len(http2.ClientPreface)]) == http2.ClientPreface
}

// units returns what b completes: heads, WebSocket frames, and of HTTP/2's own
// frames those that say something about the WebSocket.
func (w *http2Wire) units(b []byte, from direction) (units []unit) {
	w.rest = append(w.rest, b...)
	if !w.begun && from == fromClient {
		if !isHTTP2(w.rest) {
			return nil
		}
		w.rest = w.rest[len(http2.ClientPreface):]
	}
	w.begun = true
	for len(w.rest) >= frameHeaderLen {
		h := w.rest[:frameHeaderLen]
		length := int(h[0])<<16 | int(h[1])<<8 | int(h[2])
		if len(w.rest) < frameHeaderLen+length {
			break
		}
		payload := w.rest[frameHeaderLen:][:length]
		units = append(units, w.frame(http2.FrameType(h[3]), http2.Flags(h[4]), payload)...)
		w.rest = w.rest[frameHeaderLen+length:]
	}
	return units
}

func (w *http2Wire) frame(t http2.FrameType, flags http2.Flags, payload []byte) (units []unit) {
	switch t {
	case http2.FrameSettings:
		if has(payload, http2.SettingEnableConnectProtocol) {
			units = append(units, unit{layer: "HTTP/2", head: "SETTINGS, Extended CONNECT: yes"})
		}
	case http2.FrameHeaders, http2.FrameContinuation:
		w.block = append(w.block, unpadded(t, flags, payload)...)
		if !flags.Has(http2.FlagHeadersEndHeaders) {
			break
		}
		if w.fields == nil {
			w.fields = hpack.NewDecoder(4096, nil)
		}
		fields, _ := w.fields.DecodeFull(w.block) // what cannot be decoded is not displayed
		w.block = nil
		units = append(units, unit{layer: "HTTP/2", head: "HEADERS " + pseudoFields(fields)})
	case http2.FrameData:
		w.stream = append(w.stream, unpadded(t, flags, payload)...)
		for {
			u, n := consumeFrame(w.stream)
			if n == 0 {
				break
			}
			units = append(units, u)
			w.stream = w.stream[n:]
		}
	}
	return units
}

// has reports whether a SETTINGS frame sets id to 1.
func has(settings []byte, id http2.SettingID) bool {
	for ; len(settings) >= 6; settings = settings[6:] {
		if binary.BigEndian.Uint16(settings) == uint16(id) && binary.BigEndian.Uint32(settings[2:]) == 1 {
			return true
		}
	}
	return false
}

// unpadded returns what a frame's payload is without padding and priority.
func unpadded(t http2.FrameType, flags http2.Flags, b []byte) []byte {
	if t != http2.FrameContinuation && flags.Has(http2.FlagDataPadded) && len(b) > 0 {
		if pad := int(b[0]); pad < len(b) {
			b = b[1 : len(b)-pad]
		}
	}
	if t == http2.FrameHeaders && flags.Has(http2.FlagHeadersPriority) && len(b) >= 5 {
		b = b[5:]
	}
	return bytes.Clone(b)
}

// pseudoFields returns what a head is about.
func pseudoFields(fields []hpack.HeaderField) string {
	values := make(map[string]string)
	for _, f := range fields {
		if strings.HasPrefix(f.Name, ":") {
			values[f.Name] = f.Value
		}
	}
	if status, ok := values[":status"]; ok {
		return status
	}
	return fmt.Sprintf("%s %s %s", values[":method"], values[":path"], values[":protocol"])
}
