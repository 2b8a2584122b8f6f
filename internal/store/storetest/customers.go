package storetest

import (
	"errors"
	"testing"

	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	"kontor.dev/kontor/internal/store"
)

func testCustomers(t *testing.T, s *spread) {
	c := newCustomer(hansa, 1, "reference-1")
	update(t, s, func(tx store.Tx) error { return tx.InsertCustomer(c) })
	get := func(r store.Reader) (*store.Customer, error) { return r.Customer(id(1)) }
	wantEqual(t, "the customer", read(t, s, get), c)

	c.Resource.Products = []customerv1.Product_Value{customerv1.Product_IMPORT}
	c.Users = map[string]string{fimento: "user-2"}
	update(t, s, func(tx store.Tx) error { return tx.UpdateCustomer(c) })
	wantEqual(t, "the changed customer", read(t, s, get), c)

	c.Users = nil
	update(t, s, func(tx store.Tx) error { return tx.UpdateCustomer(c) })
	bare := read(t, s, get)
	wantEqual(t, "the customer without users", bare, c)
	if bare.Users == nil {
		t.Error("Users is nil, so that a user cannot be added")
	}

	wantError(t, "an id that is taken", s.Update(t.Context(), hansa, func(tx store.Tx) error {
		return tx.InsertCustomer(newCustomer(hansa, 1, "another"))
	}), store.ErrExists)
	wantError(t, "a change of none", s.Update(t.Context(), hansa, func(tx store.Tx) error {
		return tx.UpdateCustomer(newCustomer(hansa, 2, ""))
	}), store.ErrNotFound)
	wantError(t, "a deletion of none", s.Update(t.Context(), hansa, func(tx store.Tx) error {
		_, err := tx.DeleteCustomer(id(2), many)
		return err
	}), store.ErrNotFound)
}

func testCustomerReferences(t *testing.T, s *spread) {
	insert := func(tenant string, n int, reference string) error {
		return s.Update(t.Context(), tenant,
			func(tx store.Tx) error { return tx.InsertCustomer(newCustomer(tenant, n, reference)) })
	}
	change := func(n int, reference string) error {
		return s.Update(t.Context(), hansa,
			func(tx store.Tx) error { return tx.UpdateCustomer(newCustomer(hansa, n, reference)) })
	}
	find := func(tenant, reference string) string {
		return readOf(t, s, tenant, func(r store.Reader) (string, error) {
			c, err := r.CustomerByReference(lookup(reference))
			if errors.Is(err, store.ErrNotFound) {
				return "", nil
			}
			return c.ID, err
		})
	}
	wantError(t, "the first", insert(hansa, 1, "a"), nil)
	wantError(t, "the same reference", insert(hansa, 2, "a"), store.ErrExists)
	wantError(t, "the same in other letters", insert(hansa, 2, "A"), nil)
	wantError(t, "the same of another tenant", insert(stranger, 1, "a"), nil)
	wantError(t, "one without", insert(hansa, 3, ""), nil)
	wantError(t, "another without", insert(hansa, 4, ""), nil)

	wantError(t, "a change to one that is taken", change(3, "a"), store.ErrExists)
	wantError(t, "a change to its own", change(1, "a"), nil)
	wantError(t, "a change to a free one", change(1, "b"), nil)
	wantError(t, "a change to the one that became free", change(3, "a"), nil)

	for reference, want := range map[string]string{"a": id(3), "A": id(2), "b": id(1), "": "", "c": ""} {
		if got := find(hansa, reference); got != want {
			t.Errorf("reference %q finds %q, want %q", reference, got, want)
		}
	}
	if got := find(stranger, "a"); got != id(1) {
		t.Errorf("the other tenant's reference finds %q", got)
	}
	update(t, s, func(tx store.Tx) error {
		removed, err := tx.DeleteCustomer(id(3), many)
		if !removed.Done {
			t.Error("a customer without anything is not deleted at once")
		}
		return err
	})
	wantError(t, "one that became free by a deletion", insert(hansa, 5, "a"), nil)
}

