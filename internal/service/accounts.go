package service

import (
	"context"
	"slices"
	"strings"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// data prepares reading bank data under a consent: it is loaded and readable, the provider offers the RPC, and the read is on the record.
func (s *Service) data(ctx context.Context, name string, capability providers.Capability) (*store.Consent, *providers.Provider, error) {
	row, p, err := s.loadConsent(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	if err := need(p, capability); err != nil {
		return nil, nil, err
	}
	if row, err = s.readable(ctx, row); err != nil {
		return nil, nil, err
	}
	return row, p, s.auditAlone(ctx, string(capability), name)
}

// ListAccounts implements bankingv1.BankingServiceServer.
func (s *bankingServer) ListAccounts(ctx context.Context, req *bankingv1.ListAccountsRequest) (*bankingv1.ListAccountsResponse, error) {
	row, p, err := s.data(ctx, req.GetParent(), "ListAccounts")
	if err != nil {
		return nil, err
	}
	accounts, err := s.accounts(ctx, p, row)
	if err != nil {
		return nil, err
	}
	page, next, err := slicePage(accounts, req, row.Tenant, "accounts", row.ID)
	return &bankingv1.ListAccountsResponse{Accounts: page, NextPageToken: next}, err
}

// accounts reads the accounts under a consent and names them.
func (s *Service) accounts(ctx context.Context, p *providers.Provider, row *store.Consent) ([]*bankingv1.Account, error) {
	return share(ctx, s, p, row, []string{"ListAccounts"}, cloneEach, func(ctx context.Context) ([]*bankingv1.Account, error) {
		accounts, err := p.Accounts.ListAccounts(ctx, refOf(row))
		if err != nil {
			return nil, callError(err)
		}
		return nameAccounts(row, accounts), nil
	})
}

// nameAccounts sets the names of accounts and of their connections.
func nameAccounts(row *store.Consent, accounts []providers.Account) []*bankingv1.Account {
	named := make([]*bankingv1.Account, 0, len(accounts))
	for _, a := range accounts {
		a.Name = accountName(row.ID, a.ID)
		a.Connection = accountConnection(row, a.ConnectionID)
		named = append(named, a.Account)
	}
	return named
}

// accountConnection finds the connection of an account. A provider names it by its id, or only by the bank's name.
func accountConnection(row *store.Consent, id string) string {
	if id == "" {
		return ""
	}
	name := connectionName(row.ID, id)
	byBank := ""
	for _, c := range row.Resource.GetConnections() {
		if c.GetName() == name {
			return name
		}
		if strings.EqualFold(c.GetBank().GetDisplayName(), id) {
			byBank = c.GetName()
		}
	}
	return byBank
}

// GetAccount implements bankingv1.BankingServiceServer.
func (s *bankingServer) GetAccount(ctx context.Context, req *bankingv1.GetAccountRequest) (*bankingv1.Account, error) {
	row, p, err := s.data(ctx, req.GetName(), "GetAccount")
	if err != nil {
		return nil, err
	}
	return s.account(ctx, p, row, req.GetName())
}

func (s *Service) account(ctx context.Context, p *providers.Provider, row *store.Consent, name string) (*bankingv1.Account, error) {
	accounts, err := s.accounts(ctx, p, row)
	if err != nil {
		return nil, err
	}
	for _, a := range accounts {
		if a.GetName() == name {
			return a, nil
		}
	}
	return nil, notFound(errorv1.Error_ACCOUNT_NOT_FOUND, "account")
}

// transactionFilter narrows transactions.
type transactionFilter struct {
	account          string // name of the one account, "" for all
	dateFrom, dateTo string
	status           bankingv1.Transaction_Status
}

func (f transactionFilter) takes(t *bankingv1.Transaction) bool {
	return (f.account == "" || t.GetAccount() == f.account) &&
		(f.dateFrom == "" || t.GetBookingDate() >= f.dateFrom) &&
		(f.dateTo == "" || t.GetBookingDate() != "" && t.GetBookingDate() <= f.dateTo) &&
		(f.status == bankingv1.Transaction_STATUS_UNSPECIFIED || t.GetStatus() == f.status)
}

// transactions reads transactions under a consent one by one, named and filtered, until each says to stop.
func (s *Service) transactions(ctx context.Context, p *providers.Provider, row *store.Consent, filter transactionFilter, each func(*bankingv1.Transaction) (more bool, err error)) error {
	for t, err := range p.Accounts.Transactions(ctx, refOf(row)) {
		if err != nil {
			return callError(err)
		}
		t.Account = accountName(row.ID, t.AccountID)
		t.Name = childName(t.Account, "transactions", t.ID)
		if !filter.takes(t.Transaction) {
			continue
		}
		if more, err := each(t.Transaction); !more || err != nil {
			return err
		}
	}
	return nil
}

// oneAccount gives the account that a parent such as consents/{consent}/accounts/{account} stands for, "" for all.
func oneAccount(parent string) string {
	if lastSegment(parent) == "-" {
		return ""
	}
	return parent
}

// ListTransactions implements bankingv1.BankingServiceServer. Nothing is kept between pages: each is read from the provider anew, as far as
// needed.
func (s *bankingServer) ListTransactions(ctx context.Context, req *bankingv1.ListTransactionsRequest) (*bankingv1.ListTransactionsResponse, error) {
	row, p, err := s.data(ctx, req.GetParent(), "ListTransactions")
	if err != nil {
		return nil, err
	}
	filter := transactionFilter{
		account: oneAccount(req.GetParent()), dateFrom: req.GetDateFrom(), dateTo: req.GetDateTo(), status: req.GetStatus(),
	}
	scope := []string{row.Tenant, "transactions", req.GetParent(), filter.dateFrom, filter.dateTo, filter.status.String()}
	offset, err := offsetOf(req, scope...)
	if err != nil {
		return nil, err
	}
	size := pageSize(req.GetPageSize())
	resp := &bankingv1.ListTransactionsResponse{}
	seen := 0
	err = s.transactions(ctx, p, row, filter, func(t *bankingv1.Transaction) (bool, error) {
		seen++
		switch {
		case seen <= offset:
			return true, nil
		case seen > offset+size:
			resp.NextPageToken = offsetToken(offset+size, scope...)
			return false, nil
		}
		resp.Transactions = append(resp.Transactions, t)
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	if seen == 0 && filter.account != "" {
		// None at all: tell an account without transactions from one that is not there.
		if _, err := s.account(ctx, p, row, filter.account); err != nil {
			return nil, err
		}
	}
	return resp, nil
}

// StreamTransactions implements bankingv1.BankingServiceServer.
func (s *bankingServer) StreamTransactions(req *bankingv1.StreamTransactionsRequest, stream bankingv1.BankingService_StreamTransactionsServer) error {
	ctx := stream.Context()
	row, p, err := s.data(ctx, req.GetParent(), "StreamTransactions")
	if err != nil {
		return err
	}
	filter := transactionFilter{dateFrom: req.GetDateFrom(), dateTo: req.GetDateTo(), status: req.GetStatus()}
	return s.transactions(ctx, p, row, filter, func(t *bankingv1.Transaction) (bool, error) {
		return true, stream.Send(t)
	})
}

// ListStandingOrders implements bankingv1.BankingServiceServer.
func (s *bankingServer) ListStandingOrders(ctx context.Context, req *bankingv1.ListStandingOrdersRequest) (*bankingv1.ListStandingOrdersResponse, error) {
	row, p, err := s.data(ctx, req.GetParent(), "ListStandingOrders")
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
	page, next, err := slicePage(named, req, row.Tenant, "standingOrders", req.GetParent())
	return &bankingv1.ListStandingOrdersResponse{StandingOrders: page, NextPageToken: next}, err
}

// standingOrders reads the standing orders under a consent and names them.
func (s *Service) standingOrders(ctx context.Context, p *providers.Provider, row *store.Consent) ([]*bankingv1.StandingOrder, error) {
	return share(ctx, s, p, row, []string{"ListStandingOrders"}, cloneEach, func(ctx context.Context) ([]*bankingv1.StandingOrder, error) {
		orders, err := p.Holdings.ListStandingOrders(ctx, refOf(row))
		if err != nil {
			return nil, callError(err)
		}
		named := make([]*bankingv1.StandingOrder, 0, len(orders))
		for _, o := range orders {
			o.Account = accountName(row.ID, o.AccountID)
			o.Name = childName(o.Account, "standingOrders", o.ID)
			named = append(named, o.StandingOrder)
		}
		return named, nil
	})
}

// ListSecurities implements bankingv1.BankingServiceServer.
func (s *bankingServer) ListSecurities(ctx context.Context, req *bankingv1.ListSecuritiesRequest) (*bankingv1.ListSecuritiesResponse, error) {
	row, p, err := s.data(ctx, req.GetParent(), "ListSecurities")
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
	page, next, err := slicePage(named, req, row.Tenant, "securities", req.GetParent())
	return &bankingv1.ListSecuritiesResponse{Securities: page, NextPageToken: next}, err
}

// securities reads the securities under a consent and names them.
func (s *Service) securities(ctx context.Context, p *providers.Provider, row *store.Consent) ([]*bankingv1.Security, error) {
	return share(ctx, s, p, row, []string{"ListSecurities"}, cloneEach, func(ctx context.Context) ([]*bankingv1.Security, error) {
		securities, err := p.Holdings.ListSecurities(ctx, refOf(row))
		if err != nil {
			return nil, callError(err)
		}
		named := make([]*bankingv1.Security, 0, len(securities))
		for _, h := range securities {
			h.Account = accountName(row.ID, h.AccountID)
			h.Name = childName(h.Account, "securities", h.ID)
			named = append(named, h.Security)
		}
		return named, nil
	})
}

// checkAccount tells an account that has nothing from one that is not there.
func (s *Service) checkAccount(ctx context.Context, p *providers.Provider, row *store.Consent, parent string, count int) error {
	if count > 0 || oneAccount(parent) == "" {
		return nil
	}
	_, err := s.account(ctx, p, row, parent)
	return err
}
