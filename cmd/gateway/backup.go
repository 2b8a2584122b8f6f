package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/store"
)

// keysName is the file of keys beside copies, unless another one is named.
const keysName = "kontor.keys"

// runBackup copies the store into a new file, beside a gateway that runs or not.
func runBackup(ctx context.Context, args []string, out, errOut io.Writer) error {
	flags := newFlags("backup", "Copies the store into a new file, and customers' keys into another one, in place of "+
		"the keys of the backup before. Works beside a gateway that runs.",
		"gateway backup --config kontor.yaml --to /backup/kontor-20260131.db --keys /backup/kontor.keys")
	path := flags.String("config", "kontor.yaml", "the configuration")
	to := flags.String("to", "", "the file to write; it must not exist")
	keysTo := flags.String("keys", "", "the file for customers' keys, which is replaced; default: "+keysName+
		" in the folder of --to")
	if err := flags.parse(args, out, errOut); err != nil {
		return err
	}
	if *to == "" {
		return flags.refuse("--to is missing", errOut)
	}
	if *keysTo == "" {
		*keysTo = filepath.Join(filepath.Dir(*to), keysName)
	}
	_, s, err := openArchive(ctx, *path, "store")
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Backup(ctx, *to, *keysTo); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	fmt.Fprintf(out, "%s: written\n%s: written; keep the newest of these alone\n", *to, *keysTo)
	return nil
}

// runRestore makes a store of a backup.
func runRestore(ctx context.Context, args []string, out, errOut io.Writer) error {
	flags := newFlags("restore", "Makes a store of a backup's copy and the newest file of customers' keys, where "+
		"there is none. What was deleted before the keys were written is not in it, and what had ended by then has "+
		"ended, however old the copy is.",
		"gateway restore --config kontor.yaml --from /backup/kontor-20260131.db --keys /backup/kontor.keys")
	path := flags.String("config", "kontor.yaml", "the configuration, of which store and store_key are read")
	from := flags.String("from", "", "the copy that a backup wrote")
	keysFrom := flags.String("keys", "", "the newest file of keys that a backup wrote")
	to := flags.String("to", "", "where to make the store, such as sqlite:./trial.db; default: as configured")
	olderKeys := flags.Bool("older-keys", false, "take these keys although a backup wrote newer ones, which are lost: "+
		"what ended or was deleted in between comes back")
	if err := flags.parse(args, out, errOut); err != nil {
		return err
	}
	switch {
	case *from == "":
		return flags.refuse("--from is missing", errOut)
	case *keysFrom == "":
		return flags.refuse("--keys is missing", errOut)
	}
	options := known
	options.Reads, options.WarnExposed = []string{"store", "store_key"}, true
	cfg, err := config.Load(*path, options)
	if err != nil {
		return err
	}
	address := cfg.Store.Reveal()
	if *to != "" {
		address = *to
	}
	d, rest, err := driver(address)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	key, err := keys.Parse(cfg.StoreKey)
	if err != nil {
		return err
	}
	done, err := d.Restore(ctx, rest, key, store.Backup{
		Copy: *from, Keys: *keysFrom, OlderKeys: *olderKeys, End: assembly.EndAgain,
	})
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	told(out, done)
	return nil
}

// told says what a restore did, and what not.
func told(out io.Writer, done store.Restored) {
	written := done.KeysTime.Format(time.RFC3339)
	fmt.Fprintf(out, "restored with keys that were written at %s, %s ago: what was deleted before is not in it\n",
		written, time.Since(done.KeysTime).Round(time.Minute))
	for _, line := range []struct {
		count int
		what  string
	}{
		{done.Customers, "customers that were deleted after the copy are deleted again"},
		{done.Consents, "consents that were deleted after the copy are deleted again, with those of such customers"},
		{done.Shipments, "shipments that were deleted after the copy are deleted again, likewise"},
		{done.Ended, "consents that ended after the copy, were withdrawn or expired do not stand any more"},
		{done.Receipts, "receipts of deletions that were written after the copy are there again"},
		{done.Unknown, "customers, or shipments of nobody, came after the copy and are not known"},
	} {
		fmt.Fprintf(out, "%8d %s\n", line.count, line.what)
	}
	if done.EndsUnknown {
		fmt.Fprintln(out, "the keys are of an older version: they tell of no end of a consent and have no receipts; "+
			"consents that were revoked after the copy stand")
	}
	fmt.Fprintf(out, "consents that were revoked after %s stand: revoke them again\n", written)
}

// runMigrate brings the store's tables to the newest version, without serving.
func runMigrate(ctx context.Context, args []string, out, errOut io.Writer) error {
	flags := newFlags("migrate", "Brings the store's tables to this version's, without serving, and says from which "+
		"version to which; serve does the same when it starts. A SQLite file must be without a gateway, a PostgreSQL "+
		"database need not.",
		"gateway migrate --config kontor.yaml")
	path := flags.String("config", "kontor.yaml", "the configuration, of which store alone is read")
	if err := flags.parse(args, out, errOut); err != nil {
		return err
	}
	options := known
	options.Reads, options.WarnExposed = []string{"store"}, true
	cfg, err := config.Load(*path, options)
	if err != nil {
		return err
	}
	d, rest, err := driver(cfg.Store.Reveal())
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	from, to, err := d.Migrate(ctx, rest)
	switch {
	case err != nil:
		return fmt.Errorf("store: %w", err)
	case from == 0:
		_, err = fmt.Fprintf(out, "there was no store: one is made, with tables of version %d\n", to)
	case from == to:
		_, err = fmt.Fprintf(out, "the tables have version %d, which is the newest\n", to)
	default:
		_, err = fmt.Fprintf(out, "the tables are brought from version %d to %d\n", from, to)
	}
	return err
}
