package callbacks

import (
	"cmp"
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
//
// A visit has one outcome, the first. Whoever comes later is led on by their address, and changes nothing.
func (c *Callbacks) Redirect(ctx context.Context, token, outcome string, query url.Values) (string, error) {
	v, err := c.visit(ctx, token, outcome, query)
	if err != nil {
		return "", err
	}
	cb, row, how, location := v.cb, v.row, v.how, v.location
	p, err := c.Tenants.Provider(row.Tenant, row.Provider)
	if err != nil {
		return location, nil // the tenant left the provider; its customer is led on all the same
	}
	// A browser that leaves must not take along what came with it: a code, say, can be exchanged once only.
	ctx = context.WithoutCancel(ctx)
	release, err := c.turns.Take(ctx, string(cb.Hash[:]))
	if err != nil {
		return "", err
	}
	defer release()
	before, first, err := c.first(ctx, cb, string(how))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return "", kerr.ErrUnknownCallback
	case err != nil:
		return "", err
	case !first:
		c.Follower.Hint(ctx, row) // who comes back again may have done something more
		return location, nil
	}
	back, read, err := c.readReturn(ctx, p, row, how, query)
	if err != nil {
		return "", errors.Join(err, c.note(ctx, cb, func(cb *store.Callback) { *cb = before })) // nobody came back
	}
	if err := c.returned(ctx, cb, row, how, back, read); err != nil {
		// The customer must not suffer from it; polling makes up for it.
		c.Log.WarnContext(ctx, "a redirect could not be noted", "consent", row.Resource.GetName(), "error", err.Error())
	}
	return location, nil
}

// RedirectAddress gives the address to which Redirect would send a browser on, and takes nothing in.
func (c *Callbacks) RedirectAddress(ctx context.Context, token, outcome string, query url.Values) (string, error) {
	v, err := c.visit(ctx, token, outcome, query)
	return v.location, err
}

// visit is a browser's way back from a provider.
type visit struct {
	cb  *store.Callback
	row *store.Consent
	// how says how it ended, location where that leads.
	how      providers.Outcome
	location string
}

