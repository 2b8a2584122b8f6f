package consents

import (
	"context"
	"slices"
	"strconv"
	"strings"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/once"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// partnerBankPage is the largest page of partner banks that is asked for.
const partnerBankPage = 100

// CreatePartnerBank implements consentv1.ConsentServiceServer.
func (s *Server) CreatePartnerBank(
	ctx context.Context, req *consentv1.CreatePartnerBankRequest,
) (*consentv1.PartnerBank, error) {
	wanted := req.GetPartnerBank()
	if wanted.GetDisplayName() == "" {
		return nil, kerr.InvalidField("partnerBank.displayName", "is needed")
	}
	p, err := s.Tenants.Offering(service.TenantOf(ctx), wanted.GetProvider(), "partnerBank.provider",
		"CreatePartnerBank")
	if err != nil {
		return nil, err
	}
	return once.Do(ctx, s.Once, "CreatePartnerBank", req,
		func(ctx context.Context, attempt *once.Attempt) (*consentv1.PartnerBank, error) {
			if err := attempt.Intend(ctx, p, "create_partner_bank", "", nil); err != nil {
				return nil, err
			}
			bank, err := p.PartnerBanks.CreatePartnerBank(ctx, providers.PartnerBank{
				DisplayName: wanted.GetDisplayName(), Broker: wanted.GetBroker(), LogoURI: wanted.GetLogoUri(),
			})
			if err != nil {
				return nil, attempt.Abandon(ctx, err, nil)
			}
			resource := partnerBankResource(p, *bank)
			err = s.Store.Update(ctx, attempt.Tenant, func(tx store.Tx) error {
				if err := s.Audit.Note(ctx, tx, "CreatePartnerBank", resource.GetName()); err != nil {
					return err
				}
				return attempt.Done(tx, resource)
			})
			if err != nil {
				return nil, attempt.Unrecorded(ctx, p, "create_partner_bank", err)
			}
			return resource, nil
		})
}

// GetPartnerBank implements consentv1.ConsentServiceServer. Providers have no operation for one: it is looked
// for in the list.
func (s *Server) GetPartnerBank(
	ctx context.Context, req *consentv1.GetPartnerBankRequest,
) (*consentv1.PartnerBank, error) {
	everywhere, err := s.Tenants.AllOffering(service.TenantOf(ctx), req.GetProvider(), "GetPartnerBank")
	if err != nil {
		return nil, err
	}
	p, bank, err := findPartnerBank(ctx, everywhere, service.LastSegment(req.GetName()), "provider")
	if err != nil {
		return nil, err
	}
	return partnerBankResource(p, *bank), nil
}

// findPartnerBank looks for a partner bank at several providers. A provider that fails does not keep it from being
// found at another. One that several have is refused, unless the field names which is meant.
func findPartnerBank(
	ctx context.Context, everywhere []*providers.Provider, id, field string,
) (*providers.Provider, *providers.PartnerBank, error) {
	var failed error
	var at []*providers.Provider
	var found *providers.PartnerBank
	for _, p := range everywhere {
		bank, err := partnerBankOf(ctx, p, id)
		switch {
		case bank != nil:
			at, found = append(at, p), bank
		case failed == nil:
			failed = err
		}
	}
	switch {
	case len(at) > 1:
		return nil, nil, service.Ambiguous(field, at)
	case len(at) == 1:
		return at[0], found, nil
	case failed != nil:
		return nil, nil, service.CallError(failed)
	}
	return nil, nil, service.NotFound(errorv1.Error_PARTNER_BANK_NOT_FOUND, "partner bank")
}

// partnerBankOf looks for a partner bank at one provider; nil when it has none of that id.
func partnerBankOf(ctx context.Context, p *providers.Provider, id string) (*providers.PartnerBank, error) {
	for page := 1; ; page++ {
		banks, err := p.PartnerBanks.ListPartnerBanks(ctx, page, partnerBankPage)
		if err != nil {
			return nil, err
		}
		for _, bank := range banks {
			if bank.ID == id {
				return &bank, nil
			}
		}
		if len(banks) < partnerBankPage {
			return nil, nil //nolint:nilnil // it has none
		}
	}
}

// ListPartnerBanks implements consentv1.ConsentServiceServer. It goes through the providers one after the other: a
// page has partner banks of one of them.
func (s *Server) ListPartnerBanks(
	ctx context.Context, req *consentv1.ListPartnerBanksRequest,
) (*consentv1.ListPartnerBanksResponse, error) {
	everywhere, err := s.Tenants.AllOffering(service.TenantOf(ctx), req.GetProvider(), "ListPartnerBanks")
	if err != nil {
		return nil, err
	}
	size := min(service.PageSize(req.GetPageSize()), partnerBankPage)
	// Providers page by number, so a token goes with its page size.
	scope := service.PageScope(ctx, "partnerBanks", req.GetProvider(), strconv.Itoa(size))
	token, err := s.Tokens.Cursor(req, scope)
	if err != nil {
		return nil, err
	}
	at, page := 0, 1
	if token != "" {
		id, number, _ := strings.Cut(token, "/")
		at = slices.IndexFunc(everywhere, func(p *providers.Provider) bool { return p.ID == id })
		if page, err = strconv.Atoi(number); err != nil || at < 0 || page < 1 {
			return nil, kerr.InvalidField("pageToken", "is not a token of this query")
		}
	}
	p := everywhere[at]
	banks, err := p.PartnerBanks.ListPartnerBanks(ctx, page, size)
	if err != nil {
		return nil, service.CallError(err)
	}
	resp := &consentv1.ListPartnerBanksResponse{}
	for _, bank := range banks {
		resp.PartnerBanks = append(resp.PartnerBanks, partnerBankResource(p, bank))
	}
	switch {
	case len(banks) >= size:
		resp.NextPageToken = optional.Of(s.Tokens.Encode(p.ID+"/"+strconv.Itoa(page+1), scope...))
	case at+1 < len(everywhere):
		resp.NextPageToken = optional.Of(s.Tokens.Encode(everywhere[at+1].ID+"/1", scope...))
	}
	return resp, nil
}

// UpdatePartnerBank implements consentv1.ConsentServiceServer. Providers set all fields at once: those that
// are not to change are read before.
func (s *Server) UpdatePartnerBank(
	ctx context.Context, req *consentv1.UpdatePartnerBankRequest,
) (*consentv1.PartnerBank, error) {
	wanted := req.GetPartnerBank()
	if !strings.HasPrefix(wanted.GetName(), "partnerBanks/") {
		return nil, kerr.InvalidField("partnerBank.name", "must be of the form partnerBanks/{partner_bank}")
	}
	everywhere, err := s.Tenants.AllOffering(service.TenantOf(ctx), wanted.GetProvider(), "UpdatePartnerBank")
	if err != nil {
		return nil, err
	}
	return once.Do(ctx, s.Once, "UpdatePartnerBank", req,
		func(ctx context.Context, attempt *once.Attempt) (*consentv1.PartnerBank, error) {
			attempt.Repeatable = true // all fields are set: to set them again changes nothing more
			p, bank, err := findPartnerBank(ctx, everywhere, service.LastSegment(wanted.GetName()),
				"partnerBank.provider")
			if err != nil {
				return nil, err
			}
			if err := changePartnerBank(bank, wanted, req.GetUpdateMask().GetPaths()); err != nil {
				return nil, err
			}
			if err := attempt.GoOn(ctx); err != nil {
				return nil, err
			}
			updated, err := p.PartnerBanks.UpdatePartnerBank(ctx, *bank)
			if err != nil {
				if providers.KindOf(err) == providers.KindNotFound {
					return nil, service.NotFound(errorv1.Error_PARTNER_BANK_NOT_FOUND, "partner bank")
				}
				return nil, service.CallError(err)
			}
			if err := s.Audit.NoteAlone(ctx, "UpdatePartnerBank", wanted.GetName()); err != nil {
				return nil, err
			}
			resource := partnerBankResource(p, *updated)
			return resource, attempt.Answer(ctx, resource)
		})
}

// changePartnerBank sets the fields of a partner bank that a mask names.
func changePartnerBank(bank *providers.PartnerBank, wanted *consentv1.PartnerBank, paths []string) error {
	if len(paths) == 0 {
		paths = []string{"display_name", "broker", "logo_uri"}
	}
	for _, path := range paths {
		switch path {
		case "display_name":
			bank.DisplayName = wanted.GetDisplayName()
		case "broker":
			bank.Broker = wanted.GetBroker()
		case "logo_uri":
			bank.LogoURI = wanted.GetLogoUri()
		case "name", "provider":
		default:
			return kerr.InvalidField("updateMask", "may hold displayName, broker and logoUri")
		}
	}
	if bank.DisplayName == "" {
		return kerr.InvalidField("partnerBank.displayName", "is needed")
	}
	return nil
}

func partnerBankResource(p *providers.Provider, bank providers.PartnerBank) *consentv1.PartnerBank {
	return &consentv1.PartnerBank{
		Name: service.PartnerBankName(bank.ID), DisplayName: bank.DisplayName, Broker: bank.Broker,
		LogoUri: optional.Of(bank.LogoURI), Provider: service.ProviderName(p.ID),
	}
}
