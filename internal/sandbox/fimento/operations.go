package fimento

import "maps"

// The operations, by the names under which calls are recorded, faults are set and paths are overridden.
const (
	OpLogin             = "login"
	OpCreatePartnerBank = "create_partner_bank"
	OpListPartnerBanks  = "list_partner_banks"
	OpUpdatePartnerBank = "update_partner_bank"
	OpCreateProcess     = "create_process"
	OpNewConsentLink    = "new_consent_link"
	OpNewConsentFlow    = "new_consent_flow"
	OpGetProcess        = "get_process"
	OpDeleteProcess     = "delete_process"
	OpAddWebhook        = "add_webhook"
	OpTestDecision      = "test_decision"
	OpVisualisationLink = "visualisation_link"
	OpInsights          = "insights"
	OpTransactions      = "transactions"
)

// paths are where the operations stand unless Config.Operations says otherwise. Only those of new_consent_link and
// new_consent_flow are documented.
var paths = map[string]string{
	OpLogin:             "POST /auth/login",
	OpCreatePartnerBank: "POST /partner-bank",
	OpListPartnerBanks:  "GET /partner-bank",
	OpUpdatePartnerBank: "PUT /partner-bank/{id}",
	OpCreateProcess:     "POST /process",
	OpNewConsentLink:    "POST /process/{processId}/consent-link",
	OpNewConsentFlow:    "POST /process/{processId}/consent",
	OpGetProcess:        "GET /process/{processId}",
	OpDeleteProcess:     "DELETE /process/{processId}",
	OpAddWebhook:        "POST /webhook",
	OpTestDecision:      "POST /process/{processId}/consent/{status}",
	OpVisualisationLink: "GET /insights/{processId}/visualisation",
	OpInsights:          "GET /insights/{processId}",
	OpTransactions:      "GET /insights/{processId}/transactions",
}

// Operations are the built-in "METHOD /path" patterns by operation name.
func Operations() map[string]string { return maps.Clone(paths) }
