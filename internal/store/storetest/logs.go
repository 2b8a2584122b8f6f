package storetest

import (
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

func testEvents(t *testing.T, s *spread) {
	c, other := newConsent(hansa, 2, id(1)), newConsent(hansa, 3, id(1))
	bare := consent.Event{Sequence: 2, Type: consentv1.ConsentEvent_APPROVED}
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.InsertCustomer(newCustomer(hansa, 1, "")), tx.InsertConsent(c), tx.InsertConsent(other),
			tx.AppendEvent(c.ID, newEvent(1, consentv1.ConsentEvent_CREATED), consentAfter(c, 1)),
			tx.AppendEvent(other.ID, newEvent(1, consentv1.ConsentEvent_CREATED), consentAfter(other, 1)),
			tx.AppendEvent(c.ID, bare, consentAfter(c, 2)))
	})
	update(t, s, func(tx store.Tx) error {
		return tx.AppendEvent(c.ID, newEvent(3, consentv1.ConsentEvent_COMPLETED), consentAfter(c, 3))
	})
	all := []consent.Event{
		newEvent(1, consentv1.ConsentEvent_CREATED), bare, newEvent(3, consentv1.ConsentEvent_COMPLETED),
	}
	for _, test := range []struct {
		after int64
		limit int
		want  []consent.Event
	}{{0, 10, all}, {0, 2, all[:2]}, {1, 10, all[1:]}, {1, 1, all[1:2]}, {3, 10, nil}, {0, 0, nil}} {
		got := read(t, s,
			func(r store.Reader) ([]consent.Event, error) { return r.Events(c.ID, test.after, test.limit) })
		wantEqual(t, fmt.Sprintf("the events behind %d, at most %d", test.after, test.limit), got, test.want)
	}
	for _, sequence := range []int64{-1, 0, 1, 3, 5} {
		wantError(t, fmt.Sprintf("sequence %d after 3", sequence),
			s.Update(t.Context(), hansa, func(tx store.Tx) error {
				return tx.AppendEvent(c.ID, newEvent(sequence, consentv1.ConsentEvent_APPROVED),
					consentAfter(c, sequence))
			}), store.ErrConflict)
	}
	wantError(t, "an event of none", s.Update(t.Context(), hansa, func(tx store.Tx) error {
		return tx.AppendEvent(id(9), newEvent(1, consentv1.ConsentEvent_CREATED), consentAfter(c, 1))
	}), store.ErrNotFound)
}

func testConsentLog(t *testing.T, s *spread) {
	var want []store.ConsentEntry
	rowOf := map[string]*store.Consent{}
	for _, tenant := range []string{hansa, stranger} {
		updateOf(t, s, tenant, func(tx store.Tx) error {
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
			return nil
		})
	}
	for sequence := int64(1); sequence <= 3; sequence++ {
		for _, consentID := range []string{id(3), id(2)} {
			for _, tenant := range []string{hansa, stranger} {
				event, after := newEvent(sequence,
					consentv1.ConsentEvent_LINK_OPENED), consentAfter(rowOf[tenant+consentID], sequence)
				updateOf(t, s, tenant, func(tx store.Tx) error { return tx.AppendEvent(consentID, event, after) })
				if tenant == hansa {
					want = append(want,
						store.ConsentEntry{Tenant: tenant, ConsentID: consentID, Event: event, After: after})
				}
			}
		}
	}
	got := read(t, s, func(r store.Reader) ([]store.ConsentEntry, error) { return r.ConsentEntries("", "", many) })
	if len(got) != len(want) {
		t.Fatalf("the log has %d entries, want %d", len(got), len(want))
	}
	last := store.Cursor("")
	for i := range got {
		if !got[i].Cursor.Behind(last) {
			t.Errorf("entry %d has the cursor %s behind %s", i, got[i].Cursor, last)
		}
		last, want[i].Cursor = got[i].Cursor, got[i].Cursor
	}
	wantEqual(t, "the tenant's log", got, want)
	head := read(t, s, func(r store.Reader) (store.Cursor, error) { return r.Head(store.ConsentLog) })
	others := readOf(t, s, stranger,
		func(r store.Reader) ([]store.ConsentEntry, error) { return r.ConsentEntries("", "", many) })
	if newest := others[len(others)-1].Cursor; head != newest {
		t.Errorf("the log's end is %s, the newest entry's %s", head, newest)
	}

	for _, consentID := range []string{"", id(2), id(3), id(4), id(9)} {
		var of []store.ConsentEntry
		for _, entry := range want {
			if consentID == "" || entry.ConsentID == consentID {
				of = append(of, entry)
			}
		}
		for _, after := range []store.Cursor{"", want[0].Cursor, want[2].Cursor, others[2].Cursor, head} {
			for _, limit := range []int{0, 1, 2, 100} {
				var page []store.ConsentEntry
				for _, entry := range of {
					if entry.Cursor.Behind(after) && len(page) < limit {
						page = append(page, entry)
					}
				}
				got := read(t, s,
					func(r store.Reader) ([]store.ConsentEntry, error) {
						return r.ConsentEntries(consentID, after,
							limit)
					})
				wantEqual(t, fmt.Sprintf("the log of %q behind %s, at most %d", consentID, after, limit), got, page)
			}
		}
	}
}

