package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"kontor.dev/kontor/internal/audit"
	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/store"
)

// runStore copies a store into a database of another kind.
func runStore(ctx context.Context, args []string, out, errOut io.Writer) error {
	if len(args) > 0 && args[0] == "copy" {
		return runStoreCopy(ctx, args[1:], out, errOut)
	}
	flags := newFlags("store copy", "Copies a store into a database of another kind.", "gateway store copy --help")
	if len(args) > 0 && asksForHelp(args[0]) {
		return flags.parse(args, out, errOut)
	}
	return flags.refuse("the word copy is missing", errOut)
}

// runStoreCopy copies a store that no gateway has into an empty database of another kind.
func runStoreCopy(ctx context.Context, args []string, out, errOut io.Writer) error {
	flags := newFlags("store copy", "Copies a store that no gateway has into an empty database of another kind, so "+
		"that many gateways can go on with it: wholly or not at all, and compared row by row. Callers' tokens and "+
		"keys stay good. The store that is copied stays as it is.",
		"gateway store copy --config kontor.yaml --from sqlite:./data/kontor.db --to postgres://kontor@db/kontor")
	path := flags.String("config", "kontor.yaml", "the configuration, of which store and store_key are read")
	from := flags.String("from", "", "the store to copy, such as sqlite:./data/kontor.db; default: as configured")
	to := flags.String("to", "", "where to copy it, such as postgres://kontor@db/kontor; default: as configured")
	if err := flags.parse(args, out, errOut); err != nil {
		return err
	}
	if *from == "" && *to == "" {
		return flags.refuse("--from and --to are missing: one of them is as configured, the other must be said", errOut)
	}
	options := known
	options.Reads, options.WarnExposed = []string{"store", "store_key"}, true
	cfg, err := config.Load(*path, options)
	if err != nil {
		return err
	}
	c, err := newStoreCopy(cfg, *from, *to)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := c.run(ctx); err != nil {
		return fmt.Errorf("store copy: %w", err)
	}
	return c.tell(out, time.Since(began))
}

// storeCopy is a store on its way into another database.
type storeCopy struct {
	from, to         store.Driver
	fromRest, toRest string
	key              *keys.StoreKey

	// reports are of the audit on both sides, moved is what was copied.
	reports []audit.Report
	moved   []store.Moved
}

// newStoreCopy finds both databases. An address that is not given is the configuration's.
func newStoreCopy(cfg *config.Config, from, to string) (c storeCopy, err error) {
	if from == "" {
		from = cfg.Store.Reveal()
	}
	if to == "" {
		to = cfg.Store.Reveal()
	}
	if c.from, c.fromRest, err = driver(from); err != nil {
		return c, fmt.Errorf("--from: %w", err)
	}
	if c.to, c.toRest, err = driver(to); err != nil {
		return c, fmt.Errorf("--to: %w", err)
	}
	if c.from.Source == nil || c.to.Fill == nil {
		var sources, targets []string
		for _, d := range stores {
			if d.Source != nil {
				sources = append(sources, d.Form)
			}
			if d.Fill != nil {
				targets = append(targets, d.Form)
			}
		}
		return c, fmt.Errorf("%w: a store is copied from %s to %s, not from %s to %s", store.ErrMove,
			strings.Join(sources, " or "), strings.Join(targets, " or "), c.from.Scheme, c.to.Scheme)
	}
	c.key, err = keys.Parse(cfg.StoreKey)
	return c, err
}

// errAudit ends a copy whose audit does not read as the source's does.
var errAudit = errors.New("the audit trail of the copy is not that of the store; nothing was copied")

// run copies. The audit is verified on both sides: what is wrong with it must be the same.
func (c *storeCopy) run(ctx context.Context) (err error) {
	source, err := c.from.Source(ctx, c.fromRest, c.key)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	working, err := source.Keys(ctx, c.key)
	if err != nil {
		return err
	}
	verified := func(trails store.AuditTrails) (err error) {
		c.reports, err = audit.Verify(trails, working, "", nil)
		return err
	}
	if err := source.ViewAudit(ctx, verified); err != nil {
		return err
	}
	before := c.reports
	c.moved, err = c.to.Fill(ctx, c.toRest, source, func(trails store.AuditTrails) error {
		if err := verified(trails); err != nil {
			return err
		}
		if !reflect.DeepEqual(before, c.reports) {
			return errAudit
		}
		return nil
	})
	return err
}

// tell says what was copied, and how the audit is.
func (c *storeCopy) tell(out io.Writer, took time.Duration) error {
	fmt.Fprintf(out, "%-20s%12s%12s\n", "table", "rows", "in the copy")
	var all int64
	for _, t := range c.moved {
		fmt.Fprintf(out, "%-20s%12d%12d\n", t.Table, t.Rows, t.Found)
		all += t.Rows
	}
	fmt.Fprintf(out, "%d rows copied and compared in %s\n", all, took.Round(time.Millisecond))
	fmt.Fprintln(out, "the audit of the copy, as that of the store:")
	for _, r := range c.reports {
		fmt.Fprintln(out, "  "+strings.ReplaceAll(described(r), "\n", "\n  "))
	}
	_, err := fmt.Fprintln(out, "Name the copy as store in kontor.yaml, and start no gateway with the former store "+
		"any more.")
	return err
}
