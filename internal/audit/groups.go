package audit

import (
	"context"
	"net"
	"sync"
	"time"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/store"
)

const (
	// singleRefusals is how many equal refusals of a client have an entry each, within groupTime; those that follow are
	// counted by one entry.
	singleRefusals = 10
	groupTime      = time.Minute
	// maxGroups bounds the refusals that are remembered for that. What goes beyond has an entry each.
	maxGroups = 10_000
	// maxNames bounds the names of a client among them: it can make up as many as it likes, and fill the store with
	// them. Refusals about further names are counted together, without the name.
	maxNames = 100
	// flushEvery is how often it is looked for groups whose time is over.
	flushEvery = 5 * time.Second
)

// refusal tells whether a reason says that Kontor refused a call by itself: nobody was asked, and nothing changed.
func refusal(reason errorv1.Error_Reason) bool {
	switch reason {
	case errorv1.Error_SCOPE_MISSING, errorv1.Error_INVALID_FIELD, errorv1.Error_PSU_IP_REQUIRED,
		errorv1.Error_REDIRECT_URI_NOT_ALLOWED, errorv1.Error_CAPABILITY_UNSUPPORTED,
		errorv1.Error_CUSTOMER_NOT_FOUND, errorv1.Error_CONSENT_NOT_FOUND, errorv1.Error_CONNECTION_NOT_FOUND,
		errorv1.Error_ACCOUNT_NOT_FOUND, errorv1.Error_SHIPMENT_NOT_FOUND, errorv1.Error_PARTNER_BANK_NOT_FOUND,
		errorv1.Error_PROVIDER_NOT_FOUND:
		return true
	default:
		return false
	}
}

// groups count the refusals that a client meets again and again. The first ones have an entry each, at once. Those that
// follow within groupTime are counted here, and the count becomes one entry at the end of that time, or when the
// process stops; a process that is killed takes it along. Nothing is counted while nobody writes the counts (Trail.Run)
// or the store does not take them: then each refusal has an entry again, or is answered by STORE_UNAVAILABLE.
type groups struct {
	mu sync.Mutex
	of map[refused]*group
	// names counts the groups of each client that have a name.
	names    map[actor]int
	counting bool
}

// actor is a client of a tenant.
type actor struct{ tenant, actor string }

// refused is what equal refusals have in common.
type refused struct{ tenant, actor, method, resource, host, outcome string }

type group struct {
	began       time.Time
	singles     int
	count       int64
	first, last time.Time
}

func groupKey(e *store.Audit) refused {
	host, _, err := net.SplitHostPort(e.Peer)
	if err != nil {
		host = e.Peer
	}
	return refused{e.Tenant, e.Actor, e.Method, e.Resource, host, e.Outcome}
}

// counts tells whether an entry was counted, and needs not be written.
func (g *groups) counts(e *store.Audit) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.counting {
		return false
	}
	key, client := groupKey(e), actor{e.Tenant, e.Actor}
	of := g.of[key]
	if of == nil && key.resource != "" && g.names[client] >= maxNames {
		key.resource = ""
		of = g.of[key]
	}
	switch {
	case of == nil:
		if len(g.of) < maxGroups {
			g.of[key] = &group{began: e.Time, singles: 1}
			if key.resource != "" {
				g.names[client]++
			}
		}
		return false
	case of.singles < singleRefusals:
		of.singles++
		return false
	}
	if of.count++; of.count == 1 {
		of.first = e.Time
	}
	of.last = e.Time
	return true
}

// take takes out the groups whose time is over, or all of them, and adds the entries of those that counted something
// to what is left.
func (g *groups) take(left []store.Audit, now time.Time, all bool) []store.Audit {
	g.mu.Lock()
	defer g.mu.Unlock()
	for key, of := range g.of {
		if !all && now.Sub(of.began).Abs() < groupTime {
			continue
		}
		delete(g.of, key)
		if client := (actor{key.tenant, key.actor}); key.resource != "" {
			if g.names[client]--; g.names[client] == 0 {
				delete(g.names, client)
			}
		}
		if of.count > 0 {
			left = append(left, store.Audit{
				Time: of.last, Tenant: key.tenant, Actor: key.actor, Method: key.method, Resource: key.resource,
				Peer: key.host, Outcome: key.outcome, Count: of.count, FirstTime: of.first,
			})
		}
	}
	return left
}

// count says whether refusals are to be counted from now on.
func (g *groups) count(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.counting = on
	if g.of == nil {
		g.of, g.names = map[refused]*group{}, map[actor]int{}
	}
}

// Run writes what was counted until the context ends, and then once more: end it after all calls.
func (t *Trail) Run(ctx context.Context) {
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	var left []store.Audit
	t.groups.count(true)
	for ctx.Err() == nil {
		select {
		case <-ticker.C:
			left = t.flush(ctx, t.groups.take(left, t.Clock.Now(), false))
			t.groups.count(len(left) == 0)
		case <-ctx.Done():
		}
	}
	t.groups.count(false)
	ctx = context.WithoutCancel(ctx)
	for _, e := range t.flush(ctx, t.groups.take(left, t.Clock.Now(), true)) {
		t.missing()
		t.Log.ErrorContext(ctx, "refused calls are missing in the audit", "tenant", e.Tenant, "client", e.Actor,
			"method", e.Method, "outcome", e.Outcome, "count", e.Count)
	}
}

// flush writes entries, and gives those that the store did not take.
func (t *Trail) flush(ctx context.Context, entries []store.Audit) (left []store.Audit) {
	of := map[string][]*store.Audit{}
	for i, e := range entries {
		of[e.Tenant] = append(of[e.Tenant], &entries[i])
	}
	for tenant, entries := range of {
		for len(entries) > 0 {
			n := min(len(entries), maxTogether)
			if err := t.append(context.WithoutCancel(ctx), failureTimeout, tenant, entries[:n]); err != nil {
				for _, e := range entries {
					left = append(left, *e)
				}
				break
			}
			entries = entries[n:]
		}
	}
	return left
}
