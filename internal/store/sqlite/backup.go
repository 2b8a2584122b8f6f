package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kontor.dev/kontor/internal/store"
)

// A copy that is not finished has a name that begins and ends so, and is hidden: nobody takes it for a backup. SQLite
// may put more behind its name.
const (
	partialPrefix, partialSuffix = ".kontor-backup-", ".partial"
	// backupLock is held in a folder while a backup is written there.
	backupLock = ".kontor-backup.lock"
)

// disk is what makes files durable; tests have their own.
type disk struct {
	// copied is called when a copy is written, before it is checked.
	copied func(path string)
	// sync puts a file on the disk, syncFolder the names in a folder.
	sync       func(*os.File) error
	syncFolder func(path string) error
}

var realDisk = disk{copied: func(string) {}, sync: (*os.File).Sync, syncFolder: syncFolder}

// withoutKeys is a table that a copy without data keys has, and a store in use has not.
const withoutKeys = "backup_without_keys"

// Backup implements store.Archive. The copy is a file of mode 0600, and so are the keys; both are whole, were read as a
// whole, and are on the disk when Backup returns nil. Otherwise there is no copy, and the keys are those of before or
// the new ones. What was deleted is in neither. What a backup that was killed left in the folders is removed.
//
// The keys come first: with newer keys each copy can be restored, with older ones none.
func (r *ReadOnly) Backup(ctx context.Context, copyPath, keysPath string) (err error) {
	for _, path := range []*string{&copyPath, &keysPath} {
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	if _, err := os.Lstat(copyPath); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("%s: %w", copyPath, fs.ErrExist), err)
	}
	if copyPath == keysPath {
		return fmt.Errorf("%w: the copy and its keys must be two files", store.ErrBackup)
	}
	desk, err := r.disk.draft(filepath.Dir(copyPath), filepath.Dir(keysPath))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, desk.clear()) }()
	copied, err := desk.file(filepath.Dir(copyPath))
	if err != nil {
		return err
	}
	keys, err := desk.file(filepath.Dir(keysPath))
	if err != nil {
		return err
	}
	if err := r.hasKeys(ctx); err != nil {
		return err
	}
	var head keysHead
	if err := copyStore(ctx, r.file, "rw", copied.Name(), []string{"data_keys"},
		func(ctx context.Context, c *sql.Conn) error {
			if head, err = writeKeys(ctx, c, keys); err != nil {
				return err
			}
			_, err = c.ExecContext(ctx, "CREATE TABLE main."+withoutKeys+" (time INTEGER NOT NULL) STRICT")
			return err
		}); err != nil {
		return err
	}
	r.disk.copied(copied.Name())
	if err := checkBackup(ctx, copied.Name()); err != nil {
		return err
	}
	if err := checkKeys(keys.Name(), head); err != nil {
		return err
	}
	if err := head.replaceable(keysPath); err != nil {
		return err
	}
	if err := r.disk.replace(keys, keysPath); err != nil {
		return err
	}
	if err := r.disk.name(copied, copyPath); err != nil {
		return err
	}
	_ = markBackup(r.file, head) // The copy is whole, whether or not that is noted.
	return nil
}

// hasKeys refuses to copy a copy.
func (r *ReadOnly) hasKeys(ctx context.Context) error {
	c, err := r.readers.get(ctx)
	if err != nil {
		return err
	}
	defer r.readers.put(c)
	return c.hasKeys(ctx)
}

// hasKeys refuses a backup's copy, which has no data keys: it is no store before they are put together.
func (c *conn) hasKeys(ctx context.Context) error {
	var without bool
	const query = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '" + withoutKeys + "')"
	if err := c.sql.QueryRowContext(ctx, query).Scan(&without); err != nil {
		return asCorrupt(err)
	}
	if without {
		return fmt.Errorf("%w: this is a backup, without customers' keys: `gateway restore` makes a store of it",
			store.ErrBackup)
	}
	return nil
}

// draft is where files are written that have no name yet.
type draft struct {
	locks []io.Closer
	files []*os.File
}

// draft begins to write into folders, which nobody else writes drafts into meanwhile.
func (d disk) draft(folders ...string) (*draft, error) {
	desk := &draft{}
	slices.Sort(folders)
	for _, folder := range slices.Compact(folders) {
		lock, err := lockFile(filepath.Join(folder, backupLock))
		if err != nil {
			return nil, errors.Join(fmt.Errorf(
				"another backup is written to this folder, or it cannot be: %w", err), desk.clear())
		}
		desk.locks = append(desk.locks, lock)
		if err := removePartials(folder); err != nil {
			return nil, errors.Join(err, desk.clear())
		}
	}
	return desk, nil
}

// file makes a file without a name. SQLite writes into an empty one; made here, nobody else can read it.
func (d *draft) file(folder string) (*os.File, error) {
	file, err := os.CreateTemp(folder, partialPrefix+"*"+partialSuffix)
	if err == nil {
		d.files = append(d.files, file)
	}
	return file, err
}

// clear removes the files that got no name, and lets others write.
func (d *draft) clear() error {
	var errs []error
	for _, file := range d.files {
		errs = append(errs, file.Close())
		_ = os.Remove(file.Name()) // in vain once it has its name
	}
	for _, lock := range d.locks {
		errs = append(errs, lock.Close())
	}
	return errors.Join(errs...)
}

// name makes a file durable, and then gives it its name, which must not be taken.
func (d disk) name(partial *os.File, path string) error {
	if err := d.sync(partial); err != nil {
		return err
	}
	// Not a rename, which would replace a file that appeared meanwhile.
	if err := os.Link(partial.Name(), path); err != nil {
		return err
	}
	if err := os.Remove(partial.Name()); err != nil {
		return err
	}
	if err := d.syncFolder(filepath.Dir(path)); err != nil {
		return errors.Join(err, os.Remove(path)) // The name may be gone after a power cut.
	}
	return nil
}

// replace makes a file durable, and then gives it a name that may be another one's.
func (d disk) replace(partial *os.File, path string) error {
	if err := d.sync(partial); err != nil {
		return err
	}
	if err := os.Rename(partial.Name(), path); err != nil {
		return err
	}
	return d.syncFolder(filepath.Dir(path))
}

// removePartials removes what killed backups left in a folder. Whoever has the folder's lock knows that they are gone.
func removePartials(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if isPartial(entry.Name()) {
			if err := os.Remove(filepath.Join(folder, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// isPartial tells whether a file's name is one that a backup writes to before it is whole.
func isPartial(name string) bool {
	return strings.HasPrefix(name, partialPrefix) && strings.Contains(name, partialSuffix)
}

// checkBackup reads a copy as a whole, its indexes included, and opens it as a restored one would be. It has none of
// the settings of a store in use, which would be written into it.
func checkBackup(ctx context.Context, path string) (err error) {
	p, err := newPool(path, nil)
	if err != nil {
		return err
	}
	copied := &ReadOnly{readers: p}
	defer func() { err = errors.Join(err, copied.Close()) }()
	c, err := p.get(ctx)
	if err != nil {
		return asCorrupt(err)
	}
	err = c.checkAs(ctx, "integrity_check")
	p.put(c)
	if err != nil {
		return asCorrupt(err)
	}
	return copied.sameSchema(ctx)
}
