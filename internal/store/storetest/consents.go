package storetest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/store"
)

func testConsents(t *testing.T, s *spread) {
	full, bare := newConsent(hansa, 2, id(1)), &store.Consent{Tenant: hansa, ID: id(3), CustomerID: id(1)}
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.InsertCustomer(newCustomer(hansa, 1, "")), tx.InsertConsent(full), tx.InsertConsent(bare))
	})
	bare.Resource = &consentv1.Consent{}
	for _, want := range []*store.Consent{full, bare} {
		got := read(t, s, func(r store.Reader) (*store.Consent, error) { return r.Consent(want.ID) })
		wantEqual(t, "the consent", got, want)
		if got.Version != 1 {
			t.Errorf("a new consent has version %d, want 1", got.Version)
		}
	}
	full.Provider, full.ProviderRef, full.PartnerBank, full.Market = finoos, "user", "", "DE"
	full.Redirects, full.Flow, full.NextPoll, full.PollStep, full.Ended = nil, 3, time.Time{}, 0, true
	full.UserID, full.State, full.ValidUntil, full.LastPoll, full.Reference = "", nil, time.Time{}, noon, nil
	full.Asked = nil
	full.Resource.Status = consentv1.Consent_REVOKED
	update(t, s, func(tx store.Tx) error { return tx.UpdateConsent(full) })
	wantEqual(t, "the changed consent",
		read(t, s, func(r store.Reader) (*store.Consent, error) { return r.Consent(full.ID) }), full)

	wantError(t, "an id that is taken", s.Update(t.Context(), hansa, func(tx store.Tx) error {
		return tx.InsertConsent(newConsent(hansa, 2, id(1)))
	}), store.ErrExists)
	wantError(t, "a customer who does not exist", s.Update(t.Context(), hansa, func(tx store.Tx) error {
		return tx.InsertConsent(newConsent(hansa, 4, id(9)))
	}), store.ErrNotFound)
}

// testConsentsOfTheMoment reads a consent by itself while others change it: nobody sees an older one than was
// acknowledged before, or than anybody has seen.
func testConsentsOfTheMoment(t *testing.T, s *spread) {
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.InsertCustomer(newCustomer(hansa, 1, "")), tx.InsertConsent(newConsent(hansa, 2, id(1))))
	})
	first, err := s.Consent(t.Context(), hansa, id(2))
	if err != nil {
		t.Fatal(err)
	}
	first.Resource.Name, first.Reference[0] = "mine", first.Reference[0]+1
	again, err := s.Consent(t.Context(), hansa, id(2))
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "what one reader changed", again, read(t, s, func(r store.Reader) (*store.Consent, error) {
		return r.Consent(id(2))
	}))
	for tenant, want := range map[string]error{"": store.ErrTenant, stranger: store.ErrNotFound} {
		_, err := s.Consent(t.Context(), tenant, id(2))
		wantError(t, "a consent for "+tenant, err, want)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.Consent(ended, hansa, id(2))
	wantError(t, "a consent for who has left", err, context.Canceled)

	const writers, readers, changes = 4, 8, 40
	var seen atomic.Int64
	stop := make(chan struct{})
	var writing, reading sync.WaitGroup
	for range readers {
		reading.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				before := seen.Load()
				c, err := s.Consent(t.Context(), hansa, id(2))
				if err != nil || c.Version < before {
					t.Errorf("version %d was known before version %d was read: %v", before, c.Version, err)
					return
				}
				raise(&seen, c.Version)
			}
		})
	}
	for range writers {
		writing.Go(func() {
			for range changes {
				var version int64
				err := s.Update(t.Context(), hansa, func(tx store.Tx) error {
					c, err := tx.Consent(id(2))
					if err != nil {
						return err
					}
					err = tx.UpdateConsent(c)
					version = c.Version
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
				raise(&seen, version)
			}
		})
	}
	writing.Wait()
	close(stop)
	reading.Wait()
	last, err := s.Consent(t.Context(), hansa, id(2))
	if err != nil || last.Version != 1+writers*changes {
		t.Errorf("the consent has version %d in the end: %v", last.Version, err)
	}
}

// raise notes a version that is known by now.
func raise(seen *atomic.Int64, version int64) {
	for before := seen.Load(); before < version && !seen.CompareAndSwap(before, version); before = seen.Load() {
	}
}

func testConsentVersions(t *testing.T, s *spread) {
	c := newConsent(hansa, 2, id(1))
	c.Version = 77 // What is new begins at 1 whatever the caller says.
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.InsertCustomer(newCustomer(hansa, 1, "")), tx.InsertConsent(c))
	})
	get := func(r store.Reader) (*store.Consent, error) { return r.Consent(id(2)) }
	first, second := read(t, s, get), read(t, s, get)
	first.Flow = 5
	update(t, s, func(tx store.Tx) error {
		if err := tx.UpdateConsent(first); err != nil {
			return err
		}
		first.Flow = 6 // Again, with the version that the first change left in it.
		return tx.UpdateConsent(first)
	})
	if first.Version != 3 {
		t.Errorf("after two changes the caller's consent has version %d, want 3", first.Version)
	}
	wantEqual(t, "the consent after two changes", read(t, s, get), first)

	second.Flow = 7
	wantError(t, "a change of what changed",
		s.Update(t.Context(), hansa, func(tx store.Tx) error { return tx.UpdateConsent(second) }), store.ErrConflict)
	if second.Version != 1 {
		t.Errorf("a conflict left version %d in the caller's consent, want 1", second.Version)
	}
	wantEqual(t, "the consent after a conflict", read(t, s, get), first)
	wantError(t, "a change of none", s.Update(t.Context(), hansa, func(tx store.Tx) error {
		return tx.UpdateConsent(newConsent(hansa, 3, id(1)))
	}), store.ErrNotFound)
}

