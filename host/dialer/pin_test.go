package dialer

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"testing"
)

// certificatePEM is a certificate whose pin another program has computed:
//
//	openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64
const certificatePEM = `-----BEGIN CERTIFICATE-----
MIIBfTCCASOgAwIBAgIUZ24IHfkKB912jWbGLvqj/rG8z5swCgYIKoZIzj0EAwIw
EzERMA8GA1UEAwwIcGluLnRlc3QwIBcNMjYxMTIzMjIxNzU2WhgPMjEyNjEwMzAy
MjE3NTZaMBMxETAPBgNVBAMMCHBpbi50ZXN0MFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEi9Mrk1+QLN9kDX7sd8ur97uOwqKDgGa+KEEQQygtv5to4KTxjkxvP5Fn
0fa2ziteZwjLPyfr0Y1Z5dJigv32kKNTMFEwHQYDVR0OBBYEFMYjbLa22B70yJlH
Gf4u1E80GA33MB8GA1UdIwQYMBaAFMYjbLa22B70yJlHGf4u1E80GA33MA8GA1Ud
EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgDOH+hEGTJWDcSxH8TNGoyBGS
6CGQ1Vmf4B5NiO6kpNYCIQDWBrDFsFWtuEPdfQlm3Hk1X5JPXxubr2obiEXYtRFa
YA==
-----END CERTIFICATE-----`

const certificatePin = "sha256/KUGJvHj9fMGQbErN6pF5N+CnrE7yx3xGrO1k48lRA6M="

func TestKeyPin(t *testing.T) {
	block, _ := pem.Decode([]byte(certificatePEM))
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if got := KeyPin(cert); got != certificatePin {
		t.Errorf("the pin is openssl's\n got %s\nwant %s", got, certificatePin)
	}
}

func TestPinSyntax(t *testing.T) {
	const sum = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	for _, x := range []struct {
		pins []string
		want error
	}{
		{nil, errNoPin},
		{[]string{"sha256/" + sum}, nil},
		{[]string{"sha256//" + sum}, nil}, // as curl writes it
		{[]string{"sha256//" + sum[1:]}, nil},
		{[]string{"sha256/" + sum, "sha256/"}, errPin},
		{[]string{""}, errPin},
		{[]string{sum}, errPin},
		{[]string{"sha1/" + sum}, errPin},
		{[]string{"SHA256/" + sum}, errPin},
		{[]string{"sha256/" + sum[:43]}, errPin},
		{[]string{"sha256/AA" + sum[2:42] + "B="}, errPin}, // bits that are left over
		{[]string{"sha256/" + sum + sum}, errPin},
		{[]string{"sha256/" + sum + "\n"}, errPin},
		{[]string{"sha256/-" + sum[1:]}, errPin},
		{[]string{"sha256///" + sum}, errPin},
	} {
		cfg, err := Pin(nil, x.pins...)
		if !errors.Is(err, x.want) || (cfg == nil) != (err != nil) {
			t.Errorf("pins %q\n got %v\nwant %v", x.pins, err, x.want)
		}
	}
}

// TestPinKeepsVerification has a configuration that verifies already: its word counts
// first, and it is not changed.
func TestPinKeepsVerification(t *testing.T) {
	cert := new(authority).issue(t, &x509.Certificate{})
	state := tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert.Leaf}}
	refused := errors.New("refused")
	answer := refused
	cfg := &tls.Config{VerifyConnection: func(tls.ConnectionState) error { return answer }, ServerName: "kept"}
	pinned, err := Pin(cfg, KeyPin(cert.Leaf))
	if err != nil {
		t.Fatal(err)
	}
	if err := pinned.VerifyConnection(state); err != refused {
		t.Errorf("who verified before is asked\n got %v", err)
	}
	answer = nil
	if err := pinned.VerifyConnection(state); err != nil || pinned.ServerName != "kept" {
		t.Errorf("both agree\n got %v", err)
	}
	state.PeerCertificates = []*x509.Certificate{new(authority).issue(t, &x509.Certificate{}).Leaf, cert.Leaf}
	var pe *PinError
	if err := pinned.VerifyConnection(state); !errors.As(err, &pe) || pe.Seen != KeyPin(state.PeerCertificates[0]) {
		t.Errorf("the server's own certificate counts, and not one that it sends along\n got %v", err)
	}
	if err := cfg.VerifyConnection(state); err != nil {
		t.Errorf("the caller's configuration is as it was\n got %v", err)
	}
}
