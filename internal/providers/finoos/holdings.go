package finoos

import (
	"context"
	"math"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	"kontor.dev/kontor/internal/jsonread"
	"kontor.dev/kontor/internal/money"
	"kontor.dev/kontor/internal/optional"
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

type wireStandingOrder struct {
	ID                 text           `json:"id"`
	AccountID          text           `json:"accountID,omitempty"`
	Amount             *money.Decimal `json:"amount"`
	Currency           text           `json:"currency,omitempty"`
	Interval           text           `json:"interval,omitempty"`
	ExecutionDay       integer        `json:"executionDay,omitempty"`
	CreationDate       text           `json:"creationDate,omitempty"`
	FirstExecutionDate text           `json:"firstExecutionDate,omitempty"`
	LastExecutionDate  text           `json:"lastExecutionDate,omitempty"`
	Purpose            text           `json:"purpose,omitempty"`
}

var readStandingOrder = jsonread.Members[wireStandingOrder]{
	jsonread.At("id", func(d *decoder, w *wireStandingOrder) error { return jsonread.Value(d, &w.ID) }),
	jsonread.At("amount", func(d *decoder, w *wireStandingOrder) error { return readAmount(d, &w.Amount) }),
	jsonread.At("currency", func(d *decoder, w *wireStandingOrder) error { return jsonread.Value(d, &w.Currency) }),
	jsonread.At("interval", func(d *decoder, w *wireStandingOrder) error { return jsonread.Value(d, &w.Interval) }),
	jsonread.At("executionDay", func(d *decoder, w *wireStandingOrder) error {
		return jsonread.Value(d, &w.ExecutionDay)
	}),
	jsonread.At("creationDate", func(d *decoder, w *wireStandingOrder) error {
		return jsonread.Value(d, &w.CreationDate)
	}),
	jsonread.At("firstExecutionDate", func(d *decoder, w *wireStandingOrder) error {
		return jsonread.Value(d, &w.FirstExecutionDate)
	}),
	jsonread.At("lastExecutionDate", func(d *decoder, w *wireStandingOrder) error {
		return jsonread.Value(d, &w.LastExecutionDate)
	}),
	jsonread.At("purpose", func(d *decoder, w *wireStandingOrder) error { return jsonread.Value(d, &w.Purpose) }),
}.Read

type wireSecurity struct {
	ID                    text           `json:"id"`
	AccountID             text           `json:"accountID,omitempty"`
	Name                  text           `json:"name,omitempty"`
	ISIN                  text           `json:"isin,omitempty"`
	Market                text           `json:"market,omitempty"`
	Quantity              measure        `json:"quantity,omitempty"`
	ExchangeRate          measure        `json:"exchangeRate,omitempty"`
	Amount                *money.Decimal `json:"amount,omitempty"`
	Currency              text           `json:"currency,omitempty"`
	PriceAmount           *money.Decimal `json:"priceAmount,omitempty"`
	PriceCurrency         text           `json:"priceCurrency,omitempty"`
	PurchasePriceAmount   *money.Decimal `json:"purchasePriceAmount,omitempty"`
	PurchasePriceCurrency text           `json:"purchasePriceCurrency,omitempty"`
}

var readSecurity = jsonread.Members[wireSecurity]{
	jsonread.At("id", func(d *decoder, w *wireSecurity) error { return jsonread.Value(d, &w.ID) }),
	jsonread.At("name", func(d *decoder, w *wireSecurity) error { return jsonread.Value(d, &w.Name) }),
	jsonread.At("isin", func(d *decoder, w *wireSecurity) error { return jsonread.Value(d, &w.ISIN) }),
	jsonread.At("market", func(d *decoder, w *wireSecurity) error { return jsonread.Value(d, &w.Market) }),
	jsonread.At("quantity", func(d *decoder, w *wireSecurity) error { return jsonread.Value(d, &w.Quantity) }),
	jsonread.At("exchangeRate", func(d *decoder, w *wireSecurity) error { return jsonread.Value(d, &w.ExchangeRate) }),
	jsonread.At("amount", func(d *decoder, w *wireSecurity) error { return readAmount(d, &w.Amount) }),
	jsonread.At("currency", func(d *decoder, w *wireSecurity) error { return jsonread.Value(d, &w.Currency) }),
	jsonread.At("priceAmount", func(d *decoder, w *wireSecurity) error { return readAmount(d, &w.PriceAmount) }),
	jsonread.At("priceCurrency", func(d *decoder, w *wireSecurity) error {
		return jsonread.Value(d, &w.PriceCurrency)
	}),
	jsonread.At("purchasePriceAmount", func(d *decoder, w *wireSecurity) error {
		return readAmount(d, &w.PurchasePriceAmount)
	}),
	jsonread.At("purchasePriceCurrency", func(d *decoder, w *wireSecurity) error {
		return jsonread.Value(d, &w.PurchasePriceCurrency)
	}),
}.Read

func standingOrderOf(w wireStandingOrder, accountCurrency text) *bankingv1.StandingOrder {
	return &bankingv1.StandingOrder{
		Amount:                moneyOf(w.Amount, currencyOf(w.Currency, accountCurrency)),
		Interval:              told(w.Interval),
		ExecutionDay:          optional.Of(int32(min(max(w.ExecutionDay, math.MinInt32), math.MaxInt32))),
		CreationDate:          optional.Of(dateOf(w.CreationDate)),
		FirstExecutionDate:    optional.Of(dateOf(w.FirstExecutionDate)),
		LastExecutionDate:     optional.Of(dateOf(w.LastExecutionDate)),
		RemittanceInformation: told(w.Purpose),
	}
}

func securityOf(w wireSecurity, accountCurrency text) *bankingv1.Security {
	return &bankingv1.Security{
		DisplayName: told(w.Name),
		Isin:        told(w.ISIN),
		Market:      told(w.Market),
		Quantity:    told(w.Quantity),
		Amount:      moneyOf(w.Amount, currencyOf(w.Currency, accountCurrency)),
		Price:       moneyOf(w.PriceAmount, currencyOf(w.PriceCurrency, w.Currency, accountCurrency)),
		PurchasePrice: moneyOf(w.PurchasePriceAmount,
			currencyOf(w.PurchasePriceCurrency, w.PriceCurrency, w.Currency, accountCurrency)),
		ExchangeRate: told(w.ExchangeRate),
	}
}
