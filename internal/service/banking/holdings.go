package banking

import (
	"context"
	"slices"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	"kontor.dev/kontor/internal/bankdata"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// ListStandingOrders implements bankingv1.BankingServiceServer.
func (s *Server) ListStandingOrders(
	ctx context.Context, req *bankingv1.ListStandingOrdersRequest,
) (*bankingv1.ListStandingOrdersResponse, error) {
	row, p, err := s.Reads.Open(ctx, req.GetParent(), "ListStandingOrders")
	if err != nil {
		return nil, err
	}
	named, err := s.standingOrders(ctx, p, row)
	if err != nil {
		return nil, err
	}
	if account := oneAccount(req.GetParent()); account != "" {
		named = slices.DeleteFunc(named, func(o *bankingv1.StandingOrder) bool { return o.GetAccount() != account })
	}
	if err := s.checkAccount(ctx, p, row, req.GetParent(), len(named)); err != nil {
		return nil, err
	}
	page, next, err := service.SlicePage(s.Tokens, named, req, row.Tenant, "standingOrders", req.GetParent())
	return &bankingv1.ListStandingOrdersResponse{StandingOrders: page, NextPageToken: optional.Of(next)}, err
}

// standingOrders reads the standing orders under a consent and names them.
func (s *Server) standingOrders(
	ctx context.Context, p *providers.Provider, row *store.Consent,
) ([]*bankingv1.StandingOrder, error) {
	return bankdata.Share(ctx, s.Reads, p, row, []string{"ListStandingOrders"}, bankdata.CloneEach,
		func(ctx context.Context) ([]*bankingv1.StandingOrder, error) {
			ref, err := s.Reads.Ref(ctx, row)
			if err != nil {
				return nil, err
			}
			orders, err := p.Holdings.ListStandingOrders(ctx, ref)
			if err != nil {
				return nil, s.Reads.Explain(ctx, row, err)
			}
			named := make([]*bankingv1.StandingOrder, 0, len(orders))
			for _, o := range orders {
				o.Account = optional.Of(s.Reads.Names.Account(row.Tenant, row.ID, o.AccountID))
				o.Name = s.Reads.Names.Child(row.Tenant, o.GetAccount(), "standingOrders", o.ID)
				named = append(named, o.StandingOrder)
			}
			return named, nil
		})
}

// ListSecurities implements bankingv1.BankingServiceServer.
func (s *Server) ListSecurities(
	ctx context.Context, req *bankingv1.ListSecuritiesRequest,
) (*bankingv1.ListSecuritiesResponse, error) {
	row, p, err := s.Reads.Open(ctx, req.GetParent(), "ListSecurities")
	if err != nil {
		return nil, err
	}
	named, err := s.securities(ctx, p, row)
	if err != nil {
		return nil, err
	}
	if account := oneAccount(req.GetParent()); account != "" {
		named = slices.DeleteFunc(named, func(h *bankingv1.Security) bool { return h.GetAccount() != account })
	}
	if err := s.checkAccount(ctx, p, row, req.GetParent(), len(named)); err != nil {
		return nil, err
	}
	page, next, err := service.SlicePage(s.Tokens, named, req, row.Tenant, "securities", req.GetParent())
	return &bankingv1.ListSecuritiesResponse{Securities: page, NextPageToken: optional.Of(next)}, err
}

// securities reads the securities under a consent and names them.
func (s *Server) securities(
	ctx context.Context, p *providers.Provider, row *store.Consent,
) ([]*bankingv1.Security, error) {
	return bankdata.Share(ctx, s.Reads, p, row, []string{"ListSecurities"}, bankdata.CloneEach,
		func(ctx context.Context) ([]*bankingv1.Security, error) {
			ref, err := s.Reads.Ref(ctx, row)
			if err != nil {
				return nil, err
			}
			securities, err := p.Holdings.ListSecurities(ctx, ref)
			if err != nil {
				return nil, s.Reads.Explain(ctx, row, err)
			}
			named := make([]*bankingv1.Security, 0, len(securities))
			for _, h := range securities {
				h.Account = optional.Of(s.Reads.Names.Account(row.Tenant, row.ID, h.AccountID))
				h.Name = s.Reads.Names.Child(row.Tenant, h.GetAccount(), "securities", h.ID)
				named = append(named, h.Security)
			}
			return named, nil
		})
}
