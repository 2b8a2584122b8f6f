package storetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"kontor.dev/kontor/internal/store"
)

// leaseTime is how long claims last here.
const leaseTime = time.Minute

// insertDue makes a consent for each number, due as many minutes after noon as the number says. Odd ones are another
// tenant's.
func insertDue(t *testing.T, s store.Store, minutes map[int]time.Time) {
	t.Helper()
	for _, tenant := range []string{hansa, stranger} {
		updateOf(t, s, tenant, func(tx store.Tx) error {
			err := tx.InsertCustomer(newCustomer(tenant, 1, ""))
			for n, at := range minutes {
				if (n%2 == 1) != (tenant == stranger) {
					continue
				}
				c := newConsent(tenant, n, id(1))
				c.NextPoll = at
				err = errors.Join(err, tx.InsertConsent(c))
			}
			return err
		})
	}
}

func minute(n int) time.Time { return noon.Add(time.Duration(n) * time.Minute) }

// shares are equal ones of all accounts that there are here.
func shares(limit int) (all []store.Share) {
	for _, tenant := range []string{hansa, stranger} {
		for _, provider := range []string{fimento, finoos} {
			all = append(all, store.Share{Tenant: tenant, Provider: provider, Limit: limit})
		}
	}
	return all
}

// claimDue claims what is due, for an owner, and at most limit of each account.
func claimDue(t *testing.T, s store.Database, now time.Time, owner string, limit int) []*store.Consent {
	t.Helper()
	claimed, err := s.System().ClaimDue(t.Context(), now, owner, leaseTime, shares(limit))
	if err != nil {
		t.Fatalf("ClaimDue: %v", err)
	}
	return claimed
}

func idsOf(rows []*store.Consent) (ids []string) {
	for _, c := range rows {
		ids = append(ids, c.ID)
	}
	return ids
}

// plan ends a poll: it writes the consent as it stands, with the claim, to be polled next at a time.
func plan(t *testing.T, s store.Store, claimed *store.Consent, next time.Time) error {
	t.Helper()
	return s.Update(t.Context(), claimed.Tenant, func(tx store.Tx) error {
		fresh, err := tx.Consent(claimed.ID)
		if err != nil {
			return err
		}
		fresh.NextPoll, fresh.Claim = next, claimed.Claim
		return tx.UpdateConsent(fresh)
	})
}

func testClaimDue(t *testing.T, s *spread) {
	insertDue(t, s,
		map[int]time.Time{
			10: minute(3), 11: minute(1), 12: {}, 13: minute(1).Add(time.Second), 14: minute(4), 15: minute(0),
		})
	updateOf(t, s, stranger, func(tx store.Tx) error { return deleteConsent(tx, id(15)) })
	wantEqual(t, "due before the first", idsOf(claimDue(t, s, minute(1).Add(-time.Microsecond), "owner-1", 9)), nil)
	wantEqual(t, "due, none asked for", idsOf(claimDue(t, s, minute(9), "owner-1", 0)), nil)

	before := readOf(t, s, stranger, func(r store.Reader) (*store.Consent, error) { return r.Consent(id(11)) })
	first := claimDue(t, s, minute(1), "owner-1", 9)
	wantEqual(t, "due at the first", idsOf(first), []string{id(11)})
	got := *first[0]
	wantEqual(t, "the claim", got.Claim,
		store.Claim{Lease: store.Lease{Owner: "owner-1", Until: minute(1).Add(leaseTime)}, Number: 1})
	if !got.NextPoll.Equal(got.Claim.Until) {
		t.Errorf("a claimed consent is next due at %v, want the claim's end", got.NextPoll)
	}
	if !got.ClaimedUntil.Equal(got.Claim.Until) || !before.ClaimedUntil.IsZero() {
		t.Errorf("it is claimed until %v, and was until %v", got.ClaimedUntil, before.ClaimedUntil)
	}
	got.Claim, got.NextPoll, got.ClaimedUntil = store.Claim{}, before.NextPoll, time.Time{}
	wantEqual(t, "the claimed consent", &got, before)
	stored := readOf(t, s, stranger, func(r store.Reader) (*store.Consent, error) { return r.Consent(id(11)) })
	if stored.Claim != (store.Claim{}) || stored.Version != before.Version {
		t.Errorf("what readers find of a claimed consent has the claim %+v and version %d", stored.Claim,
			stored.Version)
	}

	wantError(t, "the end of the claim",
		plan(t, s, &store.Consent{Tenant: stranger, ID: id(11), Claim: first[0].Claim}, minute(2)), nil)

	wantEqual(t, "due in the end", idsOf(claimDue(t, s, minute(99), "owner-2", 9)),
		[]string{id(10), id(14), id(13), id(11)})
}

