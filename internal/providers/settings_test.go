package providers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"kontor.dev/kontor/internal/secret"
)

type innerConfig struct {
	Pin  secret.String `config:"pin"`
	Hint string        `config:"hint"`
}

type testConfig struct {
	BaseURL    BaseURL       `config:"base_url,required"`
	Name       string        `config:"name,required"`
	Secret     secret.String `config:"secret,required"`
	Extra      HeaderText    `config:"extra"`
	Wait       time.Duration `config:"wait"`
	On         bool          `config:"on"`
	Inner      *innerConfig  `config:"inner"`
	Several    []innerConfig `config:"several"`
	Operations Overrides     `config:"operations"`
}

func (c testConfig) Check() error {
	if c.Name == "bad" {
		return Faults{{"name", "is bad"}, {"inner.pin", "is bad as well"}}
	}
	return nil
}

var testOperations = []Operation{
	{Name: "login", Method: "POST", Path: "/login"},
	{Name: "get", Method: "GET", Path: "/get/{id}/{part}", Optional: []string{"{part}"}},
}

func testKind() Kind {
	return NewKind(
		"test",
		"Test",
		testOperations,
		func(_ context.Context, c testConfig, deps Deps) (*Provider, error) {
			if deps.Clock == nil || deps.Logger == nil {
				return nil, errors.New("no defaults")
			}
			return &Provider{ID: deps.ID, DisplayName: c.Name}, nil
		},
	)
}

func goodConfig() testConfig {
	return testConfig{BaseURL: "https://bank.example/v1", Name: "n", Secret: secret.New("canary-1")}
}

func TestOpen(t *testing.T) {
	kind := testKind()
	for id, want := range map[string]string{"": "test", "second": "second"} {
		p, err := kind.With(goodConfig()).Open(t.Context(), Deps{ID: id})
		if err != nil || p.ID != want || p.DisplayName != "n" {
			t.Errorf("%+v, %v; want the id %s", p, err, want)
		}
	}
	// Each block has a configuration of its own.
	one, two := kind.Settings(), kind.Settings()
	one.Target().(*testConfig).Name = "one"
	if two.Target().(*testConfig).Name != "" {
		t.Error("two blocks share a configuration")
	}
}

// A page is shown when a browser surely gets there, and nowhere else.
func TestPages(t *testing.T) {
	const bank, played = BaseURL("https://bank.example/v1"), BaseURL("http://127.0.0.1:7001/v1")
	for page, want := range map[string][2]bool{ // for bank, for played
		"https://pages.example/l?x=1#y":         {true, true},
		"https://pages.example:8443":            {true, true},
		"http://127.0.0.1:7001/pages":           {false, true},
		"http://localhost/pages":                {false, true},
		"http://[::1]:1/pages":                  {false, true},
		"http://pages.example/":                 {},
		"http://127.0.0.1.example/":             {},
		"http://127.0.0.1@evil.example/":        {},
		"https://pages.example@evil.example/":   {},
		"https://:p@evil.example/":              {},
		"https://":                              {},
		"https://:443/":                         {},
		"https:pages.example":                   {},
		"//pages.example/":                      {},
		"/pages":                                {},
		"":                                      {},
		"javascript:alert(1)":                   {},
		"data:text/html,x":                      {},
		"https://pages.example\\@evil.example/": {},
		"https://pages.example/\n":              {},
		" https://pages.example/":               {},
		"https://pagеs.example/":                {}, // a letter of another alphabet
	} {
		if got := [2]bool{bank.MayShow(page) == nil, played.MayShow(page) == nil}; got != want {
			t.Errorf("%q: got %v, want %v", page, got, want)
		}
	}
}

// What was opened with a block logs in with the secrets of the block as it was read last.
func TestRenew(t *testing.T) {
	kind := testKind()
	config := goodConfig()
	config.Inner = &innerConfig{Pin: secret.New("1")}
	old := kind.With(config)
	held := *old.Target().(*testConfig) // as an adapter has it
	other := goodConfig()
	other.Name, other.Secret = "other", secret.New("canary-2")
	other.Inner = &innerConfig{Pin: secret.New("1"), Hint: "h"}
	other.Several = []innerConfig{{Pin: secret.New("3")}}
	if changed := old.Renew(kind.With(other)); len(changed) != 1 || changed[0] != "secret" {
		t.Errorf("%v changed", changed)
	}
	if held.Secret.Reveal() != "canary-2" || held.Name != "n" || held.Inner.Hint != "" || len(held.Several) > 0 {
		t.Errorf("it holds %+v", held)
	}
	other.Secret, other.Inner = secret.New("canary-3"), &innerConfig{Pin: secret.New("4")}
	if changed := old.Renew(kind.With(other)); len(changed) != 2 || held.Inner.Pin.Reveal() != "4" ||
		held.Secret.Reveal() != "canary-3" {
		t.Errorf("%v changed", changed)
	}
	if changed := old.Renew(kind.With(other)); len(changed) != 0 {
		t.Errorf("%v changed, and nothing did", changed)
	}
}

