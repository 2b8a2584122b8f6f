package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/store"
)

// Compare has databases of several kinds do the same steps, chosen by a seed, and demands that each has one outcome
// everywhere and leaves the same behind: what one kind does otherwise than another is a fault of one of them.
func Compare(t *testing.T, seed uint64, steps int, kinds map[string]Prepared) {
	t.Helper()
	var sides []*side
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		p := kinds[name]
		s := &spread{stored: p.Stored, settled: p.Settled, stores: []store.Database{p.Open(), p.Open()}}
		sides = append(sides, &side{spread: s, name: name, claims: map[string]store.Claim{}})
	}
	g := &chooser{Rand: rand.New(rand.NewPCG(seed, 0)), now: noon} //nolint:gosec // a test's choices are repeatable
	var done []string
	for n := range steps {
		g.now = g.now.Add(time.Duration(g.IntN(60_000)) * time.Millisecond)
		s := g.step()
		done = append(done, s.what)
		var first []any
		for i, side := range sides {
			got := append(s.do(t.Context(), side), consentsOf(t.Context(), side)...)
			if n%stateEvery == 0 || n == steps-1 {
				got = append(got, stateOf(t, side))
			}
			if i == 0 {
				first = got
				continue
			}
			if diff := difference(got, first); diff != "" {
				t.Fatalf("seed %d, step %d: %s differs (- %s, + %s):\n%s\nfailed: %v; %v\nbefore it:\n%s",
					seed, n, s.what, sides[0].name, side.name, diff, sides[0].failed, side.failed,
					strings.Join(done[max(0, n-recalled):n], "\n"))
			}
		}
	}
}

// consentsOf reads each consent by itself, as it is kept where that is in memory.
func consentsOf(ctx context.Context, on *side) (all []any) {
	for _, tenant := range []string{hansa, stranger} {
		for n := 11; n <= 15; n++ {
			c, err := on.Consent(ctx, tenant, id(n))
			all = append(all, c, kindOf(err))
		}
	}
	return all
}

const (
	// stateEvery is after how many steps all that is stored is compared.
	stateEvery = 4
	// recalled is how many steps are told of that went before one that differs.
	recalled = 25
)

// side is one of the databases.
type side struct {
	*spread

	name string
	// claims are those that ClaimDue gave, by consent; marks are cursors that were the ends of the consents' log.
	claims map[string]store.Claim
	// claimed are all consents that ClaimDue gave, as they were then.
	claimed []*store.Consent
	marks   []store.Cursor
	// failed is the newest error that stores do not document.
	failed error
}

// step is something to be done, on each side, with what came of it.
type step struct {
	what string
	do   func(ctx context.Context, on *side) (outcome []any)
}

// chooser chooses what is done.
type chooser struct {
	*rand.Rand

	now    time.Time
	tokens int // that were made
	moment int // how often a moment of its own was given
}

// own gives a moment of its own after now, so that no order is left to chance.
func (g *chooser) own(after time.Duration) time.Time {
	g.moment++
	return g.now.Add(after + time.Duration(g.moment)*time.Microsecond)
}

// oneOf chooses a value.
func oneOf[T any](g *chooser, values ...T) T { return values[g.IntN(len(values))] }

// sometimes is true once in n times.
func (g *chooser) sometimes(n int) bool { return g.IntN(n) == 0 }

func (g *chooser) customer() string { return id(1 + g.IntN(3)) }

func (g *chooser) consent() string { return id(11 + g.IntN(5)) }

func (g *chooser) shipment() string { return id(21 + g.IntN(3)) }

func (g *chooser) provider() string { return oneOf(g, finoos, fimento) }

func (g *chooser) owner() string { return oneOf(g, "owner-1", "owner-2", "owner-3") }

func (g *chooser) key() string { return oneOf(g, "key-1", "key-2", "key-3") }

func (g *chooser) lease() store.Lease {
	return store.Lease{Owner: g.owner(), Until: g.now.Add(time.Minute)}
}