func testShipmentLog(t *testing.T, s *spread) {
	var want []store.ShipmentEntry
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.InsertShipment(newShipment(hansa, 2, "")), tx.InsertShipment(newShipment(hansa, 3, "")))
	})
	updateOf(t, s, stranger, func(tx store.Tx) error { return tx.InsertShipment(newShipment(stranger, 2, "")) })
	for _, status := range []documentsv1.Shipment_Status{
		documentsv1.Shipment_SUBMITTED, documentsv1.Shipment_DELIVERED,
	} {
		for _, key := range []struct {
			tenant string
			n      int
		}{{hansa, 3}, {stranger, 2}, {hansa, 2}} {
			after := newShipment(key.tenant, key.n, "").Resource
			after.Status = status
			updateOf(t, s, key.tenant, func(tx store.Tx) error { return tx.AppendShipment(id(key.n), after) })
			if key.tenant == hansa {
				want = append(want, store.ShipmentEntry{Tenant: hansa, ShipmentID: id(key.n), After: after})
			}
		}
	}
	got := read(t, s, func(r store.Reader) ([]store.ShipmentEntry, error) { return r.ShipmentEntries("", "", many) })
	if len(got) != len(want) {
		t.Fatalf("the log has %d entries, want %d", len(got), len(want))
	}
	last := store.Cursor("")
	for i := range got {
		if !got[i].Cursor.Behind(last) {
			t.Errorf("entry %d has the cursor %s behind %s", i, got[i].Cursor, last)
		}
		last, want[i].Cursor = got[i].Cursor, got[i].Cursor
	}
	wantEqual(t, "the tenant's log", got, want)
	if head := read(t, s,
		func(r store.Reader) (store.Cursor, error) { return r.Head(store.ShipmentLog) }); head != last {
		t.Errorf("the log's end is %s, the newest entry's %s", head, last)
	}
	empty := read(t, s, func(r store.Reader) (store.Cursor, error) { return r.Head(store.ConsentLog) })
	wantEqual(t, "what lies behind the end of the other log, which is empty",
		read(t, s, func(r store.Reader) ([]store.ConsentEntry, error) {
			return r.ConsentEntries("", empty, many)
		}), nil)
	behind := want[1].Cursor
	wantEqual(t, "the log behind a cursor, one", read(t, s, func(r store.Reader) ([]store.ShipmentEntry, error) {
		return r.ShipmentEntries("", behind, 1)
	}), want[2:3])
	wantEqual(t, "the log of one shipment behind a cursor",
		read(t, s, func(r store.Reader) ([]store.ShipmentEntry, error) {
			return r.ShipmentEntries(id(2), behind, 9)
		}), want[3:])
	wantEqual(t, "the log, none asked for", read(t, s, func(r store.Reader) ([]store.ShipmentEntry, error) {
		return r.ShipmentEntries("", "", 0)
	}), nil)
	wantError(t, "an entry of none", s.Update(t.Context(), hansa, func(tx store.Tx) error {
		return tx.AppendShipment(id(9), want[0].After)
	}), store.ErrNotFound)
}

