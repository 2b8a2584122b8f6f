package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

// largest tells how many rows the largest transaction changed since it was asked before. It asks SQLite, and so counts
// what hangs on other rows, too.
func largest(tb testing.TB, s *Store) func() int64 {
	tb.Helper()
	var before, most int64
	total := func(c *conn) (n int64) {
		if err := c.sql.QueryRowContext(context.Background(), "SELECT total_changes()").Scan(&n); err != nil {
			tb.Error(err)
		}
		return n
	}
	turn, err := s.writer.acquire(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	defer turn.pass()
	before = total(turn.conn)
	committed := s.writer.committed
	s.writer.committed = func(c *conn) {
		now := total(c)
		most, before = max(most, now-before), now
		committed(c)
	}
	return func() int64 {
		n := most
		most = 0
		return n
	}
}

// fillConsent makes a consent with many entries, tokens and answers.
func fillConsent(tb testing.TB, s *Store, id string, events, tokens, answers int) {
	tb.Helper()
	inUpdate(tb, s, func(tx store.Tx) error {
		c := newConsent(id)
		if err := tx.InsertConsent(c); err != nil {
			return err
		}
		for n := range events {
			e := consent.Event{
				Sequence: int64(n) + 1, Key: fmt.Sprint(n), Type: consentv1.ConsentEvent_SYNC_COMPLETED,
			}
			if n == events-1 {
				e.Type = consentv1.ConsentEvent_DELETED
			}
			if err := tx.AppendEvent(id, e, c.Resource); err != nil {
				return err
			}
		}
		for n := range tokens {
			callback := &store.Callback{Tenant: tenant, Kind: store.CallbackRedirect, Resource: id}
			copy(callback.Hash[:], fmt.Sprint(id, "/", n))
			if err := tx.InsertCallback(callback); err != nil {
				return err
			}
		}
		for n := range answers {
			i := &store.Idempotency{
				Tenant: tenant, Method: id, Key: fmt.Sprint(n), Done: true, CustomerID: "customer", ConsentID: id,
				Response: []byte("answer"),
			}
			if err := tx.InsertIdempotency(i); err != nil {
				return err
			}
		}
		return nil
	})
}

// TestLargeDeletionsGoInPieces deletes what there is very much of: no transaction changes many rows, so that others
// write in between.
func TestLargeDeletionsGoInPieces(t *testing.T) {
	t.Parallel()
	const events, others, limit = 700, 250, 100
	// What a transaction changes beside the rows that it was asked for: of the consent, of a log's place.
	const more = 10
	s := openNew(t)
	setUp(t, s)
	for n := range 3 {
		fillConsent(t, s, fmt.Sprint("consent-", n), events, others, others)
	}
	most := largest(t, s)
	check := func(what string, steps int) {
		t.Helper()
		if n := most(); n > limit+more || n < limit {
			t.Errorf("%s: a transaction changed %d rows, want about %d", what, n, limit)
		}
		if steps < events/limit {
			t.Errorf("%s: it took only %d steps", what, steps)
		}
	}
	steps := 0
	for erased := limit; erased == limit; steps++ {
		inUpdate(t, s, func(tx store.Tx) (err error) {
			erased, err = tx.DeleteConsent("consent-0", limit)
			return err
		})
	}
	check("the deletion of a consent", steps)

	inUpdate(t, s, func(tx store.Tx) error { _, err := tx.DeleteConsent("consent-1", 1); return err })
	sweep := func(what string, do func() (int, error)) {
		t.Helper()
		steps := 0
		for done := limit; done == limit; steps++ {
			var err error
			if done, err = do(); err != nil {
				t.Fatal(err)
			}
		}
		check(what, steps)
	}
	sweep("the sweep of erasures", func() (int, error) { return s.System().FinishErasures(t.Context(), limit) })

	trim := func(now, before time.Time) (int, error) {
		return s.System().TrimLog(t.Context(), store.ConsentLog, now, before, limit)
	}
	if _, err := trim(time.Unix(1, 0), time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	fillConsent(t, s, "consent-3", 2*events, 0, 0)
	most()
	sweep("the trimming of a log", func() (int, error) { return trim(time.Unix(3, 0), time.Unix(2, 0)) })

	inUpdate(t, s, func(tx store.Tx) error {
		for n := range 2 * events {
			i := &store.Idempotency{Tenant: tenant, Method: "old", Key: fmt.Sprint(n), CreateTime: time.Unix(1, 0)}
			if err := tx.InsertIdempotency(i); err != nil {
				return err
			}
		}
		return nil
	})
	most()
	sweep("the sweep of answers", func() (int, error) {
		return s.System().DeleteIdempotencyBefore(t.Context(), time.Unix(2, 0), limit)
	})

	inUpdate(t, s, func(tx store.Tx) error {
		for range 2 * events {
			if err := tx.AppendAudit(&store.Audit{Tenant: tenant}); err != nil {
				return err
			}
		}
		return nil
	})
	most()
	sweep("the retention of the audit", func() (removed int, err error) {
		return removed, s.Update(t.Context(), tenant, func(tx store.Tx) error {
			removed, err = tx.CutAudit(sealAt(2*events), limit)
			return err
		})
	})

	inUpdate(t, s, func(tx store.Tx) error { // Who deletes a consent says so first, in an entry that is not trimmed.
		e := consent.Event{Key: "deleted", Type: consentv1.ConsentEvent_DELETED, Sequence: 1 + events}
		if err := tx.AppendEvent("consent-2", e, &consentv1.Consent{}); err != nil {
			return err
		}
		e.Sequence = 1 + 2*events
		return tx.AppendEvent("consent-3", e, &consentv1.Consent{})
	})
	for _, id := range []string{"consent-2", "consent-3"} {
		inUpdate(t, s, func(tx store.Tx) error { _, err := tx.DeleteConsent(id, 1); return err })
	}
	most()
	steps = 0
	for done := false; !done; steps++ {
		inUpdate(t, s, func(tx store.Tx) error {
			removed, err := tx.DeleteCustomer("customer", limit)
			done = removed.Done
			return err
		})
	}
	check("the deletion of a customer", steps)
}

// TestShipmentsGoInPieces: shipments of which there are very many entries go in pieces, as customers' and as nobody's,
// and those of which there are few do not take more transactions for it.
func TestShipmentsGoInPieces(t *testing.T) {
	t.Parallel()
	const entries, small, limit, more = 3*hangingMost + 7, 40, 50, 10
	s := openNew(t)
	setUp(t, s)
	fill := func(id, customerID string, entries int) {
		parcel(t, s, id, customerID)
		inUpdate(t, s, func(tx store.Tx) error {
			var errs []error
			for n := range entries {
				errs = append(errs, tx.AppendShipment(id, &documentsv1.Shipment{Recipient: fmt.Sprint(n)}))
			}
			return errors.Join(errs...)
		})
	}
	for _, customerID := range []string{"customer", ""} {
		for n := range small {
			fill(fmt.Sprintf("%s-a%02d", customerID, n), customerID, 1)
		}
		fill(customerID+"-b", customerID, entries)
		fill(customerID+"-c", customerID, 1)
	}
	most := largest(t, s)
	check := func(what string, steps, gone int) {
		t.Helper()
		if n := most(); n < hangingMost || n > hangingMost+2*limit+more { // and shipments with their keys
			t.Errorf("%s: a transaction changed %d rows, want about %d", what, n, hangingMost)
		}
		if steps < 4 || steps > 6 || gone != small+2 {
			t.Errorf("%s: %d are gone after %d steps", what, gone, steps)
		}
	}
	gone, steps := 0, 0
	for done := false; !done; steps++ {
		inUpdate(t, s, func(tx store.Tx) error {
			removed, err := tx.DeleteCustomer("customer", limit)
			done, gone = removed.Done, gone+removed.Shipments
			return err
		})
	}
	check("the deletion of a customer", steps, gone)
	steps = 0
	for done := limit; done == limit; steps++ {
		var err error
		if done, err = s.System().DeleteShipmentsBefore(t.Context(), time.Now(), limit); err != nil {
			t.Fatal(err)
		}
	}
	var left int
	db := raw(t, s.files.path)
	if err := db.QueryRow("SELECT (SELECT count(*) FROM shipments) + (SELECT count(*) FROM shipment_log) + " +
		"(SELECT count(*) FROM callbacks) + (SELECT count(*) FROM data_keys)").Scan(&left); err != nil || left != 0 {
		t.Errorf("%d rows are left, %v", left, err)
	}
	check("the sweep of shipments", steps, small+2)
}

// openAlone opens a store that may make its file smaller.
func openAlone(tb testing.TB, path string) *Store {
	tb.Helper()
	s, err := Open(tb.Context(), path, keystest.StoreKey(), Options{Alone: true})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

// fillAudit adds entries with a mark in each, a few in each transaction.
func fillAudit(tb testing.TB, s *Store, rows int, mark string) {
	tb.Helper()
	for rows > 0 {
		inUpdate(tb, s, func(tx store.Tx) error {
			for range min(rows, 1000) {
				if err := tx.AppendAudit(&store.Audit{Tenant: tenant, Resource: mark}); err != nil {
					return err
				}
			}
			return nil
		})
		rows -= min(rows, 1000)
	}
}

// cutAudit removes the oldest entries, as retention does.
func cutAudit(tb testing.TB, s *Store, position int64) {
	tb.Helper()
	for removed := 100; removed == 100; {
		inUpdate(tb, s, func(tx store.Tx) (err error) {
			removed, err = tx.CutAudit(sealAt(position), 100)
			return err
		})
	}
}

// TestRoomIsGivenBack fills a file, sweeps it, and has it become smaller, in steps: what is left is whole, what was
// swept stands nowhere in the files, and the store takes the smaller file for its own.
func TestRoomIsGivenBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kontor.db")
	s := openAlone(t, path)
	setUp(t, s, "consent")
	const rows, left, limit = 40_000, 100, 100
	mark := strings.Repeat("canary", 30)
	fillAudit(t, s, rows, mark)
	fillAudit(t, s, left, "stays")
	sizeNow := func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	onWriterTruncate(t, s)
	full := sizeNow()
	cutAudit(t, s, rows)
	steps, mostPages := 0, int64(0)
	pages := func() (n int64) {
		if err := s.read(t.Context(), "", func(r *reader) (err error) {
			n, err = one(r, columns.Only[int64], "PRAGMA page_count")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for given := limit; given == limit; steps++ {
		before := pages()
		var err error
		if given, err = s.System().GiveRoomBack(t.Context(), limit); err != nil {
			t.Fatal(err)
		}
		mostPages = max(mostPages, before-pages())
		if _, err := appendNext(t.Context(), s, "consent", fmt.Sprint(steps)); err != nil { // Calls go on.
			t.Fatal(err)
		}
	}
	s.purgeDue.Store(true)
	s.purge()
	if mostPages > limit+2 || mostPages < limit { // with the page that maps the others
		t.Errorf("one step gave %d pages back, want about %d", mostPages, limit)
	}
	if now := sizeNow(); now > full*2/3 || now < spareLeast*s.files.page {
		t.Errorf("the file has %d bytes of %d after %d steps, and should keep some room", now, full, steps)
	}
	if s.files.shrinking != 0 || s.files.size != sizeNow() {
		t.Errorf("the store believes the file to have %d bytes, or %d", s.files.size, s.files.shrinking)
	}
	for _, name := range []string{path, path + "-wal"} {
		if content, err := os.ReadFile(name); err != nil || bytes.Contains(content, []byte("canary")) {
			t.Errorf("%s has what was swept (%v)", name, err)
		}
	}
	events(t, s, "consent")
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	// What cuts the file off now is a stranger.
	if err := os.Truncate(path, sizeNow()-2*s.files.page); err != nil {
		t.Fatal(err)
	}
	if err := s.files.check(); !errors.Is(err, errTruncated) {
		t.Errorf("a file that was cut off: %v", err)
	}
}

// onWriterTruncate moves the log into the file.
func onWriterTruncate(t *testing.T, s *Store) {
	t.Helper()
	turn, err := s.writer.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer turn.pass()
	if !turn.conn.truncateLog(time.Second) {
		t.Fatal("the log was not emptied")
	}
}

// TestRoomIsKeptWithOthers: a store that others may have open, too, never makes the file smaller.
func TestRoomIsKeptWithOthers(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kontor.db")
	s, other := openAt(t, path), openAt(t, path)
	fillAudit(t, s, 20_000, strings.Repeat("x", 300))
	cutAudit(t, s, 20_000)
	if given, err := s.System().GiveRoomBack(t.Context(), 10); given != 0 || err != nil {
		t.Errorf("%d pages were given back, %v", given, err)
	}
	onWriterTruncate(t, s)
	if err := other.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestFormerFilesCanShrink opens a file that was made so that it could not become smaller.
func TestFormerFilesCanShrink(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kontor.db")
	db := raw(t, path)
	for _, statement := range []string{"PRAGMA journal_mode = WAL", "CREATE TABLE x (y)", "DROP TABLE x"} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	db.Close()
	s := openAlone(t, path)
	var mode string
	if err := s.anchor.sql.QueryRowContext(t.Context(), "PRAGMA auto_vacuum").Scan(&mode); err != nil || mode != "2" {
		t.Errorf("auto_vacuum is %s, %v", mode, err)
	}
}

// sealAt is a seal that nobody checks here.
func sealAt(position int64) *store.AuditSeal {
	return &store.AuditSeal{Tenant: tenant, Position: position, Chain: []byte{1}, MAC: []byte{1}}
}
