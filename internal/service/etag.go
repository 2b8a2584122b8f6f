package service

import (
	"context"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
)

// WantedEtag gives the etag that a caller wants a resource to have still: that of the request's field, or of If-Match.
// Path is the field's name in JSON. It is empty when the caller takes any.
func WantedEtag(ctx context.Context, field, path string) (string, error) {
	header := identity.IfMatch(ctx)
	switch {
	case header == "":
		return field, nil
	case field != "" && field != header:
		return "", kerr.InvalidField(path, "must be the same as the header If-Match")
	}
	return header, nil
}

// Fresh tells whether a resource still has the etag that its caller wants; any will do for an empty one. It must be
// asked in the transaction that then changes the resource.
func Fresh(wanted, have string) error {
	if wanted == "" || wanted == "*" || wanted == have {
		return nil
	}
	return kerr.New(errorv1.Error_ETAG_MISMATCH, "the resource has changed since its etag was read")
}
