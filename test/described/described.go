// Package described holds what the gateway answers over REST against the OpenAPI document that it serves.
package described

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"kontor.dev/kontor"
)

// Operation is one operation of the document.
type Operation struct {
	// ID is the operation's id; Verb and Path are those of the document, such as "GET" and "/v1/consents/{consent}".
	ID, Verb, Path string
	// Raw is the operation as it stands in the document.
	Raw map[string]any
	// Parameters are its parameters, references followed.
	Parameters []map[string]any

	pattern   *regexp.Regexp
	responses map[string]*response
}

// response is what the document says of one HTTP status of an operation.
type response struct {
	reasons []any
	headers map[string]any
	schemas map[string]*jsonschema.Schema // by media type
}

// Document gives the document as it is served.
var Document = sync.OnceValue(func() map[string]any {
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(kontor.OpenAPI))
	if err != nil {
		panic(err) // it is part of the program
	}
	return parsed.(map[string]any) //nolint:forcetypeassert // as above
})

type object = map[string]any

// Operations lists all operations by path and verb.
var Operations = sync.OnceValues(func() ([]*Operation, error) {
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("document", Document()); err != nil {
		return nil, err
	}
	var all []*Operation
	paths, _ := Document()["paths"].(object)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		item, _ := paths[path].(object)
		for _, verb := range slices.Sorted(maps.Keys(item)) {
			raw, _ := item[verb].(object)
			id, _ := raw["operationId"].(string)
			o := &Operation{
				ID: id, Verb: strings.ToUpper(verb), Path: path, Raw: raw, responses: map[string]*response{},
				pattern: regexp.MustCompile("^" + variable.ReplaceAllString(regexp.QuoteMeta(path), "[^/:]+") + "$"),
			}
			list, _ := raw["parameters"].([]any)
			for _, p := range list {
				o.Parameters = append(o.Parameters, Resolve(p))
			}
			if err := o.compile(compiler); err != nil {
				return nil, err
			}
			all = append(all, o)
		}
	}
	return all, nil
})

// variable matches {name} in a quoted path.
var variable = regexp.MustCompile(`\\\{[^}]+\\\}`)

// Resolve follows a reference.
func Resolve(value any) map[string]any {
	schema, _ := value.(object)
	ref, _ := schema["$ref"].(string)
	if ref == "" {
		return schema
	}
	var at any = Document()
	for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		inner, _ := at.(object)
		at = inner[part]
	}
	found, _ := at.(object)
	return found
}

func (o *Operation) compile(compiler *jsonschema.Compiler) error {
	responses, _ := o.Raw["responses"].(object)
	for status, r := range responses {
		raw, _ := r.(object)
		described := &response{schemas: map[string]*jsonschema.Schema{}}
		described.reasons, _ = raw["x-reasons"].([]any)
		described.headers, _ = raw["headers"].(object)
		content, _ := raw["content"].(object)
		for media := range content {
			at := "document#/" + strings.Join([]string{
				"paths", escape(o.Path), strings.ToLower(o.Verb), "responses", status, "content", escape(media),
				"schema",
			}, "/")
			schema, err := compiler.Compile(at)
			if err != nil {
				return err
			}
			described.schemas[media] = schema
		}
		o.responses[status] = described
	}
	return nil
}

// escape writes a key as a part of a JSON pointer in a URL.
func escape(key string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(key)
}

// Find gives the operation that a request is for.
func Find(verb, path string) (*Operation, error) {
	all, err := Operations()
	if err != nil {
		return nil, err
	}
	path, _, _ = strings.Cut(path, "?")
	for _, o := range all {
		if o.Verb == verb && o.pattern.MatchString(path) {
			return o, nil
		}
	}
	return nil, fmt.Errorf("the document has no %s %s", verb, path)
}

// Check holds an answer against the document: its status, media type and form, the reason of an error, and that what
// is not known is left out. Body is JSON; of a stream it is one line.
func (o *Operation) Check(status int, media string, body []byte) error {
	described := o.responses[fmt.Sprint(status)]
	if described == nil {
		return fmt.Errorf("%s: the document has no status %d; the answer: %s", o.ID, status, body)
	}
	media, _, _ = strings.Cut(media, ";")
	schema := described.schemas[media]
	if schema == nil {
		return fmt.Errorf("%s: the document has no %q for status %d", o.ID, media, status)
	}
	answer, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s: the answer is not JSON: %w", o.ID, err)
	}
	if err := schema.Validate(answer); err != nil {
		return fmt.Errorf("%s: %d is not as described: %w; the answer: %s", o.ID, status, err, body)
	}
	if at := hollow(answer, ""); at != "" {
		return fmt.Errorf("%s: %s says nothing, and is there: %s", o.ID, at, body)
	}
	if status == 200 {
		return nil
	}
	if reason := Reason(body); !slices.Contains(described.reasons, any(reason)) {
		return fmt.Errorf("%s: the document has no reason %q for status %d", o.ID, reason, status)
	}
	return nil
}

// hollow finds what says nothing and should be left out: an empty text, null, an enum's value for nothing.
func hollow(value any, at string) string {
	switch value := value.(type) {
	case nil:
		return at
	case string:
		if value == "" || strings.HasSuffix(value, "_UNSPECIFIED") {
			return at
		}
	case []any:
		for i, inner := range value {
			if found := hollow(inner, fmt.Sprintf("%s[%d]", at, i)); found != "" {
				return found
			}
		}
	case object:
		for name, inner := range value {
			if found := hollow(inner, at+"."+name); found != "" {
				return found
			}
		}
	}
	return ""
}

// Status is an error's body.
type Status struct {
	Details []struct {
		Reason          string `json:"reason"`
		FieldViolations []struct {
			Field       string `json:"field"`
			Description string `json:"description"`
		} `json:"fieldViolations"`
	} `json:"details"`
}

// Reason gives the reason in an error's body.
func Reason(body []byte) string {
	var s Status
	if json.Unmarshal(body, &s) != nil {
		return ""
	}
	for _, detail := range s.Details {
		if detail.Reason != "" {
			return detail.Reason
		}
	}
	return ""
}
