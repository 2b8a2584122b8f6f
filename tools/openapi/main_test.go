package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// committed is the document that was made of the API, as it is committed. `make verify-generate` holds it against what
// this program makes.
func committed(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("../../gen/openapi/kontor.openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func document(t *testing.T, text string) object {
	t.Helper()
	var doc object
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestOperations holds each operation to having what a caller needs.
func TestOperations(t *testing.T) {
	doc := document(t, string(committed(t)))
	count := 0
	for path, item := range doc["paths"].(object) {
		for verb, operation := range item.(object) {
			count++
			o := operation.(object)
			at := strings.ToUpper(verb) + " " + path
			responses := o["responses"].(object)
			for _, status := range []string{"200", "400", "401", "403", "429", "500", "503", "504"} {
				if responses[status] == nil {
					t.Errorf("%s has no status %s", at, status)
				}
			}
			for status, r := range responses {
				response := r.(object)
				headers, _ := response["headers"].(object)
				if headers["X-Request-Id"] == nil || (status == "429" || status == "503") != (headers["Retry-After"] != nil) {
					t.Errorf("%s: status %s has the headers %v", at, status, headers)
				}
				if status != "200" && len(response["x-reasons"].([]any)) == 0 || response["description"] == "" {
					t.Errorf("%s: status %s does not say why", at, status)
				}
			}
			if body, ok := o["requestBody"].(object); ok &&
				body["content"].(object)["application/json"].(object)["examples"] == nil {
				t.Errorf("%s: the body has no example", at)
			}
			for _, p := range o["parameters"].([]any) {
				parameter := p.(object)
				if parameter["$ref"] == nil && parameter["description"] == nil {
					t.Errorf("%s: %v is not described", at, parameter["name"])
				}
				if parameter["in"] == "path" && parameter["example"] == nil {
					t.Errorf("%s: %v has no example", at, parameter["name"])
				}
			}
			content := responses["200"].(object)["content"].(object)
			for media, described := range content {
				if shown, _ := described.(object)["examples"].(object); len(shown) == 0 {
					t.Errorf("%s shows no answer as %s", at, media)
				}
			}
			streams := strings.HasSuffix(path, ":watch") || strings.HasSuffix(path, ":stream")
			if streams != (content["application/x-ndjson"] != nil && content["text/event-stream"] != nil) {
				t.Errorf("%s answers with %v", at, content)
			}
		}
	}
	if count < 46 {
		t.Errorf("only %d operations", count)
	}
}

// TestEnumValuesHaveMeanings holds enums to values that mean something, each with its meaning.
func TestEnumValuesHaveMeanings(t *testing.T) {
	text := string(committed(t))
	if strings.Contains(text, "_UNSPECIFIED\"") {
		t.Error("a value that means nothing is offered")
	}
	for name, s := range document(t, text)["components"].(object)["schemas"].(object) {
		schema := s.(object)
		values, _ := schema["enum"].([]any)
		description, _ := schema["description"].(string)
		for _, value := range values {
			_, meaning, found := strings.Cut(description, "`"+value.(string)+"`: ")
			if line, _, _ := strings.Cut(meaning, "\n"); !found || line == "" {
				t.Errorf("%s does not say what %v means", name, value)
			}
		}
	}
}

// TestHeaders shows which headers belong to which operations.
func TestHeaders(t *testing.T) {
	paths := document(t, string(committed(t)))["paths"].(object)
	for at, want := range map[string]string{
		"post /v1/consents":                           "IdempotencyKey PsuIpAddress RequestId",
		"get /v1/consents/{consent}:watch":            "consent resumeToken Ticket LastEventId RequestId",
		"delete /v1/customers/{customer}":             "customer etag requestId IdempotencyKey IfMatch PsuIpAddress RequestId",
		"patch /v1/customers/{customer}":              "customer updateMask requestId IdempotencyKey IfMatch PsuIpAddress RequestId",
		"get /v1/consents/{consent}/connections":      "consent pageSize pageToken PsuIpAddress RequestId",
		"get /v1/deletionReceipts/{deletion_receipt}": "deletion_receipt RequestId",
	} {
		verb, path, _ := strings.Cut(at, " ")
		var names []string
		for _, p := range paths[path].(object)[verb].(object)["parameters"].([]any) {
			name, ok := p.(object)["name"].(string)
			if !ok {
				ref := p.(object)["$ref"].(string)
				name = ref[strings.LastIndex(ref, "/")+1:]
			}
			names = append(names, name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s has the parameters %s, want %s", at, got, want)
		}
	}
}

// TestStandard breaks the document in ways that must be found.
func TestStandard(t *testing.T) {
	text := string(committed(t))
	if err := verifyStandard("../"+standard, []byte(text)); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"no OpenAPI":                            {`"openapi": "3.1.0"`, `"openapi": "2.0"`},
		"a parameter that is nowhere":           {`"in": "query"`, `"in": "somewhere"`},
		"a schema of no type":                   {`"type": "array"`, `"type": "list"`},
		"an example that its schema refuses":    {`"decision": "APPROVED"`, `"decision": "MAYBE"`},
		"an answer that its schema refuses":     {`"dataStage": "READY"`, `"dataStage": "SOON"`},
		"an example of a query that is refused": {`"example": "2026-03-01"`, `"example": "yesterday"`},
	} {
		t.Run(name, func(t *testing.T) {
			changed := strings.Replace(text, change[0], change[1], 1)
			if changed == text {
				t.Fatal("nothing changed")
			}
			if verifyStandard("../"+standard, []byte(changed)) == nil {
				t.Error("nothing is found")
			}
		})
	}
}

// TestExamplesOfNothing: an example of a method that there is not would never be sent.
func TestExamplesOfNothing(t *testing.T) {
	a := &api{examples: map[string][]example{"Nothing": {{}}}}
	if got := a.unused(); len(got) != 1 {
		t.Errorf("got %q", got)
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
