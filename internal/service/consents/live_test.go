package consents_test

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
)

// users gives each customer a user, and remembers which consents were ended and where links lead back to.
type users struct {
	providers.Users
	providers.Consents

	ended []string
	last  providers.Redirects
}

func (u *users) CreateUser(context.Context, providers.NewUser) (string, error) { return "user", nil }

func (u *users) CreateConsent(
	ctx context.Context, asked providers.NewConsent,
) (*providers.CreatedConsent, error) {
	created, err := u.Consents.CreateConsent(ctx, asked)
	if err == nil {
		created.Ref.ID, u.last = asked.UserID, asked.Redirects
	}
	return created, err
}

func (u *users) RevokeConsent(_ context.Context, ref providers.ConsentRef) error {
	u.ended = append(u.ended, ref.ID)
	return nil
}

// atOnePerUser makes a gateway at a provider that keeps one consent for each user, with a consent that waits for the
// customer.
func atOnePerUser(t *testing.T) (p *assemblytest.Gateway, at *users, first *consentv1.Consent) {
	t.Helper()
	at = &users{}
	p = assemblytest.New(t, func(o *assembly.Options, p *providers.Provider) {
		o.Polling.LookInterval = time.Minute
		at.Consents = p.Consents
		p.Users, p.Consents, p.OneConsentPerUser, p.ConsentOrigin = at, at, true, consentv1.ConsentOrigin_SYNTHESISED
		for _, capability := range []providers.Capability{"RevokeConsent", "DeleteConsent", "ListProviderUsers"} {
			p.Capabilities[capability] = providers.Support{Level: providers.Native}
		}
	})
	p.Report(providers.ConsentState{Stateful: true}, nil)
	first, err := ask(p, "")
	if err != nil {
		t.Fatal(err)
	}
	return p, at, first
}

// seldom has consents that are due looked for seldom: days pass.
func seldom(o *assembly.Options, _ *providers.Provider) { o.Polling.LookInterval = time.Minute }

func ask(p *assemblytest.Gateway, customer string) (*consentv1.Consent, error) {
	return p.Servers.Consent.CreateConsent(p.Ctx, &consentv1.CreateConsentRequest{Consent: &consentv1.Consent{
		Customer: customer, Market: "SE", RedirectUris: &consentv1.Consent_RedirectUris{
			Success: optional.Of("https://app.example.com/done"),
		},
	}})
}

func failure[Resp any](_ Resp, err error) error { return err }

func accountsOf(consent string) *bankingv1.ListAccountsRequest {
	return &bankingv1.ListAccountsRequest{Parent: consent}
}

// newest is the type of a consent's last event.
func newest(t *testing.T, p *assemblytest.Gateway, name string) consentv1.ConsentEvent_Type {
	t.Helper()
	events, err := p.Servers.Consent.ListConsentEvents(p.Ctx, &consentv1.ListConsentEventsRequest{Parent: name})
	if err != nil {
		t.Fatal(err)
	}
	return events.GetEvents()[len(events.GetEvents())-1].GetType()
}

func redirect(t *testing.T, p *assemblytest.Gateway, back, want string) {
	t.Helper()
	_, token, _ := strings.Cut(back, "/callbacks/redirects/")
	token, outcome, _ := strings.Cut(token, "/")
	location, err := p.Callbacks.Redirect(t.Context(), token, outcome, url.Values{})
	if err != nil || location != want {
		t.Errorf("%s leads to %q, %v", outcome, location, err)
	}
}

func get(t *testing.T, p *assemblytest.Gateway, name string) *consentv1.Consent {
	t.Helper()
	got, err := p.Servers.Consent.GetConsent(p.Ctx, &consentv1.GetConsentRequest{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// A consent that was never approved and whose link is over makes room for a new one. It stays as it is.
func TestUnusedConsentsMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, at, first := atOnePerUser(t)
		back := at.last.Success
		_, err := ask(p, first.GetCustomer())
		if kerr.Reason(err) != errorv1.Error_CONSENT_EXISTS || kerr.Metadata(err)["consent"] != first.GetName() {
			t.Fatalf("while its link is open: %v", err)
		}
		assemblytest.Pass(25 * time.Hour)
		if over := get(t, p, first.GetName()); over.GetStatus() != consentv1.Consent_EXPIRED {
			t.Fatalf("its link is over, and it is %s", over.GetStatus())
		}
		second, err := ask(p, first.GetCustomer())
		if err != nil {
			t.Fatal(err)
		}
		old := get(t, p, first.GetName())
		if old.GetStatus() != consentv1.Consent_EXPIRED || old.GetDecision() != consentv1.Decision_UNDECIDED ||
			old.GetLink().GetUri() != "" {
			t.Errorf("the old one is %v", old)
		}
		if got := newest(t, p, first.GetName()); got != consentv1.ConsentEvent_SUPERSEDED {
			t.Errorf("its last event is %s", got)
		}
		for what, err := range map[string]error{
			"a new link": failure(p.Servers.Consent.RenewConsentLink(p.Ctx,
				&consentv1.RenewConsentLinkRequest{Name: first.GetName()})),
			"its data": failure(p.Servers.Banking.ListAccounts(p.Ctx, accountsOf(first.GetName()))),
		} {
			if kerr.Reason(err) != errorv1.Error_CONSENT_EXPIRED {
				t.Errorf("%s of the old one: %v", what, err)
			}
		}
		// The customer comes back from the old pages, with a bank: that is the new one's.
		p.Report(providers.ConsentState{Stateful: true, Connections: []providers.ConnectionState{
			{ID: "bank", Active: true},
		}}, nil)
		redirect(t, p, back, "https://app.example.com/done")
		assemblytest.Pass(time.Minute)
		if now := get(t, p, first.GetName()); now.GetEventCount() != old.GetEventCount() {
			t.Errorf("the old one became %v", now)
		}
		if now := get(t, p, second.GetName()); now.GetStatus() != consentv1.Consent_AUTHORIZED {
			t.Errorf("the new one is %s", now.GetStatus())
		}
		// Ending the old one ends nothing at the provider.
		if _, err := p.Servers.Consent.RevokeConsent(p.Ctx,
			&consentv1.RevokeConsentRequest{Name: first.GetName()}); err != nil || len(at.ended) > 0 {
			t.Errorf("ending the old one: %v, %v", err, at.ended)
		}
		if now := get(t, p, first.GetName()); now.GetStatus() != consentv1.Consent_EXPIRED ||
			now.GetEventCount() != old.GetEventCount() {
			t.Errorf("ended, the old one is %v", now)
		}
	})
}

