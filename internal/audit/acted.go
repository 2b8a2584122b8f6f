package audit

import (
	"context"

	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/providers"
)

// Observed is an observer that notes of each call whether a provider changed something for it, or may have: what
// callers are told depends on it when the audit does not take the call.
type Observed struct{ providers.Observer }

// Start implements providers.Observer.
func (o Observed) Start(
	ctx context.Context, call providers.CallInfo,
) (context.Context, func(providers.CallOutcome)) {
	trail := identity.TrailOf(ctx)
	ctx, end := o.Observer.Start(ctx, call)
	return ctx, func(outcome providers.CallOutcome) {
		if outcome.Acted {
			trail.Acted()
		}
		end(outcome)
	}
}
