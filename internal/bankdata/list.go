package bankdata

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/listing"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// Listed is a message that lists can hold.
type Listed interface {
	proto.Message
	GetName() string
}

// List is what a caller lists.
type List[M Listed] struct {
	Row      *store.Consent
	Provider *providers.Provider
	// Query is all that decides what is listed, beginning with the method.
	Query   []string
	Request service.Paged
	// Rank orders the list, those of one rank as they are read. Nil: as they are read.
	Rank func(M) int64
	// Read reads all that there is at the provider.
	Read func(ctx context.Context, each func(M) error) error
}

// Page is a page of a list.
type Page[M Listed] struct {
	Items []M
	// Next is the token of the next page, nil on the last one.
	Next *string
	// Complete is false while the data of a bank is still coming; Read is when it was read.
	Complete bool
	Read     *timestamppb.Timestamp
}

// Of gives a page of a list. The first page is read at the provider, with all who ask for the same at one time; further
// ones come from what was read then, as long as it is held. Else it is read anew.
func Of[M Listed](ctx context.Context, r *Reader, l List[M]) (*Page[M], error) {
	scope := service.PageScope(ctx, l.Query[0], l.Query[1:]...)
	at, err := r.place(l.Request, scope)
	if err != nil {
		return nil, err
	}
	size := service.PageSize(l.Request.GetPageSize())
	key := listing.Key{
		Tenant: l.Row.Tenant, Consent: l.Row.ID, Standing: standing(l.Row), Query: strings.Join(l.Query, "\x00"),
	}
	page, ok := r.Held.Page(key, at, size)
	if !ok {
		what := slices.Concat([]string{"page", string(at.Bytes()), strconv.Itoa(size)}, l.Query)
		page, err = Share(ctx, r, l.Provider, l.Row, what, itself, func(ctx context.Context) (listing.Page, error) {
			return read(ctx, r, l, key, at, size)
		})
		if err != nil {
			return nil, err
		}
	}
	out := &Page[M]{Items: make([]M, len(page.Items)), Complete: page.Complete, Read: timestamppb.New(page.Read)}
	for i, data := range page.Items {
		var none M
		item := none.ProtoReflect().New().Interface()
		if err := proto.Unmarshal(data, item); err != nil {
			return nil, err
		}
		out.Items[i] = item.(M) //nolint:forcetypeassert // it was made of one
	}
	if page.Next != nil {
		out.Next = optional.Of(r.Tokens.Encode(string(page.Next.Bytes()), scope...))
	}
	return out, nil
}

// itself gives what nobody changes.
func itself(page listing.Page) listing.Page { return page }

// place gives the place where a page begins, the zero Place for the first one.
func (r *Reader) place(req service.Paged, scope []string) (listing.Place, error) {
	cursor, err := r.Tokens.Cursor(req, scope)
	if cursor == "" || err != nil {
		return listing.Place{}, err
	}
	at, ok := listing.ParsePlace([]byte(cursor))
	if !ok {
		return listing.Place{}, service.NotOfThisQuery("pageToken")
	}
	return at, nil
}

// read reads a list at the provider and gives the page that begins at a place.
func read[M Listed](
	ctx context.Context, r *Reader, l List[M], key listing.Key, at listing.Place, size int,
) (listing.Page, error) {
	began := r.Follower.Clock.Now()
	b := r.Held.Build(key, at, size)
	defer b.Close()
	err := l.Read(ctx, func(m M) error {
		data, err := proto.Marshal(m)
		if err != nil {
			return err
		}
		rank := int64(0)
		if l.Rank != nil {
			rank = l.Rank(m)
		}
		b.Add(rank, m.GetName(), data)
		return nil
	})
	if err != nil {
		return listing.Page{}, err
	}
	page, ok := b.Page(began, Complete(l.Row))
	if !ok {
		return listing.Page{}, service.PageExpired()
	}
	return page, nil
}

// Complete tells whether the data of all banks under a consent is there.
func Complete(row *store.Consent) bool {
	for _, c := range row.Resource.GetConnections() {
		switch c.GetStatus() {
		case consentv1.Connection_ACTIVE, consentv1.Connection_REAUTHORIZATION_REQUIRED:
			stage := c.GetDataStage()
			if stage != consentv1.DataStage_READY && stage != consentv1.DataStage_VALUE_UNSPECIFIED {
				return false
			}
		}
	}
	return true
}

// Settle drops the listings under a consent that were read while it, or a bank under it, stood otherwise than now.
func Settle(held *listing.Held, row *store.Consent) { held.Keep(row.Tenant, row.ID, standing(row)) }

// standing is how a consent and the banks under it stand.
func standing(row *store.Consent) string {
	parts := []string{row.Resource.GetStatus().String(), strconv.FormatBool(row.Ended)}
	for _, c := range row.Resource.GetConnections() {
		parts = append(parts, c.GetName(), c.GetStatus().String())
	}
	return strings.Join(parts, "\x00")
}
