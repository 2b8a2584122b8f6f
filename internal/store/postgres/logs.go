package postgres

import (
	"encoding/hex"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

// The order of the logs is that of the numbers which the server gives transactions, not that of commits: a position is
// the number of the transaction, shifted, and a number within it.
//
//	transaction   7 ────append───────────────────────────COMMIT
//	              8        ──append──COMMIT
//	              9              ──append──────COMMIT
//	               ─────────────────────────────────────────────▶ time
//	a snapshot taken at              ▲ a           ▲ b      ▲ c
//	has as its xmin                    7             7        10
//	so the log ends before             7             7        10
//
// A snapshot's xmin is the lowest number of a transaction that is still under way: whatever has a lower one has ended,
// and is seen or undone for good. Readers stop before xmin. So at a and b nobody sees what 8 and 9 appended, although
// they are committed: 7 may append yet, and who had gone on behind 9 would miss it. At c all three are there, in the
// order 7, 8, 9, for every reader and for ever. Nobody waits for anybody to append, and there is no row that all write.
//
// Price: a transaction that dallies, in whatever database of the server, holds back what later ones appended. Ours end
// after idleLimit at the latest, and those that only read have no number.
//
// Within a consent the order must be that of sequences. A transaction whose number was given before it had to wait for
// the consent's row may come after one with a higher number: it runs again, with a number of its own time (errTurn).
// That is rare: a number is given with the first change or lock, and who has locked the consent first has it since
// then.

const (
	// turnBits is how many bits of a position number what a transaction gives.
	turnBits = 20
	turnMask = 1<<turnBits - 1
)

// positions are those that a transaction can give: from first to last.
type positions struct{ first, last int64 }

// none are the positions of a transaction that gave none.
var none = positions{0, -1}

// position gives the next position of this transaction.
func (t *tx) position() (int64, error) {
	if t.own == none {
		number, err := one(&t.reader, columns.Only[int64], "SELECT pg_current_xact_id()::text::bigint")
		if err != nil {
			return 0, err
		}
		first := (number + t.s.base) << turnBits
		t.own = positions{first, first | turnMask}
	}
	position := t.own.first + t.given
	if t.given++; position > t.own.last {
		return 0, t.fail(errTurn)
	}
	return position, nil
}

// settled is the condition that an entry can be seen: all before it that there will ever be are seen, or it is of the
// transaction itself. Its arguments are $1, the base, and $2 and $3, the transaction's own positions.
const (
	bound   = "((pg_snapshot_xmin(pg_current_snapshot())::text::bigint + $1) << 20)"
	settled = "(position < " + bound + " OR position BETWEEN $2 AND $3) "
)

// seen puts the arguments of settled before others.
func (r *reader) seen(args ...any) []any {
	return append([]any{r.s.base, r.own.first, r.own.last}, args...)
}

// Both logs are read by these columns.
const (
	selectConsentLog = `
		SELECT position, tenant, consent_id, sequence, owner, event, resource,
			(SELECT wrapped FROM data_keys k WHERE k.tenant = consent_log.tenant AND k.owner = consent_log.owner)
		FROM consent_log `
	selectShipmentLog = `
		SELECT position, tenant, shipment_id, owner, resource,
			(SELECT wrapped FROM data_keys k WHERE k.tenant = shipment_log.tenant AND k.owner = shipment_log.owner)
		FROM shipment_log `
)

// selectEvents reads the events of a consent that was not deleted.
const selectEvents = `
		SELECT sequence, owner, event,
			(SELECT wrapped FROM data_keys k WHERE k.tenant = consent_log.tenant AND k.owner = consent_log.owner)
		FROM consent_log
		WHERE tenant = $1 AND consent_id = $2
			AND EXISTS (SELECT 1 FROM consents WHERE tenant = $1 AND id = $2 AND deleted = 0) `

func (r *reader) Events(consentID string, after int64, limit int) ([]consent.Event, error) {
	return all(r, r.Event(r.tenant, consentID), selectEvents+"AND sequence > $3 ORDER BY sequence LIMIT $4",
		r.tenant, consentID, after, max(limit, 0))
}

func (r *reader) UnsettledEvents(consentID string) ([]consent.Event, error) {
	return all(r, r.Event(r.tenant, consentID), selectEvents+"AND NOT settled ORDER BY sequence", r.tenant, consentID)
}

func (r *reader) KnownEvents(consentID string, wanted []string) (map[string]bool, error) {
	asked, hashes := make(map[string]string, len(wanted)), make([][]byte, len(wanted))
	for i, key := range wanted {
		hashes[i] = r.EventKey(r.tenant, consentID, key)
		asked[hex.EncodeToString(hashes[i])] = key
	}
	found, err := all(r, columns.Only[[]byte], `
		SELECT key FROM consent_log WHERE tenant = $1 AND consent_id = $2 AND key IS NOT NULL AND key = ANY($3)
		AND EXISTS (SELECT 1 FROM consents WHERE tenant = $1 AND id = $2 AND deleted = 0)`,
		r.tenant, consentID, hashes)
	known := make(map[string]bool, len(found))
	for _, value := range found {
		known[asked[hex.EncodeToString(value)]] = true
	}
	return known, err
}

// SettleEvents leaves out entries without a key: nothing else would tell that the consent has such an event.
func (t *tx) SettleEvents(consentID string, sequences []int64) error {
	_, err := t.exec("UPDATE consent_log SET settled = true WHERE tenant = $1 AND consent_id = $2 AND key IS NOT NULL "+
		"AND sequence = ANY($3)", t.tenant, consentID, sequences)
	return err
}

func (r *reader) ConsentEntries(consentID string, after store.Cursor, limit int) ([]store.ConsentEntry, error) {
	position, err := r.place(store.ConsentLog, after)
	if err != nil {
		return nil, err
	}
	if consentID == "" {
		return all(r, r.ConsentEntry,
			selectConsentLog+"WHERE tenant = $4 AND position > $5 AND "+settled+"ORDER BY position LIMIT $6",
			r.seen(r.tenant, position, max(limit, 0))...)
	}
	// Within a consent the order of sequences is that of positions, and there is an index for it.
	return all(r, r.ConsentEntry, selectConsentLog+
		"WHERE tenant = $4 AND consent_id = $5 AND position > $6 AND "+settled+"ORDER BY sequence LIMIT $7",
		r.seen(r.tenant, consentID, position, max(limit, 0))...)
}

func (r *reader) ShipmentEntries(shipmentID string, after store.Cursor, limit int) ([]store.ShipmentEntry, error) {
	position, err := r.place(store.ShipmentLog, after)
	if err != nil {
		return nil, err
	}
	const query = selectShipmentLog + "WHERE tenant = $4 AND position > $5 AND " + settled
	if shipmentID == "" {
		return all(r, r.ShipmentEntry, query+"ORDER BY position LIMIT $6",
			r.seen(r.tenant, position, max(limit, 0))...)
	}
	return all(r, r.ShipmentEntry, query+"AND shipment_id = $6 ORDER BY position LIMIT $7",
		r.seen(r.tenant, position, shipmentID, max(limit, 0))...)
}

// tailConsents lists the entries of all tenants.
func (r *reader) tailConsents(after store.Cursor, limit int) ([]store.ConsentEntry, error) {
	position, err := r.place(store.ConsentLog, after)
	if err != nil {
		return nil, err
	}
	return all(r, r.ConsentEntry, selectConsentLog+"WHERE position > $4 AND "+settled+"ORDER BY position LIMIT $5",
		r.seen(position, max(limit, 0))...)
}

// tailShipments lists the entries of all tenants.
func (r *reader) tailShipments(after store.Cursor, limit int) ([]store.ShipmentEntry, error) {
	position, err := r.place(store.ShipmentLog, after)
	if err != nil {
		return nil, err
	}
	return all(r, r.ShipmentEntry, selectShipmentLog+"WHERE position > $4 AND "+settled+"ORDER BY position LIMIT $5",
		r.seen(position, max(limit, 0))...)
}

// ends are where a log begins and ends for those who follow it, and the highest position in it.
type ends struct{ head, floor, top int64 }

func scanEnds(row columns.Row) (e ends, err error) { return e, row.Scan(&e.head, &e.floor, &e.top) }

// ends reads them. The head never goes back, also when the newest entry was deleted with its customer.
func (r *reader) ends(log store.Log) (ends, error) {
	return one(r, scanEnds, "SELECT head, floor, top FROM log_ends($4, "+bound+", $2, $3)", r.seen(string(log))...)
}

// place gives the position that a cursor stands for. One behind all there is was made before the database was replaced
// by an older copy of it: its holder has seen entries that are no longer there, and others may have come in their
// places. The empty cursor stands for where the log begins by now.
func (r *reader) place(log store.Log, cursor store.Cursor) (int64, error) {
	position, err := cursor.Position(log, r.Epoch)
	if err != nil {
		return 0, err
	}
	ends, err := r.ends(log)
	switch {
	case err != nil:
		return 0, err
	case cursor == "":
		return ends.floor, nil
	case position > ends.top:
		return 0, store.ErrCursor
	case position < ends.floor:
		return 0, store.ErrCursorExpired
	}
	return position, nil
}

const (
	// headWait bounds how long Head waits for what is committed already to be settled, headEvery is between two looks.
	headWait, headEvery = time.Second, 2 * time.Millisecond
	// headShare is which part of the connections may wait so at a time. While somebody's transaction dallies, each
	// stream that begins would have one for as long as headWait, and all other calls would wait for those.
	headShare = 4
)

// Head is where a stream begins that sends the present state first: it has to pass over what it follows behind the head
// and finds in the state, too (see Newest), and who resumes it from there gets that once more. So a View that asks for
// the head before anything else waits a moment for what is committed to be settled, and has the state of that moment.
func (r *reader) Head(log store.Log) (store.Cursor, error) {
	first := !r.lock && r.asked == 0
	defer r.s.waitingHeads.Add(-1)
	if r.s.waitingHeads.Add(1) > max(1, r.s.connections/headShare) {
		first = false // as if it were asked later
	}
	ends, err := r.ends(log)
	for wanted, began := ends.top, time.Now(); first && err == nil && ends.head < wanted; ends, err = r.ends(log) {
		if time.Since(began) > r.s.headWait || !pause(r.ctx, int(headEvery/time.Millisecond)) {
			break
		}
		if err := r.c.anew(r.ctx, reads, r.tenant); err != nil {
			return "", r.broken(err)
		}
	}
	return store.NewCursor(log, r.Epoch, ends.head), err
}

// newestEntries find the newest entry of each of some resources, settled or not.
var newestEntries = map[store.Log]string{
	store.ConsentLog: `
		SELECT id, position FROM unnest($2::text[]) AS id CROSS JOIN LATERAL (
			SELECT position FROM consent_log WHERE tenant = $1 AND consent_id = id ORDER BY sequence DESC LIMIT 1
		) newest WHERE position > $3`,
	store.ShipmentLog: `
		SELECT id, position FROM unnest($2::text[]) AS id CROSS JOIN LATERAL (
			SELECT position FROM shipment_log WHERE tenant = $1 AND shipment_id = id ORDER BY position DESC LIMIT 1
		) newest WHERE position > $3`,
}

func (r *reader) Newest(log store.Log, ids []string, after store.Cursor) (map[string]store.Cursor, error) {
	position, err := after.Position(log, r.Epoch)
	if err != nil {
		return nil, err
	}
	found, err := all(r, columns.Placed, newestEntries[log], r.tenant, ids, position)
	return columns.Places(log, r.Epoch, found), err
}

// newest is the newest entry of a row.
type newest struct{ sequence, position int64 }

func scanNewest(row columns.Row) (n newest, err error) { return n, row.Scan(&n.sequence, &n.position) }

// AppendEvent locks the consent: so its events follow each other.
func (t *tx) AppendEvent(consentID string, event consent.Event, after *consentv1.Consent) error {
	owner, err := one(&t.reader, columns.ScanOwner, `
		SELECT customer_id, wrapped FROM consents c JOIN data_keys k ON k.tenant = c.tenant AND k.owner = c.customer_id
		WHERE c.tenant = $1 AND c.id = $2 AND c.deleted = 0 FOR NO KEY UPDATE OF c`, t.tenant, consentID)
	if err != nil {
		return err
	}
	box, err := t.opened(t.Box(t.tenant, owner.ID, owner.Wrapped))
	if err != nil {
		return err
	}
	sealed, resource, err := columns.SealEntry(box, consentID, event, after)
	if err != nil {
		return t.fail(err)
	}
	last, err := one(&t.reader, scanNewest, `
		SELECT coalesce(max(sequence), 0), coalesce(max(position), 0) FROM (
			SELECT sequence, position FROM consent_log WHERE tenant = $1 AND consent_id = $2
			ORDER BY sequence DESC LIMIT 1
		) newest`, t.tenant, consentID)
	if err != nil {
		return err
	}
	if event.Sequence != last.sequence+1 {
		return store.ErrConflict
	}
	position, err := t.position()
	if err != nil {
		return err
	}
	if position < last.position {
		return t.fail(errTurn)
	}
	if _, err := t.exec(`
		INSERT INTO consent_log (position, tenant, consent_id, sequence, type, owner, event, resource, key)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		position, t.tenant, consentID, event.Sequence, int32(event.Type), owner.ID, sealed, resource,
		t.EventKey(t.tenant, consentID, event.Key)); err != nil {
		return err
	}
	t.touched[store.ConsentLog] = store.NewCursor(store.ConsentLog, t.Epoch, position)
	return nil
}

// AppendShipment locks the shipment: so its entries follow each other.
func (t *tx) AppendShipment(shipmentID string, after *documentsv1.Shipment) error {
	owner, err := one(&t.reader, columns.ScanOwner, `
		SELECT k.owner, k.wrapped FROM shipments s
		JOIN data_keys k ON k.tenant = s.tenant AND
			k.owner = CASE WHEN s.customer_id IS NULL THEN s.id ELSE s.customer_id END
		WHERE s.tenant = $1 AND s.id = $2 FOR NO KEY UPDATE OF s`, t.tenant, shipmentID)
	if err != nil {
		return err
	}
	box, err := t.opened(t.Box(t.tenant, owner.ID, owner.Wrapped))
	if err != nil {
		return err
	}
	resource, err := columns.SealShipmentEntry(box, shipmentID, after)
	if err != nil {
		return t.fail(err)
	}
	last, err := one(&t.reader, columns.Only[int64], "SELECT coalesce(max(position), 0) FROM shipment_log WHERE "+
		"tenant = $1 AND shipment_id = $2", t.tenant, shipmentID)
	if err != nil {
		return err
	}
	position, err := t.position()
	if err != nil {
		return err
	}
	if position < last {
		return t.fail(errTurn)
	}
	if _, err := t.exec("INSERT INTO shipment_log (position, tenant, shipment_id, owner, resource) VALUES "+
		"($1, $2, $3, $4, $5)", position, t.tenant, shipmentID, owner.ID, resource); err != nil {
		return err
	}
	t.touched[store.ShipmentLog] = store.NewCursor(store.ShipmentLog, t.Epoch, position)
	return nil
}
