// Package audit writes the audit trail: who did what to which resource, when, from where and with which
// outcome. Entries of what changes the store stand in the transaction of the change.
package audit

import (
	"context"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// Actors other than clients.
const (
	Kontor   = "kontor"
	Customer = "customer"
)

// OK is the outcome of what went well; any other is a reason.
const OK = "OK"

// Trail writes entries.
type Trail struct {
	Store *service.Store
	Clock service.Clock
	Log   *slog.Logger
}

// failureTimeout bounds how long a failed call waits for its entry.
const failureTimeout = 5 * time.Second

// Note notes in a transaction what the caller does in it.
func (t *Trail) Note(ctx context.Context, tx store.Tx, method, resource string) error {
	return t.NoteOutcome(ctx, tx, method, resource, OK)
}

// NoteOutcome notes what a transaction stores about a change that did not go well.
func (t *Trail) NoteOutcome(ctx context.Context, tx store.Tx, method, resource, outcome string) error {
	// An entry whose transaction fails is missing: then the call's failure is still to be noted.
	service.Durable(tx, func() { identity.TrailOf(ctx).Note(outcome) })
	return tx.AppendAudit(&store.Audit{
		Time: t.Clock.Now(), Tenant: service.TenantOf(ctx), Actor: identity.From(ctx).ClientID, Method: method,
		Resource: recordable(resource), Peer: identity.Peer(ctx),
		RequestID: identity.RequestID(ctx), Outcome: outcome,
	})
}

var (
	// madeID is what ids of Kontor's making look like, and "-", which stands for all.
	madeID = regexp.MustCompile(`^(-|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[a-z2-7]{24})$`)
	// givenID is what ids of providers, and those that providers give to partner banks, look like.
	givenID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
)

// recordable gives as much of a resource name as may stand in the audit. A name comes from the caller: what
// is not of the form that Kontor gives out could be anything, such as an IBAN, and a failed call is recorded
// all the same.
func recordable(name string) string {
	segments, kept := strings.Split(name, "/"), 0
	for ; kept+1 < len(segments); kept += 2 {
		form := madeID
		if segments[kept] == "providers" || segments[kept] == "partnerBanks" {
			form = givenID
		}
		if !form.MatchString(segments[kept+1]) {
			break
		}
	}
	return strings.Join(segments[:kept], "/")
}

// NoteAlone notes what changes nothing in the store: a read of bank data, before the data leaves, or a change
// at the provider only.
func (t *Trail) NoteAlone(ctx context.Context, method, resource string) error {
	return t.Store.Update(ctx, service.TenantOf(ctx), func(tx store.Tx) error {
		return t.Note(ctx, tx, method, resource)
	})
}

// NoteSelf notes what happens without a client's request.
func (t *Trail) NoteSelf(tx store.Tx, tenant, actor, method, resource string) error {
	return tx.AppendAudit(&store.Audit{
		Time: t.Clock.Now(), Tenant: tenant, Actor: actor, Method: method, Resource: resource, Outcome: OK,
	})
}

// Failure notes a call that was refused or failed. What went well is noted by the services themselves, in the
// transaction that it belongs to, and so is a failure that changed something: that is not noted twice.
func (t *Trail) Failure(ctx context.Context, method, resource string, failure error) {
	outcome := kerr.Reason(failure).String()
	if identity.TrailOf(ctx).Has(outcome) {
		return
	}
	if resource == "" {
		resource = kerr.Metadata(failure)["shipment"] // of unknown outcome
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), failureTimeout)
	defer cancel()
	err := t.Store.Update(ctx, service.TenantOf(ctx), func(tx store.Tx) error {
		return t.NoteOutcome(ctx, tx, method, resource, outcome)
	})
	if err != nil {
		t.Log.ErrorContext(ctx, "a failed call is missing in the audit", "method", method, "outcome", outcome,
			"error", err.Error(), "request_id", identity.RequestID(ctx))
	}
}
