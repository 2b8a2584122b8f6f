package finoos

import (
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/jsonread"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/psu"
)

// wireLogins are bank logins without transactions. Transactions are only ever read one by one: see transactions.go.
type wireLogins struct {
	Logins required[[]wireLogin] `json:"logins"`
}

var readLogins = jsonread.Members[wireLogins]{
	jsonread.At("logins", func(d *decoder, w *wireLogins) error { return readList(d, &w.Logins, readLogin) }),
}.Read

// UnmarshalJSONFrom reads the answer.
func (w *wireLogins) UnmarshalJSONFrom(d *decoder) error { return readLogins(d, w) }

// check wants an id for every login and every account, and none twice in its place: else nothing could be told apart.
func (w *wireLogins) check() error {
	logins := map[text]bool{"": true}
	for _, login := range w.Logins.value {
		if logins[login.ID] {
			return errLogins
		}
		logins[login.ID] = true
		accounts := map[text]bool{"": true}
		for _, account := range login.Accounts {
			if accounts[account.ID] {
				return errAccounts
			}
			accounts[account.ID] = true
		}
	}
	return w.Logins.checkAs("logins")
}

type wireLogin struct {
	ID       text          `json:"id"`
	Bank     wireBank      `json:"bank"`
	Accounts []wireAccount `json:"accounts"`
}

var readLogin = jsonread.Members[wireLogin]{
	jsonread.At("id", func(d *decoder, w *wireLogin) error { return jsonread.Value(d, &w.ID) }),
	jsonread.At("bank", func(d *decoder, w *wireLogin) error { return readBank(d, &w.Bank) }),
	jsonread.At("accounts", func(d *decoder, w *wireLogin) error {
		return jsonread.Slice(d, &w.Accounts, readAccount)
	}),
}.Read

type wireBank struct {
	Name     text     `json:"name"`
	BIC      text     `json:"bic"`
	BankCode text     `json:"bankCode"`
	Logo     wireLogo `json:"logo"`
}

var readBank = jsonread.Members[wireBank]{
	jsonread.At("name", func(d *decoder, w *wireBank) error { return jsonread.Value(d, &w.Name) }),
	jsonread.At("bic", func(d *decoder, w *wireBank) error { return jsonread.Value(d, &w.BIC) }),
	jsonread.At("bankCode", func(d *decoder, w *wireBank) error { return jsonread.Value(d, &w.BankCode) }),
	jsonread.At("logo", func(d *decoder, w *wireBank) error { return readLogo(d, &w.Logo) }),
}.Read

type wireLogo struct {
	URL  text `json:"url"`
	Type text `json:"type"`
}

var readLogo = jsonread.Members[wireLogo]{
	jsonread.At("url", func(d *decoder, w *wireLogo) error { return jsonread.Value(d, &w.URL) }),
}.Read

type wireStatuses struct {
	Statuses required[[]wireStatus] `json:"loginsStatuses"`
}

var readStatuses = jsonread.Members[wireStatuses]{
	jsonread.At("loginsStatuses", func(d *decoder, w *wireStatuses) error {
		return readList(d, &w.Statuses, readStatus)
	}),
}.Read

// UnmarshalJSONFrom reads the answer.
func (w *wireStatuses) UnmarshalJSONFrom(d *decoder) error { return readStatuses(d, w) }

func (w *wireStatuses) check() error { return w.Statuses.checkAs("loginsStatuses") }

type wireStatus struct {
	ID                  text  `json:"id"`
	Active              *bool `json:"active"`
	LastSynchronization text  `json:"lastSynchronization"`
}

var readStatus = jsonread.Members[wireStatus]{
	jsonread.At("id", func(d *decoder, w *wireStatus) error { return jsonread.Value(d, &w.ID) }),
	jsonread.At("active", func(d *decoder, w *wireStatus) error {
		return jsonread.Pointer(d, &w.Active, jsonread.Bool)
	}),
	jsonread.At("lastSynchronization", func(d *decoder, w *wireStatus) error {
		return jsonread.Value(d, &w.LastSynchronization)
	}),
}.Read

// connectionsOf joins logins with their statuses. Only a status that says so makes a login inactive.
func connectionsOf(logins []wireLogin, statuses []wireStatus) []providers.ConnectionState {
	byID := make(map[text]wireStatus, len(statuses))
	for _, status := range statuses {
		byID[status.ID] = status
	}
	var connections []providers.ConnectionState
	for _, login := range logins {
		status := byID[login.ID]
		connections = append(connections, providers.ConnectionState{
			ID:       string(login.ID),
			Bank:     bankOf(login.Bank),
			Active:   status.Active == nil || *status.Active,
			SyncTime: instantOf(status.LastSynchronization),
		})
	}
	return connections
}

// ownersOf gives the names that the banks know the owners of the accounts by. Whoever connected a login authenticated
// there; finoOS tells no ids.
func ownersOf(logins []wireLogin) *psu.Identity {
	var who psu.Identity
	for _, login := range logins {
		for _, account := range login.Accounts {
			who.Names = append(who.Names, psu.Names(string(account.Owner))...)
		}
	}
	if len(who.Names) == 0 {
		return nil
	}
	return &who
}

func bankOf(w wireBank) *consentv1.Connection_Bank {
	return &consentv1.Connection_Bank{
		DisplayName: told(w.Name),
		Bic:         told(w.BIC),
		BankCode:    told(w.BankCode),
		CountryCode: optional.Of(market.Code),
		LogoUri:     told(w.Logo.URL),
	}
}
