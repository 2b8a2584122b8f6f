package consents

import (
	"context"
	"sync/atomic"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/callbacks"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/once"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// CreateConsent implements consentv1.ConsentServiceServer.
func (s *Server) CreateConsent(ctx context.Context, req *consentv1.CreateConsentRequest) (*consentv1.Consent, error) {
	tenant, wanted := service.TenantOf(ctx), req.GetConsent()
	p, market, err := s.Tenants.Choose(tenant, wanted.GetProvider(), wanted.GetMarket())
	if err != nil {
		return nil, err
	}
	if err := service.Need(p, "CreateConsent"); err != nil {
		return nil, err
	}
	if err := s.checkRedirects(tenant, wanted.GetRedirectUris()); err != nil {
		return nil, err
	}
	if p.NeedsRedirects {
		if err := needRedirects(wanted.GetRedirectUris()); err != nil {
			return nil, err
		}
	}
	do := once.DoAtOnce[*consentv1.CreateConsentRequest, *consentv1.Consent]
	if p.Users != nil || p.OneConsentPerUser { // A user is made, or the provider asked, before the consent is.
		do = once.Do
	}
	var made atomic.Pointer[consentv1.Consent]
	answer, err := do(ctx, s.Once, "CreateConsent", req,
		func(ctx context.Context, attempt *once.Attempt) (*consentv1.Consent, error) {
			fresh, err := s.createConsent(ctx, attempt, p, market, req)
			made.Store(fresh)
			return fresh, err
		})
	if name := wanted.GetCustomer(); name != "" && kerr.Reason(err) == errorv1.Error_OUTCOME_UNKNOWN {
		err = kerr.With(err, "customer", name) // Their consents tell what became of it.
	}
	if answer != nil && answer == made.Load() {
		return answer, err // No need to look whether another link was issued since.
	}
	return s.withLiveLink(ctx, answer), err
}

func (s *Server) createConsent(
	ctx context.Context, attempt *once.Attempt, p *providers.Provider, market string,
	req *consentv1.CreateConsentRequest,
) (*consentv1.Consent, error) {
	wanted := req.GetConsent()
	customer, saved, own, err := s.consentCustomer(ctx, attempt, req)
	if err != nil {
		return nil, err
	}
	if saved {
		if err := s.mayReplace(ctx, p, attempt.Tenant, customer.ID); err != nil {
			return nil, err
		}
	}
	attempt.CustomerID = customer.ID
	row := s.newConsent(attempt.Tenant, p, market, customer, wanted, req.GetPsu())
	request := providers.NewConsent{
		Market: market, PartnerBank: row.PartnerBank, Access: row.Resource.GetAccess(),
		DataCollection: row.Resource.GetDataCollection(),
		Psu:            req.GetPsu(), BrokerBanks: wanted.GetBrokerBanks(), IdempotencyKey: attempt.ProviderKey(),
	}
	session := s.Sessions.New(row, 1)
	request.Redirects = session.Redirects
	if p.Users != nil {
		if request.UserID, err = s.Customers.EnsureUser(ctx, attempt, p, customer, saved); err != nil {
			return nil, err
		}
		if err := s.leaveNoLogin(ctx, attempt, p, row, request.UserID, saved); err != nil {
			return nil, err
		}
		saved = true
	}
	attempt.Repeatable = p.RepeatsConsents
	if err := attempt.Intend(ctx, p, "create_consent", service.ConsentName(row.ID), nil); err != nil {
		return nil, err
	}
	created, err := p.Consents.CreateConsent(ctx, request)
	if err != nil {
		failure := attempt.Abandon(ctx, err, nil)
		if own && p.Users != nil {
			s.dropUser(ctx, attempt, p, customer)
		}
		return nil, failure
	}
	s.History.Name(row, created.Ref)
	attempt.ConsentID = row.ID
	var stored *store.Consent
	err = s.Store.Update(ctx, attempt.Tenant, func(tx store.Tx) error {
		if err := s.takePlace(tx, attempt, p, row); err != nil {
			return err
		}
		if !saved {
			if err := s.Customers.Insert(ctx, tx, customer); err != nil {
				return err
			}
		}
		fresh := *row
		if err := s.startConsent(tx, &fresh, created, session); err != nil {
			return err
		}
		if err := s.Audit.Note(ctx, tx, "CreateConsent", fresh.Resource.GetName()); err != nil {
			return err
		}
		if err := attempt.Done(tx, fresh.Resource); err != nil {
			return err
		}
		stored = &fresh
		return nil
	})
	if kerr.Reason(err) == errorv1.Error_CONSENT_EXISTS {
		return nil, attempt.Abandon(ctx, err, nil)
	}
	if err != nil {
		return nil, s.notStored(ctx, attempt, p, customer, saved, created.Ref, err)
	}
	s.Follower.Attend(stored)
	return stored.Resource, nil
}

// notStored tells a caller that a consent was made at its provider and not stored. When that is since its customer, who
// was saved, was deleted meanwhile, it ends the consent there: the receipt tells that nothing of theirs is left. Where
// customers have users, it went with the user.
func (s *Server) notStored(
	ctx context.Context, attempt *once.Attempt, p *providers.Provider, customer *store.Customer, saved bool,
	ref providers.ConsentRef, cause error,
) error {
	_, gone := s.Load.Customer(ctx, customer.Resource.GetName())
	if !saved || kerr.Reason(gone) != errorv1.Error_CUSTOMER_NOT_FOUND {
		return attempt.Unrecorded(ctx, p, "create_consent", cause)
	}
	if p.Users == nil {
		if err := p.Consents.RevokeConsent(ctx, ref); !service.Over(err) {
			return attempt.Unrecorded(ctx, p, "create_consent", err)
		}
	}
	return gone
}

// mayReplace refuses a second consent of a customer where the provider knows one for each user. Before the place of one
// that was never approved is taken, the provider is asked: the customer may have come to the pages late.
func (s *Server) mayReplace(ctx context.Context, p *providers.Provider, tenant, customerID string) error {
	if !p.OneConsentPerUser {
		return nil
	}
	for look := range 2 {
		replaced, err := s.Load.MayReplace(ctx, tenant, customerID, p.ID, s.Clock.Now())
		if err != nil || look > 0 {
			return err
		}
		for _, old := range replaced {
			if _, err := s.Follower.Current(ctx, old); err != nil {
				return err
			}
		}
		if len(replaced) == 0 {
			return nil
		}
	}
	return nil
}

// leaveNoLogin sees to it that a user has no bank connected when they are sent to connect one: it would be there
// twice, and a permission that nobody gave would follow from it. What no consent of the customer's stands for is left
// over from one that ended, and goes. A user who was not known before has nothing.
func (s *Server) leaveNoLogin(
	ctx context.Context, attempt *once.Attempt, p *providers.Provider, row *store.Consent, user string, known bool,
) error {
	if !known || !p.OneConsentPerUser {
		return nil
	}
	left := *row
	left.ProviderRef = user
	ref, err := s.History.Ref(ctx, &left)
	if err != nil {
		return err
	}
	state, err := p.Consents.GetConsent(ctx, ref)
	switch {
	case providers.KindOf(err) == providers.KindNotFound: // nothing was ever connected
		return nil
	case err != nil:
		return service.CallError(err)
	case len(state.Connections) == 0:
		return nil
	}
	// The provider may have answered late, or this process stood still: what is connected by now may be what the
	// customer agreed to with a consent that somebody else made meanwhile.
	err = attempt.Update(ctx, func(tx store.Tx) error {
		if err := attempt.Own(tx); err != nil {
			return err
		}
		if _, err := service.Replaced(tx, p, row, s.Clock.Now()); err != nil {
			return err
		}
		return attempt.GoOn(ctx)
	})
	if err != nil {
		return err
	}
	if err := p.Consents.RevokeConsent(ctx, ref); !service.Over(err) {
		return service.CallError(err)
	}
	return nil
}

// takePlace tells, in the transaction that stores a new consent, whether it is this attempt's to store, and ends those
// whose place it takes. Whoever took the request over has made the same customer's consent: that comes first, since it
// is no reason to refuse this one.
func (s *Server) takePlace(tx store.Tx, attempt *once.Attempt, p *providers.Provider, row *store.Consent) error {
	if err := attempt.Own(tx); err != nil {
		return err
	}
	now := s.Clock.Now()
	replaced, err := service.Replaced(tx, p, row, now)
	if err != nil {
		return err
	}
	for _, old := range replaced {
		if _, err := s.History.Extend(tx, old, consent.Superseded(old.Flow, now)); err != nil {
			return err
		}
	}
	return nil
}

// newConsent makes the row of a consent to ask for.
func (s *Server) newConsent(
	tenant string, p *providers.Provider, market string, customer *store.Customer, wanted *consentv1.Consent,
	who *consentv1.Psu,
) *store.Consent {
	row := &store.Consent{
		Tenant: tenant, ID: service.NewID(), CustomerID: customer.ID, Provider: p.ID,
		PartnerBank: service.PartnerBankID(wanted.GetPartnerBank()), Market: market,
		Redirects: proto.CloneOf(wanted.GetRedirectUris()),
		Reference: s.Keys.Lookup(keys.ConsentReference, tenant, wanted.GetReference()),
		Resource: &consentv1.Consent{
			Customer: customer.Resource.GetName(),
			Provider: service.ProviderName(p.ID), Market: market,
			Access: wanted.GetAccess(), DataCollection: wanted.GetDataCollection(),
			RedirectUris: proto.CloneOf(wanted.GetRedirectUris()),
			Reference:    optional.Of(wanted.GetReference()), Origin: p.ConsentOrigin,
			IdentityMatch: consentv1.IdentityMatch_UNKNOWN,
		},
	}
	row.Asked = s.History.Asked(row, who)
	if row.Resource.GetAccess() == consentv1.Access_VALUE_UNSPECIFIED {
		row.Resource.Access = consentv1.Access_RECURRING
	}
	if row.Resource.GetDataCollection() == consentv1.DataCollection_VALUE_UNSPECIFIED {
		row.Resource.DataCollection = consentv1.DataCollection_TRANSACTION_CATEGORISATION
	}
	return row
}

// startConsent inserts a consent with its first events.
func (s *Server) startConsent(
	tx store.Tx, row *store.Consent, created *providers.CreatedConsent, session callbacks.Session,
) error {
	now := s.Clock.Now()
	row.Resource = proto.CloneOf(row.Resource)
	row.Resource.Name = service.ConsentName(row.ID)
	row.Resource.CreateTime = timestamppb.New(now)
	row.Resource.Status = consentv1.Consent_AWAITING_AUTHORIZATION
	first := consent.Created(now, "The consent was made.")
	report := created.State
	for _, o := range report.Observations {
		if o.Key == first.Key { // the provider reports it, too
			first.ProviderCode = o.ProviderCode
			if !o.Time.IsZero() {
				first.EventTime = o.Time
			}
		}
	}
	return s.History.Begin(tx, row, func(tx store.Tx) error {
		if _, err := s.History.Extend(tx, row, first); err != nil {
			return err
		}
		if err := s.Sessions.Issue(tx, row, created.Link, session); err != nil {
			return err
		}
		return s.History.Observe(tx, row, report)
	})
}

// consentCustomer gives the customer of a new consent: the named one, or one of the request's own, which is
// not saved yet, unless a process stopped after it was.
func (s *Server) consentCustomer(
	ctx context.Context, attempt *once.Attempt, req *consentv1.CreateConsentRequest,
) (customer *store.Customer, saved, own bool, err error) {
	if name := req.GetConsent().GetCustomer(); name != "" {
		customer, err = s.Load.Customer(ctx, name)
		return customer, true, false, err
	}
	id := attempt.NewID()
	if attempt.Resumed {
		customer, err = s.Load.Customer(ctx, service.CustomerName(id))
		if kerr.Reason(err) != errorv1.Error_CUSTOMER_NOT_FOUND {
			return customer, true, true, err
		}
	}
	customerType := req.GetCustomerType()
	if customerType == customerv1.Customer_TYPE_UNSPECIFIED {
		customerType = customerv1.Customer_PERSON
	}
	return s.Customers.New(attempt.Tenant, id, &customerv1.Customer{Type: customerType}), false, true, nil
}

// dropUser takes back the customer and the user that were made for a consent that then failed. When that fails too,
// ListProviderUsers shows the user as an orphan.
func (s *Server) dropUser(
	ctx context.Context, attempt *once.Attempt, p *providers.Provider, customer *store.Customer,
) {
	if err := s.Customers.Withdraw(ctx, attempt, customer); err != nil {
		s.Log.WarnContext(ctx, "a user was left at the provider", "provider", p.ID,
			"customer", customer.Resource.GetName(), "error", err.Error())
	}
}
