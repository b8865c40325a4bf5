package deflated

import "testing"

func TestAgreed(t *testing.T) {
	full := Compressor{Takeover: true, Bits: 15}
	for value, want := range map[string]Agreement{
		"permessage-deflate":                             {full, full},
		"permessage-deflate; client_no_context_takeover": {Compressor{Bits: 15}, full},
		"permessage-deflate;server_no_context_takeover":  {full, Compressor{Bits: 15}},
		"permessage-deflate; server_max_window_bits=8":   {full, Compressor{true, 8}},
		"permessage-deflate; client_max_window_bits=15":  {full, full},
		"permessage-deflate; client_max_window_bits=9; server_no_context_takeover; server_max_window_bits=10": {Compressor{true, 9}, Compressor{false, 10}},
	} {
		if got, err := Agreed(value); err != nil || got == nil || *got != want {
			t.Errorf("%q: got %v, error %v, want %v", value, got, err, &want)
		}
	}
	if got, err := Agreed(""); got != nil || err != nil {
		t.Errorf("no value: got %v, error %v, want nothing", got, err)
	}
	for _, value := range []string{
		"permessage-bzip2", "permessage-deflate, permessage-deflate", "permessage-deflate; window=9",
		"permessage-deflate; client_max_window_bits", "permessage-deflate; server_max_window_bits=16",
		"permessage-deflate; server_max_window_bits=7",
	} {
		if got, err := Agreed(value); err == nil {
			t.Errorf("%q: got %v, want an error", value, got)
		}
	}
}

func TestSaidBy(t *testing.T) {
	const value = "permessage-deflate; client_max_window_bits=9; server_no_context_takeover"
	a, err := Agreed(value)
	if err != nil {
		t.Fatal(err)
	}
	for _, same := range []string{value, "permessage-deflate; server_no_context_takeover; client_max_window_bits=9"} {
		if err := a.saidBy("the response", same); err != nil {
			t.Errorf("%q: %v", same, err)
		}
	}
	for _, other := range []string{"", "permessage-deflate", "permessage-deflate; client_max_window_bits=10; server_no_context_takeover", "x"} {
		if err := a.saidBy("the response", other); err == nil {
			t.Errorf("%q is taken for %q", other, value)
		}
	}
	var none *Agreement
	if none.saidBy("the response", "") != nil || none.saidBy("the response", value) == nil {
		t.Error("nothing is said by no value, and by no other")
	}
}
