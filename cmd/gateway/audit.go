package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/store"
)

// auditBatch is how many entries are read at once.
const auditBatch = 1000

// runAudit prints the audit trail as JSON lines, oldest first.
func runAudit(ctx context.Context, args []string, out, errOut io.Writer) error {
	if len(args) == 0 || args[0] != "export" {
		fmt.Fprintln(errOut, "usage: gateway audit export [--config kontor.yaml] [--tenant ID] [--after POSITION]")
		return errUsage
	}
	flags := flag.NewFlagSet("audit export", flag.ContinueOnError)
	flags.SetOutput(errOut)
	path := flags.String("config", "kontor.yaml", "the configuration")
	tenant := flags.String("tenant", "", "only this tenant's entries")
	after := flags.Int64("after", 0, "only entries behind this position")
	if err := flags.Parse(args[1:]); err != nil {
		return errUsage
	}
	cfg, err := config.Load(*path)
	if err != nil {
		return err
	}
	s, err := openStore(ctx, cfg)
	if err != nil {
		return err
	}
	defer s.Close()
	buffered := bufio.NewWriter(out)
	encoder := json.NewEncoder(buffered)
	for position := *after; ; {
		var entries []store.Audit
		err := s.View(ctx, func(r store.Reader) (err error) {
			entries, err = r.AuditTrail(*tenant, position, auditBatch)
			return err
		})
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if err := encoder.Encode(entry); err != nil {
				return err
			}
			position = entry.Position
		}
		if len(entries) < auditBatch {
			return buffered.Flush()
		}
	}
}
