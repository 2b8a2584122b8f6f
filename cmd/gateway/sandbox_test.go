package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/sandboxes"
)

// playedAt gives the dialects of the list as if they were played at their default addresses.
func playedAt(list []sandbox.Dialect) []*sandboxes.Played {
	var played []*sandboxes.Played
	for _, d := range list {
		core := sandbox.NewCore(sandbox.Options{Seed: 1})
		played = append(played, &sandboxes.Played{
			Dialect: d, URL: "http://" + d.Addr, Core: core, Player: d.New(core, "http://"+d.Addr),
		})
	}
	return played
}

// firstTwo are the dialects whose texts are held to the letter here. What a further one brings along is its own.
var firstTwo = dialects[:2:2]

// TestWalkThrough: newcomers and the documentation follow this text to the letter.
func TestWalkThrough(t *testing.T) {
	want, err := os.ReadFile(filepath.Join("testdata", "walkthrough.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	a := addresses{
		GRPC: "127.0.0.1:9090", HTTP: "http://127.0.0.1:8080", Admin: "http://127.0.0.1:8081", Key: "kontor_key",
	}
	printWalkThrough(&got, a, playedAt(firstTwo))
	if got.String() != string(want) {
		t.Errorf("the walk-through is not that of testdata/walkthrough.txt:\n%s", &got)
	}
}

// quiet is a player of nothing.
type quiet struct{ url string }

func (quiet) ServeHTTP(http.ResponseWriter, *http.Request) {}
func (q quiet) Settings() map[string]string {
	return map[string]string{"base_url": q.url + "/utopia", "client": "demo"}
}
func (quiet) Close(context.Context) error { return nil }

// TestAFurtherDialect: what `gateway sandbox` offers of a provider follows from the list alone.
func TestAFurtherDialect(t *testing.T) {
	third := sandbox.Dialect{
		ID: "utopia", Name: "Utopia", Addr: "127.0.0.1:8092", Account: "client {{.client}}",
		New: func(_ *sandbox.Core, url string) sandbox.Player { return quiet{url} },
		Tour: sandbox.Tour{
			Consent:  []sandbox.Stop{{Title: "Ask somebody in Utopia.", Lines: "  UT=$(curl {{.URL}}/ask)\n"}},
			Data:     "  curl $K/v1/$UT/accounts\n",
			Insights: sandbox.Stop{Title: "derived by Kontor for Utopia", Lines: "  curl $K/v1/$UT/insights\n"},
			More:     []sandbox.Stop{{Title: "Ask Utopia for its dikes.", Lines: "  curl $K/v1/dikes\n"}},
			End:      sandbox.Stop{Title: "Utopia wants a reason.", Lines: "  curl $K/v1/${UT}:revoke\n"},
			After:    "  curl $K/v1/$UT\n",
		},
	}
	list := append(firstTwo, third)
	f, err := parseSandboxFlags([]string{"-utopia", "127.0.0.1:0"}, list, io.Discard, io.Discard)
	if err != nil || f.played["utopia"] != "127.0.0.1:0" || f.played["fimento"] != "127.0.0.1:8090" {
		t.Errorf("the flags give %v, %v", f.played, err)
	}
	var help strings.Builder
	if _, err := parseSandboxFlags([]string{"-h"}, list, &help, io.Discard); err == nil ||
		!strings.Contains(help.String(), `where the played Utopia listens (default "127.0.0.1:8092")`) {
		t.Errorf("the help is %s", &help)
	}

	var shown strings.Builder
	if err := printPlayed(&shown, playedAt(list)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"All 3 providers are played",
		"\nFimento  http://127.0.0.1:8090         name demo, password demo-password, partner-bank-id ",
		"\nfinoOS   http://127.0.0.1:8091/api/v1  name demo, secret ",
		"\nUtopia   http://127.0.0.1:8092/utopia  client demo\n",
	} {
		if !strings.Contains(shown.String(), want) {
			t.Errorf("%q is not in:\n%s", want, &shown)
		}
	}

	var tour strings.Builder
	printWalkThrough(&tour, addresses{}, playedAt(list))
	at := 0
	for _, want := range []string{
		"in front of all 3 providers", "3. The same for Germany.",
		"4. Ask somebody in Utopia.\n\n  UT=$(curl http://127.0.0.1:8092/ask)\n\n",
		"5. Read", "derived by Kontor for finoOS, derived by Kontor for Utopia.\n", "$UT/accounts", "$SE/insights",
		"$UT/insights",
		"6. Send a letter", "7. Ask Utopia for its dikes.", "8. Revoke one, delete the other. finoOS wants",
		"Utopia wants a reason.\n",
		"${SE}:revoke", "${UT}:revoke", "$SE/events", "curl $K/v1/$UT\n",
	} {
		next := strings.Index(tour.String()[at:], want)
		if next < 0 {
			t.Fatalf("%q does not come next in:\n%s", want, tour.String()[at:])
		}
		at += next
	}

	ready, err := json.Marshal(addresses{GRPC: "a:1", Played: map[string]string{"utopia": "http://b:2"}})
	if want := `{"admin":"","grpc":"a:1","http":"","utopia":"http://b:2"}`; err != nil || string(ready) != want {
		t.Errorf("the ready file is %s, %v; want %s", ready, err, want)
	}
}

// TestSandboxConfig: what is served in front of the played providers is what `serve` would take, a key to seal with
// included, since a provider of the list may have Kontor remember something.
func TestSandboxConfig(t *testing.T) {
	played, err := sandboxes.Start(t.Context(), sandboxes.Options{Dialects: firstTwo})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = played.Close() })
	_, hash := newKey()
	cfg, err := sandboxConfig(sandboxFlags{
		grpc: "127.0.0.1:0", http: "127.0.0.1:0", admin: "127.0.0.1:0", data: t.TempDir(),
	}, played, hash)
	if err != nil || cfg.StoreKey.IsZero() || len(cfg.Tenants["default"].Providers) != len(firstTwo) {
		t.Errorf("%+v, %v", cfg, err)
	}
}

