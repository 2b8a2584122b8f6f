package worldtest

import (
	"go/format"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSkarvholmIsWired: two words and their imports are all that a further provider takes in wire.go.
func TestSkarvholmIsWired(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "cmd", "gateway", "wire.go"))
	if err != nil {
		t.Fatal(err)
	}
	source := string(text)
	wired, err := wireSkarvholm(source)
	if err != nil {
		t.Fatal(err)
	}
	if formatted, err := format.Source([]byte(wired)); err != nil {
		t.Errorf("what is built is no Go: %v", err)
	} else if more := len(strings.Split(string(formatted), "\n")) - len(strings.Split(source, "\n")); more != 3 {
		t.Errorf("wire.go has %d lines more, want two imports and a dialect", more)
	}
	for _, list := range []string{"import (", "var kinds", "var dialects"} {
		if _, err := wireSkarvholm(strings.Replace(source, list, "// gone", 1)); err == nil {
			t.Errorf("without %q it is wired all the same", list)
		}
	}
}
