// Package audit writes the audit trail: who did what to which resource, when, from where and with which
// outcome. Entries of what changes the store stand in the transaction of the change; failed calls share transactions
// of their own, and a refusal that a client meets again and again is counted.
//
// # The chain
//
// Entries are committed as they are. The Sealer comes soon after them and gives each entry of a tenant, in the order of
// positions, a chain value: a keyed hash of the entry and the chain value before it. So an entry that is changed, taken
// out, put in or moved no longer fits, and who has no key can make nothing that does. The seal, a keyed hash too, says
// where the sealed part ends. A roll of all tenants tells when all that was a tenant's was taken out.
// Everything can be set back together, by who has an older state of it: that shows only against a checkpoint that was
// written down elsewhere. The sealer keeps checkpoints in the store and writes each to the log, and exports have them.
//
// Retention removes entries from the beginning up to a checkpoint, and leaves a seal that says so.
package audit

import (
	"context"
	"log/slog"
	"regexp"
	"strings"

	"kontor.dev/kontor/internal/identity"
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
	// Noted receives soon after entries were committed, possibly once for several: the Sealer waits for it. May be nil.
	Noted chan struct{}
	// Gap is told when entries are missing. May be nil.
	Gap func()

	// failures and reads are entries that stand in no other transaction. They wait apart: a flood of failures delays no
	// read.
	failures, reads lines
	groups          groups
}

// missing notes that entries are missing.
func (t *Trail) missing() {
	if t.Gap != nil {
		t.Gap()
	}
}

// tell tells the sealer.
func (t *Trail) tell() {
	select {
	case t.Noted <- struct{}{}:
	default:
	}
}

// Note notes in a transaction what the caller does in it.
func (t *Trail) Note(ctx context.Context, tx store.Tx, method, resource string) error {
	return t.NoteOutcome(ctx, tx, method, resource, OK)
}

// NoteWhole is Note for a resource with a provider's own id in its name that was found there: it is recorded whole.
func (t *Trail) NoteWhole(ctx context.Context, tx store.Tx, method, resource string) error {
	e := t.entry(ctx, method, resource, OK)
	e.Resource = resource
	return t.write(ctx, tx, e)
}

// NoteOutcome notes what a transaction stores about a change that did not go well.
func (t *Trail) NoteOutcome(ctx context.Context, tx store.Tx, method, resource, outcome string) error {
	return t.write(ctx, tx, t.entry(ctx, method, resource, outcome))
}

// write adds an entry. One whose transaction fails is missing: then the call's failure is still to be noted.
func (t *Trail) write(ctx context.Context, tx store.Tx, e store.Audit) error {
	service.Durable(tx, func() {
		identity.TrailOf(ctx).Note(e.Outcome)
		t.tell()
	})
	return tx.AppendAudit(&e)
}

// entry is about what the caller does.
func (t *Trail) entry(ctx context.Context, method, resource, outcome string) store.Audit {
	return store.Audit{
		Time: t.Clock.Now(), Tenant: service.TenantOf(ctx), Actor: identity.From(ctx).ClientID, Method: method,
		Resource: recordable(resource), Peer: identity.Peer(ctx),
		RequestID: identity.RequestID(ctx), Outcome: outcome,
	}
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

// NoteAlone notes what changes nothing in the store, such as a change at the provider only; for reads of bank data see
// Beside. When a provider was asked to change something and the entry could not be written, the store
// answers OUTCOME_UNKNOWN: see service.Store.Translate.
func (t *Trail) NoteAlone(ctx context.Context, method, resource string) error {
	return t.Store.Update(ctx, service.TenantOf(ctx), func(tx store.Tx) error {
		return t.Note(ctx, tx, method, resource)
	})
}

// NoteSelf notes what happens without a client's request.
func (t *Trail) NoteSelf(tx store.Tx, tenant, actor, method, resource string) error {
	service.Durable(tx, t.tell)
	return tx.AppendAudit(&store.Audit{
		Time: t.Clock.Now(), Tenant: tenant, Actor: actor, Method: method, Resource: resource, Outcome: OK,
	})
}
