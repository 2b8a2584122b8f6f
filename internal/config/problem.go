package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a configuration. It never holds a value.
type Problem struct {
	// File is the configuration's file.
	File string
	// Line counts from 1; 0 for the file as a whole.
	Line int
	// Path is the key, such as `tenants.default.providers.fimento.password`; empty for the file as a whole.
	Path string
	// Message says what is wrong.
	Message string
}

// String gives "kontor.yaml:12: tenants.default.redirect_uris[0]: must be ...".
func (p Problem) String() string {
	text := p.File + ": "
	if p.Line > 0 {
		text = fmt.Sprintf("%s:%d: ", p.File, p.Line)
	}
	if p.Path != "" {
		text += p.Path + ": "
	}
	return text + p.Message
}

// Problems are all that is wrong with a configuration, in the order of the lines.
type Problems []Problem //nolint:errname // it is both a list and an error

// Error gives one problem on each line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

func (p Problems) sort() {
	slices.SortStableFunc(p, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
}