// step chooses a transaction, or work of Kontor's own.
func (g *chooser) step() step {
	if g.sometimes(4) {
		return g.work()
	}
	tenant := oneOf(g, hansa, hansa, hansa, stranger)
	var writes []oneWrite
	for range 1 + g.IntN(4) {
		writes = append(writes, g.write(tenant))
	}
	undone := g.sometimes(6)
	what := make([]string, len(writes))
	for i, w := range writes {
		what[i] = w.what
	}
	return step{
		what: fmt.Sprintf("%s undone %t: %s", tenant, undone, strings.Join(what, "; ")),
		do: func(ctx context.Context, on *side) (outcome []any) {
			settle(on.spread)
			err := on.Update(ctx, tenant, func(tx store.Tx) error {
				outcome = nil
				for _, w := range writes {
					got, err := w.do(tx, on)
					outcome = append(outcome, w.what, got, kindOf(err))
					if kindOf(err) == anotherError {
						on.failed = err
						return err
					}
				}
				if undone {
					return errUndo
				}
				return nil
			})
			return append(outcome, kindOf(err))
		},
	}
}

const anotherError = "another error"

// kindOf tells which of the errors that stores document it is.
func kindOf(err error) string {
	if err == nil {
		return ""
	}
	for _, known := range []error{
		store.ErrNotFound, store.ErrExists, store.ErrConflict, store.ErrBusy, store.ErrClaimed, store.ErrClaimLost,
		store.ErrCursor, store.ErrCursorExpired, store.ErrTenant, errUndo,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return anotherError
}

// oneWrite is one write of a transaction, of which several are chosen.
type oneWrite struct {
	what string
	do   func(tx store.Tx, on *side) (got any, err error)
}

// write chooses one.
func (g *chooser) write(tenant string) oneWrite {
	return oneOf(g, g.writeCustomer, g.writeConsent, g.writeConsent, g.writeConsent, g.writeShipment, g.writeRequest,
		g.writeRequest, g.writeToken, g.writeAudit)(tenant)
}

// plain is a write that answers an error alone.
func plain(what string, do func(tx store.Tx) error) oneWrite {
	return oneWrite{what, func(tx store.Tx, _ *side) (any, error) { return nil, do(tx) }}
}

func (g *chooser) writeCustomer(tenant string) oneWrite {
	customer, provider, now, lease := g.customer(), g.provider(), g.now, g.lease()
	reference, user := oneOf(g, "", "a", "b"), fmt.Sprintf("user-%s-%d", customer, g.IntN(2))
	row := newCustomer(tenant, 1, reference)
	row.ID, row.Users = customer, map[string]string{provider: user}
	switch g.IntN(7) {
	case 0, 1:
		return plain(fmt.Sprintf("InsertCustomer %s %q %s", customer, reference, user), func(tx store.Tx) error {
			return tx.InsertCustomer(row)
		})
	case 2:
		return plain(fmt.Sprintf("UpdateCustomer %s %q %s", customer, reference, user), func(tx store.Tx) error {
			return tx.UpdateCustomer(row)
		})
	case 3:
		return oneWrite{"DeleteCustomer " + customer, func(tx store.Tx, _ *side) (any, error) {
			return tx.DeleteCustomer(customer, many)
		}}
	case 4:
		receipt := newReceipt(tenant, customer)
		receipt.ID = customer
		return plain("PutReceipt "+customer, func(tx store.Tx) error { return tx.PutReceipt(receipt) })
	case 5:
		return plain(fmt.Sprintf("ClaimUser %s %s %s", customer, provider, lease.Owner), func(tx store.Tx) error {
			return tx.ClaimUser(customer, provider, now, lease)
		})
	}
	return plain(fmt.Sprintf("ReleaseUser %s %s %s", customer, provider, lease.Owner), func(tx store.Tx) error {
		return tx.ReleaseUser(customer, provider, lease.Owner)
	})
}

// nextEvent gives an event behind those that a consent has.
func nextEvent(tx store.Tx, consentID string, kind consentv1.ConsentEvent_Type) (consent.Event, error) {
	c, err := tx.Consent(consentID)
	if err != nil {
		return consent.Event{}, err
	}
	events, err := tx.Events(c.ID, 0, many)
	return newEvent(int64(len(events))+1, kind), err
}

func (g *chooser) writeConsent(tenant string) oneWrite {
	consentID, customer, provider, now, lease := g.consent(), g.customer(), g.provider(), g.now, g.lease()
	switch g.IntN(12) {
	case 0, 1:
		row := newConsent(tenant, 1, customer)
		row.ID, row.Provider, row.NextPoll = consentID, provider, g.own(time.Duration(g.IntN(1000))*time.Second)
		row.ProviderRef, row.Reference = fmt.Sprint("process-", g.IntN(3)), lookup(oneOf(g, "", "loan-1", "loan-2"))
		return plain(fmt.Sprintf("InsertConsent %s of %s at %s", consentID, customer, provider),
			func(tx store.Tx) error {
				// Ids are used once: what a store makes of another consent's entries is nobody's concern.
				if before, err := tx.ConsentEntries(consentID, "", 1); err != nil || len(before) > 0 {
					return cmp.Or(err, store.ErrExists)
				}
				inserted := *row
				return tx.InsertConsent(&inserted)
			})
	case 2, 3, 4:
		return g.updateConsent(consentID)
	case 5, 6, 7:
		kind := oneOf(g, consentv1.ConsentEvent_APPROVED, consentv1.ConsentEvent_SYNC_COMPLETED)
		skipped := int64(0)
		if g.sometimes(10) {
			skipped = 1
		}
		return plain(fmt.Sprintf("AppendEvent %s %s, skipping %d", consentID, kind, skipped), func(tx store.Tx) error {
			event, err := nextEvent(tx, consentID, kind)
			if err != nil {
				return err
			}
			event.Sequence += skipped
			return tx.AppendEvent(consentID, event, &consentv1.Consent{EventCount: int32(event.Sequence)})
		})
	case 8:
		return oneWrite{"DeleteConsent " + consentID, func(tx store.Tx, _ *side) (any, error) {
			event, err := nextEvent(tx, consentID, consentv1.ConsentEvent_DELETED)
			if err == nil {
				err = tx.AppendEvent(consentID, event, &consentv1.Consent{EventCount: int32(event.Sequence)})
			}
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return 0, err
			}
			return tx.DeleteConsent(consentID, many)
		}}
	case 9:
		return plain(fmt.Sprintf("ClaimFlow %s %s", consentID, lease.Owner), func(tx store.Tx) error {
			return tx.ClaimFlow(consentID, now, lease)
		})
	case 10:
		return plain(fmt.Sprintf("ReleaseFlow %s %s", consentID, lease.Owner), func(tx store.Tx) error {
			return tx.ReleaseFlow(consentID, lease.Owner)
		})
	}
	if g.sometimes(2) {
		until := now.Add(time.Duration(g.IntN(300)) * time.Second)
		return plain("PauseProvider "+provider, func(tx store.Tx) error { return tx.PauseProvider(provider, until) })
	}
	sequences := []int64{int64(g.IntN(4)), int64(g.IntN(8))}
	return plain(fmt.Sprint("SettleEvents ", consentID, sequences), func(tx store.Tx) error {
		return tx.SettleEvents(consentID, sequences)
	})
}

