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
	if unused := api.unused(); len(unused) > 0 {
		return fmt.Errorf("examples.json has methods that there are not: %q", unused)
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
	if err := verifyStandard(standard, text.Bytes()); err != nil {
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
	// reasons is kontor.error.v1.Error.Reason.
	reasons protoreflect.EnumDescriptor
	schemas *schemas
	// examples by method.
	examples map[string][]example
	// answers to the examples, by method.
	answers map[string]answers
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
	a := &api{
		methods: map[string]protoreflect.MethodDescriptor{}, variables: map[string]string{},
		schemas: &schemas{components: object{}, answered: map[protoreflect.FullName]bool{}},
	}
	if a.examples, a.answers, err = readExamples(); err != nil {
		return nil, err
	}
	reasons, err := files.FindDescriptorByName("kontor.error.v1.Error.Reason")
	if err != nil {
		return nil, err
	}
	a.reasons = reasons.(protoreflect.EnumDescriptor)
	files.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				method := service.Methods().Get(j)
				a.methods[fmt.Sprintf("%s_%s", service.Name(), method.Name())] = method
				a.schemas.answers(method.Output())
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
	paths, tags := object{}, []any{}
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
		tags = append(tags, service["tags"].([]any)...)
	}
	var doc object
	if err := json.Unmarshal(frame, &doc); err != nil {
		return nil, fmt.Errorf("frame.json: %w", err)
	}
	doc["tags"], doc["paths"] = tags, paths
	maps.Copy(doc["components"].(object)["schemas"].(object), a.schemas.components)
	jsonNames(doc)
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

// complete describes an operation as HTTP callers see it: its parameters, body, answers, failures and examples.
func (a *api) complete(verb, path string, operation object, names map[string]string) error {
	id, _ := operation["operationId"].(string)
	method := a.methods[furtherBinding.ReplaceAllString(id, "")]
	if method == nil {
		return fmt.Errorf("no method for operation %q", id)
	}
	binding, ok := bindingOf(method, verb, path)
	if !ok {
		return fmt.Errorf("%s has no mapping to %s %s", method.Name(), verb, path)
	}
	parameters := a.pathParameters(operation, names)
	if binding.body != "*" {
		parameters = append(parameters, a.queryParameters(method, binding)...)
	}
	if path == ticketed {
		parameters = append(parameters, reference("parameters", "Ticket"))
		operation["security"] = []any{object{"key": []any{}}, object{}}
	}
	for _, header := range headers(method) {
		parameters = append(parameters, reference("parameters", header))
	}
	operation["parameters"] = parameters
	a.describeBody(method, binding, operation)

	found, err := a.reasonsOf(method, variablesOf(path))
	if err != nil {
		return err
	}
	responses, err := failures(found)
	if err != nil {
		return err
	}
	responses["200"] = a.success(method)
	operation["responses"] = responses
	return a.addExamples(method, binding, path, operation)
}

// ticketed is the path that a browser may call with a ticket instead of a key. The front takes it from the query, so
// that it is in no request.
const ticketed = "/v1/consents/{consent}:watch"

// binding is one HTTP mapping of a method.
type binding struct {
	verb, template, body string
	// bound are the fields that the path holds, such as "customer.name".
	bound map[string]bool
}

// pathField matches {name=consents/*} in a template.
var pathField = regexp.MustCompile(`\{([a-z_.]+)=([^}]+)\}`)

// bindingOf finds the mapping of a method that leads to a path of the document.
func bindingOf(method protoreflect.MethodDescriptor, verb, path string) (binding, bool) {
	rule, _ := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
	for _, r := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
		b := binding{body: r.GetBody(), bound: map[string]bool{}}
		switch r.GetPattern().(type) {
		case *annotations.HttpRule_Get:
			b.verb, b.template = "get", r.GetGet()
		case *annotations.HttpRule_Post:
			b.verb, b.template = "post", r.GetPost()
		case *annotations.HttpRule_Patch:
			b.verb, b.template = "patch", r.GetPatch()
		case *annotations.HttpRule_Delete:
			b.verb, b.template = "delete", r.GetDelete()
		}
		plain := pathField.ReplaceAllString(b.template, "$2")
		if b.verb != verb || strings.ReplaceAll(plain, "*", "{}") != variable.ReplaceAllString(path, "{}") {
			continue
		}
		for _, match := range pathField.FindAllStringSubmatch(b.template, -1) {
			b.bound[match[1]] = true
		}
		return b, true
	}
	return binding{}, false
}

