package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/store"
)

func testEvents(t *testing.T, s store.Store) {
	c, other := newConsent(hansa, 2, id(1)), newConsent(hansa, 3, id(1))
	bare := consent.Event{Sequence: 2, Type: consentv1.ConsentEvent_APPROVED}
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.InsertCustomer(newCustomer(hansa, 1, "")), tx.InsertConsent(c), tx.InsertConsent(other),
			tx.AppendEvent(hansa, c.ID, newEvent(1, consentv1.ConsentEvent_CREATED), consentAfter(c, 1)),
			tx.AppendEvent(hansa, other.ID, newEvent(1, consentv1.ConsentEvent_CREATED), consentAfter(other, 1)),
			tx.AppendEvent(hansa, c.ID, bare, consentAfter(c, 2)))
	})
	update(t, s, func(tx store.Tx) error {
		return tx.AppendEvent(hansa, c.ID, newEvent(3, consentv1.ConsentEvent_COMPLETED), consentAfter(c, 3))
	})
	all := []consent.Event{newEvent(1, consentv1.ConsentEvent_CREATED), bare, newEvent(3, consentv1.ConsentEvent_COMPLETED)}
	for _, test := range []struct {
		after int64
		limit int
		want  []consent.Event
	}{{0, 10, all}, {0, 2, all[:2]}, {1, 10, all[1:]}, {1, 1, all[1:2]}, {3, 10, nil}, {0, 0, nil}} {
		got := read(t, s, func(r store.Reader) ([]consent.Event, error) { return r.Events(hansa, c.ID, test.after, test.limit) })
		wantEqual(t, fmt.Sprintf("the events behind %d, at most %d", test.after, test.limit), got, test.want)
	}
	for _, sequence := range []int64{-1, 0, 1, 3, 5} {
		wantError(t, fmt.Sprintf("sequence %d after 3", sequence), s.Update(t.Context(), func(tx store.Tx) error {
			return tx.AppendEvent(hansa, c.ID, newEvent(sequence, consentv1.ConsentEvent_APPROVED), consentAfter(c, sequence))
		}), store.ErrConflict)
	}
	wantError(t, "an event of none", s.Update(t.Context(), func(tx store.Tx) error {
		return tx.AppendEvent(hansa, id(9), newEvent(1, consentv1.ConsentEvent_CREATED), consentAfter(c, 1))
	}), store.ErrNotFound)
}

func testConsentLog(t *testing.T, s store.Store) {
	var want []store.ConsentEntry
	rowOf := map[string]*store.Consent{}
	update(t, s, func(tx store.Tx) error {
		for _, tenant := range []string{hansa, stranger} {
			if err := tx.InsertCustomer(newCustomer(tenant, 1, "")); err != nil {
				return err
			}
			for n := 2; n <= 4; n++ {
				c := newConsent(tenant, n, id(1))
				rowOf[tenant+c.ID] = c
				if err := tx.InsertConsent(c); err != nil {
					return err
				}
			}
		}
		return nil
	})
	for sequence := int64(1); sequence <= 3; sequence++ {
		for _, consentID := range []string{id(3), id(2)} {
			for _, tenant := range []string{hansa, stranger} {
				event, after := newEvent(sequence, consentv1.ConsentEvent_LINK_OPENED), consentAfter(rowOf[tenant+consentID], sequence)
				update(t, s, func(tx store.Tx) error { return tx.AppendEvent(tenant, consentID, event, after) })
				if tenant == hansa {
					want = append(want, store.ConsentEntry{Tenant: tenant, ConsentID: consentID, Event: event, After: after})
				}
			}
		}
	}
	got := read(t, s, func(r store.Reader) ([]store.ConsentEntry, error) { return r.ConsentEntries(hansa, "", 0, 100) })
	if len(got) != len(want) {
		t.Fatalf("the log has %d entries, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i].Position <= 0 || i > 0 && got[i].Position <= got[i-1].Position {
			t.Errorf("entry %d has position %d", i, got[i].Position)
		}
		want[i].Position = got[i].Position
	}
	wantEqual(t, "the tenant's log", got, want)
	last := read(t, s, func(r store.Reader) (int64, error) { return r.LastPosition(store.ConsentLog) })
	others := read(t, s, func(r store.Reader) ([]store.ConsentEntry, error) { return r.ConsentEntries(stranger, "", 0, 100) })
	if newest := others[len(others)-1].Position; last != newest {
		t.Errorf("the last position is %d, that of the newest entry %d", last, newest)
	}

	for _, consentID := range []string{"", id(2), id(3), id(4), id(9)} {
		var of []store.ConsentEntry
		for _, entry := range want {
			if consentID == "" || entry.ConsentID == consentID {
				of = append(of, entry)
			}
		}
		for _, after := range []int64{0, want[0].Position, want[2].Position, last} {
			for _, limit := range []int{0, 1, 2, 100} {
				var page []store.ConsentEntry
				for _, entry := range of {
					if entry.Position > after && len(page) < limit {
						page = append(page, entry)
					}
				}
				got := read(t, s, func(r store.Reader) ([]store.ConsentEntry, error) {
					return r.ConsentEntries(hansa, consentID, after, limit)
				})
				wantEqual(t, fmt.Sprintf("the log of %q behind %d, at most %d", consentID, after, limit), got, page)
			}
		}
	}
}