// updateConsent chooses how a consent changes: sometimes as one who has read an older version would change it, and
// sometimes as one who has claimed it.
func (g *chooser) updateConsent(consentID string) oneWrite {
	stale, claimed := g.sometimes(6), g.sometimes(2)
	next, status := g.own(time.Duration(g.IntN(1000))*time.Second), oneOf(g,
		consentv1.Consent_AUTHORIZED, consentv1.Consent_REVOKED, consentv1.Consent_EXPIRED)
	read, ref := oneOf(g, time.Time{}, g.now), fmt.Sprint("process-", g.IntN(3))
	what := fmt.Sprintf("UpdateConsent %s %s, stale %t, claimed %t", consentID, status, stale, claimed)
	return oneWrite{what, func(tx store.Tx, on *side) (any, error) {
		row, err := tx.Consent(consentID)
		if err != nil {
			return nil, err
		}
		row.NextPoll, row.LastRead, row.ProviderRef, row.Resource.Status = next, read, ref, status
		if claimed {
			row.Claim = on.claims[row.Tenant+consentID]
		}
		if stale {
			row.Version--
		}
		err = tx.UpdateConsent(row)
		return row.Version, err
	}}
}

func (g *chooser) writeShipment(tenant string) oneWrite {
	row := newShipment(tenant, 1, oneOf(g, "", id(1), id(2)))
	row.ID = g.shipment()
	status, stale := oneOf(g, documentsv1.Shipment_DELIVERED, documentsv1.Shipment_FAILED), g.sometimes(4)
	switch g.IntN(5) {
	case 0, 1:
		return plain(fmt.Sprintf("InsertShipment %s of %q", row.ID, row.CustomerID), func(tx store.Tx) error {
			inserted := *row
			return tx.InsertShipment(&inserted)
		})
	case 2:
		return oneWrite{fmt.Sprintf("UpdateShipment %s %s, stale %t", row.ID, status, stale),
			func(tx store.Tx, _ *side) (any, error) {
				now, err := tx.Shipment(row.ID)
				if err != nil {
					return nil, err
				}
				now.Resource.Status = status
				if stale {
					now.Version--
				}
				err = tx.UpdateShipment(now)
				return now.Version, err
			}}
	case 3:
		return plain("DeleteShipment "+row.ID, func(tx store.Tx) error { return tx.DeleteShipment(row.ID) })
	}
	return plain("AppendShipment "+row.ID, func(tx store.Tx) error {
		return tx.AppendShipment(row.ID, row.Resource)
	})
}

