package sqlite

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/store"
)

const tenant = "hansa"

// newConsent is a consent of the customer "customer".
func newConsent(id string) *store.Consent {
	return &store.Consent{
		Tenant: tenant, ID: id, CustomerID: "customer", Resource: &consentv1.Consent{Name: "consents/" + id},
	}
}

// setUp makes a customer with consents.
func setUp(tb testing.TB, s *Store, consents ...string) {
	tb.Helper()
	inUpdate(tb, s, func(tx store.Tx) error {
		err := tx.InsertCustomer(&store.Customer{
			Tenant: tenant, ID: "customer", Resource: &customerv1.Customer{Name: "customers/customer"},
		})
		for _, id := range consents {
			err = errors.Join(err, tx.InsertConsent(newConsent(id)))
		}
		return err
	})
}

// appendNext appends an event to a consent and returns its sequence. The detail makes the event unique.
func appendNext(ctx context.Context, s *Store, consentID, detail string) (sequence int64, err error) {
	err = s.Update(ctx, tenant, func(tx store.Tx) error {
		c, err := tx.Consent(consentID)
		if err != nil {
			return err
		}
		c.Resource.EventCount++
		sequence = int64(c.Resource.EventCount)
		if err := tx.UpdateConsent(c); err != nil {
			return err
		}
		event := consent.Event{
			Sequence: sequence, Key: detail, Type: consentv1.ConsentEvent_LINK_OPENED, ReceiveTime: time.Unix(1, 0),
		}
		return tx.AppendEvent(consentID, event, c.Resource)
	})
	return sequence, err
}

// events returns all of a consent's events, after it checked that the sequences have no gap and that the consent counts
// them.
func events(tb testing.TB, s *Store, consentID string) (events []consent.Event) {
	tb.Helper()
	err := s.View(context.Background(), tenant, func(r store.Reader) (err error) {
		c, err := r.Consent(consentID)
		if err != nil {
			return err
		}
		events, err = r.Events(consentID, 0, 1_000_000)
		for i, event := range events {
			if event.Sequence != int64(i)+1 {
				tb.Errorf("event %d of %s has sequence %d", i, consentID, event.Sequence)
			}
		}
		if count := c.Resource.GetEventCount(); int(count) != len(events) {
			tb.Errorf("%s counts %d events and has %d", consentID, count, len(events))
		}
		return err
	})
	if err != nil {
		tb.Fatalf("View: %v", err)
	}
	return events
}

// TestSettings reads the settings of every connection of a busy store.
func TestSettings(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "kontor.db"), keystest.StoreKey(), Options{Readers: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	want := map[string]string{
		"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "secure_delete": "1", "trusted_schema": "0",
		"temp_store": "2",
	}
	check := func(name string, c *conn) {
		for setting, value := range want {
			var got string
			if err := c.sql.QueryRowContext(t.Context(), "PRAGMA "+setting).Scan(&got); err != nil || got != value {
				t.Errorf("%s: %s is %q (%v), want %q", name, setting, got, err, value)
			}
		}
	}
	if size := cap(s.readers.free); size != 3 {
		t.Errorf("there are %d readers, want 3", size)
	}
	want["query_only"], want["busy_timeout"] = "1", "5000"
	for n := range cap(s.readers.free) {
		c, err := s.readers.get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer s.readers.put(c)
		check(fmt.Sprint("reader ", n), c)
	}
	want["query_only"], want["busy_timeout"] = "0", "0"
	for range 2 { // also after the log was emptied
		turn := s.writer.tryAcquire()
		check("writer", turn.conn)
		if !turn.conn.truncateLog(time.Second) {
			t.Error("the log was not emptied")
		}
		turn.pass()
	}
}

// TestSettingsAreRequired opens connections that do not take a setting.
func TestSettingsAreRequired(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kontor.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range settings {
		refused := append([]pragma(nil), settings...)
		refused[i].want = "other"
		p, err := newPool(path, refused)
		if err != nil {
			t.Fatal(err)
		}
		c, err := p.get(t.Context())
		if err == nil {
			p.put(c)
		}
		if err == nil || !strings.Contains(err.Error(), settings[i].name) {
			t.Errorf("a connection without %s: error %v, want one that names it", settings[i].name, err)
		}
		if err := p.close(); err != nil {
			t.Error(err)
		}
	}
}

