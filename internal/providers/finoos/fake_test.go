package finoos

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/providers/providertest"
	"kontor.dev/kontor/internal/secret"
)

// The samples of finoOS's documentation.
var (
	//go:embed testdata/logins_quickstart.json
	sampleLogins []byte
	//go:embed testdata/logins_reference.json
	sampleLoginsReference []byte // another order of keys: a login's id comes after its accounts
	//go:embed testdata/analysis.json
	sampleAnalysis []byte
)

const (
	testName   = "kontor"
	testSecret = "3bdfef4d-e122-4c8d-a3cf-01ac776eca17"
	testUser   = "5f22c402b6968c000128edb6"
	testLogin  = "5d7267d1b747aa683d88668f"
	testIP     = "203.0.113.7"
	testID     = "0b6d5a2e-6f0e-4b7e-9a53-6a7d3f0f9b11" // of a request
	// canary stands in every error body of the fake. It must be in no error of ours.
	canary = "Torben Mais DE64100200007791587578"
)

// rule is what finoOS documents of one operation.
type rule struct {
	operation, method, path string
	query                   map[string]string // patterns of the values; a trailing "?" in the name means optional
	userIP                  string            // "required", "optional", or "" for never
	body                    string            // fields as "name*:type", * for required; "" for no body
	answer                  string            // the sample's answer; "" for 204
}

const (
	sessionFields  = "redirectURL*:url errorURL*:url exitURL*:url"
	shipmentFields = "address*:address callbackURL*:url pdfContent*:base64 processID*:string recipient*:string subject*:string"
)

var rules = []rule{
	{"authenticate", "POST", "/auth", nil, "", "name*:string secret*:string", ""},
	{"refresh", "POST", "/auth/refresh", nil, "", "name*:string secret*:string refreshToken*:string", ""},
	{
		"list_users", "GET", "/users", map[string]string{"page": `[0-9]+`, "perPage": `[1-9]|[1-4][0-9]|50`}, "", "",
		`{"users": []}`,
	},
	{"create_user", "POST", "/users", nil, "", "type:usertype scopes:scopes", `{"id": "` + testUser + `"}`},
	{"delete_user", "DELETE", "/users/{user}", nil, "", "", ""},
	{"add_scope", "POST", "/users/{user}/scopes", nil, "", "name*:scope", ""},
	{"remove_scope", "DELETE", "/users/{user}/scopes/{scope}", nil, "", "", ""},
	{
		"connect", "POST", "/users/{user}/banking/connect", nil, "optional", sessionFields + " recurring:bool",
		`{"redirectURL": "https://uba.test.fino.run/auth?session=1"}`,
	},
	{"disconnect", "DELETE", "/users/{user}/banking/connect", nil, "required", "", ""},
	{
		"get_logins", "GET", "/users/{user}/banking/logins", map[string]string{"includeTransactions": `true|false`}, "",
		"", string(sampleLogins),
	},
	{"set_logins", "POST", "/users/{user}/banking/logins", nil, "", "logins*:logins", ""},
	{"update_logins", "PATCH", "/users/{user}/banking/logins", nil, "", "logins*:logins", ""},
	{"delete_login", "DELETE", "/users/{user}/banking/logins/{login}", nil, "required", "", ""},
	{
		"synchronization_status", "GET", "/users/{user}/banking/logins/status", nil, "", "",
		`{"loginsStatuses": [{"active": true, "id": "` + testLogin +
			`", "lastSynchronization": "2020-05-26T17:11:22Z"}]}`,
	},
	{
		"banking_overview", "POST", "/users/{user}/banking/overview", map[string]string{"addBankLogin": `true|false`},
		"required", sessionFields, `{"redirectURL": "https://uba.test.fino.run/overview?session=2"}`,
	},
	{
		"synchronize", "POST", "/users/{user}/banking/synchronize", nil, "required",
		sessionFields + " bankLoginId*:string", "",
	},
	{
		"search_company_logos", "POST", "/companies/logos",
		map[string]string{"exactMatch?": `true|false`, "fuzziness?": `AUTO|1|2`}, "", "queries*:queries",
		`{"results": [{"company": "fino", "queryID": "1", "status": "ok", "url": "https://logos.fino.cloud/fino.png"}]}`,
	},
	{"send_fax", "POST", "/documentshipment/fax", nil, "", shipmentFields, ""},
	{"send_letter", "POST", "/documentshipment/letter", nil, "", shipmentFields, ""},
	{"payment_partner_analysis", "GET", "/users/{user}/paymentpartneranalysis", nil, "", "", string(sampleAnalysis)},
}

