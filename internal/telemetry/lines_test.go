package telemetry_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kontor.dev/kontor/internal/telemetry"
)

// reader is whoever reads the log: it may be slow, or gone.
type reader struct {
	mu   sync.Mutex
	text bytes.Buffer
	gone bool
	hold chan struct{} // nil, or what a write waits for
}

func (r *reader) Write(p []byte) (int, error) {
	r.mu.Lock()
	hold, gone := r.hold, r.gone
	r.mu.Unlock()
	if hold != nil {
		<-hold
	}
	if gone {
		return 0, io.ErrClosedPipe
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *reader) set(gone bool, hold chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone, r.hold = gone, hold
}

func (r *reader) read() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// TestLinesWaitForNobody writes far more than may wait while nobody reads, then lets the reader read again: what fits
// is there in order, the rest is counted, and a line says so.
func TestLinesWaitForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold, to := make(chan struct{}), &reader{}
		to.set(false, hold)
		lines := telemetry.NewLines(to)
		tel, _ := setUp(t, telemetry.Options{Log: lines, Level: slog.LevelInfo})
		const written, long = 20_000, 1000
		for n := range written {
			tel.Logger.Info("line", "n", n, "padding", strings.Repeat("x", long))
		}
		synctest.Wait()
		dropped := lines.Dropped()
		if dropped < written/2 || dropped == written {
			t.Errorf("%d of %d lines of %d bytes were dropped", dropped, written, long)
		}
		to.set(false, nil)
		close(hold)
		synctest.Wait()
		tel.Logger.Info("after")
		lines.Close(time.Second)
		text := to.read()
		next := 0
		for line := range strings.Lines(text) {
			if strings.Contains(line, `"padding"`) {
				if !strings.Contains(line, fmt.Sprintf(`"n":%d,`, next)) {
					t.Fatalf("line %d is missing, and only %d at the end were dropped", next, dropped)
				}
				next++
			}
		}
		if next != written-int(dropped) {
			t.Errorf("%d lines are there, and %d of %d were dropped", next, dropped, written)
		}
		if want := fmt.Sprintf(`"count":%d}`, dropped); strings.Count(text, want) != 1 {
			t.Errorf("no line, or more than one, says how many are missing: %s", want)
		}
		if !strings.Contains(text, `"msg":"after"`) {
			t.Error("what came afterwards is missing")
		}
		if got := gathered(t, tel, "kontor_log_lines_dropped_total"); got != float64(dropped) {
			t.Errorf("the metric says %v", got)
		}
	})
}

// TestLinesWithoutReader: a reader who is gone costs lines, and when one is back, it is told.
func TestLinesWithoutReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &reader{}
		to.set(true, nil)
		lines := telemetry.NewLines(to)
		tel, _ := setUp(t, telemetry.Options{Log: lines})
		for range 3 {
			tel.Logger.Warn("lost")
			synctest.Wait()
		}
		to.set(false, nil)
		tel.Logger.Warn("found")
		lines.Close(time.Second)
		if text := to.read(); strings.Contains(text, "lost") || !strings.Contains(text, "found") ||
			!strings.Contains(text, `"count":3`) || lines.Dropped() != 3 {
			t.Errorf("%d were dropped, and written was:\n%s", lines.Dropped(), text)
		}
	})
}

// TestLinesEnd waits for a reader who is slow, but not for ever.
func TestLinesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold, to := make(chan struct{}), &reader{}
		to.set(false, hold)
		lines := telemetry.NewLines(to)
		if _, err := lines.Write([]byte("one\n")); err != nil {
			t.Error(err)
		}
		began := time.Now()
		lines.Close(time.Second)
		if took := time.Since(began); took != time.Second {
			t.Errorf("closing took %s", took)
		}
		if n, err := lines.Write([]byte("late\n")); n != 5 || err != nil || lines.Dropped() != 1 {
			t.Errorf("after the end: %d, %v, and %d were dropped", n, err, lines.Dropped())
		}
		close(hold)
		lines.Close(time.Second)
		if to.read() != "one\n" {
			t.Errorf("written was %q", to.read())
		}
	})
}

// gathered gives the value of a metric without labels.
func gathered(t *testing.T, tel *telemetry.Telemetry, name string) float64 {
	t.Helper()
	families, err := tel.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			m := family.GetMetric()[0]
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no %s", name)
	return 0
}