func testCustomerUsers(t *testing.T, s *spread) {
	update(t, s, func(tx store.Tx) error {
		both := newCustomer(hansa, 2, "")
		both.Users[fimento] = "user-hansa-1"
		return errors.Join(tx.InsertCustomer(newCustomer(hansa, 1, "")), tx.InsertCustomer(both))
	})
	updateOf(t, s, stranger, func(tx store.Tx) error { return tx.InsertCustomer(newCustomer(stranger, 3, "")) })
	for _, test := range []struct {
		what, provider string
		users          []string
		want           map[string]string
	}{
		{"two, and one that is not ours", finoos, []string{"user-hansa-1", "user-hansa-2", "orphan", "user-stranger-3"},
			map[string]string{"user-hansa-1": id(1), "user-hansa-2": id(2)}},
		{
			"of another provider", fimento, []string{"user-hansa-1", "user-hansa-2"},
			map[string]string{"user-hansa-1": id(2)},
		},
		{"awkward ids", finoos, []string{`"`, `'`, `\`, "<&>", "", "ü"}, nil},
		{"none", finoos, nil, nil},
	} {
		got := read(t, s, func(r store.Reader) (map[string]string, error) {
			return r.CustomersByUser(test.provider, test.users)
		})
		wantEqual(t, test.what, got, test.want)
	}
	const awkward = `"<&>'\ü`
	odd := newCustomer(hansa, 4, "")
	odd.Users = map[string]string{finoos: awkward}
	update(t, s, func(tx store.Tx) error { return tx.InsertCustomer(odd) })
	view(t, s, func(r store.Reader) error {
		found, err := r.CustomersByUser(finoos, []string{awkward})
		wantEqual(t, "an awkward id", found, map[string]string{awkward: id(4)})
		if err != nil {
			return err
		}
		c, err := r.Customer(id(4))
		wantEqual(t, "its customer", c, odd)
		return err
	})
}

func testCustomerPages(t *testing.T, s *spread) {
	update(t, s, func(tx store.Tx) error {
		for _, n := range []int{3, 1, 5, 2, 4} { // The order is that of ids.
			if err := tx.InsertCustomer(newCustomer(hansa, n, "")); err != nil {
				return err
			}
		}
		return nil
	})
	updateOf(t, s, stranger, func(tx store.Tx) error { return tx.InsertCustomer(newCustomer(stranger, 6, "")) })
	wantPages(t, s, []int{1, 2, 3, 4, 5}, func(r store.Reader, page store.Page) ([]*store.Customer, error) {
		return r.Customers(page)
	}, func(c *store.Customer) string { return c.ID })
}

// wantPages reads a list in pages of every size that makes a difference, and compares the ids.
func wantPages[T any](t *testing.T, s store.Store, want []int, list func(store.Reader, store.Page) ([]T, error),
	idOf func(T) string) {
	t.Helper()
	wantIDs := make([]string, len(want))
	for i, n := range want {
		wantIDs[i] = id(n)
	}
	for _, size := range []int{1, 2, len(want), len(want) + 1} {
		if size == 0 {
			continue
		}
		var got []string
		after := ""
		for {
			page := read(t, s,
				func(r store.Reader) ([]T, error) { return list(r, store.Page{After: after, Size: size}) })
			if len(page) > size {
				t.Fatalf("a page of %d has %d", size, len(page))
			}
			for _, row := range page {
				after = idOf(row)
				got = append(got, after)
			}
			if len(page) < size || len(got) > len(want) {
				break
			}
		}
		wantEqual(t, "the ids in pages", got, wantIDs)
	}
	if none := read(t, s, func(r store.Reader) ([]T, error) { return list(r, store.Page{}) }); len(none) != 0 {
		t.Errorf("a page of size 0 has %d", len(none))
	}
}
