// Package follow keeps consents up to date. It reads them at their providers when they are due by a plan,
// sooner on a hint, and at once when a caller asks. What a provider reports becomes history in package
// history.
package follow

import (
	"math/rand/v2"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// followGrace is how long a consent is still asked about after its link ran out: the customer may sit before
// the last page.
const followGrace = time.Hour

// idleInterval is how often a consent that stands is asked about when neither the operator nor the provider says.
const idleInterval = 24 * time.Hour

// Plan tells when consents should be read.
type Plan struct {
	tenants        service.Tenants
	clock          service.Clock
	min, max, idle time.Duration
	look           time.Duration // how often the follower looks for consents that are due
}

// NewPlan makes a plan.
func NewPlan(polling Polling, tenants service.Tenants, clock service.Clock) *Plan {
	p := &Plan{
		tenants: tenants, clock: clock, min: polling.MinInterval, max: polling.MaxInterval, idle: polling.IdleInterval,
		look: polling.LookInterval,
	}
	if p.min == 0 {
		p.min = 5 * time.Second
	}
	if p.max == 0 {
		p.max = 5 * time.Minute
	}
	if p.look == 0 {
		p.look = min(p.min, time.Second)
	}
	return p
}

// Polling tells how often the provider is asked about a consent.
type Polling struct {
	// MinInterval is the shortest time between two reads of a consent that nobody authenticated asked for; 5
	// s when zero.
	MinInterval time.Duration
	// MaxInterval is how far polling backs off without news; 5 min when zero.
	MaxInterval time.Duration
	// IdleInterval is the time between two reads of a consent that stands and of which no news is expected. When
	// zero, a day, or longer where the provider says so (providers.Manners).
	IdleInterval time.Duration
	// LookInterval is the time between two looks for consents that are due; MinInterval or 1 s when zero, whichever
	// is shorter. Tests in which days pass look less often.
	LookInterval time.Duration
}

// Least is the shortest time between two reads of a consent that nobody authenticated asked for.
func (p *Plan) Least() time.Duration { return p.min }

// Next tells when a consent should be read again, zero for not by itself. It is called when there was news.
func (p *Plan) Next(row *store.Consent) time.Time {
	return p.at(row, p.clock.Now())
}

func (p *Plan) at(row *store.Consent, now time.Time) time.Time {
	switch {
	case row.Missing.Count > 0 && approved(row):
		return p.seeking(row, now)
	case underway(row), p.lapses(row):
	case approved(row):
		return p.idling(row, now)
	default:
		return time.Time{}
	}
	due := later(now, max(min(p.min<<min(row.PollStep, 20), p.max), p.rest(row)), 5)
	link := row.Resource.GetLink()
	if over := link.GetExpireTime().AsTime(); link != nil && link.GetStatus() != typev1.Link_COMPLETED {
		switch {
		case p.lapses(row):
		case now.After(over.Add(followGrace)) && approved(row):
			return p.idling(row, now) // a further link was left unused
		case now.After(over.Add(followGrace)):
			return time.Time{}
		case now.Before(over) && due.After(over):
			due = over // to note that it ran out
		}
	}
	return due
}

// seeking tells when a consent should be read again that the provider did not know: soon at first, and when it is time
// to end it.
func (p *Plan) seeking(row *store.Consent, now time.Time) time.Time {
	due := later(now, max(min(p.min<<min(row.PollStep, 20), missingTime), p.rest(row)), 5)
	if decides := row.Missing.Since.Add(missingTime); now.Before(decides) && due.After(decides) {
		return decides
	}
	return due
}

// idling tells when a consent that stands should be read again, of which no news is expected.
func (p *Plan) idling(row *store.Consent, now time.Time) time.Time {
	due := later(now, max(p.idleOf(row), p.rest(row)), 10)
	if end := row.ValidUntil; end.After(now) && end.Before(due) {
		return end // to see whether it was prolonged
	}
	return due
}

// lapses tells whether the time of a permission is over that has not been noted to have ended.
func (p *Plan) lapses(row *store.Consent) bool {
	return approved(row) && !row.ValidUntil.IsZero() && !p.clock.Now().Before(row.ValidUntil)
}

// later gives a moment after a wait that is longer at random, by up to one part in so many: what began together is
// spread.
func later(now time.Time, wait time.Duration, parts int64) time.Time {
	return now.Add(wait + time.Duration(rand.Int64N(int64(wait)/parts+1)))
}

// idleOf is how often a consent that stands is asked about when nobody expects news.
func (p *Plan) idleOf(row *store.Consent) time.Duration {
	if p.idle > 0 {
		return p.idle
	}
	return max(idleInterval, p.manners(row).IdleInterval)
}

// rest is the shortest time between two reads of a consent that stands while its customer is away: providers count
// them. While a link is open the customer is about, and until the data is there they have just been: without the reads
// that tell how far it is, nobody would learn for hours that it can be read.
func (p *Plan) rest(row *store.Consent) time.Duration {
	reads := p.manners(row).ReadsPerDay
	coming := row.Resource.GetDataStage() != consentv1.DataStage_READY
	if reads <= 0 || !approved(row) || linkOpen(row) || coming || p.lapses(row) {
		return 0
	}
	return 24 * time.Hour / time.Duration(reads)
}

// longestRest is how long it matters when a consent was last read.
func (p *Plan) longestRest() time.Duration {
	longest := p.min
	for _, tenant := range p.tenants {
		for _, provider := range tenant.Providers {
			if reads := provider.Manners.ReadsPerDay; reads > 0 {
				longest = max(longest, 24*time.Hour/time.Duration(reads))
			}
		}
	}
	return longest
}

func (p *Plan) manners(row *store.Consent) providers.Manners {
	provider, err := p.tenants.Provider(row.Tenant, row.Provider)
	if err != nil {
		return providers.Manners{} // the tenant left the provider: asking fails anyway
	}
	return provider.Manners
}

// linkOpen tells whether the customer has a link to open, or is at the provider's pages.
func linkOpen(row *store.Consent) bool {
	status := row.Resource.GetLink().GetStatus()
	return status == typev1.Link_PENDING || status == typev1.Link_OPENED
}

// underway tells whether news are to be expected of a consent.
func underway(row *store.Consent) bool {
	if row.Ended {
		return false
	}
	switch row.Resource.GetStatus() {
	case consentv1.Consent_REVOKED, consentv1.Consent_REJECTED:
		return linkOpen(row) // AddBank asks a customer again who refused
	case consentv1.Consent_EXPIRED:
		// A permission that has ended does not come back by itself. A link that ran out may have been used.
		return row.Resource.GetDecision() != consentv1.Decision_APPROVED
	case consentv1.Consent_AUTHORIZED:
		// With a further flow open, the next decision is awaited although the data is ready.
		return row.Resource.GetDataStage() != consentv1.DataStage_READY || linkOpen(row)
	}
	return true
}
