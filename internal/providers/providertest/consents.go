package providertest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/providers"
)

// history gives the history that reports lead to, as the service keeps it.
func (s *suite) history(reports ...providers.ConsentState) []consent.Event {
	now := s.now()
	link := consent.LinkIssued(1, "https://bank.example.com", now.Add(time.Hour), now)
	events := consent.Add(nil, consent.Created(now, "made"), link)
	for i, report := range reports {
		events = append(events, consent.Observe(events, report, now.Add(time.Duration(i)*time.Second))...)
	}
	return events
}

// follow gives what follows from reports, as the service sees it.
func (s *suite) follow(reports ...providers.ConsentState) consent.State {
	return consent.Derive(consentv1.DataCollection_TRANSACTION_CATEGORISATION, s.history(reports...))
}

func (s *suite) wantLink(link *providers.Link) {
	s.Helper()
	if link == nil {
		s.Fatal("there is no link")
	}
	if u, err := url.Parse(link.URI); err != nil || u.Host == "" || link.TTL <= 0 {
		s.Errorf("the link is %+v", link)
	}
}

func testConsents(s *suite) {
	created := s.create()
	if created.Ref.ID == "" || created.Ref.Market != s.h.Market {
		s.Errorf("the reference is %+v", created.Ref)
	}
	s.wantLink(&created.Link)
	if got := s.follow(created.State, s.state(created.Ref)); got.Status != consentv1.Consent_AWAITING_AUTHORIZATION {
		s.Errorf("a new consent is %s", got.Status)
	}
	ref := s.approve(created.Ref)
	if s.has.Collects && !s.collected {
		s.Error("the data of an approved consent was ready at once, and Has says that it is collected for a while")
	}
	first, second := s.state(ref), s.state(ref)
	got := s.follow(created.State, first, second)
	if got.Status != consentv1.Consent_AUTHORIZED || got.DataStage != consentv1.DataStage_READY ||
		len(got.Connections) == 0 {
		s.Errorf("an approved consent is %s, %s, with %d connections", got.Status, got.DataStage, len(got.Connections))
	}
	for _, c := range got.Connections {
		if c.Bank == nil || c.Bank.DisplayName == "" {
			s.Errorf("connection %s has no bank", c.ID)
		}
	}
	// Reading again tells nothing new.
	events := s.history(first)
	made := slices.DeleteFunc(slices.Clone(events), func(e consent.Event) bool {
		return e.Type != consentv1.ConsentEvent_CREATED
	})
	if len(made) != 1 {
		s.Errorf("the history has %d events CREATED: an observation that the consent was made has the key %q",
			len(made), providers.KeyCreated)
	}
	if again := consent.Observe(events, second, s.now().AddDate(0, 0, 1)); len(again) != 0 {
		s.Errorf("reading again gave %d new events, such as %s", len(again), again[0].Type)
	}
}

// testRepetition: whether a consent that may have been made can be asked for again is a fact about the provider.
func testRepetition(s *suite) {
	request := s.newConsent()
	var ids []string
	for range 2 {
		created, err := s.provider.Consents.CreateConsent(s.ctx(), request)
		if err != nil {
			s.Fatalf("create a consent: %v", s.hear(err))
		}
		ids = append(ids, created.Ref.ID)
	}
	if same := ids[0] == ids[1]; same != s.provider.RepeatsConsents {
		s.Errorf("asked for twice, the consent is the same: %t; the adapter says %t", same, s.provider.RepeatsConsents)
	}
}

// testRedirects: the adapter refuses a return that is about another customer's consent, and takes an approval's for
// none that failed.
func testRedirects(s *suite) {
	if outcome := s.provider.Callbacks.Outcome; outcome != nil {
		query := s.decide(s.create().Ref)
		if got := outcome(query); got != "" && got != providers.OutcomeSuccess {
			s.Errorf("a customer who approved came back with the outcome %q", got)
		}
		if got := outcome(url.Values{}); got != "" {
			s.Errorf("a query that tells nothing has the outcome %q", got)
		}
	}
	redirect := s.provider.Callbacks.Redirect
	if redirect == nil {
		return
	}
	ref, other := s.create().Ref, s.create().Ref
	query := s.decide(ref)
	if len(query) == 0 {
		s.Fatal("the adapter reads how the customer comes back, and Approve gives no query")
	}
	if _, err := redirect(s.ctx(), other, providers.OutcomeSuccess, query); err == nil {
		s.Error("one consent's return is taken for another's")
	}
	for _, outcome := range []providers.Outcome{providers.OutcomeError, providers.OutcomeExit} {
		back, err := redirect(s.ctx(), other, outcome, url.Values{})
		if s.hear(err) == nil && s.newer(other, back.Ref).ID != other.ID {
			s.Errorf("coming back with %s gives the consent another id", outcome)
		}
	}
	s.returned(ref, query)
}

