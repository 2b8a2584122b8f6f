package sqlite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUsable looks at paths without making anything. Who may do everything may write to any folder.
func TestUsable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"closed", "open"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "there.db"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "open", "fixed.db"), nil, 0o400); err != nil {
		t.Fatal(err)
	}
	linked := filepath.Join(dir, "open", "linked.db")
	if err := os.Symlink(filepath.Join(dir, "closed", "there.db"), linked); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "closed"), 0o500); err != nil { //nolint:gosec // a folder is entered
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(dir, "closed"), 0o700) }) //nolint:gosec // to be removed
	mayAll := os.Geteuid() == 0
	for path, want := range map[string]string{
		"open/there.db": "", "open/new.db": "", "open/new/folder/new.db": "", "new.db": "",
		"open/there.db/below.db": "lies in a folder that cannot be", "open": "is not a file",
		"closed/there.db":      "this user may not write to, or not make",
		"closed/new.db":        "this user may not write to, or not make",
		"closed/folder/new.db": "this user may not write to, or not make",
		"open/linked.db":       "this user may not write to, or not make",
		"open/fixed.db":        "this user may not read and write",
	} {
		if mayAll && strings.Contains(want, "this user") {
			want = ""
		}
		err := Usable(filepath.Join(dir, filepath.FromSlash(path)))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "open", "new")); err == nil {
		t.Error("a folder was made")
	}
}
