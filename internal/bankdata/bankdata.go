// Package bankdata reads bank data under a consent: only what the customer agreed to, while the consent can be read, on
// the record, and in one provider call for all who ask for the same at one time. A read that begins after another ended
// asks the provider anew; only the further pages of a listing come from what was read for the first one, see Of.
// Streams of transactions and visualisation links are never shared.
package bankdata

import (
	"cmp"
	"context"
	"strings"
	"sync/atomic"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/audit"
	"kontor.dev/kontor/internal/coalesce"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/follow"
	"kontor.dev/kontor/internal/listing"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// Reader reads bank data.
type Reader struct {
	Load     *service.Loader
	Follower *follow.Follower
	Audit    *audit.Trail
	Names    service.Names
	Tokens   service.Tokens
	// Held holds listings while callers go through their pages.
	Held *listing.Held
	// Crowd bounds how many callers wait for one provider.
	Crowd *service.Crowd

	group coalesce.Group[any]
	// writes counts what was changed at providers through this process: whoever writes and then reads must
	// not get the result of a read that began before.
	writes atomic.Uint64
}

// Accounts reads the accounts under a consent and names them.
func (r *Reader) Accounts(
	ctx context.Context, p *providers.Provider, row *store.Consent,
) ([]*bankingv1.Account, error) {
	leave, err := r.Crowd.Enter(row.Tenant, p.ID)
	if err != nil {
		return nil, err
	}
	defer leave()
	return r.Part(ctx, p, row)
}

// Part is Accounts as part of another read, whose caller waits for the provider already.
func (r *Reader) Part(
	ctx context.Context, p *providers.Provider, row *store.Consent,
) ([]*bankingv1.Account, error) {
	return join(ctx, r, p, row, []string{"accounts"}, CloneEach,
		func(ctx context.Context) ([]*bankingv1.Account, error) {
			accounts, err := r.listAccounts(ctx, p, row)
			if err != nil {
				return nil, err
			}
			return r.NameAccounts(row, accounts), nil
		})
}

// ListAccounts gives a page of the accounts under a consent.
func (r *Reader) ListAccounts(
	ctx context.Context, p *providers.Provider, row *store.Consent, req service.Paged,
) (*Page[*bankingv1.Account], error) {
	return Of(ctx, r, List[*bankingv1.Account]{
		Row: row, Provider: p, Query: []string{"accounts", row.ID}, Request: req,
		Read: func(ctx context.Context, each func(*bankingv1.Account) error) error {
			accounts, err := r.Part(ctx, p, row)
			return Each(accounts, err, each)
		},
	})
}

func (r *Reader) listAccounts(
	ctx context.Context, p *providers.Provider, row *store.Consent,
) ([]providers.Account, error) {
	ref, err := r.Ref(ctx, row)
	if err != nil {
		return nil, err
	}
	accounts, err := p.Accounts.ListAccounts(ctx, ref)
	if err != nil {
		return nil, r.Explain(ctx, row, err)
	}
	return accounts, nil
}

// Ref names a consent at its provider.
func (r *Reader) Ref(ctx context.Context, row *store.Consent) (providers.ConsentRef, error) {
	return r.Follower.History.Ref(ctx, row)
}

// Explain tells a caller why a read under a consent failed.
func (r *Reader) Explain(ctx context.Context, row *store.Consent, err error) error {
	return r.Follower.Explain(ctx, row, err)
}

// AccountID gives the provider's id of an account by its name, for providers that read single accounts. It is part of
// another read.
func (r *Reader) AccountID(
	ctx context.Context, p *providers.Provider, row *store.Consent, name string,
) (string, error) {
	return join(ctx, r, p, row, []string{"AccountID", name}, strings.Clone, func(ctx context.Context) (string, error) {
		accounts, err := r.listAccounts(ctx, p, row)
		if err != nil {
			return "", err
		}
		for _, a := range accounts {
			if r.Names.Account(row.Tenant, row.ID, a.ID) == name {
				return a.ID, nil
			}
		}
		return "", service.NotFound(errorv1.Error_ACCOUNT_NOT_FOUND, "account")
	})
}

// NameAccounts sets the names of accounts and of their connections, and their fingerprints. Under a verification of
// accounts it takes their amounts off.
func (r *Reader) NameAccounts(row *store.Consent, accounts []providers.Account) []*bankingv1.Account {
	named := make([]*bankingv1.Account, 0, len(accounts))
	for _, a := range accounts {
		a.Name = r.Names.Account(row.Tenant, row.ID, a.ID)
		connection := r.accountConnection(row, a.ConnectionID)
		a.Connection = optional.Of(connection.GetName())
		bank := cmp.Or(a.GetBankName(), connection.GetBank().GetDisplayName())
		a.Fingerprint = optional.Of(r.Names.Fingerprint(row.Tenant, a.GetIban(), bank, a.GetAccountNumber()))
		if consent.OnlyVerifies(row.Resource) {
			a.Balance, a.CreditLine, a.MonthlySpendingLimit = nil, nil, nil
		}
		named = append(named, a.Account)
	}
	return named
}

// accountConnection finds the connection of an account. A provider names it by its id, or only by the bank's name.
func (r *Reader) accountConnection(row *store.Consent, id string) *consentv1.Connection {
	if id == "" {
		return nil
	}
	name := r.Names.Connection(row.Tenant, row.ID, id)
	var byBank *consentv1.Connection
	for _, c := range row.Resource.GetConnections() {
		if c.GetName() == name {
			return c
		}
		if strings.EqualFold(c.GetBank().GetDisplayName(), id) {
			byBank = c
		}
	}
	return byBank
}
