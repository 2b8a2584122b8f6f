package finoos_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/finoos"
)

// start is a Wednesday.
var start = time.Date(2026, 3, 18, 9, 30, 0, 0, time.UTC)

const seed = 7

type harness struct {
	t     *testing.T
	clock *sandbox.ManualClock
	core  *sandbox.Core
	fino  *finoos.Server
	url   string
	token string
}

// setup starts a server on loopback and signs in.
func setup(t *testing.T, cfg finoos.Config) *harness {
	t.Helper()
	return setupSeed(t, cfg, seed)
}

func setupSeed(t *testing.T, cfg finoos.Config, seed int64) *harness {
	t.Helper()
	h := &harness{t: t, clock: sandbox.NewManualClock(start)}
	h.core = sandbox.NewCore(sandbox.Options{Seed: seed, Clock: h.clock, Step: time.Second})
	h.fino = finoos.New(h.core, cfg)
	server := httptest.NewServer(h.fino)
	t.Cleanup(server.Close)
	h.url = server.URL
	h.signIn()
	return h
}

func (h *harness) signIn() {
	h.t.Helper()
	var pair tokens
	h.call("POST", "/auth", object{"name": finoos.DemoName, "secret": finoos.DemoSecret}).into(&pair)
	h.token = pair.AccessToken
}

type tokens struct {
	AccessToken, RefreshToken   string
	ExpiresIn, RefreshExpiresIn int
}

type object map[string]any

// raw is a body that is sent as it stands.
type raw string

type answer struct {
	t      *testing.T
	what   string
	status int
	header http.Header
	body   []byte
}

// noHeader as a header's value sends none.
const noHeader = "\x00"

// call sends a request with the token and a User-IP, unless headers (name, value, ...) say otherwise.
func (h *harness) call(method, path string, body any, headers ...string) answer {
	h.t.Helper()
	var data []byte
	switch body := body.(type) {
	case nil:
	case raw:
		data = []byte(body)
	default:
		var err error
		if data, err = json.Marshal(body); err != nil {
			h.t.Fatal(err)
		}
	}
	req, err := http.NewRequest(method, h.url+path, bytes.NewReader(data))
	if err != nil {
		h.t.Fatal(err)
	}
	if h.token != "" {
		req.Header.Set("Authorization", h.token)
	}
	req.Header.Set("User-IP", "203.0.113.7")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == noHeader {
			req.Header.Del(headers[i])
		}
	}
	return h.send(req)
}

// send does not follow redirects, as the provider's pages are walked step by step.
func (h *harness) send(req *http.Request) answer {
	h.t.Helper()
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		h.t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	return answer{
		t: h.t, what: req.Method + " " + req.URL.Path, status: resp.StatusCode, header: resp.Header, body: data,
	}
}

// into expects 200 and reads the body, without losing digits.
func (a answer) into(v any) {
	a.t.Helper()
	if a.status != http.StatusOK {
		a.t.Fatalf("%s: status %d, want 200: %s", a.what, a.status, a.body)
	}
	decoder := json.NewDecoder(bytes.NewReader(a.body))
	decoder.UseNumber()
	if err := decoder.Decode(v); err != nil {
		a.t.Fatalf("%s: %v", a.what, err)
	}
}

// done expects 204 without a body.
func (a answer) done() {
	a.t.Helper()
	if a.status != http.StatusNoContent || len(a.body) != 0 {
		a.t.Fatalf("%s: status %d, want 204 and no body: %s", a.what, a.status, a.body)
	}
}

// refused expects the provider's error body, and nothing else in it.
func (a answer) refused(status int, kind string) {
	a.t.Helper()
	if a.status != status {
		a.t.Errorf("%s: status %d, want %d: %s", a.what, a.status, status, a.body)
		return
	}
	var body map[string]string
	if err := json.Unmarshal(a.body, &body); err != nil {
		a.t.Errorf("%s: error body: %v: %s", a.what, err, a.body)
		return
	}
	if len(body) != 2 || body["type"] != kind || body["message"] == "" {
		a.t.Errorf("%s: error body %s, want type %q and a message", a.what, a.body, kind)
	}
	if got := a.header.Get("Content-Type"); !strings.HasPrefix(got, "application/json") {
		a.t.Errorf("%s: Content-Type %q", a.what, got)
	}
}

// user makes a user of a type with scopes; without any it has all of the account's.
func (h *harness) user(kind string, scopes ...string) string {
	h.t.Helper()
	body := object{"type": kind}
	if scopes != nil {
		body["scopes"] = scopes
	}
	var created struct{ ID string }
	h.call("POST", "/users", body).into(&created)
	return created.ID
}

// The places that browsers are sent to; one has a query of its own.
const (
	redirectURL = "https://app.example.com/ok?state=a%20b"
	errorURL    = "https://app.example.com/error"
	exitURL     = "https://app.example.com/exit"
)

func urls(more ...any) object {
	body := object{"redirectURL": redirectURL, "errorURL": errorURL, "exitURL": exitURL}
	for i := 0; i < len(more); i += 2 {
		body[more[i].(string)] = more[i+1]
	}
	return body
}

type link struct{ RedirectURL string }

func (h *harness) connect(userID string, more ...any) string {
	h.t.Helper()
	var session link
	h.call("POST", "/users/"+userID+"/banking/connect", urls(more...)).into(&session)
	return session.RedirectURL
}

// connected makes a user with one bank login.
func (h *harness) connected(kind string, more ...any) string {
	h.t.Helper()
	userID := h.user(kind)
	h.connect(userID, more...)
	if _, err := h.fino.CompleteLogin(userID); err != nil {
		h.t.Fatal(err)
	}
	return userID
}

