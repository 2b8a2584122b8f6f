package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"kontor.dev/kontor/internal/store"
)

func testCallbacks(t *testing.T, s store.Store) {
	redirect := newCallback(hansa, store.CallbackRedirect, "redirect", id(2))
	shipment := newCallback(hansa, store.CallbackShipment, "shipment", id(3))
	webhook := newCallback(stranger, store.CallbackWebhook, "webhook", "registration")
	webhook.ExpireTime = time.Time{}
	late := newCallback(hansa, store.CallbackRedirect, "late", id(2))
	late.ExpireTime = noon.Add(time.Hour + time.Microsecond)
	all := map[string]*store.Callback{"redirect": redirect, "shipment": shipment, "webhook": webhook, "late": late}
	update(t, s, func(tx store.Tx) (err error) {
		for _, c := range all {
			err = errors.Join(err, tx.InsertCallback(c))
		}
		return err
	})
	kinds := []store.CallbackKind{store.CallbackRedirect, store.CallbackShipment, store.CallbackWebhook, ""}
	for token, want := range all {
		for _, kind := range kinds {
			var got *store.Callback
			err := s.View(t.Context(), func(r store.Reader) (err error) {
				got, err = r.Callback(kind, hash(token))
				return err
			})
			if kind == want.Kind {
				wantError(t, token, err, nil)
				wantEqual(t, "the token "+token, got, want)
			} else {
				wantError(t, fmt.Sprintf("the token %s as one of kind %q", token, kind), err, store.ErrNotFound)
			}
		}
	}
	wantError(t, "a token that nobody gave", readError(t, s, func(r store.Reader) (*store.Callback, error) {
		return r.Callback(store.CallbackRedirect, hash("forged"))
	}), store.ErrNotFound)
	wantError(t, "a token twice", s.Update(t.Context(), func(tx store.Tx) error {
		return tx.InsertCallback(newCallback(stranger, store.CallbackRedirect, "redirect", id(2)))
	}), store.ErrExists)

	for _, test := range []struct {
		before time.Time
		want   int
	}{{noon.Add(time.Hour), 0}, {noon.Add(time.Hour + time.Microsecond), 2}, {noon.AddDate(10, 0, 0), 1}, {noon.AddDate(10, 0, 0), 0}} {
		update(t, s, func(tx store.Tx) error {
			n, err := tx.DeleteCallbacksBefore(test.before)
			if n != test.want {
				t.Errorf("%d expired before %v, want %d", n, test.before, test.want)
			}
			return err
		})
	}
	view(t, s, func(r store.Reader) error {
		for token, c := range all {
			want := store.ErrNotFound
			if token == "webhook" { // It never expires.
				want = nil
			}
			_, err := r.Callback(c.Kind, c.Hash)
			wantError(t, "after the cleanup, "+token, err, want)
		}
		return nil
	})
}

