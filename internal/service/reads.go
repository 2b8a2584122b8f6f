package service

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/providers/upstream"
	"kontor.dev/kontor/internal/store"
)

// reads lets concurrent reads of the same bank data share one provider call. Nothing outlives the call: a read that begins after it ended asks
// the provider anew. Streams of transactions and visualisation links are never shared.
type reads struct {
	group upstream.Group[any]
	// writes counts what was changed at providers through this process: whoever writes and then reads must not get the result of a read that
	// began before.
	writes atomic.Uint64
}

// changed says that bank data at a provider is, or may be, another now.
func (r *reads) changed() { r.writes.Add(1) }

// share gives the result of read, or of the same read that is under way for another caller. Each caller gets a copy of its own, made by clone.
// What read does must follow from row, what and the caller's address alone.
func share[T any](ctx context.Context, s *Service, p *providers.Provider, row *store.Consent, what []string, clone func(T) T, read func(context.Context) (T, error)) (T, error) {
	key := strings.Join(slices.Concat([]string{
		row.Tenant, row.ID, row.Resource.GetEtag(), providers.CallOf(ctx).PSUIP, strconv.FormatUint(s.reads.writes.Load(), 10),
	}, what), "\x00")
	shared, err := s.reads.group.Do(ctx, key, func(ctx context.Context) (any, error) { return read(ctx) })
	if err != nil {
		var none T
		if ctx.Err() != nil {
			return none, callError(left(ctx, p, what[0]))
		}
		return none, err
	}
	return clone(shared.(T)), nil //nolint:forcetypeassert // what[0] decides the type
}

// left is the error of a caller whose time was up before a shared read ended.
func left(ctx context.Context, p *providers.Provider, operation string) error {
	kind := providers.KindCanceled
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		kind = providers.KindDeadline
	}
	return &providers.Error{Kind: kind, Provider: p.ID, Operation: operation, Err: ctx.Err()}
}

// cloneEach copies messages.
func cloneEach[M proto.Message](messages []M) []M {
	own := make([]M, len(messages))
	for i, m := range messages {
		own[i] = proto.CloneOf(m)
	}
	return own
}
