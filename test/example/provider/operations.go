package example

import "kontor.dev/kontor/internal/providers"

// Names of the operations, as configuration, logs and metrics know them.
const (
	opLogin            = "login"
	opConsentToken     = "consent_token"
	opCreateConsent    = "create_consent"
	opRenewConsent     = "renew_consent"
	opGetConsent       = "get_consent"
	opDeleteConsent    = "delete_consent"
	opListAccounts     = "list_accounts"
	opListTransactions = "list_transactions"
)

// Parameters of the paths.
const (
	paramConsent = "consentId"
	paramAccount = "accountId"
)

// Operations lists what the adapter calls, with the paths that hold unless configuration says otherwise.
//
// A consent that was made twice stands twice at Skarvholm, so the two that make one are creating: they are never sent
// again by themselves. A code that is exchanged twice is refused the second time, which leaves nothing behind.
func Operations() []providers.Operation {
	const (
		doc, hi                    = providers.Documented, providers.InferredHi
		read, idempotent, creating = providers.Read, providers.Idempotent, providers.Creating
	)
	return []providers.Operation{
		{Name: opLogin, Method: "POST", Path: "/oauth/token", Standing: doc, Effect: idempotent},
		{Name: opConsentToken, Method: "POST", Path: "/oauth/consent-token", Standing: doc, Effect: idempotent},
		{Name: opCreateConsent, Method: "POST", Path: "/v1/consents", Standing: doc, Effect: creating},
		{
			Name: opRenewConsent, Method: "POST", Path: "/v1/consents/{consentId}/renewal",
			Standing: hi, Effect: creating,
		},
		{Name: opGetConsent, Method: "GET", Path: "/v1/consents/{consentId}", Standing: doc, Effect: read},
		{Name: opDeleteConsent, Method: "DELETE", Path: "/v1/consents/{consentId}", Standing: doc, Effect: idempotent},
		{Name: opListAccounts, Method: "GET", Path: "/v1/accounts", Standing: doc, Effect: read},
		{
			Name: opListTransactions, Method: "GET", Path: "/v1/accounts/{accountId}/transactions",
			Standing: doc, Effect: read,
		},
	}
}
