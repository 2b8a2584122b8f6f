package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/vitals"
)

// SQLite has one writer at a time, and the dear part of a transaction is its COMMIT, which waits for the disk. So those
// who wait for the writer share transactions: whoever has finished hands the open transaction to the next in line and
// waits, and the last one commits for all.
//
//	            acquire        SAVEPOINT, fn, RELEASE        pass
//	first  ──── BEGIN ────────────────────────────────────── hands on ─────────────── waits ──┐
//	second ──── waits in line ── SAVEPOINT, fn, ROLLBACK TO ─ hands on ────────────── waits ──┤
//	third  ──── waits in line ──────────────────────────── SAVEPOINT, fn, RELEASE ── COMMIT ──┴─ all return
//
// Each has a savepoint of its own, so that the second took nothing of the others with it when it failed. It waits all
// the same: its failure may come from something that the first wrote, and stands only if that does.
//
// When the transaction is lost, since COMMIT fails or SQLite ends it in the middle of somebody's statement (a full
// disk, a read error), nothing of it happened. Then each of them runs again in a transaction of its own, but for the
// one whose statement it was: that one has its error.
const (
	// maxMembers bounds how many share a transaction.
	maxMembers = 64
	// maxLine bounds how many wait for the writer. Calls under way are bounded, so that only a store which all but
	// stands still ever has so many.
	maxLine = 4096
	// eachWeight is how many transactions it takes until the time for each has all but adapted.
	eachWeight = 8
	// shareFor bounds how long a transaction is handed on, so that the first does not wait for ever.
	shareFor = 10 * time.Millisecond
	// After turnLength of one transaction after another, the file is left alone for turnPause, so that another process
	// finds it free.
	turnLength, turnPause = 100 * time.Millisecond, 3 * busyMost / 2
)

// errAgain says that the shared transaction was lost by no fault of this member's.
var errAgain = errors.New("sqlite: the shared transaction was lost")

// errDoubtful says that a transaction may have become durable where nobody finds it: it is not run again.
var errDoubtful = errors.New("sqlite: after the commit")

// writer is the connection that writes, and the line of those who wait for it.
type writer struct {
	db     *sql.DB
	files  *files
	health *vitals.Health
	// maxMembers, maxLine and shareFor are the constants, but in tests.
	maxMembers int
	maxLine    int
	shareFor   time.Duration
	// commits counts the transactions that became durable, latencies how long their COMMITs took.
	commits   atomic.Int64
	latencies vitals.Latencies
	// committed is called after each of them, by whoever has the connection.
	committed func(*conn)
	// memory forgets what transactions change; nil for none.
	memory *memory
	closed chan struct{}

	mu sync.Mutex
	// busy says that somebody has the connection; line are those who wait for it, in the order in which they came.
	busy bool
	line []chan *turn
	// each is how long the writer lately took for each of those that it served.
	each time.Duration

	// What follows is used by whoever has the connection. It is opened when it is first needed, and again when it
	// broke.
	conn *conn
	// since is when the first of those transactions began between which the file was never free for a turnPause, ended
	// when the last one ended.
	since, ended time.Time
}

// turn is the right to use the connection. It is passed on exactly once.
type turn struct {
	*writer
	// open is the transaction that those before left open, nil for none.
	open *shared
}

// shared is a transaction with its members.
type shared struct {
	began   time.Time
	alone   bool // not to be handed on
	members int
	changed changes
	// ended is closed when it is known what became of the transaction: err is nil once it is durable.
	ended chan struct{}
	err   error
}

func (s *shared) end(err error) {
	s.err = err
	close(s.ended)
}

func newWriter(f *files, h *vitals.Health, settings []pragma, committed func(*conn)) (*writer, error) {
	db, err := newDB(f.path, settings, f)
	if err != nil {
		return nil, err
	}
	return &writer{
		db: db, files: f, health: h, maxMembers: maxMembers, maxLine: maxLine, shareFor: shareFor, committed: committed,
		closed: make(chan struct{}),
	}, nil
}

// acquire waits in line.
func (w *writer) acquire(ctx context.Context) (*turn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case <-w.closed:
		return nil, errClosed
	default:
	}
	place, ok := w.enter(ctx, w.maxLine)
	if !ok {
		return nil, store.ErrBusy
	}
	if place == nil {
		return &turn{writer: w}, nil
	}
	var err error
	select {
	case t := <-place:
		if err := ctx.Err(); err != nil {
			t.pass() // Nobody waits for it any more, so it costs nothing.
			return nil, err
		}
		return t, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-w.closed:
		err = errClosed
	}
	if w.leave(place) {
		return nil, err
	}
	// The turn came at this very moment, perhaps with a transaction whose members wait: it must go on.
	(<-place).pass()
	return nil, err
}