func (g *chooser) writeRequest(tenant string) oneWrite {
	key, owner, now, lease := g.key(), g.owner(), g.now, g.lease()
	customer, consentID, intentID := oneOf(g, "", g.customer()), oneOf(g, "", g.consent()), id(31+g.IntN(4))
	switch g.IntN(7) {
	case 0, 1:
		record := newIdempotency(tenant, "CreateConsent", key)
		record.Lease, record.CreateTime = lease, now
		return plain(fmt.Sprintf("InsertIdempotency %s %s", key, lease.Owner), func(tx store.Tx) error {
			return tx.InsertIdempotency(record)
		})
	case 2:
		record := newIdempotency(tenant, "CreateConsent", key)
		record.Lease, record.CustomerID, record.ConsentID = store.Lease{Owner: owner}, customer, consentID
		record.Response = []byte("answer")
		return plain(fmt.Sprintf("CompleteIdempotency %s %s of %q, %q", key, owner, customer, consentID),
			func(tx store.Tx) error { return tx.CompleteIdempotency(record) })
	case 3:
		return oneWrite{fmt.Sprintf("TakeOverIdempotency %s %s", key, lease.Owner),
			func(tx store.Tx, _ *side) (any, error) {
				record, err := tx.Idempotency("CreateConsent", key)
				if err == nil {
					err = tx.TakeOverIdempotency(record, lease)
				}
				return record, err
			}}
	case 4:
		return plain(fmt.Sprintf("DeleteIdempotency %s %s", key, owner), func(tx store.Tx) error {
			return tx.DeleteIdempotency("CreateConsent", key, owner)
		})
	case 5:
		intent := newIntent(tenant, 1, "consents/"+consentID)
		intent.ID, intent.Lease, intent.CreateTime, intent.CustomerID = intentID, lease, g.own(0), customer
		intent.IdempotencyMethod, intent.IdempotencyKey = "CreateConsent", key
		return plain(fmt.Sprintf("InsertIntent %s of %q for %s", intentID, customer, key), func(tx store.Tx) error {
			if _, err := tx.Intent(intentID); err == nil {
				return store.ErrExists // Ids are used once: what a store does then is nobody's concern.
			}
			return tx.InsertIntent(intent)
		})
	}
	state := oneOf(g, store.IntentDone, store.IntentFailed, store.IntentUnknown)
	return plain(fmt.Sprintf("UpdateIntent %s %s", intentID, state), func(tx store.Tx) error {
		return tx.UpdateIntent(intentID, state, now)
	})
}

