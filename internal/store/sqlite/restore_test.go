package sqlite

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/secret"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/migrations"
)

// mark stands in clear text in what belongs to someone or something.
func mark(of string) string { return "mark-of-" + of }

// person makes a customer with consents and a shipment, and all that goes with them.
func person(t *testing.T, s *Store, id string, consents ...string) {
	t.Helper()
	now := time.Now()
	inUpdate(t, s, func(tx store.Tx) error {
		err := tx.InsertCustomer(&store.Customer{
			Tenant: tenant, ID: id, Resource: &customerv1.Customer{Name: "customers/" + id},
			Users: map[string]string{"finoos": mark(id)},
		})
		for _, consentID := range consents {
			c := newConsent(consentID)
			c.CustomerID, c.ProviderRef, c.State = id, mark(consentID), []byte("state of "+consentID)
			c.Resource.EventCount = 1
			err = errors.Join(err, tx.InsertConsent(c),
				tx.AppendEvent(consentID, consent.Event{Sequence: 1, Key: "k", ReceiveTime: now}, c.Resource),
				tx.InsertCallback(&store.Callback{
					Hash: hashed(consentID), Kind: store.CallbackRedirect, Tenant: tenant, Resource: consentID,
					Provider: mark(consentID),
				}),
				tx.InsertIdempotency(&store.Idempotency{
					Tenant: tenant, Method: mark(consentID), Key: consentID, CustomerID: id, ConsentID: consentID,
					Response: []byte("answer"), Done: true, CreateTime: now,
				}),
				tx.ClaimFlow(consentID, now, store.Lease{Owner: "o", Until: now.Add(time.Hour)}))
		}
		return errors.Join(err,
			tx.InsertIntent(&store.Intent{
				Tenant: tenant, ID: "intent-" + id, CustomerID: id, Resource: mark(id), State: store.IntentOpen,
				Lease: store.Lease{Owner: "o", Until: now}, CreateTime: now, UpdateTime: now,
				IdempotencyMethod: "open", IdempotencyKey: id,
			}),
			// An open record does not say yet whom it is about.
			tx.InsertIdempotency(&store.Idempotency{Tenant: tenant, Method: "open", Key: id, CreateTime: now}),
			tx.ClaimUser(id, "finoos", now, store.Lease{Owner: "o", Until: now.Add(time.Hour)}),
			tx.AppendAudit(&store.Audit{Time: now, Tenant: tenant, Method: "m", Outcome: "OK"}))
	})
	parcel(t, s, "of-"+id, id)
}

func hashed(text string) (hash [32]byte) {
	copy(hash[:], text)
	return hash
}

// parcel makes a shipment.
func parcel(t *testing.T, s *Store, id, customerID string) {
	t.Helper()
	inUpdate(t, s, func(tx store.Tx) error {
		letter := &documentsv1.Shipment{Name: "shipments/" + id, Recipient: "Toni"}
		return errors.Join(
			tx.InsertShipment(&store.Shipment{
				Tenant: tenant, ID: id, CustomerID: customerID, Provider: mark(id), Resource: letter,
			}),
			tx.AppendShipment(id, letter),
			tx.InsertCallback(&store.Callback{
				Hash: hashed(id), Kind: store.CallbackShipment, Tenant: tenant, Resource: id,
			}),
			tx.AppendAudit(&store.Audit{Time: time.Now(), Tenant: tenant, Method: "m", Outcome: "OK"}))
	})
}

// backedUp makes a backup, and gives the paths of copy and keys.
func backedUp(t *testing.T, s *Store, name string) (copyPath, keysPath string) {
	t.Helper()
	folder := t.TempDir()
	copyPath, keysPath = filepath.Join(folder, name), filepath.Join(folder, name+".keys")
	if err := openReadOnly(t, s.files.path).Backup(t.Context(), copyPath, keysPath); err != nil {
		t.Fatal(err)
	}
	return copyPath, keysPath
}

// pair is a backup of which a restore ends consents plainly.
func pair(copyPath, keysPath string) store.Backup {
	return store.Backup{Copy: copyPath, Keys: keysPath, End: endPlainly}
}

// endPlainly has an event of the kind in the place of those that services write.
func endPlainly(_ *keys.Keys, tx store.Tx, id string, end store.End) error {
	row, err := tx.Consent(id)
	if err != nil {
		return err
	}
	row.Resource.EventCount++
	row.Ended = end.How == store.EndRevoked || end.How == store.EndSuperseded
	event := consent.Event{
		Sequence: int64(row.Resource.GetEventCount()), Key: "end", Description: string(end.How), EventTime: end.Time,
	}
	return errors.Join(tx.AppendEvent(id, event, row.Resource), tx.UpdateConsent(row))
}

// stand writes how a consent stands.
func stand(t *testing.T, s *Store, id string, status consentv1.Consent_Status, ended bool, at time.Time) {
	t.Helper()
	inUpdate(t, s, func(tx store.Tx) error {
		row, err := tx.Consent(id)
		if err != nil {
			return err
		}
		row.Resource.Status, row.Ended, row.Resource.UpdateTime = status, ended, timestamppb.New(at)
		return tx.UpdateConsent(row)
	})
}

