package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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

// Backup writes the store as it stands at one moment into a new file at path, with mode 0600. The file is whole, was
// read as a whole, and is on the disk when Backup returns nil; otherwise there is none by that name. Deleted data is
// not in it. What a backup that was killed left in the folder is removed.
func (r *ReadOnly) Backup(ctx context.Context, path string) (err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("%s: %w", path, fs.ErrExist), err)
	}
	folder := filepath.Dir(path)
	lock, err := lockFile(filepath.Join(folder, backupLock))
	if err != nil {
		return fmt.Errorf("another backup is written to this folder, or it cannot be: %w", err)
	}
	defer lock.Close()
	if err := removePartials(folder); err != nil {
		return err
	}
	// SQLite writes into an empty file; made here, nobody else can read it.
	partial, err := os.CreateTemp(folder, partialPrefix+"*"+partialSuffix)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, partial.Close())
		if err != nil {
			_ = os.Remove(partial.Name()) // in vain once it has its name
		}
	}()
	if err := r.vacuumInto(ctx, partial.Name()); err != nil {
		return err
	}
	r.disk.copied(partial.Name())
	if err := checkBackup(ctx, partial.Name()); err != nil {
		return err
	}
	if err := r.name(partial, path); err != nil {
		return err
	}
	_ = markBackup(r.file) // The copy is whole, whether or not that is noted.
	return nil
}

// name makes a copy durable, and then gives it its name.
func (r *ReadOnly) name(partial *os.File, path string) error {
	if err := r.disk.sync(partial); err != nil {
		return err
	}
	// Not a rename, which would replace a file that appeared meanwhile.
	if err := os.Link(partial.Name(), path); err != nil {
		return err
	}
	if err := os.Remove(partial.Name()); err != nil {
		return err
	}
	if err := r.disk.syncFolder(filepath.Dir(path)); err != nil {
		return errors.Join(err, os.Remove(path)) // The name may be gone after a power cut.
	}
	return nil
}

// removePartials removes what killed backups left in a folder. Whoever has the folder's lock knows that they are gone.
func removePartials(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), partialPrefix) && strings.Contains(entry.Name(), partialSuffix) {
			if err := os.Remove(filepath.Join(folder, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *ReadOnly) vacuumInto(ctx context.Context, path string) error {
	c, err := r.readers.get(ctx)
	if err != nil {
		return err
	}
	defer r.readers.put(c)
	// query_only would keep VACUUM from writing its copy, too.
	c.broken = true
	if _, err := c.sql.ExecContext(ctx, "PRAGMA query_only = OFF"); err != nil {
		return err
	}
	_, err = c.sql.ExecContext(ctx, "VACUUM INTO ?", path)
	return err
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
