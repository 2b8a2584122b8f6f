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
const style = `body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;` +
	`margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
h2{margin-top:2.5rem;border-bottom:1px solid #d0d7de}
article{margin:1.25rem 0}
code{font:14px/1.5 ui-monospace,monospace}
.verb{display:inline-block;min-width:4.5em;font-weight:600}
p{margin:.25rem 0}
ul{margin:.25rem 0;padding-left:1.5rem}
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}h2{border-color:#30363d}a{color:#79c0ff}}`

// docsGroup is the operations of one service.
type docsGroup struct {
	Name        string
	Description string
	Operations  []docsOperation
}

type docsOperation struct {
	Verb, Path, Description string
	Parameters              []docsParameter
}

type docsParameter struct {
	Name        string `json:"name"`
	In          string `json:"in"`
	Description string `json:"description"`
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
	Paths map[string]map[string]json.RawMessage `json:"paths"`
}

type openAPIOperation struct {
	Summary     string          `json:"summary"`
	Description string          `json:"description"`
	Tags        []string        `json:"tags"`
	Parameters  []docsParameter `json:"parameters"`
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
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			rest.WriteError(w, r, kerr.New(errorv1.Error_METHOD_NOT_FOUND, "the path does not take this method"))
			return
		}
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
		"Title": api.Info.Title, "Description": api.Info.Description, "Groups": groups,
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

// prose writes a description as HTML: paragraphs, code and emphasis of its Markdown, all else as it is.
func prose(text string) template.HTML {
	escaped := template.HTMLEscapeString(text)
	escaped = codeMark.ReplaceAllString(escaped, "<code>$1</code>")
	escaped = strongMark.ReplaceAllString(escaped, "<strong>$1</strong>")
	return template.HTML(strings.ReplaceAll(escaped, "\n\n", "<p>")) //nolint:gosec // escaped above
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
			description := cmp.Or(operation.Description, operation.Summary)
			parameters := slices.DeleteFunc(operation.Parameters, func(p docsParameter) bool { return p.In != "query" })
			operations[tag] = append(operations[tag],
				docsOperation{strings.ToUpper(verb), path, description, parameters})
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
