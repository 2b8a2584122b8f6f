package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/store"
)

// testSettledEvents settles events: they stay in the history, and no longer bear on the consent.
func testSettledEvents(t *testing.T, s *spread) {
	c := newConsent(hansa, 2, id(1))
	update(t, s, func(tx store.Tx) error {
		err := errors.Join(tx.InsertCustomer(newCustomer(hansa, 1, "")), tx.InsertConsent(c))
		for n := range int64(5) {
			event := newEvent(n+1, consentv1.ConsentEvent_SYNC_COMPLETED)
			err = errors.Join(err, tx.AppendEvent(c.ID, event, consentAfter(c, n+1)))
		}
		return err
	})
	sequences := func(events []consent.Event, err error) ([]int64, error) {
		var all []int64
		for _, e := range events {
			all = append(all, e.Sequence)
		}
		return all, err
	}
	unsettled := func(r store.Reader) ([]int64, error) { return sequences(r.UnsettledEvents(c.ID)) }
	wantEqual(t, "the unsettled, at first", read(t, s, unsettled), []int64{1, 2, 3, 4, 5})
	update(t, s, func(tx store.Tx) error { return tx.SettleEvents(c.ID, []int64{2, 4, 9}) })
	wantEqual(t, "the unsettled", read(t, s, unsettled), []int64{1, 3, 5})
	wantEqual(t, "the history", read(t, s, func(r store.Reader) ([]int64, error) {
		return sequences(r.Events(c.ID, 0, many))
	}), []int64{1, 2, 3, 4, 5})
	update(t, s, func(tx store.Tx) error {
		return tx.AppendEvent(c.ID, newEvent(6, consentv1.ConsentEvent_SYNC_COMPLETED), consentAfter(c, 6))
	})
	wantEqual(t, "the unsettled, in the end", read(t, s, unsettled), []int64{1, 3, 5, 6})
	known := func(r store.Reader) (map[string]bool, error) {
		return r.KnownEvents(c.ID, []string{"key-1", "key-2", "key-6", "key-7", ""})
	}
	all := map[string]bool{"key-1": true, "key-2": true, "key-6": true}
	wantEqual(t, "the known, settled or not", read(t, s, known), all)
	// As many as a provider may tell again: more than the history has, and fewer.
	many := func(of string, asked int) func(store.Reader) (map[string]bool, error) {
		return func(r store.Reader) (map[string]bool, error) {
			keys := []string{"key-2", "key-6"}
			for n := range asked {
				keys = append(keys, fmt.Sprint("another-", n))
			}
			return r.KnownEvents(of, keys)
		}
	}
	two := map[string]bool{"key-2": true, "key-6": true}
	wantEqual(t, "the known of many", read(t, s, many(c.ID, 200)), two)
	long := newConsent(hansa, 12, id(1))
	update(t, s, func(tx store.Tx) error {
		err := tx.InsertConsent(long)
		for n := range int64(150) {
			event := newEvent(n+1, consentv1.ConsentEvent_SYNC_COMPLETED)
			err = errors.Join(err, tx.AppendEvent(long.ID, event, consentAfter(long, n+1)))
		}
		return err
	})
	wantEqual(t, "the known of many, of a longer history", read(t, s, many(long.ID, 120)), two)
	wantEqual(t, "the known of many, of a shorter one", read(t, s, many(long.ID, 200)), two)
	wantEqual(t, "the known of many, of none", read(t, s, many(id(77), 200)), map[string]bool{})
	update(t, s, func(tx store.Tx) error { return deleteConsent(tx, c.ID) })
	wantEqual(t, "the unsettled of a deleted consent", read(t, s, unsettled), nil)
	wantEqual(t, "the known of a deleted consent", read(t, s, known), map[string]bool{})
	wantEqual(t, "the known of many, of a deleted consent", read(t, s, many(c.ID, 200)), map[string]bool{})
}

