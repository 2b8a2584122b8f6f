package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"kontor.dev/kontor/internal/store"
)

// newSeal is one that ends at a position.
func newSeal(tenant string, position int64) *store.AuditSeal {
	return &store.AuditSeal{
		Tenant: tenant, Position: position, Count: position, Chain: []byte("chain"),
		Time: noon.Add(time.Duration(position) * time.Microsecond), MAC: []byte("mac"),
	}
}

// sealAudit seals all entries of the transaction's tenant.
func sealAudit(tx store.Tx, tenant string) error {
	entries, err := tx.AuditTrail(0, many)
	if err != nil || len(entries) == 0 {
		return err
	}
	for i := range entries {
		entries[i].Sequence, entries[i].Chain = int64(i)+1, []byte(fmt.Sprint("chain ", i))
	}
	return tx.SealAudit(entries, newSeal(tenant, entries[len(entries)-1].Position))
}

// appendAudit adds entries of one tenant, each in a transaction of its own.
func appendAudit(t *testing.T, s store.Store, tenant string, n int) {
	t.Helper()
	for range n {
		updateOf(t, s, tenant, func(tx store.Tx) error { return tx.AppendAudit(newAudit(tenant, "m", noon)) })
	}
}

// trailOf reads a tenant's trail.
func trailOf(t *testing.T, s store.Store, tenant string) []store.Audit {
	t.Helper()
	return readOf(t, s, tenant, func(r store.Reader) ([]store.Audit, error) { return r.AuditTrail(0, many) })
}

func testAudit(t *testing.T, s *spread) {
	var want []store.Audit
	for n := range 6 {
		entry := newAudit([]string{hansa, stranger}[n%2], fmt.Sprintf("Method%d", n),
			noon.Add(time.Duration(-n)*time.Minute)) // The order is not that of time.
		updateOf(t, s, entry.Tenant, func(tx store.Tx) error { return tx.AppendAudit(entry) })
		want = append(want, *entry)
	}
	trail := func(tenant string, after int64, limit int) []store.Audit {
		t.Helper()
		if tenant != "" {
			return readOf(t, s, tenant,
				func(r store.Reader) ([]store.Audit, error) { return r.AuditTrail(after, limit) })
		}
		entries, err := s.System().AuditTrail(t.Context(), after, limit)
		if err != nil {
			t.Fatal(err)
		}
		return entries
	}
	all := trail("", 0, 100)
	if len(all) != len(want) {
		t.Fatalf("the trail has %d entries, want %d", len(all), len(want))
	}
	for i := range all {
		if all[i].Position <= 0 || i > 0 && all[i].Position <= all[i-1].Position {
			t.Errorf("entry %d has position %d", i, all[i].Position)
		}
		want[i].Position = all[i].Position
	}
	wantEqual(t, "the trail", all, want)
	wantEqual(t, "a tenant's trail", trail(hansa, 0, 100), []store.Audit{want[0], want[2], want[4]})
	wantEqual(t, "a tenant's trail behind a position, one", trail(hansa, want[0].Position, 1), want[2:3])
	wantEqual(t, "the trail behind a position, two", trail("", want[1].Position, 2), want[2:4])
	wantEqual(t, "the trail, none asked for", trail("", 0, 0), nil)

	counted := newAudit(hansa, "CreateConsent", noon)
	counted.Count, counted.FirstTime, counted.Outcome = 9990, noon.Add(-time.Minute), "SCOPE_MISSING"
	update(t, s, func(tx store.Tx) error { return tx.AppendAudit(counted) })
	added := trail("", want[5].Position, 100)
	if len(added) != 1 {
		t.Fatalf("behind the former last position there are %d new entries, want 1", len(added))
	}
	counted.Position = added[0].Position
	wantEqual(t, "an entry that counts", added[0], *counted)

	before := func(position int64) (*store.Audit, error) {
		return read(t, s, func(r store.Reader) (*store.Audit, error) { return r.AuditBefore(position) }), nil
	}
	for _, position := range []int64{want[2].Position, want[3].Position} { // the second is another tenant's
		if got, _ := before(position); got.Position != want[2].Position {
			t.Errorf("up to %d the last entry is at %d, want %d", position, got.Position, want[2].Position)
		}
	}
	wantError(t, "before the first", readError(t, s, func(r store.Reader) (*store.Audit, error) {
		return r.AuditBefore(want[0].Position - 1)
	}), store.ErrNotFound)
}

