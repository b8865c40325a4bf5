package dialer

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
)

const pinPrefix = "sha256/"

// KeyPin returns the pin of cert's public key: "sha256/" and, in base64, the SHA-256 of
// its SubjectPublicKeyInfo. https://www.rfc-editor.org/rfc/rfc7469#section-2.4
func KeyPin(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return pinPrefix + base64.StdEncoding.EncodeToString(sum[:])
}

// Pin returns a copy of cfg, which may be nil, that accepts only servers whose own
// certificate has one of the keys in pins, as KeyPin and curl write them; the keys of
// issuers do not count. It comes on top of all other verification, and holds for
// InsecureHosts too. The handshake's error is a *PinError. Give a second pin for the key
// that will follow.
func Pin(cfg *tls.Config, pins ...string) (*tls.Config, error) {
	if len(pins) == 0 {
		return nil, errNoPin
	}
	var keys []string
	for _, pin := range pins {
		key, err := parsePin(pin)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	if cfg == nil {
		cfg = &tls.Config{}
	}
	cfg = cfg.Clone()
	verify := cfg.VerifyConnection
	cfg.VerifyConnection = func(cs tls.ConnectionState) error {
		if verify != nil {
			if err := verify(cs); err != nil {
				return err
			}
		}
		// A handshake without a certificate has failed before.
		if seen := KeyPin(cs.PeerCertificates[0]); !slices.Contains(keys, seen) {
			return &PinError{Seen: seen}
		}
		return nil
	}
	return cfg, nil
}

// A PinError is a server whose key is none of those pinned.
type PinError struct {
	Seen string // the server's key, as KeyPin has it
}

func (e *PinError) Error() string { return "its public key is not pinned: it has " + e.Seen }

var (
	errNoPin  = errors.New("websocket: there is no pin: give one such as sha256/ and the base64 of 32 bytes")
	errPin    = errors.New("websocket: this is not a pin: write sha256/ and the base64 of 32 bytes, with its =")
	pinLength = base64.StdEncoding.EncodedLen(sha256.Size)
)

// parsePin returns pin in the form that KeyPin has.
func parsePin(pin string) (string, error) {
	text, ok := strings.CutPrefix(pin, pinPrefix)
	if len(text) == pinLength+1 {
		text = strings.TrimPrefix(text, "/") // curl's sha256//
	}
	sum, err := base64.StdEncoding.DecodeString(text)
	// The decoder skips new lines and left-over bits, so its input is compared.
	if !ok || err != nil || len(sum) != sha256.Size || base64.StdEncoding.EncodeToString(sum) != text {
		return "", errPin
	}
	return pinPrefix + text, nil
}
