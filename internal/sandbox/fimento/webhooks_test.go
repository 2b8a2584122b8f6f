package fimento

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// receiver takes webhooks and notes the state that each of them tells.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	states []string // overall code of each, in order of arrival
	ids    map[string]bool
	refuse int // how many to answer with 500 first
}

func newReceiver(t *testing.T, refuse int) *receiver {
	t.Helper()
	r := &receiver{ids: map[string]bool{}, refuse: refuse}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.refuse > 0 {
			r.refuse--
			w.WriteHeader(500)
			return
		}
		var p processView
		if err := json.Unmarshal(body,
			&p); err != nil || req.Method != "POST" || req.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s of %s: %v", req.Method, body, err)
		}
		r.ids[p.ID] = true
		state := p.ConsentFlowStatus.Current.Code
		if n := len(p.CustomerBankConsent); n > 0 && state != codeApproved {
			state += "/" + p.CustomerBankConsent[n-1].Status.Current.Code
		}
		r.states = append(r.states, state)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) seen() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.states)
}

// wait polls until as many webhooks have come.
func (r *receiver) wait(t *testing.T, n int) []string {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		seen := r.seen()
		if len(seen) >= n {
			return seen
		}
		if time.Now().After(deadline) {
			t.Fatalf("only %d webhooks came: %v", len(seen), seen)
		}
	}
}

func (p *provider) subscribe(r *receiver) {
	p.Helper()
	if got := p.call("POST", "/webhook", `{"webhookUrl":"`+r.URL+`"}`, header("partner-bank-id", "")).want(p.T,
		201); len(got.body) != 0 {
		p.Errorf("body %s", got.body)
	}
}

func TestEveryStatusIsPosted(t *testing.T) {
	p := startProvider(t, Config{})
	one, two := newReceiver(t, 0), newReceiver(t, 0)
	p.subscribe(one)
	p.subscribe(one) // once is enough
	p.subscribe(two)
	made := p.create("")
	p.browse(made.ConsentLink).click("bank-0").click("authenticate").click("approve")
	p.clock.Advance(5 * step)

	want := []string{
		"created", "consentLinkOpened",
		"consentLinkOpened/bankAddedNotCompletedAuthFlow", "consentLinkOpened/bankAddedCompletedAuthFlow",
		"consentLinkOpened/fetchingTransactionsStarted",
		"customerApprovedConsent", "customerApprovedConsent",
		"categorisationStarted/fetchingTransactionsDone", "categorisationDone/fetchingTransactionsDone",
		"insightsStarted/fetchingTransactionsDone", "completed/fetchingTransactionsDone",
	}
	for _, r := range []*receiver{one, two} {
		if got := r.wait(t, len(want)); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if len(r.ids) != 1 || !r.ids[made.ID] {
			t.Errorf("ids %v", r.ids)
		}
	}
}

func TestWebhookRegistrationRefused(t *testing.T) {
	p := startProvider(t, Config{})
	for _, body := range []string{
		`{}`, `{"webhookUrl":7}`, `{"webhookUrl":"nowhere"}`, `{"webhookUrl":"ftp://x.example"}`,
		`{"webhookUrl":"https:///x"}`, `{"webhookUrl":"https://x.example","secret":"s"}`,
	} {
		p.call("POST", "/webhook", body).refused(t, 400)
	}
}

func TestWebhooksAreRetriedAFewTimes(t *testing.T) {
	p := startProvider(t, Config{})
	patient := newReceiver(t, webhookAttempts-1)
	p.subscribe(patient)
	p.create("")
	if got := patient.wait(t, 1); !slices.Equal(got, []string{"created"}) {
		t.Errorf("got %v", got)
	}

	p = startProvider(t, Config{})
	deaf := newReceiver(t, webhookAttempts)
	p.subscribe(deaf)
	made := p.create("") // is lost
	p.browse(made.ConsentLink)
	if got := deaf.wait(t, 1); !slices.Equal(got, []string{"consentLinkOpened"}) {
		t.Errorf("got %v", got)
	}
}

func TestWebhooksMisbehave(t *testing.T) {
	p := startProvider(t, Config{})
	r := newReceiver(t, 0)
	p.subscribe(r)

	p.SetBehaviour(Behaviour{Webhooks: Webhooks{Drop: true}})
	made := p.create("")
	p.SetBehaviour(Behaviour{Webhooks: Webhooks{Duplicates: 2}})
	b := p.browse(made.ConsentLink)
	opened := []string{"consentLinkOpened", "consentLinkOpened", "consentLinkOpened"}
	if got := r.wait(t, 3); !slices.Equal(got, opened) {
		t.Errorf("got %v", got)
	}

	p.SetBehaviour(Behaviour{Webhooks: Webhooks{OutOfOrder: true}})
	b.click("bank-0").click("authenticate") // three statuses
	want := append(opened, "consentLinkOpened/bankAddedCompletedAuthFlow",
		"consentLinkOpened/bankAddedNotCompletedAuthFlow")
	if got := r.wait(t, 5); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	p.SetBehaviour(Behaviour{})
	p.clock.Advance(step) // fetched; what was held back follows it
	want = append(want, "consentLinkOpened/fetchingTransactionsDone", "consentLinkOpened/fetchingTransactionsStarted")
	if got := r.wait(t, 7); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}

	p.SetBehaviour(Behaviour{Webhooks: Webhooks{OutOfOrder: true}})
	b.click("deny")
	p.clock.Advance(3 * step) // no successor came
	if got := r.wait(t, 8); got[7] != "customerDeniedConsent/fetchingTransactionsDone" {
		t.Errorf("got %v", got)
	}

	// The timer may find that the successor came first.
	p.webhooks.release(p.webhooks.targets[0])
	p.SetBehaviour(Behaviour{})
	p.create("")
	if got := r.wait(t, 9); got[8] != "created" {
		t.Errorf("got %v", got)
	}
}

// What was held back and sent has no say in what is held back later.
func TestWebhooksOutOfOrderAgain(t *testing.T) {
	p := startProvider(t, Config{Behaviour: Behaviour{Webhooks: Webhooks{OutOfOrder: true}}})
	r := newReceiver(t, 0)
	p.subscribe(r)
	made := p.create("")
	p.browse(made.ConsentLink)
	p.clock.Advance(2 * step)
	b := p.browse(made.ConsentLink)
	p.clock.Advance(2 * step)
	b.click("bank-0")
	want := []string{
		"consentLinkOpened", "created", "consentLinkOpened/bankAddedNotCompletedAuthFlow", "consentLinkOpened",
	}
	if got := r.wait(t, 4); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// transport counts what is sent.
type transport struct{ sent atomic.Int64 }

func (c *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	c.sent.Add(1)
	return http.DefaultTransport.RoundTrip(r)
}

// One receiver that does not answer holds up no other, and none holds up Close.
func TestWebhooksAreIndependent(t *testing.T) {
	p := startProvider(t, Config{})
	count := &transport{}
	p.core.Client.Transport = count
	stuck := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // so that the server notices when the client leaves
		select {
		case <-stuck:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(slow.Close)
	t.Cleanup(func() { close(stuck) })
	p.call("POST", "/webhook", `{"webhookUrl":"`+slow.URL+`"}`).want(t, 201)
	r := newReceiver(t, 0)
	p.subscribe(r)
	p.create("")
	r.wait(t, 1)
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	before := count.sent.Load()
	p.create("") // goes nowhere, and breaks nothing
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if after := count.sent.Load(); after != before {
		t.Errorf("%d sent after Close", after-before)
	}
}
