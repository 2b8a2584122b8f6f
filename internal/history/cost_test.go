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
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/sqlite"
)

// aged is a consent that has lived through many flows, of which each has every kind of event.
type aged struct {
	*history.Writer

	db   *sqlite.Store
	row  *store.Consent
	flow int
	now  time.Time
}

// eachFlow is how many events a flow has.
const eachFlow = 10

// newAged makes one with a number of events, some flows at a time.
func newAged(tb testing.TB, events int) *aged {
	tb.Helper()
	db, err := sqlite.Open(tb.Context(), filepath.Join(tb.TempDir(), "kontor.db"), keystest.StoreKey(), sqlite.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { db.Close() })
	a := &aged{
		db: db, now: time.Now(),
		row: &store.Consent{Tenant: "t", ID: "c", CustomerID: "p", Resource: &consentv1.Consent{Name: "consents/c"}},
	}
	a.Writer = &history.Writer{
		Store: &service.Store{Store: db, Log: slog.New(slog.DiscardHandler)}, Clock: func() time.Time { return a.now },
		Names:    service.Names{Keys: db.Keys()},
		NextPoll: func(*store.Consent) time.Time { return time.Time{} },
	}
	err = a.Store.Update(tb.Context(), "t", func(tx store.Tx) error {
		customer := &store.Customer{Tenant: "t", ID: "p", Resource: &customerv1.Customer{}}
		if err := tx.InsertCustomer(customer); err != nil {
			return err
		}
		return tx.InsertConsent(a.row)
	})
	if err != nil {
		tb.Fatal(err)
	}
	for n := 0; n < events; {
		n += a.live(tb, min(50, (events-n)/eachFlow))
	}
	return a
}

