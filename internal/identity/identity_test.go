package identity_test

import (
	"context"
	"testing"
	"time"

	"kontor.dev/kontor/internal/identity"
)

func TestAllows(t *testing.T) {
	for _, c := range []struct {
		have []string
		want string
		ok   bool
	}{
		{nil, "consents.read", false},
		{[]string{"consents.read"}, "consents.read", true},
		{[]string{"consents.read"}, "consents.write", false},
		{[]string{"consents.write"}, "consents.read", true},
		{[]string{"consents.write"}, "consents.write", true},
		{[]string{"consents.write"}, "banking.read", false},
		{[]string{"banking.read", "consents.write"}, "consents.read", true},
		{[]string{"*"}, "documents.write", true},
		{[]string{"*"}, "documents.read", true},
		{[]string{"consents.*"}, "consents.read", false},
		{[]string{"consents"}, "consents.read", false},
		{[]string{""}, "consents.read", false},
		{[]string{"consent.write"}, "consents.read", false},
	} {
		if ok := (identity.Identity{Scopes: c.have}).Allows(c.want); ok != c.ok {
			t.Errorf("%q allow %q: %t", c.have, c.want, ok)
		}
	}
}

func TestContext(t *testing.T) {
	empty := context.Background()
	if id := identity.From(empty); id.ClientID != "" || id.Tenant != "" || id.Scopes != nil {
		t.Errorf("an empty context has an identity: %v", id)
	}
	if identity.RequestID(empty) != "" || identity.IdempotencyKey(empty) != "" || identity.LastEventID(empty) != "" {
		t.Error("an empty context has values")
	}
	ctx := identity.WithCall(empty, identity.Call{RequestID: "r", LastEventID: "e", Peer: "192.0.2.1:5"})
	ctx = identity.With(ctx, identity.Identity{ClientID: "lending", Tenant: "default"})
	ctx = identity.WithIdempotencyKey(identity.WithIfMatch(ctx, "t"), "k")
	if id := identity.From(ctx); id.ClientID != "lending" || id.Tenant != "default" {
		t.Errorf("got %v", id)
	}
	if identity.RequestID(ctx) != "r" || identity.IdempotencyKey(ctx) != "k" || identity.LastEventID(ctx) != "e" ||
		identity.Peer(ctx) != "192.0.2.1:5" || identity.IfMatch(ctx) != "t" {
		t.Error("values are mixed up")
	}
}

func TestTrail(t *testing.T) {
	none := identity.TrailOf(context.Background())
	none.Note("OK")
	if none.Has("OK") {
		t.Error("no trail remembers something")
	}
	noon := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	if got := none.AwaySince(noon); got != noon {
		t.Errorf("no trail remembers %s", got)
	}
	ctx := identity.WithTrail(context.Background())
	for later := range 2 {
		got := identity.TrailOf(ctx).AwaySince(noon.Add(time.Duration(later) * time.Second))
		if got != noon {
			t.Errorf("the store is away since %s", got)
		}
	}
	identity.TrailOf(ctx).Note("OK")
	if trail := identity.TrailOf(ctx); !trail.Has("OK") || trail.Has("INTERNAL") {
		t.Error("a trail remembers something else")
	}
	if identity.TrailOf(identity.WithTrail(ctx)).Has("OK") {
		t.Error("a new trail is not new")
	}
}