// A customer who approved late, behind the link's end, has a live consent: the provider is asked before its place is
// taken.
func TestLateApprovalsStand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, first := atOnePerUser(t)
		assemblytest.Pass(48 * time.Hour)
		p.Report(providers.ConsentState{Stateful: true, Connections: []providers.ConnectionState{
			{ID: "bank", Active: true},
		}}, nil)
		made := p.Made()
		if _, err := ask(p, first.GetCustomer()); kerr.Reason(err) != errorv1.Error_CONSENT_EXISTS || p.Made() != made {
			t.Errorf("a second one: %v", err)
		}
		if now := get(t, p, first.GetName()); now.GetStatus() != consentv1.Consent_AUTHORIZED {
			t.Errorf("the first is %s", now.GetStatus())
		}
	})
}

// Banks that are left over from a consent that ended are nobody's permission: they go before the customer is asked.
func TestNoConnectBesideALogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, at, first := atOnePerUser(t)
		if _, err := p.Servers.Consent.RevokeConsent(p.Ctx,
			&consentv1.RevokeConsentRequest{Name: first.GetName()}); err != nil {
			t.Fatal(err)
		}
		if _, err := ask(p, first.GetCustomer()); err != nil || len(at.ended) != 1 {
			t.Fatalf("with nothing left over: %v, %v", err, at.ended)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		p, at, first := atOnePerUser(t)
		if _, err := p.Servers.Consent.RevokeConsent(p.Ctx,
			&consentv1.RevokeConsentRequest{Name: first.GetName()}); err != nil {
			t.Fatal(err)
		}
		p.Report(providers.ConsentState{Stateful: true, Connections: []providers.ConnectionState{
			{ID: "bank", Active: true},
		}}, nil)
		if _, err := ask(p, first.GetCustomer()); err != nil || len(at.ended) != 2 {
			t.Errorf("with a bank left over: %v, %v", err, at.ended)
		}
	})
}

// What ran out before the customer decided, and the permission that ended, have a reason each.
func TestLinksAndPermissionsRunOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t, seldom)
		row := p.Create(t)
		assemblytest.Pass(25 * time.Hour)
		_, err := p.Servers.Banking.ListAccounts(p.Ctx, accountsOf(row.Resource.GetName()))
		if kerr.Reason(err) != errorv1.Error_LINK_EXPIRED {
			t.Errorf("behind the link's end: %v", err)
		}
	})
}

// The address of a link goes with its time, also where nobody noted yet that it is over.
func TestLinksThatAreOverHaveNoAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t)
		request := &consentv1.CreateConsentRequest{
			Consent: &consentv1.Consent{Provider: "fimento", Market: "SE"}, RequestId: "key-1",
		}
		made, err := p.Servers.Consent.CreateConsent(p.Ctx, request)
		if err != nil || made.GetLink().GetUri() == "" {
			t.Fatal(made, err)
		}
		p.Stop() // nobody notes anything any more
		p = p.Dying(t)
		assemblytest.Pass(24*time.Hour + time.Second)
		again, err := p.Servers.Consent.CreateConsent(p.Ctx, request)
		if err != nil || again.GetLink() == nil || again.GetLink().GetUri() != "" {
			t.Errorf("the remembered answer is %v, %v", again, err)
		}
		if got := get(t, p, made.GetName()); got.GetLink() == nil || got.GetLink().GetUri() != "" {
			t.Errorf("the consent is %v", got)
		}
		list, err := p.Servers.Consent.ListConsents(p.Ctx, &consentv1.ListConsentsRequest{})
		if err != nil || len(list.GetConsents()) != 1 || list.GetConsents()[0].GetLink().GetUri() != "" {
			t.Errorf("the list is %v, %v", list, err)
		}
	})
}
