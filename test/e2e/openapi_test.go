package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	"kontor.dev/kontor/test/described"
	"kontor.dev/kontor/test/worldtest"
)

// openAPITime is how long requests are made up from the OpenAPI document: `make test-openapi` takes longer.
var openAPITime = flag.Duration("openapi", 15*time.Second, "how long requests are made up from the OpenAPI document")

// example is a request of the OpenAPI document, as tools/openapi/examples.json has it.
type example struct {
	Title, Provider, Setup string
	Request                map[string]any
}

func examples(t *testing.T) map[string][]example {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "tools", "openapi", "examples.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string][]example
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// exampleSetups are states from which examples begin, beside those of cases.
var exampleSetups = map[string]setup{
	// a customer that was deleted
	"receipt": func(t *testing.T, w *world, c *client, _ string) vars {
		customer := w.createCustomer(t, c, customerv1.Customer_PERSON)
		receipt := must(c.Customers.DeleteCustomer(t.Context(), &customerv1.DeleteCustomerRequest{
			Name: customer.GetName(),
		}))(t)
		return vars{"receipt": receipt.GetName()}
	},
}

// TestExamples sends every example of the OpenAPI document to the played providers, and holds the answers against the
// document, and against those that it shows. With -record it notes them for the document to show.
func TestExamples(t *testing.T) {
	t.Parallel()
	all := examples(t)
	shown, answers := map[string]bool{}, recordedAnswers{}
	if !*record {
		answers = readAnswers(t)
	}
	for _, provider := range worldtest.Providers() {
		t.Run(provider, func(t *testing.T) {
			// A call takes less than a step also on a busy machine: its answer shows nothing of what comes next.
			w := newWorld(t, worldOptions{step: 50 * time.Millisecond, still: true})
			for _, name := range slices.Sorted(maps.Keys(all)) {
				for _, e := range all[name] {
					if e.Provider != provider {
						continue
					}
					shown[name] = true
					t.Run(name+"/"+e.Title, func(t *testing.T) { answers.hold(t, name, e.Title, w.send(t, name, e)) })
				}
			}
		})
	}
	for _, m := range sortedMethods() {
		if !shown[m.short()] {
			t.Errorf("no example of %s was sent", m.short())
		}
	}
	if *record && !t.Failed() {
		answers.write(t)
	}
}

// send sends one example and gives the answer in the words of examples. It is held against the document where all
// answers are.
func (w *world) send(t *testing.T, name string, e example) []any {
	c := w.client(t, lending)
	begin := exampleSetups[e.Setup]
	if begin == nil {
		begin = setupOf(e.Provider, e.Setup)
	}
	if begin == nil {
		t.Fatalf("there is no setup %q for %s", e.Setup, e.Provider)
	}
	v := begin(t, w, c, e.Provider)
	v["uuid"], v["app"] = uuid.NewString(), w.app.URL
	request, _ := v.substitute(t, orEmpty(e.Request)).(map[string]any)
	var answer []any
	for _, m := range sortedMethods() {
		if m.short() != name {
			continue
		}
		limit := 0
		if strings.HasPrefix(name, "Watch") {
			limit = 1
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		got, err := c.callREST(ctx, m, request, headers{"psu-ip-address": "192.0.2.7"}, limit)
		if err != nil || got.failure != nil {
			t.Fatalf("%v %v", err, got.failure)
		}
		answer = inExamples(t, name+e.Title, v, got.texts)
	}
	return answer
}

// TestRequestsAsDescribed makes requests up from the OpenAPI document, as it allows them and as it does not. It finds
// answers that are not described, faults of the gateway, and requests that are refused although the document allows
// them and says of no field why.
func TestRequestsAsDescribed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 5 * time.Millisecond, still: true})
	operations, err := described.Operations()
	if err != nil {
		t.Fatal(err)
	}
	f := &fuzzer{
		world: w, client: w.client(t, lending), found: map[string]bool{}, sent: map[string]int{},
		fine:  map[string]int{},
		maker: described.Maker{Rand: rand.New(rand.NewPCG(uint64(*seed), 1))},
	}
	f.maker.Format = func(format string) string {
		if format == "uri" && f.maker.Rand.IntN(4) > 0 {
			return w.app.URL + "/back/" + fmt.Sprint(f.maker.Rand.IntN(10))
		}
		return ""
	}
	begin := time.Now()
	for n := 0; time.Since(begin) < *openAPITime && t.Context().Err() == nil; n++ {
		if n%2000 == 0 {
			f.populate(t)
		}
		f.try(t, operations[f.maker.Rand.IntN(len(operations))])
	}
	silent := 0
	for _, o := range operations {
		if f.fine[o.ID] == 0 {
			silent++
			t.Logf("no request of %d for %s was taken", f.sent[o.ID], o.ID)
		}
	}
	t.Logf("%d operations, %d without a request that was taken, sent: %v", len(operations), silent, f.sent)
}

