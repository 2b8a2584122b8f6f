package finoos_test

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/finoos"
)

// spec is what the documentation says of an operation. U stands for the user and L for a login of theirs.
type spec struct {
	name, route string
	scope       string
	userIP      bool
	required    []string // members of the body
	body        object
	query       string
}

var sessionMembers = []string{"redirectURL", "errorURL", "exitURL"}

func specs() []spec {
	credentials := object{"name": finoos.DemoName, "secret": finoos.DemoSecret}
	fax := shipment("f976b0ee-d9fb-4327-bdbf-f34ac1938054")
	letter := shipment("0d9a43a8-12c4-4a0a-b37d-8c5efa51dd0b")
	members := []string{"address", "callbackURL", "pdfContent", "processID", "recipient", "subject"}
	return []spec{
		{name: "authenticate", route: "POST /auth", required: []string{"name", "secret"}, body: credentials},
		{name: "list_users", route: "GET /users", query: "?page=0&perPage=50"},
		{name: "create_user", route: "POST /users", body: object{"type": "person"}},
		{
			name: "add_scope", route: "POST /users/U/scopes", required: []string{"name"},
			body: object{"name": "contracts"},
		},
		{name: "remove_scope", route: "DELETE /users/U/scopes/companies"},
		{
			name: "get_logins", route: "GET /users/U/banking/logins", scope: "banking",
			query: "?includeTransactions=false",
		},
		{name: "synchronization_status", route: "GET /users/U/banking/logins/status", scope: "banking"},
		{
			name: "synchronize", route: "POST /users/U/banking/synchronize", scope: "banking", userIP: true,
			required: append([]string{"bankLoginId"}, sessionMembers...), body: urls("bankLoginId", "L"),
		},
		{
			name: "connect", route: "POST /users/U/banking/connect", scope: "banking", required: sessionMembers,
			body: urls(),
		},
		{
			name: "banking_overview", route: "POST /users/U/banking/overview", scope: "banking", userIP: true,
			required: sessionMembers, body: urls(), query: "?addBankLogin=false",
		},
		{
			name: "payment_partner_analysis", route: "GET /users/U/paymentpartneranalysis",
			scope: "paymentPartnerAnalysis",
		},
		{name: "delete_login", route: "DELETE /users/U/banking/logins/L", scope: "banking", userIP: true},
		{name: "disconnect", route: "DELETE /users/U/banking/connect", scope: "banking", userIP: true},
		{
			name: "set_logins", route: "POST /users/U/banking/logins", scope: "bankingExternal",
			required: []string{"logins"}, body: object{"logins": []object{{"id": "1"}}},
		},
		{
			name: "update_logins", route: "PATCH /users/U/banking/logins", scope: "bankingExternal",
			required: []string{"logins"}, body: object{"logins": []object{{"id": "1"}}},
		},
		{
			name: "search_company_logos", route: "POST /companies/logos", required: []string{"queries"},
			body: object{"queries": []object{{"name": "fino"}}},
		},
		{name: "send_fax", route: "POST /documentshipment/fax", required: members, body: fax},
		{name: "send_letter", route: "POST /documentshipment/letter", required: members, body: letter},
		{name: "delete_user", route: "DELETE /users/U"},
	}
}

var everyScope = []string{
	"banking", "companies", "companiesLogo", "documentShipment", "paymentPartnerAnalysis", "bankingExternal",
}

// call runs an operation for a user and one of their logins.
func (s spec) call(h *harness, userID, loginID string, body any, headers ...string) answer {
	h.t.Helper()
	method, path, _ := strings.Cut(s.route, " ")
	path = strings.ReplaceAll(path, "/U", "/"+userID)
	path = strings.ReplaceAll(path, "/L", "/"+loginID)
	if o, ok := body.(object); ok {
		o = maps.Clone(o)
		if o["bankLoginId"] == "L" {
			o["bankLoginId"] = loginID
		}
		body = o
	}
	return h.call(method, path+s.query, body, headers...)
}

func (s spec) good(h *harness, userID, loginID string, headers ...string) answer {
	h.t.Helper()
	var body any
	if s.body != nil {
		body = s.body
	}
	return s.call(h, userID, loginID, body, headers...)
}

// company is a company user with scopes and a login.
func (h *harness) company(scopes ...string) (userID, loginID string) {
	h.t.Helper()
	userID = h.user("company", scopes...)
	h.connect(userID)
	if _, err := h.fino.CompleteLogin(userID); err != nil {
		h.t.Fatal(err)
	}
	return userID, h.logins(userID)[0].ID
}

