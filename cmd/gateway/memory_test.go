//go:build unix

package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestMemory: the gateway gives garbage room, unless its operator says how much.
func TestMemory(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		env  []string
		want string
	}{
		{nil, fmt.Sprintf("go_gc_gogc_percent %d", memoryRoom)},
		{[]string{"GOGC=150"}, "go_gc_gogc_percent 150"},
		{[]string{"GOMEMLIMIT=1GiB"}, "go_gc_gomemlimit_bytes 1.073741824e+09"},
	} {
		t.Run(strings.Join(c.env, " "), func(t *testing.T) {
			t.Parallel()
			p := startSandbox(t, t.TempDir(), nil, c.env...)
			_, body := get(t, p.ready["admin"]+"/metrics", "")
			if !slices.Contains(strings.Split(body, "\n"), c.want) {
				t.Errorf("the metrics lack %q", c.want)
			}
		})
	}
}
