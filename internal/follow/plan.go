// Package follow keeps consents up to date. It reads them at their providers when they are due by a plan,
// sooner on a hint, and at once when a caller asks. What a provider reports becomes history in package
// history.
package follow

import (
	"math/rand/v2"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// followGrace is how long a consent is still asked about after its link ran out: the customer may sit before
// the last page.
const followGrace = time.Hour

// Plan tells when consents should be read.
type Plan struct {
	clock    service.Clock
	min, max time.Duration
}

// NewPlan makes a plan.
func NewPlan(polling Polling, clock service.Clock) *Plan {
	p := &Plan{clock: clock, min: polling.MinInterval, max: polling.MaxInterval}
	if p.min == 0 {
		p.min = 5 * time.Second
	}
	if p.max == 0 {
		p.max = 5 * time.Minute
	}
	return p
}

// Polling tells how often the provider is asked about a consent that is under way.
type Polling struct {
	// MinInterval is the shortest time between two reads of a consent that nobody authenticated asked for; 5
	// s when zero.
	MinInterval time.Duration
	// MaxInterval is how far polling backs off without news; 5 min when zero.
	MaxInterval time.Duration
}

// Next tells when a consent should be read again, zero for not by itself. It is called when there was news.
func (p *Plan) Next(row *store.Consent) time.Time {
	return p.at(row, p.clock.Now())
}

func (p *Plan) at(row *store.Consent, now time.Time) time.Time {
	if !underway(row) {
		return time.Time{}
	}
	wait := min(p.min<<min(row.PollStep, 20), p.max)
	due := now.Add(wait + time.Duration(rand.Int64N(int64(wait)/5+1)))
	link := row.Resource.GetLink()
	if over := link.GetExpireTime().AsTime(); link != nil && link.GetStatus() != typev1.Link_COMPLETED {
		switch {
		case now.After(over.Add(followGrace)):
			return time.Time{}
		case now.Before(over) && due.After(over):
			due = over // to note that it ran out
		}
	}
	return due
}

// underway tells whether news are to be expected of a consent.
func underway(row *store.Consent) bool {
	if row.Ended {
		return false
	}
	switch row.Resource.GetStatus() {
	case consentv1.Consent_REVOKED, consentv1.Consent_REJECTED:
		return false
	case consentv1.Consent_AUTHORIZED:
		// With a further flow open, the next decision is awaited although the data is ready.
		status := row.Resource.GetLink().GetStatus()
		return row.Resource.GetDataStage() != consentv1.Consent_READY ||
			status == typev1.Link_PENDING || status == typev1.Link_OPENED
	}
	return true
}
