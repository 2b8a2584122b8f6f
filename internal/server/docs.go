package server

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/server/rest"
)

//go:embed docs.html
var docsPage string

//go:embed home.html
var homePage string

// style is the page's own; the policy names its hash, so that nothing else is let in.
const style = `*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;
background:#fff;overflow-wrap:anywhere}
h2{margin-top:2.5rem;border-bottom:1px solid #d0d7de}
article{margin:1.25rem 0;padding-top:.75rem;border-top:1px solid #eaeef2}
code,pre{font:14px/1.5 ui-monospace,monospace}
pre{margin:.25rem 0;padding:.75rem;overflow-x:auto;background:#f6f8fa;overflow-wrap:normal}
.verb{display:inline-block;min-width:4.5em;font-weight:600}
p{margin:.25rem 0}
ul{margin:.25rem 0;padding-left:1.25rem}
details{margin:.25rem 0}
summary{cursor:pointer;color:#57606a}
small{color:#57606a}
a{color:#0550ae}
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}h2,article{border-color:#30363d}
pre{background:#161b22}summary,small{color:#8d96a0}a{color:#79c0ff}}`

// docsGroup is the operations of one service.
type docsGroup struct {
	Name        string
	Description string
	Operations  []docsOperation
}

type docsOperation struct {
	Verb, Path, Description string
	Parameters              []docsParameter
	Body                    string // the name of its schema
	Examples                []docsExample
	Answers                 []docsAnswer
}

type docsParameter struct {
	Ref         string     `json:"$ref"`
	Name        string     `json:"name"`
	In          string     `json:"in"`
	Description string     `json:"description"`
	Schema      docsSchema `json:"schema"`
}

type docsExample struct {
	Summary string          `json:"summary"`
	Value   json.RawMessage `json:"value"`
	Text    string          `json:"-"` // the value, for people
}

// docsAnswer is what an operation answers with one HTTP status.
type docsAnswer struct {
	Status      string        `json:"-"`
	Description string        `json:"description"`
	Message     string        `json:"-"` // the name of its schema
	Examples    []docsExample `json:"-"`
	Content     map[string]struct {
		Schema   docsSchema             `json:"schema"`
		Examples map[string]docsExample `json:"examples"`
	} `json:"content"`
}

// docsSchema is a message, an enum, or a field.
type docsSchema struct {
	Name        string                `json:"-"`
	Ref         string                `json:"$ref"`
	Type        string                `json:"type"`
	Format      string                `json:"format"`
	Description string                `json:"description"`
	Pattern     string                `json:"pattern"`
	MinLength   int                   `json:"minLength"`
	MaxLength   int                   `json:"maxLength"`
	MaxItems    int                   `json:"maxItems"`
	Required    []string              `json:"required"`
	Properties  map[string]docsSchema `json:"properties"`
	Items       *docsSchema           `json:"items"`
	Additional  any                   `json:"additionalProperties"` // false in what requests hold
	Fields      []docsField           `json:"-"`
}

type docsField struct {
	Name, Kind, Target, Limits, Description string
	Must                                    string // whether it must be there, in a word
}

// openAPI is what the page takes from an OpenAPI document.
type openAPI struct {
	Info struct {
		Title       string `json:"title"`
		Description string `json:"description"`
	} `json:"info"`
	Tags []struct {
		Name        string `json:"name"`
		Description string `json:"description"`
	} `json:"tags"`
	Paths      map[string]map[string]json.RawMessage `json:"paths"`
	Components struct {
		Parameters map[string]docsParameter `json:"parameters"`
		Schemas    map[string]docsSchema    `json:"schemas"`
	} `json:"components"`
}

type openAPIOperation struct {
	Summary     string          `json:"summary"`
	Description string          `json:"description"`
	Tags        []string        `json:"tags"`
	Parameters  []docsParameter `json:"parameters"`
	RequestBody struct {
		Content map[string]struct {
			Schema   docsSchema             `json:"schema"`
			Examples map[string]docsExample `json:"examples"`
		} `json:"content"`
	} `json:"requestBody"`
	Responses map[string]docsAnswer `json:"responses"`
}

// target is the name of the schema that a reference leads to.
func (s docsSchema) target() string {
	if s.Items != nil {
		return s.Items.target()
	}
	return strings.TrimPrefix(s.Ref, "#/components/schemas/")
}

