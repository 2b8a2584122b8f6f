package service

import (
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"

	"kontor.dev/kontor/internal/kerr"
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

// Tokens are opaque to callers and bound to what they belong to: a token that came from another query, tenant or method
// is refused. They hold no secret, so they need no signature; a forged one only reads what its bearer may read anyway.

const tokenBinding = 9

// bind hashes what a token belongs to.
func bind(scope ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(scope, "\x00")))
	return string(sum[:tokenBinding])
}

// EncodeToken makes a token that carries a cursor.
func EncodeToken(cursor string, scope ...string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(bind(scope...) + cursor))
}

// DecodeToken gives the cursor of a token, "" for an empty one. The field is named in the error.
func DecodeToken(token, field string, scope ...string) (string, error) {
	if token == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) <= tokenBinding || string(raw[:tokenBinding]) != bind(scope...) {
		return "", kerr.InvalidField(field, "is not a token of this query")
	}
	return string(raw[tokenBinding:]), nil
}

// paged is a request for a page.
type paged interface {
	GetPageSize() int32
	GetPageToken() string
}

// SlicePage cuts a page out of a list that is held whole, with the token of the next one.
func SlicePage[T any](all []T, req paged, scope ...string) (page []T, next string, err error) {
	offset, err := OffsetOf(req, scope...)
	if err != nil {
		return nil, "", err
	}
	size := PageSize(req.GetPageSize())
	all = all[min(offset, len(all)):]
	if len(all) > size {
		return all[:size], OffsetToken(offset+size, scope...), nil
	}
	return all, "", nil
}

// OffsetOf gives the offset that a page token stands for.
func OffsetOf(req paged, scope ...string) (int, error) {
	cursor, err := DecodeToken(req.GetPageToken(), "pageToken", scope...)
	if cursor == "" || err != nil {
		return 0, err
	}
	offset, err := strconv.Atoi(cursor)
	if err != nil || offset < 0 {
		return 0, kerr.InvalidField("pageToken", "is not a token of this query")
	}
	return offset, nil
}

// OffsetToken makes the page token that stands for an offset.
func OffsetToken(offset int, scope ...string) string {
	return EncodeToken(strconv.Itoa(offset), scope...)
}
