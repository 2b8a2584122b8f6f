package fimento

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/providers/providertest"
	"kontor.dev/kontor/internal/secret"
)

// The fake plays Fimento as strictly as its documentation allows: what is not documented fails the test. It knows
// nothing of the adapter but the names of the operations.

const (
	basePath    = "/api"
	fakeUser    = "api-user"
	fakePass    = "correct horse"
	fakeBank    = "605c6c479691950d359bb0e9"
	fakeProcess = "6630da8590502faa7517e0fc"
	fakeLink    = "https://consent.example/l/1?t=2"
)

// field is a member of a documented body.
type field struct {
	required bool
	kind     string // string, boolean or array
	enum     []string
}

var (
	needed  = field{required: true, kind: "string"}
	anyText = field{kind: "string"}
)

// documented is one row of the contract.
type documented struct {
	operation, method, path string
	query                   []string // all are required
	headers                 []string // all are optional but partner-bank-id
	body                    map[string]field
	open                    bool // takes no token
	answer                  string
}

var partnerBankBody = map[string]field{"name": needed, "isBroker": {kind: "boolean"}, "logoUrl": anyText}

var contract = []documented{
	{
		operation: "login", method: "POST", path: "/auth/login", open: true,
		body: map[string]field{"name": needed, "password": needed},
	},
	{
		operation: "create_partner_bank", method: "POST", path: "/partner-bank", body: partnerBankBody,
		answer: samplePartnerBank,
	},
	{
		operation: "list_partner_banks", method: "GET", path: "/partner-bank", query: []string{"page", "limit"},
		answer: "[" + samplePartnerBank + "]",
	},
	{
		operation: "update_partner_bank", method: "PUT", path: "/partner-bank/{id}", body: partnerBankBody,
		answer: samplePartnerBank,
	},
	{
		operation: "create_process", method: "POST", path: "/process",
		headers: []string{"partner-bank-id", "idempotency-key"},
		body: map[string]field{
			"market": {required: true, kind: "string", enum: []string{"SE", "FI"}},
			"dataCollectionType": {
				required: true, kind: "string",
				enum: []string{"transaction-categorisation", "bank-account-verification"},
			},
			"socialSecurityNumber": anyText, "companyId": anyText, "firstName": anyText, "lastName": anyText,
			"redirectUrl": anyText, "psuType": anyText,
			"brokerBanks": {kind: "array"},
		},
		answer: withLink(sampleProcess),
	},
	{
		operation: "new_consent_link", method: "POST", path: "/process/{processId}/consent-link",
		headers: []string{"partner-bank-id"},
		answer:  `{"consent-link":"` + fakeLink + `"}`,
	},
	{
		operation: "new_consent_flow", method: "POST", path: "/process/{processId}/consent",
		headers: []string{"partner-bank-id"},
		answer:  `{"consent-link":"` + fakeLink + `"}`,
	},
	{
		operation: "get_process", method: "GET", path: "/process/{processId}", headers: []string{"partner-bank-id"},
		answer: sampleProcess,
	},
	{operation: "delete_process", method: "DELETE", path: "/process/{processId}", headers: []string{"partner-bank-id"}},
	{operation: "add_webhook", method: "POST", path: "/webhook", body: map[string]field{"webhookUrl": needed}},
	{
		operation: "test_decision", method: "POST", path: "/process/{processId}/consent/{status}",
		headers: []string{"partner-bank-id"},
		answer:  `{"isApproved": true}`,
	},
	{
		operation: "visualisation_link", method: "GET", path: "/insights/{processId}/visualisation",
		headers: []string{"partner-bank-id", "reference-id"},
		answer:  `{"visualisationUrl": "https://view.example/v/1"}`,
	},
	{
		operation: "insights", method: "GET", path: "/insights/{processId}",
		headers: []string{"partner-bank-id", "reference-id"}, answer: sampleInsights,
	},
	{
		operation: "transactions", method: "GET", path: "/insights/{processId}/transactions", query: []string{"page"},
		answer: `{"transactions": []}`,
	},
}

// call is one request that the fake has seen.
type call struct {
	Operation, Path string
	Query           url.Values
	Header          http.Header
	Body            map[string]any
	Raw             string
}

// reply is what the fake answers.
type reply struct {
	status int
	body   string
	header http.Header
}

type fake struct {
	t      testing.TB
	server *httptest.Server

	mu         sync.Mutex
	calls      []call
	replies    map[string]func(call) reply
	validUntil string // of the tokens that logins give
	token      int    // the number of the last token; only that one is taken
}

