package service

import (
	"encoding/base64"
	"strconv"

	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/keys"
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
		return "", notOfThisQuery(field)
	}
	cursor, err := t.Keys.OpenSame(keys.Tokens, "", raw, scope...)
	if err != nil {
		return "", notOfThisQuery(field)
	}
	return string(cursor), nil
}

func notOfThisQuery(field string) error {
	return kerr.InvalidField(field, "is not a token of this query")
}

// paged is a request for a page.
type paged interface {
	GetPageSize() int32
	GetPageToken() string
}

// SlicePage cuts a page out of a list that is held whole, with the token of the next one.
func SlicePage[T any](tokens Tokens, all []T, req paged, scope ...string) (page []T, next string, err error) {
	offset, err := tokens.OffsetOf(req, scope...)
	if err != nil {
		return nil, "", err
	}
	size := PageSize(req.GetPageSize())
	all = all[min(offset, len(all)):]
	if len(all) > size {
		return all[:size], tokens.OffsetToken(offset+size, scope...), nil
	}
	return all, "", nil
}

// OffsetOf gives the offset that a page token stands for.
func (t Tokens) OffsetOf(req paged, scope ...string) (int, error) {
	cursor, err := t.Decode(req.GetPageToken(), "pageToken", scope...)
	if cursor == "" || err != nil {
		return 0, err
	}
	offset, err := strconv.Atoi(cursor)
	if err != nil || offset < 0 {
		return 0, notOfThisQuery("pageToken")
	}
	return offset, nil
}

// OffsetToken makes the page token that stands for an offset.
func (t Tokens) OffsetToken(offset int, scope ...string) string {
	return t.Encode(strconv.Itoa(offset), scope...)
}
