package guard

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
)

// TestHeadersThatCannotBeTaken: none is dropped, whatever is wrong with it.
func TestHeadersThatCannotBeTaken(t *testing.T) {
	t.Parallel()
	keys := []string{
		"authorization", "idempotency-key", "psu-ip-address", "x-request-id", "if-match", "last-event-id",
	}
	for _, key := range keys {
		if !slices.ContainsFunc(heeded, func(h struct {
			key     string
			longest int
		}) bool {
			return h.key == key
		}) {
			t.Errorf("%s is not looked at", key)
		}
		for _, bad := range []string{
			"Auftrag-Müller-1", "a\tb", "\ta", "a\x7f", "a\x00", "a\x80", "\xff", "a\nb", strings.Repeat("a", 9000),
		} {
			if err := checkHeaders(metadata.MD{key: {bad}}); kerr.Reason(err) != errorv1.Error_INVALID_FIELD ||
				strings.Contains(err.Error(), bad) {
				t.Errorf("%s: %q gives %v", key, bad, err)
			}
		}
		if err := checkHeaders(metadata.MD{key: {"a", "a"}}); kerr.Reason(err) != errorv1.Error_INVALID_FIELD {
			t.Errorf("%s twice: %v", key, err)
		}
		if err := checkHeaders(metadata.MD{key: {"1.2.3.4"}}); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	for key, value := range map[string]string{
		"idempotency-key": "  ", "x-request-id": "a b", "psu-ip-address": "1.2.3.4 ",
	} {
		if err := checkHeaders(metadata.MD{key: {value}}); kerr.Reason(err) != errorv1.Error_INVALID_FIELD {
			t.Errorf("%s %q: %v", key, value, err)
		}
	}
	for key, value := range map[string]string{
		"authorization": "Bearer abc", "if-match": `"an etag"`, "idempotency-key": strings.Repeat("~", 255),
		"x-request-id": "", "psu-ip-address": "",
	} {
		if err := checkHeaders(metadata.MD{key: {value}}); err != nil {
			t.Errorf("%s %q: %v", key, value, err)
		}
	}
	if err := checkHeaders(metadata.MD{"idempotency-key": {""}}); kerr.Reason(err) != errorv1.Error_INVALID_FIELD {
		t.Errorf("an empty key: %v", err)
	}
}