func testShipmentLog(t *testing.T, s store.Store) {
	var want []store.ShipmentEntry
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.InsertShipment(newShipment(hansa, 2, "")), tx.InsertShipment(newShipment(hansa, 3, "")),
			tx.InsertShipment(newShipment(stranger, 2, "")))
	})
	for _, status := range []documentsv1.Shipment_Status{documentsv1.Shipment_SUBMITTED, documentsv1.Shipment_DELIVERED} {
		for _, key := range []struct {
			tenant string
			n      int
		}{{hansa, 3}, {stranger, 2}, {hansa, 2}} {
			after := newShipment(key.tenant, key.n, "").Resource
			after.Status = status
			update(t, s, func(tx store.Tx) error { return tx.AppendShipment(key.tenant, id(key.n), after) })
			if key.tenant == hansa {
				want = append(want, store.ShipmentEntry{Tenant: hansa, ShipmentID: id(key.n), After: after})
			}
		}
	}
	got := read(t, s, func(r store.Reader) ([]store.ShipmentEntry, error) { return r.ShipmentEntries(hansa, "", 0, 100) })
	if len(got) != len(want) {
		t.Fatalf("the log has %d entries, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i].Position <= 0 || i > 0 && got[i].Position <= got[i-1].Position {
			t.Errorf("entry %d has position %d", i, got[i].Position)
		}
		want[i].Position = got[i].Position
	}
	wantEqual(t, "the tenant's log", got, want)
	if last := read(t, s, func(r store.Reader) (int64, error) { return r.LastPosition(store.ShipmentLog) }); last != got[len(got)-1].Position {
		t.Errorf("the last position is %d, that of the newest entry %d", last, got[len(got)-1].Position)
	}
	if last := read(t, s, func(r store.Reader) (int64, error) { return r.LastPosition(store.ConsentLog) }); last != 0 {
		t.Errorf("the last position of the other log is %d, want 0", last)
	}
	behind := want[1].Position
	wantEqual(t, "the log behind a position, one", read(t, s, func(r store.Reader) ([]store.ShipmentEntry, error) {
		return r.ShipmentEntries(hansa, "", behind, 1)
	}), want[2:3])
	wantEqual(t, "the log of one shipment behind a position", read(t, s, func(r store.Reader) ([]store.ShipmentEntry, error) {
		return r.ShipmentEntries(hansa, id(2), behind, 9)
	}), want[3:])
	wantEqual(t, "the log, none asked for", read(t, s, func(r store.Reader) ([]store.ShipmentEntry, error) {
		return r.ShipmentEntries(hansa, "", 0, 0)
	}), nil)
	wantError(t, "an entry of none", s.Update(t.Context(), func(tx store.Tx) error {
		return tx.AppendShipment(hansa, id(9), want[0].After)
	}), store.ErrNotFound)
}

// logWriters append to the consents of one tenant until each has done its share, some of it in vain.
const (
	logWriters        = 8
	logEventsByWriter = 125
	logConsents       = 5
	logResumes        = 1000
)

