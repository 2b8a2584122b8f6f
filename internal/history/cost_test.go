package history_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/history"
	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/sqlite"
)

// aged is a consent whose one connection was synchronised very often.
type aged struct {
	*history.Writer

	row *store.Consent
	n   int
}

// newAged makes one with a number of synchronisations, a few at a time.
func newAged(tb testing.TB, syncs int) *aged {
	tb.Helper()
	db, err := sqlite.Open(tb.Context(), filepath.Join(tb.TempDir(), "kontor.db"), keystest.StoreKey(), sqlite.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { db.Close() })
	a := &aged{
		Writer: &history.Writer{
			Store: &service.Store{Store: db, Log: slog.New(slog.DiscardHandler)}, Clock: time.Now,
			Names:    service.Names{Keys: db.Keys()},
			NextPoll: func(*store.Consent) time.Time { return time.Time{} },
		},
		row: &store.Consent{Tenant: "t", ID: "c", CustomerID: "p", Resource: &consentv1.Consent{Name: "consents/c"}},
	}
	err = a.Store.Update(tb.Context(), "t", func(tx store.Tx) error {
		customer := &store.Customer{Tenant: "t", ID: "p", Resource: &customerv1.Customer{}}
		if err := tx.InsertCustomer(customer); err != nil {
			return err
		}
		if err := tx.InsertConsent(a.row); err != nil {
			return err
		}
		now := time.Now()
		_, err := a.Extend(tx, a.row, consent.Created(now, ""), consent.LinkIssued(1, "https://x", now.Add(time.Hour), now))
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	for a.n < syncs {
		a.sync(tb, 50)
	}
	return a
}

// sync adds synchronisations.
func (a *aged) sync(tb testing.TB, n int) {
	tb.Helper()
	_, err := a.Change(tb.Context(), a.row, func(tx store.Tx, fresh *store.Consent) error {
		for range n {
			a.n++
			now := time.Now()
			_, err := a.Extend(tx, fresh, consent.Event{
				Flow: 1, Key: fmt.Sprint("sync/", a.n), Type: consentv1.ConsentEvent_SYNC_COMPLETED, ConnectionID: "bank",
				EventTime: now, SyncTime: now,
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// TestLongHistoriesCostNoMore: what is read to add an event does not grow with the history, of which nothing is lost.
func TestLongHistoriesCostNoMore(t *testing.T) {
	const syncs = 500
	a := newAged(t, syncs)
	err := a.Store.View(t.Context(), "t", func(r store.Reader) error {
		bearing, err := a.Events(r, a.row)
		if err != nil {
			return err
		}
		all, err := r.Events("c", 0, 10*syncs)
		if err != nil {
			return err
		}
		if len(bearing) > 6 || len(all) != syncs+2 {
			t.Errorf("of %d events %d are read to add one", len(all), len(bearing))
		}
		row, err := r.Consent("c")
		if err == nil && (int(row.Resource.GetEventCount()) != syncs+2 || len(row.Resource.GetConnections()) != 1) {
			t.Errorf("the consent is %v", row.Resource)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func BenchmarkExtend(b *testing.B) {
	for _, n := range []int{50, 5000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			a := newAged(b, n)
			for b.Loop() {
				a.sync(b, 1)
			}
		})
	}
}
