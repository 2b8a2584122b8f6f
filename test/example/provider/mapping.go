package example

import (
	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
)

// stateOf turns a consent into what Kontor knows of it. Skarvholm tells the present status, without a time.
func stateOf(w wireConsent, ref providers.ConsentRef) providers.ConsentState {
	state := providers.ConsentState{Decision: consentv1.Decision_UNDECIDED, DecisionCode: w.Status}
	switch w.Status {
	case "received":
		// The customer has not decided; what the consent before this one allows meanwhile is no news.
	case "valid", "expired":
		if token, ok := tokenOf(ref); !ok || token.Consent != ref.ID {
			break // the customer has not come back with a code
		}
		state.Decision = consentv1.Decision_APPROVED
		state.ValidUntil = w.ValidUntil
		state.Stateful = true
		state.Connections = connectionsOf(w)
	case "rejected", "revokedByPsu", "terminatedByAspsp":
		state.Decision = consentv1.Decision_REVOKED
		state.Stateful = true
	default: // a status that is not known is passed on, and changes nothing
		state.Observations = []providers.Observation{{
			Key: "status/" + w.Status, Type: consentv1.ConsentEvent_PROVIDER_STATUS, ProviderCode: w.Status,
		}}
	}
	return state
}

// stages maps how far the data is. What is not known is not told.
var stages = map[string]consentv1.DataStage_Value{
	"collecting": consentv1.DataStage_FETCHING,
	"complete":   consentv1.DataStage_READY,
}

// connectionsOf gives the one bank of a consent. Skarvholm has no id for it, so it goes by the consent's.
func connectionsOf(w wireConsent) []providers.ConnectionState {
	if w.Bank == nil {
		return nil
	}
	return []providers.ConnectionState{
		{
			ID:     w.ID,
			Active: true,
			Stage:  stages[w.DataStatus],
			Bank: &consentv1.Connection_Bank{
				DisplayName: optional.Of(w.Bank.Name),
				Bic:         optional.Of(w.Bank.BIC),
				CountryCode: optional.Of(norway.Code),
			},
		},
	}
}

// accountTypes maps ISO 20022's codes.
var accountTypes = map[string]bankingv1.Account_Type{
	"CACC": bankingv1.Account_CURRENT,
	"SVGS": bankingv1.Account_SAVINGS,
	"CARD": bankingv1.Account_CARD,
	"LOAN": bankingv1.Account_LOAN,
	"SECU": bankingv1.Account_SECURITIES,
}

func accountOf(consent string, w wireAccount) providers.Account {
	account := &bankingv1.Account{
		DisplayName:   optional.Of(w.Name),
		OwnerName:     optional.Of(w.Owner),
		Iban:          optional.Of(w.IBAN),
		AccountNumber: optional.Of(w.BBAN),
		Type:          bankingv1.Account_OTHER,
		ProviderType:  optional.Of(w.Type),
		CurrencyCode:  optional.Of(currency(w.Currency)),
	}
	if known, ok := accountTypes[w.Type]; ok {
		account.Type = known
	}
	for _, balance := range w.Balances {
		if balance.Type == "closingBooked" {
			account.Balance = moneyOf(balance.Amount)
		}
	}
	return providers.Account{ID: w.ID, ConnectionID: consent, Account: account}
}

// labels are Skarvholm's own words. In other providers' lists "rente" is a pension.
var labels = providers.NewLabels(map[string]providers.Label{
	"lønn": {Category: bankingv1.Category_INCOME, Subcategory: bankingv1.Subcategory_WAGE},
	"rente": {
		Category: bankingv1.Category_INCOME, Subcategory: bankingv1.Subcategory_CAPITAL_INCOME,
		Paid: bankingv1.Category_BANK_FEES,
	},
})

func transactionOf(account string, w wireTransaction, status bankingv1.Transaction_Status) providers.Transaction {
	purpose := labels.PurposeOf(w.Category, w.Amount.Amount.Sign() >= 0)
	return providers.Transaction{ID: w.ID, AccountID: account, Transaction: &bankingv1.Transaction{
		Status:                status,
		Amount:                moneyOf(w.Amount),
		BookingDate:           optional.Of(w.BookingDate),
		ValueDate:             optional.Of(w.ValueDate),
		RemittanceInformation: optional.Of(w.Remittance),
		MandateId:             optional.Of(w.MandateID),
		EndToEndId:            optional.Of(w.EndToEndID),
		Counterparty:          counterpartyOf(w),
		Category:              optional.Of(purpose.Category),
		Subcategory:           optional.Of(purpose.Subcategory),
		ProviderCategory:      optional.Of(w.Category),
	}}
}

// counterpartyOf gives the other side, nil where nothing is told of it.
func counterpartyOf(w wireTransaction) *bankingv1.Transaction_Counterparty {
	if w.Counterparty.Name == "" && w.Counterparty.IBAN == "" {
		return nil
	}
	return &bankingv1.Transaction_Counterparty{
		Name: optional.Of(w.Counterparty.Name), Iban: optional.Of(w.Counterparty.IBAN),
	}
}

// currency is the market's unless told.
func currency(told string) string {
	if told == "" {
		return norway.CurrencyCode
	}
	return told
}

func moneyOf(w wireAmount) *typev1.Money {
	return w.Amount.Money(currency(w.Currency))
}
