package fimento

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"kontor.dev/kontor/internal/sandbox"
)

const (
	testSeed = 3
	step     = time.Second
)

var start = time.Date(2026, 5, 20, 10, 0, 0, 0, time.UTC)

// provider is a Fimento of a test's own, on a clock that stands still, and a client that is logged in.
type provider struct {
	*testing.T
	*Server
	core  *sandbox.Core
	clock *sandbox.ManualClock
	url   string
	token string
}

func startProvider(t *testing.T, cfg Config) *provider {
	t.Helper()
	clock := sandbox.NewManualClock(start)
	core := sandbox.NewCore(sandbox.Options{Seed: testSeed, Clock: clock, Step: step})
	p := &provider{T: t, Server: New(core, cfg), core: core, clock: clock}
	server := httptest.NewServer(p.Server)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			t.Error(err)
		}
		server.Close()
	})
	p.url = server.URL
	p.token = p.logIn()
	return p
}

func (p *provider) logIn() string {
	p.Helper()
	var out struct {
		Token string `json:"access_token"`
	}
	p.call("POST", "/auth/login", `{"name":"demo","password":"demo-password"}`).want(p.T, 200).into(p.T, &out)
	return out.Token
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) want(t *testing.T, status int) answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

func (a answer) into(t *testing.T, v any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(a.body))
	dec.UseNumber()
	if err := dec.Decode(v); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
}

// refused checks the error body and returns its messages.
func (a answer) refused(t *testing.T, status int) string {
	t.Helper()
	a.want(t, status)
	var out struct {
		Message    json.RawMessage `json:"message"`
		Error      string          `json:"error"`
		StatusCode int             `json:"statusCode"`
	}
	a.into(t, &out)
	if out.StatusCode != status || out.Error == "" || len(out.Message) < 3 {
		t.Errorf("error body %s", a.body)
	}
	if status == 400 && out.Error != "Bad request" {
		t.Errorf("error %q", out.Error)
	}
	return string(out.Message)
}

// option changes a request.
type option func(r *http.Request)

func header(name, value string) option {
	return func(r *http.Request) {
		r.Header.Del(name)
		if value != "" {
			r.Header.Set(name, value)
		}
	}
}