func testIdempotency(t *testing.T, s store.Store) {
	i := newIdempotency(hansa, "CreateConsent", "key-1")
	get := func(r store.Reader) (*store.Idempotency, error) {
		return r.Idempotency(hansa, "CreateConsent", "key-1")
	}
	complete := func(operation, response, failure string) error {
		return s.Update(t.Context(), func(tx store.Tx) error {
			answer := newIdempotency(hansa, "CreateConsent", "key-1")
			// Only the answer is taken from it.
			answer.Operation, answer.RequestHash, answer.CreateTime = operation, hash("other"), noon.AddDate(1, 0, 0)
			if response != "" {
				answer.Response = []byte(response)
			}
			if failure != "" {
				answer.Failure = []byte(failure)
			}
			return tx.CompleteIdempotency(answer)
		})
	}
	wantError(t, "a key that nobody used", readError(t, s, get), store.ErrNotFound)
	wantError(t, "an answer to what nobody asked", complete("operation-1", "answer", ""), store.ErrConflict)
	update(t, s, func(tx store.Tx) error { return tx.InsertIdempotency(i) })
	wantEqual(t, "the record", read(t, s, get), i)
	wantError(t, "the key again", s.Update(t.Context(), func(tx store.Tx) error {
		return tx.InsertIdempotency(newIdempotency(hansa, "CreateConsent", "key-1"))
	}), store.ErrExists)
	for _, free := range []*store.Idempotency{
		newIdempotency(hansa, "CreateConsent", "key-2"), newIdempotency(hansa, "CreateShipment", "key-1"), newIdempotency(stranger, "CreateConsent", "key-1"),
	} {
		update(t, s, func(tx store.Tx) error { return tx.InsertIdempotency(free) })
	}

	wantError(t, "another operation's answer", complete("operation-2", "answer", ""), store.ErrConflict)
	wantEqual(t, "the record", read(t, s, get), i)
	wantError(t, "the answer", complete("operation-1", "answer", ""), nil)
	i.Done, i.Response = true, []byte("answer")
	wantEqual(t, "the answered record", read(t, s, get), i)
	wantError(t, "a second answer", complete("operation-1", "", "failure"), store.ErrConflict)
	wantEqual(t, "the answered record", read(t, s, get), i)

	for range 2 { // There is nothing to forget the second time.
		update(t, s, func(tx store.Tx) error { return tx.DeleteIdempotency(hansa, "CreateConsent", "key-1") })
	}
	wantError(t, "a forgotten key", readError(t, s, get), store.ErrNotFound)
	again := newIdempotency(hansa, "CreateConsent", "key-1")
	again.Operation = "operation-3"
	update(t, s, func(tx store.Tx) error { return tx.InsertIdempotency(again) })
	wantError(t, "a failure", complete("operation-3", "", "failure"), nil)
	again.Done, again.Failure = true, []byte("failure")
	wantEqual(t, "the failed record", read(t, s, get), again)
	update(t, s, func(tx store.Tx) error {
		for _, other := range []*store.Idempotency{newIdempotency(hansa, "CreateConsent", "key-2"), newIdempotency(stranger, "CreateConsent", "key-1")} {
			got, err := tx.Idempotency(other.Tenant, other.Method, other.Key)
			wantEqual(t, "another record", got, other)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func testIdempotencyRace(t *testing.T, s store.Store) {
	const callers = 100
	results := make([]error, callers)
	start := make(chan struct{})
	var group sync.WaitGroup
	for n := range callers {
		group.Go(func() {
			i := newIdempotency(hansa, "CreateConsent", "key-1")
			i.Operation = fmt.Sprintf("operation-%d", n)
			<-start
			results[n] = s.Update(t.Context(), func(tx store.Tx) error { return tx.InsertIdempotency(i) })
		})
	}
	close(start)
	group.Wait()
	stored := read(t, s, func(r store.Reader) (*store.Idempotency, error) {
		return r.Idempotency(hansa, "CreateConsent", "key-1")
	})
	winners := 0
	for n, err := range results {
		switch {
		case err == nil:
			winners++
			if want := fmt.Sprintf("operation-%d", n); stored.Operation != want {
				t.Errorf("%s won, %s is stored", want, stored.Operation)
			}
		case !errors.Is(err, store.ErrExists):
			t.Errorf("caller %d: %v", n, err)
		}
	}
	if winners != 1 {
		t.Errorf("%d callers won, want 1", winners)
	}
}

func testIdempotencyCleanup(t *testing.T, s store.Store) {
	insert := func(key string, created time.Time, done bool) {
		i := newIdempotency(hansa, "CreateConsent", key)
		i.CreateTime, i.Done = created, done
		update(t, s, func(tx store.Tx) error { return tx.InsertIdempotency(i) })
	}
	left := func() (keys []string) {
		view(t, s, func(r store.Reader) error {
			for _, key := range []string{"old", "on time", "new", "open"} {
				switch _, err := r.Idempotency(hansa, "CreateConsent", key); {
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
	update(t, s, func(tx store.Tx) error {
		n, err := tx.DeleteIdempotencyBefore(noon)
		if n != 1 {
			t.Errorf("%d forgotten, want 1", n)
		}
		return err
	})
	wantEqual(t, "the keys", left(), []string{"on time", "new", "open"})
	update(t, s, func(tx store.Tx) error { return tx.ReleaseIdempotency() })
	wantEqual(t, "the keys after a release", left(), []string{"on time", "new", "open"})
	for key, want := range map[string]string{"open": "", "new": newIdempotency(hansa, "CreateConsent", "new").Operation} {
		have := read(t, s, func(r store.Reader) (*store.Idempotency, error) { return r.Idempotency(hansa, "CreateConsent", key) })
		if have.Operation != want {
			t.Errorf("after a release %s has the operation %q, want %q", key, have.Operation, want)
		}
	}
}

func testIntents(t *testing.T, s store.Store) {
	first, second, third := newIntent(stranger, 12, "consents/2"), newIntent(hansa, 11, "shipments/3"), newIntent(hansa, 10, "customers/1")
	first.CreateTime, second.CreateTime, third.CreateTime = noon, noon.Add(time.Second), noon.Add(time.Hour)
	second.IdempotencyMethod, second.IdempotencyKey = "CreateShipment", "key-1"
	settled := newIntent(hansa, 13, "consents/3")
	settled.State = store.IntentFailed
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.InsertIntent(third), tx.InsertIntent(first), tx.InsertIntent(settled), tx.InsertIntent(second))
	})
	open := func(limit int) []*store.Intent {
		return read(t, s, func(r store.Reader) ([]*store.Intent, error) { return r.OpenIntents(limit) })
	}
	wantEqual(t, "the open ones", open(9), []*store.Intent{first, second, third})
	wantEqual(t, "the two oldest", open(2), []*store.Intent{first, second})
	wantEqual(t, "none asked for", open(0), nil)

	for _, state := range []store.IntentState{store.IntentUnknown, store.IntentDone, store.IntentFailed} {
		second.State, second.UpdateTime = state, second.UpdateTime.Add(time.Minute)
		update(t, s, func(tx store.Tx) error { return tx.UpdateIntent(hansa, second.ID, state, second.UpdateTime) })
		wantEqual(t, "the changed one", read(t, s, func(r store.Reader) (*store.Intent, error) { return r.Intent(hansa, second.ID) }), second)
		wantEqual(t, "the open ones", open(9), []*store.Intent{first, third})
	}
	update(t, s, func(tx store.Tx) error {
		n, err := tx.DeleteIntentsBefore(second.UpdateTime)
		if n != 1 {
			t.Errorf("%d forgotten, want the settled one", n)
		}
		return err
	})
	wantEqual(t, "the open ones after forgetting", open(9), []*store.Intent{first, third})
	wantEqual(t, "one that is not old enough", read(t, s, func(r store.Reader) (*store.Intent, error) { return r.Intent(hansa, second.ID) }), second)
	wantError(t, "a change of none", s.Update(t.Context(), func(tx store.Tx) error {
		return tx.UpdateIntent(hansa, id(99), store.IntentDone, noon)
	}), store.ErrNotFound)
	wantError(t, "an id that is taken", s.Update(t.Context(), func(tx store.Tx) error {
		return tx.InsertIntent(newIntent(hansa, 11, ""))
	}), store.ErrExists)
	wantError(t, "none", readError(t, s, func(r store.Reader) (*store.Intent, error) { return r.Intent(hansa, id(99)) }), store.ErrNotFound)
}

func testWebhooks(t *testing.T, s store.Store) {
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
	wantEqual(t, "the registration", read(t, s, get), w)
}

func testAudit(t *testing.T, s store.Store) {
	var want []store.Audit
	for n := range 6 {
		entry := newAudit([]string{hansa, stranger}[n%2], fmt.Sprintf("Method%d", n), noon.Add(time.Duration(-n)*time.Minute)) // The order is not that of time.
		update(t, s, func(tx store.Tx) error { return tx.AppendAudit(entry) })
		want = append(want, *entry)
	}
	trail := func(tenant string, after int64, limit int) []store.Audit {
		return read(t, s, func(r store.Reader) ([]store.Audit, error) { return r.AuditTrail(tenant, after, limit) })
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

	update(t, s, func(tx store.Tx) error {
		n, err := tx.DeleteAuditBefore(noon.Add(-3 * time.Minute))
		if n != 2 {
			t.Errorf("%d deleted, want 2", n)
		}
		return err
	})
	wantEqual(t, "what is left", trail("", 0, 100), want[:4])
	update(t, s, func(tx store.Tx) error { return tx.AppendAudit(newAudit(hansa, "Later", noon)) })
	if added := trail("", want[5].Position, 100); len(added) != 1 {
		t.Errorf("behind the former last position there are %d new entries, want 1: a position was given twice", len(added))
	}
}

// testTimes sees that instants come back as they went in, cut to microseconds, in UTC, and that none stays none.
func testTimes(t *testing.T, s store.Store) {
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
		err := s.Update(t.Context(), func(tx store.Tx) error {
			c := newConsent(hansa, 2, id(1))
			c.NextPoll = test.in
			callback := newCallback(hansa, store.CallbackRedirect, "token", id(2))
			callback.CreateTime, callback.ExpireTime = test.in, test.in
			key := newIdempotency(hansa, "CreateConsent", "key-1")
			key.CreateTime = test.in
			intent := newIntent(hansa, 3, "")
			intent.CreateTime, intent.UpdateTime = test.in, test.in
			err := errors.Join(tx.InsertCustomer(newCustomer(hansa, 1, "")), tx.InsertConsent(c), tx.InsertCallback(callback), tx.InsertIdempotency(key),
				tx.InsertIntent(intent), tx.PutWebhook(&store.Webhook{Key: "key", UpdateTime: test.in}), tx.AppendAudit(newAudit(hansa, "m", test.in)))
			if err != nil {
				return err
			}
			storedConsent, err1 := tx.Consent(hansa, id(2))
			storedCallback, err2 := tx.Callback(store.CallbackRedirect, hash("token"))
			storedKey, err3 := tx.Idempotency(hansa, "CreateConsent", "key-1")
			storedIntent, err4 := tx.Intent(hansa, id(3))
			storedWebhook, err5 := tx.Webhook("key")
			trail, err6 := tx.AuditTrail(hansa, 0, 1)
			if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
				return err
			}
			got = []time.Time{
				storedConsent.NextPoll, storedCallback.CreateTime, storedCallback.ExpireTime, storedKey.CreateTime, storedIntent.CreateTime,
				storedIntent.UpdateTime, storedWebhook.UpdateTime, trail[0].Time,
			}
			return errUndo
		})
		wantError(t, "Update", err, errUndo)
		for i, at := range got {
			if !at.Equal(test.want) || at.Location() != time.UTC || at.IsZero() != test.want.IsZero() {
				t.Errorf("instant %d: %v came back as %v, want %v", i, test.in, at, test.want)
			}
		}
	}
}

// testEmpty reads a store that holds nothing.
func testEmpty(t *testing.T, s store.Store) {
	wantError(t, "Ping", s.Ping(t.Context()), nil)
	for _, l := range lookups {
		if l.exempt != "" {
			continue
		}
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
	view(t, s, func(r store.Reader) error {
		for _, log := range []store.Log{store.ConsentLog, store.ShipmentLog} {
			if last, err := r.LastPosition(log); last != 0 || err != nil {
				t.Errorf("the last position of %s is %d (%v), want 0", log, last, err)
			}
		}
		return nil
	})
}
