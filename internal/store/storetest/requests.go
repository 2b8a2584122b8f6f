package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"kontor.dev/kontor/internal/store"
)

func testCallbacks(t *testing.T, s *spread) {
	redirect := newCallback(hansa, store.CallbackRedirect, "redirect", id(2))
	shipment := newCallback(hansa, store.CallbackShipment, "shipment", id(3))
	webhook := newCallback(stranger, store.CallbackWebhook, "webhook", "registration")
	webhook.ExpireTime = time.Time{}
	late := newCallback(hansa, store.CallbackRedirect, "late", id(2))
	late.ExpireTime = noon.Add(time.Hour + time.Microsecond)
	all := map[string]*store.Callback{"redirect": redirect, "shipment": shipment, "webhook": webhook, "late": late}
	for _, c := range all {
		updateOf(t, s, c.Tenant, func(tx store.Tx) error { return tx.InsertCallback(c) })
	}
	find := func(kind store.CallbackKind, token string) (*store.Callback, error) {
		return s.System().Callback(t.Context(), kind, hash(token))
	}
	kinds := []store.CallbackKind{store.CallbackRedirect, store.CallbackShipment, store.CallbackWebhook, ""}
	for token, want := range all {
		for _, kind := range kinds {
			got, err := find(kind, token)
			if kind == want.Kind {
				wantError(t, token, err, nil)
				wantEqual(t, "the token "+token, got, want)
			} else {
				wantError(t, fmt.Sprintf("the token %s as one of kind %q", token, kind), err, store.ErrNotFound)
			}
		}
	}
	_, err := find(store.CallbackRedirect, "forged")
	wantError(t, "a token that nobody gave", err, store.ErrNotFound)
	wantError(t, "a token twice", s.Update(t.Context(), stranger, func(tx store.Tx) error {
		return tx.InsertCallback(newCallback(stranger, store.CallbackRedirect, "redirect", id(2)))
	}), store.ErrExists)

	// What was rolled back is no token.
	wantError(t, "Update", s.Update(t.Context(), hansa, func(tx store.Tx) error {
		return errors.Join(errUndo, tx.InsertCallback(newCallback(hansa, store.CallbackRedirect, "undone", id(2))))
	}), errUndo)
	_, err = find(store.CallbackRedirect, "undone")
	wantError(t, "a token that was rolled back", err, store.ErrNotFound)

	// How a customer came back is kept with the token, and changes nothing else of it.
	redirect.Outcome, redirect.VisitTime, redirect.Settled = "exit", noon.Add(time.Minute), true
	came := *redirect
	came.Resource, came.Flow, came.ExpireTime = "another", 9, time.Time{}
	update(t, s, func(tx store.Tx) error { return tx.UpdateCallback(&came) })
	back, err := find(store.CallbackRedirect, "redirect")
	wantError(t, "after the visit", err, nil)
	wantEqual(t, "after the visit", back, redirect)
	wantEqual(t, "after the visit, to its tenant", read(t, s, func(r store.Reader) (*store.Callback, error) {
		return r.Callback(store.CallbackRedirect, redirect.Hash)
	}), redirect)
	wantError(t, "a visit by another kind of token", s.Update(t.Context(), hansa, func(tx store.Tx) error {
		other := came
		other.Kind = store.CallbackShipment
		return tx.UpdateCallback(&other)
	}), store.ErrNotFound)

	wantSweep(t, s.System().DeleteCallbacksBefore, noon.Add(time.Hour), 9, 0)
	wantSweep(t, s.System().DeleteCallbacksBefore, noon.Add(time.Hour+time.Microsecond), 1, 1)
	wantSweep(t, s.System().DeleteCallbacksBefore, noon.Add(time.Hour+time.Microsecond), 9, 1)
	wantSweep(t, s.System().DeleteCallbacksBefore, noon.AddDate(10, 0, 0), 0, 0)
	wantSweep(t, s.System().DeleteCallbacksBefore, noon.AddDate(10, 0, 0), 9, 1)
	wantSweep(t, s.System().DeleteCallbacksBefore, noon.AddDate(10, 0, 0), 9, 0)
	for token, c := range all {
		want := store.ErrNotFound
		if token == "webhook" { // It never expires.
			want = nil
		}
		_, err := find(c.Kind, token)
		wantError(t, "after the cleanup, "+token, err, want)
	}
}

