package main

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFrameHeaders(t *testing.T) {
	for _, test := range []struct {
		n            int
		plain, masks string
	}{
		{0, "82 00", "82 80"},
		{125, "82 7d", "82 fd"},
		{126, "82 7e 007e", "82 fe 007e"},
		{65535, "82 7e ffff", "82 fe ffff"},
		{65536, "82 7f 0000000000010000", "82 ff 0000000000010000"},
		{1 << 20, "82 7f 0000000000100000", "82 ff 0000000000100000"},
	} {
		if got, want := appendHeader(nil, 0, test.n), unhex(t, test.plain); !bytes.Equal(got, want) {
			t.Errorf("%d bytes: got %x, want %x", test.n, got, want)
		}
		if got, want := appendHeader(nil, maskBit, test.n), unhex(t, test.masks); !bytes.Equal(got, want) {
			t.Errorf("%d bytes, masked: got %x, want %x", test.n, got, want)
		}
	}
}

// The payload and key are those of https://www.rfc-editor.org/rfc/rfc6455#section-5.7.
func TestFrames(t *testing.T) {
	got := appendMaskedFrame(nil, []byte("Hello"), [4]byte{0x37, 0xfa, 0x21, 0x3d})
	if want := unhex(t, "82 85 37fa213d 7f9f4d5158"); !bytes.Equal(got, want) {
		t.Errorf("masked: got %x, want %x", got, want)
	}
	got = appendFrame([]byte{0xff}, []byte("Hello"))
	if want := unhex(t, "ff 82 05 48656c6c6f"); !bytes.Equal(got, want) {
		t.Errorf("appended: got %x, want %x", got, want)
	}
}

func TestBatch(t *testing.T) {
	b := newBatch(1, 3, 200)
	if got, want := len(b.request), 3*(2+2+4+200); got != want {
		t.Errorf("request: got %d bytes, want %d", got, want)
	}
	if got, want := len(b.reply), 3*(2+2+200); got != want {
		t.Errorf("reply: got %d bytes, want %d", got, want)
	}
	request, reply := b.request, b.reply
	for len(request) > 0 {
		key, masked, echoed := request[4:8], bytes.Clone(request[8:208]), reply[4:204]
		for i := range masked {
			masked[i] ^= key[i%4]
		}
		if !bytes.Equal(masked, echoed) {
			t.Fatal("the reply is not the request unmasked")
		}
		request, reply = request[208:], reply[204:]
	}

	if again := newBatch(1, 3, 200); !bytes.Equal(b.request, again.request) {
		t.Error("the same seed gives another batch")
	}
	if other := newBatch(2, 3, 200); bytes.Equal(b.reply, other.reply) {
		t.Error("another seed gives the same payloads")
	}
	if raw := b.raw(); !bytes.Equal(raw.reply, b.request) || raw.messages != 3 {
		t.Error("a raw echo is not the request")
	}
}
