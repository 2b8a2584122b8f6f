package main

import (
	"fmt"
	"io"
	"strings"
	"text/template"

	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/sandboxes"
)

// printWalkThrough prints a tour whose every line works as printed, one after the other in one shell. What concerns one
// provider alone its dialect brings along.
func printWalkThrough(out io.Writer, a addresses, played []*sandboxes.Played) {
	w := walkThrough{played: played}
	w.printf(`
Kontor runs in front of %s, played on this machine. Stop with Ctrl-C.

  REST %s   docs %[2]s/docs   gRPC %s (with reflection, for clients)   metrics %s/metrics
  key  %s

Paste these lines into another shell, one by one.

  export K=%[2]s A='authorization: Bearer %[5]s'

`, allProviders(len(played)), a.HTTP, a.GRPC, a.Admin, a.Key)
	for _, p := range played {
		for _, stop := range p.Tour.Consent {
			w.stop(stop.Title, w.lines(p, stop.Lines))
		}
	}
	whose := strings.Join(w.each(func(t sandbox.Tour) string { return t.Insights.Title }), ", ")
	w.stop("Read accounts and transactions; amounts are exact decimals. Then insights, "+whose+".",
		w.all(func(t sandbox.Tour) string { return t.Data }), w.all(func(t sandbox.Tour) string {
			return t.Insights.Lines
		}))
	for _, p := range played {
		for _, stop := range p.Tour.More {
			w.stop(stop.Title, w.lines(p, stop.Lines))
		}
	}
	demands := w.each(func(t sandbox.Tour) string { return t.End.Title })
	w.stop(strings.Join(append([]string{"Revoke one, delete the other."}, demands...), " "),
		w.all(func(t sandbox.Tour) string {
			return t.End.Lines
		}), w.all(func(t sandbox.Tour) string { return t.After }))
	fmt.Fprint(out, w.text.String())
}

// walkThrough is one that is being written.
type walkThrough struct {
	played []*sandboxes.Played
	text   strings.Builder
	stops  int
}

func (w *walkThrough) printf(format string, args ...any) { fmt.Fprintf(&w.text, format, args...) }

// stop writes the next stop, numbered.
func (w *walkThrough) stop(title string, lines ...string) {
	w.stops++
	w.printf("%d. %s\n\n%s\n", w.stops, title, strings.Join(lines, ""))
}

// lines fills in a provider's lines.
func (*walkThrough) lines(p *sandboxes.Played, lines string) string {
	var filled strings.Builder
	// The text is fixed and asks for no more than Played has, which the tests see: it cannot fail.
	_ = template.Must(template.New(p.ID).Parse(lines)).Execute(&filled, p)
	return filled.String()
}

// each gives a text of each provider's tour, those that are empty left out.
func (w *walkThrough) each(of func(sandbox.Tour) string) (texts []string) {
	for _, p := range w.played {
		if text := of(p.Tour); text != "" {
			texts = append(texts, w.lines(p, text))
		}
	}
	return texts
}

func (w *walkThrough) all(of func(sandbox.Tour) string) string { return strings.Join(w.each(of), "") }

// allProviders are so many providers, in words.
func allProviders(n int) string {
	if n == 2 {
		return "both providers"
	}
	return fmt.Sprintf("all %d providers", n)
}
