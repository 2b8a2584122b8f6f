package main

import (
	"context"
	"fmt"
	"io"
)

// runBackup copies the store into a new file, beside a gateway that runs or not.
func runBackup(ctx context.Context, args []string, out, errOut io.Writer) error {
	flags := newFlags("backup", "Copies the store into a new file, beside a gateway that runs or not.",
		"gateway backup --config kontor.yaml --to kontor-backup.db")
	path := flags.String("config", "kontor.yaml", "the configuration")
	to := flags.String("to", "", "the file to write; it must not exist")
	if err := flags.parse(args, out, errOut); err != nil {
		return err
	}
	if *to == "" {
		return flags.refuse("--to is missing", errOut)
	}
	_, s, err := openArchive(ctx, *path, "store")
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Backup(ctx, *to); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	fmt.Fprintf(out, "%s: written\n", *to)
	return nil
}
