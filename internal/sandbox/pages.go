package sandbox

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed pages/*.html
var layoutFiles embed.FS

// Pages are a dialect's bank pages: its own templates within the layout that all dialects share. They need no
// script, and each says that it belongs to a sandbox.
type Pages struct {
	pages map[string]*template.Template
}

// MustPages reads the templates pages/<name>.html from files. Each defines "title" (plain text) and "content"; the
// data given to Render is their dot. brand names the provider that is played, in the layout's header. The shared
// definitions in pages/layout.html can be used: {{template "alert" "text"}} shows a message, when it is not empty.
// It panics on a broken template, which no input can cause.
func MustPages(brand string, files fs.FS) *Pages {
	layout := template.Must(template.New("layout.html").
		Funcs(template.FuncMap{"brand": func() string { return brand }}).
		ParseFS(layoutFiles, "pages/*.html"))
	names, err := fs.Glob(files, "pages/*.html")
	if err != nil || len(names) == 0 {
		panic(fmt.Sprintf("sandbox: no page templates: %v", err))
	}
	p := &Pages{pages: map[string]*template.Template{}}
	for _, name := range names {
		page := template.Must(template.Must(layout.Clone()).ParseFS(files, name))
		p.pages[strings.TrimSuffix(path.Base(name), ".html")] = page
	}
	return p
}

// Render answers with a page. data is the dot of the page's templates.
func (p *Pages) Render(w http.ResponseWriter, status int, page string, data any) {
	t, ok := p.pages[page]
	if !ok {
		panic("sandbox: no page " + page)
	}
	var body bytes.Buffer
	if err := t.ExecuteTemplate(&body, "layout.html", data); err != nil {
		panic(fmt.Sprintf("sandbox: page %s: %v", page, err)) // template and data are both ours
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
}