// TestFiles looks at the modes of what Open makes, and of what it finds.
func TestFiles(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b c?d#e%20f&g")
	path := filepath.Join(dir, "kontor.db")
	s := openAt(t, path)
	setUp(t, s, "consent")
	wantMode := func(name string, want fs.FileMode) {
		t.Helper()
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", filepath.Base(name), info.Mode().Perm(), want)
		}
	}
	wantMode(filepath.Dir(dir), 0o700)
	wantMode(dir, 0o700)
	lock, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		wantMode(path+suffix, 0o600)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path)
	wantMode(path, 0o600)
	if got := len(events(t, s, "consent")); got != 0 {
		t.Errorf("%d events", got)
	}
}

func TestUnusablePaths(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for what, path := range map[string]string{
		"no path": "", "a folder": dir, "below a file": filepath.Join(dir, "file", "kontor.db"),
	} {
		if s, err := Open(t.Context(), path, keystest.StoreKey(), Options{}); err == nil {
			t.Errorf("%s: opened", what)
			s.Close()
		}
	}
}

// TestCorruptFiles opens what is not, or no longer, a database.
func TestCorruptFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := filepath.Join(dir, "good.db")
	s := openAt(t, good)
	setUp(t, s, "consent")
	for range 300 {
		if _, err := appendNext(t.Context(), s, "consent", strings.Repeat("x", 200)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	intact, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	if len(intact) < 20*page {
		t.Fatalf("the file has only %d bytes", len(intact))
	}
	for name, damage := range map[string]func(b []byte) []byte{
		"text":      func([]byte) []byte { return []byte(strings.Repeat("This is a letter.\n", 1000)) },
		"header":    func(b []byte) []byte { b[3] = 'X'; return b },
		"schema":    func(b []byte) []byte { clear(b[100:page]); return b },
		"truncated": func(b []byte) []byte { return b[:len(b)/2] },
		"page":      func(b []byte) []byte { copy(b[len(b)-8*page:], bytes.Repeat([]byte{0x5a}, 4*page)); return b },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, name+".db")
			if err := os.WriteFile(path, damage(bytes.Clone(intact)), 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := Open(t.Context(), path, keystest.StoreKey(), Options{})
			if err == nil {
				s.Close()
			}
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v, want one that says so and names the file", err)
			}
			if err != nil && strings.Contains(err.Error(), "letter") {
				t.Errorf("the error quotes content: %v", err)
			}
		})
	}
	if got := len(events(t, openAt(t, good), "consent")); got != 300 { // The undamaged file is still good.
		t.Errorf("%d events, want 300", got)
	}
}

// TestOpenAfterFailures opens a file that could not be opened before.
func TestOpenAfterFailures(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kontor.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := Open(t.Context(), path, keystest.StoreKey(), Options{}); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("error %v, want %v", err, ErrCorrupt)
		}
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	openAt(t, path)
}

// TestOpenAtOnce opens a file that does not exist from many sides at the same time: one makes it, and all have the
// same.
func TestOpenAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data", "kontor.db")
	const stores = 8
	var opened [stores]*Store
	var group sync.WaitGroup
	for n := range stores {
		group.Go(func() {
			s, err := Open(t.Context(), path, keystest.StoreKey(), Options{Readers: 1})
			if err != nil {
				t.Errorf("Open: %v", err)
				return
			}
			opened[n] = s
		})
	}
	group.Wait()
	for n, s := range opened {
		if s == nil {
			t.FailNow()
		}
		defer s.Close()
		if s.epoch == "" || s.epoch != opened[0].epoch {
			t.Errorf("store %d has the epoch %q, the first %q", n, s.epoch, opened[0].epoch)
		}
		if !bytes.Equal(s.Keys().MAC(keys.Names, "t"), opened[0].Keys().MAC(keys.Names, "t")) {
			t.Errorf("store %d has working keys of its own", n)
		}
		inUpdate(t, s, func(tx store.Tx) error {
			return tx.InsertCustomer(&store.Customer{
				Tenant: tenant, ID: fmt.Sprint(n), Resource: &customerv1.Customer{},
			})
		})
	}
}

