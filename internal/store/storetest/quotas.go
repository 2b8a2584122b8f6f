package storetest

import (
	"bytes"
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"kontor.dev/kontor/internal/store"
)

// Quotas is a store.Quotas in memory: what every store's do, with a clock of its own.
type Quotas struct {
	// Clock is the database's. Before runs before each call, and fails it; it may be nil.
	Clock  func() time.Time
	Before func(ctx context.Context) error

	mu      sync.Mutex
	buckets map[[2]string]quotaBucket
	// calls counts what was told.
	calls int
}

type quotaBucket struct {
	store.QuotaLeft

	at time.Time
}

// Calls tells how often somebody called, and had an answer.
func (q *Quotas) Calls() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.calls
}

// SpendQuotas implements store.Quotas.
func (q *Quotas) SpendQuotas(
	ctx context.Context, rate store.QuotaRate, spent []store.QuotaSpent,
) ([]store.QuotaLeft, error) {
	if q.Before != nil {
		if err := q.Before(ctx); err != nil {
			return nil, err
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.calls++
	if q.buckets == nil {
		q.buckets = map[[2]string]quotaBucket{}
	}
	now := q.Clock()
	left := make([]store.QuotaLeft, len(spent))
	for i, of := range spent {
		key := [2]string{of.Tenant, of.Client}
		b, ok := q.buckets[key]
		if !ok {
			b = quotaBucket{store.QuotaLeft{Level: rate.Most()}, now}
		}
		elapsed := max(0, now.Sub(b.at).Seconds())
		b.Level = max(rate.Least(), min(rate.Most(), b.Level+elapsed*rate.PerSecond-float64(of.Spent)))
		b.Wanted = b.Wanted*math.Exp(-elapsed/store.QuotaMemory.Seconds()) + float64(of.Wanted)
		b.at = now
		q.buckets[key], left[i] = b, b.QuotaLeft
	}
	return left, nil
}

// testQuotas has clients spend: from one bucket at all processes, and each from their own. A store of one process has
// no quotas, and nothing to forget of them.
func testQuotas(t *testing.T, s *spread) {
	quotas := s.Quotas()
	if quotas == nil {
		wantSweep(t, s.System().DeleteQuotasBefore, noon.AddDate(1000, 0, 0), 9, 0)
		return
	}
	// A second of the test's time is worth little of the rate.
	rate := store.QuotaRate{PerSecond: 1, Burst: 10_000}
	const most, least, person = 10_002, -10, "anna.svensson@example.com"
	began := time.Now()
	want := func(what string, got store.QuotaLeft, level, wanted float64) {
		t.Helper()
		passed := time.Since(began).Seconds()
		if got.Level < level-0.001 || got.Level > min(level+passed*rate.PerSecond, most) {
			t.Errorf("%s: %f are left, want %f and what came since", what, got.Level, level)
		}
		if got.Wanted > wanted+0.001 || got.Wanted < wanted*math.Exp(-passed/store.QuotaMemory.Seconds())-0.001 {
			t.Errorf("%s: %f were wanted, want %f and less for what is long ago", what, got.Wanted, wanted)
		}
	}
	spend := func(spent ...store.QuotaSpent) []store.QuotaLeft {
		t.Helper()
		left, err := quotas.SpendQuotas(t.Context(), rate, spent)
		if err != nil || len(left) != len(spent) {
			t.Fatalf("%d are left, %v", len(left), err)
		}
		return left
	}
	of := func(tenant, client string, spent, wanted int64) store.QuotaSpent {
		return store.QuotaSpent{Tenant: tenant, Client: client, Spent: spent, Wanted: wanted}
	}
	left := spend(of(stranger, "b", 7, 8), of(hansa, "b", 1, 1), of(hansa, person, 5000, 6000))
	want("another tenant's", left[0], most-7, 8)
	want("another client's", left[1], most-1, 1)
	want("the first", left[2], most-5000, 6000)
	left = spend(of(hansa, person, 4000, 4000), of(hansa, "b", 0, 3))
	want("from the same bucket", left[0], most-9000, 10_000)
	want("asked for in vain", left[1], most-1, 4)
	left = spend(of(hansa, person, 5000, 5000))
	want("overdrawn", left[0], least, 15_000)
	left = spend(of(stranger, "b", 0, 0), of("third", "b", 0, 0))
	want("untouched meanwhile", left[0], most-7, 8)
	want("new", left[1], most, 0)
	if left, err := quotas.SpendQuotas(t.Context(), rate, nil); err != nil || len(left) != 0 {
		t.Errorf("nobody spent: %v, %v", left, err)
	}
	if bytes.Contains(s.stored(), []byte(person)) {
		t.Error("a client's name is stored")
	}

	// A bucket fills.
	rate.PerSecond = 1e6
	for limit := time.Now().Add(time.Minute); ; {
		if level := spend(of(hansa, person, 0, 0))[0].Level; level == rate.Most() {
			break
		} else if time.Now().After(limit) {
			t.Fatalf("there are %f, and not more", level)
		}
	}

	// Four buckets are forgotten once they are full in any case.
	rate.PerSecond = 1
	spend(of(hansa, person, 1, 1), of(hansa, "b", 1, 1), of(stranger, "b", 1, 1), of("third", "b", 1, 1))
	full := time.Now().Add(rate.Whole())
	wantSweep(t, s.System().DeleteQuotasBefore, full.Add(-time.Minute), 9, 0)
	wantSweep(t, s.System().DeleteQuotasBefore, full.Add(time.Minute), 3, 3)
	wantSweep(t, s.System().DeleteQuotasBefore, full.Add(time.Minute), 9, 1)
	began = time.Now()
	want("forgotten", spend(of(hansa, person, 2, 3))[0], most-2, 3)
}

// testQuotaRace has many spend from the same buckets at one time, each in another order: nothing is lost, and nobody
// waits in a circle.
func testQuotaRace(t *testing.T, s *spread) {
	quotas := s.Quotas()
	if quotas == nil {
		return // testQuotas says so
	}
	const goroutines, each = 6, 20
	rate := store.QuotaRate{PerSecond: 0.001, Burst: 10_000}
	clients := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	var group sync.WaitGroup
	for range goroutines {
		group.Go(func() {
			for range each {
				var spent []store.QuotaSpent
				for _, n := range rand.Perm(len(clients)) {
					of := store.QuotaSpent{Tenant: hansa, Client: clients[n], Spent: int64(n), Wanted: 1}
					spent = append(spent, of)
				}
				if _, err := quotas.SpendQuotas(t.Context(), rate, spent); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	for n, client := range clients {
		left, err := quotas.SpendQuotas(t.Context(), rate, []store.QuotaSpent{{Tenant: hansa, Client: client}})
		if err != nil {
			t.Fatal(err)
		}
		if want := rate.Most() - float64(n*goroutines*each); math.Abs(left[0].Level-want) > 1 {
			t.Errorf("%s has %f, want %f", client, left[0].Level, want)
		}
	}
}