func (g *chooser) writeToken(tenant string) oneWrite {
	switch g.IntN(3) {
	case 0:
		g.tokens++
		kind, resource := store.CallbackRedirect, g.consent()
		if g.sometimes(3) {
			kind, resource = store.CallbackShipment, g.shipment()
		}
		token := newCallback(tenant, kind, fmt.Sprint("token-", g.tokens), resource)
		token.ExpireTime = oneOf(g, time.Time{}, g.now.Add(time.Hour))
		return plain(fmt.Sprintf("InsertCallback %d of %s", g.tokens, resource), func(tx store.Tx) error {
			return tx.InsertCallback(token)
		})
	case 1:
		n := 1 + g.IntN(g.tokens+1)
		outcome, settled, now := oneOf(g, "success", "exit"), g.sometimes(2), g.now
		return plain(fmt.Sprintf("UpdateCallback %d %s", n, outcome), func(tx store.Tx) error {
			token, err := tx.Callback(store.CallbackRedirect, hash(fmt.Sprint("token-", n)))
			if err != nil {
				return err
			}
			token.Outcome, token.VisitTime, token.Settled = outcome, now, settled
			return tx.UpdateCallback(token)
		})
	}
	webhook := &store.Webhook{
		Key: fmt.Sprint(tenant, " webhook ", g.IntN(3)), Tenant: tenant, Provider: g.provider(),
		Registered: g.sometimes(2), UpdateTime: g.now,
	}
	return plain(fmt.Sprintf("PutWebhook %q at %s, registered %t", webhook.Key, webhook.Provider, webhook.Registered),
		func(tx store.Tx) error { return tx.PutWebhook(webhook) })
}

func (g *chooser) writeAudit(tenant string) oneWrite {
	now := g.now
	switch g.IntN(5) {
	case 0:
		return plain("SealAudit", func(tx store.Tx) error { return g.seal(tx, tenant, now) })
	case 1:
		return plain("KeepCheckpoint", func(tx store.Tx) error {
			chain, err := tx.AuditChain()
			if err != nil || chain.Head == nil {
				return err
			}
			return tx.KeepCheckpoint(chain.Head)
		})
	case 2:
		return oneWrite{"CutAudit", func(tx store.Tx, _ *side) (any, error) {
			chain, err := tx.AuditChain()
			if err != nil || chain.Checkpoint == nil {
				return nil, err
			}
			return tx.CutAudit(chain.Checkpoint, 2)
		}}
	}
	entry := newAudit(tenant, fmt.Sprint("method-", g.IntN(100)), now)
	return plain("AppendAudit", func(tx store.Tx) error {
		added := *entry
		return tx.AppendAudit(&added)
	})
}

// seal seals what a trail has that is not sealed yet.
func (g *chooser) seal(tx store.Tx, tenant string, now time.Time) error {
	chain, err := tx.AuditChain()
	if err != nil {
		return err
	}
	head := store.AuditSeal{Tenant: tenant}
	if chain.Head != nil {
		head = *chain.Head
	}
	entries, err := tx.AuditTrail(head.Position, many)
	if err != nil || len(entries) == 0 {
		return err
	}
	for i := range entries {
		head.Count++
		entries[i].Sequence, entries[i].Chain = head.Count, []byte(fmt.Sprint("chain ", head.Count))
	}
	last := entries[len(entries)-1]
	head.Position, head.Chain, head.Time, head.MAC = last.Position, last.Chain, now, []byte("mac")
	return tx.SealAudit(entries, &head)
}

