package sqlite

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/store"
)

// A backup keeps the data keys, wrapped as they are, in a file of their own: JSON, a line for each owner, that also
// says which consents and shipments of the owner there are. What the newest such file does not have was erased, however
// old the copy of the database is that it comes together with.
//
// It also says which consents are over, since when and by what, so that none of them stands again, and has the receipts
// of deletions, a line for each. Neither is sealed: ids, statuses and times can be read in the copy, too, and receipts
// hold nothing personal.
//
// The first line is the head, the last one has the hash of all before it.

// keysFormat is the form of these files. In those of the first one stand no ends of consents and no receipts.
const (
	keysFormat      = 2
	firstKeysFormat = 1
)

// keysHead says of which store and state the keys are.
type keysHead struct {
	Format int `json:"kontorKeys"`
	// Store is the epoch of the database, which all its copies have.
	Store string `json:"store"`
	// Changes grow with each entry of a log or the audit, in copies that were restored, too: of two files of a store,
	// that with more is newer.
	Changes int64     `json:"changes"`
	Time    time.Time `json:"time"`
}

// keysLine is one line behind the head: an owner's data key, a working key, a receipt or the end.
type keysLine struct {
	Tenant string `json:"tenant,omitempty"`
	Owner  string `json:"owner,omitempty"`
	// Consents and Shipments are the ids of those of the owner that there are.
	Consents  json.RawMessage `json:"consents,omitempty"`
	Shipments json.RawMessage `json:"shipments,omitempty"`
	// Over are those of the consents that are over, as a list of {id, how, time}: how one is over, as in
	// store.EndKind, and when the last news of it came, in microseconds since 1970, 0 where that is not known.
	Over json.RawMessage `json:"over,omitempty"`

	// Receipt is what was deleted with the customer of the id Owner, who has no line of their own any more once all of
	// it is.
	Receipt []byte `json:"receipt,omitempty"`

	Purpose string `json:"purpose,omitempty"`

	// Key is a data key, wrapped by the working key for them, or a working key, wrapped by the store key.
	Key []byte `json:"key,omitempty"`

	End *keysEnd `json:"end,omitempty"`
}

// keysEnd tells whether a file is whole.
type keysEnd struct {
	SHA256 string `json:"sha256"`
}

// keysWriter writes such a file.
type keysWriter struct {
	to  *bufio.Writer
	sum hash.Hash
}

func newKeysWriter(to io.Writer) *keysWriter {
	return &keysWriter{to: bufio.NewWriter(to), sum: sha256.New()}
}

func (w *keysWriter) write(line any) error {
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	text = append(text, '\n')
	w.sum.Write(text)
	_, err = w.to.Write(text)
	return err
}

func (w *keysWriter) end() error {
	end := &keysEnd{SHA256: hex.EncodeToString(w.sum.Sum(nil))}
	return errors.Join(w.write(keysLine{End: end}), w.to.Flush())
}

// changesOf is what keysHead has as Changes. The name of the schema comes before it.
const changesOf = "SELECT coalesce(sum(seq), 0) FROM %s.sqlite_sequence"

// writeKeys writes the keys of source.
func writeKeys(ctx context.Context, c *sql.Conn, to io.Writer) (head keysHead, err error) {
	head = keysHead{Format: keysFormat, Time: time.Now().UTC()}
	if err := c.QueryRowContext(ctx, "SELECT value FROM source.epoch").Scan(&head.Store); err != nil {
		return head, err
	}
	if err := c.QueryRowContext(ctx, fmt.Sprintf(changesOf, "source")).Scan(&head.Changes); err != nil {
		return head, err
	}
	w := newKeysWriter(to)
	if err := w.write(head); err != nil {
		return head, err
	}
	for _, query := range []string{
		"SELECT '', '', NULL, NULL, NULL, NULL, purpose, wrapped FROM source.working_keys", //nolint:dupword // columns
		`SELECT tenant, owner,
			(SELECT json_group_array(id) FROM source.consents c WHERE c.tenant = k.tenant AND
				c.customer_id = k.owner AND c.deleted = 0),
			(SELECT json_group_array(id) FROM source.shipments s WHERE s.tenant = k.tenant AND s.customer_id = k.owner),
			` + overOf + `,
			NULL, '', wrapped FROM source.data_keys k`,
		"SELECT tenant, id, NULL, NULL, NULL, resource, '', NULL FROM source.deletion_receipts", //nolint:dupword // columns
	} {
		if err := writeKeyRows(ctx, c, w, query); err != nil {
			return head, err
		}
	}
	return head, w.end()
}