// noRedirect lets a test see where it is sent.
var noRedirect = &http.Client{
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// call makes an API request with the token, the demo partner bank and JSON.
func (p *provider) call(method, path, body string, options ...option) answer {
	p.Helper()
	req, err := http.NewRequestWithContext(p.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	req.Header.Set("partner-bank-id", DefaultPartnerBankID)
	req.Header.Set("Content-Type", "application/json")
	for _, o := range options {
		o(req)
	}
	return p.do(req)
}

func (p *provider) do(req *http.Request) answer {
	p.Helper()
	res, err := noRedirect.Do(req)
	if err != nil {
		p.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		p.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, body}
}

// processView is what a test reads of a process.
type processView struct {
	ID                  string     `json:"_id"`
	ConsentFlowStatuses []bankView `json:"consentFlowStatuses"`
	ConsentFlowStatus   struct {
		Current statusWire   `json:"current"`
		History []statusWire `json:"history"`
		Consent *string      `json:"consent"`
		ID      string       `json:"_id"`
	} `json:"consentFlowStatus"`
	CustomerBankConsent []bankView `json:"customerBankConsent"`
	Market              string     `json:"market"`
	PartnerBank         string     `json:"partnerBank"`
	NationalID          string     `json:"socialSecurityNumber"`
	CompanyID           string     `json:"companyId"`
	FirstName           string     `json:"firstName"`
	LastName            string     `json:"lastName"`
	DataCollectionType  string     `json:"dataCollectionType"`
	CreatedAt           string     `json:"createdAt"`
	UpdatedAt           string     `json:"updatedAt"`
	Consent             any        `json:"consent"`
	BrokerBanks         []string   `json:"brokerBanks"`
	PSUType             any        `json:"psuType"`
	RedirectURL         string     `json:"redirectUrl"`
	ConsentLink         string     `json:"consent-link"`
}

type bankView struct {
	CustomerBank struct{ Name, Country string } `json:"customerBank"`
	Status       struct {
		Current statusWire   `json:"current"`
		History []statusWire `json:"history"`
	} `json:"status"`
	ConsentGivenAt      *string `json:"consentGivenAt"`
	ConsentFlowStatusID string  `json:"consentFlowStatusId"`
}

func codes(history []statusWire) []string {
	var out []string
	for _, s := range history {
		out = append(out, s.Code)
	}
	return out
}

func wantCodes(t *testing.T, history []statusWire, want ...string) {
	t.Helper()
	if got := codes(history); !slices.Equal(got, want) {
		t.Errorf("statuses %v, want %v", got, want)
	}
}

// create starts a process for the person with good data.
func (p *provider) create(fields string) processView {
	p.Helper()
	if fields == "" {
		fields = `"socialSecurityNumber":"` + sandbox.GoodNationalID + `"`
	}
	var out processView
	p.call("POST", "/process", `{"market":"SE","dataCollectionType":"transaction-categorisation",`+fields+`}`).want(p.T,
		201).into(p.T, &out)
	return out
}

func (p *provider) process(id string) processView {
	p.Helper()
	var out processView
	p.call("GET", "/process/"+id, "").want(p.T, 200).into(p.T, &out)
	return out
}

// ready brings a process to completion without a browser.
func (p *provider) ready(fields string) processView {
	p.Helper()
	created := p.create(fields)
	p.call("POST", "/process/"+created.ID+"/consent/approved", "").want(p.T, 200)
	p.clock.Advance(5 * step)
	return p.process(created.ID)
}

// browser fills in the consent pages as a person does: it follows redirects within the server and submits the forms
// that stand on the page.
type browser struct {
	*provider
	at   string // the present address
	page answer
}

func (p *provider) browse(address string) *browser {
	p.Helper()
	b := &browser{provider: p}
	b.open(address)
	return b
}

func (b *browser) open(address string) {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), "GET", address, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.follow(req)
}

// follow stops at the first page, or at an address elsewhere.
func (b *browser) follow(req *http.Request) {
	b.Helper()
	b.at, b.page = req.URL.String(), b.do(req)
	if b.page.status != http.StatusSeeOther {
		return
	}
	next, err := req.URL.Parse(b.page.header.Get("Location"))
	if err != nil {
		b.Fatal(err)
	}
	if !strings.HasPrefix(next.String(), b.url) {
		b.at, b.page = next.String(), answer{}
		return
	}
	b.open(next.String())
}

var (
	formPattern   = regexp.MustCompile(`(?s)<form id="([^"]+)" method="post" action="([^"]+)">(.*?)</form>`)
	buttonPattern = regexp.MustCompile(`<button [^>]*id="([^"]+)"(?: name="([^"]+)" value="([^"]+)")?[^>]*>`)
	linkPattern   = regexp.MustCompile(`<a [^>]*id="([^"]+)" href="([^"]+)"`)
)

// click presses the button, or follows the link, with the given id.
func (b *browser) click(id string) *browser {
	b.Helper()
	for _, form := range formPattern.FindAllStringSubmatch(string(b.page.body), -1) {
		for _, button := range buttonPattern.FindAllStringSubmatch(form[3], -1) {
			if button[1] != id {
				continue
			}
			fields := url.Values{}
			if button[2] != "" {
				fields.Set(button[2], button[3])
			}
			b.submit(form[2], fields)
			return b
		}
	}
	for _, link := range linkPattern.FindAllStringSubmatch(string(b.page.body), -1) {
		if link[1] == id {
			b.open(b.url + link[2])
			return b
		}
	}
	b.Fatalf("nothing to click with the id %s in %s", id, b.page.body)
	return nil
}

func (b *browser) submit(action string, fields url.Values) {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), "POST", b.url+action, strings.NewReader(fields.Encode()))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	b.follow(req)
}

func (b *browser) sees(status int, texts ...string) *browser {
	b.Helper()
	b.page.want(b.T, status)
	for _, text := range append(texts, "Sandbox") {
		if !strings.Contains(string(b.page.body), text) {
			b.Errorf("%q does not stand on the page at %s: %s", text, b.at, b.page.body)
		}
	}
	return b
}