// restore makes a store of a backup.
func restore(t *testing.T, copyPath, keysPath string) (*Store, store.Restored) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "restored.db")
	done, err := Restore(t.Context(), path, keystest.StoreKey(), pair(copyPath, keysPath))
	if err != nil {
		t.Fatal(err)
	}
	if left := listed(t, filepath.Dir(path)); !slices.Equal(left, []string{"restored.db", "restored.db.lock"}) {
		t.Errorf("beside the store there is %v", left)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	return openAt(t, path), done
}

// TestRestoreWithNewerKeys erases between the backup of which the copy is and that of which the keys are.
func TestRestoreWithNewerKeys(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	person(t, s, "stays", "kept", "gone")
	person(t, s, "goner", "theirs")
	person(t, s, "half-gone", "left")
	parcel(t, s, "nobodys", "")
	parcel(t, s, "old", "")
	old, _ := backedUp(t, s, "old.db")

	deleteCustomer(t, s, "goner", "theirs")
	inUpdate(t, s, func(tx store.Tx) error {
		// A deletion that was under way leaves the customer with what is left.
		removed, err := tx.DeleteCustomer("half-gone", 1)
		if removed.Done {
			t.Error("all is gone at once")
		}
		return errors.Join(err, deleteConsent(tx, "gone"), tx.DeleteShipment("old"))
	})
	person(t, s, "later", "latest")
	_, newest := backedUp(t, s, "new.db")

	restored, done := restore(t, old, newest)
	want := store.Restored{KeysTime: done.KeysTime, Customers: 1, Consents: 2, Shipments: 3, Unknown: 1}
	if done != want || time.Since(done.KeysTime).Abs() > time.Minute {
		t.Errorf("it did %+v, want %+v", done, want)
	}
	if err := restored.View(t.Context(), tenant, func(r store.Reader) error {
		if customers, err := r.Customers(store.Page{Size: 10}); err != nil || len(customers) != 2 {
			t.Errorf("customers: %v, %v", customers, err)
		}
		found, err := r.Consents(store.ConsentFilter{}, store.Page{Size: 10})
		if err != nil || len(found) != 2 || found[0].ID != "kept" || found[1].ID != "left" ||
			string(found[0].State) != "state of kept" {
			t.Errorf("consents: %v, %v", found, err)
		}
		shipments, err := r.Shipments(store.ShipmentFilter{}, store.Page{Size: 10})
		if err != nil || len(shipments) != 2 || shipments[0].ID != "nobodys" || shipments[1].ID != "of-stays" ||
			shipments[0].Resource.GetRecipient() != "Toni" {
			t.Errorf("shipments: %v, %v", shipments, err)
		}
		if _, err := r.Callback(store.CallbackRedirect, hashed("kept")); err != nil {
			t.Errorf("a token of what stays: %v", err)
		}
		for _, id := range []string{"gone", "theirs"} {
			if _, err := r.Callback(store.CallbackRedirect, hashed(id)); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("a token of %s: %v", id, err)
			}
		}
		kept, err := r.Idempotency(mark("kept"), "kept")
		if err != nil || string(kept.Response) != "answer" {
			t.Errorf("the answer that stays: %v, %v", kept, err)
		}
		if record, err := r.Idempotency(mark("gone"), "gone"); err != nil || !record.Erased || record.Response != nil {
			t.Errorf("the answer about what is gone: %v, %v", record, err)
		}
		if _, err := r.Idempotency(mark("theirs"), "theirs"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the answer to who is gone: %v", err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	db := raw(t, restored.files.path)
	for _, of := range []string{
		"consent_log WHERE consent_id", "shipment_log WHERE shipment_id", "callbacks WHERE resource",
		"idempotency WHERE method = 'open' AND key", "intents WHERE customer_id", "flow_claims WHERE consent_id",
		"user_claims WHERE customer_id", "customer_users WHERE customer_id", "consents WHERE customer_id",
		"consents WHERE deleted = 0 AND id", "data_keys WHERE owner",
	} {
		var left, kept int
		err := db.QueryRow("SELECT (SELECT count(*) FROM "+of+" IN ('goner', 'theirs', 'of-goner', 'old', 'of-half-gone')),"+
			"(SELECT count(*) FROM "+of+" IN ('stays', 'kept', 'of-stays'))").Scan(&left, &kept)
		if err != nil || left != 0 || kept == 0 {
			t.Errorf("%s: %d rows of what is gone, %d of what stays, %v", of, left, kept, err)
		}
	}
	for _, of := range []string{
		"consent_log WHERE consent_id", "flow_claims WHERE consent_id", "consents WHERE deleted = 0 AND id",
	} {
		var left, kept int
		if err := db.QueryRow("SELECT (SELECT count(*) FROM "+of+" = 'gone'), (SELECT count(*) FROM "+of+" = 'kept')").
			Scan(&left, &kept); err != nil || left != 0 || kept != 1 {
			t.Errorf("%s: %d rows of what is gone, %d of what stays, %v", of, left, kept, err)
		}
	}
	if err := errors.Join(db.Close(), restored.Close()); err != nil {
		t.Fatal(err)
	}
	text := filesOf(t, restored.files.path)
	for _, id := range []string{"goner", "theirs", "of-goner", "old", "of-half-gone"} {
		if bytes.Contains(text, []byte(mark(id))) {
			t.Errorf("the store still has something of %s", id)
		}
	}
	// Its record stays, without what it was asked for at the provider.
	if n := bytes.Count(text, []byte(mark("gone"))); n != 2 {
		t.Errorf("of the deleted consent %d places are left, want the record and its index", n)
	}
	for _, id := range []string{"stays", "kept", "half-gone", "nobodys"} {
		if !bytes.Contains(text, []byte(mark(id))) {
			t.Errorf("the store has nothing of %s", id)
		}
	}
}

// TestRestoreEndsAgain: what was over when the keys were written is over in a store made of an older copy, as it was
// and since then; what stands, and what the provider tells, is as in the copy.
func TestRestoreEndsAgain(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	const authorized, waits = consentv1.Consent_AUTHORIZED, consentv1.Consent_AWAITING_AUTHORIZATION
	over := map[string]struct {
		before, after consentv1.Consent_Status
		ended         bool
		how           store.EndKind // empty for one that is not touched
	}{
		"revoked":    {authorized, consentv1.Consent_REVOKED, true, store.EndRevoked},
		"unapproved": {waits, consentv1.Consent_REVOKED, true, store.EndRevoked},
		"superseded": {consentv1.Consent_EXPIRED, consentv1.Consent_EXPIRED, true, store.EndSuperseded},
		"withdrawn":  {authorized, consentv1.Consent_REVOKED, false, store.EndWithdrawn},
		"lapsed":     {consentv1.Consent_AWAITING_REAUTHORIZATION, consentv1.Consent_EXPIRED, false, store.EndExpired},
		"link over":  {waits, consentv1.Consent_EXPIRED, false, ""},
		"refused":    {waits, consentv1.Consent_REVOKED, false, ""},
		"stands":     {authorized, authorized, false, ""},
	}
	person(t, s, "someone", slices.Collect(maps.Keys(over))...)
	person(t, s, "another", "ended before")
	stand(t, s, "ended before", consentv1.Consent_REVOKED, true, time.Now())
	for id, of := range over {
		stand(t, s, id, of.before, false, time.Unix(1, 0))
	}
	old, oldKeys := backedUp(t, s, "old.db")
	at := time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)
	for id, of := range over {
		stand(t, s, id, of.after, of.ended, at)
	}
	if _, err := raw(t, s.files.path).Exec("UPDATE consents SET update_time = 0 WHERE id = 'unapproved'"); err != nil {
		t.Fatal(err)
	}
	before := len(events(t, s, "revoked"))
	_, newest := backedUp(t, s, "new.db")

	restored, done := restore(t, old, newest)
	if done.Ended != 5 || done.EndsUnknown {
		t.Errorf("it did %+v", done)
	}
	audited, err := restored.System().AuditTrail(t.Context(), positionsLost, 100)
	if err != nil || len(audited) != 5 {
		t.Errorf("the audit says %v, %v", audited, err)
	}
	for _, e := range audited {
		id := strings.TrimPrefix(e.Resource, "consents/")
		if e.Method != "EndConsent" || e.Actor != "kontor" || e.Outcome != "OK" || over[id].how == "" {
			t.Errorf("an entry is %+v", e)
		}
	}
	for id, of := range over {
		history := events(t, restored, id)
		if of.how == "" {
			if len(history) != before {
				t.Errorf("%s: it has %d events", id, len(history))
			}
			continue
		}
		last, want := history[len(history)-1], at
		if id == "unapproved" {
			want = done.KeysTime // it is not known since when
		}
		if last.Description != string(of.how) || !last.EventTime.Equal(want) {
			t.Errorf("%s: the last event is %+v, want %s of %s", id, last, of.how, want)
		}
	}
	if _, done := restore(t, old, oldKeys); done.Ended != 0 {
		t.Errorf("with the copy's own keys it did %+v", done)
	}
}

// TestRestoreEndsMany ends more than one look finds, of two tenants.
func TestRestoreEndsMany(t *testing.T) {
	t.Parallel()
	const many = 2*endsAtOnce + 1
	s := openNew(t)
	var ids []string
	for i := range many {
		ids = append(ids, fmt.Sprintf("c%05d", i))
	}
	setUp(t, s, ids...)
	old, _ := backedUp(t, s, "old.db")
	if _, err := raw(t, s.files.path).Exec("UPDATE consents SET ended = 1"); err != nil {
		t.Fatal(err)
	}
	_, newest := backedUp(t, s, "new.db")
	restored, done := restore(t, old, newest)
	if done.Ended != many {
		t.Errorf("it did %+v", done)
	}
	for _, id := range []string{ids[0], ids[endsAtOnce], ids[many-1]} {
		if got := len(events(t, restored, id)); got != 1 {
			t.Errorf("%s has %d events", id, got)
		}
	}
}

// TestRestoreKeepsReceipts: what was deleted with a customer after the copy is told as in the end, and what was deleted
// before as ever.
func TestRestoreKeepsReceipts(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	put := func(id string, entries int) {
		receipt := &customerv1.DeletionReceipt{Name: "deletionReceipts/" + id, Customer: "customers/" + id}
		for range entries {
			receipt.Entries = append(receipt.Entries, &customerv1.DeletionReceipt_Entry{Place: "kontor", Count: 1})
		}
		inUpdate(t, s, func(tx store.Tx) error {
			return tx.PutReceipt(&store.Receipt{Tenant: tenant, ID: id, Resource: receipt})
		})
	}
	person(t, s, "goner", "theirs")
	put("early", 1)
	put("midway", 1)
	old, oldKeys := backedUp(t, s, "old.db")
	put("midway", 2)
	deleteCustomer(t, s, "goner", "theirs")
	put("goner", 1)
	_, newest := backedUp(t, s, "new.db")
	restored, done := restore(t, old, newest)
	if done.Receipts != 2 || done.Customers != 1 {
		t.Errorf("it did %+v", done)
	}
	if err := restored.View(t.Context(), tenant, func(r store.Reader) error {
		for id, want := range map[string]int{"early": 1, "midway": 2, "goner": 1} {
			receipt, err := r.Receipt(id)
			if err != nil || len(receipt.Resource.GetEntries()) != want {
				t.Errorf("the receipt of %s: %v, %v", id, receipt, err)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, done := restore(t, old, oldKeys); done.Receipts != 0 {
		t.Errorf("with the copy's own keys it did %+v", done)
	}
}

// TestOlderKeysAreNotTakenUnknowingly: where a backup noted newer keys than those that are given, they are refused
// unless the operator says so.
func TestOlderKeysAreNotTakenUnknowingly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kontor.db")
	s := openAt(t, path)
	person(t, s, "someone", "c")
	old, oldKeys := backedUp(t, s, "old.db")
	person(t, s, "next")
	_, newest := backedUp(t, s, "new.db")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	lose := func() {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}
	}
	lose()
	_, err := Restore(t.Context(), path, keystest.StoreKey(), pair(old, oldKeys))
	if !errors.Is(err, store.ErrBackup) || !strings.Contains(err.Error(), "newer ones") {
		t.Errorf("older keys: %v", err)
	}
	knowing := pair(old, oldKeys)
	knowing.OlderKeys = true
	for name, of := range map[string]store.Backup{"older keys, knowingly": knowing, "the newest": pair(old, newest)} {
		if _, err := Restore(t.Context(), path, keystest.StoreKey(), of); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		lose()
	}
	for name, text := range map[string]string{
		"empty, as earlier ones are": "", "another store's": `{"kontorKeys":2,"store":"x","changes":99}`,
	} {
		if err := os.WriteFile(path+backupMark, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Restore(t.Context(), path, keystest.StoreKey(), pair(old, oldKeys)); err != nil {
			t.Errorf("beside a mark that is %s: %v", name, err)
		}
		lose()
	}
}

// TestCopyHasNoKeys looks for each key in the copy, and for what may be read in it with the keys of then.
func TestCopyHasNoKeys(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	person(t, s, "someone", "c")
	parcel(t, s, "nobodys", "")
	wrapped := blobs(t, s.files.path, "SELECT wrapped FROM data_keys")
	copied, keysPath := backedUp(t, s, "backup.db")
	text, err := os.ReadFile(copied)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range wrapped {
		if bytes.Contains(text, key[:16]) {
			t.Error("the copy has a key")
		}
	}
	if info, err := os.Stat(keysPath); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the keys: %v, %v", info, err)
	}
	if _, err := Open(t.Context(), copied, keystest.StoreKey(), Options{}); !errors.Is(err, store.ErrBackup) ||
		!strings.Contains(err.Error(), "gateway restore") {
		t.Errorf("a copy as a store: %v", err)
	}
	r := openReadOnly(t, copied)
	if err := r.Backup(t.Context(), copied+"2", keysPath+"2"); !errors.Is(err, store.ErrBackup) {
		t.Errorf("a copy of a copy: %v", err)
	}
	if left := listed(t, filepath.Dir(copied)); slices.Contains(left, "backup.db2") {
		t.Errorf("it left %v", left)
	}
}

// TestPositionsAfterARestore: nobody who followed the store that is lost is taken for one who follows this one.
func TestPositionsAfterARestore(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	person(t, s, "stays", "kept")
	copied, keysPath := backedUp(t, s, "backup.db")
	before, err := s.System().Head(t.Context(), store.ConsentLog)
	if err != nil {
		t.Fatal(err)
	}
	lost, err := s.System().AuditTrail(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	restored, _ := restore(t, copied, keysPath)
	for _, log := range []store.Log{store.ConsentLog, store.ShipmentLog} {
		head, err := restored.System().Head(t.Context(), log)
		if position, _ := head.Position(log, restored.epoch); err != nil || position < positionsLost {
			t.Errorf("%s goes on at %s, %v", log, head, err)
		}
	}
	if _, err := restored.System().TailConsents(t.Context(), before, 1); !errors.Is(err, store.ErrCursorExpired) {
		t.Errorf("a cursor of before: %v, want %v", err, store.ErrCursorExpired)
	}
	here, err := restored.System().Head(t.Context(), store.ConsentLog)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := appendNext(t.Context(), restored, "kept", "later"); err != nil {
		t.Fatal(err)
	}
	if news, err := restored.System().TailConsents(t.Context(), here, 9); err != nil || len(news) != 1 {
		t.Errorf("a cursor of after: %v, %v", news, err)
	}
	appendAudit(t, restored, "after")
	found, err := restored.System().AuditTrail(t.Context(), 0, 100)
	if err != nil || len(found) != len(lost)+1 || found[len(lost)].Position <= positionsLost {
		t.Errorf("the audit goes on with %v, %v", found[len(found)-1:], err)
	}
	// The restored store has newer keys than the one that is lost.
	_, newest := backedUp(t, restored, "next.db")
	to := filepath.Join(t.TempDir(), "s.db")
	if _, err := Restore(t.Context(), to, keystest.StoreKey(), pair(copied, newest)); err != nil {
		t.Errorf("the copy with keys of the restored store: %v", err)
	}
	next, _ := backedUp(t, restored, "again.db")
	if _, err := Restore(t.Context(), filepath.Join(t.TempDir(), "s.db"), keystest.StoreKey(),
		pair(next, keysPath)); !errors.Is(err, store.ErrBackup) {
		t.Errorf("keys of before the restore: %v", err)
	}
}

// TestRefusedRestores: nothing is made of what does not belong together, and nothing is overwritten.
func TestRefusedRestores(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	person(t, s, "stays", "kept")
	older, olderKeys := backedUp(t, s, "older.db")
	person(t, s, "next")
	newer, newerKeys := backedUp(t, s, "newer.db")
	other := openNew(t)
	person(t, other, "stays", "kept")
	person(t, other, "next", "more", "and", "more-yet")
	_, otherKeys := backedUp(t, other, "other.db")

	changed := func(change func([]byte) []byte) string {
		text, err := os.ReadFile(newerKeys)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "changed")
		if err := os.WriteFile(path, change(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	half, err := os.ReadFile(newer)
	if err != nil {
		t.Fatal(err)
	}
	halfCopy := filepath.Join(t.TempDir(), "half.db")
	if err := os.WriteFile(halfCopy, half[:len(half)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	for name, of := range map[string]struct{ copied, keys, says string }{
		"keys older than the copy": {newer, olderKeys, "older than the copy"},
		"another store's keys":     {older, otherKeys, "another store's"},
		"keys cut off": {older, changed(func(text []byte) []byte {
			return text[:bytes.LastIndexByte(text[:len(text)-1], '\n')+1]
		}), "damaged"},
		"keys cut off within a line": {
			older, changed(func(text []byte) []byte { return text[:len(text)/2] }), "damaged",
		},
		"a line less": {older, changed(func(text []byte) []byte {
			lines := bytes.SplitAfter(text, []byte("\n"))
			return bytes.Join(slices.Delete(lines, 2, 3), nil)
		}), "damaged"},
		"more behind the end": {older, changed(func(text []byte) []byte { return append(text, '\n') }), "damaged"},
		"a byte of the keys changed": {older, changed(func(text []byte) []byte {
			return bytes.Replace(text, []byte(`"kept"`), []byte(`"kepT"`), 1)
		}), "damaged"},
		"no keys":            {older, changed(func([]byte) []byte { return nil }), "damaged"},
		"a copy as keys":     {older, older, "damaged"},
		"half a copy":        {halfCopy, newerKeys, ""},
		"no copy":            {older + "-none", newerKeys, ""},
		"keys as a copy":     {newerKeys, newerKeys, ""},
		"keys that are away": {older, newerKeys + "-none", ""},
	} {
		folder := t.TempDir()
		_, err := Restore(t.Context(), filepath.Join(folder, "s.db"), keystest.StoreKey(), pair(of.copied, of.keys))
		if err == nil || !strings.Contains(err.Error(), of.says) || of.says != "" && !errors.Is(err, store.ErrBackup) {
			t.Errorf("%s: %v", name, err)
		}
		if left := listed(t, folder); !slices.Equal(left, []string{"s.db.lock"}) {
			t.Errorf("%s: it left %v", name, left)
		}
	}
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		path := filepath.Join(t.TempDir(), "s.db")
		if err := os.WriteFile(path+suffix, []byte("another's"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Restore(t.Context(), path, keystest.StoreKey(), pair(newer, newerKeys))
		if !errors.Is(err, store.ErrBackup) {
			t.Errorf("over a file s.db%s: %v", suffix, err)
		}
		if text, err := os.ReadFile(path + suffix); string(text) != "another's" {
			t.Errorf("s.db%s has %q, %v", suffix, text, err)
		}
	}
	if _, err := Restore(t.Context(), s.files.path, keystest.StoreKey(), pair(newer, newerKeys)); err == nil {
		t.Error("a store in use was overwritten")
	}
	// As whole as can be, under the name that a killed backup leaves.
	partial := filepath.Join(filepath.Dir(newer), ".kontor-backup-1.partial")
	for _, of := range []struct{ whole, copied, keys string }{
		{newer, partial, newerKeys}, {newerKeys, newer, partial},
	} {
		if err := os.Rename(of.whole, partial); err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(t.TempDir(), "s.db")
		_, err := Restore(t.Context(), to, keystest.StoreKey(), pair(of.copied, of.keys))
		if !errors.Is(err, store.ErrBackup) || !strings.Contains(err.Error(), "killed") {
			t.Errorf("a file that a killed backup left: %v", err)
		}
		if err := os.Rename(partial, of.whole); err != nil {
			t.Fatal(err)
		}
	}
	locked := filepath.Join(t.TempDir(), "s.db")
	lock, err := lockFile(locked + ".lock")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if _, err := Restore(t.Context(), locked, keystest.StoreKey(), pair(newer, newerKeys)); !errors.Is(err, ErrLocked) {
		t.Errorf("while another process has it: %v", err)
	}
}

// TestKeysAreNotLost: a backup writes its keys over older ones of the same store alone.
func TestKeysAreNotLost(t *testing.T) {
	t.Parallel()
	s, other := openNew(t), openNew(t)
	person(t, s, "stays", "kept")
	person(t, other, "others")
	folder := t.TempDir()
	keysPath := filepath.Join(folder, "kontor.keys")
	backup := func(s *Store, name string) error {
		return openReadOnly(t, s.files.path).Backup(t.Context(), filepath.Join(folder, name), keysPath)
	}
	if err := errors.Join(backup(s, "1.db"), backup(s, "2.db")); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(keysPath)
	if err != nil {
		t.Fatal(err)
	}
	if err := backup(other, "3.db"); !errors.Is(err, store.ErrBackup) ||
		!strings.Contains(err.Error(), "another store's") {
		t.Errorf("over another store's keys: %v", err)
	}
	person(t, s, "next")
	if err := backup(s, "4.db"); err != nil {
		t.Fatal(err)
	}
	newest, err := os.ReadFile(keysPath)
	if err != nil || bytes.Equal(newest, before) {
		t.Errorf("the keys are those of before, %v", err)
	}
	behind, _ := restore(t, filepath.Join(folder, "1.db"), keysPath)
	// As when somebody puts an older file in the store's place.
	if _, err := raw(t, behind.files.path).Exec("UPDATE sqlite_sequence SET seq = 1"); err != nil {
		t.Fatal(err)
	}
	if err := backup(behind, "5.db"); !errors.Is(err, store.ErrBackup) {
		t.Errorf("over newer keys: %v", err)
	}
	if text, err := os.ReadFile(keysPath); !bytes.Equal(text, newest) {
		t.Errorf("the newest keys are gone, %v", err)
	}
	for _, name := range []string{"3.db", "5.db"} {
		if _, err := os.Lstat(filepath.Join(folder, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there: %v", name, err)
		}
	}
	if err := os.WriteFile(keysPath, []byte("a shopping list\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := backup(s, "6.db"); !errors.Is(err, store.ErrBackup) {
		t.Errorf("over something else: %v", err)
	}
	if err := openReadOnly(t, s.files.path).Backup(t.Context(), keysPath+"7", keysPath+"7"); err == nil {
		t.Error("copy and keys went into one file")
	}
	if _, err := os.Lstat(keysPath + "7"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of copy and keys in one file something is left: %v", err)
	}
}

// TestKilledRestore kills a restore when all of it is written and nothing of it is checked.
func TestKilledRestore(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kontor.db")
	from := openNew(t)
	person(t, from, "stays", "kept", "ended")
	if err := openReadOnly(t, from.files.path).Backup(t.Context(), path+".backup", path+".backup-keys"); err != nil {
		t.Fatal(err)
	}
	stand(t, from, "ended", consentv1.Consent_REVOKED, true, time.Now())
	_, newest := backedUp(t, from, "newest.db")
	if err := os.Rename(newest, path+".backup-keys"); err != nil {
		t.Fatal(err)
	}
	cmd, out := startChild(t, roleRestore, path)
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "copied\n" {
		t.Errorf("the restore said %q, %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // It was killed.
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the killed restore left a store: %v", err)
	}
	if _, err := Restore(t.Context(), path, keystest.StoreKey(), pair(path+".backup", path+".backup-keys")); err != nil {
		t.Fatal(err)
	}
	if left := listed(t, filepath.Dir(path)); !slices.Equal(left, []string{
		"kontor.db", "kontor.db.backup", "kontor.db.backup-keys", "kontor.db.lock",
	}) {
		t.Errorf("after the next one there is %v", left)
	}
	restored := openAt(t, path)
	if got := len(events(t, restored, "kept")); got != 1 {
		t.Errorf("the consent has %d events", got)
	}
	if got := len(events(t, restored, "ended")); got != 2 {
		t.Errorf("the consent that ended after the copy has %d events, want its end too", got)
	}
}

// TestRestoreAfterRotation: a copy of before needs no former store key when the keys were written after the rotation.
func TestRestoreAfterRotation(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kontor.db")
	first := storeKeyText(t)
	s, err := openWith(t, path, first)
	if err != nil {
		t.Fatal(err)
	}
	person(t, s, "stays", "kept")
	old, oldKeys := backedUp(t, s, "old.db")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	both, err := keys.Rotate(first)
	if err != nil {
		t.Fatal(err)
	}
	if s, err = openWith(t, path, both); err != nil {
		t.Fatal(err)
	}
	_, newKeys := backedUp(t, s, "new.db")
	text, err := keys.Newest(both)
	if err != nil {
		t.Fatal(err)
	}
	newest, err := keys.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "restored.db")
	if _, err := Restore(t.Context(), to, newest, pair(old, oldKeys)); !errors.Is(err, keys.ErrOtherStoreKey) {
		t.Errorf("keys of before with the new store key: %v, want %v", err, keys.ErrOtherStoreKey)
	}
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a store was made: %v", err)
	}
	if _, err := Restore(t.Context(), to, newest, pair(old, newKeys)); err != nil {
		t.Fatal(err)
	}
	restored, err := openWith(t, to, text)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(events(t, restored, "kept")); got != 1 {
		t.Errorf("the consent has %d events", got)
	}
}

// storeKeyText makes a store key.
func storeKeyText(t *testing.T) secret.String {
	t.Helper()
	text, err := keys.New()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestForgedKeys writes files of keys that are whole and do not fit: none is taken.
func TestForgedKeys(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	person(t, s, "one", "a")
	person(t, s, "two", "b")
	copied, keysPath := backedUp(t, s, "backup.db")
	forged := func(change func(*keysLine)) string {
		text, err := os.Open(keysPath)
		if err != nil {
			t.Fatal(err)
		}
		defer text.Close()
		r, err := newKeysReader(text)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		w := newKeysWriter(&out)
		err = errors.Join(w.write(r.head), r.each(func(line keysLine) error {
			change(&line)
			return w.write(line)
		}), w.end())
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "forged")
		if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, of := range map[string]struct {
		change func(*keysLine)
		taken  bool
	}{
		"as it was": {func(*keysLine) {}, true},
		"owners exchanged": {func(line *keysLine) {
			switch line.Owner {
			case "one":
				line.Owner = "two"
			case "two":
				line.Owner = "one"
			}
		}, false},
		"another tenant's":     {func(line *keysLine) { line.Tenant += "x" }, false},
		"a key of other bytes": {func(line *keysLine) { line.Key = bytes.Repeat([]byte("k"), len(line.Key)) }, false},
		"a purpose of its own": {func(line *keysLine) { line.Purpose += "x" }, false},
		"a list that is no list": {func(line *keysLine) {
			if line.Owner == "one" {
				line.Consents = []byte(`"a"`)
			}
		}, true}, // What is not listed is gone; who writes this could leave out the owner, too.
	} {
		to := filepath.Join(t.TempDir(), "s.db")
		_, err := Restore(t.Context(), to, keystest.StoreKey(), pair(copied, forged(of.change)))
		if (err == nil) != of.taken {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRestoreSaysSoInTheAudit: what was erased again is on record, behind what the copy has.
func TestRestoreSaysSoInTheAudit(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	person(t, s, "stays", "gone")
	person(t, s, "goner", "theirs")
	old, _ := backedUp(t, s, "old.db")
	before, err := s.System().AuditTrail(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	deleteCustomer(t, s, "goner", "theirs")
	inUpdate(t, s, func(tx store.Tx) error { return deleteConsent(tx, "gone") })
	_, newest := backedUp(t, s, "new.db")
	restored, _ := restore(t, old, newest)
	found, err := restored.System().AuditTrail(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, e := range found[len(before):] {
		if e.Tenant != tenant || e.Actor != "kontor" || e.Outcome != "OK" || time.Since(e.Time).Abs() > time.Minute ||
			e.Sequence != 0 {
			t.Errorf("an entry is %+v", e)
		}
		said = append(said, e.Method+" "+e.Resource)
	}
	want := []string{
		"DeleteCustomer customers/goner", "DeleteConsent consents/gone", "DeleteConsent consents/theirs",
		"DeleteShipment shipments/of-goner",
	}
	if !slices.Equal(said, want) {
		t.Errorf("the audit has %v, want %v", said, want)
	}
}

// TestRestoreForgetsAnswers: answers that are too old by the time of the keys are not in the file.
func TestRestoreForgetsAnswers(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	inUpdate(t, s, func(tx store.Tx) error {
		var errs []error
		for key, age := range map[string]time.Duration{"old": 49 * time.Hour, "young": 47 * time.Hour} {
			errs = append(errs, tx.InsertIdempotency(&store.Idempotency{
				Tenant: tenant, Method: "m", Key: key, Done: true, Response: []byte("answer"),
				CreateTime: time.Now().Add(-age),
			}))
		}
		return errors.Join(errs...)
	})
	copied, keysPath := backedUp(t, s, "backup.db")
	restored, _ := restore(t, copied, keysPath)
	if err := restored.View(t.Context(), tenant, func(r store.Reader) error {
		if _, err := r.Idempotency("m", "old"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the old answer: %v", err)
		}
		_, err := r.Idempotency("m", "young")
		return err
	}); err != nil {
		t.Error(err)
	}
}

// TestRestoreOfAWholeFile: a copy of the store's own file has the keys of its time; those of the file of keys count.
func TestRestoreOfAWholeFile(t *testing.T) {
	t.Parallel()
	path, whole := filepath.Join(t.TempDir(), "kontor.db"), filepath.Join(t.TempDir(), "whole.db")
	s := openAt(t, path)
	person(t, s, "stays", "kept")
	person(t, s, "goner", "theirs")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(whole, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path)
	deleteCustomer(t, s, "goner", "theirs")
	_, newest := backedUp(t, s, "new.db")
	restored, done := restore(t, whole, newest)
	if done.Customers != 1 || len(blobs(t, restored.files.path, "SELECT wrapped FROM data_keys")) != 1 {
		t.Errorf("it did %+v", done)
	}
}

// TestRestoreOfAnOlderVersion: the tables of a copy are brought up to date, and keys of the first form are taken.
func TestRestoreOfAnOlderVersion(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "old.db")
	copied, keysPath := filepath.Join(folder, "copy.db"), filepath.Join(folder, "keys")
	if err := migrateFile(t, path, firstSteps(t, 4)); err != nil {
		t.Fatal(err)
	}
	p, err := newPool(path, writerSettings)
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keystest.StoreKey().Unlock(t.Context(), ring{c}); err != nil {
		t.Fatal(err)
	}
	p.put(c)
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copied, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	to, err := os.Create(keysPath)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	withKeys := func(ctx context.Context, c *sql.Conn) error {
		w, head := newKeysWriter(to), keysHead{Format: firstKeysFormat, Time: time.Now()}
		if err := c.QueryRowContext(ctx, "SELECT value FROM source.epoch").Scan(&head.Store); err != nil {
			return err
		}
		return errors.Join(w.write(head), writeKeyRows(ctx, c, w,
			"SELECT '', '', NULL, NULL, NULL, NULL, purpose, wrapped FROM source.working_keys"), w.end())
	}
	if err := copyStore(t.Context(), path, "rw", copied, []string{"data_keys"}, withKeys); err != nil {
		t.Fatal(err)
	}
	restored, done := restore(t, copied, keysPath)
	if !done.EndsUnknown {
		t.Error("it does not say that the keys tell of no ends")
	}
	person(t, restored, "new", "newer")
}

// firstSteps are the files of the first migrations.
func firstSteps(t *testing.T, count int) fstest.MapFS {
	t.Helper()
	steps, err := migrations.Load(migrationFiles)
	if err != nil || len(steps) < count {
		t.Fatalf("there are %d steps, %v", len(steps), err)
	}
	files := fstest.MapFS{}
	for _, step := range steps[:count] {
		files["migrations/"+step.Name+".sql"] = &fstest.MapFile{Data: []byte(step.SQL)}
	}
	return files
}

// TestDamagedRestores damages what a restore wrote, and the copy.
func TestDamagedRestores(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	person(t, s, "stays", "kept")
	copied, keysPath := backedUp(t, s, "backup.db")
	folder := t.TempDir()
	to := filepath.Join(folder, "s.db")
	d := realDisk
	d.copied = func(path string) {
		write(t, path, func(file *os.File, size int64) error { return file.Truncate(size / 2) })
	}
	if _, err := d.restore(t.Context(), to, keystest.StoreKey(), pair(copied, keysPath)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a store that was cut off: %v", err)
	}
	broken := errors.New("the disk is broken")
	d = realDisk
	d.sync = func(*os.File) error { return broken }
	if _, err := d.restore(t.Context(), to, keystest.StoreKey(), pair(copied, keysPath)); !errors.Is(err, broken) {
		t.Errorf("a store that is not on the disk: %v", err)
	}
	db := raw(t, copied)
	const trigger = "CREATE TRIGGER planted AFTER DELETE ON data_keys BEGIN SELECT 1; END"
	if _, err := db.Exec(trigger); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), to, keystest.StoreKey(), pair(copied, keysPath)); !errors.Is(err, ErrSchema) {
		t.Errorf("a copy with a trigger: %v", err)
	}
	if _, err := db.Exec("DROP TRIGGER planted; DELETE FROM customers"); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), to, keystest.StoreKey(), pair(copied, keysPath)); !errors.Is(err,
		store.ErrBackup) {
		t.Errorf("a copy with rows of nobody: %v", err)
	}
	if left := listed(t, folder); !slices.Equal(left, []string{"s.db.lock"}) {
		t.Errorf("it left %v", left)
	}
}

// TestMigrate brings tables to the newest version, once.
func TestMigrate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kontor.db")
	if err := migrateFile(t, path, firstSteps(t, 3)); err != nil {
		t.Fatal(err)
	}
	steps, err := migrations.Load(migrationFiles)
	if err != nil {
		t.Fatal(err)
	}
	for _, before := range []int{3, len(steps)} {
		if from, to, err := Migrate(t.Context(), path); from != before || to != len(steps) || err != nil {
			t.Errorf("from %d to %d, %v; want from %d to %d", from, to, err, before, len(steps))
		}
	}
	s := openAt(t, path)
	person(t, s, "someone", "c")
	copied, _ := backedUp(t, s, "backup.db")
	if _, _, err := Migrate(t.Context(), copied); !errors.Is(err, store.ErrBackup) {
		t.Errorf("a backup's copy: %v", err)
	}
	if err := os.WriteFile(path+"-other", []byte(strings.Repeat("no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Migrate(t.Context(), path+"-other"); !errors.Is(err, ErrCorrupt) {
		t.Errorf("no database: %v", err)
	}
}
