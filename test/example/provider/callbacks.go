package example

import (
	"context"
	"net/url"

	"kontor.dev/kontor/internal/providers"
)

// outcome reads how a visit ended: Skarvholm's pages return the customer to one address, whatever they did.
func outcome(query url.Values) providers.Outcome {
	switch query.Get("error") {
	case "":
		return "" // as the address says
	case "access_denied":
		return providers.OutcomeExit
	}
	return providers.OutcomeError
}

// redirect reads the query with which Skarvholm's pages return the customer: the consent's id, and after an approval a
// code. The code is exchanged for the consent's token at once, since it lives for a minute.
func (a *adapter) redirect(
	ctx context.Context, ref providers.ConsentRef, outcome providers.Outcome, query url.Values,
) (providers.Return, error) {
	if ids := query["consentId"]; len(ids) > 1 || query.Get("consentId") != ref.ID {
		return providers.Return{}, providers.ErrForeign
	}
	code := query.Get("code")
	if outcome != providers.OutcomeSuccess || code == "" {
		return providers.Return{}, nil // what the customer decided is read from Skarvholm
	}
	if token, ok := tokenOf(ref); ok && token.Consent == ref.ID {
		return providers.Return{}, nil // the browser came again
	}
	token, err := a.grant(ctx, ref.ID, wireGrant{GrantType: "authorization_code", Code: code})
	if err != nil {
		return providers.Return{}, err
	}
	ref.State = token.state()
	return providers.Return{Ref: &ref}, nil
}