// TestSandboxCommand runs the whole of `gateway sandbox`, and asks the gateway for the providers of the list.
func TestSandboxCommand(t *testing.T) {
	for _, providersOnly := range []bool{false, true} {
		dir := t.TempDir()
		file := filepath.Join(dir, "ready.json")
		args := []string{
			"-grpc", "127.0.0.1:0", "-http", "127.0.0.1:0", "-admin", "127.0.0.1:0", "-data", dir, "-ready-file",
			file,
		}
		for _, d := range dialects {
			args = append(args, "-"+d.ID, "127.0.0.1:0")
		}
		if providersOnly {
			args = append(args, "-providers-only")
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var out, errOut bytes.Buffer
		ended := make(chan error, 1)
		go func() { ended <- runSandbox(ctx, args, &out, &errOut) }()
		ready := map[string]string{}
		for tick := time.NewTicker(5 * time.Millisecond); len(ready) == 0; {
			select {
			case err := <-ended:
				t.Fatalf("it ended: %v\n%s", err, &errOut)
			case <-tick.C:
				if content, err := os.ReadFile(file); err == nil {
					if err := json.Unmarshal(content, &ready); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		for _, d := range dialects {
			status, _ := get(t, ready[d.ID]+"/_sandbox/clock", "")
			if status != http.StatusOK {
				t.Errorf("%s at %q answers %d", d.Name, ready[d.ID], status)
			}
		}
		if !providersOnly {
			status, body := get(t, ready["http"]+"/v1/providers", ready["key"])
			for _, d := range dialects {
				if !strings.Contains(body, "providers/"+d.ID) || status != http.StatusOK {
					t.Errorf("the gateway answers %d without %s: %s", status, d.ID, body)
				}
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v", err)
		}
	}
}

func get(t *testing.T, url, key string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(content)
}