// TestFullFile lets the file grow to a limit: what is acknowledged is there, what is refused is not, and the store goes
// on.
func TestFullFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kontor.db")
	s := openAt(t, path, pragma{"max_page_count", "120", "120"})
	setUp(t, s, "consent")
	acknowledged := map[string]bool{}
	refused := 0
	for n := 0; refused < 20; n++ {
		detail := fmt.Sprint(n, strings.Repeat(" ", 3000))
		if _, err := appendNext(t.Context(), s, "consent", detail); err == nil {
			acknowledged[detail] = true
		} else {
			refused++
		}
		if n > 1000 {
			t.Fatal("the file does not become full")
		}
	}
	check := func(s *Store) {
		t.Helper()
		stored := events(t, s, "consent")
		for _, event := range stored {
			if !acknowledged[event.Key] {
				t.Errorf("event %d was refused and is stored", event.Sequence)
			}
		}
		if len(stored) != len(acknowledged) || len(stored) < 10 {
			t.Errorf("%d events are stored, %d were acknowledged", len(stored), len(acknowledged))
		}
	}
	check(s)
	if err := s.Ping(t.Context()); faultOf(err) == nil || faultOf(err).Kind != store.FaultFull {
		t.Errorf("Ping: %v", err)
	}
	if stats := s.Stats(); stats.Failed[store.FaultFull] < int64(refused) {
		t.Errorf(
			"%d writes were refused, and %d failed because the file is full",
			refused,
			stats.Failed[store.FaultFull],
		)
	}
	// An error of the database ends the transaction, also when the function takes no notice.
	if err := s.Update(t.Context(), tenant, func(tx store.Tx) error {
		for n := range 200 {
			_ = tx.InsertConsent(newConsent(fmt.Sprint("unnoticed ", n)))
			_ = tx.AppendEvent(fmt.Sprint("unnoticed ", n), consent.Event{Sequence: 1, Key: strings.Repeat(" ", 3000)},
				nil)
		}
		return nil
	}); err == nil {
		t.Error("an Update whose writes failed was acknowledged")
	}
	if err := s.View(t.Context(), tenant, func(r store.Reader) error {
		found, err := r.Consents(store.ConsentFilter{}, store.Page{Size: 1000})
		if len(found) != 1 {
			t.Errorf("%d consents, want 1", len(found))
		}
		return err
	}); err != nil {
		t.Errorf("View: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path)
	check(s)
	detail := "with room again"
	acknowledged[detail] = true
	if _, err := appendNext(t.Context(), s, "consent", detail); err != nil {
		t.Errorf("with room again: %v", err)
	}
	check(s)
}

// TestWakeUpsFollowCommits sees that nobody is woken by what did not happen, and nobody but those whom it concerns by
// what did.
func TestWakeUpsFollowCommits(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	setUp(t, s, "a")
	s.hub.Close() // Nobody looks for commits of others.
	consents, cancelConsents := s.System().Subscribe(store.ConsentLog)
	defer cancelConsents()
	shipments, cancelShipments := s.System().Subscribe(store.ShipmentLog)
	defer cancelShipments()
	undo := errors.New("undo")
	err := s.Update(t.Context(), tenant, func(tx store.Tx) error {
		return errors.Join(undo, tx.AppendEvent("a", consent.Event{Sequence: 1}, nil))
	})
	if !errors.Is(err, undo) {
		t.Fatal(err)
	}
	pending := func() [2]int { return [2]int{len(consents), len(shipments)} }
	if got := pending(); got != [2]int{} {
		t.Errorf("after a rollback there are wake-ups: %v", got)
	}
	for range 3 {
		if _, err := appendNext(t.Context(), s, "a", ""); err != nil {
			t.Fatal(err)
		}
	}
	if got := pending(); got != [2]int{1, 0} {
		t.Errorf("after three commits the wake-ups are %v, want one for the log that it concerns", got)
	}
}

// TestWakingDoesNotHoldTheWriter stops the hub, as if it had very much to do, and writes.
func TestWakingDoesNotHoldTheWriter(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	setUp(t, s, "a", "b")
	told := make(chan struct{})
	s.wake = func(map[store.Log]store.Cursor) { <-told }
	var group sync.WaitGroup
	entered := make(chan struct{}, 2)
	for _, id := range []string{"a", "b"} {
		group.Go(func() {
			err := s.Update(t.Context(), tenant, func(tx store.Tx) error {
				entered <- struct{}{}
				return tx.AppendEvent(id, consent.Event{Sequence: 1}, nil)
			})
			if err != nil {
				t.Errorf("Update: %v", err)
			}
		})
	}
	for n := range 2 {
		select {
		case <-entered:
		case <-time.After(10 * time.Second):
			t.Errorf("only %d transactions ran while the hub was busy", n)
		}
	}
	close(told)
	group.Wait()
}

// TestDeletionReachesTheFile looks for a deleted customer's data in the files, also when a reader delays that they go.
func TestDeletionReachesTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kontor.db")
	s := openAt(t, path)
	canary := func() string {
		b := make([]byte, 16)
		rand.Read(b)
		return hex.EncodeToString(b)
	}
	secret := canary()
	insert := func(id, mark string) {
		inUpdate(t, s, func(tx store.Tx) error {
			c := newConsent(id)
			c.CustomerID, c.Resource.Reference, c.ProviderRef = id, optional.Of(mark), mark
			c.State, c.Reference = []byte(mark), store.Lookup(mark)
			err := errors.Join(
				tx.InsertCustomer(&store.Customer{
					Tenant: tenant, ID: id, Resource: &customerv1.Customer{Reference: optional.Of(mark)},
					Users: map[string]string{"finoos": mark},
				}),
				tx.InsertConsent(c))
			for sequence := range int64(20) {
				err = errors.Join(err, tx.AppendEvent(id, consent.Event{Sequence: sequence + 1, Key: mark}, c.Resource))
			}
			return errors.Join(err,
				tx.InsertIdempotency(&store.Idempotency{
					Tenant: tenant, Key: mark, CustomerID: id, Response: []byte(mark),
				}),
				tx.ClaimUser(id, "finoos", time.Time{}, store.Lease{Owner: mark}))
		})
	}
	for n := range 30 {
		insert(fmt.Sprint("before-", n), canary())
	}
	insert("goner", secret)
	for n := range 30 {
		insert(fmt.Sprint("after-", n), canary())
	}
	holders := func() (names []string) {
		t.Helper()
		files, err := filepath.Glob(path + "*")
		if err != nil || len(files) < 2 {
			t.Fatalf("files %v (%v)", files, err)
		}
		for _, name := range files {
			content, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(content, []byte(secret)) {
				names = append(names, strings.TrimPrefix(name, path))
			}
		}
		return names
	}
	if len(holders()) == 0 {
		t.Fatal("the files do not hold the customer: the test proves nothing")
	}
	// A reader that began before the deletion may still need the former pages.
	err := s.View(t.Context(), tenant, func(r store.Reader) error {
		if _, err := r.Customer("goner"); err != nil {
			return err
		}
		deleteCustomer(t, s, "goner", "goner")
		if len(holders()) == 0 {
			t.Error("nothing of the customer is left while a reader can still see them")
		}
		_, err := r.Consent("goner")
		return err
	})
	if err != nil {
		t.Fatalf("View: %v", err)
	}
	if left := holders(); len(left) != 0 {
		t.Errorf("after the last reader the deleted customer is still in %q", left)
	}
	// Without a reader it is immediate.
	insert("goner", secret)
	if len(holders()) == 0 {
		t.Fatal("the files do not hold the customer: the test proves nothing")
	}
	deleteCustomer(t, s, "goner", "goner")
	if left := holders(); len(left) != 0 {
		t.Errorf("the deleted customer is still in %q", left)
	}
	if err := s.View(t.Context(), tenant, func(r store.Reader) error {
		found, err := r.Customers(store.Page{Size: 100})
		if len(found) != 60 {
			t.Errorf("%d customers are left, want 60", len(found))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// deleteConsent deletes a consent with all that there is of it.
func deleteConsent(tx store.Tx, id string) error {
	_, err := tx.DeleteConsent(id, 1000)
	return err
}

// deleteCustomer deletes a customer who has one consent, in pieces.
func deleteCustomer(t *testing.T, s *Store, id, consentID string) {
	t.Helper()
	inUpdate(t, s, func(tx store.Tx) error { return deleteConsent(tx, consentID) })
	for done := false; !done; {
		inUpdate(t, s, func(tx store.Tx) error {
			removed, err := tx.DeleteCustomer(id, 1)
			done = removed.Done
			return err
		})
	}
}

// TestLogIsBounded writes while there is always a reader, so that SQLite never finds the moment to empty the
// write-ahead log by itself.
func TestLogIsBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kontor.db")
	s := openAt(t, path)
	setUp(t, s, "consent")
	const limit = 200_000
	s.logLimit, s.truncateAt = limit, limit
	write := func(times int) (largest int64) {
		for range times {
			if _, err := appendNext(t.Context(), s, "consent", strings.Repeat("x", 1000)); err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(path + "-wal")
			if err != nil {
				t.Fatal(err)
			}
			largest = max(largest, info.Size())
		}
		return largest
	}
	reading, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	readers.Go(func() {
		for reading.Err() == nil {
			if err := s.Ping(t.Context()); err != nil {
				t.Errorf("Ping: %v", err)
			}
		}
	})
	largest := write(60)
	stop()
	readers.Wait()
	if largest > 5*limit {
		t.Errorf("the log grew to %d bytes, want about %d", largest, limit)
	}
	// A View that lasts lets the log grow, and is not waited for at each commit.
	err := s.View(t.Context(), tenant, func(r store.Reader) error {
		if _, err := r.Head(store.ConsentLog); err != nil {
			return err
		}
		if largest := write(30); largest < 2*limit {
			t.Errorf("the log was emptied under a reader: it grew only to %d bytes", largest)
		}
		if s.truncateAt <= limit {
			t.Error("the next attempt comes at once")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	write(40)
	info, err := os.Stat(path + "-wal")
	if err != nil || info.Size() > 5*limit {
		t.Errorf("without readers the log still has %d bytes (%v)", info.Size(), err)
	}
}

// TestCloseWaits closes a store that is in use.
func TestCloseWaits(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kontor.db")
	s := openAt(t, path)
	setUp(t, s, "consent")
	closed := make(chan error, 1)
	err := s.Update(t.Context(), tenant, func(tx store.Tx) error {
		go func() { closed <- s.Close() }()
		<-s.readers.closed // Close is under way.
		return tx.AppendEvent("consent", consent.Event{Sequence: 1}, &consentv1.Consent{})
	})
	if err != nil {
		t.Errorf("Update: %v", err)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if _, err := os.Stat(path + suffix); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left behind (%v)", suffix, err)
		}
	}
	reopened := openAt(t, path)
	if err := reopened.View(t.Context(), tenant, func(r store.Reader) error {
		found, err := r.Events("consent", 0, 9)
		if len(found) != 1 {
			t.Errorf("%d events, want 1", len(found))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// TestConnectionInDoubt ends a transaction from under the store. As the state of the connection is not known then, it
// gets a new one.
func TestConnectionInDoubt(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	setUp(t, s, "consent")
	var before, after *conn
	if err := s.Update(t.Context(), tenant, func(x store.Tx) error {
		before = x.(*tx).c
		_, err := before.exec(t.Context(), "ROLLBACK")
		return err
	}); err == nil {
		t.Error("a COMMIT without a transaction was acknowledged")
	}
	inUpdate(t, s, func(x store.Tx) error { after = x.(*tx).c; return nil })
	if before == after {
		t.Error("the connection is still in use")
	}
	if _, err := appendNext(t.Context(), s, "consent", ""); err != nil {
		t.Errorf("on the new connection: %v", err)
	}
}

// TestReadersDoNotWrite sees that a View has no way to change anything.
func TestReadersDoNotWrite(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	err := s.View(t.Context(), tenant, func(r store.Reader) error {
		if _, ok := r.(store.Tx); ok {
			t.Error("the Reader of a View is a Tx")
		}
		_, err := r.(*reader).exec("DELETE FROM audit")
		return err
	})
	if err == nil {
		t.Error("a reader's connection writes")
	}
}

// raw opens the file past the store.
func raw(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func BenchmarkAppendEvent(b *testing.B) {
	s := openNew(b)
	setUp(b, s, "consent")
	after := &consentv1.Consent{Name: "consents/consent", Status: consentv1.Consent_AUTHORIZED}
	sequence := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		sequence++
		inUpdate(b, s, func(tx store.Tx) error {
			return tx.AppendEvent("consent",
				consent.Event{Sequence: sequence, Type: consentv1.ConsentEvent_LINK_OPENED}, after)
		})
	}
}

// BenchmarkConsentEntries reads pages of 100 entries.
func BenchmarkConsentEntries(b *testing.B) {
	s := openNew(b)
	setUp(b, s, "consent")
	const entries, page = 10_000, 100
	inUpdate(b, s, func(tx store.Tx) (err error) {
		for sequence := range int64(entries) {
			err = errors.Join(err,
				tx.AppendEvent("consent", consent.Event{Sequence: sequence + 1},
					&consentv1.Consent{Name: "consents/consent"}))
		}
		return err
	})
	b.ReportAllocs()
	after := store.Cursor("")
	for n := 1; b.Loop(); n++ {
		err := s.View(b.Context(), tenant, func(r store.Reader) error {
			found, err := r.ConsentEntries("", after, page)
			if len(found) != page {
				b.Errorf("%d entries, want %d", len(found), page)
			}
			after = found[len(found)-1].Cursor
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		if n%(entries/page) == 0 {
			after = ""
		}
	}
}

// TestEndLeases ends what a former process held, and nothing that is settled.
func TestEndLeases(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	setUp(t, s, "due", "later", "never")
	share := []store.Share{{Tenant: tenant, Limit: 9}}
	now := time.Now()
	lease := store.Lease{Owner: "former/1", Until: now.Add(time.Hour)}
	inUpdate(t, s, func(tx store.Tx) error {
		var err error
		for id, next := range map[string]time.Time{"due": now.Add(-time.Minute), "later": now.Add(time.Minute)} {
			c, e := tx.Consent(id)
			if e != nil {
				return e
			}
			c.NextPoll = next
			err = errors.Join(err, tx.UpdateConsent(c))
		}
		return errors.Join(err, tx.ClaimUser("customer", "finoos", now, lease), tx.ClaimFlow("due", now, lease),
			tx.InsertIdempotency(&store.Idempotency{Tenant: tenant, Key: "open", Lease: lease}),
			tx.InsertIntent(&store.Intent{Tenant: tenant, ID: "open", State: store.IntentOpen, Lease: lease}),
			tx.InsertIntent(&store.Intent{Tenant: tenant, ID: "done", State: store.IntentDone, Lease: lease}))
	})
	claimed, err := s.System().ClaimDue(t.Context(), now, "former", time.Hour, share)
	if err != nil || len(claimed) != 1 {
		t.Fatalf("%d are claimed, %v", len(claimed), err)
	}
	if err := s.EndLeases(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, err := s.System().ClaimDue(t.Context(), now, "present", time.Hour, share)
	if err != nil || len(again) != 1 || again[0].ID != "due" {
		t.Errorf("claimed again are %v, %v", again, err)
	}
	expired, err := s.System().ExpiredIntents(t.Context(), now, 9)
	if err != nil || len(expired) != 1 || expired[0].ID != "open" {
		t.Errorf("the intents that have run out are %v, %v", expired, err)
	}
	inUpdate(t, s, func(tx store.Tx) error {
		record, err := tx.Idempotency("", "open")
		if err != nil || !record.Lease.Over(now) {
			t.Errorf("the record's lease is %+v, %v", record, err)
		}
		return errors.Join(err, tx.TakeOverIdempotency(record, lease),
			tx.ClaimUser("customer", "finoos", now, store.Lease{Owner: "present/1", Until: now.Add(time.Hour)}),
			tx.ClaimFlow("due", now, store.Lease{Owner: "present/1", Until: now.Add(time.Hour)}))
	})
	// The former process lives after all: it has lost its claim.
	inUpdate(t, s, func(tx store.Tx) error {
		c, err := tx.Consent("due")
		if err != nil {
			return err
		}
		c.Claim = claimed[0].Claim
		if err := tx.UpdateConsent(c); !errors.Is(err, store.ErrClaimLost) {
			t.Errorf("a claim that was ended: %v, want %v", err, store.ErrClaimLost)
		}
		return nil
	})
}