// wantSweep deletes what is older than a time, at most limit rows, and compares how many there were.
func wantSweep(t *testing.T, sweep func(context.Context, time.Time, int) (int, error), before time.Time,
	limit, want int) {
	t.Helper()
	n, err := sweep(t.Context(), before, limit)
	if n != want || err != nil {
		t.Errorf("%d were deleted (%v), want %d", n, err, want)
	}
}

func testIdempotency(t *testing.T, s *spread) {
	i := newIdempotency(hansa, "CreateConsent", "key-1")
	get := func(r store.Reader) (*store.Idempotency, error) {
		return r.Idempotency("CreateConsent", "key-1")
	}
	complete := func(owner, response, failure string) error {
		return s.Update(t.Context(), hansa, func(tx store.Tx) error {
			answer := newIdempotency(hansa, "CreateConsent", "key-1")
			// Only the answer is taken from it, and whose data that is.
			answer.Request, answer.CreateTime, answer.CustomerID = lookup("other"), noon.AddDate(1, 0, 0), id(1)
			answer.Lease = store.Lease{Owner: owner, Until: noon.AddDate(1, 0, 0)}
			if response != "" {
				answer.Response = []byte(response)
			}
			if failure != "" {
				answer.Failure = []byte(failure)
			}
			return tx.CompleteIdempotency(answer)
		})
	}
	update(t, s, func(tx store.Tx) error { return tx.InsertCustomer(newCustomer(hansa, 1, "")) })
	wantError(t, "a key that nobody used", readError(t, s, get), store.ErrNotFound)
	wantError(t, "an answer to what nobody asked", complete("owner-1", "answer", ""), store.ErrClaimLost)
	update(t, s, func(tx store.Tx) error { return tx.InsertIdempotency(i) })
	wantEqual(t, "the record", read(t, s, get), i)
	wantError(t, "the key again", s.Update(t.Context(), hansa, func(tx store.Tx) error {
		return tx.InsertIdempotency(newIdempotency(hansa, "CreateConsent", "key-1"))
	}), store.ErrExists)
	for _, free := range []*store.Idempotency{
		newIdempotency(hansa, "CreateConsent", "key-2"), newIdempotency(hansa, "CreateShipment", "key-1"),
		newIdempotency(stranger, "CreateConsent", "key-1"),
	} {
		updateOf(t, s, free.Tenant, func(tx store.Tx) error { return tx.InsertIdempotency(free) })
	}

	wantError(t, "another owner's answer", complete("owner-2", "answer", ""), store.ErrClaimLost)
	wantEqual(t, "the record", read(t, s, get), i)
	wantError(t, "the answer", complete("owner-1", "answer", ""), nil)
	i.Done, i.Response, i.CustomerID = true, []byte("answer"), id(1)
	wantEqual(t, "the answered record", read(t, s, get), i)
	wantError(t, "a second answer", complete("owner-1", "", "failure"), store.ErrClaimLost)
	wantEqual(t, "the answered record", read(t, s, get), i)

	forget := func(key, owner string) error {
		return s.Update(t.Context(), hansa,
			func(tx store.Tx) error { return tx.DeleteIdempotency("CreateConsent", key, owner) })
	}
	wantError(t, "to forget an answer", forget("key-1", "owner-1"), store.ErrClaimLost)
	wantError(t, "to forget another owner's record", forget("key-2", "owner-2"), store.ErrClaimLost)
	wantError(t, "to forget a record", forget("key-2", "owner-1"), nil)
	wantError(t, "to forget it again", forget("key-2", "owner-1"), store.ErrClaimLost)
	wantError(t, "a forgotten key", readError(t, s, func(r store.Reader) (*store.Idempotency, error) {
		return r.Idempotency("CreateConsent", "key-2")
	}), store.ErrNotFound)
	again := newIdempotency(hansa, "CreateConsent", "key-2")
	again.Lease.Owner = "owner-3"
	update(t, s, func(tx store.Tx) error { return tx.InsertIdempotency(again) })
	again.Failure = []byte("failure")
	update(t, s, func(tx store.Tx) error { return tx.CompleteIdempotency(again) })
	again.Done = true
	for _, want := range []*store.Idempotency{
		i, again, newIdempotency(hansa, "CreateShipment", "key-1"), newIdempotency(stranger, "CreateConsent", "key-1"),
	} {
		wantEqual(t, "a record", readOf(t, s, want.Tenant, func(r store.Reader) (*store.Idempotency, error) {
			return r.Idempotency(want.Method, want.Key)
		}), want)
	}
}

