package sqlite

import (
	"context"
	"time"

	"kontor.dev/kontor/internal/store"
)

// Quotas implements store.Database: the one process that serves with a file counts by itself.
func (*Store) Quotas() store.Quotas { return nil }

// DeleteQuotasBefore implements store.Sweeps.
func (system) DeleteQuotasBefore(context.Context, time.Time, int) (int, error) { return 0, nil }
