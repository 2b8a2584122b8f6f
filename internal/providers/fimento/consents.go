package fimento

import (
	"context"
	"errors"
	"slices"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/providers"
)

// linkTTL is how long a consent link works. Its time of issue is not returned, so this counts from receipt.
const linkTTL = 24 * time.Hour

// CreateConsent starts a process. Once that has been answered the process exists, whatever the answer lacks: an answer
// without an id or a link is an error that says so, since to ask again without the idempotency key would make another
// process.
func (a *adapter) CreateConsent(ctx context.Context, consent providers.NewConsent) (*providers.CreatedConsent, error) {
	if !slices.ContainsFunc(markets, func(m providers.Market) bool { return m.Code == consent.Market }) {
		return nil, a.invalidField(opCreateProcess, "consent.market")
	}
	header, err := a.withPartnerBank(opCreateProcess, consent.PartnerBank)
	if err != nil {
		return nil, err
	}
	if consent.IdempotencyKey != "" {
		header.Set(headerIdempotency, consent.IdempotencyKey)
	}
	var process wireCreatedProcess
	if err := a.do(ctx, request{Operation: opCreateProcess, Header: header, Body: processBody(consent)},
		&process); err != nil {
		return nil, err
	}
	return &providers.CreatedConsent{
		Ref: providers.ConsentRef{
			ID: string(process.ID), PartnerBank: header.Get(headerPartnerBank), Market: consent.Market,
		},
		Link:  providers.Link{URI: process.Link, TTL: linkTTL},
		State: a.reportOf(&process.wireProcess, consent.Market),
	}, nil
}

// GetConsent reads the process.
func (a *adapter) GetConsent(ctx context.Context, ref providers.ConsentRef) (*providers.ConsentState, error) {
	r, err := a.ofConsent(opGetProcess, ref)
	if err != nil {
		return nil, err
	}
	process := wireProcess{asked: ref.ID}
	if err := a.do(ctx, r, &process); err != nil {
		return nil, err
	}
	state := a.reportOf(&process, ref.Market)
	return &state, nil
}

// reportOf turns a process into what Kontor knows of it.
func (a *adapter) reportOf(process *wireProcess, market string) providers.ConsentState {
	state := reportOf(process, a.clock())
	state.Identity = identityOf(process, state, market)
	if state.Identity != nil {
		state.Identity.Authenticated = a.cfg.IdentitySource == AuthenticatedIDs
	}
	return state
}

// RenewLink issues another link. The process keeps its redirect address: Fimento takes none here.
func (a *adapter) RenewLink(
	ctx context.Context, ref providers.ConsentRef, _ providers.Flow,
) (*providers.Issued, error) {
	return a.link(ctx, opNewConsentLink, ref)
}

// AddBank opens another flow. While the one before is undecided Fimento refuses, with a status that it does not
// document: a conflict, wherever the process says that it is undecided. The process keeps its redirect address: Fimento
// takes none here. When the flow is open and its answer of no use, RenewLink gets its link.
func (a *adapter) AddBank(ctx context.Context, ref providers.ConsentRef, _ providers.Flow) (*providers.Issued, error) {
	issued, err := a.link(ctx, opNewConsentFlow, ref)
	refusal, ok := errors.AsType[*providers.Error](err)
	if !ok || refusal.Kind != providers.KindRejected {
		return issued, err
	}
	if open, unread := a.undecided(ctx, ref); unread != nil || !open {
		return nil, err
	}
	conflict := *refusal
	conflict.Kind = providers.KindConflict
	return nil, &conflict
}

// undecided tells whether the customer has yet to decide in the process's newest flow.
func (a *adapter) undecided(ctx context.Context, ref providers.ConsentRef) (bool, error) {
	r, err := a.ofConsent(opGetProcess, ref)
	if err != nil {
		return false, err
	}
	var process wireProcess
	if err := a.do(ctx, r, &process); err != nil {
		return false, err
	}
	flow := process.ConsentFlowStatus.Consent
	return flow != decisionApproved && flow != decisionRevoked, nil
}

// RevokeConsent deletes the process with its data.
func (a *adapter) RevokeConsent(ctx context.Context, ref providers.ConsentRef) error {
	r, err := a.ofConsent(opDeleteProcess, ref)
	if err != nil {
		return err
	}
	return providers.Ignore(a.do(ctx, r, nil), opDeleteProcess, providers.KindNotFound)
}

// link sends a request that must be answered with a link.
func (a *adapter) link(ctx context.Context, operation string, ref providers.ConsentRef) (*providers.Issued, error) {
	r, err := a.ofConsent(operation, ref)
	if err != nil {
		return nil, err
	}
	var link wireLink
	if err := a.do(ctx, r, &link); err != nil {
		return nil, err
	}
	return &providers.Issued{Link: providers.Link{URI: link.URI, TTL: linkTTL}}, nil
}

// processBody leaves out what is empty, psuType above all: the documentation contradicts itself about it.
func processBody(consent providers.NewConsent) wireNewProcess {
	body := wireNewProcess{
		Market:               consent.Market,
		DataCollectionType:   "transaction-categorisation",
		SocialSecurityNumber: consent.Psu.GetNationalId(),
		CompanyID:            consent.Psu.GetCompanyId(),
		FirstName:            consent.Psu.GetFirstName(),
		LastName:             consent.Psu.GetLastName(),
		RedirectURL:          consent.Redirects.Success,
		PsuType:              consent.Psu.GetPsuType(),
	}
	if consent.DataCollection == consentv1.DataCollection_BANK_ACCOUNT_VERIFICATION {
		body.DataCollectionType = "bank-account-verification"
	}
	for _, bank := range consent.BrokerBanks {
		body.BrokerBanks = append(body.BrokerBanks,
			wireBrokerBank{Name: bank.GetName(), ID: bank.GetId(), LogoURI: bank.GetLogoUri()})
	}
	return body
}
