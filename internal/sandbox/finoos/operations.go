package finoos

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// operation is one row of the API: its route and what it demands before it runs.
type operation struct {
	name   string
	method string
	path   string
	open   bool   // needs no access token
	scope  string // of the user, or of the account where the path names no user
	userIP bool   // User-IP is mandatory
	// run answers with the body, nil for 204. The server's lock is held; u is nil where the path names no user.
	run func(s *Server, r *http.Request, u *user) (any, *apiError)
}

func (o operation) ofUser() bool { return strings.Contains(o.path, "{userID}") }

var operations = []operation{
	{name: "authenticate", method: "POST", path: "/auth", open: true, run: (*Server).authenticate},
	{name: "refresh", method: "POST", path: "/auth/refresh", open: true, run: (*Server).refreshTokens},

	{name: "list_users", method: "GET", path: "/users", run: (*Server).listUsers},
	{name: "create_user", method: "POST", path: "/users", run: (*Server).createUser},
	{name: "delete_user", method: "DELETE", path: "/users/{userID}", run: (*Server).deleteUser},
	{name: "add_scope", method: "POST", path: "/users/{userID}/scopes", run: (*Server).addScope},
	{name: "remove_scope", method: "DELETE", path: "/users/{userID}/scopes/{name}", run: (*Server).removeScope},

	{
		name: "connect", method: "POST", path: "/users/{userID}/banking/connect", scope: scopeBanking,
		run: (*Server).connect,
	},
	{
		name: "disconnect", method: "DELETE", path: "/users/{userID}/banking/connect", scope: scopeBanking,
		userIP: true, run: (*Server).disconnect,
	},
	{
		name: "get_logins", method: "GET", path: "/users/{userID}/banking/logins", scope: scopeBanking,
		run: (*Server).getLogins,
	},
	{
		name: "set_logins", method: "POST", path: "/users/{userID}/banking/logins", scope: scopeBankingExternal,
		run: (*Server).setLogins,
	},
	{
		name: "update_logins", method: "PATCH", path: "/users/{userID}/banking/logins", scope: scopeBankingExternal,
		run: (*Server).updateLogins,
	},
	{
		name: "delete_login", method: "DELETE", path: "/users/{userID}/banking/logins/{loginID}", scope: scopeBanking,
		userIP: true, run: (*Server).deleteLogin,
	},
	{
		name: "synchronization_status", method: "GET", path: "/users/{userID}/banking/logins/status",
		scope: scopeBanking, run: (*Server).synchronizationStatus,
	},
	{
		name: "banking_overview", method: "POST", path: "/users/{userID}/banking/overview", scope: scopeBanking,
		userIP: true, run: (*Server).bankingOverview,
	},
	{
		name: "synchronize", method: "POST", path: "/users/{userID}/banking/synchronize", scope: scopeBanking,
		userIP: true, run: (*Server).synchronize,
	},

	{
		name: "search_company_logos", method: "POST", path: "/companies/logos", scope: scopeCompaniesLogo,
		run: (*Server).searchCompanyLogos,
	},

	{name: "send_fax", method: "POST", path: "/documentshipment/fax", scope: scopeDocumentShipment, run: sendAs("fax")},
	{
		name: "send_letter", method: "POST", path: "/documentshipment/letter", scope: scopeDocumentShipment,
		run: sendAs("letter"),
	},

	{
		name: "payment_partner_analysis", method: "GET", path: "/users/{userID}/paymentpartneranalysis",
		scope: scopePaymentPartnerAnalysis, run: (*Server).paymentPartnerAnalysis,
	},
}

var placeholder = regexp.MustCompile(`\{\w+\}`)

// routes is the operation table with overrides applied.
func routes(overrides map[string]string) []operation {
	table := slices.Clone(operations)
	for name, route := range overrides {
		at := slices.IndexFunc(table, func(o operation) bool { return o.name == name })
		if at < 0 {
			panic("finoos sandbox: no operation " + name)
		}
		method, path, ok := strings.Cut(route, " ")
		if !ok || !strings.HasPrefix(path, "/") {
			panic("finoos sandbox: the route of " + name + ` is not "METHOD /path"`)
		}
		if !slices.Equal(placeholder.FindAllString(path, -1), placeholder.FindAllString(table[at].path, -1)) {
			panic("finoos sandbox: the route of " + name + " has other placeholders than " + table[at].path)
		}
		table[at].method, table[at].path = method, path
	}
	return table
}
