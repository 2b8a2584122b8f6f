package e2e

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// record is given by `make record-answers`.
var record = flag.Bool("record", false, "note the answers to the OpenAPI document's examples, for it to show them")

// answersFile has what the OpenAPI document shows as answers to its examples.
var answersFile = filepath.Join("..", "..", "tools", "openapi", "answers.json")

// recordedAnswers are answers by method and title of the example. A stream's are its first message and its last.
type recordedAnswers map[string]map[string][]any

func readAnswers(t *testing.T) recordedAnswers {
	t.Helper()
	text, err := os.ReadFile(answersFile)
	if err != nil {
		t.Fatal(err)
	}
	var all recordedAnswers
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// hold notes an answer, or holds it against the one that is noted: it has the same fields.
func (a recordedAnswers) hold(t *testing.T, method, title string, got []any) {
	t.Helper()
	if *record {
		if a[method] == nil {
			a[method] = map[string][]any{}
		}
		a[method][title] = got
		return
	}
	if want := a[method][title]; !slices.Equal(fieldNames(want), fieldNames(got)) {
		t.Errorf("the document shows an answer with %v, and it has %v: make record-answers generate", fieldNames(want),
			fieldNames(got))
	}
}

// fieldNames lists the fields of answers, without those within.
func fieldNames(answers []any) []string {
	var names []string
	for i, answer := range answers {
		fields, _ := answer.(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			names = append(names, fmt.Sprint(i, ".", name))
		}
	}
	return names
}

func (a recordedAnswers) write(t *testing.T) {
	t.Helper()
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(a); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(answersFile, text.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// longest is how many elements of a list or a stream an example shows; of a list within another one it shows one.
const longest = 2

// exampleNames are the variables of examples that stand for themselves in what the document shows.
var exampleNames = []string{
	"connection", "account", "consent", "customer", "customerReference", "partnerBank", "shipment", "receipt", "user",
	"uuid", "app",
}

var (
	anyUUID  = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	loopback = regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+`)
)

// opaque are fields that nobody reads: of what they hold the beginning is shown.
var opaque = map[string]int{"ticket": 40, "resumeToken": 40, "nextPageToken": 40}

// inExamples writes an answer as the document shows it: the names that the request has, ids that are the same whenever
// it is recorded, addresses that are nobody's, and of lists and streams no more than a reader needs.
func inExamples(t *testing.T, seed string, v vars, texts []json.RawMessage) []any {
	t.Helper()
	if len(texts) > longest {
		texts = []json.RawMessage{texts[0], texts[len(texts)-1]}
	}
	var replace []string
	for _, name := range exampleNames {
		if value := v[name]; value != "" {
			replace = append(replace, value, "${"+name+"}")
		}
	}
	names, ids := strings.NewReplacer(replace...), map[string]string{}
	inText := func(text string) string {
		text = loopback.ReplaceAllString(names.Replace(text), "https://bank.example.com")
		return anyUUID.ReplaceAllStringFunc(text, func(id string) string {
			if ids[id] == "" {
				ids[id] = uuid.NewSHA1(uuid.NameSpaceURL, []byte(seed+fmt.Sprint(len(ids)))).String()
			}
			return ids[id]
		})
	}
	var shown func(value any, most int) any
	shown = func(value any, most int) any {
		switch value := value.(type) {
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(value)) {
				value[name] = shown(value[name], most)
				if text, ok := value[name].(string); ok && opaque[name] > 0 {
					value[name] = text[:min(len(text), opaque[name])]
				}
			}
		case []any:
			value = value[:min(len(value), most)]
			for i := range value {
				value[i] = shown(value[i], 1)
			}
			return value
		case string:
			return inText(value)
		}
		return value
	}
	answers := make([]any, len(texts))
	for i, text := range texts {
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		var value any
		if err := decoder.Decode(&value); err != nil {
			t.Fatal(err)
		}
		answers[i] = shown(value, longest)
	}
	return answers
}