// tryAcquire takes the turn if nobody has it.
func (w *writer) tryAcquire() *turn {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy {
		return nil
	}
	w.busy = true
	return &turn{writer: w}
}

// enter gives a place in line, or nil to whoever has the turn at once. It tells whether there was room: the line has
// most places, and whoever would spend half of the time that is left in it is better off to know at once.
func (w *writer) enter(ctx context.Context, most int) (place chan *turn, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.busy {
		w.busy = true
		return nil, true
	}
	if len(w.line) >= most {
		return nil, false
	}
	deadline, bounded := ctx.Deadline()
	if ahead := len(w.line); bounded && ahead >= w.maxMembers && time.Until(deadline) < time.Duration(2*ahead)*w.each {
		return nil, false
	}
	place = make(chan *turn, 1)
	w.line = append(w.line, place)
	return place, true
}

// took notes how long a transaction with some members took. While nobody waits few share one, which says nothing of
// how fast a line moves.
func (w *writer) took(long time.Duration, members int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.line) == 0 {
		return
	}
	w.each += (long/time.Duration(max(members, 1)) - w.each) / eachWeight
}

// leave gives up a place in line. It tells whether the turn has not come meanwhile.
func (w *writer) leave(place chan *turn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.Index(w.line, place)
	if i < 0 {
		return false
	}
	w.line = slices.Delete(w.line, i, i+1)
	return true
}

// next takes the first in line out of it, nil for nobody; idle says that the connection is free then.
func (w *writer) next(idle bool) chan *turn {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.line) == 0 {
		w.busy = w.busy && !idle
		return nil
	}
	place := w.line[0]
	w.line = slices.Delete(w.line, 0, 1)
	return place
}

// pass ends a turn. A transaction that is open goes to the next in line, or is committed.
func (t *turn) pass() {
	if t.open != nil {
		if !t.open.alone && t.open.members < t.maxMembers && time.Since(t.open.began) < t.shareFor {
			if next := t.next(false); next != nil {
				next <- &turn{writer: t.writer, open: t.open}
				return
			}
		}
		t.commit()
	}
	if next := t.next(true); next != nil {
		next <- &turn{writer: t.writer}
	}
}

// pause leaves the file to other processes for a moment when it is time.
func (t *turn) pause() {
	now := time.Now()
	if now.Sub(t.ended) >= turnPause {
		t.since = now
	}
	if now.Sub(t.since) < turnLength {
		return
	}
	timer := time.NewTimer(turnPause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.closed:
	}
	t.since = time.Now()
}

// connect gives the connection, a new one when it broke.
func (t *turn) connect(ctx context.Context) (*conn, error) {
	if t.conn != nil && t.conn.broken {
		_ = t.conn.close() // It failed before; its user has been told.
		t.conn = nil
	}
	if t.conn != nil {
		return t.conn, nil
	}
	c, err := newConn(ctx, t.db, t.health)
	if err != nil {
		return nil, err
	}
	t.conn = c
	return c, nil
}

// begin opens a transaction, which waits for those of other processes. None is opened in files that are no longer those
// of the store.
func (t *turn) begin(ctx context.Context, alone bool) error {
	if err := t.health.Writable(); err != nil {
		return err
	}
	err := t.files.check()
	if err == nil {
		_, err = t.connect(ctx)
	}
	if err != nil {
		t.health.Note(err)
		return err
	}
	t.pause()
	if err := t.conn.begin(ctx); err != nil {
		t.note(err)
		return fmt.Errorf("sqlite: begin: %w", err)
	}
	t.open = &shared{began: time.Now(), alone: alone, ended: make(chan struct{})}
	return nil
}

// note notes how a write failed. A connection that was opened while the file could only be read stays like that, and
// one that met a failing disk may hold a file that is no longer the one to use: both are given up.
func (t *turn) note(err error) {
	t.health.Note(err)
	if fault := faultOf(err); fault != nil && fault.Kind != store.FaultBusy && fault.Kind != store.FaultFull {
		t.conn.broken = true
	}
}

