package service

import (
	"context"
	"errors"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// kinds is the one table from what failed at a provider to what the caller sees.
var kinds = map[providers.Kind]struct {
	reason  errorv1.Error_Reason
	message string
}{
	providers.KindInternal:        {errorv1.Error_INTERNAL, "internal error"},
	providers.KindUnavailable:     {errorv1.Error_PROVIDER_UNAVAILABLE, "the provider does not answer"},
	providers.KindRateLimited:     {errorv1.Error_PROVIDER_RATE_LIMITED, "the provider's quota is used up"},
	providers.KindCredentials:     {errorv1.Error_PROVIDER_CREDENTIALS_INVALID, "the provider refuses the gateway's credentials"},
	providers.KindNotEnabled:      {errorv1.Error_CAPABILITY_NOT_ENABLED, "the provider does not allow this to the account"},
	providers.KindNotFound:        {errorv1.Error_PROVIDER_REJECTED, "the provider does not know the resource"},
	providers.KindConflict:        {errorv1.Error_PROVIDER_REJECTED, "the request conflicts with what the provider has"},
	providers.KindRejected:        {errorv1.Error_PROVIDER_REJECTED, "the provider refused the request"},
	providers.KindInvalidResponse: {errorv1.Error_PROVIDER_RESPONSE_INVALID, "the provider's answer is not what it documents"},
	providers.KindPSUIPRequired:   {errorv1.Error_PSU_IP_REQUIRED, "the provider needs the end user's address: send psu-ip-address"},
	providers.KindInvalidField:    {errorv1.Error_INVALID_FIELD, "the provider needs another value in this field"},
	providers.KindDeadline:        {errorv1.Error_DEADLINE_EXCEEDED, "the deadline passed before the provider answered"},
	providers.KindCanceled:        {errorv1.Error_CANCELLED, "the caller went away"},
}

// callError translates what an adapter returned. Every field of it that goes on is free of the provider's text.
func callError(err error) error {
	if err == nil {
		return nil
	}
	var e *providers.Error
	if !errors.As(err, &e) {
		return err
	}
	reason, message := kinds[e.Kind].reason, kinds[e.Kind].message
	if e.MayHaveHappened {
		reason, message = errorv1.Error_OUTCOME_UNKNOWN, "the provider may or may not have done it; it is not repeated by itself"
	}
	options := []kerr.Option{
		kerr.WithMetadata(kerr.KeyProvider, e.Provider), kerr.WithMetadata(kerr.KeyOperation, e.Operation),
		kerr.WithMetadata(kerr.KeyProviderCode, e.Code), kerr.WithMetadata(kerr.KeyProviderRequestID, e.RequestID),
	}
	if e.RetryAfter > 0 && kerr.Code(reason) == kerr.Code(errorv1.Error_PROVIDER_UNAVAILABLE) {
		options = append(options, kerr.WithRetry(e.RetryAfter))
	}
	switch e.Kind {
	case providers.KindInvalidField:
		path := jsonPath(e.Field)
		message = "invalid field " + path
		options = append(options, kerr.WithField(path, "the provider needs this field"))
	case providers.KindPSUIPRequired:
		options = append(options, kerr.WithField("psu-ip-address", "the provider needs the end user's address"))
	}
	return kerr.New(reason, message, options...)
}

// mayHaveHappened tells whether a failed write may have taken effect.
func mayHaveHappened(err error) bool {
	var e *providers.Error
	return errors.As(err, &e) && e.MayHaveHappened
}

// view reads from the store.
func (s *Service) view(ctx context.Context, fn func(store.Reader) error) error {
	return s.storeError(ctx, s.store.View(ctx, fn))
}

// update changes the store.
func (s *Service) update(ctx context.Context, fn func(store.Tx) error) error {
	return s.storeError(ctx, s.store.Update(ctx, fn))
}

// storeError translates a failure of the store. An error with a reason, ErrNotFound, and the end of a context stay as they are.
func (s *Service) storeError(ctx context.Context, err error) error {
	switch {
	case err == nil, kerr.Reason(err) != errorv1.Error_REASON_UNSPECIFIED, errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrExists):
		return err
	case ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)):
		return ctx.Err()
	case errors.Is(err, store.ErrConflict):
		return kerr.New(errorv1.Error_ETAG_MISMATCH, "the resource changed meanwhile; try again")
	}
	s.log.ErrorContext(ctx, "store failed", "error", err.Error(), "request_id", identity.RequestID(ctx))
	return kerr.New(errorv1.Error_STORE_UNAVAILABLE, "the gateway's store did not answer")
}

// found turns ErrNotFound into the reason of the resource.
func found(err error, reason errorv1.Error_Reason, kind string) error {
	if errors.Is(err, store.ErrNotFound) {
		return notFound(reason, kind)
	}
	return err
}

// jsonPath turns a path of proto names into JSON names.
func jsonPath(path string) string {
	var out []byte
	for i := 0; i < len(path); i++ {
		if path[i] == '_' && i+1 < len(path) {
			i++
			out = append(out, path[i]-'a'+'A')
			continue
		}
		out = append(out, path[i])
	}
	return string(out)
}
