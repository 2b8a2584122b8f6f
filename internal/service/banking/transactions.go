package banking

import (
	"cmp"
	"context"
	"strconv"
	"strings"
	"time"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/bankdata"
	"kontor.dev/kontor/internal/kerr"
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

// narrowed is a request that narrows transactions.
type narrowed interface {
	GetDateFrom() string
	GetDateTo() string
	GetStatus() bankingv1.Transaction_Status
}

// filterOf gives what a request for transactions narrows them to.
func filterOf(req narrowed) (transactionFilter, error) {
	f := transactionFilter{dateFrom: req.GetDateFrom(), dateTo: req.GetDateTo(), status: req.GetStatus()}
	for field, date := range map[string]string{"dateFrom": f.dateFrom, "dateTo": f.dateTo} {
		if _, err := time.Parse(time.DateOnly, date); date != "" && err != nil {
			return f, kerr.InvalidField(field, "is not a day of the calendar")
		}
	}
	if f.dateFrom != "" && f.dateTo != "" && f.dateFrom > f.dateTo {
		return f, kerr.InvalidField("dateFrom", "must not be after dateTo")
	}
	return f, nil
}

func (f transactionFilter) takes(t *bankingv1.Transaction) bool {
	return (f.account == "" || t.GetAccount() == f.account) &&
		(f.status == bankingv1.Transaction_STATUS_UNSPECIFIED || t.GetStatus() == f.status) && f.takesDate(t)
}

// takesDate tells whether a transaction is in the time asked for. One that the bank has not booked counts by its value
// date; one without any date may be in any time.
func (f transactionFilter) takesDate(t *bankingv1.Transaction) bool {
	date := cmp.Or(t.GetBookingDate(), t.GetValueDate())
	return date == "" || (f.dateFrom == "" || date >= f.dateFrom) && (f.dateTo == "" || date <= f.dateTo)
}

// newestFirst ranks transactions: pending before booked, then by booking date, those without one last.
func newestFirst(t *bankingv1.Transaction) int64 {
	const booked = 1_0000_00_00
	date, _ := strconv.ParseInt(strings.ReplaceAll(t.GetBookingDate(), "-", ""), 10, 64)
	if t.GetStatus() == bankingv1.Transaction_PENDING {
		return -date
	}
	return booked - date
}

// ListTransactions implements bankingv1.BankingServiceServer.
func (s *Server) ListTransactions(
	ctx context.Context, req *bankingv1.ListTransactionsRequest,
) (*bankingv1.ListTransactionsResponse, error) {
	filter, err := filterOf(req)
	if err != nil {
		return nil, err
	}
	filter.account = oneAccount(req.GetParent())
	page, err := bankdata.Under(ctx, s.Reads, req.GetParent(), "ListTransactions", func(
		ctx context.Context, p *providers.Provider, row *store.Consent,
	) (*bankdata.Page[*bankingv1.Transaction], error) {
		page, err := bankdata.Of(ctx, s.Reads, bankdata.List[*bankingv1.Transaction]{
			Row: row, Provider: p, Request: req, Rank: newestFirst,
			Query: []string{"transactions", req.GetParent(), filter.dateFrom, filter.dateTo, filter.status.String()},
			Read: func(ctx context.Context, each func(*bankingv1.Transaction) error) error {
				return s.transactions(ctx, p, row, filter, each)
			},
		})
		if err == nil && len(page.Items) == 0 && filter.account != "" {
			// None at all: tell an account without transactions from one that is not there.
			_, err = s.account(ctx, p, row, filter.account)
		}
		return page, err
	})
	if err != nil {
		return nil, err
	}
	return &bankingv1.ListTransactionsResponse{
		Transactions: page.Items, NextPageToken: page.Next, Complete: page.Complete, ReadTime: page.Read,
	}, nil
}

// transactions reads transactions under a consent one by one, named and filtered, until each fails.
func (s *Server) transactions(
	ctx context.Context, p *providers.Provider, row *store.Consent, filter transactionFilter,
	each func(*bankingv1.Transaction) error,
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
		if t.AccountID == "" && filter.account != "" {
			return s.notAttributable(ctx, p, row, filter.account)
		}
		s.nameTransaction(row, t)
		if !filter.takes(t.Transaction) {
			continue
		}
		if err := each(t.Transaction); err != nil {
			return err
		}
	}
	return nil
}

// nameTransaction sets the names of a transaction and of its account. One that cannot be told to belong to an account
// is named under all of them.
func (s *Server) nameTransaction(row *store.Consent, t providers.Transaction) {
	parent := service.ConsentName(row.ID) + "/accounts/-"
	if t.AccountID != "" {
		parent = s.Reads.Names.Account(row.Tenant, row.ID, t.AccountID)
		t.Account = optional.Of(parent)
	}
	t.Name = s.Reads.Names.Child(row.Tenant, parent, "transactions", t.ID)
}

// notAttributable is the error of whoever asks for one account where there are transactions that may be on any: nobody
// can tell what is missing in its list.
func (s *Server) notAttributable(
	ctx context.Context, p *providers.Provider, row *store.Consent, account string,
) error {
	accounts, err := s.Reads.Part(ctx, p, row)
	if err != nil {
		return err
	}
	if _, err := named(accounts, account); err != nil {
		return err
	}
	return kerr.New(errorv1.Error_TRANSACTIONS_NOT_ATTRIBUTABLE,
		"the provider does not tell which account each transaction is on: read accounts/-",
		kerr.WithMetadata(kerr.KeyProvider, p.ID))
}