// visit finds the visit that a token stands for, its consent, how it ended, and where that leads.
func (c *Callbacks) visit(ctx context.Context, token, outcome string, query url.Values) (v visit, err error) {
	if v.cb, err = c.callback(ctx, store.CallbackRedirect, token); err != nil {
		return visit{}, err
	}
	err = c.Store.View(ctx, v.cb.Tenant, func(r store.Reader) (err error) {
		v.row, err = r.Consent(v.cb.Resource)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return visit{}, kerr.ErrUnknownCallback
	}
	if err != nil {
		return visit{}, err
	}
	v.how = c.outcome(v.row, providers.Outcome(outcome), query)
	addresses := map[providers.Outcome]string{
		providers.OutcomeSuccess: v.row.Redirects.GetSuccess(), providers.OutcomeError: v.row.Redirects.GetError(),
		providers.OutcomeExit: v.row.Redirects.GetExit(),
	}
	// Where the caller gave no address for what the query tells, the customer is led on all the same.
	v.location = cmp.Or(addresses[v.how], addresses[providers.Outcome(outcome)])
	if v.location == "" {
		return visit{}, kerr.ErrUnknownCallback
	}
	return v, nil
}

// outcome tells how a visit ended: as the query says, for a provider with one address for all outcomes, else as the
// address does.
func (c *Callbacks) outcome(row *store.Consent, address providers.Outcome, query url.Values) providers.Outcome {
	p, err := c.Tenants.Provider(row.Tenant, row.Provider)
	if err != nil || p.Callbacks.Outcome == nil {
		return address
	}
	return cmp.Or(p.Callbacks.Outcome(query), address)
}

// first notes the outcome of a visit, and tells whether it is the one that counts, and what was noted before. What the
// customer came with may have been lost, by a provider that did not answer or with a process that died: then it is
// taken once more, though not sooner than a consent may be read by nobody's wish.
func (c *Callbacks) first(
	ctx context.Context, cb *store.Callback, outcome string,
) (before store.Callback, counts bool, err error) {
	now := c.Clock.Now()
	err = c.note(ctx, cb, func(have *store.Callback) {
		before = *have
		fresh := have.Outcome == ""
		again := have.Outcome == outcome && !have.Settled && !now.Before(have.VisitTime.Add(c.Follower.Plan.Least()))
		if counts = fresh || again; counts {
			have.Outcome, have.VisitTime = outcome, now
		}
	})
	return before, counts, err
}

// note changes what is known of a visit.
func (c *Callbacks) note(ctx context.Context, cb *store.Callback, change func(*store.Callback)) error {
	return c.Store.Update(ctx, cb.Tenant, func(tx store.Tx) error {
		have, err := tx.Callback(cb.Kind, cb.Hash)
		if err != nil {
			return err
		}
		before := *have
		if change(have); *have == before {
			return nil
		}
		return tx.UpdateCallback(have)
	})
}

// readReturn lets the adapter read how the customer came back, and tells whether it could. When that fails at the
// provider, the customer is led on all the same: whether they approved is read from the provider.
func (c *Callbacks) readReturn(
	ctx context.Context, p *providers.Provider, row *store.Consent, how providers.Outcome, query url.Values,
) (back providers.Return, read bool, err error) {
	if p.Callbacks.Redirect == nil {
		return providers.Return{}, true, nil
	}
	ref, err := c.History.Ref(ctx, row)
	if err != nil {
		return providers.Return{}, false, err
	}
	ctx, cancel := context.WithTimeout(ctx, redirectTimeout)
	defer cancel()
	back, err = p.Callbacks.Redirect(ctx, ref, how, query)
	switch {
	case errors.Is(err, providers.ErrForeign):
		return providers.Return{}, false, kerr.ErrUnknownCallback
	case err != nil:
		c.Log.WarnContext(ctx, "what a customer came back with could not be used", "consent", row.Resource.GetName(),
			"error", err.Error())
		return providers.Return{}, false, nil
	}
	return back, true, nil
}

// returned notes how a visit ended. What the customer did is read from the provider. The visit is settled last, and
// only if what came back could be read: until then the same outcome is taken again.
func (c *Callbacks) returned(
	ctx context.Context, cb *store.Callback, row *store.Consent, how providers.Outcome, back providers.Return,
	read bool,
) error {
	if !row.Ended {
		if err := c.takeIn(ctx, cb, row, how, back); err != nil {
			return err
		}
	}
	if !read {
		return nil
	}
	return c.note(ctx, cb, func(cb *store.Callback) { cb.Settled = true })
}

// takeIn takes over what a customer came back with, and adds to the history how their visit ended.
func (c *Callbacks) takeIn(
	ctx context.Context, cb *store.Callback, row *store.Consent, how providers.Outcome, back providers.Return,
) error {
	if back.Ref != nil {
		fresh, err := c.History.Change(ctx, row, func(tx store.Tx, fresh *store.Consent) error {
			return c.History.Adopt(tx, fresh, *back.Ref)
		})
		if err != nil {
			return err
		}
		row = fresh
	}
	row, seen := c.read(ctx, row, back)
	if cb.Flow == NoFlow {
		return nil
	}
	if how == providers.OutcomeSuccess {
		c.Follower.Hint(ctx, row) // what it means is the provider's to tell
	}
	_, err := c.History.Change(ctx, row, func(tx store.Tx, fresh *store.Consent) error {
		now := c.Clock.Now()
		var events []consent.Event
		switch how {
		case providers.OutcomeSuccess:
			history, err := c.History.Events(tx, fresh)
			if err != nil {
				return err
			}
			if seen {
				events = consent.Returned(history, cb.Flow, now)
			}
		case providers.OutcomeError:
			events = append(events, consent.LinkErrored(cb.Flow, consent.Error{
				Reason:  errorv1.Error_AUTHORIZATION_FAILED,
				Message: "The provider returned the customer with an error.",
			}, now))
		default:
			events = append(events, consent.LinkExited(cb.Flow, now))
		}
		added, err := c.History.Extend(tx, fresh, events...)
		if err != nil || added == 0 {
			return err
		}
		return c.Audit.NoteSelf(tx, fresh.Tenant, audit.Customer, "Redirect", fresh.Resource.GetName())
	})
	return err
}

// read reads the consent of a visit, as far as that can be done at once, and tells whether the provider was seen.
// Whoever has the address can open it as often as they like, so where the provider counts reads and no news is awaited,
// a visit is only a hint.
func (c *Callbacks) read(
	ctx context.Context, row *store.Consent, back providers.Return,
) (read *store.Consent, seen bool) {
	if back.Ref != nil || !c.Follower.Counted(row) {
		ctx, cancel := context.WithTimeout(ctx, redirectRefresh)
		defer cancel()
		if fresh, err := c.Follower.Refresh(ctx, row); err == nil {
			return fresh, fresh.Missing.Count == 0
		}
	}
	c.Follower.Hint(ctx, row)
	return row, false
}
