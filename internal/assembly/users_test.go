package assembly_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/providers"
)

// manyUsers lists users in pages of at most two, and counts how often it is asked.
type manyUsers struct {
	providers.Users

	count, asked int
}

func (m *manyUsers) MaxUserPage() int { return 2 }

func (m *manyUsers) ListUsers(_ context.Context, page, size int) (users []providers.User, err error) {
	if m.asked++; size > m.MaxUserPage() {
		return nil, errors.New("the page is too large")
	}
	for i := page * size; i < min(m.count, (page+1)*size); i++ {
		users = append(users, providers.User{ID: fmt.Sprint(i)})
	}
	return users, nil
}

// However large a page is asked for, a list of users is one call to the provider, and the pages together hold each user
// once.
func TestOneListOfUsersIsOneCall(t *testing.T) {
	t.Parallel()
	users := &manyUsers{count: 5}
	g := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) {
		p.Users = users
		p.Capabilities["ListProviderUsers"] = providers.Support{Level: providers.Native}
	})
	ctx := identity.With(t.Context(), identity.Identity{ClientID: "c", Tenant: "default", Scopes: []string{"*"}})
	request := &providerv1.ListProviderUsersRequest{Parent: "providers/fimento", PageSize: 1000}
	seen := map[string]bool{}
	for pages := 1; ; pages++ {
		list, err := g.Servers.Provider.ListProviderUsers(ctx, request)
		if err != nil {
			t.Fatal(err)
		}
		if users.asked != pages {
			t.Fatalf("%d pages took %d calls", pages, users.asked)
		}
		for _, user := range list.GetUsers() {
			if seen[user.GetName()] {
				t.Errorf("%s is there twice", user.GetName())
			}
			seen[user.GetName()] = true
		}
		if request.PageToken = list.GetNextPageToken(); request.GetPageToken() == "" {
			break
		}
	}
	if len(seen) != users.count {
		t.Errorf("%d users, want %d", len(seen), users.count)
	}
}