func testIdempotencyRace(t *testing.T, s *spread) {
	const callers = 100
	results := make([]error, callers)
	start := make(chan struct{})
	var group sync.WaitGroup
	for n := range callers {
		group.Go(func() {
			i := newIdempotency(hansa, "CreateConsent", "key-1")
			i.Lease.Owner = fmt.Sprintf("owner-%d", n)
			<-start
			results[n] = s.Update(t.Context(), hansa, func(tx store.Tx) error { return tx.InsertIdempotency(i) })
		})
	}
	close(start)
	group.Wait()
	stored := read(t, s, func(r store.Reader) (*store.Idempotency, error) {
		return r.Idempotency("CreateConsent", "key-1")
	})
	winners := 0
	for n, err := range results {
		switch {
		case err == nil:
			winners++
			if want := fmt.Sprintf("owner-%d", n); stored.Lease.Owner != want {
				t.Errorf("%s won, %s is stored", want, stored.Lease.Owner)
			}
		case !errors.Is(err, store.ErrExists):
			t.Errorf("caller %d: %v", n, err)
		}
	}
	if winners != 1 {
		t.Errorf("%d callers won, want 1", winners)
	}
}

func testIdempotencyCleanup(t *testing.T, s *spread) {
	insert := func(key string, created time.Time, done bool) {
		i := newIdempotency(hansa, "CreateConsent", key)
		i.CreateTime, i.Done = created, done
		update(t, s, func(tx store.Tx) error { return tx.InsertIdempotency(i) })
	}
	left := func() (keys []string) {
		view(t, s, func(r store.Reader) error {
			for _, key := range []string{"old", "on time", "new", "open"} {
				switch _, err := r.Idempotency("CreateConsent", key); {
				case err == nil:
					keys = append(keys, key)
				case !errors.Is(err, store.ErrNotFound):
					return err
				}
			}
			return nil
		})
		return keys
	}
	insert("old", noon.Add(-time.Microsecond), true)
	insert("on time", noon, true)
	insert("new", noon.Add(time.Hour), true)
	insert("open", noon.Add(time.Hour), false)
	wantSweep(t, s.System().DeleteIdempotencyBefore, noon, 9, 1)
	wantEqual(t, "the keys", left(), []string{"on time", "new", "open"})
	wantSweep(t, s.System().DeleteIdempotencyBefore, noon.AddDate(1, 0, 0), 2, 2)
	wantSweep(t, s.System().DeleteIdempotencyBefore, noon.AddDate(1, 0, 0), 2, 1)
	wantEqual(t, "the keys", left(), nil)
}

