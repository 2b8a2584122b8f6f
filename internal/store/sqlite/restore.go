package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

// restoreSettings are those of a connection that changes a file that nobody reads before it is whole. What is removed
// there is overwritten.
var restoreSettings = append([]pragma{{"foreign_keys", "OFF", "0"}}, copySettings...)

// positionsLost is how many positions a restored store leaves out in the logs and in the audit. The database that was
// lost gave positions that came after the copy, and none of them is given again: a stream or an export that goes on
// behind one would pass over what has come in its place.
const positionsLost = 1 << 32

// answersKept is how long answers are remembered at most. Older ones would be erased at the next start.
const answersKept = 48 * time.Hour

// Restore makes a store at path of a backup: see store.Driver. There must be nothing at path. All is written beside it,
// checked, and on the disk before it gets its name; when Restore fails, or is killed, there is nothing by that name.
//
// Positions go on far behind those of the copy, and whoever follows a log from before it is told to begin anew.
func Restore(
	ctx context.Context, path string, key *keys.StoreKey, backup store.Backup,
) (store.Restored, error) {
	return realDisk.restore(ctx, path, key, backup)
}

func (d disk) restore(
	ctx context.Context, path string, key *keys.StoreKey, backup store.Backup,
) (done store.Restored, err error) {
	copyPath, err := filepath.Abs(backup.Copy)
	if err != nil {
		return done, err
	}
	for _, name := range []string{backup.Copy, backup.Keys} {
		if isPartial(filepath.Base(name)) {
			return done, fmt.Errorf("%w: %s is what a killed backup left, and may not be whole", store.ErrBackup, name)
		}
	}
	path, lock, err := vacant(path)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	desk, err := d.draft(filepath.Dir(path))
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, desk.clear()) }()
	joined, err := desk.file(filepath.Dir(path))
	if err != nil {
		return done, err
	}
	whole, err := desk.file(filepath.Dir(path))
	if err != nil {
		return done, err
	}
	if err := copyStore(ctx, copyPath, "ro", joined.Name(), nil, nil); err != nil {
		return done, fmt.Errorf("%s: %w", copyPath, asCorrupt(err))
	}
	if done, err = rejoin(ctx, joined.Name(), path, key, backup); err != nil {
		return done, err
	}
	// Without a page of what was removed.
	if err := copyStore(ctx, joined.Name(), "ro", whole.Name(), nil, nil); err != nil {
		return done, err
	}
	d.copied(whole.Name())
	if err := checkBackup(ctx, whole.Name()); err != nil {
		return done, err
	}
	return done, d.name(whole, path)
}

// vacant takes the place for a store, and refuses one that is taken.
func vacant(path string) (string, io.Closer, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", nil, err
	}
	folder, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	path = filepath.Join(folder, filepath.Base(path))
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if _, err := os.Lstat(path + suffix); !errors.Is(err, fs.ErrNotExist) {
			return "", nil, errors.Join(fmt.Errorf("%w: %s is there already: move it away, with whatever belongs to it",
				store.ErrBackup, path+suffix), err, lock.Close())
		}
	}
	return path, lock, nil
}

// rejoin puts keys into a copy, and takes out of it what has none, or is not listed beside them.
// target is where the store will be.
func rejoin(
	ctx context.Context, path, target string, key *keys.StoreKey, backup store.Backup,
) (done store.Restored, err error) {
	text, err := os.Open(backup.Keys)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, text.Close()) }()
	from, err := newKeysReader(text)
	if err != nil {
		return done, err
	}
	p, err := newPool(path, restoreSettings)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	c, err := p.get(ctx)
	if err != nil {
		return done, err
	}
	defer p.put(c)
	c.broken = true // It is for this file alone.
	if err := migrate(ctx, c, migrationFiles); err != nil {
		return done, err
	}
	if err := onlyOurs(ctx, c); err != nil {
		return done, err // A trigger would take part in what follows.
	}
	if err := from.head.fits(ctx, c); err != nil {
		return done, err
	}
	if err := from.head.newest(target); err != nil && !backup.OlderKeys {
		return done, err
	}
	done.KeysTime, done.EndsUnknown = from.head.Time, from.head.Format == firstKeysFormat
	owners := []keysLine{}
	if err := loadKeys(ctx, c, from, &owners, &done); err != nil {
		return done, err
	}
	working, err := key.Unlock(ctx, ring{c})
	if err != nil {
		return done, err
	}
	for _, o := range owners {
		if _, err := working.Box(o.Tenant, o.Owner, o.Key); err != nil {
			return done, errKeysDamaged
		}
	}
	if err := eraseAgain(ctx, c, &done); err != nil {
		return done, err
	}
	if err := endAgain(ctx, c, working, backup.End, &done); err != nil {
		return done, err
	}
	return done, c.consistent(ctx)
}