type fuzzer struct {
	world  *world
	client *client
	maker  described.Maker
	found  map[string]bool // what was found, so that each stands in the report once
	sent   map[string]int
	fine   map[string]int
}

// populate makes resources, for requests to name.
func (f *fuzzer) populate(t *testing.T) {
	f.maker.Known = nil
	for _, provider := range worldtest.Providers() {
		for _, name := range []string{"authorized", "company", "pending", "importer", "partnerBank", "shipment"} {
			begin := setupOf(provider, name)
			if begin == nil || (name == "importer" || name == "company") && !worldtest.Of(provider).HasUsers {
				continue
			}
			for key, value := range begin(t, f.world, f.client, provider) {
				if strings.Contains(value, "/") && key != "link" {
					f.maker.Known = append(f.maker.Known, value)
				}
			}
		}
		f.maker.Known = append(f.maker.Known, "providers/"+provider, provider, worldtest.Of(provider).Market)
	}
}

// try sends one request of an operation.
func (f *fuzzer) try(t *testing.T, o *described.Operation) {
	t.Helper()
	target, fields := f.target(o)
	var body []byte
	valid := f.maker.Rand.IntN(5) > 0
	if schema := bodySchema(o); schema != nil {
		value, _ := f.maker.Value(schema, 0).(map[string]any)
		if !valid {
			f.spoil(value)
		}
		var err error
		if body, err = json.Marshal(value); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	resp, err := f.client.send(ctx, o.Verb, target, body, fields)
	if err != nil {
		f.report(t, o, "no answer", err.Error(), target, body)
		return
	}
	defer resp.Body.Close()
	answer, err := readAnswer(resp)
	if err != nil {
		f.report(t, o, "no whole answer", err.Error(), target, body)
		return
	}
	f.sent[o.ID]++
	if resp.StatusCode == http.StatusOK {
		f.fine[o.ID]++
	}
	if err := o.Check(resp.StatusCode, resp.Header.Get("Content-Type"), answer); err != nil {
		f.report(t, o, "not described", err.Error(), target, body)
		return
	}
	if resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented {
		f.report(t, o, fmt.Sprint(resp.StatusCode), described.Reason(answer), target, body)
	}
	if valid && described.Reason(answer) == "INVALID_FIELD" {
		for _, field := range refused(answer) {
			if !said(o, field) {
				f.report(t, o, "refused", field, target, body)
			}
		}
	}
}

// target makes path, query and headers of a request.
func (f *fuzzer) target(o *described.Operation) (string, headers) {
	target, query, fields := o.Path, url.Values{}, headers{}
	parts := f.pathOf(o)
	for _, p := range o.Parameters {
		name, _ := p["name"].(string)
		schema, _ := p["schema"].(map[string]any)
		if p["in"] == "path" {
			value := parts[name]
			if value == "" {
				value = f.maker.Text(described.Resolve(schema))
			}
			target = strings.ReplaceAll(target, "{"+name+"}", url.PathEscape(value))
			continue
		}
		if p["required"] != true && f.maker.Rand.IntN(3) > 0 && name != "Psu-Ip-Address" {
			continue
		}
		value := f.maker.Value(schema, 1)
		if p["in"] == "header" {
			fields[name] = fmt.Sprint(value)
			continue
		}
		if list, ok := value.([]any); ok {
			for _, element := range list {
				query.Add(name, fmt.Sprint(element))
			}
			continue
		}
		query.Set(name, fmt.Sprint(value))
	}
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	return target, fields
}

// pathOf takes the variables of a path from a resource that there is, often.
func (f *fuzzer) pathOf(o *described.Operation) map[string]string {
	if f.maker.Rand.IntN(5) == 0 {
		return nil
	}
	var fit []map[string]string
	for _, name := range f.maker.Known {
		if !strings.Contains(name, "/") {
			continue
		}
		parts := map[string]string{}
		segments := strings.Split(name, "/")
		path := strings.Split(strings.TrimPrefix(o.Path, "/v1/"), "/")
		for i := 0; i+1 < len(segments) && i+1 < len(path) && segments[i] == path[i]; i += 2 {
			variable, _, _ := strings.Cut(strings.TrimPrefix(path[i+1], "{"), "}")
			parts[variable] = segments[i+1]
		}
		if len(parts) > 0 {
			if _, ok := parts["account"]; !ok && strings.Contains(o.Path, "{account}") {
				parts["account"] = "-"
			}
			fit = append(fit, parts)
		}
	}
	if len(fit) == 0 {
		return nil
	}
	return fit[f.maker.Rand.IntN(len(fit))]
}

// spoil makes a body one that the document does not allow.
func (f *fuzzer) spoil(body map[string]any) {
	names := slices.Sorted(maps.Keys(body))
	if len(names) == 0 || f.maker.Rand.IntN(3) == 0 {
		body["noSuchField"] = f.maker.Rand.IntN(10)
		return
	}
	name := names[f.maker.Rand.IntN(len(names))]
	if inner, ok := body[name].(map[string]any); ok && f.maker.Rand.IntN(3) > 0 {
		f.spoil(inner)
		return
	}
	body[name] = []any{nil, 7, "", strings.Repeat("x", 3000), []any{}, map[string]any{}, []any{[]any{}}, true, -1.5}[f.maker.Rand.IntN(9)]
}

func (f *fuzzer) report(t *testing.T, o *described.Operation, what, detail, target string, body []byte) {
	t.Helper()
	key := o.ID + what + numbers.ReplaceAllString(detail[:min(len(detail), 250)], "")
	if f.found[key] {
		return
	}
	f.found[key] = true
	t.Errorf("%s: %s: %s\n  %s %s\n  %.300s", o.ID, what, detail, o.Verb, target, body)
}

var numbers = regexp.MustCompile(`[0-9]+|[a-z0-9]{20,}`)

func bodySchema(o *described.Operation) map[string]any {
	body, _ := o.Raw["requestBody"].(map[string]any)
	content, _ := body["content"].(map[string]any)
	media, _ := content["application/json"].(map[string]any)
	schema, _ := media["schema"].(map[string]any)
	return schema
}

// readAnswer reads an answer's body, of a stream its first line.
func readAnswer(resp *http.Response) ([]byte, error) {
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/x-ndjson") {
		return io.ReadAll(resp.Body)
	}
	line, err := bufio.NewReader(resp.Body).ReadBytes('\n')
	if err == io.EOF && len(line) == 0 {
		return []byte(`{"result":{"kind":"END","count":0}}`), nil
	}
	return bytes.TrimSpace(line), err
}

