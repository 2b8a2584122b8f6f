package service

import (
	"context"
	"strconv"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// CreateConsent implements consentv1.ConsentServiceServer.
func (s *consentServer) CreateConsent(ctx context.Context, req *consentv1.CreateConsentRequest) (*consentv1.Consent, error) {
	tenant, wanted := tenantOf(ctx), req.GetConsent()
	p, market, err := s.chooseProvider(tenant, wanted.GetProvider(), wanted.GetMarket())
	if err != nil {
		return nil, err
	}
	if err := need(p, "CreateConsent"); err != nil {
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
	return create(ctx, s.Service, "CreateConsent", req, func(ctx context.Context, c *creation) (*consentv1.Consent, error) {
		return s.createConsent(ctx, c, p, market, req)
	})
}

func (s *Service) createConsent(ctx context.Context, c *creation, p *providers.Provider, market string, req *consentv1.CreateConsentRequest) (*consentv1.Consent, error) {
	wanted := req.GetConsent()
	customer, saved, own, err := s.consentCustomer(ctx, c, req)
	if err != nil {
		return nil, err
	}
	if saved && p.OneConsentPerUser {
		if err := s.checkNoLiveConsent(ctx, c.tenant, customer.ID, p.ID); err != nil {
			return nil, err
		}
	}
	row := newConsent(c.tenant, p, market, customer, wanted)
	request := providers.NewConsent{
		Market: market, PartnerBank: row.PartnerBank, Access: row.Resource.GetAccess(), DataCollection: row.Resource.GetDataCollection(),
		Psu: req.GetPsu(), BrokerBanks: wanted.GetBrokerBanks(), IdempotencyKey: c.providerKey(),
	}
	session := s.newSession(row, 1)
	request.Redirects = session.redirects
	if p.Users != nil {
		if request.UserID, err = s.ensureUser(ctx, c, p, customer, saved); err != nil {
			return nil, err
		}
		saved = true
	}
	// A provider that takes an idempotency key recognises the repetition after a lost answer; one with users makes nothing new.
	c.repeatable = true
	if err := c.intend(ctx, p, "create_consent", consentName(row.ID), nil); err != nil {
		return nil, err
	}
	created, err := p.Consents.CreateConsent(ctx, request)
	if err != nil {
		failure := c.abandon(ctx, err, nil)
		if own && p.Users != nil {
			s.dropUser(ctx, p, customer)
		}
		return nil, failure
	}
	row.ProviderRef, row.PartnerBank = created.Ref.ID, created.Ref.PartnerBank
	row.Resource.ProviderReference = created.Ref.ID
	if row.PartnerBank != "" {
		row.Resource.PartnerBank = partnerBankName(row.PartnerBank)
	}
	err = s.update(ctx, func(tx store.Tx) error {
		if !saved {
			if err := s.insertCustomer(ctx, tx, customer); err != nil {
				return err
			}
		}
		if err := s.noLiveConsent(tx, p, row); err != nil {
			return err
		}
		fresh := *row
		if err := s.startConsent(tx, &fresh, created, session); err != nil {
			return err
		}
		if err := s.audit(ctx, tx, "CreateConsent", fresh.Resource.GetName()); err != nil {
			return err
		}
		if err := c.done(tx, fresh.Resource); err != nil {
			return err
		}
		row = &fresh
		return nil
	})
	if kerr.Reason(err) == errorv1.Error_CONSENT_FLOW_ALREADY_OPEN {
		return nil, c.abandon(ctx, err, nil)
	}
	if err != nil {
		return nil, c.unrecorded(ctx, p, "create_consent", err)
	}
	s.follower.watch(row)
	return row.Resource, nil
}

// newConsent makes the row of a consent to ask for.
func newConsent(tenant string, p *providers.Provider, market string, customer *store.Customer, wanted *consentv1.Consent) *store.Consent {
	row := &store.Consent{
		Tenant: tenant, ID: newID(), CustomerID: customer.ID, Provider: p.ID, PartnerBank: partnerBankID(wanted.GetPartnerBank()), Market: market,
		Redirects: proto.CloneOf(wanted.GetRedirectUris()),
		Resource: &consentv1.Consent{
			Customer: customer.Resource.GetName(), CustomerType: customer.Resource.GetType(), Provider: providerName(p.ID), Market: market,
			Access: wanted.GetAccess(), DataCollection: wanted.GetDataCollection(), RedirectUris: proto.CloneOf(wanted.GetRedirectUris()),
			Reference: wanted.GetReference(), Origin: p.ConsentOrigin,
		},
	}
	if row.Resource.GetAccess() == consentv1.Consent_ACCESS_UNSPECIFIED {
		row.Resource.Access = consentv1.Consent_RECURRING
	}
	if row.Resource.GetDataCollection() == consentv1.Consent_DATA_COLLECTION_UNSPECIFIED {
		row.Resource.DataCollection = consentv1.Consent_TRANSACTION_CATEGORISATION
	}
	return row
}

// startConsent inserts a consent with its first events.
func (s *Service) startConsent(tx store.Tx, row *store.Consent, created *providers.CreatedConsent, session session) error {
	now := s.now()
	row.Resource = proto.CloneOf(row.Resource)
	row.Resource.Name = consentName(row.ID)
	row.Resource.CreateTime = timestamppb.New(now)
	row.Resource.Status = consentv1.Consent_AWAITING_AUTHORIZATION
	if err := tx.InsertConsent(row); err != nil {
		return err
	}
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
	if _, err := s.extend(tx, row, first); err != nil {
		return err
	}
	if err := s.issueLink(tx, row, created.Link, session); err != nil {
		return err
	}
	return s.observe(tx, row, report)
}

// consentCustomer gives the customer of a new consent: the named one, or one of the request's own, which is not saved yet, unless a process
// stopped after it was.
func (s *Service) consentCustomer(ctx context.Context, c *creation, req *consentv1.CreateConsentRequest) (customer *store.Customer, saved, own bool, err error) {
	if name := req.GetConsent().GetCustomer(); name != "" {
		customer, err = s.loadCustomer(ctx, name)
		return customer, true, false, err
	}
	id := c.newID()
	if c.resumed {
		customer, err = s.loadCustomer(ctx, customerName(id))
		if kerr.Reason(err) != errorv1.Error_CUSTOMER_NOT_FOUND {
			return customer, true, true, err
		}
	}
	customerType := req.GetCustomerType()
	if customerType == customerv1.Customer_TYPE_UNSPECIFIED {
		customerType = req.GetConsent().GetCustomerType()
	}
	if customerType == customerv1.Customer_TYPE_UNSPECIFIED {
		customerType = customerv1.Customer_PERSON
	}
	return s.newCustomer(c.tenant, id, &customerv1.Customer{Type: customerType}), false, true, nil
}

// dropUser takes back a user that was made for a consent that then failed. When that fails too, ListProviderUsers shows it as an orphan.
func (s *Service) dropUser(ctx context.Context, p *providers.Provider, customer *store.Customer) {
	if _, err := s.deleteCustomer(ctx, customer); err != nil {
		s.log.WarnContext(ctx, "a user was left at the provider", "provider", p.ID, "customer", customer.Resource.GetName(),
			"error", err.Error())
	}
}

// liveStatuses are those of a consent that still stands, or may.
var liveStatuses = []consentv1.Consent_Status{
	consentv1.Consent_AWAITING_AUTHORIZATION, consentv1.Consent_AUTHORIZED, consentv1.Consent_AWAITING_REAUTHORIZATION,
	consentv1.Consent_EXPIRED, consentv1.Consent_FAILED,
}

// checkNoLiveConsent refuses a second consent of a customer where the provider knows only one.
func (s *Service) checkNoLiveConsent(ctx context.Context, tenant, customerID, provider string) error {
	return s.view(ctx, func(r store.Reader) error { return liveConsent(r, tenant, customerID, provider, "") })
}

func (s *Service) noLiveConsent(tx store.Tx, p *providers.Provider, row *store.Consent) error {
	if !p.OneConsentPerUser {
		return nil
	}
	return liveConsent(tx, row.Tenant, row.CustomerID, p.ID, row.ID)
}

func liveConsent(r store.Reader, tenant, customerID, provider, except string) error {
	rows, err := r.Consents(tenant, store.ConsentFilter{CustomerID: customerID, Provider: provider, Statuses: liveStatuses}, store.Page{Size: 2})
	if err != nil {
		return err
	}
	for _, have := range rows {
		if have.ID != except && !have.Ended {
			return kerr.New(errorv1.Error_CONSENT_FLOW_ALREADY_OPEN,
				"the customer has a consent at this provider already: add a bank or renew the link there",
				kerr.WithMetadata("consent", have.Resource.GetName()), kerr.WithMetadata(kerr.KeyProvider, provider))
		}
	}
	return nil
}

// loadConsent loads a consent of the caller's tenant, and its provider, by the consent's name or that of something under it.
func (s *Service) loadConsent(ctx context.Context, name string) (*store.Consent, *providers.Provider, error) {
	var row *store.Consent
	err := s.view(ctx, func(r store.Reader) (err error) {
		row, err = r.Consent(tenantOf(ctx), consentSegment(name))
		return found(err, errorv1.Error_CONSENT_NOT_FOUND, "consent")
	})
	if err != nil {
		return nil, nil, err
	}
	p, err := s.provider(row.Tenant, row.Provider)
	return row, p, err
}

// GetConsent implements consentv1.ConsentServiceServer.
func (s *consentServer) GetConsent(ctx context.Context, req *consentv1.GetConsentRequest) (*consentv1.Consent, error) {
	row, _, err := s.loadConsent(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	if req.GetRefresh() {
		if row, err = s.refresh(ctx, row); err != nil {
			return nil, err
		}
	}
	return row.Resource, nil
}

// ListConsents implements consentv1.ConsentServiceServer.
func (s *consentServer) ListConsents(ctx context.Context, req *consentv1.ListConsentsRequest) (*consentv1.ListConsentsResponse, error) {
	tenant, size := tenantOf(ctx), pageSize(req.GetPageSize())
	filter := store.ConsentFilter{Reference: req.GetReference(), Statuses: req.GetStatuses()}
	if req.GetCustomer() != "" {
		filter.CustomerID = lastSegment(req.GetCustomer())
	}
	scope := []string{tenant, "consents", filter.CustomerID, filter.Reference}
	for _, status := range filter.Statuses {
		scope = append(scope, status.String())
	}
	after, err := decodeToken(req.GetPageToken(), "pageToken", scope...)
	if err != nil {
		return nil, err
	}
	resp := &consentv1.ListConsentsResponse{}
	err = s.view(ctx, func(r store.Reader) error {
		rows, err := r.Consents(tenant, filter, store.Page{After: after, Size: size + 1})
		if err != nil {
			return err
		}
		if len(rows) > size {
			rows = rows[:size]
			resp.NextPageToken = encodeToken(rows[size-1].ID, scope...)
		}
		for _, row := range rows {
			resp.Consents = append(resp.Consents, row.Resource)
		}
		return nil
	})
	return resp, err
}

// ListConsentEvents implements consentv1.ConsentServiceServer.
func (s *consentServer) ListConsentEvents(ctx context.Context, req *consentv1.ListConsentEventsRequest) (*consentv1.ListConsentEventsResponse, error) {
	row, _, err := s.loadConsent(ctx, req.GetParent())
	if err != nil {
		return nil, err
	}
	scope := []string{row.Tenant, "events", row.ID}
	cursor, err := decodeToken(req.GetPageToken(), "pageToken", scope...)
	if err != nil {
		return nil, err
	}
	after, _ := strconv.ParseInt(cursor, 10, 64)
	size := pageSize(req.GetPageSize())
	resp := &consentv1.ListConsentEventsResponse{}
	err = s.view(ctx, func(r store.Reader) error {
		events, err := r.Events(row.Tenant, row.ID, after, size+1)
		if err != nil {
			return err
		}
		if len(events) > size {
			events = events[:size]
			resp.NextPageToken = encodeToken(strconv.FormatInt(events[size-1].Sequence, 10), scope...)
		}
		for _, e := range events {
			resp.Events = append(resp.Events, eventResource(row.ID, e))
		}
		return nil
	})
	return resp, err
}

// RevokeConsent implements consentv1.ConsentServiceServer. Revoking what is revoked already changes nothing.
func (s *consentServer) RevokeConsent(ctx context.Context, req *consentv1.RevokeConsentRequest) (*consentv1.Consent, error) {
	row, p, err := s.loadConsent(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return detached(ctx, s.Service, func(ctx context.Context) (*consentv1.Consent, error) {
		row, err := s.end(ctx, "RevokeConsent", p, row, false)
		if err != nil {
			return nil, err
		}
		return row.Resource, nil
	})
}

// DeleteConsent implements consentv1.ConsentServiceServer.
func (s *consentServer) DeleteConsent(ctx context.Context, req *consentv1.DeleteConsentRequest) (*emptypb.Empty, error) {
	row, p, err := s.loadConsent(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return detached(ctx, s.Service, func(ctx context.Context) (*emptypb.Empty, error) {
		if _, err := s.end(ctx, "DeleteConsent", p, row, true); err != nil {
			return nil, err
		}
		return &emptypb.Empty{}, nil
	})
}

// end ends a consent at its provider and notes it here, or removes it here too.
func (s *Service) end(ctx context.Context, method string, p *providers.Provider, row *store.Consent, remove bool) (*store.Consent, error) {
	if !row.Ended {
		if err := p.Consents.RevokeConsent(ctx, refOf(row)); err != nil {
			return nil, callError(err)
		}
	}
	err := s.update(ctx, func(tx store.Tx) error {
		fresh, err := tx.Consent(row.Tenant, row.ID)
		if err != nil {
			return found(err, errorv1.Error_CONSENT_NOT_FOUND, "consent")
		}
		event := consent.RevokedByCaller(fresh.Flow, s.now())
		if remove {
			event = consent.Deleted(fresh.Flow, s.now())
		}
		if _, err := s.extend(tx, fresh, event); err != nil {
			return err
		}
		if remove {
			if err := tx.DeleteConsent(fresh.Tenant, fresh.ID); err != nil {
				return err
			}
		}
		row = fresh
		return s.audit(ctx, tx, method, fresh.Resource.GetName())
	})
	return row, err
}

// SimulateDecision implements consentv1.ConsentServiceServer.
func (s *consentServer) SimulateDecision(ctx context.Context, req *consentv1.SimulateDecisionRequest) (*consentv1.Consent, error) {
	row, p, err := s.loadConsent(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	if err := need(p, "SimulateDecision"); err != nil {
		return nil, err
	}
	if row.Ended {
		return nil, kerr.New(errorv1.Error_CONSENT_REVOKED, "the consent was revoked")
	}
	return detached(ctx, s.Service, func(ctx context.Context) (*consentv1.Consent, error) {
		if err := p.Simulator.SimulateDecision(ctx, refOf(row), req.GetDecision() == consentv1.Decision_APPROVED); err != nil {
			return nil, callError(err)
		}
		if err := s.auditAlone(ctx, "SimulateDecision", row.Resource.GetName()); err != nil {
			return nil, err
		}
		row, err := s.refresh(ctx, row)
		if err != nil {
			return nil, err
		}
		return row.Resource, nil
	})
}