// testShares has an account with much that is due: it gets its share, and others get theirs.
func testShares(t *testing.T, s *spread) {
	insertDue(t, s, map[int]time.Time{10: minute(3), 12: minute(1), 14: minute(2), 16: minute(0), 11: minute(9)})
	update(t, s, func(tx store.Tx) error {
		c, err := tx.Consent(id(16))
		if err != nil {
			return err
		}
		c.Provider = finoos
		return tx.UpdateConsent(c)
	})
	claim := func(shares ...store.Share) []string {
		t.Helper()
		claimed, err := s.System().ClaimDue(t.Context(), minute(9), "owner-1", leaseTime, shares)
		wantError(t, "ClaimDue", err, nil)
		return idsOf(claimed)
	}
	of := func(tenant, provider string, limit int) store.Share {
		return store.Share{Tenant: tenant, Provider: provider, Limit: limit}
	}
	wantEqual(t, "without a share", claim(), nil)
	wantEqual(t, "with empty shares", claim(of(hansa, fimento, 0), of(hansa, finoos, -1)), nil)
	wantEqual(t, "of an account that there is not", claim(of("nobody", fimento, 9), of(hansa, "none", 9)), nil)
	wantEqual(t, "of two accounts", claim(of(stranger, fimento, 2), of(hansa, fimento, 2)),
		[]string{id(11), id(12), id(14)})
	wantEqual(t, "of the rest", claim(shares(9)...), []string{id(10), id(16)})
}

// testOthersRead finds the consents of an account that were read well.
func testOthersRead(t *testing.T, s *spread) {
	insertDue(t, s, map[int]time.Time{10: minute(0), 12: minute(0), 11: minute(0)})
	others := func(provider, except string, after time.Time) bool {
		t.Helper()
		return read(t, s, func(r store.Reader) (bool, error) { return r.OthersRead(provider, except, after) })
	}
	if others(fimento, "", time.Time{}) {
		t.Error("consents that were never read count as read")
	}
	set := func(tenant string, n int, at time.Time) {
		t.Helper()
		updateOf(t, s, tenant, func(tx store.Tx) error {
			c, err := tx.Consent(id(n))
			if err != nil {
				return err
			}
			c.LastRead, c.Missing = at, store.Missing{Since: minute(1), Count: 2}
			return tx.UpdateConsent(c)
		})
	}
	set(hansa, 12, minute(5))
	set(stranger, 11, minute(9))
	got := read(t, s, func(r store.Reader) (*store.Consent, error) { return r.Consent(id(12)) })
	if !got.LastRead.Equal(minute(5)) || !got.Missing.Since.Equal(minute(1)) || got.Missing.Count != 2 {
		t.Errorf("it was last read at %s, and is missing %+v", got.LastRead, got.Missing)
	}
	for what, c := range map[string]struct{ got, want bool }{
		"before":              {others(fimento, id(10), minute(5).Add(-time.Microsecond)), true},
		"at the time":         {others(fimento, id(10), minute(5)), false},
		"itself":              {others(fimento, id(12), minute(1)), false},
		"at another provider": {others(finoos, id(10), minute(1)), false},
		"by another tenant":   {others(fimento, id(10), minute(6)), false},
	} {
		if c.got != c.want {
			t.Errorf("%s: %t, want %t", what, c.got, c.want)
		}
	}
	update(t, s, func(tx store.Tx) error { return deleteConsent(tx, id(12)) })
	if others(fimento, id(10), minute(1)) {
		t.Error("a deleted consent counts as read")
	}
}

