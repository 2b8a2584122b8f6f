package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

const (
	// sealDelay is how long entries wait for others to be sealed with.
	sealDelay = time.Second
	// sealEvery is how often the sealer looks for entries that it was not told of: of processes that died.
	sealEvery = 30 * time.Second
	// sealBatch bounds how many entries one transaction seals or removes.
	sealBatch = 200
	// checkpointEvery is how often a tenant's chain gets a checkpoint while it grows.
	checkpointEvery = time.Minute
	// lastPass bounds what a process that stops still does.
	lastPass = 5 * time.Second
	// complainEvery is how often the log says that a chain is broken.
	complainEvery = 10 * time.Minute
)

// Sealer chains the entries of the audit trail, keeps checkpoints of the chains, and removes what is older than the
// retention. Several processes that share a store may each run one: what one of them sealed, the others find.
type Sealer struct {
	// Store is the one below service.Store, which would take a broken chain for a failure of the store.
	Store store.Store
	// Tenants lists whose trails there are.
	Tenants interface {
		AuditTenants(ctx context.Context) ([]string, error)
	}
	MAC   MAC
	Clock service.Clock
	Log   *slog.Logger
	// Noted wakes the sealer soon after entries were committed: see Trail.Noted. May be nil.
	Noted <-chan struct{}
	// Retention is how old entries become; zero for ever.
	Retention time.Duration
	// Broken is told, now and then, that a chain is broken. May be nil.
	Broken func()

	complained map[string]time.Time
}

// Run seals until the context ends, and then once more. It has no part in what is noted: end it after all who note.
func (s *Sealer) Run(ctx context.Context) {
	ticker := time.NewTicker(sealEvery)
	defer ticker.Stop()
	for {
		if err := s.Seal(ctx, false); err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "the audit was not sealed", "error", err.Error())
		}
		select {
		case <-s.Noted:
			select {
			case <-time.After(sealDelay):
			case <-ctx.Done():
			}
		case <-ticker.C:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastPass)
	defer cancel()
	if err := s.Seal(ctx, true); err != nil {
		s.Log.WarnContext(ctx, "the audit was not sealed", "error", err.Error())
	}
}

