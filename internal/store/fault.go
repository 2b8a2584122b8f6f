package store

import "errors"

// FaultKind says in a word what keeps a database from being written.
type FaultKind string

// The kinds.
const (
	// FaultFull: there is no room.
	FaultFull FaultKind = "full"
	// FaultReadOnly: it may only be read.
	FaultReadOnly FaultKind = "read-only"
	// FaultCorrupt: what is there is damaged.
	FaultCorrupt FaultKind = "corrupt"
	// FaultTruncated: part of it was cut off.
	FaultTruncated FaultKind = "truncated"
	// FaultGone: it was removed or moved.
	FaultGone FaultKind = "gone"
	// FaultReplaced: another database has its place.
	FaultReplaced FaultKind = "replaced"
	// FaultBusy: somebody else has it, for longer than is waited.
	FaultBusy FaultKind = "busy"
	// FaultFailing: it cannot be read or written, for a reason that the log tells.
	FaultFailing FaultKind = "failing"
)

// FaultKinds lists them all.
func FaultKinds() []FaultKind {
	return []FaultKind{
		FaultFull, FaultReadOnly, FaultCorrupt, FaultTruncated, FaultGone, FaultReplaced, FaultBusy, FaultFailing,
	}
}

// FaultError is an error of the database as a whole, which every write would meet.
type FaultError struct {
	Kind FaultKind
	Err  error
}

// NewFault makes a fault.
func NewFault(kind FaultKind, text string) *FaultError {
	return &FaultError{Kind: kind, Err: errors.New("store: " + text)}
}

// Error implements error.
func (f *FaultError) Error() string { return f.Err.Error() }

// Unwrap gives what the database said.
func (f *FaultError) Unwrap() error { return f.Err }

// Reason is the kind, for who may not see more.
func (f *FaultError) Reason() string { return string(f.Kind) }
