package example

import (
	"context"
	"time"

	"kontor.dev/kontor/internal/providers/upstream"
)

// login gets the token of the account. There is no refreshing: one that ends is followed by another login.
func (a *adapter) login(ctx context.Context, _ *upstream.Client, _ *upstream.Token) (upstream.Token, error) {
	asked := a.clock() // a life counts from before the request, so that none is thought longer than it is
	var token wireToken
	err := a.do(ctx, request{
		Operation: opLogin,
		Encoder:   upstream.Form,
		Body: wireLogin{
			GrantType: "client_credentials", ClientID: string(a.cfg.ClientID),
			ClientSecret: a.cfg.ClientSecret.Reveal(),
		},
		NoAuth: true,
	}, &token)
	if err != nil {
		return upstream.Token{}, err
	}
	return upstream.Token{Value: token.AccessToken, Expires: token.expires(asked)}, nil
}

// expires is when a token that was asked for then ends.
func (t *wireToken) expires(asked time.Time) time.Time {
	const day = 24 * 60 * 60 // more would be a mistake, and could overflow
	return asked.Add(time.Duration(min(t.ExpiresIn, day)) * time.Second)
}
