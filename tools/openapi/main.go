// Command openapi makes the one OpenAPI 3.1 document that the gateway serves from the
// documents that protoc-gen-openapiv3 writes per service:
//
//	go run ./openapi -in DIR -image FILE -out FILE
//
// FILE of -image is the descriptor set of the same .proto files (`buf build -o`).
//
// Beyond joining them it puts in what HTTP callers see and the generator cannot
// know: path parameters called by what they stand for instead of name, name_1; both
// forms of a stream; the headers of identity, idempotency and the end user's
// address. What is said about messages and fields stays in the .proto files.
package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// object is a JSON object.
type object = map[string]any

// frame is what the document says about the API as a whole.
//
//go:embed frame.json
var frame []byte

func main() {
	in := flag.String("in", "", "directory with the documents of the services")
	image := flag.String("image", "", "descriptor set of the .proto files")
	out := flag.String("out", "", "file to write")
	flag.Parse()
	if *in == "" || *image == "" || *out == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*in, *image, *out); err != nil {
		fmt.Fprintln(os.Stderr, "openapi:", err)
		os.Exit(1)
	}
}

func run(in, image, out string) error {
	api, err := readImage(image)
	if err != nil {
		return err
	}
	services, err := readDocuments(in)
	if err != nil {
		return err
	}
	doc, err := join(api, services)
	if err != nil {
		return err
	}
	if err := verify(doc); err != nil {
		return err
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(doc); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	return os.WriteFile(out, text.Bytes(), 0o644)
}

// api is what the descriptors tell beyond the generator's documents.
type api struct {
	// methods by operation id, "ConsentService_GetConsent".
	methods map[string]protoreflect.MethodDescriptor
	// variables by collection, from the patterns of google.api.resource:
	// "consents" is "consent".
	variables map[string]string
}

func readImage(path string) (*api, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(raw, set); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	a := &api{methods: map[string]protoreflect.MethodDescriptor{}, variables: map[string]string{}}
	files.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				method := service.Methods().Get(j)
				a.methods[fmt.Sprintf("%s_%s", service.Name(), method.Name())] = method
			}
		}
		for i := range file.Messages().Len() {
			a.addResource(file.Messages().Get(i))
		}
		return true
	})
	return a, nil
}

// addResource notes the collections of a message's resource patterns, such as
// "consents/{consent}/accounts/{account}".
func (a *api) addResource(message protoreflect.MessageDescriptor) {
	resource, ok := proto.GetExtension(message.Options(), annotations.E_Resource).(*annotations.ResourceDescriptor)
	if !ok {
		return
	}
	for _, pattern := range resource.GetPattern() {
		segments := strings.Split(pattern, "/")
		for i := 1; i < len(segments); i += 2 {
			a.variables[segments[i-1]] = strings.Trim(segments[i], "{}")
		}
	}
}

func readDocuments(dir string) ([]object, error) {
	var docs []object
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var doc object
		if err := json.Unmarshal(raw, &doc); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		docs = append(docs, doc)
		return nil
	})
	if err == nil && len(docs) == 0 {
		err = fmt.Errorf("no document in %s", dir)
	}
	return docs, err
}

// join makes one document of all. Services come in the order of their files, paths
// and schemas in that of their names.
func join(a *api, services []object) (object, error) {
	paths, schemas, tags := object{}, object{}, []any{}
	for _, service := range services {
		for path, item := range service["paths"].(object) {
			renamed, names := a.renamePath(path)
			if paths[renamed] == nil {
				paths[renamed] = object{}
			}
			for verb, operation := range item.(object) {
				if paths[renamed].(object)[verb] != nil {
					return nil, fmt.Errorf("%s %s is mapped twice", strings.ToUpper(verb), renamed)
				}
				if err := a.complete(verb, renamed, operation.(object), names); err != nil {
					return nil, err
				}
				paths[renamed].(object)[verb] = operation
			}
		}
		maps.Copy(schemas, service["components"].(object)["schemas"].(object))
		tags = append(tags, service["tags"].([]any)...)
	}
	var doc object
	if err := json.Unmarshal(frame, &doc); err != nil {
		return nil, fmt.Errorf("frame.json: %w", err)
	}
	doc["tags"], doc["paths"] = tags, paths
	doc["components"].(object)["schemas"] = schemas
	return doc, nil
}

var (
	// variable matches {name} in a path.
	variable = regexp.MustCompile(`\{([^}]+)\}`)
	// furtherBinding matches what the generator appends to a method's id for each
	// binding after the first.
	furtherBinding = regexp.MustCompile(`_\d+$`)
)

// renamePath calls the variables of a path by the resource they stand for, so that
// /v1/consents/{name}/connections/{name_1}:sync becomes
// /v1/consents/{consent}/connections/{connection}:sync. names maps old to new.
func (a *api) renamePath(path string) (renamed string, names map[string]string) {
	names = map[string]string{}
	segments := strings.Split(path, "/")
	for i := 1; i < len(segments); i++ {
		collection, known := a.variables[segments[i-1]]
		segments[i] = variable.ReplaceAllStringFunc(segments[i], func(match string) string {
			old := strings.Trim(match, "{}")
			names[old] = old
			if known {
				names[old] = collection
			}
			return "{" + names[old] + "}"
		})
	}
	return strings.Join(segments, "/"), names
}

