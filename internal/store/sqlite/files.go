package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	sqlite3 "modernc.org/sqlite/lib"

	"kontor.dev/kontor/internal/store"
)

// SQLite keeps its files open, and writes on when somebody removes, replaces or cuts them off: what it acknowledges
// then is found by nobody who opens the path later. So around each commit the names are looked at: they must still lead
// to the files that were opened, and those must not have become shorter. It costs a few microseconds, where the commit
// itself waits for the disk.
//
// What is written over in the middle of the file, or cut off at the very moment in which SQLite moves the log there and
// makes it long again, shows only when SQLite reads those pages. From then on nothing is written any more.

var (
	errGone      = store.NewFault(store.FaultGone, "the file is no longer at its path")
	errReplaced  = store.NewFault(store.FaultReplaced, "another file is at the path")
	errTruncated = store.NewFault(store.FaultTruncated, "the file was cut off")
)

// files are the database and its write-ahead log as they were when the store was opened.
type files struct {
	path string

	mu sync.Mutex
	// database and log are nil until they are known. SQLite makes a new log only when no connection is open, and the
	// store always has one.
	database, log os.FileInfo
	// size is the least that the database has, while it is not being made smaller; page is the size of its pages.
	size, page int64
	// shrinking is how small the database may become when SQLite next moves the log there, 0 for no smaller.
	shrinking int64
}

// check tells whether the names still lead to the files.
func (f *files) check() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	size, err := same(f.path, &f.database)
	if err != nil {
		return err
	}
	if size < f.size && (f.shrinking == 0 || size < f.shrinking) {
		return errTruncated
	}
	f.size = size
	if f.log != nil {
		_, err = same(f.path+"-wal", &f.log)
	}
	return err
}

// adopt takes the log for the one that belongs to the store.
func (f *files) adopt() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := same(f.path+"-wal", &f.log)
	return err
}

// shrink lets the database become as small as some pages, once what was written of that is moved there.
func (f *files) shrink(pages int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if size := pages * f.page; f.shrinking == 0 || size < f.shrinking {
		f.shrinking = size
	}
}

// settle takes the database for as large as it is, and lets it become no smaller. It is for who has the writer and has
// emptied the log: all is in the database.
func (f *files) settle() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.shrinking == 0 {
		return
	}
	if size, err := same(f.path, &f.database); err == nil {
		f.size, f.shrinking = size, 0
	}
}

// same compares the file that has a name with the one that had it, which it notes when none did.
func same(name string, known *os.FileInfo) (size int64, err error) {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, errGone
	case err != nil:
		return 0, fmt.Errorf("sqlite: %w", err)
	case *known == nil:
		*known = info
	case !os.SameFile(info, *known):
		return 0, errReplaced
	}
	return info.Size(), nil
}

// Sizes in a write-ahead log, in bytes.
const logHeader, frameHeader = 32, 24

// logIsWhole tells whether the write-ahead log has all that SQLite believes to be in it.
func (f *files) logIsWhole(frames int64) error {
	info, err := os.Stat(f.path + "-wal")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errGone
	case err != nil:
		return fmt.Errorf("sqlite: %w", err)
	case frames > 0 && info.Size() < logHeader+frames*(frameHeader+f.page):
		return errTruncated
	}
	return nil
}

// faultOf gives what an error says about the files, nil for nothing.
func faultOf(err error) *store.FaultError {
	if err == nil {
		return nil
	}
	if fault, ok := errors.AsType[*store.FaultError](err); ok {
		return fault
	}
	var kind store.FaultKind
	switch code(err) & 0xff {
	case sqlite3.SQLITE_FULL:
		kind = store.FaultFull
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		kind = store.FaultReadOnly
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		kind = store.FaultCorrupt
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL:
		kind = store.FaultFailing
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		kind = store.FaultBusy
	default:
		return nil
	}
	return &store.FaultError{Kind: kind, Err: err}
}

// away has an error say so that comes from a file which another process has: what was waited for may come yet. Whatever
// else is wrong with a file is seldom over within seconds.
func away(err error) error {
	if fault := faultOf(err); fault == nil || fault.Kind != store.FaultBusy || errors.Is(err, errDoubtful) {
		return err
	}
	return fmt.Errorf("%w: %w", store.ErrAway, err)
}
