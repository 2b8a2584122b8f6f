package main

import (
	"context"
	"flag"
	"fmt"
	"io"
)

// runBackup copies the store into a new file, beside a gateway that runs or not.
func runBackup(ctx context.Context, args []string, out, errOut io.Writer) error {
	flags := flag.NewFlagSet("backup", flag.ContinueOnError)
	flags.SetOutput(errOut)
	path := flags.String("config", "kontor.yaml", "the configuration")
	to := flags.String("to", "", "the file to write; it must not exist")
	if err := flags.Parse(args); err != nil {
		return errUsage
	}
	if *to == "" || flags.NArg() > 0 {
		flags.Usage()
		return errUsage
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