// objects are the fields of nested objects.
var objects = map[string]string{
	"address":       "city:string countryCode:string houseNumber:string postcode:string street:string streetAdditionalInfo:string",
	"query":         "bankCode:string bic:string creditorID:string domain:string iban:string name:string queryID:string",
	"login":         "id*:string bank:bank accounts:accounts",
	"bank":          "name:string bic:string bankCode:string logo:logo",
	"logo":          "url:string type:string",
	"account":       "id*:string iban:string number:string name:string owner:string type:string currency:string balance:number creditLine:number monthlySpendingLimit:number transactions:transactions standingOrders:standingOrders securities:securities",
	"transaction":   "id*:string accountID:string amount:number currency:string booked:bool bookingDate:instant valueDate:instant purpose:string mref:string counterPart:counterPart codes:codes tags:tags",
	"counterPart":   "name:string iban:string bic:string creditorId:string",
	"code":          "type:string value:string",
	"tag":           "name:string source:string",
	"standingOrder": "id:string accountID:string amount:number currency:string interval:string executionDay:number creationDate:instant firstExecutionDate:instant lastExecutionDate:instant purpose:string",
	"security":      "id:string accountID:string name:string isin:string market:string quantity:number exchangeRate:number amount:number currency:string priceAmount:number priceCurrency:string purchasePriceAmount:number purchasePriceCurrency:string",
}

var lists = map[string]string{
	"logins": "login", "accounts": "account", "transactions": "transaction", "codes": "code", "tags": "tag",
	"standingOrders": "standingOrder", "securities": "security", "queries": "query",
}

// call is what the fake was asked.
type call struct {
	operation string
	path      string
	query     url.Values
	header    http.Header
	body      string
}

// fake is finoOS as the documentation has it, refusing everything else.
type fake struct {
	t      *testing.T
	server *httptest.Server

	mu      sync.Mutex
	calls   []call
	answers map[string]http.HandlerFunc // replaces the sample's answer, by operation
	access  string                      // the token that is valid now
	refresh string
	issued  int
	life    string // of tokens, as JSON fields
	prefix  string
	version string
}

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{t: t, answers: map[string]http.HandlerFunc{}, life: `"expiresIn": 300, "refreshExpiresIn": 1800`}
	mux := http.NewServeMux()
	for _, r := range rules {
		mux.HandleFunc(r.method+" /api/v1"+r.path,
			func(w http.ResponseWriter, req *http.Request) { f.serve(w, req, r) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, req *http.Request) {
		t.Errorf("finoOS has no %s %s", req.Method, req.URL.Path)
		refuse(w, http.StatusNotFound, "notFound")
	})
	f.server = httptest.NewServer(mux)
	t.Cleanup(f.server.Close)
	return f
}

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2020, 5, 26, 17, 11, 22, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// provider makes a provider that talks to the fake and sends nothing twice.
func (f *fake) provider(change ...func(*Config, *providers.Deps)) *providers.Provider {
	f.t.Helper()
	cfg := Config{BaseURL: providers.BaseURL(f.server.URL + "/api/v1"), Name: testName, Secret: secret.New(testSecret)}
	deps := providers.Deps{Clock: newClock().Now, Policy: providers.Policy{Retries: -1, BreakerCalls: -1}}
	for _, c := range change {
		c(&cfg, &deps)
	}
	p, err := Kind.With(cfg).Open(context.Background(), deps)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(p.Session.(*adapter).Close)
	providertest.OnlyTold(f.t, p)
	return p
}

// answer replaces the answer to an operation.
func (f *fake) answer(operation string, status int, body string) {
	f.handle(operation, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		io.WriteString(w, body)
	})
}

func (f *fake) handle(operation string, h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[operation] = h
}

func (f *fake) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls, f.answers = nil, map[string]http.HandlerFunc{}
}

// asked gives the calls of an operation; "" gives all.
func (f *fake) asked(operation string) []call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.calls),
		func(c call) bool { return operation != "" && c.operation != operation })
}

