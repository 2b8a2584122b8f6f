package example

import (
	"context"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/providers"
)

// linkTTL is how long Skarvholm's page works. It does not say when it issued the link, so this counts from receipt.
const linkTTL = time.Hour

// CreateConsent asks for a consent.
func (a *adapter) CreateConsent(
	ctx context.Context, consent providers.NewConsent,
) (*providers.CreatedConsent, error) {
	body := a.consentBody(providers.Flow{Access: consent.Access, Redirects: consent.Redirects})
	var made wireConsent
	if err := a.do(ctx, request{Operation: opCreateConsent, Header: withUserIP(ctx), Body: body}, &made); err != nil {
		return nil, err
	}
	ref := providers.ConsentRef{ID: made.ID, Market: norway.Code}
	link, err := a.linkOf(ctx, opCreateConsent, made)
	if err != nil {
		return nil, err
	}
	return &providers.CreatedConsent{Ref: ref, Link: link, State: stateOf(made, ref)}, nil
}

// GetConsent reads the present state.
func (a *adapter) GetConsent(ctx context.Context, ref providers.ConsentRef) (*providers.ConsentState, error) {
	var read wireConsent
	r := request{Operation: opGetConsent, Path: ofConsent(ref.ID), Header: withUserIP(ctx)}
	if err := a.do(ctx, r, &read); err != nil {
		return nil, err
	}
	state := stateOf(read, ref)
	return &state, nil
}

// RevokeConsent ends the consent. One that is gone already is no error.
func (a *adapter) RevokeConsent(ctx context.Context, ref providers.ConsentRef) error {
	err := a.do(ctx, request{Operation: opDeleteConsent, Path: ofConsent(ref.ID)}, nil)
	return providers.Ignore(err, opDeleteConsent, providers.KindNotFound)
}

// RenewLink makes a consent that takes the place of this one when the customer approves it. Until then the token of
// this one serves, so it goes along.
func (a *adapter) RenewLink(
	ctx context.Context, ref providers.ConsentRef, flow providers.Flow,
) (*providers.Issued, error) {
	r := request{
		Operation: opRenewConsent, Path: ofConsent(ref.ID), Header: withUserIP(ctx), Body: a.consentBody(flow),
	}
	var made wireConsent
	if err := a.do(ctx, r, &made); err != nil {
		return nil, err
	}
	link, err := a.linkOf(ctx, opRenewConsent, made)
	if err != nil {
		return nil, err
	}
	ref.ID = made.ID
	return &providers.Issued{Link: link, Ref: &ref}, nil
}

func (a *adapter) consentBody(flow providers.Flow) wireNewConsent {
	return wireNewConsent{
		Recurring: flow.Access != consentv1.Access_ONE_OFF,
		ValidDays: a.cfg.ConsentDays,
		ReturnURI: flow.Redirects.Success, // the one for all outcomes
	}
}

// linkOf gives the link to a consent that was just made. One without a link was made all the same.
func (a *adapter) linkOf(ctx context.Context, operation string, made wireConsent) (providers.Link, error) {
	uri := made.Links.Redirect.Href
	if a.cfg.BaseURL.MayShow(uri) != nil {
		problem := a.client.Refuse(ctx, operation, nil, providers.NoPage("_links.scaRedirect.href"))
		problem.MayHaveHappened = true
		return providers.Link{}, problem
	}
	return providers.Link{URI: uri, TTL: linkTTL}, nil
}