// fits refuses keys of another store, and those that are older than the copy: what came between would pass for erased.
func (h keysHead) fits(ctx context.Context, c *conn) error {
	epoch, err := c.epoch(ctx)
	if err != nil {
		return err
	}
	var changes int64
	if err := c.sql.QueryRowContext(ctx, fmt.Sprintf(changesOf, "main")).Scan(&changes); err != nil {
		return err
	}
	switch {
	case h.Store != epoch:
		return fmt.Errorf("%w: the keys are another store's", store.ErrBackup)
	case h.Changes < changes:
		return fmt.Errorf("%w: the keys are older than the copy: what came between them would be lost; take newer "+
			"keys or an older copy", store.ErrBackup)
	}
	return nil
}

// newest refuses keys when it is noted at the store's place that newer ones were written: whatever ended or was erased
// after these would come back.
func (h keysHead) newest(target string) error {
	noted, newer, err := h.newerKeys(target)
	if newer {
		return fmt.Errorf("%w: these keys are of %s, and a backup wrote newer ones at %s: what ended or was deleted "+
			"in between would come back; give the newest, or say --older-keys where they are lost", store.ErrBackup,
			h.Time.Format(time.RFC3339), noted.Time.Format(time.RFC3339))
	}
	return err
}

// loadKeys reads the keys into the tables, in place of those that are there, the receipts likewise, and what there is
// of each owner into tables that go with the connection.
func loadKeys(ctx context.Context, c *conn, from *keysReader, owners *[]keysLine, done *store.Restored) error {
	for _, statement := range []string{
		"CREATE TEMP TABLE kept_consents (tenant TEXT, id TEXT, PRIMARY KEY (tenant, id)) WITHOUT ROWID",
		"CREATE TEMP TABLE kept_shipments (tenant TEXT, id TEXT, PRIMARY KEY (tenant, id)) WITHOUT ROWID",
		`CREATE TEMP TABLE kept_over (tenant TEXT, id TEXT, how TEXT, time INTEGER, PRIMARY KEY (tenant, id))
			WITHOUT ROWID`,
		"BEGIN IMMEDIATE", "DELETE FROM data_keys", "DELETE FROM working_keys",
	} {
		if _, err := c.sql.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	err := from.each(func(line keysLine) error {
		if line.Purpose != "" {
			_, err := c.exec(ctx, "INSERT INTO working_keys (purpose, wrapped) VALUES (?, ?)", line.Purpose, line.Key)
			return err
		}
		if line.Receipt != nil {
			return loadReceipt(ctx, c, line, done)
		}
		*owners = append(*owners, keysLine{Tenant: line.Tenant, Owner: line.Owner, Key: line.Key})
		const insert = "INSERT INTO data_keys (tenant, owner, wrapped) VALUES (?, ?, ?)"
		if _, err := c.exec(ctx, insert, line.Tenant, line.Owner, line.Key); err != nil {
			return err
		}
		const consents = "INSERT INTO kept_consents SELECT ?, value FROM json_each(?)"
		if _, err := c.exec(ctx, consents, line.Tenant, string(ids(line.Consents))); err != nil {
			return err
		}
		const shipments = "INSERT INTO kept_shipments SELECT ?, value FROM json_each(?)"
		if _, err := c.exec(ctx, shipments, line.Tenant, string(ids(line.Shipments))); err != nil {
			return err
		}
		const over = `INSERT INTO kept_over
			SELECT ?, value ->> 'id', value ->> 'how', value ->> 'time' FROM json_each(?)`
		_, err := c.exec(ctx, over, line.Tenant, string(ids(line.Over)))
		return err
	})
	if err != nil {
		return err
	}
	_, err = c.exec(ctx, "COMMIT")
	return err
}

// loadReceipt puts a receipt in the place of the one that the copy may have.
func loadReceipt(ctx context.Context, c *conn, line keysLine, done *store.Restored) error {
	if _, err := columns.Decode[customerv1.DeletionReceipt](line.Receipt); err != nil {
		return errKeysDamaged
	}
	result, err := c.exec(ctx, `
		INSERT INTO deletion_receipts (tenant, id, resource) VALUES (?, ?, ?)
		ON CONFLICT (tenant, id) DO UPDATE SET resource = excluded.resource WHERE resource <> excluded.resource`,
		line.Tenant, line.Owner, line.Receipt)
	if err != nil {
		return err
	}
	changed, err := result.RowsAffected()
	done.Receipts += int(changed)
	return err
}

// What was erased is found first.
var erased = []string{
	`CREATE TEMP TABLE gone_customers AS SELECT tenant, id FROM customers c WHERE NOT EXISTS (
		SELECT 1 FROM data_keys k WHERE k.tenant = c.tenant AND k.owner = c.id)`,
	`CREATE TEMP TABLE gone_consents AS SELECT tenant, id FROM consents c WHERE deleted <> 1 AND NOT EXISTS (
		SELECT 1 FROM kept_consents k WHERE k.tenant = c.tenant AND k.id = c.id)`,
	`CREATE TEMP TABLE gone_shipments AS SELECT tenant, id FROM shipments s WHERE CASE WHEN customer_id IS NULL
		THEN NOT EXISTS (SELECT 1 FROM data_keys k WHERE k.tenant = s.tenant AND k.owner = s.id)
		ELSE NOT EXISTS (SELECT 1 FROM kept_shipments k WHERE k.tenant = s.tenant AND k.id = s.id) END`,
}

// erasuresAgain do for all that was erased what DeleteConsent, DeleteShipment and DeleteCustomer do for one. Nobody
// follows the logs from before, so that there need be no entries that tell of it.
var erasuresAgain = []string{
	"DELETE FROM callbacks WHERE (tenant, resource) IN (SELECT tenant, id FROM gone_consents)",
	"DELETE FROM callbacks WHERE (tenant, resource) IN (SELECT tenant, id FROM gone_shipments)",
	"DELETE FROM consent_log WHERE (tenant, consent_id) IN (SELECT tenant, id FROM gone_consents)",
	"DELETE FROM shipment_log WHERE (tenant, shipment_id) IN (SELECT tenant, id FROM gone_shipments)",
	"DELETE FROM shipments WHERE (tenant, id) IN (SELECT tenant, id FROM gone_shipments)",
	"DELETE FROM idempotency WHERE (tenant, method, key) IN (SELECT tenant, idempotency_method, idempotency_key " +
		"FROM intents WHERE (tenant, customer_id) IN (SELECT tenant, id FROM gone_customers))",
	"DELETE FROM idempotency WHERE (tenant, customer_id) IN (SELECT tenant, id FROM gone_customers)",
	"DELETE FROM intents WHERE (tenant, customer_id) IN (SELECT tenant, id FROM gone_customers)",
	"UPDATE idempotency SET erased = 1, response = NULL, failure = NULL WHERE (tenant, consent_id) IN (SELECT " +
		"tenant, id FROM gone_consents)",
	"DELETE FROM flow_claims WHERE (tenant, consent_id) IN (SELECT tenant, id FROM gone_consents)",
	"UPDATE consents SET deleted = 1, " + erasedConsent + " WHERE (tenant, id) IN (SELECT tenant, id FROM " +
		"gone_consents)",
	"DELETE FROM consents WHERE (tenant, customer_id) IN (SELECT tenant, id FROM gone_customers)",
	"DELETE FROM customer_users WHERE (tenant, customer_id) IN (SELECT tenant, id FROM gone_customers)",
	"DELETE FROM user_claims WHERE (tenant, customer_id) IN (SELECT tenant, id FROM gone_customers)",
	"DELETE FROM customers WHERE (tenant, id) IN (SELECT tenant, id FROM gone_customers)",
}

// unowned finds keys of those who came after the copy.
const unowned = `DELETE FROM data_keys WHERE
	NOT EXISTS (SELECT 1 FROM customers c WHERE c.tenant = data_keys.tenant AND c.id = data_keys.owner) AND
	NOT EXISTS (SELECT 1 FROM shipments s WHERE s.tenant = data_keys.tenant AND s.id = data_keys.owner)`

// eraseAgain erases what has no key, or is not listed beside the keys, says so in the audit, and makes of the copy a
// store that may be used.
func eraseAgain(ctx context.Context, c *conn, done *store.Restored) error {
	if _, err := c.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	for i, count := range []*int{&done.Customers, &done.Consents, &done.Shipments} {
		if _, err := c.sql.ExecContext(ctx, erased[i]); err != nil {
			return err
		}
		table := []string{"gone_customers", "gone_consents", "gone_shipments"}[i]
		if err := c.sql.QueryRowContext(ctx, "SELECT count(*) FROM "+table).Scan(count); err != nil {
			return err
		}
	}
	for _, statement := range erasuresAgain {
		if _, err := c.sql.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	result, err := c.sql.ExecContext(ctx, unowned)
	if err != nil {
		return err
	}
	unknown, err := result.RowsAffected()
	if err != nil {
		return err
	}
	done.Unknown = int(unknown)
	now := time.Now()
	for _, s := range []struct {
		statement string
		args      []any
	}{
		{"DELETE FROM idempotency WHERE create_time < ?", []any{columns.Micros(done.KeysTime.Add(-answersKept))}},
		{"INSERT INTO sqlite_sequence (name, seq) SELECT name, 0 FROM sqlite_schema WHERE name IN ('consent_log', " +
			"'shipment_log', 'audit') AND name NOT IN (SELECT name FROM sqlite_sequence)", nil},
		{"UPDATE sqlite_sequence SET seq = seq + ?", []any{positionsLost}},
		{"UPDATE log_floors SET floor = (SELECT seq FROM sqlite_sequence WHERE name = CASE log WHEN ? THEN ? ELSE ? " +
			"END)",
			[]any{string(store.ConsentLog), logTables[store.ConsentLog], logTables[store.ShipmentLog]}},
		{auditAgain("DeleteCustomer", "customers", "gone_customers"), []any{columns.Micros(now)}},
		{auditAgain("DeleteConsent", "consents", "gone_consents"), []any{columns.Micros(now)}},
		{auditAgain("DeleteShipment", "shipments", "gone_shipments"), []any{columns.Micros(now)}},
		{"DROP TABLE IF EXISTS " + withoutKeys, nil},
		{"COMMIT", nil},
	} {
		if _, err := c.sql.ExecContext(ctx, s.statement, s.args...); err != nil {
			return err
		}
	}
	return nil
}

// endsAtOnce is how many consents one look finds that are to be ended.
const endsAtOnce = 500

// standing are the statuses of a consent under which data may be read.
var standing = fmt.Sprintf("%d, %d", consentv1.Consent_AUTHORIZED, consentv1.Consent_AWAITING_REAUTHORIZATION)

// overInCopy finds the consents of the copy that are over by the keys and not by the copy. Of those that ended not for
// good it finds what stands: whether any other may be approved is the provider's to tell.
var overInCopy = fmt.Sprintf(`
	SELECT o.tenant, o.id, o.how, o.time FROM kept_over o JOIN consents c ON c.tenant = o.tenant AND c.id = o.id
	WHERE c.deleted = 0 AND c.ended = 0 AND (o.how IN ('%s', '%s') OR c.status IN (%s)) AND (o.tenant, o.id) > (?, ?)
	ORDER BY o.tenant, o.id LIMIT ?`, store.EndRevoked, store.EndSuperseded, standing)

// lateEnd is a consent that stands in the copy and was over when the keys were written.
type lateEnd struct {
	tenant, id string
	store.End
}

func scanLateEnd(row columns.Row) (e lateEnd, err error) {
	var at int64
	err = row.Scan(&e.tenant, &e.id, &e.How, &at)
	e.Time = columns.Instant(at)
	return e, err
}

// endAgain has the consents end that were over when the keys were written, and says so in the audit.
func endAgain(
	ctx context.Context, c *conn, working *keys.Keys, end func(*keys.Keys, store.Tx, string, store.End) error,
	done *store.Restored,
) error {
	epoch, err := c.epoch(ctx)
	if err != nil {
		return err
	}
	for last := (lateEnd{}); ; {
		look := &reader{ctx: ctx, run: ctx, c: c}
		found, err := all(look, scanLateEnd, overInCopy, last.tenant, last.id, endsAtOnce)
		if err != nil || len(found) == 0 {
			return err
		}
		if _, err := c.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
			return err
		}
		for _, late := range found {
			if late.Time.IsZero() {
				late.Time = done.KeysTime
			}
			t := &tx{
				reader: reader{
					ctx: ctx, run: ctx, c: c, tenant: late.tenant,
					Opener: columns.Opener{Epoch: epoch, Keys: working},
				},
				touched: map[store.Log]store.Cursor{},
			}
			if err := end(working, t, late.id, late.End); err != nil {
				return err
			}
			if err := t.AppendAudit(&store.Audit{
				Time: time.Now(), Tenant: late.tenant, Actor: "kontor", Method: "EndConsent",
				Resource: "consents/" + late.id, Outcome: "OK",
			}); err != nil {
				return err
			}
			last = late
		}
		done.Ended += len(found)
		if _, err := c.exec(ctx, "COMMIT"); err != nil {
			return err
		}
	}
}

// auditAgain records what was erased again.
func auditAgain(method, collection, table string) string {
	return fmt.Sprintf("INSERT INTO audit (time, tenant, actor, method, resource, peer, request_id, outcome) SELECT "+
		"?, tenant, 'kontor', '%s', '%s/' || id, '', '', 'OK' FROM %s ORDER BY tenant, id", method, collection, table)
}

// consistent tells whether all rows refer to rows that exist.
func (c *conn) consistent(ctx context.Context) error {
	rows, err := c.sql.QueryContext(ctx, "PRAGMA foreign_key_check")
	if err != nil {
		return err
	}
	dangling := rows.Next()
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	if dangling {
		return fmt.Errorf("%w: the copy has rows that refer to none", store.ErrBackup)
	}
	return nil
}