// testConsentLists compares lists under all combinations of filters with what picking by hand gives.
func testConsentLists(t *testing.T, s *spread) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	references := []string{"", "loan-1", "loan-2"}
	providers := []string{fimento, finoos}
	statuses := []consentv1.Consent_Status{
		consentv1.Consent_AWAITING_AUTHORIZATION, consentv1.Consent_AUTHORIZED, consentv1.Consent_REVOKED,
	}
	var all []*store.Consent
	updateOf(t, s, stranger, func(tx store.Tx) error {
		err := tx.InsertCustomer(newCustomer(stranger, 1, ""))
		for n := 0; n < 80; n += 10 {
			err = errors.Join(err, tx.InsertConsent(newConsent(stranger, 100+n, id(1))))
		}
		return err
	})
	update(t, s, func(tx store.Tx) error {
		if err := errors.Join(tx.InsertCustomer(newCustomer(hansa, 1, "")),
			tx.InsertCustomer(newCustomer(hansa, 2, ""))); err != nil {
			return err
		}
		all = nil
		for _, n := range random.Perm(80) {
			if n%10 == 0 {
				continue
			}
			customer := 1 + random.IntN(2)
			c := newConsent(hansa, 100+n, id(customer))
			c.Provider = providers[random.IntN(2)]
			c.Reference = lookup(references[random.IntN(3)])
			c.Resource.Status = statuses[random.IntN(3)]
			if err := tx.InsertConsent(c); err != nil {
				return err
			}
			if random.IntN(5) == 0 { // The filters go by what it is now.
				c.Resource.Status = statuses[random.IntN(3)]
				if err := tx.UpdateConsent(c); err != nil {
					return err
				}
			}
			if random.IntN(8) == 0 {
				if err := deleteConsent(tx, c.ID); err != nil {
					return err
				}
				continue
			}
			all = append(all, c)
		}
		return nil
	})
	slices.SortFunc(all, func(a, b *store.Consent) int { return cmp.Compare(a.ID, b.ID) })

	for _, customer := range []string{"", id(1), id(9)} {
		for _, provider := range []string{"", fimento, "none"} {
			for _, reference := range []string{"", "loan-1", "none"} {
				for _, some := range [][]consentv1.Consent_Status{
					nil, statuses[:1], statuses[1:], {consentv1.Consent_FAILED},
				} {
					filter := store.ConsentFilter{
						CustomerID: customer, Provider: provider, Reference: lookup(reference), Statuses: some,
					}
					var want []*store.Consent
					for _, c := range all {
						if (customer == "" || c.CustomerID == customer) && (provider == "" || c.Provider == provider) &&
							(reference == "" || bytes.Equal(c.Reference,
								lookup(reference))) && (some == nil || slices.Contains(some, c.Resource.GetStatus())) {
							want = append(want, c)
						}
					}
					t.Run(fmt.Sprint(customer, provider, reference, some), func(t *testing.T) {
						got := read(t, s, func(r store.Reader) ([]*store.Consent, error) {
							return r.Consents(filter, store.Page{Size: 1000})
						})
						wantEqual(t, "the list", got, want)
						numbers := make([]int, len(want))
						for i, c := range want {
							if _, err := fmt.Sscanf(c.ID, id(0)[:24]+"%d", &numbers[i]); err != nil {
								t.Fatal(err)
							}
						}
						wantPages(t, s, numbers, func(r store.Reader, page store.Page) ([]*store.Consent, error) {
							return r.Consents(filter, page)
						}, func(c *store.Consent) string { return c.ID })
					})
				}
			}
		}
	}
}

