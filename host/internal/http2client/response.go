package http2client

import (
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A Response is the head of the server's response.
type Response struct {
	Status int
	Fields []Field // without :status, in the order in which they came
}

// A fieldBlock is what a field block of the server decodes to. It is decoded to
// its end whatever is wrong with it, since the compression state is that of all
// streams: https://www.rfc-editor.org/rfc/rfc9113.html#section-4.3.
type fieldBlock struct {
	status int // 0: no :status yet
	fields []Field
	size   int
	count  int

	code   http2.ErrCode // what is wrong with it; ErrCodeNo: nothing
	rule   string
	unread bool // nobody wants the fields
}

// readHEADERS reads the frames of a field block. The connection is lost to one
// that goes on: CVE-2023-45288.
func (c *Conn) readHEADERS(h http2.FrameHeader) error {
	f, err := c.framer.ReadFrameForHeader(h)
	if err != nil {
		return c.frameError(err)
	}
	first := f.(*http2.HeadersFrame)
	b, err := c.startBlock(h.StreamID)
	if err != nil {
		return err
	}
	c.decoding = b
	defer func() { c.decoding = nil }()
	c.decoder.SetEmitEnabled(!b.unread)

	fragment, ended, size := first.HeaderBlockFragment(), first.HeadersEnded(), 0
	for frames := 1; ; frames++ {
		if size += len(fragment); size > blockFactor*c.config.HeaderListSize || frames > blockFrames {
			return connectionError(http2.ErrCodeEnhanceYourCalm, "a field block of %d bytes in %d frames; at most %d in %d are taken",
				size, frames, blockFactor*c.config.HeaderListSize, blockFrames)
		}
		if _, err := c.decoder.Write(fragment); err != nil {
			return connectionError(http2.ErrCodeCompression, "a field block: %v", err)
		}
		if ended {
			break
		}
		// The framer sees to it that what follows is a CONTINUATION of this stream.
		f, err := c.framer.ReadFrame()
		if err != nil {
			return c.frameError(err)
		}
		cont := f.(*http2.ContinuationFrame)
		fragment, ended = cont.HeaderBlockFragment(), cont.HeadersEnded()
	}
	if err := c.decoder.Close(); err != nil {
		return connectionError(http2.ErrCodeCompression, "a field block: %v", err)
	}
	return c.receiveBlock(h.StreamID, b, first.StreamEnded())
}

// startBlock sees whose field block begins.
func (c *Conn) startBlock(id uint32) (*fieldBlock, error) {
	c.mu.Lock()
	defer c.unlock()
	if c.streams[id] != nil {
		return &fieldBlock{}, nil
	}
	return &fieldBlock{unread: true}, c.receiveStray(id, "HEADERS")
}

// emit takes a field of the block that is being decoded. The strings of a field
// that repeats an entry of the table are the entry's, so that what a short block
// decodes to is held once, however long it is: CVE-2026-49975.
func (c *Conn) emit(f hpack.HeaderField) {
	b := c.decoding
	// https://www.rfc-editor.org/rfc/rfc9113.html#section-6.5.2: 32 for each.
	b.size += len(f.Name) + len(f.Value) + 32
	b.count++
	switch {
	case b.size > c.config.HeaderListSize:
		b.fail(http2.ErrCodeEnhanceYourCalm, "the response's fields are longer than HeaderListSize")
	case b.count > c.config.FieldCount:
		b.fail(http2.ErrCodeEnhanceYourCalm, "the response has more fields than FieldCount")
	case !validValue(f.Value):
		b.fail(http2.ErrCodeProtocol, "a field's value holds a control character, or begins or ends with a space")
	case f.Name == ":status":
		b.addStatus(f.Value)
	case strings.HasPrefix(f.Name, ":"):
		b.fail(http2.ErrCodeProtocol, "the response has a pseudo-field that is not :status")
	case !validName(f.Name):
		b.fail(http2.ErrCodeProtocol, "a field's name is not a token in lower case")
	case isOneOf(f.Name, connectionFields[:]):
		b.fail(http2.ErrCodeProtocol, "the response has a field that belongs to HTTP/1.1")
	default:
		b.fields = append(b.fields, f)
	}
	if b.code != http2.ErrCodeNo {
		b.fields = nil
		c.decoder.SetEmitEnabled(false)
	}
}

// addStatus takes the field :status.
// https://www.rfc-editor.org/rfc/rfc9113.html#section-8.3
func (b *fieldBlock) addStatus(v string) {
	switch {
	case b.status != 0:
		b.fail(http2.ErrCodeProtocol, "the response has two :status")
	case len(b.fields) > 0:
		b.fail(http2.ErrCodeProtocol, "a pseudo-field follows a field that is none")
	case len(v) != 3 || v[0] < '1' || v[0] > '5' || v[1] < '0' || v[1] > '9' || v[2] < '0' || v[2] > '9':
		b.fail(http2.ErrCodeProtocol, "the response's :status is not a number from 100 to 599")
	default:
		b.status = int(v[0]-'0')*100 + int(v[1]-'0')*10 + int(v[2]-'0')
	}
}

func (b *fieldBlock) fail(code http2.ErrCode, rule string) {
	if b.code == http2.ErrCodeNo {
		b.code, b.rule = code, rule
	}
}

// receiveBlock takes a field block that was decoded.
func (c *Conn) receiveBlock(id uint32, b *fieldBlock, ends bool) error {
	c.mu.Lock()
	defer c.unlock()
	s := c.streams[id]
	if s == nil || b.unread {
		return nil
	}
	switch {
	case s.recvEnded:
		return c.streamError(s, http2.ErrCodeStreamClosed, "HEADERS after END_STREAM")
	case s.response != nil:
		// https://www.rfc-editor.org/rfc/rfc9113.html#section-8.5: a stream that is
		// connected carries DATA only, so that there are no trailers.
		return c.streamError(s, http2.ErrCodeProtocol, "HEADERS on a stream that is connected")
	case b.code != http2.ErrCodeNo:
		return c.streamError(s, b.code, b.rule)
	case b.status == 0:
		return c.streamError(s, http2.ErrCodeProtocol, "the response has no :status")
	case b.status == 101:
		// https://www.rfc-editor.org/rfc/rfc9113.html#section-8.6
		return c.streamError(s, http2.ErrCodeProtocol, "status 101 belongs to HTTP/1.1")
	case b.status < 200 && ends:
		return c.streamError(s, http2.ErrCodeProtocol, "a 1xx response ends the stream")
	case b.status < 200:
		if s.interim++; s.interim > interimResponses {
			return c.streamError(s, http2.ErrCodeEnhanceYourCalm, "too many 1xx responses")
		}
		return nil
	}
	s.response = &Response{Status: b.status, Fields: b.fields}
	s.readable.Broadcast()
	if ends {
		c.receiveEnd(s)
	}
	return nil
}
