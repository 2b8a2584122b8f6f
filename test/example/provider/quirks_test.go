package example_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/secret"
	"kontor.dev/kontor/test/example/played"
	example "kontor.dev/kontor/test/example/provider"
)

// world is the adapter in front of a played Skarvholm.
type world struct {
	*providers.Provider

	core   *sandbox.Core
	player *played.Server
	clock  *sandbox.AheadClock
}

var redirects = providers.Redirects{
	Success: "https://kontor.example.com/success?keep=1", Error: "https://kontor.example.com/error",
	Exit: "https://kontor.example.com/exit",
}

func configOf(url string) example.Config {
	return example.Config{
		BaseURL: providers.BaseURL(url + played.BasePath), ClientID: played.ClientID,
		ClientSecret: secret.New(played.ClientSecret), SigningKey: secret.New(played.SigningKey),
	}
}

func newWorld(t *testing.T, change func(*example.Config)) *world {
	t.Helper()
	w := &world{clock: &sandbox.AheadClock{}}
	w.core = sandbox.NewCore(sandbox.Options{Seed: 1, Step: time.Minute, Clock: w.clock})
	w.player = played.New(w.core, played.Config{})
	server := httptest.NewServer(w.player)
	t.Cleanup(server.Close)
	cfg := configOf(server.URL)
	if change != nil {
		change(&cfg)
	}
	p, err := example.Kind.With(cfg).Open(t.Context(), providers.Deps{
		Clock: w.clock.Now, Policy: providers.Policy{Retries: -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Provider = p
	return w
}

func present(t *testing.T) context.Context {
	t.Helper()
	return providers.WithCall(t.Context(), providers.Call{PSUIP: "203.0.113.7"})
}

func (w *world) create(t *testing.T) providers.ConsentRef {
	t.Helper()
	created, err := w.Consents.CreateConsent(present(t), providers.NewConsent{Market: "NO", Redirects: redirects})
	if err != nil {
		t.Fatal(err)
	}
	return created.Ref
}

// approve lets the customer approve and come back.
func (w *world) approve(t *testing.T, ref providers.ConsentRef) providers.ConsentRef {
	t.Helper()
	location, err := w.player.Approve(ref.ID)
	if err != nil {
		t.Fatal(err)
	}
	back, err := w.Callbacks.Redirect(present(t), ref, providers.OutcomeSuccess, played.QueryOf(location))
	if err != nil {
		t.Fatal(err)
	}
	return *back.Ref
}

func (w *world) state(t *testing.T, ref providers.ConsentRef) *providers.ConsentState {
	t.Helper()
	state, err := w.Consents.GetConsent(present(t), ref)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func (w *world) accounts(ctx context.Context, ref providers.ConsentRef) ([]providers.Account, error) {
	return w.Accounts.ListAccounts(ctx, ref)
}

func TestConfigurationFaultsAreNamedByKey(t *testing.T) {
	t.Parallel()
	operation := func(name, override string) func(*example.Config) {
		return func(c *example.Config) { c.Operations = providers.Overrides{name: override} }
	}
	for key, change := range map[string]func(*example.Config){
		"base_url":                  func(c *example.Config) { c.BaseURL = "http://api.skarvholm.example" },
		"client_id":                 func(c *example.Config) { c.ClientID = "demo" },
		"client_secret":             func(c *example.Config) { c.ClientSecret = secret.String{} },
		"signing_key":               func(c *example.Config) { c.SigningKey = secret.New(" ") },
		"consent_days":              func(c *example.Config) { c.ConsentDays = 91 },
		"operations.login":          operation("login", "POST"),
		"operations.get_consent":    operation("get_consent", "GET /"),
		"operations.create_account": operation("create_account", ""),
	} {
		cfg := configOf("https://api.skarvholm.example")
		change(&cfg)
		faults := example.Kind.With(cfg).Check()
		if len(faults) != 1 || faults[0].Key != key {
			t.Errorf("%s: the faults are %v", key, faults)
		}
		if _, err := example.Kind.With(cfg).Open(t.Context(), providers.Deps{}); err == nil {
			t.Errorf("%s: opens", key)
		}
	}
}

func TestBodiesToOAuthAreForms(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.approve(t, w.create(t))
	for operation, want := range map[string]string{
		played.OpLogin:         "application/x-www-form-urlencoded",
		played.OpConsentToken:  "application/x-www-form-urlencoded",
		played.OpCreateConsent: "application/json",
	} {
		for _, call := range w.core.Calls.Of(operation) {
			if got := call.Header.Get("Content-Type"); got != want || call.Status >= 300 {
				t.Errorf("%s is sent as %s and answered with %d", operation, got, call.Status)
			}
		}
	}
}

// The played Skarvholm takes no request whose digest or signature is wrong.
func TestRequestsAreSigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *example.Config) { c.SigningKey = secret.New("another") })
	if kind := providers.KindOf(w.Session.Check(t.Context())); kind != providers.KindCredentials {
		t.Errorf("with another key the login fails as %s", kind)
	}
	w = newWorld(t, nil)
	w.create(t)
	for _, call := range w.core.Calls.All() {
		if call.Header.Get("Digest") == "" || call.Header.Get("Signature") == "" {
			t.Errorf("%s is not signed", call.Operation)
		}
	}
}

func TestTheReturnBringsACode(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ref := w.create(t)
	location, err := w.player.Approve(ref.ID)
	if err != nil {
		t.Fatal(err)
	}
	if state := w.state(t, ref); len(state.Connections) != 0 || state.Decision != consentv1.Decision_UNDECIDED {
		t.Errorf("approved, and not back yet: %+v", state)
	}
	if _, err := w.accounts(present(t), ref); providers.KindOf(err) != providers.KindConsentEnded {
		t.Errorf("without a code, accounts: %v", err)
	}
	query := played.QueryOf(location)
	back, err := w.Callbacks.Redirect(present(t), ref, providers.OutcomeSuccess, query)
	if err != nil || back.Ref == nil || back.Ref.ID != ref.ID || back.Ref.State.IsZero() {
		t.Fatalf("%+v, %v", back, err)
	}
	if state := w.state(t, *back.Ref); len(state.Connections) != 1 {
		t.Errorf("with a code: %+v", state)
	}
	// A browser that comes again changes nothing.
	calls := w.core.Calls.Count(played.OpConsentToken)
	again, err := w.Callbacks.Redirect(present(t), *back.Ref, providers.OutcomeSuccess, query)
	if err != nil || again.Ref != nil || w.core.Calls.Count(played.OpConsentToken) != calls {
		t.Errorf("the browser comes again: %+v, %v", again, err)
	}
	// A code serves once.
	_, err = w.Callbacks.Redirect(present(t), ref, providers.OutcomeSuccess, query)
	if providers.KindOf(err) != providers.KindConsentEnded {
		t.Errorf("the same code again: %v", err)
	}
}

// Skarvholm's pages return the customer to one address, and its query says how the visit ended.
func TestTheQueryTellsTheOutcome(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for want, visit := range map[providers.Outcome]func(string) (string, error){
		"": w.player.Approve, providers.OutcomeExit: w.player.Deny, providers.OutcomeError: w.player.FailLogin,
	} {
		location, err := visit(w.create(t).ID)
		if address, _, _ := strings.Cut(location, "?"); err != nil || !strings.HasPrefix(redirects.Success, address+"?") {
			t.Errorf("the customer is sent to %s, %v", location, err)
		}
		if got := w.Callbacks.Outcome(played.QueryOf(location)); got != want {
			t.Errorf("the outcome is %q, want %q", got, want)
		}
	}
}

func TestAnswersAboutOneConsent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		body   string
		want   providers.ErrorKind
	}{
		{http.StatusUnauthorized, `{"tppMessages":[{"code":"CONSENT_EXPIRED"}]}`, providers.KindConsentEnded},
		{http.StatusUnauthorized, `{"tppMessages":[{"code":"CONSENT_INVALID"}]}`, providers.KindConsentEnded},
		{http.StatusTooManyRequests, `{"tppMessages":[{"code":"ACCESS_EXCEEDED"}]}`, providers.KindAccessExceeded},
		{http.StatusTooManyRequests, `{"tppMessages":[{"code":"SERVICE_BLOCKED"}]}`, providers.KindRateLimited},
		{http.StatusTooManyRequests, `{}`, providers.KindRateLimited},
		{http.StatusBadRequest, `{"tppMessages":[{"code":"FORMAT_ERROR"}]}`, providers.KindRejected},
	} {
		w := newWorld(t, nil)
		ref := w.approve(t, w.create(t))
		w.core.Faults.Add(sandbox.Fault{Operation: played.OpListAccounts, Status: c.status, Body: c.body})
		if _, err := w.accounts(present(t), ref); providers.KindOf(err) != c.want {
			t.Errorf("%d %s: %v, want %s", c.status, c.body, err, c.want)
		}
	}
}

func TestDataIsCollectedForAWhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ref := w.approve(t, w.create(t))
	for _, want := range []consentv1.DataStage_Value{
		consentv1.DataStage_FETCHING, consentv1.DataStage_FETCHING, consentv1.DataStage_READY,
	} {
		if got := w.state(t, ref).Connections[0].Stage; got != want {
			t.Errorf("the stage is %s, want %s", got, want)
		}
		w.clock.Advance(40 * time.Second)
	}
}

func TestReadsWithoutTheCustomerAreCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ref := w.approve(t, w.create(t))
	w.state(t, ref)
	w.clock.Advance(time.Hour)
	for i := range 6 {
		_, err := w.accounts(t.Context(), ref)
		exceeded := err != nil && providers.KindOf(err) == providers.KindAccessExceeded
		if exceeded != (i >= w.Manners.ReadsPerDay) {
			t.Errorf("read %d: %v", i+1, err)
		}
	}
	if _, err := w.accounts(present(t), ref); err != nil {
		t.Errorf("while the customer is there: %v", err)
	}
	w.clock.Advance(24 * time.Hour)
	if _, err := w.accounts(t.Context(), ref); err != nil {
		t.Errorf("the next day: %v", err)
	}
}

func TestARenewalMakesANewConsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ref := w.approve(t, w.create(t))
	issued, err := w.Links.RenewLink(present(t), ref, providers.Flow{Redirects: redirects})
	if err != nil || issued.Ref == nil || issued.Ref.ID == ref.ID {
		t.Fatalf("%+v, %v", issued, err)
	}
	before, err := w.accounts(present(t), *issued.Ref)
	if err != nil || before[0].ConnectionID != ref.ID {
		t.Fatalf("until the customer approves: %v", err)
	}
	after, err := w.accounts(present(t), w.approve(t, *issued.Ref))
	if err != nil || after[0].ConnectionID != issued.Ref.ID || after[0].ID != before[0].ID {
		t.Fatalf("then: %v", err)
	}
	if _, err := w.accounts(present(t), ref); providers.KindOf(err) != providers.KindConsentEnded {
		t.Errorf("by the token before: %v", err)
	}
}

