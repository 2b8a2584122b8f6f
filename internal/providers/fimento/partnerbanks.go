package fimento

import (
	"context"
	"net/url"
	"strconv"

	"kontor.dev/kontor/internal/providers"
)

// CreatePartnerBank makes a partner bank.
func (a *adapter) CreatePartnerBank(ctx context.Context, bank providers.PartnerBank) (*providers.PartnerBank, error) {
	body := wireNewPartnerBank{Name: bank.DisplayName, IsBroker: bank.Broker}
	if bank.LogoURI != "" {
		body.LogoURL = &bank.LogoURI
	}
	return a.partnerBank(ctx, request{Operation: opCreatePartnerBank, Body: body})
}

// UpdatePartnerBank sets all fields. An empty logo is sent too, so that it replaces the one before.
func (a *adapter) UpdatePartnerBank(ctx context.Context, bank providers.PartnerBank) (*providers.PartnerBank, error) {
	body := wireNewPartnerBank{Name: bank.DisplayName, IsBroker: bank.Broker, LogoURL: &bank.LogoURI}
	return a.partnerBank(ctx,
		request{Operation: opUpdatePartnerBank, Path: map[string]string{paramID: bank.ID}, Body: body})
}

// ListPartnerBanks lists a page.
func (a *adapter) ListPartnerBanks(ctx context.Context, page, size int) ([]providers.PartnerBank, error) {
	query := url.Values{"page": {strconv.Itoa(page)}, "limit": {strconv.Itoa(size)}}
	var listed wirePartnerBanks
	if err := a.do(ctx, request{Operation: opListPartnerBanks, Query: query}, &listed); err != nil {
		return nil, err
	}
	banks := make([]providers.PartnerBank, len(listed.list))
	for i, bank := range listed.list {
		banks[i] = partnerBankOf(bank)
	}
	return banks, nil
}

// partnerBank sends a request that must be answered with a partner bank.
func (a *adapter) partnerBank(ctx context.Context, r request) (*providers.PartnerBank, error) {
	var answered wirePartnerBank
	if err := a.do(ctx, r, &answered); err != nil {
		return nil, err
	}
	bank := partnerBankOf(answered)
	return &bank, nil
}