func testConsentsByProviderRef(t *testing.T, s *spread) {
	updateOf(t, s, stranger, func(tx store.Tx) error {
		row := newConsent(stranger, 14, id(1))
		row.Provider, row.ProviderRef = finoos, "user-1"
		return errors.Join(tx.InsertCustomer(newCustomer(stranger, 1, "")), tx.InsertConsent(row))
	})
	update(t, s, func(tx store.Tx) error {
		if err := tx.InsertCustomer(newCustomer(hansa, 1, "")); err != nil {
			return err
		}
		for _, c := range []struct {
			n             int
			provider, ref string
		}{
			{10, finoos, "user-1"}, {11, finoos, "user-2"}, {12, finoos, "user-1"}, {13, fimento, "user-1"},
			{15, finoos, ""}, {16, finoos, "user-1"},
		} {
			row := newConsent(hansa, c.n, id(1))
			row.Provider, row.ProviderRef = c.provider, c.ref
			if err := tx.InsertConsent(row); err != nil {
				return err
			}
		}
		return deleteConsent(tx, id(16))
	})
	for _, test := range []struct {
		refs []string
		want []string
	}{
		{[]string{"user-1"}, []string{id(10), id(12)}},
		{[]string{"user-2", "none", "user-1", "user-1"}, []string{id(10), id(11), id(12)}},
		{[]string{""}, nil}, // One that is being made has no id there yet.
		{[]string{"none"}, nil},
		{nil, nil},
	} {
		var got []string
		for _, c := range read(t, s, func(r store.Reader) ([]*store.Consent, error) {
			return r.ConsentsByProviderRef(finoos, test.refs)
		}) {
			got = append(got, c.ID)
		}
		wantEqual(t, fmt.Sprintf("what %q finds", test.refs), got, test.want)
	}
}

func testDeletedConsents(t *testing.T, s *spread) {
	c := newConsent(hansa, 2, id(1))
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.InsertCustomer(newCustomer(hansa, 1, "")), tx.InsertConsent(c),
			tx.AppendEvent(c.ID, newEvent(1, consentv1.ConsentEvent_CREATED), consentAfter(c, 1)),
			tx.AppendEvent(c.ID, newEvent(2, consentv1.ConsentEvent_DELETED), consentAfter(c, 2)),
			deleteConsent(tx, c.ID))
	})
	view(t, s, func(r store.Reader) error {
		_, err := r.Consent(c.ID)
		wantError(t, "Consent", err, store.ErrNotFound)
		lists := map[string]func() (int, error){
			"Consents": func() (int, error) { return rows(r.Consents(store.ConsentFilter{}, store.Page{Size: 9})) },
			"Consents of the customer": func() (int, error) {
				return rows(r.Consents(store.ConsentFilter{CustomerID: id(1)}, store.Page{Size: 9}))
			},
			"ConsentsByProviderRef": func() (int, error) {
				return rows(r.ConsentsByProviderRef(fimento,
					[]string{c.ProviderRef}))
			},
			"Events": func() (int, error) { return rows(r.Events(c.ID, 0, 9)) },
		}
		for method, list := range lists {
			if n, err := list(); n != 0 || err != nil {
				t.Errorf("%s finds %d (%v)", method, n, err)
			}
		}
		for _, consentID := range []string{"", c.ID} {
			entries, err := r.ConsentEntries(consentID, "", 9)
			if err != nil || len(entries) != 1 || entries[0].Event.Type != consentv1.ConsentEvent_DELETED {
				t.Errorf("the log of %q has %d entries (%v), want that of the deletion", consentID, len(entries), err)
			}
		}
		return nil
	})
	if claimed, err := s.System().ClaimDue(t.Context(), noon.AddDate(1, 0, 0), "owner-1", time.Minute,
		shares(9)); len(claimed) != 0 || err != nil {
		t.Errorf("ClaimDue claims %d (%v)", len(claimed), err)
	}
	// Nothing follows the deletion.
	for what, change := range map[string]func(store.Tx) error{
		"UpdateConsent": func(tx store.Tx) error { return tx.UpdateConsent(c) },
		"DeleteConsent": func(tx store.Tx) error { return deleteConsent(tx, c.ID) },
		"AppendEvent": func(tx store.Tx) error {
			return tx.AppendEvent(c.ID, newEvent(3, consentv1.ConsentEvent_APPROVED), consentAfter(c, 3))
		},
	} {
		wantError(t, what, s.Update(t.Context(), hansa, change), store.ErrNotFound)
	}
	wantError(t, "its id again",
		s.Update(t.Context(), hansa, func(tx store.Tx) error { return tx.InsertConsent(newConsent(hansa, 2, id(1))) }),
		store.ErrExists)
}