// work chooses something of Kontor's own.
func (g *chooser) work() step {
	now, owner, old := g.now, g.owner(), g.now.Add(-time.Duration(g.IntN(60))*time.Minute)
	count := func(what string, do func(context.Context, store.System) (int, error)) step {
		return step{what, func(ctx context.Context, on *side) []any {
			settle(on.spread)
			n, err := do(ctx, on.System())
			return []any{n, kindOf(err)}
		}}
	}
	switch g.IntN(12) {
	case 0, 1, 2:
		return g.claimDue()
	case 3:
		if g.sometimes(4) {
			g.now = g.now.Add(-time.Hour)
			now = g.now
		}
		return step{fmt.Sprint("Beat ", now), func(ctx context.Context, on *side) []any {
			back, err := on.System().Beat(ctx, now)
			return []any{back, kindOf(err)}
		}}
	case 4:
		return count("RenewLeases "+owner, func(ctx context.Context, s store.System) (int, error) {
			return 0, s.RenewLeases(ctx, []string{owner, "nobody"}, now.Add(time.Minute))
		})
	case 5:
		return step{"ExpiredIntents", func(ctx context.Context, on *side) []any {
			found, err := on.System().ExpiredIntents(ctx, now, many) // of leases that end together any may come first
			backlog, err2 := on.System().Backlog(ctx, now)
			return []any{inOrder(found), kindOf(err), backlog, kindOf(err2)}
		}}
	case 6:
		return count("DeleteCallbacksBefore", func(ctx context.Context, s store.System) (int, error) {
			return s.DeleteCallbacksBefore(ctx, now, many)
		})
	case 7:
		what := fmt.Sprint("DeleteIdempotencyBefore ", old)
		return count(what, func(ctx context.Context, s store.System) (int, error) {
			return s.DeleteIdempotencyBefore(ctx, old, many)
		})
	case 8:
		return count(fmt.Sprint("DeleteIntentsBefore ", old), func(ctx context.Context, s store.System) (int, error) {
			return s.DeleteIntentsBefore(ctx, old, many)
		})
	case 9:
		return count("FinishErasures", func(ctx context.Context, s store.System) (int, error) {
			return s.FinishErasures(ctx, many)
		})
	case 10:
		log := oneOf(g, store.ConsentLog, store.ShipmentLog)
		return count(fmt.Sprintf("TrimLog %s %s", log, old), func(ctx context.Context, s store.System) (int, error) {
			return s.TrimLog(ctx, log, now, old, many)
		})
	}
	return g.tail()
}

// claimDue claims what is due, and keeps the claims for who updates the consents. All of an account, or nothing: which
// of those that are due since the same moment is claimed first is a store's choice, and so is their order.
func (g *chooser) claimDue() step {
	now, owner := g.now, g.owner()
	shares := []store.Share{
		{Tenant: hansa, Provider: finoos, Limit: oneOf(g, 0, many)}, {Tenant: hansa, Provider: fimento, Limit: many},
		{Tenant: stranger, Provider: fimento, Limit: oneOf(g, 0, many)},
	}
	if g.sometimes(3) {
		return step{"RenewClaims", func(ctx context.Context, on *side) []any {
			return []any{kindOf(on.System().RenewClaims(ctx, on.claimed, now.Add(2*time.Minute)))}
		}}
	}
	return step{fmt.Sprint("ClaimDue ", owner, shares), func(ctx context.Context, on *side) []any {
		found, err := on.System().ClaimDue(ctx, now, owner, time.Minute, shares)
		slices.SortFunc(found, func(a, b *store.Consent) int {
			return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.ID, b.ID))
		})
		for _, c := range found {
			on.claims[c.Tenant+c.ID] = c.Claim
			claimed := *c
			on.claimed = append(on.claimed, &claimed)
		}
		return []any{found, kindOf(err)}
	}}
}

// tail reads on from where the consents' log ended at some time, and notes where it ends.
func (g *chooser) tail() step {
	from := g.IntN(10)
	return step{fmt.Sprint("TailConsents from mark ", from), func(ctx context.Context, on *side) []any {
		settle(on.spread)
		var after store.Cursor
		if from < len(on.marks) {
			after = on.marks[len(on.marks)-1-from]
		}
		entries, err := on.System().TailConsents(ctx, after, many)
		head, err2 := on.System().Head(ctx, store.ConsentLog)
		on.marks = append(on.marks, head)
		return []any{withoutCursors(entries), kindOf(err), kindOf(err2)}
	}}
}

// withoutCursors leaves out what each database has for itself.
func withoutCursors(entries []store.ConsentEntry) []store.ConsentEntry {
	for i := range entries {
		entries[i].Cursor = ""
	}
	return entries
}

