package fimento

import "kontor.dev/kontor/internal/providers"

// Names of the operations, as configuration, logs and metrics know them.
const (
	opLogin             = "login"
	opCreatePartnerBank = "create_partner_bank"
	opListPartnerBanks  = "list_partner_banks"
	opUpdatePartnerBank = "update_partner_bank"
	opCreateProcess     = "create_process"
	opNewConsentLink    = "new_consent_link"
	opNewConsentFlow    = "new_consent_flow"
	opGetProcess        = "get_process"
	opDeleteProcess     = "delete_process"
	opAddWebhook        = "add_webhook"
	opTestDecision      = "test_decision"
	opVisualisationLink = "visualisation_link"
	opInsights          = "insights"
	opTransactions      = "transactions"
)

// Parameters of the paths.
const (
	paramID      = "id"
	paramProcess = "processId"
	paramStatus  = "status"
)

// Operations lists what the adapter calls, with the paths that hold unless configuration says otherwise. Where the
// standing is "low-medium" in our reading of the documentation, the lower one stands here.
//
// Creating are those that leave something new behind. create_process is one although the provider takes an
// idempotency-key: its promise for that key is not spelt out, so the client never resends it by itself, and who kept
// the key may ask again with it. A second consent link replaces nothing, but a second consent flow is refused while the
// first is open, so its lost answer must not be taken for a refusal. To register a webhook twice only doubles hints.
func Operations() []providers.Operation {
	const (
		doc, hi, med, low = providers.Documented, providers.InferredHi, providers.InferredMed,
			providers.InferredLow
		read, idempotent, creating = providers.Read, providers.Idempotent, providers.Creating
	)
	return []providers.Operation{
		{Name: opLogin, Method: "POST", Path: "/auth/login", Standing: low, Effect: idempotent},
		{Name: opCreatePartnerBank, Method: "POST", Path: "/partner-bank", Standing: med, Effect: creating},
		{Name: opListPartnerBanks, Method: "GET", Path: "/partner-bank", Standing: med, Effect: read},
		{Name: opUpdatePartnerBank, Method: "PUT", Path: "/partner-bank/{id}", Standing: low, Effect: idempotent},
		{Name: opCreateProcess, Method: "POST", Path: "/process", Standing: hi, Effect: creating},
		{
			Name: opNewConsentLink, Method: "POST", Path: "/process/{processId}/consent-link", Standing: doc,
			Effect: idempotent,
		},
		{
			Name: opNewConsentFlow, Method: "POST", Path: "/process/{processId}/consent", Standing: doc,
			Effect: idempotent,
		},
		{Name: opGetProcess, Method: "GET", Path: "/process/{processId}", Standing: hi, Effect: read},
		{Name: opDeleteProcess, Method: "DELETE", Path: "/process/{processId}", Standing: hi, Effect: idempotent},
		{Name: opAddWebhook, Method: "POST", Path: "/webhook", Standing: low, Effect: idempotent},
		{
			Name: opTestDecision, Method: "POST", Path: "/process/{processId}/consent/{status}", Standing: low,
			Effect: idempotent, Optional: []string{"{" + paramStatus + "}"},
		},
		{
			Name: opVisualisationLink, Method: "GET", Path: "/insights/{processId}/visualisation", Standing: low,
			Effect: read,
		},
		{Name: opInsights, Method: "GET", Path: "/insights/{processId}", Standing: low, Effect: read},
		{Name: opTransactions, Method: "GET", Path: "/insights/{processId}/transactions", Standing: low, Effect: read},
	}
}
