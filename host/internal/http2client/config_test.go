package http2client

import (
	"math"
	"testing"
	"time"
)

func TestConfigDefaults(t *testing.T) {
	want := Config{StreamWindow: 64 << 10, HeaderListSize: 8 << 10, FieldCount: 100, Streams: 10_000, WriteTimeout: 30 * time.Second}
	check := func(sentence string, got, want Config) {
		t.Helper()
		if got.StreamWindow != want.StreamWindow || got.HeaderListSize != want.HeaderListSize || got.FieldCount != want.FieldCount ||
			got.Streams != want.Streams || got.WriteTimeout != want.WriteTimeout {
			t.Errorf("%s:\ngot  %+v\nwant %+v", sentence, got, want)
		}
	}
	check("zero is the default", Config{}.withDefaults(), want)
	want.WriteTimeout = -1
	check("negative is the default too, and no timeout", Config{-1, -1, -1, -1, -1, nil}.withDefaults(), want)
	want = Config{1, 1, 1, 1, 1, nil}
	check("one is one", want.withDefaults(), want)
	const huge = math.MaxInt
	check("what a setting cannot say is not said", Config{huge, huge, huge, huge, huge, nil}.withDefaults(),
		Config{maxWindow, 1 << 24, huge, maxStreamID, huge, nil})
}

func TestMeter(t *testing.T) {
	takes := func(m *meter) (n int) {
		for !m.full() && m.take() {
			n++
		}
		return n
	}
	m := meter{rate: rate{burst: 2}}
	if n := takes(&m); n != 2 || m.take() {
		t.Errorf("a burst of 2 is %d", n)
	}
	m = meter{rate: m.rate}
	m.expect(1)
	if n := takes(&m); n != 3 || m.take() {
		t.Errorf("what is expected comes on top: %d", n)
	}
}