// testErasureInPieces deletes consents of which there is much, a few rows in each transaction. They are gone with the
// first; the rest is erased by whoever goes on: the caller, a sweep, or the deletion of the customer.
func testErasureInPieces(t *testing.T, s *spread) {
	const events, tokens, answers, limit = 7, 4, 2, 3
	const rows = events + tokens + answers
	update(t, s, func(tx store.Tx) error { return tx.InsertCustomer(newCustomer(hansa, 1, "")) })
	token := func(id string, n int) string { return fmt.Sprint("redirect ", id, n) }
	for n := range 3 {
		c := newConsent(hansa, 10+n, id(1))
		update(t, s, func(tx store.Tx) error {
			err := tx.InsertConsent(c)
			for n := range int64(events) {
				event := newEvent(n+1, consentv1.ConsentEvent_SYNC_COMPLETED)
				err = errors.Join(err, tx.AppendEvent(c.ID, event, consentAfter(c, n+1)))
			}
			for n := range tokens {
				err = errors.Join(err,
					tx.InsertCallback(newCallback(hansa, store.CallbackRedirect, token(c.ID, n), c.ID)))
			}
			for n := range answers {
				i := newIdempotency(hansa, c.ID, fmt.Sprint("key-", n))
				i.Done, i.ConsentID, i.CustomerID, i.Response = true, c.ID, id(1), []byte("answer")
				err = errors.Join(err, tx.InsertIdempotency(i))
			}
			return err
		})
	}
	// left counts what is there of a consent, beside the entry of its deletion.
	left := func(consentID string) (n int) {
		view(t, s, func(r store.Reader) error {
			entries, err := r.ConsentEntries(consentID, "", many)
			for _, e := range entries {
				if e.Event.Type != consentv1.ConsentEvent_DELETED {
					n++
				}
			}
			for i := range answers {
				record, e := r.Idempotency(consentID, fmt.Sprint("key-", i))
				if e == nil && !record.Erased {
					n++
				}
				if !errors.Is(e, store.ErrNotFound) { // It may have gone with the customer.
					err = errors.Join(err, e)
				}
			}
			return err
		})
		for i := range tokens {
			kept := hash(token(consentID, i))
			if _, err := s.System().Callback(t.Context(), store.CallbackRedirect, kept); err == nil {
				n++
			}
		}
		return n
	}
	begin := func(c string) {
		update(t, s, func(tx store.Tx) error {
			last := newEvent(events+1, consentv1.ConsentEvent_DELETED)
			after := &consentv1.Consent{Name: "consents/" + c, EventCount: events + 1}
			erased, err := 0, tx.AppendEvent(c, last, after)
			if err == nil {
				erased, err = tx.DeleteConsent(c, limit)
			}
			if erased != limit {
				t.Errorf("%d rows were erased with the consent, want %d", erased, limit)
			}
			return err
		})
		wantError(t, "a consent that is being erased",
			readError(t, s, func(r store.Reader) (*store.Consent, error) { return r.Consent(c) }), store.ErrNotFound)
		if n := left(c); n != rows-limit {
			t.Errorf("%d rows are left, want %d", n, rows-limit)
		}
	}

	caller := id(10)
	begin(caller)
	for before := left(caller); ; {
		var erased int
		update(t, s, func(tx store.Tx) (err error) {
			erased, err = tx.DeleteConsent(caller, limit)
			return err
		})
		now := left(caller)
		if before-now != erased || erased > limit {
			t.Errorf("of %d rows %d are left, when %d were erased", before, now, erased)
		}
		if before = now; erased < limit {
			break
		}
	}
	if n := left(caller); n != 0 {
		t.Errorf("%d rows are left", n)
	}
	wantError(t, "again", s.Update(t.Context(), hansa, func(tx store.Tx) error {
		_, err := tx.DeleteConsent(caller, limit)
		return err
	}), store.ErrNotFound)

	swept := id(11)
	begin(swept)
	steps := 0
	for erased := limit; erased == limit; steps++ {
		before := left(swept)
		var err error
		if erased, err = s.System().FinishErasures(t.Context(), limit); err != nil {
			t.Fatal(err)
		}
		if n := before - left(swept); n > limit {
			t.Errorf("one step of the sweep erased %d rows, want at most %d", n, limit)
		}
	}
	if n := left(swept); n != 0 || steps < (rows-limit)/limit {
		t.Errorf("%d rows are left after %d steps of the sweep", n, steps)
	}

	begin(id(12))
	for done := false; !done; {
		before := left(id(12))
		update(t, s, func(tx store.Tx) error {
			removed, err := tx.DeleteCustomer(id(1), limit)
			done = removed.Done
			return err
		})
		if n := before - left(id(12)); n > limit && !done {
			t.Errorf("one step of the customer's deletion erased %d rows, want at most %d", n, limit)
		}
	}
	entries := read(t, s, func(r store.Reader) ([]store.ConsentEntry, error) { return r.ConsentEntries("", "", many) })
	if len(entries) != 3 {
		t.Errorf("the log has %d entries, want the three deletions", len(entries))
	}
}

// testRoomGivenBack: a store may be unable to give room back, or have none to give; it does not go on for ever.
func testRoomGivenBack(t *testing.T, s *spread) {
	for range many {
		if given, err := s.System().GiveRoomBack(t.Context(), 10); err != nil || given < 0 {
			t.Fatalf("%d, %v", given, err)
		} else if given < 10 {
			return
		}
	}
	t.Error("room is given back without end")
}

