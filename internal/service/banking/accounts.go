package banking

import (
	"context"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/bankdata"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// ListAccounts implements bankingv1.BankingServiceServer.
func (s *Server) ListAccounts(
	ctx context.Context, req *bankingv1.ListAccountsRequest,
) (*bankingv1.ListAccountsResponse, error) {
	page, err := bankdata.Under(ctx, s.Reads, req.GetParent(), "ListAccounts", func(
		ctx context.Context, p *providers.Provider, row *store.Consent,
	) (*bankdata.Page[*bankingv1.Account], error) {
		return s.Reads.ListAccounts(ctx, p, row, req)
	})
	if err != nil {
		return nil, err
	}
	return &bankingv1.ListAccountsResponse{
		Accounts: page.Items, NextPageToken: page.Next, Complete: page.Complete, ReadTime: page.Read,
	}, nil
}

// GetAccount implements bankingv1.BankingServiceServer.
func (s *Server) GetAccount(ctx context.Context, req *bankingv1.GetAccountRequest) (*bankingv1.Account, error) {
	return bankdata.Under(ctx, s.Reads, req.GetName(), "GetAccount", func(
		ctx context.Context, p *providers.Provider, row *store.Consent,
	) (*bankingv1.Account, error) {
		return s.account(ctx, p, row, req.GetName())
	})
}

func (s *Server) account(
	ctx context.Context, p *providers.Provider, row *store.Consent, name string,
) (*bankingv1.Account, error) {
	accounts, err := s.Reads.Accounts(ctx, p, row)
	if err != nil {
		return nil, err
	}
	return named(accounts, name)
}

// named finds an account by its name.
func named(accounts []*bankingv1.Account, name string) (*bankingv1.Account, error) {
	for _, a := range accounts {
		if a.GetName() == name {
			return a, nil
		}
	}
	return nil, service.NotFound(errorv1.Error_ACCOUNT_NOT_FOUND, "account")
}

// oneAccount gives the account that a parent such as consents/{consent}/accounts/{account} stands for, "" for all.
func oneAccount(parent string) string {
	if service.LastSegment(parent) == "-" {
		return ""
	}
	return parent
}
