package providertest

import (
	"sync"

	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/secret"
	"kontor.dev/kontor/internal/service"
)

func testWiring(s *suite) {
	if err := service.Validate(s.provider); err != nil {
		s.Error(err)
	}
	if s.provider.ID != "first" {
		s.Errorf("the provider calls itself %q, and Deps.ID is first", s.provider.ID)
	}
	if !s.provider.Serves(s.h.Market) {
		s.Errorf("the market %s is not among the provider's", s.h.Market)
	}
	known := make(map[providers.Capability]bool)
	for _, capability := range providers.AllCapabilities {
		known[capability] = true
	}
	for capability, support := range s.provider.Capabilities {
		if !known[capability] {
			s.Errorf("there is no capability %s", capability)
		}
		if support.Level == providers.Emulated && support.Reason == "" {
			s.Errorf("%s is emulated without a reason", capability)
		}
	}
	for _, op := range s.provider.Operations {
		if op.Name == "" || op.Method == "" || op.Path == "" || op.Standing == "" || op.Effect == "" {
			s.Errorf("an operation is incomplete: %+v", op)
		}
	}
	if sent := s.sent.count(); sent > 0 {
		s.Errorf("opening the adapter sent %d calls", sent)
	}
}

// testUnsupported: a nil port is declared unsupported with a reason, and a port that is set is declared to work.
func testUnsupported(s *suite) {
	p := s.provider
	for _, port := range []struct {
		set          bool
		capabilities []providers.Capability
	}{
		{p.Links != nil, []providers.Capability{"RenewConsentLink"}},
		{p.Banks != nil, []providers.Capability{"AddBank"}},
		{p.Simulator != nil, []providers.Capability{"SimulateDecision"}},
		{p.PartnerBanks != nil, []providers.Capability{
			"CreatePartnerBank", "GetPartnerBank", "ListPartnerBanks", "UpdatePartnerBank",
		}},
		{p.Connections != nil, []providers.Capability{"SyncConnection", "DeleteConnection", "CreateManagementSession"}},
		{p.Importer != nil, []providers.Capability{"ImportConnections"}},
		{p.Holdings != nil, []providers.Capability{"ListStandingOrders", "ListSecurities"}},
		{p.Visualizations != nil, []providers.Capability{"CreateVisualizationLink"}},
		{p.PaymentPartners != nil, []providers.Capability{"GetPaymentPartnerAnalysis"}},
		{p.Logos != nil, []providers.Capability{"SearchCompanyLogos"}},
		{p.Shipments != nil, []providers.Capability{
			"CreateShipment", "GetShipment", "ListShipments", "WatchShipments",
		}},
		{p.Users != nil, []providers.Capability{"ListProviderUsers", "DeleteProviderUser"}},
	} {
		for _, capability := range port.capabilities {
			support := p.Supports(capability)
			switch {
			case port.set && support.Level == providers.Unsupported:
				s.Errorf("%s has a port and is declared unsupported", capability)
			case !port.set && support.Level != providers.Unsupported:
				s.Errorf("%s has no port and is declared %+v", capability, support)
			case !port.set && support.Reason == "":
				s.Errorf("%s is unsupported without a reason", capability)
			}
		}
	}
	if p.Insights == nil && p.Supports("GetInsights").Level != providers.Emulated {
		s.Errorf("insights have no port and are declared %+v, want emulated", p.Supports("GetInsights"))
	}
	if (p.Shipments != nil) != (p.Callbacks.Report != nil) {
		s.Error("shipments and the reading of their reports go together")
	}
}

// testInstances: two providers of one kind have nothing in common but the kind.
func testInstances(s *suite) {
	second := s.open("second", providers.Policy{Retries: -1})
	if s.provider.ID != "first" || second.ID != "second" {
		s.Fatalf("the providers are called %s and %s", s.provider.ID, second.ID)
	}
	ref := s.approved()
	if _, err := s.provider.Accounts.ListAccounts(s.ctx(), ref); err != nil {
		s.Fatal(s.hear(err))
	}
	if h := second.Session.Health(); h.State != providerv1.Provider_Health_UNKNOWN {
		s.Errorf("one that was never asked counts as %s", h.State)
	}
	sent := s.sent.count()
	nobody := providers.ConsentRef{ID: "nobody", PartnerBank: ref.PartnerBank, Market: ref.Market}
	_, err := second.Accounts.ListAccounts(s.ctx(), nobody)
	if e := s.failure(err); e.Provider != "second" {
		s.Errorf("the second provider's error is from %s", e.Provider)
	}
	for _, call := range s.sent.since(sent, "") {
		if call.Provider != "second" {
			s.Errorf("the second provider's call counts as one of %s", call.Provider)
		}
	}
	if h := s.provider.Session.Health(); h.LastError != nil {
		s.Errorf("the second provider's failure shows with the first: %s", *h.LastError)
	}
	if got, err := second.Accounts.ListAccounts(s.ctx(), ref); err != nil || len(got) == 0 {
		s.Errorf("the second provider reads %d accounts of a consent of the same account, %v", len(got), s.hear(err))
	}
}