func TestEveryOperationAnswers(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID, loginID := h.company(everyScope...)
	h.core.Calls.Reset()
	for _, s := range specs() {
		if got := s.good(h, userID, loginID); got.status != 200 && got.status != 204 {
			t.Errorf("%s: status %d: %s", s.name, got.status, got.body)
		}
		if h.core.Calls.Count(s.name) != 1 {
			t.Errorf("%s was recorded %d times", s.name, h.core.Calls.Count(s.name))
		}
	}
	var pair tokens
	h.call("POST", "/auth", object{"name": finoos.DemoName, "secret": finoos.DemoSecret}).into(&pair)
	h.call("POST", "/auth/refresh",
		object{"name": finoos.DemoName, "secret": finoos.DemoSecret, "refreshToken": pair.RefreshToken}).into(&pair)
	if h.core.Calls.Count("refresh") != 1 || h.core.Calls.Count(sandbox.OperationUnknown) != 0 {
		t.Error("refresh was not recorded, or something was not recognised")
	}
}

func TestBothBasePathsServeTheAPI(t *testing.T) {
	h := setup(t, finoos.Config{})
	h.call("GET", finoos.BasePath+"/users?page=0&perPage=1", nil).into(&struct{}{})
	if all := h.core.Calls.Of("list_users"); len(all) != 1 || all[0].Path != "/api/v1/users" {
		t.Errorf("calls: %+v", all)
	}
}

func TestTokenIsDemanded(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID, loginID := h.company(everyScope...)
	for _, s := range specs() {
		if s.name == "authenticate" {
			continue
		}
		for _, header := range []string{noHeader, "x", "Bearer " + h.token, "bearer " + h.token, h.token + "x"} {
			s.good(h, userID, loginID, "Authorization", header).refused(401, "unauthorized")
		}
	}
	h.clock.Advance(finoos.AccessTTL - time.Second)
	h.call("GET", "/users?page=0&perPage=1", nil).into(&struct{}{})
	h.clock.Advance(time.Second)
	for _, s := range specs() {
		if s.name != "authenticate" {
			s.good(h, userID, loginID).refused(401, "unauthorized")
		}
	}
	if n := len(h.fino.Users()); n != 1 {
		t.Errorf("%d users after refused calls, want 1", n)
	}
	if n := len(h.fino.Shipments()); n != 0 {
		t.Errorf("%d shipments after refused calls", n)
	}
}

func TestScopesAreEnforced(t *testing.T) {
	h := setup(t, finoos.Config{})
	for _, s := range specs() {
		if s.scope == "" {
			continue
		}
		scopes := slices.DeleteFunc(slices.Clone(everyScope), func(scope string) bool { return scope == s.scope })
		userID := h.user("company", scopes...)
		s.good(h, userID, "any").refused(403, "forbidden")
		h.call("POST", "/users/"+userID+"/scopes", object{"name": s.scope}).done()
		if got := s.good(h, userID, "any"); got.status == 403 {
			t.Errorf("%s: still forbidden with its scope: %s", s.name, got.body)
		}
	}

	bare := setup(t, finoos.Config{Scopes: []string{"banking"}})
	for _, s := range specs() {
		switch s.name {
		case "search_company_logos", "send_fax", "send_letter":
			s.good(bare, "", "").refused(403, "forbidden")
		}
	}
}

func TestUserIPIsDemanded(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID, loginID := h.company(everyScope...)
	for _, s := range specs() {
		if !s.userIP {
			continue
		}
		for _, header := range []string{noHeader, "somebody", "203.0.113.7:443", "203.0.113.7, 198.51.100.1"} {
			s.good(h, userID, loginID, "User-IP", header).refused(400, "badRequest")
		}
		if got := s.good(h, userID, loginID, "User-IP", "2001:db8::1"); got.status != 200 && got.status != 204 {
			t.Errorf("%s with an IPv6 address: status %d: %s", s.name, got.status, got.body)
		}
	}
	// Where the documentation does not list it, it is not asked for.
	other := h.connected("company")
	h.call("POST", "/users/"+other+"/banking/connect", urls(), "User-IP", noHeader).into(&link{})
	h.call("GET", "/users/"+other+"/banking/logins?includeTransactions=true", nil, "User-IP",
		noHeader).into(&struct{}{})
}

func TestUnknownUsersAndLogins(t *testing.T) {
	h := setup(t, finoos.Config{})
	gone := h.user("company")
	h.call("DELETE", "/users/"+gone, nil).done()
	here := h.connected("company")
	for _, s := range specs() {
		if strings.Contains(s.route, "/U") {
			s.good(h, "5f22c402b6968c000128edb6", "any").refused(404, "notFound")
			s.good(h, gone, "any").refused(404, "notFound")
		}
		if s.name == "delete_login" || s.name == "synchronize" {
			s.good(h, here, "5f22c402b6968c000128edb6").refused(404, "notFound")
		}
	}
	h.call("POST", "/users/"+here+"/banking/connect/more", urls()).refused(404, "notFound")
	h.call("PUT", "/users", object{}).refused(404, "notFound")
	h.call("GET", "/auth", nil).refused(404, "notFound")
	if n := h.core.Calls.Count(sandbox.OperationUnknown); n != 3 {
		t.Errorf("%d unknown calls recorded, want 3", n)
	}
}