// testTrimmedLogs trims both logs, in pieces: cursors from before expire, those from after go on, and the history of a
// consent that exists stays whole.
func testTrimmedLogs(t *testing.T, s *spread) {
	kept, deleted := newConsent(hansa, 2, id(1)), newConsent(hansa, 3, id(1))
	shipment := newShipment(hansa, 4, "")
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.InsertCustomer(newCustomer(hansa, 1, "")), tx.InsertConsent(kept),
			tx.InsertConsent(deleted), tx.InsertShipment(shipment))
	})
	const each = 7
	add := func(from int64) {
		update(t, s, func(tx store.Tx) (err error) {
			for n := from; n < from+each; n++ {
				for _, c := range []*store.Consent{kept, deleted} {
					event := newEvent(n, consentv1.ConsentEvent_SYNC_COMPLETED)
					err = errors.Join(err, tx.AppendEvent(c.ID, event, consentAfter(c, n)))
				}
				err = errors.Join(err, tx.AppendShipment(shipment.ID, shipment.Resource))
			}
			return err
		})
	}
	logs := []store.Log{store.ConsentLog, store.ShipmentLog}
	trim := func(now, before time.Time, limit int) (trimmed int) {
		t.Helper()
		for _, log := range logs {
			for {
				n, err := s.System().TrimLog(t.Context(), log, now, before, limit)
				if err != nil {
					t.Fatal(err)
				}
				trimmed += n
				if n < limit {
					break
				}
			}
		}
		return trimmed
	}
	first := map[store.Log]store.Cursor{}
	for _, log := range logs {
		first[log] = headOf(t, s, log)
	}
	add(1)
	middle := map[store.Log]store.Cursor{}
	for _, log := range logs {
		middle[log] = headOf(t, s, log)
	}
	if n := trim(noon, noon.Add(-time.Hour), 5); n != 0 {
		t.Errorf("%d entries were trimmed before anything was old", n)
	}
	add(each + 1)
	if n := trim(noon.Add(time.Hour), noon.Add(-time.Microsecond), 5); n != 0 {
		t.Errorf("%d entries were trimmed that are not known to be old", n)
	}
	update(t, s, func(tx store.Tx) error { // which leaves the entry that says so
		last := newEvent(2*each+1, consentv1.ConsentEvent_DELETED)
		return errors.Join(tx.AppendEvent(deleted.ID, last, consentAfter(deleted, 2*each+1)),
			deleteConsent(tx, deleted.ID))
	})
	if n := trim(noon.Add(2*time.Hour), noon, 5); n != 2*each {
		t.Errorf("%d entries were trimmed, want the %d that were there at noon", n, 2*each)
	}

	entries := func(log store.Log, after store.Cursor) (n int, err error) {
		err = s.View(t.Context(), hansa, func(r store.Reader) error {
			var ids int
			if log == store.ShipmentLog {
				found, err := r.ShipmentEntries("", after, many)
				n = len(found)
				return err
			}
			found, err := r.ConsentEntries("", after, many)
			for _, e := range found {
				if e.After.GetName() != "" {
					ids++
				}
			}
			if n = len(found); ids != n {
				return fmt.Errorf("%d of %d entries have no resource", n-ids, n)
			}
			return err
		})
		return n, err
	}
	for _, log := range logs {
		want := each
		if log == store.ConsentLog {
			want++
		}
		_, err := entries(log, first[log])
		wantError(t, fmt.Sprintf("a cursor of %s from before", log), err, store.ErrCursorExpired)
		for _, after := range []store.Cursor{"", middle[log]} {
			if n, err := entries(log, after); n != want || err != nil {
				t.Errorf("behind %q in %s there are %d entries, %v; want %d", after, log, n, err, want)
			}
		}
		if _, err := s.System().TailConsents(t.Context(), first[store.ConsentLog], 1); !errors.Is(err,
			store.ErrCursorExpired) {
			t.Errorf("the tail behind a cursor from before: %v", err)
		}
	}
	history := read(t, s, func(r store.Reader) ([]consent.Event, error) { return r.Events(kept.ID, 0, many) })
	for i, e := range history {
		wantEqual(t, "an event of the history", e, newEvent(int64(i)+1, consentv1.ConsentEvent_SYNC_COMPLETED))
	}
	if len(history) != 2*each {
		t.Errorf("the history has %d events, want %d", len(history), 2*each)
	}
	add3 := newEvent(2*each+1, consentv1.ConsentEvent_APPROVED)
	update(t, s, func(tx store.Tx) error { return tx.AppendEvent(kept.ID, add3, consentAfter(kept, 2*each+1)) })

	// All of it, and the customer with what is left.
	if n := trim(noon.Add(3*time.Hour), noon.Add(3*time.Hour), many); n != 2*each+2 {
		t.Errorf("%d entries were trimmed in the end, want %d", n, 2*each+2)
	}
	if n := trim(noon.Add(4*time.Hour), noon.Add(4*time.Hour), many); n != 0 {
		t.Errorf("%d entries were trimmed twice", n)
	}
	if n, err := entries(store.ConsentLog, headOf(t, s, store.ConsentLog)); n != 0 || err != nil {
		t.Errorf("behind the end there are %d entries, %v", n, err)
	}
	update(t, s, func(tx store.Tx) error {
		err := deleteConsent(tx, kept.ID)
		if err != nil {
			return err
		}
		removed, err := tx.DeleteCustomer(id(1), many)
		if err == nil && !removed.Done {
			err = errors.New("there is something left")
		}
		return err
	})
}