// testAuditRoll changes the roll, which is there from the beginning.
func testAuditRoll(t *testing.T, s *spread) {
	first := read(t, s, store.Reader.AuditRoll)
	if first == nil || len(first.Tenants) != 0 || !first.Genuine(s.Keys()) {
		t.Fatalf("the first roll is %+v", first)
	}
	one := first.With(s.Keys(), stranger)
	two := one.With(s.Keys(), hansa)
	keep := func(before, now *store.AuditRoll) (err error) {
		update(t, s, func(tx store.Tx) error {
			err = tx.KeepAuditRoll(before, now)
			return nil // Whatever it answers, what it did is committed.
		})
		return err
	}
	wantError(t, "one", keep(first, one), nil)
	wantError(t, "two", keep(one, two), nil)
	wantError(t, "in the place of one that is gone", keep(one, first), store.ErrConflict)
	got := readOf(t, s, stranger, store.Reader.AuditRoll)
	wantEqual(t, "the roll", got, two)
	if !got.Genuine(s.Keys()) || !got.Has(hansa) || !got.Has(stranger) || got.Has("nobody") {
		t.Errorf("the roll is %+v", got)
	}
	got.Tenants = got.Tenants[:1]
	if got.Genuine(s.Keys()) {
		t.Error("a roll of which a name was taken off is genuine")
	}
}

// testAuditSeals seals entries, and refuses to seal one twice or one that is not there.
func testAuditSeals(t *testing.T, s *spread) {
	chain := func(tenant string) store.AuditChain {
		return readOf(t, s, tenant, store.Reader.AuditChain)
	}
	wantEqual(t, "the chain of nothing", chain(hansa), store.AuditChain{})
	appendAudit(t, s, hansa, 3)
	appendAudit(t, s, stranger, 1)
	if tenants, err := s.System().AuditTenants(t.Context()); err != nil || len(tenants) != 2 ||
		tenants[0] != hansa || tenants[1] != stranger {
		t.Errorf("the tenants are %v, %v", tenants, err)
	}
	entries := trailOf(t, s, hansa)
	for i := range entries {
		if entries[i].Sequence != 0 || entries[i].Chain != nil {
			t.Errorf("a new entry is sealed: %+v", entries[i])
		}
		entries[i].Sequence, entries[i].Chain = int64(i)+1, []byte{byte(i)}
	}
	seal := func(entries []store.Audit, head *store.AuditSeal) (err error) {
		update(t, s, func(tx store.Tx) error {
			err = tx.SealAudit(entries, head)
			return nil // Whatever it answers, what it did is committed.
		})
		return err
	}
	head := newSeal(hansa, entries[1].Position)
	wantError(t, "two entries", seal(entries[:2], head), nil)
	wantEqual(t, "the trail", trailOf(t, s, hansa)[:2], entries[:2])
	wantEqual(t, "the chain", chain(hansa), store.AuditChain{Head: head})
	wantEqual(t, "another tenant's chain", chain(stranger), store.AuditChain{})

	sealed := append([]store.Audit{}, trailOf(t, s, hansa)...)
	missing, foreign := entries[2], trailOf(t, s, stranger)[0]
	missing.Position, foreign.Tenant = entries[2].Position+100, hansa
	for name, other := range map[string][]store.Audit{
		"one that is sealed":    {entries[2], entries[1]},
		"one that is not there": {entries[2], missing},
		"another tenant's":      {entries[2], foreign},
	} {
		wantError(t, name, seal(other, newSeal(hansa, 99)), store.ErrConflict)
		wantEqual(t, "the trail after "+name, trailOf(t, s, hansa), sealed)
		wantEqual(t, "the chain after "+name, chain(hansa), store.AuditChain{Head: head})
	}
	head = newSeal(hansa, entries[2].Position)
	wantError(t, "the rest", seal(entries[2:], head), nil)
	wantEqual(t, "the trail", trailOf(t, s, hansa), entries)
	wantEqual(t, "the chain", chain(hansa), store.AuditChain{Head: head})
}

