package store

import "time"

// Stats are what operators see of a database.
type Stats struct {
	// Commits are the times of what made transactions durable, in seconds.
	Commits Histogram
	// Waiting is how many transactions wait to begin.
	Waiting int
	// Size and LogSize are the bytes of the database and of what it has not yet moved there.
	Size, LogSize int64
	// Fault is why the last write failed, empty when it did not; LastWrite is when it ended, zero for never.
	Fault     FaultKind
	LastWrite time.Time
	// Failed counts the writes that failed, by kind.
	Failed map[FaultKind]int64
	// EventsHeld is for how long events that are committed have been held back from streams, at least: by somebody's
	// transaction that stays open, on a server where such a thing can be. 0 while no stream is open.
	EventsHeld time.Duration
	// CreateTime is when the database was made. A copy has that of the database.
	CreateTime time.Time
	// LastBackup is when a copy was last made, zero for never.
	LastBackup time.Time
	// BackedUpElsewhere says that the database's own tools copy it: nothing is known of copies.
	BackedUpElsewhere bool
}

// Backlog is what waits to be done. Counts end at 10000.
type Backlog struct {
	// Due is how many consents can be claimed, DueSince when the first of them became due.
	Due      int
	DueSince time.Time
	// OpenIntents is how many intents are open, OldestIntent when the first of them was made.
	OpenIntents  int
	OldestIntent time.Time
}

// Histogram counts values. Buckets has, by upper bound, how many are not above it.
type Histogram struct {
	Count   uint64
	Sum     float64
	Buckets map[float64]uint64
}
