package kerr

import (
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
)

// Retry gives the wait of an error's RetryInfo, 0 when it has none.
func Retry(err error) time.Duration {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration()
		}
	}
	return 0
}

// With adds an entry to the ErrorInfo of an error that New built; any other error stays as it is.
func With(err error, key, value string) error {
	st := status.Convert(err).Proto()
	for i, packed := range st.GetDetails() {
		var found errdetails.ErrorInfo
		if !packed.MessageIs(&found) || packed.UnmarshalTo(&found) != nil || found.GetDomain() != Domain {
			continue
		}
		if found.Metadata == nil {
			found.Metadata = map[string]string{}
		}
		found.Metadata[key] = value
		if packed.MarshalFrom(&found) == nil {
			st.Details[i] = packed
			return status.FromProto(st).Err()
		}
	}
	return err
}
