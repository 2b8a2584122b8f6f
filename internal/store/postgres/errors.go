package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"kontor.dev/kontor/internal/store"
)

// Errors of Open.
var (
	// ErrSchema says that the tables are not those that this version of Kontor makes or can go on with.
	ErrSchema = errors.New("unexpected schema")
	// ErrServer says that the server is too old, or set such that it may lose what it acknowledged.
	ErrServer = errors.New("unfit server")
)

var (
	// errInUse says that tables could not be changed since others use them.
	errInUse = errors.New("its tables are in use, such as by a dump or another transaction that goes on for long")
	// errCrowded says that the server had too many connections a moment ago.
	errCrowded = errors.New("postgres: the server has too many connections")
	// errEnded is what a Reader or Tx answers after its View or Update.
	errEnded = errors.New("postgres: the transaction has ended")
	// errClosed is what a Store answers after Close.
	errClosed = errors.New("postgres: the store is closed")
	// errTurn says that others were faster: a transaction has a lower number than one that changed the same row before
	// it, or a row is there that it did not find.
	errTurn = errors.New("postgres: out of turn")
	// errNothing says that it is clear, after a connection was lost, that nothing of a transaction was committed.
	errNothing = errors.New("postgres: the connection was lost before the commit")
	// errStandby says that the server cannot be written: a standby, or a primary that was demoted. Another connection
	// may lead to the primary.
	errStandby = errors.New("postgres: the server is a standby")
)

// code is the SQLSTATE that the server gave, "" for an error of another kind.
func code(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// SQLSTATEs that are told apart.
const (
	uniqueViolation     = "23505"
	foreignKeyViolation = "23503"
	serialization       = "40001"
	deadlock            = "40P01"
	canceled            = "57014"
	lockNotAvailable    = "55P03"
	idleTooLong         = "25P03"
	readOnly            = "25006"
	tooManyConnections  = "53300"
	// notInRecovery is what a standby answers to BEGIN READ WRITE.
	notInRecovery = "0A000"
)

// again tells whether a transaction failed by what others did at the same time: run anew, it may succeed. A violated
// key means the same here: what was looked at before is no longer as it was.
func again(err error) bool {
	switch code(err) {
	case serialization, deadlock, uniqueViolation, foreignKeyViolation:
		return true
	}
	return errors.Is(err, errTurn)
}

// lost tells whether an error is about the connection, so that nobody knows what the server did of what it was sent
// last, and the next connection may be well.
func lost(err error) bool {
	if _, ok := errors.AsType[databaseError](err); !ok || own(err) {
		return false
	}
	if errors.Is(err, errStandby) {
		return true
	}
	if errors.Is(err, errCrowded) {
		return false // It was waited for long enough.
	}
	e, ok := errors.AsType[*pgconn.PgError](err)
	// What is neither the server's nor the caller's came from the network, or from pgx, which gave the connection up.
	return !ok || e.SeverityUnlocalized == "FATAL" || e.SeverityUnlocalized == "PANIC" ||
		strings.HasPrefix(e.Code, "08") || strings.HasPrefix(e.Code, "57P")
}

// away has an error say so that comes from a server which cannot be reached or written for now. Nothing was committed
// then: where that is in doubt, the error is another one.
func away(err error) error {
	if errors.Is(err, errDoubt) || !errors.Is(err, errNothing) && !errors.Is(err, errCrowded) && !lost(err) {
		return err
	}
	return fmt.Errorf("%w: %w", store.ErrAway, err)
}

// own tells whether an error is one that the contract or this package names.
func own(err error) bool {
	for _, known := range []error{
		context.Canceled, context.DeadlineExceeded, errEnded, errClosed, errTurn, errNothing, store.ErrNotFound,
		store.ErrExists, store.ErrConflict, store.ErrBusy, store.ErrClaimed, store.ErrClaimLost, store.ErrCursor,
		store.ErrCursorExpired, store.ErrTenant,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// databaseError is an error that came from the server or from the way to it, not from the function of a transaction.
type databaseError struct{ error }

func (e databaseError) Unwrap() error { return e.error }

// faultOf gives what an error says about the database as a whole, nil for nothing.
func faultOf(err error) *store.FaultError {
	if err == nil {
		return nil
	}
	if fault, ok := errors.AsType[*store.FaultError](err); ok {
		return fault
	}
	if _, ok := errors.AsType[databaseError](err); !ok || own(err) && !errors.Is(err, errNothing) {
		return nil
	}
	kind := store.FaultFailing
	switch c := code(err); {
	case c == "53100":
		kind = store.FaultFull
	case c == readOnly || errors.Is(err, errStandby):
		kind = store.FaultReadOnly
	case strings.HasPrefix(c, "XX00") && c != "XX000":
		kind = store.FaultCorrupt
	case c == tooManyConnections, errors.Is(err, errCrowded), c == canceled, c == lockNotAvailable, c == idleTooLong:
		kind = store.FaultBusy
	case again(err):
		return nil
	}
	return &store.FaultError{Kind: kind, Err: err}
}
