package fimento

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
)

// body is a request's JSON object while it is checked against the documentation: every fault is collected, fields
// that are not documented included.
type body struct {
	fields map[string]json.RawMessage
	faults []string
}

// readBody takes the body apart. What is not JSON by its Content-Type counts as empty, so that the fields that are
// required are found missing.
func readBody(r *http.Request) *body {
	b := &body{fields: map[string]json.RawMessage{}}
	if mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); mediaType != "application/json" {
		return b
	}
	raw, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(raw, &b.fields)
	}
	if err != nil {
		b.faultf("body must be a JSON object")
	}
	return b
}

func (b *body) faultf(format string, args ...any) {
	b.faults = append(b.faults, fmt.Sprintf(format, args...))
}

// take removes a field, so that what is left in the end is what nobody documented. An absent field, or null, leaves
// into as it is.
func (b *body) take(name string, into any, kind string) {
	raw, ok := b.fields[name]
	delete(b.fields, name)
	if ok && json.Unmarshal(raw, into) != nil {
		b.faultf("%s must be %s", name, kind)
	}
}

func (b *body) text(name string) (value string) {
	b.take(name, &value, "a string")
	return value
}

func (b *body) required(name string) string {
	before := len(b.faults)
	value := b.text(name)
	if value == "" && len(b.faults) == before {
		b.faultf("%s is required", name)
	}
	return value
}

func (b *body) flag(name string) (value bool) {
	b.take(name, &value, "a boolean")
	return value
}

// oneOf checks a value that was given.
func (b *body) oneOf(name, value string, allowed ...string) {
	if value != "" && !slices.Contains(allowed, value) {
		b.faultf("%s must be one of the following values: %s", name, strings.Join(allowed, ", "))
	}
}

// done returns what is at fault, or nil.
func (b *body) done() []string {
	for _, name := range slices.Sorted(maps.Keys(b.fields)) {
		b.faultf("property %s should not exist", name)
	}
	return b.faults
}
