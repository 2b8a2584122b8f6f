package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"kontor.dev/kontor/internal/audit"
	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/store"
)

// runAudit exports or verifies the audit trail, beside a gateway that runs or not.
func runAudit(ctx context.Context, args []string, out, errOut io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case "export":
			return runAuditExport(ctx, args[1:], out, errOut)
		case "verify":
			return runAuditVerify(ctx, args[1:], out, errOut)
		}
	}
	flags := newFlags("audit export | verify",
		"Prints the audit trail, or says whether it is as it was sealed.", "gateway audit export --help")
	if len(args) > 0 && asksForHelp(args[0]) {
		return flags.parse(args, out, errOut)
	}
	return flags.refuse("the word export or verify is missing", errOut)
}

// runAuditExport prints the audit trail as JSON lines, oldest first.
func runAuditExport(ctx context.Context, args []string, out, errOut io.Writer) error {
	flags := newFlags("audit export",
		"Prints the audit trail as JSON lines, oldest first, beside a gateway that runs or not.",
		"gateway audit export --config kontor.yaml --since 2026-01-31T00:00:00Z")
	path := flags.String("config", "kontor.yaml", "the configuration")
	tenant := flags.String("tenant", "", "only this tenant's entries")
	after := flags.Int64("after", 0, "only entries behind this position")
	var since time.Time
	flags.Func("since", "only entries from this time on, such as 2026-01-31T00:00:00Z", func(text string) (err error) {
		if since, err = time.Parse(time.RFC3339, text); err != nil {
			return errors.New("must be a time such as 2026-01-31T00:00:00Z")
		}
		return nil
	})
	if err := flags.parse(args, out, errOut); err != nil {
		return err
	}
	cfg, s, err := openArchive(ctx, *path, "store")
	if err != nil {
		return err
	}
	defer s.Close()
	buffered := bufio.NewWriter(out)
	err = s.ViewAudit(ctx, func(trails store.AuditTrails) error {
		there, err := trails.Tenants()
		if err != nil {
			return err
		}
		if !slices.Contains(there, *tenant) {
			if err := expected(cfg, *tenant); err != nil {
				return err
			}
		}
		return audit.Export(trails, buffered, *tenant, *after, since)
	})
	return errors.Join(err, buffered.Flush())
}

// expected refuses a tenant of which nothing is on record, unless the configuration has it: the name may be
// mistyped, and who verifies it every night would take nothing for whole.
func expected(cfg *config.Config, tenant string) error {
	if _, ok := cfg.Tenants[tenant]; ok || tenant == "" {
		return nil
	}
	return fmt.Errorf("there is no tenant %q, neither in the configuration nor in the audit", tenant)
}

// errChanged ends `audit verify` when a trail is not as it was sealed.
var errChanged = errors.New("the audit trail is not as it was sealed")

// runAuditVerify says whether the audit trail, or an export of it, is as it was sealed.
func runAuditVerify(ctx context.Context, args []string, out, errOut io.Writer) error {
	flags := newFlags("audit verify",
		"Says whether the audit trail is as it was sealed, beside a gateway that runs or not.",
		"gateway audit verify --config kontor.yaml --tenant default")
	path := flags.String("config", "kontor.yaml", "the configuration")
	tenant := flags.String("tenant", "", "only this tenant's trail")
	file := flags.String("file", "", "verify this export instead of the store")
	var outside []audit.Checkpoint
	flags.Func("checkpoint", "a checkpoint that the trail must go through, as a log line or an export has it; may "+
		"come several times", func(text string) error {
		c, err := audit.ParseCheckpoint(text)
		outside = append(outside, c)
		return err
	})
	if err := flags.parse(args, out, errOut); err != nil {
		return err
	}
	cfg, s, err := openArchive(ctx, *path, "store", "store_key")
	if err != nil {
		return err
	}
	defer s.Close()
	working, err := workingKeys(ctx, cfg, s)
	if err != nil {
		return err
	}
	reports, err := verify(ctx, s, working, *file, *tenant, outside)
	if err != nil {
		return err
	}
	whole := true
	if *file == "" {
		named, err := s.Foreign(ctx)
		if err != nil {
			return err
		}
		for _, name := range named {
			fmt.Fprintln(out, "the database has "+name)
			whole = false
		}
	}
	for _, r := range reports {
		if r.Entries == 0 && r.Sealed == 0 && r.Begin == 0 && r.Fault == nil {
			if err := expected(cfg, r.Tenant); err != nil {
				return err
			}
		}
		fmt.Fprintln(out, described(r))
		whole = whole && r.Fault == nil
	}
	if *file == "" && *tenant == "" {
		for _, name := range slices.Sorted(maps.Keys(cfg.Tenants)) {
			if !slices.ContainsFunc(reports, func(r audit.Report) bool { return r.Tenant == name }) {
				fmt.Fprintln(out, name+": has no entries, and never had any that were sealed")
			}
		}
	}
	if !whole {
		return errChanged
	}
	return nil
}

func verify(
	ctx context.Context, s store.Archive, working *keys.Keys, file, tenant string, outside []audit.Checkpoint,
) (reports []audit.Report, err error) {
	if file != "" {
		from, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer func() { _ = from.Close() }() // It was only read.
		return audit.VerifyExport(bufio.NewReader(from), working, tenant, outside)
	}
	err = s.ViewAudit(ctx, func(trails store.AuditTrails) error {
		reports, err = audit.Verify(trails, working, tenant, outside)
		return err
	})
	return reports, err
}

// described tells of one tenant's trail in a line.
func described(r audit.Report) string {
	if r.Tenant == "" {
		return "all tenants: CHANGED: " + r.Fault.String()
	}
	text := fmt.Sprintf("%s: %d entries", r.Tenant, r.Entries)
	if r.Begin > 0 {
		text += fmt.Sprintf(" behind position %d", r.Begin)
	}
	text += fmt.Sprintf(", sealed up to position %d", r.Sealed)
	if !r.SealTime.IsZero() {
		text += " at " + r.SealTime.Format(time.RFC3339)
	}
	text += fmt.Sprintf(", %d not sealed yet, %d checkpoints compared", r.Unsealed, r.Compared)
	if r.Passed > 0 {
		text += fmt.Sprintf(", %d given lie before the first entry", r.Passed)
	}
	if r.Fault != nil {
		return text + "\n" + r.Tenant + ": CHANGED: " + r.Fault.String()
	}
	return text + ": whole"
}

// workingKeys opens the keys that the audit was sealed with.
func workingKeys(ctx context.Context, cfg *config.Config, s store.Archive) (*keys.Keys, error) {
	key, err := keys.Parse(cfg.StoreKey)
	if err != nil {
		return nil, err
	}
	return s.Keys(ctx, key)
}
