package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// registerWebhooks registers Kontor's address at each provider that calls one: once for each credential and address. Until it succeeds,
// polling does the work.
func (s *Service) registerWebhooks(ctx context.Context) {
	for _, tenant := range slices.Sorted(maps.Keys(s.tenants)) {
		for _, p := range s.tenants[tenant].Providers {
			if p.Webhooks != nil {
				s.running.Go(func() { s.registerWebhook(ctx, tenant, p) })
			}
		}
	}
}

func (s *Service) registerWebhook(ctx context.Context, tenant string, p *providers.Provider) {
	sum := sha256.Sum256([]byte(strings.Join([]string{tenant, p.ID, s.tenants[tenant].Credentials[p.ID], s.publicURL}, "\x00")))
	registration := hex.EncodeToString(sum[:])
	token := newToken()
	for wait := 5 * time.Second; ; wait = min(2*wait, 10*time.Minute) {
		done, err := s.tryWebhook(ctx, tenant, p, registration, token)
		if done || ctx.Err() != nil {
			return
		}
		s.log.WarnContext(ctx, "webhook not registered; polling covers it", "tenant", tenant, "provider", p.ID, "error", err.Error(),
			"retry_in", wait.String())
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

func (s *Service) tryWebhook(ctx context.Context, tenant string, p *providers.Provider, registration, token string) (bool, error) {
	known := false
	hash := sha256.Sum256([]byte(token))
	err := s.update(ctx, func(tx store.Tx) error {
		have, err := tx.Webhook(registration)
		switch {
		case err == nil && have.Registered:
			known = true
			return nil
		case err != nil && !errors.Is(err, store.ErrNotFound):
			return err
		}
		// The token must be known before the provider can use it.
		if _, err := tx.Callback(store.CallbackWebhook, hash); errors.Is(err, store.ErrNotFound) {
			err = tx.InsertCallback(&store.Callback{
				Hash: hash, Kind: store.CallbackWebhook, Tenant: tenant, Provider: p.ID, Resource: registration, CreateTime: s.now(),
			})
			if err != nil {
				return err
			}
		}
		return tx.PutWebhook(&store.Webhook{Key: registration, Tenant: tenant, Provider: p.ID, UpdateTime: s.now()})
	})
	if known || err != nil {
		return known, err
	}
	if err := p.Webhooks.RegisterWebhook(ctx, s.publicURL+"/callbacks/"+p.ID+"/webhook/"+token); err != nil {
		return false, err
	}
	return true, s.update(ctx, func(tx store.Tx) error {
		return tx.PutWebhook(&store.Webhook{Key: registration, Tenant: tenant, Provider: p.ID, Registered: true, UpdateTime: s.now()})
	})
}