func TestBodiesAreChecked(t *testing.T) {
	h := setup(t, finoos.Config{})
	userID, loginID := h.company(everyScope...)
	external := h.user("company", everyScope...)
	for _, s := range specs() {
		if s.body == nil {
			continue
		}
		of := userID
		if s.scope == "bankingExternal" {
			of = external
		}
		bodies := map[string]any{
			"nothing":        nil,
			"no JSON":        raw(`{"`),
			"an array":       raw(`[]`),
			"null":           raw(`null`),
			"two values":     raw(`{} {}`),
			"unknown member": with(s.body, "surprise", 1),
		}
		for _, member := range s.required {
			bodies["without "+member] = with(s.body, member, nil)
			bodies["a number as "+member] = with(s.body, member, 5)
			bodies["null as "+member] = with(s.body, member, raw("null"))
			upper := with(s.body, member, nil)
			upper[strings.ToUpper(member)] = s.body[member]
			bodies["upper case "+member] = upper
			if strings.HasSuffix(member, "URL") {
				for _, bad := range []string{
					"", "/ok", "app.example.com/ok", "ftp://app.example.com/", "https://", "javascript:alert(1)",
					"https://u:p@app.example.com/", "https://app.example.com/%zz",
				} {
					bodies[fmt.Sprintf("%q as %s", bad, member)] = with(s.body, member, bad)
				}
			} else if _, text := s.body[member].(string); text {
				bodies["an empty "+member] = with(s.body, member, "")
			}
		}
		for what, body := range bodies {
			t.Run(s.name+"/"+what, func(t *testing.T) {
				inner := *h
				inner.t = t
				s.call(&inner, of, loginID, body).refused(400, "badRequest")
			})
		}
	}
	if users, shipments := len(h.fino.Users()), len(h.fino.Shipments()); users != 2 || shipments != 0 {
		t.Errorf("refused calls left %d users and %d shipments", users, shipments)
	}
}

// with is a body with another value for a member; nil leaves the member out and raw("null") sets null.
func with(body object, member string, value any) object {
	changed := maps.Clone(body)
	changed[member] = value
	switch value {
	case nil:
		delete(changed, member)
	case raw("null"):
		changed[member] = nil
	}
	return changed
}

