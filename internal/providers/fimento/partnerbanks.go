package fimento

import (
	"cmp"
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

// wireNewPartnerBank is a partner bank to make or to change. A LogoURL that is nil is left out.
type wireNewPartnerBank struct {
	Name     string  `json:"name"`
	IsBroker bool    `json:"isBroker"`
	LogoURL  *string `json:"logoUrl,omitempty"`
}

type wirePartnerBank struct {
	ID       text `json:"_id"`
	Name     text `json:"name"`
	IsBroker bool `json:"isBroker"`
	LogoURL  text `json:"logoUrl"`
	LogoURI  text `json:"logoUri"` // the documentation has both spellings
}

func (b *wirePartnerBank) check() error {
	if b.ID == "" {
		return missing("_id")
	}
	return nil
}

// wirePartnerBanks is a page of the list, a bare array.
type wirePartnerBanks struct{ required[wirePartnerBank] }

func (banks *wirePartnerBanks) check() error {
	if err := banks.checkAs("the body"); err != nil {
		return err
	}
	for _, bank := range banks.list {
		if err := bank.check(); err != nil {
			return err
		}
	}
	return nil
}

func partnerBankOf(w wirePartnerBank) providers.PartnerBank {
	return providers.PartnerBank{
		ID: string(w.ID), DisplayName: string(w.Name), LogoURI: string(cmp.Or(w.LogoURL, w.LogoURI)),
		Broker: w.IsBroker,
	}
}