// testTails follows both logs of all tenants.
func testTails(t *testing.T, s *spread) {
	for n, tenant := range []string{hansa, stranger, hansa} {
		updateOf(t, s, tenant, func(tx store.Tx) error {
			err := errors.Join(tx.InsertCustomer(newCustomer(tenant, 10+n, "")),
				tx.InsertConsent(newConsent(tenant, 20+n, id(10+n))),
				tx.InsertShipment(newShipment(tenant, 30+n, "")))
			for sequence := range int64(2) {
				err = errors.Join(err,
					tx.AppendEvent(id(20+n), newEvent(sequence+1, consentv1.ConsentEvent_LINK_OPENED),
						&consentv1.Consent{}),
					tx.AppendShipment(id(30+n), &documentsv1.Shipment{}))
			}
			return err
		})
	}
	system := s.System()
	var consents, shipments []string
	after := store.Cursor("")
	for {
		page, err := system.TailConsents(t.Context(), after, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page {
			after = e.Cursor
			consents = append(consents, fmt.Sprint(e.Tenant, e.ConsentID, e.Event.Sequence))
			own := readOf(t, s, e.Tenant,
				func(r store.Reader) ([]store.ConsentEntry, error) { return r.ConsentEntries(e.ConsentID, "", many) })
			wantEqual(t, "the entry, as its tenant reads it", e, own[e.Event.Sequence-1])
		}
		if len(page) < 2 {
			break
		}
	}
	if head := headOf(t, s, store.ConsentLog); head != after {
		t.Errorf("the log's end is %s, the last entry's %s", head, after)
	}
	after = ""
	entries, err := system.TailShipments(t.Context(), "", many)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		after = e.Cursor
		shipments = append(shipments, e.Tenant+e.ShipmentID)
	}
	if head := headOf(t, s, store.ShipmentLog); head != after {
		t.Errorf("the log's end is %s, the last entry's %s", head, after)
	}
	var wantConsents, wantShipments []string
	for n, tenant := range []string{hansa, stranger, hansa} {
		wantConsents = append(wantConsents, fmt.Sprint(tenant, id(20+n), 1), fmt.Sprint(tenant, id(20+n), 2))
		wantShipments = append(wantShipments, tenant+id(30+n), tenant+id(30+n))
	}
	wantEqual(t, "the consent log", consents, wantConsents)
	wantEqual(t, "the shipment log", shipments, wantShipments)
	if none, err := system.TailShipments(t.Context(), "", 0); len(none) > 0 || err != nil {
		t.Errorf("%d entries (%v), none asked for", len(none), err)
	}
}