func TestEveryResponseCarriesVersionAndRequestID(t *testing.T) {
	h := setup(t, finoos.Config{})
	made := map[string]bool{}
	for _, path := range []string{
		"/users?page=0&perPage=1", "/users", "/nowhere", "/ui/none", "/users/x/banking/logins",
	} {
		got := h.call("GET", path, nil)
		id := got.header.Get("X-Request-ID")
		if !regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`).MatchString(id) || made[id] {
			t.Errorf("%s: X-Request-ID %q", got.what, id)
		}
		made[id] = true
		if v := got.header.Get("API-Version"); v != finoos.LatestVersion {
			t.Errorf("%s: API-Version %q", got.what, v)
		}
		if got := h.call("GET", path, nil, "X-Request-ID", "mine-1").header.Get("X-Request-ID"); got != "mine-1" {
			t.Errorf("%s: X-Request-ID %q, want the caller's", path, got)
		}
	}
	h.core.Faults.Add(sandbox.Fault{Operation: "list_users", Status: 429, RetryAfter: "3", Times: 1})
	limited := h.call("GET", "/users?page=0&perPage=1", nil, "X-Request-ID", "mine-2")
	limited.refused(429, "tooManyRequests")
	if limited.header.Get("X-Request-ID") != "mine-2" || limited.header.Get("API-Version") == "" {
		t.Errorf("a fault's headers: %v", limited.header)
	}
	h.core.Faults.Add(sandbox.Fault{Operation: "list_users", Status: 503, Times: 1})
	h.call("GET", "/users?page=0&perPage=1", nil).refused(503, "internalServerError")
}

func TestVersions(t *testing.T) {
	h := setup(t, finoos.Config{APIVersion: "2020-05-04"})
	version := func(headers ...string) string {
		return h.call("GET", "/users?page=0&perPage=1", nil, headers...).header.Get("API-Version")
	}
	if got := version(); got != "2020-05-04" {
		t.Errorf("API-Version %q, want the account's", got)
	}
	if got := version("API-Version", "2020-06-16"); got != "2020-06-16" {
		t.Errorf("API-Version %q, want the one asked for", got)
	}
	h.call("GET", "/users?page=0&perPage=1", nil, "API-Version", "2019-01-01").refused(400, "badRequest")
	h.fino.SetVersion("2021-01-01")
	if got := version(); got != "2021-01-01" {
		t.Errorf("API-Version %q after the change", got)
	}
	h.call("POST", "/_sandbox/version", object{"version": "2022-02-02"}).done()
	if got := version(); got != "2022-02-02" {
		t.Errorf("API-Version %q after the control", got)
	}
}

// Many callers at once, for the race detector.
func TestManyCallersAtOnce(t *testing.T) {
	h := setup(t, finoos.Config{})
	var callers sync.WaitGroup
	for n := range 8 {
		callers.Go(func() {
			userID := h.user("company")
			for _, s := range specs() {
				if got := s.good(h, userID, "none"); got.status >= 500 {
					t.Errorf("%s: status %d", s.name, got.status)
				}
			}
			h.call("POST", "/documentshipment/fax", shipment(fmt.Sprint(n)))
			h.fino.Users()
			h.fino.Shipments()
			h.fino.ExpireLogins(userID)
			h.clock.Advance(time.Second)
		})
	}
	callers.Wait()
	if n := len(h.fino.Shipments()); n != 10 { // two of the specs, and one each
		t.Errorf("%d shipments, want 10", n)
	}
}

func TestOperationsCanBeOverridden(t *testing.T) {
	h := setup(t, finoos.Config{Operations: map[string]string{
		"synchronization_status": "GET /users/{userID}/banking/status",
		"disconnect":             "POST /users/{userID}/banking:disconnect",
	}})
	userID := h.connected("person")
	h.call("GET", "/users/"+userID+"/banking/status", nil).into(&struct{}{})
	h.call("GET", "/users/"+userID+"/banking/logins/status", nil).refused(404, "notFound")
	for _, bad := range []map[string]string{
		{"nothing": "GET /users"},
		{"connect": "POST"},
		{"connect": "POST users/{userID}"},
		{"connect": "POST /connect"},
		{"connect": "POST /connect/{user}"},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%v was accepted", bad)
				}
			}()
			finoos.New(h.core, finoos.Config{Operations: bad})
		}()
	}
}

func TestTokens(t *testing.T) {
	h := setup(t, finoos.Config{})
	credentials := object{"name": finoos.DemoName, "secret": finoos.DemoSecret}
	refresh := func(token string) answer {
		return h.call("POST", "/auth/refresh", with(credentials, "refreshToken", token))
	}
	works := func(token string) bool {
		return h.call("GET", "/users?page=0&perPage=1", nil, "Authorization", token).status == http.StatusOK
	}
	var first, second tokens
	h.call("POST", "/auth", credentials, "Authorization", noHeader).into(&first)
	if first.ExpiresIn != 300 || first.RefreshExpiresIn != 1800 {
		t.Errorf("lives %d and %d", first.ExpiresIn, first.RefreshExpiresIn)
	}
	for _, token := range []string{first.AccessToken, first.RefreshToken} {
		if parts := strings.Split(token, "."); len(parts) != 3 || len(token) < 2000 || len(token) > 3000 {
			t.Errorf("a token of %d parts and %d bytes", len(parts), len(token))
		}
	}
	if works(first.RefreshToken) {
		t.Error("a refresh token serves as an access token")
	}
	refresh(first.AccessToken).refused(401, "unauthorized")
	h.clock.Advance(finoos.AccessTTL)
	refresh(first.RefreshToken).into(&second)
	if works(first.AccessToken) || !works(second.AccessToken) {
		t.Error("after the refresh the old access token works, or the new one does not")
	}
	refresh(first.RefreshToken).refused(401, "unauthorized") // used up
	h.clock.Advance(finoos.RefreshTTL)
	refresh(second.RefreshToken).refused(401, "unauthorized")

	for _, bad := range []object{with(credentials, "name", "x"), with(credentials, "secret", "x")} {
		h.call("POST", "/auth", bad).refused(401, "unauthorized")
		h.call("POST", "/auth", credentials).into(&first)
		h.call("POST", "/auth/refresh", with(bad, "refreshToken", first.RefreshToken)).refused(401, "unauthorized")
	}
	for _, member := range []string{"name", "secret", "refreshToken"} {
		h.call("POST", "/auth/refresh", with(with(credentials, "refreshToken", "x"), member, nil)).refused(400,
			"badRequest")
	}

	h.call("POST", "/auth", credentials).into(&first)
	h.core.Faults.Add(sandbox.Fault{Operation: "list_users", ExpireTokens: true, Times: 1})
	for range 2 {
		if works(first.AccessToken) {
			t.Error("a token outlives the fault that expires it")
		}
	}
	refresh(first.RefreshToken).refused(401, "unauthorized")
}