// kind says in a word what a value is.
func (s docsSchema) kind() string {
	switch {
	case s.Items != nil:
		return "list of " + s.Items.kind()
	case s.Ref != "":
		return s.target()[strings.LastIndexByte(s.target(), '.')+1:]
	case s.Format != "":
		return s.Format
	}
	return s.Type
}

// limits says how a value is bounded.
func (s docsSchema) limits() string {
	var list []string
	if s.MinLength > 0 {
		list = append(list, "not empty")
	}
	if s.MaxLength > 0 {
		list = append(list, fmt.Sprintf("at most %d characters", s.MaxLength))
	}
	if s.MaxItems > 0 {
		list = append(list, fmt.Sprintf("at most %d elements", s.MaxItems))
	}
	if s.Pattern != "" && s.Format == "" {
		list = append(list, s.Pattern)
	}
	return strings.Join(list, "; ")
}

// docsSchemas lists the messages and enums of a document, with their fields.
func docsSchemas(api openAPI) []docsSchema {
	var all []docsSchema
	for _, name := range slices.Sorted(maps.Keys(api.Components.Schemas)) {
		schema := api.Components.Schemas[name]
		schema.Name = name
		for _, field := range slices.Sorted(maps.Keys(schema.Properties)) {
			of, must := schema.Properties[field], ""
			switch {
			case !slices.Contains(schema.Required, field):
			case schema.Additional == false:
				must = "needed"
			default:
				must = "always there"
			}
			schema.Fields = append(schema.Fields, docsField{
				Name: field, Kind: of.kind(), Target: of.target(), Limits: of.limits(), Description: of.Description,
				Must: must,
			})
		}
		all = append(all, schema)
	}
	return all
}

// describe takes over what a document says of an operation.
func (o openAPIOperation) describe(api openAPI, verb, path string) docsOperation {
	described := docsOperation{
		Verb: strings.ToUpper(verb), Path: path, Description: cmp.Or(o.Description, o.Summary),
	}
	for _, p := range o.Parameters {
		if p.Ref != "" {
			p = api.Components.Parameters[strings.TrimPrefix(p.Ref, "#/components/parameters/")]
		}
		described.Parameters = append(described.Parameters, p)
	}
	for _, content := range o.RequestBody.Content {
		described.Body, described.Examples = content.Schema.target(), legible(content.Examples)
	}
	for _, status := range slices.Sorted(maps.Keys(o.Responses)) {
		answer := o.Responses[status]
		answer.Status, answer.Message = status, answer.Content["application/json"].Schema.target()
		answer.Examples = legible(answer.Content["application/json"].Examples)
		if lines, ok := answer.Content["application/x-ndjson"]; ok {
			answer.Examples = legible(lines.Examples)
		}
		described.Answers = append(described.Answers, answer)
	}
	return described
}

// legible lists examples by name, with their values as people read them.
func legible(examples map[string]docsExample) []docsExample {
	var list []docsExample
	for _, key := range slices.Sorted(maps.Keys(examples)) {
		example := examples[key]
		var text bytes.Buffer
		if json.Indent(&text, example.Value, "", "  ") == nil {
			example.Text = text.String()
		}
		list = append(list, example)
	}
	return list
}

// pages serves what is for people, and the API's description: a page that says what answers here, the document itself,
// and a page that lists its operations. The pages have no script and load nothing.
func pages(mux *http.ServeMux, document []byte, sandbox bool) error {
	page, err := renderDocs(document)
	if err != nil {
		return err
	}
	home, err := renderHome(sandbox)
	if err != nil {
		return err
	}
	serve(mux, "/{$}", "text/html; charset=utf-8", home)
	serve(mux, "/openapi.json", "application/json", document)
	serve(mux, "/docs", "text/html; charset=utf-8", page)
	return nil
}

// serve answers a path with one content, whoever asks.
func serve(mux *http.ServeMux, path, mediaType string, content []byte) {
	sum := sha256.Sum256([]byte(style))
	policy := "default-src 'none'; frame-ancestors 'none'; style-src 'sha256-" +
		base64.StdEncoding.EncodeToString(sum[:]) + "'"
	mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", "GET, HEAD")
		rest.WriteError(w, r, kerr.New(errorv1.Error_METHOD_NOT_FOUND, "the path does not take this method"))
	})
	mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
		if strings.HasPrefix(mediaType, "text/html") {
			w.Header().Set("Content-Security-Policy", policy)
		}
		w.Header().Set("Content-Type", mediaType)
		w.Header().Set("Cache-Control", "public, max-age=300")
		_, _ = w.Write(content) // who asked has gone away
	})
}

