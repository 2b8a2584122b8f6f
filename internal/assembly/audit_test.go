package assembly_test

import (
	"testing"
	"testing/synctest"
	"time"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/store"
)

// TestAuditAtAStop stops while refusals are counted and entries wait to be sealed: nothing is missing, all is sealed,
// and there is a checkpoint at the end.
func TestAuditAtAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t)
		p.Create(t)
		refused := kerr.New(errorv1.Error_SCOPE_MISSING, "no")
		const refusals = 50
		for range refusals {
			_ = p.Audit.Failure(identity.WithTrail(p.Ctx), "RevokeConsent", "", refused)
		}
		p.Stop()
		var counted int64
		err := p.Database().View(t.Context(), "default", func(r store.Reader) error {
			chain, err := r.AuditChain()
			if err != nil {
				return err
			}
			entries, err := r.AuditTrail(0, 1000)
			for _, e := range entries {
				if e.Chain == nil {
					t.Errorf("not sealed: %+v", e)
				}
				if e.Outcome == "SCOPE_MISSING" {
					counted += max(e.Count, 1)
				}
			}
			last := entries[len(entries)-1].Position
			if chain.Head.Position != last || chain.Checkpoint == nil || chain.Checkpoint.Position != last {
				t.Errorf("the last entry is at %d, and the chain %+v", last, chain)
			}
			return err
		})
		if err != nil || counted != refusals {
			t.Errorf("%d of %d refusals are in the audit, %v", counted, refusals, err)
		}
	})
}

// TestAuditIsSealedSoon has a consent made, and looks two seconds later, and in another process, which sealed nothing
// of its own.
func TestAuditIsSealedSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t)
		other := p.Beside(t)
		synctest.Wait() // the sealers have looked, and look again in a second
		unsealed := func() (n int) {
			t.Helper()
			err := other.Database().View(t.Context(), "default", func(r store.Reader) error {
				entries, err := r.AuditTrail(0, 1000)
				if len(entries) == 0 {
					t.Error("there are no entries")
				}
				for _, e := range entries {
					if e.Chain == nil {
						n++
					}
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		p.Create(t)
		if unsealed() == 0 {
			t.Error("entries are sealed one by one")
		}
		assemblytest.Pass(2 * time.Second)
		if n := unsealed(); n != 0 {
			t.Errorf("%d entries are not sealed", n)
		}
		// A process that dies leaves its entries to the others.
		dying := p.Dying(t)
		dying.Create(t)
		assemblytest.Pass(31 * time.Second)
		if n := unsealed(); n != 0 {
			t.Errorf("%d entries of a process that died are not sealed", n)
		}
	})
}