// testAuditCheckpoints keeps checkpoints and cuts at one.
func testAuditCheckpoints(t *testing.T, s *spread) {
	appendAudit(t, s, hansa, 6)
	appendAudit(t, s, stranger, 2)
	update(t, s, func(tx store.Tx) error { return sealAudit(tx, hansa) })
	updateOf(t, s, stranger, func(tx store.Tx) error { return sealAudit(tx, stranger) })
	entries, others := trailOf(t, s, hansa), trailOf(t, s, stranger)
	var kept []store.AuditSeal
	for _, i := range []int{0, 1, 3, 5} {
		checkpoint := newSeal(hansa, entries[i].Position)
		update(t, s, func(tx store.Tx) error { return tx.KeepCheckpoint(checkpoint) })
		kept = append(kept, *checkpoint)
	}
	update(t, s, func(tx store.Tx) error {
		wantError(t, "a second one at a position", tx.KeepCheckpoint(&kept[1]), store.ErrExists)
		return nil
	})
	list := func(tenant string, after int64, limit int) []store.AuditSeal {
		return readOf(t, s, tenant, func(r store.Reader) ([]store.AuditSeal, error) {
			return r.AuditCheckpoints(after, limit)
		})
	}
	before := func(at time.Time) *store.AuditSeal {
		return read(t, s, func(r store.Reader) (*store.AuditSeal, error) { return r.AuditCheckpointBefore(at) })
	}
	wantEqual(t, "the checkpoints", list(hansa, 0, many), kept)
	wantEqual(t, "those behind a position, one", list(hansa, kept[0].Position, 1), kept[1:2])
	wantEqual(t, "another tenant's", list(stranger, 0, many), nil)
	wantEqual(t, "the newest before a time", before(kept[2].Time.Add(time.Microsecond)), &kept[2])
	wantEqual(t, "the newest before its time", before(kept[2].Time), &kept[1])
	wantError(t, "before all", readError(t, s, func(r store.Reader) (*store.AuditSeal, error) {
		return r.AuditCheckpointBefore(kept[0].Time)
	}), store.ErrNotFound)
	wantEqual(t, "the newest", read(t, s, store.Reader.AuditChain).Checkpoint, &kept[3])

	// Four entries, three at a time.
	cut := func(at *store.AuditSeal, limit int) (n int, err error) {
		update(t, s, func(tx store.Tx) error {
			n, err = tx.CutAudit(at, limit)
			return nil
		})
		return n, err
	}
	for _, want := range []int{3, 1, 0} {
		if n, err := cut(&kept[2], 3); n != want || err != nil {
			t.Errorf("%d were removed (%v), want %d", n, err, want)
		}
		wantEqual(t, "the cut", read(t, s, store.Reader.AuditChain).Cut, &kept[2])
	}
	_, err := cut(&kept[1], many)
	wantError(t, "a cut that goes back", err, store.ErrConflict)
	wantEqual(t, "what is left", trailOf(t, s, hansa), entries[4:])
	wantEqual(t, "the checkpoints that are left", list(hansa, 0, many), kept[3:])
	wantEqual(t, "what another tenant has", trailOf(t, s, stranger), others)
	if n, err := cut(&kept[3], many); n != 2 || err != nil {
		t.Errorf("%d were removed (%v), want 2", n, err)
	}
	chain := read(t, s, store.Reader.AuditChain)
	if chain.Head == nil || chain.Cut == nil || chain.Checkpoint != nil {
		t.Errorf("after a cut at the end the chain is %+v", chain)
	}
	if tenants, err := s.System().AuditTenants(t.Context()); err != nil || len(tenants) != 2 {
		t.Errorf("the tenants are %v, %v; one has a chain and no entries", tenants, err)
	}
	appendAudit(t, s, hansa, 1)
	if after := trailOf(t, s, hansa); len(after) != 1 || after[0].Position <= others[1].Position {
		t.Errorf("after the cut there is %+v: a position was given twice", after)
	}
}

// testAuditOrder has transactions append and then dally, while others that began later append and commit, as far as
// the store lets them: who has seen an entry has seen all of the tenant's before it.
func testAuditOrder(t *testing.T, s *spread) {
	const rounds, others = 12, 2
	const dally = 20 * time.Millisecond
	finished := make(chan struct{})
	var reader, group sync.WaitGroup
	var seen []store.Audit
	reader.Go(func() {
		for last, after := false, int64(0); ; {
			var page []store.Audit
			err := s.View(t.Context(), hansa, func(r store.Reader) (err error) {
				page, err = r.AuditTrail(after, many)
				return err
			})
			if err != nil {
				t.Errorf("View: %v", err)
				return
			}
			for _, e := range page {
				seen, after = append(seen, e), e.Position
			}
			if last {
				return
			}
			select {
			case <-finished:
				last = true
			default:
			}
		}
	})
	for range rounds {
		appended, committed := make(chan struct{}, many), make(chan struct{})
		var quick sync.WaitGroup
		write := func(method string, after func()) {
			if err := s.Update(t.Context(), hansa, func(tx store.Tx) error {
				if err := tx.AppendAudit(newAudit(hansa, method, noon)); err != nil {
					return err
				}
				after()
				return nil
			}); err != nil {
				t.Errorf("Update: %v", err)
			}
		}
		group.Go(func() {
			write("slow", func() {
				appended <- struct{}{}
				select {
				case <-committed:
				case <-time.After(dally):
				}
			})
		})
		<-appended
		for range others {
			quick.Go(func() { write("quick", func() {}) })
		}
		quick.Wait()
		close(committed)
	}
	group.Wait()
	settle(s)
	close(finished)
	reader.Wait()
	wantEqual(t, "what a reader saw who went on behind what it had", seen, trailOf(t, s, hansa))
	if len(seen) != rounds*(others+1) {
		t.Errorf("there are %d entries, want %d", len(seen), rounds*(others+1))
	}
}
