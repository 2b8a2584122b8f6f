package sqlite

import (
	"context"
	"fmt"

	"kontor.dev/kontor/internal/store/columns"
)

// What is deleted leaves pages in the file that hold nothing: SQLite fills them again, and writes zeros over them until
// then (secure_delete). When there are more than will soon be filled, they are cut off the end of the file, after what
// stood there was moved to the front, some at a time. That shows in the file when SQLite moves its log there.
const (
	// spareLeast, in pages, and one in spareShare of all pages are kept for what comes.
	spareLeast = 1024
	spareShare = 8
)

// incremental is how auto_vacuum reads in a file that can be made smaller.
const incremental = "2"

// canShrink makes a file such that it can be made smaller, once: it has to be written anew for it, which is nothing
// while it is empty.
func (c *conn) canShrink(ctx context.Context) error {
	var mode string
	if err := c.sql.QueryRowContext(ctx, "PRAGMA auto_vacuum").Scan(&mode); err != nil || mode == incremental {
		return err
	}
	// A copy of the whole file passes through a folder for such files, and not through memory.
	for _, statement := range []string{
		"PRAGMA temp_store = FILE", "PRAGMA auto_vacuum = INCREMENTAL", "VACUUM", "PRAGMA temp_store = MEMORY",
	} {
		if err := whileBusy(ctx, func() error {
			_, err := c.sql.ExecContext(ctx, statement)
			return err
		}); err != nil {
			return err
		}
	}
	if err := c.sql.QueryRowContext(ctx, "PRAGMA auto_vacuum").Scan(&mode); err != nil || mode == incremental {
		return err
	}
	return fmt.Errorf("%w: auto_vacuum is %q", ErrSchema, mode)
}

// spare tells how many pages hold nothing and need not be kept.
func (r *reader) spare() (int64, error) {
	pages, err := one(r, columns.Only[int64], "PRAGMA page_count")
	if err != nil {
		return 0, err
	}
	free, err := one(r, columns.Only[int64], "PRAGMA freelist_count")
	return free - spareLeast - pages/spareShare, err
}

// GiveRoomBack implements store.Sweeps. Other processes would take a file that becomes shorter for one that was cut
// off, so only who is alone does it. It leaves what is less than the limit.
func (y system) GiveRoomBack(ctx context.Context, limit int) (given int, err error) {
	if !y.s.alone || limit <= 0 {
		return 0, nil
	}
	spare, err := readAll(ctx, y.s, (*reader).spare)
	if err != nil || spare < int64(limit) {
		return 0, err
	}
	err = y.s.write(ctx, "", func(t *tx) error {
		given = 0
		spare, err := t.spare()
		if err != nil || spare < int64(limit) {
			return err
		}
		if _, err := t.exec(fmt.Sprintf("PRAGMA incremental_vacuum(%d)", limit)); err != nil {
			return err
		}
		pages, err := one(&t.reader, columns.Only[int64], "PRAGMA page_count")
		if err != nil {
			return err
		}
		y.s.files.shrink(pages)
		given = limit
		t.purge = spare < 2*int64(limit) // It was the last step: the file may become smaller now.
		return nil
	})
	return given, err
}
