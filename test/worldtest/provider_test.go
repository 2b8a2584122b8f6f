package worldtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kontor.dev/kontor/internal/sandbox"
)

// panics gives what a call panics with, "" when it does not.
func panics(call func()) (text string) {
	defer func() {
		if what := recover(); what != nil {
			text = fmt.Sprint(what)
		}
	}()
	call()
	return ""
}

// TestWhatIsMissingIsNamed: who adds a provider is told what is still to be written.
func TestWhatIsMissingIsNamed(t *testing.T) {
	known := Providers()[0]
	table := Table[int]{}
	table.Add(known, 1)
	for want, call := range map[string]func(){
		"this suite knows nothing of atlantis: add a file for it, such as those for [" + known + "]": func() {
			table.Of("atlantis")
		},
		"two entries for " + known:               func() { table.Add(known, 2) },
		"two providers are called " + known:      func() { Register(*Of(known)) },
		`no provider "atlantis", only [` + known: func() { Of("atlantis") },
	} {
		if got := panics(call); !strings.Contains(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if table.Of(known) != 1 {
		t.Error("an entry is lost")
	}
	if running, err := Play(t.Context(), sandbox.Options{}, sandbox.Dialect{ID: "atlantis"}); err == nil {
		_ = running.Close()
		t.Error("a dialect of nobody is played")
	}
}

// TestConfigHoldsNoSecret: secrets come from files and from the environment, as operators have it.
func TestConfigHoldsNoSecret(t *testing.T) {
	running, err := Play(t.Context(), sandbox.Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = running.Close() })
	dir, first := t.TempDir(), Providers()[0]
	blocks := Blocks(running)
	blocks[0].URL = "http://127.0.0.1:9"
	env, err := Config{PublicURL: "http://x", Tenants: []Tenant{
		{ID: "one", Providers: append(blocks, Block{Played: running.Played[first], As: "second"})},
		{ID: "two", Providers: Blocks(running, first)},
	}}.Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "kontor.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.secret"))
	secrets := len(Secrets(running)) + 1 // and the store key
	if err != nil || len(files) == 0 || len(env) == 0 || len(files)+len(env) != secrets {
		t.Errorf("%d secrets come from %d files and %d variables; %v", secrets, len(files), len(env), err)
	}
	for secret, what := range Secrets(running) {
		if strings.Contains(string(text), secret) {
			t.Errorf("%s stands in kontor.yaml", what)
		}
	}
	for _, file := range append(files, filepath.Join(dir, "kontor.yaml")) {
		if !HoldsSecrets(file) {
			t.Errorf("%s is searched for secrets", filepath.Base(file))
		}
	}
	if as := "      second:\n"; !strings.Contains(string(text),
		as) || !strings.Contains(string(text), "kind: \""+first+"\"\n") {
		t.Errorf("a second provider of the kind %s is not there", first)
	}
	if n := strings.Count(string(text), "      "+first+":\n"); n != 2 {
		t.Errorf("%d tenants have %s, want 2", n, first)
	}
	if !strings.Contains(string(text), blocks[0].URL) || !strings.Contains(string(text), running.Played[first].URL) {
		t.Error("what stands between is left out, or stands everywhere")
	}
}

// TestCallsLeaveLoginsOut: what the gateway does to get in is no call that somebody's request led to.
func TestCallsLeaveLoginsOut(t *testing.T) {
	for _, id := range Providers() {
		p := Of(id)
		if p.Calls(p.Login) || p.Calls(sandbox.OperationPage) || !p.Calls(p.Read) {
			t.Errorf("%s: logging in counts: %t; reading counts: %t", id, p.Calls(p.Login), p.Calls(p.Read))
		}
	}
}
