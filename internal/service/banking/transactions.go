package banking

import (
	"context"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

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

// ListTransactions implements bankingv1.BankingServiceServer. Nothing is kept between pages: each is read
// from the provider anew, as far as needed.
func (s *Server) ListTransactions(
	ctx context.Context, req *bankingv1.ListTransactionsRequest,
) (*bankingv1.ListTransactionsResponse, error) {
	row, p, err := s.Reads.Open(ctx, req.GetParent(), "ListTransactions")
	if err != nil {
		return nil, err
	}
	filter := transactionFilter{
		account: oneAccount(req.GetParent()), dateFrom: req.GetDateFrom(), dateTo: req.GetDateTo(),
		status: req.GetStatus(),
	}
	scope := []string{
		row.Tenant, "transactions", req.GetParent(), filter.dateFrom, filter.dateTo, filter.status.String(),
	}
	offset, err := s.Tokens.OffsetOf(req, scope...)
	if err != nil {
		return nil, err
	}
	size := service.PageSize(req.GetPageSize())
	resp := &bankingv1.ListTransactionsResponse{}
	seen := 0
	err = s.transactions(ctx, p, row, filter, func(t *bankingv1.Transaction) (bool, error) {
		seen++
		switch {
		case seen <= offset:
			return true, nil
		case seen > offset+size:
			resp.NextPageToken = optional.Of(s.Tokens.OffsetToken(offset+size, scope...))
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
func (s *Server) StreamTransactions(
	req *bankingv1.StreamTransactionsRequest, stream bankingv1.BankingService_StreamTransactionsServer,
) error {
	ctx := stream.Context()
	row, p, err := s.Reads.Open(ctx, req.GetParent(), "StreamTransactions")
	if err != nil {
		return err
	}
	filter := transactionFilter{dateFrom: req.GetDateFrom(), dateTo: req.GetDateTo(), status: req.GetStatus()}
	count := int32(0)
	err = s.transactions(ctx, p, row, filter, func(t *bankingv1.Transaction) (bool, error) {
		count++
		return true, stream.Send(&bankingv1.StreamTransactionsResponse{
			Kind: bankingv1.StreamTransactionsResponse_TRANSACTION, Transaction: t,
		})
	})
	if err != nil {
		return err
	}
	return stream.Send(&bankingv1.StreamTransactionsResponse{
		Kind: bankingv1.StreamTransactionsResponse_END, Count: &count,
	})
}

// transactions reads transactions under a consent one by one, named and filtered, until each says to stop.
func (s *Server) transactions(
	ctx context.Context, p *providers.Provider, row *store.Consent, filter transactionFilter,
	each func(*bankingv1.Transaction) (more bool, err error),
) error {
	query := providers.Query{From: filter.dateFrom, To: filter.dateTo}
	if filter.account != "" && p.ReadsOneAccount {
		id, err := s.Reads.AccountID(ctx, p, row, filter.account)
		if err != nil {
			return err
		}
		query.AccountID = id
	}
	ref, err := s.Reads.Ref(ctx, row)
	if err != nil {
		return err
	}
	for t, err := range p.Accounts.Transactions(ctx, ref, query) {
		if err != nil {
			return s.Reads.Explain(ctx, row, err)
		}
		t.Account = optional.Of(s.Reads.Names.Account(row.Tenant, row.ID, t.AccountID))
		t.Name = s.Reads.Names.Child(row.Tenant, t.GetAccount(), "transactions", t.ID)
		if !filter.takes(t.Transaction) {
			continue
		}
		if more, err := each(t.Transaction); !more || err != nil {
			return err
		}
	}
	return nil
}
