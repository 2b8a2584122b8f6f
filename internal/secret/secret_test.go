package secret_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"text/template"

	"go.yaml.in/yaml/v3"

	"kontor.dev/kontor/internal/secret"
)

const canary = "hunter2-canary"

type exported struct{ Password secret.String }

type hidden struct{ password secret.String }

type nested struct {
	Inner   hidden
	Pointer *exported
	Map     map[string]secret.String
	Slice   []secret.String
	Any     any
}

func shapes() map[string]any {
	s := secret.New(canary)
	e := exported{Password: s}
	return map[string]any{
		"value":             s,
		"pointer":           &s,
		"exported field":    e,
		"unexported field":  hidden{password: s},
		"pointer to struct": &hidden{password: s},
		"nested": nested{
			Inner: hidden{password: s}, Pointer: &e, Map: map[string]secret.String{"a": s}, Slice: []secret.String{s},
			Any: s,
		},
	}
}

func TestFormatting(t *testing.T) {
	for name, shape := range shapes() {
		for verb := range strings.SplitSeq("vsqxXdtTpUcbobeEfFgGw", "") {
			for _, flags := range []string{"", "+", "#", "-", " ", "0", "40", ".3", "+#"} {
				format := "%" + flags + verb
				if out := fmt.Sprintf(format, shape); leaks(out) {
					t.Errorf("%s with %s shows the secret: %s", name, format, out)
				}
			}
		}
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if out := fmt.Sprintf(format, secret.New(canary)); out != secret.Redacted {
			t.Errorf("%s gives %s", format, out)
		}
	}
	if out := fmt.Errorf("login with %w", errors.New(secret.New(canary).String())).Error(); leaks(out) {
		t.Errorf("an error shows the secret: %s", out)
	}
}

func TestEncodings(t *testing.T) {
	for name, shape := range shapes() {
		if out, err := json.Marshal(shape); err != nil || leaks(string(out)) {
			t.Errorf("JSON of %s: %s, %v", name, out, err)
		}
		if out, err := yaml.Marshal(shape); err != nil || leaks(string(out)) {
			t.Errorf("YAML of %s: %s, %v", name, out, err)
		}
		for _, handler := range []func(*bytes.Buffer) slog.Handler{
			func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
			func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		} {
			var out bytes.Buffer
			slog.New(handler(&out)).Info("x", "it", shape, slog.Group("g", "it", shape))
			if out.Len() == 0 || leaks(out.String()) {
				t.Errorf("log of %s: %s", name, out.String())
			}
		}
	}
	keys := map[secret.String]int{secret.New(canary): 1}
	if out, err := json.Marshal(keys); err != nil || leaks(string(out)) {
		t.Errorf("JSON key: %s, %v", out, err)
	}
	if out, err := xml.Marshal(exported{Password: secret.New(canary)}); err != nil || leaks(string(out)) {
		t.Errorf("XML: %s, %v", out, err)
	}
	var out bytes.Buffer
	if err := template.Must(template.New("").Parse("{{.Password}}")).Execute(&out,
		exported{Password: secret.New(canary)}); err != nil ||
		out.String() != secret.Redacted {
		t.Errorf("template: %s, %v", out.String(), err)
	}
	if out, err := json.Marshal(exported{Password: secret.New(canary)}); err != nil ||
		string(out) != `{"Password":"[redacted]"}` {
		t.Errorf("JSON: %s, %v", out, err)
	}
}

func TestReveal(t *testing.T) {
	if s := secret.New(canary); s.Reveal() != canary || s.IsZero() {
		t.Error("New and Reveal do not match")
	}
	var none secret.String
	if none.Reveal() != "" || !none.IsZero() || !secret.New("").IsZero() {
		t.Error("the zero String is not empty")
	}
	if out := fmt.Sprint(none); out != secret.Redacted {
		t.Errorf("the zero String prints %s", out)
	}
}

// leaks finds the canary as it is and as the bytes that %x, %d and %v of a slice would print.
func leaks(out string) bool {
	lower := strings.ToLower(out)
	return strings.Contains(out, canary) || strings.Contains(lower, fmt.Sprintf("%x", canary)) ||
		strings.Contains(out, strings.Trim(fmt.Sprintf("%d", []byte(canary)), "[]"))
}
