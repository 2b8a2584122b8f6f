package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"time"
)

// auditBatch is how many entries are read at once.
const auditBatch = 1000

// runAudit prints the audit trail as JSON lines, oldest first, beside a gateway that runs or not.
func runAudit(ctx context.Context, args []string, out, errOut io.Writer) error {
	flags := newFlags("audit export",
		"Prints the audit trail as JSON lines, oldest first, beside a gateway that runs or not.",
		"gateway audit export --config kontor.yaml --since 2026-01-31T00:00:00Z")
	path := flags.String("config", "kontor.yaml", "the configuration")
	tenant := flags.String("tenant", "", "only this tenant's entries")
	after := flags.Int64("after", 0, "only entries behind this position")
	var since time.Time
	flags.TextVar(&since, "since", time.Time{}, "only entries from this time on, such as 2026-01-31T00:00:00Z")
	if len(args) > 0 && args[0] == "export" {
		args = args[1:]
	} else if len(args) == 0 || !asksForHelp(args[0]) {
		return flags.refuse("the word export is missing", errOut)
	}
	if err := flags.parse(args, out, errOut); err != nil {
		return err
	}
	s, err := openArchive(ctx, *path)
	if err != nil {
		return err
	}
	defer s.Close()
	buffered := bufio.NewWriter(out)
	encoder := json.NewEncoder(buffered)
	for position := *after; ; {
		entries, err := s.AuditTrail(ctx, *tenant, position, auditBatch)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			position = entry.Position
			if entry.Time.Before(since) {
				continue
			}
			if err := encoder.Encode(entry); err != nil {
				return err
			}
		}
		if len(entries) < auditBatch {
			return buffered.Flush()
		}
	}
}
