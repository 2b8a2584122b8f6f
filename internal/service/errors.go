package service

import (
	"errors"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// kinds is the one table from what failed at a provider to what the caller sees.
var kinds = map[providers.ErrorKind]struct {
	reason  errorv1.Error_Reason
	message string
}{
	providers.KindInternal:    {errorv1.Error_INTERNAL, "internal error"},
	providers.KindUnavailable: {errorv1.Error_PROVIDER_UNAVAILABLE, "the provider does not answer"},
	providers.KindRateLimited: {errorv1.Error_PROVIDER_RATE_LIMITED, "the provider's quota is used up"},
	providers.KindCredentials: {
		errorv1.Error_PROVIDER_CREDENTIALS_INVALID, "the provider refuses the gateway's credentials",
	},
	providers.KindNotEnabled: {
		errorv1.Error_CAPABILITY_NOT_ENABLED, "the provider does not allow this to the account",
	},
	providers.KindNotFound: {errorv1.Error_PROVIDER_REJECTED, "the provider does not know the resource"},
	providers.KindConflict: {
		errorv1.Error_PROVIDER_REJECTED, "the request conflicts with what the provider has",
	},
	providers.KindRejected: {errorv1.Error_PROVIDER_REJECTED, "the provider refused the request"},
	providers.KindInvalidResponse: {
		errorv1.Error_PROVIDER_RESPONSE_INVALID, "the provider's answer is not what it documents",
	},
	providers.KindPSUIPRequired: {
		errorv1.Error_PSU_IP_REQUIRED, "the provider needs the end user's address: send psu-ip-address",
	},
	providers.KindInvalidField: {errorv1.Error_INVALID_FIELD, "the provider needs another value in this field"},
	providers.KindDeadline: {
		errorv1.Error_DEADLINE_EXCEEDED, "the deadline passed before the provider answered",
	},
	providers.KindCanceled: {errorv1.Error_CANCELLED, "the caller went away"},
	// Follower.Explain looks first what holds; this is for what then is not known better.
	providers.KindConsentEnded:   {errorv1.Error_CONSENT_EXPIRED, "the provider says that the permission is over"},
	providers.KindAccessExceeded: {errorv1.Error_PROVIDER_RATE_LIMITED, "the provider lets this consent rest for now"},
}

// ReasonOf gives the reason that callers see for a kind of failure at a provider.
func ReasonOf(kind providers.ErrorKind) errorv1.Error_Reason { return kinds[kind].reason }

// CallError translates what an adapter returned. Every field of it that goes on is free of the provider's text.
func CallError(err error) error {
	if err == nil {
		return nil
	}
	var e *providers.Error
	if !errors.As(err, &e) {
		return err
	}
	reason, message := kinds[e.Kind].reason, kinds[e.Kind].message
	if e.MayHaveHappened {
		reason = errorv1.Error_OUTCOME_UNKNOWN
		message = "the provider may or may not have done it; it is not repeated by itself"
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
		for i, field := range e.Fields {
			path := jsonPath(field)
			if i == 0 {
				message = "invalid field " + path
			}
			options = append(options, kerr.WithField(path, "the provider needs this field"))
		}
	case providers.KindRejected:
		for _, field := range e.Fields {
			options = append(options, kerr.WithField(jsonPath(field), "the provider refused what stands here"))
		}
	case providers.KindPSUIPRequired:
		options = append(options, kerr.WithField("psu-ip-address", "the provider needs the end user's address"))
	}
	return kerr.New(reason, message, options...)
}

// MayHaveHappened tells whether a failed write may have taken effect.
func MayHaveHappened(err error) bool {
	var e *providers.Error
	return errors.As(err, &e) && e.MayHaveHappened
}

// Over tells whether a consent is over at its provider after an attempt to end it: the attempt succeeded, or the
// provider said that there was nothing to end.
func Over(err error) bool { return err == nil || providers.KindOf(err) == providers.KindConsentEnded }

// NotFound builds the error for a resource that does not exist for the tenant.
func NotFound(reason errorv1.Error_Reason, kind string) error {
	return kerr.New(reason, "there is no such "+kind)
}

// Found turns ErrNotFound into the reason of the resource.
func Found(err error, reason errorv1.Error_Reason, kind string) error {
	if errors.Is(err, store.ErrNotFound) {
		return NotFound(reason, kind)
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
