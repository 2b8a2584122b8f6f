package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/providers"
)

// runOperations prints each adapter's operation table. With a configuration, the table in force.
func runOperations(ctx context.Context, args []string, out, errOut io.Writer) error {
	flags := newFlags("operations", "Prints each provider's HTTP operations, and how sure their paths are.",
		"gateway operations --config kontor.yaml")
	path := flags.String("config", "", "show the operations with this configuration's overrides")
	if err := flags.parse(args, out, errOut); err != nil {
		return err
	}
	if *path == "" {
		for i, kind := range kinds {
			if i > 0 {
				fmt.Fprintln(out)
			}
			if err := printOperations(out, kind.DisplayName, kind.Operations); err != nil {
				return err
			}
		}
		return nil
	}
	cfg, err := config.Load(*path, known)
	if err != nil {
		return err
	}
	wired, err := wire(ctx, cfg, wiring{})
	if err != nil {
		return err
	}
	for _, tenant := range wired.tenantIDs() {
		for _, p := range wired.tenants[tenant].Providers {
			if err := printOperations(out, tenant+": "+title(p), p.Operations); err != nil {
				return err
			}
			fmt.Fprintln(out)
		}
	}
	return nil
}

// title names a provider by its kind, and by its id where the operator gave it another.
func title(p *providers.Provider) string {
	if strings.EqualFold(p.ID, p.DisplayName) {
		return p.DisplayName
	}
	return p.DisplayName + " (" + p.ID + ")"
}

func printOperations(out io.Writer, title string, operations []providers.Operation) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "%s\nOPERATION\tMETHOD\tPATH\tSTANDING\tEFFECT\n", title)
	for _, op := range operations {
		standing := string(op.Standing)
		if op.Overridden {
			standing = "overridden"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", op.Name, op.Method, op.Path, standing, op.Effect)
	}
	return table.Flush()
}