// variablesOf lists the variables of a path.
func variablesOf(path string) []string {
	var names []string
	for _, match := range variable.FindAllStringSubmatch(path, -1) {
		names = append(names, match[1])
	}
	return names
}

// pathParameters calls the generator's path parameters by what they stand for.
func (a *api) pathParameters(operation object, names map[string]string) []any {
	parameters := []any{}
	list, _ := operation["parameters"].([]any)
	for _, p := range list {
		parameter := p.(object)
		if parameter["in"] != "path" {
			continue
		}
		name := names[parameter["name"].(string)]
		parameter["name"] = name
		// The generator describes the whole name, of which this is one part.
		parameter["description"] = fmt.Sprintf("`{%s}` in: %s", name, parameter["description"])
		parameter["schema"] = object{"type": "string", "pattern": "^[A-Za-z0-9_~-][A-Za-z0-9._~-]*$", "maxLength": 100}
		parameters = append(parameters, parameter)
	}
	return parameters
}

// queryParameters describes what of a request is neither in the path nor in the body.
func (a *api) queryParameters(method protoreflect.MethodDescriptor, b binding) []any {
	var parameters []any
	for i := range method.Input().Fields().Len() {
		field := method.Input().Fields().Get(i)
		name := string(field.Name())
		if b.bound[name] || name == b.body {
			continue
		}
		schema := maps.Clone(a.schemas.field(field, input))
		parameter := object{
			"name": field.JSONName(), "in": "query", "description": schema["description"], "schema": schema,
		}
		delete(schema, "description")
		if isRequired(field, input) {
			parameter["required"] = true
		}
		parameters = append(parameters, parameter)
	}
	return parameters
}

// local are methods that answer from what Kontor keeps: no provider wants to know who asks.
var local = []string{
	"ListProviders", "GetDeletionReceipt", "WatchConsents", "WatchShipments", "ListConsents", "ListConsentEvents",
	"ListCustomers", "GetCustomer", "CreateCustomer", "ListShipments", "GetShipment", "CreateWatchTicket",
}

// headers lists the headers that mean something to an operation.
func headers(method protoreflect.MethodDescriptor) []string {
	var names []string
	request := method.Input().Fields()
	if request.ByName("request_id") != nil {
		names = append(names, "IdempotencyKey")
	}
	if hasEtag(method) {
		names = append(names, "IfMatch")
	}
	if !slices.Contains(local, string(method.Name())) {
		names = append(names, "PsuIpAddress")
	}
	if request.ByName("resume_token") != nil {
		names = append(names, "LastEventId")
	}
	return append(names, "RequestId")
}

// describeBody describes the body of a request.
func (a *api) describeBody(method protoreflect.MethodDescriptor, b binding, operation object) {
	if b.body == "" {
		delete(operation, "requestBody")
		return
	}
	var schema object
	needed := true
	if b.body == "*" {
		whole := a.schemas.object(method.Input(), input, b.bound)
		required, _ := whole["required"].([]string)
		needed = len(required) > 0
		name := string(method.Input().FullName())
		a.schemas.components[name] = whole
		schema = reference("schemas", name)
	} else {
		field := method.Input().Fields().ByName(protoreflect.Name(b.body))
		schema = a.schemas.message(field.Message(), change)
	}
	operation["requestBody"] = object{
		"required": needed, "content": object{"application/json": object{"schema": schema}},
	}
}

// success describes the answer of an operation that does not fail.
func (a *api) success(method protoreflect.MethodDescriptor) object {
	message := a.schemas.message(method.Output(), answer)
	ok := object{
		"description": orNothing(comment(method.Output())),
		"headers":     object{"X-Request-Id": reference("headers", "RequestId")},
		"content":     object{"application/json": object{"schema": message}},
	}
	if !method.IsStreamingServer() {
		return ok
	}
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
			"description": "The data of one event, as JSON. The event `error` holds a google.rpc.Status, and is " +
				"the last.",
			"oneOf": []any{message, reference("schemas", "google.rpc.Status")},
		}},
	}
	return ok
}

func orNothing(text string) string {
	if strings.HasPrefix(text, "A generic empty message") || text == "" {
		return "Done."
	}
	return text
}

// jsonNames writes the names in descriptions as JSON has them.
func jsonNames(value any) {
	switch value := value.(type) {
	case object:
		for key, inner := range value {
			text, ok := inner.(string)
			if ok && (key == "description" || key == "summary") {
				value[key] = camel(text)
				continue
			}
			jsonNames(inner)
		}
	case []any:
		for _, inner := range value {
			jsonNames(inner)
		}
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
