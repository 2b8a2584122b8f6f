package once

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/store"
)

// noon is when the first process begins.
var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// audited counts the entries that say that a write was interrupted.
func (p *process) audited() (n int) {
	p.t.Helper()
	err := p.Store.View(p.ctx, "t", func(r store.Reader) error {
		entries, err := r.AuditTrail(0, 100)
		for _, e := range entries {
			if e.Outcome == errorv1.Error_OUTCOME_UNKNOWN.String() {
				n++
			}
		}
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// TestAttemptThatDiedHere panics in the middle of an attempt, and asks the same process again, at once.
func TestAttemptThatDiedHere(t *testing.T) {
	p := live(t)(noon)
	p.die("a", func(context.Context, *Attempt) {})
	resumed := false
	if _, err := p.call("a",
		func(_ context.Context, a *Attempt) error { resumed = a.Resumed; return nil }); err != nil || !resumed {
		t.Errorf("the repetition ended with %v, resumed %t", err, resumed)
	}
}

// TestWriteThatDiedHere panics while a provider is asked, and asks the same process again, at once.
func TestWriteThatDiedHere(t *testing.T) {
	p := live(t)(noon)
	p.die("a", func(ctx context.Context, a *Attempt) {
		if err := a.Intend(ctx, provider, "send_shipment", "shipments/1", nil); err != nil {
			t.Error(err)
		}
	})
	for range 2 {
		_, err := p.call("a", nil)
		if kerr.Reason(err) != errorv1.Error_OUTCOME_UNKNOWN || kerr.Metadata(err)["shipment"] != "shipments/1" {
			t.Errorf("the repetition ended with %v", err)
		}
	}
	if n := p.audited(); n != 1 {
		t.Errorf("the trail has %d entries about it, want 1", n)
	}
}

// TestRepairLeavesOthersAlone repairs while another process is at work, and when it is gone.
func TestRepairLeavesOthersAlone(t *testing.T) {
	begin := live(t)
	first, second := begin(noon), begin(noon)
	first.die("a", func(ctx context.Context, a *Attempt) {
		a.CustomerID = "customer"
		if err := a.Intend(ctx, provider, "send_shipment", "shipments/1", nil); err != nil {
			t.Error(err)
		}
		// Both do their rounds meanwhile, also when the lease should have been renewed.
		for _, at := range []time.Time{noon, noon.Add(leaseTime - time.Microsecond)} {
			second.now = at
			if err := second.Repair(ctx); err != nil || second.audited() != 0 {
				t.Errorf("at %s another process took the write for interrupted (%v)", at, err)
			}
		}
		first.now = noon.Add(leaseTime)
		if err := first.Repair(ctx); err != nil || first.audited() != 0 {
			t.Errorf("a process took its own write for interrupted (%v)", err)
		}
		if err := first.renew(ctx); err != nil {
			t.Error(err)
		}
		second.now = noon.Add(2*leaseTime - time.Microsecond)
		if err := second.Repair(ctx); err != nil || second.audited() != 0 {
			t.Errorf("another process took a write for interrupted whose lease was renewed (%v)", err)
		}
	})
	// Nobody renews what has died.
	if err := first.renew(t.Context()); err != nil {
		t.Error(err)
	}
	second.now = noon.Add(2 * leaseTime)
	for range 2 {
		if err := second.Repair(t.Context()); err != nil || second.audited() != 1 {
			t.Errorf("when the lease is over, %d entries are about it (%v), want 1", second.audited(), err)
		}
	}
	var record *store.Idempotency
	err := second.Store.View(t.Context(), "t", func(r store.Reader) (err error) {
		record, err = r.Idempotency("CreateCustomer", second.hashKey("t", "CreateCustomer", testKey))
		return err
	})
	if err != nil || !record.Done || record.CustomerID != "customer" {
		t.Errorf("the record is %+v, %v", record, err)
	}
	if _, err := second.call("a", nil); kerr.Reason(err) != errorv1.Error_OUTCOME_UNKNOWN {
		t.Errorf("the repetition ended with %v", err)
	}
}

// TestLostLease has a process stand still for longer than its lease, in the middle of an attempt that another one then
// takes over: what the first still does is refused.
func TestLostLease(t *testing.T) {
	begin := live(t)
	first, second := begin(noon), begin(noon.Add(leaseTime))
	var taken error
	_, err := first.call("a", func(context.Context, *Attempt) error {
		_, taken = second.call("a", nil)
		return nil
	})
	if taken != nil {
		t.Errorf("the second process: %v", taken)
	}
	if kerr.Reason(err) != errorv1.Error_STORE_UNAVAILABLE || kerr.Retry(err) == 0 {
		t.Errorf("the first process acknowledged, or ended with %v", err)
	}
	if _, err := first.call("a", nil); err != nil {
		t.Errorf("the repetition at the first process: %v", err)
	}
}

// TestFailureAfterALostLease fails after another process took the request over: the key stays that process's.
func TestFailureAfterALostLease(t *testing.T) {
	begin := live(t)
	first, second := begin(noon), begin(noon.Add(leaseTime))
	down := kerr.New(errorv1.Error_PROVIDER_UNAVAILABLE, "down")
	if _, err := first.call("a", func(context.Context, *Attempt) error {
		if _, err := second.call("a", nil); err != nil {
			t.Error(err)
		}
		return down
	}); !errors.Is(err, down) {
		t.Errorf("the first process: %v", err)
	}
	if _, err := second.call("b", nil); kerr.Reason(err) != errorv1.Error_IDEMPOTENCY_KEY_REUSED {
		t.Errorf("the key was freed by who no longer has it: %v", err)
	}
}

// TestLiveWriteKeepsItsRecord asks for a key whose record's lease ran out while that of its write has not: the write
// may be under way.
func TestLiveWriteKeepsItsRecord(t *testing.T) {
	begin := live(t)
	first, second := begin(noon), begin(noon.Add(leaseTime))
	first.die("a", func(ctx context.Context, a *Attempt) {
		first.now = noon.Add(leaseTime / 2) // The write begins late, and then nothing is renewed.
		if err := a.Intend(ctx, provider, "send_shipment", "shipments/1", nil); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(second.ctx, 300*time.Millisecond)
		defer cancel()
		patient := second.ctx
		second.ctx = ctx
		_, err := second.call("a", nil)
		second.ctx = patient
		if kerr.Reason(err) != errorv1.Error_STORE_UNAVAILABLE {
			t.Errorf("while the write may be under way: %v", err)
		}
	})
	second.now = noon.Add(leaseTime * 3 / 2)
	if _, err := second.call("a", nil); kerr.Reason(err) != errorv1.Error_OUTCOME_UNKNOWN {
		t.Errorf("when both leases are over: %v", err)
	}
}

// TestRepairLeavesTheRecordOfAnother repairs the write of an attempt whose key has come to another one, which is at
// work or died, or whose own lease on the record lasts longer than that on the write.
func TestRepairLeavesTheRecordOfAnother(t *testing.T) {
	for _, test := range []struct {
		name, owner string
		until       time.Time
		settled     bool
	}{
		{"another at work", "other/1", noon.Add(time.Hour), true},
		{"another that died", "other/1", noon, true},
		{"its own, at work", "dead/1", noon.Add(time.Hour), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := live(t)(noon.Add(time.Minute))
			err := p.Store.Update(p.ctx, "t", func(tx store.Tx) error {
				return errors.Join(
					tx.InsertIdempotency(&store.Idempotency{
						Tenant: "t", Method: "CreateShipment", Key: testKey, CreateTime: noon,
						Lease: store.Lease{Owner: test.owner, Until: test.until},
					}),
					tx.InsertIntent(&store.Intent{
						Tenant: "t", ID: "1", Operation: "send_shipment", IdempotencyMethod: "CreateShipment",
						IdempotencyKey: testKey, State: store.IntentOpen, CreateTime: noon, UpdateTime: noon,
						Lease: store.Lease{Owner: "dead/1", Until: noon},
					}))
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Repair(t.Context()); err != nil {
				t.Fatal(err)
			}
			err = p.Store.View(p.ctx, "t", func(r store.Reader) error {
				record, err := r.Idempotency("CreateShipment", testKey)
				if err == nil && (record.Done || len(record.Failure) > 0) {
					t.Error("the record has an answer that its owner did not give")
				}
				intent, missing := r.Intent("1")
				if missing == nil && (intent.State == store.IntentUnknown) != test.settled {
					t.Errorf("the write is %s", intent.State)
				}
				return errors.Join(err, missing)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestNoWriteAfterALostLease has a process stand still before it notes a write, while another one takes the request
// over, and either does it or is at work.
func TestNoWriteAfterALostLease(t *testing.T) {
	for _, done := range []bool{false, true} {
		begin := live(t)
		first, second := begin(noon), begin(noon.Add(leaseTime))
		_, err := first.call("a", func(ctx context.Context, a *Attempt) error {
			late := func() error { return a.Intend(ctx, provider, "send_shipment", "shipments/1", nil) }
			var err error
			_, taken := second.call("a", func(context.Context, *Attempt) error {
				if !done {
					err = late()
				}
				return nil
			})
			if done {
				err = late()
			}
			if taken != nil || !errors.Is(err, store.ErrClaimLost) {
				t.Errorf("done %t: the note of a write gave %v, the second process %v", done, err, taken)
			}
			return err
		})
		if kerr.Reason(err) != errorv1.Error_STORE_UNAVAILABLE || kerr.Retry(err) == 0 {
			t.Errorf("done %t: the first process ended with %v", done, err)
		}
	}
}

// TestNoWriteAfterTheAnswer has a process stand still between two writes, for so long that another one makes it the
// key's answer that the outcome of the first is unknown.
func TestNoWriteAfterTheAnswer(t *testing.T) {
	begin := live(t)
	first, second := begin(noon), begin(noon.Add(leaseTime))
	_, err := first.call("a", func(ctx context.Context, a *Attempt) error {
		if err := a.Intend(ctx, provider, "create_user", "customers/1", nil); err != nil {
			return err
		}
		if err := second.Repair(ctx); err != nil {
			t.Error(err)
		}
		err := a.Intend(ctx, provider, "create_consent", "consents/1", nil)
		if !errors.Is(err, store.ErrClaimLost) {
			t.Errorf("the note of the second write gave %v", err)
		}
		return err
	})
	if kerr.Reason(err) != errorv1.Error_STORE_UNAVAILABLE {
		t.Errorf("the process that stood still ended with %v", err)
	}
	if _, err := first.call("a", nil); kerr.Reason(err) != errorv1.Error_OUTCOME_UNKNOWN {
		t.Errorf("the repetition ended with %v", err)
	}
}

// TestOwnersAreUnique sees that no two attempts hold a lease in one name.
func TestOwnersAreUnique(t *testing.T) {
	begin := live(t)
	owners := map[string]bool{}
	for range 2 {
		p := begin(noon)
		for range 3 {
			_, _ = p.call("a", func(_ context.Context, a *Attempt) error {
				if owners[a.Owner()] || !strings.HasPrefix(a.Owner(), p.Process+"/") {
					t.Errorf("%q is the name of two, or not of the process", a.Owner())
				}
				owners[a.Owner()] = true
				return kerr.New(errorv1.Error_PROVIDER_UNAVAILABLE, "down")
			})
			if left := p.atWork(); len(left) != 0 {
				t.Errorf("%v are still at work", left)
			}
		}
	}
}

// TestSweepsForgetEverythingOld has more than one transaction may take.
func TestSweepsForgetEverythingOld(t *testing.T) {
	p := live(t)(noon)
	const rows = 2*batch + 7
	err := p.Store.Update(p.ctx, "t", func(tx store.Tx) error {
		for n := range rows {
			key := strings.Repeat("k", n+1)
			err := errors.Join(
				tx.InsertIdempotency(&store.Idempotency{
					Tenant: "t", Method: "m", Key: key, Done: true, CreateTime: noon,
				}),
				tx.InsertIntent(&store.Intent{Tenant: "t", ID: key, State: store.IntentDone, UpdateTime: noon}),
				tx.InsertCallback(&store.Callback{
					Tenant: "t", Hash: [32]byte{byte(n), byte(n >> 8)}, ExpireTime: noon,
				}))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	left := func() (keys, intents, tokens int) {
		err := p.Store.View(p.ctx, "t", func(r store.Reader) error {
			for n := range rows {
				key := strings.Repeat("k", n+1)
				if _, err := r.Idempotency("m", key); err == nil {
					keys++
				}
				if _, err := r.Intent(key); err == nil {
					intents++
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		tokens, err = p.Sweeps.DeleteCallbacksBefore(t.Context(), noon.Add(time.Hour), rows)
		if err != nil {
			t.Fatal(err)
		}
		return keys, intents, tokens
	}
	p.now = noon.Add(31 * 24 * time.Hour)
	if err := p.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if keys, intents, tokens := left(); keys+intents+tokens != 0 {
		t.Errorf("left are %d records, %d intents, %d tokens", keys, intents, tokens)
	}
}

// TestAWrongClockIsNotTold: the time of a machine whose clock is wrong would have all others bring forward what they
// planned.
func TestAWrongClockIsNotTold(t *testing.T) {
	for shared, told := range map[time.Time]int{
		{}: 1, noon: 1, noon.Add(-20 * time.Second): 1, noon.Add(20 * time.Second): 1,
		noon.Add(-time.Minute): 0, noon.Add(time.Minute): 0,
	} {
		p := live(t)(noon)
		beats := 0
		p.Beat = func(context.Context, time.Time) (time.Duration, error) {
			beats++
			return 0, nil
		}
		p.Time = func(context.Context) (time.Time, error) { return shared, nil }
		if err := p.beat(t.Context()); beats != told || (err == nil) != (told == 1) {
			t.Errorf("the database says %s: the time was told %d times, %v", shared, beats, err)
		}
	}
}
