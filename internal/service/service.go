// Package service holds what Kontor's RPC services share: the tenants with their providers, the store with
// its failures translated, resource names, page and resume tokens, errors, and the loading of what a request
// names. It knows the seam (package providers) and no adapter.
//
// The services themselves live in folders below this one, one for each. Every handler goes the same way:
// parse the name, load (the tenant is part of the key), find the provider, check port and capability, call,
// store, set names and tokens, translate the error.
//
// What lasts longer than a call is not here: package follow looks after consents, once after creating
// requests, callbacks after what comes back from pages and providers, watch after streams. Nothing here knows
// HTTP or listens on anything; that is package server.
package service

import (
	"context"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"kontor.dev/kontor/internal/identity"
)

// Clock tells the time.
type Clock func() time.Time

// Now is the clock's time to the microsecond, as the store keeps it.
func (c Clock) Now() time.Time { return c().UTC().Truncate(time.Microsecond) }

// TenantOf gives the caller's tenant.
func TenantOf(ctx context.Context) string { return identity.From(ctx).Tenant }

// NewID makes a resource id: a UUID of version 7, so that ids are in the order of creation.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// Timestamp gives nil for the zero time.
func Timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
