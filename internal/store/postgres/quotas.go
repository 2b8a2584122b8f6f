package postgres

import (
	"context"
	"fmt"
	"time"

	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

// quotas is a store.Quotas.
type quotas struct{ s *Store }

var _ store.Quotas = quotas{}

// Quotas implements store.Database.
func (s *Store) Quotas() store.Quotas { return quotas{s} }

// Fragments of spendQuotas. The clock is read once a row is locked: one that was read before might be behind that of
// whoever had the row.
const (
	serverTime = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
	// elapsed is never below zero: the clock may go back, also with a failover.
	elapsed = "greatest(0, " + serverTime + " - q.time) / 1e6"
)

// spendQuotas takes what was spent out of the buckets of all clients that it is given. They are locked in one order, so
// that processes that do so at the same time wait for each other, and never in a circle. Of a bucket that is there,
// what was spent is what excluded.level, that of a new one, lacks to be full.
//
// $1 to $4 are tenants, clients, what they spent and wanted; $5 is what a bucket has room for, $6 how far it may be
// overdrawn, $7 its tokens for each second, $8 the seconds for which what was wanted is remembered, $9 the microseconds
// until a bucket is full. exp() fails for what is all but zero.
const spendQuotas = `
	INSERT INTO quotas AS q (tenant, client, level, wanted, time, full_time)
	SELECT tenant, client, greatest($6, $5 - spent), wanted, ` + serverTime + `, ` + serverTime + ` + $9
	FROM unnest($1::text[], $2::bytea[], $3::float8[], $4::float8[]) AS s (tenant, client, spent, wanted)
	ORDER BY tenant, client
	ON CONFLICT (tenant, client) DO UPDATE SET
		level = greatest($6, least($5, q.level + ` + elapsed + ` * $7 + excluded.level - $5)),
		wanted = q.wanted * exp(-least(` + elapsed + ` / $8, 100)) + excluded.wanted,
		time = ` + serverTime + `,
		full_time = ` + serverTime + ` + $9
	RETURNING tenant, client, level, wanted`

// SpendQuotas implements store.Quotas. Unlike other transactions that write it leaves no id behind by which a lost
// COMMIT would be looked up, and does not wait for one beyond its context: a second of one process that is counted or
// not makes no difference that lasts.
func (q quotas) SpendQuotas(
	ctx context.Context, rate store.QuotaRate, spent []store.QuotaSpent,
) (left []store.QuotaLeft, err error) {
	type bucket struct{ tenant, client string }
	place := make(map[bucket]int, len(spent))
	tenants, clients := make([]string, len(spent)), make([][]byte, len(spent))
	tokens, wanted := make([]float64, len(spent)), make([]float64, len(spent))
	for i, of := range spent {
		tenants[i] = of.Tenant
		clients[i] = q.s.keys.MAC(keys.References, of.Tenant, []byte("client"), []byte(of.Client))
		tokens[i], wanted[i] = float64(of.Spent), float64(of.Wanted)
		place[bucket{of.Tenant, string(clients[i])}] = i
	}
	c, err := q.s.begin(ctx, writes, allTenants)
	if err != nil {
		return nil, err
	}
	r := &reader{ctx: ctx, c: c, s: q.s, tenant: allTenants, Opener: q.s.opener(), own: none}
	defer func() {
		r.failed = errEnded
		c.end()
	}()
	left = make([]store.QuotaLeft, len(spent))
	scan := func(row columns.Row) (n int, err error) {
		var tenant string
		var client []byte
		var one store.QuotaLeft
		err = row.Scan(&tenant, &client, &one.Level, &one.Wanted)
		n = place[bucket{tenant, string(client)}]
		left[n] = one
		return n, err
	}
	_, err = all(r, scan, spendQuotas, tenants, clients, tokens, wanted, rate.Most(), rate.Least(), rate.PerSecond,
		store.QuotaMemory.Seconds(), rate.Whole().Microseconds())
	if err != nil {
		return nil, err
	}
	c.over = true
	if _, err := c.PgConn().Exec(ctx, "COMMIT").ReadAll(); err != nil {
		_ = c.Close(ctx)
		return nil, databaseError{fmt.Errorf("postgres: commit: %w", err)}
	}
	return left, nil
}

func (y system) DeleteQuotasBefore(ctx context.Context, full time.Time, limit int) (int, error) {
	return y.sweep(ctx, `
		DELETE FROM quotas WHERE (tenant, client) IN (
			SELECT tenant, client FROM quotas WHERE full_time < $1 ORDER BY full_time LIMIT $2 FOR UPDATE SKIP LOCKED
		)`, full, limit)
}