// live lives through flows: a link is renewed, opened, used, approved and withdrawn, and the data synchronised.
func (a *aged) live(tb testing.TB, flows int) (events int) {
	tb.Helper()
	_, err := a.Change(tb.Context(), a.row, func(tx store.Tx, fresh *store.Consent) error {
		for range flows {
			a.flow++
			a.now = a.now.Add(time.Hour)
			issued := consent.LinkIssued(a.flow, "https://x", a.now.Add(time.Hour), a.now)
			if _, err := a.Extend(tx, fresh, issued); err != nil {
				return err
			}
			report := a.told(a.flow)
			if err := a.Observe(tx, fresh, report); err != nil {
				return err
			}
			events += 1 + len(report.Observations)
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return events
}

// told is what a provider tells of a flow.
func (a *aged) told(flow int) (report providers.ConsentState) {
	for i, t := range []consentv1.ConsentEvent_Type{
		consentv1.ConsentEvent_LINK_OPENED, consentv1.ConsentEvent_BANK_SELECTED,
		consentv1.ConsentEvent_AUTHORIZATION_FAILED, consentv1.ConsentEvent_BANK_AUTHORIZED,
		consentv1.ConsentEvent_FETCH_STARTED, consentv1.ConsentEvent_FETCH_COMPLETED, consentv1.ConsentEvent_APPROVED,
		consentv1.ConsentEvent_COMPLETED, consentv1.ConsentEvent_REVOKED,
	} {
		o := providers.Observation{
			Key: fmt.Sprint("told/", flow, "/", t), Type: t, Time: a.now.Add(time.Duration(i) * time.Second),
		}
		if t != consentv1.ConsentEvent_LINK_OPENED && t != consentv1.ConsentEvent_APPROVED {
			o.ConnectionID = "bank"
		}
		report.Observations = append(report.Observations, o)
	}
	return report
}

// counted is a transaction that counts what is asked of it, and what it gives.
type counted struct {
	store.Tx

	calls, rows int
}

func (c *counted) UnsettledEvents(id string) ([]consent.Event, error) {
	events, err := c.Tx.UnsettledEvents(id)
	c.calls, c.rows = c.calls+1, c.rows+len(events)
	return events, err
}

func (c *counted) KnownEvents(id string, keys []string) (map[string]bool, error) {
	c.calls, c.rows = c.calls+1, c.rows+len(keys)
	return c.Tx.KnownEvents(id, keys)
}

func (c *counted) Events(id string, after int64, limit int) ([]consent.Event, error) {
	events, err := c.Tx.Events(id, after, limit)
	c.calls, c.rows = c.calls+1, c.rows+len(events)
	return events, err
}

func (c *counted) AppendEvent(id string, e consent.Event, after *consentv1.Consent) error {
	c.calls++
	return c.Tx.AppendEvent(id, e, after)
}

func (c *counted) SettleEvents(id string, sequences []int64) error {
	c.calls, c.rows = c.calls+1, c.rows+len(sequences)
	return c.Tx.SettleEvents(id, sequences)
}

func (c *counted) UpdateConsent(row *store.Consent) error {
	c.calls++
	return c.Tx.UpdateConsent(row)
}

// TestLongHistoriesCostNoMore: what is asked of the store and read from it to add an event is the same for a long
// history as for a short one. Of the history nothing is lost, and what was told before is not taken for news.
func TestLongHistoriesCostNoMore(t *testing.T) {
	type cost struct{ calls, rows int }
	costs := map[int]cost{}
	const short, long = 100, 1500
	for _, events := range []int{short, long} {
		a := newAged(t, events)
		var c counted
		count := 0
		if _, err := a.Change(t.Context(), a.row, func(tx store.Tx, fresh *store.Consent) error {
			count = int(fresh.Resource.GetEventCount())
			c = counted{Tx: tx}
			a.now = a.now.Add(time.Hour)
			_, err := a.Extend(&c, fresh, consent.LinkIssued(a.flow+1, "https://x", a.now.Add(time.Hour), a.now))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		costs[events] = cost{c.calls, c.rows}
		if count != events || a.flow != events/eachFlow {
			t.Errorf("the history has %d events after %d flows, want %d", count, a.flow, events)
		}
		// The provider tells the first flow again, and how another one went in the end.
		if _, err := a.Change(t.Context(), a.row, func(tx store.Tx, fresh *store.Consent) error {
			if err := a.Observe(tx, fresh, a.told(1)); err != nil {
				return err
			}
			if n := int(fresh.Resource.GetEventCount()); n != events+1 {
				t.Errorf("what was told again made %d events", n-events-1)
			}
			_, err := a.Extend(tx, fresh, consent.LinkIssued(1, "https://x", a.now, a.now))
			if n := int(fresh.Resource.GetEventCount()); n != events+1 {
				t.Errorf("a link that was issued before is issued again: %v", err)
			}
			history, err := tx.Events("c", 0, 2*long)
			if len(history) != events+1 {
				t.Errorf("the history has %d events, want %d", len(history), events+1)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("with %d events: %+v; with %d: %+v", short, costs[short], long, costs[long])
	if costs[short] != costs[long] || costs[long].rows > 40 {
		t.Errorf("an event costs %+v with %d events, and %+v with %d", costs[short], short, costs[long], long)
	}
}

// BenchmarkExtend adds the events of a flow to histories of different lengths, and tells how many rows it takes.
func BenchmarkExtend(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			a := newAged(b, n)
			for b.Loop() {
				a.live(b, 1)
			}
			var c counted
			_, err := a.Change(b.Context(), a.row, func(tx store.Tx, fresh *store.Consent) error {
				c = counted{Tx: tx}
				return a.Observe(&c, fresh, a.told(a.flow))
			})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(c.calls), "calls/report")
			b.ReportMetric(float64(c.rows), "rows/report")
		})
	}
}

// BenchmarkManyOpenings reads a report that tells again of thousands of openings of one link.
func BenchmarkManyOpenings(b *testing.B) {
	a := newAged(b, 100)
	report := a.told(a.flow)
	for n := range 6000 {
		report.Observations = append(report.Observations, providers.Observation{
			Key: fmt.Sprint("opened/", n), Type: consentv1.ConsentEvent_LINK_OPENED, Time: a.now.Add(time.Duration(n)),
		})
	}
	for b.Loop() {
		_, err := a.Change(b.Context(), a.row, func(tx store.Tx, fresh *store.Consent) error {
			return a.Observe(tx, fresh, report)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
