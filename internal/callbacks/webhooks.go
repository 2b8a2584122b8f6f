package callbacks

import (
	"context"
	"encoding/hex"
	"errors"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// webhookRefs bounds how many consents one call of a webhook can be about.
const webhookRefs = 64

// Webhook takes a provider's hint that something changed. Nothing in it is believed: consents that it names
// are read again.
func (c *Callbacks) Webhook(
	ctx context.Context, provider, token string, header http.Header, body func() ([]byte, error),
) error {
	cb, err := c.callback(ctx, store.CallbackWebhook, token)
	if err != nil {
		return err
	}
	if cb.Provider != provider {
		return kerr.ErrUnknownCallback
	}
	p, err := c.Tenants.Provider(cb.Tenant, cb.Provider)
	if err != nil || p.Callbacks.Webhook == nil {
		return kerr.ErrUnknownCallback
	}
	text, err := body()
	if err != nil {
		return err
	}
	refs, err := p.Callbacks.Webhook(ctx, header, text)
	if err != nil {
		return kerr.ErrUnknownCallback
	}
	if len(refs) == 0 {
		return nil
	}
	refs = refs[:min(len(refs), webhookRefs)]
	var rows []*store.Consent
	err = c.Store.View(ctx, cb.Tenant, func(r store.Reader) (err error) {
		rows, err = r.ConsentsByProviderRef(cb.Provider, refs)
		return err
	})
	if err != nil {
		return err
	}
	for _, row := range rows {
		c.Follower.Hint(ctx, row)
	}
	return nil
}

// RegisterWebhooks registers Kontor's address at each provider that calls one: once for each account and address. A new
// registration replaces the former ones, whose addresses are not taken any more. Until it succeeds, polling does the
// work. It returns when each is registered, or when the context ends.
func (c *Callbacks) RegisterWebhooks(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	for _, tenant := range slices.Sorted(maps.Keys(c.Tenants)) {
		for _, p := range c.Tenants[tenant].Providers {
			if p.Webhooks != nil {
				running.Go(func() { c.registerWebhook(ctx, tenant, p) })
			}
		}
	}
}

func (c *Callbacks) registerWebhook(ctx context.Context, tenant string, p *providers.Provider) {
	registration := hex.EncodeToString(c.Keys.MAC(keys.Tokens, tenant, []byte("registration"), []byte(p.ID),
		[]byte(c.Tenants[tenant].Accounts[p.ID]), []byte(c.PublicURL)))
	try := &webhookTry{tenant: tenant, p: p, registration: registration, token: newToken()}
	for wait := 5 * time.Second; ; wait = min(2*wait, 10*time.Minute) {
		done, err := c.tryWebhook(ctx, try)
		if done || ctx.Err() != nil {
			return
		}
		rest := wait
		if others, ok := errors.AsType[beingRegisteredError](err); ok {
			rest = others.left
		} else {
			c.Log.WarnContext(ctx, "webhook not registered; polling covers it", "tenant", tenant, "provider", p.ID,
				"error", err.Error(), "retry_in", wait.String())
		}
		timer := time.NewTimer(rest)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// webhookClaim is how long a registration is left to the process that began it last: longer than the provider takes to
// answer.
const webhookClaim = time.Minute

// beingRegisteredError says that another process is at it, for as long as left. Each registration is another address,
// and the provider would call all of them for good.
type beingRegisteredError struct{ left time.Duration }

func (beingRegisteredError) Error() string { return "callbacks: another process registers the webhook" }

// webhookTry is a process's try to register.
type webhookTry struct {
	tenant              string
	p                   *providers.Provider
	registration, token string
	// began is when this process began last; zero before it did.
	began time.Time
}

func (c *Callbacks) tryWebhook(ctx context.Context, try *webhookTry) (done bool, err error) {
	var known bool
	var began time.Time
	var left time.Duration
	hash := hashToken(c.Keys, store.CallbackWebhook, try.token)
	err = c.Store.Update(ctx, try.tenant, func(tx store.Tx) error {
		known, left, began = false, 0, c.Clock.Now().Truncate(time.Microsecond) // as the store keeps it
		have, err := tx.Webhook(try.registration)
		switch {
		case err == nil && have.Registered:
			known = true
			return nil
		case err == nil && !have.UpdateTime.Equal(try.began):
			left = have.UpdateTime.Add(webhookClaim).Sub(began)
			if left > 0 && left <= 2*webhookClaim { // else it is over, or the clock went back since
				return nil
			}
			left = 0
		case err != nil && !errors.Is(err, store.ErrNotFound):
			return err
		}
		// The token must be known before the provider can use it.
		err = tx.InsertCallback(&store.Callback{
			Hash: hash, Kind: store.CallbackWebhook, Tenant: try.tenant, Provider: try.p.ID, Resource: try.registration,
			CreateTime: began,
		})
		if err != nil && !errors.Is(err, store.ErrExists) { // an earlier try may have stored it
			return err
		}
		return tx.PutWebhook(&store.Webhook{
			Key: try.registration, Tenant: try.tenant, Provider: try.p.ID, UpdateTime: began,
		})
	})
	switch {
	case known || err != nil:
		return known, err
	case left > 0:
		return false, beingRegisteredError{left}
	}
	try.began = began
	address := c.PublicURL + "/callbacks/" + try.p.ID + "/webhook/" + try.token
	if err := try.p.Webhooks.RegisterWebhook(ctx, address); err != nil {
		return false, err
	}
	return true, c.Store.Update(service.Patient(ctx), try.tenant, func(tx store.Tx) error {
		return tx.PutWebhook(&store.Webhook{
			Key: try.registration, Tenant: try.tenant, Provider: try.p.ID, Registered: true, UpdateTime: c.Clock.Now(),
		})
	})
}
