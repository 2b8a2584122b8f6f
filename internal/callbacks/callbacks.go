// Package callbacks takes what comes back: customers' browsers from providers' pages, providers' webhooks and
// their reports on shipments. It issues the unguessable tokens in the addresses for it, of which the store
// keeps only hashes, and finds what a token is for.
//
// Nothing that comes back is believed: it is a reason to ask the provider. Package server routes /callbacks/
// here.
package callbacks

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"log/slog"

	"kontor.dev/kontor/internal/audit"
	"kontor.dev/kontor/internal/coalesce"
	"kontor.dev/kontor/internal/follow"
	"kontor.dev/kontor/internal/history"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// Callbacks takes what comes back.
type Callbacks struct {
	Store *service.Store
	// Tokens finds what a token is for, whose tenant is not known before.
	Tokens   store.Tokens
	Keys     *keys.Keys
	Tenants  service.Tenants
	Clock    service.Clock
	Log      *slog.Logger
	Follower *follow.Follower
	History  *history.Writer
	Audit    *audit.Trail
	// PublicURL is where providers and browsers reach Kontor's /callbacks.
	PublicURL string

	turns coalesce.Turns // of visits that come to an end
}

// hashToken gives what the store keeps of a token. The tenant is not known when it comes back.
func hashToken(k *keys.Keys, kind store.CallbackKind, token string) [32]byte {
	return [32]byte(k.MAC(keys.Tokens, "", []byte(kind), []byte(token)))
}

// newToken makes an unguessable callback token of 256 bits, fit for a path.
func newToken() string {
	var token [32]byte
	_, _ = rand.Read(token[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(token[:])
}

// callback finds what a token is for.
func (c *Callbacks) callback(ctx context.Context, kind store.CallbackKind, token string) (*store.Callback, error) {
	cb, err := c.Tokens.Callback(ctx, kind, hashToken(c.Keys, kind, token))
	err = c.Store.Translate(ctx, err)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, kerr.ErrUnknownCallback
	case err == nil && !cb.ExpireTime.IsZero() && c.Clock.Now().After(cb.ExpireTime):
		return nil, kerr.ErrUnknownCallback
	}
	return cb, err
}