// commit makes the open transaction durable, and tells its members.
func (t *turn) commit() {
	err := t.health.Writable()
	if err == nil {
		err = t.files.check()
	}
	began := time.Now()
	open := t.open
	if err == nil {
		if t.memory != nil {
			t.memory.forget(open.changed)
		}
		_, err = t.conn.exec(context.Background(), "COMMIT")
		if t.memory != nil {
			t.memory.settle()
		}
	}
	t.open, t.ended = nil, time.Now()
	t.took(t.ended.Sub(open.began), open.members)
	if err != nil {
		t.conn.rollback()
		t.note(err)
		open.end(fmt.Errorf("sqlite: commit: %w", err))
		return
	}
	t.latencies.Add(t.ended.Sub(began))
	if err := t.kept(); err != nil {
		// It is durable for SQLite, in files that nobody may find again.
		t.note(err)
		open.end(fmt.Errorf("%w: %w", errDoubtful, err))
		return
	}
	t.commits.Add(1)
	t.health.Note(nil)
	open.end(nil)
	t.committed(t.conn)
}

// kept tells whether what was just committed is in the files of the store.
func (t *turn) kept() error {
	if err := t.files.check(); err != nil {
		return err
	}
	var short error
	for range 3 { // Another process may empty the log in between, having moved it into the file.
		frames, err := t.conn.frames()
		if err != nil {
			return err
		}
		if short = t.files.logIsWhole(frames); short == nil {
			return nil
		}
	}
	return short
}

// run runs one member of the open transaction: fn with a savepoint of its own, to which everything goes back when it
// fails. When the transaction is lost by that, no transaction is open afterwards. Should fn panic or end its goroutine,
// the turn is passed on.
func (t *turn) run(x *tx, fn func(*tx) error) (err error) {
	returned := false
	defer func() {
		if !returned {
			x.failed = errEnded
			t.undo()
			t.pass()
		}
	}()
	t.open.members++
	if _, err = t.conn.exec(context.Background(), "SAVEPOINT member"); err == nil {
		if err = fn(x); err == nil {
			err = x.failed // A statement failed, whatever fn made of it.
		}
		if err == nil {
			err = x.ctx.Err()
		}
	}
	returned = true
	if faultOf(x.failed) != nil {
		t.note(x.failed)
	}
	x.failed = errEnded
	if err != nil {
		t.undo()
		return err
	}
	if _, err := t.conn.exec(context.Background(), "RELEASE member"); err != nil {
		t.note(err)
		t.lose()
		return fmt.Errorf("sqlite: %w", err)
	}
	t.open.changed.join(x.changed)
	return nil
}

// undo takes back what a member did.
func (t *turn) undo() {
	if t.open.members == 1 { // There is nobody else's work in it.
		t.lose()
		return
	}
	for _, statement := range []string{"ROLLBACK TO member", "RELEASE member"} {
		if _, err := t.conn.exec(context.Background(), statement); err != nil {
			// SQLite knows of no savepoint any more: it ended the transaction.
			t.lose()
			return
		}
	}
}

// lose gives the open transaction up.
func (t *turn) lose() {
	t.conn.rollback()
	t.open.end(errAgain)
	t.open, t.ended = nil, time.Now()
}

// write runs fn in a transaction that becomes durable before it returns nil, shared with others or, if need be, alone.
func (w *writer) write(ctx context.Context, newTx func(*conn) *tx, fn func(*tx) error) (*tx, error) {
	x, err := w.join(ctx, newTx, fn, false)
	if errors.Is(err, errAgain) {
		x, err = w.join(ctx, newTx, fn, true)
	}
	return x, err
}

// join runs fn as a member of a transaction and waits until it is known what became of that.
func (w *writer) join(ctx context.Context, newTx func(*conn) *tx, fn func(*tx) error, alone bool) (*tx, error) {
	t, err := w.acquire(ctx)
	if err != nil {
		return nil, err
	}
	if alone && t.open != nil {
		t.commit()
	}
	if t.open == nil {
		if err := t.begin(ctx, alone); err != nil {
			t.pass()
			return nil, err
		}
	}
	open, x := t.open, newTx(t.conn)
	err = t.run(x, fn)
	lost := t.open == nil
	t.pass()
	if err != nil && (lost || ctx.Err() != nil) {
		return nil, err // It depends on nothing that others wrote.
	}
	<-open.ended
	if open.err != nil {
		if open.members > 1 && !errors.Is(open.err, errDoubtful) {
			return nil, errAgain
		}
		return nil, open.err
	}
	return x, err
}

// close waits for the turns of those who came before, and closes the connection.
func (w *writer) close() error {
	close(w.closed)
	if place, _ := w.enter(context.Background(), math.MaxInt); place != nil { // There is always room for the last one.
		if last := <-place; last.open != nil {
			last.commit()
		}
	}
	var errs []error
	if w.conn != nil {
		errs = append(errs, w.conn.close())
	}
	return errors.Join(append(errs, w.db.Close())...)
}