// only gives the one call of an operation.
func (f *fake) only(operation string) call {
	f.t.Helper()
	calls := f.asked(operation)
	if len(calls) != 1 {
		f.t.Fatalf("%s was called %d times, want once", operation, len(calls))
	}
	return calls[0]
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"type": %q, "message": %q}`, code, canary)
}

func (f *fake) serve(w http.ResponseWriter, req *http.Request, r rule) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the client went away
	}
	f.mu.Lock()
	f.calls = append(f.calls, call{
		operation: r.operation, path: strings.TrimPrefix(req.URL.EscapedPath(), "/api/v1"), query: req.URL.Query(),
		header: req.Header.Clone(), body: string(body),
	})
	answer, access, prefix, version := f.answers[r.operation], f.access, f.prefix, f.version
	f.mu.Unlock()

	w.Header().Set("API-Version", "2020-06-16")
	w.Header().Set("X-Request-ID", "fino-"+req.Header.Get("X-Request-ID"))
	if problem := r.violation(req, body, version); problem != "" {
		f.t.Errorf("%s: %s", r.operation, problem)
		refuse(w, http.StatusBadRequest, "invalidInput")
		return
	}
	login := strings.HasPrefix(r.path, "/auth")
	if !login && (access == "" || req.Header.Get("Authorization") != prefix+access) {
		refuse(w, http.StatusUnauthorized, "unauthorized")
		return
	}
	if login && req.Header.Get("Authorization") != "" {
		f.t.Errorf("%s: carries a token", r.operation)
	}
	switch {
	case answer != nil:
		answer(w, req)
	case login:
		f.login(w, r.operation, body)
	case r.answer == "":
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, r.answer)
	}
}

func (f *fake) login(w http.ResponseWriter, operation string, body []byte) {
	var sent map[string]string
	json.Unmarshal(body, &sent)
	f.mu.Lock()
	defer f.mu.Unlock()
	if sent["name"] != testName || sent["secret"] != testSecret || operation == "refresh" &&
		sent["refreshToken"] != f.refresh {
		refuse(w, http.StatusUnauthorized, "unauthorized")
		return
	}
	f.issued++
	f.access, f.refresh = fmt.Sprintf("access-%d", f.issued), fmt.Sprintf("refresh-%d", f.issued)
	fmt.Fprintf(w, `{"accessToken": %q, "refreshToken": %q, %s}`, f.access, f.refresh, f.life)
}

// violation says what the documentation does not allow.
func (r rule) violation(req *http.Request, body []byte, version string) string {
	query := maps.Clone(req.URL.Query())
	for name, pattern := range r.query {
		name, optional := strings.CutSuffix(name, "?")
		values := query[name]
		delete(query, name)
		if len(values) == 0 && optional {
			continue
		}
		if len(values) != 1 || !regexp.MustCompile(`^(`+pattern+`)$`).MatchString(values[0]) {
			return "query " + name + " is missing or bad"
		}
	}
	if len(query) > 0 {
		return fmt.Sprintf("undocumented query %v", slices.Collect(maps.Keys(query)))
	}
	ip := req.Header.Get("User-IP")
	if _, err := netip.ParseAddr(ip); r.userIP == "required" && err != nil || ip != "" && (r.userIP == "" ||
		err != nil) {
		return "User-IP is missing, bad, or not asked for"
	}
	if req.Header.Get("X-Request-ID") == "" {
		return "X-Request-ID is missing"
	}
	if req.Header.Get("API-Version") != version {
		return "API-Version is not what it should be"
	}
	if r.body == "" {
		if len(body) > 0 {
			return "undocumented body"
		}
		return ""
	}
	if req.Header.Get("Content-Type") != "application/json" {
		return "the body is not declared as JSON"
	}
	return object(body, r.body)
}

// object says what is wrong with the fields of an object.
func object(raw []byte, fields string) string {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return "not an object"
	}
	for field := range strings.FieldsSeq(fields) {
		name, kind, _ := strings.Cut(field, ":")
		name, needed := strings.CutSuffix(name, "*")
		value, ok := members[name]
		delete(members, name)
		if !ok {
			if needed {
				return name + " is missing"
			}
			continue
		}
		if problem := typed(value, kind); problem != "" {
			return name + ": " + problem
		}
	}
	if len(members) > 0 {
		return fmt.Sprintf("undocumented fields %v", slices.Sorted(maps.Keys(members)))
	}
	return ""
}

// typed says what is wrong with a value.
func typed(raw []byte, kind string) string {
	if element, ok := lists[kind]; ok {
		var elements []json.RawMessage
		if json.Unmarshal(raw, &elements) != nil || elements == nil {
			return "not an array"
		}
		for _, e := range elements {
			if problem := object(e, objects[element]); problem != "" {
				return problem
			}
		}
		return ""
	}
	if fields, ok := objects[kind]; ok {
		return object(raw, fields)
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	decoder.Decode(&value)
	text, isText := value.(string)
	ok := isText
	switch kind {
	case "number":
		_, ok = value.(json.Number)
	case "bool":
		_, ok = value.(bool)
	case "url":
		u, err := url.Parse(text)
		ok = err == nil && u.IsAbs() && u.Host != ""
	case "base64":
		_, err := base64.StdEncoding.DecodeString(text)
		ok = ok && err == nil
	case "instant":
		_, err := time.Parse(time.RFC3339, text)
		ok = err == nil
	case "usertype":
		ok = text == "person" || text == "company"
	case "scope":
		ok = slices.Contains(knownScopes, text)
	case "scopes":
		var many []string
		ok = json.Unmarshal(raw,
			&many) == nil && len(many) > 0 && !slices.ContainsFunc(many,
			func(s string) bool { return !slices.Contains(knownScopes, s) })
	}
	if !ok {
		return "is no " + kind
	}
	return ""
}

var knownScopes = []string{
	"banking", "bankingExternal", "companies", "companiesLogo", "contracts", "documentShipment",
	"paymentPartnerAnalysis",
}