// testWebhooks: a webhook comes from anybody.
func testWebhooks(s *suite) {
	webhook := s.provider.Callbacks.Webhook
	if s.provider.Webhooks != nil && webhook == nil {
		s.Error("the adapter registers webhooks and reads none")
	}
	if webhook == nil {
		return
	}
	for _, body := range []string{"", "{", "null", "[]", `"x"`, "\xff\xfe", `{"id": {"id": [[[[null]]]]}}`} {
		if ids, err := webhook(s.ctx(), http.Header{}, []byte(body)); s.hear(err) == nil && slices.Contains(ids, "") {
			s.Errorf("the body %q names a consent without an id", body)
		}
	}
	s.wantWebhooks()
}

// wantWebhooks has the played provider send its own webhooks about a consent: none is refused, and one names it.
// Without that, a check that refuses all of them would pass for one that refuses what is forged.
func (s *suite) wantWebhooks() {
	s.Helper()
	type sent struct {
		header http.Header
		body   []byte
	}
	come := make(chan sent, 64)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		select {
		case come <- sent{r.Header, body}:
		default: // There are enough.
		}
	}))
	s.Cleanup(receiver.Close)
	switch {
	case s.provider.Webhooks != nil:
		if err := s.provider.Webhooks.RegisterWebhook(s.ctx(), receiver.URL); err != nil {
			s.Fatalf("register a webhook: %v", s.hear(err))
		}
	case s.h.Webhooks != nil:
		s.h.Webhooks(s.TB, receiver.URL)
	default:
		s.Fatal("the adapter reads webhooks, and registers none: bring Webhooks")
	}
	ref := s.approved()
	for ctx := s.ctx(); ; {
		select {
		case got := <-come:
			ids, err := s.provider.Callbacks.Webhook(s.ctx(), got.header, got.body)
			if s.hear(err) != nil {
				s.Fatalf("a webhook that the provider sent is refused: %v", err)
			}
			if slices.Contains(ids, ref.ID) {
				return
			}
		case <-ctx.Done():
			s.Fatal("no webhook that the provider sent names the consent that changed")
		}
	}
}

func testLinks(s *suite) {
	if s.provider.Links == nil {
		return
	}
	ref := s.create().Ref
	renewed, err := s.provider.Links.RenewLink(s.ctx(), ref, flow)
	if err != nil {
		s.Fatalf("renew the link: %v", s.hear(err))
	}
	s.wantLink(&renewed.Link)
	ref = s.newer(ref, renewed.Ref)
	if got := s.follow(s.state(ref)); got.Status != consentv1.Consent_AWAITING_AUTHORIZATION {
		s.Errorf("with a new link the consent is %s", got.Status)
	}
	ref = s.approve(ref)
	before := s.state(ref)
	if got := s.follow(before); got.Status != consentv1.Consent_AUTHORIZED {
		s.Errorf("approved by the new link the consent is %s", got.Status)
	}
	// A link for a consent that stands takes nothing away, whether the customer uses it or not. A provider may refuse.
	if renewed, err = s.provider.Links.RenewLink(s.ctx(), ref, flow); err != nil {
		s.failure(err)
		return
	}
	ref = s.newer(ref, renewed.Ref)
	meanwhile := s.state(ref)
	if got := s.follow(before, meanwhile).Status; got != consentv1.Consent_AUTHORIZED || len(s.accounts(ref)) == 0 {
		s.Errorf("with a further link the consent is %s", got)
	}
	ref = s.approve(ref)
	got := s.follow(before, meanwhile, s.state(ref)).Status
	if got != consentv1.Consent_AUTHORIZED || len(s.accounts(ref)) == 0 {
		s.Errorf("approved again the consent is %s", got)
	}
}

func testBanks(s *suite) {
	if s.provider.Banks == nil {
		return
	}
	ref := s.approved()
	added, err := s.provider.Banks.AddBank(s.ctx(), ref, flow)
	if err != nil {
		s.Fatalf("add a bank: %v", s.hear(err))
	}
	s.wantLink(&added.Link)
	if got := s.follow(s.state(s.newer(ref, added.Ref))); got.Status != consentv1.Consent_AUTHORIZED {
		s.Errorf("while a bank is added the consent is %s", got.Status)
	}
}

func testRevoke(s *suite) {
	ref := s.approved()
	for range 2 { // the second finds it gone, which is no error
		if err := s.provider.Consents.RevokeConsent(s.ctx(), ref); err != nil {
			s.Fatalf("revoke: %v", s.hear(err))
		}
	}
	accounts, err := s.provider.Accounts.ListAccounts(s.ctx(), ref)
	if s.hear(err) == nil && len(accounts) > 0 {
		s.Errorf("%d accounts can still be read", len(accounts))
	}
}

func testSimulator(s *suite) {
	if s.provider.Simulator == nil {
		return
	}
	for approve, want := range map[bool]consentv1.Decision_Value{
		true: consentv1.Decision_APPROVED, false: consentv1.Decision_REVOKED,
	} {
		created := s.create()
		if err := s.provider.Simulator.SimulateDecision(s.ctx(), created.Ref, approve); err != nil {
			s.Fatal(s.hear(err))
		}
		if got := s.follow(created.State, s.state(created.Ref)).Decision; got != want {
			s.Errorf("approved %t: the decision is %s", approve, got)
		}
	}
}
