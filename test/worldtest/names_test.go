package worldtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// TestOnlyItsFilesNameAProvider: what is about one provider stands in files that are called as it, so that a further
// provider adds files and changes none.
func TestOnlyItsFilesNameAProvider(t *testing.T) {
	for _, found := range named(t, os.DirFS("..")) {
		t.Error(found)
	}
}

// TestOnlyTheListNamesADialect: the sandbox and the command that starts it take dialects from the list in wire.go.
func TestOnlyTheListNamesADialect(t *testing.T) {
	for _, dir := range []string{"cmd/gateway", "internal/sandbox", "internal/sandbox/sandboxes"} {
		files := fstest.MapFS{}
		paths, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(dir), "*.go"))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %d files, %v", dir, len(paths), err)
		}
		for _, file := range paths {
			if name := filepath.Base(file); name != "wire.go" && !strings.HasSuffix(name, "_test.go") {
				content, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				files[path.Join(dir, name)] = &fstest.MapFile{Data: content}
			}
		}
		for _, found := range named(t, files) {
			t.Error(found)
		}
	}
}

// named finds providers that are named in files of other names: as an import, in an identifier, or as a text that
// machines read. Texts for people write providers' names otherwise, and are passed over.
func named(t *testing.T, files fs.FS) (found []string) {
	t.Helper()
	set := token.NewFileSet()
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && name == "example" {
			return fs.SkipDir // an adapter and a dialect are about their provider alone
		}
		if err != nil || entry.IsDir() || path.Ext(name) != ".go" {
			return err
		}
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(set, name, content, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, id := range Providers() {
			if strings.HasPrefix(path.Base(name), id) {
				continue
			}
			ast.Inspect(file, func(n ast.Node) bool {
				text := ""
				switch n := n.(type) {
				case *ast.Ident:
					text = strings.ToLower(n.Name)
				case *ast.BasicLit:
					text, _ = strconv.Unquote(n.Value)
				}
				if strings.Contains(text, id) {
					found = append(found, fmt.Sprintf("%s: %s is named by %q", set.Position(n.Pos()), id, text))
				}
				return true
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestNamesAreFound: the check above finds what it is there for.
func TestNamesAreFound(t *testing.T) {
	id := Providers()[0]
	for what, source := range map[string]string{
		"import":     `import _ "example.com/sandbox/` + id + `"`,
		"identifier": `var ` + strings.ToUpper(id[:1]) + id[1:] + `URL string`,
		"text":       `var x = "providers/` + id + `"`,
	} {
		source = "package p\n\n" + source + "\n"
		if got := named(t, fstest.MapFS{"e2e/world_test.go": {Data: []byte(source)}}); len(got) == 0 {
			t.Errorf("the %s is not found", what)
		}
		if got := named(t, fstest.MapFS{"e2e/" + id + "_test.go": {Data: []byte(source)}}); len(got) != 0 {
			t.Errorf("in a file of its name: %v", got)
		}
	}
	if got := named(t, fstest.MapFS{"a.go": {Data: []byte(
		"package p\n\n// " + id + "\nvar x = `Fimento's link`\n",
	)}}); len(got) != 0 {
		t.Errorf("texts for people: %v", got)
	}
}