// newFake starts a fake whose paths are those of the contract, except as overridden.
func newFake(t testing.TB, overrides ...documented) *fake {
	f := &fake{t: t, replies: map[string]func(call) reply{}, validUntil: "3600"}
	mux := http.NewServeMux()
	for _, row := range contract {
		for _, other := range overrides {
			if other.operation == row.operation {
				row.method, row.path, row.query = other.method, other.path, append(row.query, other.query...)
			}
		}
		mux.HandleFunc(row.method+" "+basePath+row.path,
			func(w http.ResponseWriter, r *http.Request) { f.serve(row, w, r) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		f.refuse(w, http.StatusNotFound, "%s %s is no operation", r.Method, r.URL.Path)
	})
	f.server = httptest.NewServer(mux)
	t.Cleanup(f.server.Close)
	return f
}

func (f *fake) refuse(w http.ResponseWriter, status int, format string, args ...any) {
	f.t.Errorf("the provider would refuse: "+format, args...)
	writeReply(w, failed(status))
}

func (f *fake) serve(row documented, w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		f.refuse(w, 400, "%s: body: %v", row.operation, err)
		return
	}
	c := call{
		Operation: row.operation, Path: strings.TrimPrefix(r.URL.EscapedPath(), basePath), Query: r.URL.Query(),
		Header: r.Header, Raw: string(raw),
	}
	if problem := check(row, &c); problem != "" {
		f.refuse(w, 400, "%s: %s", row.operation, problem)
		return
	}
	f.mu.Lock()
	f.calls = append(f.calls, c)
	authorized := r.Header.Get("Authorization") == fmt.Sprintf("Bearer token-%d", f.token)
	answer := f.replies[row.operation]
	f.mu.Unlock()
	switch {
	case !row.open && !authorized:
		writeReply(w, failed(401))
	case answer != nil:
		writeReply(w, answer(c))
	case row.operation == "login":
		f.mu.Lock()
		f.token++
		body := fmt.Sprintf(`{"access_token": "token-%d", "valid_until": %s}`, f.token, f.validUntil)
		f.mu.Unlock()
		writeReply(w, reply{status: 201, body: body})
	default:
		writeReply(w, reply{status: 200, body: row.answer})
	}
}

// check compares a request with the contract and says what is wrong with it.
func check(row documented, c *call) string {
	for name := range c.Query {
		if !slices.Contains(row.query, name) {
			return "query parameter " + name + " is not documented"
		}
	}
	for _, name := range row.query {
		if len(c.Query[name]) != 1 || c.Query.Get(name) == "" {
			return "query parameter " + name + " is missing"
		}
	}
	for name, values := range c.Header {
		if slices.Contains(values, "") {
			return "header " + name + " is empty"
		}
		switch name {
		case "Accept", "Accept-Encoding", "User-Agent", "Content-Type", "Content-Length", "Authorization", "Connection":
		default:
			if !slices.ContainsFunc(row.headers, func(known string) bool { return strings.EqualFold(known, name) }) {
				return "header " + name + " is not documented"
			}
		}
	}
	if slices.Contains(row.headers, "partner-bank-id") && c.Header.Get("partner-bank-id") == "" {
		return "header partner-bank-id is missing"
	}
	if token := c.Header.Get("Authorization"); row.open != (token == "") || token != "" && !strings.HasPrefix(token,
		"Bearer ") {
		return "Authorization is wrong"
	}
	if row.body == nil {
		if c.Raw != "" {
			return "a body is not documented"
		}
		return ""
	}
	if c.Header.Get("Content-Type") != "application/json" {
		return "Content-Type is wrong"
	}
	decoder := json.NewDecoder(bytes.NewReader([]byte(c.Raw)))
	if err := decoder.Decode(&c.Body); err != nil || decoder.More() {
		return "the body is no JSON object"
	}
	for name, value := range c.Body {
		known, ok := row.body[name]
		text, isText := value.(string)
		_, isBool := value.(bool)
		_, isArray := value.([]any)
		switch {
		case !ok:
			return "field " + name + " is not documented"
		case known.kind == "string" != isText, known.kind == "boolean" != isBool, known.kind == "array" != isArray:
			return "field " + name + " has the wrong type"
		case known.required && text == "":
			return "field " + name + " is empty"
		case known.enum != nil && !slices.Contains(known.enum, text):
			return "field " + name + " has an unknown value"
		}
	}
	for name, known := range row.body {
		if _, ok := c.Body[name]; known.required && !ok {
			return "field " + name + " is missing"
		}
	}
	return ""
}

func writeReply(w http.ResponseWriter, r reply) {
	for name, values := range r.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(r.status)
	_, _ = io.WriteString(w, r.body)
}

// errorText must come out nowhere.
const errorText = "kund 199503096316 finns inte"

// failed is the provider's error body.
func failed(status int) reply {
	return reply{
		status: status,
		body: fmt.Sprintf(`{"message": [%q], "error": %q, "statusCode": %d}`, errorText, http.StatusText(status),
			status),
	}
}

// answer makes an operation answer with that body, always.
func (f *fake) answer(operation, body string) {
	f.respond(operation, func(call) reply { return reply{status: 200, body: body} })
}

