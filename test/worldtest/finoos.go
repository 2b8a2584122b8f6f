package worldtest

import (
	"context"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/finoos"
)

var _ = Register(Provider{
	Dialect: finoos.Dialect(finoos.Config{}),
	Market:  sandbox.Germany,
	Approve: func(_ context.Context, at Scene, consent *consentv1.Consent) error {
		location, err := at.Played.Player.(*finoos.Server).CompleteLogin(consent.GetProviderReference())
		if err != nil {
			return err
		}
		return at.Visit(location)
	},
	Probe: func(ctx context.Context, s *Stubs) error {
		_, err := s.Providers.ListProviderUsers(ctx, &providerv1.ListProviderUsersRequest{
			Parent: "providers/" + finoos.ID,
		})
		return err
	},
	Login: "authenticate", Refresh: "refresh",
	Read:     "get_logins",
	HasUsers: true,
})
