package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

const code = `// Package p is an example.
package p

// Kind is the kind.
var Kind = newKind()

const (
	one = 1
	two = 2
)

// T is a type.
type T struct{ a int }

// do does.
func (t *T) do() {
	_ = t.a
}

func do() {}
`

func files(document string) fstest.MapFS {
	return fstest.MapFS{
		"docs/guide.md": {Data: []byte(document)}, "p/p.go": {Data: []byte(code)},
		"a.yaml": {Data: []byte("a:\n  b: 1\nc:\n  d: 2\n")},
	}
}

func quote(from, text string) string {
	return "Read:\n\n<!-- quote " + from + " -->\n```go\n" + text + "\n```\n\nMore.\n"
}

func TestQuotes(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]string{
		"p/p.go: Kind":             "// Kind is the kind.\nvar Kind = newKind()",
		"p/p.go: two":              "const (\n\tone = 1\n\ttwo = 2\n)",
		"p/p.go: T.do, T":          "// do does.\nfunc (t *T) do() {\n\t_ = t.a\n}\n\n// T is a type.\ntype T struct{ a int }",
		"p/p.go: do":               "func do() {}",
		"p/p.go":                   strings.TrimRight(code, "\n"),
		`a.yaml: "a:" .. "b:"`:     "a:\n  b: 1",
		`a.yaml: "c:" .. "c:"`:     "c:",
		`p/p.go: "const" .. "two"`: "const (\n\tone = 1\n\ttwo = 2",
	} {
		fresh, found := refresh(files(""), "docs/guide.md", quote(from, "old"))
		if fresh != quote(from, want) || len(found.stale) != 1 || len(found.broken) != 0 {
			t.Errorf("%s: %+v, and the document is\n%s", from, found, fresh)
		}
		again, found := refresh(files(""), "docs/guide.md", fresh)
		if again != fresh || len(found.stale)+len(found.broken) != 0 {
			t.Errorf("%s: once more: %+v", from, found)
		}
	}
}

func TestBrokenQuotes(t *testing.T) {
	t.Parallel()
	for document, want := range map[string]string{
		quote("p/q.go: Kind", ""):                            "docs/guide.md:3: open p/q.go",
		quote("p/p.go: Sort", ""):                            "docs/guide.md:3: p/p.go declares no Sort",
		quote("a.yaml: a", ""):                               "is no Go file",
		quote(`a.yaml: "x" .. "b"`, ""):                      `has no "x"`,
		quote(`a.yaml: "c" .. "a"`, ""):                      `has no "a" behind "c"`,
		"<!-- quote -->\n":                                   "cannot be understood",
		"<!-- quote p/p.go: Kind -->\n\n```go\nx\n```\n":     "no code block follows",
		"<!-- quote p/p.go: Kind -->\n```go\nx\n":            "no code block follows",
		quote("p/p.go: Kind", "") + "\n```go\nfree()\n```\n": "says not where it is from",
	} {
		_, found := refresh(files(""), "docs/guide.md", document)
		if len(found.broken) == 0 || !strings.Contains(found.broken[0], want) {
			t.Errorf("%q: %+v, want %s", document, found, want)
		}
	}
	// A document without quotes may have Go of its own.
	free := "```go\nfree()\n```\n"
	if fresh, found := refresh(files(""), "README.md", free); fresh != free || len(found.broken) != 0 {
		t.Errorf("%+v", found)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"docs/guide.md": quote("p/p.go: Kind", "old"), "p/p.go": code, "README.md": "Hello.\n",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for step, c := range []struct {
		write    bool
		problems int
	}{{false, 1}, {true, 0}, {false, 0}} {
		problems, err := run(dir, c.write)
		if err != nil || len(problems) != c.problems {
			t.Errorf("step %d: %v, %v", step, problems, err)
		}
	}
}
