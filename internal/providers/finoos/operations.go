package finoos

import "kontor.dev/kontor/internal/providers"

// Names of the operations, as configuration, logs and metrics know them.
const (
	opAuthenticate           = "authenticate"
	opRefresh                = "refresh"
	opListUsers              = "list_users"
	opCreateUser             = "create_user"
	opDeleteUser             = "delete_user"
	opAddScope               = "add_scope"
	opRemoveScope            = "remove_scope"
	opConnect                = "connect"
	opDisconnect             = "disconnect"
	opGetLogins              = "get_logins"
	opSetLogins              = "set_logins"
	opUpdateLogins           = "update_logins"
	opDeleteLogin            = "delete_login"
	opSynchronizationStatus  = "synchronization_status"
	opBankingOverview        = "banking_overview"
	opSynchronize            = "synchronize"
	opSearchCompanyLogos     = "search_company_logos"
	opSendFax                = "send_fax"
	opSendLetter             = "send_letter"
	opPaymentPartnerAnalysis = "payment_partner_analysis"
)

// Parameters of the paths.
const (
	paramUser  = "userID"
	paramLogin = "loginID"
	paramName  = "name"
)

// Operations lists what the adapter calls, with the paths that hold unless configuration says otherwise. Where the
// standing is "low-medium" in our reading of the documentation, the lower one stands here.
//
// Creating are only the three whose repetition is billed or sent twice. A second session replaces nothing and costs
// nothing, and the others set or remove.
func Operations() []providers.Operation {
	const (
		doc, hi, med, low = providers.Documented, providers.InferredHi, providers.InferredMed,
			providers.InferredLow
		read, idempotent, creating = providers.Read, providers.Idempotent, providers.Creating
	)
	return []providers.Operation{
		{Name: opAuthenticate, Method: "POST", Path: "/auth", Standing: doc, Effect: idempotent},
		{Name: opRefresh, Method: "POST", Path: "/auth/refresh", Standing: med, Effect: idempotent},
		{Name: opListUsers, Method: "GET", Path: "/users", Standing: hi, Effect: read},
		{Name: opCreateUser, Method: "POST", Path: "/users", Standing: doc, Effect: creating},
		{Name: opDeleteUser, Method: "DELETE", Path: "/users/{userID}", Standing: hi, Effect: idempotent},
		{Name: opAddScope, Method: "POST", Path: "/users/{userID}/scopes", Standing: med, Effect: idempotent},
		{
			Name: opRemoveScope, Method: "DELETE", Path: "/users/{userID}/scopes/{name}", Standing: med,
			Effect: idempotent,
		},
		{Name: opConnect, Method: "POST", Path: "/users/{userID}/banking/connect", Standing: doc, Effect: idempotent},
		{
			Name: opDisconnect, Method: "DELETE", Path: "/users/{userID}/banking/connect", Standing: low,
			Effect: idempotent,
		},
		{Name: opGetLogins, Method: "GET", Path: "/users/{userID}/banking/logins", Standing: doc, Effect: read},
		{Name: opSetLogins, Method: "POST", Path: "/users/{userID}/banking/logins", Standing: doc, Effect: idempotent},
		{
			Name: opUpdateLogins, Method: "PATCH", Path: "/users/{userID}/banking/logins", Standing: low,
			Effect: idempotent,
		},
		{
			Name: opDeleteLogin, Method: "DELETE", Path: "/users/{userID}/banking/logins/{loginID}", Standing: hi,
			Effect: idempotent,
		},
		{
			Name: opSynchronizationStatus, Method: "GET", Path: "/users/{userID}/banking/logins/status", Standing: low,
			Effect: read,
		},
		{
			Name: opBankingOverview, Method: "POST", Path: "/users/{userID}/banking/overview", Standing: low,
			Effect: idempotent,
		},
		{
			Name: opSynchronize, Method: "POST", Path: "/users/{userID}/banking/synchronize", Standing: low,
			Effect: idempotent,
		},
		{Name: opSearchCompanyLogos, Method: "POST", Path: "/companies/logos", Standing: low, Effect: read},
		{Name: opSendFax, Method: "POST", Path: "/documentshipment/fax", Standing: low, Effect: creating},
		{Name: opSendLetter, Method: "POST", Path: "/documentshipment/letter", Standing: low, Effect: creating},
		{
			Name: opPaymentPartnerAnalysis, Method: "GET", Path: "/users/{userID}/paymentpartneranalysis",
			Standing: low, Effect: read,
		},
	}
}
