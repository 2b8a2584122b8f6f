package audit

import (
	"encoding/json"
	"errors"
	"io"
	"time"

	"kontor.dev/kontor/internal/store"
)

// Export writes entries behind a position, and from the first on that is not older than since, as JSON lines: of all
// tenants, or of one. A line with a checkpoint tells where a tenant's chain stands before its first entry, another one
// where its sealed entries end.
func Export(trails store.AuditTrails, to io.Writer, tenant string, after int64, since time.Time) error {
	after, err := behind(trails, tenant, after, since)
	if err != nil {
		return err
	}
	tenants, err := trails.Tenants()
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(to)
	begins, heads := map[string]int64{}, map[string]*store.AuditSeal{}
	for _, name := range tenants {
		if tenant != "" && tenant != name {
			continue
		}
		chain, err := trails.Of(name).AuditChain()
		if err != nil {
			return err
		}
		begin, err := sealedUpTo(trails.Of(name), name, chain, after)
		if err != nil {
			return err
		}
		if err := encoder.Encode(checkpointLine(begin)); err != nil {
			return err
		}
		begins[name] = begin.Position
		if chain.Head != nil && chain.Head.Position > begin.Position {
			heads[name] = chain.Head
		}
	}
	return eachOf(trails, tenant, after, func(e *store.Audit) error {
		if e.Position <= begins[e.Tenant] {
			return nil // retention is about to remove it
		}
		if err := encoder.Encode(Line{Audit: e}); err != nil {
			return err
		}
		if head := heads[e.Tenant]; head != nil && head.Position == e.Position {
			return encoder.Encode(checkpointLine(head))
		}
		return nil
	})
}

func checkpointLine(s *store.AuditSeal) Line {
	line := Line{Checkpoint: CheckpointOf(s).String()}
	if !s.Time.IsZero() {
		line.Made = &s.Time
	}
	return line
}

// sealedUpTo tells where a tenant's chain stands before the first entry behind a position: at the last sealed one up
// to there, or where retention cut.
func sealedUpTo(trail store.AuditReader, tenant string, chain store.AuditChain, after int64) (*store.AuditSeal, error) {
	begin := &store.AuditSeal{Tenant: tenant}
	if chain.Cut != nil {
		begin = chain.Cut
	}
	if chain.Head == nil || after <= begin.Position {
		return begin, nil
	}
	last, err := trail.AuditBefore(min(after, chain.Head.Position))
	if errors.Is(err, store.ErrNotFound) || err == nil && last.Position <= begin.Position {
		return begin, nil
	}
	if err != nil {
		return nil, err
	}
	return &store.AuditSeal{Tenant: tenant, Position: last.Position, Count: last.Sequence, Chain: last.Chain}, nil
}

// behind gives the position behind which the first entry stands that is not older than a time. What comes later in the
// trail belongs to it whatever its time: a clock may have been set back, and a chain with holes cannot be verified.
func behind(trails store.AuditTrails, tenant string, after int64, since time.Time) (int64, error) {
	if since.IsZero() {
		return after, nil
	}
	found := errors.New("found")
	err := eachOf(trails, tenant, after, func(e *store.Audit) error {
		if !e.Time.Before(since) {
			return found
		}
		after = e.Position
		return nil
	})
	if errors.Is(err, found) {
		err = nil
	}
	return after, err
}

// eachOf goes through the entries behind a position.
func eachOf(trails store.AuditTrails, tenant string, after int64, do func(*store.Audit) error) error {
	list := trails.Trail
	if tenant != "" {
		list = trails.Of(tenant).AuditTrail
	}
	for {
		entries, err := list(after, page)
		if err != nil {
			return err
		}
		for i := range entries {
			after = entries[i].Position
			if err := do(&entries[i]); err != nil {
				return err
			}
		}
		if len(entries) < page {
			return nil
		}
	}
}
