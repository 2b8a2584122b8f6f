// Command quotes holds the code in documents to the code that it was taken from:
//
//	go run ./quotes ..         fails when a block differs from its source
//	go run ./quotes -write ..  takes the source anew
//
// A code block is a quote when a comment stands right before it and says where it is from, relative to the root:
//
//	<!-- quote test/example/provider/skarvholm.go: Kind, Config.Check -->  these declarations of a Go file
//	<!-- quote kontor.example.yaml: "tenants:" .. "clients:" -->  from one line to the next with the other
//	<!-- quote cmd/gateway/wire.go -->                            the whole file
//
// In a document that quotes anything, every block of Go is a quote: what nothing holds to the code goes stale.
package main

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

func main() {
	flags := flag.NewFlagSet("quotes", flag.ExitOnError)
	write := flags.Bool("write", false, "replace what differs")
	_ = flags.Parse(os.Args[1:]) // which exits by itself
	if flags.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: quotes [-write] DIR")
		os.Exit(2)
	}
	problems, err := run(flags.Arg(0), *write)
	for _, problem := range problems {
		fmt.Fprintln(os.Stderr, problem)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "quotes:", err)
	}
	if err != nil || len(problems) > 0 {
		os.Exit(1)
	}
}

func run(dir string, write bool) (problems []string, err error) {
	root := os.DirFS(dir)
	documents, err := documents(root)
	if err != nil {
		return nil, err
	}
	for _, name := range documents {
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return nil, err
		}
		fresh, found := refresh(root, name, string(text))
		if !write || len(found.broken) > 0 {
			problems = append(problems, append(found.broken, found.stale...)...)
			continue
		}
		if fresh != string(text) {
			if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), []byte(fresh), 0o644); err != nil {
				return nil, err
			}
		}
	}
	return problems, nil
}

// documents are the pages that are looked at: those of the root and of docs.
func documents(root fs.FS) ([]string, error) {
	var all []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		found, err := fs.Glob(root, pattern)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

var marker = regexp.MustCompile(`^<!-- quote ([^\s:]+)(?:: (.+))? -->$`)

// findings are what is wrong with a document: quotes that differ from their source, and such that have none.
type findings struct{ stale, broken []string }

// refresh gives a document with its quotes as their sources have them.
func refresh(root fs.FS, name, text string) (string, findings) {
	var out []string
	var found findings
	lines := strings.Split(text, "\n")
	quotes := strings.Contains(text, "<!-- quote ")
	for i := 0; i < len(lines); i++ {
		at := fmt.Sprintf("%s:%d", name, i+1)
		out = append(out, lines[i])
		mark := marker.FindStringSubmatch(lines[i])
		switch {
		case mark == nil && strings.HasPrefix(lines[i], "<!-- quote"):
			found.broken = append(found.broken, at+": cannot be understood; `go doc ./quotes` tells the form")
			continue
		case mark == nil && strings.HasPrefix(lines[i], "```"):
			if quotes && strings.HasPrefix(lines[i], "```go") {
				found.broken = append(found.broken, at+": says not where it is from")
			}
			for i++; i < len(lines); i++ { // a block is no place for markers
				if out = append(out, lines[i]); lines[i] == "```" {
					break
				}
			}
			continue
		case mark == nil:
			continue
		}
		end := blockEnd(lines, i+1)
		if end < 0 {
			found.broken = append(found.broken, at+": no code block follows")
			continue
		}
		quoted, err := source(root, mark[1], mark[2])
		if err != nil {
			found.broken = append(found.broken, at+": "+err.Error())
			out = append(out, lines[i+1:end+1]...)
			i = end
			continue
		}
		if strings.Join(lines[i+2:end], "\n") != quoted {
			found.stale = append(found.stale, at+": differs from "+mark[1]+": run make quotes")
		}
		out = append(out, lines[i+1])
		out = append(out, strings.Split(quoted, "\n")...)
		out = append(out, lines[end])
		i = end
	}
	return strings.Join(out, "\n"), found
}

// blockEnd finds the line that ends the code block that begins at a line, -1 when none does.
func blockEnd(lines []string, begin int) int {
	if begin >= len(lines) || !strings.HasPrefix(lines[begin], "```") {
		return -1
	}
	for i := begin + 1; i < len(lines); i++ {
		if lines[i] == "```" {
			return i
		}
	}
	return -1
}

var span = regexp.MustCompile(`^"(.+)" \.\. "(.+)"$`)

// source gives the part of a file that is quoted.
func source(root fs.FS, name, part string) (string, error) {
	text, err := fs.ReadFile(root, path.Clean(name))
	if err != nil {
		return "", err
	}
	if part == "" {
		return strings.TrimRight(string(text), "\n"), nil
	}
	if ends := span.FindStringSubmatch(part); ends != nil {
		return between(name, string(text), ends[1], ends[2])
	}
	if path.Ext(name) != ".go" {
		return "", fmt.Errorf(`%s is no Go file: name its lines, as in "first" .. "last"`, name)
	}
	return declarations(name, text, strings.Split(part, ", "))
}

// between gives the lines from the first one with a text to the next one with the other.
func between(name, text, first, last string) (string, error) {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if !strings.Contains(line, first) {
			continue
		}
		for j := i; j < len(lines); j++ {
			if strings.Contains(lines[j], last) && (j > i || first == last) {
				return strings.Join(lines[i:j+1], "\n"), nil
			}
		}
		return "", fmt.Errorf("%s has no %q behind %q", name, last, first)
	}
	return "", fmt.Errorf("%s has no %q", name, first)
}
