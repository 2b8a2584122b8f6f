package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/sandbox"
)

// options reads secrets from nowhere but here.
func options(t *testing.T) config.Options {
	t.Helper()
	storeKey, err := keys.New()
	if err != nil {
		t.Fatal(err)
	}
	return config.Options{
		Kinds: kinds, Store: known.Store,
		Env: func(name string) (string, bool) { return "secret", strings.HasSuffix(name, "_SECRET") },
		ReadFile: func(path string) ([]byte, error) {
			switch {
			case path == "/run/secrets/kontor-store":
				return []byte(storeKey.Reveal()), nil
			case strings.HasPrefix(path, "/run/secrets/"):
				return []byte("secret"), nil
			}
			return nil, os.ErrNotExist
		},
	}
}

// TestExample holds the example to what can be set: it parses, also with what is commented out, and has every key of
// every kind. That its key stands for none is all that is wrong with it.
func TestExample(t *testing.T) {
	data, err := os.ReadFile("../../kontor.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	onlyTheKey := func(name, text string) {
		t.Helper()
		_, problems := config.Parse(name, []byte(text), options(t))
		problems = slices.DeleteFunc(problems, ofSecretsForm)
		if len(problems) != 1 || problems[0].Path != "clients[0].key_sha256" ||
			!strings.Contains(problems[0].Message, "the example's") {
			t.Errorf("%v\n%s", problems, text)
		}
	}
	onlyTheKey("kontor.example.yaml", string(data))
	var open []string
	for line := range strings.Lines(string(data)) {
		trimmed := strings.TrimLeft(line, " ")
		if rest, ok := strings.CutPrefix(trimmed, "# "); ok && strings.Contains(rest, ":") && rest[0] >= 'a' &&
			rest[0] <= 'z' {
			line = strings.Repeat(" ", len(line)-len(trimmed)) + rest
		} else if rest, ok := strings.CutPrefix(trimmed, "#   "); ok {
			line = strings.Repeat(" ", len(line)-len(trimmed)) + "  " + rest
		}
		open = append(open, line)
	}
	text := strings.Join(open, "")
	onlyTheKey("opened", text)
	want := []string{"kind"}
	for _, kind := range kinds {
		want = append(want, kind.Settings().Keys()...)
	}
	full, err := os.ReadFile("../../internal/config/testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	inProviders := false
	for line := range strings.Lines(string(full)) {
		trimmed := strings.TrimLeft(line, " -")
		key, _, ok := strings.Cut(trimmed, ":")
		switch indent := len(line) - len(trimmed); {
		case strings.HasPrefix(line, "    providers:"):
			inProviders = true
		case indent <= 4:
			inProviders = false
		}
		if ok && !inProviders && key != "other" {
			want = append(want, key)
		}
	}
	for _, key := range want {
		if !strings.Contains(text, key+":") {
			t.Errorf("the example lacks %s", key)
		}
	}
}

// ofSecretsForm tells a problem that is about what a provider's secret looks like: the text that every secret has here
// is no provider's key.
func ofSecretsForm(p config.Problem) bool {
	key := p.Path[strings.LastIndex(p.Path, ".")+1:]
	return strings.Contains(p.Path, ".providers.") && p.Message != "is missing" &&
		slices.ContainsFunc(dialects, func(d sandbox.Dialect) bool { return slices.Contains(d.Secrets, key) })
}

func TestOfSecretsForm(t *testing.T) {
	const secret, form = "tenants.default.providers.finoos.secret", "must be a key in base64"
	for p, want := range map[config.Problem]bool{
		{Path: secret, Message: form}:                                    true,
		{Path: secret, Message: "is missing"}:                            false,
		{Path: "tenants.default.providers.finoos.name", Message: form}:   false,
		{Path: "clients[0].secret", Message: form}:                       false,
		{Path: "tenants.default.providers.finoos", Message: "no secret"}: false,
	} {
		if ofSecretsForm(p) != want {
			t.Errorf("%v is about a secret's form: %t", p, !want)
		}
	}
}

// What an adapter finds wrong is named by key and line, as every other fault, whoever checks it.
func TestAdaptersFaultsHaveTheirLines(t *testing.T) {
	text := `public_url: https://kontor.example.com
tenants:
  default:
    redirect_uris: ["https://app.example.com/*"]
    providers:
      fimento:
        base_url: http://canary.example.com/api
        username: lender
        password: "  "
        partner_bank: "canary\n"
        operations:
          login: POST /auth
          log_in: POST /canary
          insights: GET /canary
          test_decision: POST /process/{processId}/decision
      berlin:
        kind: finoos
        secret: canary
        token_prefix: canary canary
        api_version: canary
        operations: {connect: canary}
store_key: ` + keystest.Text + `
clients: [{id: c, tenant: default, key_sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08, scopes: ["*"]}]
`
	_, problems := config.Parse("kontor.yaml", []byte(text), options(t))
	var got []string
	for _, p := range problems {
		got = append(
			got,
			fmt.Sprintf("%d %s: %s", p.Line, strings.TrimPrefix(p.Path, "tenants.default.providers."), p.Message),
		)
	}
	want := `7 fimento.base_url: must be https, except on this machine
9 fimento.password: is missing
10 fimento.partner_bank: must be plain text, as it goes into a header
13 fimento.operations.log_in: there is no such operation
14 fimento.operations.insights: {processId} is missing
16 berlin.name: is missing
19 berlin.token_prefix: must be one word, such as Bearer
20 berlin.api_version: must be a date such as 2020-06-16
21 berlin.operations.connect: must be of the form "METHOD /path"`
	if got := strings.Join(got, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