func TestATokenThatIsRefusedIsRefreshed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ref := w.approve(t, w.create(t))
	w.core.ExpireTokens()
	if _, err := w.accounts(present(t), ref); err != nil {
		t.Fatal(err)
	}
	granted := 0
	for _, call := range w.core.Calls.Of(played.OpConsentToken) {
		if call.Status == http.StatusOK {
			granted++
		}
	}
	if granted != 2 {
		t.Errorf("%d tokens, want that for the code and another one", granted)
	}
	// One that is refused at once is not refreshed for ever.
	body := `{"tppMessages":[{"code":"TOKEN_INVALID"}]}`
	w.core.Faults.Add(sandbox.Fault{Operation: played.OpListAccounts, Status: http.StatusUnauthorized, Body: body})
	calls := w.core.Calls.Count(played.OpListAccounts)
	if _, err := w.accounts(present(t), ref); providers.KindOf(err) != providers.KindConsentEnded {
		t.Errorf("%v", err)
	}
	if got := w.core.Calls.Count(played.OpListAccounts) - calls; got != 2 {
		t.Errorf("%d reads", got)
	}
}

func TestAReadIsNarrowedAtSkarvholm(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ref := w.approve(t, w.create(t))
	accounts, err := w.accounts(present(t), ref)
	if err != nil {
		t.Fatal(err)
	}
	w.core.Calls.Reset()
	query := providers.Query{AccountID: accounts[0].ID, From: "2020-01-02"}
	for _, err := range w.Accounts.Transactions(present(t), ref, query) {
		if err != nil {
			t.Fatal(err)
		}
	}
	calls := w.core.Calls.All()
	if len(calls) != 1 || calls[0].Query.Get("dateFrom") != "2020-01-02" || calls[0].Query.Has("dateTo") {
		t.Errorf("the calls are %+v", calls)
	}
}

// What Skarvholm calls rente is interest, and would be a pension in the words of others.
func TestLabelsAreNorwegian(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ref := w.approve(t, w.create(t))
	found := map[string]bankingv1.Subcategory_Value{}
	for tx, err := range w.Accounts.Transactions(present(t), ref, providers.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(tx.GetAmount().GetValue(), "-") {
			found[tx.GetProviderCategory()] = tx.GetSubcategory()
		}
	}
	if found["Rente"] != bankingv1.Subcategory_CAPITAL_INCOME || found["Lønn"] != bankingv1.Subcategory_WAGE {
		t.Errorf("the labels became %v", found)
	}
}

func TestAnUnknownStatusIsPassedOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ref := w.approve(t, w.create(t))
	body := `{"consentId": "` + ref.ID + `", "consentStatus": "partiallyAuthorised"}`
	w.core.Faults.Add(sandbox.Fault{Operation: played.OpGetConsent, Status: http.StatusOK, Body: body})
	state := w.state(t, ref)
	if state.Stateful || !slices.ContainsFunc(state.Observations, func(o providers.Observation) bool {
		return o.Type == consentv1.ConsentEvent_PROVIDER_STATUS && o.ProviderCode == "partiallyAuthorised"
	}) {
		t.Errorf("the state is %+v", state)
	}
}

// A consent that was made without a link cannot be used, and stands at Skarvholm all the same.
func TestAnAnswerWithoutALinkMayHaveMadeAConsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.core.Faults.Add(sandbox.Fault{
		Operation: played.OpCreateConsent, Status: http.StatusCreated,
		Body: `{"consentId":"x","consentStatus":"received"}`,
	})
	_, err := w.Consents.CreateConsent(present(t), providers.NewConsent{Market: "NO", Redirects: redirects})
	failed, ok := err.(*providers.Error) //nolint:errorlint // adapters return it as it is
	if !ok || failed.Kind != providers.KindInvalidResponse || !failed.MayHaveHappened {
		t.Errorf("%v", err)
	}
}
