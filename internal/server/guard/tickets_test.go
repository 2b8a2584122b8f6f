package guard_test

import (
	"testing"
	"time"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/server/guard"
)

// TestTicketsEndWithTheKey: a ticket stands for the key that it was made with, as long as that may read consents.
func TestTicketsEndWithTheKey(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		after  config.Client
		refuse bool
	}{
		"nothing changed":          {clientOf("one"), false},
		"another key":              {clientOf("two"), true},
		"another client":           {clientOf("one", func(c *config.Client) { c.ID = "d" }), true},
		"another tenant":           {clientOf("one", func(c *config.Client) { c.Tenant = "two" }), true},
		"the key ended":            {clientOf("one", func(c *config.Client) { c.Expires = time.Now() }), true},
		"no longer reads consents": {clientOf("one", func(c *config.Client) { c.Scopes = []string{"banking.read"} }), true},
	} {
		keys := guard.NewKeys([]config.Client{clientOf("one")})
		maker, err := keys.Authenticate(t.Context(), []string{"Bearer one"})
		if err != nil {
			t.Fatal(err)
		}
		made := identity.Ticket{Tenant: "one", ClientID: "c", Key: maker.Key, ConsentID: "consent"}
		tickets := guard.Tickets{Keys: keys, Open: func(text string) (identity.Ticket, bool) {
			return made, text == "good"
		}}
		follow := func(authorization string) (identity.Identity, error) {
			return tickets.Authenticate(t.Context(), []string{authorization})
		}
		before, err := follow("Ticket good")
		if err != nil || before.Ticket == nil || before.Allows("consents.read") {
			t.Fatalf("%s: %+v, %v", what, before, err)
		}
		for _, wrong := range []string{"Ticket bad", "Bearer good", "good", ""} {
			if id, err := follow(wrong); err == nil {
				t.Errorf("%q is taken: %+v", wrong, id)
			}
		}
		over := make(chan struct{})
		before.OnEnd(func() { close(over) })
		keys.Replace([]config.Client{c.after})
		if _, err := follow("Ticket good"); (err != nil) != c.refuse {
			t.Errorf("%s: the ticket gives %v", what, err)
		}
		if c.refuse {
			<-over // its streams end
			continue
		}
		select {
		case <-over:
			t.Errorf("%s: its streams ended", what)
		default:
		}
	}
}

// TestTicketsEndWithTheIssuer: a ticket that was made with a token stands as long as such a token might be taken, and
// its streams end when that may have changed.
func TestTicketsEndWithTheIssuer(t *testing.T) {
	t.Parallel()
	const address = "https://login.example.com"
	issuer := func(change ...func(*config.OIDC)) config.OIDC {
		c := config.OIDC{Issuer: address, Audience: "kontor", Tenant: "one"}
		for _, f := range change {
			f(&c)
		}
		return c
	}
	for what, test := range map[string]struct {
		after        []config.OIDC
		refuse, ends bool
	}{
		"nothing changed": {[]config.OIDC{issuer()}, false, false},
		"no issuer":       {nil, true, true},
		"another issuer": {
			[]config.OIDC{issuer(func(c *config.OIDC) { c.Issuer = "https://n.example.com" })}, true, true,
		},
		"another tenant":   {[]config.OIDC{issuer(func(c *config.OIDC) { c.Tenant = "two" })}, true, true},
		"another audience": {[]config.OIDC{issuer(func(c *config.OIDC) { c.Audience = "other" })}, false, true},
		"tenants by claims": {
			[]config.OIDC{issuer(func(c *config.OIDC) { c.Tenant, c.TenantClaim = "", "org" })}, false, true,
		},
		"no longer reads consents": {
			[]config.OIDC{issuer(func(c *config.OIDC) { c.Scopes = []string{"banking.read"} })}, true, true,
		},
	} {
		issuers := guard.NewOIDC(guard.OIDCOptions{Issuers: []config.OIDC{issuer()}, Tenants: []string{"one", "two"}})
		made := identity.Ticket{Tenant: "one", ClientID: "somebody@login.example.com", ConsentID: "consent"}
		tickets := guard.Tickets{
			Keys: guard.NewKeys(nil), Issuers: issuers,
			Open: func(string) (identity.Ticket, bool) { return made, true },
		}
		before, err := tickets.Authenticate(t.Context(), []string{"Ticket good"})
		if err != nil || before.Allows("consents.read") {
			t.Fatalf("%s: %+v, %v", what, before, err)
		}
		over := make(chan struct{})
		before.OnEnd(func() { close(over) })
		issuers.Replace(test.after)
		if _, err := tickets.Authenticate(t.Context(), []string{"Ticket good"}); (err != nil) != test.refuse {
			t.Errorf("%s: the ticket gives %v", what, err)
		}
		if test.ends {
			<-over
			continue
		}
		select {
		case <-over:
			t.Errorf("%s: its streams ended", what)
		default:
		}
	}
}
