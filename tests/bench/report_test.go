package main

import (
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		samples []float64
		want    float64
	}{
		{[]float64{3}, 3},
		{[]float64{4, 1}, 2.5},
		{[]float64{9, 1, 5}, 5},
		{[]float64{9, 1, 5, 7}, 6},
	} {
		first := test.samples[0]
		if got := median(test.samples); got != test.want {
			t.Errorf("median of %v: got %v, want %v", test.samples, got, test.want)
		}
		if test.samples[0] != first {
			t.Errorf("median changed the order of the samples to %v", test.samples)
		}
	}
}

func TestSignificant(t *testing.T) {
	for v, want := range map[float64]string{
		0:        "0.000",
		0.6134:   "0.613",
		0.9996:   "1.00",
		9.994:    "9.99",
		9.996:    "10.0",
		99.94:    "99.9",
		99.96:    "100",
		1786.4:   "1786",
		-0.03125: "-0.031",
	} {
		if got := significant(v); got != want {
			t.Errorf("%v: got %q, want %q", v, got, want)
		}
	}
}

func testReport() *report {
	return &report{
		Rounds:          3,
		DurationSeconds: 2,
		Rows: []rowResult{
			{
				row: row{Name: "50x64x32", Kind: echoRow, Conns: 50, Size: 64, InFlight: 32}, Unit: "msgs/s",
				Cells: []cell{
					{Server: "tcp", Samples: []float64{4e6, 5e6, 6e6}},
					{Server: "wasock", Samples: []float64{1.5e6, 1.5e6, 1.5e6}},
					{Server: "gws", Samples: []float64{200e3, 300e3, 310e3}},
				},
			},
			{
				row: row{Name: "idle", Kind: idleRow, Conns: 1000}, Unit: "B/conn",
				Cells: []cell{
					{Server: "tcp", Samples: []float64{3072}},
					{Server: "wasock", Samples: []float64{6144}},
					{Server: "gws", Samples: []float64{9000}, Error: "connection lost"},
				},
			},
		},
	}
}

func TestTable(t *testing.T) {
	got := formatTable(testReport().table())
	want := strings.Join([]string{
		"                              unit       tcp  wasock     gws  ÷gws  spread",
		"50 conns, 64 B, 32 in flight  k msgs/s  5000    1500     300  5.00     40%",
		"idle memory, 1000 conns       KiB/conn  3.00    6.00  failed     –      0%",
		"",
	}, "\n")
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestTableWithoutWasockHasNoRatios(t *testing.T) {
	r := testReport()
	for i := range r.Rows {
		cells := r.Rows[i].Cells
		r.Rows[i].Cells = []cell{cells[0], cells[2]}
	}
	if text := r.text(); strings.Contains(text, "÷") {
		t.Errorf("got:\n%s", text)
	}
}

func TestFailuresAreNamed(t *testing.T) {
	r := testReport()
	err := r.failures()
	if err == nil || err.Error() != "idle, gws: connection lost" {
		t.Errorf("got error %v", err)
	}
	if !strings.Contains(r.text(), "idle, gws: connection lost") {
		t.Errorf("the report does not tell the failure:\n%s", r.text())
	}
}

func TestBenchmarkLines(t *testing.T) {
	got := testReport().benchfmt()
	for _, want := range []string{
		"\nUnit msgs/s better=higher\n",
		"\nBenchmarkEcho/conns=50/size=64/inflight=32/server=gws 1 200000 msgs/s\n" +
			"BenchmarkEcho/conns=50/size=64/inflight=32/server=gws 1 300000 msgs/s\n",
		"\nBenchmarkIdle/conns=1000/server=wasock 1 6144 B/conn\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got:\n%s\nwant it to have:\n%s", got, want)
		}
	}
}

func TestQuoteArgs(t *testing.T) {
	got := strings.Join(quoteArgs([]string{"-quick", "-wasock", "bin/wasock echo", "it's"}), " ")
	if want := `-quick -wasock 'bin/wasock echo' 'it'\''s'`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