// inOrder gives intents in the order of their ids: of those that wait with one record, or whose leases end together, a
// store gives any first.
func inOrder(intents []*store.Intent) []*store.Intent {
	slices.SortFunc(intents, func(a, b *store.Intent) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.ID, b.ID))
	})
	return intents
}

// stateOf reads all that is stored, but for what each database has for itself: cursors and positions.
func stateOf(t *testing.T, on *side) (all []any) {
	t.Helper()
	for _, tenant := range []string{hansa, stranger} {
		all = append(all, readOf(t, on.spread, tenant, func(r store.Reader) ([]any, error) {
			return tenantsState(r, tenant)
		}))
	}
	trail, err := on.System().AuditTrail(t.Context(), 0, many)
	tenants, err2 := on.System().AuditTenants(t.Context())
	if err = errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	return append(all, len(trail), tenants)
}

// tenantsState is what a tenant's reader finds.
func tenantsState(r store.Reader, tenant string) (all []any, err error) {
	keep := func(what string, found any, e error) {
		if e != nil && kindOf(e) == anotherError {
			err = errors.Join(err, fmt.Errorf("%s: %w", what, e))
		}
		all = append(all, what, found, kindOf(e))
	}
	s, e := dump(r, tenant)
	if e != nil {
		return nil, e
	}
	s.Heads, s.OpenIntents = [2]store.Cursor{}, inOrder(s.OpenIntents)
	withoutCursors(s.ConsentEntries)
	for i := range s.ShipmentEntries {
		s.ShipmentEntries[i].Cursor = ""
	}
	for i := range s.Audit {
		s.Audit[i].Position = 0
	}
	for i := range s.Checkpoints {
		s.Checkpoints[i].Position = 0
	}
	for _, seal := range []*store.AuditSeal{s.AuditChain.Head, s.AuditChain.Cut, s.AuditChain.Checkpoint} {
		if seal != nil {
			seal.Position = 0
		}
	}
	all = append(all, s)
	for n := 1; n <= 3; n++ {
		receipt, e := r.Receipt(id(n))
		keep("receipt", receipt, e)
		owned, e := r.Consents(store.ConsentFilter{CustomerID: id(n)}, store.Page{After: id(12), Size: 2})
		keep("consents of a customer", owned, e)
	}
	for n := 11; n <= 15; n++ {
		events, e := r.Events(id(n), 0, many)
		keep("events", events, e)
		unsettled, e := r.UnsettledEvents(id(n))
		keep("unsettled events", unsettled, e)
		known, e := r.KnownEvents(id(n), []string{"key-1", "key-3", "key-9"})
		keep("known events", known, e)
		claim, e := r.FlowClaim(id(n))
		keep("flow claim", claim, e)
		others, e := r.OthersRead(fimento, id(n), noon)
		keep("others read", others, e)
		entries, e := r.ConsentEntries(id(n), "", 3)
		keep("entries", withoutCursors(entries), e)
	}
	byRef, e := r.ConsentsByProviderRef(fimento, []string{"process-0", "process-2"})
	keep("consents by reference at the provider", byRef, e)
	revoked, e := r.Consents(store.ConsentFilter{
		Provider: finoos, Reference: lookup("loan-1"),
		Statuses: []consentv1.Consent_Status{consentv1.Consent_REVOKED, consentv1.Consent_EXPIRED},
	}, store.Page{Size: many})
	keep("some consents", revoked, e)
	for n := 31; n <= 34; n++ {
		intent, e := r.Intent(id(n))
		keep("intent", intent, e)
	}
	for _, key := range []string{"key-1", "key-2", "key-3"} {
		record, e := r.Idempotency("CreateConsent", key)
		keep("record", record, e)
		open, e := r.OpenIntents("CreateConsent", key)
		keep("open intents", inOrder(open), e)
	}
	for n := range 3 {
		webhook, e := r.Webhook(fmt.Sprint(tenant, " webhook ", n))
		keep("webhook", webhook, e)
	}
	return all, err
}
