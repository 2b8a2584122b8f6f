package config_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/keys"
)

// TestDifferences changes one setting after the other. No field of Config is passed over, but for those that a running
// gateway takes over.
func TestDifferences(t *testing.T) {
	text := full(t)
	of := func(text string) *config.Config {
		c, problems := parse(text)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		return c
	}
	here := of(text)
	if got := here.Differences(of(text)); len(got) > 0 {
		t.Errorf("nothing changed, and it names %v", got)
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[config.Config]()) {
		there := of(text)
		value := reflect.ValueOf(there).Elem().FieldByIndex(field.Index)
		if value.IsZero() {
			if field.Name == "Warnings" || field.Name == "Sandbox" { // no keys of the file
				continue
			}
			value.SetBool(true)
		} else {
			value.SetZero()
		}
		want := 1
		switch field.Name {
		case "Clients", "OIDC":
			want = 0
		case "Tenants":
			want = 2
		}
		if got := here.Differences(there); len(got) != want {
			t.Errorf("%s is another, and it names %v", field.Name, got)
		}
	}
	for _, change := range []struct{ from, to, want string }{
		{"burst: 20", "burst: 21", "limits"},
		{"${env:STORE_KEY}", otherStoreKey, "store_key"},
		{"10.0.0.0/8", "10.0.0.0/9", "trusted_proxies"},
		{"admin: true", "admin: false", "tls"},
		{"127.0.0.1:3000/done", "127.0.0.1:3000/over", "tenants.default.redirect_uris"},
		{"/auth/login2", "/auth/login3", "tenants.default.providers.north"},
		{"name: 12345", "name: 12346", "tenants.default.providers.south"},
		{"wait: 90s", "wait: 91s", "tenants.default.providers.south"},
		{"- two", "- three", "tenants.default.providers.south"},
		{"sv: fi", "sv: da", "tenants.default.providers.south"},
		{"cert_file: south.crt", "cert_file: north.crt", "tenants.default.providers.south"},
		{"secret: c}", "secret: d}", "tenants.other.providers.south"},
		{"south-two:", "south-three:", "tenants.other.providers"},
		{"\n  other:\n", "\n  others:\n", "tenants.other tenants.others"},
	} {
		if !strings.Contains(text, change.from) {
			t.Fatalf("there is no %q", change.from)
		}
		changed := strings.Replace(text, change.from, change.to, 1)
		if change.from == "\n  other:\n" {
			changed = strings.Replace(changed, "tenant: other", "tenant: others", 1)
		}
		if got := here.Differences(of(changed)); !slices.Equal(got, strings.Fields(change.want)) {
			t.Errorf("%q: it names %v, want %s", change.to, got, change.want)
		}
	}
	// The same secrets, read anew, are no change.
	there := of(text)
	for id, tenant := range here.Tenants {
		for i, p := range tenant.Providers {
			p.Settings.Renew(there.Tenants[id].Providers[i].Settings)
		}
	}
	if got := here.Differences(there); len(got) > 0 {
		t.Errorf("after the secrets were taken over, it names %v", got)
	}
}

// otherStoreKey is one that is not the configuration's.
var otherStoreKey = func() string {
	key, err := keys.New()
	if err != nil {
		panic(err)
	}
	return key.Reveal()
}()
