package finoos

import (
	"context"

	"kontor.dev/kontor/internal/providers"
)

// ListStandingOrders reads the standing orders of all accounts.
func (a *adapter) ListStandingOrders(ctx context.Context, ref providers.ConsentRef) ([]providers.StandingOrder, error) {
	logins, err := a.logins(ctx, ref)
	if err != nil {
		return nil, err
	}
	var orders []providers.StandingOrder
	for _, login := range logins {
		for _, account := range login.Accounts {
			ids := identities{}
			for _, w := range account.StandingOrders {
				order := standingOrderOf(w, account.Currency)
				orders = append(orders, providers.StandingOrder{
					ID: ids.ofStandingOrder(w.ID, order), AccountID: accountKey(login.ID, account.ID),
					StandingOrder: order,
				})
			}
		}
	}
	return orders, nil
}

// ListSecurities reads the securities of all accounts.
func (a *adapter) ListSecurities(ctx context.Context, ref providers.ConsentRef) ([]providers.Security, error) {
	logins, err := a.logins(ctx, ref)
	if err != nil {
		return nil, err
	}
	var securities []providers.Security
	for _, login := range logins {
		for _, account := range login.Accounts {
			ids := identities{}
			for _, w := range account.Securities {
				security := securityOf(w, account.Currency)
				securities = append(securities, providers.Security{
					ID: ids.ofSecurity(w.ID, security), AccountID: accountKey(login.ID, account.ID), Security: security,
				})
			}
		}
	}
	return securities, nil
}