// testFlowClaims has several want to open a flow of one consent.
func testFlowClaims(t *testing.T, s *spread) {
	insertDue(t, s, map[int]time.Time{10: minute(0), 12: minute(0)})
	claim := func(owner string, n int, now time.Time) error {
		return s.Update(t.Context(), hansa, func(tx store.Tx) error {
			return tx.ClaimFlow(id(n), now, store.Lease{Owner: owner, Until: now.Add(leaseTime)})
		})
	}
	release := func(owner string, n int) error {
		return s.Update(t.Context(), hansa, func(tx store.Tx) error { return tx.ReleaseFlow(id(n), owner) })
	}
	claimed := func(n int) (lease store.Lease, err error) {
		err = s.View(t.Context(), hansa, func(r store.Reader) error {
			lease, err = r.FlowClaim(id(n))
			return err
		})
		return lease, err
	}
	_, err := claimed(10)
	wantError(t, "before anybody claims", err, store.ErrNotFound)
	wantError(t, "the first", claim("owner-1", 10, minute(0)), nil)
	if got, err := claimed(10); err != nil || got.Owner != "owner-1" || !got.Until.Equal(minute(0).Add(leaseTime)) {
		t.Errorf("who claims is %v, %v", got, err)
	}
	wantError(t, "the first again", claim("owner-1", 10, minute(0)), nil)
	wantError(t, "another", claim("owner-2", 10, minute(0).Add(leaseTime-time.Microsecond)), store.ErrClaimed)
	wantError(t, "another's release", release("owner-2", 10), store.ErrClaimLost)
	wantError(t, "of another consent", claim("owner-2", 12, minute(0)), nil)
	if err := s.System().RenewLeases(t.Context(), []string{"owner-1"}, minute(5)); err != nil {
		t.Fatal(err)
	}
	wantError(t, "while it is renewed", claim("owner-2", 10, minute(4)), store.ErrClaimed)
	wantError(t, "when the lease is over", claim("owner-2", 10, minute(5)), nil)
	wantError(t, "the former owner's release", release("owner-1", 10), store.ErrClaimLost)
	wantError(t, "the release", release("owner-2", 10), nil)
	wantError(t, "after it", claim("owner-3", 10, minute(5)), nil)
}

