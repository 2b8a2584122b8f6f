package banking

import (
	"context"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// ListAccounts implements bankingv1.BankingServiceServer.
func (s *Server) ListAccounts(
	ctx context.Context, req *bankingv1.ListAccountsRequest,
) (*bankingv1.ListAccountsResponse, error) {
	row, p, err := s.Reads.Open(ctx, req.GetParent(), "ListAccounts")
	if err != nil {
		return nil, err
	}
	accounts, err := s.Reads.Accounts(ctx, p, row)
	if err != nil {
		return nil, err
	}
	page, next, err := service.SlicePage(s.Tokens, accounts, req, row.Tenant, "accounts", row.ID)
	return &bankingv1.ListAccountsResponse{Accounts: page, NextPageToken: optional.Of(next)}, err
}

// GetAccount implements bankingv1.BankingServiceServer.
func (s *Server) GetAccount(ctx context.Context, req *bankingv1.GetAccountRequest) (*bankingv1.Account, error) {
	row, p, err := s.Reads.Open(ctx, req.GetName(), "GetAccount")
	if err != nil {
		return nil, err
	}
	return s.account(ctx, p, row, req.GetName())
}

func (s *Server) account(
	ctx context.Context, p *providers.Provider, row *store.Consent, name string,
) (*bankingv1.Account, error) {
	accounts, err := s.Reads.Accounts(ctx, p, row)
	if err != nil {
		return nil, err
	}
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

// checkAccount tells an account that has nothing from one that is not there.
func (s *Server) checkAccount(
	ctx context.Context, p *providers.Provider, row *store.Consent, parent string, count int,
) error {
	if count > 0 || oneAccount(parent) == "" {
		return nil
	}
	_, err := s.account(ctx, p, row, parent)
	return err
}
