package postgres

import (
	"math"
	"testing"
	"time"

	"kontor.dev/kontor/internal/store"
)

// TestQuotasAndTheClock: the server's clock may leap, as it may when another server takes over; what a bucket gained
// meanwhile is not counted twice, and nothing is too large or too small to be counted.
func TestQuotasAndTheClock(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	s, c := openAt(t, rest), sqlOn(t, rest)
	rate := store.QuotaRate{PerSecond: 1, Burst: 1000}
	spend := func(n int64) store.QuotaLeft {
		t.Helper()
		left, err := s.Quotas().SpendQuotas(t.Context(), rate, []store.QuotaSpent{{
			Tenant: "hansa", Client: "one", Spent: n, Wanted: n,
		}})
		if err != nil {
			t.Fatal(err)
		}
		return left[0]
	}
	spend(500)
	for _, leap := range []time.Duration{time.Hour, -20 * 365 * 24 * time.Hour} {
		_, err := c.Exec(t.Context(), "UPDATE quotas SET time = time + $1, level = 500, wanted = 500", leap.Microseconds())
		if err != nil {
			t.Fatal(err)
		}
		want := 499.0
		if leap < 0 {
			want = rate.Most()
		}
		if left := spend(1); math.Abs(left.Level-want) > 1 || left.Wanted > 501 || leap < 0 && left.Wanted != 1 {
			t.Errorf("with a row from %s ahead: %+v, want %f", leap, left, want)
		}
	}
	began := time.Now()
	before := spend(100).Level
	for left := before; left == before; {
		left = spend(0).Level // The clock goes on from where it is.
		if time.Since(began) > time.Minute {
			t.Fatal("the bucket does not fill")
		}
	}
	if left := spend(math.MaxInt64); left.Level != rate.Least() {
		t.Errorf("after more than can be spent: %+v", left)
	}
}

// TestQuotasWriteNoLog: exchanges wait for no disk and no standby, since nothing of them is in the write-ahead log.
func TestQuotasWriteNoLog(t *testing.T) {
	t.Parallel()
	rest := newSchema(t)
	openAt(t, rest)
	var persistence string
	const query = "SELECT relpersistence::text FROM pg_class WHERE oid = 'quotas'::regclass"
	if err := sqlOn(t, rest).QueryRow(t.Context(), query).Scan(&persistence); err != nil || persistence != "u" {
		t.Errorf("the table is %q, %v, want u: unlogged", persistence, err)
	}
}
