package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// examplesFile holds requests of every method. test/e2e sends each of them to the played providers.
//
//go:embed examples.json
var examplesFile []byte

// answersFile holds what the played providers' gateway answered to the examples, by method and title; of a stream its
// first message and its last. `make record-answers` writes it, and test/e2e holds later answers against it.
//
//go:embed answers.json
var answersFile []byte

// answers are answers to examples, by title.
type answers map[string][]any

// example is a request as the method's message has it, with ${name} for names that the state before it has.
type example struct {
	Title    string `json:"title"`
	Provider string `json:"provider"`
	Setup    string `json:"setup"`
	Request  object `json:"request"`
}

// stand-ins for the names in examples.
var standIns = strings.NewReplacer(
	"${consent}", "consents/0f8c2b7e-5d3a-4c1e-9b60-2a4f7d915c83",
	"${connection}", "consents/0f8c2b7e-5d3a-4c1e-9b60-2a4f7d915c83/connections/kQ3v9dTzR1yWm4Xa",
	"${account}", "consents/0f8c2b7e-5d3a-4c1e-9b60-2a4f7d915c83/accounts/p7LcE2uHn5sJb8Gf",
	"${customerReference}", "crm-4711",
	"${customer}", "customers/6b1d9f40-73c2-4e8a-8f15-d0a9c3e7b246",
	"${partnerBank}", "partnerBanks/64f1c0de5ba1b2c3d4e5f607",
	"${shipment}", "shipments/c2e85a17-904b-4d6f-b3a8-51f7e06d9c32",
	"${receipt}", "deletionReceipts/9a3e7c51-28d4-4b0f-a6e9-7f1c5d8b3042",
	"${user}", "providers/finoos/users/d41f6a93-c85e-4027-b19d-e63a70f8c524",
	"${uuid}", "b7f20c64-1e9d-4a58-83c7-f5a60d2e914b",
	"${app}", "https://app.example.com",
)

func readExamples() (requests map[string][]example, answered map[string]answers, err error) {
	if err := json.Unmarshal(examplesFile, &requests); err != nil {
		return nil, nil, fmt.Errorf("examples.json: %w", err)
	}
	if err := json.Unmarshal(answersFile, &answered); err != nil {
		return nil, nil, fmt.Errorf("answers.json: %w", err)
	}
	return requests, answered, nil
}

// standIn replaces ${name} in all texts of a value.
func standIn(value any) any {
	switch value := value.(type) {
	case object:
		out := object{}
		for name, inner := range value {
			out[name] = standIn(inner)
		}
		return out
	case []any:
		out := make([]any, len(value))
		for i, inner := range value {
			out[i] = standIn(inner)
		}
		return out
	case string:
		return standIns.Replace(value)
	}
	return value
}

// addExamples puts the examples of a method into an operation: those that have the fields of its path.
func (a *api) addExamples(
	method protoreflect.MethodDescriptor, b binding, path string, operation object,
) error {
	shown := 0
	bodies := object{}
	for _, e := range a.examples[string(method.Name())] {
		request := standIn(e.Request).(object)
		fits := true
		for field := range b.bound {
			name, found := take(request, strings.Split(field, "."))
			fits = fits && found
			if found && shown == 0 {
				showVariables(operation, path, name)
			}
		}
		if !fits || len(b.bound) == 0 && unboundVariable(method, request) {
			continue
		}
		switch {
		case b.body == "*":
			bodies[title(e.Title)] = object{"summary": e.Title, "value": request}
		case b.body != "":
			field := method.Input().Fields().ByName(protoreflect.Name(b.body)).JSONName()
			bodies[title(e.Title)] = object{"summary": e.Title, "value": request[field]}
			delete(request, field)
		}
		if b.body != "*" && shown == 0 {
			for _, p := range operation["parameters"].([]any) {
				name, _ := p.(object)["name"].(string)
				if value, ok := request[name]; ok && p.(object)["in"] == "query" {
					p.(object)["example"] = value
				}
			}
		}
		addAnswers(operation, e.Title, a.answers[string(method.Name())][e.Title])
		shown++
	}
	if shown == 0 {
		return fmt.Errorf("examples.json has none for %s at %s", method.Name(), path)
	}
	if len(bodies) > 0 {
		operation["requestBody"].(object)["content"].(object)["application/json"].(object)["examples"] = bodies
	}
	return nil
}

// addAnswers puts the answers to an example into an operation. A method whose answers are not recorded yet has none, so
// that they can be.
func addAnswers(operation object, summary string, recorded []any) {
	content := operation["responses"].(object)["200"].(object)["content"].(object)
	for i, answer := range recorded {
		for media, described := range content {
			value := standIn(answer)
			if media == "application/x-ndjson" {
				value = object{"result": value}
			}
			name, says := title(summary), summary
			if i > 0 {
				name, says = name+"-end", says+": the last message"
			}
			shown, _ := described.(object)["examples"].(object)
			if shown == nil {
				shown = object{}
				described.(object)["examples"] = shown
			}
			shown[name] = object{"summary": says, "description": cut, "value": value}
		}
	}
}

// cut is said of every answer that is shown.
const cut = "As the sandbox answers. Lists show two elements, those within them one, and tokens their beginning."

// unboundVariable tells whether an example is for another mapping of its method, whose path holds one of its fields.
func unboundVariable(method protoreflect.MethodDescriptor, request object) bool {
	for _, name := range []string{"consent", "shipment"} {
		if method.IsStreamingServer() && request[name] != nil {
			return true
		}
	}
	return false
}

// take takes a field out of a request.
func take(request object, path []string) (string, bool) {
	for i, name := range path {
		json := camel("`" + name + "`")
		name = strings.Trim(json, "`")
		if i == len(path)-1 {
			value, ok := request[name].(string)
			delete(request, name)
			return value, ok
		}
		inner, ok := request[name].(object)
		if !ok {
			return "", false
		}
		request = inner
	}
	return "", false
}

// showVariables gives the parameters of a path the parts of a resource's name.
func showVariables(operation object, path, name string) {
	segments := strings.Split(name, "/")
	variables := variablesOf(path)
	for i, variable := range variables {
		if 2*i+1 >= len(segments) {
			return
		}
		for _, p := range operation["parameters"].([]any) {
			if p.(object)["name"] == variable && p.(object)["in"] == "path" {
				p.(object)["example"] = segments[2*i+1]
			}
		}
	}
}

// title makes a name of a sentence.
func title(text string) string {
	words := strings.FieldsFunc(text, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') })
	return strings.ToLower(strings.Join(words, "-"))
}

// unused lists examples of methods that there are not.
func (a *api) unused() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(a.examples)) {
		found := false
		for _, method := range a.methods {
			found = found || string(method.Name()) == name
		}
		if !found {
			names = append(names, name)
		}
	}
	return names
}