// complete renames an operation's path parameters and adds headers and streams.
func (a *api) complete(verb, path string, operation object, names map[string]string) error {
	id, _ := operation["operationId"].(string)
	method := a.methods[furtherBinding.ReplaceAllString(id, "")]
	if method == nil {
		return fmt.Errorf("no method for operation %q", id)
	}

	parameters, _ := operation["parameters"].([]any)
	bound := map[string]bool{}
	for _, p := range parameters {
		parameter := p.(object)
		if parameter["in"] != "path" {
			continue
		}
		name := names[parameter["name"].(string)]
		bound[name] = true
		parameter["name"] = name
		// The generator describes the whole name, of which this is one part.
		parameter["description"] = fmt.Sprintf("`{%s}` in: %s", name, parameter["description"])
	}
	// A field that one binding has in the path is no query parameter there.
	parameters = slices.DeleteFunc(parameters, func(p any) bool {
		return p.(object)["in"] == "query" && bound[p.(object)["name"].(string)]
	})
	if method.Input().Fields().ByName("request_id") != nil {
		parameters = append(parameters, reference("parameters", "IdempotencyKey"))
	}
	if verb != "get" && strings.HasPrefix(path, "/v1/consents") {
		parameters = append(parameters, reference("parameters", "PsuIpAddress"))
	}
	if method.IsStreamingServer() {
		if method.Input().Fields().ByName("resume_token") != nil {
			parameters = append(parameters, reference("parameters", "LastEventId"))
		}
		streamed(operation)
	}
	if len(parameters) > 0 {
		operation["parameters"] = parameters
	}
	return nil
}

// streamed turns the answer of a server stream into what is on the wire.
func streamed(operation object) {
	ok := operation["responses"].(object)["200"].(object)
	message := ok["content"].(object)["application/json"].(object)["schema"]
	ok["description"] = "A stream; one message per line, or per event."
	ok["content"] = object{
		"application/x-ndjson": object{"schema": object{
			"description": "One line: a message, or the error that ended the stream.",
			"oneOf": []any{
				object{"type": "object", "properties": object{"result": message}, "required": []any{"result"}},
				object{
					"type": "object", "properties": object{"error": reference("schemas", "google.rpc.Status")},
					"required": []any{"error"},
				},
			},
		}},
		"text/event-stream": object{"schema": object{
			"description": "The data of one event, as JSON.",
			"oneOf":       []any{message},
		}},
	}
}

func reference(kind, name string) object {
	return object{"$ref": "#/components/" + kind + "/" + name}
}

// verify finds what would make the document useless to a client generator.
func verify(doc object) error {
	shapes, ids := map[string]string{}, map[string]string{}
	paths := doc["paths"].(object)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		shape := variable.ReplaceAllString(path, "{}")
		if other := shapes[shape]; other != "" {
			return fmt.Errorf("paths %s and %s are the same", other, path)
		}
		shapes[shape] = path
		for verb, operation := range paths[path].(object) {
			if err := verifyParameters(path, operation.(object)); err != nil {
				return fmt.Errorf("%s %s: %w", strings.ToUpper(verb), path, err)
			}
			id := operation.(object)["operationId"].(string)
			if other := ids[id]; other != "" {
				return fmt.Errorf("paths %s and %s have one operation id, %s", other, path, id)
			}
			ids[id] = path
		}
	}
	return verifyReferences(doc, doc)
}

func verifyParameters(path string, operation object) error {
	declared := map[string]bool{}
	parameters, _ := operation["parameters"].([]any)
	for _, p := range parameters {
		if p.(object)["in"] == "path" {
			declared[p.(object)["name"].(string)] = true
		}
	}
	matches := variable.FindAllStringSubmatch(path, -1)
	for _, match := range matches {
		if !declared[match[1]] {
			return fmt.Errorf("parameter %s is not described", match[1])
		}
	}
	if len(declared) != len(matches) {
		return fmt.Errorf("%d variables, %d path parameters", len(matches), len(declared))
	}
	return nil
}

func verifyReferences(doc object, value any) error {
	switch value := value.(type) {
	case object:
		if ref, ok := value["$ref"].(string); ok {
			parts := strings.Split(ref, "/")
			kind, _ := doc["components"].(object)[parts[len(parts)-2]].(object)
			if kind[parts[len(parts)-1]] == nil {
				return fmt.Errorf("nothing at %s", ref)
			}
		}
		for _, v := range value {
			if err := verifyReferences(doc, v); err != nil {
				return err
			}
		}
	case []any:
		for _, v := range value {
			if err := verifyReferences(doc, v); err != nil {
				return err
			}
		}
	}
	return nil
}
