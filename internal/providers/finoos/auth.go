package finoos

import (
	"context"
	"time"

	"kontor.dev/kontor/internal/providers/upstream"
)

// refreshSkew is how long before its end a refresh token is no longer used: clocks differ, and the request takes its
// time.
const refreshSkew = 30 * time.Second

// refreshToken is what the client keeps beside a token.
type refreshToken struct {
	value   string
	expires time.Time
}

// login refreshes the previous token while it can, and authenticates when there is none, when it is too old, and when
// finoOS refuses it.
func (a *adapter) login(ctx context.Context, _ *upstream.Client, previous *upstream.Token) (upstream.Token, error) {
	if previous != nil {
		if refresh, ok := previous.Refresh.(refreshToken); ok && a.clock().Before(refresh.expires) {
			token, err := a.tokens(ctx, opRefresh, refresh.value)
			if err == nil || ctx.Err() != nil {
				return token, err
			}
		}
	}
	return a.tokens(ctx, opAuthenticate, "")
}

func (a *adapter) tokens(ctx context.Context, operation, refresh string) (upstream.Token, error) {
	asked := a.clock() // lives count from before the request, so that none is thought longer than it is
	var tokens wireTokens
	err := a.do(ctx, request{
		Operation: operation,
		Body:      wireCredentials{Name: a.cfg.Name, Secret: a.cfg.Secret.Reveal(), RefreshToken: refresh},
		NoAuth:    true,
	}, &tokens)
	if err != nil {
		return upstream.Token{}, err
	}
	token := upstream.Token{Value: string(tokens.AccessToken)}
	if life := seconds(tokens.ExpiresIn); life > 0 {
		token.Expires = asked.Add(life)
	}
	if life := seconds(tokens.RefreshExpiresIn) - refreshSkew; life > 0 && tokens.RefreshToken != "" {
		token.Refresh = refreshToken{value: string(tokens.RefreshToken), expires: asked.Add(life)}
	}
	return token, nil
}

// seconds turns a life into a duration; one that is longer than a day is taken for a day, so that no number overflows.
func seconds(life integer) time.Duration {
	const day = 24 * 60 * 60
	return time.Duration(min(life, day)) * time.Second
}

// wireCredentials asks for tokens.
type wireCredentials struct {
	Name         string `json:"name"`
	Secret       string `json:"secret"`
	RefreshToken string `json:"refreshToken,omitempty"`
}

// wireTokens are tokens with their lives in seconds.
type wireTokens struct {
	AccessToken      text    `json:"accessToken"`
	RefreshToken     text    `json:"refreshToken"`
	ExpiresIn        integer `json:"expiresIn"`
	RefreshExpiresIn integer `json:"refreshExpiresIn"`
}

func (w *wireTokens) check() error {
	if w.AccessToken == "" {
		return missing("accessToken")
	}
	return nil
}
