package once

import (
	"context"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/sqlite"
)

// slowSweeps has much to sweep, and takes its time for each part.
type slowSweeps struct {
	store.Sweeps

	parts int
	takes time.Duration
}

func (s *slowSweeps) DeleteIdempotencyBefore(_ context.Context, _ time.Time, limit int) (int, error) {
	time.Sleep(s.takes)
	if s.parts--; s.parts > 0 {
		return limit, nil
	}
	return 0, nil
}

func (*slowSweeps) DeleteIntentsBefore(context.Context, time.Time, int) (int, error)   { return 0, nil }
func (*slowSweeps) DeleteCallbacksBefore(context.Context, time.Time, int) (int, error) { return 0, nil }
func (*slowSweeps) DeleteQuotasBefore(context.Context, time.Time, int) (int, error)    { return 0, nil }
func (*slowSweeps) FinishErasures(context.Context, int) (int, error)                   { return 0, nil }
func (*slowSweeps) GiveRoomBack(context.Context, int) (int, error)                     { return 0, nil }

// TestSweepsLeaveTheStoreToCalls: of the time that a long sweep takes, the store is calls' for two thirds.
func TestSweepsLeaveTheStoreToCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const parts, takes = 10, 30 * time.Millisecond
		r := &Runner{Clock: time.Now, Sweeps: &slowSweeps{parts: parts, takes: takes}}
		began := time.Now()
		if err := r.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took, want := time.Since(began), takes+(parts-1)*3*takes; took != want {
			t.Errorf("%d parts of %s took %s, want %s", parts, takes, took, want)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*takes)
		defer cancel()
		r.Sweeps = &slowSweeps{parts: parts, takes: takes}
		began = time.Now()
		if err := r.sweep(ctx); err == nil || time.Since(began) > 3*takes {
			t.Errorf("a sweep that is told to end took %s and ended with %v", time.Since(began), err)
		}
	})
}

// manySweeps has the same number of rows for each sweep, and notes what is asked of it.
type manySweeps struct {
	rows map[string]int

	most int // rows of one part
}

func (s *manySweeps) take(what string, limit int) (int, error) {
	n := min(s.rows[what], limit)
	s.rows[what] -= n
	s.most = max(s.most, n)
	return n, nil
}

func (s *manySweeps) DeleteIdempotencyBefore(_ context.Context, _ time.Time, limit int) (int, error) {
	return s.take("answers", limit)
}

func (s *manySweeps) DeleteIntentsBefore(_ context.Context, _ time.Time, limit int) (int, error) {
	return s.take("intents", limit)
}

func (s *manySweeps) DeleteCallbacksBefore(_ context.Context, _ time.Time, limit int) (int, error) {
	return s.take("tokens", limit)
}

func (s *manySweeps) DeleteQuotasBefore(_ context.Context, _ time.Time, limit int) (int, error) {
	return s.take("quotas", limit)
}

func (s *manySweeps) DeleteShipmentsBefore(_ context.Context, _ time.Time, limit int) (int, error) {
	return s.take("shipments", limit)
}

func (s *manySweeps) FinishErasures(_ context.Context, limit int) (int, error) {
	return s.take("erasures", limit)
}

func (s *manySweeps) GiveRoomBack(_ context.Context, limit int) (int, error) {
	return s.take("room", limit)
}

func (s *manySweeps) TrimLog(_ context.Context, log store.Log, _, _ time.Time, limit int) (int, error) {
	return s.take(string(log), limit)
}

// TestSweepsGoOn: a sweep that took as much as one part may have goes on with the next at once, after its rest, and not
// with the next hour's sweep; also the last of several that do.
func TestSweepsGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rows = 10*batch + 7
		s := &manySweeps{rows: map[string]int{}}
		kinds := []string{
			"answers", "intents", "tokens", "quotas", "shipments", "erasures", "room", string(store.ConsentLog),
			string(store.ShipmentLog),
		}
		for _, kind := range kinds {
			s.rows[kind] = rows
		}
		r := &Runner{Clock: time.Now, Sweeps: s, ShipmentRetention: time.Hour, LogRetention: time.Hour}
		began := time.Now()
		if err := r.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, kind := range kinds {
			if s.rows[kind] != 0 {
				t.Errorf("of %s %d are left", kind, s.rows[kind])
			}
		}
		if took := time.Since(began); took > time.Minute || s.most != batch {
			t.Errorf("it took %s, and %d rows at most in one part", took, s.most)
		}
	})
}

// TestSweepsTrimTheLogs sweeps every hour, for longer than the logs are kept.
func TestSweepsTrimTheLogs(t *testing.T) {
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "kontor.db"), keystest.StoreKey(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	now := noon
	r := &Runner{Sweeps: db.System(), Clock: func() time.Time { return now }, LogRetention: 5 * time.Hour}
	first, err := db.System().Head(t.Context(), store.ShipmentLog)
	if err != nil {
		t.Fatal(err)
	}
	for hour := range 8 {
		err := db.Update(t.Context(), "t", func(tx store.Tx) error {
			if hour == 0 {
				if err := tx.InsertShipment(&store.Shipment{Tenant: "t", ID: "s"}); err != nil {
					return err
				}
			}
			return tx.AppendShipment("s", nil)
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Hour)
	}
	left, err := db.System().TailShipments(t.Context(), "", 100)
	if err != nil || len(left) != 5 {
		t.Errorf("%d entries are left, %v; want those of the last five hours", len(left), err)
	}
	if _, err := db.System().TailShipments(t.Context(), first, 100); err == nil {
		t.Error("a cursor from before is still taken")
	}
}

// oldShipments notes what shipments are swept.
type oldShipments struct {
	slowSweeps

	before time.Time
}

func (s *oldShipments) DeleteShipmentsBefore(_ context.Context, before time.Time, _ int) (int, error) {
	s.before = before
	return 0, nil
}

// TestSweepsForgetShipments: for ever means that nobody asks.
func TestSweepsForgetShipments(t *testing.T) {
	for retention, want := range map[time.Duration]time.Time{0: {}, time.Hour: noon.Add(-time.Hour)} {
		sweeps := &oldShipments{}
		r := &Runner{Sweeps: sweeps, Clock: func() time.Time { return noon }, ShipmentRetention: retention}
		if err := r.sweep(t.Context()); err != nil || !sweeps.before.Equal(want) {
			t.Errorf("kept for %s, those before %s are swept, %v", retention, sweeps.before, err)
		}
	}
}