// overOf lists the consents of an owner k that are over, and NULL for none. A link that ran out looks like a permission
// that did: what was never approved does not stand in a copy, and so it does no harm.
var overOf = fmt.Sprintf(`
	(SELECT nullif(json_group_array(json_object('id', id, 'how', CASE
			WHEN ended = 1 AND status = %[1]d THEN '%[3]s' WHEN ended = 1 THEN '%[4]s'
			WHEN status = %[1]d THEN '%[5]s' ELSE '%[6]s' END, 'time', update_time)), '[]')
		FROM source.consents c WHERE c.tenant = k.tenant AND c.customer_id = k.owner AND c.deleted = 0 AND
			(ended = 1 OR status IN (%[1]d, %[2]d)))`,
	consentv1.Consent_EXPIRED, consentv1.Consent_REVOKED, store.EndSuperseded, store.EndRevoked, store.EndExpired,
	store.EndWithdrawn)

func writeKeyRows(ctx context.Context, c *sql.Conn, w *keysWriter, query string) (err error) {
	rows, err := c.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var line keysLine
		var consents, shipments, over sql.NullString
		if err := rows.Scan(&line.Tenant, &line.Owner, &consents, &shipments, &over, &line.Receipt, &line.Purpose,
			&line.Key); err != nil {
			return err
		}
		if consents.Valid {
			line.Consents, line.Shipments = json.RawMessage(consents.String), json.RawMessage(shipments.String)
		}
		if over.Valid {
			line.Over = json.RawMessage(over.String)
		}
		if err := w.write(line); err != nil {
			return err
		}
	}
	return rows.Err()
}

// errKeysDamaged says that a file is not as a backup wrote it.
var errKeysDamaged = fmt.Errorf("%w: it is no file of keys that a backup wrote, or it is damaged", store.ErrBackup)

// keysReader reads such a file.
type keysReader struct {
	from *bufio.Reader
	sum  hash.Hash
	head keysHead
}

// newKeysReader reads the head.
func newKeysReader(from io.Reader) (*keysReader, error) {
	r := &keysReader{from: bufio.NewReader(from), sum: sha256.New()}
	text, err := r.from.ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err != nil || json.Unmarshal(text, &r.head) != nil || r.head.Format == 0 || r.head.Store == "" {
		return nil, errKeysDamaged
	}
	if r.head.Format < firstKeysFormat || r.head.Format > keysFormat {
		return nil, fmt.Errorf("%w: the file of keys was written by a newer Kontor", store.ErrBackup)
	}
	r.sum.Write(text)
	return r, nil
}

// each calls do with every line. Only once it returns nil is it clear that the file is whole.
func (r *keysReader) each(do func(keysLine) error) error {
	for {
		text, err := r.from.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return errKeysDamaged
		}
		if err != nil {
			return err
		}
		var line keysLine
		if json.Unmarshal(text, &line) != nil {
			return errKeysDamaged
		}
		if line.End != nil {
			if _, err := r.from.ReadByte(); !errors.Is(err, io.EOF) ||
				line.End.SHA256 != hex.EncodeToString(r.sum.Sum(nil)) {
				return errKeysDamaged
			}
			return nil
		}
		r.sum.Write(text)
		if err := do(line); err != nil {
			return err
		}
	}
}

// checkKeys reads a file of keys as a whole and compares its head.
func checkKeys(path string, want keysHead) (err error) {
	text, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, text.Close()) }()
	r, err := newKeysReader(text)
	if err != nil {
		return err
	}
	if r.head != want {
		return errKeysDamaged
	}
	return r.each(func(keysLine) error { return nil })
}

// replaceable refuses to write keys over those of another store, or over newer ones: they may be all that there is.
func (h keysHead) replaceable(path string) (err error) {
	text, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, text.Close()) }()
	there, err := newKeysReader(text)
	switch {
	case err != nil:
		return fmt.Errorf("%s is not overwritten: %w", path, err)
	case there.head.Store != h.Store:
		return fmt.Errorf("%w: %s has another store's keys, and is not overwritten", store.ErrBackup, path)
	case there.head.Changes > h.Changes:
		return fmt.Errorf("%w: %s has the keys of a later state of this store, and is not overwritten: move it away "+
			"if what came later is lost", store.ErrBackup, path)
	}
	return nil
}

// ids gives the ids of a line's list, none where there is no list.
func ids(list json.RawMessage) []byte {
	if len(bytes.TrimSpace(list)) == 0 {
		return []byte("[]")
	}
	return list
}
