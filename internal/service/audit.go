package service

import (
	"context"

	"google.golang.org/grpc/peer"

	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/store"
)

// Actors other than clients.
const (
	actorKontor   = "kontor"
	actorCustomer = "customer"
)

// audit notes in a transaction what the caller does in it.
func (s *Service) audit(ctx context.Context, tx store.Tx, method, resource string) error {
	return tx.AppendAudit(s.auditEntry(ctx, method, resource))
}

// auditAlone notes what changes nothing in the store: a read of bank data, or a change at the provider only.
func (s *Service) auditAlone(ctx context.Context, method, resource string) error {
	return s.update(ctx, func(tx store.Tx) error { return s.audit(ctx, tx, method, resource) })
}

func (s *Service) auditEntry(ctx context.Context, method, resource string) *store.Audit {
	entry := &store.Audit{
		Time: s.now(), Tenant: tenantOf(ctx), Actor: identity.From(ctx).ClientID, Method: method, Resource: resource,
		RequestID: identity.RequestID(ctx), Outcome: "OK",
	}
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		entry.Peer = p.Addr.String()
	}
	return entry
}

// auditSelf notes what happens without a client's request.
func (s *Service) auditSelf(tx store.Tx, tenant, actor, method, resource string) error {
	return tx.AppendAudit(&store.Audit{Time: s.now(), Tenant: tenant, Actor: actor, Method: method, Resource: resource, Outcome: "OK"})
}