// testCursors resumes at what is not, or not yet, a place in the log.
func testCursors(t *testing.T, s *spread) {
	update(t, s, func(tx store.Tx) error { return seed(tx, hansa) })
	heads := map[store.Log]store.Cursor{}
	for _, log := range []store.Log{store.ConsentLog, store.ShipmentLog} {
		heads[log] = read(t, s, func(r store.Reader) (store.Cursor, error) { return r.Head(log) })
	}
	refuse := func(what string, log store.Log, cursor store.Cursor) {
		t.Helper()
		if log == store.ConsentLog {
			wantError(t, what,
				readError(t, s,
					func(r store.Reader) ([]store.ConsentEntry, error) { return r.ConsentEntries("", cursor, 1) }),
				store.ErrCursor)
			_, err := s.System().TailConsents(t.Context(), cursor, 1)
			wantError(t, what+", of all tenants", err, store.ErrCursor)
			return
		}
		wantError(t, what,
			readError(t, s,
				func(r store.Reader) ([]store.ShipmentEntry, error) { return r.ShipmentEntries("", cursor, 1) }),
			store.ErrCursor)
		_, err := s.System().TailShipments(t.Context(), cursor, 1)
		wantError(t, what+", of all tenants", err, store.ErrCursor)
	}
	for log, head := range heads {
		refuse("a word", log, "word")
		refuse("a number", log, "7")
		refuse("one cut off", log, head[:len(head)-1])
		refuse("one made longer", log, head+"0")
		refuse("a digit in the wrong case", log, head[:len(head)-1]+"A")
	}
	refuse("a cursor of the other log", store.ConsentLog, heads[store.ShipmentLog])
	refuse("a cursor of the other log", store.ShipmentLog, heads[store.ConsentLog])
	// One that lies behind the end was given out by the database as it stood before an older copy took its place.
	for log, head := range heads {
		refuse("one behind the log's end", log, head[:len(head)-4]+"ffff")
	}
}

// testForeignCursors resumes at a cursor of another database.
func testForeignCursors(t *testing.T, s, other store.Database) {
	for _, one := range []store.Database{s, other} {
		update(t, one, func(tx store.Tx) error { return seed(tx, hansa) })
	}
	for _, log := range []store.Log{store.ConsentLog, store.ShipmentLog} {
		own, foreign := headOf(t, s, log), headOf(t, other, log)
		if own.Behind(foreign) || foreign.Behind(own) {
			t.Error("cursors of two databases lie behind each other")
		}
		for cursor, want := range map[store.Cursor]error{own: nil, foreign: store.ErrCursor} {
			wantError(t, "a cursor of "+string(log), s.View(t.Context(), hansa, func(r store.Reader) (err error) {
				if log == store.ConsentLog {
					_, err = r.ConsentEntries("", cursor, 1)
				} else {
					_, err = r.ShipmentEntries("", cursor, 1)
				}
				return err
			}), want)
		}
	}
}

// logWriters append to the consents of one tenant until each has done its share, some of it in vain.
const (
	logWriters        = 8
	logEventsByWriter = 125
	logConsents       = 5
	logResumes        = 1000
)

// insertLogConsents makes the consents that are written to.
func insertLogConsents(t *testing.T, s store.Store, consents int) {
	t.Helper()
	update(t, s, func(tx store.Tx) error {
		err := tx.InsertCustomer(newCustomer(hansa, 1, ""))
		for n := range consents {
			err = errors.Join(err, tx.InsertConsent(newConsent(hansa, 10+n, id(1))))
		}
		return err
	})
}

