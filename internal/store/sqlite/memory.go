package sqlite

import (
	"context"
	"sync"

	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

// memoryLimit bounds the rows of consents that are kept in memory, in bytes: some 15,000 of them.
const memoryLimit = 32 << 20

// consentKey names a consent.
type consentKey struct{ tenant, id string }

// memory keeps rows of consents as they stand in the file, sealed, where nobody else writes it. Those that a
// transaction changed are dropped before its COMMIT and not kept again until that is over:
//
//	writer  ── UPDATE ──────────────── forget ─ COMMIT ─ settle ── acknowledge
//	reader  ─────────── miss, SELECT ─────┼───────┼─── keep: refused, its miss was before
//	reader  ──────────────────────────────┼─ miss ┼─── keep: refused, it may have the state before or after
//	reader  ──────────────────────────────┼───────┼─────────── miss, SELECT, keep
//
// So what is kept is never older than what was acknowledged, nor than what a View has shown. When half of the limit is
// young, the old ones are dropped and the young ones become old.
type memory struct {
	limit int

	mu         sync.Mutex
	young, old map[consentKey]*columns.SealedConsent
	size       int // of the young ones
	// misses are those whose row is being read, and may be kept.
	misses map[consentKey]*miss
	// changing are those that the transaction has changed that is being committed.
	changing changes
	// hits counts what was found.
	hits uint64
}

// miss is the right to keep a row that was not kept.
type miss struct{ _ byte } // of some size, so that no two are one

// changes are the consents that transactions have changed.
type changes struct {
	some map[consentKey]struct{}
	// all says that it may be any.
	all bool
}

func (c *changes) add(tenant, id string) {
	if c.some == nil {
		c.some = map[consentKey]struct{}{}
	}
	c.some[consentKey{tenant, id}] = struct{}{}
}

// join adds another transaction's.
func (c *changes) join(other changes) {
	c.all = c.all || other.all
	for key := range other.some {
		c.add(key.tenant, key.id)
	}
}

func newMemory(limit int) *memory {
	return &memory{limit: limit, misses: map[consentKey]*miss{}}
}

// get gives a row that is kept, or else what to hand to keep, or to drop, once it was read.
func (m *memory) get(key consentKey) (*columns.SealedConsent, *miss) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if row := m.young[key]; row != nil {
		m.hits++
		return row, nil
	}
	if row := m.old[key]; row != nil {
		m.hits++
		m.add(key, row)
		return row, nil
	}
	if _, ok := m.changing.some[key]; ok || m.changing.all {
		return nil, nil
	}
	mine := &miss{}
	m.misses[key] = mine
	return nil, mine
}

// keep keeps a row that was read after its miss, unless it has changed since.
func (m *memory) keep(key consentKey, mine *miss, row *columns.SealedConsent) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if mine == nil || m.misses[key] != mine {
		return
	}
	delete(m.misses, key)
	if row != nil && row.Size() <= m.limit/2 { // else it alone would go beyond the limit, and drop all others
		m.add(key, row)
	}
}

func (m *memory) add(key consentKey, row *columns.SealedConsent) {
	if m.young == nil || m.size+row.Size() > m.limit/2 {
		m.young, m.old, m.size = map[consentKey]*columns.SealedConsent{}, m.young, 0
	}
	m.young[key] = row
	m.size += row.Size()
}

// forget drops what a transaction changed, before it is committed. Until settle nothing of it is kept.
func (m *memory) forget(c changes) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changing = c
	if c.all {
		m.young, m.old, m.size = nil, nil, 0
		clear(m.misses)
		return
	}
	for key := range c.some {
		if row := m.young[key]; row != nil {
			m.size -= row.Size()
			delete(m.young, key)
		}
		delete(m.old, key)
		delete(m.misses, key)
	}
}

// settle says that the commit is over, whatever became of it.
func (m *memory) settle() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changing = changes{}
}

// Consent implements store.Store.
func (s *Store) Consent(ctx context.Context, tenant, id string) (*store.Consent, error) {
	if tenant == "" {
		return nil, store.ErrTenant
	}
	if s.memory == nil {
		return readAt(ctx, s, tenant, func(r *reader) (*store.Consent, error) { return r.Consent(id) })
	}
	if err := s.readers.usable(ctx); err != nil {
		return nil, away(err)
	}
	key := consentKey{tenant, id}
	row, miss := s.memory.get(key)
	if row == nil {
		var err error
		row, err = readAt(ctx, s, tenant, func(r *reader) (*columns.SealedConsent, error) {
			return one(r, columns.ScanConsent, selectConsents+byID, tenant, id)
		})
		s.memory.keep(key, miss, row)
		if err != nil {
			return nil, err
		}
	}
	return s.opener().OpenConsent(row)
}

// readAt reads for a tenant.
func readAt[T any](ctx context.Context, s *Store, tenant string, read func(*reader) (T, error)) (found T, err error) {
	err = s.read(ctx, tenant, func(r *reader) (err error) {
		found, err = read(r)
		return err
	})
	return found, away(err)
}