// refused lists the fields that an answer refuses, without places in lists.
func refused(answer []byte) []string {
	var s described.Status
	if json.Unmarshal(answer, &s) != nil {
		return nil
	}
	var fields []string
	for _, detail := range s.Details {
		for _, violation := range detail.FieldViolations {
			fields = append(fields, places.ReplaceAllString(violation.Field, "")+": "+violation.Description)
		}
	}
	return fields
}

var places = regexp.MustCompile(`\[\d+\]`)

// saidOf are fields of which the document says in words what a schema cannot, by the field's name, with those words.
var saidOf = map[string]string{
	"pageToken":   "of the page before; the rest of the request must be the same",
	"resumeToken": "of the last message that was dealt with",
	"queries":     "At least one of the fields besides",
	"queryId":     "Unique in the request",
	"requestId":   "Where both are there, they must be the same",
	"ticket":      "instead of the header Authorization",
	"referenceId": "Printable ASCII; it must not be personal",
	"amount":      "Each needs an amount", "transactions": "Each needs an amount",
	"currencyCode": "where given, have its currency", "quantity": "are decimal numbers", "price": "are decimal numbers",
	"exchangeRate": "as an exact decimal",
	"displayName":  "one that a new resource must have cannot be",
	"success":      "finoOS needs all three", "error": "finoOS needs all three", "exit": "finoOS needs all three",
	"market":     "of the country whose banks are asked",
	"updateMask": "What is to change: ",
	"if-match":   "One etag, as it is or in quotes",
	"dateFrom":   "date or later, not after", "dateTo": "Only those of this",
	"etag": "Another place for `etag`",
}

// said tells whether the document says of a field why it may be refused.
func said(o *described.Operation, field string) bool {
	path, _, _ := strings.Cut(field, ": ")
	name := path[strings.LastIndex(path, ".")+1:]
	words, ok := saidOf[name]
	if !ok {
		return false
	}
	return holds(o.Raw, words) || holds(described.Document()["components"], words)
}

// holds tells whether a description within a value has those words.
func holds(value any, words string) bool {
	switch value := value.(type) {
	case map[string]any:
		text, _ := value["description"].(string)
		return strings.Contains(text, words) ||
			slices.ContainsFunc(slices.Collect(maps.Values(value)), func(v any) bool { return holds(v, words) })
	case []any:
		return slices.ContainsFunc(value, func(v any) bool { return holds(v, words) })
	}
	return false
}