// testLogUnderLoad has writers append at the same time while readers follow the log in small steps, each of them a new
// subscription that resumes behind the last entry that was read. In the end every reader must have read what the log
// holds: no gap, no repeat, the same order.
func testLogUnderLoad(t *testing.T, s *spread) {
	randomSeed := rand.Uint64()
	t.Logf("seed %d", randomSeed)
	insertLogConsents(t, s, logConsents)

	var writers, readers sync.WaitGroup
	finished := make(chan struct{})
	for n := range logWriters {
		writers.Go(func() { appendEvents(t, s, rand.New(rand.NewPCG(randomSeed, uint64(n)))) })
	}
	type reading struct {
		consentID string
		all       bool // tenants
		entries   []store.ConsentEntry
		resumes   int
	}
	readings := []*reading{{}, {all: true}, {consentID: id(10)}, {consentID: id(11)}}
	for _, reading := range readings {
		next := func(after store.Cursor) (page []store.ConsentEntry, err error) {
			if reading.all {
				return s.System().TailConsents(t.Context(), after, 1)
			}
			err = s.View(t.Context(), hansa, func(r store.Reader) (err error) {
				page, err = r.ConsentEntries(reading.consentID, after, 1)
				return err
			})
			return page, err
		}
		readers.Go(func() { reading.entries, reading.resumes = followLog(t, s, next, finished) })
	}
	writers.Wait()
	settle(s)
	close(finished)
	readers.Wait()

	all := read(t, s, func(r store.Reader) ([]store.ConsentEntry, error) { return r.ConsentEntries("", "", 1_000_000) })
	if want := logWriters * logEventsByWriter; len(all) != want {
		t.Errorf("the log has %d entries, want %d", len(all), want)
	}
	next := map[string]int64{}
	for i, entry := range all {
		if i > 0 && !entry.Cursor.Behind(all[i-1].Cursor) {
			t.Fatalf("cursor %s follows %s", entry.Cursor, all[i-1].Cursor)
		}
		next[entry.ConsentID]++
		if entry.Event.Sequence != next[entry.ConsentID] || int64(entry.After.GetEventCount()) != entry.Event.Sequence {
			t.Fatalf("entry %d has sequence %d, state %d; want %d", i, entry.Event.Sequence,
				entry.After.GetEventCount(), next[entry.ConsentID])
		}
	}
	for n, reading := range readings {
		want := all
		if reading.consentID != "" {
			want = slices.DeleteFunc(slices.Clone(all),
				func(e store.ConsentEntry) bool { return e.ConsentID != reading.consentID })
		}
		wantSameEntries(t, fmt.Sprint("reader ", n), reading.entries, want)
		if reading.resumes < logResumes {
			t.Errorf("reader %d resumed %d times, want at least %d", n, reading.resumes, logResumes)
		}
	}
}

func wantSameEntries(t *testing.T, who string, got, want []store.ConsentEntry) {
	t.Helper()
	if !slices.EqualFunc(got, want, func(a, b store.ConsentEntry) bool { return a.Cursor == b.Cursor }) {
		t.Errorf("%s read %d entries, not the %d of the log in their order", who, len(got), len(want))
	}
}