// testClockGoesBack sets the clock back by a day: what was planned by the clock before is due as soon as it would have
// been.
func testClockGoesBack(t *testing.T, s *spread) {
	const day = 24 * time.Hour
	due := map[int]time.Time{12: {}, 14: noon.Add(-48 * time.Hour)}
	for n := range 1200 { // Many at one moment, and many at moments of their own.
		due[100+n] = minute(5).Add(time.Duration(max(0, n-600)) * time.Second)
	}
	insertDue(t, s, due)
	beat := func(now time.Time, want time.Duration) {
		t.Helper()
		if back, err := s.System().Beat(t.Context(), now); back != want || err != nil {
			t.Errorf("at %s the clock is %s back, %v; want %s", now, back, err, want)
		}
	}
	// The database's own clock, where it has one, is on this machine here.
	if at, err := s.System().Time(t.Context()); err != nil || !at.IsZero() && time.Since(at).Abs() > time.Hour {
		t.Errorf("the database's clock says %s, %v", at, err)
	}
	beat(noon.Add(-time.Minute), 0)
	beat(noon, 0)
	claimed := claimDue(t, s, noon, "dead", 1)
	wantEqual(t, "claimed", idsOf(claimed), []string{id(14)})
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.InsertIntent(newIntent(hansa, 7, "consents/"+id(100))),
			tx.PauseProvider(finoos, noon.Add(time.Minute)), tx.ClaimUser(id(1), fimento, noon, lease("dead")),
			tx.InsertIdempotency(newIdempotency(hansa, "CreateConsent", "key")))
	})
	beat(noon.Add(-10*time.Second), 0) // Clocks differ by as much.
	beat(noon.Add(-day), day-10*time.Second)
	beat(noon.Add(-day), 0)

	// What was due within minutes is due within minutes, and nothing was shifted twice.
	now := noon.Add(-day)
	wantEqual(t, "due at once", idsOf(claimDue(t, s, now.Add(time.Minute), "owner", 9)), nil)
	soon := now.Add(5*time.Minute + 10*time.Second + leaseTime)
	if n := len(claimDue(t, s, soon, "owner", 2000)); n < 601 || n > 900 {
		t.Errorf("%d are due five minutes later, want 600 and what was claimed", n)
	}
	later := now.Add(time.Hour)
	rest := claimDue(t, s, later, "owner-2", 2000)
	if !slices.Contains(idsOf(rest), id(100+1199)) {
		t.Error("the last one is not due an hour later")
	}
	expired, err := s.System().ExpiredIntents(t.Context(), now.Add(2*time.Minute), many)
	if err != nil || len(expired) != 1 {
		t.Errorf("%d intents have run out, %v; want 1", len(expired), err)
	}
	update(t, s, func(tx store.Tx) error {
		record, err := tx.Idempotency("CreateConsent", "key")
		if err == nil && !record.Lease.Over(now.Add(2*time.Minute)) {
			t.Errorf("the record's lease is %+v", record.Lease)
		}
		return errors.Join(err, tx.ClaimUser(id(1), fimento, now.Add(2*time.Minute), lease("owner")))
	})
}

// testBacklog counts what waits.
func testBacklog(t *testing.T, s *spread) {
	want := func(now time.Time, want store.Backlog) {
		t.Helper()
		got, err := s.System().Backlog(t.Context(), now)
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, fmt.Sprint("the backlog at ", now), got, want)
	}
	want(noon, store.Backlog{})
	insertDue(t, s, map[int]time.Time{10: minute(3), 11: minute(1), 12: {}, 13: minute(2)})
	older, newer, done := newIntent(hansa, 7, "a"), newIntent(hansa, 8, "b"), newIntent(hansa, 9, "c")
	newer.CreateTime, done.State = older.CreateTime.Add(time.Minute), store.IntentDone
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.InsertIntent(newer), tx.InsertIntent(older), tx.InsertIntent(done))
	})
	open := store.Backlog{OpenIntents: 2, OldestIntent: older.CreateTime}
	want(noon, open)
	claimDue(t, s, minute(1), "owner", 1) // until the second minute
	want(minute(2).Add(-time.Microsecond), open)
	open.Due, open.DueSince = 2, minute(2)
	want(minute(2), open)
	open.Due = 3
	want(minute(3), open)
}
