package main

import (
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// testAPI is a service with a stream, a method that makes something, and resources.
func testAPI(t *testing.T) *api {
	t.Helper()
	text := descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum()
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name:    new("a.proto"),
		Package: new("a"),
		Syntax:  new("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{
			{
				Name: new("CreateRequest"),
				Field: []*descriptorpb.FieldDescriptorProto{
					{Name: new("request_id"), Number: new(int32(1)), Type: text},
				},
			},
			{
				Name: new("WatchRequest"),
				Field: []*descriptorpb.FieldDescriptorProto{
					{Name: new("resume_token"), Number: new(int32(1)), Type: text},
				},
			},
		},
		Service: []*descriptorpb.ServiceDescriptorProto{{
			Name: new("Service"),
			Method: []*descriptorpb.MethodDescriptorProto{
				{Name: new("Create"), InputType: new(".a.CreateRequest"), OutputType: new(".a.CreateRequest")},
				{
					Name: new("Watch"), InputType: new(".a.WatchRequest"), OutputType: new(".a.WatchRequest"),
					ServerStreaming: new(true),
				},
			},
		}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	methods := file.Services().Get(0).Methods()
	return &api{
		methods: map[string]protoreflect.MethodDescriptor{
			"Service_Create": methods.Get(0), "Service_Watch": methods.Get(1),
		},
		variables: map[string]string{"consents": "consent", "connections": "connection"},
	}
}

func document(t *testing.T, text string) object {
	t.Helper()
	var doc object
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

const (
	created = `{"tags": [{"name": "A"}], "components": {"schemas": {"google.rpc.Status": {}, "a.Request": {}}}, "paths": {
		"/v1/consents/{name}/connections/{name_1}:sync": {"post": {"operationId": "Service_Create",
			"parameters": [{"name": "name", "in": "path", "description": "d"}, {"name": "name_1", "in": "path", "description": "d"}],
			"responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/a.Request"}}}}}}}}}`
	watched = `{"tags": [{"name": "B"}], "components": {"schemas": {"google.rpc.Status": {}}}, "paths": {
		"/v1/consents/{consent}:watch": {"get": {"operationId": "Service_Watch_1",
			"parameters": [{"name": "consent", "in": "path", "description": "d"}, {"name": "consent", "in": "query"}],
			"responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/a.Request"}}}}}}}}}`
)

func TestJoin(t *testing.T) {
	doc, err := join(testAPI(t), []object{document(t, created), document(t, watched)})
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(doc); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]string{
		"/v1/consents/{consent}/connections/{connection}:sync": {
			"consent", "connection", "IdempotencyKey", "PsuIpAddress",
		},
		"/v1/consents/{consent}:watch": {"consent", "LastEventId"},
	} {
		item, ok := doc["paths"].(object)[path].(object)
		if !ok {
			t.Fatalf("no %s", path)
		}
		for _, operation := range item {
			if got := parameterNames(operation.(object)); strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("%s has parameters %q, want %q", path, got, want)
			}
		}
	}
	watch := doc["paths"].(object)["/v1/consents/{consent}:watch"].(object)["get"].(object)
	content := watch["responses"].(object)["200"].(object)["content"].(object)
	if len(content) != 2 || content["application/x-ndjson"] == nil || content["text/event-stream"] == nil {
		t.Errorf("a stream answers with %v", content)
	}
	if got := len(doc["tags"].([]any)); got != 2 {
		t.Errorf("%d tags, want 2", got)
	}
}

// parameterNames returns the names of parameters, and of those that are references
// that of the component.
func parameterNames(operation object) []string {
	var names []string
	for _, p := range operation["parameters"].([]any) {
		name, ok := p.(object)["name"].(string)
		if !ok {
			ref := p.(object)["$ref"].(string)
			name = ref[strings.LastIndex(ref, "/")+1:]
		}
		names = append(names, name)
	}
	return names
}

func TestJoinRefuses(t *testing.T) {
	for name, service := range map[string]string{
		"a path twice":      created,
		"an unknown method": strings.ReplaceAll(watched, "Service_Watch", "Service_Other"),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := join(testAPI(t), []object{document(t, created), document(t, service)}); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestVerifyRefuses(t *testing.T) {
	for name, paths := range map[string]string{
		"paths of one shape":         `{"/a/{b}": {"get": {"operationId": "x", "parameters": [{"name": "b", "in": "path"}]}}, "/a/{c}": {"get": {"operationId": "y", "parameters": [{"name": "c", "in": "path"}]}}}`,
		"an operation id twice":      `{"/a": {"get": {"operationId": "x"}}, "/b": {"get": {"operationId": "x"}}}`,
		"an undescribed variable":    `{"/a/{b}": {"get": {"operationId": "x"}}}`,
		"a parameter without a path": `{"/a": {"get": {"operationId": "x", "parameters": [{"name": "b", "in": "path"}]}}}`,
		"a reference to nothing":     `{"/a": {"get": {"operationId": "x", "parameters": [{"$ref": "#/components/parameters/None"}]}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			if err := verify(document(t, `{"components": {"parameters": {}}, "paths": `+paths+`}`)); err == nil {
				t.Error("no error")
			}
		})
	}
}