// appendEvents appends a writer's share, to one or two consents at a time; some transactions are given up after they
// appended.
func appendEvents(t *testing.T, s store.Store, random *rand.Rand) {
	for left := logEventsByWriter; left > 0; {
		chosen := random.Perm(logConsents)[:min(left, 1+random.IntN(2))]
		slices.Sort(chosen) // Two transactions that lock two consents do it in one order.
		giveUp := random.IntN(7) == 0
		err := s.Update(t.Context(), hansa, func(tx store.Tx) error {
			for _, n := range chosen {
				if err := appendNext(tx, id(10+n)); err != nil {
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

// appendNext appends the next event to a consent, which counts them.
func appendNext(tx store.Tx, consentID string) error {
	c, err := tx.Consent(consentID)
	if err != nil {
		return err
	}
	c.Resource.EventCount++
	if err := tx.UpdateConsent(c); err != nil {
		return err
	}
	return tx.AppendEvent(c.ID, newEvent(int64(c.Resource.GetEventCount()), consentv1.ConsentEvent_LINK_OPENED),
		c.Resource)
}

// followLog reads a log entry by entry, until the writers have finished and there is no more.
func followLog(t *testing.T, s store.Database, next func(store.Cursor) ([]store.ConsentEntry, error),
	finished <-chan struct{}) (entries []store.ConsentEntry, resumes int) {
	var after store.Cursor
	for last := false; ; resumes++ {
		wake, cancel := s.System().Subscribe(store.ConsentLog)
		page, err := next(after)
		if err != nil {
			t.Errorf("read: %v", err)
			cancel()
			return entries, resumes
		}
		for _, entry := range page {
			entries, after = append(entries, entry), entry.Cursor
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
				t.Errorf("no wake-up behind %s", after)
				cancel()
				return entries, resumes
			}
		}
		cancel()
	}
}

// testLateCommits has transactions append to the log and then dally, while others that began later append and commit,
// as far as the store lets them. Readers that look all the time must see every entry in the log's order: whoever has
// seen one has seen all before it.
func testLateCommits(t *testing.T, s *spread) {
	const rounds, writers = 12, 3
	const dally = 20 * time.Millisecond
	insertLogConsents(t, s, writers)
	finished := make(chan struct{})
	tail := func() (seen []store.ConsentEntry) {
		var after store.Cursor
		for last := false; ; {
			page, err := s.System().TailConsents(t.Context(), after, many)
			if err != nil {
				t.Errorf("TailConsents: %v", err)
				return seen
			}
			for _, entry := range page {
				seen, after = append(seen, entry), entry.Cursor
			}
			if last {
				return seen
			}
			select {
			case <-finished:
				last = true
			default:
			}
		}
	}
	var readers, group sync.WaitGroup
	var seen [2][]store.ConsentEntry
	for n := range seen {
		readers.Go(func() { seen[n] = tail() })
	}
	for range rounds {
		// The first to append commits last, unless a store lets the others wait for it.
		appended, others := make(chan struct{}, writers), make(chan struct{})
		var quick sync.WaitGroup
		group.Go(func() {
			err := s.Update(t.Context(), hansa, func(tx store.Tx) error {
				if err := appendNext(tx, id(10)); err != nil {
					return err
				}
				appended <- struct{}{}
				select {
				case <-others:
				case <-time.After(dally):
				}
				return nil
			})
			if err != nil {
				t.Errorf("Update: %v", err)
			}
		})
		<-appended
		for n := 1; n < writers; n++ {
			quick.Go(func() {
				if err := s.Update(t.Context(), hansa,
					func(tx store.Tx) error { return appendNext(tx, id(10+n)) }); err != nil {
					t.Errorf("Update: %v", err)
				}
			})
		}
		quick.Wait()
		close(others)
		group.Wait()
	}
	settle(s)
	close(finished)
	readers.Wait()
	all, err := s.System().TailConsents(t.Context(), "", 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	if want := rounds * writers; len(all) != want {
		t.Errorf("the log has %d entries, want %d", len(all), want)
	}
	for n := range seen {
		wantSameEntries(t, fmt.Sprint("reader ", n), seen[n], all)
	}
}

// testNewest asks for the newest entries of resources: those behind a place alone, and of no other tenant.
func testNewest(t *testing.T, s *spread) {
	insertLogConsents(t, s, 3)
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.InsertShipment(newShipment(hansa, 2, "")), appendNext(tx, id(10)), appendNext(tx, id(11)),
			appendNext(tx, id(11)))
	})
	head := read(t, s, func(r store.Reader) (store.Cursor, error) { return r.Head(store.ConsentLog) })
	entries := read(t, s, func(r store.Reader) ([]store.ConsentEntry, error) { return r.ConsentEntries("", "", many) })
	update(t, s, func(tx store.Tx) error {
		return errors.Join(appendNext(tx, id(11)), tx.AppendShipment(id(2), newShipment(hansa, 2, "").Resource))
	})
	ids := []string{id(10), id(11), id(12), "none", "\x00"}
	newest := func(tenant string, log store.Log, after store.Cursor) (found map[string]store.Cursor) {
		if err := s.View(t.Context(), tenant, func(r store.Reader) (err error) {
			found, err = r.Newest(log, append(ids, id(2)), after)
			return err
		}); err != nil {
			t.Error(err)
		}
		return found
	}
	all := newest(hansa, store.ConsentLog, "")
	if len(all) != 2 || all[id(10)] != entries[0].Cursor || !all[id(11)].Behind(head) {
		t.Errorf("the newest are %v, of %v", all, entries)
	}
	if later := newest(hansa, store.ConsentLog, head); len(later) != 1 || later[id(11)] != all[id(11)] {
		t.Errorf("behind %s there are %v", head, later)
	}
	if none := newest(hansa, store.ConsentLog, all[id(11)]); len(none) != 0 {
		t.Errorf("behind the end there are %v", none)
	}
	if ships := newest(hansa, store.ShipmentLog, ""); len(ships) != 1 || ships[id(2)] == "" {
		t.Errorf("of shipments there are %v", ships)
	}
	if others := newest(stranger, store.ConsentLog, ""); len(others) != 0 {
		t.Errorf("another tenant sees %v", others)
	}
	if err := s.View(t.Context(), hansa, func(r store.Reader) error {
		_, err := r.Newest(store.ShipmentLog, ids, head)
		return err
	}); !errors.Is(err, store.ErrCursor) {
		t.Errorf("a cursor of the other log: %v", err)
	}
}

// testSubscribe sees that whoever follows a log is woken, by whatever store the change was made.
func testSubscribe(t *testing.T, s *spread) {
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.InsertCustomer(newCustomer(hansa, 1, "")), tx.InsertConsent(newConsent(hansa, 2, id(1))),
			tx.InsertShipment(newShipment(hansa, 2, "")))
	})
	appendTo := map[store.Log]func(store.Tx) error{
		store.ConsentLog: func(tx store.Tx) error { return appendNext(tx, id(2)) },
		store.ShipmentLog: func(tx store.Tx) error {
			return tx.AppendShipment(id(2),
				newShipment(hansa, 2, "").Resource)
		},
	}
	await := func(t *testing.T, wake <-chan store.Cursor) {
		t.Helper()
		select {
		case <-wake:
		case <-time.After(10 * time.Second):
			t.Fatal("no wake-up")
		}
	}
	for log, change := range appendTo {
		for n, subscribed := range s.stores {
			for m, writing := range s.stores {
				t.Run(fmt.Sprintf("%s of store %d, written by %d", log, n, m), func(t *testing.T) {
					wake, cancel := subscribed.System().Subscribe(log)
					defer cancel()
					for range 3 {
						update(t, writing, change)
						await(t, wake) // It may be one too many; none may be missing.
					}
				})
			}
		}
	}
	// A subscription that has ended, twice, leaves the others alone.
	wake, cancel := s.System().Subscribe(store.ShipmentLog)
	defer cancel()
	_, ended := s.stores[0].System().Subscribe(store.ShipmentLog)
	ended()
	ended()
	update(t, s, appendTo[store.ShipmentLog])
	await(t, wake)
}

