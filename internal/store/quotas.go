package store

import (
	"context"
	"time"
)

// Quotas is where the processes that share a database tell each other what clients use up of their quotas. For each
// client there is a bucket that all of them fill and empty: it gains QuotaRate.PerSecond tokens each second by the
// database's clock, so that the clocks of processes do not matter, up to QuotaRate.Most, and one that nobody has used
// yet is full. Tokens are spent before the bucket is told of it, so it may be overdrawn: down to QuotaRate.Least, and
// what lies below is forgiven.
//
// It remembers, too, how much was wanted lately: what was asked for, and a fraction of it the longer ago that was (1/e
// after QuotaMemory).
//
// Nothing of it is kept for long: after a crash or a failover of the database all buckets may be full.
type Quotas interface {
	// SpendQuotas takes what clients spent out of their buckets, and tells in the same order how these stand. No client
	// may be named twice. It tries once; after an error nobody knows whether the tokens were taken.
	SpendQuotas(ctx context.Context, rate QuotaRate, spent []QuotaSpent) ([]QuotaLeft, error)
}

// QuotaRate is what each client may spend.
type QuotaRate struct {
	// PerSecond is how many tokens a bucket gains each second; Burst how many a client may spend at once.
	PerSecond, Burst float64
}

const (
	// QuotaSlack is how much of the rate a bucket has room for beyond the burst: what is spent within a second is told
	// at its end, when what the bucket gained in that second would have found no room.
	QuotaSlack = 2 * time.Second
	// QuotaDebt is how much of the rate a bucket may be overdrawn by: so long is nobody let in at most.
	QuotaDebt = 10 * time.Second
	// QuotaMemory is how long what was wanted is remembered.
	QuotaMemory = 3 * time.Second
)

// Most is how many tokens a bucket has room for.
func (r QuotaRate) Most() float64 { return r.Burst + QuotaSlack.Seconds()*r.PerSecond }

// Least is how far a bucket may be overdrawn, below zero.
func (r QuotaRate) Least() float64 { return -QuotaDebt.Seconds() * r.PerSecond }

// Whole is how long it takes at most until a bucket is full.
func (r QuotaRate) Whole() time.Duration {
	return time.Duration((r.Most() - r.Least()) / r.PerSecond * float64(time.Second))
}

// QuotaSpent is what a client used up at one process since that process told last.
type QuotaSpent struct {
	Tenant string
	// Client is stored as a keyed hash: it may name a person.
	Client string
	// Spent is how many tokens were spent, Wanted how many were asked for.
	Spent, Wanted int64
}

// QuotaLeft is how a client's bucket stands.
type QuotaLeft struct {
	// Level is how many tokens are in it; below zero it is overdrawn.
	Level float64
	// Wanted is what was asked for lately at all processes.
	Wanted float64
}