type bankLogin struct {
	ID   string
	Bank struct {
		Name, BIC, BankCode string
		Logo                struct{ URL, Type string }
	}
	Accounts []account
}

type account struct {
	IBAN, ID, Number, Name, Owner, Type, Currency string
	Balance, CreditLine, MonthlySpendingLimit     json.Number
	Transactions                                  []transaction
	StandingOrders                                []struct{ ID, AccountID, CreationDate, Interval, Purpose string }
	Securities                                    []struct {
		ID, AccountID, ISIN string
		Quantity            json.Number
	}
}

type transaction struct {
	ID, AccountID, Currency, MRef, Purpose string
	BookingDate, ValueDate                 time.Time
	Booked                                 bool
	Amount                                 json.Number
	CounterPart                            struct{ BIC, IBAN, CreditorID, Name string }
	Tags                                   []struct{ Name, Source string }
	Codes                                  []struct{ Type, Value string }
}

func (h *harness) logins(userID string) []bankLogin {
	h.t.Helper()
	var body struct{ Logins []bankLogin }
	h.call("GET", "/users/"+userID+"/banking/logins?includeTransactions=true", nil).into(&body)
	return body.Logins
}

type loginStatus struct {
	Active              bool
	ID                  string
	LastSynchronization time.Time
}

func (h *harness) statuses(userID string) []loginStatus {
	h.t.Helper()
	var body struct{ LoginsStatuses []loginStatus }
	h.call("GET", "/users/"+userID+"/banking/logins/status", nil).into(&body)
	return body.LoginsStatuses
}

// advance moves the clock and signs in again, since tokens last five minutes.
func (h *harness) advance(d time.Duration) {
	h.t.Helper()
	h.clock.Advance(d)
	h.token = ""
	h.signIn()
}

// browser walks the pages as one without script does: it fills in the forms it finds.
type browser struct {
	*harness
	page answer
	at   string // URL of the page, or where the browser was sent away to
}

func (h *harness) browse(address string) *browser {
	h.t.Helper()
	b := &browser{harness: h}
	b.open(address)
	return b
}

func (b *browser) open(address string) {
	b.t.Helper()
	req, err := http.NewRequest("GET", address, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	b.page, b.at = b.send(req), address
}

var (
	forms  = regexp.MustCompile(`(?s)<form [^>]*>.*?</form>`)
	inputs = regexp.MustCompile(`<input [^>]*>`)
)

func attribute(tag, name string) string {
	found := regexp.MustCompile(` ` + name + `="([^"]*)"`).FindStringSubmatch(tag)
	if found == nil {
		return ""
	}
	return found[1]
}

// submit presses the button of that id, with values (name, value, ...) typed into its form.
func (b *browser) submit(button string, values ...string) {
	b.t.Helper()
	for _, form := range forms.FindAllString(string(b.page.body), -1) {
		if !strings.Contains(form, `<button id="`+button+`"`) {
			continue
		}
		fields := url.Values{}
		for _, input := range inputs.FindAllString(form, -1) {
			fields.Set(attribute(input, "name"), attribute(input, "value"))
		}
		for i := 0; i < len(values); i += 2 {
			if !fields.Has(values[i]) {
				b.t.Fatalf("%s: the form has no field %s", b.page.what, values[i])
			}
			fields.Set(values[i], values[i+1])
		}
		if attribute(form, "method") == "get" {
			b.open(b.url + attribute(form, "action") + "?" + fields.Encode())
			return
		}
		b.post(attribute(form, "action"), fields)
		return
	}
	b.t.Fatalf("%s: no button %q on the page:\n%s", b.page.what, button, b.page.body)
}

// post sends a form and follows the redirect while it stays on this server.
func (b *browser) post(action string, fields url.Values) {
	b.t.Helper()
	req, err := http.NewRequest("POST", b.url+action, strings.NewReader(fields.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	b.page = b.send(req)
	if b.page.status != http.StatusSeeOther {
		return
	}
	to := b.page.header.Get("Location")
	if strings.HasPrefix(to, "/") {
		b.open(b.url + to)
		return
	}
	b.at = to
}

// shows expects a page with a heading.
func (b *browser) shows(heading string) {
	b.t.Helper()
	if b.page.status != http.StatusOK || !strings.Contains(string(b.page.body), "<h1>"+heading+"</h1>") {
		b.t.Fatalf("%s: status %d, want the page %q:\n%s", b.page.what, b.page.status, heading, b.page.body)
	}
}

// says expects a text on the page.
func (b *browser) says(text string) {
	b.t.Helper()
	if !strings.Contains(string(b.page.body), text) {
		b.t.Errorf("%s: the page does not say %q:\n%s", b.page.what, text, b.page.body)
	}
}

// sentTo expects the browser to have been sent away.
func (b *browser) sentTo(want string) {
	b.t.Helper()
	if b.page.status != http.StatusSeeOther || b.at != want {
		b.t.Fatalf("status %d, browser at %q, want it sent to %q", b.page.status, b.at, want)
	}
}

var shownTAN = regexp.MustCompile(`id="tan-shown">(\d{6})<`)

func (b *browser) tan() string {
	b.t.Helper()
	found := shownTAN.FindStringSubmatch(string(b.page.body))
	if found == nil {
		b.t.Fatalf("no TAN on the page:\n%s", b.page.body)
	}
	return found[1]
}

func jsonBody(t *testing.T, v any) io.Reader {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(data)
}