// testSubscribeUnderLoad has subscribers who read only when they are woken: one lost wake-up and they wait for ever.
func testSubscribeUnderLoad(t *testing.T, s *spread) {
	const consents, events, subscribers = 3, 60, 12
	insertLogConsents(t, s, consents)
	var group sync.WaitGroup
	for n := range subscribers {
		consentID, want := "", consents*events
		if n%2 == 0 {
			consentID, want = id(10+n%consents), events
		}
		wake, cancel := s.System().Subscribe(store.ConsentLog)
		group.Go(func() {
			defer cancel()
			after := store.Cursor("")
			for seen := 0; seen < want; {
				select {
				case <-wake:
				case <-time.After(10 * time.Second):
					t.Errorf("subscriber %d has seen %d of %d and waits", n, seen, want)
					return
				}
				err := s.View(t.Context(), hansa, func(r store.Reader) error {
					page, err := r.ConsentEntries(consentID, after, many)
					if len(page) > 0 {
						seen, after = seen+len(page), page[len(page)-1].Cursor
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
				err := s.Update(t.Context(), hansa, func(tx store.Tx) error {
					return tx.AppendEvent(id(10+n), newEvent(sequence, consentv1.ConsentEvent_LINK_OPENED),
						&consentv1.Consent{})
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
