package guard

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestLinesAreBounded: so many in a second, the number of the others once it is over, and again in the next.
func TestLinesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := newSampler(slog.New(slog.NewTextHandler(&log, nil)))
		for second := range 3 {
			written := 0
			for range 1000 {
				if s.Take() {
					written++
				}
			}
			if written != strangersPerSecond {
				t.Errorf("second %d: %d lines", second, written)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if n := strings.Count(log.String(), "lines=980"); n != second+1 {
				t.Errorf("second %d: %d times the number of the others\n%s", second, n, &log)
			}
		}
		if !s.Take() {
			t.Error("a line of its own is left out")
		}
		time.Sleep(time.Minute)
		if n := strings.Count(log.String(), "\n"); n != 3 {
			t.Errorf("%d lines about lines", n)
		}
	})
}
