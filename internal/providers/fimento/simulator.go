package fimento

import (
	"context"
	"net/url"
	"strings"

	"kontor.dev/kontor/internal/providers"
)

// SimulateDecision decides in the customer's place, which works for demo users of the API only. Whether Fimento wants
// the status in the path or in the query is not told: a path of the configuration without {status} puts it into the
// query. The answer (isApproved) does not matter, the process tells.
func (a *adapter) SimulateDecision(ctx context.Context, ref providers.ConsentRef, approve bool) error {
	r, err := a.ofConsent(opTestDecision, ref)
	if err != nil {
		return err
	}
	status := "revoked"
	if approve {
		status = "approved"
	}
	r.Path[paramStatus] = status
	if !strings.Contains(a.table[opTestDecision].Path, "{"+paramStatus+"}") {
		r.Query = url.Values{paramStatus: {status}}
	}
	return a.do(ctx, r, nil)
}
