// Command importlint fails when a Go file imports what the architecture forbids:
//
//	go run ./importlint ..
//
// The rules and their reasons stand in rules.go. Only import clauses are read, so it
// needs no build and also sees files behind build tags.
package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

// module is the path of the module that the rules are about.
const module = "kontor.dev/kontor"

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: importlint DIR")
		os.Exit(2)
	}
	findings, err := check(os.DirFS(os.Args[1]))
	if err != nil {
		fmt.Fprintln(os.Stderr, "importlint:", err)
		os.Exit(1)
	}
	for _, finding := range findings {
		fmt.Fprintln(os.Stderr, finding)
	}
	if len(findings) > 0 {
		os.Exit(1)
	}
}

// check returns a line for each forbidden import of the module in root, in the order
// of the files.
func check(root fs.FS) ([]string, error) {
	var findings []string
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if skipped(root, name) {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		found, err := checkFile(root, name)
		findings = append(findings, found...)
		return err
	})
	return findings, err
}

// skipped says whether a directory holds no Go files of this module: hidden ones,
// what other tools keep, and other modules.
func skipped(root fs.FS, name string) bool {
	if name == "." {
		return false
	}
	switch base := path.Base(name); {
	case strings.HasPrefix(base, "."), base == "node_modules", base == "testdata":
		return true
	}
	_, err := fs.Stat(root, path.Join(name, "go.mod"))
	return err == nil
}

func checkFile(root fs.FS, name string) ([]string, error) {
	source, err := fs.ReadFile(root, name)
	if err != nil {
		return nil, err
	}
	positions := token.NewFileSet()
	parsed, err := parser.ParseFile(positions, name, source, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	f := file{dir: path.Dir(name), name: path.Base(name)}
	var findings []string
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, rule := range rules {
			if rule.file(f) && rule.imports(f, strings.TrimPrefix(imported, module+"/")) {
				findings = append(findings,
					fmt.Sprintf("%s: imports %s: %s", positions.Position(spec.Pos()), imported, rule.why))
				break
			}
		}
	}
	return findings, nil
}