// testLogUnderLoad has writers append at the same time while readers follow the log in small steps, each of them a new subscription that
// resumes behind the last entry that was read. In the end every reader must have read what the log holds: no gap, no repeat, the same order.
func testLogUnderLoad(t *testing.T, s store.Store) {
	randomSeed := rand.Uint64()
	t.Logf("seed %d", randomSeed)
	update(t, s, func(tx store.Tx) error {
		err := tx.InsertCustomer(newCustomer(hansa, 1, ""))
		for n := range logConsents {
			err = errors.Join(err, tx.InsertConsent(newConsent(hansa, 10+n, id(1))))
		}
		return err
	})

	var writers, readers sync.WaitGroup
	finished := make(chan struct{})
	for n := range logWriters {
		writers.Go(func() { appendEvents(t, s, rand.New(rand.NewPCG(randomSeed, uint64(n)))) })
	}
	type reading struct {
		consentID string
		entries   []store.ConsentEntry
		resumes   int
	}
	readings := []*reading{{}, {}, {consentID: id(10)}, {consentID: id(11)}}
	for _, reading := range readings {
		readers.Go(func() {
			reading.entries, reading.resumes = followLog(t, s, reading.consentID, finished)
		})
	}
	writers.Wait()
	close(finished)
	readers.Wait()

	all := read(t, s, func(r store.Reader) ([]store.ConsentEntry, error) { return r.ConsentEntries(hansa, "", 0, 1_000_000) })
	if want := logWriters * logEventsByWriter; len(all) != want {
		t.Errorf("the log has %d entries, want %d", len(all), want)
	}
	next := map[string]int64{}
	for i, entry := range all {
		if i > 0 && entry.Position <= all[i-1].Position {
			t.Fatalf("position %d follows %d", entry.Position, all[i-1].Position)
		}
		next[entry.ConsentID]++
		if entry.Event.Sequence != next[entry.ConsentID] || int64(entry.After.GetEventCount()) != entry.Event.Sequence {
			t.Fatalf("entry %d has sequence %d, state %d; want %d", i, entry.Event.Sequence, entry.After.GetEventCount(), next[entry.ConsentID])
		}
	}
	for n, reading := range readings {
		want := all
		if reading.consentID != "" {
			want = slices.DeleteFunc(slices.Clone(all), func(e store.ConsentEntry) bool { return e.ConsentID != reading.consentID })
		}
		if !slices.EqualFunc(reading.entries, want, func(a, b store.ConsentEntry) bool { return a.Position == b.Position }) {
			t.Errorf("reader %d read %d entries, not the %d of the log in their order", n, len(reading.entries), len(want))
		}
		if reading.resumes < logResumes {
			t.Errorf("reader %d resumed %d times, want at least %d", n, reading.resumes, logResumes)
		}
	}
}

// appendEvents appends a writer's share, to one or two consents at a time; some transactions are given up after they appended.
func appendEvents(t *testing.T, s store.Store, random *rand.Rand) {
	for left := logEventsByWriter; left > 0; {
		chosen := random.Perm(logConsents)[:min(left, 1+random.IntN(2))]
		slices.Sort(chosen) // Two transactions that lock two consents do it in one order.
		giveUp := random.IntN(7) == 0
		err := s.Update(t.Context(), func(tx store.Tx) error {
			for _, n := range chosen {
				c, err := tx.Consent(hansa, id(10+n))
				if err != nil {
					return err
				}
				c.Resource.EventCount++
				if err := tx.UpdateConsent(c); err != nil {
					return err
				}
				event := newEvent(int64(c.Resource.GetEventCount()), consentv1.ConsentEvent_LINK_OPENED)
				if err := tx.AppendEvent(hansa, c.ID, event, c.Resource); err != nil {
					return err
				}
			}
			if giveUp {
				return errUndo
			}
			return nil
		})
		switch {
		case err == nil:
			left -= len(chosen)
		case !errors.Is(err, errUndo) && !errors.Is(err, store.ErrConflict):
			t.Errorf("Update: %v", err)
			return
		}
	}
}

// followLog reads the log entry by entry, until the writers have finished and there is no more.
func followLog(t *testing.T, s store.Store, consentID string, finished <-chan struct{}) (entries []store.ConsentEntry, resumes int) {
	var position int64
	for last := false; ; resumes++ {
		wake, cancel := s.Subscribe(store.Topic{Tenant: hansa, Log: store.ConsentLog, ID: consentID})
		var page []store.ConsentEntry
		err := s.View(t.Context(), func(r store.Reader) (err error) {
			page, err = r.ConsentEntries(hansa, consentID, position, 1)
			return err
		})
		if err != nil {
			t.Errorf("View: %v", err)
			cancel()
			return entries, resumes
		}
		for _, entry := range page {
			entries, position = append(entries, entry), entry.Position
		}
		switch {
		case len(page) > 0:
		case last && resumes >= logResumes:
			cancel()
			return entries, resumes
		case !last:
			select {
			case <-wake:
			case <-finished:
				last = true
			case <-time.After(10 * time.Second):
				t.Errorf("no wake-up behind position %d", position)
				cancel()
				return entries, resumes
			}
		}
		cancel()
	}
}

