package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/providers/finoos"
	"kontor.dev/kontor/internal/secret"
)

const twoAccounts = `public_url: https://kontor.example.com
tenants:
  default:
    redirect_uris: ["https://app.example.com/*"]
    providers:
      zulu: {kind: fimento, base_url: "https://fimento.example.com", username: u, password: p}
      fimento: {base_url: "https://fimento.example.com", username: u, password: %s}
      alpha: {kind: finoos, name: n, secret: s}
clients: [{id: c, tenant: default, key_sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08, scopes: ["*"]}]
`

func wiredFrom(t *testing.T, text string, kinds []providers.Kind, storeKey secret.String) (wired, error) {
	t.Helper()
	cfg, problems := config.Parse("kontor.yaml", []byte(text), config.Options{Kinds: kinds, Store: known.Store})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	cfg.StoreKey = storeKey
	return wire(t.Context(), cfg, wiring{})
}

// Each block becomes a provider with its own id, in the order of the file; what identifies credentials changes with
// them, and is the same at each start.
func TestWiring(t *testing.T) {
	open := func(password string) wired {
		t.Helper()
		w, err := wiredFrom(t, fmt.Sprintf(twoAccounts, password), kinds, secret.String{})
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	one, again, other := open("p").tenants["default"], open("p").tenants["default"], open("q").tenants["default"]
	var ids []string
	for _, p := range one.Providers {
		ids = append(ids, p.ID+" "+p.DisplayName)
	}
	if got := strings.Join(ids, ", "); got != "zulu Fimento, fimento Fimento, alpha finoOS" {
		t.Errorf("the providers are %s", got)
	}
	if !bytes.Equal(one.Pepper, again.Pepper) || one.Credentials["fimento"] != again.Credentials["fimento"] {
		t.Error("the same configuration gives something else")
	}
	if bytes.Equal(one.Pepper, other.Pepper) || one.Credentials["fimento"] == other.Credentials["fimento"] ||
		one.Credentials["zulu"] != other.Credentials["zulu"] {
		t.Error("another password changes too little, or too much")
	}
}

// A provider that keeps something in the store needs the key that seals it, before anything is served.
func TestWhatIsKeptNeedsAStoreKey(t *testing.T) {
	keeping := providers.NewKind("keeping", "Keeping", nil,
		func(ctx context.Context, _ struct{}, deps providers.Deps) (*providers.Provider, error) {
			p, err := finoos.Open(ctx, finoos.Config{Name: "n", Secret: secret.New("s")}, deps)
			if err == nil {
				p.KeepsState = true
			}
			return p, err
		})
	text := strings.Replace(twoAccounts, "alpha: {kind: finoos, name: n, secret: s}", "beta: {kind: keeping}", 1)
	text = fmt.Sprintf(text, "p")
	all := append([]providers.Kind{keeping}, kinds...)
	if _, err := wiredFrom(t, text, all,
		secret.String{}); err == nil || !strings.Contains(err.Error(),
		"store_key: is needed by tenants.default.providers.beta") {
		t.Errorf("without a key: %v", err)
	}
	key, err := keys.New()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wiredFrom(t, text, all, key); err != nil {
		t.Errorf("with a key: %v", err)
	}
}
