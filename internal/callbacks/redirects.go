package callbacks

import (
	"context"
	"errors"
	"net/url"
	"time"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/audit"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// redirectTimeout bounds how long the adapter takes to read a return, calls at the provider included.
const redirectTimeout = 10 * time.Second

// redirectRefresh bounds how long a customer's browser waits while the consent is read.
const redirectRefresh = 3 * time.Second

// Redirect takes a customer back from a provider's pages, with how it ended: success, error or exit. It gives
// the address to send the browser on to, which is the caller's own, unchanged.
func (c *Callbacks) Redirect(ctx context.Context, token, outcome string, query url.Values) (string, error) {
	cb, err := c.callback(ctx, store.CallbackRedirect, token)
	if err != nil {
		return "", err
	}
	var row *store.Consent
	err = c.Store.View(ctx, cb.Tenant, func(r store.Reader) (err error) {
		row, err = r.Consent(cb.Resource)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return "", kerr.ErrUnknownCallback
	}
	if err != nil {
		return "", err
	}
	how := providers.Outcome(outcome)
	location := map[providers.Outcome]string{
		providers.OutcomeSuccess: row.Redirects.GetSuccess(), providers.OutcomeError: row.Redirects.GetError(),
		providers.OutcomeExit: row.Redirects.GetExit(),
	}[how]
	if location == "" {
		return "", kerr.ErrUnknownCallback
	}
	p, err := c.Tenants.Provider(row.Tenant, row.Provider)
	if err != nil {
		return location, nil //nolint:nilerr // the tenant left the provider; its customer is led on all the same
	}
	// A browser that leaves must not take along what came with it: a code, say, can be exchanged once only.
	ctx = context.WithoutCancel(ctx)
	back, err := c.readReturn(ctx, p, row, how, query)
	if err != nil {
		return "", err
	}
	if err := c.returned(ctx, cb, p, row, how, back); err != nil {
		// The customer must not suffer from it; polling makes up for it.
		c.Log.WarnContext(ctx, "a redirect could not be noted", "consent", row.Resource.GetName(), "error", err.Error())
	}
	return location, nil
}

// readReturn lets the adapter read how the customer came back. When that fails at the provider, the customer is led on
// all the same: whether they approved is read from the provider.
func (c *Callbacks) readReturn(
	ctx context.Context, p *providers.Provider, row *store.Consent, how providers.Outcome, query url.Values,
) (providers.Return, error) {
	if p.Callbacks.Redirect == nil {
		return providers.Return{}, nil
	}
	ref, err := c.History.Ref(ctx, row)
	if err != nil {
		return providers.Return{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, redirectTimeout)
	defer cancel()
	back, err := p.Callbacks.Redirect(ctx, ref, how, query)
	switch {
	case errors.Is(err, providers.ErrForeign):
		return providers.Return{}, kerr.ErrUnknownCallback
	case err != nil:
		c.Log.WarnContext(ctx, "what a customer came back with could not be used", "consent", row.Resource.GetName(),
			"error", err.Error())
		return providers.Return{}, nil
	}
	return back, nil
}

// returned notes how a visit ended. What the customer did is read from the provider.
func (c *Callbacks) returned(
	ctx context.Context, cb *store.Callback, p *providers.Provider, row *store.Consent, how providers.Outcome,
	back providers.Return,
) error {
	if row.Ended {
		return nil
	}
	if back.Ref != nil {
		fresh, err := c.History.Change(ctx, row, func(tx store.Tx, fresh *store.Consent) error {
			return c.History.Adopt(tx, fresh, *back.Ref)
		})
		if err != nil {
			return err
		}
		row = fresh
	}
	row = c.read(ctx, row, back)
	if cb.Flow == NoFlow {
		return nil
	}
	if how == providers.OutcomeSuccess && !confirms(p, row) {
		c.Follower.Hint(ctx, row)
		return nil
	}
	_, err := c.History.Change(ctx, row, func(tx store.Tx, fresh *store.Consent) error {
		now := c.Clock.Now()
		event := consent.LinkExited(cb.Flow, now)
		switch how {
		case providers.OutcomeSuccess:
			event = consent.Approved(cb.Flow, "The customer returned from the bank.", now)
		case providers.OutcomeError:
			event = consent.LinkErrored(cb.Flow, consent.Error{
				Reason:  errorv1.Error_AUTHORIZATION_FAILED,
				Message: "The provider returned the customer with an error.",
			}, now)
		}
		added, err := c.History.Extend(tx, fresh, event)
		if err != nil || added == 0 {
			return err
		}
		return c.Audit.NoteSelf(tx, fresh.Tenant, audit.Customer, "Redirect", fresh.Resource.GetName())
	})
	return err
}

// read reads the consent of a visit, as far as that can be done at once. Whoever has the address can open it as often
// as they like, so where the provider counts reads and no news is awaited, a visit is only a hint.
func (c *Callbacks) read(ctx context.Context, row *store.Consent, back providers.Return) *store.Consent {
	if back.Ref != nil || !c.Follower.Counted(row) {
		ctx, cancel := context.WithTimeout(ctx, redirectRefresh)
		defer cancel()
		if fresh, err := c.Follower.Refresh(ctx, row); err == nil {
			return fresh
		}
	}
	c.Follower.Hint(ctx, row)
	return row
}

// confirms tells whether a successful return stands for the customer's approval: where the provider keeps no
// record of decisions and a bank is connected. Elsewhere the provider itself reports the decision.
func confirms(p *providers.Provider, row *store.Consent) bool {
	return p.OneConsentPerUser && len(row.Resource.GetConnections()) > 0
}