// testSubscribe sees that each topic that a change concerns is woken.
func testSubscribe(t *testing.T, s store.Store) {
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.InsertCustomer(newCustomer(hansa, 1, "")), tx.InsertConsent(newConsent(hansa, 2, id(1))),
			tx.InsertShipment(newShipment(hansa, 2, "")))
	})
	for _, log := range []store.Log{store.ConsentLog, store.ShipmentLog} {
		for _, topicID := range []string{"", id(2)} {
			t.Run(fmt.Sprintf("%s %q", log, topicID), func(t *testing.T) {
				wake, cancel := s.Subscribe(store.Topic{Tenant: hansa, Log: log, ID: topicID})
				defer cancel()
				for range 3 {
					update(t, s, func(tx store.Tx) error {
						if log == store.ShipmentLog {
							return tx.AppendShipment(hansa, id(2), newShipment(hansa, 2, "").Resource)
						}
						events, err := tx.Events(hansa, id(2), 0, 100)
						if err != nil {
							return err
						}
						return tx.AppendEvent(hansa, id(2), newEvent(int64(len(events))+1, consentv1.ConsentEvent_LINK_OPENED), &consentv1.Consent{})
					})
					select {
					case <-wake:
					case <-time.After(10 * time.Second):
						t.Fatal("no wake-up")
					}
				}
			})
		}
	}
	// A subscription that has ended, twice, leaves the others alone.
	wake, cancel := s.Subscribe(store.Topic{Tenant: hansa, Log: store.ShipmentLog})
	defer cancel()
	_, ended := s.Subscribe(store.Topic{Tenant: hansa, Log: store.ShipmentLog})
	ended()
	ended()
	update(t, s, func(tx store.Tx) error { return tx.AppendShipment(hansa, id(2), newShipment(hansa, 2, "").Resource) })
	select {
	case <-wake:
	case <-time.After(10 * time.Second):
		t.Fatal("no wake-up")
	}
}

// testSubscribeUnderLoad has subscribers who read only when they are woken: one lost wake-up and they wait for ever.
func testSubscribeUnderLoad(t *testing.T, s store.Store) {
	const consents, events, subscribers = 3, 60, 12
	update(t, s, func(tx store.Tx) error {
		err := tx.InsertCustomer(newCustomer(hansa, 1, ""))
		for n := range consents {
			err = errors.Join(err, tx.InsertConsent(newConsent(hansa, 10+n, id(1))))
		}
		return err
	})
	var group sync.WaitGroup
	for n := range subscribers {
		topic, want := store.Topic{Tenant: hansa, Log: store.ConsentLog}, consents*events
		if n%2 == 0 {
			topic.ID, want = id(10+n%consents), events
		}
		wake, cancel := s.Subscribe(topic)
		group.Go(func() {
			defer cancel()
			for position, seen := int64(0), 0; seen < want; {
				select {
				case <-wake:
				case <-time.After(10 * time.Second):
					t.Errorf("subscriber %d has seen %d of %d and waits", n, seen, want)
					return
				}
				err := s.View(t.Context(), func(r store.Reader) error {
					page, err := r.ConsentEntries(hansa, topic.ID, position, 1000)
					if len(page) > 0 {
						seen += len(page)
						position = slices.MaxFunc(page, func(a, b store.ConsentEntry) int { return cmp.Compare(a.Position, b.Position) }).Position
					}
					return err
				})
				if err != nil {
					t.Errorf("View: %v", err)
					return
				}
			}
		})
	}
	for n := range consents {
		group.Go(func() {
			for sequence := int64(1); sequence <= events; sequence++ {
				err := s.Update(t.Context(), func(tx store.Tx) error {
					return tx.AppendEvent(hansa, id(10+n), newEvent(sequence, consentv1.ConsentEvent_LINK_OPENED), &consentv1.Consent{})
				})
				if err != nil {
					t.Errorf("Update: %v", err)
					return
				}
			}
		})
	}
	group.Wait()
}