// fail makes an operation fail, always.
func (f *fake) fail(operation string, status int) {
	f.respond(operation, func(call) reply { return failed(status) })
}

func (f *fake) respond(operation string, with func(call) reply) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.replies[operation] = with
}

// expire makes the provider refuse all tokens that it gave.
func (f *fake) expire() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.token++
}

// seen gives the calls of an operation.
func (f *fake) seen(operation string) []call {
	f.mu.Lock()
	defer f.mu.Unlock()
	var calls []call
	for _, c := range f.calls {
		if c.Operation == operation {
			calls = append(calls, c)
		}
	}
	return calls
}

// only gives the one call of an operation.
func (f *fake) only(operation string) call {
	f.t.Helper()
	calls := f.seen(operation)
	if len(calls) != 1 {
		f.t.Fatalf("%s was called %d times, want once", operation, len(calls))
	}
	return calls[0]
}

// provider makes a provider that talks to the fake. It retries nothing, so that calls can be counted.
func (f *fake) provider(changes ...func(*Config, *providers.Deps)) *providers.Provider {
	f.t.Helper()
	cfg := Config{
		BaseURL: providers.BaseURL(f.server.URL + basePath), Username: fakeUser, Password: secret.New(fakePass),
		PartnerBank: fakeBank, AllowSimulation: true,
	}
	deps := providers.Deps{Policy: providers.Policy{Retries: -1, BreakerCalls: -1, LoginBackoff: time.Millisecond}}
	for _, change := range changes {
		change(&cfg, &deps)
	}
	p, err := Kind.With(cfg).Open(context.Background(), deps)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(p.Session.(interface{ Close() }).Close)
	providertest.OnlyTold(f.t, p)
	return p
}

// The documentation's samples.
const (
	samplePartnerBank = `{"_id": "605c6c479691950d359bb0e9", "name": "Demo partner bank", "isBroker": true, "logoUrl": "www.logoUrl.com"}`

	sampleBankConsents = `[{
		"customerBank": {"name": "Nordfjäll Bank", "country": "SE"},
		"status": {
			"current": {"code": "bankAddedNotCompletedAuthFlow", "desc": "Bank added, not completed auth flow", "timestamp": "2019-08-24T14:15:22Z"},
			"history": [{"code": "bankAddedNotCompletedAuthFlow", "desc": "Bank added, not completed auth flow", "timestamp": "2019-08-24T14:15:22Z"}]
		},
		"consentGivenAt": "2019-08-24T14:15:22Z",
		"consentFlowStatusId": "6630da8590502faa7517e0fc"
	}]`

	sampleProcess = `{
		"_id": "6630da8590502faa7517e0fc",
		"consentFlowStatuses": ` + sampleBankConsents + `,
		"consentFlowStatus": {
			"current": {"code": "created", "desc": "Created - No banks added", "timestamp": "2019-08-24T14:15:22Z"},
			"history": [{"code": "created", "desc": "Created - No banks added", "timestamp": "2019-08-24T14:15:22Z"}],
			"consent": "null",
			"_id": "6630da8590502faa7517e0fc"
		},
		"market": "SE", "partnerBank": "605c6c479691950d359bb0e9",
		"socialSecurityNumber": "199503096316", "companyId": "string", "createdAt": "2019-08-24T14:15:22Z",
		"customerBankConsent": ` + sampleBankConsents + `,
		"firstName": "string", "lastName": "string", "consent": "null", "updatedAt": "2019-08-24T14:15:22Z",
		"dataCollectionType": "transaction-categorisation", "brokerBanks": ["string"], "psuType": "business"
	}`

	sampleInsights = `{
		"transactionGraph": [{
			"date": "2024-01-12",
			"info": {
				"balance": 100.5, "negativeSum": -24.99, "positiveSum": 125.49,
				"negativeTransactions": [{"description": "Matkassen Söder", "amount": -24.99, "category": "groceries"}],
				"positiveTransactions": [{"description": "Lön", "amount": 125.49, "category": "income"}]
			}
		}],
		"accountsInfo": [{"accountNumber": "9300 123 456-7", "name": "Lönekonto", "balance": 1234.50, "type": "Transaktionskonto", "bank": "Nordfjäll Bank"}],
		"totalBalance": {"amount": 1234.50},
		"fetchedAtInterval": {"min": "2019-08-24T14:15:22Z", "max": "2019-08-25T14:15:22.5+00:00"},
		"categorisation": {"housing": {"share": 0.25}},
		"socialSecurityNumber": "199503096316", "companyId": "5569876542", "firstName": "Elin", "lastName": "Sandström",
		"processId": "6630da8590502faa7517e0fc",
		"computationAutomation": {"kalp": [1, 2]}
	}`
)

// withLink adds the consent link to an object.
func withLink(object string) string {
	return `{"consent-link": "` + fakeLink + `", ` + strings.TrimPrefix(strings.TrimSpace(object), "{")
}