// Seal seals all entries that there are, and removes those that are too old. With last, each chain that has grown gets
// a checkpoint, whenever the last one was made, and what is too old is left to the next process. Tenants take turns, so
// that none waits for all of another's work.
func (s *Sealer) Seal(ctx context.Context, last bool) error {
	tenants, err := s.Tenants.AuditTenants(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for len(tenants) > 0 {
		tenants = slices.DeleteFunc(tenants, func(tenant string) bool {
			idle, err := s.sealTenant(ctx, tenant, last)
			if err != nil {
				errs = append(errs, fmt.Errorf("tenant %s: %w", tenant, err))
			}
			return idle || err != nil
		})
	}
	return errors.Join(errs...)
}

// brokenError says that what the store has of a chain was not made by a sealer.
type brokenError struct{ Fault }

func (e *brokenError) Error() string { return e.String() }

func broken(position int64, what string) error { return &brokenError{Fault{position, what}} }

// sealTenant does what one transaction takes of what is to be done, and tells whether there was nothing.
func (s *Sealer) sealTenant(ctx context.Context, tenant string, last bool) (idle bool, err error) {
	var done work
	err = s.Store.View(ctx, tenant, func(r store.Reader) (err error) {
		done, err = s.look(r, tenant, last)
		return err
	})
	if err == nil && done.any() {
		err = s.Store.Update(ctx, tenant, func(tx store.Tx) (err error) {
			// Another sealer may have been at work meanwhile.
			if done, err = s.look(tx, tenant, last); err != nil {
				return err
			}
			return done.write(tx)
		})
	}
	if fault, ok := errors.AsType[*brokenError](err); ok {
		s.complain(ctx, tenant, &fault.Fault)
		return true, nil // Nothing is sealed on top of it, and calls go on.
	}
	if err != nil {
		return false, err
	}
	if done.checkpoint != nil {
		s.Log.InfoContext(ctx, "audit checkpoint", "tenant", tenant, "position", done.checkpoint.Position,
			"count", done.checkpoint.Count, "checkpoint", CheckpointOf(done.checkpoint).String())
	}
	return !done.any(), nil
}

// work is what is to be done about one tenant's trail in one transaction.
type work struct {
	// entries are to be sealed, up to head.
	entries []store.Audit
	head    *store.AuditSeal
	// roll is to be put in place of rollBefore when the tenant's first entries are sealed; nil for none.
	roll, rollBefore *store.AuditRoll
	// checkpoint is to be kept; nil for none.
	checkpoint *store.AuditSeal
	// cut is where to remove entries; nil for nowhere.
	cut *store.AuditSeal
}

func (w work) any() bool { return len(w.entries) > 0 || w.checkpoint != nil || w.cut != nil }

func (w work) write(tx store.Tx) error {
	if w.roll != nil {
		if err := tx.KeepAuditRoll(w.rollBefore, w.roll); err != nil {
			return err
		}
	}
	if len(w.entries) > 0 {
		if err := tx.SealAudit(w.entries, w.head); err != nil {
			return err
		}
	}
	if w.checkpoint != nil {
		if err := tx.KeepCheckpoint(w.checkpoint); err != nil {
			return err
		}
	}
	if w.cut != nil {
		if _, err := tx.CutAudit(w.cut, sealBatch); err != nil {
			return err
		}
	}
	return nil
}

// look finds what is to be done. What it builds on must be genuine: a seal that was set back or made up would let
// entries vanish under a chain that looks whole.
func (s *Sealer) look(r store.Reader, tenant string, last bool) (w work, err error) {
	chain, err := r.AuditChain()
	if err != nil {
		return w, err
	}
	if err := s.check(chain); err != nil {
		return w, err
	}
	now, at := s.Clock.Now(), placeOf(chain.Head)
	entries, err := r.AuditTrail(at.position, sealBatch)
	if err != nil {
		return w, err
	}
	for i := range entries {
		e := &entries[i]
		if e.Chain != nil || e.Sequence != 0 {
			return w, broken(e.Position, "is sealed, and stands behind the end of what was sealed")
		}
		at = at.next(s.MAC, e)
		e.Sequence, e.Chain = at.sequence, at.chain
	}
	w.entries, w.head = entries, chain.Head
	if len(entries) > 0 {
		w.head = at.seal(s.MAC, tenant, now)
	}
	if len(entries) > 0 && chain.Head == nil {
		if w.rollBefore, err = r.AuditRoll(); err != nil {
			return w, err
		}
		if err := s.checkRoll(w.rollBefore, tenant); err != nil {
			return w, err
		}
		w.roll = w.rollBefore.With(s.MAC, tenant)
	}
	if len(entries) < sealBatch && w.head != nil && s.due(chain, w.head, now, last) {
		w.checkpoint = checkpointAt(s.MAC, w.head)
	}
	if !last {
		w.cut, err = s.tooOld(r, chain, now)
	}
	return w, err
}

// check tells what of a chain's seals was not made by a sealer.
func (s *Sealer) check(chain store.AuditChain) error {
	switch {
	case chain.Head == nil && chain.Checkpoint == nil && chain.Cut == nil:
		return nil // Nothing was sealed yet.
	case chain.Head == nil:
		return broken(0, "has the seal, which is missing")
	case !genuine(s.MAC, labelSeal, chain.Head):
		return broken(chain.Head.Position, "has the seal, which was changed")
	case chain.Cut != nil && !genuine(s.MAC, labelCut, chain.Cut):
		return broken(chain.Cut.Position, "ends what was removed, and was changed")
	case chain.Checkpoint != nil && !genuine(s.MAC, labelCheckpoint, chain.Checkpoint):
		return broken(chain.Checkpoint.Position, "has a checkpoint, which was changed")
	case chain.Checkpoint != nil && chain.Checkpoint.Position > chain.Head.Position,
		chain.Cut != nil && chain.Cut.Position > chain.Head.Position:
		return broken(chain.Head.Position, "has the seal, which was set back")
	}
	return nil
}

// checkRoll tells why a tenant without a seal cannot be one whose first entries are to be sealed.
func (s *Sealer) checkRoll(roll *store.AuditRoll, tenant string) error {
	switch {
	case roll == nil:
		return broken(0, rollMissing)
	case !roll.Genuine(s.MAC):
		return broken(0, rollChanged)
	case roll.Has(tenant):
		return broken(0, allTakenOut)
	}
	return nil
}

// due tells whether a chain needs a checkpoint.
func (s *Sealer) due(chain store.AuditChain, head *store.AuditSeal, now time.Time, last bool) bool {
	if chain.Checkpoint == nil {
		return chain.Cut == nil || head.Position > chain.Cut.Position
	}
	return head.Position > chain.Checkpoint.Position &&
		(last || now.Sub(chain.Checkpoint.Time).Abs() >= checkpointEvery)
}

// tooOld gives the seal up to which entries are to be removed, nil for none. A checkpoint is younger than all entries
// before it.
func (s *Sealer) tooOld(r store.Reader, chain store.AuditChain, now time.Time) (*store.AuditSeal, error) {
	cut := chain.Cut
	if s.Retention > 0 {
		checkpoint, err := r.AuditCheckpointBefore(now.Add(-s.Retention))
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return nil, err
		case cut == nil || checkpoint.Position > cut.Position:
			if !genuine(s.MAC, labelCheckpoint, checkpoint) {
				return nil, broken(checkpoint.Position, "has a checkpoint, which was changed")
			}
			cut = cutAt(s.MAC, checkpoint)
		}
	}
	if cut == nil || cut != chain.Cut {
		return cut, nil
	}
	// What was to be removed may not all be: it goes in chunks.
	first, err := r.AuditTrail(0, 1)
	if err != nil || len(first) == 0 || first[0].Position > cut.Position {
		return nil, err
	}
	return cut, nil
}

// complain says that a chain is broken, now and then.
func (s *Sealer) complain(ctx context.Context, tenant string, fault *Fault) {
	now := s.Clock.Now()
	if now.Sub(s.complained[tenant]).Abs() < complainEvery {
		return
	}
	if s.complained == nil {
		s.complained = map[string]time.Time{}
	}
	s.complained[tenant] = now
	if s.Broken != nil {
		s.Broken()
	}
	s.Log.ErrorContext(ctx, "the audit trail was changed, and is no longer sealed; run gateway audit verify",
		"tenant", tenant, "position", fault.Position, "what", fault.What)
}
