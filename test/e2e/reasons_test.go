package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
)

// neverAnswered are the reasons that no call ends with, with why.
var neverAnswered = map[errorv1.Error_Reason]string{
	errorv1.Error_REASON_UNSPECIFIED:   "says nothing",
	errorv1.Error_AUTHORIZATION_FAILED: "stands in histories alone",
}

// givenElsewhere are the tests that make the gateway, or one of its services, give a reason that no case has: they need
// a fault, a limit, a moment, or more than one call.
var givenElsewhere = map[errorv1.Error_Reason]string{
	errorv1.Error_ROUTE_NOT_FOUND:               "internal/server/request_test.go",
	errorv1.Error_METHOD_NOT_FOUND:              "internal/server/request_test.go",
	errorv1.Error_CONSENT_EXPIRED:               "test/e2e/*_flows_test.go",
	errorv1.Error_LINK_EXPIRED:                  "internal/service/consents/live_test.go",
	errorv1.Error_DATA_NOT_READY:                "test/e2e/*_flows_test.go",
	errorv1.Error_RESUME_TOKEN_EXPIRED:          "internal/watch/watch_test.go",
	errorv1.Error_TRANSACTIONS_NOT_ATTRIBUTABLE: "internal/service/banking/transactions_test.go",
	errorv1.Error_PAGE_TOKEN_EXPIRED:            "internal/service/banking/transactions_test.go",
	errorv1.Error_IDEMPOTENCY_KEY_REUSED:        "test/e2e/idempotency_test.go",
	errorv1.Error_UNAUTHENTICATED:               "test/security/matrix_test.go",
	errorv1.Error_SCOPE_MISSING:                 "test/security/matrix_test.go",
	errorv1.Error_GATEWAY_RATE_LIMITED:          "internal/server/auth_test.go",
	errorv1.Error_GATEWAY_STOPPING:              "test/e2e/*_streams_test.go",
	errorv1.Error_STORE_UNAVAILABLE:             "internal/server/audit_test.go",
	errorv1.Error_INTERNAL:                      "internal/server/request_test.go",
	errorv1.Error_DEADLINE_EXCEEDED:             "internal/server/request_test.go",
	errorv1.Error_CANCELLED:                     "internal/server/request_test.go",
	errorv1.Error_TOO_LARGE:                     "internal/server/request_test.go",
	errorv1.Error_PROVIDER_RATE_LIMITED:         "test/e2e/flows_test.go",
	errorv1.Error_PROVIDER_UNAVAILABLE:          "test/chaos/bodies_test.go",
	errorv1.Error_PROVIDER_RESPONSE_INVALID:     "test/e2e/flows_test.go",
	errorv1.Error_PROVIDER_CREDENTIALS_INVALID:  "test/chaos/bodies_test.go",
	errorv1.Error_PROVIDER_REJECTED:             "test/e2e/flows_test.go",
	errorv1.Error_OUTCOME_UNKNOWN:               "test/chaos/*_test.go",
}

// TestEveryReasonIsGiven walks the reasons of the contract: each is what some case or test wants, so none is there that
// is never given.
func TestEveryReasonIsGiven(t *testing.T) {
	t.Parallel()
	wanted := map[string]bool{}
	for _, c := range allCases(t) {
		if c.Error != nil {
			wanted[c.Error.Reason] = true
		}
	}
	values := errorv1.Error_REASON_UNSPECIFIED.Descriptor().Values()
	for i := range values.Len() {
		reason := errorv1.Error_Reason(values.Get(i).Number())
		if wanted[reason.String()] {
			if neverAnswered[reason] != "" {
				t.Errorf("%s %s, and a case wants it", reason, neverAnswered[reason])
			}
			continue
		}
		if neverAnswered[reason] != "" {
			continue
		}
		files, err := filepath.Glob(filepath.Join("..", "..", givenElsewhere[reason]))
		if err != nil {
			t.Fatal(err)
		}
		found := slices.ContainsFunc(files, func(file string) bool {
			text, err := os.ReadFile(file)
			return err == nil && strings.Contains(string(text), reason.String())
		})
		if givenElsewhere[reason] == "" || !found {
			t.Errorf("%s is given by no case, and not in %q", reason, givenElsewhere[reason])
		}
	}
}
