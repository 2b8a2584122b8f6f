// Package consents serves consents: asking for them, links for the customer, how they stand, their end, and
// the partner banks they are asked for.
package consents

import (
	"log/slog"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/audit"
	"kontor.dev/kontor/internal/callbacks"
	"kontor.dev/kontor/internal/follow"
	"kontor.dev/kontor/internal/history"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/once"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/service/customers"
	"kontor.dev/kontor/internal/watch"
)

// Server implements consentv1.ConsentServiceServer.
type Server struct {
	consentv1.UnimplementedConsentServiceServer

	// Tickets let browsers follow one consent.
	Tickets service.Tickets

	Store     *service.Store
	Tenants   service.Tenants
	Clock     service.Clock
	Tokens    service.Tokens
	Log       *slog.Logger
	Load      *service.Loader
	Keys      *keys.Keys
	Audit     *audit.Trail
	History   *history.Writer
	Follower  *follow.Follower
	Once      *once.Runner
	Sessions  *callbacks.Sessions
	Customers *customers.Registry
	Streams   *watch.Streams
	Feed      *Feed
	// Redirects are where consents may send customers back to, by tenant.
	Redirects RedirectLists
}
