package bankdata

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// Changed says that bank data at a provider is, or may be, another now.
func (r *Reader) Changed() { r.writes.Add(1) }

// Share gives the result of read, or of the same read that is under way for another caller. Each caller gets
// a copy of its own, made by clone. What read does must follow from row, what and the caller's address alone.
func Share[T any](
	ctx context.Context, r *Reader, p *providers.Provider, row *store.Consent, what []string, clone func(T) T,
	read func(context.Context) (T, error),
) (T, error) {
	leave, err := r.Crowd.Enter(row.Tenant, p.ID)
	if err != nil {
		var none T
		return none, err
	}
	defer leave()
	return join(ctx, r, p, row, what, clone, read)
}

// join is Share for a caller who waits for the provider already.
func join[T any](
	ctx context.Context, r *Reader, p *providers.Provider, row *store.Consent, what []string, clone func(T) T,
	read func(context.Context) (T, error),
) (T, error) {
	key := strings.Join(slices.Concat([]string{
		row.Tenant, row.ID, row.Resource.GetEtag(), providers.CallOf(ctx).PSUIP,
		strconv.FormatUint(r.writes.Load(), 10),
	}, what), "\x00")
	shared, err := r.group.Do(ctx, key, func(ctx context.Context) (any, error) { return read(ctx) })
	if err != nil {
		var none T
		if ctx.Err() != nil {
			return none, service.CallError(left(ctx, p, what[0]))
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

// Each gives each of what was read at once.
func Each[M any](read []M, err error, each func(M) error) error {
	if err != nil {
		return err
	}
	for _, m := range read {
		if err := each(m); err != nil {
			return err
		}
	}
	return nil
}

// CloneEach copies messages.
func CloneEach[M proto.Message](messages []M) []M {
	own := make([]M, len(messages))
	for i, m := range messages {
		own[i] = proto.CloneOf(m)
	}
	return own
}
