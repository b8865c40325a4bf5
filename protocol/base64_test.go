package protocol

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
)

// RFC 4648 §10.
func TestBase64Vectors(t *testing.T) {
	for _, test := range []struct{ decoded, encoded string }{
		{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"},
		{"\xff\xef\xbe", "/+++"},
	} {
		if got := string(appendBase64([]byte("x"), []byte(test.decoded))); got != "x"+test.encoded {
			t.Errorf("appendBase64(%q) = %q, want %q", test.decoded, got[1:], test.encoded)
		}
		if got, ok := decodeBase64(test.encoded); !ok || string(got) != test.decoded {
			t.Errorf("decodeBase64(%q) = %q, %v, want %q", test.encoded, got, ok, test.decoded)
		}
	}
}

func TestDecodeBase64Refuses(t *testing.T) {
	for _, s := range []string{"Z", "Zg", "Zg=", "Zm9v=", "====", "Z===", "Zg==Zg==", "Z=g=", "Zm9\n", "Zm-_", "Zm9 ", "Zm\x009", "Zmé="} {
		if b, ok := decodeBase64(s); ok {
			t.Errorf("decodeBase64(%q) = %q, want a refusal", s, b)
		}
	}
	if b, ok := decodeBase64("Zh=="); !ok || string(b) != "f" {
		t.Errorf("bits left over may be set: decodeBase64 = %q, %v", b, ok)
	}
}

func FuzzBase64(f *testing.F) {
	// What is encoded is what encoding/base64 makes of it and decodes to itself;
	// what is decoded is what encoding/base64 decodes.
	f.Add([]byte("foobar"), "Zm9vYmE=")
	f.Fuzz(func(t *testing.T, b []byte, s string) {
		encoded := string(appendBase64(nil, b))
		if want := base64.StdEncoding.EncodeToString(b); encoded != want {
			t.Fatalf("appendBase64(%x) = %q, want %q", b, encoded, want)
		}
		if decoded, ok := decodeBase64(encoded); !ok || !bytes.Equal(decoded, b) {
			t.Fatalf("decodeBase64(%q) = %x, %v, want %x", encoded, decoded, ok, b)
		}
		want, err := base64.StdEncoding.DecodeString(s)
		valid := err == nil && !strings.ContainsAny(s, "\r\n") // which encoding/base64 passes over
		if got, ok := decodeBase64(s); ok != valid || ok && !bytes.Equal(got, want) {
			t.Fatalf("decodeBase64(%q) = %x, %v, want %x, %v", s, got, ok, want, valid)
		}
	})
}