func testIntents(t *testing.T, s *spread) {
	// Their leases run out in the order first, second, third, one minute after the other.
	first, second, third := newIntent(stranger, 12,
		"consents/2"), newIntent(hansa, 11, "shipments/3"), newIntent(hansa, 10, "customers/1")
	for n, intent := range []*store.Intent{first, second, third} {
		intent.Lease.Until = noon.Add(time.Duration(n+1) * time.Minute)
	}
	second.IdempotencyMethod, second.IdempotencyKey, second.CustomerID = "CreateShipment", "key-1", id(1)
	settled := newIntent(hansa, 13, "consents/3")
	settled.State = store.IntentFailed
	for _, intent := range []*store.Intent{third, first, settled, second} {
		updateOf(t, s, intent.Tenant, func(tx store.Tx) error { return tx.InsertIntent(intent) })
	}
	expired := func(after time.Duration, limit int) []*store.Intent {
		t.Helper()
		found, err := s.System().ExpiredIntents(t.Context(), noon.Add(after), limit)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	wantEqual(t, "expired before any lease is over", expired(time.Minute-time.Microsecond, 9), nil)
	wantEqual(t, "expired when the first lease is over", expired(time.Minute, 9), []*store.Intent{first})
	wantEqual(t, "expired in the end", expired(time.Hour, 9), []*store.Intent{first, second, third})
	wantEqual(t, "the two that expired first", expired(time.Hour, 2), []*store.Intent{first, second})
	wantEqual(t, "expired, none asked for", expired(time.Hour, 0), nil)
	waiting := func() []*store.Intent {
		return read(t, s,
			func(r store.Reader) ([]*store.Intent, error) { return r.OpenIntents("CreateShipment", "key-1") })
	}
	wantEqual(t, "those that wait with a record", waiting(), []*store.Intent{second})

	for _, state := range []store.IntentState{store.IntentUnknown, store.IntentDone, store.IntentFailed} {
		second.State, second.UpdateTime = state, second.UpdateTime.Add(time.Minute)
		update(t, s, func(tx store.Tx) error { return tx.UpdateIntent(second.ID, state, second.UpdateTime) })
		wantEqual(t, "the changed one",
			read(t, s, func(r store.Reader) (*store.Intent, error) { return r.Intent(second.ID) }), second)
		wantEqual(t, "the expired ones", expired(time.Hour, 9), []*store.Intent{first, third})
		wantEqual(t, "those that wait with a record", waiting(), nil)
	}
	wantSweep(t, s.System().DeleteIntentsBefore, second.UpdateTime, 9, 1) // the settled one
	wantEqual(t, "the expired ones after forgetting", expired(time.Hour, 9), []*store.Intent{first, third})
	wantEqual(t, "one that is not old enough",
		read(t, s, func(r store.Reader) (*store.Intent, error) { return r.Intent(second.ID) }), second)
	wantSweep(t, s.System().DeleteIntentsBefore, noon.AddDate(1, 0, 0), 0, 0)
	wantSweep(t, s.System().DeleteIntentsBefore, noon.AddDate(1, 0, 0), 9, 1)
	wantEqual(t, "the expired ones after forgetting", expired(time.Hour, 9), []*store.Intent{first, third})
	wantError(t, "a change of none", s.Update(t.Context(), hansa, func(tx store.Tx) error {
		return tx.UpdateIntent(id(99), store.IntentDone, noon)
	}), store.ErrNotFound)
	wantError(t, "an id that is taken", s.Update(t.Context(), hansa, func(tx store.Tx) error {
		return tx.InsertIntent(newIntent(hansa, 10, ""))
	}), store.ErrExists)
	wantError(t, "none", readError(t, s, func(r store.Reader) (*store.Intent, error) { return r.Intent(id(99)) }),
		store.ErrNotFound)
}

func testWebhooks(t *testing.T, s *spread) {
	get := func(r store.Reader) (*store.Webhook, error) { return r.Webhook("key") }
	wantError(t, "none", readError(t, s, get), store.ErrNotFound)
	w := &store.Webhook{Key: "key", Tenant: hansa, Provider: fimento, UpdateTime: noon}
	for _, registered := range []bool{false, true, false} {
		w.Registered, w.UpdateTime = registered, w.UpdateTime.Add(time.Minute)
		update(t, s, func(tx store.Tx) error { return tx.PutWebhook(w) })
		wantEqual(t, "the registration", read(t, s, get), w)
	}
	update(t, s, func(tx store.Tx) error {
		return tx.PutWebhook(&store.Webhook{Key: "other", Tenant: hansa, Provider: finoos})
	})
	// Another tenant's registration of the same key is another one.
	updateOf(t, s, stranger, func(tx store.Tx) error {
		return tx.PutWebhook(&store.Webhook{Key: "key", Tenant: stranger, Provider: finoos})
	})
	wantEqual(t, "the registration", read(t, s, get), w)
}

// testTimes sees that instants come back as they went in, cut to microseconds, in UTC, and that none stays none.
func testTimes(t *testing.T, s *spread) {
	lubeck := time.FixedZone("CET", 3600)
	local := time.Date(2026, 5, 26, 13, 0, 0, 123_456_789, lubeck)
	for _, test := range []struct{ in, want time.Time }{
		{noon, noon},
		{local, noon},
		{time.Time{}, time.Time{}},
		{time.Time{}.In(lubeck), time.Time{}},
		{time.Date(1969, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(1969, 12, 31, 23, 59, 59, 0, time.UTC)},
		{time.Date(2199, 1, 1, 0, 0, 0, 1000, time.UTC), time.Date(2199, 1, 1, 0, 0, 0, 1000, time.UTC)},
	} {
		var got []time.Time
		err := s.Update(t.Context(), hansa, func(tx store.Tx) error {
			c := newConsent(hansa, 2, id(1))
			c.NextPoll, c.ValidUntil, c.LastPoll = test.in, test.in, test.in
			key := newIdempotency(hansa, "CreateConsent", "key-1")
			key.CreateTime, key.Lease.Until = test.in, test.in
			intent := newIntent(hansa, 3, "")
			intent.CreateTime, intent.UpdateTime, intent.Lease.Until = test.in, test.in, test.in
			err := errors.Join(tx.InsertCustomer(newCustomer(hansa, 1, "")), tx.InsertConsent(c),
				tx.InsertIdempotency(key), tx.InsertIntent(intent),
				tx.PutWebhook(&store.Webhook{Key: "key", Tenant: hansa, UpdateTime: test.in}),
				tx.AppendAudit(newAudit(hansa, "m", test.in)))
			if err != nil {
				return err
			}
			storedConsent, err1 := tx.Consent(id(2))
			storedKey, err2 := tx.Idempotency("CreateConsent", "key-1")
			storedIntent, err3 := tx.Intent(id(3))
			storedWebhook, err4 := tx.Webhook("key")
			trail, err5 := tx.AuditTrail(0, 1)
			if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
				return err
			}
			got = []time.Time{
				storedConsent.NextPoll, storedConsent.ValidUntil, storedConsent.LastPoll, storedKey.CreateTime,
				storedKey.Lease.Until, storedIntent.CreateTime,
				storedIntent.UpdateTime, storedIntent.Lease.Until, storedWebhook.UpdateTime, trail[0].Time,
			}
			return errUndo
		})
		wantError(t, "Update", err, errUndo)
		token := test.in.String()
		callback := newCallback(hansa, store.CallbackRedirect, token, id(2))
		callback.CreateTime, callback.ExpireTime = test.in, test.in
		update(t, s, func(tx store.Tx) error { return tx.InsertCallback(callback) })
		stored, err := s.System().Callback(t.Context(), store.CallbackRedirect, hash(token))
		if err != nil {
			t.Fatal(err)
		}
		for i, at := range append(got, stored.CreateTime, stored.ExpireTime) {
			if !at.Equal(test.want) || at.Location() != time.UTC || at.IsZero() != test.want.IsZero() {
				t.Errorf("instant %d: %v came back as %v, want %v", i, test.in, at, test.want)
			}
		}
	}
}

// testEmpty reads a store that holds nothing.
func testEmpty(t *testing.T, s *spread) {
	wantError(t, "Ping", s.Ping(t.Context()), nil)
	for _, l := range lookups {
		want := store.ErrNotFound
		if l.list {
			want = nil
		}
		n, err := countRows(t, s, l, hansa)
		if n != 0 {
			t.Errorf("%s finds %d", l.method, n)
		}
		wantError(t, l.method, err, want)
	}
	for _, log := range []store.Log{store.ConsentLog, store.ShipmentLog} {
		// The end of a log without entries is a place like any other: what comes later lies behind it.
		end := headOf(t, s, log)
		update(t, s, func(tx store.Tx) error {
			if log == store.ConsentLog {
				err := errors.Join(tx.InsertCustomer(newCustomer(hansa, 1, "")),
					tx.InsertConsent(newConsent(hansa, 2, id(1))))
				return errors.Join(err, appendNext(tx, id(2)))
			}
			return errors.Join(tx.InsertShipment(newShipment(hansa, 2, "")),
				tx.AppendShipment(id(2), newShipment(hansa, 2, "").Resource))
		})
		view(t, s, func(r store.Reader) error {
			n1, err1 := rows(r.ConsentEntries("", end, 9))
			n2, err2 := rows(r.ShipmentEntries("", end, 9))
			if log == store.ConsentLog && (n1 != 1 || err1 != nil) || log == store.ShipmentLog && (n2 != 1 ||
				err2 != nil) {
				t.Errorf("behind the end of an empty log of %s there are %d and %d entries (%v, %v)", log, n1, n2, err1,
					err2)
			}
			return nil
		})
	}
}
