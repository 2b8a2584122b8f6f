package columns

import (
	"encoding/json"
	"slices"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/store"
)

// SealedConsent is a row of a consent as it stands in the table: what is personal in it is sealed. It is not changed.
type SealedConsent struct {
	clear                                               store.Consent
	state, withdrawals, asked, redirects, resource, key []byte
}

// ScanConsent scans ConsentNames and the wrapped data key.
func ScanConsent(row Row) (*SealedConsent, error) {
	s := &SealedConsent{}
	c := &s.clear
	var validUntil, nextPoll, lastPoll, lastRead, missingSince, claimedUntil int64
	err := row.Scan(&c.Tenant, &c.ID, &c.CustomerID, &c.Provider, &c.ProviderRef, &c.UserID, &c.PartnerBank, &c.Market,
		&s.state, &validUntil, &s.withdrawals, &s.asked, &s.redirects, &c.Flow, (*[]byte)(&c.Reference), &s.resource,
		&nextPoll, &c.PollStep, &lastPoll, &lastRead, &missingSince, &c.Missing.Count, &c.Ended, &c.Version,
		&claimedUntil, &s.key)
	if err != nil {
		return nil, err
	}
	c.ValidUntil, c.NextPoll, c.LastPoll = Instant(validUntil), Instant(nextPoll), Instant(lastPoll)
	c.LastRead, c.Missing.Since, c.ClaimedUntil = Instant(lastRead), Instant(missingSince), Instant(claimedUntil)
	return s, nil
}

// sealedOverhead is about what a row takes beside its texts, in bytes: the struct, its place in two maps, and what the
// allocator rounds up.
const sealedOverhead = 1024

// Size is about what the row takes in memory, in bytes.
func (s *SealedConsent) Size() int {
	c := &s.clear
	return sealedOverhead + len(c.Tenant) + len(c.ID) + len(c.CustomerID) + len(c.Provider) + len(c.ProviderRef) +
		len(c.UserID) + len(c.PartnerBank) + len(c.Market) + len(c.Reference) + len(s.state) + len(s.withdrawals) +
		len(s.asked) + len(s.redirects) + len(s.resource) + len(s.key)
}

// Key is whose data key opens the row, and that key, wrapped.
func (s *SealedConsent) Key() (owner string, wrapped []byte) { return s.clear.CustomerID, s.key }

// Consent is ScanConsent and OpenConsent.
func (o Opener) Consent(row Row) (*store.Consent, error) {
	sealed, err := ScanConsent(row)
	if err != nil {
		return nil, err
	}
	return o.OpenConsent(sealed)
}

// OpenConsent gives a row of its caller's own, with what was sealed in it.
func (o Opener) OpenConsent(s *SealedConsent) (*store.Consent, error) {
	c := s.clear
	c.Reference = slices.Clone(c.Reference)
	if err := json.Unmarshal(s.withdrawals, &c.Withdrawals); err != nil {
		return nil, err
	}
	box, err := o.Box(c.Tenant, c.CustomerID, s.key)
	if err != nil {
		return nil, err
	}
	if s.state != nil {
		if c.State, err = box.Open(s.state, "consents.state", c.ID); err != nil {
			return nil, err
		}
	}
	if s.asked != nil {
		if c.Asked, err = box.Open(s.asked, "consents.asked", c.ID); err != nil {
			return nil, err
		}
	}
	if s.redirects != nil {
		c.Redirects, err = openMessage[consentv1.Consent_RedirectUris](box, s.redirects, "consents.redirects", c.ID)
		if err != nil {
			return nil, err
		}
	}
	c.Resource, err = openMessage[consentv1.Consent](box, s.resource, "consents.resource", c.ID)
	return &c, err
}