func TestCheck(t *testing.T) {
	for want, change := range map[string]func(*testConfig){
		"":                     func(*testConfig) {},
		"base_url: is missing": func(c *testConfig) { c.BaseURL = "" },
		"name: is missing":     func(c *testConfig) { c.Name = " \t" },
		"secret: is missing":   func(c *testConfig) { c.Secret = secret.New(" ") },
		"base_url: must be an https address without credentials, query or fragment": func(c *testConfig) {
			c.BaseURL = "https://canary@bank.example"
		},
		"base_url: must be https, except on this machine": func(c *testConfig) {
			c.BaseURL = "http://canary.example"
		},
		"base_url: must spell its host in ASCII": func(c *testConfig) {
			c.BaseURL = "https://bänk.example"
		},
		"extra: must be plain text, as it goes into a header": func(c *testConfig) {
			c.Extra = "canary\r\nX: y"
		},
		"extra: must be plain text, as it goes into a header ": func(c *testConfig) {
			c.Extra = "  "
		},
		"name: is bad\ninner.pin: is bad as well": func(c *testConfig) {
			c.Name = "bad"
		},
		"operations.(key): there is no such operation": func(c *testConfig) {
			c.Operations = Overrides{"canary a.b": "GET /"}
		},
		`operations.get: must be of the form "METHOD /path"`: func(c *testConfig) {
			c.Operations = Overrides{"get": "canary"}
		},
		"operations.get: {id} is missing": func(c *testConfig) {
			c.Operations = Overrides{"get": "GET /get"}
		},
		"operations.get: has a {parameter} that this operation does not have": func(c *testConfig) {
			c.Operations = Overrides{"get": "GET /get/{id}/{canary}"}
		},
		" ": func(c *testConfig) {
			c.Operations, c.BaseURL = Overrides{"get": "GET /get/{id}", "login": "PUT /x"}, "http://127.0.0.1:1/"
		},
	} {
		config := goodConfig()
		change(&config)
		got := testKind().With(config).Check().Error()
		if got != strings.TrimSpace(want) || strings.Contains(got, "canary") {
			t.Errorf("got %q, want %q", got, want)
		}
		if err := Check(config, testOperations); (err == nil) != (got == "") {
			t.Errorf("Check gives %v", err)
		}
	}
}

// Every secret is found, wherever it stands, and in one order.
func TestSecrets(t *testing.T) {
	config := goodConfig()
	config.Inner = &innerConfig{Pin: secret.New("canary-2"), Hint: "no secret"}
	config.Several = []innerConfig{{Pin: secret.New("canary-3")}, {}, {Pin: secret.New("canary-4")}}
	settings := testKind().With(config)
	var got []string
	for _, text := range settings.Secrets() {
		got = append(got, text.Reveal())
	}
	if strings.Join(got, " ") != "canary-1 canary-2 canary-3 canary-4" {
		t.Errorf("the secrets are %q", got)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if printed := fmt.Sprintf(format,
			settings) + fmt.Sprintf(format, struct{ s Settings }{settings}); strings.Contains(
			printed,
			"canary",
		) {
			t.Errorf("%s shows a secret: %s", format, printed)
		}
	}
}

func TestAccountChangesWithAllButSecrets(t *testing.T) {
	seen := map[string]string{}
	for what, change := range map[string]func(*testConfig){
		"nothing":           func(*testConfig) {},
		"base_url":          func(c *testConfig) { c.BaseURL += "x" },
		"name":              func(c *testConfig) { c.Name = "m" },
		"extra":             func(c *testConfig) { c.Extra = "x" },
		"wait":              func(c *testConfig) { c.Wait = time.Second },
		"on":                func(c *testConfig) { c.On = true },
		"inner":             func(c *testConfig) { c.Inner = &innerConfig{Hint: "a"} },
		"several":           func(c *testConfig) { c.Several = []innerConfig{{Hint: "a"}} },
		"several, other":    func(c *testConfig) { c.Several = []innerConfig{{}, {Hint: "a"}} },
		"operations":        func(c *testConfig) { c.Operations = Overrides{"get": "GET /get/{id}"} },
		"operations, other": func(c *testConfig) { c.Operations = Overrides{"get": "GET /got/{id}"} },
	} {
		config := goodConfig()
		change(&config)
		account := testKind().With(config).Account()
		if other, ok := seen[account]; ok || strings.Contains(account, "canary") {
			t.Errorf("%s and %s have the same account", what, other)
		}
		seen[account] = what
		if again := testKind().With(config).Account(); again != account {
			t.Errorf("%s: the account is another when told again", what)
		}
		config.Secret = secret.New("canary-9")
		if again := testKind().With(config).Account(); again != account {
			t.Errorf("%s: the account is another with another secret", what)
		}
	}
}

func TestWhatCannotBeAConfiguration(t *testing.T) {
	panics := func(what string, do func()) {
		defer func() {
			if recover() == nil {
				t.Errorf("%s is taken", what)
			}
		}()
		do()
	}
	panics("a field without a key", func() { mustBeSettings[struct{ A string }]() })
	panics("the key kind", func() {
		mustBeSettings[struct {
			A string `config:"kind"`
		}]()
	})
	panics("one key twice", func() {
		mustBeSettings[struct {
			A string `config:"a"`
			B string `config:"a"`
		}]()
	})
	panics("a number with a fraction", func() {
		mustBeSettings[struct {
			A struct {
				B []float64 `config:"b"`
			} `config:"a"`
		}]()
	})
	panics("a channel", func() { mustBeSettings[chan int]() })
	panics("another adapter's configuration", func() { testKind().With(innerConfig{}) })
}

func TestTLSFilesAreChecked(t *testing.T) {
	for want, files := range map[string]TLS{
		"":                                 {},
		"key_file: is missing":             {CertFile: "/canary"},
		"cert_file: is missing":            {KeyFile: "/canary"},
		"ca_file: cannot be read":          {CAFile: "/canary"},
		"cert_file: must be a certificate": {CertFile: "/canary", KeyFile: "/canary"},
		"ca_file: must hold certificates":  {CAFile: "tls.go"},
	} {
		err := files.Check()
		if got := fmt.Sprint(err); want == "" && err != nil ||
			want != "" && (err == nil || !strings.HasPrefix(got, want)) ||
			strings.Contains(got, "canary") {
			t.Errorf("%+v: %v, want %s", files, err, want)
		}
	}
}
