package providers

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Standing tells how sure it is that an operation's path is right.
type Standing string

// The standings, from surest to least sure.
const (
	Documented  Standing = "documented"
	InferredHi  Standing = "inferred (high)"
	InferredMed Standing = "inferred (medium)"
	InferredLow Standing = "inferred (low)"
)

// Effect tells what repeating an operation would do.
type Effect string

// The effects.
const (
	// Read changes nothing.
	Read Effect = "read"
	// Idempotent changes something, and repeating it changes nothing more that matters.
	Idempotent Effect = "idempotent"
	// Creating must not be repeated when it may have happened.
	Creating Effect = "creating"
)

// Operation is one row of an adapter's operation table.
type Operation struct {
	// Name identifies it in configuration, logs and metrics, such as "create_process".
	Name string
	// Method is the HTTP method.
	Method string
	// Path is the path below the base URL, with {parameters}.
	Path string
	// Standing tells how sure the path is.
	Standing Standing
	// Effect tells what repeating it would do.
	Effect Effect
	// Optional are those {parameters} of the path that an override may leave out, since the adapter can put them
	// elsewhere.
	Optional []string
	// Overridden says that configuration replaced method and path.
	Overridden bool
}

// Table is an adapter's operations by name.
type Table map[string]Operation

var overridePattern = regexp.MustCompile(`^(GET|POST|PUT|PATCH|DELETE) (/[^\s?#]*)$`)
var parameterPattern = regexp.MustCompile(`\{[a-zA-Z]+\}`)

// NewTable builds a table with the overrides of the configuration applied. Its error is of type Faults, and has the
// operations' names as keys.
func NewTable(operations []Operation, overrides Overrides) (Table, error) {
	table := make(Table, len(operations))
	for _, op := range operations {
		table[op.Name] = op
	}
	var faults Faults
	for _, name := range slices.Sorted(maps.Keys(overrides)) {
		op, ok := table[name]
		if !ok {
			faults = append(faults, Fault{plainName(name), "there is no such operation"})
			continue
		}
		problems := op.override(overrides[name])
		for _, problem := range problems {
			faults = append(faults, Fault{plainName(name), problem})
		}
		table[name] = op
	}
	return table, faults.Err()
}

// override replaces method and path, or tells what is wrong with them.
func (op *Operation) override(text string) (problems []string) {
	match := overridePattern.FindStringSubmatch(text)
	if match == nil {
		return []string{`must be of the form "METHOD /path"`}
	}
	have, want := parameterPattern.FindAllString(match[2], -1), parameterPattern.FindAllString(op.Path, -1)
	for _, parameter := range have {
		if !slices.Contains(want, parameter) {
			problems = append(problems, "has a {parameter} that this operation does not have")
		}
	}
	for _, parameter := range want {
		if !slices.Contains(have, parameter) && !slices.Contains(op.Optional, parameter) {
			problems = append(problems, parameter+" is missing")
		}
	}
	op.Method, op.Path, op.Overridden = match[1], match[2], true
	return problems
}

// List gives the rows by name.
func (t Table) List() []Operation {
	return slices.SortedFunc(maps.Values(t), func(a, b Operation) int { return strings.Compare(a.Name, b.Name) })
}
