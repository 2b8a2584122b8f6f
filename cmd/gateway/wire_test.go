package main

import (
	"fmt"
	"strings"
	"testing"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/keys/keystest"
)

const twoAccounts = `public_url: https://kontor.example.com
store_key: ` + keystest.Text + `
tenants:
  default:
    redirect_uris: ["https://app.example.com/*"]
    providers:
      zulu: {kind: fimento, base_url: "https://fimento.example.com", username: u, password: p}
      fimento: {base_url: "https://fimento.example.com", username: %s, password: %s}
      alpha: {kind: finoos, name: n, secret: s}
clients: [{id: c, tenant: default, key_sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08, scopes: ["*"]}]
`

func wiredFrom(t *testing.T, text string) (wired, error) {
	t.Helper()
	cfg, problems := config.Parse("kontor.yaml", []byte(text), config.Options{Kinds: kinds, Store: known.Store})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return wire(t.Context(), cfg, wiring{})
}

// Each block becomes a provider with its own id, in the order of the file; what identifies an account is the same at
// each start, and with another password.
func TestWiring(t *testing.T) {
	open := func(name, password string) wired {
		t.Helper()
		w, err := wiredFrom(t, fmt.Sprintf(twoAccounts, name, password))
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	one, again := open("u", "p").tenants["default"], open("u", "q").tenants["default"]
	other := open("v", "p").tenants["default"]
	var ids []string
	for _, p := range one.Providers {
		ids = append(ids, p.ID+" "+p.DisplayName)
	}
	if got := strings.Join(ids, ", "); got != "zulu Fimento, fimento Fimento, alpha finoOS" {
		t.Errorf("the providers are %s", got)
	}
	if one.Accounts["fimento"] != again.Accounts["fimento"] || one.Accounts["fimento"] == "" {
		t.Error("with another password it is another account")
	}
	if one.Accounts["fimento"] == other.Accounts["fimento"] || one.Accounts["zulu"] != other.Accounts["zulu"] {
		t.Error("another user changes too little, or too much")
	}
}