func testSession(s *suite) {
	if h := s.provider.Session.Health(); h.State != providerv1.Provider_Health_UNKNOWN {
		s.Errorf("one that was never asked counts as %s", h.State)
	}
	if err := s.provider.Session.Check(s.ctx()); err != nil {
		s.Fatal(s.hear(err))
	}
	s.create()
	if h := s.provider.Session.Health(); h.State != providerv1.Provider_Health_HEALTHY {
		s.Errorf("one that answers counts as %s", h.State)
	}
}

// testLogin: one login serves all calls, those at the same time included.
func testLogin(s *suite) {
	var checks sync.WaitGroup
	for range 8 {
		checks.Go(func() {
			if err := s.provider.Session.Check(s.ctx()); err != nil {
				s.Error(s.hear(err))
			}
		})
	}
	checks.Wait()
	for _, operation := range s.has.Login {
		if got := s.calls(operation); got != 1 {
			s.Errorf("eight checks made %d calls of %s, want one login", got, operation)
		}
	}
	if got := s.calls(""); got != len(s.has.Login) {
		s.Errorf("eight checks made %d calls, want one login", got)
	}
}

// testSecrets: a secret that is replaced while the gateway runs (Settings.Renew) is what the adapter uses from then on.
// Secrets without which the provider does what it is asked for, such as a webhook's, are passed over.
func testSecrets(s *suite) {
	if s.ask(s.provider) != nil {
		s.Fatal("the provider does not do what it is asked for")
	}
	for i, kept := range s.h.Settings.Secrets() {
		right, wrong := secret.New(kept.Reveal()), secret.New(another(kept.Reveal()))
		kept.Replace(wrong)
		p, err := s.h.Settings.Open(s.Context(), s.deps("first", providers.Policy{Retries: -1}))
		needed := err == nil && s.ask(p) != nil
		kept.Replace(right)
		if !needed {
			continue
		}
		p = s.open("first", providers.Policy{Retries: -1})
		kept.Replace(wrong)
		if s.ask(p) == nil {
			s.Errorf("secret %d of the configuration was replaced, and the adapter goes on with the one before: "+
				"Reveal it where it is used, for each request", i+1)
		}
		kept.Replace(right)
	}
}

// ask asks a provider for something that needs all its credentials.
func (s *suite) ask(p *providers.Provider) error {
	if err := p.Session.Check(s.ctx()); err != nil {
		return s.hear(err)
	}
	if p.Users != nil {
		_, err := p.Users.CreateUser(s.ctx(), s.newUser())
		return s.hear(err)
	}
	_, err := p.Consents.CreateConsent(s.ctx(), s.newConsent())
	return s.hear(err)
}

// another gives a text like a secret but for one letter or digit in its middle, so that it is as well formed.
func another(text string) string {
	letters := []byte(text)
	for i := range letters {
		at := (len(letters)/2 + i) % len(letters)
		switch c := letters[at]; {
		case c == 'z' || c == 'Z' || c == '9':
			letters[at]--
			return string(letters)
		case c >= 'a' && c < 'z' || c >= 'A' && c < 'Z' || c >= '0' && c < '9':
			letters[at]++
			return string(letters)
		}
	}
	return text + "x"
}

// testReads: the reads use the operations that the harness says.
func testReads(s *suite) {
	ref := s.approved()
	s.wantCalls("a read of the consent", s.has.ReadConsent, func() { s.state(ref) })
	s.wantCalls("a read of accounts", s.has.ReadAccounts, func() { s.accounts(ref) })
	s.wantCalls("a read of transactions", s.has.ReadTransactions, func() { s.transactions(ref, providers.Query{}) })
}

func (s *suite) wantCalls(what string, operations []string, do func()) {
	s.Helper()
	all := s.calls("")
	before := make(map[string]int)
	for _, operation := range operations {
		before[operation] = s.calls(operation)
	}
	do()
	rest := s.calls("") - all
	for _, operation := range operations {
		made := s.calls(operation) - before[operation]
		if made == 0 {
			s.Errorf("%s makes no call of %s", what, operation)
		}
		rest -= made
	}
	if rest != 0 || len(operations) == 0 {
		s.Errorf("%s makes %d calls of operations that Has does not name", what, rest)
	}
}
