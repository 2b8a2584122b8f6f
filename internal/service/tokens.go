package service

import (
	"context"
	"encoding/base64"
	"slices"
	"strconv"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/optional"
)

// Sizes of pages.
const (
	defaultPageSize = 100
	MaxPageSize     = 1000
)

// PageSize applies the default and the limit.
func PageSize(asked int32) int {
	switch {
	case asked == 0:
		return defaultPageSize
	case asked > MaxPageSize:
		return MaxPageSize
	default:
		return int(asked)
	}
}

// Tokens makes the tokens by which callers go on with a page or a stream. They are sealed with the store's keys, so
// that every process that shares the store takes them and nobody reads or makes one, and bound to what they belong to:
// a token that came from another query, tenant or method is refused. One place has one token, however often and
// wherever it is made.
type Tokens struct{ Keys *keys.Keys }

// Encode makes a token that carries a cursor. The scope is what it belongs to: the tenant first, then the query.
func (t Tokens) Encode(cursor string, scope ...string) string {
	sealed, err := t.Keys.SealSame(keys.Tokens, "", []byte(cursor), scope...)
	if err != nil {
		panic(err) // cannot be: the cursor is short
	}
	return base64.RawURLEncoding.EncodeToString(sealed)
}

// Decode gives the cursor of a token, "" for an empty one. The field is named in the error.
func (t Tokens) Decode(token, field string, scope ...string) (string, error) {
	if token == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return "", NotOfThisQuery(field)
	}
	cursor, err := t.Keys.OpenSame(keys.Tokens, "", raw, scope...)
	if err != nil {
		return "", NotOfThisQuery(field)
	}
	return string(cursor), nil
}

// NotOfThisQuery refuses a token that was made for something else, or by somebody else.
func NotOfThisQuery(field string) error {
	return kerr.InvalidField(field, "is not a token of this query")
}

// Paged is a request for a page.
type Paged interface {
	GetPageSize() int32
	GetPageToken() string
}

// PageScope is what the page tokens of a list belong to: the tenant and the client that calls, the list, and whatever
// else the request asks for.
func PageScope(ctx context.Context, list string, query ...string) []string {
	caller := identity.From(ctx)
	return append([]string{caller.Tenant, caller.ClientID, "page", list}, query...)
}

// Cursor gives the cursor of the request's page token, "" for the first page.
func (t Tokens) Cursor(req Paged, scope []string) (string, error) {
	return t.Decode(req.GetPageToken(), "pageToken", scope...)
}

// Number gives the number that the request's page token stands for, first for the first page.
func (t Tokens) Number(req Paged, first int, scope []string) (int, error) {
	cursor, err := t.Cursor(req, scope)
	if cursor == "" || err != nil {
		return first, err
	}
	number, err := strconv.Atoi(cursor)
	if err != nil || number < first {
		return 0, NotOfThisQuery("pageToken")
	}
	return number, nil
}

// SlicePage cuts a page out of a list that is held whole, with the token of the next one. It goes on behind the last
// one of the page before, by its name; when that is gone, the token has expired.
func SlicePage[T interface{ GetName() string }](
	tokens Tokens, all []T, req Paged, scope []string,
) (page []T, next *string, err error) {
	last, err := tokens.Cursor(req, scope)
	if err != nil {
		return nil, nil, err
	}
	if last != "" {
		at := slices.IndexFunc(all, func(one T) bool { return one.GetName() == last })
		if at < 0 {
			return nil, nil, PageExpired()
		}
		all = all[at+1:]
	}
	size := PageSize(req.GetPageSize())
	if len(all) > size {
		return all[:size], optional.Of(tokens.Encode(all[size-1].GetName(), scope...)), nil
	}
	return all, nil, nil
}

// PageExpired tells that the place where a page begins cannot be found again.
func PageExpired() error {
	return kerr.New(errorv1.Error_PAGE_TOKEN_EXPIRED,
		"the list has changed since, and the place of the token is not in it any more: begin anew, without a token")
}
