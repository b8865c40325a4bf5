package protocol

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestConsumeExtension(t *testing.T) {
	for _, test := range []struct {
		in   string
		want []extensionElement
	}{
		{"", nil},
		{" ,\t, ", nil},
		{"a", []extensionElement{{name: "a"}}},
		{"a,b", []extensionElement{{name: "a"}, {name: "b"}}},
		{" a\t, ,b ,", []extensionElement{{name: "a"}, {name: "b"}}},
		{"a;b;c=d", []extensionElement{{"a", []extensionParam{{"b", "", false}, {"c", "d", true}}}}},
		{"a ; b = c ,d", []extensionElement{{"a", []extensionParam{{"b", "c", true}}}, {name: "d"}}},
		{`a;b="c"`, []extensionElement{{"a", []extensionParam{{"b", "c", true}}}}},
		{`a;b="\c\1"; d="1,5"[`, nil}, // a value that is quoted is a token: the list is malformed
		{`a;b="\c\1"`, []extensionElement{{"a", []extensionParam{{"b", "c1", true}}}}},
	} {
		var got []extensionElement
		rest := test.in
		for {
			e, next, ok, err := consumeExtension(rest)
			if err != nil {
				got = nil
				break
			}
			if !ok {
				break
			}
			got, rest = append(got, e), next
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%q is %+v, want %+v", test.in, got, test.want)
		}
	}
	for _, in := range []string{"a b", ";", "a;", "a;;b", "a;b=", "a;=b", "a;b=,c", `a;b="`, `a;b="\`, `a;b=""`, `a;b="c d"`, `a;b="c"d`, "a/b", "é", "a;b=c=d",
		"a" + strings.Repeat(";b", maxExtensionParams+1)} {
		_, _, ok, err := consumeExtension(in)
		var e *HandshakeError
		if ok || !errors.As(err, &e) || e.Status != 400 || e.Field != "Sec-WebSocket-Extensions" {
			t.Errorf("%q gives %v, %v, want status 400", in, ok, err)
		}
	}
	if _, _, ok, err := consumeExtension("a" + strings.Repeat(";b", maxExtensionParams)); !ok || err != nil {
		t.Errorf("%d parameters give %v", maxExtensionParams, err)
	}
}

// What a server answers to offers. RFC 7692 §7.1.
func TestNegotiateDeflate(t *testing.T) {
	const takeover, none = CompressionContextTakeover, CompressionNoContextTakeover
	for _, test := range []struct {
		name   string
		offers []string
		mode   CompressionMode
		bits   int
		want   string // "": declined
	}{
		{"nothing is offered", nil, takeover, 15, ""},
		{"a plain offer", []string{"permessage-deflate"}, takeover, 15, "permessage-deflate"},
		{"compression is disabled", []string{"permessage-deflate"}, CompressionDisabled, 15, ""},
		{"another extension", []string{"x-webkit-deflate-frame, permessage-bzip2; a=b"}, takeover, 15, ""},
		{"among others, on several lines", []string{"a, b; c", "permessage-deflate; client_max_window_bits", "d"}, takeover, 15, "permessage-deflate"},
		{"the name in another case is another name", []string{"Permessage-Deflate"}, takeover, 15, ""},
		{"the client asks the server to forget", []string{"permessage-deflate; server_no_context_takeover"}, takeover, 15, "permessage-deflate; server_no_context_takeover"},
		{"the client says that it forgets", []string{"permessage-deflate; client_no_context_takeover"}, takeover, 15, "permessage-deflate; client_no_context_takeover"},
		{"the server wants both to forget", []string{"permessage-deflate"}, none, 15, "permessage-deflate; server_no_context_takeover; client_no_context_takeover"},
		{"the client's limit is obeyed", []string{"permessage-deflate; server_max_window_bits=10"}, takeover, 15, "permessage-deflate; server_max_window_bits=10"},
		{"quoted as well", []string{`permessage-deflate; server_max_window_bits="10"`}, takeover, 15, "permessage-deflate; server_max_window_bits=10"},
		{"8 is the least", []string{"permessage-deflate; server_max_window_bits=8"}, takeover, 15, "permessage-deflate; server_max_window_bits=8"},
		{"the server's limit is less", []string{"permessage-deflate; server_max_window_bits=12; client_max_window_bits"}, takeover, 9,
			"permessage-deflate; server_max_window_bits=9; client_max_window_bits=9"},
		{"the client's limit for itself is less", []string{"permessage-deflate; client_max_window_bits=8"}, takeover, 9, "permessage-deflate; server_max_window_bits=9; client_max_window_bits=8"},
		{"a client that cannot be limited", []string{"permessage-deflate"}, takeover, 14, ""},
		{"its next offer can", []string{"permessage-deflate, permessage-deflate; client_max_window_bits"}, takeover, 14,
			"permessage-deflate; server_max_window_bits=14; client_max_window_bits=14"},
		{"the first that is acceptable", []string{"permessage-deflate; server_max_window_bits=7, permessage-deflate; server_max_window_bits=11, permessage-deflate"}, takeover, 15,
			"permessage-deflate; server_max_window_bits=11"},
	} {
		got, ok, err := negotiateDeflate(test.offers, test.mode, test.bits)
		if err != nil || ok != (test.want != "") || ok && got.String() != test.want {
			t.Errorf("%s: %v, %v, %v, want %q", test.name, got, ok, err, test.want)
		}
	}
	for _, bad := range []string{
		"unknown", "server_no_context_takeover=1", `client_no_context_takeover=""`, "server_max_window_bits", "server_max_window_bits=7", "server_max_window_bits=16",
		"server_max_window_bits=08", "server_max_window_bits=010", "server_max_window_bits=+9", "server_max_window_bits=0", "server_max_window_bits=1", "server_max_window_bits=9a",
		"server_max_window_bits=115", "client_max_window_bits=7", "client_max_window_bits=16", "client_max_window_bits=x", "mem_level=9",
		"server_no_context_takeover; server_no_context_takeover", "client_no_context_takeover; client_no_context_takeover",
		"server_max_window_bits=9; server_max_window_bits=9", "client_max_window_bits; client_max_window_bits", "client_max_window_bits=9; client_max_window_bits",
		"Server_No_Context_Takeover",
	} {
		got, ok, _ := negotiateDeflate([]string{"permessage-deflate; " + bad}, takeover, 15)
		if ok {
			t.Errorf("%q is accepted with %q", bad, got)
		}
	}
	if _, _, err := negotiateDeflate([]string{"permessage-deflate", "a b"}, takeover, 15); err == nil {
		t.Error("a malformed list is refused, whatever precedes it")
	}
}

// What a client makes of answers to its offer. RFC 7692 §7.1.
func TestAcceptDeflate(t *testing.T) {
	plain, forgetful, small := offerDeflate(CompressionContextTakeover, 15), offerDeflate(CompressionNoContextTakeover, 15), offerDeflate(CompressionContextTakeover, 10)
	for want, p := range map[string]deflateParams{
		"permessage-deflate; client_max_window_bits":                                                         plain,
		"permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits": forgetful,
		"permessage-deflate; server_max_window_bits=10; client_max_window_bits=10":                           small,
	} {
		if got := p.String(); got != want {
			t.Errorf("the offer is %q, want %q", got, want)
		}
	}
	for _, test := range []struct {
		answer string
		offer  deflateParams
		want   deflateParams
	}{
		{"permessage-deflate", plain, deflateParams{}},
		{"permessage-deflate; server_no_context_takeover; client_no_context_takeover", plain, deflateParams{serverNoContextTakeover: true, clientNoContextTakeover: true}},
		{"permessage-deflate; server_max_window_bits=8; client_max_window_bits=9", plain, deflateParams{serverMaxWindowBits: 8, clientMaxWindowBits: 9}},
		{"permessage-deflate; server_no_context_takeover", forgetful, deflateParams{serverNoContextTakeover: true, clientNoContextTakeover: true}},
		{"permessage-deflate; server_max_window_bits=9", small, deflateParams{serverMaxWindowBits: 9, clientMaxWindowBits: 10}},
		{"permessage-deflate; server_max_window_bits=10; client_max_window_bits=15", small, deflateParams{serverMaxWindowBits: 10, clientMaxWindowBits: 10}},
	} {
		got, ok, err := acceptDeflate(test.answer, test.offer, 101)
		if err != nil || !ok || got != test.want {
			t.Errorf("%q to %v: %+v, %v, %v, want %+v", test.answer, test.offer, got, ok, err, test.want)
		}
	}
	if _, ok, err := acceptDeflate("", plain, 101); ok || err != nil {
		t.Errorf("no answer: %v, %v", ok, err)
	}
	for _, test := range []struct {
		answer string
		offer  deflateParams
	}{
		{"permessage-bzip2", plain},
		{"permessage-deflate, permessage-deflate", plain},
		{"permessage-deflate, a", plain},
		{"permessage-deflate; unknown", plain},
		{"permessage-deflate; client_max_window_bits", plain}, // in an answer it has a value
		{"permessage-deflate; server_max_window_bits=16", plain},
		{"permessage-deflate; a b", plain},
		{"a b", plain},
		{"permessage-deflate", forgetful},
		{"permessage-deflate", small},
		{"permessage-deflate; server_max_window_bits=11", small},
		{"permessage-deflate; client_max_window_bits=10", deflateParams{}},
	} {
		_, ok, err := acceptDeflate(test.answer, test.offer, 101)
		var e *HandshakeError
		if ok || !errors.As(err, &e) || e.Status != 101 || e.Field != "Sec-WebSocket-Extensions" {
			t.Errorf("%q to %v: %v, %v, want a *HandshakeError", test.answer, test.offer, ok, err)
		}
	}
}

// Whatever a server is offered, a client that offered it accepts the answer, and
// both agree on the windows.
func TestDeflateNegotiations(t *testing.T) {
	for _, client := range []CompressionMode{CompressionNoContextTakeover, CompressionContextTakeover} {
		for _, server := range []CompressionMode{CompressionNoContextTakeover, CompressionContextTakeover} {
			for clientBits := minWindowBits; clientBits <= maxWindowBits; clientBits++ {
				for serverBits := minWindowBits; serverBits <= maxWindowBits; serverBits++ {
					offer := offerDeflate(client, clientBits)
					answer, ok, err := negotiateDeflate([]string{offer.String()}, server, serverBits)
					if err != nil || !ok {
						t.Fatalf("%v is declined: %v", offer, err)
					}
					agreed, ok, err := acceptDeflate(answer.String(), offer, 101)
					if err != nil || !ok {
						t.Fatalf("%v in answer to %v: %v", answer, offer, err)
					}
					if agreed.serverNoContextTakeover != answer.serverNoContextTakeover || windowBits(agreed.serverMaxWindowBits) != windowBits(answer.serverMaxWindowBits) ||
						windowBits(agreed.clientMaxWindowBits) > windowBits(answer.clientMaxWindowBits) || windowBits(agreed.serverMaxWindowBits) > min(clientBits, serverBits) {
						t.Errorf("%v to %v is %v to the client", answer, offer, agreed)
					}
				}
			}
		}
	}
}