// renderHome makes the page at the root.
func renderHome(sandbox bool) ([]byte, error) {
	page, err := template.New("home").Parse(homePage)
	if err != nil {
		return nil, fmt.Errorf("server: parse the home page: %w", err)
	}
	var out bytes.Buffer
	err = page.Execute(&out, map[string]any{
		"Sandbox": sandbox, "Style": template.CSS(style), //nolint:gosec // a constant
	})
	if err != nil {
		return nil, fmt.Errorf("server: write the home page: %w", err)
	}
	return out.Bytes(), nil
}

func renderDocs(document []byte) ([]byte, error) {
	var api openAPI
	if err := json.Unmarshal(document, &api); err != nil {
		return nil, fmt.Errorf("server: read the OpenAPI document: %w", err)
	}
	groups, err := docsGroups(api)
	if err != nil {
		return nil, err
	}
	page, err := template.New("docs").Funcs(template.FuncMap{"prose": prose}).Parse(docsPage)
	if err != nil {
		return nil, fmt.Errorf("server: parse the docs page: %w", err)
	}
	var out bytes.Buffer
	err = page.Execute(&out, map[string]any{
		"Title": api.Info.Title, "Description": api.Info.Description, "Groups": groups, "Schemas": docsSchemas(api),
		"Style": template.CSS(style), //nolint:gosec // a constant
	})
	if err != nil {
		return nil, fmt.Errorf("server: write the docs page: %w", err)
	}
	return out.Bytes(), nil
}

var (
	codeMark   = regexp.MustCompile("`([^`]+)`")
	strongMark = regexp.MustCompile(`\*\*([^*]+)\*\*`)
)

// prose writes a description as HTML: paragraphs, lists, code and emphasis of its Markdown, all else as it is.
func prose(text string) template.HTML {
	var out strings.Builder
	inList := false
	for line := range strings.Lines(template.HTMLEscapeString(text)) {
		line = strings.TrimSuffix(line, "\n")
		item, isItem := strings.CutPrefix(line, "- ")
		switch {
		case isItem && !inList:
			out.WriteString("<ul>")
		case !isItem && inList && line == "":
			out.WriteString("</ul>")
		}
		switch inList = isItem || inList && line != ""; {
		case isItem:
			out.WriteString("<li>" + item)
		case line == "":
			out.WriteString("<p>")
		default:
			out.WriteString(line)
		}
		out.WriteByte('\n')
	}
	if inList {
		out.WriteString("</ul>")
	}
	written := codeMark.ReplaceAllString(out.String(), "<code>$1</code>")
	written = strongMark.ReplaceAllString(written, "<strong>$1</strong>")
	return template.HTML(written) //nolint:gosec // escaped above
}

// docsGroups sorts the operations by service and path.
func docsGroups(api openAPI) ([]docsGroup, error) {
	operations := map[string][]docsOperation{}
	for path, item := range api.Paths {
		for verb, raw := range item {
			switch verb {
			case "get", "post", "put", "patch", "delete":
			default:
				continue // what all operations of a path share
			}
			var operation openAPIOperation
			if err := json.Unmarshal(raw, &operation); err != nil {
				return nil, fmt.Errorf("server: read %s %s of the OpenAPI document: %w", verb, path, err)
			}
			tag := "Other"
			if len(operation.Tags) > 0 {
				tag = operation.Tags[0]
			}
			operations[tag] = append(operations[tag], operation.describe(api, verb, path))
		}
	}
	var groups []docsGroup
	for _, tag := range api.Tags {
		groups = append(groups,
			docsGroup{Name: tag.Name, Description: tag.Description, Operations: operations[tag.Name]})
		delete(operations, tag.Name)
	}
	for tag, rest := range operations {
		groups = append(groups, docsGroup{Name: tag, Operations: rest})
	}
	groups = slices.DeleteFunc(groups, func(g docsGroup) bool { return len(g.Operations) == 0 })
	slices.SortFunc(groups, func(a, b docsGroup) int { return strings.Compare(a.Name, b.Name) })
	for _, group := range groups {
		slices.SortFunc(group.Operations, func(a, b docsOperation) int {
			return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Verb, b.Verb))
		})
	}
	return groups, nil
}
