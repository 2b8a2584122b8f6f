package banking

import (
	"context"

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
	page, err := listHoldings(ctx, s, req, "ListStandingOrders", s.standingOrders)
	if err != nil {
		return nil, err
	}
	return &bankingv1.ListStandingOrdersResponse{
		StandingOrders: page.Items, NextPageToken: page.Next, Complete: page.Complete, ReadTime: page.Read,
	}, nil
}

// ListSecurities implements bankingv1.BankingServiceServer.
func (s *Server) ListSecurities(
	ctx context.Context, req *bankingv1.ListSecuritiesRequest,
) (*bankingv1.ListSecuritiesResponse, error) {
	page, err := listHoldings(ctx, s, req, "ListSecurities", s.securities)
	if err != nil {
		return nil, err
	}
	return &bankingv1.ListSecuritiesResponse{
		Securities: page.Items, NextPageToken: page.Next, Complete: page.Complete, ReadTime: page.Read,
	}, nil
}

// held is something on an account.
type held interface {
	bankdata.Listed
	GetAccount() string
}

// ofAccount is a request for a page of what is on one account, or on all.
type ofAccount interface {
	service.Paged
	GetParent() string
}

// listHoldings gives a page of what a read gives, of the account that the request names.
func listHoldings[M held](
	ctx context.Context, s *Server, req ofAccount, method providers.Capability,
	read func(context.Context, *providers.Provider, *store.Consent) ([]M, error),
) (*bankdata.Page[M], error) {
	account := oneAccount(req.GetParent())
	return bankdata.Under(ctx, s.Reads, req.GetParent(), method, func(
		ctx context.Context, p *providers.Provider, row *store.Consent,
	) (*bankdata.Page[M], error) {
		page, err := bankdata.Of(ctx, s.Reads, bankdata.List[M]{
			Row: row, Provider: p, Request: req, Query: []string{string(method), req.GetParent()},
			Read: func(ctx context.Context, each func(M) error) error {
				all, err := read(ctx, p, row)
				if err != nil {
					return err
				}
				for _, one := range all {
					if account != "" && one.GetAccount() != account {
						continue
					}
					if err := each(one); err != nil {
						return err
					}
				}
				return nil
			},
		})
		if err == nil && len(page.Items) == 0 && account != "" {
			// None at all: tell an account that has none from one that is not there.
			_, err = s.account(ctx, p, row, account)
		}
		return page, err
	})
}

// standingOrders reads the standing orders under a consent and names them.
func (s *Server) standingOrders(
	ctx context.Context, p *providers.Provider, row *store.Consent,
) ([]*bankingv1.StandingOrder, error) {
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
}

// securities reads the securities under a consent and names them.
func (s *Server) securities(
	ctx context.Context, p *providers.Provider, row *store.Consent,
) ([]*bankingv1.Security, error) {
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
}