// testClaimDueOnce has many claim at the same time: each consent goes to one of them.
func testClaimDueOnce(t *testing.T, s *spread) {
	const consents, owners, limit = 60, 8, 7
	due := map[int]time.Time{}
	for n := range consents {
		due[100+n] = minute(n)
	}
	insertDue(t, s, due)
	var mu sync.Mutex
	holder := map[string]string{}
	var group sync.WaitGroup
	for n := range owners {
		group.Go(func() {
			owner := fmt.Sprintf("owner-%d", n)
			for {
				claimed, err := s.System().ClaimDue(t.Context(), minute(consents), owner, leaseTime, shares(limit))
				if err != nil {
					t.Errorf("ClaimDue: %v", err)
				}
				if len(claimed) == 0 {
					return
				}
				mu.Lock()
				for _, c := range claimed {
					if former, ok := holder[c.ID]; ok {
						t.Errorf("%s is claimed by %s and by %s", c.ID, former, owner)
					}
					holder[c.ID] = owner
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if len(holder) != consents {
		t.Errorf("%d consents were claimed, want %d", len(holder), consents)
	}
}

// testClaimsEnd ends claims in time, late, too late, and not at all.
func testClaimsEnd(t *testing.T, s *spread) {
	insertDue(t, s, map[int]time.Time{10: minute(0), 12: minute(0), 14: minute(0)})
	claimed := claimDue(t, s, minute(0), "owner-1", 9)
	byID := map[string]*store.Consent{}
	for _, c := range claimed {
		byID[c.ID] = c
	}
	inTime, late, tooLate := byID[id(10)], byID[id(12)], byID[id(14)]
	if inTime == nil || late == nil || tooLate == nil {
		t.Fatalf("claimed are %v", idsOf(claimed))
	}
	ended := *inTime
	wantError(t, "in time", plan(t, s, inTime, minute(5)), nil)
	wantError(t, "the same claim again", plan(t, s, &ended, minute(9)), store.ErrClaimLost)

	// A change by others does not touch a claim, nor does one that is undone.
	wantError(t, "a change by others", plan(t, s, &store.Consent{Tenant: hansa, ID: id(12)}, minute(0)), nil)
	wantError(t, "Update", s.Update(t.Context(), hansa, func(tx store.Tx) error {
		fresh, err := tx.Consent(id(12))
		if err != nil {
			return err
		}
		fresh.Claim = late.Claim
		if err := tx.UpdateConsent(fresh); err != nil {
			return err
		}
		if fresh.Claim != (store.Claim{}) {
			t.Error("an ended claim is left in the caller's consent, whose next change would fail by it")
		}
		return errUndo
	}), errUndo)
	wantEqual(t, "due while the leases last",
		idsOf(claimDue(t, s, minute(0).Add(leaseTime-time.Microsecond), "owner-2", 9)), nil)
	wantError(t, "late, but before anybody else", plan(t, s, late, minute(20)), nil)

	again := claimDue(t, s, minute(0).Add(leaseTime), "owner-2", 9)
	wantEqual(t, "due when the leases are over", idsOf(again), []string{id(14)})
	if again[0].Claim.Number != tooLate.Claim.Number+1 {
		t.Errorf("the second claim has number %d, the first %d", again[0].Claim.Number, tooLate.Claim.Number)
	}
	before := read(t, s, func(r store.Reader) (*store.Consent, error) { return r.Consent(id(14)) })
	wantError(t, "too late", plan(t, s, tooLate, minute(99)), store.ErrClaimLost)
	wantEqual(t, "the consent after that",
		read(t, s, func(r store.Reader) (*store.Consent, error) { return r.Consent(id(14)) }), before)
	wantError(t, "the second owner", plan(t, s, again[0], minute(7)), nil)

	// The number tells two claims of one owner.
	first := claimDue(t, s, minute(5), "owner-3", 1)[0]
	second := claimDue(t, s, minute(5).Add(leaseTime), "owner-3", 1)[0]
	if first.ID != second.ID {
		t.Fatalf("claimed were %s and %s", first.ID, second.ID)
	}
	wantError(t, "an owner's former claim", plan(t, s, first, minute(99)), store.ErrClaimLost)
	wantError(t, "its newer one", plan(t, s, second, minute(99)), nil)

	update(t, s, func(tx store.Tx) error { return deleteConsent(tx, id(12)) })
	late.Claim = store.Claim{Lease: store.Lease{Owner: "owner-1"}, Number: 1}
	late.Version = 3
	wantError(t, "the claim of a deleted consent",
		s.Update(t.Context(), hansa, func(tx store.Tx) error { return tx.UpdateConsent(late) }), store.ErrNotFound)
}

// testRenewedClaims renews claims that are held, were lost, were ended, and of which there was news.
func testRenewedClaims(t *testing.T, s *spread) {
	insertDue(t, s, map[int]time.Time{10: minute(0), 12: minute(0), 14: minute(0), 16: minute(0), 11: minute(0)})
	byID := map[string]*store.Consent{}
	for _, c := range claimDue(t, s, minute(0), "owner-1", 9) {
		byID[c.ID] = c
	}
	held, news, ended, unplanned, strangers := byID[id(10)], byID[id(12)], byID[id(14)], byID[id(16)], byID[id(11)]
	renew := func(until time.Time, claimed ...*store.Consent) {
		t.Helper()
		wantError(t, "RenewClaims", s.System().RenewClaims(t.Context(), claimed, until), nil)
	}
	ends := func(tenant string, n int, claimed, next time.Time) {
		t.Helper()
		c := readOf(t, s, tenant, func(r store.Reader) (*store.Consent, error) { return r.Consent(id(n)) })
		if !c.ClaimedUntil.Equal(claimed) || !c.NextPoll.Equal(next) {
			t.Errorf("%d is claimed until %v and due at %v, want %v and %v", n, c.ClaimedUntil, c.NextPoll, claimed,
				next)
		}
	}
	done := *ended
	wantError(t, "the end of a claim", plan(t, s, ended, minute(30)), nil)
	wantError(t, "news", plan(t, s, &store.Consent{Tenant: hansa, ID: id(12)}, minute(0).Add(time.Second)), nil)
	wantError(t, "no further poll", plan(t, s, &store.Consent{Tenant: hansa, ID: id(16)}, time.Time{}), nil)
	version := func() int64 {
		t.Helper()
		return read(t, s, func(r store.Reader) (*store.Consent, error) { return r.Consent(id(10)) }).Version
	}
	before := version()

	renew(minute(9))
	ends(hansa, 10, minute(1), minute(1))
	renew(minute(5), held, news, &done, unplanned)
	renew(minute(3), held) // It does not become shorter.
	ends(hansa, 10, minute(5), minute(5))
	ends(hansa, 12, minute(5), minute(0).Add(time.Second))
	ends(hansa, 14, time.Time{}, minute(30))
	ends(hansa, 16, minute(5), time.Time{})
	ends(stranger, 11, minute(1), minute(1))
	if now := version(); now != before {
		t.Errorf("by a renewal the version becomes %d from %d", now, before)
	}
	lost := claimDue(t, s, minute(5).Add(-time.Microsecond), "owner-2", 9)
	wantEqual(t, "due while the claims are renewed", idsOf(lost), []string{id(11)})
	renew(minute(20), strangers)
	ends(stranger, 11, lost[0].Claim.Until, lost[0].Claim.Until)

	// An owner may be late, as long as nobody else came; its own former claim is not the one that it has.
	renew(minute(8), held)
	wantEqual(t, "due when a claim was renewed late", idsOf(claimDue(t, s, minute(7), "owner-3", 9)),
		[]string{id(12), id(11)})
	second := map[string]*store.Consent{}
	for _, c := range claimDue(t, s, minute(8), "owner-1", 9) {
		second[c.ID] = c
	}
	wantEqual(t, "due when the renewed claim is over", slices.Sorted(maps.Keys(second)),
		[]string{id(10), id(11), id(12)})
	renew(minute(20), held)
	ends(hansa, 10, minute(8).Add(leaseTime), minute(8).Add(leaseTime))
	wantError(t, "the end of the former claim", plan(t, s, held, minute(99)), store.ErrClaimLost)
	wantError(t, "the end of the newer one", plan(t, s, second[id(10)], minute(99)), nil)

	update(t, s, func(tx store.Tx) error { return deleteConsent(tx, id(12)) })
	renew(minute(20), second[id(12)])
	wantEqual(t, "due in the end", idsOf(claimDue(t, s, minute(50), "owner-4", 9)), []string{id(14), id(11)})
}

// testNewsDuringClaims makes a claimed consent due at once: nobody else gets it before the claim ends, and its owner
// sees that there was news.
func testNewsDuringClaims(t *testing.T, s *spread) {
	insertDue(t, s, map[int]time.Time{10: minute(0)})
	claimed := claimDue(t, s, minute(0), "owner-1", 9)[0]
	update(t, s, func(tx store.Tx) error {
		fresh, err := tx.Consent(id(10))
		if err != nil {
			return err
		}
		fresh.NextPoll = minute(0).Add(time.Second)
		return tx.UpdateConsent(fresh)
	})
	wantEqual(t, "due while it is claimed", idsOf(claimDue(t, s, minute(0).Add(10*time.Second), "owner-2", 9)), nil)
	fresh := read(t, s, func(r store.Reader) (*store.Consent, error) { return r.Consent(id(10)) })
	if !fresh.NextPoll.Before(fresh.ClaimedUntil) {
		t.Errorf("the consent is next due at %v, which tells the claim's owner of no news", fresh.NextPoll)
	}
	wantError(t, "the end of the claim", plan(t, s, claimed, fresh.NextPoll), nil)
	wantEqual(t, "due after it", idsOf(claimDue(t, s, minute(0).Add(10*time.Second), "owner-2", 9)), []string{id(10)})
}

// testPauses leaves out the consents of one account.
func testPauses(t *testing.T, s *spread) {
	insertDue(t, s, map[int]time.Time{10: minute(0), 11: minute(0), 12: minute(0)})
	update(t, s, func(tx store.Tx) error {
		c, err := tx.Consent(id(12))
		if err != nil {
			return err
		}
		c.Provider = finoos
		return tx.UpdateConsent(c)
	})
	pause := func(until time.Time) {
		t.Helper()
		update(t, s, func(tx store.Tx) error { return tx.PauseProvider(fimento, until) })
	}
	wantError(t, "Update", s.Update(t.Context(), hansa, func(tx store.Tx) error {
		return errors.Join(errUndo, tx.PauseProvider(finoos, minute(9)))
	}), errUndo)
	pause(minute(5))
	pause(minute(3)) // It does not become shorter.
	due := func(now time.Time) []string {
		return slices.Sorted(slices.Values(idsOf(claimDue(t, s, now, "owner", 9))))
	}
	wantEqual(t, "due during the pause", due(minute(3)), []string{id(11), id(12)})
	wantEqual(t, "due just before its end", due(minute(5).Add(-time.Microsecond)), []string{id(11), id(12)})
	wantEqual(t, "due at its end", due(minute(5)), []string{id(10)})
	pause(minute(20))
	wantEqual(t, "due in a second pause", due(minute(19)), []string{id(11), id(12)})
	wantEqual(t, "due after it", due(minute(20)), []string{id(10), id(11), id(12)})
}

// testTakeOvers takes open records over from owners that are gone.
func testTakeOvers(t *testing.T, s *spread) {
	record := newIdempotency(hansa, "CreateConsent", "key-1")
	update(t, s, func(tx store.Tx) error { return tx.InsertIdempotency(record) })
	get := func() *store.Idempotency {
		return read(t, s,
			func(r store.Reader) (*store.Idempotency, error) { return r.Idempotency("CreateConsent", "key-1") })
	}
	takeOver := func(expired *store.Idempotency, by store.Lease) error {
		return s.Update(t.Context(), hansa, func(tx store.Tx) error { return tx.TakeOverIdempotency(expired, by) })
	}
	complete := func(owner string) error {
		return s.Update(t.Context(), hansa, func(tx store.Tx) error {
			return tx.CompleteIdempotency(&store.Idempotency{
				Tenant: hansa, Method: "CreateConsent", Key: "key-1", Lease: store.Lease{Owner: owner},
				Response: []byte("answer"),
			})
		})
	}
	seen := get()
	next := store.Lease{Owner: "owner-2", Until: minute(2)}
	wantError(t, "the first", takeOver(seen, next), nil)
	wantEqual(t, "the lease that the caller has", seen.Lease, next)
	want := newIdempotency(hansa, "CreateConsent", "key-1")
	want.Lease = next
	wantEqual(t, "the record", get(), want)
	wantError(t, "a second, who saw the same", takeOver(record, store.Lease{Owner: "owner-3", Until: minute(3)}),
		store.ErrClaimLost)
	wantError(t, "an answer of the former owner", complete("owner-1"), store.ErrClaimLost)
	wantError(t, "to forget it as the former owner", s.Update(t.Context(), hansa, func(tx store.Tx) error {
		return tx.DeleteIdempotency("CreateConsent", "key-1", "owner-1")
	}), store.ErrClaimLost)

	// A lease that was renewed meanwhile is no longer the one that ran out.
	if err := s.System().RenewLeases(t.Context(), []string{"owner-2"}, minute(5)); err != nil {
		t.Fatal(err)
	}
	wantError(t, "a take-over after the lease was renewed",
		takeOver(seen, store.Lease{Owner: "owner-3", Until: minute(9)}), store.ErrClaimLost)
	wantError(t, "the answer of the new owner", complete("owner-2"), nil)
	wantError(t, "a take-over of what is answered", takeOver(get(), store.Lease{Owner: "owner-3", Until: minute(9)}),
		store.ErrClaimLost)
	wantError(t, "a take-over of none", takeOver(newIdempotency(hansa, "CreateConsent", "key-9"), next),
		store.ErrClaimLost)
}

// testTakeOverRace has many take over one record: one of them gets it.
func testTakeOverRace(t *testing.T, s *spread) {
	const owners = 40
	update(t, s,
		func(tx store.Tx) error { return tx.InsertIdempotency(newIdempotency(hansa, "CreateConsent", "key-1")) })
	results := make([]error, owners)
	var group sync.WaitGroup
	for n := range owners {
		group.Go(func() {
			results[n] = s.Update(t.Context(), hansa, func(tx store.Tx) error {
				return tx.TakeOverIdempotency(newIdempotency(hansa, "CreateConsent", "key-1"),
					lease(fmt.Sprintf("owner-%d", 2+n)))
			})
		})
	}
	group.Wait()
	stored := read(t, s,
		func(r store.Reader) (*store.Idempotency, error) { return r.Idempotency("CreateConsent", "key-1") })
	winners := 0
	for n, err := range results {
		switch {
		case err == nil:
			winners++
			if want := fmt.Sprintf("owner-%d", 2+n); stored.Lease.Owner != want {
				t.Errorf("%s won, %s is stored", want, stored.Lease.Owner)
			}
		case !errors.Is(err, store.ErrClaimLost):
			t.Errorf("owner %d: %v", n, err)
		}
	}
	if winners != 1 {
		t.Errorf("%d owners won, want 1", winners)
	}
}

// testLeases renews what some owners hold, of all tenants, and nothing else.
func testLeases(t *testing.T, s *spread) {
	keys := []string{"open", "done", "other", "longer"}
	record := func(tenant, key string) *store.Idempotency {
		r := newIdempotency(tenant, "CreateConsent", key)
		switch key {
		case "done":
			r.Done = true
		case "other":
			r.Lease.Owner = "owner-9"
		case "longer":
			r.Lease.Until = minute(99)
		}
		return r
	}
	intent := func(tenant, key string, n int) *store.Intent {
		r := record(tenant, key)
		i := newIntent(tenant, 50+n, "")
		i.Lease = r.Lease
		if r.Done {
			i.State = store.IntentDone
		}
		return i
	}
	for _, tenant := range []string{hansa, stranger} {
		updateOf(t, s, tenant, func(tx store.Tx) error {
			err := errors.Join(tx.InsertCustomer(newCustomer(tenant, 1, "")),
				tx.ClaimUser(id(1), finoos, noon, lease("owner-1")),
				tx.ClaimUser(id(1), fimento, noon, lease("owner-9")))
			for n, key := range keys {
				err = errors.Join(err, tx.InsertIdempotency(record(tenant, key)),
					tx.InsertIntent(intent(tenant, key, n)))
			}
			return err
		})
	}
	renew := func(until time.Time, owners ...string) {
		t.Helper()
		if err := s.System().RenewLeases(t.Context(), owners, until); err != nil {
			t.Fatal(err)
		}
	}
	renew(minute(9))
	renew(minute(7), "owner-1", "owner-2")
	renew(minute(3), "owner-1") // It does not become shorter.
	for _, tenant := range []string{hansa, stranger} {
		for n, key := range keys {
			wantRecord, wantIntent := record(tenant, key), intent(tenant, key, n)
			if key == "open" {
				wantRecord.Lease.Until, wantIntent.Lease.Until = minute(7), minute(7)
			}
			wantEqual(t, "the record "+key, readOf(t, s, tenant, func(r store.Reader) (*store.Idempotency, error) {
				return r.Idempotency("CreateConsent", key)
			}), wantRecord)
			wantEqual(t, "the intent "+key, readOf(t, s, tenant, func(r store.Reader) (*store.Intent, error) {
				return r.Intent(id(50 + n))
			}), wantIntent)
		}
		for provider, want := range map[string]error{finoos: store.ErrClaimed, fimento: nil} {
			wantError(t, "another's claim of the user at "+provider,
				s.Update(t.Context(), tenant, func(tx store.Tx) error {
					return tx.ClaimUser(id(1), provider, minute(6), store.Lease{Owner: "owner-3", Until: minute(8)})
				}), want)
		}
	}
}

func testUserClaims(t *testing.T, s *spread) {
	for _, tenant := range []string{hansa, stranger} {
		updateOf(t, s, tenant, func(tx store.Tx) error {
			return errors.Join(tx.InsertCustomer(newCustomer(tenant, 1, "")),
				tx.InsertCustomer(newCustomer(tenant, 2, "")))
		})
	}
	claim := func(tenant string, n int, provider, owner string, now time.Time) error {
		return s.Update(t.Context(), tenant, func(tx store.Tx) error {
			return tx.ClaimUser(id(n), provider, now, store.Lease{Owner: owner, Until: now.Add(leaseTime)})
		})
	}
	release := func(owner string) error {
		return s.Update(t.Context(), hansa, func(tx store.Tx) error { return tx.ReleaseUser(id(1), finoos, owner) })
	}
	wantError(t, "a customer who does not exist", claim(hansa, 9, finoos, "owner-1", minute(0)), store.ErrNotFound)
	wantError(t, "a release of what nobody has", release("owner-1"), store.ErrClaimLost)
	wantError(t, "Update", s.Update(t.Context(), hansa, func(tx store.Tx) error {
		return errors.Join(errUndo, tx.ClaimUser(id(1), finoos, minute(0), lease("owner-0")))
	}), errUndo)
	wantError(t, "the first", claim(hansa, 1, finoos, "owner-1", minute(0)), nil)
	wantError(t, "the first again", claim(hansa, 1, finoos, "owner-1", minute(0).Add(leaseTime/2)), nil)
	wantError(t, "a second", claim(hansa, 1, finoos, "owner-2", minute(0).Add(leaseTime)), store.ErrClaimed)
	for what, err := range map[string]error{
		"at another provider": claim(hansa, 1, fimento, "owner-2", minute(0)),
		"another customer":    claim(hansa, 2, finoos, "owner-2", minute(0)),
		"another tenant":      claim(stranger, 1, finoos, "owner-2", minute(0)),
	} {
		wantError(t, what, err, nil)
	}
	wantError(t, "a release by another", release("owner-2"), store.ErrClaimLost)
	wantError(t, "a second when the lease is over", claim(hansa, 1, finoos, "owner-2", minute(0).Add(leaseTime*3/2)),
		nil)
	wantError(t, "a release by the former owner", release("owner-1"), store.ErrClaimLost)
	wantError(t, "a release", release("owner-2"), nil)
	wantError(t, "a claim after a release", claim(hansa, 1, finoos, "owner-3", minute(0)), nil)

	// A claim goes with its customer.
	update(t, s, func(tx store.Tx) error {
		_, err := tx.DeleteCustomer(id(1), many)
		return errors.Join(err, tx.InsertCustomer(newCustomer(hansa, 1, "")))
	})
	wantError(t, "a claim on a new customer with the id", claim(hansa, 1, finoos, "owner-4", minute(0)), nil)
}

// testUserClaimRace has many make one customer's user: each waits until it is there or its turn has come, so that one
// is made.
func testUserClaimRace(t *testing.T, s *spread) {
	const owners = 20
	c := newCustomer(hansa, 1, "")
	c.Users = nil
	update(t, s, func(tx store.Tx) error { return tx.InsertCustomer(c) })
	var mu sync.Mutex
	made := 0
	ensure := func(owner string) error {
		for {
			found := false
			err := s.Update(t.Context(), hansa, func(tx store.Tx) error {
				c, err := tx.Customer(id(1))
				if err != nil {
					return err
				}
				if found = c.Users[finoos] != ""; found {
					return nil
				}
				return tx.ClaimUser(id(1), finoos, noon, lease(owner))
			})
			if errors.Is(err, store.ErrClaimed) {
				continue
			}
			if err != nil || found {
				return err
			}
			mu.Lock()
			made++
			mu.Unlock()
			return s.Update(t.Context(), hansa, func(tx store.Tx) error {
				c, err := tx.Customer(id(1))
				if err != nil {
					return err
				}
				c.Users[finoos] = "user"
				return errors.Join(tx.UpdateCustomer(c), tx.ReleaseUser(id(1), finoos, owner))
			})
		}
	}
	var group sync.WaitGroup
	for n := range owners {
		group.Go(func() {
			if err := ensure(fmt.Sprintf("owner-%d", n)); err != nil {
				t.Errorf("owner %d: %v", n, err)
			}
		})
	}
	group.Wait()
	if made != 1 {
		t.Errorf("%d users were made, want 1", made)
	}
}
