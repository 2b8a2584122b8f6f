package example

import (
	"context"
	"encoding/json"
	"time"

	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/providers/upstream"
	"kontor.dev/kontor/internal/secret"
)

// refreshSkew is how long before its end a consent's token is no longer used: clocks differ, and calls take time.
const refreshSkew = 30 * time.Second

// consentToken is what the adapter remembers of a consent: ConsentRef.State is this as JSON. Whoever changes it must
// still read what older versions wrote.
type consentToken struct {
	// Consent is the id of the consent whose token it is. After a renewal that is still the one before.
	Consent string    `json:"consent"`
	Access  string    `json:"access"`
	Refresh string    `json:"refresh"`
	Expires time.Time `json:"expires"`
}

func (t consentToken) state() secret.String {
	text, err := json.Marshal(t)
	if err != nil {
		panic(err) // two texts and a time
	}
	return secret.New(string(text))
}

// tokenOf reads a consent's state. It is not ok for a consent whose customer has not come back with a code yet.
func tokenOf(ref providers.ConsentRef) (t consentToken, ok bool) {
	if ref.State.IsZero() {
		return consentToken{}, false
	}
	err := json.Unmarshal([]byte(ref.State.Reveal()), &t)
	return t, err == nil && t.Consent != "" && t.Access != "" && t.Refresh != ""
}

// doAs sends a request with the consent's own token, and gives the id of the consent that the token stands for. A token
// that is too old, or that Skarvholm says is, is refreshed first.
func (a *adapter) doAs(
	ctx context.Context, ref providers.ConsentRef, r request, out answer,
) (consent string, err error) {
	token, ok := tokenOf(ref)
	if !ok {
		return "", a.failure(r.Operation, providers.KindConsentEnded, errNoToken)
	}
	for refresh := !a.clock().Add(refreshSkew).Before(token.Expires); ; refresh = true {
		if refresh {
			if token, err = a.refreshed(ctx, ref, token); err != nil {
				return "", err
			}
		}
		r.Token = secret.New(token.Access)
		if err = a.do(ctx, r, out); refresh || !tokenRefused(err) {
			return token.Consent, err
		}
	}
}

// refreshed gives a new token in place of another, once for all who ask at the same time, and keeps it: another process
// reads on with it.
func (a *adapter) refreshed(ctx context.Context, ref providers.ConsentRef, old consentToken) (consentToken, error) {
	token, err := a.refreshes.Do(ctx, old.Access, func(ctx context.Context) (consentToken, error) {
		token, err := a.grant(ctx, old.Consent, wireGrant{GrantType: "refresh_token", RefreshToken: old.Refresh})
		if err != nil || a.keep == nil {
			return token, err
		}
		if err := a.keep.KeepState(ctx, ref, token.state()); err != nil {
			return token, a.failure(opConsentToken, providers.KindInternal, errNotKept)
		}
		return token, nil
	})
	if err != nil && ctx.Err() != nil { // the caller left, others may still wait
		return token, a.left(ctx, opConsentToken)
	}
	return token, err
}

// grant gets a consent's token for a code, or for a refresh token. Skarvholm does not replace refresh tokens, so that
// two who refresh at the same time do each other no harm.
func (a *adapter) grant(ctx context.Context, consent string, body wireGrant) (consentToken, error) {
	asked := a.clock()
	var token wireToken
	err := a.do(ctx, request{Operation: opConsentToken, Encoder: upstream.Form, Body: body}, &token)
	if err != nil {
		return consentToken{}, err
	}
	granted := consentToken{
		Consent: consent, Access: token.AccessToken, Refresh: token.RefreshToken, Expires: token.expires(asked),
	}
	if granted.Refresh == "" {
		granted.Refresh = body.RefreshToken
	}
	return granted, nil
}
