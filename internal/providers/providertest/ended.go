package providertest

import (
	"maps"
	"slices"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/providers"
)

// testWithdrawal: however the provider tells that the customer withdrew, with a time or without one, the consent is not
// authorized from then on.
func testWithdrawal(s *suite) {
	for _, spelling := range slices.Sorted(maps.Keys(s.h.Withdraw)) {
		created := s.create()
		ref := s.approve(created.Ref)
		before := s.state(ref)
		if got := s.follow(created.State, before).Status; got != consentv1.Consent_AUTHORIZED {
			s.Fatalf("%s: before, the consent is %s", spelling, got)
		}
		undo := s.h.Withdraw[spelling](s, ref)
		after := s.state(ref)
		undo()
		for what, reports := range map[string][]providers.ConsentState{
			"seen before and after":    {created.State, before, after},
			"seen after only":          {created.State, after},
			"seen twice":               {created.State, before, after, after},
			"an old report comes late": {created.State, after, before},
		} {
			switch got := s.follow(reports...); {
			case got.Status == consentv1.Consent_AUTHORIZED:
				s.Errorf("%s, %s: the consent is still authorized", spelling, what)
			case len(reports) > 2 && got.Decision != consentv1.Decision_REVOKED:
				s.Errorf("%s, %s: the decision is %s", spelling, what, got.Decision)
			}
		}
	}
}

// testExpiry: a permission that ends by itself is told with its end, beforehand, and no data comes after it.
func testExpiry(s *suite) {
	ref := s.approved()
	before := s.state(ref)
	if !before.ValidUntil.After(s.now()) {
		s.Fatalf("an approved consent is valid until %s; it is %s", before.ValidUntil, s.now())
	}
	s.h.Lapse(s, ref)
	after := s.state(ref)
	if after.ValidUntil.IsZero() || after.ValidUntil.After(s.now()) {
		s.Errorf("after its end the consent is valid until %s; it is %s", after.ValidUntil, s.now())
	}
	if after.Decision == consentv1.Decision_REVOKED {
		s.Error("an end that came by itself is told as a withdrawal")
	}
	events := s.history(before)
	events = append(events, consent.Add(events, consent.Expired(1, s.now()))...)
	events = append(events, consent.Observe(events, after, s.now())...)
	got := consent.Derive(consentv1.DataCollection_TRANSACTION_CATEGORISATION, events).Status
	if got != consentv1.Consent_EXPIRED {
		s.Errorf("after its end the consent is %s", got)
	}
	s.wantEnded(ref, providers.KindConsentEnded)
}

// testConsentEnded: that one consent is over says nothing about the provider or our credentials.
func testConsentEnded(s *suite) {
	other, ref := s.approved(), s.approved()
	s.h.End(s, ref)
	s.wantEnded(ref, providers.KindConsentEnded)
	s.wantUnharmed(other)
}

// testAccessExceeded: that one consent was read too often leaves others to be read.
func testAccessExceeded(s *suite) {
	other, ref := s.approved(), s.approved()
	undo := s.h.Exceed(s, ref)
	s.wantEnded(ref, providers.KindAccessExceeded)
	s.wantUnharmed(other)
	undo()
	if _, err := s.provider.Accounts.ListAccounts(s.ctx(), ref); err != nil {
		s.Errorf("later: %v", s.hear(err))
	}
}

// wantEnded wants reads of data to fail as a kind, and the provider to be asked once for each: a repetition would be
// refused as well.
func (s *suite) wantEnded(ref providers.ConsentRef, want providers.ErrorKind) {
	s.Helper()
	sent := s.sent.count()
	_, err := s.provider.Accounts.ListAccounts(s.ctx(), ref)
	if e := s.failure(err); e.Kind != want || e.MayHaveHappened {
		s.Errorf("reading accounts fails as %+v, want %s", e, want)
	}
	if calls := s.sent.since(sent, ""); len(calls) > 1 {
		s.Errorf("a read that was refused took %d calls", len(calls))
	}
	for _, err := range s.provider.Accounts.Transactions(s.ctx(), ref, providers.Query{}) {
		if e := s.failure(err); e.Kind != want {
			s.Errorf("reading transactions fails as %+v, want %s", e, want)
		}
	}
}

// wantUnharmed wants another consent to be read as before: with the token that there was, at a provider that is well.
func (s *suite) wantUnharmed(other providers.ConsentRef) {
	s.Helper()
	logins := func() (n int) {
		for _, operation := range s.has.Login {
			n += s.calls(operation)
		}
		return n
	}
	before := logins()
	if _, err := s.provider.Accounts.ListAccounts(s.ctx(), other); err != nil {
		s.Errorf("another consent: %v", s.hear(err))
	}
	if got := logins(); got != before || got > len(s.has.Login) {
		s.Errorf("%d calls to log in, want those of one login", got)
	}
	h := s.provider.Session.Health()
	if h.State != providerv1.Provider_Health_HEALTHY || h.Breaker != providerv1.Breaker_CLOSED {
		s.Errorf("the provider counts as %s, the breaker is %s", h.State, h.Breaker)
	}
}

// testReauthentication: banks that ask the customer to authenticate again do not end the consent.
func testReauthentication(s *suite) {
	ref := s.approved()
	before := s.state(ref)
	s.h.Reauthenticate(s, ref)
	after := s.state(ref)
	if got := s.follow(before, after).Status; got != consentv1.Consent_AWAITING_REAUTHORIZATION {
		s.Errorf("the consent is %s", got)
	}
	if s.provider.Connections == nil || len(after.Connections) == 0 {
		return
	}
	link, err := s.provider.Connections.SyncConnection(s.ctx(), ref, after.Connections[0].ID, flow)
	if err != nil {
		s.Fatal(s.hear(err))
	}
	s.wantLink(link)
}
