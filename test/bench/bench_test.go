package main

import (
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kontor.dev/kontor/test/bench/load"
	"kontor.dev/kontor/test/bench/stub"
	"kontor.dev/kontor/test/worldtest"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && roles[os.Args[1]] != nil { // as a process that the tests started
		os.Exit(play(os.Args[1], os.Args[2:]))
	}
	os.Exit(m.Run())
}

// tiny are sizes at which nothing can be learnt but that all rows are measured.
func tiny() options {
	o := defaults()
	o.rounds, o.each, o.callers, o.Sizes = 1, 100*time.Millisecond, 4, stub.Sizes{Page: 20, Large: 60}
	o.watchers, o.audience, o.polled, o.listed, o.benchtime = 40, 20, 400, []int{2, 20}, "1x"
	o.settle = 50 * time.Millisecond
	return o
}

// TestRows measures every row at a tiny size. What each had of the provider is counted there.
func TestRows(t *testing.T) {
	o := tiny()
	o.rows, _ = chosen("")
	figures, err := measure(t.Context(), o, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	printTable(&out, o, figures, true)
	t.Log("\n" + out.String())
	for _, r := range rows {
		of := slices.DeleteFunc(slices.Clone(figures), func(f figure) bool { return f.row != r.name })
		if len(of) == 0 {
			t.Errorf("row %s has no figure", r.name)
		}
		for _, f := range of {
			// Times are too short here to be told from nothing, which a figure says.
			if f.failure != "" && !strings.Contains(f.failure, "disturbed") {
				t.Errorf("%s: %s", f.title, f.failure)
			}
		}
	}
}

// begun starts all but Kontor, and builds that.
func begun(t *testing.T) *bench {
	t.Helper()
	b := &bench{options: tiny(), dir: t.TempDir()}
	b.binary = filepath.Join(b.dir, "gateway")
	if err := worldtest.Build(b.binary, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.end(); err != nil {
			t.Error(err)
		}
	})
	if err := b.begin(); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestAsked counts at the provider what each subject's calls led to: what is compared must do the same.
func TestAsked(t *testing.T) {
	b := begun(t)
	for name, c := range map[string]struct {
		read read
		path string
		want map[string]float64
	}{
		"accounts": {listAccounts, "/insights/s", map[string]float64{
			proxyName: 1, naiveGRPC: 1, naiveREST: 1, kontorGRPC: 1, kontorREST: 1,
		}},
		// A page, and the empty one behind it.
		"transactions": {listTransactions(100), "/insights/s/transactions?page=1", map[string]float64{
			proxyName: 1, naiveGRPC: 2, naiveREST: 2, kontorGRPC: 2, kontorREST: 2,
		}},
	} {
		got, err := b.small(t.Context(), c.read, c.path)
		if err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(got.asked, c.want) {
			t.Errorf("%s: calls to the provider for each call: %v, want %v", name, got.asked, c.want)
		}
	}
	kontor, err := b.ofKontor(t.Context(), getConsent, stub.Small, b.callers)
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.take(t.Context(), kontor...)
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]float64{kontorGRPC: 0, kontorREST: 0}; !maps.Equal(got.asked, want) {
		t.Errorf("consents: calls to the provider for each call: %v, want %v", got.asked, want)
	}
	// Streams that end early are none that can be measured.
	b.Large++
	if _, err := measureStreams(t.Context(), b); err == nil {
		t.Error("streams that lack a transaction are measured")
	}
	// Who is refused is no call that can be measured.
	for _, s := range kontor {
		s.job.Key, s.job.For = "kontor_wrong", b.each
		if _, err := b.load.do(s.job); err == nil {
			t.Errorf("%s: a wrong key is taken", s.name)
		}
	}
}

// TestEvents counts what watchers get: each event once.
func TestEvents(t *testing.T) {
	b := begun(t)
	for _, sse := range []bool{false, true} {
		job := load.Job{Address: b.streams.GRPC, Pid: b.streams.pid, Watchers: &load.Watchers{
			Count: b.audience, Events: 3, Cause: "consents/any", SSE: sse,
		}}
		got, err := b.load.do(job)
		switch {
		case sse && err == nil:
			t.Error("there is no SSE, and watchers are ready")
		case !sse && (err != nil || len(got.Spread) != 3 || slices.Min(got.Spread) <= 0):
			t.Errorf("%+v, %v; want how long three events took", got, err)
		}
	}
}

func TestFigures(t *testing.T) {
	f := figure{title: "t", unit: "x", bar: 2, moonshot: 1}
	for name, c := range map[string]struct {
		figure
		measured, want string
	}{
		"missed":   {f.of([]float64{3, 2.5, 9}), "3x", "no"},
		"met":      {f.of([]float64{2}), "2x", "yes"},
		"moonshot": {f.of([]float64{1, 0.5}), "0.75x", "moonshot"},
		"disturbed": {
			f.of([]float64{-1, -2, 3}), "not measured: -1, of rounds from -2 to 3: something disturbed it", "",
		},
		"nothing": {f.of(nil), "not measured: nothing was counted", ""},
		"no CPU": {
			f.of([]float64{math.NaN()}), "not measured: NaN, of rounds from NaN to NaN: something disturbed it", "",
		},
		"at least": {figure{unit: "x", bar: 2, moonshot: 4, atLeast: true}.of([]float64{3}), "3x", "yes"},
		"too few":  {figure{unit: "x", bar: 2, moonshot: 4, atLeast: true}.of([]float64{1}), "1x", "no"},
	} {
		if c.figure.measured() != c.measured || c.met() != c.want {
			t.Errorf("%s: %s %q, want %s %q", name, c.figure.measured(), c.met(), c.measured, c.want)
		}
	}
	if failed([]figure{f.of(nil)}) == nil || failed([]figure{f.of([]float64{3})}) != nil {
		t.Error("a run must fail for what was not measured, and not for a bar that is missed")
	}
}
